/**
 * Arithmetic of x87, in all its forms:
 *
 *     fadd m32/m64   fiadd m16/m32   fadd st0,st(i)   fadd st(i),st0   faddp st(i),st0        destination = destination + source
 *     fsub, fdiv: destination - source      fsubr, fdivr: source - destination
 *
 * Intel SDM volume 1, 8.3.5; volume 2, FADD, FSUB, FMUL, FDIV, FSQRT, FPREM, FSCALE, FXTRACT, FRNDINT, FABS, FCHS.
 */
import { type Decoded, OPERAND } from "../../isa/x86_64/decode-types.ts";
import {
  add,
  divide,
  extract,
  multiply,
  remainder,
  roundToIntegral,
  scale,
  squareRoot,
  subtract,
} from "../float/extended-arithmetic.ts";
import {
  Exception,
  type Extended,
  type ExtendedEnvironment,
  INDEFINITE,
  kindOf,
  negate,
  SIGN,
} from "../float/extended.ts";
import { Rounding } from "../float/format.ts";
import type { ExactX86 } from "./exact.ts";
import { CELL } from "./layout.ts";
import { isRealDenormal, memoryOperand, readInteger, readReal, settle, waiting } from "./x87-operands.ts";
import { environmentOf, faultStack, isEmpty, pop, push, readStack, STATUS, writeStack } from "./x87-state.ts";

export type BinaryOperation = (env: ExtendedEnvironment, a: Extended, b: Extended) => Extended;
export type UnaryOperation = (env: ExtendedEnvironment, a: Extended) => Extended;

// --- Two operands --------------------------------------------------------------------------------------------------

const swapped =
  (operate: BinaryOperation): BinaryOperation =>
  (env, a, b) =>
    operate(env, b, a);

/** st(0) and a memory operand, or two registers of the stack. */
function binary(operate: BinaryOperation, memory: "real" | "integer" = "real"): ExactX86 {
  const ofRegisters = registerForm(operate, "keep");
  const ofMemory = waiting((hart, decoded) => {
    const { registers } = hart;
    if (isEmpty(registers, 0)) {
      if (faultStack(hart, "underflow")) writeStack(registers, 0, INDEFINITE);
      return "done";
    }
    const env = environmentOf(registers);
    const size = memoryOperand(decoded)?.size ?? 0;
    const source = memory === "real" ? readReal(registers, size) : readInteger(registers, size);
    const result = operate(env, readStack(registers, 0), source);
    if (memory === "real" && isRealDenormal(registers, size)) noteDenormalMemory(env, result);
    if (settle(hart, env)) writeStack(registers, 0, result);
    return "done";
  });
  return (hart, decoded) => (memoryOperand(decoded) === undefined ? ofRegisters : ofMemory)(hart, decoded);
}

/** A denormal operand is an exception only where no NaN, invalid operation or division by zero goes before it. */
function noteDenormalMemory(env: ExtendedEnvironment, result: Extended): void {
  const isPreceded = (env.flags & (Exception.invalid | Exception.zeroDivide)) !== 0 || kindOf(result) === "nan";
  if (!isPreceded) env.flags |= Exception.denormal;
}

function registerForm(operate: BinaryOperation, after: "keep" | "pop"): ExactX86 {
  return waiting((hart, decoded) => {
    const { registers } = hart;
    const [destination, source] = pairOf(decoded);
    if (isEmpty(registers, destination) || isEmpty(registers, source)) {
      if (!faultStack(hart, "underflow")) return "done";
      writeStack(registers, destination, INDEFINITE);
    } else {
      const env = environmentOf(registers);
      const result = operate(env, readStack(registers, destination), readStack(registers, source));
      if (!settle(hart, env)) return "done";
      writeStack(registers, destination, result);
    }
    if (after === "pop") pop(registers);
    return "done";
  });
}

function pairOf({ operands: [first, second], operandCount }: Decoded): readonly [number, number] {
  if (operandCount === 2 && first.kind === OPERAND.st && second.kind === OPERAND.st)
    return [first.register, second.register];
  return operandCount === 1 ? [first.register, 0] : [1, 0];
}

/** st(0) and st(1), with the result in st(0). */
function withSecond(operate: BinaryOperation): ExactX86 {
  return waiting((hart) => {
    const { registers } = hart;
    if (isEmpty(registers, 0) || isEmpty(registers, 1)) {
      if (faultStack(hart, "underflow")) writeStack(registers, 0, INDEFINITE);
      return "done";
    }
    const env = environmentOf(registers);
    const result = operate(env, readStack(registers, 0), readStack(registers, 1));
    if (settle(hart, env)) writeStack(registers, 0, result);
    return "done";
  });
}

/**
 * fprem and fprem1: C0, C3, C1 are the quotient's bits 2, 1, 0; C2 says that the reduction is not complete. Without a quotient C0
 * and C3 stay as they are.
 */
function reduce(rounding: typeof Rounding.RNE | typeof Rounding.RTZ): ExactX86 {
  return waiting((hart) => {
    const { registers } = hart;
    const setConditions = (mask: number, conditions: number): void =>
      registers.set(CELL.fpuStatus, (registers.get(CELL.fpuStatus) & ~mask) | conditions);
    if (isEmpty(registers, 0) || isEmpty(registers, 1)) {
      if (faultStack(hart, "underflow")) writeStack(registers, 0, INDEFINITE);
      setConditions(STATUS.C2, 0);
      return "done";
    }
    const env = environmentOf(registers);
    const { value, quotient, isPartial } = remainder(env, readStack(registers, 0), readStack(registers, 1), rounding);
    const isComplete = settle(hart, env);
    if (isComplete) writeStack(registers, 0, value);
    if (quotient === undefined || !isComplete) setConditions(STATUS.C1 | STATUS.C2, 0);
    else {
      const bits =
        ((quotient & 1) !== 0 ? STATUS.C1 : 0) |
        ((quotient & 2) !== 0 ? STATUS.C3 : 0) |
        ((quotient & 4) !== 0 ? STATUS.C0 : 0);
      setConditions(STATUS.C0 | STATUS.C1 | STATUS.C2 | STATUS.C3, isPartial ? STATUS.C2 : bits);
    }
    return "done";
  });
}

// --- One operand ---------------------------------------------------------------------------------------------------

export function unary(operate: UnaryOperation): ExactX86 {
  return waiting((hart) => {
    const { registers } = hart;
    if (isEmpty(registers, 0)) {
      if (faultStack(hart, "underflow")) writeStack(registers, 0, INDEFINITE);
      return "done";
    }
    const env = environmentOf(registers);
    const result = operate(env, readStack(registers, 0));
    if (settle(hart, env)) writeStack(registers, 0, result);
    return "done";
  });
}

/** Replaces st(0) by its exponent and pushes its significand. */
const fxtract: ExactX86 = waiting((hart) => {
  const { registers } = hart;
  const isMissing = isEmpty(registers, 0);
  if (isMissing || !isEmpty(registers, 7)) {
    if (!faultStack(hart, isMissing ? "underflow" : "overflow")) return "done";
    writeStack(registers, 0, INDEFINITE);
    push(registers, INDEFINITE);
    return "done";
  }
  const env = environmentOf(registers);
  const { exponent, significand } = extract(env, readStack(registers, 0));
  if (!settle(hart, env)) return "done";
  writeStack(registers, 0, exponent);
  push(registers, significand);
  return "done";
});

export const arithmeticSemantics = {
  fadd: binary(add),
  fsub: binary(subtract),
  fsubr: binary(swapped(subtract)),
  fmul: binary(multiply),
  fdiv: binary(divide),
  fdivr: binary(swapped(divide)),
  faddp: registerForm(add, "pop"),
  fsubp: registerForm(subtract, "pop"),
  fsubrp: registerForm(swapped(subtract), "pop"),
  fmulp: registerForm(multiply, "pop"),
  fdivp: registerForm(divide, "pop"),
  fdivrp: registerForm(swapped(divide), "pop"),
  fiadd: binary(add, "integer"),
  fisub: binary(subtract, "integer"),
  fisubr: binary(swapped(subtract), "integer"),
  fimul: binary(multiply, "integer"),
  fidiv: binary(divide, "integer"),
  fidivr: binary(swapped(divide), "integer"),
  fsqrt: unary(squareRoot),
  frndint: unary(roundToIntegral),
  // Bits are changed whatever they stand for.
  fabs: unary((_, { head, high, low }) => ({ head: head & ~SIGN, high, low })),
  fchs: unary((_, a) => negate(a)),
  fscale: withSecond(scale),
  fprem: reduce(Rounding.RTZ),
  fprem1: reduce(Rounding.RNE),
  fxtract,
} satisfies Record<string, ExactX86>;
