// Sending signals: queues, job control, and whom a signal wakes. Delivery is in deliver.ts. signal(7), kill(2).
//
//   kill, faults, the tty, timers ──> queueSignal ──> thread.pendingSignals or process.pendingSignals ──> deliver.ts
//                                         |
//                                         +── stop and continue act at once; a thread that would take it leaves its wait
//
// A standard signal that is already pending in the same queue is dropped; real-time signals queue up to RLIMIT_SIGPENDING.

import {
  CLD_CONTINUED,
  CLD_STOPPED,
  defaultAction,
  SA_NOCLDSTOP,
  SI_KERNEL,
  SI_USER,
  SIG_DFL,
  SIG_IGN,
  SIGNALS,
  SIGRTMIN,
} from "../../abi/linux/signals.ts";
import { RLIMIT_SIGPENDING } from "../../abi/linux/process.ts";
import type { Kernel } from "../kernel.ts";
import { unblock, wake } from "../wait.ts";
import { hasSignal, withoutSignal } from "./signal-set.ts";
import type { Process, SignalAction, SignalInfo, SignalTable, Thread } from "./types.ts";

/** Signals that one queue holds at most, whatever the limit says: each costs memory of the host. */
const MAX_QUEUED = 16384;

/** A table with every disposition at its default. */
export function createSignalTable(): SignalTable {
  return { actions: Array.from({ length: 65 }, () => DEFAULT_ACTION), sharers: 1 };
}

/** The disposition that a program starts with, and that of a signal that it was started to ignore. */
export const DEFAULT_ACTION: SignalAction = { handler: SIG_DFL, flags: 0, restorer: 0, mask: { lo: 0, hi: 0 } };
export const IGNORE_ACTION: SignalAction = { ...DEFAULT_ACTION, handler: SIG_IGN };

export function cloneSignalTable(table: SignalTable): SignalTable {
  return { actions: [...table.actions], sharers: 1 };
}

/** The disposition of `signal`, which must be 1..64. */
export function actionOf(process: Process, signal: number): SignalAction {
  return process.signals.actions[signal] ?? DEFAULT_ACTION;
}

/** Sets the disposition of `signal`, which must be 1..64. */
export function setAction(process: Process, signal: number, action: SignalAction): void {
  process.signals.actions[signal] = action;
}

/** siginfo of a signal that the kernel itself sends. */
export const kernelSignal = (signal: number): SignalInfo => ({ signal, code: SI_KERNEL });

/** siginfo of kill(2) by `process`. */
export const userSignal = (signal: number, process: Process): SignalInfo => ({
  signal,
  code: SI_USER,
  pid: process.pid,
  uid: process.credentials.uid,
});

/** Sends a signal to a process as a whole; any of its threads may take it. */
export function sendSignal(k: Kernel, process: Process, info: SignalInfo): 0 | "EAGAIN" {
  return queueSignal(k, process, undefined, info);
}

/** Sends a signal to one thread. */
export function sendThreadSignal(k: Kernel, thread: Thread, info: SignalInfo): 0 | "EAGAIN" {
  return queueSignal(k, thread.process, thread, info);
}

/** Sends to every process of a group. Returns how many there were. */
export function sendGroupSignal(k: Kernel, processGroup: number, info: SignalInfo): number {
  let count = 0;
  for (const process of [...k.state.processes.values()]) {
    if (process.processGroup !== processGroup || process.threads.length === 0) continue;
    sendSignal(k, process, info);
    count += 1;
  }
  return count;
}

/**
 * A fault of the thread's own: it must be taken now. Blocked or ignored, it gets its default action back, so that the program
 * dies rather than faults for ever.
 */
export function forceSignal(k: Kernel, thread: Thread, info: SignalInfo): void {
  const action = actionOf(thread.process, info.signal);
  if (action.handler === SIG_IGN || hasSignal(thread.signalMask, info.signal)) {
    setAction(thread.process, info.signal, DEFAULT_ACTION);
    thread.signalMask = withoutSignal(thread.signalMask, info.signal);
  }
  k.probes.signalSend?.(thread.process, info);
  thread.pendingSignals.unshift(info);
}

/** Whether a signal is pending that `thread` would act on: it must leave a wait for it. */
export function hasDeliverableSignal(_k: Kernel, thread: Thread): boolean {
  const { process, pendingSignals, signalMask } = thread;
  if (process.groupExit !== undefined || thread.killed) return true;
  if (pendingSignals.length === 0 && process.pendingSignals.length === 0) return false;
  const isDeliverable = (info: SignalInfo): boolean => !hasSignal(signalMask, info.signal);
  return pendingSignals.some(isDeliverable) || process.pendingSignals.some(isDeliverable);
}

/** Whether a fatal SIGKILL is on its way: the only thing that ends an uninterruptible wait. */
export function isDying(thread: Thread): boolean {
  const { process } = thread;
  const isKill = (info: SignalInfo): boolean => info.signal === SIGNALS.SIGKILL;
  return (
    process.groupExit !== undefined ||
    thread.killed ||
    thread.pendingSignals.some(isKill) ||
    process.pendingSignals.some(isKill)
  );
}

/** Puts the threads of a process that is to die in front of all that wait to run: behind a fork bomb their turn is a minute away. */
function hasten(k: Kernel, process: Process): void {
  const { runQueue } = k.state.scheduler;
  const isDoomed = (tid: number): boolean => process.threads.includes(tid);
  const doomed = runQueue.filter(isDoomed);
  if (doomed.length === 0) return;
  const others = runQueue.filter((tid) => !isDoomed(tid));
  [...doomed, ...others].forEach((tid, i) => (runQueue[i] = tid));
}

/** Puts a temporary mask in force until the call under way ends (sigsuspend, ppoll, pselect, epoll_pwait). May be repeated. */
export function useTemporaryMask(thread: Thread, mask: { lo: number; hi: number }): void {
  thread.savedSignalMask ??= thread.signalMask;
  thread.signalMask = mask;
}

/** Key on which sigtimedwait waits. */
export const signalWaitKey = (pid: number): string => `signal:${pid}`;

/** Key on which a parent waits for its children. */
export const childWaitKey = (pid: number): string => `child:${pid}`;

function queueSignal(k: Kernel, process: Process, target: Thread | undefined, info: SignalInfo): 0 | "EAGAIN" {
  const { signal } = info;
  if (process.threads.length === 0 || process.groupExit !== undefined) return 0;
  k.probes.signalSend?.(process, info);
  applyJobControl(k, process, signal);
  const action = actionOf(process, signal);
  const isBlocked = hasSignal((target ?? mainThread(k, process) ?? EVERYTHING_OPEN).signalMask, signal);
  if (!isBlocked && isIgnored(process, signal, action)) return 0;

  const queue = target === undefined ? process.pendingSignals : target.pendingSignals;
  if (signal < SIGRTMIN) {
    if (queue.some((pending) => pending.signal === signal)) return 0;
  } else if (queue.length >= Math.min(process.limits[RLIMIT_SIGPENDING]?.soft ?? Infinity, MAX_QUEUED)) {
    return "EAGAIN";
  }
  queue.push(info);

  if (signal === SIGNALS.SIGKILL) continueProcess(k, process, "silently");
  const taker =
    target === undefined ? chooseTaker(k, process, signal) : hasSignal(target.signalMask, signal) ? undefined : target;
  if (taker !== undefined) interrupt(k, taker);
  if (signal === SIGNALS.SIGKILL) hasten(k, process);
  wake(k, signalWaitKey(process.pid));
  return 0;
}

const EVERYTHING_OPEN = { signalMask: { lo: 0, hi: 0 } };

/** Ignored signals are not even queued. Pid 1 takes only what it has a handler for. */
function isIgnored(process: Process, signal: number, action: SignalAction): boolean {
  if (action.handler === SIG_IGN) return true;
  if (action.handler !== SIG_DFL) return false;
  if (process.pid === 1) return true;
  const standard = defaultAction(signal);
  return standard === "ignore" || standard === "continue";
}

function mainThread(k: Kernel, process: Process): Thread | undefined {
  return k.state.threads.get(process.threads[0] ?? -1);
}

/** The first thread that does not block the signal; one that is not on a hart before one that is. */
function chooseTaker(k: Kernel, process: Process, signal: number): Thread | undefined {
  let running: Thread | undefined;
  for (const tid of process.threads) {
    const thread = k.state.threads.get(tid);
    if (thread === undefined || hasSignal(thread.signalMask, signal)) continue;
    if (thread.state.kind !== "running") return thread;
    running ??= thread;
  }
  return running;
}

/** Gets the thread to look at its signals: out of its wait, or into the kernel if it runs on another hart. */
function interrupt(k: Kernel, thread: Thread): void {
  if (thread.state.kind === "blocked") {
    if (thread.restart?.uninterruptible === true && !isDying(thread)) return;
    unblock(k, thread);
  } else if (thread.state.kind === "running") {
    prodHart(k, thread.state.hart, thread);
  }
}

/** Sends an inter-processor interrupt to a hart other than the one that runs this code for `thread`'s sake. */
export function prodHart(k: Kernel, hart: number, thread: Thread): void {
  if (k.machine.harts.length > 1 && thread.state.kind === "running") k.arch.sendInterprocessorInterrupt(k, hart);
}

/** What a stop or continue signal does at the moment of sending, whether or not it is blocked or handled. */
function applyJobControl(k: Kernel, process: Process, signal: number): void {
  if (signal === SIGNALS.SIGCONT) {
    dropPending(k, process, (pending) => defaultAction(pending) === "stop");
    continueProcess(k, process, "report");
  } else if (defaultAction(signal) === "stop") {
    dropPending(k, process, (pending) => pending === SIGNALS.SIGCONT);
  }
}

function dropPending(k: Kernel, process: Process, matches: (signal: number) => boolean): void {
  const drop = (queue: SignalInfo[]): void => {
    for (let i = queue.length - 1; i >= 0; i--) {
      const info = queue[i];
      if (info !== undefined && matches(info.signal)) queue.splice(i, 1);
    }
  };
  drop(process.pendingSignals);
  for (const tid of process.threads) {
    const thread = k.state.threads.get(tid);
    if (thread !== undefined) drop(thread.pendingSignals);
  }
}

/** Stops every thread at its next step in the kernel, and tells the parent. */
export function stopProcess(k: Kernel, process: Process, signal: number): void {
  process.state = { kind: "stopped", signal, reported: false };
  for (const tid of process.threads) {
    const thread = k.state.threads.get(tid);
    if (thread?.state.kind === "running") prodHart(k, thread.state.hart, thread);
  }
  notifyParentOfChange(k, process, CLD_STOPPED, signal);
}

/** Lets a stopped process run again. */
function continueProcess(k: Kernel, process: Process, manner: "report" | "silently"): void {
  if (process.state.kind !== "stopped") return;
  process.state = manner === "report" ? { kind: "continued" } : { kind: "running" };
  for (const tid of process.threads) {
    const thread = k.state.threads.get(tid);
    if (thread?.state.kind !== "stopped") continue;
    thread.state = { kind: "runnable" };
    k.state.scheduler.runQueue.push(tid);
  }
  if (manner === "report") notifyParentOfChange(k, process, CLD_CONTINUED, SIGNALS.SIGCONT);
}

function notifyParentOfChange(k: Kernel, process: Process, code: number, status: number): void {
  const parent = k.state.processes.get(process.parent);
  if (parent === undefined) return;
  if ((actionOf(parent, SIGNALS.SIGCHLD).flags & SA_NOCLDSTOP) === 0) {
    const { uid } = process.credentials;
    sendSignal(k, parent, { signal: SIGNALS.SIGCHLD, code, pid: process.pid, uid, status });
  }
  wake(k, childWaitKey(parent.pid));
}

/**
 * An orphaned process group has no member whose parent is in the same session but another group: nobody could continue it, so
 * the terminal's stop signals do not stop it (POSIX 2.4.3).
 */
export function isOrphanedGroup(k: Kernel, processGroup: number, without?: Process): boolean {
  for (const process of k.state.processes.values()) {
    if (process.processGroup !== processGroup || process === without || process.state.kind === "zombie") continue;
    const parent = k.state.processes.get(process.parent);
    if (parent === undefined || parent.threads.length === 0) continue;
    if (parent.session === process.session && parent.processGroup !== processGroup) return false;
  }
  return true;
}
