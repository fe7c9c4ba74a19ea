// Conversions of SSE between integers, singles and doubles, and rounding to whole numbers, inline; see sse-float-arithmetic.ts for what leaves.
//
// What is exact for every operand needs nothing of MXCSR. A conversion to an integer leaves for NaNs and for what does not fit.

import type { I32, V128, Value } from "../../../wasm/values.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";
import { type FloatType, type MakeView, slowUnlessExact, viewPD, viewPS, viewSD, viewSS } from "./sse-float-view.ts";

type Rounding = "current" | "truncate";

/** From a general register or memory of 4 or 8 bytes to a double: exact, if it has 53 bits or less. */
export const integerToDouble: Semantics = (e) => {
  const { f64, i32, i64 } = e;
  if (e.sizeOf(1) !== 8) {
    e.require("sse");
    return e.writeScalar(0, 8, i64.reinterpret_f64(f64.convert_i32_s(e.readWord(1))));
  }
  e.require("nearest");
  const value = e.let(e.read(1));
  const result = e.let(f64.convert_i64_s(value.get()));
  // Rounded up beyond the type, the result would come back saturated, perhaps to the very operand.
  slowUnlessExact(e, () =>
    i32.and(i64.eq(i64.trunc_sat_f64_s(result.get()), value.get()), f64.ne(result.get(), f64.const(2 ** 63))),
  );
  e.writeScalar(0, 8, i64.reinterpret_f64(result.get()));
};

export const integerToSingle: Semantics = (e) => {
  e.require("nearest");
  const { f32, i32, i64 } = e;
  const value = e.let(e.read(1));
  const result = e.let(f32.convert_i64_s(value.get()));
  slowUnlessExact(e, () =>
    i32.and(i64.eq(i64.trunc_sat_f32_s(result.get()), value.get()), f32.ne(result.get(), f32.const(2 ** 63))),
  );
  e.writeScalar(0, 4, i64.extend_i32_u(i32.reinterpret_f32(result.get())));
};

/** To a general register of 4 or 8 bytes. */
export const toInteger =
  (precision: "single" | "double", rounding: Rounding): Semantics =>
  (e) => {
    e.require("nearest");
    const { f64, i32, i64 } = e;
    const value = e.let(precision === "double" ? viewSD(e).read(1) : f64.promote_f32(viewSS(e).read(1)));
    const whole = e.let(rounding === "truncate" ? f64.trunc(value.get()) : f64.nearest(value.get()));
    const isWide = e.sizeOf(0) === 8;
    const limit = isWide ? 2 ** 63 : 2 ** 31;
    const isInRange = i32.and(f64.ge(whole.get(), f64.const(-limit)), f64.lt(whole.get(), f64.const(limit)));
    e.slow(i32.eqz(isInRange));
    slowUnlessExact(e, () => f64.eq(whole.get(), value.get()));
    if (isWide) e.write(0, i64.trunc_sat_f64_s(whole.get()));
    else e.writeWord(0, i32.trunc_sat_f64_s(whole.get()));
  };

/** Exact, but for NaNs and denormal numbers, which leave. */
export const singleToDouble: Semantics = (e) => {
  e.require("sse");
  const { f32, f64, i32, i64 } = e;
  const view = viewSS(e);
  const value = e.let(view.read(1));
  const isNumber = f32.eq(value.get(), value.get());
  e.slow(i32.eqz(i32.and(isNumber, view.isNotDenormal(value))));
  e.writeScalar(0, 8, i64.reinterpret_f64(f64.promote_f32(value.get())));
};

export const doubleToSingle: Semantics = (e) => {
  e.require("nearest");
  const { f32, f64, i32, i64 } = e;
  const value = e.let(viewSD(e).read(1));
  const result = e.let(f32.demote_f64(value.get()));
  e.slow(i32.eqz(i32.or(viewSS(e).isOrdinary(result), f64.eq(value.get(), f64.const(0)))));
  slowUnlessExact(e, () => f64.eq(f64.promote_f32(result.get()), value.get()));
  e.writeScalar(0, 4, i64.extend_i32_u(i32.reinterpret_f32(result.get())));
};

/** The low two singles of the source, of which memory has no more. */
const lowSingles = (e: X86Emitter): V128 => e.v128.i64x2_splat(e.readScalar(1, 8));

export const singlesToDoubles: Semantics = (e) => {
  e.require("sse");
  const { v128, i32 } = e;
  const view = viewPS(e);
  const value = e.let(lowSingles(e));
  e.slow(i32.eqz(i32.and(view.areOrdered(value, value), view.isNotDenormal(value))));
  e.writeVector(0, v128.f64x2_promote_low_f32x4(value.get()));
};

export const doublesToSingles: Semantics = (e) => {
  e.require("nearest");
  const { v128 } = e;
  const value = e.let(viewPD(e).read(1));
  const result = e.let(v128.f32x4_demote_f64x2_zero(value.get()));
  const back = e.let(v128.f64x2_promote_low_f32x4(result.get()));
  // What is near 0 or too large as a single, as a double.
  const size = (): V128 => v128.f64x2_abs(back.get());
  const isOrdinary = v128.and(
    v128.f64x2_gt(size(), v128.f64x2_splat(e.f64.const(2 ** -126))),
    v128.f64x2_lt(size(), v128.f64x2_splat(e.f64.const(Infinity))),
  );
  const isZero = v128.f64x2_eq(value.get(), v128.const(0, 0, 0, 0));
  e.slow(e.i32.eqz(v128.i64x2_all_true(v128.or(isOrdinary, isZero))));
  slowUnlessExact(e, () => v128.i64x2_all_true(v128.f64x2_eq(back.get(), value.get())));
  e.writeVector(0, result.get());
};

export const wordsToDoubles: Semantics = (e) => {
  e.require("sse");
  e.writeVector(0, e.v128.f64x2_convert_low_i32x4_s(lowSingles(e)));
};

export const wordsToSingles: Semantics = (e) => {
  e.require("nearest");
  const { v128 } = e;
  const value = e.let(e.readVectorAligned(1));
  const result = e.let(v128.f32x4_convert_i32x4_s(value.get()));
  slowUnlessExact(e, () => {
    const isBack = v128.i32x4_eq(v128.i32x4_trunc_sat_f32x4_s(result.get()), value.get());
    return v128.i32x4_all_true(v128.and(isBack, v128.f32x4_lt(result.get(), v128.f32x4_splat(e.f32.const(2 ** 31)))));
  });
  e.writeVector(0, result.get());
};

/** To doublewords; the least of them, which fits, leaves too. */
export const toWords =
  (shape: "f32x4" | "f64x2", rounding: Rounding): Semantics =>
  (e) => {
    e.require("nearest");
    const { v128, i32 } = e;
    const value = e.let(e.readVectorAligned(1));
    const whole = e.let(v128[`${shape}_${rounding === "truncate" ? "trunc" : "nearest"}`](value.get()));
    const limit = (): V128 =>
      shape === "f32x4" ? v128.f32x4_splat(e.f32.const(2 ** 31)) : v128.f64x2_splat(e.f64.const(2 ** 31));
    e.slow(i32.eqz(v128.i32x4_all_true(v128[`${shape}_lt`](v128[`${shape}_abs`](whole.get()), limit()))));
    slowUnlessExact(e, () => v128.i32x4_all_true(v128[`${shape}_eq`](whole.get(), value.get())));
    e.writeVector(
      0,
      shape === "f32x4" ? v128.i32x4_trunc_sat_f32x4_s(whole.get()) : v128.i32x4_trunc_sat_f64x2_s_zero(whole.get()),
    );
  };

type Direction = "nearest" | "floor" | "ceil" | "trunc";

/** By bits 1-0 of the control; with bit 2, as MXCSR says: to nearest. */
const DIRECTIONS: readonly Direction[] = ["nearest", "floor", "ceil", "trunc"];

function roundByControl<T extends FloatType>(
  e: X86Emitter,
  type: T,
  round: (direction: Direction) => Value<T>,
): Value<T> {
  const known = e.knownImmediate(2);
  if (known !== undefined) return round((known & 4) !== 0 ? "nearest" : (DIRECTIONS[known & 3] ?? "nearest"));
  const bit = (value: number): I32 => e.i32.and(e.readWord(2), e.i32.const(value));
  const among = (odd: Direction, even: Direction) => (): Value<T> =>
    e.choose(
      type,
      bit(1),
      () => round(odd),
      () => round(even),
    );
  return e.choose(
    type,
    bit(4),
    () => round("nearest"),
    () => e.choose(type, bit(2), among("trunc", "ceil"), among("floor", "nearest")),
  );
}

/** Rounds to whole numbers. Bit 3 of the control keeps PE down. */
export const round =
  <T extends FloatType>(
    makeView: MakeView<T>,
    type: T,
    roundValue: (e: X86Emitter, direction: Direction, value: Value<T>) => Value<T>,
  ): Semantics =>
  (e) => {
    e.require("nearest");
    const { i32 } = e;
    const view = makeView(e);
    const value = e.let(view.read(1));
    e.slow(i32.eqz(view.areOrdered(value, value)));
    const whole = e.let(roundByControl(e, type, (direction) => roundValue(e, direction, value.get())));
    slowUnlessExact(e, () => i32.or(view.isEqual(whole.get(), value.get()), i32.and(e.readWord(2), i32.const(8))));
    view.write(whole.get());
  };
