// Whether operands fit a row of the instruction table, and the fields of the instruction that they make.
//
//     ["add", "83 /0", "Ev,Ib"]   with   add rcx, 5   at operand size 8:   REX.W 83 /0, rm = rcx, immediate 5 of one byte

import type { Fields, SizedNumber } from "./assembler-encoding.ts";
import type { MnemonicMeaning } from "./assembler-mnemonics.ts";
import type { ImmediateOperand, MemoryOperand, Operand, RegisterOperand } from "./assembler-operands.ts";
import type { CodeMode } from "./decode-types.ts";
import { bytesOf, type FormOperand, needsPrefix, operandSizes } from "./assembler-sizes.ts";
import type { Instruction, OperandTemplate } from "./instructions.ts";
import { GPR, SEGMENT } from "./registers.ts";

/** A row that the operands fit. */
export interface Form {
  readonly row: Instruction;
  readonly fields: Fields;
  /** Bytes of the memory operand; undefined when there is none. */
  readonly memorySize: number | undefined;
  /** A number that has no room in this form. */
  readonly misfit: bigint | undefined;
  /** A jump's target. */
  readonly target: ImmediateOperand | undefined;
  /** Whether fwait comes first. */
  readonly hasWait: boolean;
}

/** What the forms of a row depend on. */
export interface FormContext {
  readonly mode: CodeMode;
  readonly meaning: MnemonicMeaning;
  /** F3 or F2 where it is written as a prefix; else 0. */
  readonly repeat: number;
  readonly hasLock: boolean;
}

/** Every form of a row that the operands fit, at one operand size after the other. */
export function formsOf(row: Instruction, operands: readonly Operand[], context: FormContext): Form[] {
  if (operands.length > row.operands.length) return [];
  const { repeat, hasLock } = context;
  if ((repeat !== 0 && row.prefix !== "any") || (hasLock && !isLockable(row, operands))) return [];
  if (row.attributes.has("alias") || !isInMode(row, context)) return [];
  const completed = completeOperands(row, operands);
  if (completed === undefined || !row.operands.every(({ place }, i) => isOfKind(place, completed[i]))) return [];
  const sizes = operandSizes(row, completed, context.mode, context.meaning.operandSize);
  return sizes.flatMap((size) => formOf(row, completed, size, context) ?? []);
}

/** A first look at an operand, since most rows of a mnemonic are not the one. */
function isOfKind(place: OperandTemplate["place"], operand: FormOperand | undefined): boolean {
  if (operand === "implicit") return true;
  switch (place) {
    case "gprOrMemory":
    case "xmmOrMemory":
    case "mmxOrMemory":
      return operand?.kind === "memory" || operand?.kind === "register";
    case "memory":
    case "absolute":
    case "stringSource":
    case "stringDestination":
      return operand?.kind === "memory";
    case "immediate":
    case "unsigned":
    case "relative":
    case "one":
      return operand?.kind === "immediate";
    case "far":
      return operand?.kind === "far";
    default:
      return operand?.kind === "register";
  }
}

function isInMode(row: Instruction, { mode, meaning }: FormContext): boolean {
  if (mode === 64) return !row.attributes.has("i64");
  return !row.attributes.has("o64") && row.rexW !== 1 && meaning.isWide !== true;
}

function isLockable(row: Instruction, [destination]: readonly Operand[]): boolean {
  return row.attributes.has("lock") && destination?.kind === "memory";
}

/** Adds what may be left out; undefined when the count is not right. `implicit` stands for the operands of string instructions. */
function completeOperands(row: Instruction, operands: readonly Operand[]): readonly FormOperand[] | undefined {
  const { length } = row.operands;
  if (operands.length === length) return operands;
  if (isString(row)) return operands.length === 0 ? row.operands.map(() => "implicit") : undefined;
  const missing = length - operands.length;
  const last = row.operands.at(-1);
  const first = operands[0];
  if (missing === 1 && (last?.place === "one" || last?.place === "fixedXmm")) return [...operands, "implicit"];
  // imul rcx, 5 is imul rcx, rcx, 5
  if (missing === 1 && row.mnemonic === "imul" && first !== undefined) return [first, ...operands];
  if (row.extension !== "x87" || operands.length > 1) return undefined;
  // fadd st(2) is fadd st, st(2); faddp is faddp st(1), st.
  if (first === undefined && !WITHOUT_OPERANDS.has(row.mnemonic)) return undefined;
  if (first !== undefined && (first.kind !== "register" || first.class !== "st")) return undefined;
  return row.operands.map(({ place }) => (place === "fixedSt" ? "implicit" : (first ?? ST1)));
}

const ST1: RegisterOperand = { kind: "register", class: "st", number: 1, size: 10, isHighByte: false };

/** Instructions of x87 that work on st and st(1) when they have no operands. */
const WITHOUT_OPERANDS: ReadonlySet<string> = new Set([
  ...["faddp", "fmulp", "fsubp", "fsubrp", "fdivp", "fdivrp"],
  ...["fcom", "fcomp", "fucom", "fucomp", "fcomi", "fcomip", "fucomi", "fucomip", "fxch"],
]);

function isString(row: Instruction): boolean {
  return row.operands.some(({ place }) => place === "stringSource" || place === "stringDestination");
}

/** A form as it is being filled. */
interface Draft {
  readonly row: Instruction;
  readonly size: number;
  readonly context: FormContext;
  readonly fields: Fields & { immediates: SizedNumber[] };
  memorySize: number | undefined;
  misfit: bigint | undefined;
  target: ImmediateOperand | undefined;
  readonly hasWait: boolean;
}

function formOf(
  row: Instruction,
  operands: readonly FormOperand[],
  size: number,
  context: FormContext,
): Form | undefined {
  const { mode, meaning } = context;
  const isLong = row.attributes.has("d64") || row.attributes.has("f64");
  const opcode = [...MAPS[row.map], row.opcode | (meaning.condition ?? 0)];
  const draft: Draft = {
    row,
    size,
    context,
    fields: {
      hasOperandPrefix: row.prefix === "66" || needsPrefix(row, size, mode),
      repeat: row.prefix === "f3" ? 0xf3 : row.prefix === "f2" ? 0xf2 : context.repeat,
      hasLock: context.hasLock,
      isWide: (row.rexW ?? (meaning.isWide === true || (size === 8 && !isLong) ? 1 : 0)) === 1,
      segment: undefined,
      addressSize: meaning.addressSize,
      opcode: row.modRm === "byte" ? [...opcode, row.modRmValue] : opcode,
      opcodeRegister: undefined,
      reg: row.modRm === "digit" ? row.modRmValue : undefined,
      rm: undefined,
      immediates: [],
      target: undefined,
    },
    memorySize: undefined,
    misfit: undefined,
    target: undefined,
    hasWait: meaning.hasWait === true,
  };
  const isFitting = row.operands.every((template, i) => {
    const operand = operands[i];
    return operand === "implicit" || (operand !== undefined && place(draft, template, operand, i));
  });
  if (!isFitting || isOtherInstruction(draft)) return undefined;
  // lfence and its like have a digit and no operand.
  if (row.modRm === "digit") draft.fields.rm ??= NO_OPERAND;
  if (meaning.isAbsolute === true && !draft.fields.immediates.some(({ size: bytes }) => bytes === 8)) return undefined;
  return draft;
}

const NO_OPERAND: RegisterOperand = { kind: "register", class: "gpr", number: 0, size: 4, isHighByte: false };

const MAPS = { "": [], "0f": [0x0f], "0f38": [0x0f, 0x38], "0f3a": [0x0f, 0x3a] } as const;

/** `xchg eax, eax` clears the upper half of rax in 64-bit mode, but its short form is a nop. SDM volume 2, XCHG. */
function isOtherInstruction({ row, size, fields, context }: Draft): boolean {
  const isShort = row.mnemonic === "xchg" && fields.opcodeRegister?.number === GPR.rax;
  return isShort && size === 4 && context.mode === 64;
}

/** Puts an operand where its template says; false when it does not fit. */
function place(draft: Draft, template: OperandTemplate, operand: Operand, index: number): boolean {
  const { fields, context } = draft;
  const { mode } = context;
  const registerSize = bytesOf(template.size, draft.size, mode);
  const memorySize = bytesOf(template.memorySize, draft.size, mode);
  const isGpr = (): boolean => isRegister(operand, "gpr") && operand.size === registerSize;
  const isFixed = (): boolean => operand.kind === "register" && operand.number === template.register;
  const putRm = (isFitting: boolean): boolean => {
    if (isFitting && operand.kind === "register") fields.rm = operand;
    return isFitting;
  };
  const putReg = (isFitting: boolean): boolean => {
    if (isFitting && operand.kind === "register") fields.reg = operand;
    return isFitting;
  };
  const putMemory = (): boolean => placeMemory(draft, operand, memorySize);
  switch (template.place) {
    case "gprOrMemory":
      // lar and lsl read a word of their source register, and may be written so.
      return (
        putRm(isGpr() || (index > 0 && isRegister(operand, "gpr") && operand.size === 2 && memorySize === 2)) ||
        putMemory()
      );
    case "gprInRm":
      return putRm(isGpr());
    case "gpr":
      return putReg(isGpr());
    case "gprInOpcode":
      if (!isGpr() || operand.kind !== "register") return false;
      fields.opcodeRegister = operand;
      return true;
    case "fixedGpr":
      return isGpr() && isFixed();
    case "memory":
      return putMemory();
    case "xmmOrMemory":
      return putRm(isRegister(operand, "xmm")) || putMemory();
    case "xmmInRm":
      return putRm(isRegister(operand, "xmm"));
    case "xmm":
      return putReg(isRegister(operand, "xmm"));
    case "fixedXmm":
      return isRegister(operand, "xmm") && isFixed();
    case "mmxOrMemory":
      return putRm(isRegister(operand, "mmx")) || putMemory();
    case "mmxInRm":
      return putRm(isRegister(operand, "mmx"));
    case "mmx":
      return putReg(isRegister(operand, "mmx"));
    case "stInRm":
      return putRm(isRegister(operand, "st"));
    case "fixedSt":
      return isRegister(operand, "st") && isFixed();
    case "segment":
      return putReg(isRegister(operand, "segment"));
    case "fixedSegment":
      return isRegister(operand, "segment") && isFixed();
    case "control":
      return putReg(isRegister(operand, "control"));
    case "debug":
      return putReg(isRegister(operand, "debug"));
    case "one":
      return operand.kind === "immediate" && operand.value.status === "constant" && operand.value.value === 1n;
    case "immediate":
      return placeImmediate(draft, template, operand);
    case "unsigned":
      return placeUnsigned(draft, operand, registerSize ?? 1);
    case "relative":
      return placeTarget(draft, template, operand);
    case "far":
      if (operand.kind !== "far") return false;
      fields.immediates.push(
        { value: operand.offset.value, size: draft.size },
        { value: operand.selector.value, size: 2 },
      );
      if (!fitsEither(operand.offset.value, draft.size)) draft.misfit = operand.offset.value;
      if (!fitsEither(operand.selector.value, 2)) draft.misfit = operand.selector.value;
      return true;
    case "absolute":
      return placeAbsolute(draft, operand, memorySize);
    case "stringSource":
      return placeString(draft, operand, memorySize, GPR.rsi);
    case "stringDestination":
      return placeString(draft, operand, memorySize, GPR.rdi);
  }
}

function isRegister(operand: Operand, kind: RegisterOperand["class"]): operand is RegisterOperand {
  return operand.kind === "register" && operand.class === kind;
}

function hasSize(memory: MemoryOperand, size: number | undefined): boolean {
  return memory.size === undefined || size === undefined || memory.size === size;
}

function placeMemory(draft: Draft, operand: Operand, size: number | undefined): boolean {
  if (operand.kind !== "memory" || !hasSize(operand, size) || draft.row.mod === "register") return false;
  draft.fields.rm = operand;
  draft.fields.segment = operand.segment;
  draft.memorySize = size ?? 0;
  return true;
}

/** An absolute address takes the place of an immediate. In 64-bit mode it is for what ModRM has no room for. */
function placeAbsolute(draft: Draft, operand: Operand, size: number | undefined): boolean {
  if (operand.kind !== "memory" || operand.base !== undefined || operand.index !== undefined) return false;
  const { meaning, mode } = draft.context;
  const { value, status } = operand.displacement;
  const isFar = status !== "address" && status !== "unknown" && BigInt.asIntN(32, value) !== value;
  if (!hasSize(operand, size) || (mode === 64 && meaning.isAbsolute !== true && !isFar)) return false;
  draft.fields.segment = operand.segment === SEGMENT.ds ? undefined : operand.segment;
  draft.fields.immediates.push({ value, size: mode / 8 });
  draft.memorySize = size ?? 0;
  if (!fitsEither(value, mode / 8)) draft.misfit = value;
  return true;
}

function placeString(draft: Draft, operand: Operand, size: number | undefined, base: number): boolean {
  if (operand.kind !== "memory" || operand.base !== base || operand.index !== undefined) return false;
  if (operand.displacement.value !== 0n || !hasSize(operand, size)) return false;
  // The segment of the destination is es, whatever prefix there is.
  if (base === GPR.rdi && operand.segment !== undefined && operand.segment !== SEGMENT.es) return false;
  if (base === GPR.rsi && operand.segment !== SEGMENT.ds) draft.fields.segment = operand.segment;
  draft.fields.addressSize = operand.addressSize;
  draft.memorySize = size ?? 0;
  return true;
}

/** An immediate that is extended by its sign to the operand size. */
function placeImmediate(draft: Draft, template: OperandTemplate, operand: Operand): boolean {
  if (operand.kind !== "immediate" || operand.qualifier === "short" || operand.qualifier === "near") return false;
  const { size: operandSize, context } = draft;
  const { value, status } = operand.value;
  const bytes = bytesOf(template.size, operandSize, context.mode) ?? 1;
  const isMoving = status === "address" || status === "unknown";
  // An address may move until layout is done, so it gets the full room; eight bytes only by movabs, as GNU as has it.
  if (isMoving && bytes < Math.min(operandSize, 4)) return false;
  if (isMoving && bytes === 8 && context.meaning.isAbsolute !== true) return false;
  const extended = BigInt.asIntN(operandSize * 8, value);
  const isWhole = fitsEither(value, operandSize);
  if (!isWhole || BigInt.asIntN(bytes * 8, extended) !== extended) draft.misfit = value;
  draft.fields.immediates.push({ value: extended, size: bytes });
  return true;
}

function placeUnsigned(draft: Draft, operand: Operand, bytes: number): boolean {
  if (operand.kind !== "immediate") return false;
  const { value } = operand.value;
  if (!fitsEither(value, bytes)) draft.misfit = value;
  draft.fields.immediates.push({ value, size: bytes });
  return true;
}

function placeTarget(draft: Draft, template: OperandTemplate, operand: Operand): boolean {
  if (operand.kind !== "immediate" || operand.qualifier === "offset") return false;
  const bytes = bytesOf(template.size, draft.context.mode === 16 ? 2 : 4, draft.context.mode) ?? 1;
  if (operand.qualifier === "short" ? bytes !== 1 : operand.qualifier === "near" && bytes === 1) return false;
  draft.fields.target = { value: operand.value.value, size: bytes };
  draft.target = operand;
  return true;
}

/** Whether a number fits so many bytes, signed or unsigned. */
function fitsEither(value: bigint, bytes: number): boolean {
  return BigInt.asIntN(bytes * 8, value) === value || BigInt.asUintN(bytes * 8, value) === value;
}
