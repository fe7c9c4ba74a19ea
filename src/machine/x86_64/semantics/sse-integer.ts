// Packed integer arithmetic of MMX and SSE: wrapping and saturating sums, products, comparisons, shifts, sums across lanes.
//
// SDM volume 2, under each name; volume 1, 9.4 (MMX) and 10.4.4 to 12.11.

import type { V128Operators } from "../../../wasm/operators.ts";
import type { I32, I64, V128 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";
import {
  type BinaryOfLocals,
  joining,
  lanewise,
  lanewiseOfLocals,
  lanewiseOfSource,
  mmxVector,
  setZeroAndCarry,
  shuffleLanes,
  writeMmxHalf,
  zeros,
} from "./sse-packed.ts";

const EVEN_WORDS = [0, 2, 4, 6, 8, 10, 12, 14];
const ODD_WORDS = [1, 3, 5, 7, 9, 11, 13, 15];
const EVEN_DOUBLEWORDS = [0, 2, 4, 6];
const ODD_DOUBLEWORDS = [1, 3, 5, 7];

/** The upper halves of 32-bit products of words. */
const multiplyHigh = (signedness: "s" | "u"): Semantics =>
  lanewiseOfLocals(({ v128 }, a, b) =>
    shuffleLanes(
      v128,
      2,
      v128[`i32x4_extmul_low_i16x8_${signedness}`](a.get(), b.get()),
      v128[`i32x4_extmul_high_i16x8_${signedness}`](a.get(), b.get()),
      ODD_WORDS,
    ),
  );

/** 64-bit products of the even doublewords. */
const multiplyEven = (signedness: "s" | "u"): Semantics =>
  lanewiseOfLocals(({ v128 }, a, b) => {
    const even = (x: Local<"v128">): V128 => shuffleLanes(v128, 4, x.get(), x.get(), [0, 2, 0, 2]);
    return v128[`i64x2_extmul_low_i32x4_${signedness}`](even(a), even(b));
  });

/** As the host's instruction, but for -1 * -1, which it saturates, and x86 wraps to -1. */
const multiplyRounded: BinaryOfLocals = ({ v128 }, a, b) => {
  const isLowest = (x: Local<"v128">): V128 =>
    v128.i16x8_eq(x.get(), v128.const(0x80008000, 0x80008000, 0x80008000, 0x80008000));
  return v128.xor(v128.i16x8_q15mulr_sat_s(a.get(), b.get()), v128.and(isLowest(a), isLowest(b)));
};

/** Unsigned bytes of a times signed bytes of b, and sums of neighbours, saturated. */
const multiplyAddBytes: BinaryOfLocals = ({ v128, i32 }, a, b) => {
  const eight = (): I32 => i32.const(8);
  const even = v128.i16x8_mul(
    v128.and(a.get(), v128.const(0x00ff00ff, 0x00ff00ff, 0x00ff00ff, 0x00ff00ff)),
    v128.i16x8_shr_s(v128.i16x8_shl(b.get(), eight()), eight()),
  );
  const odd = v128.i16x8_mul(v128.i16x8_shr_u(a.get(), eight()), v128.i16x8_shr_s(b.get(), eight()));
  return v128.i16x8_add_sat_s(even, odd);
};

/** The sum of the distances of eight bytes, in the low word of each half. */
const sumDistances: BinaryOfLocals = (e, a, b) => {
  const { v128, i32 } = e;
  const distances = v128.or(v128.i8x16_sub_sat_u(a.get(), b.get()), v128.i8x16_sub_sat_u(b.get(), a.get()));
  const sums = e.let(v128.i32x4_extadd_pairwise_i16x8_u(v128.i16x8_extadd_pairwise_i8x16_u(distances)));
  const upper = v128.i64x2_shr_u(sums.get(), i32.const(32));
  return v128.i64x2_shr_u(v128.i64x2_shl(v128.i32x4_add(upper, sums.get()), i32.const(32)), i32.const(32));
};

type Lane = "i8x16" | "i16x8" | "i32x4";

/** a, its negative or 0, by the sign of b. */
const applySign = (lane: Lane, bits: number): Semantics =>
  lanewiseOfLocals((e, a, b) => {
    const { v128, i32 } = e;
    const negative = e.let(v128[`${lane}_shr_s`](b.get(), i32.const(bits - 1)));
    const signed = v128[`${lane}_sub`](v128.xor(a.get(), negative.get()), negative.get());
    return v128.andnot(signed, v128[`${lane}_eq`](b.get(), zeros(v128)));
  });

/** Neighbours combined, those of the destination below those of the source. */
const horizontal = (size: 2 | 4, operate: (v: V128Operators, even: V128, odd: V128) => V128): Semantics =>
  joining(({ v128 }, a, b) =>
    operate(
      v128,
      shuffleLanes(v128, size, a.get(), b.get(), size === 2 ? EVEN_WORDS : EVEN_DOUBLEWORDS),
      shuffleLanes(v128, size, a.get(), b.get(), size === 2 ? ODD_WORDS : ODD_DOUBLEWORDS),
    ),
  );

/** The least word and its number: as 19-bit numbers, word above index, of which the least is found. */
const minimumPosition: Semantics = (e) => {
  e.require("sse");
  const { v128, i32, i64 } = e;
  const source = e.let(e.readVectorAligned(1));
  const low = v128.or(
    v128.i32x4_shl(v128.i32x4_extend_low_i16x8_u(source.get()), i32.const(3)),
    v128.const(0, 1, 2, 3),
  );
  const high = v128.or(
    v128.i32x4_shl(v128.i32x4_extend_high_i16x8_u(source.get()), i32.const(3)),
    v128.const(4, 5, 6, 7),
  );
  const four = e.let(v128.i32x4_min_u(low, high));
  const two = e.let(v128.i32x4_min_u(four.get(), shuffleLanes(v128, 8, four.get(), four.get(), [1, 0])));
  const first = e.let(v128.i32x4_extract(two.get(), 0));
  const second = e.let(v128.i32x4_extract(two.get(), 1));
  const least = e.let(e.select(first.get(), second.get(), i32.lt_u(first.get(), second.get())));
  const word = i32.shr_u(least.get(), i32.const(3));
  const index = i32.shl(i32.and(least.get(), i32.const(7)), i32.const(16));
  const result = e.let(i64.extend_i32_u(i32.or(word, index)));
  e.writeVector(0, v128.i64x2_replace(zeros(v128), result.get(), 0));
};

/**
 * Eight sums of four distances: of bytes i to i+3 of the destination from the four bytes of the source that the control names.
 * Distances of pairs are summed twice, two bytes apart.
 */
const multipleSums: Semantics = (e) => {
  e.require("sse");
  const { v128, i32 } = e;
  const a = e.let(e.readVector(0));
  const b = e.let(e.readVectorAligned(1));
  // Bit 2 is the destination's offset, bits 1-0 the source's, both in units of four bytes.
  const from = e.let(v128.i8x16_splat(i32.and(e.readWord(2), i32.const(4))));
  const block = e.let(v128.i8x16_splat(i32.shl(i32.and(e.readWord(2), i32.const(3)), i32.const(2))));
  const sums = (step: 0 | 2): V128 => {
    const plus = 0x01010101 * step;
    const pairs = (): V128 => v128.const(0x02010100 + plus, 0x04030302 + plus, 0x06050504 + plus, 0x08070706 + plus);
    const left = e.let(v128.i8x16_swizzle(a.get(), v128.i8x16_add(from.get(), pairs())));
    const word = 0x01000100 + plus;
    const right = e.let(v128.i8x16_swizzle(b.get(), v128.i8x16_add(block.get(), v128.const(word, word, word, word))));
    return v128.i16x8_extadd_pairwise_i8x16_u(
      v128.or(v128.i8x16_sub_sat_u(left.get(), right.get()), v128.i8x16_sub_sat_u(right.get(), left.get())),
    );
  };
  const first = e.let(sums(0));
  e.writeVector(0, v128.i16x8_add(sums(2), first.get()));
};

/** The widths of lanes that shift. */
const WIDTH = { i16x8: 16, i32x4: 32, i64x2: 64 } as const;
type Shift = "shl" | "shr_u" | "shr_s";

/** A shift of all lanes by one count, an immediate or the low 64 bits of the source. One of the width or more shifts everything out. */
const shift =
  (lane: keyof typeof WIDTH, direction: Shift): Semantics =>
  (e) => {
    const { v128, i32, i64 } = e;
    const isMmx = e.isMmx(0);
    e.require(isMmx ? "mmx" : "sse");
    const count = e.let(shiftCount(e));
    const read = (): V128 => (isMmx ? mmxVector(e, 0) : e.readVector(0));
    const isShort = (): I32 => i64.lt_u(count.get(), i64.const(WIDTH[lane]));
    const short = (): I32 => i32.wrap_i64(count.get());
    let result: V128;
    if (direction === "shr_s") {
      const by = e.let(e.select(short(), i32.const(WIDTH[lane] - 1), isShort()));
      result = v128[`${lane}_shr_s`](read(), by.get());
    } else {
      const shifted = v128[`${lane}_${direction}`](read(), short());
      result = v128.and(shifted, v128.i32x4_splat(i32.sub(i32.const(0), isShort())));
    }
    if (isMmx) writeMmxHalf(e, result);
    else e.writeVector(0, result);
  };

function shiftCount(e: X86Emitter): I64 {
  const { i64, v128 } = e;
  if (e.isMmx(1) || (e.isMmx(0) && e.isMemory(1))) return e.readMmx(1);
  if (e.isXmm(1)) return e.readScalar(1, 8);
  if (e.isMemory(1)) return v128.i64x2_extract(e.readVectorAligned(1), 0);
  return i64.and(e.read(1), i64.const(0xff));
}

/** ZF: no bit of both; CF: no bit of the source alone. */
const testBits: Semantics = (e) => {
  e.require("sse");
  const { v128, i32 } = e;
  const a = e.let(e.readVector(0));
  const b = e.let(e.readVectorAligned(1));
  const isDisjoint = e.let(i32.eqz(v128.any_true(v128.and(a.get(), b.get()))));
  const isWithin = e.let(i32.eqz(v128.any_true(v128.andnot(b.get(), a.get()))));
  setZeroAndCarry(e, isDisjoint, isWithin);
};

const and = lanewise((v, a, b) => v.and(a, b));
const andNot = lanewiseOfLocals(({ v128 }, a, b) => v128.andnot(b.get(), a.get()));
const or = lanewise((v, a, b) => v.or(a, b));
const exclusiveOr = lanewise((v, a, b) => v.xor(a, b));

export const sseIntegerSemantics = {
  pand: and,
  andps: and,
  andpd: and,
  pandn: andNot,
  andnps: andNot,
  andnpd: andNot,
  por: or,
  orps: or,
  orpd: or,
  pxor: exclusiveOr,
  xorps: exclusiveOr,
  xorpd: exclusiveOr,
  ptest: testBits,

  paddb: lanewise((v, a, b) => v.i8x16_add(a, b)),
  paddw: lanewise((v, a, b) => v.i16x8_add(a, b)),
  paddd: lanewise((v, a, b) => v.i32x4_add(a, b)),
  paddq: lanewise((v, a, b) => v.i64x2_add(a, b)),
  paddsb: lanewise((v, a, b) => v.i8x16_add_sat_s(a, b)),
  paddsw: lanewise((v, a, b) => v.i16x8_add_sat_s(a, b)),
  paddusb: lanewise((v, a, b) => v.i8x16_add_sat_u(a, b)),
  paddusw: lanewise((v, a, b) => v.i16x8_add_sat_u(a, b)),
  psubb: lanewise((v, a, b) => v.i8x16_sub(a, b)),
  psubw: lanewise((v, a, b) => v.i16x8_sub(a, b)),
  psubd: lanewise((v, a, b) => v.i32x4_sub(a, b)),
  psubq: lanewise((v, a, b) => v.i64x2_sub(a, b)),
  psubsb: lanewise((v, a, b) => v.i8x16_sub_sat_s(a, b)),
  psubsw: lanewise((v, a, b) => v.i16x8_sub_sat_s(a, b)),
  psubusb: lanewise((v, a, b) => v.i8x16_sub_sat_u(a, b)),
  psubusw: lanewise((v, a, b) => v.i16x8_sub_sat_u(a, b)),
  phaddw: horizontal(2, (v, even, odd) => v.i16x8_add(even, odd)),
  phaddd: horizontal(4, (v, even, odd) => v.i32x4_add(even, odd)),
  phaddsw: horizontal(2, (v, even, odd) => v.i16x8_add_sat_s(even, odd)),
  phsubw: horizontal(2, (v, even, odd) => v.i16x8_sub(even, odd)),
  phsubd: horizontal(4, (v, even, odd) => v.i32x4_sub(even, odd)),
  phsubsw: horizontal(2, (v, even, odd) => v.i16x8_sub_sat_s(even, odd)),

  pmullw: lanewise((v, a, b) => v.i16x8_mul(a, b)),
  pmulld: lanewise((v, a, b) => v.i32x4_mul(a, b)),
  pmulhw: multiplyHigh("s"),
  pmulhuw: multiplyHigh("u"),
  pmuludq: multiplyEven("u"),
  pmuldq: multiplyEven("s"),
  pmulhrsw: lanewiseOfLocals(multiplyRounded),
  pmaddwd: lanewise((v, a, b) => v.i32x4_dot_i16x8_s(a, b)),
  pmaddubsw: lanewiseOfLocals(multiplyAddBytes),
  psadbw: lanewiseOfLocals(sumDistances),
  mpsadbw: multipleSums,
  phminposuw: minimumPosition,

  pavgb: lanewise((v, a, b) => v.i8x16_avgr_u(a, b)),
  pavgw: lanewise((v, a, b) => v.i16x8_avgr_u(a, b)),
  pminub: lanewise((v, a, b) => v.i8x16_min_u(a, b)),
  pminuw: lanewise((v, a, b) => v.i16x8_min_u(a, b)),
  pminud: lanewise((v, a, b) => v.i32x4_min_u(a, b)),
  pminsb: lanewise((v, a, b) => v.i8x16_min_s(a, b)),
  pminsw: lanewise((v, a, b) => v.i16x8_min_s(a, b)),
  pminsd: lanewise((v, a, b) => v.i32x4_min_s(a, b)),
  pmaxub: lanewise((v, a, b) => v.i8x16_max_u(a, b)),
  pmaxuw: lanewise((v, a, b) => v.i16x8_max_u(a, b)),
  pmaxud: lanewise((v, a, b) => v.i32x4_max_u(a, b)),
  pmaxsb: lanewise((v, a, b) => v.i8x16_max_s(a, b)),
  pmaxsw: lanewise((v, a, b) => v.i16x8_max_s(a, b)),
  pmaxsd: lanewise((v, a, b) => v.i32x4_max_s(a, b)),
  pabsb: lanewiseOfSource((v, a) => v.i8x16_abs(a)),
  pabsw: lanewiseOfSource((v, a) => v.i16x8_abs(a)),
  pabsd: lanewiseOfSource((v, a) => v.i32x4_abs(a)),
  psignb: applySign("i8x16", 8),
  psignw: applySign("i16x8", 16),
  psignd: applySign("i32x4", 32),

  pcmpeqb: lanewise((v, a, b) => v.i8x16_eq(a, b)),
  pcmpeqw: lanewise((v, a, b) => v.i16x8_eq(a, b)),
  pcmpeqd: lanewise((v, a, b) => v.i32x4_eq(a, b)),
  pcmpeqq: lanewise((v, a, b) => v.i64x2_eq(a, b)),
  pcmpgtb: lanewise((v, a, b) => v.i8x16_gt_s(a, b)),
  pcmpgtw: lanewise((v, a, b) => v.i16x8_gt_s(a, b)),
  pcmpgtd: lanewise((v, a, b) => v.i32x4_gt_s(a, b)),
  pcmpgtq: lanewise((v, a, b) => v.i64x2_gt_s(a, b)),

  psllw: shift("i16x8", "shl"),
  pslld: shift("i32x4", "shl"),
  psllq: shift("i64x2", "shl"),
  psrlw: shift("i16x8", "shr_u"),
  psrld: shift("i32x4", "shr_u"),
  psrlq: shift("i64x2", "shr_u"),
  psraw: shift("i16x8", "shr_s"),
  psrad: shift("i32x4", "shr_s"),

  // For the exact tier.
  crc32: (e) => e.slow(),
  pcmpestri: (e) => e.slow(),
  pcmpestrm: (e) => e.slow(),
  pcmpistri: (e) => e.slow(),
  pcmpistrm: (e) => e.slow(),
} satisfies Record<string, Semantics>;
