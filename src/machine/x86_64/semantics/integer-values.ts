/** What the definitions of integer instructions have in common: a value cut to a size, and registers that are named by number. */
import type { I64 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { X86Emitter } from "../emitter.ts";

export type Value64 = Local<"i64">;

/** A value of `size` bytes, sign-extended to 64 bits. */
export function narrowTo(e: X86Emitter, size: number, value: I64): I64 {
  switch (size) {
    case 1:
      return e.i64.extend8_s(value);
    case 2:
      return e.i64.extend16_s(value);
    case 4:
      return e.i64.extend32_s(value);
    default:
      return value;
  }
}

/** The low `size` bytes of a value, zero-extended to 64 bits. */
export function zeroExtend(e: X86Emitter, size: number, value: I64): I64 {
  const { i64 } = e;
  if (size === 8) return value;
  return i64.and(value, size === 4 ? i64.constWords(0, -1) : i64.const(2 ** (size * 8) - 1));
}

/** Writes the low bytes of a general register by number: 4 bytes clear the upper half, 1 and 2 leave the rest. */
export function setAccumulator(e: X86Emitter, size: number, register: number, value: I64): void {
  const { i64 } = e;
  if (size >= 4) {
    e.setGpr(register, zeroExtend(e, size, value));
    return;
  }
  const low = e.let(zeroExtend(e, size, value));
  const kept = i64.and(e.gpr(register), i64.constWords(-1, size === 1 ? ~0xff : ~0xffff));
  e.setGpr(register, i64.or(kept, low.get()));
}
