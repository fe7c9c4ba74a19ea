/** All emitted instructions of x86-64: what each does, by mnemonic. What is not here is the system's, or exact only. */
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";
import type { Semantics } from "../emitter.ts";
import { integerSemantics } from "./integer.ts";
import { sseSemantics } from "./sse.ts";
import { systemEmitted } from "./system.ts";

const semantics: Readonly<Partial<Record<Mnemonic, Semantics>>> = {
  ...integerSemantics,
  ...sseSemantics,
  ...systemEmitted,
};

/** What an instruction does, if it has an emitted form. */
export function findSemantics(mnemonic: Mnemonic): Semantics | undefined {
  return semantics[mnemonic];
}
