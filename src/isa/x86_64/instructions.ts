// The instruction table of x86-64: one row for each encoding, from which decoder, assembler and disassembler are driven.
//
//     { id, mnemonic: "add", extension: "base", map: "", opcode: 0x00, modRm: "register", operands: [Eb, Gb], … }
//
// It is the x86-64-v2 level: what has a VEX or EVEX prefix, and what came with them (BMI, …), is undefined. A mnemonic
// is Intel's, but one mnemonic has all sizes and conditions:
//
//     jcc setcc cmovcc       `Decoded.condition` says which            movs cmps stos lods scas ins outs     the size is `operandSize`
//     cbw (cwde, cdqe), cwd (cdq, cqo), pushf, popf, iret, pusha, popa, sysret …    the size is `operandSize`
//     jcxz (jecxz, jrcxz)    the size is `addressSize`                 callf jmpf retf                       far transfers
//     fxsave xsave …         `isWide` makes fxsave64, xsave64 … of them
//
// How rows are written is in instruction-rows.ts; they are in instructions-*.ts. Intel SDM volume 2, chapters 3 to 5
// and appendix A.

import { type ParsedRow, parseRow, type Row } from "./instruction-rows.ts";
import { BASE_ROWS, LEGACY_ROWS, STRING_ROWS } from "./instructions-base.ts";
import { MMX_ROWS, SSE2_INTEGER_ROWS, SSE41_INTEGER_ROWS, SSE42_ROWS, SSSE3_ROWS } from "./instructions-packed.ts";
import { SSE2_FLOAT_ROWS, SSE3_ROWS, SSE41_FLOAT_ROWS, SSE_ROWS } from "./instructions-sse.ts";
import { SYSTEM_ROWS, VITRINE_ROWS } from "./instructions-system.ts";
import { X87_ROWS } from "./instructions-x87.ts";

export type {
  Attribute,
  MandatoryPrefix,
  OpcodeMap,
  OperandPlace,
  OperandSize,
  OperandTemplate,
} from "./instruction-rows.ts";

/**
 * Rows by extension. An extension here is a kind of state: what needs no x87, mm or xmm register and no MXCSR is
 * "base", even if SSE4.2 added it (crc32); "mmx" is what works on mm registers and on no xmm register; "string" and
 * "legacy" are the parts of the base that repeat, and that 64-bit mode has not.
 */
const ROWS = {
  base: BASE_ROWS,
  string: STRING_ROWS,
  legacy: LEGACY_ROWS,
  system: SYSTEM_ROWS,
  x87: X87_ROWS,
  mmx: MMX_ROWS,
  sse: SSE_ROWS,
  sse2: [...SSE2_FLOAT_ROWS, ...SSE2_INTEGER_ROWS],
  sse3: SSE3_ROWS,
  ssse3: SSSE3_ROWS,
  "sse4.1": [...SSE41_FLOAT_ROWS, ...SSE41_INTEGER_ROWS],
  "sse4.2": SSE42_ROWS,
  vitrine: VITRINE_ROWS,
};

export type Extension = keyof typeof ROWS;

/**
 * The mnemonics of one or more extensions. A mnemonic can be in several: mov in base and system, paddb in mmx and sse2.
 */
export type MnemonicOfExtension<E extends Extension> = (typeof ROWS)[E][number][0];

/** The mnemonics of the table, as a literal union: a record keyed by it is checked for completeness by the compiler. */
export type Mnemonic = MnemonicOfExtension<Extension>;

/** The index of an instruction's row in the table. */
export type InstructionId = number;

/** One instruction: a row of the table. */
export type Instruction = ParsedRow<Mnemonic, Extension>;

const rows: Row<Mnemonic>[] = [];
const extensions: Extension[] = [];
for (const [extension, list] of Object.entries(ROWS) as [Extension, readonly Row<Mnemonic>[]][]) {
  for (const row of list) {
    rows.push(row);
    extensions.push(extension);
  }
}

/** The mnemonic of each row, by its id. */
export const MNEMONIC_BY_ID: readonly Mnemonic[] = rows.map(([mnemonic]) => mnemonic);

/** Rows are parsed when they are asked for: a program meets few of the nine hundred. */
const parsed = new Array<Instruction | undefined>(rows.length).fill(undefined);

/** The row of an instruction; throws RangeError for a number that is not an id. */
export function instructionOf(id: InstructionId): Instruction {
  return parsed[id] ?? parse(id);
}

function parse(id: InstructionId): Instruction {
  const row = rows[id];
  const extension = extensions[id];
  if (row === undefined || extension === undefined) throw new RangeError(`no instruction has id ${id}`);
  const instruction = parseRow(row, id, extension);
  parsed[id] = instruction;
  return instruction;
}

/** The table, indexed by `InstructionId`. Where several rows fit, the first one counts. */
export function instructions(): readonly Instruction[] {
  return rows.map((_, id) => instructionOf(id));
}

/** The mnemonic of an instruction. */
export function mnemonicOf(id: InstructionId): Mnemonic {
  const mnemonic = MNEMONIC_BY_ID[id];
  if (mnemonic === undefined) throw new RangeError(`no instruction has id ${id}`);
  return mnemonic;
}

let rowsByMnemonic: Map<string, Instruction[]> | undefined;

/** All rows of a mnemonic, in the order of the table; none for what is no mnemonic. */
export function instructionsOf(mnemonic: string): readonly Instruction[] {
  rowsByMnemonic ??= groupByMnemonic();
  return rowsByMnemonic.get(mnemonic) ?? [];
}

function groupByMnemonic(): Map<string, Instruction[]> {
  const result = new Map<string, Instruction[]>();
  for (const row of instructions()) {
    const rows = result.get(row.mnemonic);
    if (rows === undefined) result.set(row.mnemonic, [row]);
    else rows.push(row);
  }
  return result;
}
