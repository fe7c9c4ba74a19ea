/**
 * Control registers, debug registers, and the modes that they make.
 *
 *     CR0.PG with EFER.LME ──> EFER.LMA: long mode, in which cs.L chooses 64-bit or compatibility mode
 *
 * Paging without EFER.LME (32-bit and PAE paging) and leaving protected mode are not there: they raise #GP. Intel SDM volume 3, 2.5
 * (control registers), 4.10.4.1 (what invalidates translations), 9.8.5 (entering long mode), 17.2 (debug registers); volume 2, MOV.
 */
import { OPERAND } from "../../isa/x86_64/decode-types.ts";
import { CR3_HI_NO_FLUSH, CR3 } from "../../isa/x86_64/paging.ts";
import { CR0, CR4, DR6, EFER, SEGMENT } from "../../isa/x86_64/registers.ts";
import { ATTRIBUTE } from "../../isa/x86_64/segments.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { isGuarded, reportDebug } from "./breakpoints.ts";
import { CELL, segmentAttributes } from "./layout.ts";
import { RESERVED_ADDRESS_HI } from "./mmu.ts";
import { isLongMode, refreshCodeMode } from "./segmentation.ts";
import type { SystemHart, SystemOutcome, SystemSemantics } from "./system.ts";
import { isHidden, moveSegment } from "./system-segments.ts";

/** Bits of CR0 that there are; ET always reads 1. */
const CR0_BITS = CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.ET | CR0.NE | CR0.WP | CR0.AM | CR0.NW | CR0.CD | CR0.PG;
/** Bits of CR4 that there are: those of the features that CPUID tells of. */
const CR4_BITS =
  CR4.TSD |
  CR4.DE |
  CR4.PSE |
  CR4.PAE |
  CR4.MCE |
  CR4.PGE |
  CR4.PCE |
  CR4.OSFXSR |
  CR4.OSXMMEXCPT |
  CR4.UMIP |
  CR4.FSGSBASE |
  CR4.PCIDE |
  CR4.OSXSAVE |
  CR4.SMEP |
  CR4.SMAP;
/** Changes of these invalidate all translations. */
const CR4_FLUSHING = CR4.PSE | CR4.PAE | CR4.PGE | CR4.PCIDE | CR4.SMEP | CR4.SMAP;
/** Debug registers: bits that always read 1, and those that can be written. SDM volume 3, figure 17-1. */
const DR6_BITS = { ONES: 0xffff0ff0 | 0, WRITABLE: 0x0000e00f } as const;
const DR7_BITS = { ONES: 1 << 10, WRITABLE: 0xffff23ff | 0 } as const;

const generalProtection = (hart: SystemHart): SystemOutcome => {
  hart.access.fail(VECTOR.GP);
  return "faulted";
};

// --- Control registers ---------------------------------------------------------------------------------------------

/** Whether CR0 may become that. */
function admitsCr0({ registers }: SystemHart, value: number): boolean {
  const old = registers.get(CELL.cr0);
  const cr4 = registers.get(CELL.cr4);
  const isCode64 = (registers.get(segmentAttributes(SEGMENT.cs)) & ATTRIBUTE.L) !== 0;
  if ((value & CR0.PE) === 0) return false;
  if ((value & (CR0.CD | CR0.NW)) === CR0.NW) return false;
  const starts = (value & ~old & CR0.PG) !== 0;
  const ends = (old & ~value & CR0.PG) !== 0;
  if (starts) {
    const isLongEnabled = (registers.get(CELL.efer) & EFER.LME) !== 0;
    if (!isLongEnabled || (cr4 & CR4.PAE) === 0 || isCode64) return false;
  }
  return !(ends && (registers.codeMode === 64 || (cr4 & CR4.PCIDE) !== 0));
}

/** Sets CR0 and what follows from it, unchecked. */
export function setCr0(hart: SystemHart, value: number): void {
  const { registers } = hart;
  const old = registers.get(CELL.cr0);
  registers.setWords(CELL.cr0, (value & CR0_BITS) | CR0.ET, 0);
  if (((value ^ old) & CR0.PG) !== 0) {
    const efer = registers.get(CELL.efer);
    const isLong = (value & CR0.PG) !== 0 && (efer & EFER.LME) !== 0;
    registers.setWords(CELL.efer, isLong ? efer | EFER.LMA : efer & ~EFER.LMA, 0);
    refreshCodeMode(registers);
    hart.flush(undefined, undefined);
  }
  registers.refreshFloat();
  hart.onModesChanged();
}

function writeCr0(hart: SystemHart, lo: number, hi: number): SystemOutcome {
  if (hi !== 0 || !admitsCr0(hart, lo)) return generalProtection(hart);
  setCr0(hart, lo);
  return "done";
}

/** Sets CR3, unchecked; `keeps` leaves the translations of its PCID. */
export function setCr3(hart: SystemHart, lo: number, hi: number, keeps: boolean): void {
  const { registers } = hart;
  const hasPcid = (registers.get(CELL.cr4) & CR4.PCIDE) !== 0;
  registers.setWords(CELL.cr3, lo, hi);
  if (!keeps) hart.flush(undefined, hasPcid ? lo & CR3.PCID : 0, false);
  hart.onModesChanged();
  hart.onSpaceChanged();
}

function writeCr3(hart: SystemHart, lo: number, hi: number): SystemOutcome {
  const hasPcid = (hart.registers.get(CELL.cr4) & CR4.PCIDE) !== 0;
  const keeps = hasPcid && hi < 0;
  const address = keeps ? hi & ~CR3_HI_NO_FLUSH : hi;
  // Bits 63 (without PCIDs) to the width of physical addresses are reserved.
  if ((address & (RESERVED_ADDRESS_HI | 0xfff00000)) !== 0) return generalProtection(hart);
  setCr3(hart, lo, address, keeps);
  return "done";
}

/** Sets CR4 and what follows from it, unchecked. */
export function setCr4(hart: SystemHart, value: number): void {
  const { registers } = hart;
  const old = registers.get(CELL.cr4);
  registers.setWords(CELL.cr4, value & CR4_BITS, 0);
  if (((value ^ old) & CR4_FLUSHING) !== 0) hart.flush(undefined, undefined);
  registers.refreshFloat();
  hart.onModesChanged();
}

function writeCr4(hart: SystemHart, lo: number, hi: number): SystemOutcome {
  const { registers } = hart;
  if (hi !== 0 || (lo & ~CR4_BITS) !== 0) return generalProtection(hart);
  const isLong = isLongMode(registers);
  if (isLong && (lo & CR4.PAE) === 0) return generalProtection(hart);
  const startsPcid = (lo & ~registers.get(CELL.cr4) & CR4.PCIDE) !== 0;
  if (startsPcid && (!isLong || (registers.get(CELL.cr3) & CR3.PCID) !== 0)) return generalProtection(hart);
  setCr4(hart, lo);
  return "done";
}

/** The task priority, which is the local APIC's. */
export function setCr8({ registers, apic }: SystemHart, priority: number): void {
  registers.setWords(CELL.cr8, priority & 15, 0);
  apic?.setTaskPriority(priority & 15);
}

function writeCr8(hart: SystemHart, lo: number, hi: number): SystemOutcome {
  if (hi !== 0 || (lo & ~15) !== 0) return generalProtection(hart);
  setCr8(hart, lo);
  return "done";
}

const controlCells: Readonly<Record<number, number>> = { 0: CELL.cr0, 2: CELL.cr2, 3: CELL.cr3, 4: CELL.cr4 };

function readControl(hart: SystemHart, number: number, register: number, is64: boolean): SystemOutcome {
  const { registers, apic } = hart;
  const cell = controlCells[number];
  if (number === 8) registers.setGpr(register, apic?.taskPriority() ?? registers.get(CELL.cr8), 0);
  else if (cell === undefined) return "undefined";
  else registers.setGpr(register, registers.get(cell), is64 ? registers.get(cell + 4) : 0);
  return "done";
}

function writeControl(hart: SystemHart, number: number, lo: number, hi: number): SystemOutcome {
  switch (number) {
    case 0:
      return writeCr0(hart, lo, hi);
    case 2:
      hart.registers.setWords(CELL.cr2, lo, hi);
      return "done";
    case 3:
      return writeCr3(hart, lo, hi);
    case 4:
      return writeCr4(hart, lo, hi);
    case 8:
      return writeCr8(hart, lo, hi);
    default:
      return "undefined";
  }
}

// --- Debug registers -----------------------------------------------------------------------------------------------

/** The cell of a debug register. dr4 and dr5 are dr6 and dr7, but with CR4.DE. */
function debugCell(hart: SystemHart, number: number): number | undefined {
  if (number > 7) return undefined;
  if (number !== 4 && number !== 5) return CELL.debug + number * 8;
  const hasExtensions = (hart.registers.get(CELL.cr4) & CR4.DE) !== 0;
  return hasExtensions ? undefined : CELL.debug + (number + 2) * 8;
}

function accessDebug(hart: SystemHart, number: number, register: number, kind: "read" | "write"): SystemOutcome {
  const { registers } = hart;
  const is64 = registers.codeMode === 64;
  const cell = debugCell(hart, number);
  if (cell === undefined) return "undefined";
  if (isGuarded(registers)) {
    reportDebug(registers, DR6.BD);
    hart.access.fail(VECTOR.DB);
    return "faulted";
  }
  if (kind === "read") {
    registers.setGpr(register, registers.get(cell), is64 ? registers.get(cell + 4) : 0);
    return "done";
  }
  const lo = registers.gprLo(register);
  const hi = is64 ? registers.gprHi(register) : 0;
  if (cell < CELL.debug + 6 * 8) {
    registers.setWords(cell, lo, hi);
    return "done";
  }
  if (hi !== 0) return generalProtection(hart);
  const { ONES, WRITABLE } = cell === CELL.debug + 6 * 8 ? DR6_BITS : DR7_BITS;
  registers.setWords(cell, (lo & WRITABLE) | ONES, 0);
  hart.onModesChanged();
  return "done";
}

/** Puts the debug registers into their state after reset. */
export function resetDebugRegisters(set: (cell: number, lo: number, hi: number) => void): void {
  set(CELL.debug + 6 * 8, DR6_BITS.ONES, 0);
  set(CELL.debug + 7 * 8, DR7_BITS.ONES, 0);
}

// --- Instructions --------------------------------------------------------------------------------------------------

/** mov with a segment, control or debug register. */
const mov: SystemSemantics = (hart, decoded) => {
  const [to, from] = decoded.operands;
  if (to.kind === OPERAND.segment || from.kind === OPERAND.segment) return moveSegment(hart, decoded);
  const { registers } = hart;
  if (registers.cpl !== 0) return generalProtection(hart);
  const is64 = registers.codeMode === 64;
  if (from.kind === OPERAND.control) return readControl(hart, from.register, to.register, is64);
  if (from.kind === OPERAND.debug) return accessDebug(hart, from.register, to.register, "read");
  if (to.kind === OPERAND.debug) return accessDebug(hart, to.register, from.register, "write");
  return writeControl(hart, to.register, registers.gprLo(from.register), is64 ? registers.gprHi(from.register) : 0);
};

const smsw: SystemSemantics = (hart, decoded) => {
  if (isHidden(hart)) return generalProtection(hart);
  return hart.operands.write(decoded, 0, hart.registers.get(CELL.cr0), 0) ? "done" : "faulted";
};

/** Sets PE, MP, EM and TS, and cannot clear PE. */
const lmsw: SystemSemantics = (hart, decoded) => {
  const { registers, operands } = hart;
  if (registers.cpl !== 0) return generalProtection(hart);
  if (!operands.read(decoded, 0)) return "faulted";
  const cr0 = registers.get(CELL.cr0);
  setCr0(hart, (cr0 & ~(CR0.MP | CR0.EM | CR0.TS)) | (operands.valueLo & 15));
  return "done";
};

const clts: SystemSemantics = (hart) => {
  const { registers } = hart;
  if (registers.cpl !== 0) return generalProtection(hart);
  registers.set(CELL.cr0, registers.get(CELL.cr0) & ~CR0.TS);
  registers.refreshFloat();
  return "done";
};

export const registerSemantics = { mov, smsw, lmsw, clts } satisfies Record<string, SystemSemantics>;
