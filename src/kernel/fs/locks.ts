// Advisory locks on files. Linux man-pages: fcntl(2) "Advisory record locking", flock(2).
//
//   record locks   ranges of bytes; owned by a process, or by an open description (F_OFD_…)
//   flock          the whole file; owned by an open description
//
// The two kinds do not see each other, as on Linux. Locks of one owner never overlap: a new one replaces, splits or joins them.

import type { Kernel } from "../kernel.ts";
import { wake, type WaitKey } from "../wait.ts";
import type { FileLock, Inode, OpenFile } from "./types.ts";

export type LockFlavour = "record" | "flock";

/** What a caller wants; `end` is exclusive, Infinity for "to the end of the file". */
export interface LockRequest {
  readonly kind: "read" | "write" | "unlock";
  readonly owner: number;
  readonly ownerKind: FileLock["ownerKind"];
  readonly start: number;
  readonly end: number;
}

const listKey = (inode: Inode, flavour: LockFlavour): string => `${flavour}:${inode.filesystem.id}:${inode.number}`;
export const lockWaitKey = (inode: Inode, flavour: LockFlavour): WaitKey => `lock:${listKey(inode, flavour)}`;

/** Locks that one file may have, and files that may have locks. */
const MAX_LOCKS = 1024;

/** Whether one more lock fits: each costs memory of the host (ENOLCK). */
export function hasRoomForLock(k: Kernel, inode: Inode, flavour: LockFlavour): boolean {
  const count = locksOf(k, inode, flavour).length;
  return count < MAX_LOCKS && (count > 0 || k.state.files.locks.size < MAX_LOCKS);
}

/** The first lock of another owner that stands in the way, or undefined. */
export function findConflict(
  k: Kernel,
  inode: Inode,
  flavour: LockFlavour,
  request: LockRequest,
): FileLock | undefined {
  if (request.kind === "unlock") return undefined;
  return locksOf(k, inode, flavour).find(
    (lock) =>
      !isOwn(lock, request) &&
      lock.start < request.end &&
      request.start < lock.end &&
      (lock.kind === "write" || request.kind === "write"),
  );
}

/** Sets or clears a lock that does not conflict. Wakes those who wait when something was given up. */
export function applyLock(k: Kernel, inode: Inode, flavour: LockFlavour, request: LockRequest): void {
  const kept: FileLock[] = [];
  let start = request.start;
  let end = request.end;
  let gaveUp = false;
  for (const lock of locksOf(k, inode, flavour)) {
    if (!isOwn(lock, request)) {
      kept.push(lock);
    } else if (lock.kind === request.kind && lock.start <= end && start <= lock.end) {
      start = Math.min(start, lock.start);
      end = Math.max(end, lock.end);
    } else {
      if (lock.start < request.end && request.start < lock.end) gaveUp = true;
      if (lock.start < request.start) kept.push({ ...lock, end: Math.min(lock.end, request.start) });
      if (lock.end > request.end) kept.push({ ...lock, start: Math.max(lock.start, request.end) });
    }
  }
  if (request.kind !== "unlock") {
    kept.push({ kind: request.kind, owner: request.owner, ownerKind: request.ownerKind, start, end });
  }
  storeLocks(k, inode, flavour, kept);
  if (gaveUp) wake(k, lockWaitKey(inode, flavour));
}

/** A process closed some descriptor of the file: all its record locks on it are gone. */
export function releaseProcessLocks(k: Kernel, pid: number, inode: Inode): void {
  dropOwner(k, inode, "record", "process", pid);
}

/** The last descriptor of an open description is gone, and with it the locks that it owned. */
export function releaseOpenFileLocks(k: Kernel, file: OpenFile): void {
  dropOwner(k, file.inode, "record", "open-file", file.id);
  dropOwner(k, file.inode, "flock", "open-file", file.id);
}

/**
 * Whether waiting for `holder` would close a circle of processes that wait for each other's record locks (EDEADLK).
 * `waitingFor` gives the owner that a process waits for.
 */
export function wouldDeadlock(pid: number, holder: number, waitingFor: (pid: number) => number | undefined): boolean {
  const seen = new Set<number>();
  for (let next: number | undefined = holder; next !== undefined && !seen.has(next); next = waitingFor(next)) {
    if (next === pid) return true;
    seen.add(next);
  }
  return false;
}

function dropOwner(
  k: Kernel,
  inode: Inode,
  flavour: LockFlavour,
  ownerKind: FileLock["ownerKind"],
  owner: number,
): void {
  if (k.state.files.locks.size === 0) return;
  const locks = locksOf(k, inode, flavour);
  const kept = locks.filter((lock) => lock.ownerKind !== ownerKind || lock.owner !== owner);
  if (kept.length === locks.length) return;
  storeLocks(k, inode, flavour, kept);
  wake(k, lockWaitKey(inode, flavour));
}

function isOwn(lock: FileLock, request: LockRequest): boolean {
  return lock.ownerKind === request.ownerKind && lock.owner === request.owner;
}

function locksOf(k: Kernel, inode: Inode, flavour: LockFlavour): FileLock[] {
  return k.state.files.locks.get(listKey(inode, flavour)) ?? [];
}

function storeLocks(k: Kernel, inode: Inode, flavour: LockFlavour, locks: FileLock[]): void {
  const key = listKey(inode, flavour);
  if (locks.length === 0) k.state.files.locks.delete(key);
  else k.state.files.locks.set(key, locks);
}
