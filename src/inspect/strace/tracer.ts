// System calls as strace prints them: one line a call, `name(arguments) = result`, from the kernel's probes.
//
//   [pid 3] write(1, "hello\n", 6)          = 6
//   [pid 3] wait4(-1,  <unfinished ...>
//   [pid 4] exit_group(0)                   = ?
//   [pid 4] +++ exited with 0 +++
//   [pid 3] <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 4
//
// A call whose line is interrupted by another thread's is shown in two parts.

import { signalName, SIGNALS } from "../../abi/linux/signals.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Process, SignalInfo, Thread } from "../../kernel/process/types.ts";
import type { SyscallResult, SyscallRow } from "../../kernel/syscall/row.ts";
import { peekUser } from "../peek.ts";
import {
  callName,
  isShownAtExit,
  quote,
  showArgument,
  shownArguments,
  showOutcome,
  showRawArguments,
  type ShowContext,
} from "./show.ts";

export interface TraceOptions {
  /** Names of calls to show; undefined shows all. See parseCallSet. */
  readonly calls: ReadonlySet<string> | undefined;
  /** Show the pid before each line, and follow children. Without it only the first process is shown. */
  readonly follow: boolean;
  /** Count only; nothing is printed until `summary`. */
  readonly countOnly: boolean;
  readonly write: (line: string) => void;
}

export interface Tracer {
  /** The table of `-c`: calls, errors and virtual time slept, most calls first. */
  summary(): string;
  /** The same as data, most calls first. */
  counts(): CallSummary[];
  /** Ends a line that is still open. Call it when the run is over. */
  finish(): void;
}

/** Groups that `-e` knows beside names of calls, as strace's `%class`. */
const CALL_CLASSES: Readonly<Record<string, (row: string) => boolean>> = {
  "%file": (name) =>
    /open|creat$|stat|access|link|mkdir|rmdir|mknod|rename|chdir|chroot|chmod|chown|truncate$|utime|execve|mount|readlink|getcwd|xattr/.test(
      name,
    ) && !/^f(stat|chmod|chown|truncate|chdir)$/.test(name),
  "%desc": (name) =>
    /read|write|open|close|dup|fcntl|ioctl|lseek|^f(stat|chmod|chown|truncate|sync|datasync|lock|allocate)|pipe|poll|select|sendfile|getdents|splice|copy_file|epoll|eventfd|mmap/.test(
      name,
    ) && !name.startsWith("readlink"),
  "%process": (name) =>
    /^(clone|clone3|fork|vfork|execve|execveat|exit|exit_group|wait4|waitid|kill|tkill|tgkill|rt_sigqueueinfo)$/.test(
      name,
    ),
  "%signal": (name) => /^(rt_sig|kill|tkill|tgkill|sigaltstack|pause|signalfd)/.test(name),
  "%memory": (name) => /^(brk|mmap|munmap|mprotect|mremap|madvise|mincore|msync|mlock|munlock)/.test(name),
  "%time": (name) => /clock_|nanosleep|timeofday|^times?$|timer|alarm/.test(name),
  "%net": (name) => /socket|bind|listen|accept|connect|send|recv|shutdown/.test(name),
};

/**
 * The set that `-e` names: "open,read", "trace=open,read", "%file", with "!" in front for all others.
 * Returns the name that is unknown when there is one.
 */
export function parseCallSet(text: string, allNames: readonly string[]): { calls: Set<string> } | { unknown: string } {
  const body = text.replace(/^trace=/, "");
  const negated = body.startsWith("!");
  const chosen = new Set<string>();
  for (const word of body.replace(/^!/, "").split(",")) {
    const isMember = CALL_CLASSES[word.startsWith("%") ? word : `%${word}`];
    if (allNames.includes(word)) chosen.add(word);
    else if (isMember !== undefined) for (const name of allNames.filter(isMember)) chosen.add(name);
    else if (word === "all") for (const name of allNames) chosen.add(name);
    else if (word !== "none") return { unknown: word };
  }
  return { calls: negated ? new Set(allNames.filter((name) => !chosen.has(name))) : chosen };
}

/** Calls whose line is complete when they are entered. */
const NEVER_RETURNS: ReadonlySet<string> = new Set(["exit", "exit_group"]);

/** Column where "= result" begins, as in strace. */
const RESULT_COLUMN = 39;

interface PendingCall {
  readonly name: string;
  readonly row: SyscallRow | undefined;
  readonly args: Int32Array;
  /** Arguments shown so far, by count. */
  shown: number;
  startedNs: number;
}

/** A line of the table of `-c`. */
export interface CallSummary extends CallCount {
  readonly name: string;
}

interface CallCount {
  calls: number;
  errors: number;
  /** Virtual time from entry to exit: what the call slept, since the kernel itself takes none. */
  waitedNs: number;
}

/** Attaches to the kernel's probes and writes a line a call. */
export function traceSystemCalls(k: Kernel, options: TraceOptions): Tracer {
  const pending = new Map<number, PendingCall>();
  const counts = new Map<string, CallCount>();
  /** The thread whose line is open, and the text on it. */
  let open: { tid: number; text: string } | undefined;

  /** The first process that was seen: the only one that is shown without `follow`. */
  let firstPid: number | undefined;

  const isFollowed = (process: Process): boolean => {
    firstPid ??= process.pid;
    return options.follow || process.pid === firstPid;
  };
  const isShown = (name: string): boolean =>
    !options.countOnly && (options.calls === undefined || options.calls.has(name));
  const prefix = (tid: number): string => (options.follow ? `[pid ${tid}] ` : "");

  const closeOpenLine = (): void => {
    if (open === undefined) return;
    options.write(`${open.text} <unfinished ...>`);
    open = undefined;
  };
  const writeLine = (tid: number, text: string): void => {
    closeOpenLine();
    options.write(prefix(tid) + text);
  };
  const listArguments = (context: ShowContext, from: number, to: number): string => {
    const parts: string[] = [];
    for (let index = from; index < to; index++) parts.push(showArgument(context, index));
    return parts.join(", ");
  };

  k.probes.syscallEnter = (thread: Thread, number: number, row: SyscallRow | undefined, args: Int32Array): void => {
    if (!isFollowed(thread.process)) return;
    const name = row?.name ?? callName(k, number);
    const call: PendingCall = { name, row, args: args.slice(), shown: 0, startedNs: k.machine.timeNs };
    pending.set(thread.tid, call);
    if (!isShown(name)) return;
    const count = row === undefined ? 0 : shownArguments(row, call.args);
    if (row !== undefined) {
      const firstAtExit = row.args.findIndex((spec) => isShownAtExit(row, spec));
      call.shown = firstAtExit < 0 ? count : Math.min(count, firstAtExit);
    }
    closeOpenLine();
    const text =
      row === undefined
        ? showRawArguments(args)
        : listArguments({ k, thread, row, args: call.args, result: undefined }, 0, call.shown) +
          (call.shown < count && call.shown > 0 ? ", " : "");
    open = { tid: thread.tid, text: `${prefix(thread.tid)}${name}(${text}` };
    if (row !== undefined && NEVER_RETURNS.has(row.name)) {
      options.write(`${pad(`${open.text})`)} = ?`);
      open = undefined;
      pending.delete(thread.tid);
      account(name, 0, false);
    }
  };

  k.probes.syscallExit = (thread: Thread, _number, row, _args, result: SyscallResult): void => {
    const call = pending.get(thread.tid);
    if (call === undefined) return;
    pending.delete(thread.tid);
    const failed = typeof result === "string" && result !== "NO_RETURN";
    account(call.name, k.machine.timeNs - call.startedNs, failed);
    if (!isShown(call.name)) return;
    let text: string;
    if (open?.tid === thread.tid) text = open.text;
    else {
      closeOpenLine();
      text = `${prefix(thread.tid)}<... ${call.name} resumed>`;
    }
    open = undefined;
    const count = row === undefined ? 0 : shownArguments(row, call.args);
    if (row !== undefined && call.shown < count) {
      const value = typeof result === "number" ? result : undefined;
      text += listArguments({ k, thread, row, args: call.args, result: value }, call.shown, count);
    }
    options.write(`${pad(`${text})`)} = ${showOutcome(row, result)}`);
  };

  // The program that the host starts has no execve of its own: its line is made up, as strace begins with one.
  k.probes.exec = (thread: Thread, path: string, argv: readonly string[]): void => {
    if (pending.has(thread.tid) || !isFollowed(thread.process)) return;
    account("execve", 0, false);
    if (!isShown("execve")) return;
    const words = argv.map((word) => quote(encodeLatin1(word))).join(", ");
    writeLine(
      thread.tid,
      `${pad(`execve(${quote(encodeLatin1(path))}, [${words}], [/* ${countVariables(k, thread.process)} vars */])`)} = 0`,
    );
  };

  k.probes.signalDeliver = (thread: Thread, info: SignalInfo): void => {
    if (options.countOnly || !isFollowed(thread.process) || info.signal === SIGNALS.SIGKILL) return;
    writeLine(thread.tid, `--- ${signalName(info.signal)} ${showSignalInfo(info)} ---`);
  };

  k.probes.exit = (process: Process): void => {
    if (options.countOnly || !isFollowed(process) || process.state.kind !== "zombie") return;
    const { status } = process.state;
    writeLine(
      process.pid,
      status.kind === "exited"
        ? `+++ exited with ${status.code} +++`
        : `+++ killed by ${signalName(status.signal)}${status.coreDumped ? " (core dumped)" : ""} +++`,
    );
  };

  function account(name: string, waitedNs: number, failed: boolean): void {
    if (options.calls !== undefined && !options.calls.has(name)) return;
    const count = counts.get(name) ?? { calls: 0, errors: 0, waitedNs: 0 };
    count.calls += 1;
    count.errors += failed ? 1 : 0;
    count.waitedNs += waitedNs;
    counts.set(name, count);
  }

  return {
    summary: () => formatSummary(listCounts(counts)),
    counts: () => listCounts(counts),
    finish: closeOpenLine,
  };
}

function encodeLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

function countVariables(k: Kernel, { space, environmentRange }: Process): number {
  const bytes = peekUser(k, space, environmentRange.start, environmentRange.end - environmentRange.start);
  return bytes?.filter((byte) => byte === 0).length ?? 0;
}

function pad(text: string): string {
  return text.padEnd(RESULT_COLUMN);
}

function showSignalInfo(info: SignalInfo): string {
  const parts = [`si_signo=${signalName(info.signal)}`, `si_code=${signalCode(info)}`];
  if (info.pid !== undefined) parts.push(`si_pid=${info.pid}`);
  if (info.uid !== undefined) parts.push(`si_uid=${info.uid}`);
  if (info.status !== undefined) parts.push(`si_status=${info.status}`);
  if (info.address !== undefined)
    parts.push(`si_addr=${info.address === 0 ? "NULL" : `0x${info.address.toString(16)}`}`);
  return `{${parts.join(", ")}}`;
}

const FAULT_CODES: Readonly<Record<string, readonly string[]>> = {
  SIGSEGV: ["SEGV_MAPERR", "SEGV_ACCERR"],
  SIGBUS: ["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR"],
  SIGILL: ["ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC"],
  SIGFPE: [
    "FPE_INTDIV",
    "FPE_INTOVF",
    "FPE_FLTDIV",
    "FPE_FLTOVF",
    "FPE_FLTUND",
    "FPE_FLTRES",
    "FPE_FLTINV",
    "FPE_FLTSUB",
  ],
  SIGTRAP: ["TRAP_BRKPT", "TRAP_TRACE"],
  SIGCHLD: ["CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"],
};

function signalCode(info: SignalInfo): string {
  const general: Readonly<Record<number, string>> = {
    0: "SI_USER",
    128: "SI_KERNEL",
    [-1]: "SI_QUEUE",
    [-2]: "SI_TIMER",
    [-6]: "SI_TKILL",
  };
  return general[info.code] ?? FAULT_CODES[signalName(info.signal)]?.[info.code - 1] ?? String(info.code);
}

function listCounts(counts: ReadonlyMap<string, CallCount>): CallSummary[] {
  return [...counts]
    .map(([name, count]) => ({ name, ...count }))
    .sort((a, b) => b.calls - a.calls || (a.name < b.name ? -1 : 1));
}

function formatSummary(rows: readonly CallSummary[]): string {
  const total: CallCount = { calls: 0, errors: 0, waitedNs: 0 };
  const line = (name: string, count: CallCount): string =>
    `${String(count.calls).padStart(9)} ${(count.errors === 0 ? "" : String(count.errors)).padStart(9)} ${String(count.waitedNs).padStart(13)} ${name}`;
  const lines = [`${"calls".padStart(9)} ${"errors".padStart(9)} ${"waited ns".padStart(13)} syscall`];
  const rule = `${"-".repeat(9)} ${"-".repeat(9)} ${"-".repeat(13)} ${"-".repeat(16)}`;
  lines.push(rule);
  for (const count of rows) {
    lines.push(line(count.name, count));
    total.calls += count.calls;
    total.errors += count.errors;
    total.waitedNs += count.waitedNs;
  }
  lines.push(rule, line("total", total));
  return lines.join("\n");
}
