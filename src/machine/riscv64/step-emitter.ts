/**
 * The exact tier's emitter: the same semantics as the interpreter's, with operands in one fixed record and every memory
 * access a call to the host, which deals with misalignment, devices, page boundaries, PMP and faults. A handler returns 0
 * when the instruction is complete, 1 when an access raised an exception (the trap has been taken).
 */
import type { FunctionBuilder, Label } from "../../wasm/function-builder.ts";
import { tokenOf, type F32, type F64, type I32, type I64, type Value, type ValueType } from "../../wasm/values.ts";
import { accessSize, BaseEmitter, loadInstruction, storeInstruction } from "../engine/base-emitter.ts";
import type { AtomicKind, LoadKind, Local, StoreKind } from "../emitter.ts";
import type { EmittedRounding, RiscvEmitter } from "./emitter.ts";
import { CELL, RECORD } from "./layout.ts";

/** Function indices of the host's memory accesses: (size, address low, address high) -> 0 done, 1 trapped. */
export interface StepImports {
  readonly load: number;
  readonly store: number;
  /** Checks that the address may be read and written, and reads. */
  readonly atomicLoad: number;
  readonly loadReserved: number;
  /** 0 stored, 1 reservation lost, 2 trapped. */
  readonly storeConditional: number;
}

export class StepEmitter extends BaseEmitter implements RiscvEmitter {
  readonly rounding: EmittedRounding = "nearest";
  private readonly imports: StepImports;
  private readonly done: Label;

  /** `done` is where a complete instruction goes. */
  constructor(f: FunctionBuilder, imports: StepImports, done: Label) {
    super(f);
    this.imports = imports;
    this.done = done;
  }

  emit(semantics: (e: RiscvEmitter) => void): void {
    semantics(this);
    this.f.branch(this.done);
    this.releaseTemporaries();
  }

  slow(): void {
    throw new Error("an instruction that leaves to the exact tier needs an exact definition");
  }

  load(kind: LoadKind, address: I64): I64 {
    this.access(this.imports.load, accessSize[kind], address);
    return this.f.load(loadInstruction[kind], this.i32.const(0), CELL.stepValue);
  }

  store(kind: StoreKind, address: I64, value: I64): void {
    const stored = this.let(value);
    const virtual = this.let(address);
    this.setStepValue(stored);
    this.access(this.imports.store, accessSize[kind], virtual.get());
  }

  atomic(kind: AtomicKind, address: I64, update: (old: Local<"i64">) => I64): I64 {
    const virtual = this.let(address);
    this.access(this.imports.atomicLoad, accessSize[kind], virtual.get());
    const old = this.let(this.f.load(loadInstruction[kind], this.i32.const(0), CELL.stepValue));
    this.f.store(storeInstruction.i64, this.i32.const(0), update(old), CELL.stepValue);
    this.access(this.imports.store, accessSize[kind], virtual.get());
    return old.get();
  }

  loadReserved(kind: AtomicKind, address: I64): I64 {
    this.access(this.imports.loadReserved, accessSize[kind], address);
    return this.f.load(loadInstruction[kind], this.i32.const(0), CELL.stepValue);
  }

  storeConditional(kind: AtomicKind, address: I64, value: I64): I64 {
    const { f, i32, i64 } = this;
    const stored = this.let(value);
    const virtual = this.let(address);
    this.setStepValue(stored);
    const outcome = this.let(this.callAccess(this.imports.storeConditional, accessSize[kind], virtual));
    f.if(i32.eq(outcome.get(), i32.const(2)));
    f.return(i32.const(1));
    f.end();
    return i64.extend_i32_u(outcome.get());
  }

  rs1(): I64 {
    return this.register("i64", RECORD.rs1);
  }
  rs2(): I64 {
    return this.register("i64", RECORD.rs2);
  }
  rs1Word(): I32 {
    return this.register("i32", RECORD.rs1);
  }
  rs2Word(): I32 {
    return this.register("i32", RECORD.rs2);
  }
  imm(): I64 {
    return this.f.load("i64_32s", this.i32.const(0), CELL.stepRecord + RECORD.imm);
  }
  immWord(): I32 {
    return this.f.load("i32", this.i32.const(0), CELL.stepRecord + RECORD.imm);
  }

  setRd(value: I64): void {
    const result = this.let(value);
    this.f.store("i64", this.field16(RECORD.rd), result.get(), 0);
  }

  setRdWord(value: I32): void {
    this.setRd(this.i64.extend_i32_s(value));
  }

  pc(): I64 {
    return this.f.load("i64", this.i32.const(0), CELL.pc);
  }

  nextPc(): I64 {
    return this.f.load("i64", this.i32.const(0), CELL.nextPc);
  }

  branchIf(condition: I32): void {
    this.f.if(condition);
    this.jump();
    this.f.end();
  }

  jump(): void {
    this.jumpTo(this.i64.add(this.pc(), this.imm()));
  }

  jumpTo(target: I64): void {
    const next = this.let(target);
    this.f.store("i64", this.i32.const(0), next.get(), CELL.nextPc);
    this.f.store("i32", this.i32.const(0), this.i32.const(1), CELL.stepTransferred);
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

  private setStepValue(value: Local<"i64">): void {
    this.f.store("i64", this.i32.const(0), value.get(), CELL.stepValue);
  }

  /** Calls the host for an access, and returns from the handler if it trapped. */
  private access(functionIndex: number, size: number, address: I64): void {
    const { f, i32 } = this;
    const virtual = this.let(address);
    f.if(this.callAccess(functionIndex, size, virtual));
    f.return(i32.const(1));
    f.end();
  }

  private callAccess(functionIndex: number, size: number, virtual: Local<"i64">): I32 {
    const { f, i32, i64 } = this;
    const parts = [i32.const(size), i32.wrap_i64(virtual.get()), i32.wrap_i64(i64.shr_u(virtual.get(), i64.const(32)))];
    return f.callValue("i32", functionIndex, ...parts);
  }

  private field16(field: number): I32 {
    return this.f.load("i32_16u", this.i32.const(0), CELL.stepRecord + field);
  }

  private register<T extends ValueType>(type: T, field: number): Value<T> {
    this.f.load(type, this.field16(field), 0);
    return tokenOf(type);
  }
}
