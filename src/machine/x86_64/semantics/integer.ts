/**
 * What the integer instructions do. Intel SDM volume 2.
 *
 * Values are 64 bits wide and sign-extended from the operand size, so one definition serves all sizes: unsigned and signed order are
 * those of the sizes, and the carries of a ^ b ^ r are where they were. `e.narrow` brings a result into that form.
 */
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";
import { GPR } from "../../../isa/x86_64/registers.ts";
import type { I32, I64 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";

const RAX = GPR.rax;
const RCX = GPR.rcx;
const RDX = GPR.rdx;

// --- Arithmetic and logic ------------------------------------------------------------------------------------------

type Value64 = Local<"i64">;

/** r = a + b + carry in, with all flags. */
function addValues(e: X86Emitter, a: Value64, b: Value64, carryIn: Local<"i32"> | undefined): Value64 {
  const { i32, i64 } = e;
  const sum = (): I64 => i64.add(a.get(), b.get());
  const r = e.let(e.narrow(carryIn === undefined ? sum() : i64.add(sum(), i64.extend_i32_u(carryIn.get()))));
  e.flags(
    r,
    // Bit 0 of the carries is a carry in, which is no flag.
    () => carries(e, a, b, r),
    () => {
      const less = i64.lt_u(r.get(), a.get());
      return carryIn === undefined ? less : i32.or(less, i32.and(carryIn.get(), i64.eq(r.get(), a.get())));
    },
  );
  return r;
}

/** r = a - b - borrow in, with all flags. */
function subtractValues(e: X86Emitter, a: Value64, b: Value64, borrowIn: Local<"i32"> | undefined): Value64 {
  const { i32, i64 } = e;
  const difference = (): I64 => i64.sub(a.get(), b.get());
  if (borrowIn === undefined) {
    const r = e.let(e.narrow(difference()));
    e.flagsOfSubtract(r, a, b);
    return r;
  }
  const r = e.let(e.narrow(i64.sub(difference(), i64.extend_i32_u(borrowIn.get()))));
  e.flags(
    r,
    () => carries(e, a, b, r),
    () => i32.or(i64.lt_u(a.get(), b.get()), i32.and(borrowIn.get(), i64.eq(a.get(), b.get()))),
  );
  return r;
}

const carries = (e: X86Emitter, a: Value64, b: Value64, r: Value64): I64 =>
  e.i64.xor(e.i64.xor(a.get(), b.get()), r.get());

const add: Semantics = (e) => {
  const b = e.let(e.read(1));
  e.modify(0, (a) => addValues(e, a, b, undefined).get());
};

const adc: Semantics = (e) => {
  const b = e.let(e.read(1));
  e.modify(0, (a) => addValues(e, a, b, e.let(e.carry())).get());
};

const sub: Semantics = (e) => {
  const b = e.let(e.read(1));
  e.modify(0, (a) => subtractValues(e, a, b, undefined).get());
};

const sbb: Semantics = (e) => {
  const b = e.let(e.read(1));
  e.modify(0, (a) => subtractValues(e, a, b, e.let(e.carry())).get());
};

const cmp: Semantics = (e) => {
  const a = e.let(e.read(0));
  const b = e.let(e.read(1));
  subtractValues(e, a, b, undefined);
};

const logic =
  (op: "and" | "or" | "xor"): Semantics =>
  (e) => {
    const b = e.let(e.read(1));
    e.modify(0, (a) => {
      const r = e.let(e.i64[op](a.get(), b.get()));
      e.flagsOfLogic(r);
      return r.get();
    });
  };

const test: Semantics = (e) => {
  const r = e.let(e.i64.and(e.read(0), e.read(1)));
  e.flagsOfLogic(r);
};

/**
 * inc and dec: CF stays. OF is told by CF and the sign of the carries, so where the operation itself would have carried out
 * otherwise than CF says, the sign is turned.
 */
const step =
  (op: "add" | "sub"): Semantics =>
  (e) => {
    const { i32, i64 } = e;
    e.modify(0, (a) => {
      const r = e.let(e.narrow(i64[op](a.get(), i64.const(1))));
      const out = (): I32 => i64.eqz((op === "add" ? r : a).get());
      e.flagsKeepingCarry(r, () =>
        i64.xor(
          i64.xor(i64.xor(a.get(), r.get()), i64.const(1)),
          i64.shl(i64.extend_i32_u(i32.xor(out(), e.carry())), i64.const(63)),
        ),
      );
      return r.get();
    });
  };

const neg: Semantics = (e) => {
  e.modify(0, (a) => subtractValues(e, e.let(e.i64.const(0)), a, undefined).get());
};

const not: Semantics = (e) => {
  e.modify(0, (a) => e.i64.xor(a.get(), e.i64.const(-1)));
};

// --- Moves ---------------------------------------------------------------------------------------------------------

const mov: Semantics = (e) => {
  if (e.sizeOf(0) === 4) e.writeWord(0, e.readWord(1));
  else e.write(0, e.read(1));
};

const movzx: Semantics = (e) => e.write(0, e.readUnsigned(1));
const movsx: Semantics = (e) => e.write(0, e.read(1));
const lea: Semantics = (e) => e.write(0, e.address());

/** The first write may be to memory; the register's follows it. */
const xchg: Semantics = (e) => {
  const b = e.let(e.read(1));
  const old: { value?: Value64 } = {};
  e.modify(0, (a) => {
    old.value = a;
    return b.get();
  });
  if (old.value !== undefined) e.write(1, old.value.get());
};

const xadd: Semantics = (e) => {
  const b = e.let(e.read(1));
  const old: { value?: Value64 } = {};
  const sum: { value?: Value64 } = {};
  e.modify(0, (a) => {
    old.value = a;
    sum.value = addValues(e, a, b, undefined);
    return sum.value.get();
  });
  if (old.value === undefined || sum.value === undefined) return;
  e.write(1, old.value.get());
  // With the same register twice the sum stays.
  if (!e.isMemory(0)) e.write(0, sum.value.get());
};

/** Where they differ, memory is written with what it held, and a register stays, its upper half too; the accumulator gets the old value. */
const cmpxchg: Semantics = (e) => {
  const { i64 } = e;
  const size = e.sizeOf(0);
  const wanted = e.let(narrowTo(e, size, e.gpr(RAX)));
  const replacement = e.let(e.read(1));
  const compare = (old: Value64): (() => I32) => {
    const isEqual = e.let(i64.eq(old.get(), wanted.get()));
    subtractValues(e, wanted, old, undefined);
    return () => isEqual.get();
  };
  if (!e.isMemory(0)) {
    const old = e.let(e.read(0));
    e.if(
      compare(old)(),
      () => e.write(0, replacement.get()),
      () => setAccumulator(e, size, RAX, old.get()),
    );
    return;
  }
  const found: { old?: Value64; isEqual?: () => I32 } = {};
  e.modify(0, (old) => {
    const isEqual = compare(old);
    found.old = old;
    found.isEqual = isEqual;
    return e.select(replacement.get(), old.get(), isEqual());
  });
  const { old, isEqual } = found;
  if (old === undefined || isEqual === undefined) return;
  e.if(e.i32.eqz(isEqual()), () => setAccumulator(e, size, RAX, old.get()));
};

const bswap: Semantics = (e) => {
  const { i64 } = e;
  const size = e.sizeOf(0);
  const a = e.let(e.readUnsigned(0));
  if (size === 2) {
    // Undefined by the manual; processors give 0.
    e.write(0, i64.const(0));
    return;
  }
  const swapPairs = (value: Value64, mask: [number, number], shift: number): Value64 =>
    e.let(
      i64.or(
        i64.and(i64.shr_u(value.get(), i64.const(shift)), i64.constWords(...mask)),
        i64.shl(i64.and(value.get(), i64.constWords(...mask)), i64.const(shift)),
      ),
    );
  const bytes = swapPairs(a, [0x00ff00ff, 0x00ff00ff], 8);
  const halves = swapPairs(bytes, [0x0000ffff, 0x0000ffff], 16);
  e.write(0, size === 4 ? halves.get() : i64.rotl(halves.get(), i64.const(32)));
};

const setcc: Semantics = (e) => e.writeWord(0, e.condition());

/** The register is written even when the condition does not hold: its upper half is cleared for 4 bytes. Memory is always read. */
const cmovcc: Semantics = (e) => {
  const b = e.let(e.read(1));
  const a = e.let(e.read(0));
  e.write(0, e.select(b.get(), a.get(), e.condition()));
};

// --- Shifts --------------------------------------------------------------------------------------------------------

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

// --- Multiplication and division -----------------------------------------------------------------------------------

/** The high 64 bits of an unsigned product. */
function highProduct(e: X86Emitter, a: Value64, b: Value64): I64 {
  const { i64 } = e;
  const low = (v: Value64): I64 => i64.and(v.get(), i64.constWords(0, -1));
  const high = (v: Value64): I64 => i64.shr_u(v.get(), i64.const(32));
  const ll = e.let(i64.mul(low(a), low(b)));
  const middle = e.let(i64.add(i64.mul(high(a), low(b)), high(ll)));
  const middle2 = e.let(i64.add(i64.mul(low(a), high(b)), low(middle)));
  return i64.add(i64.add(i64.mul(high(a), high(b)), high(middle)), high(middle2));
}

/** The high 64 bits of a signed product. */
function highProductSigned(e: X86Emitter, a: Value64, b: Value64): I64 {
  const { i64 } = e;
  const correction = (sign: Value64, other: Value64): I64 => i64.and(i64.shr_s(sign.get(), i64.const(63)), other.get());
  return i64.sub(i64.sub(highProduct(e, a, b), correction(a, b)), correction(b, a));
}

/** CF and OF where the product does not fit; the other flags are undefined: SF, ZF and PF are those of the low half, as on most processors. */
function productFlags(e: X86Emitter, low: Value64, doesNotFit: Local<"i32">): void {
  e.flags(
    low,
    () => e.i64.const(0),
    () => doesNotFit.get(),
  );
}

/** mul and one-operand imul: rdx:rax = rax × operand. */
const multiplyWide =
  (isSigned: boolean): Semantics =>
  (e) => {
    const { i64 } = e;
    const size = e.sizeOf(0);
    const source = (value: I64): I64 => (isSigned ? value : zeroExtend(e, size, value));
    const b = e.let(source(e.read(0)));
    const a = e.let(source(narrowTo(e, size, e.gpr(RAX))));
    const product = e.let(i64.mul(a.get(), b.get()));
    const low = e.let(narrowTo(e, size, product.get()));
    if (size === 8) {
      const high = e.let(isSigned ? highProductSigned(e, a, b) : highProduct(e, a, b));
      const fits = isSigned ? i64.shr_s(low.get(), i64.const(63)) : i64.const(0);
      const doesNotFit = e.let(i64.ne(fits, high.get()));
      e.setGpr(RAX, low.get());
      e.setGpr(RDX, high.get());
      productFlags(e, low, doesNotFit);
      return;
    }
    const fits = isSigned ? low.get() : zeroExtend(e, size, product.get());
    const doesNotFit = e.let(i64.ne(fits, product.get()));
    if (size === 1) {
      setAccumulator(e, 2, RAX, product.get());
    } else {
      setAccumulator(e, size, RAX, product.get());
      setAccumulator(e, size, RDX, i64.shr_u(product.get(), i64.const(size * 8)));
    }
    productFlags(e, low, doesNotFit);
  };

/** imul with two or three operands: the product is cut, and CF and OF tell whether that lost anything. */
const multiply: Semantics = (e) => {
  const { i64 } = e;
  const size = e.sizeOf(0);
  const isThree = e.operandCount === 3;
  const a = e.let(e.read(isThree ? 1 : 0));
  const b = e.let(e.read(isThree ? 2 : 1));
  const product = e.let(i64.mul(a.get(), b.get()));
  const low = e.let(e.narrow(product.get()));
  if (e.needsFlags) {
    const doesNotFit = e.let(
      size === 8
        ? i64.ne(highProductSigned(e, a, b), i64.shr_s(low.get(), i64.const(63)))
        : i64.ne(low.get(), product.get()),
    );
    productFlags(e, low, doesNotFit);
  }
  e.write(0, low.get());
};

const imul: Semantics = (e) => (e.operandCount === 1 ? multiplyWide(true)(e) : multiply(e));

/**
 * div and idiv, where the dividend fits in 64 bits and the quotient in the operand; the rest, and what faults, is the exact tier's.
 * Flags are undefined, and stay.
 */
const divide =
  (isSigned: boolean): Semantics =>
  (e) => {
    const { i32, i64 } = e;
    const size = e.sizeOf(0);
    const extend = (value: I64): I64 => (isSigned ? value : zeroExtend(e, size, value));
    const divisor = e.let(extend(e.read(0)));
    const dividend = e.let(dividendOf(e, size, isSigned));
    e.slow(i64.eqz(divisor.get()));
    if (isSigned) {
      // The one quotient that does not fit in 64 bits, which WebAssembly traps on.
      const isMinimum = i64.eq(dividend.get(), i64.constWords(-2147483648, 0));
      e.slow(i32.and(isMinimum, i64.eq(divisor.get(), i64.const(-1))));
    }
    const quotient = e.let(i64[isSigned ? "div_s" : "div_u"](dividend.get(), divisor.get()));
    if (size !== 8) {
      const cut = isSigned ? narrowTo(e, size, quotient.get()) : zeroExtend(e, size, quotient.get());
      e.slow(i64.ne(cut, quotient.get()));
    }
    const remainder = e.let(i64.sub(dividend.get(), i64.mul(quotient.get(), divisor.get())));
    if (size === 1) {
      const low = e.let(i64.and(quotient.get(), i64.const(0xff)));
      setAccumulator(e, 2, RAX, i64.or(i64.shl(remainder.get(), i64.const(8)), low.get()));
      return;
    }
    setAccumulator(e, size, RAX, quotient.get());
    setAccumulator(e, size, RDX, remainder.get());
  };

/** rdx:rax of the operand size in 64 bits; leaves where it needs more. */
function dividendOf(e: X86Emitter, size: number, isSigned: boolean): I64 {
  const { i64 } = e;
  if (size === 1) return isSigned ? i64.extend16_s(e.gpr(RAX)) : zeroExtend(e, 2, e.gpr(RAX));
  if (size < 8) {
    const low = zeroExtend(e, size, e.gpr(RAX));
    const high = narrowTo(e, size, e.gpr(RDX));
    const whole = i64.or(low, i64.shl(high, i64.const(size * 8)));
    return isSigned || size === 4 ? whole : zeroExtend(e, 4, whole);
  }
  const low = e.let(e.gpr(RAX));
  e.slow(i64.ne(e.gpr(RDX), isSigned ? i64.shr_s(low.get(), i64.const(63)) : i64.const(0)));
  return low.get();
}

/** cbw, cwde, cdqe. */
const extendAccumulator: Semantics = (e) => {
  const size = e.operandSize;
  setAccumulator(e, size, RAX, narrowTo(e, size / 2, e.gpr(RAX)));
};

/** cwd, cdq, cqo. */
const extendToPair: Semantics = (e) => {
  const size = e.operandSize;
  setAccumulator(e, size, RDX, e.i64.shr_s(narrowTo(e, size, e.gpr(RAX)), e.i64.const(63)));
};

// --- Bits ----------------------------------------------------------------------------------------------------------

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

// --- Stack and control ---------------------------------------------------------------------------------------------

const push: Semantics = (e) => e.push(e.read(0));
/** Where the target is memory whose address has rsp in it, the hart core has computed it with the stack pointer as it is afterwards. */
const pop: Semantics = (e) => e.write(0, e.pop());

const call: Semantics = (e) => {
  if (e.isRelative(0)) {
    e.push(e.nextPc());
    e.jump();
    return;
  }
  const target = e.let(e.readUnsigned(0));
  e.push(e.nextPc());
  e.jumpTo(target.get());
};

const jmp: Semantics = (e) => (e.isRelative(0) ? e.jump() : e.jumpTo(e.readUnsigned(0)));

/** With an immediate: so many bytes more are released. */
const ret: Semantics = (e) => {
  const target = e.let(e.pop());
  if (e.operandCount === 1) e.setGpr(GPR.rsp, e.i64.add(e.gpr(GPR.rsp), e.i64.and(e.read(0), e.i64.const(0xffff))));
  e.jumpTo(target.get());
};

const jcc: Semantics = (e) => e.branchIf(e.condition());

const leave: Semantics = (e) => {
  const size = e.stackSize;
  const frame = e.let(e.gpr(GPR.rbp));
  const value = e.let(e.load(size === 8 ? "i64" : size === 4 ? "u32" : "u16", frame.get()));
  e.setGpr(GPR.rsp, e.i64.add(frame.get(), e.i64.const(size)));
  setAccumulator(e, size, GPR.rbp, value.get());
};

/** Copies of the frames around this one, if a level asks for them, and room for locals. The stack pointer moves last. */
const enter: Semantics = (e) => {
  const { i32, i64 } = e;
  const size = e.stackSize;
  const kind = size === 8 ? "i64" : size === 4 ? "i32" : "i16";
  const room = e.let(e.read(0));
  const level = e.let(i32.and(e.secondImmediate(), i32.const(31)));
  const stack = e.let(i64.sub(e.gpr(GPR.rsp), i64.const(size)));
  e.store(kind, stack.get(), e.gpr(GPR.rbp));
  const frame = e.let(stack.get());
  const display = e.let(e.gpr(GPR.rbp));
  e.if(level.get(), () => {
    e.repeat(
      () => i32.gt_s(level.get(), i32.const(1)),
      () => {
        display.set(i64.sub(display.get(), i64.const(size)));
        stack.set(i64.sub(stack.get(), i64.const(size)));
        e.store(kind, stack.get(), e.load(size === 8 ? "i64" : size === 4 ? "u32" : "u16", display.get()));
        level.set(i32.sub(level.get(), i32.const(1)));
      },
    );
    stack.set(i64.sub(stack.get(), i64.const(size)));
    e.store(kind, stack.get(), frame.get());
  });
  setAccumulator(e, size, GPR.rbp, frame.get());
  setAccumulator(e, size, GPR.rsp, i64.sub(stack.get(), i64.and(room.get(), i64.const(0xffff))));
};

/** al = the byte at rbx + al. */
const xlat: Semantics = (e) => {
  const { i64 } = e;
  const offset = zeroExtend(e, e.addressSize, i64.add(e.gpr(GPR.rbx), zeroExtend(e, 1, e.gpr(RAX))));
  setAccumulator(e, 1, RAX, e.load("u8", i64.add(offset, e.segmentBase())));
};

/** The count register, of the address size. */
const loop =
  (condition: "none" | "equal" | "unequal"): Semantics =>
  (e) => {
    const { i32, i64 } = e;
    const size = e.addressSize;
    const count = e.let(zeroExtend(e, size, i64.sub(e.gpr(RCX), i64.const(1))));
    setAccumulator(e, size, RCX, count.get());
    const isLeft = (): I32 => i64.ne(count.get(), i64.const(0));
    if (condition === "none") e.branchIf(isLeft());
    else e.branchIf(i32.and(isLeft(), e.condition(condition === "equal" ? 4 : 5)));
  };

const jcxz: Semantics = (e) => e.branchIf(e.i64.eqz(zeroExtend(e, e.addressSize, e.gpr(RCX))));

// --- Flags ---------------------------------------------------------------------------------------------------------

const FLAGS_OF_AH = 0xd5;

const lahf: Semantics = (e) => {
  const { i32, i64 } = e;
  const flags = e.let(i32.or(i32.and(e.arithmeticFlags(), i32.const(FLAGS_OF_AH)), i32.const(2)));
  const kept = i64.and(e.gpr(RAX), i64.constWords(-1, ~0xff00));
  e.setGpr(RAX, i64.or(kept, i64.extend_i32_u(i32.shl(flags.get(), i32.const(8)))));
};

const sahf: Semantics = (e) => {
  const { i32, i64 } = e;
  const ah = e.let(i32.wrap_i64(i64.shr_u(e.gpr(RAX), i64.const(8))));
  const kept = e.let(i32.and(e.arithmeticFlags(), i32.const(~FLAGS_OF_AH)));
  e.setArithmeticFlags(i32.or(kept.get(), i32.and(ah.get(), i32.const(FLAGS_OF_AH))));
};

const clc: Semantics = (e) => e.setCarry(e.i32.const(0));
const stc: Semantics = (e) => e.setCarry(e.i32.const(1));
const cmc: Semantics = (e) => e.setCarry(e.i32.eqz(e.carry()));

const nothing: Semantics = () => {
  // Hints and fences: memory is always coherent, and harts take turns between instructions.
};

// --- Helpers -------------------------------------------------------------------------------------------------------

function narrowTo(e: X86Emitter, size: number, value: I64): I64 {
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

function zeroExtend(e: X86Emitter, size: number, value: I64): I64 {
  const { i64 } = e;
  if (size === 8) return value;
  return i64.and(value, size === 4 ? i64.constWords(0, -1) : i64.const(2 ** (size * 8) - 1));
}

/** Writes the low bytes of a general register by number: 4 bytes clear the upper half, 1 and 2 leave the rest. */
function setAccumulator(e: X86Emitter, size: number, register: number, value: I64): void {
  const { i64 } = e;
  if (size >= 4) {
    e.setGpr(register, zeroExtend(e, size, value));
    return;
  }
  const low = e.let(zeroExtend(e, size, value));
  const kept = i64.and(e.gpr(register), i64.constWords(-1, size === 1 ? ~0xff : ~0xffff));
  e.setGpr(register, i64.or(kept, low.get()));
}

export const integerSemantics = {
  add,
  adc,
  sub,
  sbb,
  cmp,
  and: logic("and"),
  or: logic("or"),
  xor: logic("xor"),
  test,
  inc: step("add"),
  dec: step("sub"),
  neg,
  not,
  mov,
  movzx,
  movsx,
  movsxd: movsx,
  movnti: mov,
  lea,
  xchg,
  xadd,
  cmpxchg,
  bswap,
  setcc,
  cmovcc,
  shl: shiftLeft,
  shr: shiftRight("shr_u"),
  sar: shiftRight("shr_s"),
  rol: rotate("left"),
  ror: rotate("right"),
  rcl: rotateThroughCarry("left"),
  rcr: rotateThroughCarry("right"),
  shld: doubleShift("left"),
  shrd: doubleShift("right"),
  mul: multiplyWide(false),
  imul,
  div: divide(false),
  idiv: divide(true),
  cbw: extendAccumulator,
  cwd: extendToPair,
  bsf: bitScan("forward"),
  bsr: bitScan("reverse"),
  popcnt,
  bt: bitTest("none"),
  bts: bitTest("set"),
  btr: bitTest("reset"),
  btc: bitTest("complement"),
  push,
  pop,
  call,
  jmp,
  ret,
  jcc,
  leave,
  enter,
  xlat,
  loop: loop("none"),
  loope: loop("equal"),
  loopne: loop("unequal"),
  jcxz,
  lahf,
  sahf,
  clc,
  stc,
  cmc,
  nop: nothing,
  pause: nothing,
  endbr64: nothing,
  endbr32: nothing,
  lfence: nothing,
  mfence: nothing,
  sfence: nothing,
  prefetchw: nothing,
  prefetchnta: nothing,
  prefetcht0: nothing,
  prefetcht1: nothing,
  prefetcht2: nothing,
} satisfies Partial<Record<Mnemonic, Semantics>>;
