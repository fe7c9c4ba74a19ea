// Checks the numbered invariants of processes and waiting over the whole state (docs/invariants.md). Slow: for tests.
//
// INV-20  a thread is on the queue of each key that it waits for, and on no other; a sleeper exactly when it has a deadline
// INV-21  a process without threads is a zombie or the kernel's reaper, and a zombie holds no memory and no files
// INV-23  a runnable thread is on the run queue once, a running one is current on its hart, and no other thread is on either
// INV-24  each thread has a trapframe of its own in its process's space, mapped at its address

import { frameAddress, type VirtAddr } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { query } from "../mem/page-table.ts";
import type { Thread } from "./types.ts";

/** What does not hold, in words; empty when all is well. */
export function checkProcessInvariants(k: Kernel): string[] {
  const problems: string[] = [];
  if (k.state.shutdown !== undefined) return problems; // the run is over, and what was on the harts is left there
  for (const thread of k.state.threads.values()) {
    checkWait(k, thread, problems);
    checkPlace(k, thread, problems);
    checkTrapframe(k, thread, problems);
  }
  checkQueues(k, problems);
  checkProcesses(k, problems);
  return problems;
}

function checkWait(k: Kernel, thread: Thread, problems: string[]): void {
  const { waiters, sleepers } = k.state.scheduler;
  const keys = thread.state.kind === "blocked" ? thread.state.on : [];
  for (const key of keys) {
    const times = (waiters.get(key) ?? []).filter((tid) => tid === thread.tid).length;
    if (times !== 1) problems.push(`INV-20: thread ${thread.tid} is ${times} times on the queue of ${key}`);
  }
  const deadline = thread.state.kind === "blocked" ? thread.state.deadlineNs : undefined;
  const expected = deadline === Infinity ? undefined : deadline;
  if (sleepers.get(thread.tid) !== expected) {
    problems.push(`INV-20: thread ${thread.tid} sleeps until ${sleepers.get(thread.tid)} and should until ${expected}`);
  }
}

/** No queue names a thread that does not wait there, or that is gone. */
function checkQueues(k: Kernel, problems: string[]): void {
  const { waiters, sleepers, runQueue, current } = k.state.scheduler;
  for (const [key, queue] of waiters) {
    if (queue.length === 0) problems.push(`INV-20: an empty queue for ${key}`);
    for (const tid of queue) {
      const state = k.state.threads.get(tid)?.state;
      if (state?.kind !== "blocked" || !state.on.includes(key))
        problems.push(`INV-20: thread ${tid} is on the queue of ${key}`);
    }
  }
  for (const tid of sleepers.keys()) {
    if (k.state.threads.get(tid)?.state.kind !== "blocked") problems.push(`INV-20: sleeper ${tid} does not wait`);
  }
  for (const tid of runQueue) {
    if (!k.state.threads.has(tid)) problems.push(`INV-23: thread ${tid} is on the run queue and gone`);
  }
  for (const [hart, tid] of current.entries()) {
    if (tid === undefined) continue;
    const state = k.state.threads.get(tid)?.state;
    if (state?.kind !== "running" || state.hart !== hart)
      problems.push(`INV-23: hart ${hart} has thread ${tid}, which is ${state?.kind ?? "gone"}`);
  }
}

function checkPlace(k: Kernel, thread: Thread, problems: string[]): void {
  const { runQueue, current } = k.state.scheduler;
  const queued = runQueue.filter((tid) => tid === thread.tid).length;
  if (queued !== (thread.state.kind === "runnable" ? 1 : 0)) {
    problems.push(`INV-23: thread ${thread.tid}, ${thread.state.kind}, is ${queued} times on the run queue`);
  }
  if (thread.state.kind === "running" && current[thread.state.hart] !== thread.tid) {
    problems.push(
      `INV-23: thread ${thread.tid} runs on hart ${thread.state.hart}, which has ${current[thread.state.hart]}`,
    );
  }
}

function checkTrapframe(k: Kernel, thread: Thread, problems: string[]): void {
  const { space } = thread.process;
  const slot = (k.arch.layout.trapframe - thread.trapframeAddress) / 4096;
  const frame = space.trapframes.get(slot);
  const isRight = frame !== undefined && frameAddress(frame) === thread.trapframe;
  if (!isRight || query(k, space, thread.trapframeAddress as VirtAddr)?.physical !== thread.trapframe) {
    problems.push(`INV-24: thread ${thread.tid} has no trapframe at slot ${slot} of its space`);
  }
}

function checkProcesses(k: Kernel, problems: string[]): void {
  const { kernelSpace } = k.state.memory;
  for (const process of k.state.processes.values()) {
    const { pid, state, threads, files } = process;
    if (state.kind === "zombie") {
      const holdsFiles = files.sharers > 0 && files.descriptors.some((descriptor) => descriptor !== undefined);
      if (threads.length > 0) problems.push(`INV-21: zombie ${pid} has threads`);
      if (process.space !== kernelSpace) problems.push(`INV-21: zombie ${pid} has an address space`);
      if (holdsFiles) problems.push(`INV-21: zombie ${pid} has open files`);
    } else if (threads.length === 0 && pid !== 1) {
      problems.push(`INV-21: process ${pid} has no thread and is no zombie`);
    }
    for (const tid of threads) {
      if (k.state.threads.get(tid)?.process !== process)
        problems.push(`INV-21: process ${pid} lists thread ${tid}, which is not its own`);
    }
  }
  for (const thread of k.state.threads.values()) {
    if (!thread.process.threads.includes(thread.tid))
      problems.push(`INV-21: thread ${thread.tid} is not listed by its process`);
  }
}
