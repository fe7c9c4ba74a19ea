// Signal calls. sigaction(2), sigprocmask(2), sigreturn(2), kill(2), sigwaitinfo(2), sigaltstack(2).

import {
  NSIG,
  SI_TKILL,
  SIG_BLOCK,
  SIG_DFL,
  SIG_IGN,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SIGINFO_SIZE,
  SIGNALS,
  SIGSET_SIZE,
  SS_AUTODISARM,
  SS_DISABLE,
  SS_ONSTACK,
  MINSIGSTKSZ,
  defaultAction,
} from "../../abi/linux/signals.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import {
  decodeSigaction,
  decodeSiginfo,
  decodeStackT,
  encodeSigaction,
  encodeSiginfo,
  encodeStackT,
  STACK_T_SIZE,
} from "../../abi/linux/process-layouts.ts";
import { totalNanoseconds } from "../../abi/linux/time.ts";
import { writeU32 } from "../../lib/bytes.ts";
import { getFile } from "../fs/descriptors.ts";
import { processOfPidfd } from "../fs/pidfd.ts";
import { now, type Kernel } from "../kernel.ts";
import { checkUserRange, copyFromUser, copyToUser } from "../mem/user-memory.ts";
import { takeSignal } from "../process/deliver.ts";
import { readSignalSet, readTimespec } from "../process/reading.ts";
import { hasSignal, maskOf, subtractSignals, unionSignals } from "../process/signal-set.ts";
import {
  actionOf,
  forceSignal,
  kernelSignal,
  sendSignal,
  sendThreadSignal,
  setAction,
  signalWaitKey,
  useTemporaryMask,
  userSignal,
} from "../process/signals.ts";
import type { Process, SignalInfo, SignalSet, Thread } from "../process/types.ts";
import { block } from "../wait.ts";
import { defineCall, type Call, type SyscallResult, type SyscallRow } from "./row.ts";

const SIGSET_ARGUMENT = { name: "sigsetsize", type: "size" } as const;

const rtSigaction = defineCall({
  name: "rt_sigaction",
  args: [
    { name: "signum", type: "signal" },
    { name: "act", type: "pointer", show: "sigaction:in" },
    { name: "oldact", type: "pointer", show: "sigaction:out" },
    SIGSET_ARGUMENT,
  ],
  result: "int",
  handler: ({ k, process }, signal, newAt, oldAt, size) => {
    const layout = k.arch.abi.sigaction;
    if (size !== SIGSET_SIZE || signal < 1 || signal > NSIG) return "EINVAL";
    const isFixed = signal === SIGNALS.SIGKILL || signal === SIGNALS.SIGSTOP;
    if (newAt !== 0 && isFixed) return "EINVAL";
    const bytes = newAt === 0 ? undefined : copyFromUser(k, process.space, newAt, layout.size);
    if (bytes === "EFAULT") return "EFAULT";
    const action = actionOf(process, signal);
    if (oldAt !== 0) {
      const { handler, flags, restorer, mask } = action;
      const old = encodeSigaction(layout, { handler, flags, restorer, maskLo: mask.lo, maskHi: mask.hi });
      if (copyToUser(k, process.space, oldAt, old) !== 0) return "EFAULT";
    }
    if (bytes === undefined) return 0;
    const fields = decodeSigaction(layout, bytes);
    const { handler, flags, restorer } = fields;
    setAction(process, signal, { handler, flags, restorer, mask: maskOf({ lo: fields.maskLo, hi: fields.maskHi }) });
    const nowIgnored = handler === SIG_IGN || (handler === SIG_DFL && defaultAction(signal) === "ignore");
    if (nowIgnored) discardPending(k, process, signal);
    return 0;
  },
});

/** POSIX: ignoring a signal discards what is pending of it. */
function discardPending(k: Kernel, process: Process, signal: number): void {
  const threads = process.threads.map((tid) => k.state.threads.get(tid)?.pendingSignals ?? []);
  for (const queue of [process.pendingSignals, ...threads]) {
    for (let i = queue.length - 1; i >= 0; i--) if (queue[i]?.signal === signal) queue.splice(i, 1);
  }
}

const rtSigprocmask = defineCall({
  name: "rt_sigprocmask",
  args: [
    { name: "how", type: "int", show: "sigmask-how" },
    { name: "set", type: "pointer", show: "sigset:in" },
    { name: "oldset", type: "pointer", show: "sigset:out" },
    SIGSET_ARGUMENT,
  ],
  result: "int",
  handler: ({ k, thread, process }, how, setAt, oldAt, size) => {
    if (size !== SIGSET_SIZE) return "EINVAL";
    const old = thread.signalMask;
    let mask: SignalSet = old;
    if (setAt !== 0) {
      const set = readSignalSet(k, process.space, setAt, size);
      if (typeof set === "string") return set;
      if (how === SIG_BLOCK) mask = maskOf(unionSignals(old, set));
      else if (how === SIG_UNBLOCK) mask = subtractSignals(old, set);
      else if (how === SIG_SETMASK) mask = maskOf(set);
      else return "EINVAL";
    }
    if (oldAt !== 0 && copyToUser(k, process.space, oldAt, encodeSet(old)) !== 0) return "EFAULT";
    thread.signalMask = mask;
    return 0;
  },
});

function encodeSet(set: SignalSet): Uint8Array {
  const bytes = new Uint8Array(SIGSET_SIZE);
  writeU32(bytes, 0, set.lo);
  writeU32(bytes, 4, set.hi);
  return bytes;
}

const rtSigpending = defineCall({
  name: "rt_sigpending",
  args: [{ name: "set", type: "pointer", show: "sigset:out" }, SIGSET_ARGUMENT],
  result: "int",
  handler: ({ k, thread, process }, setAt, size) => {
    if (size > SIGSET_SIZE) return "EINVAL";
    let set: SignalSet = { lo: 0, hi: 0 };
    for (const { signal } of [...thread.pendingSignals, ...process.pendingSignals]) {
      if (hasSignal(thread.signalMask, signal)) set = unionSignals(set, setOf(signal));
    }
    return copyToUser(k, process.space, setAt, encodeSet(set).subarray(0, size));
  },
});

const setOf = (signal: number): SignalSet =>
  signal <= 32 ? { lo: 1 << (signal - 1), hi: 0 } : { lo: 0, hi: 1 << (signal - 33) };

const rtSigreturn = defineCall({
  name: "rt_sigreturn",
  args: [],
  result: "none",
  handler: ({ k, thread }) => {
    const mask = k.arch.popSignalFrame(k, thread);
    if (mask === undefined) forceSignal(k, thread, kernelSignal(SIGNALS.SIGSEGV));
    else thread.signalMask = maskOf(mask);
    return "NO_RETURN";
  },
});

const rtSigsuspend = defineCall({
  name: "rt_sigsuspend",
  args: [{ name: "mask", type: "pointer", show: "sigset:in" }, SIGSET_ARGUMENT],
  result: "int",
  onSignal: "interrupt",
  handler: ({ k, thread, process }, maskAt, size) => {
    const mask = readSignalSet(k, process.space, maskAt, size);
    if (typeof mask === "string") return mask;
    useTemporaryMask(thread, maskOf(mask));
    return block(k, thread, []);
  },
});

const pause = defineCall({
  name: "pause",
  args: [],
  result: "int",
  onSignal: "interrupt",
  handler: ({ k, thread }) => block(k, thread, []),
});

const rtSigtimedwait = defineCall({
  name: "rt_sigtimedwait",
  args: [
    { name: "set", type: "pointer", show: "sigset:in" },
    { name: "info", type: "pointer", show: "siginfo:out" },
    { name: "timeout", type: "pointer", show: "timespec:in" },
    SIGSET_ARGUMENT,
  ],
  result: "int",
  onSignal: "interrupt",
  handler: ({ k, thread, process }, setAt, infoAt, timeoutAt, size) => {
    const set = readSignalSet(k, process.space, setAt, size);
    if (typeof set === "string") return set;
    const timeout = timeoutAt === 0 ? undefined : readTimespec(k, process.space, timeoutAt);
    if (typeof timeout === "string") return timeout;
    if (infoAt !== 0 && checkUserRange(k, process.space, infoAt, SIGINFO_SIZE, "write") !== 0) return "EFAULT";
    const info = takeSignal(thread, maskOf(set));
    if (info !== undefined) {
      if (infoAt !== 0) copyToUser(k, process.space, infoAt, encodeSiginfo(info));
      return info.signal;
    }
    const deadline =
      thread.restart?.deadlineNs ?? (timeout === undefined ? Infinity : now(k) + totalNanoseconds(timeout));
    if (deadline <= now(k)) return "EAGAIN";
    thread.restart = { deadlineNs: deadline };
    return block(k, thread, [signalWaitKey(process.pid)], deadline);
  },
});

/** kill's permission: root, or one of the sender's real and effective uids is the target's real or saved uid. */
function maySignal(sender: Process, target: Process, signal: number): boolean {
  const { uid, euid } = sender.credentials;
  const { uid: targetUid, suid } = target.credentials;
  if (euid === 0 || euid === targetUid || euid === suid || uid === targetUid || uid === suid) return true;
  return signal === SIGNALS.SIGCONT && sender.session === target.session;
}

function sendTo(k: Kernel, sender: Process, target: Process, info: SignalInfo): 0 | Errno {
  if (!maySignal(sender, target, info.signal)) return "EPERM";
  return info.signal === 0 ? 0 : sendSignal(k, target, info);
}

const kill = defineCall({
  name: "kill",
  args: [
    { name: "pid", type: "pid" },
    { name: "sig", type: "signal" },
  ],
  result: "int",
  handler: ({ k, process }, pid, signal) => {
    if (signal < 0 || signal > NSIG) return "EINVAL";
    const info = userSignal(signal, process);
    if (pid > 0) {
      // A thread's id stands for its process.
      const target = k.state.processes.get(pid) ?? k.state.threads.get(pid)?.process;
      return target === undefined ? "ESRCH" : sendTo(k, process, target, info);
    }
    const group = pid === 0 ? process.processGroup : -pid;
    const targets = [...k.state.processes.values()].filter((target) =>
      pid === -1 ? target.pid !== 1 && target !== process : target.processGroup === group,
    );
    if (targets.length === 0) return "ESRCH";
    const results = targets.map((target) => sendTo(k, process, target, info));
    return results.some((result) => result === 0) ? 0 : (results[0] ?? "ESRCH");
  },
});

function findThread(k: Kernel, tgid: number | undefined, tid: number): Thread | undefined {
  const thread = k.state.threads.get(tid);
  return thread !== undefined && (tgid === undefined || thread.process.pid === tgid) ? thread : undefined;
}

function signalThread(call: Call, tgid: number | undefined, tid: number, info: SignalInfo): SyscallResult {
  const { k, process } = call;
  if (tid <= 0 || (tgid !== undefined && tgid <= 0) || info.signal < 0 || info.signal > NSIG) return "EINVAL";
  const target = findThread(k, tgid, tid);
  if (target === undefined) {
    // The leader of a group may have ended before its threads: its id still answers for existence.
    return info.signal === 0 && k.state.processes.has(tid) ? 0 : "ESRCH";
  }
  if (!maySignal(process, target.process, info.signal)) return "EPERM";
  return info.signal === 0 ? 0 : sendThreadSignal(k, target, info);
}

const tkill = defineCall({
  name: "tkill",
  args: [
    { name: "tid", type: "pid" },
    { name: "sig", type: "signal" },
  ],
  result: "int",
  handler: (call, tid, signal) =>
    signalThread(call, undefined, tid, { ...userSignal(signal, call.process), code: SI_TKILL }),
});

const tgkill = defineCall({
  name: "tgkill",
  args: [
    { name: "tgid", type: "pid" },
    { name: "tid", type: "pid" },
    { name: "sig", type: "signal" },
  ],
  result: "int",
  handler: (call, tgid, tid, signal) =>
    signalThread(call, tgid, tid, { ...userSignal(signal, call.process), code: SI_TKILL }),
});

/** siginfo as a program passes it to sigqueue. It may not pretend to come from the kernel or from kill, except to itself. */
function readQueuedInfo(call: Call, address: number, signal: number, isSelf: boolean): SignalInfo | Errno {
  const bytes = copyFromUser(call.k, call.process.space, address, SIGINFO_SIZE);
  if (bytes === "EFAULT") return "EFAULT";
  const info = decodeSiginfo(bytes);
  if ((info.code >= 0 || info.code === SI_TKILL) && !isSelf) return "EPERM";
  return { ...info, signal };
}

const rtSigqueueinfo = defineCall({
  name: "rt_sigqueueinfo",
  args: [
    { name: "tgid", type: "pid" },
    { name: "sig", type: "signal" },
    { name: "info", type: "pointer", show: "siginfo:in" },
  ],
  result: "int",
  handler: (call, pid, signal, infoAt) => {
    const { k, process } = call;
    const info = readQueuedInfo(call, infoAt, signal, pid === process.pid);
    if (typeof info === "string") return info;
    if (signal < 0 || signal > NSIG) return "EINVAL";
    const target = k.state.processes.get(pid) ?? k.state.threads.get(pid)?.process;
    return target === undefined ? "ESRCH" : sendTo(k, process, target, info);
  },
});

const pidfdSendSignal = defineCall({
  name: "pidfd_send_signal",
  args: [
    { name: "pidfd", type: "fd" },
    { name: "sig", type: "signal" },
    { name: "info", type: "pointer", show: "siginfo:in" },
    { name: "flags", type: "flags" },
  ],
  result: "int",
  handler: (call, fd, signal, infoAt, flags) => {
    const { k, process } = call;
    if (flags !== 0) return "EINVAL";
    const file = getFile(process, fd);
    const target = file === "EBADF" ? file : processOfPidfd(k, file);
    if (typeof target === "string") return target;
    if (signal < 0 || signal > NSIG) return "EINVAL";
    if (infoAt === 0) return sendTo(k, process, target, userSignal(signal, process));
    const bytes = copyFromUser(k, process.space, infoAt, SIGINFO_SIZE);
    if (bytes !== "EFAULT" && decodeSiginfo(bytes).signal !== signal) return "EINVAL";
    const info = readQueuedInfo(call, infoAt, signal, target === process);
    return typeof info === "string" ? info : sendTo(k, process, target, info);
  },
});

const rtTgsigqueueinfo = defineCall({
  name: "rt_tgsigqueueinfo",
  args: [
    { name: "tgid", type: "pid" },
    { name: "tid", type: "pid" },
    { name: "sig", type: "signal" },
    { name: "info", type: "pointer", show: "siginfo:in" },
  ],
  result: "int",
  handler: (call, tgid, tid, signal, infoAt) => {
    const info = readQueuedInfo(call, infoAt, signal, tgid === call.process.pid);
    return typeof info === "string" ? info : signalThread(call, tgid, tid, info);
  },
});

/** Whether the thread's stack pointer lies on its alternate stack now. */
function isOnAlternateStack(k: Kernel, thread: Thread): boolean {
  const { address, size, flags } = thread.alternateStack;
  const pointer = k.arch.stackPointer(k, thread);
  return (flags & SS_DISABLE) === 0 && pointer > address && pointer <= address + size;
}

const sigaltstack = defineCall({
  name: "sigaltstack",
  args: [
    { name: "ss", type: "pointer", show: "stack_t:in" },
    { name: "old_ss", type: "pointer", show: "stack_t:out" },
  ],
  result: "int",
  handler: ({ k, thread, process }, newAt, oldAt) => {
    const bytes = newAt === 0 ? undefined : copyFromUser(k, process.space, newAt, STACK_T_SIZE);
    if (bytes === "EFAULT") return "EFAULT";
    const isActive = isOnAlternateStack(k, thread);
    const old = thread.alternateStack;
    let next = old;
    if (bytes !== undefined) {
      const { address, size, flags } = decodeStackT(bytes);
      const mode = flags & ~SS_AUTODISARM;
      if (isActive) return "EPERM";
      if (mode !== 0 && mode !== SS_ONSTACK && mode !== SS_DISABLE) return "EINVAL";
      if (mode === SS_DISABLE) next = { address: 0, size: 0, flags: SS_DISABLE };
      else if (size < MINSIGSTKSZ) return "ENOMEM";
      else next = { address, size, flags: (flags & SS_AUTODISARM) >>> 0 };
    }
    if (oldAt !== 0) {
      const flags = isActive ? old.flags | SS_ONSTACK : old.flags;
      if (copyToUser(k, process.space, oldAt, encodeStackT({ ...old, flags })) !== 0) return "EFAULT";
    }
    thread.alternateStack = next;
    return 0;
  },
});

const restartSyscall = defineCall({ name: "restart_syscall", args: [], result: "int", handler: () => "EINTR" });

export const signalCalls: readonly SyscallRow[] = [
  rtSigaction,
  rtSigprocmask,
  rtSigpending,
  rtSigreturn,
  rtSigsuspend,
  pause,
  rtSigtimedwait,
  kill,
  tkill,
  tgkill,
  rtSigqueueinfo,
  rtTgsigqueueinfo,
  pidfdSendSignal,
  sigaltstack,
  restartSyscall,
];
