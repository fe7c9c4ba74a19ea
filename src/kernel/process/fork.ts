// clone, fork and vfork: a new thread or process that goes on where its creator is. clone(2).
//
//                 fork         vfork          pthread_create
//   memory        copy (COW)   shared         shared            CLONE_VM
//   files, fs     copies       copies         shared            CLONE_FILES, CLONE_FS
//   handlers      copy         copy           shared            CLONE_SIGHAND
//   process       new          new            the creator's     CLONE_THREAD
//   creator       goes on      waits          goes on           CLONE_VFORK

import type { Errno } from "../../abi/linux/errno.ts";
import * as clone from "../../abi/linux/process.ts";
import { NSIG, SIG_IGN, SS_DISABLE } from "../../abi/linux/signals.ts";
import { cloneFileTable, hasFreeDescriptor, hasRoomFor, installFile, releaseFileTable } from "../fs/descriptors.ts";
import { releaseFile } from "../fs/open-file.ts";
import { createPidfd } from "../fs/pidfd.ts";
import type { OpenFile } from "../fs/types.ts";
import { now, type Kernel } from "../kernel.ts";
import { cloneAddressSpace, releaseAddressSpace, retainAddressSpace } from "../mem/address-space.ts";
import { withReclaim } from "../mem/reclaim.ts";
import { checkUserRange, copyToUser } from "../mem/user-memory.ts";
import { allocatePid, createProcess, createThread, makeRunnable } from "./create.ts";
import { cloneSignalTable, DEFAULT_ACTION } from "./signals.ts";
import type { Process, Thread } from "./types.ts";

/** What clone and clone3 ask for. Flags are the low 32 bits without the exit signal. */
export interface CloneRequest {
  readonly flags: number;
  readonly clearHandlers: boolean;
  readonly exitSignal: number;
  /** New stack pointer; 0 keeps the creator's. */
  readonly stack: number;
  readonly tls: number;
  readonly parentTid: number;
  readonly childTid: number;
  /** Where CLONE_PIDFD puts the descriptor. */
  readonly pidfd?: number;
}

const NAMESPACES =
  clone.CLONE_NEWNS |
  clone.CLONE_NEWCGROUP |
  clone.CLONE_NEWUTS |
  clone.CLONE_NEWIPC |
  clone.CLONE_NEWUSER |
  clone.CLONE_NEWPID |
  clone.CLONE_NEWNET;

/** Makes the new thread, runnable. On failure nothing has changed. */
export function cloneThread(k: Kernel, creator: Thread, request: CloneRequest): Thread | Errno {
  const invalid = checkRequest(k, creator, request);
  if (invalid !== 0) return invalid;
  const tid = allocatePid(k);
  if (tid === undefined) return "EAGAIN";
  const isThread = (request.flags & clone.CLONE_THREAD) !== 0;
  const pidfd = (request.flags & clone.CLONE_PIDFD) === 0 ? undefined : createChildPidfd(k, creator.process, tid);
  if (typeof pidfd === "string") return pidfd;
  const child = isThread ? cloneIntoProcess(k, creator, tid) : cloneIntoNewProcess(k, creator, tid, request);
  if (typeof child === "string") {
    if (pidfd !== undefined) releaseFile(k, pidfd);
    return child;
  }

  const usesStack = request.stack !== 0 ? { stack: request.stack } : {};
  const usesTls = (request.flags & clone.CLONE_SETTLS) !== 0 ? { tls: request.tls } : {};
  k.arch.copyRegisters(k, creator, child, { ...usesStack, ...usesTls });
  k.arch.advancePastSyscall(k, child);
  child.signalMask = { ...(creator.savedSignalMask ?? creator.signalMask) };
  child.affinity = creator.affinity;
  child.name = creator.name;
  child.lastHart = creator.lastHart;
  // A thread of the same memory starts without an alternate stack, except for vfork's child, whose parent waits.
  const sharesMemory = (request.flags & clone.CLONE_VM) !== 0 && (request.flags & clone.CLONE_VFORK) === 0;
  child.alternateStack = sharesMemory ? { address: 0, size: 0, flags: SS_DISABLE } : { ...creator.alternateStack };
  if ((request.flags & clone.CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTid;
  writeTids(k, creator, child, request);
  if (pidfd !== undefined) givePidfd(k, creator.process, pidfd, request.pidfd ?? 0);
  k.state.counters.forks += 1;
  k.probes.fork?.(creator, child);
  makeRunnable(k, child);
  return child;
}

/** The combinations that clone(2) refuses. */
function checkRequest(k: Kernel, creator: Thread, request: CloneRequest): 0 | Errno {
  const { flags } = request;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  // There is one namespace of each kind; only with privilege may others be asked for.
  if (has(NAMESPACES)) return creator.process.credentials.euid === 0 || has(clone.CLONE_NEWUSER) ? "EINVAL" : "EPERM";
  if (has(clone.CLONE_PIDFD)) {
    if (has(clone.CLONE_DETACHED) || has(clone.CLONE_THREAD)) return "EINVAL";
    if (request.pidfd === request.parentTid && has(clone.CLONE_PARENT_SETTID)) return "EINVAL";
  }
  if (has(clone.CLONE_SIGHAND) && !has(clone.CLONE_VM)) return "EINVAL";
  if (has(clone.CLONE_THREAD) && !has(clone.CLONE_SIGHAND)) return "EINVAL";
  if (request.clearHandlers && has(clone.CLONE_SIGHAND)) return "EINVAL";
  if (!has(clone.CLONE_FILES) && !hasRoomFor(k, creator.process.files.descriptors.length)) return "ENOMEM";
  if (request.exitSignal < 0 || request.exitSignal > NSIG) return "EINVAL";
  const { space, credentials, limits } = creator.process;
  const writesParent = has(clone.CLONE_PARENT_SETTID);
  if (writesParent && checkUserRange(k, space, request.parentTid, 4, "write") !== 0) return "EFAULT";
  if (has(clone.CLONE_PIDFD) && checkUserRange(k, space, request.pidfd ?? 0, 4, "write") !== 0) return "EFAULT";
  const limit = limits[clone.RLIMIT_NPROC]?.soft ?? Infinity;
  if (credentials.uid !== 0 && countThreadsOf(k, credentials.uid) >= limit) return "EAGAIN";
  return 0;
}

function countThreadsOf(k: Kernel, uid: number): number {
  let count = 0;
  for (const process of k.state.processes.values()) {
    if (process.credentials.uid === uid) count += Math.max(1, process.threads.length);
  }
  return count;
}

/** The pidfd of a child to be made now. EMFILE where its descriptor would find no place. */
function createChildPidfd(k: Kernel, creator: Process, pid: number): OpenFile | Errno {
  return hasFreeDescriptor(creator) ? createPidfd(k, { pid, startTimeNs: now(k) }, 0) : "EMFILE";
}

/** After the child has got its files: it does not inherit the descriptor. */
function givePidfd(k: Kernel, creator: Process, file: OpenFile, address: number): void {
  const fd = installFile(k, creator, file, { closeOnExec: true });
  if (typeof fd === "string") releaseFile(k, file);
  else copyToUser(k, creator.space, address, new Uint8Array(new Int32Array([fd]).buffer));
}

function cloneIntoProcess(k: Kernel, creator: Thread, tid: number): Thread | Errno {
  const child = createThread(k, creator.process, tid);
  return child === "ENOMEM" ? "EAGAIN" : child;
}

function cloneIntoNewProcess(k: Kernel, creator: Thread, pid: number, request: CloneRequest): Thread | Errno {
  const parent = creator.process;
  const { flags } = request;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const space = has(clone.CLONE_VM) ? parent.space : withReclaim(k, () => cloneAddressSpace(k, parent.space));
  if (space === "ENOMEM") return "ENOMEM";
  if (space === parent.space) retainAddressSpace(space);

  const files = has(clone.CLONE_FILES) ? parent.files : cloneFileTable(k, parent.files);
  if (files === parent.files) files.sharers += 1;
  const fs = has(clone.CLONE_FS) ? parent.fs : { ...parent.fs, sharers: 1 };
  if (fs === parent.fs) fs.sharers += 1;

  const signals = has(clone.CLONE_SIGHAND) ? parent.signals : cloneSignalTable(parent.signals);
  if (signals === parent.signals) signals.sharers += 1;
  const child = createProcess(k, { pid, space, files, fs, signals, limits: [...parent.limits] });
  inheritFrom(k, child, parent, request);
  const thread = createThread(k, child, pid);
  if (thread !== "ENOMEM") {
    const family = has(clone.CLONE_PARENT) ? k.state.processes.get(parent.parent) : parent;
    child.parent = family?.pid ?? 0;
    family?.children.push(pid);
    if (has(clone.CLONE_VFORK)) child.vforkParent = creator.tid;
    return thread;
  }
  k.state.processes.delete(pid);
  releaseFileTable(k, child);
  fs.sharers -= 1;
  if (child.signals === parent.signals) child.signals.sharers -= 1;
  releaseAddressSpace(k, space);
  return "ENOMEM";
}

function inheritFrom(k: Kernel, child: Process, parent: Process, request: CloneRequest): void {
  child.processGroup = parent.processGroup;
  child.session = parent.session;
  child.controllingTty = parent.controllingTty;
  child.credentials = { ...parent.credentials, groups: [...parent.credentials.groups] };
  if (request.clearHandlers) {
    const { actions } = child.signals;
    actions.forEach((action, signal) => (actions[signal] = action.handler === SIG_IGN ? action : DEFAULT_ACTION));
  }
  child.exitSignal = (request.flags & clone.CLONE_PARENT) !== 0 ? parent.exitSignal : request.exitSignal;
  child.executable = parent.executable;
  child.program = parent.program;
  child.name = parent.name;
  child.argumentRange = { ...parent.argumentRange };
  child.environmentRange = { ...parent.environmentRange };
  child.auxv = parent.auxv;
  child.startTimeNs = now(k);
  child.dumpable = parent.dumpable;
  child.nice = parent.nice;
  child.oomScoreAdjust = parent.oomScoreAdjust;
  child.oomScoreAdjustLeast = parent.oomScoreAdjustLeast;
  child.noNewPrivileges = parent.noNewPrivileges;
  child.personality = parent.personality;
}

/** CLONE_PARENT_SETTID was checked before; a bad CLONE_CHILD_SETTID address is the child's problem and is ignored, as in Linux. */
function writeTids(k: Kernel, creator: Thread, child: Thread, request: CloneRequest): void {
  const bytes = new Uint8Array(new Int32Array([child.tid]).buffer);
  if ((request.flags & clone.CLONE_PARENT_SETTID) !== 0) copyToUser(k, creator.process.space, request.parentTid, bytes);
  if ((request.flags & clone.CLONE_CHILD_SETTID) !== 0) copyToUser(k, child.process.space, request.childTid, bytes);
}
