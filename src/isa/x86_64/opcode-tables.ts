// What the decoder finds rows by, as arrays of numbers: what opcode-index.ts looks up.
//
// The keys and their parts are described in opcode-index.ts. Intel SDM volume 2, 2.1.1 and 2.2.1; appendix A.

import { type Instruction, type InstructionId, instructions } from "./instructions.ts";

export const MAP_NUMBER = { "": 0, "0f": 1, "0f38": 2, "0f3a": 3 } as const;

/** Prefixes as the key has them. */
export const KEY_PREFIX = { none: 0, "66": 1, f3: 2, f2: 3 } as const;

export const KEY = { PREFIX_SHIFT: 8, REGISTER: 1 << 10, WIDE: 1 << 11, MODE64: 1 << 12, REX_B: 1 << 13 } as const;
const MODRM_REG_SHIFT = 3;

/** Marks of a row that are asked for each time: numbers, since sets of strings take longer. */
export const MARK = {
  lock: 1,
  repeats: 2,
  default64: 4,
  force64: 8,
  modless: 16,
  byte: 32,
  word: 64,
  /** 66 is part of the opcode, and so says nothing of the operand size. */
  prefix66: 128,
  condition: 256,
} as const;

/** An opcode with its map: map number * 256 + opcode. */
const OPCODES = 4 * 256;

export interface OpcodeTables {
  /** By id: a row fits a key if the key under the mask is the match. */
  readonly masks: Int32Array;
  readonly matches: Int32Array;
  /** By id: `MARK`. */
  readonly marks: Int32Array;
  /** The rows of an opcode are `candidates` from `first[opcode]` to before `first[opcode + 1]`. */
  readonly first: Uint16Array;
  readonly candidates: Uint16Array;
  /** By opcode: 1 where a ModRM byte follows. */
  readonly hasModRm: Uint8Array;
}

export function makeOpcodeTables(): OpcodeTables {
  const all = instructions();
  const lists: InstructionId[][] = Array.from({ length: OPCODES }, () => []);
  const hasModRm = new Uint8Array(OPCODES);
  for (const row of all) {
    const start = MAP_NUMBER[row.map] * 256 + row.opcode;
    for (let opcode = start; opcode < start + row.opcodeCount; opcode++) {
      lists[opcode]?.push(row.id);
      if (row.modRm !== "none") hasModRm[opcode] = 1;
    }
  }
  const first = new Uint16Array(OPCODES + 1);
  lists.forEach((list, opcode) => (first[opcode + 1] = (first[opcode] ?? 0) + list.length));
  return {
    masks: Int32Array.from(all, maskOf),
    matches: Int32Array.from(all, matchOf),
    marks: Int32Array.from(all, marksOf),
    first,
    candidates: Uint16Array.from(lists.flat()),
    hasModRm,
  };
}

function marksOf(row: Instruction): number {
  const { attributes } = row;
  return (
    (attributes.has("lock") ? MARK.lock : 0) |
    (attributes.has("rep") || attributes.has("repe") ? MARK.repeats : 0) |
    (attributes.has("d64") ? MARK.default64 : 0) |
    (attributes.has("f64") ? MARK.force64 : 0) |
    (attributes.has("modless") ? MARK.modless : 0) |
    (row.width === "byte" ? MARK.byte : row.width === "word" ? MARK.word : 0) |
    (row.prefix === "66" ? MARK.prefix66 : 0) |
    (row.opcodeCount === 16 ? MARK.condition : 0)
  );
}

function maskOf(row: Instruction): number {
  const modRm = row.modRm === "byte" ? 0xff : row.modRm === "digit" ? 7 << MODRM_REG_SHIFT : 0;
  const prefix = row.prefix === "any" ? 0 : 3 << KEY.PREFIX_SHIFT;
  const mod = row.mod === "any" || row.attributes.has("modless") ? 0 : KEY.REGISTER;
  const wide = row.rexW === undefined ? 0 : KEY.WIDE;
  const mode = row.attributes.has("i64") || row.attributes.has("o64") ? KEY.MODE64 : 0;
  return modRm | prefix | mod | wide | mode | (row.rexB === 0 ? KEY.REX_B : 0);
}

function matchOf(row: Instruction): number {
  const modRm = row.modRm === "byte" ? row.modRmValue : row.modRmValue << MODRM_REG_SHIFT;
  const prefix = row.prefix === "any" ? 0 : KEY_PREFIX[row.prefix] << KEY.PREFIX_SHIFT;
  const mod = row.mod === "register" && !row.attributes.has("modless") ? KEY.REGISTER : 0;
  const wide = row.rexW === 1 ? KEY.WIDE : 0;
  return modRm | prefix | mod | wide | (row.attributes.has("o64") ? KEY.MODE64 : 0);
}
