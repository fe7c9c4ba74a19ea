/**
 * What the integer instructions do: RV64I, M, Zba, Zbb, Zbs.
 *
 * RISC-V unprivileged ISA, chapters "RV32I", "RV64I", "M" and "B". One row per instruction; the compiler checks that none
 * is missing. Registers are 64 bits; `…w` instructions compute in 32 and sign-extend.
 */
import type { MnemonicOfExtension } from "../../../isa/riscv64/instructions.ts";
import type { I32, I64 } from "../../../wasm/values.ts";
import type { LoadKind, StoreKind } from "../../emitter.ts";
import type { RiscvEmitter, Semantics } from "../emitter.ts";

/** The instructions of "I" that belong to the system: they have no emitted form (see system.ts). */
export type IntegerSystemMnemonic = "ecall" | "ebreak";

type IntegerMnemonic = Exclude<MnemonicOfExtension<"I" | "M" | "Zba" | "Zbb" | "Zbs">, IntegerSystemMnemonic>;

type Compare = "eq" | "ne" | "lt_s" | "lt_u" | "ge_s" | "ge_u";
type Shift = "shl" | "shr_s" | "shr_u";
type Binary = "add" | "sub" | "and" | "or" | "xor" | "mul" | Shift | "rotl" | "rotr";

/** rd = rs1 op rs2. WebAssembly takes shift amounts modulo the width, as RISC-V does. */
const register =
  (op: Binary): Semantics =>
  (e) =>
    e.setRd(e.i64[op](e.rs1(), e.rs2()));

const immediate =
  (op: Binary): Semantics =>
  (e) =>
    e.setRd(e.i64[op](e.rs1(), e.imm()));

const registerWord =
  (op: Binary): Semantics =>
  (e) =>
    e.setRdWord(e.i32[op](e.rs1Word(), e.rs2Word()));

const immediateWord =
  (op: Binary): Semantics =>
  (e) =>
    e.setRdWord(e.i32[op](e.rs1Word(), e.immWord()));

const branch =
  (op: Compare): Semantics =>
  (e) =>
    e.branchIf(e.i64[op](e.rs1(), e.rs2()));

const load =
  (kind: LoadKind): Semantics =>
  (e) =>
    e.setRd(e.load(kind, e.i64.add(e.rs1(), e.imm())));

const store =
  (kind: StoreKind): Semantics =>
  (e) =>
    e.store(kind, e.i64.add(e.rs1(), e.imm()), e.rs2());

const setLess =
  (op: Compare): Semantics =>
  (e) =>
    e.setRd(e.i64.extend_i32_u(e.i64[op](e.rs1(), e.rs2())));

const setLessImmediate =
  (op: Compare): Semantics =>
  (e) =>
    e.setRd(e.i64.extend_i32_u(e.i64[op](e.rs1(), e.imm())));

/** The larger or smaller of two values: the first where the comparison holds. */
const choose =
  (op: "lt_s" | "lt_u" | "gt_s" | "gt_u"): Semantics =>
  (e) => {
    const a = e.let(e.rs1());
    const b = e.let(e.rs2());
    e.setRd(e.select(a.get(), b.get(), e.i64[op](a.get(), b.get())));
  };

/** rd = rs2 + (rs1 << amount), of all of rs1 or of its low word zero-extended. */
const shiftAdd =
  (amount: number): Semantics =>
  (e) =>
    e.setRd(e.i64.add(e.i64.shl(e.rs1(), e.i64.const(amount)), e.rs2()));

const shiftAddWord =
  (amount: number): Semantics =>
  (e) =>
    e.setRd(e.i64.add(e.i64.shl(e.i64.extend_i32_u(e.rs1Word()), e.i64.const(amount)), e.rs2()));

/** One bit, selected by the low six bits of `index`. */
const bit = (e: RiscvEmitter, index: () => I64): I64 => e.i64.shl(e.i64.const(1), index());

const invert = (e: RiscvEmitter, value: I64): I64 => e.i64.xor(value, e.i64.const(-1));

/**
 * Division. M chapter, table 11: a division by zero gives all ones and the dividend as remainder; the one overflow,
 * most negative by -1, gives the dividend and 0. WebAssembly would trap on both but the overflowing remainder.
 */
const divide: Semantics = (e) => {
  const a = e.let(e.rs1());
  const b = e.let(e.rs2());
  e.setRd(
    e.choose(
      "i64",
      e.i64.gt_u(e.i64.add(b.get(), e.i64.const(1)), e.i64.const(1)),
      () => e.i64.div_s(a.get(), b.get()),
      () => e.select(e.i64.const(-1), e.i64.sub(e.i64.const(0), a.get()), e.i64.eqz(b.get())),
    ),
  );
};

const remainder: Semantics = (e) => {
  const a = e.let(e.rs1());
  const b = e.let(e.rs2());
  e.setRd(
    e.choose(
      "i64",
      e.i64.eqz(b.get()),
      () => a.get(),
      () => e.i64.rem_s(a.get(), b.get()),
    ),
  );
};

const divideUnsigned: Semantics = (e) => {
  const b = e.let(e.rs2());
  e.setRd(
    e.choose(
      "i64",
      e.i64.eqz(b.get()),
      () => e.i64.const(-1),
      () => e.i64.div_u(e.rs1(), b.get()),
    ),
  );
};

const remainderUnsigned: Semantics = (e) => {
  const b = e.let(e.rs2());
  e.setRd(
    e.choose(
      "i64",
      e.i64.eqz(b.get()),
      () => e.rs1(),
      () => e.i64.rem_u(e.rs1(), b.get()),
    ),
  );
};

const divideWord: Semantics = (e) => {
  const a = e.let(e.rs1Word());
  const b = e.let(e.rs2Word());
  e.setRdWord(
    e.choose(
      "i32",
      e.i32.gt_u(e.i32.add(b.get(), e.i32.const(1)), e.i32.const(1)),
      () => e.i32.div_s(a.get(), b.get()),
      () => e.select(e.i32.const(-1), e.i32.sub(e.i32.const(0), a.get()), e.i32.eqz(b.get())),
    ),
  );
};

const remainderWord: Semantics = (e) => {
  const a = e.let(e.rs1Word());
  const b = e.let(e.rs2Word());
  e.setRdWord(
    e.choose(
      "i32",
      e.i32.eqz(b.get()),
      () => a.get(),
      () => e.i32.rem_s(a.get(), b.get()),
    ),
  );
};

const divideUnsignedWord: Semantics = (e) => {
  const b = e.let(e.rs2Word());
  e.setRdWord(
    e.choose(
      "i32",
      e.i32.eqz(b.get()),
      () => e.i32.const(-1),
      () => e.i32.div_u(e.rs1Word(), b.get()),
    ),
  );
};

const remainderUnsignedWord: Semantics = (e) => {
  const b = e.let(e.rs2Word());
  e.setRdWord(
    e.choose(
      "i32",
      e.i32.eqz(b.get()),
      () => e.rs1Word(),
      () => e.i32.rem_u(e.rs1Word(), b.get()),
    ),
  );
};

/**
 * The high 64 bits of a product. With a = ah·2^32 + al and b likewise, unsigned:
 *
 *     middle = ah·bl + (al·bl >> 32)          does not overflow
 *     high   = ah·bh + (middle >> 32) + ((al·bh + low32(middle)) >> 32)
 *
 * A negative signed operand counts 2^64 too much, so the other operand is subtracted from the high half.
 */
const multiplyHigh =
  (aSigned: boolean, bSigned: boolean): Semantics =>
  (e) => {
    const { i64 } = e;
    const a = e.let(e.rs1());
    const b = e.let(e.rs2());
    const low = (value: typeof a): I64 => i64.and(value.get(), i64.constWords(0, -1));
    const high = (value: typeof a): I64 => i64.shr_u(value.get(), i64.const(32));
    const middle = e.let(i64.add(i64.mul(high(a), low(b)), i64.shr_u(i64.mul(low(a), low(b)), i64.const(32))));
    const result = e.let(
      i64.add(
        i64.add(i64.mul(high(a), high(b)), high(middle)),
        i64.shr_u(i64.add(i64.mul(low(a), high(b)), low(middle)), i64.const(32)),
      ),
    );
    const correction = (sign: typeof a, other: typeof a): I64 =>
      i64.and(i64.shr_s(sign.get(), i64.const(63)), other.get());
    if (aSigned) result.set(i64.sub(result.get(), correction(a, b)));
    if (bSigned) result.set(i64.sub(result.get(), correction(b, a)));
    e.setRd(result.get());
  };

/** Each byte: all ones if any bit is set, else zero. */
const orCombine: Semantics = (e) => {
  const { i64 } = e;
  const value = e.let(e.rs1());
  for (const shift of [1, 2, 4]) {
    // Bits that come from the byte above are masked away: only the low `8 - shift` bits of each byte take part.
    const byteMask = (0xff >> shift) * 0x01010101;
    value.set(
      i64.or(value.get(), i64.and(i64.shr_u(value.get(), i64.const(shift)), i64.constWords(byteMask, byteMask))),
    );
  }
  // Bit 0 of each byte is now the or of its bits; times 255 it fills the byte.
  e.setRd(i64.mul(i64.and(value.get(), i64.constWords(0x01010101, 0x01010101)), i64.const(255)));
};

const reverseBytes: Semantics = (e) => {
  const { i64 } = e;
  const value = e.let(e.rs1());
  const swap = (shift: number, maskHi: number, maskLo: number): void =>
    value.set(
      i64.or(
        i64.and(i64.shr_u(value.get(), i64.const(shift)), i64.constWords(maskHi, maskLo)),
        i64.shl(i64.and(value.get(), i64.constWords(maskHi, maskLo)), i64.const(shift)),
      ),
    );
  swap(8, 0x00ff00ff, 0x00ff00ff);
  swap(16, 0x0000ffff, 0x0000ffff);
  e.setRd(i64.rotl(value.get(), i64.const(32)));
};

const extendWord = (e: RiscvEmitter, value: I32): I64 => e.i64.extend_i32_u(value);

export const integerSemantics = {
  lui: (e) => e.setRd(e.imm()),
  auipc: (e) => e.setRd(e.i64.add(e.pc(), e.imm())),
  jal: (e) => {
    e.setRd(e.nextPc());
    e.jump();
  },
  jalr: (e) => {
    const target = e.let(e.i64.and(e.i64.add(e.rs1(), e.imm()), e.i64.const(-2)));
    e.setRd(e.nextPc());
    e.jumpTo(target.get());
  },
  beq: branch("eq"),
  bne: branch("ne"),
  blt: branch("lt_s"),
  bge: branch("ge_s"),
  bltu: branch("lt_u"),
  bgeu: branch("ge_u"),
  lb: load("i8"),
  lh: load("i16"),
  lw: load("i32"),
  ld: load("i64"),
  lbu: load("u8"),
  lhu: load("u16"),
  lwu: load("u32"),
  sb: store("i8"),
  sh: store("i16"),
  sw: store("i32"),
  sd: store("i64"),
  addi: immediate("add"),
  slti: setLessImmediate("lt_s"),
  sltiu: setLessImmediate("lt_u"),
  xori: immediate("xor"),
  ori: immediate("or"),
  andi: immediate("and"),
  slli: immediate("shl"),
  srli: immediate("shr_u"),
  srai: immediate("shr_s"),
  addiw: immediateWord("add"),
  slliw: immediateWord("shl"),
  srliw: immediateWord("shr_u"),
  sraiw: immediateWord("shr_s"),
  add: register("add"),
  sub: register("sub"),
  sll: register("shl"),
  slt: setLess("lt_s"),
  sltu: setLess("lt_u"),
  xor: register("xor"),
  srl: register("shr_u"),
  sra: register("shr_s"),
  or: register("or"),
  and: register("and"),
  addw: registerWord("add"),
  subw: registerWord("sub"),
  sllw: registerWord("shl"),
  srlw: registerWord("shr_u"),
  sraw: registerWord("shr_s"),
  // Harts are interleaved, never parallel: memory is always in order.
  fence: () => undefined,
  mul: register("mul"),
  mulh: multiplyHigh(true, true),
  mulhsu: multiplyHigh(true, false),
  mulhu: multiplyHigh(false, false),
  div: divide,
  divu: divideUnsigned,
  rem: remainder,
  remu: remainderUnsigned,
  mulw: registerWord("mul"),
  divw: divideWord,
  divuw: divideUnsignedWord,
  remw: remainderWord,
  remuw: remainderUnsignedWord,
  "add.uw": (e) => e.setRd(e.i64.add(extendWord(e, e.rs1Word()), e.rs2())),
  sh1add: shiftAdd(1),
  "sh1add.uw": shiftAddWord(1),
  sh2add: shiftAdd(2),
  "sh2add.uw": shiftAddWord(2),
  sh3add: shiftAdd(3),
  "sh3add.uw": shiftAddWord(3),
  "slli.uw": (e) => e.setRd(e.i64.shl(extendWord(e, e.rs1Word()), e.imm())),
  andn: (e) => e.setRd(e.i64.and(e.rs1(), invert(e, e.rs2()))),
  orn: (e) => e.setRd(e.i64.or(e.rs1(), invert(e, e.rs2()))),
  xnor: (e) => e.setRd(invert(e, e.i64.xor(e.rs1(), e.rs2()))),
  max: choose("gt_s"),
  maxu: choose("gt_u"),
  min: choose("lt_s"),
  minu: choose("lt_u"),
  rol: register("rotl"),
  ror: register("rotr"),
  rolw: registerWord("rotl"),
  rorw: registerWord("rotr"),
  rori: immediate("rotr"),
  roriw: immediateWord("rotr"),
  clz: (e) => e.setRd(e.i64.clz(e.rs1())),
  clzw: (e) => e.setRdWord(e.i32.clz(e.rs1Word())),
  ctz: (e) => e.setRd(e.i64.ctz(e.rs1())),
  ctzw: (e) => e.setRdWord(e.i32.ctz(e.rs1Word())),
  cpop: (e) => e.setRd(e.i64.popcnt(e.rs1())),
  cpopw: (e) => e.setRdWord(e.i32.popcnt(e.rs1Word())),
  "sext.b": (e) => e.setRd(e.i64.extend8_s(e.rs1())),
  "sext.h": (e) => e.setRd(e.i64.extend16_s(e.rs1())),
  "zext.h": (e) => e.setRd(e.i64.and(e.rs1(), e.i64.const(0xffff))),
  rev8: reverseBytes,
  "orc.b": orCombine,
  bclr: (e) =>
    e.setRd(
      e.i64.and(
        e.rs1(),
        invert(
          e,
          bit(e, () => e.rs2()),
        ),
      ),
    ),
  bclri: (e) =>
    e.setRd(
      e.i64.and(
        e.rs1(),
        invert(
          e,
          bit(e, () => e.imm()),
        ),
      ),
    ),
  bext: (e) => e.setRd(e.i64.and(e.i64.shr_u(e.rs1(), e.rs2()), e.i64.const(1))),
  bexti: (e) => e.setRd(e.i64.and(e.i64.shr_u(e.rs1(), e.imm()), e.i64.const(1))),
  binv: (e) =>
    e.setRd(
      e.i64.xor(
        e.rs1(),
        bit(e, () => e.rs2()),
      ),
    ),
  binvi: (e) =>
    e.setRd(
      e.i64.xor(
        e.rs1(),
        bit(e, () => e.imm()),
      ),
    ),
  bset: (e) =>
    e.setRd(
      e.i64.or(
        e.rs1(),
        bit(e, () => e.rs2()),
      ),
    ),
  bseti: (e) =>
    e.setRd(
      e.i64.or(
        e.rs1(),
        bit(e, () => e.imm()),
      ),
    ),
} satisfies Record<IntegerMnemonic, Semantics>;
