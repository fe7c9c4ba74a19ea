// Large pages for programs: 2 MiB in one page-table entry.
//
//   VMO        slots 512 n … 512 n + 511 hold the frames of one aligned block, in order
//   region     covers all of the aligned 2 MiB, with one protection
//   page table one leaf at level 1 instead of a table of 512
//
// Only the page table knows of a large page: share counts and slots stay those of 4-KiB pages, so that cutting one up (page-table.ts) is an
// edit of the table alone, and any 4 KiB of it can be copied on write, dropped or swapped by itself. (Navarro, Iyer, Druschel and Cox,
// "Practical, transparent operating system support for superpages", OSDI 2002; Linux: Documentation/admin-guide/mm/transhuge.rst.)
//
//   made      the first write to an aligned 2 MiB of private anonymous memory of which no page is there yet
//   made again a page of a block that is still whole is faulted in: after mremap, reclaim, or the end of the other sharers
//   cut up    unmap, protect, copy on write or madvise of a part

import { PAGE_SIZE, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import type { PteFlags } from "../arch/arch.ts";
import type { Kernel } from "../kernel.ts";
import type { Flush } from "./flush.ts";
import { allocateFrames, BLOCK_FRAMES, frameShareCount, hasFreeBlock } from "./frames.ts";
import { isRangeAbsent, runOfFrames } from "./page-map.ts";
import { findEntry, foundLevel, mapLarge, unmap } from "./page-table.ts";
import { isAwaited, runsElsewhere } from "./shootdown.ts";
import type { AddressSpace, Region } from "./types.ts";
import { holdPages, isWatched } from "./vmo.ts";

/** Level of the leaves that map a block, in every format. */
export const LARGE_LEVEL = 1;
export const LARGE_PAGE_SIZE = BLOCK_FRAMES * PAGE_SIZE;

/** When private anonymous memory gets large pages: always, where madvise(MADV_HUGEPAGE) asks for them, never. */
export const LARGE_PAGE_POLICIES = ["always", "madvise", "never"] as const;
export type LargePagePolicy = (typeof LARGE_PAGE_POLICIES)[number];

/**
 * Serves the first write to an untouched, aligned 2 MiB with a zeroed block in one entry. "refused" when that cannot be, for want of
 * alignment, of a free block, or of memory to spare: then a page of 4 KiB is the answer. "in use": the pages are there, but unmapped,
 * since other harts may still use what was mapped before.
 */
export function makeLargePage(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  flags: PteFlags,
  flush: Flush,
): "mapped" | "in use" | "refused" {
  const base = blockWithin(region, page);
  if (base === undefined || !wantsLargePages(k, region)) return "refused";
  const { vmo } = region;
  const index = region.vmoOffsetPages + (base - region.start) / PAGE_SIZE;
  if (!isRangeAbsent(vmo.pages, index, index + BLOCK_FRAMES)) return "refused";
  const { statistics, frames } = k.state.memory;
  // A block of the last memory would be taken away again at once.
  const block =
    frames.freeCount >= 2 * BLOCK_FRAMES && hasFreeBlock(k) ? allocateFrames(k, BLOCK_FRAMES, "anonymous") : "ENOMEM";
  if (block === "ENOMEM") {
    statistics.largePagesRefused += 1;
    return "refused";
  }
  holdPages(k, vmo, index, block, BLOCK_FRAMES);
  statistics.largePagesMade += 1;
  if (isInUseElsewhere(k, space, base)) {
    unmap(k, space, base, virtAddr(base + LARGE_PAGE_SIZE), flush);
    return "in use";
  }
  // Where the table above cannot be made, the pages are there all the same, and the fault maps one.
  return mapLarge(k, space, base, block, LARGE_LEVEL, flags, flush) === 0 ? "mapped" : "refused";
}

/** Whether another hart may still use a translation of the block to zeros, or to what was there before (fault.ts). */
function isInUseElsewhere(k: Kernel, space: AddressSpace, base: VirtAddr): boolean {
  if (isAwaited(k, space, base, base + LARGE_PAGE_SIZE)) return true;
  findEntry(k, space, base);
  return foundLevel < LARGE_LEVEL && runsElsewhere(k, space);
}

/**
 * Maps the block that a resident page is part of in one entry, where it is whole and nothing smaller is mapped in its place. For a write, and
 * for the right to write, nobody else may hold any page of it. False: nothing has changed.
 */
export function mapWholeBlock(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  frame: FrameNumber,
  isWrite: boolean,
  flagsOf: (writable: boolean) => PteFlags,
  flush: Flush,
): boolean {
  const base = blockWithin(region, page);
  if (base === undefined || (frame - (page - base) / PAGE_SIZE) % BLOCK_FRAMES !== 0) return false;
  findEntry(k, space, page);
  if (foundLevel !== LARGE_LEVEL || isAwaited(k, space, base, base + LARGE_PAGE_SIZE)) return false;
  const index = region.vmoOffsetPages + (base - region.start) / PAGE_SIZE;
  const first = runOfFrames(region.vmo.pages, index, BLOCK_FRAMES);
  if (first === undefined) return false;
  const isAlone = isHeldAlone(k, first);
  if (isWrite && !isAlone) return false;
  const flags = flagsOf(isWrite || (isAlone && region.protection.write));
  return mapLarge(k, space, base, first, LARGE_LEVEL, flags, flush) === 0;
}

/** Whether memory of the region is to come in large pages. */
/** Whether a block of the region may be mapped in one entry. */
export function mayHaveLargePages(k: Kernel, region: Region): boolean {
  const { start, end, sharing, vmo } = region;
  const hasBlock = Math.ceil(start / LARGE_PAGE_SIZE) * LARGE_PAGE_SIZE + LARGE_PAGE_SIZE <= end;
  return hasBlock && sharing === "private" && vmo.source.kind === "zero" && wantsLargePages(k, region);
}

function wantsLargePages(k: Kernel, region: Region): boolean {
  const { largePages } = region.advice;
  if (region.growsDown || largePages === "refused") return false;
  const { largePages: policy } = k.state.memory;
  return policy === "always" || (policy === "madvise" && largePages === "wanted");
}

/** Start of the aligned 2 MiB around an address, where the region covers all of it. */
function blockWithin(region: Region, address: VirtAddr): VirtAddr | undefined {
  const base = Math.floor(address / LARGE_PAGE_SIZE) * LARGE_PAGE_SIZE;
  return base >= region.start && base + LARGE_PAGE_SIZE <= region.end ? virtAddr(base) : undefined;
}

/** Whether each frame of a block has one holder, and the swap cache has none of them. */
function isHeldAlone(k: Kernel, first: FrameNumber): boolean {
  for (let frame: number = first; frame < first + BLOCK_FRAMES; frame++) {
    if (frameShareCount(k, frame as FrameNumber) !== 1 || isWatched(k, frame as FrameNumber)) return false;
  }
  return true;
}
