// Single and double precision seen alike, so that each floating-point instruction is written once for both.
//
//     double   | 64 bits of the value                                |
//     single   | 1111 ... 1111 (NaN box) | 32 bits of the value       |     RISC-V unprivileged ISA, "NaN Boxing"
//
// A single operand whose box is broken counts as the canonical NaN; the exact tier deals with it.

import type { F32, F64, I32, I64, Value } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import { FloatFlag } from "../../float/format.ts";
import type { RiscvEmitter } from "../emitter.ts";

export type FloatType = "f32" | "f64";

type Unary<T extends FloatType> = (a: Value<T>) => Value<T>;
type Binary<T extends FloatType> = (a: Value<T>, b: Value<T>) => Value<T>;
type Compare<T extends FloatType> = (a: Value<T>, b: Value<T>) => I32;

/** The WebAssembly instructions of a type, those that both types have. */
export interface FloatOperators<T extends FloatType> {
  readonly const: (value: number) => Value<T>;
  readonly abs: Unary<T>;
  readonly neg: Unary<T>;
  readonly sqrt: Unary<T>;
  readonly add: Binary<T>;
  readonly sub: Binary<T>;
  readonly mul: Binary<T>;
  readonly div: Binary<T>;
  readonly min: Binary<T>;
  readonly max: Binary<T>;
  readonly eq: Compare<T>;
  readonly ne: Compare<T>;
  readonly lt: Compare<T>;
  readonly le: Compare<T>;
  readonly gt: Compare<T>;
  readonly convert_i64_s: (value: I64) => Value<T>;
  readonly convert_i64_u: (value: I64) => Value<T>;
}

/** One precision: its operators, its operands, and the fields of its values. */
export interface FloatView<T extends FloatType> {
  readonly operators: FloatOperators<T>;
  readonly fractionBits: number;
  readonly exponentBias: number;
  readonly smallestNormal: number;
  /** Names a value of this precision. */
  let(value: Value<T>): Local<T>;
  /** Leaves for the exact tier when one of the first `count` operands is no value of this precision. */
  slowUnlessBoxed(count: 1 | 2 | 3): void;
  fs1(): Value<T>;
  fs2(): Value<T>;
  fs3(): Value<T>;
  setFd(value: Value<T>): void;
  /** The biased exponent field; 0 for zero and subnormal numbers. */
  exponent(value: Local<T>): I32;
  /** Trailing zero bits of the significand of a normal number, the hidden bit included. */
  trailingZeros(value: Local<T>): I32;
  toDouble(value: Value<T>): F64;
  truncateToI64(value: Value<T>): I64;
  truncateToU64(value: Value<T>): I64;
}

/** Double precision over an emitter. */
export function viewDouble(e: RiscvEmitter): FloatView<"f64"> {
  const { i32, i64 } = e;
  return {
    operators: e.f64,
    fractionBits: 52,
    exponentBias: 1023,
    smallestNormal: 2 ** -1022,
    let: (value) => e.let(value),
    slowUnlessBoxed: () => {},
    fs1: () => e.fs1(),
    fs2: () => e.fs2(),
    fs3: () => e.fs3(),
    setFd: (value) => e.setFd(value),
    exponent: (value) =>
      i32.and(i32.wrap_i64(i64.shr_u(i64.reinterpret_f64(value.get()), i64.const(52))), i32.const(0x7ff)),
    trailingZeros: (value) =>
      i32.wrap_i64(i64.ctz(i64.or(i64.reinterpret_f64(value.get()), i64.constWords(0x00100000, 0)))),
    toDouble: (value) => value,
    truncateToI64: (value) => i64.trunc_sat_f64_s(value),
    truncateToU64: (value) => i64.trunc_sat_f64_u(value),
  };
}

/** Single precision over an emitter. */
export function viewSingle(e: RiscvEmitter): FloatView<"f32"> {
  const { i32, i64, f64 } = e;
  return {
    operators: e.f32,
    fractionBits: 23,
    exponentBias: 127,
    smallestNormal: 2 ** -126,
    let: (value) => e.let(value),
    slowUnlessBoxed: (count) => slowUnlessBoxed(e, count),
    fs1: () => e.fs1Single(),
    fs2: () => e.fs2Single(),
    fs3: () => e.fs3Single(),
    setFd: (value: F32) => setFdSingleBits(e, i64.extend_i32_u(i32.reinterpret_f32(value))),
    exponent: (value) => i32.and(i32.shr_u(i32.reinterpret_f32(value.get()), i32.const(23)), i32.const(0xff)),
    trailingZeros: (value) => i32.ctz(i32.or(i32.reinterpret_f32(value.get()), i32.const(0x00800000))),
    toDouble: (value) => f64.promote_f32(value),
    truncateToI64: (value) => i64.trunc_sat_f32_s(value),
    truncateToU64: (value) => i64.trunc_sat_f32_u(value),
  };
}

/** Writes the 32 bits of a single, which come zero-extended, with their NaN box. */
export function setFdSingleBits(e: RiscvEmitter, zeroExtended: I64): void {
  e.setFdBits(e.i64.or(zeroExtended, e.i64.constWords(-1, 0)));
}

/** All boxes are whole when the upper halves, taken together, are all ones. */
function slowUnlessBoxed(e: RiscvEmitter, count: 1 | 2 | 3): void {
  const { i64 } = e;
  let bits = e.fs1Bits();
  if (count >= 2) bits = i64.and(bits, e.fs2Bits());
  if (count >= 3) bits = i64.and(bits, e.fs3Bits());
  e.slow(i64.lt_u(bits, i64.constWords(-1, 0)));
}

/** Raises NX when `inexact` holds. While the flag is up already, as it mostly is, that is not even computed. */
export function raiseInexactIf(e: RiscvEmitter, inexact: () => I32): void {
  const isClear = e.i32.eqz(e.i32.and(e.fflags(), e.i32.const(FloatFlag.NX)));
  e.if(isClear, () => e.if(inexact(), () => e.raiseFlags(e.i32.const(FloatFlag.NX))));
}

/** Whether the value is finite, and not so small that underflow might have to be raised. */
export function isOrdinary<T extends FloatType>(e: RiscvEmitter, view: FloatView<T>, value: Local<T>): I32 {
  const { operators } = view;
  const size = view.let(operators.abs(value.get()));
  // The smallest normal number itself may have been rounded up to, from a tiny one.
  return e.i32.and(
    operators.gt(size.get(), operators.const(view.smallestNormal)),
    operators.lt(size.get(), operators.const(Infinity)),
  );
}
