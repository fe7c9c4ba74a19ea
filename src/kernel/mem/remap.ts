// mremap: regions that grow, shrink, move, or are shown at a second place.
//
//   before   [ A |  part  | B ) .......        a part that moves keeps its VMO pages: they go into a VMO of its own, of the same family
//   after    [ A )        [ B ) .. [ part )    where A and B show the old one too. Its PTEs are removed and flushed before the old range
//                                              can be used again, and come back by faults at the new place
//
// mremap(2), and Linux mm/mremap.c for the order of the checks.

import { alignUp } from "../../lib/align.ts";
import { PAGE_SIZE, pageOffset, virtAddr, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { dropFile } from "../fs/mapped-file.ts";
import type { Kernel } from "../kernel.ts";
import { finishFlush, newFlush } from "./flush.ts";
import { mayCommit } from "./overcommit.ts";
import { forEachSlot } from "./page-map.ts";
import { unmap } from "./page-table.ts";
import {
  changeRegion,
  checkRange,
  choosePlace,
  commitOf,
  findRegion,
  hasRoom,
  hasRoomForRegions,
  insertRegion,
  isolate,
  mayLock,
  mayWrite,
  mergeAround,
  pagesOf,
  regionCount,
  regionsOf,
  removeRegion,
  resizeRegion,
  spaceSize,
  unmapRange,
} from "./regions.ts";
import type { AddressSpace, Region } from "./types.ts";
import { createVmo, movePages, releaseVmo, retainVmo } from "./vmo.ts";

/** Flags of mremap (uapi linux/mman.h). */
export const MREMAP = { MAYMOVE: 1, FIXED: 2, DONTUNMAP: 4 } as const;

/** Regions that a move to a given place may need at most, by Linux's reckoning. */
const REGIONS_OF_MOVE = 6;

interface Remapping {
  readonly oldAddress: number;
  /** Bytes, whole pages of the region. */
  readonly oldSize: number;
  readonly newSize: number;
  readonly isFixed: boolean;
  /** The old range stays mapped, with nothing in it. */
  readonly keepsOld: boolean;
}

/** Resizes, moves or doubles the mapping at `oldAddress`; returns where it is now. */
export function remapRange(
  k: Kernel,
  space: AddressSpace,
  oldAddress: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddress: number,
): VirtAddr | Errno {
  const isFixed = (flags & MREMAP.FIXED) !== 0;
  const keepsOld = (flags & MREMAP.DONTUNMAP) !== 0;
  const mayMove = (flags & MREMAP.MAYMOVE) !== 0;
  const region = findRegion(space, oldAddress);
  const pageSize = k.arch.format.levels[region?.pageLevel ?? 0]?.size ?? PAGE_SIZE;
  const oldSize = alignUp(oldLength, pageSize);
  const newSize = alignUp(newLength, pageSize);
  const remapping: Remapping = { oldAddress, oldSize, newSize, isFixed, keepsOld };
  const invalid = checkArguments(k, space, remapping, flags, newAddress);
  if (invalid !== 0) return invalid;
  if (region === undefined) return "EFAULT";
  if (oldAddress % pageSize !== 0 || (isFixed && newAddress % pageSize !== 0)) return "EINVAL";
  if (isFixed && oldSize === newSize && oldSize > 0) return moveAll(k, space, remapping, newAddress);
  if (!isFixed && !keepsOld && newSize <= oldSize) {
    const cut = newSize === oldSize ? 0 : unmapRange(k, space, oldAddress + newSize, oldSize - newSize);
    return cut === 0 ? virtAddr(oldAddress) : cut;
  }
  const refused = checkGrowth(k, space, region, remapping);
  if (refused !== 0) return refused;
  if (isFixed) return moveTo(k, space, remapping, newAddress);
  const end = oldAddress + newSize;
  if (!keepsOld && oldSize > 0 && oldAddress + oldSize === region.end && hasRoom(k, space, region.end, end)) {
    resizeRegion(k, space, region, region.start, virtAddr(end));
    mergeAround(k, space, oldAddress, end);
    return virtAddr(oldAddress);
  }
  if (!mayMove || !hasRoomForRegions(k, regionCount(space), 4)) return "ENOMEM";
  const address = keepsOld ? newAddress : undefined;
  const place = choosePlace(k, space, { address, alignment: pageSize }, newSize);
  return typeof place === "string" ? place : moveTo(k, space, remapping, place);
}

function checkArguments(
  k: Kernel,
  space: AddressSpace,
  { oldAddress, oldSize, newSize, isFixed, keepsOld }: Remapping,
  flags: number,
  newAddress: number,
): 0 | Errno {
  if ((flags & ~(MREMAP.MAYMOVE | MREMAP.FIXED | MREMAP.DONTUNMAP)) !== 0 || pageOffset(oldAddress) !== 0)
    return "EINVAL";
  if (!(newSize > 0) || newSize > k.arch.layout.userTop || !(oldSize >= 0)) return "EINVAL";
  if (!isFixed && !keepsOld) return 0;
  if (!(newAddress <= k.arch.layout.userTop - newSize) || pageOffset(newAddress) !== 0) return "EINVAL";
  if ((flags & MREMAP.MAYMOVE) === 0 || (keepsOld && oldSize !== newSize)) return "EINVAL";
  if (oldAddress + oldSize > newAddress && newAddress + newSize > oldAddress) return "EINVAL";
  return hasRoomForRegions(k, regionCount(space), REGIONS_OF_MOVE) ? 0 : "ENOMEM";
}

/** What a region that grows or moves must be, and may not exceed. */
function checkGrowth(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  { oldAddress, oldSize, newSize, keepsOld }: Remapping,
): 0 | Errno {
  if (region.sealed) return "EPERM";
  const isSpecial = region.vmo.source.kind === "physical" || region.purpose === "vdso";
  if (oldSize === 0 && region.sharing === "private") return "EINVAL";
  if (keepsOld && isSpecial) return "EINVAL";
  if (oldAddress + oldSize > region.end) return "EFAULT";
  const added = keepsOld ? newSize : newSize - oldSize;
  if (added <= 0) return 0;
  if (isSpecial) return "EFAULT";
  if (region.locked !== "no" && !keepsOld && !mayLock(space, added)) return "EAGAIN";
  if (spaceSize(space) + added > space.limits.addressSpace) return "ENOMEM";
  if (commitOf(region) > 0 && !mayCommit(k, added / PAGE_SIZE)) return "ENOMEM";
  const isData = region.sharing === "private" && region.protection.write && !region.growsDown;
  return isData && !mayWrite(space, added) ? "ENOMEM" : 0;
}

/** Moves all regions of a range by one distance; what is free between them is left alone at the new place too (Linux 6.17). */
function moveAll(
  k: Kernel,
  space: AddressSpace,
  { oldAddress, oldSize, keepsOld }: Remapping,
  newAddress: number,
): VirtAddr | Errno {
  const end = oldAddress + oldSize;
  // A part that stays behind may join the next one: they are counted as they are now.
  const parts = [...regionsOf(space, oldAddress, end)].map((region) => {
    const start = Math.max(region.start, oldAddress);
    return { start, size: Math.min(region.end, end) - start };
  });
  for (const { start, size } of parts) {
    const part = { oldAddress: start, oldSize: size, newSize: size, isFixed: true, keepsOld };
    const region = findRegion(space, start);
    const refused = region === undefined ? "EFAULT" : checkGrowth(k, space, region, part);
    if (refused !== 0) return refused;
    const moved = moveTo(k, space, part, newAddress + (start - oldAddress));
    if (typeof moved === "string") return moved;
  }
  return virtAddr(newAddress);
}

/** Moves a part of one region to `newAddress`, replacing what is there, and makes it as long as asked. */
function moveTo(
  k: Kernel,
  space: AddressSpace,
  { oldAddress, oldSize, newSize, keepsOld }: Remapping,
  newAddress: number,
): VirtAddr | Errno {
  const target = checkRange(k, newAddress, newSize);
  if (typeof target === "string") return target;
  const cleared = unmapRange(k, space, target.start, newSize);
  if (cleared !== 0) return cleared;
  const keptSize = Math.min(oldSize, newSize);
  if (newSize < oldSize) {
    const cut = unmapRange(k, space, oldAddress + newSize, oldSize - newSize);
    if (cut !== 0) return cut;
  }
  const whole = findRegion(space, oldAddress);
  if (whole === undefined) return "EFAULT";
  const start = virtAddr(oldAddress);
  if (keptSize === 0) return showAgain(k, space, whole, start, target);
  const region = isolate(k, space, whole, start, virtAddr(oldAddress + keptSize));
  if (typeof region === "string") return region;
  const flush = newFlush(k, space);
  unmap(k, space, region.start, region.end, flush);
  finishFlush(k, flush, "mremap");
  if (keepsOld) {
    const moved: Region = { ...region, ...target };
    if (region.sharing === "private") takePages(k, region, moved);
    else retainVmo(moved.vmo);
    changeRegion(k, space, region, { locked: "no" });
    insertRegion(k, space, moved);
  } else {
    removeRegion(k, space, region);
    const moved: Region = { ...region, ...target };
    if (region.sharing === "private" && (region.vmo.references > 1 || isEmpty(region))) {
      takePages(k, region, moved);
      releaseVmo(k, region.vmo);
    }
    insertRegion(k, space, moved);
    dropFile(k, region); // the moved one holds it
  }
  mergeAround(k, space, oldAddress, oldAddress + keptSize);
  mergeAround(k, space, target.start, target.end);
  return target.start;
}

/** Maps once more what a shared region shows from `start` on. */
function showAgain(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  start: VirtAddr,
  target: { start: VirtAddr; end: VirtAddr },
): VirtAddr {
  const skipped = start - region.start;
  retainVmo(region.vmo);
  insertRegion(k, space, {
    ...region,
    ...target,
    vmoOffsetPages: region.vmoOffsetPages + skipped / PAGE_SIZE,
    fileOffset: region.file === undefined ? region.fileOffset : region.fileOffset + skipped,
  });
  mergeAround(k, space, target.start, target.end);
  return target.start;
}

/** Gives a private region that moves a VMO of its own, with the pages of the old one's range. */
function takePages(k: Kernel, region: Region, moved: Region): void {
  const { source, lengthPages, family } = region.vmo;
  if (source.kind === "zero" && isEmpty(region)) {
    // Nothing binds it to its old numbers: with those of its new place it can join its neighbours there.
    moved.vmo = createVmo(k, source, lengthPages);
    moved.vmoOffsetPages = moved.start / PAGE_SIZE;
    return;
  }
  moved.vmo = createVmo(k, source, lengthPages, family);
  const { from, to } = pagesOf(region);
  movePages(region.vmo, moved.vmo, from, to);
}

function isEmpty(region: Region): boolean {
  const { from, to } = pagesOf(region);
  let isVacant = true;
  forEachSlot(region.vmo.pages, from, to, () => {
    isVacant = false;
  });
  return isVacant;
}
