// Tests of word64.ts.

import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import * as w from "./word64.ts";

const bits64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const toWord = (value: bigint): w.Word64 =>
  w.word64(Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value)));
const toBig = (value: w.Word64): bigint => (BigInt(value.hi >>> 0) << 32n) | BigInt(value.lo >>> 0);
const same = (actual: w.Word64, expected: bigint): void => {
  assert.equal(toBig(actual), BigInt.asUintN(64, expected));
  assert.ok(Object.is(actual.hi | 0, actual.hi) && Object.is(actual.lo | 0, actual.lo), "halves are int32");
};

test("arithmetic agrees with BigInt modulo 2^64", () => {
  fc.assert(
    fc.property(bits64, bits64, fc.integer({ min: 0, max: 63 }), (a, b, amount) => {
      const [x, y] = [toWord(a), toWord(b)];
      same(w.add(x, y), a + b);
      same(w.sub(x, y), a - b);
      same(w.negate(x), -a);
      same(w.and(x, y), a & b);
      same(w.or(x, y), a | b);
      same(w.xor(x, y), a ^ b);
      same(w.not(x), ~a);
      same(w.shiftLeft(x, amount), a << BigInt(amount));
      same(w.shiftRightLogical(x, amount), a >> BigInt(amount));
      same(w.shiftRightArithmetic(x, amount), BigInt.asIntN(64, a) >> BigInt(amount));
      assert.equal(Math.sign(w.compareUnsigned(x, y)), a < b ? -1 : a > b ? 1 : 0);
      const [signedA, signedB] = [BigInt.asIntN(64, a), BigInt.asIntN(64, b)];
      assert.equal(Math.sign(w.compareSigned(x, y)), signedA < signedB ? -1 : signedA > signedB ? 1 : 0);
      assert.equal(w.equal(x, y), a === b);
    }),
    { numRuns: 2000 },
  );
});

test("numbers within 2^53 go through words unchanged", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (n) => {
      const word = w.fromNumber(n);
      assert.equal(w.toNumber(word.hi, word.lo), n);
      assert.equal(w.highHalf(n), word.hi);
      if (n >= 0) assert.equal(w.toUnsignedNumber(word.hi, word.lo), n);
    }),
  );
});

test("hexadecimal and literals read back", () => {
  fc.assert(
    fc.property(bits64, (a) => {
      const word = toWord(a);
      assert.equal(w.hex64(word.hi, word.lo), a.toString(16).padStart(16, "0"));
      for (const text of [`0x${a.toString(16)}`, `${a}`, `0b${a.toString(2)}`, `0o${a.toString(8)}`, `+${a}`]) {
        assert.deepEqual(w.parse64(text), word);
      }
      const signed = BigInt.asIntN(64, a);
      assert.deepEqual(w.parse64(`${signed}`), word);
    }),
  );
  assert.equal(w.hexNumber64(-4096), "fffffffffffff000");
});

test("malformed and oversized literals are refused", () => {
  for (const text of [
    "",
    "-",
    "0x",
    "0x_",
    "1g",
    "0b2",
    " 1",
    "0x10000000000000000",
    "18446744073709551616",
    "-9223372036854775809",
  ]) {
    assert.equal(w.parse64(text), undefined, text);
  }
});
