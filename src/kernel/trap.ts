// What the kernel does when a hart has trapped into it. The architecture's usertrap has saved the registers and read the cause;
// on return from here the hart has been told where to go on (scheduler.ts, leaveKernel).
//
//   syscall          dispatch by number              page-fault   make the access possible, or a signal
//   fault            a signal for the thread         timer        deadlines, end of the slice
//   external         a device wants attention        interprocessor   look at the run queue and at signals again
//
// Whatever brought the hart here, it first answers what other harts have asked of its TLB (mem/shootdown.ts). Nothing is begun for a
// thread whose space has a shootdown under way: its call waits, and a fault comes again.

import type { VirtAddr } from "../lib/address.ts";
import { signalName, SI_KERNEL, SIGNALS, type SignalName } from "../abi/linux/signals.ts";
import type { Kernel } from "./kernel.ts";
import { handlePageFault } from "./mem/fault.ts";
import { balanceMemory } from "./mem/reclaim.ts";
import { answerRequests, framesInLimbo, isHeld, LIMBO_KEY } from "./mem/shootdown.ts";
import type { FaultAccess } from "./mem/types.ts";
import { killForMemory } from "./process/memory-killer.ts";
import { chargeUserTime, expireDeadlines, leaveKernel } from "./process/scheduler.ts";
import { forceSignal } from "./process/signals.ts";
import type { Thread } from "./process/types.ts";
import { handleSyscall } from "./syscall/dispatch.ts";
import { block } from "./wait.ts";

/** Why a hart came out of user mode. */
export type Trap =
  | { readonly kind: "syscall" }
  | { readonly kind: "page-fault"; readonly address: VirtAddr; readonly access: FaultAccess }
  /** The thread's own doing: illegal instruction, breakpoint, misaligned atomic, access outside memory. */
  | { readonly kind: "fault"; readonly signal: SignalName; readonly code: number; readonly address: number }
  | { readonly kind: "timer" }
  | { readonly kind: "external" }
  | { readonly kind: "interprocessor" };

/** Serves a trap from user mode and leaves the kernel, into the same thread or another. */
export function handleUserTrap(k: Kernel, hart: number, thread: Thread, trap: Trap): void {
  k.state.scheduler.kernelHart = hart;
  answerRequests(k, hart, isInterrupt(trap) ? thread.tid : undefined);
  chargeUserTime(k, thread);
  switch (trap.kind) {
    case "syscall":
      handleSyscall(k, hart, thread);
      break;
    case "page-fault":
      servePageFault(k, thread, trap.address, trap.access);
      break;
    case "fault":
      raiseFault(k, thread, trap);
      break;
    default:
      serveInterrupt(k, hart, trap.kind);
  }
  balanceMemory(k);
  leaveKernel(k, hart);
}

function isInterrupt({ kind }: Trap): boolean {
  return kind === "timer" || kind === "external" || kind === "interprocessor";
}

/** Serves an interrupt that arrived in the idle loop, and leaves the kernel. */
export function handleKernelInterrupt(k: Kernel, hart: number, kind: "timer" | "external" | "interprocessor"): void {
  k.state.scheduler.kernelHart = hart;
  answerRequests(k, hart);
  serveInterrupt(k, hart, kind);
  leaveKernel(k, hart);
}

function serveInterrupt(k: Kernel, hart: number, kind: "timer" | "external" | "interprocessor"): void {
  k.state.counters.interrupts += 1;
  if (kind === "timer") {
    // The comparator stays where it was: whatever is armed next differs from it.
    k.state.scheduler.armed[hart] = undefined;
    k.arch.setTimer(k, hart, undefined);
    expireDeadlines(k);
  } else if (kind === "external") {
    k.arch.serveDevices(k, hart);
  }
  // An inter-processor interrupt has no work of its own: leaving the kernel looks at everything again.
}

function servePageFault(k: Kernel, thread: Thread, address: VirtAddr, access: FaultAccess): void {
  const { process } = thread;
  if (isHeld(process.space)) return; // the access is tried again when the thread goes on
  const outcome = handlePageFault(k, process.space, address, access);
  switch (outcome.kind) {
    case "resolved":
      k.probes.pageFault?.(thread, address, access, outcome.how);
      if (outcome.how === "swapped in") thread.usage.majorFaults += 1;
      else thread.usage.minorFaults += 1;
      return;
    case "signal":
      k.probes.pageFault?.(thread, address, access, outcome.signal);
      raiseFault(k, thread, { signal: outcome.signal, code: outcome.code, address });
      return;
    case "out-of-memory":
      k.probes.pageFault?.(thread, address, access, "out of memory");
      // The access is tried again when the thread next runs: by then what lies in limbo is free, or the victim's memory is, or the
      // thread is the victim.
      if (framesInLimbo(k) > 0) block(k, thread, [LIMBO_KEY]);
      else killForMemory(k, thread);
      return;
  }
}

function raiseFault(k: Kernel, thread: Thread, fault: { signal: SignalName; code: number; address: number }): void {
  const signal = SIGNALS[fault.signal];
  const { process } = thread;
  const pc = k.arch.programCounter(k, thread);
  k.probes.log?.(
    `${process.name}[${thread.tid}]: ${signalName(signal)} at pc ${hex(pc)}, address ${hex(fault.address)}, code ${fault.code}`,
  );
  forceSignal(k, thread, { signal, code: fault.code === 0 ? SI_KERNEL : fault.code, address: fault.address });
}

function hex(address: number): string {
  return address < 0 ? `-0x${(-address).toString(16)}` : `0x${address.toString(16)}`;
}
