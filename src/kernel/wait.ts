// Blocking, by restart (Fluke's interrupt model): a handler checks first, then commits. When it cannot go on it calls `block`,
// returns "BLOCKED" and has changed nothing but the thread's wait. After `wake` of one of its keys, or its deadline, or a signal,
// the same handler runs again from the start with the same arguments. What must survive a rerun is plain `thread.restart` data.
//
// INV-20: a thread is on the queue of each key in `state.on`, and on no other; it has an entry in `sleepers` exactly when its
// wait has a deadline.

import type { Kernel } from "./kernel.ts";
import type { Thread } from "./process/types.ts";

/** What a thread can wait for: a string such as "pipe:12:readable", "child:7", "futex:9000", "tty:0:input". */
export type WaitKey = string;

export const BLOCKED = "BLOCKED";
export type Blocked = typeof BLOCKED;

/**
 * Queues the thread on every key, until `deadlineNs` of virtual time if given.
 * State machine of the thread: running -> blocked -> (wake | deadline | signal) -> runnable -> the handler again.
 */
export function block(k: Kernel, thread: Thread, keys: readonly WaitKey[], deadlineNs?: number): Blocked {
  const { waiters, sleepers } = k.state.scheduler;
  const on = keys.length > 1 ? [...new Set(keys)] : [...keys];
  thread.state = { kind: "blocked", on, deadlineNs };
  for (const key of on) {
    const queue = waiters.get(key);
    if (queue === undefined) waiters.set(key, [thread.tid]);
    else queue.push(thread.tid);
  }
  if (deadlineNs !== undefined && deadlineNs !== Infinity) {
    sleepers.set(thread.tid, deadlineNs);
    noteDeadline(k, deadlineNs);
  }
  return BLOCKED;
}

/** Makes every thread that waits for `key` runnable, in the order in which they began to wait; at most `limit` of them. Returns how many. */
export function wake(k: Kernel, key: WaitKey, limit = Infinity): number {
  const queue = k.state.scheduler.waiters.get(key);
  if (queue === undefined) return 0;
  let woken = 0;
  for (const tid of [...queue]) {
    if (woken >= limit) break;
    const thread = k.state.threads.get(tid);
    if (thread === undefined) continue;
    unblock(k, thread);
    woken += 1;
  }
  return woken;
}

/** Takes a blocked thread off every queue it waits on and makes it runnable. No effect on a thread that is not blocked. */
export function unblock(k: Kernel, thread: Thread): void {
  if (thread.state.kind !== "blocked") return;
  cancelWait(k, thread);
  thread.state = { kind: "runnable" };
  k.state.scheduler.runQueue.push(thread.tid);
}

/** Takes a blocked thread off every queue; the caller sets its next state. */
export function cancelWait(k: Kernel, thread: Thread): void {
  if (thread.state.kind !== "blocked") return;
  const { waiters, sleepers } = k.state.scheduler;
  for (const key of thread.state.on) {
    const queue = waiters.get(key);
    if (queue === undefined) continue;
    const index = queue.indexOf(thread.tid);
    if (index >= 0) queue.splice(index, 1);
    if (queue.length === 0) waiters.delete(key);
  }
  if (sleepers.delete(thread.tid)) forgetDeadline(k, thread.state.deadlineNs ?? 0);
}

/** Sets or moves the alarm `key`; undefined cancels it. `fireAlarm` in process/alarms.ts says what each key does. */
export function setAlarm(k: Kernel, key: string, atNs: number | undefined): void {
  const { alarms } = k.state.scheduler;
  const before = alarms.get(key);
  if (before !== undefined) {
    alarms.delete(key);
    forgetDeadline(k, before);
  }
  if (atNs === undefined) return;
  alarms.set(key, atNs);
  noteDeadline(k, atNs);
}

/** The earliest deadline of a sleeper or an alarm; undefined when nothing is pending. */
export function earliestDeadline(k: Kernel): number | undefined {
  const { scheduler } = k.state;
  if (scheduler.earliestIsStale) {
    let earliest = Infinity;
    for (const at of scheduler.sleepers.values()) if (at < earliest) earliest = at;
    for (const at of scheduler.alarms.values()) if (at < earliest) earliest = at;
    scheduler.earliestNs = earliest;
    scheduler.earliestIsStale = false;
  }
  return scheduler.earliestNs === Infinity ? undefined : scheduler.earliestNs;
}

function noteDeadline(k: Kernel, atNs: number): void {
  const { scheduler } = k.state;
  if (atNs < scheduler.earliestNs) scheduler.earliestNs = atNs;
}

function forgetDeadline(k: Kernel, atNs: number): void {
  const { scheduler } = k.state;
  if (atNs <= scheduler.earliestNs) scheduler.earliestIsStale = true;
}
