// Arithmetic on double-extended numbers: every kind of operand, rounding mode, precision and exception.
//
//     operands --> unsupported? NaN? infinity? zero? --yes--> the rule of the manual for it
//                                  |no
//                   unpack, compute exactly, roundExtended
//
// Intel SDM volume 2, chapter 3 (FADD, FMUL, FDIV, FSQRT, FPREM, FPREM1, FSCALE, FXTRACT, FRNDINT, FCOM: their tables).

import { fromNumber, type Word64, word64 } from "../../lib/word64.ts";
import {
  BIAS,
  compareSignificands,
  Exception,
  type Extended,
  type ExtendedEnvironment,
  infinity,
  invalid,
  isNegative,
  isNormal,
  isSignaling,
  kindOf,
  negate,
  noteDenormal,
  propagate,
  propagateOne,
  roundExtended,
  roundWide,
  roundWideToInteger,
  SIGN,
  significandOf,
  SPECIAL,
  unpack,
  withSignificand,
  zero,
} from "./extended.ts";
import { bitLength, type Exact, Rounding, roundedShift } from "./format.ts";
import {
  addToWide,
  carryIntoWide,
  multiplyToWide,
  normalizeWide,
  setWide,
  shiftWideRight,
  subtractWideFrom,
  wide,
} from "./wide.ts";

/** `a + b`. */
export function add(env: ExtendedEnvironment, a: Extended, b: Extended): Extended {
  if (isNormal(a) && isNormal(b)) return addNormal(env, a, b);
  const special = propagate(env, a, b);
  if (special !== undefined) return special;
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  if (kindA === "infinity" && kindB === "infinity" && isNegative(a) !== isNegative(b)) return invalid(env);
  noteDenormal(env, kindA);
  noteDenormal(env, kindB);
  if (kindA === "infinity") return a;
  if (kindB === "infinity") return b;
  if (kindA === "zero" && kindB === "zero") {
    return zero(isNegative(a) === isNegative(b) ? isNegative(a) : env.rounding === Rounding.RDN);
  }
  if (kindA === "zero") return roundExtended(env, unpack(b));
  if (kindB === "zero") return roundExtended(env, unpack(a));
  return roundSum(env, unpack(a), unpack(b));
}

/** Aligns the lesser operand, and adds or subtracts. */
function addNormal(env: ExtendedEnvironment, a: Extended, b: Extended): Extended {
  const distance = (a.head & SPECIAL) - (b.head & SPECIAL);
  const isSwapped = distance < 0 || (distance === 0 && compareSignificands(a, b) < 0);
  const [greater, lesser] = isSwapped ? [b, a] : [a, b];
  const negative = isNegative(greater);
  const biased = greater.head & SPECIAL;
  setWide(lesser.high, lesser.low, 0);
  shiftWideRight(Math.abs(distance));
  if (isNegative(lesser) === negative) {
    if (addToWide(greater.high, greater.low) === 0) return roundWide(env, negative, biased);
    carryIntoWide();
    return roundWide(env, negative, biased + 1);
  }
  subtractWideFrom(greater.high, greater.low);
  if (wide.high === 0 && wide.low === 0 && wide.rest === 0) return zero(env.rounding === Rounding.RDN);
  return roundWide(env, negative, biased - normalizeWide());
}

/** `a - b`. A NaN keeps its sign. */
export function subtract(env: ExtendedEnvironment, a: Extended, b: Extended): Extended {
  return add(env, a, kindOf(b) === "nan" ? b : negate(b));
}

/** `a * b`. */
export function multiply(env: ExtendedEnvironment, a: Extended, b: Extended): Extended {
  if (isNormal(a) && isNormal(b)) return multiplyNormal(env, a, b);
  const special = propagate(env, a, b);
  if (special !== undefined) return special;
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  const negative = isNegative(a) !== isNegative(b);
  const isInfinite = kindA === "infinity" || kindB === "infinity";
  const isZero = kindA === "zero" || kindB === "zero";
  if (isInfinite && isZero) return invalid(env);
  noteDenormal(env, kindA);
  noteDenormal(env, kindB);
  if (isInfinite) return infinity(negative);
  if (isZero) return zero(negative);
  const [left, right] = [unpack(a), unpack(b)];
  const significand = left.significand * right.significand;
  return roundExtended(env, { negative, significand, exponent: left.exponent + right.exponent });
}

function multiplyNormal(env: ExtendedEnvironment, a: Extended, b: Extended): Extended {
  multiplyToWide(a.high, a.low, b.high, b.low);
  const biased = (a.head & SPECIAL) + (b.head & SPECIAL) - BIAS + 1;
  return roundWide(env, isNegative(a) !== isNegative(b), biased - normalizeWide());
}

/** `a / b`. */
export function divide(env: ExtendedEnvironment, a: Extended, b: Extended): Extended {
  if (isNormal(a) && isNormal(b)) return divideNormal(env, a, b);
  const special = propagate(env, a, b);
  if (special !== undefined) return special;
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  const negative = isNegative(a) !== isNegative(b);
  if (kindA === kindB && (kindA === "infinity" || kindA === "zero")) return invalid(env);
  if (kindB === "zero" && kindA !== "infinity") {
    env.flags |= Exception.zeroDivide;
    return infinity(negative);
  }
  noteDenormal(env, kindA);
  noteDenormal(env, kindB);
  if (kindA === "infinity") return infinity(negative);
  if (kindA === "zero" || kindB === "infinity") return zero(negative);

  const [dividend, divisor] = [normalized(unpack(a)), unpack(b)];
  // A normalized dividend over any divisor leaves at least 67 bits.
  const scaled = dividend.significand << 67n;
  const quotient = scaled / divisor.significand;
  const lost = quotient * divisor.significand === scaled ? 0n : 1n;
  return roundExtended(env, {
    negative,
    significand: (quotient << 1n) | lost,
    exponent: dividend.exponent - divisor.exponent - 68,
  });
}

function divideNormal(env: ExtendedEnvironment, a: Extended, b: Extended): Extended {
  // So much that the quotient has 64 bits and another.
  const isLess = compareSignificands(a, b) < 0;
  const dividend = significandOf(a) << (isLess ? 65n : 64n);
  const divisor = significandOf(b);
  const quotient = dividend / divisor;
  const { high, low } = withSignificand(0, quotient >> 1n);
  setWide(high, low, (quotient & 1n) === 0n ? 0 : 0x80000000);
  if (quotient * divisor !== dividend) wide.sticky = 1;
  const biased = (a.head & SPECIAL) - (b.head & SPECIAL) + BIAS - (isLess ? 1 : 0);
  return roundWide(env, isNegative(a) !== isNegative(b), biased);
}

/** The square root of `a`. */
export function squareRoot(env: ExtendedEnvironment, a: Extended): Extended {
  const special = propagateOne(env, a);
  if (special !== undefined) return special;
  const kind = kindOf(a);
  if (kind === "zero") return a;
  if (isNegative(a)) return invalid(env);
  noteDenormal(env, kind);
  if (kind === "infinity") return a;

  const { significand, exponent } = normalized(unpack(a));
  // An even exponent halves exactly; the root of 134 bits has 67.
  const extra = 70 + (exponent & 1);
  const scaled = significand << BigInt(extra);
  const root = integerSquareRoot(scaled);
  const lost = root * root === scaled ? 0n : 1n;
  return roundExtended(env, {
    negative: false,
    significand: (root << 1n) | lost,
    exponent: (exponent - extra) / 2 - 1,
  });
}

/** The nearest integer as the rounding mode has it. */
export function roundToIntegral(env: ExtendedEnvironment, a: Extended): Extended {
  const special = propagateOne(env, a);
  if (special !== undefined) return special;
  const kind = kindOf(a);
  noteDenormal(env, kind);
  if (kind === "zero" || kind === "infinity") return a;
  const { negative, significand, exponent } = unpack(a);
  if (exponent >= 0) return a;
  const rounded = roundedShift(significand, -exponent, env.rounding, negative);
  const back = rounded << BigInt(-exponent);
  if (back !== significand) env.flags |= Exception.inexact;
  env.isRoundedUp = back > significand;
  const { high, low } = withSignificand(0, rounded);
  return fromMagnitude(negative, high, low);
}

/** `a * 2^n`, n being `b` rounded towards zero; the result has full precision. */
export function scale(env: ExtendedEnvironment, a: Extended, b: Extended): Extended {
  const special = propagate(env, a, b);
  if (special !== undefined) return special;
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  if (kindB === "infinity") {
    const isInvalid = isNegative(b) ? kindA === "infinity" : kindA === "zero";
    if (isInvalid) return invalid(env);
  }
  noteDenormal(env, kindA);
  noteDenormal(env, kindB);
  if (kindA === "infinity" || kindA === "zero") return a;
  if (kindB === "infinity") return isNegative(b) ? zero(isNegative(a)) : infinity(isNegative(a));
  const { negative, significand, exponent } = unpack(a);
  return roundExtended(env, { negative, significand, exponent: exponent + truncatedExponent(b) }, 64);
}

/** An integer of at most 2^16 in magnitude: beyond that every number over- or underflows, even scaled by 2^24576. */
function truncatedExponent(value: Extended): number {
  if (kindOf(value) === "zero") return 0;
  const { negative, significand, exponent } = unpack(value);
  const size =
    exponent + bitLength(significand) > 16
      ? 1 << 16
      : exponent >= 0
        ? Number(significand) * 2 ** exponent
        : Number(significand >> BigInt(-exponent));
  return negative ? -size : size;
}

/** The exponent of `a` as a number, and `a` with the exponent 0. */
export function extract(env: ExtendedEnvironment, a: Extended): { exponent: Extended; significand: Extended } {
  const special = propagateOne(env, a);
  if (special !== undefined) return { exponent: special, significand: special };
  const kind = kindOf(a);
  if (kind === "infinity") return { exponent: infinity(false), significand: a };
  if (kind === "zero") {
    env.flags |= Exception.zeroDivide;
    return { exponent: infinity(true), significand: a };
  }
  noteDenormal(env, kind);
  const { negative, significand, exponent } = normalized(unpack(a));
  const head = (negative ? SIGN : 0) | BIAS;
  return { exponent: fromInteger(fromNumber(exponent + 63)), significand: withSignificand(head, significand) };
}

/** What fprem and fprem1 give: the remainder, and the low bits of the quotient, or that there is more to reduce. */
export interface Remainder {
  readonly value: Extended;
  readonly isPartial: boolean;
  /** The three lowest bits of the quotient's magnitude; undefined where there is none, for a NaN or an invalid operation. */
  readonly quotient: number | undefined;
}

/** The remainder of `a / b`, whose quotient is rounded to nearest (fprem1) or towards zero (fprem). */
export function remainder(
  env: ExtendedEnvironment,
  a: Extended,
  b: Extended,
  rounding: typeof Rounding.RNE | typeof Rounding.RTZ,
): Remainder {
  const complete = (value: Extended): Remainder => ({ value, isPartial: false, quotient: 0 });
  const special = propagate(env, a, b);
  if (special !== undefined) return { value: special, isPartial: false, quotient: undefined };
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  if (kindA === "infinity" || kindB === "zero") return { value: invalid(env), isPartial: false, quotient: undefined };
  noteDenormal(env, kindA);
  noteDenormal(env, kindB);
  if (kindA === "zero") return complete(a);
  if (kindB === "infinity") return complete(exactly(env, unpack(a)));

  const [dividend, divisor] = [normalized(unpack(a)), normalized(unpack(b))];
  const distance = dividend.exponent - divisor.exponent;
  const { negative } = dividend;
  if (distance >= 64) {
    // A step takes 32 to 63 bits off the distance, and leaves a multiple of 32.
    const bits = (distance & 31) | 32;
    const rest = (dividend.significand << BigInt(bits)) % divisor.significand;
    const value =
      rest === 0n ? zero(negative) : exactly(env, { negative, significand: rest, exponent: dividend.exponent - bits });
    return { value, isPartial: true, quotient: 0 };
  }
  const shift = Math.max(distance, 0);
  const scaled = dividend.significand << BigInt(shift);
  const unit = divisor.significand << BigInt(shift - distance);
  const exponent = dividend.exponent - shift;
  let quotient = scaled / unit;
  let rest = scaled - quotient * unit;
  if (rounding === Rounding.RNE && (rest * 2n > unit || (rest * 2n === unit && (quotient & 1n) === 1n))) {
    quotient += 1n;
    rest -= unit;
  }
  const isFlipped = rest < 0n;
  const value =
    rest === 0n
      ? zero(negative)
      : exactly(env, { negative: negative !== isFlipped, significand: isFlipped ? -rest : rest, exponent });
  return { value, isPartial: false, quotient: Number(quotient & 7n) };
}

export type Order = "less" | "equal" | "greater" | "unordered";

/** Compares; `quiet` takes quiet NaNs without an exception. */
export function compare(env: ExtendedEnvironment, a: Extended, b: Extended, nans: "quiet" | "signaling"): Order {
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  if (kindA === "unsupported" || kindB === "unsupported") {
    env.flags |= Exception.invalid;
    return "unordered";
  }
  if (kindA === "nan" || kindB === "nan") {
    const isInvalid =
      nans === "signaling" || (kindA === "nan" && isSignaling(a)) || (kindB === "nan" && isSignaling(b));
    if (isInvalid) env.flags |= Exception.invalid;
    return "unordered";
  }
  noteDenormal(env, kindA);
  noteDenormal(env, kindB);
  if (kindA === "zero" && kindB === "zero") return "equal";
  if (isNegative(a) !== isNegative(b)) return isNegative(a) ? "less" : "greater";
  const order = compareMagnitudes(a, b);
  if (order === 0) return "equal";
  return order < 0 !== isNegative(a) ? "less" : "greater";
}

function compareMagnitudes(a: Extended, b: Extended): number {
  // A pseudo-denormal has the exponent of the smallest normal numbers.
  const [exponentA, exponentB] = [Math.max(a.head & 0x7fff, 1), Math.max(b.head & 0x7fff, 1)];
  return exponentA === exponentB ? compareSignificands(a, b) : exponentA - exponentB;
}

/** A magnitude of 64 bits, exactly. */
export function fromMagnitude(negative: boolean, high: number, low: number): Extended {
  if ((high | low) === 0) return zero(negative);
  setWide(high, low, 0);
  const biased = BIAS + 63 - normalizeWide();
  return { head: negative ? SIGN | biased : biased, high: wide.high, low: wide.low };
}

/** A signed integer, exactly. */
export function fromInteger({ hi, lo }: Word64): Extended {
  if (hi >= 0) return fromMagnitude(false, hi, lo >>> 0);
  return fromMagnitude(true, (lo === 0 ? -hi : ~hi) >>> 0, -lo >>> 0);
}

/**
 * Leaves the magnitude of the nearest integer in the accumulator; false, and invalid, if it is not below 2^64 or there is none.
 */
export function toMagnitude(env: ExtendedEnvironment, a: Extended): boolean {
  const kind = kindOf(a);
  if (kind === "zero") {
    setWide(0, 0, 0);
    return true;
  }
  const exponent = Math.max(a.head & SPECIAL, 1) - BIAS - 63;
  if ((kind !== "normal" && kind !== "denormal") || exponent > 0) {
    env.flags |= Exception.invalid;
    return false;
  }
  setWide(a.high, a.low, 0);
  shiftWideRight(-exponent);
  roundWideToInteger(env, isNegative(a));
  return true;
}

/** The nearest integer in two's complement of 2, 4 or 8 bytes; undefined, and invalid, where it does not fit. */
export function toInteger(env: ExtendedEnvironment, a: Extended, size: number): Word64 | undefined {
  if (!toMagnitude(env, a)) return undefined;
  const negative = isNegative(a);
  const { high, low } = wide;
  const isWide = size === 8;
  const limit = size === 2 ? 0x8000 : 0x80000000;
  const top = isWide ? high : low;
  const isLeast = negative && top === limit && (!isWide || low === 0);
  if ((!isWide && high !== 0) || (top >= limit && !isLeast)) {
    env.flags = Exception.invalid;
    env.isRoundedUp = false;
    return undefined;
  }
  return negative ? word64(low === 0 ? -high : ~high, -low) : word64(high, low);
}

/** A result that has no more bits than a register: only underflow can be an exception. */
function exactly(env: ExtendedEnvironment, value: Exact): Extended {
  return roundExtended(env, value, 64);
}

/** The same value with a significand of 64 bits. */
function normalized(value: Exact): Exact {
  const shift = 64 - bitLength(value.significand);
  return { ...value, significand: value.significand << BigInt(shift), exponent: value.exponent - shift };
}

function roundSum(env: ExtendedEnvironment, a: Exact, b: Exact): Extended {
  const left = absorb(a, b);
  const right = absorb(b, a);
  const exponent = Math.min(left.exponent, right.exponent);
  const sum = signedSignificandAt(left, exponent) + signedSignificandAt(right, exponent);
  if (sum === 0n) return zero(env.rounding === Rounding.RDN);
  return roundExtended(env, { negative: sum < 0n, significand: sum < 0n ? -sum : sum, exponent });
}

function signedSignificandAt({ negative, significand, exponent }: Exact, target: number): bigint {
  const scaled = significand << BigInt(exponent - target);
  return negative ? -scaled : scaled;
}

/** `value`, or a single bit in its stead when it lies so far below `other` that only its sign matters to the rounded sum. */
function absorb(value: Exact, other: Exact): Exact {
  const distance = 136;
  if (value.exponent + 64 > other.exponent - distance) return value;
  return { negative: value.negative, significand: 1n, exponent: other.exponent - distance };
}

/** The integer part of the square root of at most 140 bits: one step of Newton's from a double's root is off by one at most. */
function integerSquareRoot(value: bigint): bigint {
  const estimate = BigInt(Math.floor(Math.sqrt(Number(value))));
  let root = (estimate + value / estimate) >> 1n;
  while (root * root > value) root -= 1n;
  while ((root + 1n) * (root + 1n) <= value) root += 1n;
  return root;
}
