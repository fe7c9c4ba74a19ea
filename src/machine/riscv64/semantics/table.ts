/** All emitted instructions: what each does, by mnemonic. The compiler checks that every one of the ISA's table is here or in the system's. */
import type { Mnemonic } from "../../../isa/riscv64/instructions.ts";
import type { Semantics } from "../emitter.ts";
import type { SystemMnemonic } from "../system.ts";
import { atomicSemantics } from "./atomic.ts";
import { floatSemantics } from "./float.ts";
import { integerSemantics } from "./integer.ts";

export const semantics: Readonly<Record<Exclude<Mnemonic, SystemMnemonic>, Semantics>> = {
  ...integerSemantics,
  ...atomicSemantics,
  ...floatSemantics,
};

/** What an instruction does, if it has an emitted form. */
export function findSemantics(mnemonic: Mnemonic): Semantics | undefined {
  const byName: Readonly<Partial<Record<Mnemonic, Semantics>>> = semantics;
  return byName[mnemonic];
}
