// Binary floating-point formats, and the one place that rounds.
//
//      63 62         52 51                                    0
//     +--+-------------+---------------------------------------+
//     |s | exponent    | fraction                              |   binary64: 11 and 52 bits
//     +--+-------------+---------------------------------------+   binary32: 8 and 23
//
// A finite non-zero number is taken apart into an exact value
//
//     (-1)^negative * significand * 2^exponent          (Exact)
//
// whose significand is an integer of any length. Arithmetic on exact values loses nothing, so each operation
// is "unpack, compute exactly, `roundAndPack`", and all rounding, overflow and underflow rules stand here once
// (IEEE 754-2019, sections 4.3 and 7; RISC-V unprivileged ISA, "F": tininess is detected after rounding).
//
// This is the slow path, taken for the few operations that the inline code does not decide; BigInt is its word.

/** A binary interchange format: its field widths and the constants that follow from them. */
export interface FloatFormat {
  /** Bits of the fraction field. */
  readonly fractionBits: number;
  /** Bits of precision, counting the hidden one. */
  readonly precision: number;
  /** Exponent of the smallest normal number; the bias is `1 - minExponent`. */
  readonly minExponent: number;
  /** Exponent of the largest finite number. */
  readonly maxExponent: number;
  readonly signBit: bigint;
  readonly fractionMask: bigint;
  /** Positive infinity; also the mask of the exponent field. */
  readonly infinity: bigint;
  readonly canonicalNaN: bigint;
}

export function defineFormat(exponentBits: number, fractionBits: number): FloatFormat {
  const fraction = BigInt(fractionBits);
  const maxExponent = 2 ** (exponentBits - 1) - 1;
  const infinity = ((1n << BigInt(exponentBits)) - 1n) << fraction;
  return {
    fractionBits,
    precision: fractionBits + 1,
    minExponent: 1 - maxExponent,
    maxExponent,
    signBit: 1n << (fraction + BigInt(exponentBits)),
    fractionMask: (1n << fraction) - 1n,
    infinity,
    canonicalNaN: infinity | (1n << (fraction - 1n)),
  };
}

export const BINARY32: FloatFormat = defineFormat(8, 23);
export const BINARY64: FloatFormat = defineFormat(11, 52);

/** Rounding modes, numbered as the RISC-V `frm` field. */
export const Rounding = {
  /** To nearest, ties to even. */
  RNE: 0,
  /** Towards zero. */
  RTZ: 1,
  /** Down, towards minus infinity. */
  RDN: 2,
  /** Up, towards plus infinity. */
  RUP: 3,
  /** To nearest, ties away from zero ("max magnitude"). */
  RMM: 4,
} as const;
export type Rounding = (typeof Rounding)[keyof typeof Rounding];

/** Accrued exceptions, numbered as the RISC-V `fflags` field. */
export const FloatFlag = {
  /** Inexact. */
  NX: 1,
  /** Underflow. */
  UF: 2,
  /** Overflow. */
  OF: 4,
  /** Division by zero. */
  DZ: 8,
  /** Invalid operation. */
  NV: 16,
} as const;

/** What an operation reads and accrues: the rounding mode, and flags that are only ever set. */
export interface FloatEnvironment {
  rounding: Rounding;
  flags: number;
}

/** A non-zero finite value: `(-1)^negative * significand * 2^exponent`, with `significand > 0`. */
export interface Exact {
  readonly negative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
}

export function isNegative(format: FloatFormat, bits: bigint): boolean {
  return (bits & format.signBit) !== 0n;
}

export function magnitude(format: FloatFormat, bits: bigint): bigint {
  return bits & (format.signBit - 1n);
}

export function isNaNBits(format: FloatFormat, bits: bigint): boolean {
  return magnitude(format, bits) > format.infinity;
}

/** A NaN whose highest fraction bit is clear: using it as an operand is an invalid operation. */
export function isSignalingNaN(format: FloatFormat, bits: bigint): boolean {
  return isNaNBits(format, bits) && (bits & (1n << BigInt(format.fractionBits - 1))) === 0n;
}

export function isInfinity(format: FloatFormat, bits: bigint): boolean {
  return magnitude(format, bits) === format.infinity;
}

export function isZero(format: FloatFormat, bits: bigint): boolean {
  return magnitude(format, bits) === 0n;
}

/** Zero with the given sign. */
export function zero(format: FloatFormat, negative: boolean): bigint {
  return negative ? format.signBit : 0n;
}

/** Infinity with the given sign. */
export function infinity(format: FloatFormat, negative: boolean): bigint {
  return negative ? format.signBit | format.infinity : format.infinity;
}

/** Takes a finite non-zero number apart. */
export function unpack(format: FloatFormat, bits: bigint): Exact {
  const fraction = bits & format.fractionMask;
  const biased = Number((bits & format.infinity) >> BigInt(format.fractionBits));
  const lowestExponent = format.minExponent - format.fractionBits;
  return {
    negative: isNegative(format, bits),
    significand: biased === 0 ? fraction : fraction | (format.fractionMask + 1n),
    exponent: biased === 0 ? lowestExponent : lowestExponent + biased - 1,
  };
}

/** The number of bits of a positive integer. */
export function bitLength(value: bigint): number {
  const hex = value.toString(16);
  return hex.length * 4 - Math.clz32(parseInt(hex.charAt(0), 16)) + 28;
}

/** `value / 2^shift` rounded to an integer; `shift` is positive. */
export function roundedShift(value: bigint, shift: number, rounding: Rounding, negative: boolean): bigint {
  const quotient = value >> BigInt(shift);
  const remainder = value - (quotient << BigInt(shift));
  if (remainder === 0n) return quotient;
  const half = 1n << BigInt(shift - 1);
  return roundsAway(quotient, remainder - half, rounding, negative) ? quotient + 1n : quotient;
}

/** Whether an inexact quotient goes to the next integer away from zero; `beyondHalf` is the remainder less one half. */
function roundsAway(quotient: bigint, beyondHalf: bigint, rounding: Rounding, negative: boolean): boolean {
  switch (rounding) {
    case Rounding.RNE:
      return beyondHalf > 0n || (beyondHalf === 0n && (quotient & 1n) === 1n);
    case Rounding.RTZ:
      return false;
    case Rounding.RDN:
      return negative;
    case Rounding.RUP:
      return !negative;
    case Rounding.RMM:
      return beyondHalf >= 0n;
  }
}

/**
 * Rounds an exact value into `format`, accruing NX, UF and OF.
 *
 * A caller that only has a truncated value passes its lowest bit as "something non-zero was lost"; that is exact
 * enough when the significand has at least `precision + 2` bits.
 */
export function roundAndPack(format: FloatFormat, env: FloatEnvironment, value: Exact): bigint {
  const { negative, significand, exponent } = value;
  const { rounding } = env;
  const leading = exponent + bitLength(significand) - 1;
  const scale = Math.max(leading, format.minExponent);
  // The place of the result's last bit, counted from the place of the significand's.
  const shift = scale - format.fractionBits - exponent;
  const sign = zero(format, negative);

  let rounded: bigint;
  if (shift <= 0) {
    rounded = significand << BigInt(-shift);
  } else {
    rounded = roundedShift(significand, shift, rounding, negative);
    if (rounded << BigInt(shift) !== significand) {
      env.flags |= FloatFlag.NX;
      if (leading < format.minExponent && isTinyAfterRounding(format, rounding, value, leading))
        env.flags |= FloatFlag.UF;
    }
  }

  // The hidden bit adds one to the exponent field; so does a carry out of the fraction. Both are just what is wanted.
  const bits = (BigInt(scale - format.minExponent) << BigInt(format.fractionBits)) + rounded;
  if (bits < format.infinity) return sign | bits;

  env.flags |= FloatFlag.OF | FloatFlag.NX;
  const toInfinity =
    rounding === Rounding.RNE || rounding === Rounding.RMM || rounding === (negative ? Rounding.RDN : Rounding.RUP);
  return sign | (toInfinity ? format.infinity : format.infinity - 1n);
}

/** Whether a value below the normal range stays there when rounded to full precision with an unbounded exponent. */
function isTinyAfterRounding(format: FloatFormat, rounding: Rounding, value: Exact, leading: number): boolean {
  if (leading < format.minExponent - 1) return true;
  const shift = leading - format.fractionBits - value.exponent;
  if (shift <= 0) return true;
  return roundedShift(value.significand, shift, rounding, value.negative) <= (1n << BigInt(format.precision)) - 1n;
}
