// The end of threads and processes, and what their relatives learn of it. exit(2), exit_group(2), wait(2), credentials(7).
//
//   exit_group, fatal signal ──> groupExit is set ──> each thread ends: at once, or at its next step in the kernel when it
//                                                     runs on another hart
//   last thread ends ──> resources go back ──> zombie ──> parent told ──> reaped by wait, or at once if the parent ignores
//                                                                        SIGCHLD
//
// INV-21: a process without threads is a zombie or the kernel's reaper, and a zombie holds no memory, files or locks.

import { FUTEX_BITSET_MATCH_ANY } from "../../abi/linux/futex.ts";
import { CLD_DUMPED, CLD_EXITED, CLD_KILLED, SA_NOCLDWAIT, SIG_IGN, SIGNALS } from "../../abi/linux/signals.ts";
import { endWaitKey } from "../fs/pidfd.ts";
import { createFileTable, releaseFileTable } from "../fs/descriptors.ts";
import type { Kernel } from "../kernel.ts";
import { releaseAddressSpace, releaseTrapframe } from "../mem/address-space.ts";
import { cancelSwapOff } from "../mem/swap-areas.ts";
import { copyToUser } from "../mem/user-memory.ts";
import { cancelWait, setAlarm, wake } from "../wait.ts";
import { futexKey, wakeFutex, walkRobustList } from "./futex.ts";
import { disassociateTty } from "../tty/job-control.ts";
import { actionOf, childWaitKey, kernelSignal, prodHart, sendGroupSignal, sendSignal } from "./signals.ts";
import type { Process, Thread, WaitStatus } from "./types.ts";
import { addUsage } from "./usage.ts";

/** Key on which a vfork parent waits for its child to leave the shared memory. */
export const vforkWaitKey = (pid: number): string => `vfork:${pid}`;

/** Key on which a thread in execve waits for its siblings to be gone. */
export const threadsWaitKey = (pid: number): string => `threads:${pid}`;

/** Ends every thread of the process. The first status given is the one that counts. */
export function exitProcess(k: Kernel, process: Process, status: WaitStatus): void {
  process.groupExit ??= status;
  // A process is a zombie only once its last thread is gone, which may be on another hart now.
  for (const tid of [...process.threads]) {
    const thread = k.state.threads.get(tid);
    if (thread !== undefined) endThreadSoon(k, thread);
  }
}

/** Ends all threads but `survivor` (execve). True when none is left running on another hart. */
export function endSiblings(k: Kernel, survivor: Thread): boolean {
  const { process } = survivor;
  for (const tid of [...process.threads]) {
    const thread = k.state.threads.get(tid);
    if (thread === undefined || thread === survivor) continue;
    thread.killed = true;
    endThreadSoon(k, thread);
  }
  return process.threads.length === 1;
}

function endThreadSoon(k: Kernel, thread: Thread): void {
  if (thread.state.kind === "running" && !isRunningHere(k, thread)) prodHart(k, thread.state.hart, thread);
  else exitThread(k, thread, thread.process.groupExit ?? { kind: "exited", code: 0 });
}

/** Whether the thread is the one in whose name the kernel runs now: with one hart always; else its hart is the one in the kernel. */
function isRunningHere(k: Kernel, thread: Thread): boolean {
  return thread.state.kind === "running" && thread.state.hart === k.state.scheduler.kernelHart;
}

/** Ends one thread. With the last one the process ends, with `status` unless a group exit has set another. */
export function exitThread(k: Kernel, thread: Thread, status: WaitStatus): void {
  if (thread.state.kind === "exited") return;
  const { process } = thread;
  cancelWait(k, thread);
  if (thread.currentCall !== undefined) cancelSwapOff(k);
  const { runQueue } = k.state.scheduler;
  const queued = runQueue.indexOf(thread.tid);
  if (queued >= 0) runQueue.splice(queued, 1);
  k.probes.threadExit?.(thread);
  walkRobustList(k, thread);
  clearChildTid(k, thread);
  thread.state = { kind: "exited" };
  releaseTrapframe(k, process.space, thread.trapframeAddress);
  addUsage(process.usage, thread.usage);
  k.state.threads.delete(thread.tid);
  for (const hart of k.state.harts) if (hart.floatOwner === thread.tid) hart.floatOwner = undefined;
  const index = process.threads.indexOf(thread.tid);
  if (index >= 0) process.threads.splice(index, 1);
  wake(k, threadsWaitKey(process.pid));
  if (process.threads.length === 0) finishProcess(k, process, process.groupExit ?? status);
}

/** CLONE_CHILD_CLEARTID: pthread_join waits on this word. Memory that only this process has need not be told. */
export function clearChildTid(k: Kernel, thread: Thread): void {
  const address = thread.clearChildTid;
  thread.clearChildTid = 0;
  if (address === 0 || (thread.process.space.references <= 1 && thread.process.threads.length <= 1)) return;
  if (copyToUser(k, thread.process.space, address, new Uint8Array(4)) !== 0) return;
  wakeFutex(k, futexKey(thread.process.space, address), 1, FUTEX_BITSET_MATCH_ANY);
}

function finishProcess(k: Kernel, process: Process, status: WaitStatus): void {
  k.probes.beforeExit?.(process);
  cancelTimers(k, process);
  process.usage.maxResidentPages = Math.max(process.usage.maxResidentPages, process.space.residentPages);
  releaseFileTable(k, process);
  // Others may share the table: a zombie must not hold it.
  process.files = createFileTable();
  process.fs.sharers -= 1;
  process.signals.sharers -= 1;
  k.state.sharedMemory.leaver = process.pid;
  releaseAddressSpace(k, process.space);
  k.state.sharedMemory.leaver = undefined;
  process.space = k.state.memory.kernelSpace;
  process.pendingSignals.length = 0;
  process.program = undefined;
  const wasStopped = [...k.state.processes.values()].some((other) => other.state.kind === "stopped");
  process.state = { kind: "zombie", status };
  k.probes.exit?.(process, statusCode(status));
  wake(k, endWaitKey(process.pid));
  finishVfork(k, process);
  if (process.session === process.pid) disassociateTty(k, process);
  if (wasStopped) hangUpOrphanedGroups(k, process);
  reparentChildren(k, process);
  if (process.pid === k.state.scheduler.mainPid) endRun(k, status);
  notifyParentOfExit(k, process, status);
}

/** Lets a vfork parent go on: the child has left the shared memory. */
export function finishVfork(k: Kernel, process: Process): void {
  if (process.vforkParent === undefined) return;
  process.vforkParent = undefined;
  wake(k, vforkWaitKey(process.pid));
}

/** Exit status as a shell counts it: the code, or 128 + the signal. */
export function statusCode(status: WaitStatus): number {
  return status.kind === "exited" ? status.code : 128 + status.signal;
}

function cancelTimers(k: Kernel, process: Process): void {
  setAlarm(k, `real:${process.pid}`, undefined);
  process.realTimer = undefined;
  for (const id of process.timers.keys()) setAlarm(k, `timer:${process.pid}:${id}`, undefined);
  process.timers.clear();
}

/** The process that the whole run is about has ended: so does everything else. */
function endRun(k: Kernel, status: WaitStatus): void {
  k.state.shutdown ??= { kind: "power-off", status: statusCode(status) };
  k.machine.requestStop();
}

/** Children pass to the nearest ancestor that asked for them (PR_SET_CHILD_SUBREAPER), or to pid 1. */
function reparentChildren(k: Kernel, process: Process): void {
  if (process.children.length === 0) return;
  const heir = findReaper(k, process);
  for (const pid of process.children.splice(0)) {
    const child = k.state.processes.get(pid);
    if (child === undefined) continue;
    child.parent = heir?.pid ?? 0;
    heir?.children.push(pid);
    if (child.parentDeathSignal !== 0) sendSignal(k, child, kernelSignal(child.parentDeathSignal));
    if (child.state.kind !== "zombie") continue;
    if (heir === undefined || ignoresChildren(heir)) reap(k, child);
    else notifyParentOfExit(k, child, child.state.status);
  }
}

function findReaper(k: Kernel, process: Process): Process | undefined {
  const seen = new Set<number>();
  for (let at = k.state.processes.get(process.parent); at !== undefined; at = k.state.processes.get(at.parent)) {
    if (seen.has(at.pid)) break;
    seen.add(at.pid);
    if (at.childSubreaper && at.threads.length > 0) return at;
  }
  const init = k.state.processes.get(1);
  return init === process || init?.state.kind === "zombie" ? undefined : init;
}

function notifyParentOfExit(k: Kernel, process: Process, status: WaitStatus): void {
  const parent = k.state.processes.get(process.parent);
  if (parent === undefined || parent.state.kind === "zombie") {
    reap(k, process);
    return;
  }
  const isSilent = process.exitSignal === SIGNALS.SIGCHLD && ignoresChildren(parent);
  if (process.exitSignal !== 0) {
    const code = status.kind === "exited" ? CLD_EXITED : status.coreDumped ? CLD_DUMPED : CLD_KILLED;
    sendSignal(k, parent, {
      signal: process.exitSignal,
      code,
      pid: process.pid,
      uid: process.credentials.uid,
      status: status.kind === "exited" ? status.code : status.signal,
    });
  }
  if (isSilent) reap(k, process);
  wake(k, childWaitKey(parent.pid));
}

/** POSIX: with SIGCHLD ignored, or SA_NOCLDWAIT, children leave no zombies. */
function ignoresChildren(parent: Process): boolean {
  const action = actionOf(parent, SIGNALS.SIGCHLD);
  return action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0;
}

/** Removes a zombie. Its pid may be used again. */
export function reap(k: Kernel, process: Process): void {
  k.state.processes.delete(process.pid);
  const parent = k.state.processes.get(process.parent);
  if (parent === undefined) return;
  const index = parent.children.indexOf(process.pid);
  if (index >= 0) parent.children.splice(index, 1);
}

/** POSIX: a group that becomes orphaned by this exit and has a stopped member gets SIGHUP, then SIGCONT. */
function hangUpOrphanedGroups(k: Kernel, process: Process): void {
  const groups = new Set<number>([process.processGroup]);
  for (const pid of process.children) {
    const child = k.state.processes.get(pid);
    if (child !== undefined) groups.add(child.processGroup);
  }
  for (const group of groups) {
    const hasStopped = [...k.state.processes.values()].some(
      (member) => member.processGroup === group && member.state.kind === "stopped",
    );
    if (!hasStopped || !isOrphanedByExitOf(k, group, process)) continue;
    sendGroupSignal(k, group, kernelSignal(SIGNALS.SIGHUP));
    sendGroupSignal(k, group, kernelSignal(SIGNALS.SIGCONT));
  }
}

/** Whether the group was held by the exiting process alone: as its member with a parent outside, or as parent of a member. */
function isOrphanedByExitOf(k: Kernel, group: number, process: Process): boolean {
  for (const member of k.state.processes.values()) {
    if (member === process || member.processGroup !== group || member.state.kind === "zombie") continue;
    if (member.parent === process.pid) continue; // its next parent is a reaper in another session, or one that does no job control
    const parent = k.state.processes.get(member.parent);
    if (parent === undefined || parent.threads.length === 0) continue;
    if (parent.session === member.session && parent.processGroup !== group) return false;
  }
  return true;
}
