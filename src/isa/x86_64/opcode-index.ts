// Finds the row of an instruction: by map and opcode a few candidates, then by mask and match of a key.
//
//      13    12   11    10     9    8  7              0
//    +-----+----+-----+------+--------+----------------+
//    |REX.B|64- |REX.W|mod=3 | prefix |     ModRM      |     prefix: 0 none, 1 66, 2 F3, 3 F2
//    |     | bit|     |      |        | (0 if none)    |
//    +-----+----+-----+------+--------+----------------+
//
// Intel SDM volume 2, 2.1.1 and 2.2.1; appendix A.

import type { InstructionId } from "./instructions.ts";
import { opcodeTables } from "./opcode-tables.prebuilt.ts";
import { KEY } from "./opcode-tables.ts";

const { masks, matches, marks, first, candidates, hasModRm: modRmOfOpcode } = opcodeTables();

/** The key of an instruction; `rex` is 0 without the prefix. */
export function keyOf(modRm: number, prefix: number, rex: number, isMode64: boolean): number {
  const isRegister = modRm >= 0xc0 ? KEY.REGISTER : 0;
  const fromRex = ((rex & 8) !== 0 ? KEY.WIDE : 0) | ((rex & 1) !== 0 ? KEY.REX_B : 0);
  return modRm | (prefix << KEY.PREFIX_SHIFT) | isRegister | fromRex | (isMode64 ? KEY.MODE64 : 0);
}

/** Whether an opcode has any row. An opcode here has its map with it: map number * 256 + opcode. */
export function isKnownOpcode(opcode: number): boolean {
  return first[opcode] !== first[opcode + 1];
}

/** Whether a ModRM byte follows an opcode. */
export function hasModRm(opcode: number): boolean {
  return modRmOfOpcode[opcode] !== 0;
}

/** The first row that fits, or -1. */
export function findRow(opcode: number, key: number): InstructionId {
  const end = first[opcode + 1] ?? 0;
  for (let i = first[opcode] ?? end; i < end; i++) {
    const id = candidates[i] ?? 0;
    if ((key & (masks[id] ?? 0)) === matches[id]) return id;
  }
  return -1;
}

/** What is asked of a row each time that it is decoded: `MARK`. */
export const marksOf = (id: InstructionId): number => marks[id] ?? 0;
