// Whether the interpreter has a handler for an instruction, so that it can be part of a translated region.

import { NO_REGISTER, newDecoded, OPERAND } from "../../src/isa/x86_64/decode-types.ts";
import { decode } from "../../src/isa/x86_64/decode.ts";
import type { Mnemonic } from "../../src/isa/x86_64/instructions.ts";
import { fastShapes } from "../../src/machine/x86_64/fast-shapes.ts";
import { keyOfShape, mnemonicIndexOf, shapeKeyOf } from "../../src/machine/x86_64/shapes.ts";

const keys = new Set(fastShapes().map(keyOfShape));
const decoded = newDecoded();

/** The mnemonics of which some form has a handler. */
export const FAST_MNEMONICS: ReadonlySet<Mnemonic> = new Set(fastShapes().map(({ mnemonic }) => mnemonic));

export function isFast(bytes: Uint8Array): boolean {
  if (decode(bytes, 0, bytes.length, 64, decoded) !== "ok" || decoded.addressSize !== 8) return false;
  const operands = decoded.operands.slice(0, decoded.operandCount);
  const form = decoded.index !== NO_REGISTER || decoded.hasSegmentPrefix ? "full" : "base";
  const transfer = operands[0]?.kind === OPERAND.relative ? "forward" : "none";
  return keys.has(shapeKeyOf(decoded, mnemonicIndexOf(decoded.id), form, transfer, "used"));
}
