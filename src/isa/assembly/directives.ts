// Directives: data, space, alignment, symbols.

import { encodeUtf8 } from "../../lib/bytes.ts";
import type { PassState } from "./assembler.ts";
import { OperandError } from "./errors.ts";
import { parseExpression, unescape } from "./expression.ts";
import { splitOperands } from "./source.ts";
import { evaluate } from "./value.ts";

/** Bytes that a directive emits; throws OperandError or ExpressionError. */
export type Directive = (state: PassState, operands: string) => Uint8Array;

/** Those that every dialect has. */
const COMMON: Readonly<Record<string, Directive>> = {
  ".ascii": (state, operands) => emitStrings(state, operands, ""),
  ".asciz": (state, operands) => emitStrings(state, operands, "\0"),
  ".string": (state, operands) => emitStrings(state, operands, "\0"),
  ".space": emitSpace,
  ".zero": emitSpace,
  ".skip": emitSpace,
  ".org": emitUpTo,
  ".align": (state, operands) => emitAlignment(state, operands, state.dialect.alignment),
  ".p2align": (state, operands) => emitAlignment(state, operands, "power of two"),
  ".balign": (state, operands) => emitAlignment(state, operands, "bytes"),
  ".equ": defineSymbol,
  ".set": defineSymbol,
  ".globl": emitNothing,
  ".global": emitNothing,
  ".text": emitNothing,
};

/** Runs a directive of the dialect or of all; throws OperandError when there is none of that name. */
export function runDirective(state: PassState, name: string, operands: string): Uint8Array {
  const own = state.dialectPass.directives[name];
  if (own !== undefined) {
    own(operands);
    return NO_BYTES;
  }
  const size = state.dialect.numberSizes[name];
  if (size !== undefined) return emitNumbers(state, operands, size);
  const directive = COMMON[name];
  if (directive === undefined) throw new OperandError(`unknown directive '${name}'`);
  return directive(state, operands);
}

const NO_BYTES = new Uint8Array(0);

function emitNothing(): Uint8Array {
  return NO_BYTES;
}

function emitNumbers(state: PassState, operands: string, size: number): Uint8Array {
  const values = splitOperands(operands);
  const bytes = new Uint8Array(values.length * size);
  values.forEach((text, i) => {
    const value = parseExpression(text)(state.scope);
    const isFitting = BigInt.asIntN(size * 8, value) === value || BigInt.asUintN(size * 8, value) === value;
    if (!isFitting && size < 8 && state.kind === "final")
      throw new OperandError(`${value} does not fit ${size * 8} bits`);
    writeLittleEndian(bytes, i * size, value, size);
  });
  state.after = "data";
  return bytes;
}

function emitStrings(state: PassState, operands: string, terminator: string): Uint8Array {
  state.after = "data";
  const strings = splitOperands(operands).map((text) => {
    const inside = /^"(.*)"$/s.exec(text)?.[1];
    if (inside === undefined) throw new OperandError(`'${text}' is not a string`);
    return unescape(inside) + terminator;
  });
  return encodeUtf8(strings.join(""));
}

function emitSpace(state: PassState, operands: string): Uint8Array {
  const [length = "", fill = "0"] = splitOperands(operands);
  state.after = "data";
  return new Uint8Array(evaluateSize(state, length)).fill(evaluateFill(state, fill));
}

/** `.org`: up to an address, or up to an offset from the beginning where no address is in the expression. */
function emitUpTo(state: PassState, operands: string): Uint8Array {
  const [target = "", fill = "0"] = splitOperands(operands);
  const { value, status } = evaluate(target, state);
  const end = status === "constant" ? BigInt(state.base) + value : value;
  const size = end - state.address;
  if (size < 0n && state.kind === "final") throw new OperandError(`'${target}' is behind`);
  state.after = "data";
  return new Uint8Array(checkSize(state, size < 0n ? 0n : size, target)).fill(evaluateFill(state, fill));
}

function emitAlignment(state: PassState, operands: string, unit: "bytes" | "power of two"): Uint8Array {
  const [amount = "", fill] = splitOperands(operands);
  const number = evaluateSize(state, amount);
  const alignment = unit === "bytes" ? number : 2 ** number;
  if (!(alignment >= 1 && alignment <= MAX_SIZE)) throw new OperandError(`bad alignment '${amount}'`);
  const past = Number(((state.address % BigInt(alignment)) + BigInt(alignment)) % BigInt(alignment));
  const bytes = new Uint8Array((alignment - past) % alignment);
  if (fill !== undefined) return bytes.fill(evaluateFill(state, fill));
  if (state.after === "code") state.dialectPass.fillWithNops(bytes, 0);
  return bytes;
}

function defineSymbol(state: PassState, operands: string): Uint8Array {
  const [name = "", text = ""] = splitOperands(operands);
  if (!/^[A-Za-z_.$][\w.$]*$/.test(name)) throw new OperandError(`bad symbol '${name}'`);
  if (state.symbols.has(name) && !state.equs.has(name)) throw new OperandError(`'${name}' is defined twice`);
  const { value, status } = evaluate(text, state);
  state.symbols.set(name, value);
  state.equs.set(name, status);
  return NO_BYTES;
}

/** What a directive may take up: a slip in an expression must not take the host's memory. */
const MAX_SIZE = 64 * 1024 * 1024;

function evaluateSize(state: PassState, text: string): number {
  return checkSize(state, parseExpression(text)(state.scope), text);
}

function checkSize(state: PassState, size: bigint, text: string): number {
  if (size >= 0n && size <= BigInt(MAX_SIZE)) return Number(size);
  if (state.kind === "layout") return 0;
  throw new OperandError(`bad size '${text}'`);
}

function evaluateFill(state: PassState, text: string): number {
  return Number(parseExpression(text)(state.scope) & 255n);
}

/** Writes the low `size` bytes of a number. */
export function writeLittleEndian(bytes: Uint8Array, offset: number, value: bigint, size: number): void {
  let rest = BigInt.asUintN(64, value);
  for (let i = 0; i < size; i++) {
    bytes[offset + i] = Number(rest & 255n);
    rest >>= 8n;
  }
}
