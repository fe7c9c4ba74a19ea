// Between double-extended numbers and the narrower formats in memory: binary32, binary64, packed decimal.
//
// Intel SDM volume 1, 4.2 and 4.7 (formats); volume 2, FLD, FST, FBLD, FBSTP.

import { type Word64, word64 } from "../../lib/word64.ts";
import { fromMagnitude, toMagnitude } from "./extended-arithmetic.ts";
import {
  BIAS,
  Exception,
  type Extended,
  type ExtendedEnvironment,
  INTEGER_BIT,
  isNegative,
  isNormal,
  isSignaling,
  kindOf,
  roundToShape,
  roundWideToInteger,
  SIGN,
  significandOf,
  SPECIAL,
  unpack,
  wideSignificand,
  withSignificand,
} from "./extended.ts";
import { BINARY32, BINARY64, type FloatFormat } from "./format.ts";
import { normalizeWide, setWide, shiftWideRight, wide } from "./wide.ts";

const SINGLE_BIAS = 127;
const DOUBLE_BIAS = 1023;

/** A number in binary32. A signaling NaN stays one. */
export function fromSingle(bits: number): Extended {
  return fromFields(bits, (bits >>> 23) & 0xff, 0xff, (bits << 8) & 0x7fffffff, 0, SINGLE_BIAS);
}

/** A number in binary64. */
export function fromDouble(hi: number, lo: number): Extended {
  const high = ((hi << 11) & 0x7fffffff) | (lo >>> 21);
  return fromFields(hi, (hi >>> 20) & 0x7ff, 0x7ff, high, (lo << 11) >>> 0, DOUBLE_BIAS);
}

/** Whether a number in binary32 or binary64 is denormal, which its double-extended form does not show. */
export function isDenormalSingle(bits: number): boolean {
  return (bits & 0x7f800000) === 0 && (bits & 0x7fffff) !== 0;
}

export function isDenormalDouble(hi: number, lo: number): boolean {
  return (hi & 0x7ff00000) === 0 && ((hi & 0xfffff) | lo) !== 0;
}

/** `high` and `low` are the fraction below where the integer bit is. */
function fromFields(signed: number, field: number, special: number, high: number, low: number, bias: number): Extended {
  const sign = signed < 0 ? SIGN : 0;
  if (field === special) return { head: sign | SPECIAL, high: high + INTEGER_BIT, low };
  if (field !== 0) return { head: sign | (field - bias + BIAS), high: high + INTEGER_BIT, low };
  if ((high | low) === 0) return { head: sign, high: 0, low: 0 };
  setWide(high, low, 0);
  const exponent = 1 - bias - normalizeWide();
  return { head: sign | (exponent + BIAS), high: wide.high, low: wide.low };
}

/**
 * A number rounded to binary32, which has no exponent to spare for an unmasked overflow or underflow. A denormal operand is no
 * exception here.
 */
export function toSingle(env: ExtendedEnvironment, value: Extended): number {
  const field = (value.head & SPECIAL) - BIAS + SINGLE_BIAS;
  // A carry must not overflow.
  if (!isNormal(value) || field < 1 || field > 253) return Number(toBinary(env, BINARY32, value)) | 0;
  const negative = isNegative(value);
  setWide(value.high, value.low, 0);
  shiftWideRight(40);
  roundWideToInteger(env, negative);
  // The hidden bit adds one to the exponent field.
  return (negative ? 0x80000000 : 0) | (((field - 1) << 23) + wide.low);
}

/** As `toSingle`, for binary64. */
export function toDouble(env: ExtendedEnvironment, value: Extended): Word64 {
  const field = (value.head & SPECIAL) - BIAS + DOUBLE_BIAS;
  if (!isNormal(value) || field < 1 || field > 2045) {
    const { high, low } = withSignificand(0, toBinary(env, BINARY64, value));
    return word64(high, low);
  }
  const negative = isNegative(value);
  setWide(value.high, value.low, 0);
  shiftWideRight(11);
  roundWideToInteger(env, negative);
  return word64((negative ? 0x80000000 : 0) | (((field - 1) << 20) + wide.high), wide.low);
}

function toBinary(env: ExtendedEnvironment, format: FloatFormat, value: Extended): bigint {
  const sign = isNegative(value) ? format.signBit : 0n;
  switch (kindOf(value)) {
    case "zero":
      return sign;
    case "infinity":
      return sign | format.infinity;
    case "unsupported":
      env.flags |= Exception.invalid;
      return format.signBit | format.canonicalNaN;
    case "nan": {
      if (isSignaling(value)) env.flags |= Exception.invalid;
      const fraction = (significandOf(value) >> BigInt(63 - format.fractionBits)) & format.fractionMask;
      return sign | format.canonicalNaN | fraction;
    }
    default: {
      const rounded = roundToShape(env, unpack(value), format, 0);
      if (rounded.isInfinite) return sign | format.infinity;
      const field = rounded.exponent - (format.minExponent - format.fractionBits);
      return sign | ((BigInt(field) << BigInt(format.fractionBits)) + rounded.significand);
    }
  }
}

const DECIMAL_DIGITS = 18;
const DECIMAL_LIMIT = 10n ** BigInt(DECIMAL_DIGITS);
/** "Packed decimal indefinite", 80 bits. */
export const DECIMAL_INDEFINITE = 0xffffc000000000000000n;

/** A packed decimal: a sign in bit 79, 18 digits. Digits above nine count as the sum that they stand for. */
export function fromDecimal(bits: bigint): Extended {
  let size = 0n;
  for (let digit = DECIMAL_DIGITS - 1; digit >= 0; digit--) size = size * 10n + ((bits >> BigInt(digit * 4)) & 15n);
  const { high, low } = withSignificand(0, size);
  return fromMagnitude(bits >> 79n !== 0n, high, low);
}

/** The nearest integer as a packed decimal. */
export function toDecimal(env: ExtendedEnvironment, value: Extended): bigint {
  if (!toMagnitude(env, value)) return DECIMAL_INDEFINITE;
  const size = wideSignificand();
  if (size >= DECIMAL_LIMIT) {
    env.flags = Exception.invalid;
    env.isRoundedUp = false;
    return DECIMAL_INDEFINITE;
  }
  const digits = BigInt(`0x${size.toString()}`);
  return isNegative(value) ? digits | (1n << 79n) : digits;
}
