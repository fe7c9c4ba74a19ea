// Clocks, sleeping and timers. clock_gettime(2), clock_nanosleep(2), setitimer(2), timer_create(2), time(7).
//
//   CLOCK_MONOTONIC, _RAW, _COARSE, BOOTTIME     virtual time since reset
//   CLOCK_REALTIME, _COARSE, TAI                 boot time of the configuration + virtual time + what clock_settime moved
//   CLOCK_PROCESS_CPUTIME_ID, THREAD             time charged to the process or thread

import { readI32, writeU32, writeU64 } from "../../lib/bytes.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { NSIG, SIGNALS } from "../../abi/linux/signals.ts";
import * as abi from "../../abi/linux/time.ts";
import { now, type Kernel } from "../kernel.ts";
import { copyFromUser, copyToUser } from "../mem/user-memory.ts";
import { posixTimerKey, realTimerKey } from "../process/alarms.ts";
import { readTimespec } from "../process/reading.ts";
import { hasDeliverableSignal } from "../process/signals.ts";
import { processTime, threadTime } from "../process/usage.ts";
import type { CpuTimer, PosixTimer, Process, Thread } from "../process/types.ts";
import { block, setAlarm } from "../wait.ts";
import { defineCall, type Call, type SyscallResult, type SyscallRow } from "./row.ts";

const NS_PER_SECOND = 1_000_000_000;
/** Most timers of one process. */
const MAX_TIMERS = 1024;

/** CLOCK_REALTIME at virtual time 0, in nanoseconds past the whole second that `seconds` gives. */
export function realTime(k: Kernel): abi.TimeValue {
  const { seconds, nanoseconds } = k.state.config.bootTime;
  const total = nanoseconds + now(k) + k.state.clockOffset.nanoseconds;
  const whole = Math.floor(total / NS_PER_SECOND);
  return { seconds: seconds + k.state.clockOffset.seconds + whole, nanoseconds: total - whole * NS_PER_SECOND };
}

/** Reads a clock; EINVAL for one that does not exist. */
function readClock(k: Kernel, thread: Thread, clock: number): abi.TimeValue | "EINVAL" {
  switch (clock) {
    case abi.CLOCK_REALTIME:
    case abi.CLOCK_REALTIME_COARSE:
    case abi.CLOCK_REALTIME_ALARM:
    case abi.CLOCK_TAI:
      return realTime(k);
    case abi.CLOCK_MONOTONIC:
    case abi.CLOCK_MONOTONIC_RAW:
    case abi.CLOCK_MONOTONIC_COARSE:
    case abi.CLOCK_BOOTTIME:
    case abi.CLOCK_BOOTTIME_ALARM:
      return abi.splitNanoseconds(now(k));
    case abi.CLOCK_PROCESS_CPUTIME_ID:
      return abi.splitNanoseconds(processTime(k, thread.process));
    case abi.CLOCK_THREAD_CPUTIME_ID:
      return abi.splitNanoseconds(threadTime(thread));
    default:
      return clock < 0 ? readCpuClock(k, thread, clock) : "EINVAL";
  }
}

/** Clock ids of other processes and threads: ~pid << 3 | 4 for a thread | kind, kind 0..2 (pthread_getcpuclockid(3)). */
function readCpuClock(k: Kernel, thread: Thread, clock: number): abi.TimeValue | "EINVAL" {
  if ((clock & 3) === 3) return "EINVAL";
  const id = ~(clock >> 3);
  if ((clock & 4) !== 0) {
    const target = id === 0 ? thread : k.state.threads.get(id);
    return target === undefined ? "EINVAL" : abi.splitNanoseconds(threadTime(target));
  }
  const target = id === 0 ? thread.process : k.state.processes.get(id);
  return target === undefined ? "EINVAL" : abi.splitNanoseconds(processTime(k, target));
}

function storeTimespec(call: Call, address: number, time: abi.TimeValue): 0 | "EFAULT" {
  const bytes = new Uint8Array(abi.TIMESPEC_SIZE);
  abi.writeTimespec(bytes, 0, time);
  return copyToUser(call.k, call.process.space, address, bytes);
}

const clockGettime = defineCall({
  name: "clock_gettime",
  args: [
    { name: "clockid", type: "int", show: "clock" },
    { name: "tp", type: "pointer", show: "timespec:out" },
  ],
  result: "int",
  handler: (call, clock, at) => {
    const time = readClock(call.k, call.thread, clock);
    return time === "EINVAL" ? "EINVAL" : storeTimespec(call, at, time);
  },
});

const clockGetres = defineCall({
  name: "clock_getres",
  args: [
    { name: "clockid", type: "int", show: "clock" },
    { name: "res", type: "pointer", show: "timespec:out" },
  ],
  result: "int",
  handler: (call, clock, at) => {
    if (readClock(call.k, call.thread, clock) === "EINVAL") return "EINVAL";
    const isCoarse = clock === abi.CLOCK_REALTIME_COARSE || clock === abi.CLOCK_MONOTONIC_COARSE;
    return at === 0 ? 0 : storeTimespec(call, at, { seconds: 0, nanoseconds: isCoarse ? 4_000_000 : 1 });
  },
});

function moveRealTime(k: Kernel, time: abi.TimeValue): void {
  const current = realTime(k);
  k.state.clockOffset.seconds += time.seconds - current.seconds;
  k.state.clockOffset.nanoseconds += time.nanoseconds - current.nanoseconds;
}

const clockSettime = defineCall({
  name: "clock_settime",
  args: [
    { name: "clockid", type: "int", show: "clock" },
    { name: "tp", type: "pointer", show: "timespec:in" },
  ],
  result: "int",
  handler: ({ k, process }, clock, at) => {
    if (clock !== abi.CLOCK_REALTIME) return "EINVAL";
    const time = readTimespec(k, process.space, at);
    if (typeof time === "string") return time;
    if (process.credentials.euid !== 0) return "EPERM";
    moveRealTime(k, time);
    return 0;
  },
});

const gettimeofday = defineCall({
  name: "gettimeofday",
  args: [
    { name: "tv", type: "pointer", show: "timeval:out" },
    { name: "tz", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process }, timeAt, zoneAt) => {
    const { seconds, nanoseconds } = realTime(k);
    const bytes = new Uint8Array(abi.TIMEVAL_SIZE);
    writeU64(bytes, 0, seconds);
    writeU64(bytes, 8, Math.floor(nanoseconds / 1000));
    if (timeAt !== 0 && copyToUser(k, process.space, timeAt, bytes) !== 0) return "EFAULT";
    return zoneAt === 0 ? 0 : copyToUser(k, process.space, zoneAt, new Uint8Array(8));
  },
});

const settimeofday = defineCall({
  name: "settimeofday",
  args: [
    { name: "tv", type: "pointer", show: "timeval:in" },
    { name: "tz", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process }, at) => {
    if (at === 0) return 0;
    const bytes = copyFromUser(k, process.space, at, abi.TIMEVAL_SIZE);
    if (bytes === "EFAULT") return "EFAULT";
    const ns = abi.decodeTimeval(bytes);
    if (ns === undefined) return "EINVAL";
    if (process.credentials.euid !== 0) return "EPERM";
    moveRealTime(k, abi.splitNanoseconds(ns));
    return 0;
  },
});

const time = defineCall({
  name: "time",
  args: [{ name: "tloc", type: "pointer" }],
  result: "int",
  handler: ({ k, process }, at) => {
    const { seconds } = realTime(k);
    const bytes = new Uint8Array(8);
    writeU64(bytes, 0, seconds);
    return at !== 0 && copyToUser(k, process.space, at, bytes) !== 0 ? "EFAULT" : seconds;
  },
});

const times = defineCall({
  name: "times",
  args: [{ name: "buf", type: "pointer", show: "tms:out" }],
  result: "int",
  handler: ({ k, process }, at) => {
    const ticks = (ns: number): number => Math.floor(ns / (NS_PER_SECOND / abi.CLOCK_TICKS_PER_SECOND));
    const { childrenUsage } = process;
    const bytes = new Uint8Array(32);
    writeU64(bytes, 0, ticks(processTime(k, process)));
    writeU64(bytes, 16, ticks(childrenUsage.userNs));
    writeU64(bytes, 24, ticks(childrenUsage.systemNs));
    return at !== 0 && copyToUser(k, process.space, at, bytes) !== 0 ? "EFAULT" : ticks(now(k));
  },
});

/** Sleeps until an absolute virtual time. Interrupted, it stores what is left at `remainAt`. */
function sleepUntil(call: Call, deadlineNs: number, remainAt: number): SyscallResult {
  const { k, thread, process } = call;
  const left = deadlineNs - now(k);
  if (left <= 0) return 0;
  if (thread.restart !== undefined && hasDeliverableSignal(k, thread)) {
    if (remainAt !== 0 && copyToUser(k, process.space, remainAt, abi.encodeTimespec(left)) !== 0) return "EFAULT";
  }
  thread.restart = { deadlineNs };
  return block(k, thread, [], deadlineNs);
}

const nanosleep = defineCall({
  name: "nanosleep",
  args: [
    { name: "req", type: "pointer", show: "timespec:in" },
    { name: "rem", type: "pointer", show: "timespec:out" },
  ],
  result: "int",
  onSignal: "interrupt",
  handler: (call, requestAt, remainAt) => {
    const { k, thread, process } = call;
    const request = readTimespec(k, process.space, requestAt);
    if (typeof request === "string") return request;
    return sleepUntil(call, thread.restart?.deadlineNs ?? now(k) + abi.totalNanoseconds(request), remainAt);
  },
});

const clockNanosleep = defineCall({
  name: "clock_nanosleep",
  args: [
    { name: "clockid", type: "int", show: "clock" },
    { name: "flags", type: "flags", show: "clock-flags" },
    { name: "request", type: "pointer", show: "timespec:in" },
    { name: "remain", type: "pointer", show: "timespec:out" },
  ],
  result: "int",
  onSignal: "interrupt",
  handler: (call, clock, flags, requestAt, remainAt) => {
    const { k, thread, process } = call;
    if (clock === abi.CLOCK_THREAD_CPUTIME_ID) return "EINVAL";
    const current = readClock(k, thread, clock);
    if (current === "EINVAL") return "EINVAL";
    const request = readTimespec(k, process.space, requestAt);
    if (typeof request === "string") return request;
    const isAbsolute = (flags & abi.TIMER_ABSTIME) !== 0;
    const wait = isAbsolute ? difference(request, current) : abi.totalNanoseconds(request);
    return sleepUntil(call, thread.restart?.deadlineNs ?? now(k) + wait, isAbsolute ? 0 : remainAt);
  },
});

/** Nanoseconds from `b` to `a`; negative when `a` is past. */
function difference(a: abi.TimeValue, b: abi.TimeValue): number {
  const ns = (a.seconds - b.seconds) * NS_PER_SECOND + (a.nanoseconds - b.nanoseconds);
  return ns > Number.MAX_SAFE_INTEGER ? Infinity : ns;
}

interface IntervalTimer {
  readonly valueNs: number;
  readonly intervalNs: number;
}

function readIntervalTimer(k: Kernel, process: Process, which: number): IntervalTimer | "EINVAL" {
  const show = (timer: CpuTimer | undefined): IntervalTimer =>
    timer === undefined ? { valueNs: 0, intervalNs: 0 } : { valueNs: timer.remainingNs, intervalNs: timer.intervalNs };
  switch (which) {
    case abi.ITIMER_REAL: {
      const timer = process.realTimer;
      if (timer === undefined) return { valueNs: 0, intervalNs: 0 };
      return { valueNs: Math.max(1000, timer.expiresNs - now(k)), intervalNs: timer.intervalNs };
    }
    case abi.ITIMER_VIRTUAL:
      return show(process.virtualTimer);
    case abi.ITIMER_PROF:
      return show(process.profilingTimer);
    default:
      return "EINVAL";
  }
}

function setIntervalTimer(k: Kernel, process: Process, which: number, timer: IntervalTimer): void {
  const { valueNs, intervalNs } = timer;
  const cpuTimer = valueNs === 0 ? undefined : { remainingNs: valueNs, intervalNs };
  if (which === abi.ITIMER_VIRTUAL) process.virtualTimer = cpuTimer;
  else if (which === abi.ITIMER_PROF) process.profilingTimer = cpuTimer;
  else {
    const expiresNs = now(k) + valueNs;
    process.realTimer = valueNs === 0 || valueNs === Infinity ? undefined : { expiresNs, intervalNs };
    setAlarm(k, realTimerKey(process.pid), process.realTimer?.expiresNs);
  }
}

function encodeItimerval(timer: IntervalTimer): Uint8Array {
  const bytes = new Uint8Array(abi.ITIMERVAL_SIZE);
  abi.writeTimeval(bytes, 0, timer.intervalNs);
  abi.writeTimeval(bytes, 16, timer.valueNs);
  return bytes;
}

const getitimer = defineCall({
  name: "getitimer",
  args: [
    { name: "which", type: "int", show: "itimer" },
    { name: "curr_value", type: "pointer", show: "itimerval:out" },
  ],
  result: "int",
  handler: ({ k, process }, which, at) => {
    const timer = readIntervalTimer(k, process, which);
    return timer === "EINVAL" ? "EINVAL" : copyToUser(k, process.space, at, encodeItimerval(timer));
  },
});

const setitimer = defineCall({
  name: "setitimer",
  args: [
    { name: "which", type: "int", show: "itimer" },
    { name: "new_value", type: "pointer", show: "itimerval:in" },
    { name: "old_value", type: "pointer", show: "itimerval:out" },
  ],
  result: "int",
  handler: ({ k, process }, which, newAt, oldAt) => {
    const bytes =
      newAt === 0 ? new Uint8Array(abi.ITIMERVAL_SIZE) : copyFromUser(k, process.space, newAt, abi.ITIMERVAL_SIZE);
    if (bytes === "EFAULT") return "EFAULT";
    const intervalNs = abi.decodeTimeval(bytes, 0);
    const valueNs = abi.decodeTimeval(bytes, 16);
    const old = readIntervalTimer(k, process, which);
    if (intervalNs === undefined || valueNs === undefined || old === "EINVAL") return "EINVAL";
    if (oldAt !== 0 && copyToUser(k, process.space, oldAt, encodeItimerval(old)) !== 0) return "EFAULT";
    setIntervalTimer(k, process, which, { valueNs, intervalNs });
    return 0;
  },
});

const alarm = defineCall({
  name: "alarm",
  args: [{ name: "seconds", type: "uint" }],
  result: "int",
  handler: ({ k, process }, seconds) => {
    const old = readIntervalTimer(k, process, abi.ITIMER_REAL);
    setIntervalTimer(k, process, abi.ITIMER_REAL, { valueNs: seconds * NS_PER_SECOND, intervalNs: 0 });
    return old === "EINVAL" ? 0 : Math.ceil(old.valueNs / NS_PER_SECOND);
  },
});

const timerCreate = defineCall({
  name: "timer_create",
  args: [
    { name: "clockid", type: "int", show: "clock" },
    { name: "sevp", type: "pointer" },
    { name: "timerid", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, thread, process }, clock, eventAt, idAt) => {
    if (readClock(k, thread, clock) === "EINVAL") return "EINVAL";
    if (process.timers.size >= MAX_TIMERS) return "EAGAIN";
    let id = 0;
    while (process.timers.has(id)) id += 1;
    const bytes = eventAt === 0 ? undefined : copyFromUser(k, process.space, eventAt, abi.SIGEVENT_SIZE);
    if (bytes === "EFAULT") return "EFAULT";
    const event =
      bytes === undefined
        ? { valueLo: id, valueHi: 0, signal: SIGNALS.SIGALRM, notify: abi.SIGEV_SIGNAL, tid: 0 }
        : abi.decodeSignalEvent(bytes);
    const invalid = checkEvent(k, process, event);
    if (invalid !== 0) return invalid;
    const idBytes = new Uint8Array(4);
    writeU32(idBytes, 0, id);
    if (copyToUser(k, process.space, idAt, idBytes) !== 0) return "EFAULT";
    process.timers.set(id, { id, clock, ...event, expiresNs: undefined, intervalNs: 0, overrun: 0 });
    return 0;
  },
});

function checkEvent(k: Kernel, process: Process, event: abi.SignalEvent): 0 | Errno {
  switch (event.notify) {
    case abi.SIGEV_NONE:
      return 0;
    case abi.SIGEV_THREAD_ID:
      if (k.state.threads.get(event.tid)?.process !== process) return "EINVAL";
      return event.signal >= 1 && event.signal <= NSIG ? 0 : "EINVAL";
    case abi.SIGEV_SIGNAL:
      return event.signal >= 1 && event.signal <= NSIG ? 0 : "EINVAL";
    default:
      return "EINVAL";
  }
}

function encodeTimer(k: Kernel, timer: PosixTimer): Uint8Array {
  const bytes = new Uint8Array(abi.ITIMERSPEC_SIZE);
  abi.writeTimespec(bytes, 0, abi.splitNanoseconds(timer.intervalNs));
  const left = timer.expiresNs === undefined ? 0 : Math.max(1, timer.expiresNs - now(k));
  abi.writeTimespec(bytes, 16, abi.splitNanoseconds(left));
  return bytes;
}

const timerSettime = defineCall({
  name: "timer_settime",
  args: [
    { name: "timerid", type: "int" },
    { name: "flags", type: "flags", show: "clock-flags" },
    { name: "new_value", type: "pointer", show: "itimerspec:in" },
    { name: "old_value", type: "pointer", show: "itimerspec:out" },
  ],
  result: "int",
  handler: ({ k, thread, process }, id, flags, newAt, oldAt) => {
    const timer = process.timers.get(id);
    if (timer === undefined) return "EINVAL";
    const bytes = copyFromUser(k, process.space, newAt, abi.ITIMERSPEC_SIZE);
    if (bytes === "EFAULT") return "EFAULT";
    const interval = abi.decodeTimespec(bytes, 0);
    const value = abi.decodeTimespec(bytes, 16);
    if (interval === undefined || value === undefined) return "EINVAL";
    if (oldAt !== 0 && copyToUser(k, process.space, oldAt, encodeTimer(k, timer)) !== 0) return "EFAULT";
    const current = readClock(k, thread, timer.clock);
    if (current === "EINVAL") return "EINVAL";
    const isSet = value.seconds !== 0 || value.nanoseconds !== 0;
    const isAbsolute = (flags & abi.TIMER_ABSTIME) !== 0;
    const wait = isAbsolute ? Math.max(0, difference(value, current)) : abi.totalNanoseconds(value);
    timer.expiresNs = isSet && wait !== Infinity ? now(k) + wait : undefined;
    timer.intervalNs = abi.totalNanoseconds(interval);
    timer.overrun = 0;
    setAlarm(k, posixTimerKey(process.pid, id), timer.expiresNs);
    return 0;
  },
});

const timerGettime = defineCall({
  name: "timer_gettime",
  args: [
    { name: "timerid", type: "int" },
    { name: "curr_value", type: "pointer", show: "itimerspec:out" },
  ],
  result: "int",
  handler: ({ k, process }, id, at) => {
    const timer = process.timers.get(id);
    return timer === undefined ? "EINVAL" : copyToUser(k, process.space, at, encodeTimer(k, timer));
  },
});

const timerGetoverrun = defineCall({
  name: "timer_getoverrun",
  args: [{ name: "timerid", type: "int" }],
  result: "int",
  handler: ({ process }, id) => process.timers.get(id)?.overrun ?? "EINVAL",
});

const timerDelete = defineCall({
  name: "timer_delete",
  args: [{ name: "timerid", type: "int" }],
  result: "int",
  handler: ({ k, process }, id) => {
    if (!process.timers.delete(id)) return "EINVAL";
    setAlarm(k, posixTimerKey(process.pid, id), undefined);
    return 0;
  },
});

/** Nobody disciplines the clock: it is always exact. */
const adjtimex = defineCall({
  name: "adjtimex",
  args: [{ name: "buf", type: "pointer" }],
  result: "int",
  handler: ({ k, process }, at) => {
    const bytes = copyFromUser(k, process.space, at, 208);
    if (bytes === "EFAULT") return "EFAULT";
    if (readI32(bytes, 0) !== 0) return "EPERM";
    const { seconds, nanoseconds } = realTime(k);
    const result = new Uint8Array(208);
    writeU64(result, 72, seconds);
    writeU64(result, 80, Math.floor(nanoseconds / 1000));
    writeU64(result, 88, 10_000);
    return copyToUser(k, process.space, at, result);
  },
});

export const timeCalls: readonly SyscallRow[] = [
  clockGettime,
  clockGetres,
  clockSettime,
  gettimeofday,
  settimeofday,
  time,
  times,
  nanosleep,
  clockNanosleep,
  getitimer,
  setitimer,
  alarm,
  timerCreate,
  timerSettime,
  timerGettime,
  timerGetoverrun,
  timerDelete,
  adjtimex,
];
