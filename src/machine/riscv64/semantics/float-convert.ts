// Conversions between single, double and integers, inline.
//
// To an integer: rounded as the mode says, then cut; out-of-range values and NaNs leave for the exact tier. From an integer, and double to single: round to nearest, with NX when that lost something.

import type { F64, I32, I64 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { RiscvEmitter, Semantics } from "../emitter.ts";
import { type FloatType, type FloatView, isOrdinary, raiseInexactIf, viewSingle } from "./float-view.ts";

/** An integer type: `low <= x < high` are its values as doubles. */
interface IntegerType {
  readonly low: number;
  readonly high: number;
  readonly setRd: (e: RiscvEmitter, value: F64) => void;
}

/** The integer types by the letters of the mnemonics. A 32-bit result is sign-extended, unsigned or not. */
export const INTEGER_TYPES = {
  w: { low: -(2 ** 31), high: 2 ** 31, setRd: (e, value) => e.setRdWord(e.i32.trunc_sat_f64_s(value)) },
  wu: { low: 0, high: 2 ** 32, setRd: (e, value) => e.setRdWord(e.i32.trunc_sat_f64_u(value)) },
  l: { low: -(2 ** 63), high: 2 ** 63, setRd: (e, value) => e.setRd(e.i64.trunc_sat_f64_s(value)) },
  lu: { low: 0, high: 2 ** 64, setRd: (e, value) => e.setRd(e.i64.trunc_sat_f64_u(value)) },
} as const satisfies Record<string, IntegerType>;

/** `rd = (integer) fs1`. */
export function floatToInteger<T extends FloatType>(
  makeView: (e: RiscvEmitter) => FloatView<T>,
  type: IntegerType,
): Semantics {
  return (e) => {
    const { f64, i32 } = e;
    const view = makeView(e);
    view.slowUnlessBoxed(1);
    const value = e.let(view.toDouble(view.fs1()));
    const whole = e.let(roundToWhole(e, value));
    const isInRange = i32.and(f64.ge(whole.get(), f64.const(type.low)), f64.lt(whole.get(), f64.const(type.high)));
    e.slow(i32.eqz(isInRange));
    raiseInexactIf(e, () => f64.ne(whole.get(), value.get()));
    type.setRd(e, whole.get());
  };
}

/** The whole number that the rounding mode takes a value to. */
function roundToWhole(e: RiscvEmitter, value: Local<"f64">): F64 {
  const { f64 } = e;
  switch (e.rounding) {
    case "nearest":
      return f64.nearest(value.get());
    case "zero":
      return f64.trunc(value.get());
    case "down":
      return f64.floor(value.get());
    case "up":
      return f64.ceil(value.get());
    case "away": {
      // Cutting is exact, and so is what it cut off; adding a half first would not be.
      const cut = e.let(f64.trunc(value.get()));
      const isHalfOrMore = () => f64.ge(f64.abs(f64.sub(value.get(), cut.get())), f64.const(0.5));
      const one = () => f64.copysign(f64.const(1), value.get());
      return f64.add(cut.get(), e.select(one(), f64.const(0), isHalfOrMore()));
    }
  }
}

/** `fd = (float) rs1`, where `operand` widens the integer to 64 bits. */
export function integerToFloat<T extends FloatType>(
  makeView: (e: RiscvEmitter) => FloatView<T>,
  operand: (e: RiscvEmitter) => I64,
  signedness: "signed" | "unsigned",
): Semantics {
  return (e) => {
    if (e.rounding !== "nearest") return e.slow();
    const { i32, i64 } = e;
    const view = makeView(e);
    const { operators } = view;
    const isSigned = signedness === "signed";
    const value = e.let(operand(e));
    const result = view.let(isSigned ? operators.convert_i64_s(value.get()) : operators.convert_i64_u(value.get()));
    raiseInexactIf(e, () => {
      const back = isSigned ? view.truncateToI64(result.get()) : view.truncateToU64(result.get());
      const isDifferent: I32 = i64.ne(back, value.get());
      // Rounded up beyond the type, the result would come back saturated, perhaps to the very operand.
      return i32.or(isDifferent, operators.eq(result.get(), operators.const(isSigned ? 2 ** 63 : 2 ** 64)));
    });
    view.setFd(result.get());
  };
}

/** `fd = (double) rs1` of 32 bits: always exact. */
export const wordToDouble: Semantics = (e) => e.setFd(e.f64.convert_i32_s(e.rs1Word()));
export const unsignedWordToDouble: Semantics = (e) => e.setFd(e.f64.convert_i32_u(e.rs1Word()));

/** `fd = (double) fs1`: exact; a NaN must become canonical, and a signaling one raises NV, in the exact tier. */
export const singleToDouble: Semantics = (e) => {
  const view = viewSingle(e);
  view.slowUnlessBoxed(1);
  const value = e.let(e.fs1Single());
  e.slow(e.f32.ne(value.get(), value.get()));
  e.setFd(e.f64.promote_f32(value.get()));
};

/** `fd = (float) fs1`. */
export const doubleToSingle: Semantics = (e) => {
  if (e.rounding !== "nearest") return e.slow();
  const { f32, f64, i32 } = e;
  const view = viewSingle(e);
  const value = e.let(e.fs1());
  const result = e.let(f32.demote_f64(value.get()));
  e.if(i32.eqz(isOrdinary(e, view, result)), () => e.slow(f64.ne(value.get(), f64.const(0))));
  raiseInexactIf(e, () => f64.ne(f64.promote_f32(result.get()), value.get()));
  view.setFd(result.get());
};
