// Fused multiply-add, a * b + c with one rounding, inline. WebAssembly has no such instruction.
//
// Double precision (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008):
//
//     product + error        = a * b              exactly (Dekker's product)
//     sum     + rest         = product + c        exactly (Knuth's sum)
//     tail                   = rest + error       rounded to odd
//     result                 = sum + tail         rounded to nearest: the only rounding that shows
//
// To round to odd is to truncate and set the last bit if anything was lost. A value so rounded never sits on a
// midpoint between two doubles unless the exact one does, so rounding it again rounds the exact value.
//
// Single precision: the product is exact in double precision; the sum is rounded to odd there, and then to single.

import type { F64 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { RiscvEmitter, Semantics } from "../emitter.ts";
import { isInexactSum } from "./float-arithmetic.ts";
import { isOrdinary, raiseInexactIf, viewSingle } from "./float-view.ts";

/** Which of product and addend are negated: fmadd none, fmsub the addend, fnmsub the product, fnmadd both. */
export interface FusedSigns {
  readonly product: 1 | -1;
  readonly addend: 1 | -1;
}

// Where every intermediate value is exact: no step overflows, and the lowest bit of the product's error, which is
// 2^-105 of the product, is far from underflow.
const LARGEST_OPERAND = 2 ** 990;
const LARGEST_PRODUCT = 2 ** 1000;
const SMALLEST_PRODUCT = 2 ** -800;

/** `±(fs1 * fs2) ± fs3` in double precision. */
export function fusedDouble(signs: FusedSigns): Semantics {
  return (e) => {
    if (e.rounding !== "nearest") return e.slow();
    const { f64, i32 } = e;
    const a = e.let(signs.product === 1 ? e.fs1() : f64.neg(e.fs1()));
    const b = e.let(e.fs2());
    const c = e.let(signs.addend === 1 ? e.fs3() : f64.neg(e.fs3()));
    const product = e.let(f64.mul(a.get(), b.get()));
    const result = e.let(f64.add(product.get(), c.get()));

    const productSize = e.let(f64.abs(product.get()));
    const operandsFit = f64.lt(
      f64.max(f64.max(f64.abs(a.get()), f64.abs(b.get())), f64.abs(c.get())),
      f64.const(LARGEST_OPERAND),
    );
    const productFits = i32.and(
      f64.gt(productSize.get(), f64.const(SMALLEST_PRODUCT)),
      f64.lt(productSize.get(), f64.const(LARGEST_PRODUCT)),
    );
    e.if(
      i32.and(operandsFit, productFits),
      () => {
        const error = e.let(productError(e, a, b, product));
        const rest = e.let(sumError(e, product, c, result));
        const tail = e.let(f64.add(rest.get(), error.get()));
        const sum = e.let(result.get());
        result.set(f64.add(sum.get(), tail.get()));
        // `tail` is mostly so far from a midpoint that how it was rounded does not show: then all values near it give
        // the same result. Branching saves half of the latency: 14.9 against 7 ns in a chain of sums.
        const slack = e.let(f64.mul(tail.get(), f64.const(2 ** -50)));
        const isSensitive = f64.ne(
          f64.add(sum.get(), f64.sub(tail.get(), slack.get())),
          f64.add(sum.get(), f64.add(tail.get(), slack.get())),
        );
        e.if(isSensitive, () => {
          const lost = e.let(sumError(e, rest, error, tail));
          result.set(f64.add(sum.get(), roundToOdd(e, tail, lost)));
        });
        raiseInexactIf(e, () => {
          const lost = sumError(e, rest, error, tail);
          return i32.or(f64.ne(lost, f64.const(0)), isInexactSum(e, f64, sum, tail, result));
        });
      },
      () => {
        // Zero times a finite number adds nothing: `result` is the addend, or a zero with the sign of a sum of zeros.
        const factorIsZero = i32.or(f64.eq(a.get(), f64.const(0)), f64.eq(b.get(), f64.const(0)));
        const isFinite = f64.lt(f64.abs(result.get()), f64.const(Infinity));
        e.slow(i32.eqz(i32.and(factorIsZero, isFinite)));
      },
    );
    e.setFd(result.get());
  };
}

/** `±(fs1 * fs2) ± fs3` in single precision. */
export function fusedSingle(signs: FusedSigns): Semantics {
  return (e) => {
    if (e.rounding !== "nearest") return e.slow();
    const { f32, f64, i32, i64 } = e;
    const view = viewSingle(e);
    view.slowUnlessBoxed(3);
    const a = f64.promote_f32(e.fs1Single());
    const b = f64.promote_f32(e.fs2Single());
    const product = e.let(signs.product === 1 ? f64.mul(a, b) : f64.neg(f64.mul(a, b)));
    const c = e.let(f64.promote_f32(e.fs3Single()));
    if (signs.addend === -1) c.set(f64.neg(c.get()));
    const sum = e.let(f64.add(product.get(), c.get()));
    const result = e.let(f32.demote_f64(sum.get()));
    // What the sum lost shows only if the sum lies on a midpoint between two singles: its low 29 bits are 1000...
    const lowBits = i32.and(i32.wrap_i64(i64.reinterpret_f64(sum.get())), i32.const(0x1fffffff));
    e.if(i32.eq(lowBits, i32.const(0x10000000)), () => {
      const lost = e.let(sumError(e, product, c, sum));
      result.set(f32.demote_f64(roundToOdd(e, sum, lost)));
    });
    e.if(i32.eqz(isOrdinary(e, view, result)), () => e.slow(f64.ne(sum.get(), f64.const(0))));
    raiseInexactIf(e, () =>
      i32.or(isInexactSum(e, f64, product, c, sum), f64.ne(f64.promote_f32(result.get()), sum.get())),
    );
    view.setFd(result.get());
  };
}

/** `a * b - product`, exactly: both factors are split into halves of 26 bits, whose products are exact (Dekker 1971). */
function productError(e: RiscvEmitter, a: Local<"f64">, b: Local<"f64">, product: Local<"f64">): F64 {
  const { f64 } = e;
  const [aHigh, aLow] = split(e, a);
  const [bHigh, bLow] = split(e, b);
  const afterHigh = e.let(f64.sub(f64.mul(aHigh.get(), bHigh.get()), product.get()));
  const afterCross = e.let(f64.add(afterHigh.get(), f64.mul(aHigh.get(), bLow.get())));
  return f64.add(f64.add(afterCross.get(), f64.mul(aLow.get(), bHigh.get())), f64.mul(aLow.get(), bLow.get()));
}

/** The upper 26 bits of a double, and the rest (Veltkamp's splitting). */
function split(e: RiscvEmitter, value: Local<"f64">): [high: Local<"f64">, low: Local<"f64">] {
  const { f64 } = e;
  const scaled = e.let(f64.mul(value.get(), f64.const(2 ** 27 + 1)));
  const high = e.let(f64.sub(scaled.get(), f64.sub(scaled.get(), value.get())));
  return [high, e.let(f64.sub(value.get(), high.get()))];
}

/** `a + b - sum`, exactly, whichever operand is larger (Knuth's TwoSum). */
function sumError(e: RiscvEmitter, a: Local<"f64">, b: Local<"f64">, sum: Local<"f64">): F64 {
  const { f64 } = e;
  const bPart = e.let(f64.sub(sum.get(), a.get()));
  return f64.add(f64.sub(a.get(), f64.sub(sum.get(), bPart.get())), f64.sub(b.get(), bPart.get()));
}

/**
 * `value + lost` rounded to odd, where `value` is that sum rounded to nearest: when something was lost and the last bit
 * is even, the neighbour on the lost side. On raw bits that is one more, or one less when the signs differ.
 */
function roundToOdd(e: RiscvEmitter, value: Local<"f64">, lost: Local<"f64">): F64 {
  const { f64, i32, i64 } = e;
  const bits = e.let(i64.reinterpret_f64(value.get()));
  const step = () =>
    i64.or(i64.shr_s(i64.xor(bits.get(), i64.reinterpret_f64(lost.get())), i64.const(63)), i64.const(1));
  const isAdjusted = () => i32.and(f64.ne(lost.get(), f64.const(0)), i64.eqz(i64.and(bits.get(), i64.const(1))));
  return f64.reinterpret_i64(i64.add(bits.get(), e.select(step(), i64.const(0), isAdjusted())));
}
