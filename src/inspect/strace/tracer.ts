// System calls as strace prints them: one line a call, `name(arguments) = result`, from the kernel's probes.
//
//   [pid 3] write(1, "hello\n", 6)          = 6
//   [pid 3] wait4(-1,  <unfinished ...>
//   [pid 4] exit_group(0)                   = ?
//   [pid 4] +++ exited with 0 +++
//   [pid 3] <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 4
//
// A call whose line is interrupted by another thread's is shown in two parts.

import { ERRNO } from "../../abi/linux/errno.ts";
import { signalName } from "../../abi/linux/signals.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Process, SignalInfo, Thread } from "../../kernel/process/types.ts";
import type { SyscallResult, SyscallRow } from "../../kernel/syscall/row.ts";
import { isShownAtExit, showArgument, showError, showResult, type ShowContext } from "./show.ts";

export interface TraceOptions {
  /** Names of calls to show; undefined shows all. See parseCallSet. */
  readonly calls: ReadonlySet<string> | undefined;
  /** Show the pid before each line, and follow children. Without it only the first process is shown. */
  readonly follow: boolean;
  /** Count only; nothing is printed until `summary`. */
  readonly countOnly: boolean;
  readonly write: (line: string) => void;
  /** Name of a call that has no row, by its number. */
  readonly callName: (number: number) => string | undefined;
}

export interface Tracer {
  /** The table of `-c`: calls, errors and guest instructions between entry and exit, most calls first. */
  summary(): string;
  /** Ends a line that is still open. Call it when the run is over. */
  finish(): void;
}

/** Groups that `-e` knows beside names of calls, as strace's `%class`. */
const CALL_CLASSES: Readonly<Record<string, (row: string) => boolean>> = {
  "%file": (name) => /open|stat|access|link|mkdir|mknod|rename|chdir|chroot|chmod|chown|truncate$|utimens|execve|mount|readlink|getcwd|xattr/.test(name) && !/^f(stat|chmod|chown|truncate|chdir)$/.test(name),
  "%desc": (name) => /read|write|open|close|dup|fcntl|ioctl|lseek|^f(stat|chmod|chown|truncate|sync|datasync|lock|allocate)|pipe|poll|select|sendfile|getdents|splice|copy_file|epoll|eventfd|mmap/.test(name) && name !== "readlinkat",
  "%process": (name) => /^(clone|clone3|fork|vfork|execve|execveat|exit|exit_group|wait4|waitid|kill|tkill|tgkill|rt_sigqueueinfo)$/.test(name),
  "%signal": (name) => /^(rt_sig|kill|tkill|tgkill|sigaltstack|pause|signalfd)/.test(name),
  "%memory": (name) => /^(brk|mmap|munmap|mprotect|mremap|madvise|mincore|msync|mlock|munlock)/.test(name),
  "%time": (name) => /clock_|nanosleep|timeofday|^times$|timer|alarm/.test(name),
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

interface CallCount {
  calls: number;
  errors: number;
  instructions: number;
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
  const isShown = (name: string): boolean => !options.countOnly && (options.calls === undefined || options.calls.has(name));
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
    const name = row?.name ?? options.callName(number) ?? `syscall_0x${number.toString(16)}`;
    const call: PendingCall = { name, row, args: args.slice(), shown: 0, startedNs: k.machine.timeNs };
    pending.set(thread.tid, call);
    if (!isShown(name)) return;
    const count = row?.args.length ?? 0;
    if (row !== undefined) {
      const firstAtExit = row.args.findIndex(isShownAtExit);
      call.shown = firstAtExit < 0 ? count : firstAtExit;
    }
    closeOpenLine();
    const text =
      row === undefined
        ? rawArguments(args)
        : listArguments({ k, thread, row, args: call.args, result: undefined }, 0, call.shown) + (call.shown < count && call.shown > 0 ? ", " : "");
    open = { tid: thread.tid, text: `${prefix(thread.tid)}${name}(${text}` };
    // A call that does not return, and an exec that replaces what the arguments point to, show all they have now.
    if (row?.result === "none") {
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
    if (row !== undefined && call.shown < row.args.length) {
      const value = typeof result === "number" ? result : undefined;
      text += listArguments({ k, thread, row, args: call.args, result: value }, call.shown, row.args.length);
    }
    const outcome = result === "NO_RETURN" ? "0" : typeof result === "number" ? showResult(row, result) : showError(ERRNO[result as keyof typeof ERRNO] ?? 0);
    options.write(`${pad(`${text})`)} = ${outcome}`);
  };

  k.probes.signalDeliver = (thread: Thread, info: SignalInfo): void => {
    if (options.countOnly || !isFollowed(thread.process)) return;
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

  function account(name: string, instructions: number, failed: boolean): void {
    if (options.calls !== undefined && !options.calls.has(name)) return;
    const count = counts.get(name) ?? { calls: 0, errors: 0, instructions: 0 };
    count.calls += 1;
    count.errors += failed ? 1 : 0;
    count.instructions += instructions;
    counts.set(name, count);
  }

  return { summary: () => formatSummary(counts), finish: closeOpenLine };
}

function pad(text: string): string {
  return text.padEnd(RESULT_COLUMN);
}

function rawArguments(args: Int32Array): string {
  return Array.from({ length: 6 }, (_, index) => {
    const value = ((args[index * 2 + 1] ?? 0) >>> 0) * 2 ** 32 + ((args[index * 2] ?? 0) >>> 0);
    return `0x${value.toString(16)}`;
  }).join(", ");
}

function showSignalInfo(info: SignalInfo): string {
  const parts = [`si_signo=${signalName(info.signal)}`, `si_code=${signalCode(info)}`];
  if (info.pid !== undefined) parts.push(`si_pid=${info.pid}`);
  if (info.uid !== undefined) parts.push(`si_uid=${info.uid}`);
  if (info.status !== undefined) parts.push(`si_status=${info.status}`);
  if (info.address !== undefined) parts.push(`si_addr=${info.address === 0 ? "NULL" : `0x${info.address.toString(16)}`}`);
  return `{${parts.join(", ")}}`;
}

const FAULT_CODES: Readonly<Record<string, readonly string[]>> = {
  SIGSEGV: ["SEGV_MAPERR", "SEGV_ACCERR"],
  SIGBUS: ["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR"],
  SIGILL: ["ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC"],
  SIGTRAP: ["TRAP_BRKPT", "TRAP_TRACE"],
  SIGCHLD: ["CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"],
};

function signalCode(info: SignalInfo): string {
  const general: Readonly<Record<number, string>> = { 0: "SI_USER", 128: "SI_KERNEL", [-1]: "SI_QUEUE", [-2]: "SI_TIMER", [-6]: "SI_TKILL" };
  return general[info.code] ?? FAULT_CODES[signalName(info.signal)]?.[info.code - 1] ?? String(info.code);
}

function formatSummary(counts: ReadonlyMap<string, CallCount>): string {
  const rows = [...counts].sort((a, b) => b[1].calls - a[1].calls || (a[0] < b[0] ? -1 : 1));
  const total: CallCount = { calls: 0, errors: 0, instructions: 0 };
  const line = (name: string, count: CallCount): string =>
    `${String(count.calls).padStart(9)} ${(count.errors === 0 ? "" : String(count.errors)).padStart(9)} ${String(count.instructions).padStart(13)} ${name}`;
  const lines = [`${"calls".padStart(9)} ${"errors".padStart(9)} ${"instructions".padStart(13)} syscall`];
  const rule = `${"-".repeat(9)} ${"-".repeat(9)} ${"-".repeat(13)} ${"-".repeat(16)}`;
  lines.push(rule);
  for (const [name, count] of rows) {
    lines.push(line(name, count));
    total.calls += count.calls;
    total.errors += count.errors;
    total.instructions += count.instructions;
  }
  lines.push(rule, line("total", total));
  return lines.join("\n");
}
