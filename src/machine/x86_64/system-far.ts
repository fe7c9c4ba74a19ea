/**
 * Transfers that load cs: far jumps, calls and returns, call gates, software interrupts and the return from them, system calls.
 *
 *     iret    pops  rip cs rflags [rsp ss]      64-bit code pops all five, other code the last two only on the way out
 *     retf    pops  rip cs        [rsp ss]
 *
 * Everything is checked, and what is popped or pushed moved, before a register changes. Call gates exist in long mode only, task gates
 * and task switches nowhere: they raise #GP with the selector. Intel SDM volume 2, "Operation" of each; volume 3, 5.8 (privilege
 * checks), 5.8.7-5.8.8 (system calls).
 */
import { OPERAND, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { STAR_HI } from "../../isa/x86_64/msrs.ts";
import { EFER, GPR, RFLAGS, SEGMENT } from "../../isa/x86_64/registers.ts";
import { ATTRIBUTE, SELECTOR, SYSTEM_TYPE, TSS64 } from "../../isa/x86_64/segments.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { addWords } from "./access.ts";
import { isArmed, RESUME_FLAG } from "./breakpoints.ts";
import { CELL, segmentSelector } from "./layout.ts";
import { isCanonical } from "./mmu.ts";
import { isLongMode, isNull } from "./segmentation.ts";
import type { SystemHart, SystemOutcome, SystemSemantics } from "./system.ts";

/** What a return from an interrupt restores whatever the privilege. */
const RETURNED_FLAGS =
  RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.TF | RFLAGS.DF | RFLAGS.OF | RFLAGS.NT;
/** … and the ones above bit 15. */
const RETURNED_WIDE_FLAGS = RFLAGS.RF | RFLAGS.AC | RFLAGS.ID;
/** What sysret restores of r11. */
const SYSRET_FLAGS = 0x3c7fd7;

const FLAT_CODE = ATTRIBUTE.P | ATTRIBUTE.S | ATTRIBUTE.CODE | ATTRIBUTE.READABLE | ATTRIBUTE.ACCESSED | ATTRIBUTE.G;
const FLAT_DATA = ATTRIBUTE.P | ATTRIBUTE.S | ATTRIBUTE.WRITABLE | ATTRIBUTE.ACCESSED | ATTRIBUTE.G | ATTRIBUTE.DB;
const dplOf = (privilege: number): number => privilege << ATTRIBUTE.DPL_SHIFT;

const fault = (hart: SystemHart, vector: number, errorCode = 0): SystemOutcome => {
  hart.access.fail(vector, errorCode);
  return "faulted";
};

// --- Returns -------------------------------------------------------------------------------------------------------

const iret: SystemSemantics = (hart, decoded) => {
  hart.operands.viewStack(IRET_FRAME);
  const outcome = returnFromInterrupt(hart, decoded);
  hart.operands.endView();
  return outcome;
};

/** What 64-bit code pops. */
const IRET_FRAME = 5 * 8;

const returnFromInterrupt: SystemSemantics = (hart, decoded) => {
  const { registers, operands } = hart;
  registers.set(CELL.nmiBlocked, 0);
  // Without task switches there is no task to return to.
  if (registers.hasFlag(RFLAGS.NT)) return fault(hart, VECTOR.GP);
  const size = decoded.operandSize;
  if (!operands.readStack(2 * size, size)) return "faulted";
  const popped = operands.valueLo;
  const from = registers.cpl;
  let mask = RETURNED_FLAGS;
  if (size > 2) mask |= RETURNED_WIDE_FLAGS;
  if (from <= registers.iopl) mask |= RFLAGS.IF;
  if (from === 0) mask |= RFLAGS.IOPL;
  if (!returnFar(hart, size, 3, 0, registers.codeMode === 64)) return "faulted";
  registers.setRflags((registers.rflags & ~mask) | (popped & mask));
  if ((popped & mask & RFLAGS.RF) !== 0 && isArmed(registers)) {
    registers.set(CELL.debugState, registers.get(CELL.debugState) | RESUME_FLAG);
  }
  hart.onModesChanged();
  hart.onReturn(from);
  return "jumped";
};

const retf: SystemSemantics = (hart, decoded) => {
  const released = decoded.operandCount > 0 ? decoded.immLo & 0xffff : 0;
  if (!returnFar(hart, decoded.operandSize, 2, released, false)) return "faulted";
  hart.onModesChanged();
  return "jumped";
};

/**
 * Goes to the cs and rip on the stack, which has `slots` slots, then `released` bytes, then rsp and ss, which count if the privilege
 * changes or `isAlwaysOuter`.
 */
function returnFar(hart: SystemHart, size: number, slots: number, released: number, isAlwaysOuter: boolean): boolean {
  const { registers, operands, segmentation, access } = hart;
  const from = registers.cpl;
  if (!operands.readStack(size, size)) return false;
  const selector = operands.valueLo & 0xffff;
  if (!operands.readStack(0, size)) return false;
  const targetLo = operands.valueLo;
  const targetHi = operands.valueHi;
  const privilege = selector & SELECTOR.RPL;
  if (!fetchReturnCode(hart, selector)) return false;
  if (!segmentation.admitsTarget(targetLo, targetHi)) return access.fail(VECTOR.GP);
  const isOuter = isAlwaysOuter || privilege > from;
  if (!isOuter) {
    if (!segmentation.keepCode()) return false;
    operands.moveStack(slots * size + released);
    segmentation.enterCode(selector, privilege);
    registers.setWords(CELL.pc, targetLo, targetHi);
    return true;
  }
  const at = slots * size + released;
  if (!operands.readStack(at + size, size)) return false;
  const stackSelector = operands.valueLo & 0xffff;
  if (!operands.readStack(at, size)) return false;
  const stackLo = operands.valueLo;
  const stackHi = operands.valueHi;
  if (!segmentation.keepCode()) return false;
  const is64 = isLongMode(registers) && (segmentation.attributes & ATTRIBUTE.L) !== 0;
  let isWideStack = is64;
  if (isNull(stackSelector)) {
    const isAllowed = is64 && privilege < 3 && (stackSelector & SELECTOR.RPL) === privilege;
    if (!isAllowed) return access.fail(VECTOR.GP);
    segmentation.enterNull(SEGMENT.ss, stackSelector);
  } else {
    if (!segmentation.checkStack(stackSelector, privilege, VECTOR.GP, 0)) return false;
    if (!segmentation.markAccessed()) return false;
    segmentation.enterRegister(SEGMENT.ss, stackSelector);
    isWideStack ||= (segmentation.attributes & ATTRIBUTE.DB) !== 0;
  }
  segmentation.enterCode(selector, privilege);
  registers.setWords(CELL.pc, targetLo, targetHi);
  if (isWideStack) registers.setGpr(GPR.rsp, stackLo, stackHi);
  else registers.writeGpr(GPR.rsp, 2, stackLo, 0);
  if (released !== 0) operands.moveStack(released);
  if (privilege > from) segmentation.dropInnerSegments();
  return true;
}

function fetchReturnCode(hart: SystemHart, selector: number): boolean {
  const { registers, segmentation, access } = hart;
  const privilege = selector & SELECTOR.RPL;
  if (isNull(selector)) return access.fail(VECTOR.GP);
  if (!segmentation.fetch(selector)) return false;
  const { dpl } = segmentation;
  const isFit = segmentation.isCode && (segmentation.isConforming ? dpl <= privilege : dpl === privilege);
  if (!isFit || privilege < registers.cpl || hasBothSizes(hart)) return segmentation.fail(VECTOR.GP, selector);
  return segmentation.isPresent || segmentation.fail(VECTOR.NP, selector);
}

/** A code segment of 64 bits and of 32 at once is reserved. */
function hasBothSizes({ registers, segmentation }: SystemHart): boolean {
  const both = ATTRIBUTE.L | ATTRIBUTE.DB;
  return isLongMode(registers) && (segmentation.attributes & both) === both;
}

// --- Jumps and calls -----------------------------------------------------------------------------------------------

const transferFar =
  (kind: "call" | "jump"): SystemSemantics =>
  (hart, decoded) => {
    const { registers, operands, segmentation } = hart;
    let selector = decoded.imm2 & 0xffff;
    let lo = decoded.immLo;
    let hi = 0;
    if (decoded.operands[0].kind !== OPERAND.far) {
      if (!operands.load(decoded, decoded.operandSize, 2)) return "faulted";
      selector = operands.valueLo;
      if (!operands.load(decoded, 0, decoded.operandSize)) return "faulted";
      lo = operands.valueLo;
      hi = operands.valueHi;
    }
    if (isNull(selector)) return fault(hart, VECTOR.GP);
    if (!segmentation.fetch(selector)) return "faulted";
    if (segmentation.isSystem) return transferThroughGate(hart, selector, kind);
    const privilege = registers.cpl;
    const isFit =
      segmentation.isCode &&
      (segmentation.isConforming
        ? segmentation.dpl <= privilege
        : (selector & SELECTOR.RPL) <= privilege && segmentation.dpl === privilege);
    if (!isFit || hasBothSizes(hart)) return failSelector(hart, VECTOR.GP, selector);
    if (!segmentation.isPresent) return failSelector(hart, VECTOR.NP, selector);
    if (!segmentation.admitsTarget(lo, hi)) return fault(hart, VECTOR.GP);
    if (!segmentation.keepCode()) return "faulted";
    if (kind === "call" && !pushReturn(hart, decoded.operandSize)) return "faulted";
    segmentation.enterCode(selector, privilege);
    registers.setWords(CELL.pc, lo, hi);
    hart.onModesChanged();
    return "jumped";
  };

function pushReturn(hart: SystemHart, size: number): boolean {
  const { registers, operands } = hart;
  if (!operands.writeStack(-size, size, registers.get(segmentSelector(SEGMENT.cs)), 0)) return false;
  if (!operands.writeStack(-2 * size, size, registers.get(CELL.nextPc), registers.get(CELL.nextPc + 4))) return false;
  operands.moveStack(-2 * size);
  return true;
}

/** Through a 64-bit call gate, whose descriptor is fetched whole here. SDM volume 3, 5.8.3.1, 5.8.5.1. */
function transferThroughGate(hart: SystemHart, gateSelector: number, kind: "call" | "jump"): SystemOutcome {
  const { registers, segmentation, access } = hart;
  const isCallGate = isLongMode(registers) && segmentation.systemType === SYSTEM_TYPE.callGate;
  if (!isCallGate) return failSelector(hart, VECTOR.GP, gateSelector);
  if (!segmentation.fetchSystem(gateSelector)) return "faulted";
  const from = registers.cpl;
  if (segmentation.dpl < Math.max(from, gateSelector & SELECTOR.RPL))
    return failSelector(hart, VECTOR.GP, gateSelector);
  if (!segmentation.isPresent) return failSelector(hart, VECTOR.NP, gateSelector);
  const selector = segmentation.word(0) >>> 16;
  const lo = (segmentation.word(0) & 0xffff) | (segmentation.word(1) & 0xffff0000);
  const hi = segmentation.word(2);
  if (isNull(selector)) return fault(hart, VECTOR.GP);
  if (!segmentation.fetch(selector)) return "faulted";
  const is64 = (segmentation.attributes & (ATTRIBUTE.L | ATTRIBUTE.DB)) === ATTRIBUTE.L;
  if (!segmentation.isCode || segmentation.dpl > from || !is64) return failSelector(hart, VECTOR.GP, selector);
  if (kind === "jump" && !segmentation.isConforming && segmentation.dpl !== from)
    return failSelector(hart, VECTOR.GP, selector);
  if (!segmentation.isPresent) return failSelector(hart, VECTOR.NP, selector);
  if (!isCanonical(hi)) return fault(hart, VECTOR.GP);
  const privilege = segmentation.isConforming ? from : segmentation.dpl;
  if (!segmentation.keepCode()) return "faulted";
  if (kind === "call" && privilege === from) {
    if (!pushReturn(hart, 8)) return "faulted";
  } else if (kind === "call") {
    const isRead = segmentation.readTask(TSS64.rsp0 + privilege * 8, 8, 0);
    const stack = addWords(registers.get(CELL.stepValue), registers.get(CELL.stepValue + 4), -32);
    if (!isRead) return "faulted";
    if (!isCanonical(stack.hi)) return fault(hart, VECTOR.SS);
    const frame = new Int32Array(8);
    frame.set([registers.get(CELL.nextPc), registers.get(CELL.nextPc + 4)], 0);
    frame[2] = registers.get(segmentSelector(SEGMENT.cs));
    frame.set([registers.rspLo, registers.rspHi], 4);
    frame[6] = registers.get(segmentSelector(SEGMENT.ss));
    access.selectImplicit();
    const isWritten = access.writeBytes(stack.lo, stack.hi, new Uint8Array(frame.buffer));
    access.selectContext();
    if (!isWritten) return "faulted";
    segmentation.enterNull(SEGMENT.ss, privilege);
    registers.setGpr(GPR.rsp, stack.lo, stack.hi);
  }
  segmentation.enterCode(selector, privilege);
  registers.setWords(CELL.pc, lo, hi);
  hart.onModesChanged();
  return "jumped";
}

function failSelector(hart: SystemHart, vector: number, selector: number): SystemOutcome {
  hart.segmentation.fail(vector, selector);
  return "faulted";
}

// --- System calls --------------------------------------------------------------------------------------------------

/** In long mode only; from 32-bit code too, as AMD has it, which CPUID does not promise. */
const hasSystemCalls = ({ registers }: SystemHart): boolean =>
  isLongMode(registers) && (registers.get(CELL.efer) & EFER.SCE) !== 0;

const syscall: SystemSemantics = (hart) => {
  if (!hasSystemCalls(hart)) return "undefined";
  const { registers, segmentation } = hart;
  const { pc, cpl: from } = registers;
  const selector = (registers.get(CELL.star + 4) >>> STAR_HI.SYSCALL_CS_SHIFT) & 0xfffc;
  const entry = registers.codeMode === 64 ? CELL.lstar : CELL.cstar;
  const flags = registers.rflags;
  registers.setGpr(GPR.rcx, registers.get(CELL.nextPc), registers.get(CELL.nextPc + 4));
  registers.setGpr(GPR.r11, flags, 0);
  registers.setRflags(flags & ~registers.get(CELL.sfmask));
  segmentation.enterFlat(SEGMENT.cs, selector, FLAT_CODE | ATTRIBUTE.L);
  segmentation.enterFlat(SEGMENT.ss, selector + 8, FLAT_DATA);
  registers.setWords(CELL.pc, registers.get(entry), registers.get(entry + 4));
  hart.onModesChanged();
  hart.onSystemCall(pc, from);
  return "jumped";
};

const sysret: SystemSemantics = (hart, decoded) => {
  if (!hasSystemCalls(hart)) return "undefined";
  const { registers } = hart;
  if (registers.cpl !== 0) return fault(hart, VECTOR.GP);
  const is64 = decoded.operandSize === 8;
  // As Intel has it: the fault comes in the kernel.
  if (is64 && !isCanonical(registers.gprHi(GPR.rcx))) return fault(hart, VECTOR.GP);
  const selector = registers.get(CELL.star + 4) >>> STAR_HI.SYSRET_CS_SHIFT;
  registers.setRflags(registers.gprLo(GPR.r11) & SYSRET_FLAGS);
  enterUser(hart, is64, selector + (is64 ? 16 : 0), selector + 8);
  registers.setWords(CELL.pc, registers.gprLo(GPR.rcx), is64 ? registers.gprHi(GPR.rcx) : 0);
  hart.onModesChanged();
  hart.onReturn(0);
  return "jumped";
};

function enterUser({ segmentation }: SystemHart, is64: boolean, code: number, stack: number): void {
  const attributes = FLAT_CODE | dplOf(3) | (is64 ? ATTRIBUTE.L : ATTRIBUTE.DB);
  segmentation.enterFlat(SEGMENT.cs, (code | 3) & 0xffff, attributes);
  segmentation.enterFlat(SEGMENT.ss, (stack | 3) & 0xffff, FLAT_DATA | dplOf(3));
}

const sysenter: SystemSemantics = (hart) => {
  const { registers, segmentation } = hart;
  const { pc, cpl: from } = registers;
  const selector = registers.get(CELL.sysenterCs) & 0xfffc;
  if (selector === 0) return fault(hart, VECTOR.GP);
  const isLong = isLongMode(registers);
  registers.setFlag(RFLAGS.IF, false);
  segmentation.enterFlat(SEGMENT.cs, selector, FLAT_CODE | (isLong ? ATTRIBUTE.L : ATTRIBUTE.DB));
  segmentation.enterFlat(SEGMENT.ss, selector + 8, FLAT_DATA);
  registers.setGpr(GPR.rsp, registers.get(CELL.sysenterEsp), isLong ? registers.get(CELL.sysenterEsp + 4) : 0);
  registers.setWords(CELL.pc, registers.get(CELL.sysenterEip), isLong ? registers.get(CELL.sysenterEip + 4) : 0);
  hart.onModesChanged();
  hart.onSystemCall(pc, from);
  return "jumped";
};

const sysexit: SystemSemantics = (hart, decoded) => {
  const { registers } = hart;
  const selector = registers.get(CELL.sysenterCs) & 0xfffc;
  const is64 = decoded.operandSize === 8;
  if (selector === 0 || registers.cpl !== 0) return fault(hart, VECTOR.GP);
  if (is64 && !(isCanonical(registers.gprHi(GPR.rcx)) && isCanonical(registers.gprHi(GPR.rdx)))) {
    return fault(hart, VECTOR.GP);
  }
  enterUser(hart, is64, selector + (is64 ? 32 : 16), selector + (is64 ? 40 : 24));
  registers.setGpr(GPR.rsp, registers.gprLo(GPR.rcx), is64 ? registers.gprHi(GPR.rcx) : 0);
  registers.setWords(CELL.pc, registers.gprLo(GPR.rdx), is64 ? registers.gprHi(GPR.rdx) : 0);
  hart.onModesChanged();
  hart.onReturn(0);
  return "jumped";
};

// --- Software interrupts -------------------------------------------------------------------------------------------

const interrupt = (hart: SystemHart, vector: number, source: "software" | "trap" = "software"): SystemOutcome => {
  hart.interrupt(vector, source);
  return "entered";
};

const undefinedInstruction: SystemSemantics = () => "undefined";

export const farSemantics = {
  callf: transferFar("call"),
  jmpf: transferFar("jump"),
  retf,
  iret,
  int3: (hart) => interrupt(hart, VECTOR.BP),
  int: (hart, { immLo }: Decoded) => interrupt(hart, immLo & 0xff),
  into: (hart) => (hart.registers.arithmeticFlags() & RFLAGS.OF ? interrupt(hart, VECTOR.OF) : "done"),
  int1: (hart) => interrupt(hart, VECTOR.DB, "trap"),
  syscall,
  sysret,
  sysenter,
  sysexit,
  ud2: undefinedInstruction,
  ud1: undefinedInstruction,
  ud0: undefinedInstruction,
} satisfies Record<string, SystemSemantics>;
