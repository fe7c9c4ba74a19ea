// Changing the regions of an address space: map, unmap, protect, move, break.
//
//   before    [ A                    )          unmap or protect of a part splits a region; the parts show the same VMO at
//   after     [ A1   )[ new  )[ A2   )          different offsets
//
// The pages of private anonymous memory are numbered in their VMO by virtual page, so that parts of a split region can grow
// without meeting; a region that moves takes its pages into a VMO of its own.

import { pageAlignUp, PAGE_SIZE, pageOffset, virtAddr, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { dropFile, holdFile } from "../fs/mapped-file.ts";
import type { Kernel } from "../kernel.ts";
import { writeBack } from "./file-vmo.ts";
import { finishFlush, newFlush, releaseAfterFlush } from "./flush.ts";
import { mayCommit } from "./overcommit.ts";
import { unmap, updateFlags } from "./page-table.ts";
import {
  addRegion,
  deleteRegion,
  findRegion,
  findRegionAtOrAbove,
  findRegionBelow,
  regionCount,
  regionsOf,
} from "./region-tree.ts";
import type { AddressSpace, Protection, Region, Vmo } from "./types.ts";
import { createVmo, dropPages, releaseVmo, retainVmo } from "./vmo.ts";

export { findRegion, findRegionAtOrAbove, findRegionBelow, regionCount, regionsOf };

/** What mmap and exec ask for. */
export interface MapRequest {
  /** A hint, or with `fixed` the very place. Page-aligned. */
  readonly address?: VirtAddr | number | undefined;
  readonly fixed?: "replace" | "no-replace" | undefined;
  /** Where to look for a place when the hint is not free; default: below the space's mmap top. */
  readonly within?: { readonly start: number; readonly end: number } | undefined;
  /** Bytes; rounded up to pages. */
  readonly length: number;
  readonly protection: Protection;
  readonly maximum?: Protection | undefined;
  readonly sharing: "private" | "shared";
  /** Default: zeros. It is retained; a private mapping of it gets a copy-on-write VMO of its own on top. */
  readonly vmo?: Vmo | undefined;
  readonly vmoOffsetPages?: number | undefined;
  readonly purpose: Region["purpose"];
  readonly growsDown?: boolean | undefined;
  readonly file?: Region["file"];
  /** Bytes. */
  readonly fileOffset?: number | undefined;
}

/** Pages that stay free below a region that grows down. */
export const STACK_GUARD_GAP = 256 * PAGE_SIZE;
/** Lowest address that a mapping gets without asking (vm.mmap_min_addr). */
export const MINIMUM_ADDRESS = 0x10000;
/** As Linux's vm.max_map_count. */
const MAX_REGIONS = 65530;
const ALL_RIGHTS: Protection = { read: true, write: true, execute: true };

/** Makes a region. ENOMEM where there is no room, EEXIST for a taken place with "no-replace", EINVAL for an impossible one. */
export function mapRegion(k: Kernel, space: AddressSpace, request: MapRequest): VirtAddr | Errno {
  const length = pageAlignUp(request.length);
  const { userTop } = k.arch.layout;
  if (!(length > 0)) return "EINVAL";
  if (length > userTop || !hasRoomForRegions(k, regionCount(space), 3)) return "ENOMEM";
  if (spaceSize(space) + length > space.limits.addressSpace) return "ENOMEM";
  const isCommitted = request.sharing === "shared" ? request.vmo === undefined : request.protection.write;
  if (isCommitted && !mayCommit(k, length / PAGE_SIZE)) return "ENOMEM";
  const address = choosePlace(k, space, request, length);
  if (typeof address === "string") return address;
  if (request.fixed === "replace") {
    const cleared = unmapRange(k, space, address, length);
    if (cleared !== 0) return cleared;
  }
  if (request.vmo === undefined && extendNeighbour(k, space, request, address, length)) return address;
  const { vmo, vmoOffsetPages } = backingOf(k, request, address, length);
  insertRegion(k, space, {
    space: space.id,
    start: address,
    end: virtAddr(address + length),
    protection: request.protection,
    maximum: request.maximum ?? ALL_RIGHTS,
    sharing: request.sharing,
    vmo,
    vmoOffsetPages,
    purpose: request.purpose,
    growsDown: request.growsDown ?? false,
    file: request.file,
    fileOffset: request.fileOffset ?? 0,
  });
  return address;
}

/** Removes all mappings in the range and frees what only they held. Not an error where nothing is mapped. */
export function unmapRange(k: Kernel, space: AddressSpace, address: number, length: number): 0 | Errno {
  const range = checkRange(k, address, length);
  if (typeof range === "string") return range;
  const touched = splitAround(k, space, range.start, range.end);
  if (touched === "ENOMEM") return "ENOMEM";
  if (touched.length === 0) return 0;
  const flush = newFlush(k, space);
  unmap(k, space, range.start, range.end, flush);
  for (const region of touched) {
    if (region.sharing === "private") {
      const { from, to } = pagesOf(region);
      dropPages(k, region.vmo, from, to, (frame) => releaseAfterFlush(flush, frame));
    }
    removeRegion(k, space, region);
  }
  finishFlush(k, flush, "unmap");
  for (const region of touched) releaseBacking(k, region);
  return 0;
}

/**
 * Changes the rights. Linux's rule: what lies before a gap (ENOMEM) or before a region that cannot have the rights (EACCES) is
 * changed.
 */
export function protectRange(
  k: Kernel,
  space: AddressSpace,
  address: number,
  length: number,
  protection: Protection,
): 0 | Errno {
  const range = checkRange(k, address, length);
  if (typeof range === "string") return length === 0 && pageOffset(address) === 0 ? 0 : range;
  if (splitAround(k, space, range.start, range.end) === "ENOMEM") return "ENOMEM";
  const flush = newFlush(k, space);
  let result: 0 | Errno = 0;
  let reached: number = range.start;
  while (reached < range.end) {
    const region = findRegion(space, reached);
    if (region === undefined) result = "ENOMEM";
    else if (exceeds(protection, region.maximum)) result = "EACCES";
    if (region === undefined || result !== 0) break;
    protectRegion(k, space, region, protection, flush);
    reached = region.end;
  }
  finishFlush(k, flush, "protect");
  mergeAround(k, space, range.start, range.end);
  return result;
}

/** Moves the program break. Returns the new break, or the old one when that is impossible (brk never fails otherwise). */
export function setBreak(k: Kernel, space: AddressSpace, address: number): VirtAddr {
  const { breakStart, breakEnd } = space;
  if (!(address >= breakStart) || address > k.arch.layout.userTop) return breakEnd;
  if (address - breakStart > space.limits.data) return breakEnd;
  const oldTop = pageAlignUp(breakEnd);
  const newTop = pageAlignUp(address);
  if (newTop > oldTop) {
    const next = findRegionAtOrAbove(space, oldTop);
    const room = next === undefined ? k.arch.layout.userTop : next.start - (next.growsDown ? STACK_GUARD_GAP : 0);
    if (newTop > room) return breakEnd;
    const mapped = mapRegion(k, space, {
      address: oldTop,
      fixed: "no-replace",
      length: newTop - oldTop,
      protection: { read: true, write: true, execute: false },
      sharing: "private",
      purpose: "heap",
    });
    if (typeof mapped === "string") return breakEnd;
  } else if (newTop < oldTop && unmapRange(k, space, newTop, oldTop - newTop) !== 0) {
    return breakEnd;
  }
  space.breakEnd = virtAddr(address);
  return space.breakEnd;
}

/** A free range of `length` bytes, top-down within bounds or below the space's mmap top; clear of the guard gap below stacks. */
export function findGap(
  k: Kernel,
  space: AddressSpace,
  length: number,
  within: MapRequest["within"] = { start: MINIMUM_ADDRESS, end: space.mmapTop },
): VirtAddr | "ENOMEM" {
  let top: number = Math.min(within.end, k.arch.layout.userTop);
  for (let at = Infinity; ;) {
    const region = findRegionBelow(space, at);
    const floor = Math.max(region?.end ?? MINIMUM_ADDRESS, within.start);
    if (floor <= top && top - floor >= length) return virtAddr(top - length);
    if (region === undefined) return "ENOMEM";
    top = Math.min(top, region.start - (region.growsDown ? STACK_GUARD_GAP : 0));
    at = region.start;
  }
}

/**
 * Whether a space with `present` regions, and all spaces together, may have so many more. A region and its VMO cost the host some 500 bytes,
 * and one without pages costs the guest nothing.
 */
export function hasRoomForRegions(k: Kernel, present: number, more: number): boolean {
  const limit = Math.max(2 * MAX_REGIONS, k.memory.size / 1024);
  return present + more <= MAX_REGIONS && k.state.memory.regionCount + more <= limit;
}

/** Puts a region into the list. It holds its file from now on. */
export function insertRegion(k: Kernel, space: AddressSpace, region: Region): void {
  holdFile(k, region);
  region.vmo.mappings.add(region);
  addRegion(space, region);
  k.state.memory.regionCount += 1;
  k.state.memory.committedPages += commitOf(region);
  k.probes.regionChange?.(space, region, "map");
}

/** Takes a region off the list; PTEs and VMO are the caller's. */
export function removeRegion(k: Kernel, space: AddressSpace, region: Region): void {
  region.vmo.mappings.delete(region);
  deleteRegion(space, region);
  k.state.memory.regionCount -= 1;
  k.state.memory.committedPages -= commitOf(region);
  k.probes.regionChange?.(space, region, "unmap");
}

/** Gives up a removed region's VMO and file; what a shared mapping wrote to a file is stored. */
export function releaseBacking(k: Kernel, region: Region): void {
  const { from, to } = pagesOf(region);
  if (region.sharing === "shared") writeBack(k, region.vmo, from, to);
  releaseVmo(k, region.vmo);
  dropFile(k, region);
}

/** Pages that the region counts as promised memory. */
export function commitOf(region: Region): number {
  const isCommitted = region.sharing === "private" ? region.protection.write : region.purpose === "anonymous";
  return isCommitted ? (region.end - region.start) / PAGE_SIZE : 0;
}

/** Moves a region's start or end, with the accounts. */
export function resizeRegion(k: Kernel, region: Region, start: VirtAddr, end: VirtAddr): void {
  k.state.memory.committedPages -= commitOf(region);
  const moved = (start - region.start) / PAGE_SIZE;
  region.vmoOffsetPages += moved;
  if (region.file !== undefined) region.fileOffset += moved * PAGE_SIZE;
  region.start = start;
  region.end = end;
  k.state.memory.committedPages += commitOf(region);
}

/** Page numbers of the VMO that the region shows. */
export function pagesOf(region: Region): { from: number; to: number } {
  return { from: region.vmoOffsetPages, to: region.vmoOffsetPages + (region.end - region.start) / PAGE_SIZE };
}

/** Bytes of all regions. */
export function spaceSize(space: AddressSpace): number {
  let bytes = 0;
  for (const region of regionsOf(space)) bytes += region.end - region.start;
  return bytes;
}

/** Splits the regions at both ends of the range, and lists those that lie in it. On ENOMEM nothing is changed. */
export function splitAround(k: Kernel, space: AddressSpace, start: VirtAddr, end: VirtAddr): Region[] | "ENOMEM" {
  const splits = [start, end].filter((at) => (findRegion(space, at)?.start ?? at) !== at).length;
  if (splits > 0 && !hasRoomForRegions(k, regionCount(space), splits)) return "ENOMEM";
  splitAt(k, space, start);
  splitAt(k, space, end);
  return [...regionsOf(space, start, end)];
}

/** EINVAL for a range that is unaligned, empty or not wholly below the user top. */
export function checkRange(k: Kernel, address: number, length: number): { start: VirtAddr; end: VirtAddr } | "EINVAL" {
  const size = pageAlignUp(length);
  const isGood = pageOffset(address) === 0 && address >= 0 && size > 0 && address + size <= k.arch.layout.userTop;
  return isGood ? { start: virtAddr(address), end: virtAddr(address + size) } : "EINVAL";
}

function choosePlace(k: Kernel, space: AddressSpace, request: MapRequest, length: number): VirtAddr | Errno {
  const { address, fixed } = request;
  if (fixed !== undefined) {
    const range = checkRange(k, address ?? -1, length);
    if (range === "EINVAL") return (address ?? -1) >= 0 && pageOffset(address ?? 1) === 0 ? "ENOMEM" : "EINVAL";
    if (fixed === "no-replace" && !isFree(space, range.start, range.end)) return "EEXIST";
    return range.start;
  }
  if (address !== undefined && address >= MINIMUM_ADDRESS) {
    const hint = virtAddr(pageAlignUp(address));
    const above = findRegionAtOrAbove(space, hint + length);
    const isClear = above?.growsDown !== true || above.start - (hint + length) >= STACK_GUARD_GAP;
    if (hint + length <= k.arch.layout.userTop && isFree(space, hint, hint + length) && isClear) return hint;
  }
  return findGap(k, space, length, request.within);
}

function isFree(space: AddressSpace, start: number, end: number): boolean {
  const next = findRegionAtOrAbove(space, start);
  return next === undefined || next.start >= end;
}

function backingOf(
  k: Kernel,
  request: MapRequest,
  address: VirtAddr,
  length: number,
): { vmo: Vmo; vmoOffsetPages: number } {
  const offset = request.vmoOffsetPages ?? 0;
  if (request.vmo === undefined) {
    if (request.sharing === "shared")
      return { vmo: createVmo(k, { kind: "zero" }, length / PAGE_SIZE), vmoOffsetPages: 0 };
    return { vmo: createVmo(k, { kind: "zero" }, Infinity), vmoOffsetPages: address / PAGE_SIZE };
  }
  if (request.sharing === "shared") {
    retainVmo(request.vmo);
    return { vmo: request.vmo, vmoOffsetPages: offset };
  }
  return { vmo: createVmo(k, { kind: "vmo", vmo: request.vmo, offsetPages: offset }, Infinity), vmoOffsetPages: 0 };
}

/** Private anonymous memory just above a region of the same kind makes that region longer. */
function extendNeighbour(
  k: Kernel,
  space: AddressSpace,
  request: MapRequest,
  address: VirtAddr,
  length: number,
): boolean {
  if (request.sharing !== "private" || request.growsDown === true || address === 0) return false;
  const below = findRegion(space, address - 1);
  if (below === undefined || !isPlainAnonymous(below) || below.purpose !== request.purpose) return false;
  if (!sameRights(below.protection, request.protection) || below.vmoOffsetPages !== below.start / PAGE_SIZE)
    return false;
  resizeRegion(k, below, below.start, virtAddr(address + length));
  k.probes.regionChange?.(space, below, "map");
  return true;
}

function isPlainAnonymous(region: Region): boolean {
  return region.sharing === "private" && region.vmo.source.kind === "zero" && !region.growsDown;
}

function sameRights(a: Protection, b: Protection): boolean {
  return a.read === b.read && a.write === b.write && a.execute === b.execute;
}

function exceeds(wanted: Protection, maximum: Protection): boolean {
  return (wanted.read && !maximum.read) || (wanted.write && !maximum.write) || (wanted.execute && !maximum.execute);
}

function protectRegion(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  protection: Protection,
  flush: ReturnType<typeof newFlush>,
): void {
  const { memory } = k.state;
  memory.committedPages -= commitOf(region);
  region.protection = { read: protection.read, write: protection.write, execute: protection.execute };
  memory.committedPages += commitOf(region);
  const { read, write, execute } = protection;
  const isNone = !read && !write && !execute;
  // The right to write is only taken away here: whether a page may have it (copy-on-write) is for the next fault to find out.
  updateFlags(
    k,
    space,
    region.start,
    region.end,
    (flags) => (isNone ? undefined : { ...flags, read: read || write, write: flags.write && write, execute }),
    flush,
  );
  k.probes.regionChange?.(space, region, "protect");
}

function splitAt(k: Kernel, space: AddressSpace, address: VirtAddr): void {
  const region = findRegion(space, address);
  if (region === undefined || region.start === address) return;
  const upper: Region = { ...region };
  resizeRegion(k, region, region.start, address);
  // The copy was made with the old bounds: its account is not yet in the total.
  const moved = (address - upper.start) / PAGE_SIZE;
  upper.start = address;
  upper.vmoOffsetPages += moved;
  if (upper.file !== undefined) upper.fileOffset += moved * PAGE_SIZE;
  retainVmo(upper.vmo);
  upper.vmo.mappings.add(upper);
  holdFile(k, upper);
  addRegion(space, upper);
  k.state.memory.regionCount += 1;
  k.state.memory.committedPages += commitOf(upper);
}

/** Joins parts that a split made and that have become alike again. */
function mergeAround(k: Kernel, space: AddressSpace, start: number, end: number): void {
  let lower = findRegionBelow(space, start) ?? findRegionAtOrAbove(space, start);
  while (lower !== undefined && lower.start <= end) {
    const upper = findRegionAtOrAbove(space, lower.end);
    if (upper === undefined) return;
    if (!canMerge(lower, upper)) {
      lower = upper;
      continue;
    }
    deleteRegion(space, upper);
    k.state.memory.regionCount -= 1;
    k.state.memory.committedPages -= commitOf(upper);
    resizeRegion(k, lower, lower.start, upper.end);
    upper.vmo.mappings.delete(upper);
    releaseVmo(k, upper.vmo);
    dropFile(k, upper);
  }
}

function canMerge(lower: Region, upper: Region): boolean {
  return (
    lower.end === upper.start &&
    lower.vmo === upper.vmo &&
    lower.sharing === upper.sharing &&
    lower.purpose === upper.purpose &&
    lower.growsDown === upper.growsDown &&
    sameRights(lower.protection, upper.protection) &&
    pagesOf(lower).to === upper.vmoOffsetPages
  );
}
