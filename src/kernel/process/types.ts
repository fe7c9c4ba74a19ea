// Processes, threads, signals and the scheduler's state, as plain data.
//
// A process is Linux's thread group: its pid is the tid of its first thread. A thread has a trapframe page of its own.
//
//   thread:  new -> runnable <-> running -> exited
//                      ^            |
//                      +- blocked <-+        blocked, stopped: waits are restarts (../wait.ts)

import type { PhysAddr, VirtAddr } from "../../lib/address.ts";
import type { FileTable, PathRef } from "../fs/types.ts";
import type { AddressSpace } from "../mem/types.ts";
import type { WaitKey } from "../wait.ts";

export interface Process {
  readonly pid: number;
  /** Pid of the parent; 0 for the first process and for the kernel's reaper (pid 1 when no init program runs). */
  parent: number;
  processGroup: number;
  session: number;
  /** The session's terminal, as an index into the kernel's ttys. */
  controllingTty: number | undefined;
  /** Tids, oldest first. */
  readonly threads: number[];
  space: AddressSpace;
  files: FileTable;
  fs: FsContext;
  credentials: Credentials;
  /** Dispositions, index 1..64; shared between CLONE_SIGHAND sharers. */
  signals: SignalTable;
  /** Signals sent to the process as a whole, not yet taken by a thread. */
  readonly pendingSignals: SignalInfo[];
  readonly limits: ResourceLimit[];
  state: ProcessState;
  /** Signal that the parent gets at exit (SIGCHLD after fork, 0 after some clones). */
  exitSignal: number;
  /** True from execve on: setpgid by the parent is refused with EACCES. */
  hasExecuted: boolean;
  /** Parent that a vfork child keeps waiting. */
  vforkParent: number | undefined;
  /** Path of the program file as /proc/PID/exe shows it (a byte string). */
  executable: string;
  /** First 15 bytes of the program's name. */
  name: string;
  argv: readonly string[];
  /** Where argv and environment lie in user memory, for /proc/PID/{cmdline,environ}. */
  argumentRange: { start: number; end: number };
  environmentRange: { start: number; end: number };
  auxv: readonly number[];
  startTimeNs: number;
  usage: Usage;
  /** Sum over children that were waited for. */
  childrenUsage: Usage;
  /** ITIMER_REAL and alarm: next expiry (virtual ns) and period. */
  realTimer: { expiresNs: number; intervalNs: number } | undefined;
  dumpable: boolean;
  parentDeathSignal: number;
  nice: number;
  childSubreaper: boolean;
}

export type ProcessState =
  | { kind: "running" }
  /** Stopped by a job-control signal; `reported` once a waiter has seen it. */
  | { kind: "stopped"; signal: number; reported: boolean }
  /** Continued and not yet reported to a waiter with WCONTINUED. */
  | { kind: "continued" }
  | { kind: "zombie"; status: WaitStatus };

export type WaitStatus = { kind: "exited"; code: number } | { kind: "signaled"; signal: number; coreDumped: boolean };

export interface Thread {
  readonly tid: number;
  readonly process: Process;
  state: ThreadState;
  /** Physical address of the trapframe page, and where every address space of the thread maps it. */
  trapframe: PhysAddr;
  trapframeAddress: VirtAddr;
  /** Floating-point registers and control word while the thread is not on a hart: the architecture's layout. */
  readonly floatState: Uint32Array;
  /** Blocked signals 1..64: bit n-1, as (lo, hi) words. */
  signalMask: SignalSet;
  /** Mask to put back once the signal that ended sigsuspend, ppoll or pselect has been set up. */
  savedSignalMask: SignalSet | undefined;
  readonly pendingSignals: SignalInfo[];
  alternateStack: { address: number; size: number; flags: number };
  /** What a blocked call must remember over its reruns; undefined when no call is under way. */
  restart: RestartData | undefined;
  /** The system call under way, between its first entry and its completion. */
  currentCall: { number: number; args: Int32Array } | undefined;
  clearChildTid: number;
  robustList: { head: number; length: number };
  /** Hart that last ran it. */
  lastHart: number;
  /** Allowed harts as a bit mask. */
  affinity: number;
  usage: Usage;
  /** Virtual time at which it last came onto a hart. */
  scheduledAtNs: number;
  name: string;
}

export type ThreadState =
  | { kind: "runnable" }
  | { kind: "running"; hart: number }
  | { kind: "blocked"; on: WaitKey[]; deadlineNs: number | undefined }
  | { kind: "stopped" }
  | { kind: "exited" };

/** Plain data that a restarted handler finds again. Each family adds the fields it needs. */
export interface RestartData {
  /** Absolute deadline in virtual nanoseconds, computed at the first run. */
  deadlineNs?: number;
  /** Progress of a transfer that may be partial (bytes already done). */
  done?: number;
  /** Why the thread runs again, where the handler cares. */
  reason?: "woken" | "deadline" | "signal";
  /** Pid of a vfork child that must exec or exit first. */
  vforkChild?: number;
  /** Set by a futex waker. */
  futexWoken?: boolean;
  futexKey?: string;
}

export interface SignalSet {
  lo: number;
  hi: number;
}

export interface SignalAction {
  /** 0 = default, 1 = ignore, else the handler's address. */
  handler: number;
  flags: number;
  restorer: number;
  mask: SignalSet;
}

export interface SignalTable {
  readonly actions: SignalAction[];
  sharers: number;
}

/** siginfo, as far as the kernel fills it. */
export interface SignalInfo {
  readonly signal: number;
  /** SI_USER 0, SI_KERNEL 0x80, SI_TKILL -6, SEGV_MAPERR 1, … */
  readonly code: number;
  readonly pid?: number;
  readonly uid?: number;
  readonly status?: number;
  /** Fault address for SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP. */
  readonly address?: number;
  /** Value of sigqueue: 64 bits as (lo, hi). */
  readonly valueLo?: number;
  readonly valueHi?: number;
}

export interface Credentials {
  uid: number;
  euid: number;
  suid: number;
  fsuid: number;
  gid: number;
  egid: number;
  sgid: number;
  fsgid: number;
  groups: number[];
}

/** Root, working directory and umask; shared between CLONE_FS sharers. */
export interface FsContext {
  root: PathRef;
  cwd: PathRef;
  umask: number;
  sharers: number;
}

export interface ResourceLimit {
  /** Infinity = RLIM_INFINITY. */
  soft: number;
  hard: number;
}

export interface Usage {
  /** Virtual nanoseconds in user mode and in the kernel. */
  userNs: number;
  systemNs: number;
  minorFaults: number;
  majorFaults: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  maxResidentPages: number;
}

export interface SchedulerState {
  /** Tids that could run, in order. */
  readonly runQueue: number[];
  /** Tid that each hart runs, or undefined when idle. */
  readonly current: (number | undefined)[];
  /** Tids by what they wait for, in the order in which they began. */
  readonly waiters: Map<WaitKey, number[]>;
  /** Deadlines of blocked threads. */
  readonly sleepers: Map<number, number>;
  nextPid: number;
  /** Load averages (1, 5, 15 minutes). */
  readonly load: [number, number, number];
}
