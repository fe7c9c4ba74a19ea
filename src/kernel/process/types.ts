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
  /** Tids, oldest first. Empty for the kernel's reaper, which runs no program. */
  readonly threads: number[];
  /** Pids of its children, zombies included, oldest first. */
  readonly children: number[];
  space: AddressSpace;
  files: FileTable;
  fs: FsContext;
  credentials: Credentials;
  /** Dispositions, index 1..64; shared between CLONE_SIGHAND sharers. */
  signals: SignalTable;
  /** Signals sent to the process as a whole, not yet taken by a thread. */
  readonly pendingSignals: SignalInfo[];
  /** By RLIMIT_ number. */
  readonly limits: ResourceLimit[];
  state: ProcessState;
  /** Set by exit_group or a fatal signal: every thread ends at its next step in the kernel, and this becomes the exit status. */
  groupExit: WaitStatus | undefined;
  /** Signal that the parent gets at exit (SIGCHLD after fork, 0 after some clones). */
  exitSignal: number;
  /** True from execve on: setpgid by the parent is refused with EACCES. */
  hasExecuted: boolean;
  /** Parent that a vfork child keeps waiting. */
  vforkParent: number | undefined;
  /** Path of the program file as /proc/PID/exe shows it (a byte string). */
  executable: string;
  /** The program file itself, which nobody may open for writing meanwhile (ETXTBSY). */
  program: PathRef | undefined;
  /** First 15 bytes of the program's name. */
  name: string;
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
  /** ITIMER_VIRTUAL and ITIMER_PROF: what is left of user (and system) time, and the period. Both count the same virtual time. */
  virtualTimer: CpuTimer | undefined;
  profilingTimer: CpuTimer | undefined;
  /** timer_create's timers by id. */
  readonly timers: Map<number, PosixTimer>;
  dumpable: boolean;
  parentDeathSignal: number;
  nice: number;
  /** -1000 (never killed for memory) to 1000, in thousandths of all memory, and the least that a process without privilege may set. */
  oomScoreAdjust: number;
  oomScoreAdjustLeast: number;
  childSubreaper: boolean;
  noNewPrivileges: boolean;
  personality: number;
}

export interface CpuTimer {
  remainingNs: number;
  intervalNs: number;
}

/** A timer of timer_create. */
export interface PosixTimer {
  readonly id: number;
  readonly clock: number;
  /** SIGEV_SIGNAL, SIGEV_NONE or SIGEV_THREAD_ID, and whom it tells. */
  readonly notify: number;
  readonly signal: number;
  readonly tid: number;
  readonly valueLo: number;
  readonly valueHi: number;
  /** Next expiry in virtual nanoseconds; undefined when disarmed. */
  expiresNs: number | undefined;
  intervalNs: number;
  overrun: number;
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
  /** Changes once at most: the thread that calls execve becomes its process's leader. */
  tid: number;
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
  /** Room for `currentCall.args`: 6 raw (lo, hi) pairs. An array for each call would cost a tenth of a null call. */
  readonly callArguments: Int32Array;
  /** Ended by another thread's execve; it leaves at its next step in the kernel. */
  killed: boolean;
  clearChildTid: number;
  robustList: { head: number; length: number };
  /** Hart that last ran it. */
  lastHart: number;
  /** Allowed harts as a bit mask. */
  affinity: number;
  usage: Usage;
  /** Virtual time up to which its use of a hart has been charged. */
  scheduledAtNs: number;
  /** Virtual time at which it gives way to others that could run. */
  sliceEndNs: number;
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
  /** Only SIGKILL interrupts the wait, and the call is never begun anew: a vfork parent. */
  uninterruptible?: boolean;
  /** Set by a futex waker. */
  futexWoken?: boolean;
  /** Bit set that a futex waiter waits for. */
  futexBits?: number;
  /** A handler ends the call with EINTR even with SA_RESTART: a wait with a timeout. */
  neverRestart?: boolean;
  /** Wait key of the FIFO end that this thread is opening, and how often the other end had been opened when it began. */
  fifoOpening?: string;
  fifoPartnerOpens?: number;
  /** Bytes that a timed terminal read had seen when its timer last began. */
  ttySeen?: number;
  /** Process that holds the record lock which this one waits for. */
  lockHolder?: number;
}

export interface SignalSet {
  lo: number;
  hi: number;
}

/** What a process does on a signal. Replaced as a whole, never changed: processes share these records. */
export interface SignalAction {
  /** 0 = default, 1 = ignore, else the handler's address. */
  readonly handler: number;
  readonly flags: number;
  readonly restorer: number;
  readonly mask: Readonly<SignalSet>;
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
  /** Id of the timer that sent it. */
  readonly timer?: number;
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

/** Replaced as a whole, never changed: processes share these records. */
export interface ResourceLimit {
  /** Infinity = RLIM_INFINITY. */
  readonly soft: number;
  readonly hard: number;
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
  /** Tid that each hart ran last, to know a context switch from a return. */
  readonly previous: (number | undefined)[];
  /** What each hart's timer is armed for. */
  readonly armed: (number | undefined)[];
  /** Tids by what they wait for, in the order in which they began. */
  readonly waiters: Map<WaitKey, number[]>;
  /** Deadlines of blocked threads. */
  readonly sleepers: Map<number, number>;
  /** Expiries that belong to no blocked thread, by what expires: "real:PID", "timer:PID:ID". */
  readonly alarms: Map<string, number>;
  /** A lower bound of all deadlines, exact unless `earliestIsStale`; Infinity when there is none. */
  earliestNs: number;
  earliestIsStale: boolean;
  /** Hart that entered the kernel last: the one in whose name kernel code runs, which is atomic with respect to all harts. */
  kernelHart: number;
  nextPid: number;
  /** Pids stay below it (kernel.pid_max). */
  pidMax: number;
  /** Load averages (1, 5, 15 minutes). */
  readonly load: [number, number, number];
  /** Periods of five seconds that `load` accounts for. */
  loadPeriods: number;
  /** The process whose end is the end of the run. */
  mainPid: number | undefined;
}
