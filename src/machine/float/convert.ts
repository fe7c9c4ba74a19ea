// Conversions between floating-point formats and integers, on raw bits.
//
// A number outside the integer's range is invalid and gives the nearest end of the range; a NaN gives the upper end
// (RISC-V unprivileged ISA, "Domains of float-to-integer conversions and behavior for invalid inputs"). The range is
// judged after rounding: -0.9 towards zero is 0, inexact, even for an unsigned integer.

import {
  bitLength,
  type FloatEnvironment,
  FloatFlag,
  type FloatFormat,
  infinity,
  isInfinity,
  isNaNBits,
  isNegative,
  isSignalingNaN,
  isZero,
  roundAndPack,
  roundedShift,
  unpack,
  zero,
} from "./format.ts";

/** An integer type as a range. */
export interface IntegerRange {
  readonly min: bigint;
  readonly max: bigint;
}

export const INT32: IntegerRange = { min: -(2n ** 31n), max: 2n ** 31n - 1n };
export const UINT32: IntegerRange = { min: 0n, max: 2n ** 32n - 1n };
export const INT64: IntegerRange = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
export const UINT64: IntegerRange = { min: 0n, max: 2n ** 64n - 1n };

/** The nearest integer under the rounding mode, clamped to `range` with NV when it does not fit. */
export function toInteger(format: FloatFormat, env: FloatEnvironment, bits: bigint, range: IntegerRange): bigint {
  if (isNaNBits(format, bits) || isInfinity(format, bits)) {
    env.flags |= FloatFlag.NV;
    return isInfinity(format, bits) && isNegative(format, bits) ? range.min : range.max;
  }
  if (isZero(format, bits)) return 0n;

  const { negative, significand, exponent } = unpack(format, bits);
  if (exponent + bitLength(significand) > 65) {
    env.flags |= FloatFlag.NV;
    return negative ? range.min : range.max;
  }
  const size =
    exponent >= 0 ? significand << BigInt(exponent) : roundedShift(significand, -exponent, env.rounding, negative);
  const value = negative ? -size : size;
  if (value < range.min || value > range.max) {
    env.flags |= FloatFlag.NV;
    return value < range.min ? range.min : range.max;
  }
  if (exponent < 0 && size << BigInt(-exponent) !== significand) env.flags |= FloatFlag.NX;
  return value;
}

/** The nearest floating-point number to an integer. */
export function fromInteger(format: FloatFormat, env: FloatEnvironment, value: bigint): bigint {
  if (value === 0n) return 0n;
  const negative = value < 0n;
  return roundAndPack(format, env, { negative, significand: negative ? -value : value, exponent: 0 });
}

/** The same number in another format, rounded when that is narrower. */
export function convertFormat(from: FloatFormat, to: FloatFormat, env: FloatEnvironment, bits: bigint): bigint {
  if (isNaNBits(from, bits)) {
    if (isSignalingNaN(from, bits)) env.flags |= FloatFlag.NV;
    return to.canonicalNaN;
  }
  const negative = isNegative(from, bits);
  if (isInfinity(from, bits)) return infinity(to, negative);
  if (isZero(from, bits)) return zero(to, negative);
  return roundAndPack(to, env, unpack(from, bits));
}
