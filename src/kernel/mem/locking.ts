// Memory that stays in memory: mlock, mlock2, mlockall, munlock. mlock(2); Linux mm/mlock.c.
//
//   region.locked   "no" ── mlock ──> "present"     its pages are brought in, and reclaim leaves them
//                      └── ONFAULT ─> "on-fault"    reclaim leaves those that have come in
//
// A space may lock as much as RLIMIT_MEMLOCK says, a privileged process's space all it has. A forked child's regions are not locked.

import { pageAlignUp, pageBase, pageOffset, virtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import { populateRange } from "./populate.ts";
import {
  changeRegion,
  checkRange,
  findRegion,
  isolate,
  mayLock,
  mergeAround,
  regionsOf,
  spaceSize,
} from "./regions.ts";
import type { AddressSpace, Region } from "./types.ts";

type Lock = Region["locked"];

/** Beyond it, lengths and the ends of ranges wrap around. */
const ADDRESS_LIMIT = 2 ** 64;

/** Whether the space may lock anything at all. */
export function canLock(space: AddressSpace): boolean {
  return space.limits.locked > 0;
}

/**
 * Locks the pages that hold any of the range. EPERM where nothing may be locked; ENOMEM above the limit, at a gap (what is before it
 * stays locked), and for pages that nobody may access; EAGAIN where memory is out.
 */
export function lockRange(
  k: Kernel,
  space: AddressSpace,
  address: number,
  length: number,
  locked: Exclude<Lock, "no">,
): 0 | Errno {
  if (!canLock(space)) return "EPERM";
  const start = pageBase(address);
  const size = pageAlignUp(length + pageOffset(address)) % ADDRESS_LIMIT;
  if (size === 0) return 0;
  if (!mayLock(space, size) && !mayLock(space, size - lockedBytes(space, start, start + size))) return "ENOMEM";
  const set = setLock(k, space, address, length, locked);
  if (set !== 0 || locked === "on-fault") return set;
  const failure = populateRange(k, space, start, start + size, "any");
  return failure === undefined ? 0 : failure === "out of memory" ? "EAGAIN" : "ENOMEM";
}

/** Locks or unlocks the pages that hold any of the range. ENOMEM at a gap; what is before it is changed. */
export function setLock(k: Kernel, space: AddressSpace, address: number, length: number, locked: Lock): 0 | Errno {
  const size = pageAlignUp(length + pageOffset(address)) % ADDRESS_LIMIT;
  if (size === 0) return 0;
  const range = checkRange(k, pageBase(address), size);
  if (range === "EINVAL") return address + size < ADDRESS_LIMIT ? "ENOMEM" : "EINVAL";
  let result: 0 | Errno = 0;
  let reached: number = range.start;
  while (reached < range.end && result === 0) {
    const region = findRegion(space, reached);
    if (region === undefined) {
      result = "ENOMEM";
      break;
    }
    const end = Math.min(region.end, range.end);
    result = lockPart(k, space, region, reached, end, locked);
    reached = end;
  }
  mergeAround(k, space, range.start, range.end);
  return result;
}

/** What mlockall does: to the regions that are there, and to those to come. ENOMEM above the limit, EPERM where there is none. */
export function lockSpace(k: Kernel, space: AddressSpace, current: Lock | undefined, future: Lock): 0 | Errno {
  if (current !== "no" || future !== "no") {
    if (!canLock(space)) return "EPERM";
    if (current !== undefined && spaceSize(space) > space.limits.locked) return "ENOMEM";
  }
  space.lockFuture = future;
  if (current === undefined) return 0;
  for (const region of regionsOf(space)) lockPart(k, space, region, region.start, region.end, current);
  mergeAround(k, space, 0, k.arch.layout.userTop);
  if (current === "present") populateRegions(k, space, regionsOf(space), 0, k.arch.layout.userTop);
  return 0;
}

/** Brings in what has been added to a locked region. What cannot be had comes with its first use, or does not. */
export function populateLocked(k: Kernel, space: AddressSpace, start: number, end: number): void {
  populateRegions(k, space, regionsOf(space, start, end), start, end);
}

/**
 * Brings in what locked regions show of [start, end), until memory is out. No more than memory has is tried, in all of them together:
 * each might be as large as memory, and show nothing but zeros.
 */
function populateRegions(k: Kernel, space: AddressSpace, regions: Iterable<Region>, start: number, end: number): void {
  let left = k.memory.size;
  for (const region of regions) {
    if (region.locked !== "present") continue;
    const from = Math.max(start, region.start);
    const to = Math.min(end, region.end, from + left);
    const failure = populateRange(k, space, from, to, "any");
    if (failure === "out of memory") return;
    if (failure !== "denied") left -= to - from;
    if (left === 0) return;
  }
}

/** Bytes of the range that are locked. */
function lockedBytes(space: AddressSpace, start: number, end: number): number {
  let bytes = 0;
  for (const region of regionsOf(space, start, end)) {
    if (region.locked !== "no") bytes += Math.min(region.end, end) - Math.max(region.start, start);
  }
  return bytes;
}

/** What no page can be taken from stays as it is. */
function lockPart(k: Kernel, space: AddressSpace, region: Region, start: number, end: number, locked: Lock): 0 | Errno {
  if (region.locked === locked || region.vmo.source.kind === "physical" || region.pageLevel > 0) return 0;
  const part = isolate(k, space, region, virtAddr(start), virtAddr(end));
  if (typeof part === "string") return part;
  changeRegion(k, space, part, { locked });
  return 0;
}
