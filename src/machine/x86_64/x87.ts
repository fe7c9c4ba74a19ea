/**
 * What every x87 instruction does, by its mnemonic, and what it does with its memory operand.
 */
import type { MnemonicOfExtension } from "../../isa/x86_64/instructions.ts";
import type { ExactX86 } from "./exact.ts";
import { arithmeticSemantics } from "./x87-arithmetic.ts";
import { compareSemantics } from "./x87-compare.ts";
import { controlSemantics } from "./x87-control.ts";
import { transcendentalSemantics } from "./x87-transcendental.ts";
import { transferSemantics } from "./x87-transfer.ts";

export type X87Mnemonic = MnemonicOfExtension<"x87">;

export const x87Semantics: Record<X87Mnemonic, ExactX86> = {
  ...transferSemantics,
  ...arithmeticSemantics,
  ...compareSemantics,
  ...controlSemantics,
  ...transcendentalSemantics,
};

/** How an instruction uses a memory operand that it has. */
export type X87Access =
  /** It lies at CELL.operand. */
  | "read"
  /** It is taken from CELL.operand; no byte of it is read before. */
  | "write"
  /** The instruction uses `readMemory` or `writeMemory`, even for the images of 14 bytes. */
  | "image";

const ACCESSES: ReadonlyMap<X87Mnemonic, X87Access> = new Map<X87Mnemonic, X87Access>([
  ["fst", "write"],
  ["fstp", "write"],
  ["fist", "write"],
  ["fistp", "write"],
  ["fisttp", "write"],
  ["fbstp", "write"],
  ["fnstcw", "write"],
  ["fnstsw", "write"],
  ["fldenv", "image"],
  ["fnstenv", "image"],
  ["frstor", "image"],
  ["fnsave", "image"],
]);

export function x87Access(mnemonic: X87Mnemonic): X87Access {
  return ACCESSES.get(mnemonic) ?? "read";
}
