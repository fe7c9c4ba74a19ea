// Signals of Linux on riscv64 and x86-64 (uapi asm-generic/signal.h, siginfo.h; signal(7)): the same numbers on both.

/** Standard signals by name. Real-time signals are 32 (SIGRTMIN as the kernel counts) to 64. */
export const SIGNALS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

export type SignalName = keyof typeof SIGNALS;

/** First real-time signal; these queue, the standard ones collapse. */
export const SIGRTMIN = 32;
/** Number of signals: valid numbers are 1..NSIG. */
export const NSIG = 64;

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(SIGNALS).map(([name, number]) => [number, name]));

/** "SIGINT", "SIGRT_2" for a real-time signal, or the number for anything else. */
export function signalName(signal: number): string {
  const name = NAMES.get(signal);
  if (name !== undefined) return name;
  return signal >= SIGRTMIN && signal <= NSIG ? `SIGRT_${signal - SIGRTMIN}` : String(signal);
}

/** What happens without a handler (signal(7), "Signal dispositions"). */
export type DefaultAction = "terminate" | "core" | "ignore" | "stop" | "continue";

/** The default action of each signal; real-time signals terminate. */
export function defaultAction(signal: number): DefaultAction {
  return DEFAULT_ACTIONS.get(signal) ?? "terminate";
}

const DEFAULT_ACTIONS: ReadonlyMap<number, DefaultAction> = new Map<number, DefaultAction>([
  [SIGNALS.SIGQUIT, "core"],
  [SIGNALS.SIGILL, "core"],
  [SIGNALS.SIGTRAP, "core"],
  [SIGNALS.SIGABRT, "core"],
  [SIGNALS.SIGBUS, "core"],
  [SIGNALS.SIGFPE, "core"],
  [SIGNALS.SIGSEGV, "core"],
  [SIGNALS.SIGXCPU, "core"],
  [SIGNALS.SIGXFSZ, "core"],
  [SIGNALS.SIGSYS, "core"],
  [SIGNALS.SIGCHLD, "ignore"],
  [SIGNALS.SIGURG, "ignore"],
  [SIGNALS.SIGWINCH, "ignore"],
  [SIGNALS.SIGCONT, "continue"],
  [SIGNALS.SIGSTOP, "stop"],
  [SIGNALS.SIGTSTP, "stop"],
  [SIGNALS.SIGTTIN, "stop"],
  [SIGNALS.SIGTTOU, "stop"],
]);

export const SIG_DFL = 0;
export const SIG_IGN = 1;

/** sigaction flags. The field is 64 bits wide; all flags lie in the low word. */
export const SA_NOCLDSTOP = 0x1;
export const SA_NOCLDWAIT = 0x2;
export const SA_SIGINFO = 0x4;
export const SA_EXPOSE_TAGBITS = 0x800;
export const SA_RESTORER = 0x0400_0000;
export const SA_ONSTACK = 0x0800_0000;
export const SA_RESTART = 0x1000_0000;
export const SA_NODEFER = 0x4000_0000;
export const SA_RESETHAND = 0x8000_0000;

/** rt_sigprocmask's first argument. */
export const SIG_BLOCK = 0;
export const SIG_UNBLOCK = 1;
export const SIG_SETMASK = 2;

/** stack_t flags. */
export const SS_ONSTACK = 1;
export const SS_DISABLE = 2;
export const SS_AUTODISARM = 0x8000_0000;
/** Smallest alternate stack: 2048 on x86-64 and riscv64 (asm-generic MINSIGSTKSZ). */
export const MINSIGSTKSZ = 2048;

/** si_code: who sent it. */
export const SI_USER = 0;
export const SI_KERNEL = 0x80;
export const SI_QUEUE = -1;
export const SI_TIMER = -2;
export const SI_MESGQ = -3;
export const SI_ASYNCIO = -4;
export const SI_SIGIO = -5;
export const SI_TKILL = -6;

/** si_code of faults and of SIGCHLD. */
export const ILL_ILLOPC = 1;
export const ILL_ILLOPN = 2;
export const ILL_ILLADR = 3;
export const ILL_ILLTRP = 4;
export const ILL_PRVOPC = 5;
export const FPE_INTDIV = 1;
export const FPE_FLTDIV = 3;
export const FPE_FLTOVF = 4;
export const FPE_FLTUND = 5;
export const FPE_FLTRES = 6;
export const FPE_FLTINV = 7;
export const SEGV_MAPERR = 1;
export const SEGV_ACCERR = 2;
export const BUS_ADRALN = 1;
export const BUS_ADRERR = 2;
export const BUS_OBJERR = 3;
export const TRAP_BRKPT = 1;
export const TRAP_TRACE = 2;
export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;
export const CLD_TRAPPED = 4;
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;
export const POLL_IN = 1;

/** Bytes of siginfo_t. */
export const SIGINFO_SIZE = 128;
/** Bytes of the kernel's sigset_t, which every rt_sig* call must name as its size. */
export const SIGSET_SIZE = 8;
