// Elementary functions of double-extended numbers: every kind of operand, and the exceptions. Results have full precision.
//
// Intel SDM volume 2, F2XM1, FYL2X, FYL2XP1, FPATAN, FSIN, FCOS, FPTAN: their tables. What they leave undefined (f2xm1 beyond 1,
// fyl2xp1 from -1 down) is the operand as it is, as on real processors.

import {
  arctangent as arctangentOf,
  cosine as cosineOf,
  exponentialLessOne as exponentialOf,
  logarithm as logarithmOf,
  logarithmOfNext,
  multipleOfPi,
  sine as sineOf,
  tangent as tangentOf,
} from "./elementary.ts";
import {
  BIAS,
  compareSignificands,
  Exception,
  type Extended,
  type ExtendedEnvironment,
  infinity,
  invalid,
  isNegative,
  type Kind,
  kindOf,
  negate,
  noteDenormal,
  ONE,
  propagate,
  propagateOne,
  roundExtended,
  SIGN,
  SPECIAL,
  unpack,
  zero,
} from "./extended.ts";
import type { Exact } from "./format.ts";

/** Whether sine, cosine and tangent are defined: below 2^63. What is no number has its own rule, and counts as within. */
export function isWithinPeriodic(a: Extended): boolean {
  return (a.head & SPECIAL) < BIAS + 63 || kindOf(a) !== "normal";
}

function round(env: ExtendedEnvironment, value: Exact): Extended {
  return roundExtended(env, value, 64);
}

function periodic(atZero: (a: Extended) => Extended, compute: (x: Exact) => Exact) {
  return (env: ExtendedEnvironment, a: Extended): Extended => {
    const special = propagateOne(env, a);
    if (special !== undefined) return special;
    const kind = kindOf(a);
    if (kind === "infinity") return invalid(env);
    if (kind === "zero") return atZero(a);
    noteDenormal(env, kind);
    return round(env, compute(unpack(a)));
  };
}

export const sine = periodic((a) => a, sineOf);
export const cosine = periodic(() => ONE, cosineOf);
export const tangent = periodic((a) => a, tangentOf);

/** `2^a - 1`. */
export function exponentialLessOne(env: ExtendedEnvironment, a: Extended): Extended {
  const special = propagateOne(env, a);
  if (special !== undefined) return special;
  const kind = kindOf(a);
  if (kind === "infinity") return isNegative(a) ? negate(ONE) : a;
  if (kind === "zero") return a;
  noteDenormal(env, kind);
  env.flags |= Exception.inexact;
  const exponent = a.head & SPECIAL;
  if (exponent < BIAS) return round(env, exponentialOf(unpack(a)));
  if (exponent > BIAS || compareSignificands(a, ONE) !== 0) return a;
  return isNegative(a) ? { ...ONE, head: SIGN | (BIAS - 1) } : a;
}

/** `y * log2(x)`. */
export function scaledLogarithm(env: ExtendedEnvironment, y: Extended, x: Extended): Extended {
  const special = propagate(env, y, x);
  if (special !== undefined) return special;
  const [kindY, kindX] = [kindOf(y), kindOf(x)];
  if (isNegative(x) && kindX !== "zero") return invalid(env);
  if (kindX === "zero") {
    if (kindY === "zero") return invalid(env);
    if (kindY !== "infinity") env.flags |= Exception.zeroDivide;
    return infinity(!isNegative(y));
  }
  const isBelowOne = (x.head & SPECIAL) < BIAS;
  const isOne = x.head === ONE.head && compareSignificands(x, ONE) === 0;
  return scaled(env, y, kindY, kindX, isBelowOne, isOne, () => logarithmOf(unpack(x)));
}

/** `y * log2(1 + x)`. */
export function scaledLogarithmOfNext(env: ExtendedEnvironment, y: Extended, x: Extended): Extended {
  const special = propagate(env, y, x);
  if (special !== undefined) return special;
  const [kindY, kindX] = [kindOf(y), kindOf(x)];
  const negative = isNegative(x);
  if (kindX === "infinity" && negative) return invalid(env);
  if (negative && (x.head & SPECIAL) >= BIAS && kindY !== "zero" && kindY !== "infinity") {
    noteDenormal(env, kindY);
    env.flags |= Exception.inexact;
    return x;
  }
  if (kindX === "zero") {
    if (kindY === "infinity") return invalid(env);
    noteDenormal(env, kindY);
    return zero(negative !== isNegative(y));
  }
  return scaled(env, y, kindY, kindX, negative, false, () => logarithmOfNext(unpack(x)));
}

/** `y` times a logarithm, which is 0 where `isZero`. */
function scaled(
  env: ExtendedEnvironment,
  y: Extended,
  kindY: Kind,
  kindX: Kind,
  isLogarithmNegative: boolean,
  isZero: boolean,
  logarithm: () => Exact,
): Extended {
  const negative = isNegative(y) !== isLogarithmNegative;
  if ((kindX === "infinity" && kindY === "zero") || (isZero && kindY === "infinity")) return invalid(env);
  noteDenormal(env, kindX);
  noteDenormal(env, kindY);
  if (kindX === "infinity" || kindY === "infinity") return infinity(negative);
  if (kindY === "zero" || isZero) return zero(negative);
  // Processors say so even for a power of two, whose logarithm is an integer.
  env.flags |= Exception.inexact;
  const factor = logarithm();
  const { significand, exponent } = unpack(y);
  const product = { negative, significand: significand * factor.significand, exponent: exponent + factor.exponent };
  const result = round(env, product);
  if (kindOf(result) === "denormal") env.flags |= Exception.underflow;
  return result;
}

/** The angle of the point (x, y). */
export function arctangent(env: ExtendedEnvironment, y: Extended, x: Extended): Extended {
  const special = propagate(env, y, x);
  if (special !== undefined) return special;
  const [kindY, kindX] = [kindOf(y), kindOf(x)];
  noteDenormal(env, kindY);
  noteDenormal(env, kindX);
  const negative = isNegative(y);
  if (kindY === "infinity") {
    const eighths = kindX === "infinity" ? (isNegative(x) ? 3n : 1n) : 2n;
    return round(env, multipleOfPi(negative, eighths, 4n));
  }
  if (kindY === "zero" || kindX === "infinity") {
    return isNegative(x) ? round(env, multipleOfPi(negative, 1n, 1n)) : zero(negative);
  }
  if (kindX === "zero") return round(env, multipleOfPi(negative, 1n, 2n));
  return round(env, arctangentOf(unpack(y), unpack(x)));
}
