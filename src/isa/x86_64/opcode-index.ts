// Finds the row of an instruction: by map and opcode a few candidates, then by mask and match of a key.
//
//      13    12   11    10     9    8  7              0
//    +-----+----+-----+------+--------+----------------+
//    |REX.B|64- |REX.W|mod=3 | prefix |     ModRM      |     prefix: 0 none, 1 66, 2 F3, 3 F2
//    |     | bit|     |      |        | (0 if none)    |
//    +-----+----+-----+------+--------+----------------+
//
// Intel SDM volume 2, 2.1.1 and 2.2.1; appendix A.

import { type Instruction, type InstructionId, INSTRUCTIONS } from "./instructions.ts";

export const MAP_NUMBER = { "": 0, "0f": 1, "0f38": 2, "0f3a": 3 } as const;

/** Prefixes as the key has them. */
export const KEY_PREFIX = { none: 0, "66": 1, f3: 2, f2: 3 } as const;

const KEY = { PREFIX_SHIFT: 8, REGISTER: 1 << 10, WIDE: 1 << 11, MODE64: 1 << 12, REX_B: 1 << 13 } as const;
const MODRM_REG_SHIFT = 3;

/** The key of an instruction; `rex` is 0 without the prefix. */
export function keyOf(modRm: number, prefix: number, rex: number, isMode64: boolean): number {
  const isRegister = modRm >= 0xc0 ? KEY.REGISTER : 0;
  const fromRex = ((rex & 8) !== 0 ? KEY.WIDE : 0) | ((rex & 1) !== 0 ? KEY.REX_B : 0);
  return modRm | (prefix << KEY.PREFIX_SHIFT) | isRegister | fromRex | (isMode64 ? KEY.MODE64 : 0);
}

/** An opcode with its map: map number * 256 + opcode. */
const OPCODES = 4 * 256;
const NO_IDS: readonly InstructionId[] = [];
const masks = Int32Array.from(INSTRUCTIONS, maskOf);
const matches = Int32Array.from(INSTRUCTIONS, matchOf);
const candidates: (readonly InstructionId[])[] = Array.from({ length: OPCODES }, () => NO_IDS);
const modRmOfOpcode = new Uint8Array(OPCODES);
fillIndex();

/** Whether an opcode has any row. */
export function isKnownOpcode(mapAndOpcode: number): boolean {
  return candidates[mapAndOpcode] !== NO_IDS;
}

/** Whether a ModRM byte follows an opcode. */
export function hasModRm(mapAndOpcode: number): boolean {
  return modRmOfOpcode[mapAndOpcode] !== 0;
}

/** The first row that fits, or -1. */
export function findRow(mapAndOpcode: number, key: number): InstructionId {
  const ids = candidates[mapAndOpcode] ?? NO_IDS;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    if ((key & (masks[id] ?? 0)) === matches[id]) return id;
  }
  return -1;
}

function fillIndex(): void {
  const lists = new Map<number, InstructionId[]>();
  for (const row of INSTRUCTIONS) {
    const first = MAP_NUMBER[row.map] * 256 + row.opcode;
    for (let opcode = first; opcode < first + row.opcodeCount; opcode++) {
      const list = lists.get(opcode);
      if (list === undefined) lists.set(opcode, [row.id]);
      else list.push(row.id);
      if (row.modRm !== "none") modRmOfOpcode[opcode] = 1;
    }
  }
  for (const [opcode, list] of lists) candidates[opcode] = list;
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
