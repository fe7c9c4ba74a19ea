/**
 * Saving and restoring x87, MMX and SSE state.
 *
 *     0         24      32                160                416       512          576
 *     +---------+-------+-----------------+------------------+---------+------------+
 *     | x87     | MXCSR | st0-7 or mm0-7  | xmm0-15          | unused  | header     |      fxsave: the first 512 bytes
 *     +---------+-------+-----------------+------------------+---------+------------+      xsave: all, as far as asked for
 *
 * Intel SDM volume 1, 10.5 (FXSAVE), 13.4-13.9 (XSAVE). Code that is not 64-bit has xmm0-7 only.
 */
import type { Decoded } from "../../isa/x86_64/decode-types.ts";
import { CR0, CR4, GPR } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { XSAVE_BYTES } from "./cpuid.ts";
import { CELL, FPU_STRIDE, XMM_STRIDE } from "./layout.ts";
import type { Registers } from "./registers.ts";
import type { SystemHart, SystemOutcome, SystemSemantics } from "./system.ts";
import { initialize, packFxsaveX87, unpackFxsaveX87 } from "./x87-state.ts";

/** What fxsave writes of its 512 bytes. */
const FXSAVE_WRITTEN = 416;
export const FXSAVE_BYTES = 512;
const AT = { mxcsr: 24, mxcsrMask: 28, xmm: 160, stateBits: 512, compaction: 520 } as const;
/** All bits of MXCSR that exist. */
export const MXCSR_BITS = 0xffff;
/** Components of XCR0. */
const X87 = 1;
const SSE = 2;

const raise = (hart: SystemHart, vector: number): SystemOutcome => {
  hart.access.fail(vector);
  return "faulted";
};

// --- Images --------------------------------------------------------------------------------------------------------

function packMxcsr(registers: Registers, image: DataView): void {
  image.setUint32(AT.mxcsr, registers.get(CELL.mxcsr), true);
  image.setUint32(AT.mxcsrMask, MXCSR_BITS, true);
}

function packXmm(registers: Registers, image: DataView, count: number): void {
  for (let i = 0; i < count * 4; i++) {
    image.setInt32(AT.xmm + i * 4, registers.get(CELL.xmm + (i >> 2) * XMM_STRIDE + (i & 3) * 4), true);
  }
}

function unpackXmm(registers: Registers, image: DataView, count: number): void {
  for (let i = 0; i < count * 4; i++) {
    registers.set(CELL.xmm + (i >> 2) * XMM_STRIDE + (i & 3) * 4, image.getInt32(AT.xmm + i * 4, true));
  }
}

const xmmCount = (registers: Registers): number => (registers.codeMode === 64 ? 16 : 8);

/** Writes the FXSAVE image; `wide` is the form with 64-bit pointers. */
export function packFxsave(registers: Registers, image: DataView, wide: boolean, xmms: number): void {
  packFxsaveX87(registers, image, wide);
  packMxcsr(registers, image);
  packXmm(registers, image, xmms);
}

/** Loads an FXSAVE image, whose MXCSR has been checked. */
export function unpackFxsave(registers: Registers, image: DataView, wide: boolean, xmms: number): void {
  unpackFxsaveX87(registers, image, wide);
  unpackXmm(registers, image, xmms);
  setMxcsr(registers, image.getUint32(AT.mxcsr, true) & MXCSR_BITS);
}

function setMxcsr(registers: Registers, value: number): void {
  registers.set(CELL.mxcsr, value);
  registers.refreshFloat();
}

/** The state after reset: what xrstor loads where the area says "initial". */
export function initializeX87(registers: Registers): void {
  initialize(registers);
  for (let at = 0; at < 8 * FPU_STRIDE; at += 8) registers.setWords(CELL.fpu + at, 0, 0);
}

// --- fxsave, fxrstor -----------------------------------------------------------------------------------------------

/** Whether the operand is aligned, and x87 and SSE are there to be saved; the fault is noted. */
function checkFxsave(hart: SystemHart, decoded: Decoded): boolean {
  const { registers, access } = hart;
  if ((registers.get(CELL.cr0) & (CR0.EM | CR0.TS)) !== 0) return access.fail(VECTOR.NM);
  return checkAlignment(hart, decoded, 16);
}

function checkAlignment({ operands, access }: SystemHart, decoded: Decoded, alignment: number): boolean {
  if (!operands.linear(decoded, 0, 1, "load")) return false;
  return (access.linearLo & (alignment - 1)) === 0 || access.fail(VECTOR.GP);
}

const fxsave: SystemSemantics = (hart, decoded) => {
  if (!checkFxsave(hart, decoded)) return "faulted";
  const { registers, operands } = hart;
  const image = new Uint8Array(FXSAVE_WRITTEN);
  const count = xmmCount(registers);
  packFxsave(registers, new DataView(image.buffer), decoded.isWide, count);
  const written = count === 16 ? image : image.subarray(0, AT.xmm + count * 16);
  return operands.writeMemory(decoded, written) ? "done" : "faulted";
};

const fxrstor: SystemSemantics = (hart, decoded) => {
  if (!checkFxsave(hart, decoded)) return "faulted";
  const { registers, operands } = hart;
  const image = new Uint8Array(FXSAVE_BYTES);
  if (!operands.readMemory(decoded, image)) return "faulted";
  const view = new DataView(image.buffer);
  if ((view.getUint32(AT.mxcsr, true) & ~MXCSR_BITS) !== 0) return raise(hart, VECTOR.GP);
  unpackFxsave(registers, view, decoded.isWide, xmmCount(registers));
  return "done";
};

// --- xsave, xrstor -------------------------------------------------------------------------------------------------

/** "go", or how the instruction ends. */
function checkXsave(hart: SystemHart, decoded: Decoded): SystemOutcome | "go" {
  const { registers } = hart;
  if ((registers.get(CELL.cr4) & CR4.OSXSAVE) === 0) return "undefined";
  if ((registers.get(CELL.cr0) & CR0.TS) !== 0) return raise(hart, VECTOR.NM);
  return checkAlignment(hart, decoded, 64) ? "go" : "faulted";
}

const requested = ({ registers }: SystemHart): number => registers.gprLo(GPR.rax) & registers.get(CELL.xcr0);

const xsave: SystemSemantics = (hart, decoded) => {
  const check = checkXsave(hart, decoded);
  if (check !== "go") return check;
  const { registers, operands } = hart;
  const image = new Uint8Array(XSAVE_BYTES);
  if (!operands.readMemory(decoded, image)) return "faulted";
  const view = new DataView(image.buffer);
  const components = requested(hart);
  if ((components & X87) !== 0) packFxsaveX87(registers, view, decoded.isWide);
  if ((components & SSE) !== 0) {
    packMxcsr(registers, view);
    packXmm(registers, view, xmmCount(registers));
  }
  // Everything saved is said to be in use.
  view.setUint32(AT.stateBits, view.getUint32(AT.stateBits, true) | components, true);
  return operands.writeMemory(decoded, image) ? "done" : "faulted";
};

const xrstor: SystemSemantics = (hart, decoded) => {
  const check = checkXsave(hart, decoded);
  if (check !== "go") return check;
  const { registers, operands } = hart;
  const image = new Uint8Array(XSAVE_BYTES);
  if (!operands.readMemory(decoded, image)) return "faulted";
  const view = new DataView(image.buffer);
  const components = requested(hart);
  const saved = view.getUint32(AT.stateBits, true);
  const unknown = (saved & ~registers.get(CELL.xcr0)) | view.getUint32(AT.stateBits + 4, true);
  // There is no compacted form, and what follows must be 0.
  for (let at: number = AT.compaction; at < AT.compaction + 16; at++) {
    if (image[at] !== 0) return raise(hart, VECTOR.GP);
  }
  if (unknown !== 0) return raise(hart, VECTOR.GP);
  const mxcsr = view.getUint32(AT.mxcsr, true);
  if ((components & SSE) !== 0 && (mxcsr & ~MXCSR_BITS) !== 0) return raise(hart, VECTOR.GP);
  if ((components & X87) !== 0) {
    if ((saved & X87) !== 0) unpackFxsaveX87(registers, view, decoded.isWide);
    else initializeX87(registers);
  }
  if ((components & SSE) !== 0) {
    if ((saved & SSE) === 0) image.fill(0, AT.xmm, AT.xmm + 256);
    unpackXmm(registers, view, xmmCount(registers));
    setMxcsr(registers, mxcsr);
  }
  return "done";
};

export const stateSemantics = {
  fxsave,
  fxrstor,
  xsave,
  xsaveopt: xsave,
  xrstor,
} satisfies Record<string, SystemSemantics>;
