/**
 * The exact tier's emitter: the same semantics as the interpreter's, with one record at a fixed place.
 *
 * The hart core has decoded the instruction, computed its address and brought the bytes of a memory operand to CELL.operand, where
 * the handler finds them as though they were a register; it takes them back from there. What the instruction does to the stack
 * goes through the host. A handler returns one of `STEP`.
 */
import type { FunctionBuilder } from "../../wasm/function-builder.ts";
import type { I32, I64 } from "../../wasm/values.ts";
import { accessSize, loadInstruction } from "../engine/base-emitter.ts";
import type { LoadKind, StoreKind } from "../emitter.ts";
import type { Semantics } from "./emitter.ts";
import { CELL, RECORD } from "./layout.ts";
import { RecordEmitter } from "./record-emitter.ts";
import type { Shape } from "./shapes.ts";

/** What a step handler returns. */
export const STEP = {
  done: 0,
  /** A stack access faulted, and nothing has changed. */
  faulted: 1,
  /** The memory operand is not aligned as the instruction wants it: #GP(0). */
  misaligned: 2,
} as const;

/** Function indices of the host's memory accesses: (size, address low, address high) -> 0 done, 1 faulted. */
export interface StepImports {
  readonly load: number;
  readonly store: number;
}

export class StepEmitter extends RecordEmitter {
  private readonly imports: StepImports;

  constructor(f: FunctionBuilder, imports: StepImports, shape: Shape) {
    super(f, shape);
    this.imports = imports;
  }

  /** Emits the whole body of a handler. */
  emit(semantics: Semantics): void {
    semantics(this);
    this.i32.const(STEP.done);
    this.releaseTemporaries();
  }

  slow(condition?: I32): void {
    // What an instruction leaves to its exact definition comes to that one first; here the condition is one that the hart core has
    // checked, an alignment or a state.
    if (condition !== undefined) this.f.drop(condition);
  }

  load(kind: LoadKind, address: I64): I64 {
    const virtual = this.let(address);
    this.access(this.imports.load, accessSize[kind], () => virtual.get());
    return this.f.load(loadInstruction[kind], this.i32.const(0), CELL.stepValue);
  }

  store(kind: StoreKind, address: I64, value: I64): void {
    const stored = this.let(value);
    const virtual = this.let(address);
    this.storeCell64(CELL.stepValue, () => stored.get());
    this.access(this.imports.store, accessSize[kind], () => virtual.get());
  }

  pc(): I64 {
    return this.cell64(CELL.pc);
  }

  nextPc(): I64 {
    return this.cell64(CELL.nextPc);
  }

  branchIf(condition: I32): void {
    this.f.if(condition);
    this.jump();
    this.f.end();
  }

  jump(): void {
    this.jumpTo(this.i64.add(this.nextPc(), this.immediate()));
  }

  jumpTo(target: I64): void {
    const to = this.let(target);
    this.storeCell64(CELL.nextPc, () => to.get());
    this.storeCell32(CELL.stepTransferred, () => this.i32.const(1));
  }

  address(): I64 {
    return this.cell64(CELL.stepAddress);
  }

  override secondImmediate(): I32 {
    return this.cell32(CELL.stepRecord + RECORD.disp);
  }

  override segmentBase(): I64 {
    return this.cell64(CELL.stepSegmentBase);
  }

  protected operandAddress(): I64 {
    return this.cell64(CELL.stepLinear);
  }

  protected override leaveMisaligned(condition: I32): void {
    this.f.if(condition);
    this.f.return(this.i32.const(STEP.misaligned));
    this.f.end();
  }

  protected reachOperand(): I32 {
    return this.i32.const(CELL.operand);
  }

  protected reach(): I32 {
    throw new Error("the exact tier reaches memory through the host");
  }

  protected field16(field: number): I32 {
    return this.f.load("i32_16u", this.i32.const(0), CELL.stepRecord + field);
  }

  protected immediate(): I64 {
    return this.cell64(CELL.stepRecord + RECORD.imm);
  }

  protected immediateWord(): I32 {
    return this.cell32(CELL.stepRecord + RECORD.imm);
  }

  /** Calls the host for an access, and returns from the handler if it faulted. */
  private access(functionIndex: number, size: number, virtual: () => I64): void {
    const { f, i32, i64 } = this;
    const parts = [i32.const(size), i32.wrap_i64(virtual()), i32.wrap_i64(i64.shr_u(virtual(), i64.const(32)))];
    f.if(f.callValue("i32", functionIndex, ...parts));
    f.return(i32.const(STEP.faulted));
    f.end();
  }
}
