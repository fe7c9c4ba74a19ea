// RV64C: each 16-bit instruction as a row that gives the 32-bit instruction it stands for.
//
//     15  13 12 11       7 6       2 1  0
//    +------+--+----------+---------+----+
//    |funct3| i| rd / rs1 | rs2 / i | op |   CI, CR, CSS: full register numbers
//    |funct3| imm   | rs1'| i |rs2' | op |   CL, CS, CB, CA, CIW: 3-bit registers x8..x15 at 9..7 and 4..2
//    +------+--+----------+---------+----+
//
// RISC-V unprivileged ISA, chapter "C Standard Extension for Compressed Instructions", instruction listing for RV64.
// Reserved encodings (the all-zero half-word among them) are illegal. HINTs expand as they are written: to an instruction
// whose only effect would be on x0, or that moves a register to itself. Zcb and Zcmop are not implemented, so theirs are
// reserved.

import { instructionId, instructionOf, type Mnemonic } from "./instructions.ts";

type CompressedRow = readonly [mnemonic: string, mask: number, match: number, expand: (half: number) => number];

const ILLEGAL = -1;

/** Rows are tried in order: a special case of an encoding comes before the general one. */
const ROWS: readonly CompressedRow[] = [
  // Quadrant 0
  ["c.addi4spn", 0xe003, 0x0000, (h) => (imm4spn(h) === 0 ? ILLEGAL : iType("addi", rdShort(h), SP, imm4spn(h)))],
  ["c.fld", 0xe003, 0x2000, (h) => iType("fld", rdShort(h), rs1Short(h), offsetDouble(h))],
  ["c.lw", 0xe003, 0x4000, (h) => iType("lw", rdShort(h), rs1Short(h), offsetWord(h))],
  ["c.ld", 0xe003, 0x6000, (h) => iType("ld", rdShort(h), rs1Short(h), offsetDouble(h))],
  ["c.fsd", 0xe003, 0xa000, (h) => sType("fsd", rs1Short(h), rdShort(h), offsetDouble(h))],
  ["c.sw", 0xe003, 0xc000, (h) => sType("sw", rs1Short(h), rdShort(h), offsetWord(h))],
  ["c.sd", 0xe003, 0xe000, (h) => sType("sd", rs1Short(h), rdShort(h), offsetDouble(h))],
  // Quadrant 1
  ["c.nop", 0xef83, 0x0001, (h) => iType("addi", 0, 0, imm6(h))],
  ["c.addi", 0xe003, 0x0001, (h) => iType("addi", rd(h), rd(h), imm6(h))],
  ["c.addiw", 0xe003, 0x2001, (h) => (rd(h) === 0 ? ILLEGAL : iType("addiw", rd(h), rd(h), imm6(h)))],
  ["c.li", 0xe003, 0x4001, (h) => iType("addi", rd(h), 0, imm6(h))],
  ["c.addi16sp", 0xef83, 0x6101, (h) => (imm16sp(h) === 0 ? ILLEGAL : iType("addi", SP, SP, imm16sp(h)))],
  ["c.lui", 0xe003, 0x6001, (h) => (imm6(h) === 0 ? ILLEGAL : uType("lui", rd(h), imm6(h) << 12))],
  ["c.srli", 0xec03, 0x8001, (h) => iType("srli", rs1Short(h), rs1Short(h), shift6(h))],
  ["c.srai", 0xec03, 0x8401, (h) => iType("srai", rs1Short(h), rs1Short(h), shift6(h))],
  ["c.andi", 0xec03, 0x8801, (h) => iType("andi", rs1Short(h), rs1Short(h), imm6(h))],
  ["c.sub", 0xfc63, 0x8c01, (h) => rType("sub", rs1Short(h), rs1Short(h), rdShort(h))],
  ["c.xor", 0xfc63, 0x8c21, (h) => rType("xor", rs1Short(h), rs1Short(h), rdShort(h))],
  ["c.or", 0xfc63, 0x8c41, (h) => rType("or", rs1Short(h), rs1Short(h), rdShort(h))],
  ["c.and", 0xfc63, 0x8c61, (h) => rType("and", rs1Short(h), rs1Short(h), rdShort(h))],
  ["c.subw", 0xfc63, 0x9c01, (h) => rType("subw", rs1Short(h), rs1Short(h), rdShort(h))],
  ["c.addw", 0xfc63, 0x9c21, (h) => rType("addw", rs1Short(h), rs1Short(h), rdShort(h))],
  ["c.j", 0xe003, 0xa001, (h) => jType("jal", 0, offsetJump(h))],
  ["c.beqz", 0xe003, 0xc001, (h) => bType("beq", rs1Short(h), 0, offsetBranch(h))],
  ["c.bnez", 0xe003, 0xe001, (h) => bType("bne", rs1Short(h), 0, offsetBranch(h))],
  // Quadrant 2
  ["c.slli", 0xe003, 0x0002, (h) => iType("slli", rd(h), rd(h), shift6(h))],
  ["c.fldsp", 0xe003, 0x2002, (h) => iType("fld", rd(h), SP, offsetLoadDoubleSp(h))],
  ["c.lwsp", 0xe003, 0x4002, (h) => (rd(h) === 0 ? ILLEGAL : iType("lw", rd(h), SP, offsetLoadWordSp(h)))],
  ["c.ldsp", 0xe003, 0x6002, (h) => (rd(h) === 0 ? ILLEGAL : iType("ld", rd(h), SP, offsetLoadDoubleSp(h)))],
  ["c.jr", 0xf07f, 0x8002, (h) => (rd(h) === 0 ? ILLEGAL : iType("jalr", 0, rd(h), 0))],
  ["c.mv", 0xf003, 0x8002, (h) => rType("add", rd(h), 0, rs2(h))],
  ["c.ebreak", 0xffff, 0x9002, () => matchOf("ebreak")],
  ["c.jalr", 0xf07f, 0x9002, (h) => iType("jalr", RA, rd(h), 0)],
  ["c.add", 0xf003, 0x9002, (h) => rType("add", rd(h), rd(h), rs2(h))],
  ["c.fsdsp", 0xe003, 0xa002, (h) => sType("fsd", SP, rs2(h), offsetStoreDoubleSp(h))],
  ["c.swsp", 0xe003, 0xc002, (h) => sType("sw", SP, rs2(h), offsetStoreWordSp(h))],
  ["c.sdsp", 0xe003, 0xe002, (h) => sType("sd", SP, rs2(h), offsetStoreDoubleSp(h))],
];

/** Whether the low half-word of an instruction says that it has only 16 bits. */
export function isCompressed(half: number): boolean {
  return (half & 3) !== 3;
}

/** The 32-bit instruction that a half-word stands for (its two low bits are always 11, so never 0), or 0 if it is illegal. */
export function expandCompressed(half: number): number {
  const word = findRow(half)?.[3](half) ?? ILLEGAL;
  return word === ILLEGAL ? 0 : word;
}

/** The mnemonic of a half-word (`c.addi`), or undefined if it is illegal. */
export function compressedMnemonic(half: number): string | undefined {
  return expandCompressed(half) === 0 ? undefined : findRow(half)?.[0];
}

/** The half-word that stands for a 32-bit instruction, or undefined if there is none. Never a HINT, but for `c.nop`. */
export function compress(word: number): number | undefined {
  halvesByWord ??= invertTable();
  return halvesByWord.get(word | 0);
}

let halvesByWord: ReadonlyMap<number, number> | undefined;

/** Every legal half-word by its expansion. Where two expand to the same word, the one of the earlier row is kept. */
function invertTable(): Map<number, number> {
  const result = new Map<number, number>();
  for (const [, mask, match, expand] of ROWS) {
    for (let half = 0; half < 0x10000; half++) {
      if ((half & mask) !== match) continue;
      const word = expand(half);
      // A row's general case includes encodings of earlier rows; those are not this row's.
      if (word !== ILLEGAL && !isHint(half) && !result.has(word) && expandCompressed(half) === word)
        result.set(word, half);
    }
  }
  return result;
}

function isHint(half: number): boolean {
  const quadrant = half & 3;
  const funct3 = half >>> 13;
  const isRdZero = rd(half) === 0;
  if (quadrant === 1 && funct3 === 0) return half !== 0x0001 && (isRdZero || imm6(half) === 0); // c.nop, c.addi
  if (quadrant === 1 && (funct3 === 2 || funct3 === 3)) return isRdZero; // c.li, c.lui
  if (quadrant === 1 && funct3 === 4) return ((half >>> 10) & 3) < 2 && shift6(half) === 0; // c.srli, c.srai
  if (quadrant === 2 && funct3 === 0) return isRdZero || shift6(half) === 0; // c.slli
  return quadrant === 2 && funct3 === 4 && isRdZero && rs2(half) !== 0; // c.mv, c.add
}

function findRow(half: number): CompressedRow | undefined {
  for (const row of rowsByQuadrantAndFunct3[((half & 3) << 3) | ((half >>> 13) & 7)] ?? []) {
    if ((half & row[1]) === row[2]) return row;
  }
  return undefined;
}

const rowsByQuadrantAndFunct3: readonly (readonly CompressedRow[])[] = Array.from({ length: 32 }, (_, index) =>
  ROWS.filter(([, , match]) => (((match & 3) << 3) | (match >>> 13)) === index),
);

// Registers

const RA = 1;
const SP = 2;

const rd = (h: number): number => (h >>> 7) & 31;
const rs2 = (h: number): number => (h >>> 2) & 31;
const rs1Short = (h: number): number => 8 + ((h >>> 7) & 7);
const rdShort = (h: number): number => 8 + ((h >>> 2) & 7); // also rs2'

// Immediates: `bits` moves a field whose low bit is at `from` to `to`.

const bits = (h: number, from: number, width: number, to: number): number => ((h >>> from) & ((1 << width) - 1)) << to;
const signExtend = (value: number, width: number): number => (value << (32 - width)) >> (32 - width);

const shift6 = (h: number): number => bits(h, 12, 1, 5) | bits(h, 2, 5, 0);
const imm6 = (h: number): number => signExtend(shift6(h), 6);
const imm4spn = (h: number): number => bits(h, 11, 2, 4) | bits(h, 7, 4, 6) | bits(h, 6, 1, 2) | bits(h, 5, 1, 3);
const imm16sp = (h: number): number =>
  signExtend(bits(h, 12, 1, 9) | bits(h, 6, 1, 4) | bits(h, 5, 1, 6) | bits(h, 3, 2, 7) | bits(h, 2, 1, 5), 10);
const offsetWord = (h: number): number => bits(h, 10, 3, 3) | bits(h, 6, 1, 2) | bits(h, 5, 1, 6);
const offsetDouble = (h: number): number => bits(h, 10, 3, 3) | bits(h, 5, 2, 6);
const offsetLoadWordSp = (h: number): number => bits(h, 12, 1, 5) | bits(h, 4, 3, 2) | bits(h, 2, 2, 6);
const offsetLoadDoubleSp = (h: number): number => bits(h, 12, 1, 5) | bits(h, 5, 2, 3) | bits(h, 2, 3, 6);
const offsetStoreWordSp = (h: number): number => bits(h, 9, 4, 2) | bits(h, 7, 2, 6);
const offsetStoreDoubleSp = (h: number): number => bits(h, 10, 3, 3) | bits(h, 7, 3, 6);
const offsetBranch = (h: number): number =>
  signExtend(bits(h, 12, 1, 8) | bits(h, 10, 2, 3) | bits(h, 5, 2, 6) | bits(h, 3, 2, 1) | bits(h, 2, 1, 5), 9);
const offsetJump = (h: number): number =>
  signExtend(
    bits(h, 12, 1, 11) |
      bits(h, 11, 1, 4) |
      bits(h, 9, 2, 8) |
      bits(h, 8, 1, 10) |
      bits(h, 7, 1, 6) |
      bits(h, 6, 1, 7) |
      bits(h, 3, 3, 1) |
      bits(h, 2, 1, 5),
    12,
  );

// Words of the 32-bit formats

function matchOf(mnemonic: Mnemonic): number {
  return instructionOf(instructionId(mnemonic)).match;
}

function rType(mnemonic: Mnemonic, to: number, first: number, second: number): number {
  return matchOf(mnemonic) | (to << 7) | (first << 15) | (second << 20);
}

function iType(mnemonic: Mnemonic, to: number, from: number, imm: number): number {
  return matchOf(mnemonic) | (to << 7) | (from << 15) | (imm << 20);
}

function sType(mnemonic: Mnemonic, base: number, source: number, imm: number): number {
  return matchOf(mnemonic) | (base << 15) | (source << 20) | ((imm >> 5) << 25) | ((imm & 31) << 7);
}

function bType(mnemonic: Mnemonic, first: number, second: number, offset: number): number {
  const scattered = ((offset >> 12) << 31) | bits(offset, 5, 6, 25) | bits(offset, 1, 4, 8) | bits(offset, 11, 1, 7);
  return matchOf(mnemonic) | (first << 15) | (second << 20) | scattered;
}

function uType(mnemonic: Mnemonic, to: number, imm: number): number {
  return matchOf(mnemonic) | (to << 7) | imm;
}

function jType(mnemonic: Mnemonic, to: number, offset: number): number {
  const scattered =
    ((offset >> 20) << 31) | bits(offset, 1, 10, 21) | bits(offset, 11, 1, 20) | bits(offset, 12, 8, 12);
  return matchOf(mnemonic) | (to << 7) | scattered;
}
