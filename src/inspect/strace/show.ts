// How the tracer shows one argument: by its type, and by what its row says lies behind a pointer.
//
// A pointer's `show` is "TYPE:DIRECTION[:WHERE]", for example "buffer:in:count" (as many bytes as the argument `count` says) or
// "buffer:out:result" (as many as the call returned). What goes in is shown from memory as it is when the call is entered, what
// comes out as it is when the call is complete.

import { ERRNO, errnoName } from "../../abi/linux/errno.ts";
import { FIONBIO, FIONREAD, TIOCGPGRP, TIOCGWINSZ, TIOCSPGRP, TIOCSWINSZ } from "../../abi/linux/ioctl.ts";
import { MREMAP_FIXED } from "../../abi/linux/memory.ts";
import { IPC_INFO, IPC_SET, IPC_STAT, SHM_INFO, SHM_STAT, SHM_STAT_ANY } from "../../abi/linux/ipc.ts";
import {
  F_ADD_SEALS,
  F_GET_SEALS,
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  O_CREAT,
  O_DIRECTORY,
  O_TMPFILE,
} from "../../abi/linux/open-flags.ts";
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_PARENT_SETTID,
  CLONE_SETTLS,
} from "../../abi/linux/process.ts";
import { decodeSigaction, decodeSiginfo } from "../../abi/linux/process-layouts.ts";
import { SIGINFO_SIZE, signalName } from "../../abi/linux/signals.ts";
import { S_IFMT } from "../../abi/linux/stat.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Thread } from "../../kernel/process/types.ts";
import { COMPATIBLE_CALLS } from "../../kernel/syscall/table.ts";
import type { ArgumentSpec, SyscallResult, SyscallRow } from "../../kernel/syscall/row.ts";
import { readI32, readI64, readU16, readU32, readU64 } from "../../lib/bytes.ts";
import { peekString, peekUser } from "../peek.ts";
import { NAME_TABLES, showNamed, type NameTable } from "./names.ts";

/** What a formatter may look at. */
export interface ShowContext {
  readonly k: Kernel;
  readonly thread: Thread;
  readonly row: SyscallRow;
  /** Six raw arguments as (lo, hi) pairs. */
  readonly args: Int32Array;
  /** The call's result; undefined while it is being entered or after it failed. */
  readonly result: number | undefined;
}

/** Bytes of a string or buffer shown before "..." (strace's default). */
const STRING_LIMIT = 32;
const ARRAY_LIMIT = 32;
const PATH_LIMIT = 4096;

/** Whether the argument can only be shown when the call is complete. */
export function isShownAtExit(row: SyscallRow, spec: ArgumentSpec): boolean {
  if ((row.name === "ioctl" && spec.name === "argp") || (row.name === "shmctl" && spec.name === "buf")) return true;
  const direction = spec.show?.split(":")[1];
  return direction === "out" || direction === "inout";
}

export function showArgument(context: ShowContext, index: number): string {
  const spec = context.row.args[index];
  if (spec === undefined) return "";
  const lo = context.args[index * 2] ?? 0;
  const hi = context.args[index * 2 + 1] ?? 0;
  const address = hi * 2 ** 32 + (lo >>> 0);
  const table = tableOf(context, spec);
  if (table !== undefined) return showNamed(table, lo);
  switch (spec.type) {
    case "fd":
      return lo === -100 ? "AT_FDCWD" : String(lo);
    case "int":
    case "pid":
      return String(lo);
    case "uint":
      return String(lo >>> 0);
    case "long":
    case "offset":
      return String(address);
    case "ulong":
    case "size":
      return (BigInt(hi >>> 0) * 2n ** 32n + BigInt(lo >>> 0)).toString();
    case "mode":
      return showMode(lo >>> 0);
    case "signal":
      return lo === 0 ? "0" : signalName(lo);
    case "flags":
      return hex(lo >>> 0);
    case "path":
    case "string":
      return showString(context, address);
    case "pointer":
      return showPointer(context, spec, address, hi, lo);
  }
}

/** The names of an argument's values: its row says, or for fcntl the command in another argument. */
function tableOf(context: ShowContext, spec: ArgumentSpec): NameTable | undefined {
  if (context.row.name === "fcntl" && spec.name === "arg")
    return NAME_TABLES[FCNTL_ARGUMENTS[context.args[2] ?? 0] ?? ""];
  return spec.show === undefined ? undefined : NAME_TABLES[spec.show];
}

const FCNTL_ARGUMENTS: Readonly<Record<number, string>> = {
  [F_SETFD]: "descriptor-flags",
  [F_SETFL]: "open",
  [F_ADD_SEALS]: "seals",
};

/** How many arguments are shown: what a call does not look at in this case is left out, as strace does. */
export function shownArguments(row: SyscallRow, args: Int32Array): number {
  /** How many arguments there are up to that one. */
  const upTo = (name: string): number => row.args.findIndex((spec) => spec.name === name) + 1;
  switch (row.name) {
    case "open":
    case "openat": {
      const flags = args[2 * (upTo("flags") - 1)] ?? 0;
      return (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) === 0 ? upTo("flags") : upTo("mode");
    }
    case "fcntl":
      return [F_GETFD, F_GETFL, F_GET_SEALS].includes(args[2] ?? 0) ? 2 : 3;
    case "clone": {
      const flags = args[0] ?? 0;
      const used = [
        (flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) !== 0 ? upTo("child_tidptr") : 0,
        (flags & CLONE_SETTLS) !== 0 ? upTo("tls") : 0,
        (flags & CLONE_PARENT_SETTID) !== 0 ? upTo("parent_tidptr") : 0,
      ];
      return Math.max(upTo("child_stack"), ...used);
    }
    case "mremap":
      return ((args[6] ?? 0) & MREMAP_FIXED) === 0 ? 4 : 5;
    default:
      return row.args.length;
  }
}

/** Whether the tracer knows what a row's `show` says: a table of names, or a format for what a pointer leads to. */
export function isKnownShow(spec: ArgumentSpec): boolean {
  if (spec.show === undefined) return true;
  return spec.type === "pointer"
    ? POINTERS[spec.show.split(":")[0] ?? ""] !== undefined
    : NAME_TABLES[spec.show] !== undefined;
}

function showPointer(context: ShowContext, spec: ArgumentSpec, address: number, hi: number, lo: number): string {
  if (hi === 0 && lo === 0) return "NULL";
  const raw = hexWords(hi, lo);
  const [type = "", direction, where] = whatLiesThere(context, spec).split(":");
  if (direction === "out" && context.result === undefined) return raw;
  const show = POINTERS[type];
  if (show === undefined) return raw;
  return show(context, address, where) ?? raw;
}

/** A whole call as it is when it is entered: "write(1, \"hello\", 5)"; what comes out of it is shown by its address. */
export function showCall(
  k: Kernel,
  thread: Thread,
  row: SyscallRow | undefined,
  number: number,
  args: Int32Array,
): string {
  if (row === undefined) return `${callName(k, number)}(${showRawArguments(args)})`;
  const context: ShowContext = { k, thread, row, args, result: undefined };
  return `${row.name}(${Array.from({ length: shownArguments(row, args) }, (_, index) => showArgument(context, index)).join(", ")})`;
}

/** Name of a call by its number, whether the kernel has it or not. */
export function callName(k: Kernel, number: number): string {
  return k.arch.callNames.get(number) ?? `syscall_0x${(number % COMPATIBLE_CALLS).toString(16)}`;
}

/** All six arguments of a call that has no row. */
export function showRawArguments(args: Int32Array): string {
  return Array.from({ length: 6 }, (_, index) => hexWords(args[index * 2 + 1] ?? 0, args[index * 2] ?? 0)).join(", ");
}

/** What stands behind "= " when a call is complete. */
export function showOutcome(row: SyscallRow | undefined, result: SyscallResult): string {
  if (result === "NO_RETURN") return "0";
  return typeof result === "number" ? showResult(row, result) : showError(ERRNO[result as keyof typeof ERRNO] ?? 0);
}

/** What lies behind a pointer: its row says, or for ioctl the request, for shmctl the command. */
function whatLiesThere({ row, args }: ShowContext, spec: ArgumentSpec): string {
  if (row.name === "ioctl") return IOCTL_ARGUMENTS[args[2] ?? 0] ?? "";
  if (row.name === "shmctl") return SHMCTL_ARGUMENTS[args[2] ?? 0] ?? "";
  // What is left of a sleep is written only when a signal ends it.
  if (row.name.endsWith("nanosleep") && spec.name.startsWith("rem")) return "";
  return spec.show ?? "";
}

const IOCTL_ARGUMENTS: Readonly<Record<number, string>> = {
  [TIOCGWINSZ]: "winsize:out",
  [TIOCSWINSZ]: "winsize:in",
  [TIOCGPGRP]: "int:out",
  [TIOCSPGRP]: "int:in",
  [FIONREAD]: "int:out",
  [FIONBIO]: "int:in",
};

const SHMCTL_ARGUMENTS: Readonly<Record<number, string>> = {
  [IPC_SET]: "shmid_ds:in",
  [IPC_STAT]: "shmid_ds:out",
  [SHM_STAT]: "shmid_ds:out",
  [SHM_STAT_ANY]: "shmid_ds:out",
  [IPC_INFO]: "shminfo:out",
  [SHM_INFO]: "shm_info:out",
};

type PointerFormat = (context: ShowContext, address: number, where: string | undefined) => string | undefined;

/** A structure of fixed size: read it, then show it. */
function structure(size: number, show: (bytes: Uint8Array, context: ShowContext) => string): PointerFormat {
  return (context, address) => {
    const bytes = peekUser(context.k, context.thread.process.space, address, size);
    return bytes === undefined || bytes.length < size ? undefined : show(bytes, context);
  };
}

const POINTERS: Readonly<Record<string, PointerFormat>> = {
  buffer: (context, address, where) => {
    const length = countOf(context, where);
    if (length === undefined) return undefined;
    const bytes = peekUser(context.k, context.thread.process.space, address, Math.min(length, STRING_LIMIT));
    if (bytes === undefined) return length === 0 ? '""' : undefined;
    return quote(bytes) + (length > bytes.length ? "..." : "");
  },
  string: (context, address) => showString(context, address),
  iovec: (context, address, where) => {
    const count = countOf(context, where);
    if (count === undefined) return undefined;
    const shown = Math.min(count, ARRAY_LIMIT);
    const vector = peekUser(context.k, context.thread.process.space, address, shown * 16);
    if (vector === undefined || vector.length < shown * 16) return undefined;
    let left = context.result ?? Infinity;
    const items = Array.from({ length: shown }, (_, index) => {
      const base = readU64(vector, index * 16);
      const length = readU64(vector, index * 16 + 8);
      const present = Math.min(length, left);
      left -= present;
      const bytes =
        peekUser(context.k, context.thread.process.space, base, Math.min(present, STRING_LIMIT)) ?? new Uint8Array();
      return `{iov_base=${quote(bytes)}${present > bytes.length ? "..." : ""}, iov_len=${length}}`;
    });
    return `[${items.join(", ")}${count > shown ? ", ..." : ""}]`;
  },
  argv: (context, address) => {
    const { k, thread } = context;
    const items: string[] = [];
    for (let index = 0; index < ARRAY_LIMIT; index++) {
      const word = peekUser(k, thread.process.space, address + index * 8, 8);
      if (word === undefined || word.length < 8) return undefined;
      const pointer = readU64(word, 0);
      if (pointer === 0) return `[${items.join(", ")}]`;
      items.push(showString(context, pointer));
    }
    return `[${items.join(", ")}, ...]`;
  },
  envp: (context, address) => {
    let count = 0;
    for (; count < 4096; count++) {
      const word = peekUser(context.k, context.thread.process.space, address + count * 8, 8);
      if (word === undefined || word.length < 8) return undefined;
      if (readU64(word, 0) === 0) break;
    }
    return `0x${address.toString(16)} /* ${count} vars */`;
  },
  int: structure(4, (bytes) => `[${readI32(bytes, 0)}]`),
  "fd-pair": structure(8, (bytes) => `[${readI32(bytes, 0)}, ${readI32(bytes, 4)}]`),
  waitstatus: structure(4, (bytes) => `[${showWaitStatus(readI32(bytes, 0))}]`),
  timespec: structure(16, (bytes) => showTimespec(bytes, 0)),
  "timespec-pair": structure(32, (bytes) => `[${showTimespec(bytes, 0)}, ${showTimespec(bytes, 16)}]`),
  "timeval-pair": structure(32, (bytes) => `[${showTimeval(bytes, 0)}, ${showTimeval(bytes, 16)}]`),
  utimbuf: structure(16, (bytes) => `{actime=${readI64(bytes, 0)}, modtime=${readI64(bytes, 8)}}`),
  timeval: structure(16, (bytes) => showTimeval(bytes, 0)),
  itimerval: structure(32, (bytes) => `{it_interval=${showTimeval(bytes, 0)}, it_value=${showTimeval(bytes, 16)}}`),
  itimerspec: structure(32, (bytes) => `{it_interval=${showTimespec(bytes, 0)}, it_value=${showTimespec(bytes, 16)}}`),
  sigset: structure(8, (bytes) => showSignalSet(readU32(bytes, 0), readU32(bytes, 4))),
  sigaction: (context, address) => {
    const { sigaction } = context.k.arch.abi;
    const bytes = peekUser(context.k, context.thread.process.space, address, sigaction.size);
    if (bytes === undefined || bytes.length < sigaction.size) return undefined;
    const action = decodeSigaction(sigaction, bytes);
    const handler = action.handler === 0 ? "SIG_DFL" : action.handler === 1 ? "SIG_IGN" : hex(action.handler);
    return `{sa_handler=${handler}, sa_mask=${showSignalSet(action.maskLo, action.maskHi)}, sa_flags=${named("sigaction", action.flags)}}`;
  },
  siginfo: structure(SIGINFO_SIZE, (bytes) => {
    const info = decodeSiginfo(bytes);
    return `{si_signo=${signalName(info.signal)}, si_code=${info.code}}`;
  }),
  stat: (context, address) => {
    const { stat } = context.k.arch.abi;
    const bytes = peekUser(context.k, context.thread.process.space, address, stat.size);
    if (bytes === undefined || bytes.length < stat.size) return undefined;
    const mode = readU32(bytes, stat.modeOffset);
    return `{st_mode=${showFileMode(mode)}, ${showExtent(mode, readU64(bytes, 48), readU64(bytes, 32))}, ...}`;
  },
  statx: structure(256, (bytes) => {
    const mode = readU16(bytes, 28);
    return `{stx_mask=${hex(readU32(bytes, 0))}, stx_mode=${showFileMode(mode)}, stx_size=${readU64(bytes, 40)}, ...}`;
  }),
  statfs: structure(
    120,
    (bytes) => `{f_type=${hex(readU64(bytes, 0))}, f_bsize=${readU64(bytes, 8)}, f_blocks=${readU64(bytes, 16)}, ...}`,
  ),
  tms: structure(32, (bytes) => {
    const field = (index: number): number => readI64(bytes, index * 8);
    return `{tms_utime=${field(0)}, tms_stime=${field(1)}, tms_cutime=${field(2)}, tms_cstime=${field(3)}}`;
  }),
  stack_t: structure(24, (bytes) => {
    const pointer = readU64(bytes, 0);
    return `{ss_sp=${pointer === 0 ? "NULL" : hex(pointer)}, ss_flags=${named("stack-flags", readI32(bytes, 8))}, ss_size=${readU64(bytes, 16)}}`;
  }),
  rlimit: structure(16, (bytes) => `{rlim_cur=${showLimit(bytes, 0)}, rlim_max=${showLimit(bytes, 8)}}`),
  rusage: structure(144, (bytes) => `{ru_utime=${showTimeval(bytes, 0)}, ru_stime=${showTimeval(bytes, 16)}, ...}`),
  utsname: structure(390, (bytes) => `{sysname=${field(bytes, 0)}, nodename=${field(bytes, 65)}, ...}`),
  sysinfo: structure(
    112,
    (bytes) => `{uptime=${readU64(bytes, 0)}, totalram=${readU64(bytes, 32)}, freeram=${readU64(bytes, 40)}, ...}`,
  ),
  shmid_ds: structure(112, (bytes) => {
    const mode = readU32(bytes, 20);
    const permissions = `{uid=${readU32(bytes, 4)}, gid=${readU32(bytes, 8)}, mode=${showMode(mode)}, key=${readI32(bytes, 0)}, cuid=${readU32(bytes, 12)}, cgid=${readU32(bytes, 16)}}`;
    return `{shm_perm=${permissions}, shm_segsz=${readU64(bytes, 48)}, shm_cpid=${readI32(bytes, 80)}, shm_lpid=${readI32(bytes, 84)}, shm_nattch=${readU64(bytes, 88)}, ...}`;
  }),
  shminfo: structure(72, (bytes) => `{shmmax=${readU64(bytes, 0)}, shmmni=${readU64(bytes, 16)}, ...}`),
  shm_info: structure(
    48,
    (bytes) => `{used_ids=${readI32(bytes, 0)}, shm_tot=${readU64(bytes, 8)}, shm_rss=${readU64(bytes, 16)}, ...}`,
  ),
  winsize: structure(8, (bytes) => `{ws_row=${readU16(bytes, 0)}, ws_col=${readU16(bytes, 2)}, ...}`),
  pollfd: (context, address, where) => {
    const count = countOf(context, where);
    if (count === undefined) return undefined;
    const shown = Math.min(count, ARRAY_LIMIT);
    const bytes = peekUser(context.k, context.thread.process.space, address, shown * 8);
    if (bytes === undefined || bytes.length < shown * 8) return undefined;
    const events = (value: number): string => named("poll", value);
    const items = Array.from({ length: shown }, (_, index) => {
      const revents = readU16(bytes, index * 8 + 6);
      const outcome = context.result === undefined || revents === 0 ? "" : `, revents=${events(revents)}`;
      return `{fd=${readI32(bytes, index * 8)}, events=${events(readU16(bytes, index * 8 + 4))}${outcome}}`;
    });
    return `[${items.join(", ")}${count > shown ? ", ..." : ""}]`;
  },
  fdset: structure(128, (bytes) => {
    const members: number[] = [];
    for (let fd = 0; fd < 1024; fd++) if (((bytes[fd >> 3] ?? 0) >> (fd & 7)) & 1) members.push(fd);
    return `[${members.join(" ")}]`;
  }),
  dirents: (context, address, where) => {
    const length = countOf(context, where);
    const bytes = length === undefined ? undefined : peekUser(context.k, context.thread.process.space, address, length);
    if (bytes === undefined) return undefined;
    let count = 0;
    for (let at = 0; at + 18 < bytes.length; at += Math.max(24, readU16(bytes, at + 16))) count += 1;
    return `${hex(address)} /* ${count} entries */`;
  },
};

/** How many bytes or items: an argument by name, or the result. */
function countOf(context: ShowContext, where: string | undefined): number | undefined {
  if (where === undefined) return undefined;
  if (where.toLowerCase() === "result") return context.result;
  if (/^\d+$/.test(where)) return Number(where);
  const index = context.row.args.findIndex((spec) => spec.name === where);
  if (index < 0) return undefined;
  return ((context.args[index * 2 + 1] ?? 0) >>> 0) * 2 ** 32 + ((context.args[index * 2] ?? 0) >>> 0);
}

function showString(context: ShowContext, address: number): string {
  if (address === 0) return "NULL";
  const text = peekString(context.k, context.thread.process.space, address, PATH_LIMIT);
  if (text === undefined) return `0x${address.toString(16)}`;
  return quote(text.bytes) + (text.ended ? "" : "...");
}

/** Bytes as a C string literal. */
export function quote(bytes: Uint8Array): string {
  let text = '"';
  for (const [index, byte] of bytes.entries()) {
    const plain = ESCAPES[byte];
    if (plain !== undefined) text += plain;
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else {
      const next = bytes[index + 1] ?? 0;
      text += `\\${byte.toString(8).padStart(next >= 0x30 && next <= 0x37 ? 3 : 1, "0")}`;
    }
  }
  return `${text}"`;
}

const ESCAPES: Readonly<Record<number, string>> = {
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
  34: '\\"',
  92: "\\\\",
};

/** The result column: a number, an address, or "-1 ENAME (what it means)". */
function showResult(row: SyscallRow | undefined, value: number): string {
  switch (row?.result) {
    case "pointer":
      return `0x${value.toString(16)}`;
    case "mode":
      return showMode(value);
    default:
      return String(value);
  }
}

/** A value by the names of one table. */
function named(table: string, value: number): string {
  const names = NAME_TABLES[table];
  return names === undefined ? hex(value) : showNamed(names, value);
}

function showMode(mode: number): string {
  return `0${mode.toString(8).padStart(2, "0")}`;
}

function showFileMode(mode: number): string {
  const type = NAME_TABLES["file-type"]?.names.get(mode & S_IFMT) ?? showMode(mode & S_IFMT);
  return `${type}|${showMode(mode & 0o7777)}`;
}

function showExtent(mode: number, size: number, device: number): string {
  const type = mode & S_IFMT;
  if (type !== 0o020000 && type !== 0o060000) return `st_size=${size}`;
  return `st_rdev=makedev(${hex((device >>> 8) & 0xfff)}, ${hex((device & 0xff) | ((device >>> 12) & 0xfff00))})`;
}

function showTimespec(bytes: Uint8Array, offset: number): string {
  const nanoseconds = readI64(bytes, offset + 8);
  if (nanoseconds === 0x3fffffff) return "UTIME_NOW";
  if (nanoseconds === 0x3ffffffe) return "UTIME_OMIT";
  return `{tv_sec=${readI64(bytes, offset)}, tv_nsec=${nanoseconds}}`;
}

function showTimeval(bytes: Uint8Array, offset: number): string {
  return `{tv_sec=${readI64(bytes, offset)}, tv_usec=${readI64(bytes, offset + 8)}}`;
}

function showLimit(bytes: Uint8Array, offset: number): string {
  if (readI32(bytes, offset) === -1 && readI32(bytes, offset + 4) === -1) return "RLIM64_INFINITY";
  return String(readU64(bytes, offset));
}

function signalWord(signal: number): string {
  return signal === 32 ? "RTMIN" : signalName(signal).replace(/^SIG/, "");
}

function showSignalSet(lo: number, hi: number): string {
  const members: string[] = [];
  for (let signal = 1; signal <= 64; signal++) {
    const word = signal <= 32 ? lo : hi;
    if ((word >>> ((signal - 1) & 31)) & 1) members.push(signalWord(signal));
  }
  if (members.length <= 32) return `[${members.join(" ")}]`;
  const absent: string[] = [];
  for (let signal = 1; signal <= 64; signal++) {
    const word = signal <= 32 ? lo : hi;
    if (((word >>> ((signal - 1) & 31)) & 1) === 0) absent.push(signalWord(signal));
  }
  return `~[${absent.join(" ")}]`;
}

function showWaitStatus(status: number): string {
  const signal = status & 0x7f;
  if (status === 0xffff) return "{WIFCONTINUED(s)}";
  if (signal === 0) return `{WIFEXITED(s) && WEXITSTATUS(s) == ${(status >> 8) & 0xff}}`;
  if ((status & 0xff) === 0x7f) return `{WIFSTOPPED(s) && WSTOPSIG(s) == ${signalName((status >> 8) & 0xff)}}`;
  return `{WIFSIGNALED(s) && WTERMSIG(s) == ${signalName(signal)}}`;
}

function field(bytes: Uint8Array, offset: number): string {
  const rest = bytes.subarray(offset, offset + 65);
  const end = rest.indexOf(0);
  return quote(rest.subarray(0, end < 0 ? rest.length : end));
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** All 64 bits, exactly. */
export function hexWords(hi: number, lo: number): string {
  const high = hi >>> 0;
  const low = (lo >>> 0).toString(16);
  return high === 0 ? `0x${low}` : `0x${high.toString(16)}${low.padStart(8, "0")}`;
}

/** The words strace prints behind an error's name. */
function showError(number: number): string {
  if (number === ERRNO.ERESTART) return "? ERESTARTSYS (To be restarted if SA_RESTART is set)";
  const name = errnoName(number);
  return name === undefined ? `-1 (errno ${number})` : `-1 ${name} (${ERROR_WORDS[name] ?? name})`;
}

const ERROR_WORDS: Readonly<Partial<Record<string, string>>> = {
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  ESRCH: "No such process",
  EINTR: "Interrupted system call",
  EIO: "Input/output error",
  ENXIO: "No such device or address",
  E2BIG: "Argument list too long",
  ENOEXEC: "Exec format error",
  EBADF: "Bad file descriptor",
  ECHILD: "No child processes",
  EAGAIN: "Resource temporarily unavailable",
  ENOMEM: "Cannot allocate memory",
  EACCES: "Permission denied",
  EFAULT: "Bad address",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  EXDEV: "Invalid cross-device link",
  ENODEV: "No such device",
  ENOTDIR: "Not a directory",
  EISDIR: "Is a directory",
  EINVAL: "Invalid argument",
  ENFILE: "Too many open files in system",
  EMFILE: "Too many open files",
  ENOTTY: "Inappropriate ioctl for device",
  ETXTBSY: "Text file busy",
  EFBIG: "File too large",
  ENOSPC: "No space left on device",
  ESPIPE: "Illegal seek",
  EROFS: "Read-only file system",
  EMLINK: "Too many links",
  EPIPE: "Broken pipe",
  ERANGE: "Numerical result out of range",
  EDEADLK: "Resource deadlock avoided",
  ENAMETOOLONG: "File name too long",
  ENOSYS: "Function not implemented",
  ENOTEMPTY: "Directory not empty",
  ELOOP: "Too many levels of symbolic links",
  EOVERFLOW: "Value too large for defined data type",
  EOPNOTSUPP: "Operation not supported",
  ETIMEDOUT: "Connection timed out",
  ENODATA: "No data available",
};
