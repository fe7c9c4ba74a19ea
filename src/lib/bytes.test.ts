// Tests of bytes.ts.

import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import * as b from "./bytes.ts";

test("writes read back in little-endian order, as DataView has it", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.nat(5), (hi, lo, offset) => {
      const bytes = new Uint8Array(16);
      const view = new DataView(bytes.buffer);
      b.writeWord64(bytes, offset, { hi, lo });
      assert.deepEqual(b.readWord64(bytes, offset), { hi, lo });
      assert.equal(view.getInt32(offset, true), lo);
      assert.equal(b.readU32(bytes, offset), lo >>> 0);
      assert.equal(b.readU16(bytes, offset), view.getUint16(offset, true));
      assert.equal(b.readU8(bytes, offset), view.getUint8(offset));
      b.writeU64(bytes, offset, hi * 1024);
      assert.equal(b.readI64(bytes, offset), hi * 1024);
    }),
  );
});

test("an access outside the array throws and writes nothing", () => {
  const bytes = new Uint8Array(8);
  assert.throws(() => b.readU32(bytes, 6), RangeError);
  assert.throws(() => b.readU8(bytes, -1), RangeError);
  assert.throws(() => b.readU8(bytes, Number.NaN), RangeError);
  assert.throws(() => b.writeU64(bytes, 4, -1), RangeError);
  assert.deepEqual([...bytes], [0, 0, 0, 0, 0, 0, 0, 0]);
});

test("a byte buffer grows and keeps what was appended", () => {
  const buffer = new b.ByteBuffer(1);
  for (let i = 0; i < 100; i++) buffer.u8(i);
  buffer.align(8);
  buffer.u16(0x1234);
  buffer.u32(-1);
  buffer.u64(-2);
  buffer.bytes(b.encodeUtf8("é"));
  buffer.patchU32(0, 0x01020304);
  const bytes = buffer.toUint8Array();
  assert.equal(bytes.length, buffer.length);
  assert.equal(bytes.length, 104 + 2 + 4 + 8 + 2);
  assert.equal(b.readU32(bytes, 0), 0x01020304);
  assert.equal(bytes[99], 99);
  assert.equal(b.readI64(bytes, 110), -2);
  assert.throws(() => buffer.patchU32(bytes.length - 3, 0), RangeError);
});

test("UTF-8 survives and C strings stop at the zero", () => {
  assert.equal(b.decodeUtf8(b.encodeUtf8("\u{feff}vitrine ☃")), "\u{feff}vitrine ☃");
  assert.equal(b.decodeCString(new Uint8Array([65, 66, 0, 67])), "AB");
  assert.equal(b.decodeCString(new Uint8Array([65, 66]), 1), "B");
  assert.ok(b.bytesEqual(new Uint8Array([1, 2]), new Uint8Array([1, 2])));
  assert.ok(!b.bytesEqual(new Uint8Array([1, 2]), new Uint8Array([1, 3])));
});
