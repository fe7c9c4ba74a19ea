// Lanes moved about: shuffles, packs, unpacks, widening, blends, insertion and extraction.
//
// A control byte is only known as a handler runs, so it becomes a vector of byte numbers for `swizzle`:
//
//     pshufd: each lane's selector moved to bits 7-6 by a product, and down again      * (64 16 4 1) >> 6 & 3
//             then the numbers of its four bytes                                       * 04040404 + 03020100
//
// The translator knows it, and takes the host's shuffle. SDM volume 2, under each name.

import type { V128Operators } from "../../../wasm/operators.ts";
import type { I32, V128 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";
import { control, joinedMmx, joining, lanewiseOfLocals, mmxVector, shuffleLanes, writeMmxHalf } from "./sse-packed.ts";

/** Bytes 0 to 15, in order. */
const bytesInOrder = (v: V128Operators): V128 => v.const(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);

/** Interleaves the low or high lanes of both operands. */
const interleave =
  (size: 1 | 2 | 4 | 8, half: "low" | "high"): Semantics =>
  (e) => {
    const count = 16 / size;
    const start = half === "low" ? 0 : count / 2;
    const lanes = Array.from({ length: count }, (_, n) => start + (n >> 1) + (n & 1) * count);
    if (e.isMmx(0)) {
      e.require("mmx");
      // Both halves are the operand, so all of it is interleaved; its own halves are those of the result.
      const both = shuffleLanes(e.v128, size, mmxVector(e, 0), mmxVector(e, 1), lanes);
      writeMmxHalf(e, both, half === "low" ? 0 : 1);
    } else {
      e.require("sse");
      e.writeVector(0, shuffleLanes(e.v128, size, e.readVector(0), e.readVectorAligned(1), lanes));
    }
  };

/** The bytes of each doubleword that a control byte of 2-bit selectors names. */
function doublewordNumbers(e: X86Emitter, selectors: I32): V128 {
  const { v128, i32 } = e;
  const aligned = v128.i32x4_mul(v128.i32x4_splat(selectors), v128.const(64, 16, 4, 1));
  const lane = v128.and(v128.i32x4_shr_u(aligned, i32.const(6)), v128.const(3, 3, 3, 3));
  const first = v128.i32x4_mul(lane, v128.const(0x04040404, 0x04040404, 0x04040404, 0x04040404));
  return v128.i32x4_add(first, v128.const(0x03020100, 0x03020100, 0x03020100, 0x03020100));
}

/** As doublewordNumbers, for the words of one half; those of the other stay. */
function wordNumbers(e: X86Emitter, selectors: I32, half: "low" | "high"): V128 {
  const { v128, i32 } = e;
  const low = 64 | (16 << 16);
  const high = 4 | (1 << 16);
  const isLow = half === "low";
  const all = v128.i16x8_splat(selectors);
  // Lanes without a factor have selector 0, and their own number as the base.
  const aligned = v128.i16x8_mul(all, isLow ? v128.const(low, high, 0, 0) : v128.const(0, 0, low, high));
  const lane = v128.and(
    v128.i16x8_shr_u(aligned, i32.const(6)),
    v128.const(0x00030003, 0x00030003, 0x00030003, 0x00030003),
  );
  const first = v128.i16x8_mul(lane, v128.const(0x02020202, 0x02020202, 0x02020202, 0x02020202));
  const base = isLow
    ? v128.const(0x01000100, 0x01000100, 0x0b0a0908, 0x0f0e0d0c)
    : v128.const(0x03020100, 0x07060504, 0x09080908, 0x09080908);
  return v128.i16x8_add(first, base);
}

const selectorsOf = (value: number): number[] => [0, 2, 4, 6].map((shift) => (value >> shift) & 3);

const shuffleDoublewords: Semantics = (e) => {
  e.require("sse");
  const known = e.knownImmediate(2);
  if (known === undefined) {
    const source = e.readVectorAligned(1);
    return e.writeVector(0, e.v128.i8x16_swizzle(source, doublewordNumbers(e, control(e, 2))));
  }
  const source = e.let(e.readVectorAligned(1));
  e.writeVector(0, shuffleLanes(e.v128, 4, source.get(), source.get(), selectorsOf(known)));
};

const shuffleWords =
  (half: "low" | "high"): Semantics =>
  (e) => {
    const isMmx = e.isMmx(0);
    e.require(isMmx ? "mmx" : "sse");
    const known = e.knownImmediate(2);
    const read = (): V128 => (isMmx ? mmxVector(e, 1) : e.readVectorAligned(1));
    let result: V128;
    if (known === undefined) {
      result = e.v128.i8x16_swizzle(read(), wordNumbers(e, control(e, 2), half));
    } else {
      const source = e.let(read());
      const lanes = selectorsOf(known);
      const all = half === "low" ? [...lanes, 4, 5, 6, 7] : [0, 1, 2, 3, ...lanes.map((lane) => lane + 4)];
      result = shuffleLanes(e.v128, 2, source.get(), source.get(), all);
    }
    if (isMmx) writeMmxHalf(e, result);
    else e.writeVector(0, result);
  };

/** Two lanes of the destination, then two of the source. */
const shuffleSingles: Semantics = (e) => {
  e.require("sse");
  const { v128 } = e;
  const known = e.knownImmediate(2);
  const a = e.let(e.readVector(0));
  const b = e.let(e.readVectorAligned(1));
  if (known === undefined) {
    const numbers = e.let(doublewordNumbers(e, control(e, 2)));
    const low = v128.i8x16_swizzle(a.get(), numbers.get());
    const high = v128.i8x16_swizzle(b.get(), numbers.get());
    return e.writeVector(0, shuffleLanes(v128, 8, low, high, [0, 3]));
  }
  const lanes = selectorsOf(known).map((lane, n) => (n < 2 ? lane : lane + 4));
  e.writeVector(0, shuffleLanes(v128, 4, a.get(), b.get(), lanes));
};

const shuffleDoubles: Semantics = (e) => {
  e.require("sse");
  const { v128, i32 } = e;
  const a = e.let(e.readVector(0));
  const b = e.let(e.readVectorAligned(1));
  const pick = (x: Local<"v128">, bit: 1 | 2) =>
    e.select(v128.i64x2_extract(x.get(), 1), v128.i64x2_extract(x.get(), 0), i32.and(e.readWord(2), i32.const(bit)));
  e.writeVector(0, v128.i64x2_replace(v128.i64x2_splat(pick(a, 1)), pick(b, 2), 1));
};

/** Byte numbers from `first` on, `first` being at most `limit`. */
function numbersFrom(e: X86Emitter, first: I32, limit: number): V128 {
  const count = e.let(first);
  const cut = e.select(count.get(), e.i32.const(limit), e.i32.lt_u(count.get(), e.i32.const(limit)));
  return e.v128.i8x16_splat(cut);
}

/** The bytes of destination (high) and source (low) from the control's number on. */
const alignRight: Semantics = (e) => {
  const { v128, i32 } = e;
  if (e.isMmx(0)) {
    e.require("mmx");
    // The destination is the low half of `joined`: exchanged by numbering its bytes from 8 on.
    const joined = e.let(joinedMmx(e));
    const exchanged = shuffleLanes(v128, 8, joined.get(), joined.get(), [1, 0]);
    const numbers = v128.i8x16_add(numbersFrom(e, control(e, 2), 16), bytesInOrder(v128));
    return writeMmxHalf(e, v128.i8x16_swizzle(exchanged, numbers));
  }
  e.require("sse");
  const a = e.let(e.readVector(0));
  const b = e.let(e.readVectorAligned(1));
  const known = e.knownImmediate(2);
  if (known !== undefined && known >= 0 && known <= 16) {
    const lanes = Array.from({ length: 16 }, (_, n) => n + known);
    return e.writeVector(0, v128.shuffle(b.get(), a.get(), lanes));
  }
  const numbers = e.let(v128.i8x16_add(numbersFrom(e, control(e, 2), 32), bytesInOrder(v128)));
  // A number beyond 15 gives 0, so each byte comes from one of the two, or from none.
  const fromSource = v128.i8x16_swizzle(b.get(), numbers.get());
  const above = (): V128 => v128.i8x16_sub(numbers.get(), v128.i8x16_splat(i32.const(16)));
  e.writeVector(0, v128.or(fromSource, v128.i8x16_swizzle(a.get(), above())));
};

/** All 16 bytes moved up or down by a number of bytes. */
const shiftBytes =
  (direction: "up" | "down"): Semantics =>
  (e) => {
    e.require("sse");
    const { v128 } = e;
    const value = e.let(e.readVector(0));
    const order = bytesInOrder(v128);
    const by = numbersFrom(e, control(e, 1), 16);
    const numbers = e.let(direction === "up" ? v128.i8x16_sub(order, by) : v128.i8x16_add(order, by));
    e.writeVector(0, v128.i8x16_swizzle(value.get(), numbers.get()));
  };

const shuffleBytes = lanewiseOfLocals((e, a, b) => {
  const { v128 } = e;
  const mask = e.isMmx(0) ? 0x87878787 : 0x8f8f8f8f;
  return v128.i8x16_swizzle(a.get(), v128.and(b.get(), v128.const(mask, mask, mask, mask)));
});

/** Reads the low bytes of the source that widening needs: memory of just that size, or a register. */
function lowBytes(e: X86Emitter): V128 {
  return e.isMemory(1) ? e.v128.i64x2_splat(e.readUnsigned(1)) : e.readVector(1);
}

const widen =
  (operate: (v: V128Operators, source: V128) => V128): Semantics =>
  (e) => {
    e.require("sse");
    e.writeVector(0, operate(e.v128, lowBytes(e)));
  };

/** Takes the source's lanes where the control's bits are set. */
const blendByControl =
  (lane: "i16x8" | "i32x4" | "i64x2"): Semantics =>
  (e) => {
    e.require("sse");
    const { v128, i64 } = e;
    const a = e.let(e.readVector(0));
    const b = e.let(e.readVectorAligned(1));
    const bits = (): V128 =>
      lane === "i16x8"
        ? v128.const(0x00020001, 0x00080004, 0x00200010, 0x00800040)
        : lane === "i32x4"
          ? v128.const(1, 2, 4, 8)
          : v128.const(1, 0, 2, 0);
    const all =
      lane === "i16x8"
        ? v128.i16x8_splat(e.readWord(2))
        : lane === "i32x4"
          ? v128.i32x4_splat(e.readWord(2))
          : v128.i64x2_splat(i64.extend_i32_u(e.readWord(2)));
    const mask = e.let(v128[`${lane}_eq`](v128.and(all, bits()), bits()));
    e.writeVector(0, v128.bitselect(b.get(), a.get(), mask.get()));
  };

/** Takes the source's lanes where the top bit of xmm0's (operand 2) is set. */
const blendByRegister =
  (lane: "i8x16" | "i32x4" | "i64x2", bits: number): Semantics =>
  (e) => {
    e.require("sse");
    const { v128, i32 } = e;
    const a = e.let(e.readVector(0));
    const b = e.let(e.readVectorAligned(1));
    const mask = e.let(v128[`${lane}_shr_s`](e.readVector(2), i32.const(bits - 1)));
    e.writeVector(0, v128.bitselect(b.get(), a.get(), mask.get()));
  };

type IntegerLane = "i8x16" | "i16x8" | "i32x4";
const LANE_MASK: Readonly<Record<IntegerLane, number>> = { i8x16: 15, i16x8: 7, i32x4: 3 };

/** All ones in the lane that `number` names. */
function laneMask(e: X86Emitter, lane: IntegerLane, number: I32): V128 {
  const { v128 } = e;
  switch (lane) {
    case "i8x16":
      return v128.i8x16_eq(v128.i8x16_splat(number), bytesInOrder(v128));
    case "i16x8":
      return v128.i16x8_eq(v128.i16x8_splat(number), v128.const(0x00010000, 0x00030002, 0x00050004, 0x00070006));
    case "i32x4":
      return v128.i32x4_eq(v128.i32x4_splat(number), v128.const(0, 1, 2, 3));
  }
}

const insert =
  (lane: IntegerLane): Semantics =>
  (e) => {
    const { v128, i32 } = e;
    const isMmx = e.isMmx(0);
    e.require(isMmx ? "mmx" : "sse");
    const value = e.let(v128[`${lane}_splat`](e.readWord(1)));
    const a = e.let(isMmx ? mmxVector(e, 0) : e.readVector(0));
    const number = i32.and(e.readWord(2), i32.const(isMmx ? 3 : LANE_MASK[lane]));
    const mask = e.let(laneMask(e, lane, number));
    const result = v128.bitselect(value.get(), a.get(), mask.get());
    if (isMmx) writeMmxHalf(e, result);
    else e.writeVector(0, result);
  };

const insertQuadword: Semantics = (e) => {
  e.require("sse");
  const { v128, i32 } = e;
  const value = e.let(e.read(1));
  const a = e.let(e.readVector(0));
  const low = v128.i64x2_replace(a.get(), value.get(), 0);
  const high = v128.i64x2_replace(a.get(), value.get(), 1);
  // Emitted low, high, and the condition for low.
  e.writeVector(0, e.select(low, high, i32.eqz(i32.and(e.readWord(2), i32.const(1)))));
};

/** The lane that the control names, moved to lane 0. */
function moveLaneDown(e: X86Emitter, lane: IntegerLane, vector: V128, mask: number): V128 {
  const { v128, i32 } = e;
  const number = i32.and(e.readWord(2), i32.const(mask));
  switch (lane) {
    case "i8x16":
      return v128.i8x16_swizzle(vector, v128.i8x16_splat(number));
    case "i16x8":
      return v128.i8x16_swizzle(
        vector,
        v128.i8x16_add(v128.i8x16_splat(i32.shl(number, i32.const(1))), bytesInOrder(v128)),
      );
    case "i32x4":
      return v128.i8x16_swizzle(
        vector,
        v128.i8x16_add(v128.i8x16_splat(i32.shl(number, i32.const(2))), bytesInOrder(v128)),
      );
  }
}

const extract =
  (lane: IntegerLane): Semantics =>
  (e) => {
    const { v128 } = e;
    const isMmx = e.isMmx(1);
    e.require(isMmx ? "mmx" : "sse");
    const source = isMmx ? mmxVector(e, 1) : e.readVector(1);
    const moved = moveLaneDown(e, lane, source, isMmx ? 3 : LANE_MASK[lane]);
    e.writeWord(0, lane === "i32x4" ? v128.i32x4_extract(moved, 0) : v128[`${lane}_extract_u`](moved, 0));
    if (isMmx) e.tagMmx("valid");
  };

const extractQuadword: Semantics = (e) => {
  e.require("sse");
  const { v128, i32 } = e;
  const source = e.let(e.readVector(1));
  const isHigh = (): I32 => i32.and(e.readWord(2), i32.const(1));
  e.write(0, e.select(v128.i64x2_extract(source.get(), 1), v128.i64x2_extract(source.get(), 0), isHigh()));
};

/** Control: source lane (bits 7-6, of a register), destination lane (5-4), lanes to be zeroed (3-0). */
const insertSingle: Semantics = (e) => {
  e.require("sse");
  const { v128, i32 } = e;
  let single: I32;
  if (e.isMemory(1)) {
    single = i32.wrap_i64(e.readScalar(1, 4));
  } else {
    const source = e.readVector(1);
    const first = i32.and(i32.shr_u(e.readWord(2), i32.const(4)), i32.const(12));
    single = v128.i32x4_extract(
      v128.i8x16_swizzle(source, v128.i8x16_add(v128.i8x16_splat(first), bytesInOrder(v128))),
      0,
    );
  }
  const value = e.let(v128.i32x4_splat(single));
  const a = e.let(e.readVector(0));
  const lane = e.let(laneMask(e, "i32x4", i32.and(i32.shr_u(e.readWord(2), i32.const(4)), i32.const(3))));
  const merged = v128.bitselect(value.get(), a.get(), lane.get());
  const kept = v128.i32x4_eq(v128.and(v128.i32x4_splat(e.readWord(2)), v128.const(1, 2, 4, 8)), v128.const(0, 0, 0, 0));
  e.writeVector(0, v128.and(merged, kept));
};

export const sseShuffleSemantics = {
  pshufd: shuffleDoublewords,
  pshuflw: shuffleWords("low"),
  pshufhw: shuffleWords("high"),
  pshufw: shuffleWords("low"),
  shufps: shuffleSingles,
  shufpd: shuffleDoubles,
  pshufb: shuffleBytes,
  palignr: alignRight,
  pslldq: shiftBytes("up"),
  psrldq: shiftBytes("down"),

  packsswb: joining(({ v128 }, a, b) => v128.i8x16_narrow_i16x8_s(a.get(), b.get())),
  packuswb: joining(({ v128 }, a, b) => v128.i8x16_narrow_i16x8_u(a.get(), b.get())),
  packssdw: joining(({ v128 }, a, b) => v128.i16x8_narrow_i32x4_s(a.get(), b.get())),
  packusdw: joining(({ v128 }, a, b) => v128.i16x8_narrow_i32x4_u(a.get(), b.get())),
  punpcklbw: interleave(1, "low"),
  punpcklwd: interleave(2, "low"),
  punpckldq: interleave(4, "low"),
  punpcklqdq: interleave(8, "low"),
  unpcklps: interleave(4, "low"),
  unpcklpd: interleave(8, "low"),
  punpckhbw: interleave(1, "high"),
  punpckhwd: interleave(2, "high"),
  punpckhdq: interleave(4, "high"),
  punpckhqdq: interleave(8, "high"),
  unpckhps: interleave(4, "high"),
  unpckhpd: interleave(8, "high"),

  pmovsxbw: widen((v, a) => v.i16x8_extend_low_i8x16_s(a)),
  pmovsxbd: widen((v, a) => v.i32x4_extend_low_i16x8_s(v.i16x8_extend_low_i8x16_s(a))),
  pmovsxbq: widen((v, a) => v.i64x2_extend_low_i32x4_s(v.i32x4_extend_low_i16x8_s(v.i16x8_extend_low_i8x16_s(a)))),
  pmovsxwd: widen((v, a) => v.i32x4_extend_low_i16x8_s(a)),
  pmovsxwq: widen((v, a) => v.i64x2_extend_low_i32x4_s(v.i32x4_extend_low_i16x8_s(a))),
  pmovsxdq: widen((v, a) => v.i64x2_extend_low_i32x4_s(a)),
  pmovzxbw: widen((v, a) => v.i16x8_extend_low_i8x16_u(a)),
  pmovzxbd: widen((v, a) => v.i32x4_extend_low_i16x8_u(v.i16x8_extend_low_i8x16_u(a))),
  pmovzxbq: widen((v, a) => v.i64x2_extend_low_i32x4_u(v.i32x4_extend_low_i16x8_u(v.i16x8_extend_low_i8x16_u(a)))),
  pmovzxwd: widen((v, a) => v.i32x4_extend_low_i16x8_u(a)),
  pmovzxwq: widen((v, a) => v.i64x2_extend_low_i32x4_u(v.i32x4_extend_low_i16x8_u(a))),
  pmovzxdq: widen((v, a) => v.i64x2_extend_low_i32x4_u(a)),

  pblendw: blendByControl("i16x8"),
  blendps: blendByControl("i32x4"),
  blendpd: blendByControl("i64x2"),
  pblendvb: blendByRegister("i8x16", 8),
  blendvps: blendByRegister("i32x4", 32),
  blendvpd: blendByRegister("i64x2", 64),

  pinsrb: insert("i8x16"),
  pinsrw: insert("i16x8"),
  pinsrd: insert("i32x4"),
  pinsrq: insertQuadword,
  insertps: insertSingle,
  pextrb: extract("i8x16"),
  pextrw: extract("i16x8"),
  pextrd: extract("i32x4"),
  pextrq: extractQuadword,
  extractps: extract("i32x4"),
} satisfies Record<string, Semantics>;
