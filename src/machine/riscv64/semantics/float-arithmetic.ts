// Add, subtract, multiply, divide, square root, min, max and compare, inline.
//
// The host's own instruction gives the result under round-to-nearest; what is left to do is to know the flags:
//
//     result NaN, infinite, subnormal, or an operand special --> exact tier
//     NX already raised                                      --> nothing to compute
//     else                                                   --> is the result exact?
//
// The exactness tests need no wider arithmetic; each is argued where it stands.

import type { I32, Value } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { RiscvEmitter, Semantics } from "../emitter.ts";
import { type FloatOperators, type FloatType, type FloatView, isOrdinary, raiseInexactIf } from "./float-view.ts";

/** `fs1 + fs2`. */
export function addition<T extends FloatType>(makeView: (e: RiscvEmitter) => FloatView<T>): Semantics {
  return (e) => sum(e, makeView(e), (view) => view.fs2());
}

/** `fs1 - fs2`. */
export function subtraction<T extends FloatType>(makeView: (e: RiscvEmitter) => FloatView<T>): Semantics {
  return (e) => sum(e, makeView(e), (view) => view.operators.neg(view.fs2()));
}

function sum<T extends FloatType>(e: RiscvEmitter, view: FloatView<T>, second: (view: FloatView<T>) => Value<T>): void {
  if (e.rounding !== "nearest") return e.slow();
  const { operators } = view;
  view.slowUnlessBoxed(2);
  const a = e.let(view.fs1());
  const b = e.let(second(view));
  const result = e.let(operators.add(a.get(), b.get()));
  // A finite sum has finite operands; one that is subnormal, or zero, is exact.
  e.slow(e.i32.eqz(operators.lt(operators.abs(result.get()), operators.const(Infinity))));
  raiseInexactIf(e, () => isInexactSum(e, operators, a, b, result));
  view.setFd(result.get());
}

/**
 * Whether `result`, the rounded sum of `a` and `b`, is inexact. Taking the larger operand from the sum is always exact
 * (Dekker 1971), so what is left equals the other operand just when the sum was; asking both ways asks the larger.
 */
export function isInexactSum<T extends FloatType>(
  e: RiscvEmitter,
  operators: FloatOperators<T>,
  a: Local<T>,
  b: Local<T>,
  result: Local<T>,
): I32 {
  return e.i32.or(
    operators.ne(operators.sub(result.get(), a.get()), b.get()),
    operators.ne(operators.sub(result.get(), b.get()), a.get()),
  );
}

/** `fs1 * fs2`. */
export function multiplication<T extends FloatType>(makeView: (e: RiscvEmitter) => FloatView<T>): Semantics {
  return (e) => {
    if (e.rounding !== "nearest") return e.slow();
    const view = makeView(e);
    const { operators } = view;
    view.slowUnlessBoxed(2);
    const a = e.let(view.fs1());
    const b = e.let(view.fs2());
    const result = e.let(operators.mul(a.get(), b.get()));
    slowUnlessOrdinaryOr(e, view, result, () => e.i32.or(isZero(operators, a), isZero(operators, b)));
    raiseInexactIf(e, () => {
      slowIfSubnormal(e, view, result, [a, b]);
      return e.i32.and(operators.ne(result.get(), operators.const(0)), isInexactProduct(e, view, a, b, result));
    });
    view.setFd(result.get());
  };
}

/** `fs1 / fs2`. */
export function division<T extends FloatType>(makeView: (e: RiscvEmitter) => FloatView<T>): Semantics {
  return (e) => {
    if (e.rounding !== "nearest") return e.slow();
    const view = makeView(e);
    const { operators } = view;
    view.slowUnlessBoxed(2);
    const a = e.let(view.fs1());
    const b = e.let(view.fs2());
    const result = e.let(operators.div(a.get(), b.get()));
    slowUnlessOrdinaryOr(e, view, result, () => isZero(operators, a));
    raiseInexactIf(e, () => {
      slowIfSubnormal(e, view, result, [a, b]);
      return e.i32.and(operators.ne(result.get(), operators.const(0)), isInexactFactor(e, view, result, b, a));
    });
    view.setFd(result.get());
  };
}

/** The square root of fs1. */
export function squareRoot<T extends FloatType>(makeView: (e: RiscvEmitter) => FloatView<T>): Semantics {
  return (e) => {
    if (e.rounding !== "nearest") return e.slow();
    const view = makeView(e);
    const { operators } = view;
    view.slowUnlessBoxed(1);
    const a = e.let(view.fs1());
    const result = e.let(operators.sqrt(a.get()));
    slowUnlessOrdinaryOr(e, view, result, () => isZero(operators, a));
    raiseInexactIf(e, () => {
      slowIfSubnormal(e, view, result, [a]);
      return e.i32.and(operators.ne(result.get(), operators.const(0)), isInexactFactor(e, view, result, result, a));
    });
    view.setFd(result.get());
  };
}

function isZero<T extends FloatType>(operators: FloatOperators<T>, value: Local<T>): I32 {
  return operators.eq(value.get(), operators.const(0));
}

/** Leaves for the exact tier unless the result is ordinary, or is a zero that `isExactZero` vouches for. */
function slowUnlessOrdinaryOr<T extends FloatType>(
  e: RiscvEmitter,
  view: FloatView<T>,
  result: Local<T>,
  isExactZero: () => I32,
): void {
  e.if(e.i32.eqz(isOrdinary(e, view, result)), () => {
    e.slow(e.i32.eqz(e.i32.and(isZero(view.operators, result), isExactZero())));
  });
}

/** The exactness tests read exponent fields: they need normal operands, unless the result is a zero. */
function slowIfSubnormal<T extends FloatType>(
  e: RiscvEmitter,
  view: FloatView<T>,
  result: Local<T>,
  operands: readonly Local<T>[],
): void {
  const { i32 } = e;
  for (const operand of operands) {
    e.slow(i32.and(i32.eqz(view.exponent(operand)), view.operators.ne(result.get(), view.operators.const(0))));
  }
}

/**
 * Whether `product`, rounded from `a * b`, is inexact; all three are normal. The exact product has as many trailing zeros
 * as both significands together. It drops the fraction's width of bits, and one more if it carried into the next
 * exponent; it is exact when those are all zeros. (A carry made by the rounding itself counts one too many, but then
 * the product was inexact in any case.)
 */
function isInexactProduct<T extends FloatType>(
  e: RiscvEmitter,
  view: FloatView<T>,
  a: Local<T>,
  b: Local<T>,
  product: Local<T>,
): I32 {
  const { i32 } = e;
  // Zeros are too few when: zeros < fractionBits + exponent(product) - (exponent(a) + exponent(b) - bias).
  return i32.lt_s(
    i32.add(i32.add(view.trailingZeros(a), view.trailingZeros(b)), i32.add(view.exponent(a), view.exponent(b))),
    i32.add(view.exponent(product), i32.const(view.fractionBits + view.exponentBias)),
  );
}

/**
 * Whether `whole` is not exactly `a * b`, where one of the factors was rounded from the quotient (or is the square root).
 * An exact product that rounds to `whole` is `whole`.
 */
function isInexactFactor<T extends FloatType>(
  e: RiscvEmitter,
  view: FloatView<T>,
  a: Local<T>,
  b: Local<T>,
  whole: Local<T>,
): I32 {
  const { operators } = view;
  return e.i32.or(operators.ne(operators.mul(a.get(), b.get()), whole.get()), isInexactProduct(e, view, a, b, whole));
}

/** min or max of two numbers; the host orders -0 below +0 as RISC-V does. NaNs are for the exact tier. */
export function minOrMax<T extends FloatType>(
  makeView: (e: RiscvEmitter) => FloatView<T>,
  which: "min" | "max",
): Semantics {
  return (e) => {
    const view = makeView(e);
    view.slowUnlessBoxed(2);
    const a = e.let(view.fs1());
    const b = e.let(view.fs2());
    slowIfUnordered(e, view, a, b);
    view.setFd(view.operators[which](a.get(), b.get()));
  };
}

/** A comparison into rd. */
export function comparison<T extends FloatType>(
  makeView: (e: RiscvEmitter) => FloatView<T>,
  which: "eq" | "lt" | "le",
): Semantics {
  return (e) => {
    const view = makeView(e);
    view.slowUnlessBoxed(2);
    const a = e.let(view.fs1());
    const b = e.let(view.fs2());
    slowIfUnordered(e, view, a, b);
    e.setRdWord(view.operators[which](a.get(), b.get()));
  };
}

function slowIfUnordered<T extends FloatType>(
  e: RiscvEmitter,
  { operators }: FloatView<T>,
  a: Local<T>,
  b: Local<T>,
): void {
  e.slow(e.i32.or(operators.ne(a.get(), a.get()), operators.ne(b.get(), b.get())));
}
