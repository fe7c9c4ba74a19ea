/**
 * The interpreter's emitter: operands come from the record at `ip`, registers lie in the window, memory is reached through
 * the TLB. What it emits is a handler that ends by branching back to the dispatch loop.
 *
 *     operand    i64.load (i32.load16_u ip+rs1)
 *     load       entry = tlb + page bits; entry.tag == address with its alignment bits?  then  memory[address + entry.addend]
 *     slow       br_if to the block that hands the instruction to the exact tier
 *
 * In a sequence `ip` points at the first instruction all the while: fields are at a fixed offset, and leaving early first
 * moves `ip` and counts what has retired. A register that one instruction writes and the next reads is kept in a local,
 * since V8 does not forward stores to loads in a WebAssembly memory.
 */
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import { tokenOf, type F32, type F64, type I32, type I64, type Value } from "../../wasm/values.ts";
import { accessSize, BaseEmitter, loadInstruction, storeInstruction } from "../engine/base-emitter.ts";
import type { AtomicKind, LoadKind, Local, StoreKind } from "../emitter.ts";
import { TLB } from "../engine/layout.ts";
import type { EmittedRounding, RiscvEmitter, Semantics } from "./emitter.ts";
import { CELL, RECORD } from "./layout.ts";
import type { Shape } from "./shapes.ts";

/** The locals and labels of the interpreter that handlers use. */
export interface Frame {
  readonly ip: number;
  readonly fuel: number;
  readonly pcBase: number;
  readonly tlb: number;
  /** Where `far` goes. */
  readonly target: number;
  readonly dispatch: Label;
  /** Hands the instruction at `ip` to the exact tier. */
  readonly slow: Label;
  /** Goes to the address in `target`, counted as a transfer. */
  readonly far: Label;
  /** Leaves the interpreter before the instruction at `ip`. */
  readonly leave: Label;
}

/** Which operand of an instruction in a sequence is the result of the one before it. */
export type Forwarding = "none" | "rs1" | "rs2";

export interface SequenceMember {
  readonly shape: Shape;
  readonly semantics: Semantics;
  readonly forwarding: Forwarding;
}

const NO_SHAPE: Shape = { mnemonic: "fence", size: 4, zero: undefined, transfer: "none", rounding: "nearest" };

export class RunEmitter extends BaseEmitter implements RiscvEmitter {
  rounding: EmittedRounding = "nearest";
  protected readonly frame: Frame;
  /** Set by `begin`, before anything is emitted. */
  protected shape: Shape = NO_SHAPE;
  /** Offset of the record's fields from `ip`, and how many instructions of the sequence come before this one. */
  private recordOffset = 0;
  protected retired = 0;
  protected ended = false;
  /** In a sequence: whether this instruction's result is kept, and which operand is the result of the one before it. */
  private keepsResult = false;
  private forwarding: Forwarding = "none";
  private forwarded: Local<"i64"> | undefined;
  private result: Local<"i64"> | undefined;

  constructor(f: FunctionBuilder, frame: Frame) {
    super(f);
    this.frame = frame;
  }

  /** Emits the handler of one instruction. */
  emitOne(shape: Shape, semantics: Semantics): void {
    this.emitSequence([{ shape, semantics, forwarding: "none" }]);
  }

  /** Emits the handler of adjacent instructions, of which only conditional branches and the last may jump. */
  emitSequence(members: readonly SequenceMember[]): void {
    let offset = 0;
    let result: Local<"i64"> | undefined;
    members.forEach(({ shape, semantics, forwarding }, index) => {
      this.begin(shape, offset, index);
      this.keepsResult = (members[index + 1]?.forwarding ?? "none") !== "none";
      this.forwarding = forwarding;
      this.forwarded = result;
      semantics(this);
      result = this.result;
      offset += shape.size * 8;
    });
    this.finish();
  }

  slow(condition?: I32): void {
    if (condition === undefined) {
      this.stepToThis();
      this.f.branch(this.frame.slow);
      this.ended = true;
    } else if (this.retired === 0) {
      this.f.branchIf(this.frame.slow, condition);
    } else {
      this.f.if(condition);
      this.stepToThis();
      this.f.branch(this.frame.slow);
      this.f.end();
    }
  }

  load(kind: LoadKind, address: I64): I64 {
    return this.f.load(loadInstruction[kind], this.translate(accessSize[kind], address, TLB.load), 0);
  }

  store(kind: StoreKind, address: I64, value: I64): void {
    const stored = this.let(value);
    const host = this.translate(accessSize[kind], address, TLB.store);
    this.f.store(storeInstruction[kind], host, stored.get(), 0);
  }

  atomic(kind: AtomicKind, address: I64, update: (old: Local<"i64">) => I64): I64 {
    const host = this.let(this.translate(accessSize[kind], address, TLB.store));
    const old = this.let(this.f.load(loadInstruction[kind], host.get(), 0));
    this.f.store(storeInstruction[kind], host.get(), update(old), 0);
    return old.get();
  }

  loadReserved(kind: AtomicKind, address: I64): I64 {
    const host = this.let(this.translate(accessSize[kind], address, TLB.load));
    this.f.store("i32", this.i32.const(0), host.get(), CELL.reservation);
    return this.f.load(loadInstruction[kind], host.get(), 0);
  }

  storeConditional(kind: AtomicKind, address: I64, value: I64): I64 {
    const stored = this.let(value);
    const host = this.let(this.translate(accessSize[kind], address, TLB.store));
    const holds = this.let(this.i32.eq(this.f.load("i32", this.i32.const(0), CELL.reservation), host.get()));
    this.f.store("i32", this.i32.const(0), this.i32.const(0), CELL.reservation);
    this.if(holds.get(), () => this.f.store(storeInstruction[kind], host.get(), stored.get(), 0));
    return this.i64.extend_i32_u(this.i32.eqz(holds.get()));
  }

  rs1(): I64 {
    if (this.shape.zero === "rs1") return this.i64.const(0);
    if (this.forwarded !== undefined && this.forwarding === "rs1") return this.forwarded.get();
    return this.register("i64", RECORD.rs1);
  }

  rs2(): I64 {
    if (this.shape.zero === "rs2") return this.i64.const(0);
    if (this.forwarded !== undefined && this.forwarding === "rs2") return this.forwarded.get();
    return this.register("i64", RECORD.rs2);
  }

  rs1Word(): I32 {
    if (this.shape.zero === "rs1") return this.i32.const(0);
    if (this.forwarded !== undefined && this.forwarding === "rs1") {
      return this.i32.wrap_i64(this.forwarded.get());
    }
    return this.register("i32", RECORD.rs1);
  }

  rs2Word(): I32 {
    if (this.shape.zero === "rs2") return this.i32.const(0);
    if (this.forwarded !== undefined && this.forwarding === "rs2") {
      return this.i32.wrap_i64(this.forwarded.get());
    }
    return this.register("i32", RECORD.rs2);
  }

  imm(): I64 {
    if (this.shape.zero === "imm") return this.i64.const(0);
    return this.f.load("i64_32s", this.getIp(), this.recordOffset + RECORD.imm);
  }

  immWord(): I32 {
    if (this.shape.zero === "imm") return this.i32.const(0);
    return this.f.load("i32", this.getIp(), this.recordOffset + RECORD.imm);
  }

  setRd(value: I64): void {
    if (this.shape.zero === "rd") {
      this.f.drop(value);
      return;
    }
    const result = this.let(value);
    if (this.keepsResult) this.result = result;
    this.f.store("i64", this.field16(RECORD.rd), result.get(), 0);
  }

  setRdWord(value: I32): void {
    this.setRd(this.i64.extend_i32_s(value));
  }

  pc(): I64 {
    return this.addressAt(this.recordOffset / 8);
  }

  nextPc(): I64 {
    return this.addressAt(this.recordOffset / 8 + this.shape.size);
  }

  branchIf(condition: I32): void {
    this.f.if(condition);
    this.transfer();
    this.f.end();
  }

  jump(): void {
    this.transfer();
    this.ended = true;
  }

  jumpTo(target: I64): void {
    this.f.setLocal(this.frame.target, target);
    this.spend();
    this.f.branch(this.frame.far);
    this.ended = true;
  }

  fs1Bits(): I64 {
    return this.register("i64", RECORD.rs1);
  }
  fs2Bits(): I64 {
    return this.register("i64", RECORD.rs2);
  }
  fs3Bits(): I64 {
    return this.register("i64", RECORD.rs3);
  }
  fs1(): F64 {
    return this.register("f64", RECORD.rs1);
  }
  fs2(): F64 {
    return this.register("f64", RECORD.rs2);
  }
  fs3(): F64 {
    return this.register("f64", RECORD.rs3);
  }
  fs1Single(): F32 {
    return this.register("f32", RECORD.rs1);
  }
  fs2Single(): F32 {
    return this.register("f32", RECORD.rs2);
  }
  fs3Single(): F32 {
    return this.register("f32", RECORD.rs3);
  }

  setFdBits(bits: I64): void {
    const result = this.let(bits);
    this.f.store("i64", this.field16(RECORD.rd), result.get(), 0);
  }

  setFd(value: F64): void {
    const result = this.let(value);
    this.f.store("f64", this.field16(RECORD.rd), result.get(), 0);
  }

  fflags(): I32 {
    return this.f.load("i32", this.i32.const(0), CELL.fflags);
  }

  raiseFlags(flags: I32): void {
    const raised = this.let(flags);
    this.f.store("i32", this.i32.const(0), this.i32.or(raised.get(), this.fflags()), CELL.fflags);
  }

  /** Leaves to the exact tier unless a cell of the window is set. */
  requireCell(cell: number): void {
    this.slow(this.i32.eqz(this.f.load("i32", this.i32.const(0), cell)));
  }

  protected begin(shape: Shape, recordOffset: number, retired: number): void {
    this.shape = shape;
    this.rounding = shape.rounding;
    this.recordOffset = recordOffset;
    this.retired = retired;
    this.ended = false;
    this.keepsResult = false;
    this.forwarding = "none";
    this.forwarded = undefined;
    this.result = undefined;
  }

  /** Goes on to the instruction that follows, unless the semantics went elsewhere, and releases the temporaries. */
  private finish(): void {
    if (!this.ended) {
      this.moveIp(this.recordOffset + this.shape.size * 8);
      this.spend();
      this.f.branch(this.frame.dispatch);
    }
    this.releaseTemporaries();
  }

  /** Control goes to pc + imm. Backward and far transfers are where fuel is checked. */
  protected transfer(): void {
    const { f, frame, i32, i64 } = this;
    if (this.shape.transfer === "far") {
      f.setLocal(frame.target, i64.add(this.pc(), this.imm()));
      this.spend();
      f.branch(frame.far);
      return;
    }
    const offset = this.f.load("i32", this.getIp(), this.recordOffset + RECORD.imm);
    f.setLocal(
      frame.ip,
      i32.add(offset, this.recordOffset === 0 ? this.getIp() : i32.add(this.getIp(), i32.const(this.recordOffset))),
    );
    this.spend();
    if (this.shape.transfer === "backward") {
      f.branchIf(frame.leave, i32.le_s(f.getLocal(frame.fuel, "i32"), i32.const(0)));
    }
    f.branch(frame.dispatch);
  }

  /** Counts this instruction, and those of the sequence before it, as retired. */
  private spend(): void {
    this.spendCount(this.retired + 1);
  }

  private spendCount(count: number): void {
    const { f, frame } = this;
    f.setLocal(frame.fuel, this.i32.sub(f.getLocal(frame.fuel, "i32"), this.i32.const(count)));
  }

  /** Makes `ip` point at this instruction, and counts those before it. */
  private stepToThis(): void {
    if (this.retired === 0) return;
    this.moveIp(this.recordOffset);
    this.spendCount(this.retired);
  }

  private moveIp(bytes: number): void {
    this.f.setLocal(this.frame.ip, this.i32.add(this.getIp(), this.i32.const(bytes)));
  }

  private getIp(): I32 {
    return this.f.getLocal(this.frame.ip, "i32");
  }

  private field16(field: number): I32 {
    return this.f.load("i32_16u", this.getIp(), this.recordOffset + field);
  }

  protected register<T extends "i32" | "i64" | "f32" | "f64">(type: T, field: number): Value<T> {
    this.f.load(type, this.field16(field), 0);
    return tokenOf(type);
  }

  private addressAt(bytes: number): I64 {
    const { f, frame, i32, i64 } = this;
    const slot = i32.shr_u(this.getIp(), i32.const(3));
    return i64.add(
      i64.extend_i32_u(bytes === 0 ? slot : i32.add(slot, i32.const(bytes))),
      f.getLocal(frame.pcBase, "i64"),
    );
  }

  /** The address in this memory of a virtual address; leaves to the exact tier on a TLB miss. */
  private translate(size: number, address: I64, table: number): I32 {
    const { f, frame, i32, i64 } = this;
    const virtual = this.let(address);
    const entry = this.let(
      i32.add(
        i32.and(i32.shr_u(i32.wrap_i64(virtual.get()), i32.const(8)), i32.const(0x3ff0)),
        f.getLocal(frame.tlb, "i32"),
      ),
    );
    this.slow(i64.ne(f.load("i64", entry.get(), table), i64.and(virtual.get(), i64.const(-4096 | (size - 1)))));
    return i32.add(i32.wrap_i64(virtual.get()), f.load("i32", entry.get(), table + 8));
  }
}
