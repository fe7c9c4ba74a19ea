// The tables of the decoder. They depend on nothing of the run, so the bundle has them ready-made.

import { makeOpcodeTables, type OpcodeTables } from "./opcode-tables.ts";

export function opcodeTables(): OpcodeTables {
  return makeOpcodeTables();
}
