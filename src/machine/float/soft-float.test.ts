// Soft-float against the host's own doubles (round to nearest), against neighbours (directed modes), and against
// the corner cases that the RISC-V manual spells out. The qemu oracle in test/oracle covers every mode and flag.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { convertFormat, fromInteger, INT32, INT64, toInteger, UINT32, UINT64 } from "./convert.ts";
import {
  add,
  BINARY32,
  BINARY64,
  classify,
  divide,
  type FloatEnvironment,
  FloatFlag,
  type FloatFormat,
  fusedMultiplyAdd,
  isEqual,
  isLess,
  isLessOrEqual,
  maximum,
  minimum,
  multiply,
  Rounding,
  squareRoot,
  subtract,
} from "./soft-float.ts";

const view = new DataView(new ArrayBuffer(8));
const bitsOf = (value: number): bigint => (view.setFloat64(0, value), view.getBigUint64(0));
const valueOf = (bits: bigint): number => (view.setBigUint64(0, bits), view.getFloat64(0));
const bitsOf32 = (value: number): bigint => (view.setFloat32(0, value), BigInt(view.getUint32(0)));
const valueOf32 = (bits: bigint): number => (view.setUint32(0, Number(bits)), view.getFloat32(0));

const environment = (rounding: Rounding = Rounding.RNE): FloatEnvironment => ({ rounding, flags: 0 });

/** Raw bits of a format, with exponents and fractions at their ends far more often than chance has it. */
function rawBits(format: FloatFormat): fc.Arbitrary<bigint> {
  const width = format === BINARY64 ? 64n : 32n;
  const exponents = Number(format.infinity >> BigInt(format.fractionBits));
  const bias = format.maxExponent;
  const exponent = fc.oneof(
    fc.integer({ min: 0, max: exponents }),
    fc.integer({ min: bias - 60, max: bias + 60 }),
    fc.constantFrom(0, 1, 2, bias - 1, bias, bias + 1, exponents - 1, exponents),
  );
  const fraction = fc.oneof(
    fc.bigInt({ min: 0n, max: format.fractionMask }),
    fc.constantFrom(0n, 1n, 2n, format.fractionMask, format.fractionMask - 1n, (format.fractionMask + 1n) >> 1n),
    fc.nat(format.fractionBits - 1).map((shift) => 1n << BigInt(shift)),
  );
  return fc
    .tuple(fc.boolean(), exponent, fraction)
    .map(([sign, e, f]) =>
      BigInt.asUintN(Number(width), (sign ? format.signBit : 0n) | (BigInt(e) << BigInt(format.fractionBits)) | f),
    );
}

const runs = { numRuns: 3000 };
const canonical64 = (value: number): bigint => (Number.isNaN(value) ? BINARY64.canonicalNaN : bitsOf(value));
const canonical32 = (value: number): bigint => (Number.isNaN(value) ? BINARY32.canonicalNaN : bitsOf32(value));

test("binary64 arithmetic equals the host's under round-to-nearest", () => {
  fc.assert(
    fc.property(rawBits(BINARY64), rawBits(BINARY64), (a, b) => {
      const [x, y] = [valueOf(a), valueOf(b)];
      assert.equal(add(BINARY64, environment(), a, b), canonical64(x + y));
      assert.equal(subtract(BINARY64, environment(), a, b), canonical64(x - y));
      assert.equal(multiply(BINARY64, environment(), a, b), canonical64(x * y));
      assert.equal(divide(BINARY64, environment(), a, b), canonical64(x / y));
      assert.equal(squareRoot(BINARY64, environment(), a), canonical64(Math.sqrt(x)));
      assert.equal(isEqual(BINARY64, environment(), a, b), x === y);
      assert.equal(isLess(BINARY64, environment(), a, b), x < y);
      assert.equal(isLessOrEqual(BINARY64, environment(), a, b), x <= y);
      if (!Number.isNaN(x) && !Number.isNaN(y)) {
        assert.equal(minimum(BINARY64, environment(), a, b), bitsOf(Math.min(x, y)));
        assert.equal(maximum(BINARY64, environment(), a, b), bitsOf(Math.max(x, y)));
      }
    }),
    runs,
  );
});

test("binary32 arithmetic equals the host's rounded to single", () => {
  fc.assert(
    fc.property(rawBits(BINARY32), rawBits(BINARY32), (a, b) => {
      const [x, y] = [valueOf32(a), valueOf32(b)];
      assert.equal(add(BINARY32, environment(), a, b), canonical32(x + y));
      assert.equal(subtract(BINARY32, environment(), a, b), canonical32(x - y));
      assert.equal(multiply(BINARY32, environment(), a, b), canonical32(x * y));
      assert.equal(divide(BINARY32, environment(), a, b), canonical32(x / y));
      assert.equal(squareRoot(BINARY32, environment(), a), canonical32(Math.sqrt(x)));
    }),
    runs,
  );
});

test("formats and integers convert as the host converts", () => {
  fc.assert(
    fc.property(
      rawBits(BINARY64),
      rawBits(BINARY32),
      fc.bigInt({ min: INT64.min, max: UINT64.max }),
      (wide, narrow, integer) => {
        assert.equal(convertFormat(BINARY64, BINARY32, environment(), wide), canonical32(valueOf(wide)));
        assert.equal(convertFormat(BINARY32, BINARY64, environment(), narrow), canonical64(valueOf32(narrow)));
        assert.equal(fromInteger(BINARY64, environment(), integer), bitsOf(Number(integer)));
        const truncated = Math.trunc(valueOf(wide));
        if (Math.abs(truncated) < 2 ** 63) {
          assert.equal(toInteger(BINARY64, environment(Rounding.RTZ), wide, INT64), BigInt(truncated));
        }
      },
    ),
    runs,
  );
});

test("directed modes bracket the exact result one unit apart, and agree when it is exact", () => {
  const operations = [add, subtract, multiply, divide];
  fc.assert(
    fc.property(rawBits(BINARY64), rawBits(BINARY64), fc.constantFrom(...operations), (a, b, operate) => {
      const [down, up, nearest] = [environment(Rounding.RDN), environment(Rounding.RUP), environment()];
      const low = valueOf(operate(BINARY64, down, a, b));
      const high = valueOf(operate(BINARY64, up, a, b));
      const middle = valueOf(operate(BINARY64, nearest, a, b));
      if (Number.isNaN(middle)) return;
      assert.ok(low <= middle && middle <= high);
      assert.equal(down.flags & FloatFlag.NX, up.flags & FloatFlag.NX);
      assert.equal(low < high, (down.flags & FloatFlag.NX) !== 0);
      const towardsZero = valueOf(operate(BINARY64, environment(Rounding.RTZ), a, b));
      assert.equal(Math.abs(towardsZero), Math.min(Math.abs(low), Math.abs(high)));
    }),
    runs,
  );
});

test("fused multiply-add rounds once", () => {
  // A product of two 12-bit values and a sum below 2^53 are exact, so the host's arithmetic is the answer.
  const small = fc.integer({ min: -4095, max: 4095 });
  fc.assert(
    fc.property(small, small, fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), (a, b, c) => {
      const env = environment();
      assert.equal(fusedMultiplyAdd(BINARY64, env, bitsOf(a), bitsOf(b), bitsOf(c)), bitsOf(a * b + c + 0));
      assert.equal(env.flags, 0);
    }),
  );
  const epsilon = 2 ** -52;
  const env = environment();
  assert.equal(
    valueOf(fusedMultiplyAdd(BINARY64, env, bitsOf(1 + epsilon), bitsOf(1 - epsilon), bitsOf(-1))),
    -(epsilon * epsilon),
  );
  assert.equal(env.flags, 0);
  // A far smaller addend still breaks a tie.
  const tie = fusedMultiplyAdd(BINARY64, env, bitsOf(1 + epsilon), bitsOf(1.5), bitsOf(2 ** -1000));
  assert.equal(valueOf(tie), 1.5 + 2 * epsilon);
});

test("special operands of fused multiply-add", () => {
  const quiet = BINARY64.canonicalNaN;
  for (const [a, b, c, result, flags] of [
    [bitsOf(Infinity), bitsOf(0), quiet, quiet, FloatFlag.NV],
    [bitsOf(Infinity), bitsOf(1), bitsOf(-Infinity), quiet, FloatFlag.NV],
    [bitsOf(1), bitsOf(2), quiet | 7n, quiet, 0],
    [bitsOf(1), bitsOf(2), BINARY64.infinity | 1n, quiet, FloatFlag.NV],
    [bitsOf(1), bitsOf(0), bitsOf(-0), bitsOf(0), 0],
    [bitsOf(-1), bitsOf(0), bitsOf(-0), bitsOf(-0), 0],
  ] as const) {
    const env = environment();
    assert.equal(fusedMultiplyAdd(BINARY64, env, a, b, c), result);
    assert.equal(env.flags, flags);
  }
});

test("underflow is judged after rounding", () => {
  const least = valueOf(BINARY64.fractionMask + 1n);
  // (1 - 2^-53) times the least normal number has 53 bits, so with an unbounded exponent it is exact: tiny.
  const tiny = environment();
  assert.equal(multiply(BINARY64, tiny, bitsOf(least), bitsOf(1 - 2 ** -53)), BINARY64.fractionMask + 1n);
  assert.equal(tiny.flags, FloatFlag.NX | FloatFlag.UF);
  const nearly = environment();
  fusedMultiplyAdd(BINARY64, nearly, bitsOf(-(2 ** -600)), bitsOf(2 ** -500), bitsOf(least));
  // The sum is below the least normal number by less than half a unit of the last place: it rounds up to it, not tiny.
  assert.equal(nearly.flags, FloatFlag.NX);
  const up = environment(Rounding.RDN);
  fusedMultiplyAdd(BINARY64, up, bitsOf(-(2 ** -600)), bitsOf(2 ** -500), bitsOf(least));
  assert.equal(up.flags, FloatFlag.NX | FloatFlag.UF);
  // An exact subnormal result raises nothing.
  const exact = environment();
  multiply(BINARY64, exact, bitsOf(least), bitsOf(0.5));
  assert.equal(exact.flags, 0);
});

test("overflow goes to infinity or to the largest number, as the mode says", () => {
  const largest = BINARY64.infinity - 1n;
  const expected = { RNE: true, RTZ: false, RDN: false, RUP: true, RMM: true };
  for (const [name, infinite] of Object.entries(expected)) {
    const env = environment(Rounding[name as keyof typeof expected]);
    assert.equal(add(BINARY64, env, largest, largest), infinite ? BINARY64.infinity : largest, name);
    assert.equal(env.flags, FloatFlag.OF | FloatFlag.NX, name);
  }
});

test("a zero sum is negative only when rounding down, or when both terms are", () => {
  for (const rounding of Object.values(Rounding)) {
    const exact = add(BINARY64, environment(rounding), bitsOf(1), bitsOf(-1));
    assert.equal(exact, bitsOf(rounding === Rounding.RDN ? -0 : 0));
    assert.equal(add(BINARY64, environment(rounding), bitsOf(-0), bitsOf(0)), exact);
    assert.equal(add(BINARY64, environment(rounding), bitsOf(-0), bitsOf(-0)), bitsOf(-0));
  }
});

test("invalid conversions to integers, as the manual's table has them", () => {
  const ranges = { INT32, UINT32, INT64, UINT64 };
  for (const [name, range] of Object.entries(ranges)) {
    for (const [value, result] of [
      [-Infinity, range.min],
      [Infinity, range.max],
      [NaN, range.max],
      [-(2 ** 80), range.min],
      [2 ** 80, range.max],
    ] as const) {
      const env = environment(Rounding.RTZ);
      assert.equal(toInteger(BINARY64, env, bitsOf(value), range), result, `${name} of ${value}`);
      assert.equal(env.flags, FloatFlag.NV);
    }
  }
  const fraction = environment(Rounding.RTZ);
  assert.equal(toInteger(BINARY64, fraction, bitsOf(-0.9), UINT32), 0n);
  assert.equal(fraction.flags, FloatFlag.NX);
  const down = environment(Rounding.RDN);
  assert.equal(toInteger(BINARY64, down, bitsOf(-0.9), UINT32), 0n);
  assert.equal(down.flags, FloatFlag.NV);
  for (const [rounding, result] of [
    [Rounding.RNE, 2n],
    [Rounding.RTZ, 2n],
    [Rounding.RDN, 2n],
    [Rounding.RUP, 3n],
    [Rounding.RMM, 3n],
  ] as const) {
    assert.equal(toInteger(BINARY64, environment(rounding), bitsOf(2.5), INT32), result);
  }
});

test("NaNs: canonical results, quiet and signaling comparisons, min and max", () => {
  const signaling = BINARY32.infinity | 1n;
  const quiet = BINARY32.canonicalNaN | 5n;
  const one = bitsOf32(1);
  const env = environment();
  assert.equal(add(BINARY32, env, quiet, one), BINARY32.canonicalNaN);
  assert.equal(isEqual(BINARY32, env, quiet, one), false);
  assert.equal(minimum(BINARY32, env, quiet, one), one);
  assert.equal(maximum(BINARY32, env, quiet, quiet), BINARY32.canonicalNaN);
  assert.equal(env.flags, 0);
  for (const operate of [
    () => isLess(BINARY32, env, quiet, one),
    () => isLessOrEqual(BINARY32, env, one, quiet),
    () => isEqual(BINARY32, env, signaling, one),
    () => maximum(BINARY32, env, signaling, one),
    () => divide(BINARY32, env, 0n, 0n),
    () => squareRoot(BINARY32, env, bitsOf32(-1)),
  ]) {
    env.flags = 0;
    operate();
    assert.equal(env.flags, FloatFlag.NV);
  }
  env.flags = 0;
  assert.equal(divide(BINARY32, env, one, bitsOf32(-0)), bitsOf32(-Infinity));
  assert.equal(env.flags, FloatFlag.DZ);
});

test("fclass numbers the ten kinds", () => {
  const sign = BINARY32.signBit;
  const kinds = [
    sign | BINARY32.infinity,
    bitsOf32(-1),
    sign | 1n,
    sign,
    0n,
    BINARY32.fractionMask,
    BINARY32.fractionMask + 1n,
    BINARY32.infinity,
    BINARY32.infinity | 1n,
    BINARY32.canonicalNaN,
  ];
  kinds.forEach((bits, number) => assert.equal(classify(BINARY32, bits), number));
});
