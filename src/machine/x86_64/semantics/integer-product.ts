/** Multiplication and division, and the extensions of the accumulator that come before a division. Intel SDM volume 2. */
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";
import { GPR } from "../../../isa/x86_64/registers.ts";
import type { I64 } from "../../../wasm/values.ts";
import type { Local } from "../../emitter.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";
import { narrowTo, setAccumulator, zeroExtend, type Value64 } from "./integer-values.ts";

const RAX = GPR.rax;
const RDX = GPR.rdx;

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

export const productSemantics = {
  mul: multiplyWide(false),
  imul,
  div: divide(false),
  idiv: divide(true),
  cbw: extendAccumulator,
  cwd: extendToPair,
} satisfies Partial<Record<Mnemonic, Semantics>>;
