/**
 * A hart: what joins registers, memory access, the interpreter, the exact tier and traps.
 *
 *     execute(fuel)
 *        |  proceed: interrupts -> fuel -> find the record of the pc
 *        v
 *     run() ------ slow: decode the record, or step one instruction -----> proceed
 *        |   \---- miss: the pc is in a page that the TLB lacks ---------> proceed
 *        v
 *     leaves when fuel is used up at a check point, or someone asked
 *
 * Check points are taken backward jumps, indirect jumps, transfers to another page, and traps and returns. Only there does
 * the hart leave for want of fuel, in every tier, so that tiers preempt at the same instruction; and an LR..SC loop is
 * never cut in half.
 */
import { EXCEPTION } from "../../isa/riscv64/causes.ts";
import { INTERRUPT_BIT, MSTATUS } from "../../isa/riscv64/csrs.ts";
import { expandCompressed } from "../../isa/riscv64/compressed.ts";
import { decodeInto, newDecoded, type Decoded } from "../../isa/riscv64/decode.ts";
import { instructionId, INSTRUCTIONS } from "../../isa/riscv64/instructions.ts";
import { highHalf, toNumber, toUnsignedNumber, type Word64 } from "../../lib/word64.ts";
import type { WasmMemory } from "../../wasm/engine.ts";
import type { Layout } from "../engine/layout.ts";
import { TlbSet } from "../engine/tlb.ts";
import type { AccessType, TlbEntry, Translation } from "../hart.ts";
import type { EngineHart, EngineMachine, Tier } from "../processor.ts";
import { addWords, MemoryAccess } from "./access.ts";
import { destinationAddress, floatFieldsOf, sourceAddress, type CodeCache } from "./code.ts";
import { findCsr, TIME_TICK_NS } from "./csrs.ts";
import type { ExactFloat } from "./exact.ts";
import type { Privilege, RiscvHart } from "./hart.ts";
import type { Interpreter, InterpreterHost } from "./interpreter.ts";
import { CELL, RECORD } from "./layout.ts";
import { Refill } from "./refill.ts";
import { Registers } from "./registers.ts";
import { exactFloatOf } from "./semantics/float-lookup.ts";
import { OP } from "./shapes.ts";
import { systemSemanticsOf, type SystemHart, type SystemSemantics } from "./system.ts";
import { enterTrap, hasSupervisorTimer, interruptToTake, pendingInterrupts, returnFromTrap } from "./traps.ts";

const STIP = INTERRUPT_BIT.STI;
const MIP_SEIP = 9;
const JALR = instructionId("jalr");
const usesFloat: readonly boolean[] = INSTRUCTIONS.map((row) => row.extension === "F" || row.extension === "D");
const exactFloats: readonly (ExactFloat | undefined)[] = INSTRUCTIONS.map((row) => exactFloatOf(row.mnemonic));
/** What `slow` and `miss` tell the interpreter. */
const RESUME = 0;
const LEAVE = 1;

/** Decoded instructions that a hart remembers, by a hash of their bits. */
const KNOWN = 256;

interface Known {
  readonly bits: number;
  readonly size: number;
  /** Undefined for what is no instruction. */
  readonly decoded: Decoded | undefined;
  /** What it does, if TypeScript executes it. */
  readonly system: SystemSemantics | undefined;
}

export class HartCore implements RiscvHart, EngineHart, SystemHart, InterpreterHost {
  readonly arch = "riscv64";
  readonly id: number;
  readonly registers: Registers;
  private readonly machine: EngineMachine;
  private readonly code: CodeCache;
  private readonly tlbs: TlbSet;
  private readonly access: MemoryAccess;
  private readonly refill: Refill;
  /** The instruction that is executed. */
  private decoded: Decoded = newDecoded();
  private readonly known: (Known | undefined)[] = new Array<undefined>(KNOWN).fill(undefined);
  private readonly csrValue = { lo: 0, hi: 0 };
  private interpreter: Interpreter | undefined;
  /** Whether the hart has just come to a check point. */
  private isCheckPoint = false;

  constructor(machine: EngineMachine, code: CodeCache, id: number, memory: WasmMemory, layout: Layout, window: number) {
    this.machine = machine;
    this.code = code;
    this.id = id;
    this.registers = new Registers(memory, window);
    this.tlbs = new TlbSet(memory.buffer, layout, id);
    this.access = new MemoryAccess(machine, code, this, this.registers, this.tlbs);
    this.refill = new Refill(code, this.registers, this.access, this.tlbs);
  }

  /** Gives the hart the interpreter that it runs on. */
  attachInterpreter(interpreter: Interpreter): void {
    this.interpreter = interpreter;
  }

  reset(pc: number): void {
    const { registers } = this;
    registers.pc = pc;
    registers.set(CELL.privilege, 3);
    registers.setWords(CELL.stimecmp, -1, -1);
    registers.setX(10, this.id, 0);
    this.onTranslationChanged();
  }

  // --- Running -----------------------------------------------------------------------------------------------------

  /** Runs until fuel is used up at a check point, the hart waits, or the machine asks for it back. */
  execute(fuel: number, tier: Tier): void {
    this.registers.setFuel(fuel);
    this.isCheckPoint = true;
    const { translationCheck } = this.machine;
    if (translationCheck !== undefined) translationCheck.executing = this;
    if (tier === "step") this.executeByStep();
    else if (this.proceed() === RESUME) this.interpreter?.run();
    if (translationCheck !== undefined) translationCheck.executing = undefined;
  }

  private executeByStep(): void {
    while (!this.mustLeave()) this.stepOne();
  }

  /** Takes an interrupt that is due; whether the hart is to leave now. */
  private mustLeave(): boolean {
    const { registers, machine } = this;
    if (pendingInterrupts(registers) !== 0) this.takeInterrupt();
    if (machine.isLeaving || registers.get(CELL.waiting) !== 0) return true;
    return this.isCheckPoint && registers.fuel <= 0;
  }

  slow(): number {
    const { code, registers } = this;
    const record = registers.get(CELL.ip);
    if (code.opAt(record) === OP.decode) {
      code.decodeAt(record);
      return RESUME;
    }
    const isStraddling = code.isStraddling(record);
    if (isStraddling && this.joinHalves(record)) return RESUME;
    const outcome = isStraddling ? "other" : this.refill.fill(record);
    if (outcome === "filled") return RESUME;
    this.isCheckPoint = false;
    if (outcome === "faulted") this.raiseFailedAccess();
    else this.stepOne();
    return this.proceed();
  }

  /** Decodes an instruction that straddles two pages, if the execute TLB has the second one; else the exact tier fetches it. */
  private joinHalves(record: number): boolean {
    const { registers, tlbs } = this;
    const { lo, hi } = addWords(registers.pcLo, registers.pcHi, 2);
    const index = tlbs.find("execute", lo, hi);
    if (index < 0) return false;
    this.code.decodeStraddling(record, tlbs.addendAt(index));
    return true;
  }

  miss(): number {
    this.isCheckPoint = true;
    return this.proceed();
  }

  /** Goes on after the host has changed the state: RESUME with the record found, or LEAVE. */
  private proceed(): number {
    for (;;) {
      if (this.mustLeave()) return LEAVE;
      switch (this.locate()) {
        case "found":
          return RESUME;
        case "trapped":
          break;
        case "alone":
          this.stepOne();
      }
    }
  }

  /**
   * Finds the record of the pc. "alone": its page cannot have records, since it is not executable as a whole; "trapped": the
   * fetch raised an exception, which has been taken.
   */
  private locate(): "found" | "trapped" | "alone" {
    const { registers, tlbs } = this;
    const lo = registers.pcLo;
    const hi = registers.pcHi;
    let index = tlbs.find("execute", lo, hi);
    if (index < 0) {
      const physical = this.access.translate("execute", lo, hi, 2);
      if (physical < 0) {
        this.raiseFailedAccess();
        return "trapped";
      }
      index = tlbs.find("execute", lo, hi);
      if (index < 0) return "alone";
    }
    const ip = tlbs.addendAt(index) + (lo & 0xffe) * 8;
    registers.set(CELL.ip, ip);
    const slot = ip >>> 3;
    const borrow = lo >>> 0 < slot ? 1 : 0;
    registers.setWords(CELL.pcBase, (lo - slot) | 0, hi - borrow);
    return "found";
  }

  /** The record of the pc, if the execute TLB knows it. */
  get place(): number | undefined {
    const { registers, tlbs } = this;
    const index = tlbs.find("execute", registers.pcLo, registers.pcHi);
    return index < 0 ? undefined : tlbs.addendAt(index) + (registers.pcLo & 0xffe) * 8;
  }

  // --- The exact tier ----------------------------------------------------------------------------------------------

  /** Executes the instruction at the pc, or takes its exception. */
  private stepOne(): void {
    const { registers, machine, access } = this;
    const { ram } = machine;
    const pcLo = registers.pcLo;
    const pcHi = registers.pcHi;
    const physical = access.translate("execute", pcLo, pcHi, 2);
    if (physical < 0) return this.raiseFailedAccess();
    if (!ram.contains(physical, 2)) return this.raise(EXCEPTION.instructionAccessFault, pcLo, pcHi);
    let bits = ram.readHalf(physical);
    let size = 2;
    if ((bits & 3) === 3) {
      size = 4;
      let rest = physical + 2;
      if ((pcLo & 4095) === 4094) {
        const second = addWords(pcLo, pcHi, 2);
        rest = access.translate("execute", second.lo, second.hi, 2);
        if (rest < 0) return this.raiseFailedAccess();
        if (!ram.contains(rest, 2)) return this.raise(EXCEPTION.instructionAccessFault, second.lo, second.hi);
      }
      bits |= ram.readHalf(rest) << 16;
    }
    const nextLo = (pcLo + size) | 0;
    registers.setWords(CELL.nextPc, nextLo, nextLo >= 0 && pcLo < 0 ? (pcHi + 1) | 0 : pcHi);
    registers.set(CELL.stepTransferred, 0);
    const { decoded, system } = this.recall(bits, size);
    if (decoded === undefined) return this.raiseIllegal(bits);
    this.decoded = decoded;
    if (system !== undefined) {
      const outcome = system(this, decoded);
      if (outcome === "illegal") return this.raiseIllegal(bits);
      if (outcome === "jumped" || outcome === "trapped") return;
    } else if (!this.stepComputation(bits)) {
      return;
    }
    this.completeStep(decoded.id === JALR);
  }

  /** Decodes an instruction, unless it was among the last ones: what it is depends on nothing but its bits. */
  private recall(bits: number, size: number): Known {
    const index = (bits ^ (bits >>> 7) ^ (bits >>> 20)) & (KNOWN - 1);
    const known = this.known[index];
    if (known?.bits === bits && known.size === size) return known;
    const into = newDecoded();
    const decoded = decodeInto(into, size === 2 ? expandCompressed(bits) : bits) ? into : undefined;
    const system = decoded === undefined ? undefined : systemSemanticsOf(decoded.id);
    const learnt: Known = { bits, size, decoded, system };
    this.known[index] = learnt;
    return learnt;
  }

  /** Executes an instruction that is not the system's; false when it trapped. */
  private stepComputation(bits: number): boolean {
    const { registers, decoded } = this;
    const { id } = decoded;
    if (usesFloat[id] === true) {
      if ((registers.get(CELL.mstatus) & MSTATUS.FS) === 0) {
        this.raiseIllegal(bits);
        return false;
      }
      registers.set(CELL.mstatus, registers.get(CELL.mstatus) | MSTATUS.FS);
      registers.refreshFloat();
      const exact = exactFloats[id];
      if (exact !== undefined) {
        if (exact(registers, decoded)) return true;
        this.raiseIllegal(bits);
        return false;
      }
    }
    const floats = floatFieldsOf(id);
    const record = CELL.stepRecord;
    registers.set(record, destinationAddress(id, decoded.rd) << 16);
    registers.set(
      record + RECORD.rs1,
      sourceAddress(floats.rs1, decoded.rs1) | (sourceAddress(floats.rs2, decoded.rs2) << 16),
    );
    registers.set(record + RECORD.imm, decoded.imm);
    registers.set(record + RECORD.rs3, sourceAddress(true, decoded.rs3));
    if (this.interpreter?.step(id) === 0) return true;
    this.raiseFailedAccess();
    return false;
  }

  /** Retires the instruction, and goes to the next pc. */
  private completeStep(isIndirect: boolean): void {
    const { registers } = this;
    const lo = registers.get(CELL.nextPc);
    const hi = registers.get(CELL.nextPc + 4);
    const samePage = (lo & -4096) === (registers.pcLo & -4096) && hi === registers.pcHi;
    const isBackward = registers.get(CELL.stepTransferred) !== 0 && lo >>> 0 <= registers.pcLo >>> 0;
    this.isCheckPoint = isIndirect || !samePage || isBackward;
    registers.setWords(CELL.pc, lo, hi);
    registers.retire();
  }

  load(size: number, lo: number, hi: number): number {
    return this.access.load(size, lo, hi);
  }

  store(size: number, lo: number, hi: number): number {
    return this.access.store(size, lo, hi);
  }

  atomicLoad(size: number, lo: number, hi: number): number {
    return this.access.atomicLoad(size, lo, hi);
  }

  loadReserved(size: number, lo: number, hi: number): number {
    return this.access.loadReserved(size, lo, hi);
  }

  storeConditional(size: number, lo: number, hi: number): number {
    return this.access.storeConditional(size, lo, hi);
  }

  // --- Traps -------------------------------------------------------------------------------------------------------

  raise(cause: number, tvalLo: number, tvalHi: number): void {
    this.enter({ cause, interrupt: false, tvalLo, tvalHi });
  }

  private raiseFailedAccess(): void {
    const { access } = this;
    this.raise(access.cause, access.tvalLo, access.tvalHi);
  }

  /** tval is the instruction's bits, of 16 or 32. */
  private raiseIllegal(bits: number): void {
    this.raise(EXCEPTION.illegalInstruction, bits, 0);
  }

  private takeInterrupt(): void {
    const cause = interruptToTake(this.registers);
    if (cause >= 0) this.enter({ cause, interrupt: true, tvalLo: 0, tvalHi: 0 });
  }

  /**
   * A trap takes a nanosecond of fuel and retires nothing, so that a hart whose handler faults for ever still comes to the
   * end of its fuel.
   */
  private enter(trap: { cause: number; interrupt: boolean; tvalLo: number; tvalHi: number }): void {
    const { registers, machine } = this;
    const pc = registers.pc;
    const from = registers.privilege;
    const to = enterTrap(registers, trap);
    registers.spend();
    this.isCheckPoint = true;
    this.onTranslationChanged();
    machine.probes.trap?.(this, {
      cause: trap.cause,
      interrupt: trap.interrupt,
      tval: toNumber(trap.tvalHi, trap.tvalLo),
      pc,
      from,
      to,
    });
  }

  trapReturn(level: 1 | 3): void {
    const { registers, machine } = this;
    const from = registers.privilege;
    registers.retire();
    returnFromTrap(registers, level);
    this.isCheckPoint = true;
    this.onTranslationChanged();
    machine.probes.trapReturn?.(this, from);
  }

  enterKernel(index: number): boolean {
    const { registers, machine } = this;
    const { kernel, translationCheck } = machine;
    const pc = registers.pc;
    if (kernel === undefined || registers.privilege !== 1 || pc < kernel.text.start || pc >= kernel.text.end)
      return false;
    registers.setWords(CELL.pc, registers.get(CELL.nextPc), registers.get(CELL.nextPc + 4));
    registers.retire();
    this.isCheckPoint = true;
    if (translationCheck === undefined) kernel.enter(this, index);
    else translationCheck.callHost(() => kernel.enter(this, index));
    return true;
  }

  wait(): void {
    this.registers.set(CELL.waiting, 1);
  }

  /** wfi ends for what is pending and enabled in mie, whatever mstatus says. */
  wake(): boolean {
    const { registers } = this;
    this.refreshTimer();
    if ((pendingInterrupts(registers) & registers.get(CELL.mie)) === 0) return false;
    registers.set(CELL.waiting, 0);
    return true;
  }

  // --- Time and turns ----------------------------------------------------------------------------------------------

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

  moveWindow(address: number): void {
    this.registers.base = address;
    this.registers.set(CELL.reservation, 0);
  }

  // --- What follows from changed CSRs -------------------------------------------------------------------------------

  onTranslationChanged(): void {
    this.access.selectContext();
  }

  onPmpChanged(): void {
    this.access.refreshPmp();
    this.tlbs.flush(undefined, undefined);
  }

  onTimerChanged(): void {
    this.refreshTimer();
    this.machine.returnBy(this, this.timerDueNs);
  }

  onSatpWritten(): void {
    const { registers } = this;
    this.machine.probes.addressSpace?.(this, registers.get(CELL.satp + 4), registers.get(CELL.satp));
  }

  refreshTimer(): void {
    const { registers } = this;
    if (!hasSupervisorTimer(registers)) return;
    const mip = registers.get(CELL.mip) & ~STIP;
    registers.set(CELL.mip, registers.timeNs >= this.timerDueNs ? mip | STIP : mip);
  }

  get timerNs(): number {
    return (this.registers.get(CELL.mip) & STIP) !== 0 ? Infinity : this.timerDueNs;
  }

  get wakingTimerNs(): number {
    return (this.registers.get(CELL.mie) & STIP) !== 0 ? this.timerDueNs : Infinity;
  }

  /** When stimecmp comes due; Infinity when it drives nothing, or is set beyond any time that is reached (all ones disarms it). */
  private get timerDueNs(): number {
    const { registers } = this;
    if (!hasSupervisorTimer(registers)) return Infinity;
    const due = toUnsignedNumber(registers.get(CELL.stimecmp + 4), registers.get(CELL.stimecmp)) * TIME_TICK_NS;
    return due > Number.MAX_SAFE_INTEGER ? Infinity : due;
  }

  // --- Translation caches ------------------------------------------------------------------------------------------

  sfence(virtualAddress: number | undefined, asid: number | undefined): void {
    this.tlbs.flush(virtualAddress, asid);
    this.access.model?.flush(virtualAddress, asid, asid === undefined);
    this.machine.probes.tlbFlush?.(this, virtualAddress, asid);
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

  xLo(register: number): number {
    return this.registers.xLo(register);
  }

  xHi(register: number): number {
    return this.registers.xHi(register);
  }

  setX(register: number, lo: number, hi: number): void {
    this.registers.setX(register, lo, hi);
  }

  x(register: number): number {
    return toNumber(this.registers.xHi(register), this.registers.xLo(register));
  }

  setXNumber(register: number, value: number): void {
    this.registers.setX(register, value | 0, highHalf(value));
  }

  fLo(register: number): number {
    return this.registers.fLo(register);
  }

  fHi(register: number): number {
    return this.registers.fHi(register);
  }

  setF(register: number, lo: number, hi: number): void {
    this.registers.setF(register, lo, hi);
  }

  get pc(): number {
    return this.registers.pc;
  }

  setPc(address: number): void {
    this.registers.pc = address;
  }

  get privilege(): Privilege {
    return this.registers.privilege;
  }

  setPrivilege(privilege: Privilege): void {
    this.registers.set(CELL.privilege, privilege);
    this.onTranslationChanged();
  }

  readCsr(number: number): Word64 {
    const { csrValue } = this;
    const row = findCsr(number);
    if (row === undefined) return { hi: 0, lo: 0 };
    row.read(this, csrValue);
    return { hi: csrValue.hi, lo: csrValue.lo };
  }

  csrNumber(number: number): number {
    const { hi, lo } = this.readCsr(number);
    return toNumber(hi, lo);
  }

  writeCsr(number: number, lo: number, hi: number): void {
    findCsr(number)?.write(this, lo, hi);
  }

  get instructionsRetired(): number {
    return this.registers.retired;
  }

  get waiting(): boolean {
    return this.registers.get(CELL.waiting) !== 0;
  }

  /** SEIP has a line beside the bit that software writes; the line is kept in the high half. */
  setInterruptPending(bit: number, level: boolean): void {
    const { registers } = this;
    const cell = bit === MIP_SEIP ? CELL.mip + 4 : CELL.mip;
    const old = registers.get(cell);
    registers.set(cell, level ? old | (1 << bit) : old & ~(1 << bit));
  }
}
