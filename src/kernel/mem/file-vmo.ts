// Changing a file's pages under its mappings: size, holes, write-back.
//
//   size shrinks    pages beyond the end leave every mapping, private copies too; then a touch is SIGBUS
//   hole            pages leave every mapping, but private copies stay; then a touch finds zeros
//   write-back      pages that shared mappings wrote are stored, and mapped read-only again so that the next write is noticed
//
//   clean ──write fault──> dirty (in vmo.dirty, mapped writable) ──msync, fsync, munmap, exit──> stored, clean
//
// INV-4: a page that leaves has one more use for each flush that it waits for, so it is free only after the last of them.

import type { Errno } from "../../abi/linux/errno.ts";
import { frameAddress, PAGE_SIZE, virtAddr, type FrameNumber } from "../../lib/address.ts";
import { hostfsOperations } from "../fs/hostfs.ts";
import type { Kernel } from "../kernel.ts";
import { finishFlush, newFlush, releaseAfterFlush, type Flush } from "./flush.ts";
import { releaseFrame, retainFrame } from "./frames.ts";
import { forEachSlot, slotAt } from "./page-map.ts";
import { unmap, updateFlags } from "./page-table.ts";
import { vmoPageOrReclaim } from "./reclaim.ts";
import { forEachMappingOfPage } from "./reverse-map.ts";
import { lastShootdown } from "./shootdown.ts";
import type { AddressSpace, Region, Vmo } from "./types.ts";
import { dropPages, residentFrame } from "./vmo.ts";

/** Pages that one host write of a write-back takes at most. */
const RUN_PAGES = 64;

/**
 * Follows a change of a file's size. What follows the smaller of both sizes in its page becomes zeros, since a mapping may have
 * written there. ENOMEM (nothing is changed) when that page cannot be brought in.
 */
export function resizeVmo(k: Kernel, vmo: Vmo, oldBytes: number, newBytes: number): 0 | Errno {
  const edge = Math.min(oldBytes, newBytes);
  const cleared = clearInPage(k, vmo, edge, Math.ceil(edge / PAGE_SIZE) * PAGE_SIZE);
  if (cleared !== 0) return cleared;
  const lengthPages = Math.ceil(newBytes / PAGE_SIZE);
  if (newBytes <= oldBytes) {
    removePages(k, vmo, lengthPages, Infinity, "with private copies");
    for (const index of [...vmo.dirty]) if (index >= lengthPages) vmo.dirty.delete(index);
  }
  vmo.lengthPages = lengthPages;
  return 0;
}

/** Makes bytes [start, end) zeros: whole pages become absent, parts of pages are cleared. ENOMEM as above, EIO from the file. */
export function punchVmo(k: Kernel, vmo: Vmo, start: number, end: number): 0 | Errno {
  const first = Math.ceil(start / PAGE_SIZE);
  const last = Math.floor(end / PAGE_SIZE);
  if (first > last) return clearInPage(k, vmo, start, end);
  const before = clearInPage(k, vmo, start, first * PAGE_SIZE);
  if (before !== 0) return before;
  const after = clearInPage(k, vmo, last * PAGE_SIZE, end);
  if (after !== 0) return after;
  removePages(k, vmo, first, last, "but private copies");
  return 0;
}

/**
 * Stores the pages [from, to) of a file's cache that shared mappings may have written. They are clean afterwards; those that could
 * not be stored stay dirty. The first failure is returned, after all were tried.
 */
export function writeBack(k: Kernel, vmo: Vmo, from = 0, to = Infinity): 0 | Errno {
  const { source, dirty } = vmo;
  if (source.kind !== "inode" || dirty.size === 0) return 0;
  const indices = [...dirty].filter((index) => index >= from && index < to).toSorted((a, b) => a - b);
  protectPages(k, vmo, indices);
  // A hart that has still to drop its right to write may write after the page was stored.
  const isWritable = lastShootdown(k) !== undefined;
  let result: 0 | Errno = 0;
  for (let at = 0; at < indices.length;) {
    const first = indices[at] ?? 0;
    let count = 1;
    while (count < RUN_PAGES && indices[at + count] === first + count) count += 1;
    const stored = storePages(k, vmo, first, count);
    if (stored === 0 && !isWritable) for (let page = 0; page < count; page++) dirty.delete(first + page);
    if (stored !== 0 && result === 0) result = stored;
    at += count;
  }
  return result;
}

/** Stores `count` pages of a file's cache from `first` on, as far as the file goes. */
export function storePages(k: Kernel, vmo: Vmo, first: number, count: number): 0 | Errno {
  if (vmo.source.kind !== "inode") return 0;
  const { inode } = vmo.source;
  const length = Math.min(count * PAGE_SIZE, inode.size - first * PAGE_SIZE);
  if (length <= 0) return 0;
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; done += PAGE_SIZE) {
    const frame = residentFrame(vmo, first + done / PAGE_SIZE);
    if (frame !== undefined) k.memory.readInto(frameAddress(frame), bytes.subarray(done, done + PAGE_SIZE));
  }
  for (let done = 0; done < length;) {
    const written = hostfsOperations.writeAt(k, inode, first * PAGE_SIZE + done, bytes.subarray(done));
    if (typeof written === "string") return written;
    if (written === 0) return "EIO";
    done += written;
  }
  return 0;
}

/** Takes the right to write those pages from every mapping, and their dirty bits. */
function protectPages(k: Kernel, vmo: Vmo, indices: readonly number[]): void {
  const flushes = new Map<AddressSpace, Flush>();
  for (const index of indices) {
    forEachMappingOfPage(k, vmo, index, (space, region, address) => {
      if (region.sharing === "private") return;
      let flush = flushes.get(space);
      if (flush === undefined) flushes.set(space, (flush = newFlush(k, space)));
      const end = virtAddr(address + PAGE_SIZE);
      updateFlags(k, space, address, end, (flags) => ({ ...flags, write: false, dirty: false }), flush);
    });
  }
  for (const flush of flushes.values()) finishFlush(k, flush, "write-back");
}

/** Fills bytes [start, end) with zeros where pages are present; the pages stay. ENOMEM leaves some of them as they were. */
export function clearBytes(k: Kernel, vmo: Vmo, start: number, end: number): 0 | Errno {
  for (let at = start; at < end;) {
    const next = Math.min(end, (Math.floor(at / PAGE_SIZE) + 1) * PAGE_SIZE);
    const cleared = clearInPage(k, vmo, at, next);
    if (cleared !== 0) return cleared;
    at = next;
  }
  return 0;
}

/** Fills bytes [start, end), which lie in one page, with zeros where the page is present. */
function clearInPage(k: Kernel, vmo: Vmo, start: number, end: number): 0 | Errno {
  const index = Math.floor(start / PAGE_SIZE);
  if (start >= end || slotAt(vmo.pages, index) === 0) return 0;
  const isCache = vmo.source.kind === "inode"; // the file itself has zeros there: to clear its page does not make it dirty
  const frame = isCache ? residentFrame(vmo, index) : vmoPageOrReclaim(k, vmo, index, "write");
  if (typeof frame === "string" || frame === undefined) return frame ?? 0;
  k.memory.fill(frameAddress(frame) + (start % PAGE_SIZE), end - start, 0);
  return 0;
}

/** Pages [from, to) leave the VMO and every mapping. */
function removePages(
  k: Kernel,
  vmo: Vmo,
  from: number,
  to: number,
  what: "with private copies" | "but private copies",
): void {
  for (const region of vmo.mappings) removeFromRegion(k, vmo, region, 0, from, to, what);
  for (const dependent of vmo.dependents) {
    const offset = dependent.source.kind === "vmo" ? dependent.source.offsetPages : 0;
    for (const region of dependent.mappings) removeFromRegion(k, vmo, region, offset, from, to, what);
  }
  dropPages(k, vmo, from, to, (frame) => releaseFrame(k, frame));
}

/** `offset` is the page of the file that page 0 of the region's VMO shows. */
function removeFromRegion(
  k: Kernel,
  vmo: Vmo,
  region: Region,
  offset: number,
  from: number,
  to: number,
  what: "with private copies" | "but private copies",
): void {
  const space = k.state.memory.spaces.get(region.space);
  const shown = region.vmoOffsetPages + offset;
  const pages = (region.end - region.start) / PAGE_SIZE;
  const first = Math.max(0, from - shown);
  const last = Math.min(pages, to - shown);
  if (space === undefined || first >= last) return;
  const flush = newFlush(k, space);
  const start = virtAddr(region.start + first * PAGE_SIZE);
  const end = virtAddr(region.start + last * PAGE_SIZE);
  // Where private copies stay, so do their PTEs: pages that the region's own VMO holds are stepped over.
  if (region.vmo === vmo || what === "with private copies") unmap(k, space, start, end, flush);
  else unmapShownPages(k, space, region, start, end, flush);
  forEachSlot(vmo.pages, shown + first, shown + last, (_index, slot) => {
    if (slot <= 0) return;
    retainFrame(k, slot as FrameNumber);
    releaseAfterFlush(flush, slot as FrameNumber);
  });
  if (region.vmo !== vmo && what === "with private copies") {
    const { vmoOffsetPages } = region;
    dropPages(k, region.vmo, vmoOffsetPages + first, vmoOffsetPages + last, (frame) => releaseAfterFlush(flush, frame));
  }
  finishFlush(k, flush, "truncate");
}

/** Unmaps the stretches of a private region that have no page of its own. */
function unmapShownPages(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  start: number,
  end: number,
  flush: Flush,
): void {
  let at = start;
  const indexOf = (address: number): number => region.vmoOffsetPages + (address - region.start) / PAGE_SIZE;
  const own: number[] = [];
  forEachSlot(region.vmo.pages, indexOf(start), indexOf(end), (index) => {
    own.push(region.start + (index - region.vmoOffsetPages) * PAGE_SIZE);
  });
  for (const address of [...own.toSorted((a, b) => a - b), end]) {
    if (address > at) unmap(k, space, virtAddr(at), virtAddr(address), flush);
    at = address + PAGE_SIZE;
  }
}
