// 64-bit words without BigInt: a pair of int32 halves, arithmetic modulo 2^64.
//
//     63            32 31             0
//    +----------------+----------------+
//    |       hi       |       lo       |     value = hi * 2^32 + (lo >>> 0)
//    +----------------+----------------+
//
// A halves pair is what registers and PTEs are; an address is a plain number instead (a canonical address, sign-extended,
// is exact as one). `toNumber` is exact for values in [-2^53, 2^53].

/** A 64-bit word. Both halves are int32. */
export interface Word64 {
  readonly hi: number;
  readonly lo: number;
}

const TWO_32 = 4294967296;

export const ZERO64: Word64 = { hi: 0, lo: 0 };

/** The word with the given halves; each may be any integer and is taken modulo 2^32. */
export function word64(hi: number, lo: number): Word64 {
  return { hi: hi | 0, lo: lo | 0 };
}

/** The word of an integer in [-2^63, 2^64), modulo 2^64. */
export function fromNumber(n: number): Word64 {
  return { hi: Math.floor(n / TWO_32) | 0, lo: n | 0 };
}

/** The high half of an integer's word; with `n | 0` for the low half this is `fromNumber` without the object. */
export function highHalf(n: number): number {
  return Math.floor(n / TWO_32) | 0;
}

/** The signed value, rounded to the nearest double beyond 2^53. */
export function toNumber(hi: number, lo: number): number {
  return hi * TWO_32 + (lo >>> 0);
}

/** The unsigned value, rounded to the nearest double beyond 2^53. */
export function toUnsignedNumber(hi: number, lo: number): number {
  return (hi >>> 0) * TWO_32 + (lo >>> 0);
}

export function add(a: Word64, b: Word64): Word64 {
  const low = (a.lo >>> 0) + (b.lo >>> 0);
  return { hi: (a.hi + b.hi + (low >= TWO_32 ? 1 : 0)) | 0, lo: low | 0 };
}

export function sub(a: Word64, b: Word64): Word64 {
  const borrow = a.lo >>> 0 < b.lo >>> 0 ? 1 : 0;
  return { hi: (a.hi - b.hi - borrow) | 0, lo: (a.lo - b.lo) | 0 };
}

export function negate(a: Word64): Word64 {
  return sub(ZERO64, a);
}

export function and(a: Word64, b: Word64): Word64 {
  return { hi: a.hi & b.hi, lo: a.lo & b.lo };
}

export function or(a: Word64, b: Word64): Word64 {
  return { hi: a.hi | b.hi, lo: a.lo | b.lo };
}

export function xor(a: Word64, b: Word64): Word64 {
  return { hi: a.hi ^ b.hi, lo: a.lo ^ b.lo };
}

export function not(a: Word64): Word64 {
  return { hi: ~a.hi, lo: ~a.lo };
}

export function equal(a: Word64, b: Word64): boolean {
  return a.hi === b.hi && a.lo === b.lo;
}

/** Negative, zero or positive as `a` is below, equal to or above `b`, as signed words. */
export function compareSigned(a: Word64, b: Word64): number {
  return a.hi !== b.hi ? (a.hi < b.hi ? -1 : 1) : compareHalves(a.lo, b.lo);
}

/** Negative, zero or positive as `a` is below, equal to or above `b`, as unsigned words. */
export function compareUnsigned(a: Word64, b: Word64): number {
  return a.hi !== b.hi ? compareHalves(a.hi, b.hi) : compareHalves(a.lo, b.lo);
}

/** `a << (amount mod 64)`. */
export function shiftLeft(a: Word64, amount: number): Word64 {
  const by = amount & 63;
  if (by === 0) return a;
  if (by >= 32) return { hi: a.lo << (by - 32), lo: 0 };
  return { hi: (a.hi << by) | (a.lo >>> (32 - by)), lo: a.lo << by };
}

/** `a >> (amount mod 64)`, filling with zeros. */
export function shiftRightLogical(a: Word64, amount: number): Word64 {
  const by = amount & 63;
  if (by === 0) return a;
  if (by >= 32) return { hi: 0, lo: (a.hi >>> (by - 32)) | 0 };
  return { hi: (a.hi >>> by) | 0, lo: (a.lo >>> by) | (a.hi << (32 - by)) };
}

/** `a >> (amount mod 64)`, filling with the sign. */
export function shiftRightArithmetic(a: Word64, amount: number): Word64 {
  const by = amount & 63;
  if (by === 0) return a;
  if (by >= 32) return { hi: a.hi >> 31, lo: a.hi >> (by - 32) };
  return { hi: a.hi >> by, lo: (a.lo >>> by) | (a.hi << (32 - by)) };
}

/** Eight lower-case hexadecimal digits of the word's 32 bits, no prefix. */
export function hex32(lo: number): string {
  return (lo >>> 0).toString(16).padStart(8, "0");
}

/** Sixteen lower-case hexadecimal digits, no prefix. */
export function hex64(hi: number, lo: number): string {
  return hex32(hi) + hex32(lo);
}

/** A sign-extended address (or any integer in [-2^63, 2^64)) as sixteen hexadecimal digits, no prefix. */
export function hexNumber64(n: number): string {
  return hex64(highHalf(n), n | 0);
}

/**
 * Reads an integer literal: decimal, `0x`, `0o`, `0b`, with an optional sign and `_` separators.
 * Undefined if it is malformed, or outside [-2^63, 2^64).
 */
export function parse64(text: string): Word64 | undefined {
  const match = /^([+-]?)(0x[0-9a-f_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*)$/i.exec(text);
  const sign = match?.[1];
  const literal = match?.[2]?.replaceAll("_", "").toLowerCase();
  if (sign === undefined || literal === undefined) return undefined;
  const radix = literal.startsWith("0x") ? 16 : literal.startsWith("0o") ? 8 : literal.startsWith("0b") ? 2 : 10;
  const digits = radix === 10 ? literal : literal.slice(2);
  if (digits === "") return undefined;
  // Four 16-bit limbs, least significant first: a limb times a radix plus a carry stays far below 2^53.
  const limbs = [0, 0, 0, 0];
  for (const digit of digits) {
    let carry = Number.parseInt(digit, radix);
    for (let i = 0; i < 4; i++) {
      const next: number = (limbs[i] ?? 0) * radix + carry;
      limbs[i] = next & 0xffff;
      carry = next >>> 16;
    }
    if (carry !== 0) return undefined;
  }
  const magnitude = word64(((limbs[3] ?? 0) << 16) | (limbs[2] ?? 0), ((limbs[1] ?? 0) << 16) | (limbs[0] ?? 0));
  if (sign !== "-") return magnitude;
  const isBelowMinimum = compareUnsigned(magnitude, { hi: -2147483648, lo: 0 }) > 0;
  return isBelowMinimum ? undefined : negate(magnitude);
}

function compareHalves(a: number, b: number): number {
  return a === b ? 0 : a >>> 0 < b >>> 0 ? -1 : 1;
}
