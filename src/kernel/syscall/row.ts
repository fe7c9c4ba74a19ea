// One row per system call: number, name, typed arguments, handler. Dispatch, user-pointer checks and the tracer's decoding all read
// that row. The rows stand in one file per family (files.ts, memory.ts, process.ts, …), and table.ts numbers them per ABI.

import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import type { Process, Thread } from "../process/types.ts";
import type { Blocked } from "../wait.ts";

/**
 * What a handler returns: a value, an expected failure, "BLOCKED" (nothing changed but the wait), or "NO_RETURN" when the
 * register state must stay as the handler left it (execve, exit, rt_sigreturn).
 */
export type SyscallResult = number | Errno | Blocked | "NO_RETURN";

/** Whose call it is. */
export interface Call {
  readonly k: Kernel;
  readonly thread: Thread;
  readonly process: Process;
  readonly hart: number;
}

/**
 * How an argument is passed, and so how it is decoded, checked and shown:
 *   int, uint     low 32 bits, signed or unsigned     long, ulong   64 bits as a JS number (beyond 2^53: nearest)
 *   fd            int, a descriptor (AT_FDCWD shown)  size          ulong, bytes     offset   long, bytes
 *   pointer       user address; NaN when not canonical (so every range check fails)
 *   path, string  NUL-terminated user string, read by dispatch (byte string; EFAULT, ENAMETOOLONG)
 *   mode          uint, octal     pid  int     signal  int     flags  uint, shown by the `show` table's names
 */
export type ArgumentType =
  | "int"
  | "uint"
  | "long"
  | "ulong"
  | "fd"
  | "size"
  | "offset"
  | "pointer"
  | "path"
  | "string"
  | "mode"
  | "pid"
  | "signal"
  | "flags";

export interface ArgumentSpec {
  readonly name: string;
  readonly type: ArgumentType;
  /**
   * For the tracer: how to show it. A table name ("open", "mmap-prot", …) for flags; for pointers what lies there
   * ("buffer:in:LENGTHARG", "buffer:out:RESULT", "stat:out", "timespec:in", "iovec:in:COUNTARG", "argv", "sigset:in", …).
   */
  readonly show?: string;
}

export type ArgumentValue<T extends ArgumentType> = T extends "path" | "string" ? string : number;

type ArgumentValues<A extends readonly ArgumentSpec[]> = { [I in keyof A]: ArgumentValue<A[I]["type"]> };

export interface SyscallRow {
  readonly name: string;
  readonly args: readonly ArgumentSpec[];
  /** How the tracer shows the result. */
  readonly result: "int" | "size" | "pointer" | "pid" | "fd" | "none" | "mode";
  /**
   * What a signal handler does to it while it is blocked: "restart" honours SA_RESTART, "interrupt" always gives EINTR.
   * (signal(7): sleeps, polls, sigsuspend and timed waits are never restarted.)
   */
  readonly onSignal: "restart" | "interrupt";
  readonly handler: (call: Call, ...values: (number | string)[]) => SyscallResult;
}

/** Makes a row with a handler whose parameters are typed by its argument list. */
export function defineCall<const A extends readonly ArgumentSpec[]>(row: {
  name: string;
  args: A;
  result: SyscallRow["result"];
  onSignal?: SyscallRow["onSignal"];
  handler: (call: Call, ...values: ArgumentValues<A>) => SyscallResult;
}): SyscallRow {
  return {
    name: row.name,
    args: row.args,
    result: row.result,
    onSignal: row.onSignal ?? "restart",
    // Dispatch decodes each value by the same argument list that typed the handler.
    handler: row.handler as unknown as SyscallRow["handler"],
  };
}
