// One line of assembly to one or more instructions, driven by the formats of the instruction table.
//
// A mnemonic is looked up in this order: those that may become several instructions (li, la, call, tail), pseudo-
// instructions with that number of operands, the table.

import { OperandError } from "../assembly/errors.ts";
import { parseExpression, type Scope } from "../assembly/expression.ts";
import { compress } from "./compressed.ts";
import { csrNumber, ROUNDING_MODE } from "./csrs.ts";
import { encode, type EncodeFields, immediateFits } from "./decode.ts";
import { findInstruction, type Format, type Instruction, type Operand } from "./instructions.ts";
import { PSEUDO_INSTRUCTIONS, splitTemplate } from "./pseudo-instructions.ts";
import { fRegisterNumber, xRegisterNumber } from "./registers.ts";

/** An instruction word; only its low half counts when `size` is 2. */
export interface EncodedInstruction {
  readonly word: number;
  readonly size: 2 | 4;
}

export interface InstructionContext {
  /** Where the instruction will be. */
  readonly address: bigint;
  readonly scope: Scope;
  readonly compression: "rvc" | "norvc";
  /** While addresses are not settled a value that does not fit is taken as 0, in an instruction of full size. */
  readonly fit: "required" | "assumed";
}

/** Assembles an instruction or pseudo-instruction; throws OperandError or ExpressionError. */
export function assembleInstruction(
  mnemonic: string,
  operands: readonly string[],
  context: InstructionContext,
): EncodedInstruction[] {
  const macro = MACROS.get(mnemonic);
  if (macro !== undefined) return macro(operands, context);
  // What is laid out needs only a size, and without compression that is known.
  if (context.fit === "assumed" && context.compression === "norvc") return [{ word: 0, size: 4 }];
  const [name, args] = expandPseudo(mnemonic, operands);
  return [encodeOne(name, args, context)];
}

type Macro = (operands: readonly string[], context: InstructionContext) => EncodedInstruction[];

const MACROS: ReadonlyMap<string, Macro> = new Map(
  Object.entries<Macro>({
    li: loadConstant,
    la: (operands, context) => pcRelativePair(operands, context, (rd) => ["addi", rd, rd]),
    lla: (operands, context) => pcRelativePair(operands, context, (rd) => ["addi", rd, rd]),
    call: (operands, context) => {
      const withRegister = operands.length === 1 ? ["ra", ...operands] : operands;
      return pcRelativePair(withRegister, context, (rd) => ["jalr", rd, rd]);
    },
    // t1 is what the calling convention leaves for this.
    tail: (operands, context) => pcRelativePair(["t1", ...operands], context, (rd) => ["jalr", "zero", rd]),
    "fence.tso": (operands) => {
      if (operands.length > 0) throw new OperandError("fence.tso takes no operands");
      return [{ word: 0x8330000f | 0, size: 4 }];
    },
  }),
);

/**
 * `li`: the shortest of addi, lui, lui + addiw for what fits 32 bits; more than that by building the upper bits first,
 * shifting them into place and adding the low twelve.
 */
function loadConstant(operands: readonly string[], context: InstructionContext): EncodedInstruction[] {
  const [rd = "", text = ""] = expectCount("li", operands, 2);
  const value = parseExpression(text)(context.scope);
  return constantSteps(rd, value).map(([mnemonic, ...args]) => encodeOne(mnemonic, args, context));
}

type Step = [mnemonic: string, ...operands: string[]];

function constantSteps(rd: string, value: bigint): Step[] {
  if (BigInt.asIntN(12, value) === value) return [["addi", rd, "zero", `${value}`]];
  const low = BigInt.asIntN(12, value);
  const high = BigInt.asIntN(64, value - low);
  const addLow = (mnemonic: string): Step[] => (low === 0n ? [] : [[mnemonic, rd, rd, `${low}`]]);
  // lui sign-extends from bit 31 and addiw wraps there, so every int32 is reached.
  if (BigInt.asIntN(32, value) === value) return [["lui", rd, `${(high >> 12n) & 0xfffffn}`], ...addLow("addiw")];
  let shift = 12n;
  while (((high >> shift) & 1n) === 0n) shift++;
  return [...constantSteps(rd, high >> shift), ["slli", rd, rd, `${shift}`], ...addLow("addi")];
}

/** `auipc` with the upper part of the distance to a target, then an instruction that adds the low twelve bits. */
function pcRelativePair(
  operands: readonly string[],
  context: InstructionContext,
  second: (rd: string) => [mnemonic: "addi" | "jalr", to: string, from: string],
): EncodedInstruction[] {
  const [rd = "", text = ""] = expectCount("a pc-relative pair", operands, 2);
  let distance = BigInt.asIntN(64, parseExpression(text)(context.scope) - context.address);
  const low = BigInt.asIntN(12, distance);
  if (BigInt.asIntN(32, distance - low) !== distance - low) {
    if (context.fit === "required") throw new OperandError(`'${text}' is out of reach`);
    distance = low;
  }
  const upper = ((distance - low) >> 12n) & 0xfffffn;
  const [mnemonic, to, from] = second(rd);
  const args = mnemonic === "addi" ? [to, from, `${low}`] : [to, `${low}(${from})`];
  // Never compressed: the pair keeps its size wherever it is.
  const full: InstructionContext = { ...context, compression: "norvc" };
  return [encodeOne("auipc", [rd, `${upper}`], full), encodeOne(mnemonic, args, full)];
}

const pseudosByNameAndCount: ReadonlyMap<string, readonly [string, readonly string[]]> = new Map(
  PSEUDO_INSTRUCTIONS.map(([pseudo, instruction]) => {
    const { mnemonic, operands } = splitTemplate(pseudo);
    const target = splitTemplate(instruction);
    return [`${mnemonic}/${operands.length}`, [target.mnemonic, target.operands]];
  }),
);

function expandPseudo(mnemonic: string, operands: readonly string[]): [string, readonly string[]] {
  // The older forms of jalr and jr: `jalr rd, rs, offset`, `jalr rd, rs`, and an offset where the table has `0($0)`.
  const last = operands.at(-1) ?? "";
  if (mnemonic === "jalr" && operands.length === 3)
    return ["jalr", [operands[0] ?? "", `${last}(${operands[1] ?? ""})`]];
  if (mnemonic === "jalr" && operands.length === 2 && !last.endsWith(")"))
    return ["jalr", [operands[0] ?? "", `0(${last})`]];
  if (mnemonic === "jalr" && operands.length === 1 && last.endsWith(")")) return ["jalr", ["ra", last]];
  if (mnemonic === "jr" && operands.length === 1 && last.endsWith(")")) return ["jalr", ["zero", last]];
  const pseudo = pseudosByNameAndCount.get(`${mnemonic}/${operands.length}`);
  if (pseudo === undefined) return [mnemonic, operands];
  const [target, templates] = pseudo;
  return [target, templates.map((t) => t.replace(/\$([0-9])/g, (_, i: string) => operands[Number(i)] ?? ""))];
}

function encodeOne(mnemonic: string, operands: readonly string[], context: InstructionContext): EncodedInstruction {
  const ordering = /^((?:lr|sc|amo\w+)\.[wd])\.(aq|rl|aqrl)$/.exec(mnemonic);
  const row = findInstruction(ordering?.[1] ?? mnemonic);
  if (row === undefined) throw new OperandError(`unknown instruction '${mnemonic}'`);
  const fields: EncodeFields = {
    aq: ordering?.[2]?.startsWith("aq") ? 1 : 0,
    rl: ordering?.[2]?.endsWith("rl") ? 1 : 0,
  };
  const isFitting = readOperands(row, operands, context, fields);
  const word = encode(row.id, fields);
  const half = context.compression === "rvc" && isFitting ? compressFully(row, fields, word) : undefined;
  return half === undefined ? { word, size: 4 } : { word: half, size: 2 };
}

/** A move is `addi rd, rs, 0` in the table and `add rd, zero, rs` in what `c.mv` expands to. */
function compressFully(row: Instruction, fields: EncodeFields, word: number): number | undefined {
  const { rd = 0, rs1 = 0, imm = 0 } = fields;
  const add = findInstruction("add");
  const isMove = row.mnemonic === "addi" && imm === 0 && rd !== 0 && rs1 !== 0;
  return isMove && add !== undefined ? compress(encode(add.id, { rd, rs2: rs1 })) : compress(word);
}

/** Reads all operands into `fields`; false when an immediate does not fit and that was let through. */
function readOperands(
  row: Instruction,
  operands: readonly string[],
  context: InstructionContext,
  fields: EncodeFields,
): boolean {
  const expected: readonly Operand[] = row.format.operands;
  const optional = expected.at(-1) === "rm" || expected.at(-1) === "rmExact" ? 1 : 0;
  if (operands.length > expected.length || operands.length < expected.length - optional) {
    throw new OperandError(`${row.mnemonic} takes ${expected.length} operands, not ${operands.length}`);
  }
  let isFitting = true;
  expected.forEach((operand, i) => {
    if (!readOperand(row.format, operand, operands[i], context, fields)) isFitting = false;
  });
  return isFitting;
}

function readOperand(
  format: Format,
  operand: Operand,
  written: string | undefined,
  context: InstructionContext,
  fields: EncodeFields,
): boolean {
  const text = written ?? "";
  const evaluate = (expression: string): bigint => parseExpression(expression)(context.scope);
  const setImmediate = (value: bigint): boolean => {
    const fits = immediateFits(format.immediate, Number(value));
    if (!fits && context.fit === "required") throw new OperandError(`${value} does not fit`);
    fields.imm = fits ? Number(value) : 0;
    return fits;
  };
  switch (operand) {
    case "rd":
      fields.rd = xRegister(text);
      return true;
    case "rs1":
      fields.rs1 = xRegister(text);
      return true;
    case "rs2":
      fields.rs2 = xRegister(text);
      return true;
    case "frd":
      fields.rd = fRegister(text);
      return true;
    case "frs1":
      fields.rs1 = fRegister(text);
      return true;
    case "frs2":
      fields.rs2 = fRegister(text);
      return true;
    case "frs3":
      fields.rs3 = fRegister(text);
      return true;
    case "imm12":
    case "shift5":
    case "shift6":
    case "entry":
      return setImmediate(evaluate(text));
    case "loadAddress":
    case "storeAddress": {
      const { offset, register } = splitAddress(text);
      fields.rs1 = xRegister(register);
      return setImmediate(offset === "" ? 0n : evaluate(offset));
    }
    case "address": {
      const { offset, register } = splitAddress(text);
      fields.rs1 = xRegister(register);
      if (offset !== "" && evaluate(offset) !== 0n) throw new OperandError(`'${text}' may not have an offset`);
      return true;
    }
    case "imm20": {
      const value = evaluate(text);
      const fits = value >= -0x80000n && value <= 0xfffffn;
      if (!fits && context.fit === "required") throw new OperandError(`${value} does not fit`);
      fields.imm = fits ? Number(value) << 12 : 0;
      return fits;
    }
    case "branchTarget":
    case "jumpTarget":
      return setImmediate(BigInt.asIntN(64, evaluate(text) - context.address));
    case "csr":
      return setImmediate(BigInt(csrNumber(text.toLowerCase()) ?? evaluate(text)));
    case "uimm5": {
      const value = evaluate(text);
      const fits = value >= 0n && value < 32n;
      if (!fits && context.fit === "required") throw new OperandError(`${value} does not fit`);
      fields.rs1 = fits ? Number(value) : 0;
      return fits;
    }
    case "predecessor":
      fields.imm = (fields.imm ?? 0) | (fenceSet(text) << 4);
      return true;
    case "successor":
      fields.imm = (fields.imm ?? 0) | fenceSet(text);
      return true;
    case "rm":
      fields.rm = written === undefined ? ROUNDING_MODE.dyn : roundingMode(text);
      return true;
    case "rmExact":
      fields.rm = written === undefined ? ROUNDING_MODE.rne : roundingMode(text);
      return true;
  }
}

function xRegister(name: string): number {
  const n = xRegisterNumber(name);
  if (n === undefined) throw new OperandError(`'${name}' is not an integer register`);
  return n;
}

function fRegister(name: string): number {
  const n = fRegisterNumber(name);
  if (n === undefined) throw new OperandError(`'${name}' is not a floating-point register`);
  return n;
}

function splitAddress(text: string): { offset: string; register: string } {
  const match = /^(.*)\(\s*(\w+)\s*\)$/s.exec(text);
  if (match === null) throw new OperandError(`'${text}' is not an address of the form offset(register)`);
  return { offset: (match[1] ?? "").trim(), register: match[2] ?? "" };
}

function fenceSet(text: string): number {
  if (text === "0") return 0;
  if (!/^i?o?r?w?$/.test(text) || text === "") throw new OperandError(`'${text}' is not a set of i, o, r and w`);
  return (
    (text.includes("i") ? 8 : 0) |
    (text.includes("o") ? 4 : 0) |
    (text.includes("r") ? 2 : 0) |
    (text.includes("w") ? 1 : 0)
  );
}

function roundingMode(text: string): number {
  const mode = Object.entries(ROUNDING_MODE).find(([name]) => name === text)?.[1];
  if (mode === undefined) throw new OperandError(`'${text}' is not a rounding mode`);
  return mode;
}

function expectCount(what: string, operands: readonly string[], count: number): readonly string[] {
  if (operands.length !== count) throw new OperandError(`${what} takes ${count} operands, not ${operands.length}`);
  return operands;
}
