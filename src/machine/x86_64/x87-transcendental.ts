/**
 * Transcendental instructions of x87: correctly rounded in all but unimaginable cases, so within 1 ulp of what any processor gives.
 *
 * Intel SDM volume 1, 8.3.7 to 8.3.10; volume 2, FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1.
 */
import {
  arctangent,
  cosine,
  exponentialLessOne,
  isWithinPeriodic,
  scaledLogarithm,
  scaledLogarithmOfNext,
  sine,
  tangent,
} from "../float/extended-elementary.ts";
import { type Extended, type ExtendedEnvironment, INDEFINITE, kindOf, ONE } from "../float/extended.ts";
import type { ExactRegisters, ExactX86 } from "./exact.ts";
import { CELL } from "./layout.ts";
import { settle, waiting } from "./x87-operands.ts";
import { type BinaryOperation, type UnaryOperation, unary } from "./x87-arithmetic.ts";
import { environmentOf, faultStack, isEmpty, pop, push, readStack, STATUS, writeStack } from "./x87-state.ts";

/** C2 says that the operand of a periodic function is out of range, and was left as it is. */
function setOutOfRange(registers: ExactRegisters, isOut: boolean): void {
  const status = registers.get(CELL.fpuStatus) & ~STATUS.C2;
  registers.set(CELL.fpuStatus, isOut ? (status & ~STATUS.C1) | STATUS.C2 : status);
}

function periodic(operate: UnaryOperation): ExactX86 {
  return waiting((hart, decoded) => {
    const { registers } = hart;
    const isOut = !isEmpty(registers, 0) && !isWithinPeriodic(readStack(registers, 0));
    setOutOfRange(registers, isOut);
    return isOut ? "done" : unary(operate)(hart, decoded);
  });
}

/** Replaces st(0) and pushes a second result. */
function periodicPair(
  operate: (env: ExtendedEnvironment, a: Extended) => { readonly below: Extended; readonly top: Extended },
): ExactX86 {
  return waiting((hart) => {
    const { registers } = hart;
    const isMissing = isEmpty(registers, 0);
    if (isMissing || !isEmpty(registers, 7)) {
      setOutOfRange(registers, false);
      if (!faultStack(hart, isMissing ? "underflow" : "overflow")) return "done";
      writeStack(registers, 0, INDEFINITE);
      push(registers, INDEFINITE);
      return "done";
    }
    const operand = readStack(registers, 0);
    const isOut = !isWithinPeriodic(operand);
    setOutOfRange(registers, isOut);
    if (isOut) return "done";
    const env = environmentOf(registers);
    const { below, top } = operate(env, operand);
    if (!settle(hart, env)) return "done";
    writeStack(registers, 0, below);
    push(registers, top);
    return "done";
  });
}

/** Computes with st(1) and st(0), and leaves the result alone on top of the rest. */
function combined(operate: BinaryOperation): ExactX86 {
  return waiting((hart) => {
    const { registers } = hart;
    if (isEmpty(registers, 0) || isEmpty(registers, 1)) {
      if (!faultStack(hart, "underflow")) return "done";
      writeStack(registers, 1, INDEFINITE);
    } else {
      const env = environmentOf(registers);
      const result = operate(env, readStack(registers, 1), readStack(registers, 0));
      if (!settle(hart, env)) return "done";
      writeStack(registers, 1, result);
    }
    pop(registers);
    return "done";
  });
}

export const transcendentalSemantics = {
  fsin: periodic(sine),
  fcos: periodic(cosine),
  fsincos: periodicPair((env, a) => ({ below: sine(env, a), top: cosine(env, a) })),
  fptan: periodicPair((env, a) => {
    const below = tangent(env, a);
    // A NaN stands in both places.
    return { below, top: kindOf(below) === "nan" ? below : ONE };
  }),
  fpatan: combined(arctangent),
  f2xm1: unary(exponentialLessOne),
  fyl2x: combined(scaledLogarithm),
  fyl2xp1: combined(scaledLogarithmOfNext),
} satisfies Record<string, ExactX86>;
