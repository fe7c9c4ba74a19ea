// Operands of Intel syntax, from text.
//
//     rax   st(1)   gs              a register
//     dword ptr gs:[rbx + rcx*8 + 16]     memory: size, segment, base + index * scale + displacement
//     [rip + label]   16[rsp]   gs:8      memory too
//     5   offset label   word ptr 5       an immediate
//     label   short label                 a jump's target
//     0x08:label                          a far pointer
//
// A bare label is no memory operand, as it is for other assemblers of this syntax: `[label]` is, and `offset label` is its
// address.

import { OperandError } from "../assembly/errors.ts";
import { evaluate, type Place, type Value } from "../assembly/value.ts";
import { GPR_NAMES, gprName, SEGMENT_NAMES } from "./registers.ts";
import { type CodeMode, RIP } from "./decode-types.ts";

export type RegisterClass = "gpr" | "segment" | "control" | "debug" | "st" | "mmx" | "xmm" | "rip";

export interface RegisterOperand {
  readonly kind: "register";
  readonly class: RegisterClass;
  readonly number: number;
  /** Bytes. */
  readonly size: number;
  /** ah, ch, dh, bh; their number is that of rsp, rbp, rsi, rdi, which is how they are encoded without REX. */
  readonly isHighByte: boolean;
}

export interface MemoryOperand {
  readonly kind: "memory";
  /** Bytes, where the operand says so. */
  readonly size: number | undefined;
  readonly segment: number | undefined;
  readonly base: number | undefined;
  readonly index: number | undefined;
  /** 1, 2, 4 or 8. */
  readonly scale: number;
  readonly displacement: Value;
  /** Bytes of the registers of the address; undefined when it has none. */
  readonly addressSize: number | undefined;
}

export interface ImmediateOperand {
  readonly kind: "immediate";
  readonly value: Value;
  /** Bytes, where the operand says so. */
  readonly size: number | undefined;
  /** Before the expression: `offset` for an address as a number, `short` for a jump of two bytes. */
  readonly qualifier: "offset" | "short" | "near" | undefined;
}

export interface FarOperand {
  readonly kind: "far";
  readonly selector: Value;
  readonly offset: Value;
}

export type Operand = RegisterOperand | MemoryOperand | ImmediateOperand | FarOperand;

/** Reads an operand; throws OperandError or ExpressionError. */
export function parseOperand(text: string, mode: CodeMode, place: Place): Operand {
  const register = findRegister(text.toLowerCase());
  if (register !== undefined) return checkMode(register, text, mode);
  const [, sizeName, afterSize = text] = SIZE_PREFIX.exec(text) ?? [];
  const size = sizeName === undefined ? undefined : SIZES[sizeName.toLowerCase()];
  const [, segmentName, afterSegment = afterSize] = SEGMENT_PREFIX.exec(afterSize) ?? [];
  const segment = segmentName === undefined ? undefined : segmentNumber(segmentName.toLowerCase());
  if (afterSegment.includes("[")) return parseMemory(afterSegment, size, segment, mode, place);
  if (segment !== undefined) return parseMemory(`[${afterSegment}]`, size, segment, mode, place);
  const colon = afterSize.indexOf(":");
  if (colon >= 0) {
    const [selector, offset] = [afterSize.slice(0, colon), afterSize.slice(colon + 1)];
    return { kind: "far", selector: evaluate(selector, place), offset: evaluate(offset, place) };
  }
  const [, word, afterWord = afterSize] = QUALIFIER.exec(afterSize) ?? [];
  const qualifier = word?.toLowerCase() as ImmediateOperand["qualifier"];
  return { kind: "immediate", value: evaluate(afterWord, place), size, qualifier };
}

const SIZES: Readonly<Record<string, number>> = {
  byte: 1,
  word: 2,
  dword: 4,
  fword: 6,
  far: 6,
  qword: 8,
  mmword: 8,
  tbyte: 10,
  oword: 16,
  xmmword: 16,
};

const SIZE_PREFIX = new RegExp(`^(${Object.keys(SIZES).join("|")})\\s+ptr\\b\\s*(.*)$`, "is");
const SEGMENT_PREFIX = /^([c-gs]s)\s*:\s*(.*)$/is;
const QUALIFIER = /^(offset|short|near)\s+(?:ptr\s+)?(.*)$/is;

function segmentNumber(name: string): number {
  return SEGMENT_NAMES.findIndex((segment) => segment === name);
}

// Registers

const registers: ReadonlyMap<string, RegisterOperand> = new Map(listRegisters());

function* listRegisters(): Generator<[string, RegisterOperand]> {
  const of = (kind: RegisterClass, number: number, size: number, isHighByte = false): RegisterOperand => {
    return { kind: "register", class: kind, number, size, isHighByte };
  };
  for (const [number, name] of GPR_NAMES.entries()) {
    for (const size of [1, 2, 4, 8]) yield [gprName(number, size), of("gpr", number, size)];
    if (number < 4) yield [`${name.charAt(1)}h`, of("gpr", number + 4, 1, true)];
    yield [`xmm${number}`, of("xmm", number, 16)];
    yield [`cr${number}`, of("control", number, 8)];
    yield [`dr${number}`, of("debug", number, 8)];
    if (number >= 8) continue;
    yield [`mm${number}`, of("mmx", number, 8)];
    yield [`st(${number})`, of("st", number, 10)];
  }
  for (const [number, name] of SEGMENT_NAMES.entries()) yield [name, of("segment", number, 2)];
  yield ["st", of("st", 0, 10)];
  yield ["rip", of("rip", RIP, 8)];
  yield ["eip", of("rip", RIP, 4)];
}

function findRegister(name: string): RegisterOperand | undefined {
  return registers.get(name.replace(/\s+/g, ""));
}

function checkMode(register: RegisterOperand, text: string, mode: CodeMode): RegisterOperand {
  const isLong =
    register.class === "rip" ||
    (register.class === "gpr" && (register.size === 8 || register.number >= 8)) ||
    (register.class === "gpr" && register.size === 1 && register.number >= 4 && !register.isHighByte) ||
    (register.class !== "segment" && register.number >= 8);
  if (isLong && mode !== 64) throw new OperandError(`'${text}' exists in 64-bit mode only`);
  return register;
}

// Memory

/**
 * Everything in brackets and before them is one sum. The registers are taken out of it; what is left is the expression of the
 * displacement.
 */
function parseMemory(
  text: string,
  size: number | undefined,
  segment: number | undefined,
  mode: CodeMode,
  place: Place,
): MemoryOperand {
  if (!/^[^[\]]*(\[[^[\]]+\]\s*)+$/s.test(text)) throw new OperandError(`cannot read '${text}'`);
  const sum = text.replace(/\]\s*\[|\[/g, (_, at: number) => (at === 0 ? "" : " + ")).replace(/\]\s*$/, "");
  const terms: Term[] = [];
  const rest = sum.replace(
    REGISTER_TERM,
    (match, before: string, first: string, second: string | undefined, at: number) => {
      const [register, factor] = findTerm(first, second);
      if (register === undefined) return match;
      const isAdded = /(^|\+)\s*$/.test(sum.slice(0, at) + before);
      if (!isAdded || isNested(sum, at)) throw new OperandError(`a register can only be added: '${text}'`);
      checkMode(register, first, mode);
      terms.push({ register, scale: factor === undefined ? undefined : Number(evaluate(factor, place).value) });
      return `${before}0`;
    },
  );
  const { base, index } = arrange(terms, text);
  return {
    kind: "memory",
    size,
    segment,
    base: base?.register.number,
    index: index?.register.number,
    scale: index?.scale ?? 1,
    displacement: evaluate(rest, place),
    addressSize: (base ?? index)?.register.size,
  };
}

interface Term {
  readonly register: RegisterOperand;
  /** Undefined when none was written. */
  readonly scale: number | undefined;
}

/** A name or number, perhaps times another. */
const REGISTER_TERM = /(^|[^\w.$'"\\])([A-Za-z_.$][\w.$]*|[0-9]\w*)(?:\s*\*\s*([\w.$]+))?/g;

function findTerm(first: string, second: string | undefined): [RegisterOperand | undefined, string | undefined] {
  const register = findRegister(first.toLowerCase());
  if (register !== undefined || second === undefined) return [register, second];
  return [findRegister(second.toLowerCase()), first];
}

function isNested(text: string, at: number): boolean {
  const before = text.slice(0, at + 1);
  return before.split("(").length !== before.split(")").length;
}

/** Which register is the base. The stack pointer cannot be an index; otherwise the first one without a scale is it. */
function arrange(terms: readonly Term[], text: string): { base: Term | undefined; index: Term | undefined } {
  const [first, second] = terms;
  const bad = (): OperandError => new OperandError(`'${text}' is no address`);
  if (terms.length > 2 || terms.some(({ register }) => register.class !== "gpr" && register.class !== "rip"))
    throw bad();
  const result =
    second === undefined
      ? { base: first?.scale === undefined ? first : undefined, index: first?.scale === undefined ? undefined : first }
      : first?.scale !== undefined || (second.scale === undefined && isStackPointer(second))
        ? { base: second, index: first }
        : { base: first, index: second };
  const { base, index } = result;
  if (base?.scale !== undefined) throw bad();
  if (index !== undefined && (isStackPointer(index) || ![undefined, 1, 2, 4, 8].includes(index.scale))) throw bad();
  if (index?.register.class === "rip" || (base?.register.class === "rip" && index !== undefined)) throw bad();
  if (base !== undefined && index !== undefined && base.register.size !== index.register.size) throw bad();
  if (terms.some(({ register }) => register.size === 1)) throw bad();
  return result;
}

function isStackPointer({ register }: Term): boolean {
  return register.class === "gpr" && register.number === 4 && register.size >= 4;
}
