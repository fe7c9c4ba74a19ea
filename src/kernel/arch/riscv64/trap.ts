// The TypeScript half of the trap path: what each `kentry` instruction of kernel text calls, and the way back.
//
//   user trap ──> uservec ──> usertrap ──> handleUserTrap (../../trap.ts) ──> schedule ──> resumeUser ──> userret ──> sret
//                                                                                     └──> resumeIdle ──> wfi
//   trap in the idle loop ──> kernelvec ──> kernelTrap ──> handleKernelInterrupt ──> schedule ──┘ or back by sret
//
// Here scause, sepc and stval are read and sepc, sstatus, satp set; what a trap means is for the core kernel.
// RISC-V privileged architecture, table of scause values; scause 8 is a system call (K3, X3).

import type { VirtAddr } from "../../../lib/address.ts";
import { hexNumber64, highHalf, toNumber } from "../../../lib/word64.ts";
import { describeException, EXCEPTION, INTERRUPT } from "../../../isa/riscv64/causes.ts";
import { CSR, INTERRUPT_BIT, MSTATUS, PRIVILEGE } from "../../../isa/riscv64/csrs.ts";
import { X_REGISTER_NAMES } from "../../../isa/riscv64/registers.ts";
import { VIRT } from "../../../machine/boards/virt-map.ts";
import type { Hart } from "../../../machine/hart.ts";
import type { RiscvHart } from "../../../machine/riscv64/hart.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { leaveKernel } from "../../process/scheduler.ts";
import type { Thread } from "../../process/types.ts";
import { handleKernelInterrupt, handleUserTrap, type Trap } from "../../trap.ts";
import { rootRegisterOf, start, symbolAddress, symbolize } from "./boot.ts";
import { hartOf, loadFloats, riscvHart, saveFloats } from "./context.ts";
import { ENTRY } from "./entries.ts";
import { initializeHart } from "./hart.ts";
import { TRAPFRAME, writeField } from "./trapframe.ts";

/** What start-up does once memory works: mount the root, make the first process. */
export type StartUser = (k: Kernel) => void;

/** Linux si_code values for traps that are not page faults. */
const ILL_ILLOPC = 1;
const TRAP_BRKPT = 1;
const BUS_ADRALN = 1;
const SEGV_ACCERR = 2;

/** Register numbers. */
const SP = 2;
const A0 = 10;
const A1 = 11;
/** Ticks of 100 ns. */
const NS_PER_TICK = 1e9 / VIRT.timebaseHz;

/** The function behind `kentry entry`. */
export function enterKernel(k: Kernel, hart: Hart, entry: number, startUser: StartUser): void {
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
      userTrap(k, riscvHart(hart));
      return;
    case ENTRY.kernelTrap:
      kernelTrap(k, riscvHart(hart));
      return;
    default:
      throw new KernelBug(`kernel entry ${entry} reached on hart ${hart.id}`);
  }
}

/** usertrap: the user's pc into the trapframe, the kernel's trap vector, and the cause to the core kernel. */
function userTrap(k: Kernel, hart: RiscvHart): void {
  const tid = k.state.scheduler.current[hart.id];
  const thread = tid === undefined ? undefined : k.state.threads.get(tid);
  if (thread === undefined) throw new KernelBug(`a user trap on hart ${hart.id}, which runs no thread`);
  const { hi, lo } = hart.readCsr(CSR.scause);
  const epc = hart.readCsr(CSR.sepc);
  k.memory.write32(thread.trapframe + TRAPFRAME.epc, epc.lo);
  k.memory.write32(thread.trapframe + TRAPFRAME.epc + 4, epc.hi);
  setVector(hart, kernelAddresses().kernelvec);
  k.probes.trapStep?.(hart.id, "usertrap", {
    cause: lo,
    interrupt: hi < 0 ? 1 : 0,
    epc: toNumber(epc.hi, epc.lo),
    tid: thread.tid,
  });
  if (hi < 0) {
    handleUserTrap(k, hart.id, thread, { kind: acknowledge(hart, lo) });
  } else {
    handleUserTrap(k, hart.id, thread, describeTrap(hart, lo));
  }
}

/** Traps by exception code. Codes that U-mode cannot raise are a bug. */
function describeTrap(hart: RiscvHart, code: number): Trap {
  const address = hart.csrNumber(CSR.stval) as VirtAddr;
  switch (code) {
    case EXCEPTION.userEnvironmentCall:
      return { kind: "syscall" };
    case EXCEPTION.instructionPageFault:
      return { kind: "page-fault", address, access: "execute" };
    case EXCEPTION.loadPageFault:
      return { kind: "page-fault", address, access: "read" };
    case EXCEPTION.storePageFault:
      return { kind: "page-fault", address, access: "write" };
    case EXCEPTION.illegalInstruction:
      return { kind: "fault", signal: "SIGILL", code: ILL_ILLOPC, address: hart.csrNumber(CSR.sepc) as VirtAddr };
    case EXCEPTION.breakpoint:
      return { kind: "fault", signal: "SIGTRAP", code: TRAP_BRKPT, address: hart.csrNumber(CSR.sepc) as VirtAddr };
    case EXCEPTION.instructionAddressMisaligned:
    case EXCEPTION.loadAddressMisaligned:
    case EXCEPTION.storeAddressMisaligned:
      return { kind: "fault", signal: "SIGBUS", code: BUS_ADRALN, address };
    case EXCEPTION.instructionAccessFault:
    case EXCEPTION.loadAccessFault:
    case EXCEPTION.storeAccessFault:
      return { kind: "fault", signal: "SIGSEGV", code: SEGV_ACCERR, address };
    default:
      throw new KernelBug(`user trap with cause ${code}, ${describeException(code)}`);
  }
}

/** kernelTrap: interrupts of the idle loop. An exception in supervisor mode is a bug: there is no kernel code that may fault. */
function kernelTrap(k: Kernel, hart: RiscvHart): void {
  const { hi, lo } = hart.readCsr(CSR.scause);
  if (hi >= 0) {
    const at = hart.csrNumber(CSR.sepc);
    throw new KernelBug(
      `${describeException(lo)} in the kernel at ${symbolize(at) ?? hexNumber64(at)}, stval ${hexNumber64(hart.csrNumber(CSR.stval))}`,
    );
  }
  k.probes.trapStep?.(hart.id, "kerneltrap", { cause: lo, interrupt: 1 });
  handleKernelInterrupt(k, hart.id, acknowledge(hart, lo));
}

/**
 * What kind of interrupt it is. The timer's and the devices' pending bits follow their sources, which the core kernel quiets; the
 * software interrupt's is ours to clear.
 */
function acknowledge(hart: RiscvHart, code: number): "timer" | "external" | "interprocessor" {
  switch (code) {
    case INTERRUPT.supervisorTimer:
      return "timer";
    case INTERRUPT.supervisorExternal:
      return "external";
    case INTERRUPT.supervisorSoftware: {
      const { hi, lo } = hart.readCsr(CSR.sip);
      hart.writeCsr(CSR.sip, lo & ~INTERRUPT_BIT.SSI, hi);
      return "interprocessor";
    }
    default:
      throw new KernelBug(`interrupt ${code} on hart ${hart.id}`);
  }
}

/** usertrapret: prepares the way out; userret in machine code then loads the registers and returns to user mode. */
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
  const { trapframe } = thread;
  const addresses = kernelAddresses();
  // These are the same at each return to the same hart: 2 reads instead of 8 stores on the path of a system call.
  if (
    memory.read32(trapframe + TRAPFRAME.kernelTrap) !== (addresses.usertrap | 0) ||
    memory.read32(trapframe + TRAPFRAME.hartId) !== hartId
  ) {
    const kernelSatp = rootRegisterOf(kernelSpace, 0);
    memory.write32(trapframe + TRAPFRAME.kernelSatp, kernelSatp.lo);
    memory.write32(trapframe + TRAPFRAME.kernelSatp + 4, kernelSatp.hi);
    writeField(memory, trapframe, TRAPFRAME.kernelStack, state.kernelStack);
    writeField(memory, trapframe, TRAPFRAME.kernelTrap, addresses.usertrap);
    writeField(memory, trapframe, TRAPFRAME.hartId, hartId);
  }
  const epcLo = memory.read32(trapframe + TRAPFRAME.epc);
  const epcHi = memory.read32(trapframe + TRAPFRAME.epc + 4);
  k.probes.trapStep?.(hartId, "usertrapret", { tid: thread.tid, epc: toNumber(epcHi, epcLo) });

  setVector(hart, addresses.uservec);
  // sret goes to user mode (SPP = 0) with interrupts enabled (SPIE): a trap from there leaves them so, the idle loop does not.
  const status = hart.readCsr(CSR.sstatus);
  const wanted = (status.lo & ~(MSTATUS.SPP | MSTATUS.SIE)) | MSTATUS.SPIE;
  if (status.lo !== wanted) hart.writeCsr(CSR.sstatus, wanted, status.hi);
  hart.writeCsr(CSR.sepc, epcLo, epcHi);
  hart.writeCsr(CSR.sscratch, thread.trapframeAddress | 0, highHalf(thread.trapframeAddress));
  const satp = rootRegisterOf(space, space.asid);
  hart.setXNumber(A0, thread.trapframeAddress);
  hart.setX(A1, satp.lo, satp.hi);
  hart.setPc(addresses.userret);
}

/** Into the idle loop: wfi with interrupts enabled, on an empty kernel stack. */
export function resumeIdle(k: Kernel, hartId: number): void {
  const hart = hartOf(k, hartId);
  saveOwner(k, hartId);
  const state = k.state.harts[hartId];
  if (state !== undefined) hart.setXNumber(SP, state.kernelStack);
  k.probes.trapStep?.(hartId, "idle", {});
  const status = hart.readCsr(CSR.sstatus);
  hart.writeCsr(CSR.sstatus, status.lo | MSTATUS.SIE, status.hi);
  hart.setPc(kernelAddresses().idle);
}

export function setTimer(k: Kernel, hartId: number, atNs: number | undefined): void {
  const hart = hartOf(k, hartId);
  if (atNs === undefined || atNs === Infinity) {
    hart.writeCsr(CSR.stimecmp, -1, -1);
  } else {
    const tick = Math.ceil(Math.max(0, atNs) / NS_PER_TICK);
    hart.writeCsr(CSR.stimecmp, tick | 0, highHalf(tick));
  }
}

/** Sends the hart to kernel text that loads from an unmapped address, on the kernel's stack and page table. */
export function provokeFault(k: Kernel, hartId: number): void {
  const hart = hartOf(k, hartId);
  const satp = rootRegisterOf(k.state.memory.kernelSpace, 0);
  hart.setPrivilege(PRIVILEGE.supervisor);
  hart.writeCsr(CSR.satp, satp.lo, satp.hi);
  setVector(hart, kernelAddresses().kernelvec);
  // No interrupt may come between: its handler would schedule, and the fault would never happen.
  const status = hart.readCsr(CSR.sstatus);
  hart.writeCsr(CSR.sstatus, status.lo & ~MSTATUS.SIE, status.hi);
  const state = k.state.harts[hartId];
  if (state !== undefined) hart.setXNumber(SP, state.kernelStack);
  hart.setPc(symbolAddress("fault"));
}

export function flushTlb(k: Kernel, hartId: number, address: VirtAddr | undefined, asid: number | undefined): void {
  hartOf(k, hartId).sfence(address, asid);
}

/** The hart's registers, for a report. */
export function describeHart(neutral: Hart): string {
  const hart = riscvHart(neutral);
  const pc = symbolize(hart.pc);
  const lines = [
    `hart ${hart.id}: pc ${hexNumber64(hart.pc)}${pc === undefined ? "" : ` (${pc})`}, privilege ${hart.privilege}`,
  ];
  for (let row = 0; row < 32; row += 4) {
    const cells = [0, 1, 2, 3].map((column) => {
      const number = row + column;
      const value = `${(hart.xHi(number) >>> 0).toString(16).padStart(8, "0")}${(hart.xLo(number) >>> 0).toString(16).padStart(8, "0")}`;
      return `${(X_REGISTER_NAMES[number] ?? "").padStart(4)} ${value}`;
    });
    lines.push(cells.join(" "));
  }
  const csrs = (["sstatus", "scause", "sepc", "stval", "satp", "stvec"] as const).map((name) => {
    const { hi, lo } = hart.readCsr(CSR[name]);
    return `${name} ${(hi >>> 0).toString(16).padStart(8, "0")}${(lo >>> 0).toString(16).padStart(8, "0")}`;
  });
  lines.push(csrs.slice(0, 3).join(" "), csrs.slice(3).join(" "));
  const returnsTo = symbolize(hart.x(1));
  if (returnsTo !== undefined) lines.push(`called from ${returnsTo}`);
  return lines.join("\n");
}

/** Saves the floating-point registers of the thread whose they are, before another's are loaded or it may move. */
function saveOwner(k: Kernel, hartId: number): void {
  const owner = k.state.harts[hartId]?.floatOwner;
  const thread = owner === undefined ? undefined : k.state.threads.get(owner);
  if (thread !== undefined) saveFloats(k, thread);
}

function setVector(hart: RiscvHart, address: number): void {
  hart.writeCsr(CSR.stvec, address | 0, highHalf(address));
}

type KernelAddresses = Readonly<Record<"kernelvec" | "uservec" | "userret" | "usertrap" | "idle", number>>;
let known: KernelAddresses | undefined;

/** Addresses of the machine code, looked up once: they are on the path of every system call. */
function kernelAddresses(): KernelAddresses {
  known ??= {
    kernelvec: symbolAddress("kernelvec"),
    uservec: symbolAddress("uservec"),
    userret: symbolAddress("userret"),
    usertrap: symbolAddress("usertrap"),
    idle: symbolAddress("idle"),
  };
  return known;
}
