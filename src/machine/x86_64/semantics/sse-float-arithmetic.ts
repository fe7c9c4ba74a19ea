// Arithmetic and comparison of SSE, inline, while MXCSR is as at reset but for its flags.
//
// The host's instruction gives the result under round-to-nearest; what is left to do is to know the flags:
//
//     an operand denormal (DE), the result NaN (IE), infinite (OE, ZE) or near 0 (UE)  --> exact tier
//     PE already up, as it is after the first inexact result                             --> nothing to compute
//     else                                                                               --> exact tier, unless the result is seen to be exact
//
// So no flag is ever raised here. The tests of exactness are argued where they stand.

import type { I32, V128, Value } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";
import {
  type FloatType,
  type FloatView,
  type MakeScalarView,
  type MakeVectorView,
  type MakeView,
  slowUnlessExact,
} from "./sse-float-view.ts";
import { setZeroAndCarry, shuffleLanes } from "./sse-packed.ts";

/** Leaves unless all conditions hold. */
function slowUnless(e: X86Emitter, first: I32, ...others: readonly (() => I32)[]): void {
  let all = first;
  for (const other of others) all = e.i32.and(all, other());
  e.slow(e.i32.eqz(all));
}

export const addition = <T extends FloatType>(makeView: MakeView<T>): Semantics => sum(makeView, "add");
export const subtraction = <T extends FloatType>(makeView: MakeView<T>): Semantics => sum(makeView, "sub");

const sum =
  <T extends FloatType>(makeView: MakeView<T>, which: "add" | "sub"): Semantics =>
  (e) => {
    e.require("nearest");
    const view = makeView(e);
    const a = e.let(view.read(0));
    const b = e.let(view.read(1));
    view.write(sumOf(e, view, which, a, b).get());
  };

/** A finite sum has finite terms; one that is denormal, or zero, is exact. */
function sumOf<T extends FloatType>(
  e: X86Emitter,
  view: FloatView<T>,
  which: "add" | "sub",
  a: Local<T>,
  b: Local<T>,
): Local<T> {
  const result = e.let(view[which](a.get(), b.get()));
  slowUnless(
    e,
    view.isNotDenormal(a),
    () => view.isNotDenormal(b),
    () => view.isFinite(result),
  );
  // Taking the larger term from the sum is exact (Dekker 1971), so what is left is the other term just when the sum was exact. Asking both
  // ways asks the larger.
  slowUnlessExact(e, () => {
    const back = (): Value<T> => (which === "add" ? view.sub(result.get(), b.get()) : view.add(result.get(), b.get()));
    const other = (): Value<T> => (which === "add" ? view.sub(result.get(), a.get()) : view.sub(a.get(), result.get()));
    return e.i32.and(view.isEqual(back(), a.get()), view.isEqual(other(), b.get()));
  });
  return result;
}

export const multiplication =
  <T extends FloatType>(makeView: MakeView<T>): Semantics =>
  (e) => {
    e.require("nearest");
    const view = makeView(e);
    const a = e.let(view.read(0));
    const b = e.let(view.read(1));
    const result = e.let(view.mul(a.get(), b.get()));
    slowUnless(
      e,
      view.isNotDenormal(a),
      () => view.isNotDenormal(b),
      () => view.isOrdinaryOrZeroOf(result, [a, b]),
    );
    slowUnlessExact(e, () => view.areShort([a, b]));
    view.write(result.get());
  };

export const division =
  <T extends FloatType>(makeView: MakeView<T>): Semantics =>
  (e) => {
    e.require("nearest");
    const view = makeView(e);
    const a = e.let(view.read(0));
    const b = e.let(view.read(1));
    const result = e.let(view.div(a.get(), b.get()));
    slowUnless(
      e,
      view.isNotDenormal(a),
      () => view.isNotDenormal(b),
      () => view.isOrdinaryOrZeroOf(result, [a]),
    );
    // A quotient that gives the dividend back, exactly, is exact.
    slowUnlessExact(e, () =>
      e.i32.and(view.areShort([result, b]), view.isEqual(view.mul(result.get(), b.get()), a.get())),
    );
    view.write(result.get());
  };

/** A root is never near 0, but of 0. */
export const squareRoot =
  <T extends FloatType>(makeView: MakeView<T>): Semantics =>
  (e) => {
    e.require("nearest");
    const view = makeView(e);
    const a = e.let(view.read(1));
    const result = e.let(view.sqrt(a.get()));
    slowUnless(e, view.isNotDenormal(a), () => view.isFinite(result));
    slowUnlessExact(e, () =>
      e.i32.and(view.areShort([result]), view.isEqual(view.mul(result.get(), result.get()), a.get())),
    );
    view.write(result.get());
  };

export const minOrMax =
  <T extends FloatType>(makeView: MakeView<T>, which: "min" | "max"): Semantics =>
  (e) => {
    e.require("nearest");
    const view = makeView(e);
    const a = e.let(view.read(0));
    const b = e.let(view.read(1));
    slowUnlessOrderedNumbers(e, view, a, b);
    view.write(view[which](a, b));
  };

/** NaNs may be invalid, denormal numbers raise DE. */
function slowUnlessOrderedNumbers<T extends FloatType>(
  e: X86Emitter,
  view: FloatView<T>,
  a: Local<T>,
  b: Local<T>,
): void {
  slowUnless(
    e,
    view.isNotDenormal(a),
    () => view.isNotDenormal(b),
    () => view.areOrdered(a, b),
  );
}

/** Neighbours added or subtracted, those of the destination below those of the source. */
export const horizontal =
  (makeView: MakeView<"v128">, size: 4 | 8, which: "add" | "sub"): Semantics =>
  (e) => {
    e.require("nearest");
    const view = makeView(e);
    const a = e.let(view.read(0));
    const b = e.let(view.read(1));
    const lanes = size === 4 ? [0, 2, 4, 6] : [0, 2];
    const even = e.let(shuffleLanes(e.v128, size, a.get(), b.get(), lanes));
    const odd = e.let(
      shuffleLanes(
        e.v128,
        size,
        a.get(),
        b.get(),
        lanes.map((lane) => lane + 1),
      ),
    );
    view.write(sumOf(e, view, which, even, odd).get());
  };

/** Subtracts in even lanes: adds what has its sign changed there. */
export const addSubtract =
  (makeView: MakeView<"v128">, size: 4 | 8): Semantics =>
  (e) => {
    e.require("nearest");
    const view = makeView(e);
    const { v128 } = e;
    const top = 0x80000000 | 0;
    const a = e.let(view.read(0));
    const b = e.let(v128.xor(view.read(1), size === 4 ? v128.const(top, 0, top, 0) : v128.const(0, top, 0, 0)));
    view.write(sumOf(e, view, "add", a, b).get());
  };

/** CF if less, ZF if equal; unordered operands leave. */
export const compareToFlags =
  <T extends "f32" | "f64">(makeView: MakeScalarView<T>): Semantics =>
  (e) => {
    e.require("nearest");
    const view = makeView(e);
    const a = e.let(view.read(0));
    const b = e.let(view.read(1));
    slowUnlessOrderedNumbers(e, view, a, b);
    if (!e.needsFlags) return;
    const isLess = e.let(view.isLess(a.get(), b.get()));
    setZeroAndCarry(e, e.let(view.isEqual(a.get(), b.get())), isLess);
  };

/**
 * What a predicate says of ordered numbers: 0 equal, 1 less, 2 less or equal, 3 unordered, and 4 more for the opposite. Equality counts in
 * 0 and 2, being less in 1 and 2.
 */
function predicateOf(e: X86Emitter) {
  const { i32 } = e;
  const bit = (n: number): I32 => i32.and(i32.shr_u(e.readWord(2), i32.const(n)), i32.const(1));
  return {
    equalCounts: (): I32 => i32.xor(bit(0), i32.const(1)),
    lessCounts: (): I32 => i32.xor(bit(0), bit(1)),
    isOpposite: (): I32 => bit(2),
  };
}

/** All ones in the lanes for which the control's predicate holds. */
export const compareLanes =
  (makeView: MakeVectorView): Semantics =>
  (e) => {
    e.require("nearest");
    const { v128, i32 } = e;
    const view = makeView(e);
    const a = e.let(view.read(0));
    const b = e.let(view.read(1));
    slowUnlessOrderedNumbers(e, view, a, b);
    const { equalCounts, lessCounts, isOpposite } = predicateOf(e);
    const mask = (bit: () => I32): V128 => v128.i32x4_splat(i32.sub(i32.const(0), bit()));
    const equal = v128.and(view.equalLanes(a.get(), b.get()), mask(equalCounts));
    const either = v128.or(equal, v128.and(view.lessLanes(a.get(), b.get()), mask(lessCounts)));
    e.writeVector(0, v128.xor(either, mask(isOpposite)));
  };

/** As `compareLanes`, of the low lane alone. */
export const compareLow =
  <T extends "f32" | "f64">(makeView: MakeScalarView<T>): Semantics =>
  (e) => {
    e.require("nearest");
    const { i32, i64 } = e;
    const view = makeView(e);
    const a = e.let(view.read(0));
    const b = e.let(view.read(1));
    slowUnlessOrderedNumbers(e, view, a, b);
    const { equalCounts, lessCounts, isOpposite } = predicateOf(e);
    const equal = i32.and(view.isEqual(a.get(), b.get()), equalCounts());
    const either = i32.or(equal, i32.and(view.isLess(a.get(), b.get()), lessCounts()));
    const holds = e.let(i32.xor(either, isOpposite()));
    e.writeScalar(0, view.size, i64.extend_i32_s(i32.sub(i32.const(0), holds.get())));
  };

/** 1 / a, or 1 / sqrt(a), of what is ordinary; without any flag, whatever MXCSR says. SDM allows a relative error of 1.5 * 2^-12. */
export const approximation =
  <T extends "f32" | "v128">(makeView: MakeView<T>, which: "reciprocal" | "reciprocal of root"): Semantics =>
  (e) => {
    e.require("sse");
    const view = makeView(e);
    const a = e.let(view.read(1));
    const divisor = (): Value<T> => (which === "reciprocal" ? a.get() : view.sqrt(a.get()));
    const result = e.let(view.div(view.one(), divisor()));
    slowUnless(e, view.isNotDenormal(a), () => view.isOrdinary(result));
    view.write(result.get());
  };
