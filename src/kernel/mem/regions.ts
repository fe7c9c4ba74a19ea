// Changing the regions of an address space: map, unmap, protect, move, break.
//
//   before    [ A                    )          unmap or protect of a part splits a region; the parts show the same VMO at
//   after     [ A1   )[ new  )[ A2   )          different offsets
//
// The pages of private anonymous memory are numbered in their VMO by virtual page, those of a private mapping of a file by the file's
// page, so that neighbours continue each other: one VMO serves both as soon as one of theirs is still empty. A region that moves
// takes its pages into a VMO of its own. Where a region goes is in placement.ts, how they are kept in region-tree.ts.

import { pageAlignUp, PAGE_SIZE, virtAddr, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { dropFile, holdFile } from "../fs/mapped-file.ts";
import type { Kernel } from "../kernel.ts";
import { writeBack } from "./file-vmo.ts";
import { finishFlush, newFlush, releaseAfterFlush, type Flush } from "./flush.ts";
import { mayCommit } from "./overcommit.ts";
import { pageCount } from "./page-map.ts";
import { query, unmap, updateFlags } from "./page-table.ts";
import { checkRange, choosePlace, findGap, hasRoom, type PlaceRequest } from "./placement.ts";
import {
  addRegion,
  deleteRegion,
  findRegion,
  findRegionAtOrAbove,
  findRegionBelow,
  moveBounds,
  regionCount,
  regionsOf,
  spaceSize,
  STACK_GUARD_GAP,
} from "./region-tree.ts";
import type { Advice, AddressSpace, Protection, Region, Vmo } from "./types.ts";
import { createVmo, dropPages, releaseVmo, retainVmo } from "./vmo.ts";
import { mayExecute } from "./write-or-execute.ts";

export {
  checkRange,
  choosePlace,
  findGap,
  findRegion,
  findRegionAtOrAbove,
  findRegionBelow,
  hasRoom,
  regionCount,
  regionsOf,
  spaceSize,
  STACK_GUARD_GAP,
};

/** What mmap and exec ask for. */
export interface MapRequest extends PlaceRequest {
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
  /** Default: as the space locks what is to come. */
  readonly locked?: Region["locked"] | undefined;
  readonly noReserve?: boolean | undefined;
  readonly pageLevel?: number | undefined;
}

/** Regions that all spaces together may have, however small memory is. */
const LEAST_REGIONS = 2 * 65530;
const ALL_RIGHTS: Protection = { read: true, write: true, execute: true };
/** Before any madvise. */
export const NO_ADVICE: Advice = {
  access: "normal",
  omittedByFork: false,
  wipedByFork: false,
  dumped: true,
  largePages: "as-set",
};

/**
 * Makes a region, and joins it with its neighbours where they show what continues it. ENOMEM where there is no room, EAGAIN above the
 * limit of locked memory, EEXIST for a taken place with "no-replace", EINVAL for an impossible one, EACCES where the process may not have
 * memory that is writable and executable. What a fixed place held is gone only when all else is well.
 */
export function mapRegion(k: Kernel, space: AddressSpace, request: MapRequest): VirtAddr | Errno {
  const length = pageAlignUp(request.length);
  const { userTop } = k.arch.layout;
  const locked = request.locked ?? space.lockFuture;
  if (!(length > 0)) return "EINVAL";
  // Linux counts here only after it has added one: a space may have one more than it says.
  if (length > userTop || !hasRoomForRegions(k, regionCount(space) - 1, 1)) return "ENOMEM";
  const address = choosePlace(k, space, request, length);
  if (typeof address === "string") return address;
  const end = virtAddr(address + length);
  if (locked !== "no" && !mayLock(space, length)) return "EAGAIN";
  const replaced = request.fixed === "replace" ? mappedBytes(space, address, end) : 0;
  if (spaceSize(space) - replaced + length > space.limits.addressSpace) return "ENOMEM";
  const isPrivate = request.sharing === "private";
  if (isPrivate && request.protection.write && request.growsDown !== true && !mayWrite(space, length)) return "ENOMEM";
  const isCommitted = isPrivate ? request.protection.write : request.vmo === undefined;
  if (isCommitted && request.noReserve !== true && !mayCommit(k, (length - replaced) / PAGE_SIZE)) return "ENOMEM";
  if (request.purpose !== "stack" && !mayExecute(k, space, address, request.protection, undefined)) return "EACCES";
  const cleared = replaced > 0 ? unmapRange(k, space, address, length) : 0;
  if (cleared !== 0) return cleared;
  const { vmo, vmoOffsetPages } = backingOf(k, request, address, length);
  insertRegion(k, space, {
    space: space.id,
    start: address,
    end,
    protection: request.protection,
    maximum: request.maximum ?? ALL_RIGHTS,
    sharing: request.sharing,
    vmo,
    vmoOffsetPages,
    purpose: request.purpose,
    growsDown: request.growsDown ?? false,
    file: request.file,
    fileOffset: request.fileOffset ?? 0,
    locked,
    advice: NO_ADVICE,
    noReserve: request.noReserve ?? false,
    sealed: false,
    pageLevel: request.pageLevel ?? 0,
  });
  mergeAround(k, space, address, end);
  return address;
}

/**
 * Removes all mappings in the range and frees what only they held. Not an error where nothing is mapped. EINVAL for a range that cuts a
 * large page of MAP_HUGETLB, ENOMEM where the hole would make one region too many, EPERM where a region is sealed.
 */
export function unmapRange(k: Kernel, space: AddressSpace, address: number, length: number): 0 | Errno {
  const range = checkRange(k, address, length);
  if (typeof range === "string") return range;
  // Only a hole within one region leaves more regions than before.
  const first = findRegion(space, range.start);
  const isHole = first !== undefined && first.start < range.start && first.end > range.end;
  if (isHole && !hasRoomForRegions(k, regionCount(space), 1)) return "ENOMEM";
  for (const { sealed } of regionsOf(space, range.start, range.end)) if (sealed) return "EPERM";
  const error = cutAt(k, space, range.start) || cutAt(k, space, range.end);
  if (error !== 0) return error;
  const touched = [...regionsOf(space, range.start, range.end)];
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
 * Changes the rights. Linux's rule: what lies before a gap (ENOMEM) or before a region that cannot have the rights (EACCES) or is
 * sealed (EPERM) is changed.
 */
export function protectRange(
  k: Kernel,
  space: AddressSpace,
  address: number,
  length: number,
  protection: Protection,
): 0 | Errno {
  const range = checkRange(k, address, length);
  if (typeof range === "string") return length === 0 && address % PAGE_SIZE === 0 ? 0 : range;
  const flush = newFlush(k, space);
  let result: 0 | Errno = 0;
  let reached: number = range.start;
  while (reached < range.end && result === 0) {
    const region = findRegion(space, reached);
    if (region === undefined) result = "ENOMEM";
    else if (exceeds(protection, region.maximum)) result = "EACCES";
    else if (!mayExecute(k, space, reached, protection, region.protection)) result = "EACCES";
    else if (region.sealed) result = "EPERM";
    if (region === undefined || result !== 0) break;
    const end = virtAddr(Math.min(region.end, range.end));
    if (
      protection.write &&
      dataPagesOf({ ...region, protection }) > dataPagesOf(region) &&
      !mayWrite(space, end - reached)
    )
      result = "ENOMEM";
    const gainsPromise = commitOf({ ...region, protection }) > commitOf(region);
    if (gainsPromise && !mayCommit(k, (end - reached) / PAGE_SIZE)) result = "ENOMEM";
    if (result !== 0) break;
    const part = isolate(k, space, region, virtAddr(reached), end);
    if (typeof part === "string") result = part;
    else protectRegion(k, space, part, protection, flush);
    reached = end;
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
    if (!hasRoom(k, space, oldTop, newTop)) return breakEnd;
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

/**
 * Whether a space with `present` regions, and all spaces together, may have so many more. A region and its VMO cost the host some 500 bytes,
 * and one without pages costs the guest nothing.
 */
export function hasRoomForRegions(k: Kernel, present: number, more: number): boolean {
  const { regionCount: all, settings } = k.state.memory;
  const limit = Math.max(LEAST_REGIONS, k.memory.size / 1024);
  return present + more <= settings.maxMapCount && all + more <= limit;
}

/** Whether so many more bytes may be locked. */
export function mayLock(space: AddressSpace, bytes: number): boolean {
  return space.lockedPages * PAGE_SIZE + bytes <= space.limits.locked;
}

/** Whether there may be so many more bytes of private writable memory. */
export function mayWrite(space: AddressSpace, bytes: number): boolean {
  return space.dataPages * PAGE_SIZE + bytes <= space.limits.data;
}

/** Bytes of the range that are mapped. */
export function mappedBytes(space: AddressSpace, start: number, end: number): number {
  let bytes = 0;
  for (const region of regionsOf(space, start, end)) bytes += Math.min(region.end, end) - Math.max(region.start, start);
  return bytes;
}

/** Puts a region among the others. It holds its file from now on. */
export function insertRegion(k: Kernel, space: AddressSpace, region: Region): void {
  enter(k, space, region);
  k.probes.regionChange?.(space, region, "map");
}

/** Takes a region out; PTEs, VMO and file are the caller's. */
export function removeRegion(k: Kernel, space: AddressSpace, region: Region): void {
  withdraw(k, space, region);
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
  if (region.noReserve) return 0;
  const isCommitted = region.sharing === "private" ? region.protection.write : region.purpose === "anonymous";
  return isCommitted ? (region.end - region.start) / PAGE_SIZE : 0;
}

/** Pages that RLIMIT_DATA counts. */
function dataPagesOf({ start, end, sharing, growsDown, protection }: Region): number {
  return sharing === "private" && protection.write && !growsDown ? (end - start) / PAGE_SIZE : 0;
}

/** Moves a region's start or end, within the room between its neighbours, with the accounts. */
export function resizeRegion(k: Kernel, space: AddressSpace, region: Region, start: VirtAddr, end: VirtAddr): void {
  account(k, space, region, -1);
  const moved = (start - region.start) / PAGE_SIZE;
  region.vmoOffsetPages += moved;
  if (region.file !== undefined) region.fileOffset += moved * PAGE_SIZE;
  moveBounds(space, region, start, end);
  account(k, space, region, 1);
}

/** Changes what the accounts depend on beside the bounds: rights and locks. */
export function changeRegion(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  change: Partial<Pick<Region, "protection" | "locked" | "advice" | "sealed">>,
): void {
  account(k, space, region, -1);
  Object.assign(region, change);
  account(k, space, region, 1);
}

/** Page numbers of the VMO that the region shows. */
export function pagesOf(region: Region): { from: number; to: number } {
  return { from: region.vmoOffsetPages, to: region.vmoOffsetPages + (region.end - region.start) / PAGE_SIZE };
}

/**
 * The region's part [start, end) as a region of its own. ENOMEM where that makes one region too many, EINVAL where it would cut a large
 * page of MAP_HUGETLB; what was cut off before stays cut off until `mergeAround`.
 */
export function isolate(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  start: VirtAddr,
  end: VirtAddr,
): Region | "ENOMEM" | "EINVAL" {
  const cuts = (start > region.start ? 1 : 0) + (end < region.end ? 1 : 0);
  if (cuts > 0 && !hasRoomForRegions(k, regionCount(space), cuts)) return "ENOMEM";
  const error = cutAt(k, space, start) || cutAt(k, space, end);
  if (error !== 0) return error;
  return findRegion(space, start) ?? region;
}

/** Joins the regions in and next to the range that have become alike. */
export function mergeAround(k: Kernel, space: AddressSpace, start: number, end: number): void {
  let lower = findRegionBelow(space, start) ?? findRegionAtOrAbove(space, start);
  while (lower !== undefined && lower.start <= end) {
    const upper = findRegionAtOrAbove(space, lower.end);
    if (upper === undefined) return;
    if (!canMerge(lower, upper)) {
      lower = upper;
      continue;
    }
    // Of two private VMOs the one that has no pages yet goes.
    const [kept, gone] = isPristine(upper) ? [lower, upper] : [upper, lower];
    const bounds = [lower.start, upper.end] as const;
    withdraw(k, space, gone);
    resizeRegion(k, space, kept, ...bounds);
    releaseVmo(k, gone.vmo);
    dropFile(k, gone);
    lower = kept;
  }
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
  // Its pages have the numbers that they have in the file.
  return { vmo: createVmo(k, { kind: "vmo", vmo: request.vmo, offsetPages: 0 }, Infinity), vmoOffsetPages: offset };
}

function sameRights(a: Protection, b: Protection): boolean {
  return a.read === b.read && a.write === b.write && a.execute === b.execute;
}

function sameAdvice(a: Advice, b: Advice): boolean {
  return (
    a === b ||
    (a.access === b.access &&
      a.omittedByFork === b.omittedByFork &&
      a.wipedByFork === b.wipedByFork &&
      a.dumped === b.dumped &&
      a.largePages === b.largePages)
  );
}

function exceeds(wanted: Protection, maximum: Protection): boolean {
  return (wanted.read && !maximum.read) || (wanted.write && !maximum.write) || (wanted.execute && !maximum.execute);
}

function protectRegion(k: Kernel, space: AddressSpace, region: Region, protection: Protection, flush: Flush): void {
  const { read, write, execute } = protection;
  changeRegion(k, space, region, { protection: { read, write, execute } });
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

/** Makes `address` a border, where a region spans it. There is room for one more region. */
function cutAt(k: Kernel, space: AddressSpace, address: VirtAddr): 0 | "EINVAL" {
  const region = findRegion(space, address);
  if (region === undefined || region.start === address) return 0;
  if (address % (k.arch.format.levels[region.pageLevel]?.size ?? PAGE_SIZE) !== 0) return "EINVAL";
  const upper: Region = { ...region };
  const moved = (address - region.start) / PAGE_SIZE;
  upper.start = address;
  upper.vmoOffsetPages += moved;
  if (upper.file !== undefined) upper.fileOffset += moved * PAGE_SIZE;
  resizeRegion(k, space, region, region.start, address);
  retainVmo(upper.vmo);
  enter(k, space, upper);
  cutLargePage(k, space, address, region.pageLevel);
  return 0;
}

/**
 * No large page reaches over a border of regions: one that does is cut up, or where that cannot be had, removed. The page at the border
 * loses its entry in either case, and gets it back by a fault.
 */
function cutLargePage(k: Kernel, space: AddressSpace, address: VirtAddr, pageLevel: number): void {
  const found = query(k, space, address);
  if (found === undefined || found.level <= pageLevel) return;
  if (address % (k.arch.format.levels[found.level]?.size ?? PAGE_SIZE) === 0) return;
  const flush = newFlush(k, space);
  unmap(k, space, address, virtAddr(address + PAGE_SIZE), flush);
  finishFlush(k, flush, "cut");
}

/** Puts a region into the tree, the accounts and its VMO's mappings, and holds its file. */
function enter(k: Kernel, space: AddressSpace, region: Region): void {
  holdFile(k, region);
  region.vmo.mappings.add(region);
  addRegion(space, region);
  k.state.memory.regionCount += 1;
  account(k, space, region, 1);
}

/** The counterpart of `enter`, but for the file. */
function withdraw(k: Kernel, space: AddressSpace, region: Region): void {
  region.vmo.mappings.delete(region);
  deleteRegion(space, region);
  k.state.memory.regionCount -= 1;
  account(k, space, region, -1);
}

/** For tests: the accounts of a space, counted anew. */
export function countPages(space: AddressSpace): Pick<AddressSpace, "committedPages" | "dataPages" | "lockedPages"> {
  const counts = { committedPages: 0, dataPages: 0, lockedPages: 0 };
  for (const region of regionsOf(space)) count(counts, region, 1);
  return counts;
}

/** Counts a region in (1) or out (-1). */
function account(k: Kernel, space: AddressSpace, region: Region, sign: 1 | -1): void {
  k.state.memory.committedPages += sign * commitOf(region);
  count(space, region, sign);
}

function count(
  counts: Pick<AddressSpace, "committedPages" | "dataPages" | "lockedPages">,
  region: Region,
  sign: 1 | -1,
): void {
  counts.committedPages += sign * commitOf(region);
  counts.dataPages += sign * dataPagesOf(region);
  if (region.locked !== "no") counts.lockedPages += (sign * (region.end - region.start)) / PAGE_SIZE;
}

function canMerge(lower: Region, upper: Region): boolean {
  return (
    lower.end === upper.start &&
    pagesOf(lower).to === upper.vmoOffsetPages &&
    lower.sharing === upper.sharing &&
    lower.purpose === upper.purpose &&
    lower.growsDown === upper.growsDown &&
    lower.locked === upper.locked &&
    lower.noReserve === upper.noReserve &&
    lower.sealed === upper.sealed &&
    lower.pageLevel === upper.pageLevel &&
    lower.file?.inode === upper.file?.inode &&
    lower.file?.path === upper.file?.path &&
    sameRights(lower.protection, upper.protection) &&
    sameRights(lower.maximum, upper.maximum) &&
    sameAdvice(lower.advice, upper.advice) &&
    (lower.vmo === upper.vmo || (sameSource(lower.vmo, upper.vmo) && (isPristine(lower) || isPristine(upper))))
  );
}

/** Private VMOs over the same thing, so that one of them can take over the other's part. */
function sameSource({ source: a }: Vmo, { source: b }: Vmo): boolean {
  if (a.kind === "vmo") return b.kind === "vmo" && a.vmo === b.vmo && a.offsetPages === b.offsetPages;
  return a.kind === "zero" && b.kind === "zero";
}

/** A private region whose VMO nobody else shows and that has no page of its own yet. */
function isPristine({ sharing, vmo }: Region): boolean {
  return sharing === "private" && vmo.references === 1 && pageCount(vmo.pages) === 0;
}
