// Timers that send signals: setitimer's three and timer_create's. Their expiries stand in the scheduler's `alarms`, by key:
//
//   "real:PID"      ITIMER_REAL and alarm           "timer:PID:ID"   timer_create
//
// ITIMER_VIRTUAL, ITIMER_PROF and RLIMIT_CPU act as time is charged to the process. setitimer(2), timer_create(2), getrlimit(2).

import { SI_KERNEL, SI_TIMER, SIGNALS } from "../../abi/linux/signals.ts";
import { RLIMIT_CPU } from "../../abi/linux/process.ts";
import { SIGEV_NONE, SIGEV_THREAD_ID } from "../../abi/linux/time.ts";
import { now, type Kernel } from "../kernel.ts";
import { setAlarm } from "../wait.ts";
import { sendSignal, sendThreadSignal } from "./signals.ts";
import type { CpuTimer, PosixTimer, Process } from "./types.ts";
import { processTime } from "./usage.ts";

const NS_PER_SECOND = 1_000_000_000;

/** Most overruns that are reported (DELAYTIMER_MAX). */
const MAX_OVERRUN = 0x7fff_ffff;

export const realTimerKey = (pid: number): string => `real:${pid}`;
export const posixTimerKey = (pid: number, id: number): string => `timer:${pid}:${id}`;

/** An alarm's time has come. */
export function fireAlarm(k: Kernel, key: string): void {
  setAlarm(k, key, undefined);
  const [kind, pid, id] = key.split(":");
  const process = k.state.processes.get(Number(pid));
  if (process === undefined) return;
  if (kind === "real") fireRealTimer(k, process, key);
  else {
    const timer = process.timers.get(Number(id));
    if (timer !== undefined) firePosixTimer(k, process, timer, key);
  }
}

function fireRealTimer(k: Kernel, process: Process, key: string): void {
  const timer = process.realTimer;
  if (timer === undefined) return;
  sendSignal(k, process, { signal: SIGNALS.SIGALRM, code: SI_KERNEL });
  if (timer.intervalNs === 0) {
    process.realTimer = undefined;
    return;
  }
  timer.expiresNs += timer.intervalNs * periodsUntil(now(k), timer.expiresNs, timer.intervalNs);
  setAlarm(k, key, timer.expiresNs);
}

function firePosixTimer(k: Kernel, process: Process, timer: PosixTimer, key: string): void {
  const due = timer.expiresNs;
  if (due === undefined) return;
  const periods = timer.intervalNs === 0 ? 1 : periodsUntil(now(k), due, timer.intervalNs);
  timer.expiresNs = timer.intervalNs === 0 ? undefined : due + timer.intervalNs * periods;
  setAlarm(k, key, timer.expiresNs);
  if (timer.notify === SIGEV_NONE) return;
  const { signal, valueLo, valueHi } = timer;
  const info = { signal, code: SI_TIMER, valueLo, valueHi, timer: timer.id };
  const target = timer.notify === SIGEV_THREAD_ID ? k.state.threads.get(timer.tid) : undefined;
  const queue = target === undefined ? process.pendingSignals : target.pendingSignals;
  // A timer has one signal pending at most; further expiries are counted.
  if (queue.some((pending) => pending.code === SI_TIMER && pending.timer === timer.id)) {
    timer.overrun = Math.min(timer.overrun + periods, MAX_OVERRUN);
    return;
  }
  timer.overrun = Math.min(periods - 1, MAX_OVERRUN);
  if (target === undefined) sendSignal(k, process, info);
  else sendThreadSignal(k, target, info);
}

/** Whole periods from `due` until the next expiry lies after `time`. */
function periodsUntil(time: number, due: number, intervalNs: number): number {
  return Math.floor(Math.max(0, time - due) / intervalNs) + 1;
}

/** Running time of the process at which RLIMIT_CPU acts next; undefined without a limit. */
export function nextCpuLimitNs(k: Kernel, process: Process): number | undefined {
  const soft = process.limits[RLIMIT_CPU]?.soft ?? Infinity;
  if (soft === Infinity) return undefined;
  return Math.max(soft, Math.floor(processTime(k, process) / NS_PER_SECOND) + 1) * NS_PER_SECOND;
}

/** RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard limit. */
export function enforceCpuLimit(k: Kernel, process: Process, spentNs: number): void {
  const limit = process.limits[RLIMIT_CPU];
  if (limit === undefined || limit.soft === Infinity) return;
  const total = processTime(k, process);
  const seconds = Math.floor(total / NS_PER_SECOND);
  if (seconds === Math.floor((total - spentNs) / NS_PER_SECOND) || seconds < limit.soft) return;
  const signal = seconds >= limit.hard ? SIGNALS.SIGKILL : SIGNALS.SIGXCPU;
  sendSignal(k, process, { signal, code: SI_KERNEL });
}

/** Counts `spentNs` of running against the process's CPU-time timers. */
export function chargeCpuTimers(k: Kernel, process: Process, spentNs: number): void {
  if (process.virtualTimer !== undefined && countDown(process.virtualTimer, spentNs)) {
    if (process.virtualTimer.intervalNs === 0) process.virtualTimer = undefined;
    sendSignal(k, process, { signal: SIGNALS.SIGVTALRM, code: SI_KERNEL });
  }
  if (process.profilingTimer !== undefined && countDown(process.profilingTimer, spentNs)) {
    if (process.profilingTimer.intervalNs === 0) process.profilingTimer = undefined;
    sendSignal(k, process, { signal: SIGNALS.SIGPROF, code: SI_KERNEL });
  }
}

/** True when the timer has expired; a periodic one has then been set again. */
function countDown(timer: CpuTimer, spentNs: number): boolean {
  timer.remainingNs -= spentNs;
  if (timer.remainingNs > 0) return false;
  if (timer.intervalNs > 0)
    timer.remainingNs += timer.intervalNs * periodsUntil(0, timer.remainingNs, timer.intervalNs);
  return true;
}
