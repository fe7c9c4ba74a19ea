// Exact arithmetic on raw floating-point bits, for every format, rounding mode and special case.
//
//     operands (bits) --> NaN? infinity? zero? --yes--> the rule of IEEE 754 / RISC-V for it
//                                  |no
//                        unpack, compute exactly, roundAndPack
//
// The inline WebAssembly code handles ordinary operands under round-to-nearest; what it does not decide comes here.
// A NaN result is always the canonical one (RISC-V unprivileged ISA, "NaN Generation and Propagation").

import {
  BINARY32,
  BINARY64,
  bitLength,
  type Exact,
  type FloatEnvironment,
  FloatFlag,
  type FloatFormat,
  infinity,
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
} from "./format.ts";

export { BINARY32, BINARY64, type FloatEnvironment, FloatFlag, type FloatFormat, Rounding };

/** `a + b`. */
export function add(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): bigint {
  if (isNaNBits(format, a) || isNaNBits(format, b)) return propagateNaN(format, env, a, b);
  if (isInfinity(format, a)) {
    return isInfinity(format, b) && isNegative(format, a) !== isNegative(format, b) ? invalid(format, env) : a;
  }
  if (isInfinity(format, b)) return b;
  if (isZero(format, a))
    return isZero(format, b) ? addZeros(format, env, isNegative(format, a), isNegative(format, b)) : b;
  if (isZero(format, b)) return a;
  return roundSum(format, env, unpack(format, a), unpack(format, b));
}

/** `a - b`. */
export function subtract(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): bigint {
  return add(format, env, a, b ^ format.signBit);
}

/** `a * b`. */
export function multiply(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): bigint {
  if (isNaNBits(format, a) || isNaNBits(format, b)) return propagateNaN(format, env, a, b);
  const negative = isNegative(format, a) !== isNegative(format, b);
  if (isInfinity(format, a) || isInfinity(format, b)) {
    return isZero(format, a) || isZero(format, b) ? invalid(format, env) : infinity(format, negative);
  }
  if (isZero(format, a) || isZero(format, b)) return zero(format, negative);
  return roundAndPack(format, env, exactProduct(unpack(format, a), unpack(format, b)));
}

/** `a / b`. */
export function divide(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): bigint {
  if (isNaNBits(format, a) || isNaNBits(format, b)) return propagateNaN(format, env, a, b);
  const negative = isNegative(format, a) !== isNegative(format, b);
  if (isInfinity(format, a)) return isInfinity(format, b) ? invalid(format, env) : infinity(format, negative);
  if (isInfinity(format, b)) return zero(format, negative);
  if (isZero(format, b)) {
    if (isZero(format, a)) return invalid(format, env);
    env.flags |= FloatFlag.DZ;
    return infinity(format, negative);
  }
  if (isZero(format, a)) return zero(format, negative);

  const dividend = unpack(format, a);
  const divisor = unpack(format, b);
  // Enough extra bits that even the smallest subnormal over the largest significand leaves precision + 2 of them.
  const extra = 2 * format.precision + 3;
  const scaled = dividend.significand << BigInt(extra);
  const quotient = scaled / divisor.significand;
  const lost = quotient * divisor.significand === scaled ? 0n : 1n;
  return roundAndPack(format, env, {
    negative,
    significand: (quotient << 1n) | lost,
    exponent: dividend.exponent - divisor.exponent - extra - 1,
  });
}

/** The square root of `a`. */
export function squareRoot(format: FloatFormat, env: FloatEnvironment, a: bigint): bigint {
  if (isNaNBits(format, a)) return propagateNaN(format, env, a, a);
  if (isZero(format, a)) return a;
  if (isNegative(format, a)) return invalid(format, env);
  if (isInfinity(format, a)) return a;

  const { significand, exponent } = unpack(format, a);
  // An even exponent halves exactly; a root of 2 * precision + 6 bits or more has precision + 3 of its own.
  const extra = 2 * format.precision + 6 + ((exponent & 1) === 0 ? 0 : 1);
  const scaled = significand << BigInt(extra);
  const root = integerSquareRoot(scaled);
  const lost = root * root === scaled ? 0n : 1n;
  return roundAndPack(format, env, {
    negative: false,
    significand: (root << 1n) | lost,
    exponent: (exponent - extra) / 2 - 1,
  });
}

/** `a * b + c` with a single rounding. Infinity times zero is invalid even when `c` is a quiet NaN. */
export function fusedMultiplyAdd(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint, c: bigint): bigint {
  const infinityTimesZero =
    (isInfinity(format, a) && isZero(format, b)) || (isZero(format, a) && isInfinity(format, b));
  if (infinityTimesZero) return invalid(format, env);
  if (isNaNBits(format, a) || isNaNBits(format, b) || isNaNBits(format, c)) {
    if (isSignalingNaN(format, c)) env.flags |= FloatFlag.NV;
    return propagateNaN(format, env, a, b);
  }
  const negative = isNegative(format, a) !== isNegative(format, b);
  if (isInfinity(format, a) || isInfinity(format, b)) {
    return isInfinity(format, c) && isNegative(format, c) !== negative
      ? invalid(format, env)
      : infinity(format, negative);
  }
  if (isInfinity(format, c)) return c;
  if (isZero(format, a) || isZero(format, b)) {
    return isZero(format, c) ? addZeros(format, env, negative, isNegative(format, c)) : c;
  }
  const product = exactProduct(unpack(format, a), unpack(format, b));
  return isZero(format, c) ? roundAndPack(format, env, product) : roundSum(format, env, product, unpack(format, c));
}

/** IEEE 754-2019 minimumNumber: a NaN loses against a number, and -0 is less than +0. */
export function minimum(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): bigint {
  return pickNumber(format, env, a, b) ?? (order(format, a) < order(format, b) ? a : b);
}

/** IEEE 754-2019 maximumNumber: a NaN loses against a number, and +0 is greater than -0. */
export function maximum(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): bigint {
  return pickNumber(format, env, a, b) ?? (order(format, a) > order(format, b) ? a : b);
}

/** Quiet `a == b`: only a signaling NaN is invalid. */
export function isEqual(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): boolean {
  if (isSignalingNaN(format, a) || isSignalingNaN(format, b)) env.flags |= FloatFlag.NV;
  if (isNaNBits(format, a) || isNaNBits(format, b)) return false;
  return a === b || (isZero(format, a) && isZero(format, b));
}

/** Signaling `a < b`: any NaN is invalid. */
export function isLess(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): boolean {
  if (isUnordered(format, env, a, b)) return false;
  return order(format, a) < order(format, b) && !(isZero(format, a) && isZero(format, b));
}

/** Signaling `a <= b`: any NaN is invalid. */
export function isLessOrEqual(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): boolean {
  if (isUnordered(format, env, a, b)) return false;
  return order(format, a) <= order(format, b) || (isZero(format, a) && isZero(format, b));
}

/** The bit number of `fclass`: 0 -inf, 1 -normal, 2 -subnormal, 3 -0, 4 +0, 5 +subnormal, 6 +normal, 7 +inf, 8 sNaN, 9 qNaN. */
export function classify(format: FloatFormat, a: bigint): number {
  if (isNaNBits(format, a)) return isSignalingNaN(format, a) ? 8 : 9;
  const size = magnitude(format, a);
  const kind = size === 0n ? 0 : size <= format.fractionMask ? 1 : size < format.infinity ? 2 : 3;
  return isNegative(format, a) ? 3 - kind : 4 + kind;
}

/** The canonical NaN, with NV accrued. */
export function invalid(format: FloatFormat, env: FloatEnvironment): bigint {
  env.flags |= FloatFlag.NV;
  return format.canonicalNaN;
}

function propagateNaN(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): bigint {
  if (isSignalingNaN(format, a) || isSignalingNaN(format, b)) env.flags |= FloatFlag.NV;
  return format.canonicalNaN;
}

/** The result of min or max when an operand is a NaN; undefined when both are numbers. */
function pickNumber(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): bigint | undefined {
  if (isSignalingNaN(format, a) || isSignalingNaN(format, b)) env.flags |= FloatFlag.NV;
  if (isNaNBits(format, a)) return isNaNBits(format, b) ? format.canonicalNaN : b;
  return isNaNBits(format, b) ? a : undefined;
}

function isUnordered(format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint): boolean {
  if (!isNaNBits(format, a) && !isNaNBits(format, b)) return false;
  env.flags |= FloatFlag.NV;
  return true;
}

/** An integer that orders numbers as their values do, with -0 just below +0. */
function order(format: FloatFormat, bits: bigint): bigint {
  return isNegative(format, bits) ? -1n - magnitude(format, bits) : bits;
}

/** A sum of two zeros is positive unless both are negative, or they differ while rounding down. */
function addZeros(format: FloatFormat, env: FloatEnvironment, a: boolean, b: boolean): bigint {
  return zero(format, a === b ? a : env.rounding === Rounding.RDN);
}

function exactProduct(a: Exact, b: Exact): Exact {
  return {
    negative: a.negative !== b.negative,
    significand: a.significand * b.significand,
    exponent: a.exponent + b.exponent,
  };
}

/** Adds two exact values and rounds; an exact zero takes its sign from the rounding mode. */
function roundSum(format: FloatFormat, env: FloatEnvironment, a: Exact, b: Exact): bigint {
  const left = absorb(a, b);
  const right = absorb(b, a);
  const exponent = Math.min(left.exponent, right.exponent);
  const sum = signedSignificandAt(left, exponent) + signedSignificandAt(right, exponent);
  if (sum === 0n) return zero(format, env.rounding === Rounding.RDN);
  return roundAndPack(format, env, { negative: sum < 0n, significand: sum < 0n ? -sum : sum, exponent });
}

function signedSignificandAt({ negative, significand, exponent }: Exact, target: number): bigint {
  const scaled = significand << BigInt(exponent - target);
  return negative ? -scaled : scaled;
}

/**
 * `value`, or a single bit in its stead when it lies so far below every bit of `other` that only its sign can
 * matter to the rounded sum. That keeps a sum of far-apart exponents short.
 */
function absorb(value: Exact, other: Exact): Exact {
  // Beyond any format's precision with its guard bits.
  const distance = 136;
  if (value.exponent + bitLength(value.significand) > other.exponent - distance) return value;
  return { negative: value.negative, significand: 1n, exponent: other.exponent - distance };
}

/** The integer part of the square root, by Newton's iteration from above. */
function integerSquareRoot(value: bigint): bigint {
  let root = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
