/**
 * What the emitters of x86-64 share: operands that a record names, flags, the stack, vectors.
 *
 *     register operand    its window address is in the record's field a, b or c
 *     memory operand      base + (index << scale) + disp + segment, all named by the record
 *     immediate           64 bits in the record
 *
 * Where the record is, how memory is reached and where control goes is for each tier: `RunEmitter` (interpreter), `StepEmitter` (exact
 * tier), `RegionEmitter` (translated code).
 */
import type { FunctionBuilder, MemoryStore } from "../../wasm/function-builder.ts";
import type { V128Operators } from "../../wasm/operators.ts";
import { tokenOf, type I32, type I64, type V128, type Value } from "../../wasm/values.ts";
import { BaseEmitter, loadInstruction, storeInstruction } from "../engine/base-emitter.ts";
import type { AtomicKind, LoadKind, Local, StoreKind } from "../emitter.ts";
import { ARITHMETIC_FLAGS, CR0, GPR, RFLAGS } from "../../isa/x86_64/registers.ts";
import type { X86Emitter } from "./emitter.ts";
import { CELL, RECORD } from "./layout.ts";
import type { Shape } from "./shapes.ts";

const SIGNED: Readonly<Record<number, LoadKind>> = { 1: "i8", 2: "i16", 4: "i32", 8: "i64" };
const UNSIGNED: Readonly<Record<number, LoadKind>> = { 1: "u8", 2: "u16", 4: "u32", 8: "i64" };
const STORE: Readonly<Record<number, StoreKind>> = { 1: "i8", 2: "i16", 4: "i32", 8: "i64" };
const WORD_LOAD = { 1: "i32_8s", 2: "i32_16s", 4: "i32", 8: "i32" } as const;
const WORD_STORE = { 1: "i32_8", 2: "i32_16", 4: "i32", 8: "i32" } as const;

/** Bits of the x87 status word. SDM volume 1, 8.1.3. */
const X87_STATUS = { ES: 1 << 7, TOP: 7 << 11 } as const;

/** Fields of the record that hold the window address of register operands 0, 1, 2. */
const REGISTER_FIELDS = [RECORD.a, RECORD.b, RECORD.c] as const;

/** What the flags were last set from, within a sequence: a conditional that follows need not read them from the window. */
type FlagSource =
  | { readonly kind: "subtract"; readonly a: Local<"i64">; readonly b: Local<"i64">; readonly result: Local<"i64"> }
  | { readonly kind: "logic"; readonly result: Local<"i64"> };

export abstract class RecordEmitter extends BaseEmitter implements X86Emitter {
  readonly v128: V128Operators;
  /** Set by `begin`, before anything is emitted. */
  protected shape: Shape;
  protected flagSource: FlagSource | undefined;

  constructor(f: FunctionBuilder, shape: Shape) {
    super(f);
    this.v128 = f.v128;
    this.shape = shape;
  }

  // --- What the tiers differ in ------------------------------------------------------------------------------------

  abstract slow(condition?: I32): void;
  abstract pc(): I64;
  abstract nextPc(): I64;
  abstract branchIf(condition: I32): void;
  abstract jump(): void;
  abstract jumpTo(target: I64): void;
  /** A 16-bit field of the record. */
  protected abstract field16(field: number): I32;
  protected abstract immediate(): I64;
  protected abstract immediateWord(): I32;
  /** Effective address with the segment's base: where the memory operand lies. */
  protected abstract operandAddress(): I64;
  abstract address(): I64;
  /** The place in this memory of bytes at a virtual address that may be read, or written; leaves the instruction where there is none. */
  protected abstract reach(size: number, address: I64, access: "load" | "store"): I32;
  /** The place of the memory operand. */
  protected abstract reachOperand(n: number, access: "load" | "store"): I32;
  abstract load(kind: LoadKind, address: I64): I64;
  abstract store(kind: StoreKind, address: I64, value: I64): void;

  // --- Operands ----------------------------------------------------------------------------------------------------

  get operandSize(): number {
    return this.shape.operandSize;
  }

  get needsFlags(): boolean {
    return this.shape.flags === "used";
  }

  sizeOf(n: number): number {
    const operand = this.shape.operands[n];
    if (operand === undefined) throw new Error(`${this.shape.mnemonic} has no operand ${n}`);
    return operand.size;
  }

  isMemory(n: number): boolean {
    return this.letterOf(n) === "m";
  }

  get operandCount(): number {
    return this.shape.operands.length;
  }

  isRelative(n: number): boolean {
    return this.letterOf(n) === "j";
  }

  get addressSize(): number {
    return this.shape.addressSize;
  }

  isXmm(n: number): boolean {
    return this.letterOf(n) === "x";
  }

  isMmx(n: number): boolean {
    return this.letterOf(n) === "q";
  }

  /** Only translated code knows it. */
  knownImmediate(_n: number): number | undefined {
    return undefined;
  }

  read(n: number): I64 {
    if (this.letterOf(n) === "i") return this.immediate();
    return this.loadOperand(n, SIGNED);
  }

  readUnsigned(n: number): I64 {
    if (this.letterOf(n) !== "i") return this.loadOperand(n, UNSIGNED);
    const size = this.sizeOf(0);
    const value = this.immediate();
    return size === 8 ? value : this.zeroExtend(value, size);
  }

  readWord(n: number): I32 {
    const letter = this.letterOf(n);
    if (letter === "i") return this.immediateWord();
    const size = this.sizeOf(n) as 1 | 2 | 4 | 8;
    if (letter === "r") return this.registerWord(n, WORD_LOAD[size]);
    return this.f.load(WORD_LOAD[size], this.reachOperand(n, "load"), 0);
  }

  write(n: number, value: I64): void {
    const size = this.sizeOf(n);
    if (this.isMemory(n)) {
      const stored = this.let(value);
      const place = this.reachOperand(n, "store");
      this.f.store(storeInstruction[kindOf(STORE, size)], place, stored.get(), 0);
      return;
    }
    this.writeRegister(n, value, size);
  }

  writeWord(n: number, value: I32): void {
    const size = this.sizeOf(n) as 1 | 2 | 4 | 8;
    if (this.isMemory(n)) {
      const stored = this.let(value);
      this.f.store(WORD_STORE[size], this.reachOperand(n, "store"), stored.get(), 0);
    } else if (size >= 4) {
      this.writeRegister(n, this.i64.extend_i32_u(value), 8);
    } else {
      this.writeRegisterWord(n, value, WORD_STORE[size]);
    }
  }

  modify(n: number, update: (old: Local<"i64">) => I64): void {
    const size = this.sizeOf(n);
    if (this.isMemory(n)) {
      const place = this.let(this.reachOperand(n, "store"));
      const old = this.let(this.f.load(loadInstruction[kindOf(SIGNED, size)], place.get(), 0));
      const value = this.let(update(old));
      this.f.store(storeInstruction[kindOf(STORE, size)], place.get(), value.get(), 0);
      return;
    }
    const old = this.let(this.read(n));
    this.writeRegister(n, update(old), size);
  }

  narrow(value: I64): I64 {
    return this.narrowTo(this.sizeOf(0), value);
  }

  /** The exact tier's, which executes the instructions that have one. */
  secondImmediate(): I32 {
    throw new Error(`${this.shape.mnemonic} has no handler in the interpreter`);
  }

  segmentBase(): I64 {
    throw new Error(`${this.shape.mnemonic} has no handler in the interpreter`);
  }

  gpr(register: number): I64 {
    return this.f.load("i64", this.i32.const(0), CELL.gpr + register * 8);
  }

  setGpr(register: number, value: I64): void {
    const result = this.let(value);
    this.f.store("i64", this.i32.const(0), result.get(), CELL.gpr + register * 8);
  }

  // --- Flags -------------------------------------------------------------------------------------------------------

  flags(result: Local<"i64">, carries: () => I64, carry: () => I32): void {
    this.flagSource = undefined;
    if (!this.needsFlags) return;
    this.storeCell64(CELL.flagResult, () => result.get());
    this.storeCell64(CELL.flagCarries, carries);
    this.storeCell32(CELL.flagCarry, carry);
  }

  flagsOfSubtract(result: Local<"i64">, a: Local<"i64">, b: Local<"i64">): void {
    const { i64 } = this;
    this.flags(
      result,
      () => i64.xor(i64.xor(a.get(), b.get()), result.get()),
      () => i64.lt_u(a.get(), b.get()),
    );
    this.flagSource = { kind: "subtract", a, b, result };
  }

  flagsOfLogic(result: Local<"i64">): void {
    this.flags(
      result,
      () => this.i64.const(0),
      () => this.i32.const(0),
    );
    this.flagSource = { kind: "logic", result };
  }

  flagsKeepingCarry(result: Local<"i64">, carries: () => I64): void {
    this.flagSource = undefined;
    if (!this.needsFlags) return;
    this.storeCell32(CELL.flagCarry, () => this.carry());
    this.storeCell64(CELL.flagResult, () => result.get());
    this.storeCell64(CELL.flagCarries, carries);
  }

  carry(): I32 {
    return this.i32.and(this.cell32(CELL.flagCarry), this.i32.const(1));
  }

  setCarry(value: I32): void {
    // OF is told by CF and the sign of the carries: what CF loses there the carries get.
    const { i32, i64 } = this;
    const carry = this.let(value);
    const flip = this.let(i32.xor(carry.get(), this.carry()));
    this.storeCell64(CELL.flagCarries, () =>
      i64.xor(this.cell64(CELL.flagCarries), i64.shl(i64.extend_i32_u(flip.get()), i64.const(63))),
    );
    this.storeCell32(CELL.flagCarry, () => i32.xor(this.cell32(CELL.flagCarry), flip.get()));
    this.flagSource = undefined;
  }

  arithmeticFlags(): I32 {
    const { i32 } = this;
    const bit = (value: I32, flag: number): I32 => i32.shl(value, i32.const(Math.log2(flag)));
    let all = bit(this.carry(), RFLAGS.CF);
    all = i32.or(all, bit(this.parity(), RFLAGS.PF));
    all = i32.or(all, i32.and(i32.wrap_i64(this.cell64(CELL.flagCarries)), i32.const(RFLAGS.AF)));
    all = i32.or(all, bit(this.isZero(), RFLAGS.ZF));
    all = i32.or(all, bit(this.isSigned(), RFLAGS.SF));
    return i32.or(all, bit(this.isOverflow(), RFLAGS.OF));
  }

  setArithmeticFlags(flags: I32): void {
    const { i32, i64 } = this;
    const word = this.let(i32.and(flags, i32.const(ARITHMETIC_FLAGS)));
    const bit = (flag: number): I32 => i32.and(i32.shr_u(word.get(), i32.const(Math.log2(flag))), i32.const(1));
    const top = (value: I32): I64 => i64.shl(i64.extend_i32_u(value), i64.const(63));
    // A result that is not zero has the wanted sign and parity by itself; a zero that is negative or odd needs the bits beside CF.
    const ordinary = (): I64 =>
      i64.or(top(bit(RFLAGS.SF)), i64.extend_i32_u(i32.or(i32.const(1), i32.shl(bit(RFLAGS.PF), i32.const(1)))));
    this.storeCell64(CELL.flagResult, () => this.choose("i64", bit(RFLAGS.ZF), () => i64.const(0), ordinary));
    this.storeCell64(CELL.flagCarries, () =>
      i64.or(i64.extend_i32_u(i32.and(word.get(), i32.const(RFLAGS.AF))), top(i32.xor(bit(RFLAGS.OF), bit(RFLAGS.CF)))),
    );
    this.storeCell32(CELL.flagCarry, () =>
      i32.or(
        bit(RFLAGS.CF),
        i32.or(
          i32.shl(i32.and(bit(RFLAGS.ZF), bit(RFLAGS.SF)), i32.const(1)),
          i32.shl(i32.and(bit(RFLAGS.ZF), i32.eqz(bit(RFLAGS.PF))), i32.const(2)),
        ),
      ),
    );
    this.flagSource = undefined;
  }

  condition(code: number = this.shape.condition): I32 {
    const negated = (code & 1) === 1;
    const source = this.flagSource;
    const direct = source === undefined ? undefined : this.directCondition(source, code >> 1, negated);
    if (direct !== undefined) return direct;
    const value = this.conditionFromCells(code >> 1);
    return negated ? this.i32.eqz(value) : value;
  }

  /** The condition as a comparison of what the flags come from. */
  private directCondition(source: FlagSource, pair: number, negated: boolean): I32 | undefined {
    const { i64 } = this;
    if (source.kind === "logic") {
      const result = (): I64 => source.result.get();
      const zero = (): I64 => i64.const(0);
      switch (pair) {
        case 2: // e
        case 3: // be: CF is 0
          return negated ? i64.ne(result(), zero()) : i64.eqz(result());
        case 4: // s
        case 6: // l: OF is 0
          return negated ? i64.ge_s(result(), zero()) : i64.lt_s(result(), zero());
        case 7: // le
          return negated ? i64.gt_s(result(), zero()) : i64.le_s(result(), zero());
        default:
          return undefined;
      }
    }
    const a = (): I64 => source.a.get();
    const b = (): I64 => source.b.get();
    switch (pair) {
      case 1:
        return negated ? i64.ge_u(a(), b()) : i64.lt_u(a(), b());
      case 2:
        return negated ? i64.ne(a(), b()) : i64.eq(a(), b());
      case 3:
        return negated ? i64.gt_u(a(), b()) : i64.le_u(a(), b());
      case 4:
        return negated ? i64.ge_s(source.result.get(), i64.const(0)) : i64.lt_s(source.result.get(), i64.const(0));
      case 6:
        return negated ? i64.ge_s(a(), b()) : i64.lt_s(a(), b());
      case 7:
        return negated ? i64.gt_s(a(), b()) : i64.le_s(a(), b());
      default:
        return undefined;
    }
  }

  private conditionFromCells(pair: number): I32 {
    const { i32 } = this;
    switch (pair) {
      case 0:
        return this.isOverflow();
      case 1:
        return this.carry();
      case 2:
        return this.isZero();
      case 3:
        return i32.or(this.carry(), this.isZero());
      case 4:
        return this.isSigned();
      case 5:
        return this.parity();
      case 6:
        return i32.xor(this.isSigned(), this.isOverflow());
      default:
        return i32.or(this.isZero(), i32.xor(this.isSigned(), this.isOverflow()));
    }
  }

  private isZero(): I32 {
    return this.i64.eqz(this.cell64(CELL.flagResult));
  }

  private isSigned(): I32 {
    const { i32, i64 } = this;
    const sign = i64.lt_s(this.cell64(CELL.flagResult), i64.const(0));
    const flip = i32.and(i32.shr_u(this.cell32(CELL.flagCarry), i32.const(1)), i32.const(1));
    return i32.xor(sign, flip);
  }

  private isOverflow(): I32 {
    return this.i32.xor(this.i64.lt_s(this.cell64(CELL.flagCarries), this.i64.const(0)), this.carry());
  }

  /** PF: 1 for an even number of ones in the low byte. */
  private parity(): I32 {
    const { i32 } = this;
    const ones = this.let(i32.popcnt(i32.and(i32.wrap_i64(this.cell64(CELL.flagResult)), i32.const(0xff))));
    const flip = (): I32 => i32.shr_u(this.cell32(CELL.flagCarry), i32.const(2));
    return i32.and(i32.xor(i32.xor(ones.get(), i32.const(1)), flip()), i32.const(1));
  }

  // --- The stack ---------------------------------------------------------------------------------------------------

  get stackSize(): number {
    return this.shape.operandSize;
  }

  push(value: I64): void {
    const stored = this.let(value);
    const size = this.stackSize;
    const to = this.let(this.i64.sub(this.gpr(GPR.rsp), this.i64.const(size)));
    this.store(kindOf(STORE, size), to.get(), stored.get());
    this.setStackPointer(() => to.get());
  }

  pop(): I64 {
    const size = this.stackSize;
    const from = this.let(this.gpr(GPR.rsp));
    const value = this.let(this.load(kindOf(UNSIGNED, size), from.get()));
    this.setStackPointer(() => this.i64.add(from.get(), this.i64.const(size)));
    return value.get();
  }

  /** With 4-byte slots, which only 32-bit code has, esp is what counts. */
  protected setStackPointer(value: () => I64): void {
    this.setGpr(GPR.rsp, this.stackSize === 4 ? this.zeroExtend(value(), 4) : value());
  }

  // --- Vectors -----------------------------------------------------------------------------------------------------

  require(what: "sse" | "nearest" | "mmx"): void {
    const { i32 } = this;
    if (what === "mmx") {
      const unavailable = i32.and(this.cell32(CELL.cr0), i32.const(CR0.EM | CR0.TS));
      this.slow(i32.or(unavailable, i32.and(this.cell32(CELL.fpuStatus), i32.const(X87_STATUS.ES))));
    } else {
      this.slow(i32.eqz(this.cell32(what === "sse" ? CELL.sseReady : CELL.sseNearest)));
    }
  }

  tagMmx(tags: "valid" | "empty"): void {
    const { i32 } = this;
    this.storeCell32(CELL.fpuStatus, () => i32.and(this.cell32(CELL.fpuStatus), i32.const(~X87_STATUS.TOP)));
    this.storeCell32(CELL.fpuTag, () => i32.const(tags === "valid" ? 0 : 0xffff));
  }

  readVector(n: number): V128 {
    if (this.isMemory(n)) return this.f.load("v128", this.reachOperand(n, "load"), 0);
    return this.registerVector(n);
  }

  readVectorAligned(n: number): V128 {
    if (!this.isMemory(n)) return this.registerVector(n);
    this.requireAlignment();
    return this.readVector(n);
  }

  readScalar(n: number, size: 4 | 8): I64 {
    const kind = loadInstruction[size === 4 ? "u32" : "i64"];
    if (this.isMemory(n)) return this.f.load(kind, this.reachOperand(n, "load"), 0);
    return this.registerScalar(n, size);
  }

  writeVector(n: number, value: V128): void {
    const result = this.let(value);
    this.f.store("v128", this.registerAddress(n), result.get(), 0);
  }

  storeVector(n: number, value: V128, alignment: "aligned" | "any"): void {
    if (!this.isMemory(n)) return this.writeVector(n, value);
    const result = this.let(value);
    if (alignment === "aligned") this.requireAlignment();
    this.f.store("v128", this.reachOperand(n, "store"), result.get(), 0);
  }

  writeScalar(n: number, size: 4 | 8, bits: I64): void {
    const result = this.let(bits);
    const kind: MemoryStore & `i64${string}` = size === 4 ? "i64_32" : "i64";
    const place = this.isMemory(n) ? this.reachOperand(n, "store") : this.registerAddress(n);
    this.f.store(kind, place, result.get(), 0);
  }

  readMmx(n: number): I64 {
    if (this.isMemory(n)) return this.f.load("i64", this.reachOperand(n, "load"), 0);
    return this.f.load("i64", this.registerAddress(n), 0);
  }

  writeMmx(n: number, value: I64): void {
    const result = this.let(value);
    if (this.isMemory(n)) {
      this.f.store("i64", this.reachOperand(n, "store"), result.get(), 0);
      return;
    }
    const place = this.let(this.registerAddress(n));
    this.f.store("i64", place.get(), result.get(), 0);
    this.f.store("i32_16", place.get(), this.i32.const(0xffff), 8);
  }

  mxcsr(): I32 {
    return this.cell32(CELL.mxcsr);
  }

  raiseMxcsr(flags: I32): void {
    const raised = this.let(flags);
    this.storeCell32(CELL.mxcsr, () => this.i32.or(this.mxcsr(), raised.get()));
  }

  // --- Neutral accesses that x86-64's semantics do not use ---------------------------------------------------------

  atomic(kind: AtomicKind, address: I64, update: (old: Local<"i64">) => I64): I64 {
    const place = this.let(this.reach(kind === "i32" ? 4 : 8, address, "store"));
    const old = this.let(this.f.load(loadInstruction[kind], place.get(), 0));
    this.f.store(storeInstruction[kind], place.get(), update(old), 0);
    return old.get();
  }

  loadReserved(): I64 {
    throw new Error("x86-64 has no reservations");
  }

  storeConditional(): I64 {
    throw new Error("x86-64 has no reservations");
  }

  // --- Helpers -----------------------------------------------------------------------------------------------------

  protected letterOf(n: number): string {
    return this.shape.operands[n]?.letter ?? "";
  }

  protected registerAddress(n: number): I32 {
    return this.field16(REGISTER_FIELDS[n] ?? RECORD.a);
  }

  /** A general register operand, extended to 64 bits. */
  protected registerValue(n: number, kind: LoadKind): I64 {
    return this.f.load(loadInstruction[kind], this.registerAddress(n), 0);
  }

  protected registerWord(n: number, kind: "i32_8s" | "i32_16s" | "i32"): I32 {
    return this.f.load(kind, this.registerAddress(n), 0);
  }

  protected registerVector(n: number): V128 {
    return this.f.load("v128", this.registerAddress(n), 0);
  }

  protected registerScalar(n: number, size: 4 | 8): I64 {
    return this.f.load(loadInstruction[size === 4 ? "u32" : "i64"], this.registerAddress(n), 0);
  }

  protected writeRegister(n: number, value: I64, size: number): void {
    const result = this.let(size === 4 ? this.zeroExtend(value, 4) : value);
    const kind = size === 4 || size === 8 ? "i64" : storeInstruction[kindOf(STORE, size)];
    this.f.store(kind, this.registerAddress(n), result.get(), 0);
  }

  protected writeRegisterWord(n: number, value: I32, kind: "i32_8" | "i32_16" | "i32"): void {
    const result = this.let(value);
    this.f.store(kind, this.registerAddress(n), result.get(), 0);
  }

  private loadOperand(n: number, kinds: Readonly<Record<number, LoadKind>>): I64 {
    const kind = kindOf(kinds, this.sizeOf(n));
    if (!this.isMemory(n)) return this.registerValue(n, kind);
    return this.f.load(loadInstruction[kind], this.reachOperand(n, "load"), 0);
  }

  /** An access to memory that is not 16-byte aligned is a #GP. */
  private requireAlignment(): void {
    this.leaveMisaligned(this.i32.and(this.i32.wrap_i64(this.operandAddress()), this.i32.const(15)));
  }

  /** Where the condition holds the instruction is misaligned. */
  protected leaveMisaligned(condition: I32): void {
    this.slow(condition);
  }

  protected narrowTo(size: number, value: I64): I64 {
    switch (size) {
      case 1:
        return this.i64.extend8_s(value);
      case 2:
        return this.i64.extend16_s(value);
      case 4:
        return this.i64.extend32_s(value);
      default:
        return value;
    }
  }

  protected zeroExtend(value: I64, size: number): I64 {
    const { i64 } = this;
    return size === 4 ? i64.and(value, i64.constWords(0, -1)) : i64.and(value, i64.const(2 ** (size * 8) - 1));
  }

  state32(cell: number): I32 {
    return this.cell32(cell);
  }

  state64(cell: number): I64 {
    return this.cell64(cell);
  }

  setState64(cell: number, value: I64): void {
    const stored = this.let(value);
    this.storeCell64(cell, () => stored.get());
  }

  protected cell32(cell: number): I32 {
    return this.f.load("i32", this.i32.const(0), cell);
  }

  protected cell64(cell: number): I64 {
    return this.f.load("i64", this.i32.const(0), cell);
  }

  protected storeCell32(cell: number, value: () => I32): void {
    this.f.store("i32", this.i32.const(0), value(), cell);
  }

  protected storeCell64(cell: number, value: () => I64): void {
    this.f.store("i64", this.i32.const(0), value(), cell);
  }

  /** A value that was left on the stack by code that is not typed. */
  protected token<T extends "i32" | "i64" | "v128">(type: T): Value<T> {
    return tokenOf(type);
  }
}

/** The access of a size; a size that has none is a mistake of a semantics function. */
export function kindOf<T>(kinds: Readonly<Record<number, T>>, size: number): T {
  const kind = kinds[size];
  if (kind === undefined) throw new Error(`no access of ${size} bytes`);
  return kind;
}
