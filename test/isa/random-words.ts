// Random instruction words from the table, seeded, so that a failure can be had again.

import { decode } from "../../src/isa/riscv64/decode.ts";
import type { Instruction } from "../../src/isa/riscv64/instructions.ts";

/** A generator of int32 numbers (xorshift32) from a seed. */
export function int32Generator(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}

/** A word of the row with every field random, within what has an assembly form: no reserved rounding modes or fences. */
export function randomWritableWord(row: Instruction, next: () => number): number {
  for (;;) {
    const word = row.match | (next() & ~row.mask);
    const { operands } = row.format;
    const rm = decode(word)?.rm ?? 0;
    if (operands.includes("rmExact")) return word & ~0x7000;
    if (operands.includes("predecessor")) return (word & 0x0ff0707f) | 0x01100000; // GNU as has no empty sets
    if (row.formatName === "FenceI") return row.match;
    if (!operands.includes("rm") || (rm !== 5 && rm !== 6)) return word;
  }
}
