// The double-extended format of x87, its exceptions, and the one place that rounds to it.
//
//      79 78          64 63 62                                0
//     +--+--------------+--+-----------------------------------+
//     |s | exponent     |J | fraction                          |   the integer bit J is stored
//     +--+--------------+--+-----------------------------------+
//      `head`: 16 bits    significand: 64 bits, as `high` and `low`
//
//     exponent   J  fraction      kind                          exponent      J  fraction      kind
//     0          0  0             zero                          1 … 0x7ffe    1  any           normal
//     0          0  not 0         denormal                      1 … 0x7ffe    0  any           unsupported (unnormal)
//     0          1  any           denormal (pseudo-denormal)    0x7fff        1  0             infinity
//     0x7fff     0  any           unsupported                   0x7fff        1  not 0         NaN
//
// Intel SDM volume 1, 4.8 (formats, NaNs), 8.2.2 (unsupported encodings) and 8.5 (exceptions). Differences from IEEE 754 as RISC-V
// has it: an operand that is denormal is an exception of its own; of two NaNs one is the result; the precision can be less than
// the format's while the range stays; what an unmasked overflow or underflow gives is scaled by 2^24576 into range.
//
// Results of 64 bits that are well within range are rounded in plain numbers (wide.ts); all others exactly, with BigInt.

import { bitLength, type Exact, Rounding, roundedShift } from "./format.ts";
import { addToWide, wide } from "./wide.ts";

/** The exceptions, as the low bits of the x87 status and control words have them. */
export const Exception = {
  invalid: 1,
  denormal: 2,
  zeroDivide: 4,
  overflow: 8,
  underflow: 16,
  inexact: 32,
} as const;

/** Exceptions that are known before anything is computed: unmasked, they leave the operands as they are. */
export const BEFORE_COMPUTATION = Exception.invalid | Exception.denormal | Exception.zeroDivide;

/** What an operation reads and accrues. */
export interface ExtendedEnvironment {
  rounding: Rounding;
  /** Bits that results of add, subtract, multiply, divide and square root are rounded to: 24, 53 or 64. */
  precision: number;
  /** The exceptions that are not masked. */
  unmasked: number;
  flags: number;
  /** Whether rounding made the result greater in magnitude: C1 of the status word. */
  isRoundedUp: boolean;
}

/** A number as a register holds it. */
export interface Extended {
  /** Sign (bit 15) and biased exponent. */
  readonly head: number;
  /** The halves of the significand, unsigned. */
  readonly high: number;
  readonly low: number;
}

export type Kind = "zero" | "denormal" | "normal" | "infinity" | "nan" | "unsupported";

/** What results are rounded to: the precision, and the exponents of the smallest and greatest normal numbers. */
export interface Shape {
  readonly precision: number;
  readonly minExponent: number;
  readonly maxExponent: number;
}

export const BIAS = 16383;
export const SIGN = 0x8000;
/** The greatest biased exponent: infinity and NaN. */
export const SPECIAL = 0x7fff;
/** In `high`. */
export const INTEGER_BIT = 0x80000000;
const QUIET_BIT = 0x40000000;
const MIN_EXPONENT = -16382;
const MAX_EXPONENT = 16383;
/** What unmasked overflow and underflow move the exponent by. SDM volume 1, 8.5.4 and 8.5.5. */
const EXPONENT_WRAP = 24576;

/** "Real indefinite": the result of an invalid operation. */
export const INDEFINITE: Extended = { head: SIGN | SPECIAL, high: INTEGER_BIT + QUIET_BIT, low: 0 };
export const ONE: Extended = { head: BIAS, high: INTEGER_BIT, low: 0 };

/** Two words and a BigInt of their 64 bits. */
const halves = new Uint32Array(2);
const whole = new BigUint64Array(halves.buffer);

export function withSignificand(head: number, significand: bigint): Extended {
  whole[0] = significand;
  return { head, high: halves[1] ?? 0, low: halves[0] ?? 0 };
}

export function significandOf({ high, low }: Extended): bigint {
  halves[0] = low;
  halves[1] = high;
  return whole[0] ?? 0n;
}

export function kindOf({ head, high, low }: Extended): Kind {
  const exponent = head & SPECIAL;
  if (exponent === 0) return (high | low) === 0 ? "zero" : "denormal";
  if (high < INTEGER_BIT) return "unsupported";
  if (exponent !== SPECIAL) return "normal";
  return high === INTEGER_BIT && low === 0 ? "infinity" : "nan";
}

/** Whether `kindOf` is "normal": asked first, for the common case. */
export function isNormal({ head, high }: Extended): boolean {
  const exponent = head & SPECIAL;
  return exponent !== 0 && exponent !== SPECIAL && high >= INTEGER_BIT;
}

export function isNegative(value: Extended): boolean {
  return (value.head & SIGN) !== 0;
}

/** `value` has kind "nan". */
export function isSignaling(value: Extended): boolean {
  return (value.high & QUIET_BIT) === 0;
}

export function zero(negative: boolean): Extended {
  return { head: negative ? SIGN : 0, high: 0, low: 0 };
}

export function infinity(negative: boolean): Extended {
  return { head: negative ? SIGN | SPECIAL : SPECIAL, high: INTEGER_BIT, low: 0 };
}

export function negate({ head, high, low }: Extended): Extended {
  return { head: head ^ SIGN, high, low };
}

/** Takes a denormal or normal number apart. */
export function unpack(value: Extended): Exact {
  const exponent = value.head & SPECIAL;
  return {
    negative: isNegative(value),
    significand: significandOf(value),
    exponent: (exponent === 0 ? 1 : exponent) - BIAS - 63,
  };
}

/** Negative, zero or positive, as the significand of `a` is less, equal or greater. */
export function compareSignificands(a: Extended, b: Extended): number {
  return a.high === b.high ? a.low - b.low : a.high - b.high;
}

export function invalid(env: ExtendedEnvironment): Extended {
  env.flags |= Exception.invalid;
  return INDEFINITE;
}

/** Accrues the exception if the operand is denormal. */
export function noteDenormal(env: ExtendedEnvironment, kind: Kind): void {
  if (kind === "denormal") env.flags |= Exception.denormal;
}

/**
 * The result where an operand is a NaN or unsupported; undefined where none is. SDM volume 1, table 4-7: a quiet NaN goes before a
 * signaling one, else the greater significand, else the positive one.
 */
export function propagate(env: ExtendedEnvironment, a: Extended, b: Extended): Extended | undefined {
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  if (kindA === "unsupported" || kindB === "unsupported") return invalid(env);
  if (kindA !== "nan") return kindB === "nan" ? quiet(env, b) : undefined;
  if (kindB !== "nan") return quiet(env, a);
  const [quietA, quietB] = [quiet(env, a), quiet(env, b)];
  if (isSignaling(a) !== isSignaling(b)) return isSignaling(a) ? quietB : quietA;
  const order = compareSignificands(quietA, quietB);
  if (order !== 0) return order > 0 ? quietA : quietB;
  return isNegative(a) ? quietB : quietA;
}

/** As `propagate`, for one operand. */
export function propagateOne(env: ExtendedEnvironment, a: Extended): Extended | undefined {
  const kind = kindOf(a);
  if (kind === "unsupported") return invalid(env);
  return kind === "nan" ? quiet(env, a) : undefined;
}

function quiet(env: ExtendedEnvironment, value: Extended): Extended {
  if (!isSignaling(value)) return value;
  env.flags |= Exception.invalid;
  return { head: value.head, high: value.high + QUIET_BIT, low: value.low };
}

/** A rounded magnitude: `significand * 2^exponent`; the significand has `precision` bits, fewer if it is denormal or 0. */
interface Rounded {
  readonly significand: bigint;
  readonly exponent: number;
  readonly isInfinite: boolean;
}

/**
 * Rounds to the environment's precision, or to the given one.
 *
 * A caller that only has a truncated value passes its lowest bit as "something was lost": exact enough when the significand has at
 * least 66 bits.
 */
export function roundExtended(env: ExtendedEnvironment, value: Exact, precision = env.precision): Extended {
  const shape = { precision, minExponent: MIN_EXPONENT, maxExponent: MAX_EXPONENT };
  const { significand, exponent, isInfinite } = roundToShape(env, value, shape, EXPONENT_WRAP);
  if (isInfinite) return infinity(value.negative);
  if (significand === 0n) return zero(value.negative);
  const sign = value.negative ? SIGN : 0;
  const aligned = withSignificand(sign, significand << BigInt(64 - precision));
  return aligned.high < INTEGER_BIT ? aligned : { ...aligned, head: sign | (exponent + precision - 1 + BIAS) };
}

/** Rounds what is in the accumulator, with its top bit set, to the environment's precision; `biased` is its exponent. */
export function roundWide(env: ExtendedEnvironment, negative: boolean, biased: number): Extended {
  // A carry must not overflow.
  if (env.precision !== 64 || biased <= 0 || biased >= SPECIAL - 1) {
    const lowest = (BigInt(wide.rest) << 1n) | BigInt(wide.sticky);
    const significand = (wideSignificand() << 33n) | lowest;
    return roundExtended(env, { negative, significand, exponent: biased - BIAS - 63 - 33 });
  }
  const sign = negative ? SIGN : 0;
  if (roundWideToInteger(env, negative) !== 0) return { head: sign | (biased + 1), high: INTEGER_BIT, low: 0 };
  return { head: sign | biased, high: wide.high, low: wide.low };
}

/** The upper 64 bits of the accumulator. */
export function wideSignificand(): bigint {
  return significandOf({ head: 0, high: wide.high, low: wide.low });
}

/** Rounds the accumulator to 64 bits, and accrues; returns the carry. */
export function roundWideToInteger(env: ExtendedEnvironment, negative: boolean): number {
  env.isRoundedUp = false;
  if (wide.rest === 0 && wide.sticky === 0) return 0;
  env.flags |= Exception.inexact;
  if (!roundsWideUp(env.rounding, negative)) return 0;
  env.isRoundedUp = true;
  return addToWide(0, 1);
}

/** Whether the inexact magnitude in the accumulator goes to the next significand away from zero. */
function roundsWideUp(rounding: Rounding, negative: boolean): boolean {
  const { low, rest, sticky } = wide;
  switch (rounding) {
    case Rounding.RNE:
      return rest > 0x80000000 || (rest === 0x80000000 && (sticky !== 0 || (low & 1) !== 0));
    case Rounding.RTZ:
      return false;
    case Rounding.RDN:
      return negative;
    case Rounding.RUP:
      return !negative;
    case Rounding.RMM:
      return rest >= 0x80000000;
  }
}

/**
 * Rounds and accrues. Unmasked overflow and underflow scale the result by 2^wrap into range; a result that is out of range even so,
 * as only fscale can make one, becomes infinity or zero. With a wrap of 0 the masked result is given. Tininess is detected after rounding (SDM volume 1, 4.9.1.5): it is an exception where it is not masked, or
 * where the denormal result is inexact.
 */
export function roundToShape(env: ExtendedEnvironment, value: Exact, shape: Shape, wrap: number): Rounded {
  const { precision, minExponent, maxExponent } = shape;
  const length = bitLength(value.significand);
  const unbounded = roundAt(env, value, value.exponent + length - precision);
  let { significand, exponent } = unbounded;
  if (significand >> BigInt(precision) !== 0n) {
    significand >>= 1n;
    exponent++;
  }
  const leading = exponent + precision - 1;
  if (leading > maxExponent) {
    env.flags |= Exception.overflow;
    if ((env.unmasked & Exception.overflow) !== 0 && leading - wrap <= maxExponent) {
      accrue(env, unbounded);
      return { significand, exponent: exponent - wrap, isInfinite: false };
    }
    return overflow(env, value.negative, shape);
  }
  if (leading < minExponent) {
    if ((env.unmasked & Exception.underflow) !== 0) {
      env.flags |= Exception.underflow;
      if (leading + wrap >= minExponent) {
        accrue(env, unbounded);
        return { significand, exponent: exponent + wrap, isInfinite: false };
      }
      if (wrap > 0) {
        env.flags |= Exception.inexact;
        return { significand: 0n, exponent, isInfinite: false };
      }
    }
    const denormal = roundAt(env, value, minExponent - precision + 1);
    if (denormal.isInexact) env.flags |= Exception.underflow;
    accrue(env, denormal);
    return { significand: denormal.significand, exponent: denormal.exponent, isInfinite: false };
  }
  accrue(env, unbounded);
  return { significand, exponent, isInfinite: false };
}

interface AtPlace {
  readonly significand: bigint;
  readonly exponent: number;
  readonly isInexact: boolean;
  readonly isRoundedUp: boolean;
}

/** Rounds to a multiple of 2^place. */
function roundAt({ rounding }: ExtendedEnvironment, value: Exact, place: number): AtPlace {
  const shift = place - value.exponent;
  if (shift <= 0) {
    const significand = value.significand << BigInt(-shift);
    return { significand, exponent: place, isInexact: false, isRoundedUp: false };
  }
  const significand = roundedShift(value.significand, shift, rounding, value.negative);
  const back = significand << BigInt(shift);
  return { significand, exponent: place, isInexact: back !== value.significand, isRoundedUp: back > value.significand };
}

function accrue(env: ExtendedEnvironment, { isInexact, isRoundedUp }: AtPlace): void {
  if (isInexact) env.flags |= Exception.inexact;
  env.isRoundedUp = isRoundedUp;
}

/** Infinity, or the greatest finite number where the mode points the other way and the exception is masked. */
function overflow(env: ExtendedEnvironment, negative: boolean, { precision, maxExponent }: Shape): Rounded {
  env.flags |= Exception.inexact;
  const { rounding, unmasked } = env;
  const isInfinite =
    rounding === Rounding.RNE ||
    rounding === (negative ? Rounding.RDN : Rounding.RUP) ||
    (unmasked & Exception.overflow) !== 0;
  env.isRoundedUp = isInfinite;
  return { significand: (1n << BigInt(precision)) - 1n, exponent: maxExponent - precision + 1, isInfinite };
}
