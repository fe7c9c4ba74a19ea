// Double-extended arithmetic by itself: precision control against the host's doubles, exceptions masked and not, NaNs, and the
// elementary functions against known values and against each other. What processors do is compared in test/oracle.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  compare,
  divide,
  fromInteger,
  multiply,
  remainder,
  roundToIntegral,
  scale,
  squareRoot,
  subtract,
  toInteger,
} from "./extended-arithmetic.ts";
import { DECIMAL_INDEFINITE, fromDecimal, fromDouble, toDecimal, toDouble, toSingle } from "./extended-convert.ts";
import { arctangent, cosine, exponentialLessOne, scaledLogarithm, sine, tangent } from "./extended-elementary.ts";
import {
  Exception,
  type Extended,
  type ExtendedEnvironment,
  INDEFINITE,
  infinity,
  kindOf,
  ONE,
  significandOf,
  withSignificand,
  zero,
} from "./extended.ts";
import { Rounding } from "./format.ts";

const INTEGER_BIT = 1n << 63n;

const environment = (changes: Partial<ExtendedEnvironment> = {}): ExtendedEnvironment => ({
  rounding: Rounding.RNE,
  precision: 64,
  unmasked: 0,
  flags: 0,
  isRoundedUp: false,
  ...changes,
});

const view = new DataView(new ArrayBuffer(8));
function extended(value: number): Extended {
  view.setFloat64(0, value);
  return fromDouble(view.getInt32(0), view.getInt32(4));
}
function numberOf(value: Extended): number {
  const { hi, lo } = toDouble(environment(), value);
  view.setInt32(0, hi);
  view.setInt32(4, lo);
  return view.getFloat64(0);
}

test("kinds, the unsupported ones too", () => {
  const kinds: readonly (readonly [number, bigint, string])[] = [
    [0x8000, 0n, "zero"],
    [0, 1n, "denormal"],
    [0, INTEGER_BIT, "denormal"],
    [1, INTEGER_BIT, "normal"],
    [0x3fff, INTEGER_BIT - 1n, "unsupported"],
    [1, 0n, "unsupported"],
    [0x7fff, 0n, "unsupported"],
    [0x7fff, 1n, "unsupported"],
    [0xffff, INTEGER_BIT, "infinity"],
    [0x7fff, INTEGER_BIT | 1n, "nan"],
  ];
  for (const [head, significand, kind] of kinds) assert.equal(kindOf(withSignificand(head, significand)), kind);
});

test("with a precision of 53 bits results are those of doubles", () => {
  const numbers = [0.1, 1 / 3, -2.5, 1e10, 123456.789, -1e-5, 7, Math.PI, 2 ** 52 + 1, -(2 ** -30) + 1];
  const env = environment({ precision: 53 });
  for (const a of numbers) {
    for (const b of numbers) {
      assert.equal(numberOf(add(env, extended(a), extended(b))), a + b);
      assert.equal(numberOf(subtract(env, extended(a), extended(b))), a - b);
      assert.equal(numberOf(multiply(env, extended(a), extended(b))), a * b);
      assert.equal(numberOf(divide(env, extended(a), extended(b))), a / b);
    }
    if (a > 0) assert.equal(numberOf(squareRoot(env, extended(a))), Math.sqrt(a));
  }
});

test("precision control narrows the significand but not the exponent", () => {
  const third = divide(environment({ precision: 24 }), ONE, extended(3));
  assert.equal(significandOf(third), 0xaaaaab0000000000n);
  const tiny: Extended = withSignificand(100, INTEGER_BIT);
  assert.equal(multiply(environment({ precision: 24 }), tiny, extended(0.5)).head, 99);
});

test("overflow: infinity, the greatest number, or scaled where it is not masked", () => {
  const greatest: Extended = withSignificand(0x7ffe, 2n ** 64n - 1n);
  const masked = environment();
  assert.deepEqual(add(masked, greatest, greatest), infinity(false));
  assert.equal(masked.flags, Exception.overflow | Exception.inexact);
  assert.ok(masked.isRoundedUp);
  assert.deepEqual(add(environment({ rounding: Rounding.RTZ }), greatest, greatest), greatest);
  const unmasked = environment({ unmasked: Exception.overflow });
  assert.deepEqual(add(unmasked, greatest, greatest), { ...greatest, head: 0x7fff - 24576 });
  assert.equal(unmasked.flags, Exception.overflow);
});

test("underflow: where inexact, or where tiny and not masked", () => {
  const least: Extended = withSignificand(1, INTEGER_BIT);
  const exact = environment();
  assert.deepEqual(multiply(exact, least, extended(0.5)), withSignificand(0, INTEGER_BIT >> 1n));
  assert.equal(exact.flags, 0);
  const inexact = environment();
  multiply(inexact, withSignificand(1, INTEGER_BIT | 1n), extended(0.5));
  assert.equal(inexact.flags, Exception.underflow | Exception.inexact);
  const unmasked = environment({ unmasked: Exception.underflow });
  assert.deepEqual(multiply(unmasked, least, extended(0.5)), withSignificand(24576, INTEGER_BIT));
  assert.equal(unmasked.flags, Exception.underflow);
});

test("scaling far out of range ends at infinity and zero", () => {
  assert.deepEqual(scale(environment(), ONE, extended(1e9)), infinity(false));
  assert.deepEqual(scale(environment(), ONE, extended(-1e9)), zero(false));
  assert.deepEqual(scale(environment(), extended(3), extended(2.9)), extended(12));
});

test("of two NaNs the quiet one, or that with the greater significand", () => {
  const quiet: Extended = withSignificand(0x7fff, (3n << 62n) | 5n);
  const signaling: Extended = withSignificand(0xffff, INTEGER_BIT | 9n);
  const env = environment();
  assert.deepEqual(add(env, signaling, quiet), quiet);
  assert.equal(env.flags, Exception.invalid);
  assert.deepEqual(add(env, signaling, ONE), withSignificand(0xffff, (3n << 62n) | 9n));
  const greater = { ...quiet, low: quiet.low + 1 };
  assert.deepEqual(multiply(environment(), quiet, greater), greater);
  assert.deepEqual(subtract(environment(), infinity(true), infinity(true)), INDEFINITE);
});

test("integers and decimals, and what does not fit", () => {
  const toInt32 = (value: number): number | undefined => toInteger(environment(), extended(value), 4)?.lo;
  assert.equal(toInt32(-(2 ** 31) - 0.5), -(2 ** 31));
  assert.equal(toInt32(2 ** 31 - 0.5), undefined);
  assert.equal(toInt32(NaN), undefined);
  assert.equal(toInt32(2.5), 2);
  assert.equal(toDecimal(environment(), extended(-1234)), (1n << 79n) | 0x1234n);
  assert.equal(toDecimal(environment(), extended(1e18)), DECIMAL_INDEFINITE);
  assert.deepEqual(fromDecimal(0x999999999999999999n), fromInteger({ hi: 0xde0b6b3, lo: 0xa763ffff | 0 }));
  assert.deepEqual(fromInteger({ hi: -(2 ** 31), lo: 0 }), withSignificand(0xc03e, INTEGER_BIT));
  assert.deepEqual(roundToIntegral(environment(), extended(-0.5)), zero(true));
});

test("a narrow store of a NaN keeps its upper bits; the exponents of denormals are found", () => {
  const nan: Extended = withSignificand(0xffff, INTEGER_BIT | (1n << 41n));
  assert.equal(toSingle(environment(), nan), 0xffc00002 | 0);
  assert.deepEqual(fromDouble(0, 1), withSignificand(0x3fff - 1074, INTEGER_BIT));
  assert.deepEqual(toDouble(environment(), withSignificand(0x3fff - 1074, INTEGER_BIT)), { hi: 0, lo: 1 });
});

test("remainders: quotient bits, partial reduction, ties to even", () => {
  const seven = remainder(environment(), extended(31), extended(4), Rounding.RTZ);
  assert.deepEqual(seven, { value: extended(3), isPartial: false, quotient: 7 });
  const nearest = remainder(environment(), extended(30), extended(4), Rounding.RNE);
  assert.deepEqual(nearest, { value: extended(-2), isPartial: false, quotient: 0 });
  const far = remainder(environment(), extended(1e300), extended(3), Rounding.RTZ);
  assert.ok(far.isPartial);
});

test("comparisons order pseudo-denormals as numbers", () => {
  const least: Extended = withSignificand(1, INTEGER_BIT);
  assert.equal(compare(environment(), least, { ...least, head: 0 }, "quiet"), "equal");
  assert.equal(compare(environment(), zero(true), zero(false), "quiet"), "equal");
  assert.equal(compare(environment(), extended(-1), extended(-2), "quiet"), "greater");
});

test("elementary functions give the first 64 bits of known values", () => {
  const env = environment();
  // pi, pi / 4, log2(10), sqrt(2) - 1.
  assert.deepEqual(arctangent(env, zero(false), extended(-1)), withSignificand(0x4000, 0xc90fdaa22168c235n));
  assert.deepEqual(arctangent(env, ONE, ONE), withSignificand(0x3ffe, 0xc90fdaa22168c235n));
  assert.deepEqual(scaledLogarithm(env, ONE, extended(10)), withSignificand(0x4000, 0xd49a784bcd1b8afen));
  assert.deepEqual(exponentialLessOne(env, extended(0.5)), withSignificand(0x3ffd, 0xd413cccfe7799211n));
  // sin(1) = 0.841470984807896506652…
  assert.deepEqual(sine(env, ONE), withSignificand(0x3ffe, 0xd76aa47848677021n));
  // The period is that of pi in 66 bits: the sine of pi in 64 bits is a power of two.
  assert.deepEqual(sine(env, withSignificand(0x4000, 0xc90fdaa22168c235n)), withSignificand(0xbfbf, INTEGER_BIT));
});

test("elementary functions agree with the host's in double precision", () => {
  const env = environment();
  const isNear = (actual: Extended, expected: number): void => {
    const value = numberOf(actual);
    assert.ok(Math.abs(value - expected) <= Math.abs(expected) * 1e-15, `${value} for ${expected}`);
  };
  for (const x of [0.7, -0.3, 1e-5, 0.99, -0.001, 2.4, -3.5, 100.25]) {
    isNear(sine(env, extended(x)), Math.sin(x));
    isNear(cosine(env, extended(x)), Math.cos(x));
    isNear(tangent(env, extended(x)), Math.tan(x));
    isNear(arctangent(env, extended(x), ONE), Math.atan(x));
    isNear(arctangent(env, extended(x), extended(-0.2)), Math.atan2(x, -0.2));
    if (Math.abs(x) < 1) isNear(exponentialLessOne(env, extended(x)), Math.expm1(x * Math.LN2));
    if (x > 0) isNear(scaledLogarithm(env, ONE, extended(x)), Math.log2(x));
  }
});
