// Executes the floating-point instructions of a block with soft-float alone, no machine: an oracle for soft-float itself,
// and a witness when machine and qemu differ.

import { decode } from "../../src/isa/riscv64/decode.ts";
import { instructionOf } from "../../src/isa/riscv64/instructions.ts";
import type { ExactRegisters } from "../../src/machine/riscv64/exact.ts";
import { exactFloatOf } from "../../src/machine/riscv64/semantics/float-lookup.ts";
import type { Code } from "./program.ts";

/** The state of a dump: fcsr, x1 to x31, f0 to f31. */
export class SoftState implements ExactRegisters {
  private readonly words: Int32Array;
  private fcsr: number;

  constructor(state: Uint8Array) {
    this.words = new Int32Array(state.slice().buffer);
    this.fcsr = this.words[0] ?? 0;
    this.setX(0, 0, 0);
  }

  get frm(): number {
    return this.fcsr >> 5;
  }
  raiseFlags(flags: number): void {
    this.fcsr |= flags;
  }
  xLo(register: number): number {
    return this.words[2 * register] ?? 0;
  }
  xHi(register: number): number {
    return this.words[2 * register + 1] ?? 0;
  }
  setX(register: number, lo: number, hi: number): void {
    this.words[2 * register] = register === 0 ? 0 : lo;
    this.words[2 * register + 1] = register === 0 ? 0 : hi;
  }
  fLo(register: number): number {
    return this.words[64 + 2 * register] ?? 0;
  }
  fHi(register: number): number {
    return this.words[65 + 2 * register] ?? 0;
  }
  setF(register: number, lo: number, hi: number): void {
    this.words[64 + 2 * register] = lo;
    this.words[65 + 2 * register] = hi;
  }

  /** The state as a dump has it. */
  dump(): Uint8Array {
    const words = this.words.slice();
    words[0] = this.fcsr;
    words[1] = 0;
    return new Uint8Array(words.buffer);
  }
}

/** Executes one instruction; false when soft-float does not define it, with nothing changed. */
export function executeSoftly(state: SoftState, { bits, size }: Code): boolean {
  const instruction = size === 4 ? decode(bits) : undefined;
  if (instruction === undefined) return false;
  const definition = exactFloatOf(instructionOf(instruction.id).mnemonic);
  return definition !== undefined && definition(state, instruction);
}
