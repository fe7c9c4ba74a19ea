// How packed integer instructions are written once for MMX and SSE.
//
//     SSE    operands are vectors of 16 bytes
//     MMX    operands of 8 bytes are computed on as vectors that hold them twice; the low half of the result counts
//
//         a = | a | a |     b = | b | b |     joined = | b | a |  (a low)
//
// Lane by lane, the low half comes out right by itself. An instruction that takes both operands' lanes to one side (pack, horizontal
// add) does to `joined` twice what SSE does to a and b. SDM volume 1, chapters 9 (MMX) and 10 to 12 (SSE).

import type { V128Operators } from "../../../wasm/operators.ts";
import type { I32, I64, V128 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";

/** One vector of two; the operands' code has been emitted, in this order. */
export type Binary = (v: V128Operators, a: V128, b: V128) => V128;
/** As `Binary`, for what uses an operand more than once or the other way round. */
export type BinaryOfLocals = (e: X86Emitter, a: Local<"v128">, b: Local<"v128">) => V128;

/** Whether an MMX register is among the first two operands. */
export const isMmxForm = (e: X86Emitter): boolean => e.isMmx(0) || e.isMmx(1);

/** Operand n of 8 bytes, twice. Of a memory operand of 4 bytes, those, and zeros above them. */
export function mmxVector(e: X86Emitter, n: number): V128 {
  return e.v128.i64x2_splat(e.isMemory(n) ? e.readUnsigned(n) : e.readMmx(n));
}

/** Writes half of a vector to MMX register 0: the end of an MMX instruction. */
export function writeMmxHalf(e: X86Emitter, value: V128, half: 0 | 1 = 0): void {
  const result = e.let(e.v128.i64x2_extract(value, half));
  e.tagMmx("valid");
  e.writeMmx(0, result.get());
}

/** A vector of an integer, and zeros above it. */
export function zeroExtended(e: X86Emitter, value: () => I64): V128 {
  return e.v128.i64x2_replace(zeros(e.v128), value(), 0);
}

export const zeros = (v: V128Operators): V128 => v.const(0, 0, 0, 0);

/** Operands 0 and 1 combined lane by lane into operand 0. */
export function lanewise(operate: Binary): Semantics {
  return (e) => {
    if (e.isMmx(0)) {
      e.require("mmx");
      writeMmxHalf(e, operate(e.v128, mmxVector(e, 0), mmxVector(e, 1)));
    } else {
      e.require("sse");
      e.writeVector(0, operate(e.v128, e.readVector(0), e.readVectorAligned(1)));
    }
  };
}

/** As `lanewise`, with named operands. */
export function lanewiseOfLocals(operate: BinaryOfLocals): Semantics {
  return (e) => {
    if (e.isMmx(0)) {
      e.require("mmx");
      const a = e.let(mmxVector(e, 0));
      writeMmxHalf(e, operate(e, a, e.let(mmxVector(e, 1))));
    } else {
      e.require("sse");
      const a = e.let(e.readVector(0));
      e.writeVector(0, operate(e, a, e.let(e.readVectorAligned(1))));
    }
  };
}

/** What becomes of the source alone goes into operand 0, lane by lane. */
export function lanewiseOfSource(operate: (v: V128Operators, source: V128) => V128): Semantics {
  return (e) => {
    if (e.isMmx(0)) {
      e.require("mmx");
      writeMmxHalf(e, operate(e.v128, mmxVector(e, 1)));
    } else {
      e.require("sse");
      e.writeVector(0, operate(e.v128, e.readVectorAligned(1)));
    }
  };
}

/** Makes the low half of the result of operand 0, and the high half of operand 1. */
export function joining(operate: BinaryOfLocals): Semantics {
  return (e) => {
    if (e.isMmx(0)) {
      e.require("mmx");
      const joined = e.let(joinedMmx(e));
      writeMmxHalf(e, operate(e, joined, joined));
    } else {
      e.require("sse");
      const a = e.let(e.readVector(0));
      e.writeVector(0, operate(e, a, e.let(e.readVectorAligned(1))));
    }
  };
}

/** Operands 0 (low half) and 1 as one vector. */
export function joinedMmx(e: X86Emitter): V128 {
  return e.v128.i64x2_replace(mmxVector(e, 0), e.readMmx(1), 1);
}

/** Lane numbers of bytes for lanes of `size` bytes: what `shuffle` takes. */
function lanesOf(size: number, lanes: readonly number[]): number[] {
  return lanes.flatMap((lane) => Array.from({ length: size }, (_, byte) => lane * size + byte));
}

/** A shuffle by lanes of `size` bytes; those of `b` count on from those of `a`. */
export function shuffleLanes(v: V128Operators, size: number, a: V128, b: V128, lanes: readonly number[]): V128 {
  return v.shuffle(a, b, lanesOf(size, lanes));
}

/** The control byte of an instruction, operand `n`: 0 to 255. */
export function control(e: X86Emitter, n: number): I32 {
  return e.i32.and(e.readWord(n), e.i32.const(0xff));
}

/** Sets ZF and CF, which are 0 or 1, and clears the other flags. */
export function setZeroAndCarry(e: X86Emitter, zero: Local<"i32">, carry: Local<"i32">): void {
  const { i32, i64 } = e;
  const result = e.let(i64.extend_i32_u(i32.xor(zero.get(), i32.const(1))));
  e.flags(
    result,
    // OF is CF, unless the carries say so too.
    () => i64.shl(i64.extend_i32_u(carry.get()), i64.const(63)),
    // A zero has even parity: bit 2 takes PF back.
    () => i32.or(carry.get(), i32.shl(zero.get(), i32.const(2))),
  );
}
