// The TypeScript half of the trap path: what each `kentry` instruction of kernel text calls, and the way back.
//
//   user trap ──> uservec, trapvec ──> usertrap ──> handleUserTrap (../../trap.ts) ──> schedule ──> resumeUser ──> usersysret, userret
//                                                                                            └──> resumeIdle ──> hlt
//   trap in the idle loop ──> kernelvec ──> kernelTrap ──> handleKernelInterrupt ──> schedule ──┘
//
// Here the vector, the error code and CR2 are read and rsp, CR3 and gs set; what a trap means is for the core kernel. Which signal an
// exception becomes, and with which code, is Linux's arch/x86/kernel/traps.c: where it gives no address, si_code is SI_KERNEL.
// Intel SDM volume 3, 6.15 (exception reference).

import { PAGE_SIZE, virtAddr, type VirtAddr } from "../../../lib/address.ts";
import { hex64, hexNumber64, highHalf, toNumber } from "../../../lib/word64.ts";
import { CR3_HI_NO_FLUSH } from "../../../isa/x86_64/paging.ts";
import { DR6, GPR, GPR_NAMES, MXCSR, RFLAGS, SEGMENT } from "../../../isa/x86_64/registers.ts";
import { FIRST_INTERRUPT_VECTOR, PAGE_FAULT, VECTOR } from "../../../isa/x86_64/vectors.ts";
import {
  BUS_ADRALN,
  FPE_FLTDIV,
  FPE_FLTINV,
  FPE_FLTOVF,
  FPE_FLTRES,
  FPE_FLTUND,
  FPE_INTDIV,
  ILL_ILLOPN,
  TRAP_BRKPT,
  TRAP_TRACE,
  type SignalName,
} from "../../../abi/linux/signals.ts";
import type { Hart } from "../../../machine/hart.ts";
import type { X86Hart } from "../../../machine/x86_64/hart.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import type { FaultAccess } from "../../mem/types.ts";
import { leaveKernel } from "../../process/scheduler.ts";
import type { Thread } from "../../process/types.ts";
import { handleKernelInterrupt, handleUserTrap, type Trap } from "../../trap.ts";
import { rootRegisterOf, start, symbolAddress, symbolize } from "./boot.ts";
import { emulateVsyscall, floatBytes, hartOf, loadFloats, saveFloats, SYSCALL_LENGTH, x86Hart } from "./context.ts";
import { endInterrupt, sendNonMaskableInterrupt } from "./devices.ts";
import { ENTRY, INTERRUPT } from "./entries.ts";
import { initializeHart, SEGMENT_ATTRIBUTES, SELECTORS } from "./hart.ts";
import { describeCause } from "./report.ts";
import { readField, SYSCALL, TRAPFRAME, trapframeOffset, writeField } from "./trapframe.ts";

/** What start-up does once memory works: mount the root, make the first process. */
export type StartUser = (k: Kernel) => void;

/** The function behind `kentry entry`. */
export function enterKernel(k: Kernel, from: Hart, entry: number, startUser: StartUser): void {
  const hart = x86Hart(from);
  switch (entry) {
    case ENTRY.start:
      k.probes.trapStep?.(hart.id, "start", { at: hart.pc });
      start(k);
      k.probes.trapStep?.(hart.id, "started", {
        free: k.state.memory.frames.freeCount,
        tables: k.state.memory.kernelSpace.tablePages,
      });
      return;
    case ENTRY.main:
      k.probes.trapStep?.(hart.id, "main", { at: hart.pc });
      initializeHart(k, hart.id);
      if (hart.id === 0) startUser(k);
      leaveKernel(k, hart.id);
      return;
    case ENTRY.userTrap:
      userTrap(k, hart);
      return;
    case ENTRY.kernelTrap:
      kernelTrap(k, hart);
      return;
    default:
      throw new KernelBug(`kernel entry ${entry} reached on hart ${hart.id}`);
  }
}

/** usertrap: the trampoline has saved the registers and the cause; it goes to the core kernel. */
function userTrap(k: Kernel, hart: X86Hart): void {
  const tid = k.state.scheduler.current[hart.id];
  const thread = tid === undefined ? undefined : k.state.threads.get(tid);
  if (thread === undefined) throw new KernelBug(`a user trap on hart ${hart.id}, which runs no thread`);
  const { trapframe } = thread;
  const vector = k.memory.read32(trapframe + TRAPFRAME.vector);
  const rip = readField(k.memory, trapframe, TRAPFRAME.rip);
  const isCall = vector === SYSCALL || vector === INTERRUPT.legacyCall;
  // A call that blocks is begun again, so rip goes back to the instruction until it is complete.
  if (isCall) writeField(k.memory, trapframe, TRAPFRAME.rip, rip - SYSCALL_LENGTH);
  const isInterrupt = vector >= FIRST_INTERRUPT_VECTOR && !isCall;
  k.probes.trapStep?.(hart.id, "usertrap", {
    cause: vector,
    interrupt: isInterrupt ? 1 : 0,
    epc: isCall ? rip - SYSCALL_LENGTH : rip,
    tid: thread.tid,
  });
  if (isCall) handleUserTrap(k, hart.id, thread, { kind: "syscall" });
  else if (isInterrupt) handleUserTrap(k, hart.id, thread, { kind: acknowledge(k, vector) });
  else handleUserTrap(k, hart.id, thread, describeTrap(k, hart, thread, vector));
}

/** TASK_SIZE_MAX. */
const USER_HALF_END = 2 ** 47 - PAGE_SIZE;

/** Exceptions by vector. Those that user mode cannot raise are a bug. */
function describeTrap(k: Kernel, hart: X86Hart, thread: Thread, vector: number): Trap {
  const { trapframe } = thread;
  const error = k.memory.read32(trapframe + TRAPFRAME.error);
  const rip = readField(k.memory, trapframe, TRAPFRAME.rip);
  writeField(k.memory, trapframe, TRAPFRAME.lastVector, vector);
  writeField(k.memory, trapframe, TRAPFRAME.lastError, error);
  switch (vector) {
    case VECTOR.PF: {
      const cr2 = hart.systemRegister("cr2");
      const address = virtAddr(toNumber(cr2.hi, cr2.lo));
      writeField(k.memory, trapframe, TRAPFRAME.lastAddress, address);
      // As Linux: beyond the user half nothing tells what is mapped.
      if (address < 0 || address >= USER_HALF_END)
        writeField(k.memory, trapframe, TRAPFRAME.lastError, error | PAGE_FAULT.PRESENT);
      return describePageFault(k, thread, address, error);
    }
    case VECTOR.DE:
      return fault("SIGFPE", FPE_INTDIV, rip);
    case VECTOR.DB:
      return fault("SIGTRAP", debugCode(hart), rip);
    case VECTOR.UD:
      return fault("SIGILL", ILL_ILLOPN, rip);
    case VECTOR.AC:
      return fault("SIGBUS", BUS_ADRALN, 0);
    case VECTOR.MF:
    case VECTOR.XM:
      return fault("SIGFPE", floatCode(hart, thread, vector), rip);
    case VECTOR.BP:
      return fault("SIGTRAP", 0, 0);
    case VECTOR.NP:
    case VECTOR.SS:
      return fault("SIGBUS", 0, 0);
    case VECTOR.OF:
    case VECTOR.BR:
    case VECTOR.TS:
    case VECTOR.GP:
      return fault("SIGSEGV", 0, 0);
    default:
      throw new KernelBug(`${describeCause(vector, false)} in user mode at ${hexNumber64(rip)}, error code ${error}`);
  }
}

/** si_code of a debug exception: a step, or `int1`. DR6 keeps its bits until somebody clears them. */
function debugCode(hart: X86Hart): number {
  const { lo, hi } = hart.systemRegister("dr6");
  hart.setSystemRegister("dr6", lo & ~DR6.BS, hi);
  return (lo & DR6.BS) !== 0 ? TRAP_TRACE : TRAP_BRKPT;
}

function fault(signal: SignalName, code: number, address: number): Trap {
  return { kind: "fault", signal, code, address };
}

function describePageFault(k: Kernel, thread: Thread, address: VirtAddr, error: number): Trap {
  if ((error & PAGE_FAULT.RESERVED) !== 0) {
    throw new KernelBug(`a reserved bit in the page tables of ${thread.tid} on the way to ${hexNumber64(address)}`);
  }
  const access: FaultAccess =
    (error & PAGE_FAULT.FETCH) !== 0 ? "execute" : (error & PAGE_FAULT.WRITE) !== 0 ? "write" : "read";
  if (access === "execute" && emulateVsyscall(k, thread, address)) return { kind: "syscall" };
  return { kind: "page-fault", address, access };
}

const FLOAT_CODES: readonly (readonly [flags: number, code: number])[] = [
  [MXCSR.IE, FPE_FLTINV],
  [MXCSR.ZE, FPE_FLTDIV],
  [MXCSR.OE, FPE_FLTOVF],
  [MXCSR.UE | MXCSR.DE, FPE_FLTUND],
  [MXCSR.PE, FPE_FLTRES],
];

/** si_code of the unmasked exception that is pending. The flags of the x87 status word and of MXCSR are in the same order. */
function floatCode(hart: X86Hart, thread: Thread, vector: number): number {
  const image = floatBytes(thread);
  hart.saveFloat(image);
  const word = (at: number): number => (image[at] ?? 0) | ((image[at + 1] ?? 0) << 8);
  const mxcsr = word(24);
  const pending = vector === VECTOR.MF ? word(2) & ~word(0) : mxcsr & ~(mxcsr >>> MXCSR.MASK_SHIFT);
  return FLOAT_CODES.find(([flags]) => (pending & flags) !== 0)?.[1] ?? 0;
}

/** kernelTrap: interrupts of the idle loop, and NMIs. An exception in the kernel is a bug: there is no kernel code that may fault. */
function kernelTrap(k: Kernel, hart: X86Hart): void {
  const vector = hart.gprLo(GPR.rdi);
  const at = hart.gpr(GPR.rdx);
  if (vector === VECTOR.NMI) {
    k.probes.log?.(`NMI on hart ${hart.id} at ${symbolize(at) ?? hexNumber64(at)}`);
    return;
  }
  if (vector < FIRST_INTERRUPT_VECTOR) {
    const cr2 = hart.systemRegister("cr2");
    throw new KernelBug(
      `${describeCause(vector, false)} in the kernel at ${symbolize(at) ?? hexNumber64(at)}, error code ${hart.gprLo(GPR.rsi)}, cr2 ${hex64(cr2.hi, cr2.lo)}`,
    );
  }
  k.probes.trapStep?.(hart.id, "kerneltrap", { cause: vector, interrupt: 1 });
  handleKernelInterrupt(k, hart.id, acknowledge(k, vector));
}

/**
 * What kind of interrupt it is. A device's is ended once it is served (devices.ts); what the local APIC itself makes, here. A spurious
 * one is of nobody and is not ended: like an inter-processor interrupt it lets the hart look at everything again.
 */
function acknowledge(k: Kernel, vector: number): "timer" | "external" | "interprocessor" {
  switch (vector) {
    case INTERRUPT.timer:
      endInterrupt(k);
      return "timer";
    case INTERRUPT.interprocessor:
      endInterrupt(k);
      return "interprocessor";
    case INTERRUPT.spurious:
      return "interprocessor";
    default:
      return "external";
  }
}

/** usertrapret: prepares the way out; machine code then loads the registers and returns to user mode. */
export function resumeUser(k: Kernel, hartId: number, thread: Thread): void {
  const hart = hartOf(k, hartId);
  const state = k.state.harts[hartId];
  if (state === undefined) throw new KernelBug(`no hart ${hartId}`);
  const { space } = thread.process;
  const { kernelSpace } = k.state.memory;
  if (state.floatOwner !== thread.tid) {
    saveOwner(k, hartId);
    loadFloats(k, hartId, thread);
  }
  const { memory } = k;
  const { trapframe, trapframeAddress } = thread;
  const addresses = kernelAddresses();
  // These are the same at each return to the same hart: 2 reads instead of 8 stores on the path of a system call.
  if (
    memory.read32(trapframe + TRAPFRAME.kernelTrap) !== (addresses.usertrap | 0) ||
    memory.read32(trapframe + TRAPFRAME.hartId) !== hartId
  ) {
    const root = rootRegisterOf(kernelSpace, 0);
    memory.write32(trapframe + TRAPFRAME.kernelCr3, root.lo);
    memory.write32(trapframe + TRAPFRAME.kernelCr3 + 4, root.hi | CR3_HI_NO_FLUSH);
    writeField(memory, trapframe, TRAPFRAME.kernelStack, state.kernelStack);
    writeField(memory, trapframe, TRAPFRAME.kernelTrap, addresses.usertrap);
    writeField(memory, trapframe, TRAPFRAME.hartId, hartId);
  }
  k.probes.trapStep?.(hartId, "usertrapret", { tid: thread.tid, epc: readField(memory, trapframe, TRAPFRAME.rip) });

  const frame = trapframeAddress + TRAPFRAME.registers;
  hart.setGpr(GPR.rsp, frame | 0, highHalf(frame));
  const root = rootRegisterOf(space, space.asid);
  hart.setGpr(GPR.rax, root.lo, root.hi | CR3_HI_NO_FLUSH);
  hart.setPc(mayUseSysret(k, trapframe) ? addresses.usersysret : addresses.userret);
}

const RIP = TRAPFRAME.rip;
const RCX = trapframeOffset(GPR.rcx);
const R11 = trapframeOffset(GPR.r11);

/**
 * SYSRET takes rip from rcx and rflags from r11, and traps at once where it sets TF. It is right only where the registers are as
 * `syscall` leaves them, whatever brought the thread here; that rip is canonical it checks in the kernel's mode, with the user's stack
 * (#GP): so only for user addresses.
 */
function mayUseSysret(k: Kernel, trapframe: number): boolean {
  const { memory } = k;
  const ripHi = memory.read32(trapframe + RIP + 4);
  const rflags = memory.read32(trapframe + TRAPFRAME.rflags);
  if (ripHi >>> 15 !== 0) {
    if (virtualSign(ripHi)) return false;
    throw new KernelBug(`a return to rip ${hex64(ripHi, memory.read32(trapframe + RIP))}, which is not canonical`);
  }
  return (
    memory.read32(trapframe + RIP) === memory.read32(trapframe + RCX) &&
    ripHi === memory.read32(trapframe + RCX + 4) &&
    rflags === memory.read32(trapframe + R11) &&
    (rflags & (RFLAGS.TF | RFLAGS.RF)) === 0
  );
}

/** Whether the high half is that of an address of the upper half. */
const virtualSign = (hi: number): boolean => hi >> 15 === -1;

/** Into the idle loop: hlt with interrupts enabled, on an empty kernel stack. */
export function resumeIdle(k: Kernel, hartId: number): void {
  const hart = hartOf(k, hartId);
  saveOwner(k, hartId);
  const state = k.state.harts[hartId];
  if (state !== undefined) hart.setGprNumber(GPR.rsp, state.kernelStack);
  k.probes.trapStep?.(hartId, "idle", {});
  hart.setPc(kernelAddresses().idle);
}

/** The time-stamp counter counts nanoseconds of virtual time; a deadline of 0 is none. */
export function setTimer(k: Kernel, hartId: number, atNs: number | undefined): void {
  const deadline = atNs === undefined || atNs === Infinity ? 0 : Math.max(1, Math.ceil(atNs));
  hartOf(k, hartId).setSystemRegister("tscDeadline", deadline | 0, highHalf(deadline));
}

/**
 * Sends the hart to kernel text that loads from an unmapped address, on the kernel's stack and page table. It may wait in `hlt`, from
 * which only an NMI wakes it then.
 */
export function provokeFault(k: Kernel, hartId: number): void {
  const hart = hartOf(k, hartId);
  const root = rootRegisterOf(k.state.memory.kernelSpace, 0);
  const state = k.state.harts[hartId];
  for (const [segment, selector] of [
    [SEGMENT.cs, SELECTORS.kernelCode],
    [SEGMENT.ss, SELECTORS.kernelData],
  ] as const) {
    const attributes = SEGMENT_ATTRIBUTES.get(selector) ?? 0;
    hart.setSegment(segment, { selector, base: { hi: 0, lo: 0 }, limit: 0xffff_ffff, attributes });
  }
  hart.setSystemRegister("cr3", root.lo, root.hi);
  // No interrupt may come between: its handler would schedule, and the fault would never happen.
  hart.setRflags(RFLAGS.ONE);
  if (state !== undefined) hart.setGprNumber(GPR.rsp, state.kernelStack);
  hart.setPc(symbolAddress("fault"));
  sendNonMaskableInterrupt(k, hartId);
}

/** As invlpg and invpcid. */
export function flushTlb(k: Kernel, hartId: number, address: VirtAddr | undefined, asid: number | undefined): void {
  hartOf(k, hartId).flush(address, asid);
}

/** The hart's registers, for a report. */
export function describeHart(from: Hart): string {
  const hart = x86Hart(from);
  const pc = symbolize(hart.pc);
  const lines = [`hart ${hart.id}: rip ${hexNumber64(hart.pc)}${pc === undefined ? "" : ` (${pc})`}, CPL ${hart.cpl}`];
  for (let row = 0; row < GPR_NAMES.length; row += 4) {
    const cells = GPR_NAMES.slice(row, row + 4).map(
      (name, column) => `${name.padStart(4)} ${hex64(hart.gprHi(row + column), hart.gprLo(row + column))}`,
    );
    lines.push(cells.join(" "));
  }
  const system = (["cr0", "cr2", "cr3", "cr4", "gsBase", "kernelGsBase"] as const).map((name) => {
    const { hi, lo } = hart.systemRegister(name);
    return `${name} ${hex64(hi, lo)}`;
  });
  const selectors = (["cs", "ss"] as const).map(
    (name) => `${name} ${hart.segment(SEGMENT[name]).selector.toString(16)}`,
  );
  lines.push(system.slice(0, 4).join(" "), system.slice(4).join(" "));
  lines.push(`${selectors.join(" ")} rflags ${hart.rflags.toString(16)}`);
  return lines.join("\n");
}

/** Saves the registers of the thread whose they are, before another's are loaded or it may move. */
function saveOwner(k: Kernel, hartId: number): void {
  const owner = k.state.harts[hartId]?.floatOwner;
  const thread = owner === undefined ? undefined : k.state.threads.get(owner);
  if (thread !== undefined) saveFloats(k, thread);
}

type KernelAddresses = Readonly<Record<"userret" | "usersysret" | "usertrap" | "idle", number>>;
let known: KernelAddresses | undefined;

/** Addresses of the machine code, looked up once: they are on the path of every system call. */
function kernelAddresses(): KernelAddresses {
  known ??= {
    userret: symbolAddress("userret"),
    usersysret: symbolAddress("usersysret"),
    usertrap: symbolAddress("usertrap"),
    idle: symbolAddress("idle"),
  };
  return known;
}
