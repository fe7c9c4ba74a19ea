/** Finds the exact definition of a floating-point instruction. */
import type { Mnemonic } from "../../../isa/riscv64/instructions.ts";
import type { ExactFloat } from "../exact.ts";
import { exactFloat } from "./float-exact.ts";

/** Undefined for an instruction that has none, because its emitted form is exact. */
export function exactFloatOf(mnemonic: Mnemonic): ExactFloat | undefined {
  const byName: Readonly<Partial<Record<Mnemonic, ExactFloat>>> = exactFloat;
  return byName[mnemonic];
}
