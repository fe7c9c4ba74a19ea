// Between double-extended numbers and the narrower formats in memory: binary32, binary64, packed decimal.
//
// Intel SDM volume 1, 4.2 and 4.7 (formats); volume 2, FLD, FST, FBLD, FBSTP.

import {
  BIAS,
  Exception,
  type Extended,
  type ExtendedEnvironment,
  INTEGER_BIT,
  isNegative,
  isSignaling,
  kindOf,
  roundToShape,
  SIGN,
  SPECIAL,
  unpack,
} from "./extended.ts";
import { fromInteger, toInteger } from "./extended-arithmetic.ts";
import { bitLength, type FloatFormat } from "./format.ts";

/** Whether a number of `format` is denormal, which `fromBinary` does not let be seen. */
export function isDenormalBinary(format: FloatFormat, bits: bigint): boolean {
  return (bits & format.infinity) === 0n && (bits & format.fractionMask) !== 0n;
}

/** A number of `format`. A signaling NaN stays one. */
export function fromBinary(format: FloatFormat, bits: bigint): Extended {
  const sign = (bits & format.signBit) === 0n ? 0 : SIGN;
  const fraction = bits & format.fractionMask;
  const biased = Number((bits & format.infinity) >> BigInt(format.fractionBits));
  const toTop = BigInt(63 - format.fractionBits);
  if (biased === format.maxExponent * 2 + 1) {
    return { head: sign | SPECIAL, significand: INTEGER_BIT | (fraction << toTop) };
  }
  if (biased !== 0) {
    return { head: sign | (biased - format.maxExponent + BIAS), significand: INTEGER_BIT | (fraction << toTop) };
  }
  if (fraction === 0n) return { head: sign, significand: 0n };
  const length = bitLength(fraction);
  const exponent = format.minExponent - format.fractionBits + length - 1;
  return { head: sign | (exponent + BIAS), significand: fraction << BigInt(64 - length) };
}

/**
 * A number rounded to `format`, which has no exponent to spare for an unmasked overflow or underflow. A denormal operand is no
 * exception here.
 */
export function toBinary(env: ExtendedEnvironment, format: FloatFormat, value: Extended): bigint {
  const sign = isNegative(value) ? format.signBit : 0n;
  const kind = kindOf(value);
  switch (kind) {
    case "zero":
      return sign;
    case "infinity":
      return sign | format.infinity;
    case "unsupported":
      env.flags |= Exception.invalid;
      return format.signBit | format.canonicalNaN;
    case "nan": {
      if (isSignaling(value)) env.flags |= Exception.invalid;
      const fraction = (value.significand >> BigInt(63 - format.fractionBits)) & format.fractionMask;
      return sign | format.canonicalNaN | fraction;
    }
    default: {
      const rounded = roundToShape(env, unpack(value), format, 0);
      if (rounded.isInfinite) return sign | format.infinity;
      // The hidden bit of a normal number adds one to the exponent field.
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
  const { head, significand } = fromInteger(size);
  return { head: head | (bits >> 79n === 0n ? 0 : SIGN), significand };
}

/** The nearest integer as a packed decimal. */
export function toDecimal(env: ExtendedEnvironment, value: Extended): bigint {
  const integer = toInteger(env, value, DECIMAL_LIMIT, "symmetric");
  if (integer === undefined) return DECIMAL_INDEFINITE;
  const digits = BigInt(`0x${(integer < 0n ? -integer : integer).toString()}`);
  return isNegative(value) ? digits | (1n << 79n) : digits;
}
