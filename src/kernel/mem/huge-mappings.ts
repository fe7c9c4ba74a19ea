// Mappings made of large pages and nothing else: MAP_HUGETLB, of 2 MiB or 1 GiB.
//
//   region.pageLevel 1 or 2 ── each page: one leaf at that level, one block of frames in the VMO, in order
//
// Their pages come whole: zeroed at the first touch of any kind, copied whole when a page that fork shares is written. They are not swapped. A page for
// which there is no block is SIGBUS, as on Linux (hugetlb(7), Documentation/admin-guide/mm/hugetlbpage.rst); mmap takes all of them at once
// unless MAP_NORESERVE says otherwise, so that who has the mapping has the memory. There is no pool: blocks come from free memory, as Linux has it with
// nr_overcommit_hugepages.

import { frameAddress, PAGE_SIZE, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import type { PteFlags } from "../arch/arch.ts";
import type { Kernel } from "../kernel.ts";
import { finishFlush, newFlush, releaseAfterFlush, type Flush } from "./flush.ts";
import { allocateFrames, frameShareCount } from "./frames.ts";
import { frameAt, isRangeAbsent, runOfFrames, slotAt } from "./page-map.ts";
import { mapLarge } from "./page-table.ts";
import { pagesOf } from "./regions.ts";
import type { AddressSpace, Region, Vmo } from "./types.ts";
import { holdPages } from "./vmo.ts";

/**
 * Makes an access to a page of such a region possible. ENOMEM: no frame for a page table, which reclaim may find; ENOSPC: no block; EFAULT: the
 * page is beyond the end of the object.
 */
export function mapHugePage(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  address: VirtAddr,
  isWrite: boolean,
  flagsOf: (writable: boolean) => PteFlags,
  flush: Flush,
): "made" | "copied" | "mapped" | "ENOMEM" | "ENOSPC" | "EFAULT" {
  const { vmo, sharing, pageLevel } = region;
  const { size } = k.arch.format.levels[pageLevel] ?? { size: PAGE_SIZE };
  const base = virtAddr(Math.floor(address / size) * size);
  const count = size / PAGE_SIZE;
  const index = region.vmoOffsetPages + (base - region.start) / PAGE_SIZE;
  if (index + count > vmo.lengthPages) return "EFAULT";
  const present = runOfFrames(vmo.pages, index, count);
  const isAlone = present !== undefined && frameShareCount(k, present) === 1;
  const mustCopy = sharing === "private" && isWrite && !isAlone;
  const isThere = present !== undefined && !mustCopy;
  const how = isThere ? "mapped" : isRangeAbsent(vmo.pages, index, index + count) ? "made" : "copied";
  const first = isThere ? present : takeBlock(k, vmo, index, count, flush);
  if (first === "ENOSPC") return "ENOSPC";
  const writable = region.protection.write && (sharing === "shared" || isWrite || isAlone);
  return mapLarge(k, space, base, first, pageLevel, flagsOf(writable), flush) === 0 ? how : "ENOMEM";
}

/** Takes the blocks of all pages that a new region shows and its object has: ENOMEM when there are not so many. They go with the object. */
export function reserveHugePages(k: Kernel, space: AddressSpace, region: Region): 0 | "ENOMEM" {
  const count = (k.arch.format.levels[region.pageLevel]?.size ?? PAGE_SIZE) / PAGE_SIZE;
  const { from, to } = pagesOf(region);
  const flush = newFlush(k, space);
  let result: 0 | "ENOMEM" = 0;
  for (let index = from; index + count <= Math.min(to, region.vmo.lengthPages) && result === 0; index += count) {
    if (runOfFrames(region.vmo.pages, index, count) !== undefined) continue;
    if (takeBlock(k, region.vmo, index, count, flush) === "ENOSPC") result = "ENOMEM";
  }
  finishFlush(k, flush, "huge pages");
  return result;
}

/** Gives the VMO a block of its own for `count` pages: with what it has there, and zeros. Frames that it had go after the flush. */
function takeBlock(k: Kernel, vmo: Vmo, index: number, count: number, flush: Flush): FrameNumber | "ENOSPC" {
  const first = allocateFrames(k, count, "anonymous");
  if (first === "ENOMEM") return "ENOSPC";
  for (let i = 0; i < count; i++) {
    const slot = slotAt(vmo.pages, index + i);
    const original = slot > 0 ? (slot as FrameNumber) : sourceFrame(vmo, index + i);
    if (original === undefined) continue;
    k.memory.copy(frameAddress((first + i) as FrameNumber), frameAddress(original), PAGE_SIZE);
    if (slot > 0) releaseAfterFlush(flush, original);
  }
  holdPages(k, vmo, index, first, count);
  return first;
}

/** What the file that a private mapping shows has there, if anything. */
function sourceFrame({ source }: Vmo, index: number): FrameNumber | undefined {
  return source.kind === "vmo" ? frameAt(source.vmo.pages, source.offsetPages + index) : undefined;
}
