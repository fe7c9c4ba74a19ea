// Words to instructions and back: `decodeInto` finds the row and cuts the fields out, `encode` puts them together.
//
// The look-up is by opcode[6:2] and funct3, 256 buckets; a bucket's few candidates are tried by mask and match.

import { INSTRUCTIONS, type ImmediateKind, type InstructionId, instructionOf } from "./instructions.ts";

/**
 * A decoded instruction. The fields that its format does not have hold whatever the word has at that place, except `imm`,
 * which is 0. Rounding modes 5 and 6, which are reserved, are not checked: executing them is what traps.
 */
export interface Decoded {
  id: InstructionId;
  rd: number;
  rs1: number;
  rs2: number;
  rs3: number;
  /** The immediate as an int32: sign-extended, and for U already shifted; the CSR number of a CSR instruction. */
  imm: number;
  /** Rounding mode, in the field of funct3. */
  rm: number;
  /** 1 when an atomic acquires. */
  aq: number;
  /** 1 when an atomic releases. */
  rl: number;
}

/** A `Decoded` to be filled. */
export function newDecoded(): Decoded {
  return { id: -1, rd: 0, rs1: 0, rs2: 0, rs3: 0, imm: 0, rm: 0, aq: 0, rl: 0 };
}

/** Decodes a 32-bit word; undefined when it is no instruction of the table. */
export function decode(word: number): Decoded | undefined {
  const out = newDecoded();
  return decodeInto(out, word) ? out : undefined;
}

/** Decodes a 32-bit word into `out`, without allocating. False, and `out` unchanged, when it is no instruction. */
export function decodeInto(out: Decoded, word: number): boolean {
  const id = findId(word);
  if (id < 0) return false;
  out.id = id;
  out.rd = (word >>> 7) & 31;
  out.rs1 = (word >>> 15) & 31;
  out.rs2 = (word >>> 20) & 31;
  out.rs3 = word >>> 27;
  out.rm = (word >>> 12) & 7;
  out.aq = (word >>> 26) & 1;
  out.rl = (word >>> 25) & 1;
  out.imm = immediateOf(immediateKinds[id] ?? "none", word);
  return true;
}

/** The id of the row that matches a 32-bit word, or -1. */
export function findId(word: number): InstructionId {
  if ((word & 3) !== 3) return -1;
  const bucket = buckets[bucketIndex(word)] ?? NO_IDS;
  for (let i = 0; i < bucket.length; i++) {
    const id = bucket[i] ?? 0;
    if ((word & (masks[id] ?? 0)) === matches[id]) return id;
  }
  return -1;
}

/** The fields of an instruction to be encoded; those that its format does not have must be absent or zero. */
export type EncodeFields = Partial<Omit<Decoded, "id">>;

/**
 * The int32 word of an instruction: the inverse of `decode`. Immediates are taken as `Decoded.imm` gives them, and those
 * that do not fit throw RangeError, as do fields that would change the bits of the instruction's match.
 */
export function encode(id: InstructionId, fields: EncodeFields): number {
  const { mnemonic, format, match, mask } = instructionOf(id);
  const { rd = 0, rs1 = 0, rs2 = 0, rs3 = 0, imm = 0, rm = 0, aq = 0, rl = 0 } = fields;
  if (!immediateFits(format.immediate, imm)) throw new RangeError(`${mnemonic}: immediate ${imm} does not fit`);
  const registers = (rd << 7) | (rs1 << 15) | (rs2 << 20) | (rs3 << 27);
  const variable = registers | (rm << 12) | (aq << 26) | (rl << 25) | immediateBits(format.immediate, imm);
  if ((variable & mask) !== 0) throw new RangeError(`${mnemonic}: a field of another format is not zero`);
  return match | variable;
}

/** Whether an immediate has an encoding of this kind. */
export function immediateFits(kind: ImmediateKind, imm: number): boolean {
  if (!Number.isInteger(imm)) return false;
  switch (kind) {
    case "none":
      return imm === 0;
    case "I":
    case "S":
      return imm >= -2048 && imm < 2048;
    case "B":
      return imm >= -4096 && imm < 4096 && imm % 2 === 0;
    case "U":
      return imm === (imm | 0) && (imm & 0xfff) === 0;
    case "J":
      return imm >= -1048576 && imm < 1048576 && imm % 2 === 0;
    case "shift5":
      return imm >= 0 && imm < 32;
    case "shift6":
      return imm >= 0 && imm < 64;
    case "unsigned12":
      return imm >= 0 && imm < 4096;
  }
}

function immediateOf(kind: ImmediateKind, word: number): number {
  switch (kind) {
    case "none":
      return 0;
    case "I":
      return word >> 20;
    case "S":
      return ((word >> 25) << 5) | ((word >>> 7) & 31);
    case "B":
      return ((word >> 31) << 12) | ((word << 4) & 0x800) | ((word >>> 20) & 0x7e0) | ((word >>> 7) & 0x1e);
    case "U":
      return word & 0xfffff000;
    case "J":
      return ((word >> 31) << 20) | (word & 0xff000) | ((word >>> 9) & 0x800) | ((word >>> 20) & 0x7fe);
    case "shift5":
      return (word >>> 20) & 31;
    case "shift6":
      return (word >>> 20) & 63;
    case "unsigned12":
      return word >>> 20;
  }
}

function immediateBits(kind: ImmediateKind, imm: number): number {
  switch (kind) {
    case "none":
      return 0;
    case "I":
    case "shift5":
    case "shift6":
    case "unsigned12":
      return imm << 20;
    case "S":
      return ((imm >> 5) << 25) | ((imm & 31) << 7);
    case "B":
      return ((imm >> 12) << 31) | ((imm & 0x7e0) << 20) | ((imm & 0x1e) << 7) | ((imm & 0x800) >> 4);
    case "U":
      return imm;
    case "J":
      return ((imm >> 20) << 31) | ((imm & 0x7fe) << 20) | ((imm & 0x800) << 9) | (imm & 0xff000);
  }
}

const NO_IDS: readonly InstructionId[] = [];
const masks = Int32Array.from(INSTRUCTIONS, (row) => row.mask);
const matches = Int32Array.from(INSTRUCTIONS, (row) => row.match);
const immediateKinds: readonly ImmediateKind[] = INSTRUCTIONS.map((row) => row.format.immediate);
const buckets: readonly (readonly InstructionId[])[] = buildBuckets();

function bucketIndex(word: number): number {
  return ((word >>> 2) & 31) | ((word >>> 7) & 0xe0);
}

/** An instruction whose mask leaves funct3 free (U, J, a rounding mode) is in all eight buckets of its opcode. */
function buildBuckets(): InstructionId[][] {
  const result: InstructionId[][] = Array.from({ length: 256 }, () => []);
  for (const row of INSTRUCTIONS) {
    for (let funct3 = 0; funct3 < 8; funct3++) {
      const word = row.match | (funct3 << 12);
      if ((word & row.mask) === row.match) result[bucketIndex(word)]?.push(row.id);
    }
  }
  return result;
}
