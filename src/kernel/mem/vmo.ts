// Virtual memory objects (K15): what a mapping shows.
//
//   private mapping of a file          shared mapping of it           fork
//     Region ─> Vmo {3: copy}            Region ─> file's Vmo          parent ─> Vmo {3: f, 4: g}   share count of f and g: 2
//                 └ source                           ^                 child  ─> Vmo {3: f, 4: g}   first writer copies
//                     └──────> file's Vmo {0, 1, 2, 3} ── Inode
//
// A page that is absent comes from the source, on demand. A frame's share count is the number of VMOs that hold it; PTEs do not
// count: whoever takes a page out of a VMO has removed the PTEs that lead to it (INV-4).

import { frameAddress, PAGE_SIZE, virtAddr, type FrameNumber } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { hostfsOperations } from "../fs/hostfs.ts";
import type { Kernel } from "../kernel.ts";
import { finishFlush, newFlush, releaseAfterFlush } from "./flush.ts";
import { allocateFrame, frameShareCount, releaseFrame, retainFrame } from "./frames.ts";
import { unmap } from "./page-table.ts";
import { regionsOf } from "./region-tree.ts";
import type { FrameOwner, Region, Vmo } from "./types.ts";

/** A VMO with one reference and no pages. It keeps a source VMO alive. */
export function createVmo(k: Kernel, source: Vmo["source"], lengthPages: number): Vmo {
  const id = k.state.nextIds.vmo;
  k.state.nextIds.vmo += 1;
  if (source.kind === "vmo") retainVmo(source.vmo);
  return { id, pages: new Map(), source, lengthPages, dirty: new Set(), references: 1 };
}

/** A copy-on-write copy: the same frames, each with one more use. Whoever maps them writable must take that right away first. */
export function cloneVmo(k: Kernel, vmo: Vmo): Vmo {
  const clone = createVmo(k, vmo.source, vmo.lengthPages);
  for (const [index, frame] of vmo.pages) {
    retainFrame(k, frame);
    clone.pages.set(index, frame);
  }
  return clone;
}

export function retainVmo(vmo: Vmo): void {
  vmo.references += 1;
}

/** Gives up one reference; the last one frees the pages, which nothing may map any more. */
export function releaseVmo(k: Kernel, vmo: Vmo): void {
  vmo.references -= 1;
  if (vmo.references > 0) return;
  for (const frame of vmo.pages.values()) releaseFrame(k, frame);
  vmo.pages.clear();
  if (vmo.source.kind === "vmo") releaseVmo(k, vmo.source.vmo);
}

/**
 * The frame of a page, made or read in where it is absent. "write" gives a frame that no other VMO shares: where it differs from
 * the one that was there, the caller replaces the PTE and flushes. EFAULT beyond the end; ENOMEM; EIO and the like from the file.
 */
export function vmoPage(k: Kernel, vmo: Vmo, index: number, access: "read" | "write"): FrameNumber | Errno {
  if (index >= vmo.lengthPages || index < 0) return "EFAULT";
  const present = vmo.pages.get(index);
  const { source } = vmo;
  if (present !== undefined) {
    if (access === "read") return present;
    if (source.kind === "inode") vmo.dirty.add(index);
    return frameShareCount(k, present) === 1 ? present : replaceByCopy(k, vmo, index, present);
  }
  switch (source.kind) {
    case "physical":
      return (source.frame + index) as FrameNumber;
    case "zero":
      return addPage(vmo, index, allocateFrame(k, "anonymous"));
    case "vmo": {
      const original = vmoPage(k, source.vmo, source.offsetPages + index, "read");
      if (typeof original === "string" || access === "read") return original;
      return addPage(vmo, index, copyFrame(k, original));
    }
    case "inode": {
      const frame = readPage(k, source, index);
      if (typeof frame === "string") return frame;
      vmo.pages.set(index, frame);
      if (access === "write") vmo.dirty.add(index);
      return frame;
    }
  }
}

/** Takes the pages [from, to) out of a VMO that one private region shows there; the frames go when `release` says so. */
export function dropPages(vmo: Vmo, from: number, to: number, release: (frame: FrameNumber) => void): void {
  // Whichever is smaller: the range or what is present.
  if (to - from < vmo.pages.size) {
    for (let index = from; index < to; index++) drop(index, vmo.pages.get(index));
  } else {
    for (const [index, frame] of [...vmo.pages]) if (index >= from && index < to) drop(index, frame);
  }
  function drop(index: number, frame: FrameNumber | undefined): void {
    if (frame === undefined) return;
    vmo.pages.delete(index);
    release(frame);
  }
}

/**
 * Sets the length in bytes. Pages beyond the end leave every mapping, private copies of them too, and are freed; what follows
 * the end in the last page becomes zeros.
 */
export function truncateVmo(k: Kernel, vmo: Vmo, lengthBytes: number): void {
  const lengthPages = Math.ceil(lengthBytes / PAGE_SIZE);
  if (lengthPages < vmo.lengthPages) {
    if (vmo.references > 1) unmapBeyond(k, vmo, lengthPages);
    dropPages(vmo, lengthPages, Infinity, (frame) => releaseFrame(k, frame));
    for (const index of [...vmo.dirty]) if (index >= lengthPages) vmo.dirty.delete(index);
  }
  vmo.lengthPages = lengthPages;
  const used = lengthBytes % PAGE_SIZE;
  const last = used === 0 ? undefined : vmo.pages.get(lengthPages - 1);
  if (last !== undefined) k.memory.fill(frameAddress(last) + used, PAGE_SIZE - used, 0);
}

/** Stores the pages of a file's cache that shared mappings may have written. The first failure is returned, after all were tried. */
export function storeDirtyPages(k: Kernel, vmo: Vmo): 0 | Errno {
  const { source } = vmo;
  if (source.kind !== "inode") return 0;
  let result: 0 | Errno = 0;
  for (const index of [...vmo.dirty].toSorted((a, b) => a - b)) {
    const frame = vmo.pages.get(index);
    const length = Math.min(PAGE_SIZE, source.inode.size - index * PAGE_SIZE);
    if (frame === undefined || length <= 0) continue;
    const written = hostfsOperations.writeAt(
      k,
      source.inode,
      index * PAGE_SIZE,
      k.memory.read(frameAddress(frame), length),
    );
    if (typeof written === "string" && result === 0) result = written;
  }
  return result;
}

function addPage(vmo: Vmo, index: number, frame: FrameNumber | "ENOMEM"): FrameNumber | "ENOMEM" {
  if (frame !== "ENOMEM") vmo.pages.set(index, frame);
  return frame;
}

function replaceByCopy(k: Kernel, vmo: Vmo, index: number, shared: FrameNumber): FrameNumber | "ENOMEM" {
  const copy = copyFrame(k, shared);
  if (copy === "ENOMEM") return "ENOMEM";
  vmo.pages.set(index, copy);
  releaseFrame(k, shared); // others hold it still, so this never frees
  return copy;
}

function copyFrame(k: Kernel, from: FrameNumber, owner: FrameOwner = "anonymous"): FrameNumber | "ENOMEM" {
  const copy = allocateFrame(k, owner, "unset");
  if (copy !== "ENOMEM") k.memory.copy(frameAddress(copy), frameAddress(from), PAGE_SIZE);
  return copy;
}

/** One page of a file, zeros after its end. */
function readPage(k: Kernel, source: Extract<Vmo["source"], { kind: "inode" }>, index: number): FrameNumber | Errno {
  const bytes = new Uint8Array(PAGE_SIZE);
  let filled = 0;
  while (filled < PAGE_SIZE) {
    const count = hostfsOperations.readAt(k, source.inode, index * PAGE_SIZE + filled, bytes.subarray(filled));
    if (typeof count === "string") return count;
    if (count === 0) break;
    filled += count;
  }
  k.state.counters.majorFaults += 1;
  const frame = allocateFrame(k, "file", "unset");
  if (frame !== "ENOMEM") k.memory.write(frameAddress(frame), bytes);
  return frame;
}

/** Removes the PTEs, in every space, of a VMO's pages at and beyond `lengthPages`, and private copies of them. */
function unmapBeyond(k: Kernel, vmo: Vmo, lengthPages: number): void {
  for (const space of k.state.memory.spaces.values()) {
    for (const region of regionsOf(space)) {
      const offset = offsetInto(region, vmo);
      if (offset === undefined) continue;
      const first = Math.max(0, lengthPages - offset);
      const start = virtAddr(region.start + first * PAGE_SIZE);
      if (start >= region.end) continue;
      const flush = newFlush(k, space);
      unmap(k, space, start, region.end, flush); // 4 KiB pages only: nothing to split, so no ENOMEM
      if (region.vmo !== vmo) {
        const from = region.vmoOffsetPages + first;
        const to = region.vmoOffsetPages + (region.end - region.start) / PAGE_SIZE;
        dropPages(region.vmo, from, to, (frame) => releaseAfterFlush(flush, frame));
      }
      finishFlush(k, flush, "truncate");
    }
  }
}

/** Page of `vmo` that the region's start shows, directly or through a private mapping; undefined when it shows something else. */
function offsetInto(region: Region, vmo: Vmo): number | undefined {
  if (region.vmo === vmo) return region.vmoOffsetPages;
  const { source } = region.vmo;
  if (source.kind === "vmo" && source.vmo === vmo) return region.vmoOffsetPages + source.offsetPages;
  return undefined;
}
