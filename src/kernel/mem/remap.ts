// mremap and madvise: changing regions in ways that keep, move or drop their pages.
//
// A region that moves keeps its VMO pages; its PTEs are removed and flushed before the old range can be used again, and come
// back by faults at the new place.

import { pageAlignUp, PAGE_SIZE, pageOffset, virtAddr, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { dropFile } from "../fs/mapped-file.ts";
import type { Kernel } from "../kernel.ts";
import { finishFlush, newFlush, releaseAfterFlush } from "./flush.ts";
import { mayCommit } from "./overcommit.ts";
import { unmap } from "./page-table.ts";
import {
  checkRange,
  commitOf,
  findGap,
  findRegion,
  findRegionAtOrAbove,
  insertRegion,
  pagesOf,
  removeRegion,
  resizeRegion,
  spaceSize,
  splitAround,
  STACK_GUARD_GAP,
  unmapRange,
} from "./regions.ts";
import type { AddressSpace, Region } from "./types.ts";
import { createVmo, dropPages, movePages, releaseVmo } from "./vmo.ts";

/** Flags of mremap (uapi linux/mman.h). */
export const MREMAP = { MAYMOVE: 1, FIXED: 2, DONTUNMAP: 4 } as const;

/** Resizes or moves the mapping at `oldAddress`; returns where it is now. */
export function remapRange(
  k: Kernel,
  space: AddressSpace,
  oldAddress: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddress: number,
): VirtAddr | Errno {
  const oldSize = pageAlignUp(oldLength);
  const newSize = pageAlignUp(newLength);
  const isFixed = (flags & MREMAP.FIXED) !== 0;
  if ((flags & ~(MREMAP.MAYMOVE | MREMAP.FIXED)) !== 0 || (isFixed && (flags & MREMAP.MAYMOVE) === 0)) return "EINVAL";
  if (pageOffset(oldAddress) !== 0 || !(newSize > 0) || !(oldSize > 0)) return "EINVAL";
  const region = findRegion(space, oldAddress);
  if (region === undefined || oldAddress + oldSize > region.end) return "EFAULT";
  if (isFixed) return moveTo(k, space, oldAddress, oldSize, newSize, newAddress);
  if (newSize <= oldSize) {
    const cut = newSize === oldSize ? 0 : unmapRange(k, space, oldAddress + newSize, oldSize - newSize);
    return cut === 0 ? virtAddr(oldAddress) : cut;
  }
  if (spaceSize(space) + newSize - oldSize > space.limits.addressSpace) return "ENOMEM";
  if (commitOf(region) > 0 && !mayCommit(k, (newSize - oldSize) / PAGE_SIZE)) return "ENOMEM";
  if (oldAddress + oldSize === region.end && hasRoom(k, space, region.end, oldAddress + newSize)) {
    growShared(region, newSize - oldSize);
    resizeRegion(k, region, region.start, virtAddr(oldAddress + newSize));
    return virtAddr(oldAddress);
  }
  if ((flags & MREMAP.MAYMOVE) === 0) return "ENOMEM";
  const gap = findGap(k, space, newSize);
  return gap === "ENOMEM" ? gap : moveTo(k, space, oldAddress, oldSize, newSize, gap);
}

/** Advice of madvise that changes what pages hold (uapi asm-generic/mman-common.h). */
const DONTNEED = 4;
const FREE = 8;
/** NORMAL, RANDOM, SEQUENTIAL, WILLNEED; MERGEABLE, UNMERGEABLE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP; COLD, PAGEOUT. */
const HARMLESS_ADVICE: ReadonlySet<number> = new Set([0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 20, 21]);

/** madvise. DONTNEED and FREE drop private pages, which then read as their source again; most advice changes nothing. */
export function adviseRange(
  k: Kernel,
  space: AddressSpace,
  address: number,
  length: number,
  advice: number,
): 0 | Errno {
  const dropsPages = advice === DONTNEED || advice === FREE;
  if (!dropsPages && !HARMLESS_ADVICE.has(advice)) return "EINVAL";
  if (pageOffset(address) !== 0 || !(length >= 0)) return "EINVAL";
  if (length === 0) return 0;
  const range = checkRange(k, address, length);
  if (typeof range === "string") return range;
  let result: 0 | Errno = 0;
  const flush = newFlush(k, space);
  for (let at: number = range.start; at < range.end;) {
    const region = findRegionAtOrAbove(space, at);
    if (region === undefined || region.start > at) result = "ENOMEM"; // and goes on, as Linux does
    if (region === undefined || region.start >= range.end) break;
    const start = virtAddr(Math.max(region.start, at));
    const end = virtAddr(Math.min(region.end, range.end));
    if (dropsPages) {
      unmap(k, space, start, end, flush);
      if (region.sharing === "private") {
        const first = region.vmoOffsetPages + (start - region.start) / PAGE_SIZE;
        dropPages(k, region.vmo, first, first + (end - start) / PAGE_SIZE, (frame) => releaseAfterFlush(flush, frame));
      }
    }
    at = region.end;
  }
  finishFlush(k, flush, "advise");
  return result;
}

/** Moves [oldAddress, +oldSize) to `newAddress`, replacing what is there, and makes it `newSize` long. */
function moveTo(
  k: Kernel,
  space: AddressSpace,
  oldAddress: number,
  oldSize: number,
  newSize: number,
  newAddress: number,
): VirtAddr | Errno {
  const target = checkRange(k, newAddress, newSize);
  if (typeof target === "string") return target;
  const keptSize = Math.min(oldSize, newSize);
  if (target.start < oldAddress + oldSize && oldAddress < target.end) return "EINVAL";
  const cleared = unmapRange(k, space, target.start, newSize);
  if (cleared !== 0) return cleared;
  if (newSize < oldSize) {
    const cut = unmapRange(k, space, oldAddress + newSize, oldSize - newSize);
    if (cut !== 0) return cut;
  }
  const parts = splitAround(k, space, virtAddr(oldAddress), virtAddr(oldAddress + keptSize));
  if (parts === "ENOMEM") return "ENOMEM";
  const [region] = parts;
  if (region === undefined) return "EFAULT";
  const flush = newFlush(k, space);
  unmap(k, space, region.start, region.end, flush);
  finishFlush(k, flush, "mremap");
  removeRegion(k, space, region);
  const moved: Region = { ...region, start: target.start, end: target.end };
  if (region.sharing === "private") takeOwnPages(k, moved, keptSize / PAGE_SIZE);
  else growShared(moved, newSize - keptSize);
  insertRegion(k, space, moved);
  dropFile(k, region); // the moved one holds it
  return target.start;
}

/** Gives a region whose VMO other regions show too a VMO of its own, with its pages. */
function takeOwnPages(k: Kernel, region: Region, pages: number): void {
  const shared = region.vmo;
  if (shared.references === 1) return;
  const own = createVmo(k, shared.source, shared.lengthPages, shared.family);
  const { from } = pagesOf(region);
  movePages(shared, own, from, from + pages);
  region.vmo = own;
  releaseVmo(k, shared);
}

/** A shared anonymous VMO is as long as its mapping asks. */
function growShared(region: Region, bytes: number): void {
  if (region.sharing === "shared" && region.vmo.source.kind === "zero" && region.file === undefined) {
    region.vmo.lengthPages = Math.max(region.vmo.lengthPages, pagesOf(region).to + bytes / PAGE_SIZE);
  }
}

function hasRoom(k: Kernel, space: AddressSpace, from: number, to: number): boolean {
  if (to > k.arch.layout.userTop) return false;
  const next = findRegionAtOrAbove(space, from);
  return next === undefined || next.start - (next.growsDown ? STACK_GUARD_GAP : 0) >= to;
}
