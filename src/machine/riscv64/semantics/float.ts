// What the floating-point instructions do, F and D: one row per instruction.
//
// RISC-V unprivileged ISA, chapters "F" and "D". The rows give the fast path, for ordinary operands under the rounding
// modes that WebAssembly has; `float-exact.ts` has the whole truth for what leaves by `slow`. Loads, stores, moves and
// sign injection look at bits only: they never make a NaN canonical, and raise no flags.

import type { MnemonicOfExtension } from "../../../isa/riscv64/instructions.ts";
import type { I64 } from "../../../wasm/values.ts";
import type { RiscvEmitter, Semantics } from "../emitter.ts";
import {
  addition,
  comparison,
  division,
  minOrMax,
  multiplication,
  squareRoot,
  subtraction,
} from "./float-arithmetic.ts";
import {
  doubleToSingle,
  floatToInteger,
  INTEGER_TYPES,
  integerToFloat,
  singleToDouble,
  unsignedWordToDouble,
  wordToDouble,
} from "./float-convert.ts";
import { fusedDouble, fusedSingle } from "./float-fused.ts";
import { setFdSingleBits, viewDouble, viewSingle } from "./float-view.ts";

/** The instructions of both extensions. */
export type FloatMnemonic = MnemonicOfExtension<"F" | "D">;

const address = (e: RiscvEmitter): I64 => e.i64.add(e.rs1(), e.imm());

const signedWord = (e: RiscvEmitter): I64 => e.i64.extend_i32_s(e.rs1Word());
const unsignedWord = (e: RiscvEmitter): I64 => e.i64.extend_i32_u(e.rs1Word());
const doubleword = (e: RiscvEmitter): I64 => e.rs1();

/** How sign injection makes the new sign from those of fs1 and fs2; all but the top bit of its result is ignored. */
type Sign = (e: RiscvEmitter, a: () => I64, b: () => I64) => I64;
const copied: Sign = (_, __, b) => b();
const negated: Sign = (e, _, b) => e.i64.xor(b(), e.i64.const(-1));
const multiplied: Sign = (e, a, b) => e.i64.xor(a(), b());

const injectDouble =
  (sign: Sign): Semantics =>
  (e) => {
    const { i64 } = e;
    const size = i64.and(e.fs1Bits(), i64.constWords(0x7fffffff, -1));
    const top = i64.and(
      sign(
        e,
        () => e.fs1Bits(),
        () => e.fs2Bits(),
      ),
      i64.constWords(-0x80000000, 0),
    );
    e.setFdBits(i64.or(size, top));
  };

const injectSingle =
  (sign: Sign): Semantics =>
  (e) => {
    const { i64 } = e;
    viewSingle(e).slowUnlessBoxed(2);
    const size = i64.and(e.fs1Bits(), i64.const(0x7fffffff));
    const top = i64.and(
      sign(
        e,
        () => e.fs1Bits(),
        () => e.fs2Bits(),
      ),
      i64.constWords(0, -0x80000000),
    );
    setFdSingleBits(e, i64.or(size, top));
  };

/**
 * `fclass`: bit 0 -inf, 1 -normal, 2 -subnormal, 3 -0, 4 +0, 5 +subnormal, 6 +normal, 7 +inf, 8 sNaN, 9 qNaN. `bits` is the
 * value shifted to the top of 64 bits, and `fractionBits` counts from there.
 */
function classify(e: RiscvEmitter, shiftedBits: I64, exponentBits: number): void {
  const { i32, i64 } = e;
  const value = e.let(shiftedBits);
  const size = e.let(i64.shl(value.get(), i64.const(1)));
  // With the sign shifted out: fields as unsigned limits.
  const normal = () => i64.shl(i64.const(1), i64.const(64 - exponentBits));
  const infinity = () => i64.shl(i64.const(-1), i64.const(64 - exponentBits));
  const quiet = () => i64.shl(i64.const(-1), i64.const(63 - exponentBits));
  // 0 zero, 1 subnormal, 2 normal, 3 infinity, 4 signaling NaN, 5 quiet NaN
  const kind = e.let(
    i32.add(
      i32.add(i64.ne(size.get(), i64.const(0)), i64.ge_u(size.get(), normal())),
      i32.add(
        i32.add(i64.ge_u(size.get(), infinity()), i64.gt_u(size.get(), infinity())),
        i64.ge_u(size.get(), quiet()),
      ),
    ),
  );
  const isNegativeNumber = () => i32.and(i64.lt_s(value.get(), i64.const(0)), i32.le_u(kind.get(), i32.const(3)));
  const bit = e.let(e.select(i32.sub(i32.const(3), kind.get()), i32.add(i32.const(4), kind.get()), isNegativeNumber()));
  e.setRdWord(i32.shl(i32.const(1), bit.get()));
}

export const floatSemantics = {
  flw: (e) => setFdSingleBits(e, e.load("u32", address(e))),
  fsw: (e) => e.store("i32", address(e), e.fs2Bits()),
  "fmadd.s": fusedSingle({ product: 1, addend: 1 }),
  "fmsub.s": fusedSingle({ product: 1, addend: -1 }),
  "fnmsub.s": fusedSingle({ product: -1, addend: 1 }),
  "fnmadd.s": fusedSingle({ product: -1, addend: -1 }),
  "fadd.s": addition(viewSingle),
  "fsub.s": subtraction(viewSingle),
  "fmul.s": multiplication(viewSingle),
  "fdiv.s": division(viewSingle),
  "fsqrt.s": squareRoot(viewSingle),
  "fsgnj.s": injectSingle(copied),
  "fsgnjn.s": injectSingle(negated),
  "fsgnjx.s": injectSingle(multiplied),
  "fmin.s": minOrMax(viewSingle, "min"),
  "fmax.s": minOrMax(viewSingle, "max"),
  "feq.s": comparison(viewSingle, "eq"),
  "flt.s": comparison(viewSingle, "lt"),
  "fle.s": comparison(viewSingle, "le"),
  "fclass.s": (e) => {
    viewSingle(e).slowUnlessBoxed(1);
    classify(e, e.i64.shl(e.fs1Bits(), e.i64.const(32)), 8);
  },
  "fcvt.w.s": floatToInteger(viewSingle, INTEGER_TYPES.w),
  "fcvt.wu.s": floatToInteger(viewSingle, INTEGER_TYPES.wu),
  "fcvt.l.s": floatToInteger(viewSingle, INTEGER_TYPES.l),
  "fcvt.lu.s": floatToInteger(viewSingle, INTEGER_TYPES.lu),
  "fcvt.s.w": integerToFloat(viewSingle, signedWord, "signed"),
  "fcvt.s.wu": integerToFloat(viewSingle, unsignedWord, "unsigned"),
  "fcvt.s.l": integerToFloat(viewSingle, doubleword, "signed"),
  "fcvt.s.lu": integerToFloat(viewSingle, doubleword, "unsigned"),
  "fmv.x.w": (e) => e.setRd(e.i64.extend32_s(e.fs1Bits())),
  "fmv.w.x": (e) => setFdSingleBits(e, unsignedWord(e)),
  fld: (e) => e.setFdBits(e.load("i64", address(e))),
  fsd: (e) => e.store("i64", address(e), e.fs2Bits()),
  "fmadd.d": fusedDouble({ product: 1, addend: 1 }),
  "fmsub.d": fusedDouble({ product: 1, addend: -1 }),
  "fnmsub.d": fusedDouble({ product: -1, addend: 1 }),
  "fnmadd.d": fusedDouble({ product: -1, addend: -1 }),
  "fadd.d": addition(viewDouble),
  "fsub.d": subtraction(viewDouble),
  "fmul.d": multiplication(viewDouble),
  "fdiv.d": division(viewDouble),
  "fsqrt.d": squareRoot(viewDouble),
  "fsgnj.d": injectDouble(copied),
  "fsgnjn.d": injectDouble(negated),
  "fsgnjx.d": injectDouble(multiplied),
  "fmin.d": minOrMax(viewDouble, "min"),
  "fmax.d": minOrMax(viewDouble, "max"),
  "feq.d": comparison(viewDouble, "eq"),
  "flt.d": comparison(viewDouble, "lt"),
  "fle.d": comparison(viewDouble, "le"),
  "fclass.d": (e) => classify(e, e.fs1Bits(), 11),
  "fcvt.s.d": doubleToSingle,
  "fcvt.d.s": singleToDouble,
  "fcvt.w.d": floatToInteger(viewDouble, INTEGER_TYPES.w),
  "fcvt.wu.d": floatToInteger(viewDouble, INTEGER_TYPES.wu),
  "fcvt.l.d": floatToInteger(viewDouble, INTEGER_TYPES.l),
  "fcvt.lu.d": floatToInteger(viewDouble, INTEGER_TYPES.lu),
  "fcvt.d.w": wordToDouble,
  "fcvt.d.wu": unsignedWordToDouble,
  "fcvt.d.l": integerToFloat(viewDouble, doubleword, "signed"),
  "fcvt.d.lu": integerToFloat(viewDouble, doubleword, "unsigned"),
  "fmv.x.d": (e) => e.setRd(e.fs1Bits()),
  "fmv.d.x": (e) => e.setFdBits(e.rs1()),
} satisfies Record<FloatMnemonic, Semantics>;
