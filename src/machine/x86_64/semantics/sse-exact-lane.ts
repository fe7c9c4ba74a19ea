// One lane of SSE arithmetic, with all that MXCSR says of it.
//
//     operands ──DAZ──> NaN? ──yes──> the first NaN, made quiet
//                        |no
//                   soft-float (src/machine/float) ──> invalid? default NaN ──> tiny? FTZ ──> result
//
//     MXCSR    15 FTZ | 14-13 rounding | 12-7 masks PM UM OM ZM DM IM | 6 DAZ | 5-0 flags PE UE OE ZE DE IE
//
// Exceptions are of two classes: those of operands (IE, ZE, DE), found in all lanes before anything is computed, and those of results (OE,
// UE, PE). An unmasked one of the first class keeps the second from being looked at. Intel SDM volume 1, 4.9 (exceptions, their priority),
// 10.2.3 (MXCSR), 11.5 (SIMD floating-point exceptions), table 4-7 (NaNs).

import { MXCSR } from "../../../isa/x86_64/registers.ts";
import {
  convertFormat as convertSoftly,
  fromInteger,
  INT32,
  INT64,
  type IntegerRange,
  toInteger,
} from "../../float/convert.ts";
import {
  BINARY32,
  BINARY64,
  defineFormat,
  type FloatEnvironment,
  FloatFlag,
  type FloatFormat,
  isInfinity,
  isNaNBits,
  isNegative,
  isSignalingNaN,
  isZero,
  magnitude,
  Rounding,
  roundAndPack,
  unpack,
  zero,
} from "../../float/format.ts";
import * as soft from "../../float/soft-float.ts";

/** What the lanes of an instruction read and accrue. */
export interface LaneEnvironment {
  rounding: Rounding;
  readonly isDaz: boolean;
  readonly isFtz: boolean;
  /** Flags whose exceptions are masked. */
  readonly masked: number;
  /** Exceptions of operands, and of results, as flags of MXCSR. */
  before: number;
  after: number;
  /** Flags of steps that are done: what is computed in several steps does not begin the next one if an exception stands. */
  settled: number;
}

/** Ends a step; false if an unmasked exception ends the instruction with it. */
export function settle(env: LaneEnvironment): boolean {
  const isRefused = (env.before & ~env.masked) !== 0;
  env.settled |= isRefused ? env.before : env.before | env.after;
  env.before = 0;
  env.after = 0;
  return (env.settled & ~env.masked) === 0;
}

const ROUNDING = [Rounding.RNE, Rounding.RDN, Rounding.RUP, Rounding.RTZ] as const;

/** The rounding mode that two bits of MXCSR or of a control byte stand for. */
export function roundingOf(bits: number): Rounding {
  return ROUNDING[bits & 3] ?? Rounding.RNE;
}

export function environmentOf(mxcsr: number): LaneEnvironment {
  return {
    rounding: roundingOf(mxcsr >> MXCSR.ROUNDING_SHIFT),
    isDaz: (mxcsr & MXCSR.DAZ) !== 0,
    isFtz: (mxcsr & MXCSR.FTZ) !== 0,
    masked: (mxcsr >> MXCSR.MASK_SHIFT) & MXCSR.FLAGS,
    before: 0,
    after: 0,
    settled: 0,
  };
}

/** What invalid operations give: a negative quiet NaN. */
const defaultNaN = (format: FloatFormat): bigint => format.signBit | format.canonicalNaN;

const quietBit = (format: FloatFormat): bigint => 1n << BigInt(format.fractionBits - 1);

export function isDenormal(format: FloatFormat, bits: bigint): boolean {
  const size = magnitude(format, bits);
  return size !== 0n && size <= format.fractionMask;
}

/** The operand as arithmetic sees it: with DAZ, denormal numbers are zeros. */
function seen(format: FloatFormat, env: LaneEnvironment, bits: bigint): bigint {
  return env.isDaz && isDenormal(format, bits) ? bits & format.signBit : bits;
}

function noteDenormal(format: FloatFormat, env: LaneEnvironment, bits: bigint): void {
  if (isDenormal(format, bits)) env.before |= MXCSR.DE;
}

/** The NaN that operands give: the first one of them, made quiet; undefined if there is none. */
function propagate(format: FloatFormat, env: LaneEnvironment, a: bigint, b: bigint): bigint | undefined {
  if (isSignalingNaN(format, a) || isSignalingNaN(format, b)) env.before |= MXCSR.IE;
  if (isNaNBits(format, a)) return a | quietBit(format);
  if (isNaNBits(format, b)) return b | quietBit(format);
  return undefined;
}

/** As the formats, with exponents that no operation on their numbers leaves. */
const UNBOUNDED: ReadonlyMap<FloatFormat, FloatFormat> = new Map(
  [BINARY32, BINARY64].map((format) => [format, defineFormat(15, format.fractionBits)]),
);

const unbounded = (format: FloatFormat): FloatFormat => UNBOUNDED.get(format) ?? format;

/**
 * Takes the flags of a computation over, and gives the result that MXCSR wants. `again` computes once more in the format it is given: an
 * unmasked overflow or underflow sets PE only if the result is inexact even with an unbounded exponent.
 */
function finish(
  format: FloatFormat,
  env: LaneEnvironment,
  { flags, rounding }: FloatEnvironment,
  result: bigint,
  again: (format: FloatFormat, env: FloatEnvironment) => void,
): bigint {
  const noteInexact = (): void => {
    const wide = { rounding, flags: 0 };
    again(unbounded(format), wide);
    if ((wide.flags & FloatFlag.NX) !== 0) env.after |= MXCSR.PE;
  };
  if ((flags & FloatFlag.NV) !== 0) {
    env.before |= MXCSR.IE;
    return defaultNaN(format);
  }
  if ((flags & FloatFlag.DZ) !== 0) env.before |= MXCSR.ZE;
  if ((flags & FloatFlag.OF) !== 0) {
    env.after |= MXCSR.OE;
    if ((env.masked & MXCSR.OE) === 0) {
      noteInexact();
      return result;
    }
  }
  // Soft-float flags underflow where a tiny result is inexact; an exact one is a denormal number.
  const isTiny = (flags & FloatFlag.UF) !== 0 || ((flags & FloatFlag.NX) === 0 && isDenormal(format, result));
  if (isTiny && (env.masked & MXCSR.UE) === 0) {
    env.after |= MXCSR.UE;
    noteInexact();
    return result;
  }
  if ((flags & FloatFlag.NX) !== 0) env.after |= MXCSR.PE;
  if (!isTiny) return result;
  if (env.isFtz) {
    env.after |= MXCSR.UE | MXCSR.PE;
    return result & format.signBit;
  } else if ((flags & FloatFlag.UF) !== 0) {
    env.after |= MXCSR.UE;
  }
  return result;
}

export type BinaryLane = (format: FloatFormat, env: LaneEnvironment, a: bigint, b: bigint) => bigint;
export type UnaryLane = (format: FloatFormat, env: LaneEnvironment, a: bigint) => bigint;

type SoftBinary = (format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint) => bigint;

const arithmetic =
  (operate: SoftBinary): BinaryLane =>
  (format, env, first, second) => {
    const a = seen(format, env, first);
    const b = seen(format, env, second);
    const nan = propagate(format, env, a, b);
    if (nan !== undefined) return nan;
    const softly = { rounding: env.rounding, flags: 0 };
    const result = operate(format, softly, a, b);
    if ((softly.flags & (FloatFlag.NV | FloatFlag.DZ)) === 0) {
      noteDenormal(format, env, a);
      noteDenormal(format, env, b);
    }
    return finish(format, env, softly, result, (wide, wideEnv) => {
      const [left, right] = [a, b].map((bits) => convertSoftly(format, wide, wideEnv, bits));
      operate(wide, wideEnv, left ?? 0n, right ?? 0n);
    });
  };

export const add = arithmetic(soft.add);
export const subtract = arithmetic(soft.subtract);
export const multiply = arithmetic(soft.multiply);
export const divide = arithmetic(soft.divide);

export const squareRoot: UnaryLane = (format, env, operand) => {
  const a = seen(format, env, operand);
  const nan = propagate(format, env, a, a);
  if (nan !== undefined) return nan;
  const softly = { rounding: env.rounding, flags: 0 };
  const result = soft.squareRoot(format, softly, a);
  if ((softly.flags & FloatFlag.NV) === 0) noteDenormal(format, env, a);
  // A root is never tiny, nor too large.
  return finish(format, env, softly, result, () => {});
};

/** The lesser or the greater; the second operand where they are equal, or one is a NaN, which is invalid. */
const pick =
  (which: "min" | "max"): BinaryLane =>
  (format, env, first, second) => {
    const a = seen(format, env, first);
    const b = seen(format, env, second);
    const order = compare(format, env, a, b, "signaling");
    return order === (which === "min" ? "less" : "greater") ? a : b;
  };

export const minimum = pick("min");
export const maximum = pick("max");

export type Order = "less" | "equal" | "greater" | "unordered";

/** Compares; a quiet NaN is invalid if `nans` are signaling. */
export function compare(
  format: FloatFormat,
  env: LaneEnvironment,
  first: bigint,
  second: bigint,
  nans: "quiet" | "signaling",
): Order {
  const a = seen(format, env, first);
  const b = seen(format, env, second);
  if (isNaNBits(format, a) || isNaNBits(format, b)) {
    const isInvalid = nans === "signaling" || isSignalingNaN(format, a) || isSignalingNaN(format, b);
    if (isInvalid) env.before |= MXCSR.IE;
    return "unordered";
  }
  noteDenormal(format, env, a);
  noteDenormal(format, env, b);
  const [left, right] = [signedMagnitude(format, a), signedMagnitude(format, b)];
  return left < right ? "less" : left > right ? "greater" : "equal";
}

function signedMagnitude(format: FloatFormat, bits: bigint): bigint {
  return isNegative(format, bits) ? -magnitude(format, bits) : bits;
}

/** To a signed integer; what does not fit, or is no number, is invalid and gives the "integer indefinite" of the type. */
export function convertToInteger(
  format: FloatFormat,
  env: LaneEnvironment,
  operand: bigint,
  range: IntegerRange,
  rounding: Rounding,
): bigint {
  const softly = { rounding, flags: 0 };
  const value = toInteger(format, softly, seen(format, env, operand), range);
  if ((softly.flags & FloatFlag.NV) !== 0) {
    env.before |= MXCSR.IE;
    return range.min;
  }
  if ((softly.flags & FloatFlag.NX) !== 0) env.after |= MXCSR.PE;
  return value;
}

export function convertFromInteger(format: FloatFormat, env: LaneEnvironment, value: bigint): bigint {
  const softly = { rounding: env.rounding, flags: 0 };
  return finish(format, env, softly, fromInteger(format, softly, value), () => {});
}

/** To another format. A NaN keeps its sign and as much of its payload as fits, from the top. */
export function convertFormat(from: FloatFormat, to: FloatFormat, env: LaneEnvironment, operand: bigint): bigint {
  const a = seen(from, env, operand);
  const negative = isNegative(from, a);
  if (isNaNBits(from, a)) {
    if (isSignalingNaN(from, a)) env.before |= MXCSR.IE;
    const shift = BigInt(to.fractionBits - from.fractionBits);
    const payload = a & from.fractionMask;
    return zero(to, negative) | to.canonicalNaN | (shift >= 0n ? payload << shift : payload >> -shift);
  }
  if (isInfinity(from, a)) return zero(to, negative) | to.infinity;
  if (isZero(from, a)) return zero(to, negative);
  noteDenormal(from, env, a);
  const softly = { rounding: env.rounding, flags: 0 };
  const exact = unpack(from, a);
  const result = roundAndPack(to, softly, exact);
  return finish(to, env, softly, result, (wide, wideEnv) => roundAndPack(wide, wideEnv, exact));
}

/** The nearest whole number; `inexact` tells whether PE is raised where that differs. Denormal numbers raise nothing of their own. */
export function roundToWhole(
  format: FloatFormat,
  env: LaneEnvironment,
  operand: bigint,
  rounding: Rounding,
  inexact: "raised" | "suppressed",
): bigint {
  const a = seen(format, env, operand);
  const nan = propagate(format, env, a, a);
  if (nan !== undefined) return nan;
  if (isInfinity(format, a) || isZero(format, a)) return a;
  const { exponent } = unpack(format, a);
  if (exponent >= 0) return a;
  const softly = { rounding, flags: 0 };
  const whole = toInteger(format, softly, a, INT64);
  if ((softly.flags & FloatFlag.NX) !== 0 && inexact === "raised") env.after |= MXCSR.PE;
  if (whole === 0n) return a & format.signBit;
  return fromInteger(format, { rounding, flags: 0 }, whole);
}

export { INT32, INT64 };
