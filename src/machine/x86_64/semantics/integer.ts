/**
 * What the integer instructions do: here arithmetic, logic and moves; shifts, products and jumps are in the files beside it. Intel SDM
 * volume 2.
 *
 * Values are 64 bits wide and sign-extended from the operand size, so one definition serves all sizes: unsigned and signed order are
 * those of the sizes, and the carries of a ^ b ^ r are where they were. `e.narrow` brings a result into that form.
 */
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";
import { GPR } from "../../../isa/x86_64/registers.ts";
import type { I32, I64 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";
import { bitSemantics } from "./integer-bits.ts";
import { controlSemantics } from "./integer-control.ts";
import { productSemantics } from "./integer-product.ts";
import { narrowTo, setAccumulator, type Value64 } from "./integer-values.ts";

const RAX = GPR.rax;

// --- Arithmetic and logic ------------------------------------------------------------------------------------------

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
  ...bitSemantics,
  ...productSemantics,
  ...controlSemantics,
} satisfies Partial<Record<Mnemonic, Semantics>>;
