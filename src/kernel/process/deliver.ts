// Delivering signals, on the way out of the kernel. signal(7).
//
//   pending, not blocked ──> default action: ignore | stop | terminate        ──> the thread goes on, stops, or ends
//                       ──> handler: the interrupted call is settled first (EINTR, or begun anew after the handler),
//                           then the architecture builds the frame on the user stack
//
// Order: the thread's own signals before the process's, the faults of this instruction first, then by number.

import { ERRNO } from "../../abi/linux/errno.ts";
import { RLIMIT_CORE } from "../../abi/linux/process.ts";
import {
  defaultAction,
  SA_NODEFER,
  SA_RESETHAND,
  SA_RESTART,
  SIG_DFL,
  SIG_IGN,
  SIGNALS,
} from "../../abi/linux/signals.ts";
import type { Kernel } from "../kernel.ts";
import { exitProcess } from "./exit.ts";
import { hasSignal, maskOf, unionSignals, withSignal } from "./signal-set.ts";
import { actionOf, forceSignal, isOrphanedGroup, kernelSignal, setAction, stopProcess } from "./signals.ts";
import type { SignalInfo, SignalSet, Thread } from "./types.ts";

/** What delivery left behind. */
export type Delivery = "resume" | "gone" | "stopped";

/** Takes every deliverable signal. "resume": the thread may go on (perhaps in a handler). */
export function deliverSignals(k: Kernel, thread: Thread): Delivery {
  const { process } = thread;
  for (;;) {
    const info = takeSignal(thread);
    if (info === undefined) break;
    const action = actionOf(process, info.signal);
    if (action.handler === SIG_IGN) {
      k.probes.signalDeliver?.(thread, info, "ignore");
      continue;
    }
    if (action.handler === SIG_DFL) {
      const outcome = takeDefaultAction(k, thread, info);
      if (outcome !== "resume") return outcome;
      continue;
    }
    k.probes.signalDeliver?.(thread, info, "handler");
    settleInterruptedCall(k, thread, (action.flags & SA_RESTART) !== 0);
    runHandler(k, thread, info);
  }
  if (thread.currentCall === undefined) restoreSignalMask(thread);
  return "resume";
}

/** Ends the effect of a temporary mask, where one is in force. */
export function restoreSignalMask(thread: Thread): void {
  if (thread.savedSignalMask === undefined) return;
  thread.signalMask = thread.savedSignalMask;
  thread.savedSignalMask = undefined;
}

/** Removes and returns the next signal in `accepts` (all that are not blocked, by default) from the thread's queues. */
export function takeSignal(thread: Thread, accepts?: Readonly<SignalSet>): SignalInfo | undefined {
  return takeFrom(thread.pendingSignals, thread, accepts) ?? takeFrom(thread.process.pendingSignals, thread, accepts);
}

function takeFrom(
  queue: SignalInfo[],
  thread: Thread,
  accepts: Readonly<SignalSet> | undefined,
): SignalInfo | undefined {
  let best: SignalInfo | undefined;
  for (const info of queue) {
    const isWanted =
      accepts === undefined ? !hasSignal(thread.signalMask, info.signal) : hasSignal(accepts, info.signal);
    if (isWanted && (best === undefined || rank(info) < rank(best))) best = info;
  }
  if (best !== undefined) queue.splice(queue.indexOf(best), 1);
  return best;
}

const FAULTS: ReadonlySet<number> = new Set([
  SIGNALS.SIGSEGV,
  SIGNALS.SIGBUS,
  SIGNALS.SIGILL,
  SIGNALS.SIGTRAP,
  SIGNALS.SIGFPE,
  SIGNALS.SIGSYS,
]);

function rank(info: SignalInfo): number {
  if (info.signal === SIGNALS.SIGKILL) return -1;
  return FAULTS.has(info.signal) ? 0 : info.signal;
}

function takeDefaultAction(k: Kernel, thread: Thread, info: SignalInfo): Delivery {
  const { process } = thread;
  // Pid 1 dies of its own faults alone.
  const isSpared = process.pid === 1 && !(info.code > 0 && FAULTS.has(info.signal));
  const standard = isSpared ? "ignore" : defaultAction(info.signal);
  k.probes.signalDeliver?.(thread, info, standard === "ignore" ? "ignore" : "default");
  switch (standard) {
    case "ignore":
    case "continue":
      return "resume";
    case "stop":
      if (info.signal !== SIGNALS.SIGSTOP && isOrphanedGroup(k, process.processGroup)) return "resume";
      stopProcess(k, process, info.signal);
      return "stopped";
    case "terminate":
    case "core": {
      // No core file is written, but the status says what Linux would: a dump where RLIMIT_CORE allows one.
      const coreDumped = standard === "core" && (process.limits[RLIMIT_CORE]?.soft ?? 0) > 0;
      exitProcess(k, process, { kind: "signaled", signal: info.signal, coreDumped });
      return "gone";
    }
  }
}

/** The call that the signal interrupted either fails with EINTR or is begun anew once the handler returns. */
function settleInterruptedCall(k: Kernel, thread: Thread, mayRestart: boolean): void {
  const call = thread.currentCall;
  if (call === undefined) return;
  const row = k.arch.systemCalls.get(call.number);
  const restarts = mayRestart && row?.onSignal !== "interrupt" && thread.restart?.neverRestart !== true;
  k.probes.syscallExit?.(thread, call.number, row, call.args, restarts ? "ERESTART" : "EINTR");
  if (!restarts) {
    k.arch.setSyscallResult(k, thread, -ERRNO.EINTR);
    k.arch.advancePastSyscall(k, thread);
  }
  thread.currentCall = undefined;
  thread.restart = undefined;
}

function runHandler(k: Kernel, thread: Thread, info: SignalInfo): void {
  const action = actionOf(thread.process, info.signal);
  const reset = { ...action, handler: SIG_DFL };
  if ((action.flags & SA_RESETHAND) !== 0) setAction(thread.process, info.signal, reset);
  const maskToRestore = thread.savedSignalMask ?? thread.signalMask;
  if (!k.arch.pushSignalFrame(k, thread, info.signal, action, info, maskToRestore)) {
    // The frame does not fit: a SIGSEGV, which cannot be handled if it was the one that failed.
    if (info.signal === SIGNALS.SIGSEGV) setAction(thread.process, info.signal, reset);
    forceSignal(k, thread, kernelSignal(SIGNALS.SIGSEGV));
    return;
  }
  thread.savedSignalMask = undefined;
  const during = unionSignals(thread.signalMask, action.mask);
  thread.signalMask = maskOf((action.flags & SA_NODEFER) !== 0 ? during : withSignal(during, info.signal));
}
