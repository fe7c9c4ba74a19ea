// Calls that make, replace, end and wait for processes and threads. clone(2), execve(2), exit(2), wait(2).

import { readI32, readI64, writeU32 } from "../../lib/bytes.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_NONBLOCK } from "../../abi/linux/open-flags.ts";
import * as abi from "../../abi/linux/process.ts";
import { encodeRusage, encodeSiginfo, RUSAGE_SIZE } from "../../abi/linux/process-layouts.ts";
import { SIGINFO_SIZE, SIGNALS } from "../../abi/linux/signals.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { getAnyFile, getFile, installFile, unshareFiles } from "../fs/descriptors.ts";
import { releaseFile } from "../fs/open-file.ts";
import { createPidfd, processOfPidfd } from "../fs/pidfd.ts";
import type { PathRef } from "../fs/types.ts";
import { checkUserRange, copyFromUser, copyToUser } from "../mem/user-memory.ts";
import { execProgram } from "../process/exec.ts";
import { childWaitKey } from "../process/signals.ts";
import { exitProcess, exitThread, vforkWaitKey } from "../process/exit.ts";
import { cloneThread, type CloneRequest } from "../process/fork.ts";
import { readStringVector } from "../process/reading.ts";
import { takeChildChange, WAIT4_OPTIONS, WAITID_OPTIONS, type ChildChoice } from "../process/wait-child.ts";
import { block } from "../wait.ts";
import { defineCall, type Call, type SyscallResult, type SyscallRow } from "./row.ts";

/** Makes the thread or process; a vfork parent then waits until the child has left the shared memory. */
function runClone(call: Call, request: CloneRequest): SyscallResult {
  const { k, thread } = call;
  const waitingFor = thread.restart?.vforkChild;
  if (waitingFor !== undefined) return waitForVforkChild(call, waitingFor);
  const child = cloneThread(k, thread, request);
  if (typeof child === "string") return child;
  if ((request.flags & abi.CLONE_VFORK) === 0) return child.tid;
  thread.restart = { vforkChild: child.process.pid, uninterruptible: true };
  return waitForVforkChild(call, child.process.pid);
}

function waitForVforkChild({ k, thread }: Call, pid: number): SyscallResult {
  const child = k.state.processes.get(pid);
  if (child?.vforkParent !== thread.tid) return pid;
  return block(k, thread, [vforkWaitKey(pid)]);
}

const CLONE_FLAGS = { name: "flags", type: "flags", show: "clone" } as const;
const CLONE_STACK = { name: "child_stack", type: "pointer" } as const;
const CLONE_PARENT_TID = { name: "parent_tidptr", type: "pointer" } as const;
const CLONE_CHILD_TID = { name: "child_tidptr", type: "pointer" } as const;
const CLONE_TLS = { name: "tls", type: "pointer" } as const;

function cloneWith(
  call: Call,
  flags: number,
  stack: number,
  parentTid: number,
  childTid: number,
  tls: number,
): SyscallResult {
  return runClone(call, {
    flags: (flags & ~abi.CSIGNAL) | 0,
    clearHandlers: false,
    exitSignal: flags & abi.CSIGNAL,
    stack,
    tls,
    parentTid,
    childTid,
    pidfd: parentTid, // clone has one pointer for both
  });
}

/** clone as riscv64 has it (CONFIG_CLONE_BACKWARDS). */
export const cloneTlsFirst = defineCall({
  name: "clone",
  args: [CLONE_FLAGS, CLONE_STACK, CLONE_PARENT_TID, CLONE_TLS, CLONE_CHILD_TID],
  result: "pid",
  handler: (call, flags, stack, parentTid, tls, childTid) => cloneWith(call, flags, stack, parentTid, childTid, tls),
});

/** clone as x86-64 has it. */
export const cloneTlsLast = defineCall({
  name: "clone",
  args: [CLONE_FLAGS, CLONE_STACK, CLONE_PARENT_TID, CLONE_CHILD_TID, CLONE_TLS],
  result: "pid",
  handler: cloneWith,
});

const clone3 = defineCall({
  name: "clone3",
  args: [
    { name: "cl_args", type: "pointer" },
    { name: "size", type: "size" },
  ],
  result: "pid",
  handler: (call, address, size) => {
    const { k, process } = call;
    if (size < abi.CLONE_ARGS_SIZE_VER0) return "EINVAL";
    if (size > 4096) return "E2BIG";
    const bytes = copyFromUser(k, process.space, address, size);
    if (bytes === "EFAULT") return "EFAULT";
    if (bytes.subarray(abi.CLONE_ARGS_SIZE).some((byte) => byte !== 0)) return "E2BIG";
    const flags = readI32(bytes, 0);
    const high = readI32(bytes, 4);
    const [exitSignal, stack, stackSize] = [readI64(bytes, 32), readI64(bytes, 40), readI64(bytes, 48)];
    if ((high & ~abi.CLONE_CLEAR_SIGHAND_HIGH) !== 0 || (flags & abi.CSIGNAL) !== 0) return "EINVAL";
    if ((stack === 0) !== (stackSize === 0) || (size > 64 && readI64(bytes, 72) !== 0)) return "EINVAL";
    return runClone(call, {
      flags,
      clearHandlers: high !== 0,
      exitSignal,
      stack: stack === 0 ? 0 : stack + stackSize,
      tls: readI64(bytes, 56),
      parentTid: readI64(bytes, 24),
      childTid: readI64(bytes, 16),
      pidfd: readI64(bytes, 8),
    });
  },
});

/** Where a relative path begins: the working directory or a descriptor's directory. */
function baseOf(call: Call, fd: number, path: string): PathRef | "EBADF" | "ENOTDIR" {
  const { process } = call;
  if (fd === AT_FDCWD || path.startsWith("/")) return process.fs.cwd;
  const file = getAnyFile(process, fd);
  if (file === "EBADF") return "EBADF";
  return file.path ?? "ENOTDIR";
}

function runExec(call: Call, base: PathRef, path: string, argvAt: number, envAt: number): SyscallResult {
  const { k, thread, process } = call;
  const argv = readStringVector(k, process.space, argvAt);
  if (typeof argv === "string") return argv;
  const env = readStringVector(k, process.space, envAt);
  if (typeof env === "string") return env;
  return execProgram(k, thread, base, path, argv, env);
}

const execve = defineCall({
  name: "execve",
  args: [
    { name: "pathname", type: "path" },
    { name: "argv", type: "pointer", show: "argv" },
    { name: "envp", type: "pointer", show: "envp" },
  ],
  result: "int",
  handler: (call, path, argv, env) => runExec(call, call.process.fs.cwd, path, argv, env),
});

const execveat = defineCall({
  name: "execveat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "argv", type: "pointer", show: "argv" },
    { name: "envp", type: "pointer", show: "envp" },
    { name: "flags", type: "flags", show: "at" },
  ],
  result: "int",
  handler: (call, fd, path, argv, env, flags) => {
    if ((flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) !== 0) return "EINVAL";
    if (path === "" && (flags & AT_EMPTY_PATH) !== 0)
      return runExec(call, call.process.fs.cwd, `/proc/self/fd/${fd}`, argv, env);
    const base = baseOf(call, fd, path);
    return typeof base === "string" ? base : runExec(call, base, path, argv, env);
  },
});

const exit = defineCall({
  name: "exit",
  args: [{ name: "status", type: "int" }],
  result: "none",
  handler: ({ k, thread }, status) => {
    exitThread(k, thread, { kind: "exited", code: status & 0xff });
    return "NO_RETURN";
  },
});

const exitGroup = defineCall({
  name: "exit_group",
  args: [{ name: "status", type: "int" }],
  result: "none",
  handler: ({ k, process }, status) => {
    exitProcess(k, process, { kind: "exited", code: status & 0xff });
    return "NO_RETURN";
  },
});

/** wait4's first argument: > 0 a pid, 0 the caller's group, -1 all, < -1 a group. */
function chooseByPid(call: Call, pid: number): ChildChoice {
  if (pid > 0) return { kind: "pid", pid };
  if (pid === -1) return { kind: "all" };
  return { kind: "group", processGroup: pid === 0 ? call.process.processGroup : -pid };
}

const wait4 = defineCall({
  name: "wait4",
  args: [
    { name: "pid", type: "pid" },
    { name: "wstatus", type: "pointer", show: "waitstatus:out" },
    { name: "options", type: "flags", show: "wait" },
    { name: "rusage", type: "pointer", show: "rusage:out" },
  ],
  result: "pid",
  handler: (call, pid, statusAt, options, usageAt) => {
    const { k, thread, process } = call;
    if ((options & ~WAIT4_OPTIONS) !== 0) return "EINVAL";
    if (pid === -0x8000_0000) return "ESRCH";
    if (statusAt !== 0 && checkUserRange(k, process.space, statusAt, 4, "write") !== 0) return "EFAULT";
    if (usageAt !== 0 && checkUserRange(k, process.space, usageAt, RUSAGE_SIZE, "write") !== 0) return "EFAULT";
    const change = takeChildChange(k, process, chooseByPid(call, pid), options | abi.WEXITED);
    if (change === "ECHILD") return "ECHILD";
    if (change === undefined) {
      return (options & abi.WNOHANG) !== 0 ? 0 : block(k, thread, [childWaitKey(process.pid)]);
    }
    if (statusAt !== 0) {
      const bytes = new Uint8Array(4);
      writeU32(bytes, 0, change.status);
      copyToUser(k, process.space, statusAt, bytes);
    }
    if (usageAt !== 0) copyToUser(k, process.space, usageAt, encodeRusage(change.usage));
    return change.pid;
  },
});

const waitid = defineCall({
  name: "waitid",
  args: [
    { name: "idtype", type: "int", show: "waitid" },
    { name: "id", type: "int" },
    { name: "infop", type: "pointer", show: "siginfo:out" },
    { name: "options", type: "flags", show: "wait" },
    { name: "rusage", type: "pointer", show: "rusage:out" },
  ],
  result: "int",
  handler: (call, idType, id, infoAt, options, usageAt) => {
    const { k, thread, process } = call;
    const wanted = abi.WEXITED | abi.WSTOPPED | abi.WCONTINUED;
    if ((options & ~WAITID_OPTIONS) !== 0 || (options & wanted) === 0) return "EINVAL";
    const choice = chooseById(call, idType, id);
    if (typeof choice === "string") return choice;
    if (infoAt !== 0 && checkUserRange(k, process.space, infoAt, SIGINFO_SIZE, "write") !== 0) return "EFAULT";
    if (usageAt !== 0 && checkUserRange(k, process.space, usageAt, RUSAGE_SIZE, "write") !== 0) return "EFAULT";
    const change = takeChildChange(k, process, choice, options);
    if (change === "ECHILD") return "ECHILD";
    if (change === undefined && (options & abi.WNOHANG) === 0) {
      return idType === abi.P_PIDFD && isNonBlocking(call, id)
        ? "EAGAIN"
        : block(k, thread, [childWaitKey(process.pid)]);
    }
    const info =
      change === undefined
        ? new Uint8Array(SIGINFO_SIZE)
        : encodeSiginfo({
            signal: SIGNALS.SIGCHLD,
            code: change.code,
            pid: change.pid,
            uid: change.uid,
            status: change.value,
          });
    if (infoAt !== 0) copyToUser(k, process.space, infoAt, info);
    if (usageAt !== 0 && change !== undefined) copyToUser(k, process.space, usageAt, encodeRusage(change.usage));
    return 0;
  },
});

function isNonBlocking({ process }: Call, fd: number): boolean {
  const file = getFile(process, fd);
  return file !== "EBADF" && (file.flags & O_NONBLOCK) !== 0;
}

function chooseById(call: Call, idType: number, id: number): ChildChoice | Errno {
  switch (idType) {
    case abi.P_ALL:
      return { kind: "all" };
    case abi.P_PID:
      return id > 0 ? { kind: "pid", pid: id } : "EINVAL";
    case abi.P_PGID:
      return id < 0 ? "EINVAL" : { kind: "group", processGroup: id === 0 ? call.process.processGroup : id };
    case abi.P_PIDFD: {
      if (id < 0) return "EINVAL";
      const file = getFile(call.process, id);
      const subject = file === "EBADF" ? file : processOfPidfd(call.k, file);
      if (typeof subject !== "string") return { kind: "pid", pid: subject.pid };
      return subject === "ESRCH" ? "ECHILD" : subject;
    }
    default:
      return "EINVAL";
  }
}

const pidfdOpen = defineCall({
  name: "pidfd_open",
  args: [
    { name: "pid", type: "pid" },
    { name: "flags", type: "flags" },
  ],
  result: "fd",
  handler: ({ k, process }, pid, flags) => {
    if ((flags & ~O_NONBLOCK) !== 0 || pid <= 0) return "EINVAL";
    const subject = k.state.processes.get(pid);
    if (subject === undefined) return k.state.threads.has(pid) ? "EINVAL" : "ESRCH";
    const file = createPidfd(k, subject, flags);
    if (typeof file === "string") return file;
    const fd = installFile(k, process, file, { closeOnExec: true });
    if (typeof fd === "string") releaseFile(k, file);
    return fd;
  },
});

const getpid = defineCall({ name: "getpid", args: [], result: "pid", handler: ({ process }) => process.pid });
const gettid = defineCall({ name: "gettid", args: [], result: "pid", handler: ({ thread }) => thread.tid });
const getppid = defineCall({ name: "getppid", args: [], result: "pid", handler: ({ process }) => process.parent });

const setTidAddress = defineCall({
  name: "set_tid_address",
  args: [{ name: "tidptr", type: "pointer" }],
  result: "pid",
  handler: ({ thread }, address) => {
    thread.clearChildTid = address;
    return thread.tid;
  },
});

const unshare = defineCall({
  name: "unshare",
  args: [{ name: "flags", type: "flags", show: "clone" }],
  result: "int",
  handler: ({ k, process }, flags) => {
    if ((flags & ~(abi.CLONE_FILES | abi.CLONE_FS | abi.CLONE_SYSVSEM)) !== 0) return "EINVAL";
    if ((flags & abi.CLONE_FILES) !== 0) unshareFiles(k, process);
    if ((flags & abi.CLONE_FS) !== 0 && process.fs.sharers > 1) {
      process.fs.sharers -= 1;
      process.fs = { ...process.fs, sharers: 1 };
    }
    return 0;
  },
});

/** fork and vfork, which x86-64 has as calls of their own. */
const plainClone = (name: string, flags: number): SyscallRow =>
  defineCall({
    name,
    args: [],
    result: "pid",
    handler: (call) =>
      runClone(call, {
        flags,
        clearHandlers: false,
        exitSignal: SIGNALS.SIGCHLD,
        stack: 0,
        tls: 0,
        parentTid: 0,
        childTid: 0,
      }),
  });

export const processCalls: readonly SyscallRow[] = [
  clone3,
  plainClone("fork", 0),
  plainClone("vfork", abi.CLONE_VM | abi.CLONE_VFORK),
  execve,
  execveat,
  exit,
  exitGroup,
  wait4,
  waitid,
  pidfdOpen,
  getpid,
  gettid,
  getppid,
  setTidAddress,
  unshare,
];
