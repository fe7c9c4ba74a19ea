// Single and double precision, one value or a vector of them, seen alike, so that each arithmetic instruction is written once.
//
//     SD  f64 in the low half of an xmm register     PD  two of them
//     SS  f32 in the low quarter                     PS  four
//
// The tests hold of a vector if they hold of all its lanes. They are exact or err to the side of the exact tier: a smallest normal number
// counts as denormal, being the one that a tiny result may have been rounded up to.

import type { I32, V128, Value } from "../../../wasm/values.ts";
import { MXCSR } from "../../../isa/x86_64/registers.ts";
import type { Local } from "../../emitter.ts";
import type { X86Emitter } from "../emitter.ts";

export type FloatType = "f32" | "f64" | "v128";

type Unary<T extends FloatType> = (a: Value<T>) => Value<T>;
type Binary<T extends FloatType> = (a: Value<T>, b: Value<T>) => Value<T>;

export interface FloatView<T extends FloatType> {
  /** Operand n, of aligned memory if it is a whole vector. */
  read(n: number): Value<T>;
  /** Operand 0 takes the value; what is above a single value stays. */
  write(value: Value<T>): void;
  readonly add: Binary<T>;
  readonly sub: Binary<T>;
  readonly mul: Binary<T>;
  readonly div: Binary<T>;
  readonly sqrt: Unary<T>;
  readonly one: () => Value<T>;
  /** The lesser or greater of two that are no NaNs; `b` if they are equal. */
  min(a: Local<T>, b: Local<T>): Value<T>;
  max(a: Local<T>, b: Local<T>): Value<T>;
  /** Whether it is zero, normal, infinite or a NaN. */
  isNotDenormal(value: Local<T>): I32;
  isFinite(value: Local<T>): I32;
  /** Whether neither is a NaN. */
  areOrdered(a: Local<T>, b: Local<T>): I32;
  /** Whether it is finite, and so far from 0 that it cannot have been tiny. */
  isOrdinary(value: Local<T>): I32;
  /** Whether it is ordinary, or a zero for which a factor that is zero accounts. */
  isOrdinaryOrZeroOf(value: Local<T>, factors: readonly Local<T>[]): I32;
  isEqual(a: Value<T>, b: Value<T>): I32;
  /** Whether significands are so short that the product of any two is exact. */
  areShort(values: readonly Local<T>[]): I32;
}

/** A single value. */
export interface ScalarView<T extends "f32" | "f64"> extends FloatView<T> {
  readonly size: 4 | 8;
  isLess(a: Value<T>, b: Value<T>): I32;
}

/** A vector; comparisons give masks. */
export interface VectorView extends FloatView<"v128"> {
  readonly size: 4 | 8;
  lessLanes(a: V128, b: V128): V128;
  equalLanes(a: V128, b: V128): V128;
}

export type MakeView<T extends FloatType> = (e: X86Emitter) => FloatView<T>;
export type MakeScalarView<T extends "f32" | "f64"> = (e: X86Emitter) => ScalarView<T>;
export type MakeVectorView = (e: X86Emitter) => VectorView;

/** Leaves to the exact tier unless the result is known to be exact, or PE is up already, so that it does not matter. */
export function slowUnlessExact(e: X86Emitter, isExact: () => I32): void {
  const { i32 } = e;
  e.if(i32.eqz(i32.and(e.mxcsr(), i32.const(MXCSR.PE))), () => e.slow(i32.eqz(isExact())));
}

export const viewSD: MakeScalarView<"f64"> = (e) => {
  const { f64, i32, i64 } = e;
  const doubled = (x: Local<"f64">) => i64.shl(i64.reinterpret_f64(x.get()), i64.const(1));
  const isZero = (x: Local<"f64">): I32 => f64.eq(x.get(), f64.const(0));
  const isOrdinary = (x: Local<"f64">): I32 =>
    i64.lt_u(i64.sub(i64.shr_u(doubled(x), i64.const(53)), i64.const(2)), i64.const(2045));
  return {
    size: 8,
    isLess: f64.lt,
    read: (n) => f64.reinterpret_i64(e.readScalar(n, 8)),
    write: (value) => e.writeScalar(0, 8, i64.reinterpret_f64(value)),
    add: f64.add,
    sub: f64.sub,
    mul: f64.mul,
    div: f64.div,
    sqrt: f64.sqrt,
    one: () => f64.const(1),
    min: (a, b) => e.select(a.get(), b.get(), f64.lt(a.get(), b.get())),
    max: (a, b) => e.select(a.get(), b.get(), f64.gt(a.get(), b.get())),
    // Less one, a zero is the largest number.
    isNotDenormal: (x) => i64.ne(i64.shr_u(i64.sub(doubled(x), i64.const(1)), i64.const(53)), i64.const(0)),
    isFinite: (x) => f64.lt(f64.abs(x.get()), f64.const(Infinity)),
    areOrdered: (a, b) => i32.and(f64.eq(a.get(), a.get()), f64.eq(b.get(), b.get())),
    isOrdinary,
    isOrdinaryOrZeroOf: (x, factors) =>
      i32.or(
        isOrdinary(x),
        i32.and(
          isZero(x),
          anyOf(
            e,
            factors.map((factor) => () => isZero(factor)),
          ),
        ),
      ),
    isEqual: f64.eq,
    areShort: (values) => {
      const [first, ...others] = values.map((x) => () => i64.reinterpret_f64(x.get()));
      let bits = first?.() ?? i64.const(0);
      for (const other of others) bits = i64.or(bits, other());
      return i64.eqz(i64.and(bits, i64.const(0x7ffffff)));
    },
  };
};

export const viewSS: MakeScalarView<"f32"> = (e) => {
  const { f32, i32, i64 } = e;
  const doubled = (x: Local<"f32">): I32 => i32.shl(i32.reinterpret_f32(x.get()), i32.const(1));
  const isZero = (x: Local<"f32">): I32 => f32.eq(x.get(), f32.const(0));
  const isOrdinary = (x: Local<"f32">): I32 =>
    i32.lt_u(i32.sub(i32.shr_u(doubled(x), i32.const(24)), i32.const(2)), i32.const(253));
  return {
    size: 4,
    isLess: f32.lt,
    read: (n) => f32.reinterpret_i32(i32.wrap_i64(e.readScalar(n, 4))),
    write: (value) => e.writeScalar(0, 4, i64.extend_i32_u(i32.reinterpret_f32(value))),
    add: f32.add,
    sub: f32.sub,
    mul: f32.mul,
    div: f32.div,
    sqrt: f32.sqrt,
    one: () => f32.const(1),
    min: (a, b) => e.select(a.get(), b.get(), f32.lt(a.get(), b.get())),
    max: (a, b) => e.select(a.get(), b.get(), f32.gt(a.get(), b.get())),
    isNotDenormal: (x) => i32.ne(i32.shr_u(i32.sub(doubled(x), i32.const(1)), i32.const(24)), i32.const(0)),
    isFinite: (x) => f32.lt(f32.abs(x.get()), f32.const(Infinity)),
    areOrdered: (a, b) => i32.and(f32.eq(a.get(), a.get()), f32.eq(b.get(), b.get())),
    isOrdinary,
    isOrdinaryOrZeroOf: (x, factors) =>
      i32.or(
        isOrdinary(x),
        i32.and(
          isZero(x),
          anyOf(
            e,
            factors.map((factor) => () => isZero(factor)),
          ),
        ),
      ),
    isEqual: f32.eq,
    areShort: (values) => {
      const [first, ...others] = values.map((x) => () => i32.reinterpret_f32(x.get()));
      let bits = first?.() ?? i32.const(0);
      for (const other of others) bits = i32.or(bits, other());
      return i32.eqz(i32.and(bits, i32.const(0xfff)));
    },
  };
};

function anyOf(e: X86Emitter, conditions: readonly (() => I32)[]): I32 {
  const [first, ...others] = conditions;
  let any = first?.() ?? e.i32.const(0);
  for (const other of others) any = e.i32.or(any, other());
  return any;
}

export const viewPD: MakeVectorView = (e) => viewVector(e, "f64x2");
export const viewPS: MakeVectorView = (e) => viewVector(e, "f32x4");

/** What differs between the vectors: integer lanes of the width, bits to the exponent's end, the smallest normal number, short significands. */
const SHAPES = {
  f64x2: { lane: "i64x2", exponentEnd: 53, smallest: 2 ** -1022, longBits: [0x7ffffff, 0] },
  f32x4: { lane: "i32x4", exponentEnd: 24, smallest: 2 ** -126, longBits: [0xfff, 0xfff] },
} as const;

function viewVector(e: X86Emitter, shape: keyof typeof SHAPES): VectorView {
  const { i32, v128 } = e;
  const { lane, exponentEnd, smallest, longBits } = SHAPES[shape];
  const all = (mask: V128): I32 => v128[`${lane}_all_true`](mask);
  const splat = (value: number): V128 =>
    shape === "f64x2" ? v128.f64x2_splat(e.f64.const(value)) : v128.f32x4_splat(e.f32.const(value));
  const size = (x: Local<"v128">): V128 => v128[`${shape}_abs`](x.get());
  const isZero = (x: Local<"v128">): V128 => v128[`${shape}_eq`](x.get(), v128.const(0, 0, 0, 0));
  const ordinaryLanes = (x: Local<"v128">): V128 =>
    v128.and(v128[`${shape}_gt`](size(x), splat(smallest)), v128[`${shape}_lt`](size(x), splat(Infinity)));
  return {
    size: shape === "f64x2" ? 8 : 4,
    lessLanes: v128[`${shape}_lt`],
    equalLanes: v128[`${shape}_eq`],
    read: (n) => e.readVectorAligned(n),
    write: (value) => e.writeVector(0, value),
    add: v128[`${shape}_add`],
    sub: v128[`${shape}_sub`],
    mul: v128[`${shape}_mul`],
    div: v128[`${shape}_div`],
    sqrt: v128[`${shape}_sqrt`],
    one: () => splat(1),
    // The host's pmin(x, y) is y < x ? y : x.
    min: (a, b) => v128[`${shape}_pmin`](b.get(), a.get()),
    max: (a, b) => v128[`${shape}_pmax`](b.get(), a.get()),
    // ~-x is x - 1: see viewSD.
    isNotDenormal: (x) =>
      all(
        v128[`${lane}_shr_u`](
          v128.not(v128[`${lane}_neg`](v128[`${lane}_shl`](x.get(), i32.const(1)))),
          i32.const(exponentEnd),
        ),
      ),
    isFinite: (x) => all(v128[`${shape}_lt`](size(x), splat(Infinity))),
    areOrdered: (a, b) => all(v128.and(v128[`${shape}_eq`](a.get(), a.get()), v128[`${shape}_eq`](b.get(), b.get()))),
    isOrdinary: (x) => all(ordinaryLanes(x)),
    isOrdinaryOrZeroOf: (x, factors) => {
      const [first, ...others] = factors;
      const ordinary = ordinaryLanes(x);
      let zeros = first === undefined ? v128.const(0, 0, 0, 0) : isZero(first);
      for (const other of others) zeros = v128.or(zeros, isZero(other));
      return all(v128.or(ordinary, v128.and(zeros, isZero(x))));
    },
    isEqual: (a, b) => all(v128[`${shape}_eq`](a, b)),
    areShort: (values) => {
      const [first, ...others] = values;
      let bits = first?.get() ?? v128.const(0, 0, 0, 0);
      for (const other of others) bits = v128.or(bits, other.get());
      const [low, high] = longBits;
      return i32.eqz(v128.any_true(v128.and(bits, v128.const(low, high, low, high))));
    },
  };
}
