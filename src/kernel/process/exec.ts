// Replacing a process's program (execve), and starting a program without a parent (spawn). execve(2).
//
//   loadProgram ──fails──> errno, nothing has changed
//        │
//   other threads end ──still on another hart──> the new space is given back, the call waits and runs again
//        │
//   point of no return: descriptors marked close-on-exec, handlers, timers and the old memory go; registers are the new program's

import type { Errno } from "../../abi/linux/errno.ts";
import { SIG_IGN, SS_DISABLE } from "../../abi/linux/signals.ts";
import { closeOnExec, createFileTable, installFile, releaseFileTable } from "../fs/descriptors.ts";
import { acquireTty } from "../tty/job-control.ts";
import { resolveFromRoot } from "../fs/path.ts";
import type { OpenFile, PathRef } from "../fs/types.ts";
import { virtAddr } from "../../lib/address.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import { allocateTrapframe, releaseAddressSpace, releaseTrapframe } from "../mem/address-space.ts";
import { withReclaim } from "../mem/reclaim.ts";
import { block, setAlarm, type Blocked } from "../wait.ts";
import { posixTimerKey } from "./alarms.ts";
import { allocatePid, createProcess, createThread, makeRunnable } from "./create.ts";
import { clearChildTid, endSiblings, finishVfork, threadsWaitKey } from "./exit.ts";
import { walkRobustList } from "./futex.ts";
import { applyLimits, loadProgram, type LoadedProgram } from "./load.ts";
import { cloneSignalTable, DEFAULT_ACTION, IGNORE_ACTION } from "./signals.ts";
import type { Credentials, Process, Thread } from "./types.ts";

/** execve for `thread`: on "NO_RETURN" its registers are those of the new program. */
export function execProgram(
  k: Kernel,
  thread: Thread,
  base: PathRef,
  path: string,
  argv: readonly string[],
  env: readonly string[],
): "NO_RETURN" | Errno | Blocked {
  const { process } = thread;
  const program = loadProgram(k, process, base, path, argv, env);
  if (typeof program === "string") return program;
  const trapframe = withReclaim(k, () => allocateTrapframe(k, program.space));
  if (trapframe === "ENOMEM") {
    releaseAddressSpace(k, program.space);
    return "ENOMEM";
  }
  if (!endSiblings(k, thread)) {
    releaseAddressSpace(k, program.space);
    return block(k, thread, [threadsWaitKey(process.pid)]);
  }

  becomeLeader(k, thread);
  walkRobustList(k, thread);
  clearChildTid(k, thread);
  const oldSpace = process.space;
  releaseTrapframe(k, oldSpace, thread.trapframeAddress);
  thread.trapframe = trapframe.physical;
  thread.trapframeAddress = trapframe.address;
  process.space = program.space;
  process.usage.maxResidentPages = Math.max(process.usage.maxResidentPages, oldSpace.residentPages);
  releaseAddressSpace(k, oldSpace);
  closeOnExec(k, process);
  resetSignals(k, thread);
  installProgram(k, thread, program);
  finishVfork(k, process);
  k.probes.exec?.(thread, path, program.argv);
  return "NO_RETURN";
}

/** What a host starts without a parent. Strings are byte strings. */
export interface SpawnRequest {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  /** Descriptors 0, 1, 2 …; the process takes over one reference to each. */
  readonly files: readonly OpenFile[];
  /** Index of the controlling terminal, of which the process becomes the session leader and foreground group. */
  readonly tty?: number | undefined;
  readonly credentials?: Credentials | undefined;
  /** Its end is the end of the run, with its status. */
  readonly isMain?: boolean | undefined;
}

/** Starts a program as a child of the reaper (pid 1), or as pid 1 itself when it is the first. */
export function spawn(k: Kernel, request: SpawnRequest): Process | Errno {
  const root = resolveFromRoot(k, "/");
  if (typeof root === "string") return root;
  const pid = allocatePid(k);
  if (pid === undefined) return "EAGAIN";
  const process = createProcess(k, {
    pid,
    space: k.state.memory.kernelSpace,
    files: createFileTable(),
    fs: { root, cwd: root, umask: 0o022, sharers: 1 },
  });
  const started = start(k, process, request);
  if (started === 0) return process;
  k.state.processes.delete(pid);
  releaseFileTable(k, process);
  return started;
}

/** Pid 1 where no init program runs: it has no threads, and its children vanish when they end. */
export function createReaper(k: Kernel): Process | Errno {
  const root = resolveFromRoot(k, "/");
  if (typeof root === "string") return root;
  const pid = allocatePid(k);
  if (pid !== 1) throw new KernelBug("the reaper must be the first process");
  const reaper = createProcess(k, {
    pid,
    space: k.state.memory.kernelSpace,
    files: createFileTable(),
    fs: { root, cwd: root, umask: 0o022, sharers: 1 },
  });
  reaper.name = "reaper";
  reaper.signals.actions.fill(IGNORE_ACTION);
  return reaper;
}

function start(k: Kernel, process: Process, request: SpawnRequest): 0 | Errno {
  if (request.credentials !== undefined) process.credentials = request.credentials;
  const cwd = resolveFromRoot(k, request.cwd);
  if (typeof cwd === "string") return cwd;
  if (cwd.inode.kind !== "directory") return "ENOTDIR";
  process.fs.cwd = cwd;
  for (const [fd, file] of request.files.entries()) {
    const installed = installFile(k, process, file, { closeOnExec: false, lowest: fd });
    if (typeof installed === "string") return installed;
  }
  const program = loadProgram(k, process, cwd, request.path, request.argv, request.env);
  if (typeof program === "string") return program;
  process.space = program.space;
  const thread = createThread(k, process, process.pid);
  if (thread === "ENOMEM") {
    releaseAddressSpace(k, program.space);
    return "ENOMEM";
  }
  if (request.tty !== undefined) takeTerminal(k, process, request.tty);
  const parent = k.state.processes.get(1);
  if (parent !== undefined && parent !== process) {
    process.parent = parent.pid;
    parent.children.push(process.pid);
  }
  if (request.isMain === true) k.state.scheduler.mainPid = process.pid;
  installProgram(k, thread, program);
  makeRunnable(k, thread);
  k.probes.exec?.(thread, request.path, program.argv);
  return 0;
}

function takeTerminal(k: Kernel, process: Process, index: number): void {
  const tty = k.state.ttys.ttys[index];
  if (tty === undefined) throw new KernelBug(`no terminal ${index}`);
  acquireTty(process, tty);
}

/** The new program's registers and everything of the process that names it. */
function installProgram(k: Kernel, thread: Thread, program: LoadedProgram): void {
  const { process } = thread;
  process.credentials = program.credentials;
  applyLimits(process, process.space);
  process.hasExecuted = true;
  process.executable = program.executable;
  process.program = program.program;
  process.name = program.name;
  thread.name = program.name;
  process.argumentRange = { ...program.stack.argumentRange };
  process.environmentRange = { ...program.stack.environmentRange };
  process.auxv = program.stack.auxv;
  process.dumpable = !program.secure;
  if (program.secure) process.parentDeathSignal = 0;
  thread.floatState.fill(0);
  k.arch.startProgram(k, thread, program.entry, virtAddr(program.stack.stackPointer));
}

/** Handlers lie in memory that is gone: they become the default. Ignored signals stay ignored, the mask and what is pending stay. */
function resetSignals(k: Kernel, thread: Thread): void {
  const { process } = thread;
  if (process.signals.sharers > 1) {
    process.signals.sharers -= 1;
    process.signals = cloneSignalTable(process.signals);
  }
  const { actions } = process.signals;
  actions.forEach((action, signal) => (actions[signal] = action.handler === SIG_IGN ? IGNORE_ACTION : DEFAULT_ACTION));
  thread.alternateStack = { address: 0, size: 0, flags: SS_DISABLE };
  for (const id of process.timers.keys()) setAlarm(k, posixTimerKey(process.pid, id), undefined);
  process.timers.clear();
}

/** The only thread left takes the process's pid as its tid, whichever it was. */
function becomeLeader(k: Kernel, thread: Thread): void {
  const { process } = thread;
  if (thread.tid === process.pid) return;
  const { threads, scheduler, harts } = k.state;
  const old = thread.tid;
  threads.delete(old);
  thread.tid = process.pid;
  threads.set(thread.tid, thread);
  process.threads.splice(0, process.threads.length, thread.tid);
  for (const list of [scheduler.current, scheduler.previous]) {
    list.forEach((tid, hart) => {
      if (tid === old) list[hart] = thread.tid;
    });
  }
  for (const hart of harts) if (hart.floatOwner === old) hart.floatOwner = thread.tid;
}
