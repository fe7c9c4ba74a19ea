// The scheduler: who runs next on a hart, for how long, and the way out of the kernel.
//
//   leaveKernel(hart):   current thread ──settle──> goes on ──────────────────────────> resumeUser
//                              │      └ held for a shootdown of its space ──> resumeIdle, and it stays on the hart
//                              │ blocked, stopped, ended, or its slice is over
//                              v
//                        next in the run queue (first come, first served, within its affinity) ──> settle …
//                              │ nobody
//                              v
//                        resumeIdle (wfi until the timer, a device or another hart calls)
//
// Virtual time alone decides: a slice is a number of retired instructions, so the same run switches at the same instructions.
// A thread that was blocked in a call runs that call's handler again here, before it returns to user mode.

import { now, type Kernel } from "../kernel.ts";
import { enterSpace } from "../mem/asid.ts";
import { isThreadHeld } from "../mem/shootdown.ts";
import { rerunCall } from "../syscall/dispatch.ts";
import { earliestDeadline, unblock } from "../wait.ts";
import { chargeCpuTimers, enforceCpuLimit, fireAlarm, nextCpuLimitNs } from "./alarms.ts";
import { deliverSignals } from "./deliver.ts";
import { exitThread } from "./exit.ts";
import { isDying } from "./signals.ts";
import type { Thread } from "./types.ts";
import { processTime } from "./usage.ts";

/** How long a thread runs while others could: 4 ms, that is 4 million instructions. */
export const TIME_SLICE_NS = 4_000_000;
const LOAD_PERIOD_NS = 5e9;
/** exp(-5/60), exp(-5/300), exp(-5/900) in 11 fractional bits, as Linux has them: Math.exp may differ between engines. */
const LOAD_DECAY = [1884 / 2048, 2014 / 2048, 2037 / 2048];
/** After so many periods even the slowest average has forgotten where it was. */
const LOAD_FORGOTTEN = 5000;

/** Leaves the kernel on `hart`: into the thread that is to run, or into the idle loop. */
export function leaveKernel(k: Kernel, hart: number): void {
  k.state.scheduler.kernelHart = hart;
  for (;;) {
    if (k.state.shutdown !== undefined) k.machine.requestStop();
    const thread = k.state.shutdown === undefined ? (currentThread(k, hart) ?? takeNext(k, hart)) : undefined;
    if (thread === undefined) {
      k.state.scheduler.current[hart] = undefined;
      switchTo(k, hart, undefined);
      armTimer(k, hart, undefined);
      wakeIdleHarts(k, hart);
      k.arch.resumeIdle(k, hart);
      return;
    }
    const outcome = settle(k, hart, thread);
    if (outcome !== "gone") {
      switchTo(k, hart, thread);
      armTimer(k, hart, thread);
      wakeIdleHarts(k, hart);
      if (outcome === "held") {
        k.arch.resumeIdle(k, hart);
        return;
      }
      chargeHeldTime(k, thread);
      enterSpace(k, hart, thread.process.space);
      k.arch.resumeUser(k, hart, thread);
      return;
    }
    k.state.scheduler.current[hart] = undefined;
  }
}

/** The thread that is on `hart`, as long as it is running. */
export function currentThread(k: Kernel, hart: number): Thread | undefined {
  const tid = k.state.scheduler.current[hart];
  const thread = tid === undefined ? undefined : k.state.threads.get(tid);
  return thread?.state.kind === "running" ? thread : undefined;
}

/** Charges the time since the thread last came out of the kernel. Called on every entry. */
export function chargeUserTime(k: Kernel, thread: Thread): void {
  const time = now(k);
  const spent = time - thread.scheduledAtNs;
  thread.scheduledAtNs = time;
  if (spent <= 0) return;
  thread.usage.userNs += spent;
  const { process } = thread;
  if (process.virtualTimer !== undefined || process.profilingTimer !== undefined) chargeCpuTimers(k, process, spent);
  enforceCpuLimit(k, process, spent);
}

/** The kernel itself takes no virtual time: what has passed since the thread was taken or came in, it was held (mem/shootdown.ts). */
function chargeHeldTime(k: Kernel, thread: Thread): void {
  const time = now(k);
  thread.usage.systemNs += time - thread.scheduledAtNs;
  thread.scheduledAtNs = time;
}

/** Wakes sleepers and fires alarms whose time has come, in the order of their deadlines. */
export function expireDeadlines(k: Kernel): void {
  const { scheduler } = k.state;
  const time = now(k);
  for (let at = earliestDeadline(k); at !== undefined && at <= time; at = earliestDeadline(k)) {
    // All that are due in one pass, alarms first among equals: a pass for each deadline is quadratic where thousands are due.
    const due: { at: number; key?: string; tid?: number }[] = [];
    for (const [key, dueAt] of scheduler.alarms) if (dueAt <= time) due.push({ at: dueAt, key });
    for (const [tid, dueAt] of scheduler.sleepers) if (dueAt <= time) due.push({ at: dueAt, tid });
    if (due.length > 1) due.sort((a, b) => a.at - b.at);
    for (const entry of due) {
      // What fired before may have cancelled or moved it.
      if (entry.key !== undefined && scheduler.alarms.get(entry.key) === entry.at) fireAlarm(k, entry.key);
      const thread = entry.tid === undefined ? undefined : k.state.threads.get(entry.tid);
      if (thread !== undefined && scheduler.sleepers.get(thread.tid) === entry.at) unblock(k, thread);
    }
  }
}

/** Gives the rest of the thread's slice away (sched_yield): it goes behind all others that could run. */
export function endSlice(k: Kernel, thread: Thread): void {
  thread.sliceEndNs = now(k);
}

/**
 * Brings a thread that is on a hart to where it can return to user mode: ends, stops or preempts it, finishes its call, delivers
 * its signals. "held": not before other harts have acknowledged a shootdown of its space (INV-11); the hart waits. "gone": it leaves
 * the hart.
 */
function settle(k: Kernel, hart: number, thread: Thread): "resume" | "held" | "gone" {
  const { process } = thread;
  for (;;) {
    if (process.groupExit !== undefined || thread.killed) {
      exitThread(k, thread, process.groupExit ?? { kind: "exited", code: 0 });
      return "gone";
    }
    if (process.state.kind === "stopped" && !isDying(thread)) {
      thread.state = { kind: "stopped" };
      return "gone";
    }
    if (mustGiveWay(k, hart, thread)) {
      thread.usage.involuntarySwitches += 1;
      thread.state = { kind: "runnable" };
      k.state.scheduler.runQueue.push(thread.tid);
      return "gone";
    }
    if (isThreadHeld(k, hart, thread)) return "held";
    if (thread.currentCall !== undefined && !rerunCall(k, hart, thread)) return "gone";
    // The call may have ended the thread, and signals may stop it, end it, or want its call run again.
    if (thread.state.kind !== "running") return "gone";
    if (
      thread.pendingSignals.length === 0 &&
      process.pendingSignals.length === 0 &&
      thread.savedSignalMask === undefined
    ) {
      if (process.groupExit === undefined && thread.currentCall === undefined) return outcomeOf(k, hart, thread);
      continue;
    }
    const delivery = deliverSignals(k, thread);
    if (delivery === "resume" && thread.currentCall === undefined) return outcomeOf(k, hart, thread);
    if (delivery === "gone") return "gone";
  }
}

/** What was done for the thread may itself have begun a shootdown. */
function outcomeOf(k: Kernel, hart: number, thread: Thread): "resume" | "held" {
  return isThreadHeld(k, hart, thread) ? "held" : "resume";
}

/** The slice is over and someone else could run here, or the thread may not run here any more. */
function mustGiveWay(k: Kernel, hart: number, thread: Thread): boolean {
  if (((thread.affinity >>> hart) & 1) === 0) return true;
  const { runQueue } = k.state.scheduler;
  if (runQueue.length === 0 || now(k) < thread.sliceEndNs) return false;
  return runQueue.some((tid) => mayRun(k, tid, hart));
}

function mayRun(k: Kernel, tid: number, hart: number): boolean {
  return (((k.state.threads.get(tid)?.affinity ?? 0) >>> hart) & 1) === 1;
}

/** Takes the first thread off the run queue that may run on `hart`. Threads of stopped processes become stopped here. */
function takeNext(k: Kernel, hart: number): Thread | undefined {
  const { runQueue, current } = k.state.scheduler;
  for (let i = 0; i < runQueue.length;) {
    const tid = runQueue[i] ?? 0;
    const thread = k.state.threads.get(tid);
    if (thread !== undefined && ((thread.affinity >>> hart) & 1) === 0) {
      i += 1;
      continue;
    }
    runQueue.splice(i, 1);
    if (thread === undefined) continue;
    thread.state = { kind: "running", hart };
    thread.lastHart = hart;
    thread.scheduledAtNs = now(k);
    thread.sliceEndNs = thread.scheduledAtNs + TIME_SLICE_NS;
    current[hart] = tid;
    return thread;
  }
  return undefined;
}

function switchTo(k: Kernel, hart: number, thread: Thread | undefined): void {
  const { previous } = k.state.scheduler;
  const before = previous[hart];
  if (before === thread?.tid) return;
  updateLoad(k);
  previous[hart] = thread?.tid;
  k.state.counters.contextSwitches += 1;
  k.probes.contextSwitch?.(hart, before === undefined ? undefined : k.state.threads.get(before), thread);
}

/**
 * Brings the load averages up to date: every five seconds each moves towards the number of threads that run or could run. Done when
 * somebody is switched, since a clock of its own would keep an idle machine from being idle; what is missed is caught up.
 */
function updateLoad(k: Kernel): void {
  const { scheduler } = k.state;
  const periods = Math.floor(now(k) / LOAD_PERIOD_NS) - scheduler.loadPeriods;
  if (periods <= 0) return;
  scheduler.loadPeriods += periods;
  const active = scheduler.runQueue.length + scheduler.current.filter((tid) => tid !== undefined).length;
  LOAD_DECAY.forEach((decay, i) => {
    let load = scheduler.load[i] ?? 0;
    for (let period = 0; period < Math.min(periods, LOAD_FORGOTTEN); period++)
      load = load * decay + active * (1 - decay);
    scheduler.load[i] = load;
  });
}

/** The hart's timer: the next deadline, and the end of the slice when someone else could run. */
function armTimer(k: Kernel, hart: number, thread: Thread | undefined): void {
  const { scheduler } = k.state;
  let at = earliestDeadline(k);
  if (thread !== undefined) {
    if (scheduler.runQueue.length > 0) {
      // A thread that ran alone past its slice gets a new one from now.
      if (thread.sliceEndNs <= now(k)) thread.sliceEndNs = now(k) + TIME_SLICE_NS;
      at = Math.min(at ?? Infinity, thread.sliceEndNs);
    }
    const { process } = thread;
    const { virtualTimer, profilingTimer } = process;
    const limitNs = nextCpuLimitNs(k, process);
    if (limitNs !== undefined) at = Math.min(at ?? Infinity, now(k) + Math.max(0, limitNs - processTime(k, process)));
    for (const timer of [virtualTimer, profilingTimer]) {
      if (timer !== undefined) at = Math.min(at ?? Infinity, now(k) + timer.remainingNs);
    }
  }
  if (scheduler.armed[hart] === at) return;
  scheduler.armed[hart] = at;
  k.arch.setTimer(k, hart, at);
}

/** Harts that idle while threads wait for one take them; a thread that may not run here goes to a hart where it may. */
function wakeIdleHarts(k: Kernel, hart: number): void {
  const harts = k.machine.harts.length;
  if (harts === 1) return;
  const { runQueue, current } = k.state.scheduler;
  const called = new Set<number>([hart]);
  for (const tid of runQueue) {
    if (called.size === harts) return;
    const idle = findHart(
      harts,
      (other) => !called.has(other) && current[other] === undefined && mayRun(k, tid, other),
    );
    const target =
      idle ??
      (mayRun(k, tid, hart) ? undefined : findHart(harts, (other) => !called.has(other) && mayRun(k, tid, other)));
    if (target === undefined) continue;
    called.add(target);
    k.arch.sendInterprocessorInterrupt(k, target);
  }
}

function findHart(harts: number, accepts: (hart: number) => boolean): number | undefined {
  for (let hart = 0; hart < harts; hart++) if (accepts(hart)) return hart;
  return undefined;
}
