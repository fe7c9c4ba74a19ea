/**
 * A hart: what joins registers, memory access, the interpreter, the exact tier and exceptions.
 *
 *     execute(fuel)
 *        |  proceed: interrupts -> fuel -> find the record of the pc
 *        v
 *     run() ------ slow: decode the record, or step one instruction -----> proceed
 *        |   \---- miss: the pc's page, or its record, is not known -----> proceed
 *        v
 *     leaves when fuel is used up at a check point, or someone asked
 *
 * Check points are taken backward jumps, indirect jumps, transfers to another page, interruptions and returns from them, and a
 * repeated string instruction that stops on its way. Only there does the hart leave for want of fuel, in every tier, so that tiers
 * preempt at the same instruction. Code that is not 64-bit, single-stepping and alignment checks are the exact tier's alone.
 */
import { newDecoded, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { DR6, GPR, RFLAGS, SEGMENT } from "../../isa/x86_64/registers.ts";
import { VECTOR, SYSTEM_CALL } from "../../isa/x86_64/vectors.ts";
import { hexNumber64, toNumber, type Word64 } from "../../lib/word64.ts";
import type { WasmMemory } from "../../wasm/engine.ts";
import type { Layout } from "../engine/layout.ts";
import { TlbSet } from "../engine/tlb.ts";
import type { AccessType, TlbEntry, Translation } from "../hart.ts";
import type { EngineHart, EngineMachine, Tier } from "../processor.ts";
import { addWords, MemoryAccess } from "./access.ts";
import { meetInstruction, reportDebug, RESUME_FLAG } from "./breakpoints.ts";
import type { CodeCache, ExactInstruction } from "./code.ts";
import { Computation } from "./computation.ts";
import { Exceptions, type Interruption } from "./exceptions.ts";
import { InstructionFetch } from "./fetch.ts";
import type { SegmentState, SystemRegister, X86Hart } from "./hart.ts";
import type { InterpreterHost } from "./interpreter.ts";
import { CELL, segmentBase } from "./layout.ts";
import { REQUEST, type LocalApicPort } from "./local-apic-port.ts";
import { isCanonical } from "./mmu.ts";
import { Operands } from "./operands.ts";
import { OP } from "./operations.ts";
import { Refill } from "./refill.ts";
import { Registers } from "./registers.ts";
import { resetHart, startHart } from "./reset.ts";
import { refreshCodeMode, Segmentation } from "./segmentation.ts";
import { systemSemanticsOf, type SystemHart, type SystemOutcome, type SystemSemantics } from "./system.ts";
import { readSystemRegister, writeSystemRegister } from "./system-register-names.ts";
import { SHADOW } from "./system-segments.ts";
import { FXSAVE_BYTES, packFxsave, unpackFxsave } from "./system-state.ts";

/** What `slow` and `miss` tell the interpreter. */
const RESUME = 0;
const LEAVE = 1;
/** CELL.waiting: halted until an interrupt, or waiting to be started, or shut down. */
export const WAITING = { halted: 1, start: 2, shutdown: 3 } as const;
/** What a machine fails with when a hart shuts down. */
const SHUTDOWN_STATUS = 1;
const bitOf = (request: number): number => 1 << request;

export class HartCore implements X86Hart, EngineHart, SystemHart, InterpreterHost {
  readonly arch = "x86_64";
  readonly id: number;
  readonly hartCount: number;
  readonly registers: Registers;
  readonly access: MemoryAccess;
  readonly operands: Operands;
  readonly segmentation: Segmentation;
  readonly machine: EngineMachine;
  apic: LocalApicPort | undefined;
  /** What the hart's state was when it shut down, if it did. */
  shutdownReport: string | undefined;
  private readonly code: CodeCache;
  private readonly tlbs: TlbSet;
  private readonly exceptions: Exceptions;
  private readonly fetch: InstructionFetch;
  private readonly computation: Computation;
  private readonly refill: Refill;
  /** The instruction that is executed. */
  private decoded: Decoded = newDecoded();
  private readonly event: Interruption = { vector: 0, errorCode: 0, source: "fault", returnLo: 0, returnHi: 0 };
  private run: (() => number) | undefined;
  /** Whether the hart has just come to a check point. */
  private isCheckPoint = false;

  constructor(machine: EngineMachine, code: CodeCache, id: number, memory: WasmMemory, layout: Layout, window: number) {
    this.machine = machine;
    this.code = code;
    this.id = id;
    this.hartCount = layout.harts;
    this.registers = new Registers(memory, window);
    this.tlbs = new TlbSet(memory.buffer, layout, id);
    this.access = new MemoryAccess(machine, code, this, this.registers, this.tlbs);
    this.operands = new Operands(this.registers, this.access);
    this.segmentation = new Segmentation(this.registers, this.access);
    this.exceptions = new Exceptions(this.registers, this.access, this.segmentation);
    this.fetch = new InstructionFetch(machine, this.registers, this.access, this.operands);
    this.refill = new Refill(code, this.registers, this.access, this.tlbs);
    this.computation = new Computation(memory, this, this.operands, this.access);
  }

  /** Gives the hart the interpreter that it runs on. */
  attachInterpreter(run: () => number): void {
    this.run = run;
  }

  attachLocalApic(port: LocalApicPort): void {
    this.apic = port;
  }

  /** The first hart starts at `pc`; the others wait to be started. */
  reset(pc: number): void {
    resetHart(this.registers, this.id === 0);
    if (this.id === 0) startHart(this.registers, pc);
    else this.registers.set(CELL.waiting, WAITING.start);
    this.onModesChanged();
  }

  // --- Running -----------------------------------------------------------------------------------------------------

  /** Runs until fuel is used up at a check point, the hart waits, or the machine asks for it back. */
  execute(fuel: number, tier: Tier): void {
    this.registers.setFuel(fuel);
    this.isCheckPoint = true;
    const { translationCheck } = this.machine;
    if (translationCheck !== undefined) translationCheck.executing = this;
    if (tier === "step") this.executeByStep();
    else if (this.proceed() === RESUME) this.run?.();
    if (translationCheck !== undefined) translationCheck.executing = undefined;
  }

  private executeByStep(): void {
    while (!this.mustLeave()) this.stepOne();
  }

  /** Takes what is due of interrupts; whether the hart is to leave now. */
  private mustLeave(): boolean {
    const { registers, machine } = this;
    if (registers.get(CELL.requests) !== 0) this.takeRequests();
    if (machine.isLeaving || registers.get(CELL.waiting) !== 0) return true;
    return this.isCheckPoint && registers.fuel <= 0;
  }

  slow(): number {
    const { code, registers, tlbs } = this;
    const record = registers.get(CELL.ip);
    if (code.opAt(record) === OP.decode) {
      const index = tlbs.find("execute", registers.pcLo, registers.pcHi);
      if (index >= 0 && code.resolve(record, tlbs.addendAt(index))) return RESUME;
    } else if (code.opAt(record) === OP.slow) {
      this.isCheckPoint = false;
      const known = code.exactAt(record) ?? this.learn(record);
      if (known === undefined) this.stepOne();
      else this.stepKnown(known);
    } else {
      const outcome = this.refill.fill(record);
      if (outcome === "filled") return RESUME;
      this.isCheckPoint = false;
      if (outcome === "faulted") this.raiseFault();
      else this.stepOne();
    }
    return this.proceed();
  }

  /** Decodes an instruction that the exact tier executes, for as long as its record stands. */
  private learn(record: number): ExactInstruction | undefined {
    const index = this.tlbs.find("execute", this.registers.pcLo, this.registers.pcHi);
    return index < 0 ? undefined : this.code.learnExact(record, this.tlbs.addendAt(index));
  }

  /** Executes a decoded instruction at the pc. The interpreter was there, so nothing more than it does is to be looked at. */
  private stepKnown({ decoded, source, system }: ExactInstruction): void {
    const { registers, operands } = this;
    const next = (registers.pcLo >>> 0) + decoded.length;
    registers.setWords(CELL.nextPc, next | 0, next > 0xffffffff ? (registers.pcHi + 1) | 0 : registers.pcHi);
    operands.code = registers.bytes;
    operands.codeAt = source;
    this.stepDecoded(decoded, system, false);
  }

  miss(): number {
    this.isCheckPoint = true;
    if (!isCanonical(this.registers.pcHi)) this.takeTransferBack();
    return this.proceed();
  }

  /** The interpreter has gone to a non-canonical address: if by a transfer, that is its fault. */
  private takeTransferBack(): void {
    const { registers, code } = this;
    const offset = code.transferOffset(registers.get(CELL.ip));
    if (offset === undefined) return;
    registers.setWords(CELL.pc, registers.get(CELL.pageBase) + offset, registers.get(CELL.pageBase + 4));
    registers.unretire();
    const decoded = this.fetch.next();
    if (decoded !== undefined) {
      this.decoded = decoded;
      this.refuseTransfer();
    }
    this.raiseFault();
  }

  /** Goes on after the host has changed the state: RESUME with the record found, or LEAVE. */
  private proceed(): number {
    for (;;) {
      if (this.mustLeave()) return LEAVE;
      if (this.mustStep()) {
        this.stepOne();
        continue;
      }
      switch (this.locate()) {
        case "found":
          return RESUME;
        case "faulted":
          this.raiseFault();
          break;
        case "alone":
          this.stepOne();
      }
    }
  }

  /** Whether the next instruction is the exact tier's, whatever it is. */
  private mustStep(): boolean {
    const { registers, access } = this;
    return (
      registers.get(CELL.codeMode) !== 64 ||
      registers.get(CELL.interruptShadow) !== 0 ||
      registers.hasFlag(RFLAGS.TF) ||
      access.isChecked
    );
  }

  /**
   * Finds the record of the pc. "alone": its page cannot have records, since it is not RAM; "faulted": the fetch raises an
   * exception, which is noted.
   */
  private locate(): "found" | "faulted" | "alone" {
    const { registers, tlbs, access, code } = this;
    const lo = registers.pcLo;
    const hi = registers.pcHi;
    if (!isCanonical(hi)) {
      access.fail(VECTOR.GP);
      return "faulted";
    }
    for (;;) {
      let index = tlbs.find("execute", lo, hi);
      if (index < 0) {
        if (access.translate("execute", lo, hi) < 0) return "faulted";
        index = tlbs.find("execute", lo, hi);
        if (index < 0) return "alone";
      }
      // Where there was no room for the record everything has been forgotten, translations too.
      const record = code.recordAt(tlbs.addendAt(index), lo & 4095);
      if (record === 0) continue;
      registers.set(CELL.ip, record);
      registers.setWords(CELL.pageBase, lo & -4096, hi);
      return "found";
    }
  }

  /** The record of the pc, if it has one. */
  get place(): number | undefined {
    const { registers, tlbs, code } = this;
    if (this.mustStep()) return undefined;
    const index = tlbs.find("execute", registers.pcLo, registers.pcHi);
    return index < 0 ? undefined : code.recordAt(tlbs.addendAt(index), registers.pcLo & 4095) || undefined;
  }

  // --- The exact tier ----------------------------------------------------------------------------------------------

  /** Executes the instruction at the pc, or takes its exception; then the debug traps that follow it. */
  private stepOne(): void {
    const wasTraced = this.registers.hasFlag(RFLAGS.TF);
    if (this.access.isWatched && this.isAtBreakpoint()) return this.raiseFault();
    const decoded = this.fetch.next();
    if (decoded === undefined) return this.raiseFault();
    this.stepDecoded(decoded, systemSemanticsOf(decoded.id), wasTraced);
  }

  /** The same, of an instruction that has been fetched; `system` is what it does if TypeScript executes it. */
  private stepDecoded(decoded: Decoded, system: SystemSemantics | undefined, wasTraced: boolean): void {
    const { registers } = this;
    const debugState = registers.get(CELL.debugState);
    this.decoded = decoded;
    registers.set(CELL.stepTransferred, 0);
    if (debugState !== 0) registers.set(CELL.debugState, debugState & ~RESUME_FLAG);
    const outcome = this.perform(decoded, system);
    switch (outcome) {
      case "done":
        if (!this.completeStep()) return this.failStep(debugState);
        break;
      case "jumped":
        registers.retire();
        this.isCheckPoint = true;
        break;
      case "repeat":
        this.isCheckPoint = true;
        if (debugState !== 0)
          registers.set(CELL.debugState, registers.get(CELL.debugState) | (debugState & RESUME_FLAG));
        break;
      case "entered":
        // The way in is not traced.
        return this.trapAfter(false);
      case "undefined":
        this.access.fail(VECTOR.UD);
        return this.failStep(debugState);
      case "faulted":
        return this.failStep(debugState);
    }
    const shadow = registers.get(CELL.interruptShadow);
    const left = (shadow & SHADOW.COUNT) - 1;
    if (shadow !== 0) registers.set(CELL.interruptShadow, left > 0 ? left | (shadow & SHADOW.DEBUG) : 0);
    // After a load of ss debug traps wait for the next instruction.
    if (left > 0 && (shadow & SHADOW.DEBUG) !== 0) return;
    this.trapAfter(this.fetch.isSystemCall(decoded) ? registers.hasFlag(RFLAGS.TF) : wasTraced);
  }

  /** The instruction faults: what it met of breakpoints does not count. */
  private failStep(debugState: number): void {
    const { registers } = this;
    if (registers.get(CELL.debugState) !== debugState) registers.set(CELL.debugState, debugState & ~RESUME_FLAG);
    this.raiseFault();
    this.trapAfter(false);
  }

  /** Takes the trap of an instruction that was traced, or has met breakpoints. */
  private trapAfter(isTraced: boolean): void {
    if (isTraced || (this.registers.get(CELL.debugState) & DR6.MET) !== 0) this.raiseTrap(isTraced);
  }

  /** Whether there is a breakpoint at the pc that has not been reported; its fault is noted. */
  private isAtBreakpoint(): boolean {
    const { registers, access } = this;
    if ((registers.get(CELL.debugState) & RESUME_FLAG) !== 0) return false;
    if ((registers.get(CELL.interruptShadow) & SHADOW.DEBUG) !== 0) return false;
    const is64 = registers.codeMode === 64;
    const base = is64 ? 0 : registers.get(segmentBase(SEGMENT.cs));
    if (!meetInstruction(registers, (registers.pcLo + base) | 0, is64 ? registers.pcHi : 0)) return false;
    access.fail(VECTOR.DB);
    return true;
  }

  private perform(decoded: Decoded, system: SystemSemantics | undefined): SystemOutcome {
    if (system === undefined) return this.computation.execute(decoded);
    if (decoded.operandCount > 0) this.operands.locate(decoded);
    return system(this, decoded);
  }

  /** Retires the instruction, and goes to the next pc; false if that is none, with the fault noted. */
  private completeStep(): boolean {
    const { registers } = this;
    const isTransfer = registers.get(CELL.stepTransferred) !== 0;
    let lo = registers.get(CELL.nextPc);
    let hi = registers.get(CELL.nextPc + 4);
    if (registers.get(CELL.codeMode) !== 64) {
      hi = 0;
      if (isTransfer && this.decoded.operandSize === 2) lo &= 0xffff;
    } else if (isTransfer && !isCanonical(hi)) {
      return this.refuseTransfer();
    }
    const samePage = (lo & -4096) === (registers.pcLo & -4096) && hi === registers.pcHi;
    const isBackward = isTransfer && lo >>> 0 <= registers.pcLo >>> 0;
    this.isCheckPoint = !samePage || isBackward || (isTransfer && this.fetch.isIndirect(this.decoded));
    registers.setWords(CELL.pc, lo, hi);
    registers.retire();
    return true;
  }

  /** A near transfer to a non-canonical address is a fault of its own, so the stack pointer is what it was before. */
  private refuseTransfer(): false {
    const { registers, decoded, access } = this;
    const moved = this.fetch.stackMovementOf(decoded);
    const { lo, hi } = addWords(registers.rspLo, registers.rspHi, -moved);
    registers.setGpr(GPR.rsp, lo, hi);
    return access.fail(VECTOR.GP);
  }

  load(size: number, lo: number, hi: number): number {
    const { access } = this;
    if (!access.linear(SEGMENT.ss, lo, hi, size, "load")) return 1;
    return access.load(size, access.linearLo, access.linearHi) ? 0 : 1;
  }

  store(size: number, lo: number, hi: number): number {
    const { access } = this;
    if (!access.linear(SEGMENT.ss, lo, hi, size, "store")) return 1;
    return access.store(size, access.linearLo, access.linearHi) ? 0 : 1;
  }

  // --- Exceptions and interrupts -----------------------------------------------------------------------------------

  /** Takes the exception that `access` has noted, at the present pc. */
  private raiseFault(): void {
    const { access, event, registers } = this;
    event.vector = access.vector;
    event.errorCode = access.errorCode;
    event.source = "fault";
    event.returnLo = registers.pcLo;
    event.returnHi = registers.pcHi;
    this.deliver();
  }

  /** A debug trap, after an instruction. */
  private raiseTrap(isTraced: boolean): void {
    const { registers } = this;
    reportDebug(registers, isTraced ? DR6.BS : 0);
    this.interruptAt(VECTOR.DB, "trap", registers.pcLo, registers.pcHi);
  }

  interrupt(vector: number, source: "software" | "trap"): void {
    const { registers } = this;
    if (vector === VECTOR.DB && source === "trap") reportDebug(registers, 0);
    this.interruptAt(vector, source, registers.get(CELL.nextPc), registers.get(CELL.nextPc + 4));
  }

  private interruptAt(vector: number, source: Interruption["source"], lo: number, hi: number): void {
    const { event } = this;
    event.vector = vector;
    event.errorCode = 0;
    event.source = source;
    event.returnLo = lo;
    event.returnHi = hi;
    this.deliver();
  }

  /** Delivers `event`: a nanosecond of fuel, and nothing retires, so that a hart whose handler faults for ever still leaves. */
  private deliver(): void {
    const { registers, machine, event, access } = this;
    const { pc } = registers;
    const from = registers.cpl;
    const isDelivered = this.exceptions.deliver(event);
    registers.spend();
    this.isCheckPoint = true;
    this.onModesChanged();
    if (!isDelivered) return this.shutDown();
    const isPageFault = event.vector === VECTOR.PF && event.source === "fault";
    machine.probes.trap?.(this, {
      cause: event.vector,
      interrupt: event.source === "interrupt",
      tval: isPageFault ? toNumber(access.cr2Hi, access.cr2Lo) : event.errorCode,
      pc,
      from,
      to: registers.cpl,
    });
  }

  /** A fault in the delivery of a double fault: the hart can do nothing any more. */
  private shutDown(): void {
    const { registers, access, machine } = this;
    registers.set(CELL.waiting, WAITING.shutdown);
    const cr2 = toNumber(registers.get(CELL.cr2 + 4), registers.get(CELL.cr2));
    const where = `rip ${hexNumber64(registers.pc)}, rsp ${hexNumber64(registers.gpr(4))}, cr2 ${hexNumber64(cr2)}`;
    this.shutdownReport =
      `hart ${this.id} shut down: exception ${access.vector} (error code ${access.errorCode}) ` +
      `while a double fault was delivered; ${where}, CPL ${registers.cpl}`;
    machine.fail(SHUTDOWN_STATUS);
  }

  /** What the local APIC asks for. SDM volume 3, 6.8.3 (masking by the shadow), 8.4 (INIT, start-up), 6.7.1 (NMI). */
  private takeRequests(): void {
    const { registers } = this;
    const requests = registers.get(CELL.requests);
    if ((requests & bitOf(REQUEST.INIT)) !== 0) this.takeInit();
    else if (registers.get(CELL.waiting) === WAITING.start) this.takeStart();
    if (registers.get(CELL.waiting) !== 0 || registers.get(CELL.interruptShadow) !== 0) return;
    if ((requests & bitOf(REQUEST.NMI)) !== 0 && registers.get(CELL.nmiBlocked) === 0) {
      this.setInterruptPending(REQUEST.NMI, false);
      this.interruptAt(VECTOR.NMI, "interrupt", registers.pcLo, registers.pcHi);
      return;
    }
    if ((requests & bitOf(REQUEST.INTR)) === 0 || !registers.hasFlag(RFLAGS.IF)) return;
    const vector = this.apic?.pendingVector() ?? -1;
    if (vector < 0) return;
    this.apic?.acknowledge(vector);
    this.interruptAt(vector, "interrupt", registers.pcLo, registers.pcHi);
  }

  /** INIT: as reset, but for what it leaves alone; the hart waits to be started. */
  private takeInit(): void {
    const { registers } = this;
    this.setInterruptPending(REQUEST.INIT, false);
    resetHart(registers, this.id === 0);
    registers.set(CELL.waiting, WAITING.start);
    this.tlbs.flush(undefined, undefined);
    this.access.model?.flush(undefined, undefined, true);
    this.onModesChanged();
  }

  private takeStart(): void {
    const { registers } = this;
    if ((registers.get(CELL.requests) & bitOf(REQUEST.SIPI)) === 0) return;
    this.setInterruptPending(REQUEST.SIPI, false);
    registers.set(CELL.waiting, 0);
    startHart(registers, (this.apic?.startVector() ?? 0) * 4096);
    this.isCheckPoint = true;
    this.onModesChanged();
  }

  wake(): boolean {
    const { registers } = this;
    const requests = registers.get(CELL.requests);
    const waiting = registers.get(CELL.waiting);
    if (waiting === 0) return true;
    if (requests === 0 || waiting === WAITING.shutdown) return false;
    if ((requests & bitOf(REQUEST.INIT)) !== 0) this.takeInit();
    if (registers.get(CELL.waiting) === WAITING.start) {
      this.takeStart();
      return registers.get(CELL.waiting) === 0;
    }
    const isInterrupted = (requests & bitOf(REQUEST.INTR)) !== 0 && registers.hasFlag(RFLAGS.IF);
    const isNmi = (requests & bitOf(REQUEST.NMI)) !== 0 && registers.get(CELL.nmiBlocked) === 0;
    if (!isInterrupted && !isNmi) return false;
    registers.set(CELL.waiting, 0);
    return true;
  }

  setInterruptPending(line: number, level: boolean): void {
    const { registers } = this;
    const requests = registers.get(CELL.requests);
    // A start-up message is for a hart that waits for one, or is about to; others ignore it.
    const awaitsStart = registers.get(CELL.waiting) === WAITING.start || (requests & bitOf(REQUEST.INIT)) !== 0;
    if (line === REQUEST.SIPI && level && !awaitsStart) return;
    registers.set(CELL.requests, level ? requests | bitOf(line) : requests & ~bitOf(line));
  }

  onSystemCall(pc: number, from: number): void {
    const { machine, registers } = this;
    machine.probes.trap?.(this, { cause: SYSTEM_CALL, interrupt: false, tval: 0, pc, from, to: registers.cpl });
  }

  onReturn(from: number): void {
    this.machine.probes.trapReturn?.(this, from);
  }

  enterKernel(index: number): boolean {
    const { registers, machine } = this;
    const { kernel, translationCheck } = machine;
    const { pc } = registers;
    if (kernel === undefined || registers.cpl !== 0 || pc < kernel.text.start || pc >= kernel.text.end) return false;
    registers.setWords(CELL.pc, registers.get(CELL.nextPc), registers.get(CELL.nextPc + 4));
    registers.retire();
    this.isCheckPoint = true;
    if (translationCheck === undefined) kernel.enter(this, index);
    else translationCheck.callHost(() => kernel.enter(this, index));
    return true;
  }

  // --- Translation -------------------------------------------------------------------------------------------------

  onModesChanged(): void {
    this.access.selectContext();
  }

  onSpaceChanged(): void {
    const { registers, machine } = this;
    machine.probes.addressSpace?.(this, registers.get(CELL.cr3 + 4), registers.get(CELL.cr3));
  }

  /** The TLB does not tell global translations apart: where they are to go it flushes every PCID. */
  flush(virtualAddress: number | undefined, pcid: number | undefined, takesGlobal = pcid === undefined): void {
    const reach = takesGlobal ? undefined : pcid;
    this.tlbs.flush(virtualAddress, reach);
    this.access.model?.flush(virtualAddress, pcid, takesGlobal);
    this.machine.probes.tlbFlush?.(this, virtualAddress, reach);
  }

  flushExecuteTranslations(): void {
    this.tlbs.flushExecute();
  }

  flushStoresTo(physicalPage: number): void {
    this.tlbs.flushStoresTo(physicalPage);
  }

  translate(virtualAddress: number, access: AccessType): Translation {
    return this.access.peek(access, virtualAddress);
  }

  tlbEntries(): TlbEntry[] {
    return this.tlbs.entries();
  }

  // --- Registers for the host --------------------------------------------------------------------------------------

  gprLo(register: number): number {
    return this.registers.gprLo(register);
  }

  gprHi(register: number): number {
    return this.registers.gprHi(register);
  }

  gpr(register: number): number {
    return this.registers.gpr(register);
  }

  setGpr(register: number, lo: number, hi: number): void {
    this.registers.setGpr(register, lo, hi);
  }

  setGprNumber(register: number, value: number): void {
    this.registers.setGprNumber(register, value);
  }

  get pc(): number {
    return this.registers.pc;
  }

  setPc(address: number): void {
    this.registers.pc = address;
  }

  get cpl(): number {
    return this.registers.cpl;
  }

  get privilege(): number {
    return this.registers.cpl;
  }

  get rflags(): number {
    return this.registers.rflags;
  }

  setRflags(value: number): void {
    this.registers.setRflags(value);
    this.onModesChanged();
  }

  systemRegister(name: SystemRegister): Word64 {
    return readSystemRegister(this, name);
  }

  setSystemRegister(name: SystemRegister, lo: number, hi: number): void {
    writeSystemRegister(this, name, lo, hi);
  }

  segment(number: number): SegmentState {
    return this.registers.segment(number);
  }

  setSegment(number: number, state: SegmentState): void {
    const { registers } = this;
    registers.setSegment(number, state);
    if (number !== SEGMENT.cs) return;
    registers.set(CELL.cpl, state.selector & 3);
    refreshCodeMode(registers);
    this.onModesChanged();
  }

  saveFloat(into: Uint8Array): void {
    packFxsave(this.registers, new DataView(into.buffer, into.byteOffset, FXSAVE_BYTES), true, 16);
  }

  loadFloat(from: Uint8Array): void {
    unpackFxsave(this.registers, new DataView(from.buffer, from.byteOffset, FXSAVE_BYTES), true, 16);
  }

  // --- What the machine's loop asks --------------------------------------------------------------------------------

  get instructionsRetired(): number {
    return this.registers.retired;
  }

  get waiting(): boolean {
    return this.registers.get(CELL.waiting) !== 0;
  }

  get timeNs(): number {
    return this.registers.timeNs;
  }

  get fuel(): number {
    return this.registers.fuel;
  }

  setFuel(count: number): void {
    this.registers.setFuel(count);
  }

  passTime(ns: number): void {
    this.registers.passTime(ns);
  }

  /** The hart has no timer of its own: the local APIC's is a device's. */
  refreshTimer(): void {}

  get timerNs(): number {
    return Infinity;
  }

  get wakingTimerNs(): number {
    return Infinity;
  }

  moveWindow(address: number): void {
    this.registers.base = address;
  }
}
