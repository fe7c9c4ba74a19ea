// The machine itself on the forms that the host CPU judges: each with its immediate is a piece of code of its own, which is assembled, decoded
// and executed as any program's.
//
//     0x1000 page tables (4 KiB each: level 4, 3, 2)   0x5000 GDT   0x6000 IDT   0x8000 handlers, one `jmp .` a vector
//     0x10000 memory operand      0x20000 stack, downwards          0x100000 code: pieces, each with `jmp .` after it

import { assemble } from "../../src/isa/x86_64/assembler.ts";
import { CR0, CR4, EFER, GPR, SEGMENT } from "../../src/isa/x86_64/registers.ts";
import { ATTRIBUTE } from "../../src/isa/x86_64/segments.ts";
import { VECTOR } from "../../src/isa/x86_64/vectors.ts";
import { createMachine } from "../../src/machine/create-machine.ts";
import type { Hotness } from "../../src/machine/engine/hotness.ts";
import type { PhysicalMemory } from "../../src/machine/physical-memory.ts";
import { x86Processor } from "../../src/machine/x86_64/engine.ts";
import type { X86Hart } from "../../src/machine/x86_64/hart.ts";
import { assemblyOf } from "./x86-forms.ts";
import { STATE, STATE_SIZE, type HostCase } from "./x86-host.ts";

const TABLES = 0x1000;
const GDT = 0x5000;
const IDT = 0x6000;
const HANDLERS = 0x8000;
const HANDLER_STRIDE = 16;
export const MEMORY = 0x10000;
const STACK = 0x20000;
const CODE = 0x100000;
const CODE_ALIGNMENT = 32;
const CODE_SELECTOR = 8;
/** Offsets in the FXSAVE64 image. */
const IMAGE = { control: 0, tags: 4, mxcsr: 24, mm: 32, xmm: 160 } as const;
const JUMP_TO_ITSELF = [0xeb, 0xfe];

/** A machine in 64-bit mode with pieces of code. */
export interface CodeMachine {
  readonly hart: X86Hart;
  readonly memory: PhysicalMemory;
  /** Executes one of the pieces, of so many instructions at most; the vector of the exception that it raises, if it does. */
  execute(piece: string, instructions?: number): number | undefined;
}

/** A machine with pieces of code, which are executed with rsi and rdi pointing to MEMORY. */
export function createCodeMachine(
  tier: "run" | "step",
  pieces: Iterable<string>,
  options: { hotness?: Hotness } = {},
): CodeMachine {
  const machine = createMachine({ processor: x86Processor, ramBase: 0, ramSize: 16 << 20, harts: 1, tier, ...options });
  const { memory } = machine;
  const [hart] = machine.harts;
  if (hart === undefined) throw new Error("no hart");

  const places = placeCode(pieces);
  for (const { address, bytes } of places.values()) memory.write(address, bytes);
  memory.write32(TABLES, (TABLES + 0x1000) | 3);
  memory.write32(TABLES + 0x1000, (TABLES + 0x2000) | 3);
  for (let page = 0; page < 8; page++) memory.write32(TABLES + 0x2000 + page * 8, (page << 21) | 0x83);
  memory.write32(GDT + CODE_SELECTOR + 4, 0x00209b00);
  for (let vector = 0; vector < 256; vector++) {
    const handler = HANDLERS + vector * HANDLER_STRIDE;
    memory.write(handler, Uint8Array.from(JUMP_TO_ITSELF));
    memory.write32(IDT + vector * 16, (CODE_SELECTOR << 16) | handler);
    memory.write32(IDT + vector * 16 + 4, 0x8e00);
  }
  hart.setSystemRegister("gdtrBase", GDT, 0);
  hart.setSystemRegister("gdtrLimit", 15, 0);
  hart.setSystemRegister("idtrBase", IDT, 0);
  hart.setSystemRegister("idtrLimit", 4095, 0);
  hart.setSystemRegister("cr4", CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT, 0);
  hart.setSystemRegister("efer", EFER.LME | EFER.LMA, 0);
  hart.setSystemRegister("cr3", TABLES, 0);
  hart.setSystemRegister("cr0", CR0.PE | CR0.PG | CR0.ET | CR0.MP | CR0.NE, 0);
  const { P, S, CODE: code, WRITABLE, ACCESSED, L, G } = ATTRIBUTE;
  hart.setSegment(SEGMENT.cs, {
    selector: CODE_SELECTOR,
    base: { hi: 0, lo: 0 },
    limit: 0xffffffff,
    attributes: P | S | code | WRITABLE | ACCESSED | L | G,
  });

  return {
    hart,
    memory,
    execute: (piece, instructions = 1) => {
      const place = places.get(piece);
      if (place === undefined) throw new Error("this is none of the pieces");
      hart.setGprNumber(GPR.rsi, MEMORY);
      hart.setGprNumber(GPR.rdi, MEMORY);
      hart.setGprNumber(GPR.rsp, STACK);
      hart.setPc(place.address);
      machine.run({ instructions });
      if (hart.pc === place.end) return undefined;
      const vector = Math.floor((hart.pc - HANDLERS) / HANDLER_STRIDE);
      if (vector >= 0 && vector < 256) return vector;
      throw new Error(`${piece} went to ${hart.pc.toString(16)}`);
    },
  };
}

/** Runs cases, one after the other, on one tier. */
export type CaseMachine = (one: HostCase) => Uint8Array;

export function createCaseMachine(tier: "run" | "step", cases: readonly HostCase[]): CaseMachine {
  const { hart, memory, execute } = createCodeMachine(
    tier,
    cases.map(({ form, immediate }) => assemblyOf(form, immediate)),
  );
  return ({ form, immediate, state }) => {
    const view = new DataView(state.buffer, state.byteOffset);
    const image = new Uint8Array(512);
    const imageView = new DataView(image.buffer);
    imageView.setUint16(IMAGE.control, 0x37f, true);
    image[IMAGE.tags] = 0xff;
    image.set(state.subarray(STATE.mxcsr, STATE.mxcsr + 4), IMAGE.mxcsr);
    for (let n = 0; n < 2; n++) image.set(state.subarray(STATE.mm + 8 * n, STATE.mm + 8 * n + 8), IMAGE.mm + 16 * n);
    for (let n = 0; n < 3; n++) image.set(state.subarray(16 * n, 16 * n + 16), IMAGE.xmm + 16 * n);
    hart.loadFloat(image);
    const setGpr = (register: number, at: number): void =>
      hart.setGpr(register, view.getInt32(at, true), view.getInt32(at + 4, true));
    setGpr(GPR.rax, STATE.rax);
    setGpr(GPR.rcx, STATE.rcx);
    setGpr(GPR.rdx, STATE.memory);
    hart.setRflags(2);
    memory.write(MEMORY, state.subarray(STATE.memory, STATE.memory + 16));
    const vector = execute(assemblyOf(form, immediate));
    const isTrapped = vector === VECTOR.XM;
    if (!isTrapped && vector !== undefined) throw new Error(`${assemblyOf(form, immediate)} raised ${vector}`);
    hart.saveFloat(image);
    const after = new Uint8Array(STATE_SIZE);
    const afterView = new DataView(after.buffer);
    for (let n = 0; n < 3; n++) after.set(image.subarray(IMAGE.xmm + 16 * n, IMAGE.xmm + 16 * n + 16), 16 * n);
    for (let n = 0; n < 2; n++) after.set(image.subarray(IMAGE.mm + 16 * n, IMAGE.mm + 16 * n + 8), STATE.mm + 8 * n);
    for (const [at, register] of [[STATE.rax, GPR.rax] as const, [STATE.rcx, GPR.rcx] as const]) {
      afterView.setInt32(at, hart.gprLo(register), true);
      afterView.setInt32(at + 4, hart.gprHi(register), true);
    }
    after.set(memory.read(MEMORY, 16), STATE.memory);
    after.set(image.subarray(IMAGE.mxcsr, IMAGE.mxcsr + 4), STATE.mxcsr);
    afterView.setUint32(STATE.flags, isTrapped ? 0 : hart.rflags | 0x200, true);
    afterView.setUint32(STATE.trapped, isTrapped ? 1 : 0, true);
    return after;
  };
}

interface Place {
  readonly address: number;
  /** Where the piece ends. */
  readonly end: number;
  readonly bytes: Uint8Array;
}

function placeCode(pieces: Iterable<string>): Map<string, Place> {
  const places = new Map<string, Place>();
  let address = CODE;
  for (const piece of pieces) {
    if (places.has(piece)) continue;
    const { bytes } = assemble(`${piece}\n`, { base: address });
    const end = address + bytes.length;
    places.set(piece, { address, end, bytes: Uint8Array.from([...bytes, ...JUMP_TO_ITSELF]) });
    address = (end + JUMP_TO_ITSELF.length + CODE_ALIGNMENT) & -CODE_ALIGNMENT;
  }
  return places;
}
