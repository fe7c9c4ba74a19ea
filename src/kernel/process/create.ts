// Making process and thread records: what fork, clone and the first program have in common.

import {
  RLIMIT_COUNT,
  RLIMIT_CORE,
  RLIMIT_MEMLOCK,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RLIMIT_NPROC,
  RLIMIT_RTPRIO,
  RLIMIT_SIGPENDING,
  RLIMIT_STACK,
} from "../../abi/linux/process.ts";
import { SIGNALS, SS_DISABLE } from "../../abi/linux/signals.ts";
import type { FileTable } from "../fs/types.ts";
import { now, type Kernel } from "../kernel.ts";
import { withReclaim } from "../mem/reclaim.ts";
import { allocateTrapframe } from "../mem/address-space.ts";
import type { AddressSpace } from "../mem/types.ts";
import { createSignalTable } from "./signals.ts";
import type {
  Credentials,
  FsContext,
  Process,
  ResourceLimit,
  SchedulerState,
  SignalTable,
  Thread,
  Usage,
} from "./types.ts";

/** As Linux's default kernel.pid_max. */
const PID_MAX = 32768;
/** After a wrap, low pids stay with the daemons that got them at start-up. */
export const RESERVED_PIDS = 300;

/** Scheduler state of a machine that runs nothing yet. */
export function createSchedulerState(harts: number): SchedulerState {
  const perHart = (): (number | undefined)[] => Array.from({ length: harts }, () => undefined);
  return {
    runQueue: [],
    current: perHart(),
    previous: perHart(),
    armed: perHart(),
    waiters: new Map(),
    sleepers: new Map(),
    alarms: new Map(),
    earliestNs: Infinity,
    earliestIsStale: false,
    kernelHart: 0,
    nextPid: 1,
    pidMax: PID_MAX,
    load: [0, 0, 0],
    loadPeriods: 0,
    mainPid: undefined,
  };
}

/** Most threads there may be at once: as Linux, one eighth of memory for their kernel stacks of 16 KiB. Holds for root too. */
export function maximumThreads(k: Kernel): number {
  return Math.max(20, Math.min(PID_MAX, Math.floor(k.memory.size / (8 * 16384))));
}

/** A pid that names no process, thread, group or session; undefined when there are too many. */
export function allocatePid(k: Kernel): number | undefined {
  const { scheduler, threads, processes } = k.state;
  if (threads.size + processes.size >= 2 * maximumThreads(k) || threads.size >= maximumThreads(k)) return undefined;
  for (let tries = 0; tries < scheduler.pidMax; tries++) {
    if (scheduler.nextPid >= scheduler.pidMax) scheduler.nextPid = RESERVED_PIDS;
    const pid = scheduler.nextPid++;
    if (!threads.has(pid) && !processes.has(pid) && !isGroupOrSession(k, pid)) return pid;
  }
  return undefined;
}

function isGroupOrSession(k: Kernel, id: number): boolean {
  for (const process of k.state.processes.values())
    if (process.processGroup === id || process.session === id) return true;
  return false;
}

export function emptyUsage(): Usage {
  return {
    userNs: 0,
    systemNs: 0,
    minorFaults: 0,
    majorFaults: 0,
    voluntarySwitches: 0,
    involuntarySwitches: 0,
    maxResidentPages: 0,
  };
}

export function rootCredentials(): Credentials {
  return { uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [] };
}

/** Limits of the first process: Linux's defaults, with the number of processes bounded by memory. */
export function defaultLimits(k: Kernel): ResourceLimit[] {
  const limits: ResourceLimit[] = [];
  for (let i = 0; i < RLIMIT_COUNT; i++) limits.push({ soft: Infinity, hard: Infinity });
  const processes = Math.floor(maximumThreads(k) / 2);
  limits[RLIMIT_STACK] = { soft: 8 * 1024 * 1024, hard: Infinity };
  limits[RLIMIT_CORE] = { soft: 0, hard: Infinity };
  limits[RLIMIT_NPROC] = { soft: processes, hard: processes };
  limits[RLIMIT_NOFILE] = { soft: 1024, hard: 1048576 };
  limits[RLIMIT_MEMLOCK] = { soft: 8 * 1024 * 1024, hard: 8 * 1024 * 1024 };
  limits[RLIMIT_SIGPENDING] = { soft: processes, hard: processes };
  limits[RLIMIT_MSGQUEUE] = { soft: 819200, hard: 819200 };
  limits[RLIMIT_NICE] = { soft: 0, hard: 0 };
  limits[RLIMIT_RTPRIO] = { soft: 0, hard: 0 };
  return limits;
}

/** A process record without threads, known to the kernel. Everything that fork would inherit is at its default. */
export function createProcess(
  k: Kernel,
  what: {
    pid: number;
    space: AddressSpace;
    files: FileTable;
    fs: FsContext;
    signals?: SignalTable;
    limits?: ResourceLimit[];
  },
): Process {
  const process: Process = {
    // Field by field: with a spread, V8 takes ten times as long and leaves an object with slow properties.
    pid: what.pid,
    space: what.space,
    files: what.files,
    fs: what.fs,
    signals: what.signals ?? createSignalTable(),
    limits: what.limits ?? defaultLimits(k),
    parent: 0,
    processGroup: what.pid,
    session: what.pid,
    controllingTty: undefined,
    threads: [],
    children: [],
    credentials: rootCredentials(),
    pendingSignals: [],
    state: { kind: "running" },
    groupExit: undefined,
    exitSignal: SIGNALS.SIGCHLD,
    hasExecuted: false,
    vforkParent: undefined,
    executable: "",
    program: undefined,
    name: "",
    argumentRange: { start: 0, end: 0 },
    environmentRange: { start: 0, end: 0 },
    auxv: [],
    startTimeNs: now(k),
    usage: emptyUsage(),
    childrenUsage: emptyUsage(),
    realTimer: undefined,
    virtualTimer: undefined,
    profilingTimer: undefined,
    timers: new Map(),
    dumpable: true,
    parentDeathSignal: 0,
    nice: 0,
    oomScoreAdjust: 0,
    oomScoreAdjustLeast: 0,
    childSubreaper: false,
    noNewPrivileges: false,
    personality: 0,
  };
  k.state.processes.set(process.pid, process);
  return process;
}

/** A thread of `process` with a trapframe of its own, not yet runnable. */
export function createThread(k: Kernel, process: Process, tid: number): Thread | "ENOMEM" {
  const trapframe = withReclaim(k, () => allocateTrapframe(k, process.space));
  if (trapframe === "ENOMEM") return "ENOMEM";
  const thread: Thread = {
    tid,
    process,
    state: { kind: "stopped" },
    trapframe: trapframe.physical,
    trapframeAddress: trapframe.address,
    floatState: new Uint32Array(k.arch.floatStateWords),
    signalMask: { lo: 0, hi: 0 },
    savedSignalMask: undefined,
    pendingSignals: [],
    alternateStack: { address: 0, size: 0, flags: SS_DISABLE },
    restart: undefined,
    currentCall: undefined,
    callArguments: new Int32Array(12),
    killed: false,
    clearChildTid: 0,
    robustList: { head: 0, length: 0 },
    lastHart: 0,
    affinity: allHarts(k),
    usage: emptyUsage(),
    scheduledAtNs: now(k),
    sliceEndNs: 0,
    name: process.name,
  };
  process.threads.push(tid);
  k.state.threads.set(tid, thread);
  return thread;
}

/** Mask of every hart of the machine. */
export function allHarts(k: Kernel): number {
  return 2 ** k.machine.harts.length - 1;
}

/** Puts a thread that is on no queue at the end of the run queue. */
export function makeRunnable(k: Kernel, thread: Thread): void {
  thread.state = { kind: "runnable" };
  k.state.scheduler.runQueue.push(thread.tid);
}
