/** Shifts, rotations, and instructions on single bits. Intel SDM volume 2. */
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";
import type { I32, I64 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";
import { zeroExtend, type Value64 } from "./integer-values.ts";

const bitsOf = (e: X86Emitter): number => e.sizeOf(0) * 8;

/** The count of a shift: 5 bits, or 6 for 64-bit operands. */
const shiftCount = (e: X86Emitter): Value64 =>
  e.let(e.i64.and(e.i64.extend_i32_u(e.readWord(1)), e.i64.const(e.sizeOf(0) === 8 ? 63 : 31)));

/** Carries whose sign, with the carry, gives OF. */
const overflowCarries = (e: X86Emitter, overflow: () => I32, carry: () => I32): I64 =>
  e.i64.shl(e.i64.extend_i32_u(e.i32.xor(overflow(), carry())), e.i64.const(63));

const bitOf = (e: X86Emitter, value: I64): I32 => e.i32.and(e.i32.wrap_i64(value), e.i32.const(1));
const signOf = (e: X86Emitter, value: I64): I32 => e.i64.lt_s(value, e.i64.const(0));

/** A count of 0 leaves flags, and the operand, as they are. OF is what it is for a count of 1, which is what processors give for all. */
const shiftLeft: Semantics = (e) => {
  const { i64 } = e;
  const bits = bitsOf(e);
  const count = shiftCount(e);
  e.modify(0, (a) => {
    const r = e.let(e.narrow(i64.shl(a.get(), count.get())));
    if (e.needsFlags) {
      e.if(e.i32.wrap_i64(count.get()), () => {
        // The last bit that went out: bit (bits - count). A count above the width leaves none.
        const carry = e.let(
          bits === 64
            ? bitOf(e, i64.shr_u(a.get(), i64.sub(i64.const(64), count.get())))
            : bitOf(e, i64.shr_u(i64.shl(unsigned(e, a), count.get()), i64.const(bits))),
        );
        const sign = (): I32 => signOf(e, r.get());
        e.flags(
          r,
          () =>
            overflowCarries(
              e,
              () => e.i32.xor(sign(), carry.get()),
              () => carry.get(),
            ),
          () => carry.get(),
        );
      });
    }
    return r.get();
  });
};

/** `a`, which is sign-extended, as an unsigned value of the operand size. */
function unsigned(e: X86Emitter, a: Value64): I64 {
  return zeroExtend(e, e.sizeOf(0), a.get());
}

const shiftRight =
  (op: "shr_u" | "shr_s"): Semantics =>
  (e) => {
    const { i64 } = e;
    const count = shiftCount(e);
    e.modify(0, (a) => {
      const source = op === "shr_s" ? a : e.let(unsigned(e, a));
      const r = e.let(e.narrow(i64[op](source.get(), count.get())));
      if (e.needsFlags) {
        e.if(e.i32.wrap_i64(count.get()), () => {
          const carry = e.let(bitOf(e, i64[op](source.get(), i64.sub(count.get(), i64.const(1)))));
          const overflow = (): I32 => (op === "shr_s" ? e.i32.const(0) : signOf(e, a.get()));
          e.flags(
            r,
            () => overflowCarries(e, overflow, () => carry.get()),
            () => carry.get(),
          );
        });
      }
      return r.get();
    });
  };

/** Sets CF and OF and leaves the other flags. */
function setCarryAndOverflow(e: X86Emitter, carry: Local<"i32">, overflow: () => I32): void {
  const { i32 } = e;
  const others = i32.and(e.arithmeticFlags(), i32.const(~0x801));
  e.setArithmeticFlags(i32.or(i32.or(others, carry.get()), i32.shl(overflow(), i32.const(11))));
}

/** rol and ror. The count is taken modulo the width; CF is the bit that went round, if the masked count is not 0. */
const rotate =
  (direction: "left" | "right"): Semantics =>
  (e) => {
    const { i32, i64 } = e;
    const bits = bitsOf(e);
    const masked = shiftCount(e);
    e.modify(0, (a) => {
      const r = e.let(rotated(e, a, masked, direction, bits));
      if (e.needsFlags) {
        e.if(i32.wrap_i64(masked.get()), () => {
          const top = (): I32 => signOf(e, r.get());
          const carry = e.let(direction === "left" ? bitOf(e, r.get()) : top());
          const below = (): I32 => bitOf(e, i64.shr_u(r.get(), i64.const(bits - 2)));
          setCarryAndOverflow(e, carry, () =>
            direction === "left" ? i32.xor(top(), carry.get()) : i32.xor(top(), below()),
          );
        });
      }
      return r.get();
    });
  };

function rotated(e: X86Emitter, a: Value64, count: Value64, direction: "left" | "right", bits: number): I64 {
  const { i32, i64 } = e;
  if (bits === 64) return direction === "left" ? i64.rotl(a.get(), count.get()) : i64.rotr(a.get(), count.get());
  if (bits === 32) {
    const word = (): I32 => i32.wrap_i64(a.get());
    const amount = (): I32 => i32.wrap_i64(count.get());
    return i64.extend_i32_s(direction === "left" ? i32.rotl(word(), amount()) : i32.rotr(word(), amount()));
  }
  // Twice the value side by side, in 32 bits: a rotation is a shift of it.
  const amount = e.let(i32.and(i32.wrap_i64(count.get()), i32.const(bits - 1)));
  const small = e.let(i32.wrap_i64(unsigned(e, a)));
  const twice = e.let(i32.or(small.get(), i32.shl(small.get(), i32.const(bits))));
  const shift = (): I32 => (direction === "left" ? i32.sub(i32.const(bits), amount.get()) : amount.get());
  return e.narrow(i64.extend_i32_u(i32.shr_u(twice.get(), shift())));
}

/** rcl and rcr: the carry takes part, so the width is one bit more; done bit by bit, since programs hardly use them. */
const rotateThroughCarry =
  (direction: "left" | "right"): Semantics =>
  (e) => {
    const { i32, i64 } = e;
    const bits = bitsOf(e);
    const masked = shiftCount(e);
    e.modify(0, (a) => {
      // The masked count is below twice the width plus two for bytes and words: taken modulo width + 1.
      const count = e.let(bits >= 32 ? masked.get() : i64.rem_u(masked.get(), i64.const(bits + 1)));
      const carryIn = e.let(i64.extend_i32_u(e.carry()));
      const x = e.let(unsigned(e, a));
      const back = e.let(i64.sub(i64.const(bits), count.get()));
      /** A shift by up to 64, which gives 0 at 64. */
      const shift = (op: "shl" | "shr_u", value: I64, by: () => I64): I64 =>
        e.select(i64[op](value, by()), i64.const(0), i64.lt_u(by(), i64.const(64)));
      const less = (by: Value64): I64 => i64.sub(by.get(), i64.const(1));
      const result = e.let(
        e.narrow(
          direction === "left"
            ? i64.or(
                i64.or(
                  i64.shl(x.get(), count.get()),
                  shift("shr_u", x.get(), () => i64.add(back.get(), i64.const(1))),
                ),
                i64.shl(carryIn.get(), less(count)),
              )
            : i64.or(
                i64.or(
                  i64.shr_u(x.get(), count.get()),
                  shift("shl", x.get(), () => i64.add(back.get(), i64.const(1))),
                ),
                i64.shl(carryIn.get(), back.get()),
              ),
        ),
      );
      const isRotated = (): I32 => i64.ne(count.get(), i64.const(0));
      const r = e.let(e.select(result.get(), a.get(), isRotated()));
      e.if(isRotated(), () => {
        const carry = e.let(
          direction === "left" ? bitOf(e, i64.shr_u(x.get(), back.get())) : bitOf(e, i64.shr_u(x.get(), less(count))),
        );
        const top = (): I32 => signOf(e, r.get());
        setCarryAndOverflow(e, carry, () =>
          direction === "left"
            ? i32.xor(top(), carry.get())
            : i32.xor(top(), bitOf(e, i64.shr_u(r.get(), i64.const(bits - 2)))),
        );
      });
      return r.get();
    });
  };

/**
 * shld and shrd: bits of operand 1 come in. A count above 16 of 16-bit operands is undefined; what is done here is what processors
 * do: the operands lie side by side, twice.
 */
const doubleShift =
  (direction: "left" | "right"): Semantics =>
  (e) => {
    const { i32, i64 } = e;
    const bits = bitsOf(e);
    const filler = e.let(zeroExtend(e, e.sizeOf(0), e.read(1)));
    const count = e.let(i64.and(i64.extend_i32_u(e.readWord(2)), i64.const(bits === 64 ? 63 : 31)));
    e.modify(0, (a) => {
      const x = e.let(unsigned(e, a));
      const isShifted = (): I32 => i64.ne(count.get(), i64.const(0));
      const back = e.let(i64.sub(i64.const(bits), count.get()));
      const wide = bits === 16 ? e.let(wideOf(e, x, filler)) : undefined;
      const shifted = (): I64 => {
        if (wide !== undefined) {
          return direction === "left"
            ? i64.shr_u(i64.shl(wide.get(), count.get()), i64.const(32))
            : i64.shr_u(wide.get(), count.get());
        }
        const main = direction === "left" ? i64.shl(x.get(), count.get()) : i64.shr_u(x.get(), count.get());
        const rest = direction === "left" ? i64.shr_u(filler.get(), back.get()) : i64.shl(filler.get(), back.get());
        return i64.or(main, rest);
      };
      const r = e.let(e.select(e.narrow(shifted()), a.get(), isShifted()));
      if (e.needsFlags) {
        e.if(isShifted(), () => {
          const last = (): I64 => {
            if (wide !== undefined) {
              return direction === "left"
                ? i64.shr_u(i64.shl(wide.get(), count.get()), i64.const(48))
                : i64.shr_u(wide.get(), i64.sub(count.get(), i64.const(1)));
            }
            return direction === "left"
              ? i64.shr_u(x.get(), back.get())
              : i64.shr_u(x.get(), i64.sub(count.get(), i64.const(1)));
          };
          const carry = e.let(bitOf(e, last()));
          // OF for a count of 1: the sign changed.
          const overflow = (): I32 => i32.xor(signOf(e, r.get()), signOf(e, a.get()));
          e.flags(
            r,
            () => overflowCarries(e, overflow, () => carry.get()),
            () => carry.get(),
          );
        });
      }
      return r.get();
    });
  };

/** 48 bits: the operand, the filler and the operand again, as a shift of either direction goes through them. */
function wideOf(e: X86Emitter, x: Value64, filler: Value64): I64 {
  const { i64 } = e;
  const at = (value: Value64, position: number): I64 => i64.shl(value.get(), i64.const(position));
  return i64.or(i64.or(at(x, 32), at(filler, 16)), x.get());
}

/** bsf and bsr: of zero the destination stays (as AMD says and Intel does), and ZF is set; other flags are undefined. */
const bitScan =
  (direction: "forward" | "reverse"): Semantics =>
  (e) => {
    const { i64 } = e;
    const source = e.let(e.readUnsigned(1));
    e.flagsOfLogic(source);
    // Not even the upper half of a 4-byte destination changes where the source is zero.
    e.if(i64.ne(source.get(), i64.const(0)), () =>
      e.write(0, direction === "forward" ? i64.ctz(source.get()) : i64.sub(i64.const(63), i64.clz(source.get()))),
    );
  };

/** ZF for zero; the others are clear, PF too. */
const popcnt: Semantics = (e) => {
  const { i32, i64 } = e;
  const source = e.let(e.readUnsigned(1));
  const result = e.let(i64.extend_i32_u(i64.ne(source.get(), i64.const(0))));
  e.flags(
    result,
    () => i64.const(0),
    // The parity of a zero is turned (CELL.flagCarry, bit 2).
    () => i32.shl(i64.eqz(source.get()), i32.const(2)),
  );
  e.write(0, i64.popcnt(source.get()));
};

/** bt and its kin: the bit goes to CF. The index is taken modulo the width; memory beyond the operand is dealt with before. */
const bitTest =
  (op: "none" | "set" | "reset" | "complement"): Semantics =>
  (e) => {
    const { i64 } = e;
    const index = e.let(i64.and(e.read(1), i64.const(bitsOf(e) - 1)));
    const mask = (): I64 => i64.shl(i64.const(1), index.get());
    const carryOf = (value: Value64): void => e.setCarry(bitOf(e, i64.shr_u(value.get(), index.get())));
    if (op === "none") {
      carryOf(e.let(e.read(0)));
      return;
    }
    e.modify(0, (a) => {
      if (e.needsFlags) carryOf(a);
      switch (op) {
        case "set":
          return i64.or(a.get(), mask());
        case "reset":
          return i64.and(a.get(), i64.xor(mask(), i64.const(-1)));
        case "complement":
          return i64.xor(a.get(), mask());
      }
    });
  };

export const bitSemantics = {
  shl: shiftLeft,
  shr: shiftRight("shr_u"),
  sar: shiftRight("shr_s"),
  rol: rotate("left"),
  ror: rotate("right"),
  rcl: rotateThroughCarry("left"),
  rcr: rotateThroughCarry("right"),
  shld: doubleShift("left"),
  shrd: doubleShift("right"),
  bsf: bitScan("forward"),
  bsr: bitScan("reverse"),
  popcnt,
  bt: bitTest("none"),
  bts: bitTest("set"),
  btr: bitTest("reset"),
  btc: bitTest("complement"),
} satisfies Partial<Record<Mnemonic, Semantics>>;
