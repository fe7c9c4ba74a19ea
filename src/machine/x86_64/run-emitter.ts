/**
 * The interpreter's emitter: operands come from the record at `ip`, registers lie in the window, memory is reached through the TLB.
 * What it emits is a handler that ends by branching back to the dispatch loop.
 *
 *     register   i64.load (i32.load16_u ip+a)
 *     memory     entry = tlb + page bits; entry.tag == page of the last byte?  then  memory[address + entry.addend]
 *     slow       br_if to the block that hands the instruction to the exact tier
 *
 * x86-64 allows any alignment: the tag is compared with the page of the access's last byte, so that what crosses a page misses.
 *
 * In a sequence `ip` points at the first instruction all the while; leaving early first moves it and counts what has retired.
 */
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import type { I32, I64 } from "../../wasm/values.ts";
import { accessSize, loadInstruction, storeInstruction } from "../engine/base-emitter.ts";
import { TLB } from "../engine/layout.ts";
import type { LoadKind, StoreKind } from "../emitter.ts";
import type { Semantics } from "./emitter.ts";
import { RECORD, RECORD_SIZE } from "./layout.ts";
import { RecordEmitter } from "./record-emitter.ts";
import type { Shape } from "./shapes.ts";

/** The locals and labels of the interpreter that handlers use. */
export interface Frame {
  readonly ip: number;
  readonly fuel: number;
  readonly pageBase: number;
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

export class RunEmitter extends RecordEmitter {
  protected readonly frame: Frame;
  /** Offset of the record from `ip`, and how many instructions of the sequence come before this one. */
  private recordOffset = 0;
  protected retired = 0;
  protected ended = false;

  constructor(f: FunctionBuilder, frame: Frame, shape: Shape) {
    super(f, shape);
    this.frame = frame;
  }

  /** Emits the handler of adjacent instructions, of which only conditional branches and the last may jump. */
  emitSequence(members: readonly { readonly shape: Shape; readonly semantics: Semantics }[]): void {
    this.flagSource = undefined;
    members.forEach(({ shape, semantics }, index) => {
      this.begin(shape, index);
      semantics(this);
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
    return this.f.load(loadInstruction[kind], this.reach(accessSize[kind], address, "load"), 0);
  }

  store(kind: StoreKind, address: I64, value: I64): void {
    const stored = this.let(value);
    const place = this.reach(accessSize[kind], address, "store");
    this.f.store(storeInstruction[kind], place, stored.get(), 0);
  }

  pc(): I64 {
    return this.i64.add(
      this.f.getLocal(this.frame.pageBase, "i64"),
      this.i64.extend_i32_u(this.field16(RECORD.offset)),
    );
  }

  nextPc(): I64 {
    return this.i64.add(this.pc(), this.i64.extend_i32_u(this.field8(RECORD.length)));
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

  address(): I64 {
    const base = this.addressRegister(RECORD.base);
    const displaced = this.i64.add(base, this.displacement());
    return this.shape.address === "base" ? displaced : this.i64.add(displaced, this.scaledIndex());
  }

  protected begin(shape: Shape, retired: number): void {
    this.shape = shape;
    this.recordOffset = retired * RECORD_SIZE;
    this.retired = retired;
    this.ended = false;
  }

  /** Goes on to the instruction that follows, unless the semantics went elsewhere, and releases the temporaries. */
  private finish(): void {
    if (!this.ended) {
      this.moveIp(this.recordOffset + RECORD_SIZE);
      this.spend();
      this.f.branch(this.frame.dispatch);
    }
    this.releaseTemporaries();
  }

  /** Control goes to the relative target. Backward and far transfers are where fuel is checked. */
  protected transfer(): void {
    const { f, frame, i32, i64 } = this;
    if (this.shape.transfer === "far") {
      f.setLocal(frame.target, i64.add(this.nextPc(), this.immediate()));
      this.spend();
      f.branch(frame.far);
      return;
    }
    f.setLocal(frame.ip, this.immediateWord());
    this.spend();
    if (this.shape.transfer === "backward") {
      f.branchIf(frame.leave, i32.le_s(f.getLocal(frame.fuel, "i32"), i32.const(0)));
    }
    f.branch(frame.dispatch);
  }

  protected operandAddress(): I64 {
    if (this.shape.address === "base") return this.address();
    return this.i64.add(this.address(), this.addressRegister(RECORD.seg));
  }

  protected reachOperand(_n: number, access: "load" | "store"): I32 {
    return this.reach(this.memorySize(), this.operandAddress(), access);
  }

  protected reach(size: number, address: I64, access: "load" | "store"): I32 {
    const { f, frame, i32, i64 } = this;
    const table = access === "load" ? TLB.load : TLB.store;
    const virtual = this.let(address);
    const entry = this.let(
      i32.add(
        i32.and(i32.shr_u(i32.wrap_i64(virtual.get()), i32.const(8)), i32.const(0x3ff0)),
        f.getLocal(frame.tlb, "i32"),
      ),
    );
    const tag = f.load("i64", entry.get(), table);
    const last = size === 1 ? virtual.get() : i64.add(virtual.get(), i64.const(size - 1));
    this.slow(i64.ne(tag, i64.and(last, i64.const(-4096))));
    return i32.add(i32.wrap_i64(virtual.get()), f.load("i32", entry.get(), table + 8));
  }

  protected field16(field: number): I32 {
    return this.f.load("i32_16u", this.getIp(), this.recordOffset + field);
  }

  private field8(field: number): I32 {
    return this.f.load("i32_8u", this.getIp(), this.recordOffset + field);
  }

  protected immediate(): I64 {
    return this.f.load("i64", this.getIp(), this.recordOffset + RECORD.imm);
  }

  protected immediateWord(): I32 {
    return this.f.load("i32", this.getIp(), this.recordOffset + RECORD.imm);
  }

  /** The register that a field names, in an address. */
  protected addressRegister(field: number): I64 {
    return this.f.load("i64", this.field16(field), 0);
  }

  protected displacement(): I64 {
    return this.f.load("i64_32s", this.getIp(), this.recordOffset + RECORD.disp);
  }

  protected scaledIndex(): I64 {
    return this.i64.shl(this.addressRegister(RECORD.index), this.i64.extend_i32_u(this.field8(RECORD.scale)));
  }

  /** Counts this instruction, and those of the sequence before it, as retired. */
  protected spend(): void {
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

  /** Bytes of the memory operand. */
  protected memorySize(): number {
    const operand = this.shape.operands.find(({ letter }) => letter === "m");
    if (operand === undefined) throw new Error(`${this.shape.mnemonic} has no memory operand`);
    return operand.size;
  }
}
