/**
 * Floating-point instructions as the exact tier executes them in TypeScript: all of x87, and those of SSE whose emitted form is
 * only a fast path (it leaves by `slow`).
 *
 *     hart core: decode, effective address, translate, copy up to 16 bytes to CELL.operand ──> ExactX86 ──> copy back, retire
 *
 * What an instruction reads and writes are cells of the window (layout.ts). A memory operand of up to 16 bytes lies at CELL.operand
 * before the instruction runs, and what the instruction writes to memory is taken from there after it says "done". Larger images
 * go through `readMemory` and `writeMemory`, before anything else changes.
 */
import type { Decoded } from "../../isa/x86_64/decode-types.ts";

/** The registers that an exact definition reads and writes. */
export interface ExactRegisters {
  /** One 32-bit cell of the window, by its address, a multiple of 4. */
  get(cell: number): number;
  set(cell: number, value: number): void;
  setWords(cell: number, lo: number, hi: number): void;
  /** CF, PF, AF, ZF, SF and OF at their places in RFLAGS. */
  arithmeticFlags(): number;
  setArithmeticFlags(flags: number): void;
}

/** What an exact definition knows of the hart that executes it. */
export interface ExactHart {
  readonly registers: ExactRegisters;
  /** Effective address of the memory operand, without the segment's base: what x87 keeps as its last data pointer. */
  readonly operandLo: number;
  readonly operandHi: number;
  /** A byte of the instruction, prefixes first. */
  codeByte(offset: number): number;
  /** Bytes at the memory operand; false if that faults, with the fault noted and nothing else changed. */
  readMemory(decoded: Decoded, into: Uint8Array): boolean;
  /** Writes all of `from`, or nothing: false if that faults, with the fault noted. */
  writeMemory(decoded: Decoded, from: Uint8Array): boolean;
}

/**
 * How an exact definition ends. Anything below the first two leaves the instruction to be executed again; what an unmasked exception
 * changes nevertheless (sticky flags) is changed.
 */
export type ExactOutcome =
  | "done"
  /** As "done", but nothing is written to memory: an unmasked x87 exception keeps a store from happening. */
  | "suppressed"
  /** #UD. */
  | "undefined"
  /** #GP(0). */
  | "protection"
  /** #MF: an unmasked x87 exception is pending. */
  | "x87-error"
  /** #DE. */
  | "divide-error"
  /** #GP(0): a memory operand that is not aligned as it must be. */
  | "misaligned"
  /** #XM: an unmasked SSE exception. */
  | "simd-error"
  /** `readMemory` or `writeMemory` noted a fault. */
  | "faulted";

/**
 * Executes one instruction. CR0.EM, CR0.TS and what else makes #NM or #UD of every x87 or SSE instruction has been checked;
 * CELL.pc is the address of this instruction.
 */
export type ExactX86 = (hart: ExactHart, decoded: Decoded) => ExactOutcome;
