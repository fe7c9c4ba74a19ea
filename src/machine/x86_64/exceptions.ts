/**
 * Delivery of exceptions and interrupts through the interrupt descriptor table.
 *
 *     IDT[vector] ──> gate: code segment, offset, IST ──> privilege stays, or goes in: stack from the TSS
 *                                                     ──> push ss rsp rflags cs rip [error code] ──> handler
 *
 * Nothing changes before all that can fail has been done, the pushes last. What fails is an exception of its own, which is delivered
 * in place of the first; or a double fault; or the hart shuts down:
 *
 *     first \ second   | benign   contributory   page fault        contributory: #DE #TS #NP #SS #GP
 *     benign           | second   second         second
 *     contributory     | second   #DF            second
 *     page fault       | second   #DF            #DF
 *     double fault     | second   shutdown       shutdown
 *
 * Intel SDM volume 3, 6.12 (protected mode), 6.14 (64-bit mode), 6.15 (double fault). There are no task gates and there is no
 * virtual-8086 mode.
 */
import { GPR, RFLAGS, SEGMENT } from "../../isa/x86_64/registers.ts";
import { ATTRIBUTE, GATE, SYSTEM_TYPE, TSS32, TSS64 } from "../../isa/x86_64/segments.ts";
import { isContributory, pushesErrorCode, SELECTOR_ERROR, VECTOR } from "../../isa/x86_64/vectors.ts";
import { addWords, type MemoryAccess } from "./access.ts";
import { RESUME_FLAG } from "./breakpoints.ts";
import { CELL, segmentAttributes, segmentSelector, TR } from "./layout.ts";
import { isCanonical } from "./mmu.ts";
import type { Registers } from "./registers.ts";
import { isLongMode, isNull, type Segmentation } from "./segmentation.ts";

export interface Interruption {
  vector: number;
  /** Pushed if the vector is that of an exception with one. */
  errorCode: number;
  /** "fault": its instruction did not complete; "software": int n, int3 and into, which the gate's privilege must allow. */
  source: "fault" | "trap" | "interrupt" | "software";
  /** Where the handler returns to. */
  returnLo: number;
  returnHi: number;
}

/** Gates that only protected mode has. */
const GATE_16 = { interrupt: 6, trap: 7 } as const;
/** The type bit that makes a gate, or a TSS, one of 32 (or 64) bits. */
const WIDE = 8;
/** rsp0, rsp1, rsp2 of a 64-bit TSS are 8 bytes apart, and so are the interrupt stacks. */
const TSS_STACK_STRIDE = 8;
const TSS16 = { sp0: 2, stride: 4 } as const;

export class Exceptions {
  private readonly registers: Registers;
  private readonly access: MemoryAccess;
  private readonly segmentation: Segmentation;
  /** The gate: its words. */
  private readonly gate = new Int32Array(4);
  /** What is pushed, from the lowest address. */
  private readonly frame = new Int32Array(16);
  /** Its first bytes, by their number. */
  private readonly frameBytes: (Uint8Array | undefined)[] = new Array<undefined>(65).fill(undefined);

  constructor(registers: Registers, access: MemoryAccess, segmentation: Segmentation) {
    this.registers = registers;
    this.access = access;
    this.segmentation = segmentation;
  }

  /**
   * Delivers an interruption, or what becomes of it; false is a shutdown (triple fault). `event` is then what was delivered, or
   * failed, last. The caller selects the TLB context after it.
   */
  deliver(event: Interruption): boolean {
    const { registers, access } = this;
    for (;;) {
      if (event.vector === VECTOR.PF && isException(event)) registers.setWords(CELL.cr2, access.cr2Lo, access.cr2Hi);
      if (isLongMode(registers) ? this.deliver64(event) : this.deliver32(event)) return true;
      access.selectContext();
      const second = access.vector;
      const isDouble = becomesDouble(event, second);
      if (event.vector === VECTOR.DF && isDouble) return false;
      event.vector = isDouble ? VECTOR.DF : second;
      event.errorCode = isDouble ? 0 : access.errorCode;
      event.source = "fault";
      event.returnLo = registers.pcLo;
      event.returnHi = registers.pcHi;
    }
  }

  // --- Long mode ---------------------------------------------------------------------------------------------------

  private deliver64(event: Interruption): boolean {
    const { registers, access, segmentation, gate } = this;
    const external = event.source === "software" ? 0 : SELECTOR_ERROR.EXTERNAL;
    if (!this.readGate(event, 16, external)) return false;
    const [low = 0, high = 0, upper = 0] = gate;
    const type = (high >> GATE.TYPE_SHIFT) & 0x1f;
    if (type !== SYSTEM_TYPE.interruptGate && type !== SYSTEM_TYPE.trapGate) return this.failGate(event, external);
    if (!this.checkGate(event, high, external)) return false;
    const selector = low >>> 16;
    const privilege = this.fetchHandler(selector, external);
    if (privilege < 0) return false;
    if ((segmentation.attributes & (ATTRIBUTE.L | ATTRIBUTE.DB)) !== ATTRIBUTE.L) {
      return segmentation.fail(VECTOR.GP, selector, external);
    }
    const offsetLo = (low & 0xffff) | (high & GATE.OFFSET_HIGH);
    if (!isCanonical(upper)) return access.fail(VECTOR.GP, external);
    if (!segmentation.keepCode()) return false;

    const from = registers.cpl;
    const stack = high & GATE.IST;
    let stackLo = registers.rspLo;
    let stackHi = registers.rspHi;
    if (stack !== 0 || privilege < from) {
      const at = stack !== 0 ? TSS64.ist1 + (stack - 1) * TSS_STACK_STRIDE : TSS64.rsp0 + privilege * TSS_STACK_STRIDE;
      if (!segmentation.readTask(at, 8, external)) return false;
      stackLo = registers.get(CELL.stepValue);
      stackHi = registers.get(CELL.stepValue + 4);
    }
    const { frame } = this;
    const hasCode = hasErrorCode(event);
    const first = hasCode ? 2 : 0;
    frame[0] = event.errorCode;
    frame[1] = 0;
    frame[first] = event.returnLo;
    frame[first + 1] = event.returnHi;
    frame[first + 2] = registers.get(segmentSelector(SEGMENT.cs));
    frame[first + 3] = 0;
    frame[first + 4] = this.pushedFlags(event);
    frame[first + 5] = 0;
    frame[first + 6] = registers.rspLo;
    frame[first + 7] = registers.rspHi;
    frame[first + 8] = registers.get(segmentSelector(SEGMENT.ss));
    frame[first + 9] = 0;
    const size = (first + 10) * 4;
    const { lo, hi } = addWords(stackLo & ~15, stackHi, -size);
    if (!isCanonical(hi) || !isCanonical(stackHi)) return access.fail(VECTOR.SS, external);
    if (!this.writeFrame(lo, hi, size, privilege)) return false;

    if (privilege < from) segmentation.enterNull(SEGMENT.ss, privilege);
    segmentation.enterCode(selector, privilege);
    registers.setGpr(GPR.rsp, lo, hi);
    this.enterHandler(event, type === SYSTEM_TYPE.interruptGate, offsetLo, upper);
    return true;
  }

  // --- Protected mode ----------------------------------------------------------------------------------------------

  private deliver32(event: Interruption): boolean {
    const { registers, access, segmentation, gate } = this;
    const external = event.source === "software" ? 0 : SELECTOR_ERROR.EXTERNAL;
    if (!this.readGate(event, 8, external)) return false;
    const [low = 0, high = 0] = gate;
    const type = (high >> GATE.TYPE_SHIFT) & 0x1f;
    const kind = type & ~WIDE;
    if (kind !== GATE_16.interrupt && kind !== GATE_16.trap) return this.failGate(event, external);
    if (!this.checkGate(event, high, external)) return false;
    const selector = low >>> 16;
    const privilege = this.fetchHandler(selector, external);
    if (privilege < 0) return false;
    const isWide = (type & WIDE) !== 0;
    const offset = isWide ? (low & 0xffff) | (high & GATE.OFFSET_HIGH) : low & 0xffff;
    if (offset >>> 0 > segmentation.limit) return access.fail(VECTOR.GP, external);
    if (!segmentation.keepCode()) return false;
    const slots = [
      event.returnLo,
      registers.get(segmentSelector(SEGMENT.cs)),
      this.pushedFlags(event),
      registers.rspLo,
      registers.get(segmentSelector(SEGMENT.ss)),
    ];
    if (hasErrorCode(event)) slots.unshift(event.errorCode);

    if (privilege === registers.cpl) {
      // The outer stack stays: its pointer is not pushed.
      slots.length -= 2;
      if (!this.pushInto(slots, isWide, external)) return false;
    } else if (!this.pushInner(slots, isWide, privilege, external)) {
      return false;
    }
    segmentation.enterCode(selector, privilege);
    this.enterHandler(event, kind === GATE_16.interrupt, offset, 0);
    return true;
  }

  /** Pushes to the stack that the hart is on. */
  private pushInto(slots: readonly number[], isWide: boolean, external: number): boolean {
    const { registers, access } = this;
    const size = slots.length * (isWide ? 4 : 2);
    const is32 = registers.stackSize === 4;
    const pointer = (registers.rspLo - size) & (is32 ? -1 : 0xffff);
    if (!access.linear(SEGMENT.ss, pointer, 0, size, "store")) return access.fail(VECTOR.SS, external);
    this.fillFrame(slots, isWide);
    if (!this.writeFrame(access.linearLo, 0, size, registers.cpl)) return false;
    registers.setGpr(GPR.rsp, is32 ? pointer : (registers.rspLo & ~0xffff) | pointer, 0);
    return true;
  }

  /** Pushes to the stack that the TSS has for an inner privilege, and goes over to it. */
  private pushInner(slots: readonly number[], isWide: boolean, privilege: number, external: number): boolean {
    const { registers, access, segmentation } = this;
    const isTask32 = (registers.get(segmentAttributes(TR)) & WIDE) !== 0;
    const stackSize = isTask32 ? 4 : 2;
    const at = isTask32 ? TSS32.esp0 + privilege * (TSS32.ss0 - TSS32.esp0) * 2 : TSS16.sp0 + privilege * TSS16.stride;
    if (!segmentation.readTask(at + stackSize, 2, external)) return false;
    const selector = registers.get(CELL.stepValue);
    if (!segmentation.readTask(at, stackSize, external)) return false;
    const top = registers.get(CELL.stepValue);
    if (isNull(selector)) return access.fail(VECTOR.TS, external);
    if (!segmentation.checkStack(selector, privilege, VECTOR.TS, external)) return false;
    const is32 = (segmentation.attributes & ATTRIBUTE.DB) !== 0;
    const size = slots.length * (isWide ? 4 : 2);
    const pointer = (top - size) & (is32 ? -1 : 0xffff);
    if (!segmentation.admitsData(pointer, size)) return segmentation.fail(VECTOR.SS, selector, external);
    this.fillFrame(slots, isWide);
    if (!this.writeFrame((segmentation.baseLo + pointer) | 0, 0, size, privilege)) return false;
    if (!segmentation.markAccessed()) return false;
    segmentation.enterRegister(SEGMENT.ss, selector);
    registers.setGpr(GPR.rsp, is32 ? pointer : (registers.rspLo & ~0xffff) | pointer, 0);
    return true;
  }

  private fillFrame(slots: readonly number[], isWide: boolean): void {
    const { frame } = this;
    if (isWide) {
      frame.set(slots);
      return;
    }
    new Uint16Array(frame.buffer).set(slots);
  }

  // --- Both --------------------------------------------------------------------------------------------------------

  private readGate(event: Interruption, size: 8 | 16, external: number): boolean {
    const { registers, access, gate } = this;
    const offset = event.vector * size;
    if (offset + size - 1 > registers.get(CELL.idtrLimit) >>> 0) return this.failGate(event, external);
    const { lo, hi } = addWords(registers.get(CELL.idtrBase), registers.get(CELL.idtrBase + 4), offset);
    if (!access.loadImplicit(size, lo, hi)) return false;
    for (let i = 0; i < size / 4; i++) gate[i] = registers.get(CELL.stepValue + i * 4);
    return true;
  }

  private failGate(event: Interruption, external: number): false {
    return this.access.fail(VECTOR.GP, event.vector * 8 + SELECTOR_ERROR.IDT + external);
  }

  private checkGate(event: Interruption, high: number, external: number): boolean {
    const dpl = (high >> GATE.DPL_SHIFT) & 3;
    if (event.source === "software" && dpl < this.registers.cpl) return this.failGate(event, external);
    if ((high & GATE.P) !== 0) return true;
    return this.access.fail(VECTOR.NP, event.vector * 8 + SELECTOR_ERROR.IDT + external);
  }

  /** Fetches the handler's code segment; the privilege that it runs with, or -1. */
  private fetchHandler(selector: number, external: number): number {
    const { access, segmentation, registers } = this;
    const failed = (): number => {
      segmentation.fail(VECTOR.GP, selector, external);
      return -1;
    };
    if (isNull(selector)) {
      access.fail(VECTOR.GP, external);
      return -1;
    }
    if (!segmentation.fetch(selector, VECTOR.GP, external)) return -1;
    if (!segmentation.isCode || segmentation.dpl > registers.cpl) return failed();
    if (!segmentation.isPresent) {
      segmentation.fail(VECTOR.NP, selector, external);
      return -1;
    }
    return segmentation.isConforming ? registers.cpl : segmentation.dpl;
  }

  /**
   * Writes the frame with the rights of the handler: the pushes are accesses of the new privilege. From user code they are those of
   * a supervisor under SMAP, whose RFLAGS.AC is none of the kernel's.
   */
  private writeFrame(lo: number, hi: number, size: number, privilege: number): boolean {
    const { access, frame, registers } = this;
    if (privilege === 3 || registers.cpl < 3) access.selectContext();
    else access.selectImplicit();
    return access.writeBytes(lo, hi, (this.frameBytes[size] ??= new Uint8Array(frame.buffer, 0, size)));
  }

  /** What is pushed as RFLAGS: RF keeps an instruction that faulted, but at its breakpoint, from meeting that again. */
  private pushedFlags(event: Interruption): number {
    const { registers } = this;
    const isResumed = event.source === "fault" && event.vector !== VECTOR.DB;
    return isResumed || (registers.get(CELL.debugState) & RESUME_FLAG) !== 0
      ? registers.rflags | RFLAGS.RF
      : registers.rflags;
  }

  private enterHandler(event: Interruption, isInterruptGate: boolean, lo: number, hi: number): void {
    const { registers } = this;
    registers.setFlag(RFLAGS.TF | RFLAGS.NT | (isInterruptGate ? RFLAGS.IF : 0), false);
    registers.setWords(CELL.pc, lo, hi);
    registers.set(CELL.waiting, 0);
    registers.set(CELL.interruptShadow, 0);
    registers.set(CELL.debugState, registers.get(CELL.debugState) & ~RESUME_FLAG);
    if (event.vector === VECTOR.NMI && event.source === "interrupt") registers.set(CELL.nmiBlocked, 1);
  }
}

const isException = (event: Interruption): boolean => event.source === "fault" || event.source === "trap";
const hasErrorCode = (event: Interruption): boolean => isException(event) && pushesErrorCode(event.vector);

/** Whether an exception that arises in the delivery of `first` makes a double fault of it, or of a double fault a shutdown. */
function becomesDouble(first: Interruption, second: number): boolean {
  if (!isException(first)) return false;
  if (first.vector === VECTOR.DF) return isContributory(second) || second === VECTOR.PF;
  if (first.vector === VECTOR.PF) return isContributory(second) || second === VECTOR.PF;
  return isContributory(first.vector) && isContributory(second);
}
