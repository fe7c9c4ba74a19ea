// Futex queues and robust lists: what the futex calls, thread exit and CLONE_CHILD_CLEARTID share. futex(2), get_robust_list(2).
//
// A futex is a 32-bit word. Its queue is found by what the word is, not by where it is mapped:
//   in a shared mapping   "futex:vmo:ID:OFFSET"      the same for everyone who maps the page
//   elsewhere             "futex:space:ID:ADDRESS"   private memory: only threads of the same space can mean it
//
// A waiter that is taken off the queue without having been woken (a signal) compares the word again, so no wake-up is lost.

import { PAGE_SIZE } from "../../lib/address.ts";
import {
  FUTEX_OWNER_DIED,
  FUTEX_TID_MASK,
  FUTEX_WAITERS,
  FUTEX_BITSET_MATCH_ANY,
  ROBUST_LIST_LIMIT,
} from "../../abi/linux/futex.ts";
import type { Kernel } from "../kernel.ts";
import { findRegion } from "../mem/regions.ts";
import type { AddressSpace } from "../mem/types.ts";
import { readUser32, readUser64, writeUser32 } from "../mem/user-memory.ts";
import { unblock, type WaitKey } from "../wait.ts";
import type { Thread } from "./types.ts";

/** Queue of the word at `address`, which must be mapped to mean anything. */
export function futexKey(space: AddressSpace, address: number): WaitKey {
  const region = findRegion(space, address);
  if (region?.sharing !== "shared") return `futex:space:${space.id}:${address}`;
  return `futex:vmo:${region.vmo.id}:${region.vmoOffsetPages * PAGE_SIZE + (address - region.start)}`;
}

/** Wakes up to `limit` waiters whose bit set meets `bits`, first come first served. Returns how many. */
export function wakeFutex(k: Kernel, key: WaitKey, limit: number, bits: number): number {
  let woken = 0;
  for (const tid of [...(k.state.scheduler.waiters.get(key) ?? [])]) {
    if (woken >= limit) break;
    const thread = k.state.threads.get(tid);
    if (thread?.restart?.futexBits === undefined || (thread.restart.futexBits & bits) === 0) continue;
    thread.restart.futexWoken = true;
    unblock(k, thread);
    woken += 1;
  }
  return woken;
}

/** Moves up to `limit` waiters of one queue to the end of another. Returns how many. */
export function requeueFutex(k: Kernel, from: WaitKey, to: WaitKey, limit: number): number {
  const { waiters } = k.state.scheduler;
  const source = waiters.get(from);
  if (source === undefined || from === to) return Math.min(limit, source?.length ?? 0);
  const moved = source.splice(0, limit);
  if (source.length === 0) waiters.delete(from);
  const target = waiters.get(to);
  if (target !== undefined) target.push(...moved);
  else if (moved.length > 0) waiters.set(to, moved);
  for (const tid of moved) {
    const state = k.state.threads.get(tid)?.state;
    if (state?.kind === "blocked") state.on = [to];
  }
  return moved.length;
}

/**
 * A thread ends: each robust futex that it still holds is marked, and one waiter of each is woken. The list lies in user memory
 * and may be anything, so it is followed for a bounded number of steps and given up at the first bad address.
 *
 *   head: next entry | offset of the word from an entry | entry that is just being taken or let go
 */
export function walkRobustList(k: Kernel, thread: Thread): void {
  const { head } = thread.robustList;
  if (head === 0) return;
  thread.robustList = { head: 0, length: 0 };
  const { space } = thread.process;
  const offset = readUser64(k, space, head + 8);
  const pending = readUser64(k, space, head + 16);
  let entry = readUser64(k, space, head);
  if (offset === undefined || pending === undefined) return;
  for (let steps = 0; entry !== undefined && entry !== head && steps < ROBUST_LIST_LIMIT; steps++) {
    const next = readUser64(k, space, stripFlag(entry));
    if (stripFlag(entry) !== stripFlag(pending) && !abandonFutex(k, thread, stripFlag(entry) + offset)) return;
    entry = next;
  }
  if (pending !== 0) abandonFutex(k, thread, stripFlag(pending) + offset);
}

/** Bit 0 of a list pointer marks a priority-inheriting futex. */
function stripFlag(pointer: number): number {
  return pointer - (Math.abs(pointer) % 2);
}

function abandonFutex(k: Kernel, thread: Thread, address: number): boolean {
  const { space } = thread.process;
  const word = readUser32(k, space, address);
  if (word === undefined) return false;
  if ((word & FUTEX_TID_MASK) !== thread.tid) return true;
  if (writeUser32(k, space, address, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED) !== 0) return false;
  if ((word & FUTEX_WAITERS) !== 0) wakeFutex(k, futexKey(space, address), 1, FUTEX_BITSET_MATCH_ANY);
  return true;
}
