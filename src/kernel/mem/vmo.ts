// Virtual memory objects (K15): what a mapping shows.
//
//   private mapping of a file          shared mapping of it           fork
//     Region ─> Vmo {3: copy}            Region ─> file's Vmo          parent ─> Vmo {3: f, 4: g}   share count of f and g: 2
//                 └ source                           ^                 child  ─> Vmo {3: f, 4: g}   first writer copies
//                     └──────> file's Vmo {0, 1, 2, 3} ── Inode
//
// A page that is absent comes from the source, on demand. A frame's share count is the number of VMOs that hold it; PTEs do not
// count: whoever takes a page out of a VMO has removed the PTEs that lead to it (INV-4). Who holds a frame is found by family and
// index (reverse-map.ts).

import { frameAddress, PAGE_SIZE, type FrameNumber } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { hostfsOperations } from "../fs/hostfs.ts";
import { hasRoomForPage, settleUsage } from "../fs/tmpfs.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import {
  allocateFrame,
  frameOwner,
  frameShareCount,
  releaseFrame,
  releaseFrames,
  releaseSlots,
  retainFrame,
  retainSlots,
  setFreeable,
} from "./frames.ts";
import {
  CHUNK_PAGES,
  clearPageMap,
  copyPageMap,
  createPageMap,
  forEachSlot,
  frameAt,
  setSlot,
  slotAt,
} from "./page-map.ts";
import { swapIn } from "./swap.ts";
import { cachedSlot, forgetCached, releaseSlot, retainSlot } from "./swap-slots.ts";
import type { FrameOwner, Vmo } from "./types.ts";

/** A VMO with one reference, without pages and of a family of its own unless they are given. It keeps a source VMO alive. */
export function createVmo(
  k: Kernel,
  source: Vmo["source"],
  lengthPages: number,
  family?: number,
  pages = createPageMap(),
): Vmo {
  const id = k.state.nextIds.vmo;
  k.state.nextIds.vmo += 1;
  const vmo: Vmo = {
    id,
    family: family ?? id,
    pages,
    source,
    lengthPages,
    dirty: new Set(),
    references: 1,
    mappings: new Set(),
    dependents: new Set(),
  };
  join(k, vmo);
  return vmo;
}

/** A copy-on-write copy: the same frames, each with one more use. Whoever maps them writable must take that right away first. */
export function cloneVmo(k: Kernel, vmo: Vmo): Vmo {
  const clone = createVmo(k, vmo.source, vmo.lengthPages, vmo.family, copyPageMap(vmo.pages));
  for (const chunk of clone.pages.chunks.values()) retainSlots(k, chunk, CHUNK_PAGES);
  if (clone.pages.swapped > 0) {
    forEachSlot(clone.pages, 0, Infinity, (_index, slot) => {
      if (slot < 0) retainSlot(k, -slot - 1);
    });
  }
  return clone;
}

/** Puts a new VMO where those are found that it is kin to. */
function join(k: Kernel, vmo: Vmo): void {
  const { families } = k.state.memory;
  const family = families.get(vmo.family);
  if (family === undefined) families.set(vmo.family, new Map([[vmo.id, vmo]]));
  else family.set(vmo.id, vmo);
  if (vmo.source.kind !== "vmo") return;
  retainVmo(vmo.source.vmo);
  vmo.source.vmo.dependents.add(vmo);
}

export function retainVmo(vmo: Vmo): void {
  vmo.references += 1;
}

/** Gives up one reference; the last one frees the pages, which nothing may map any more. */
export function releaseVmo(k: Kernel, vmo: Vmo): void {
  vmo.references -= 1;
  if (vmo.references > 0) return;
  if (vmo.source.kind === "inode") k.state.memory.filePages -= vmo.pages.resident;
  const frames: FrameNumber[] = [];
  for (const chunk of vmo.pages.chunks.values()) releaseSlots(k, chunk, CHUNK_PAGES, frames);
  if (vmo.pages.swapped > 0) {
    forEachSlot(vmo.pages, 0, Infinity, (_index, slot) => {
      if (slot < 0) releaseSlot(k, -slot - 1);
    });
  }
  releaseFrames(k, frames);
  clearPageMap(vmo.pages);
  leave(k, vmo);
}

/** The counterpart of `join`. */
function leave(k: Kernel, vmo: Vmo): void {
  const { families } = k.state.memory;
  const family = families.get(vmo.family);
  family?.delete(vmo.id);
  if (family?.size === 0) families.delete(vmo.family);
  if (vmo.source.kind === "inode") vmo.source.inode.vmo = undefined; // the cache goes with its last mapping
  if (vmo.source.kind !== "vmo") return;
  vmo.source.vmo.dependents.delete(vmo);
  releaseVmo(k, vmo.source.vmo);
}

/** The frame of a page that the VMO itself has in memory. */
export function residentFrame(vmo: Vmo, index: number): FrameNumber | undefined {
  return frameAt(vmo.pages, index);
}

/**
 * The frame of a page, made or read in where it is absent. "write" gives a frame that no other VMO shares: where it differs from
 * the one that was there, the caller replaces the PTE and flushes. EFAULT beyond the end; ENOMEM; ENOSPC for a full tmpfs; EIO and the like from the file or the
 * swap area.
 */
export function vmoPage(k: Kernel, vmo: Vmo, index: number, access: "read" | "write"): FrameNumber | Errno {
  if (index >= vmo.lengthPages || index < 0) return "EFAULT";
  const slot = slotAt(vmo.pages, index);
  const { source } = vmo;
  if (slot !== 0) {
    const present = slot > 0 ? (slot as FrameNumber) : swapIn(k, vmo, index, slot);
    if (typeof present === "string" || access === "read") return present;
    if (source.kind === "inode") vmo.dirty.add(index);
    if (frameShareCount(k, present) !== 1) return replaceByCopy(k, vmo, index, present);
    forgetCached(k, present);
    if (source.kind === "zero") setFreeable(k, present, false);
    return present;
  }
  switch (source.kind) {
    case "physical":
      return (source.frame + index) as FrameNumber;
    case "zero": {
      const { file } = source;
      if (file !== undefined && !hasRoomForPage(file)) return "ENOSPC";
      const frame = addPage(k, vmo, index, allocateFrame(k, "anonymous"));
      if (file !== undefined) settleUsage(file);
      return frame;
    }
    case "vmo": {
      const original = vmoPage(k, source.vmo, source.offsetPages + index, "read");
      if (typeof original === "string" || access === "read") return original;
      return addPage(k, vmo, index, copyFrame(k, original));
    }
    case "inode": {
      const frame = readPage(k, source, index);
      if (typeof frame === "string") return frame;
      holdPage(k, vmo, index, frame);
      k.state.memory.filePages += 1;
      if (access === "write") vmo.dirty.add(index);
      return frame;
    }
  }
}

/** Whether a write to the frame must be noticed: it ends a copy in the swap area, or the leave to drop the page (MADV_FREE). */
export function isWatched(k: Kernel, frame: FrameNumber): boolean {
  return cachedSlot(k, frame) !== undefined || frameOwner(k, frame) === "freeable";
}

/** Takes the pages [from, to) out of a VMO, which no PTE shows any more; the frames go when `release` says so. */
export function dropPages(k: Kernel, vmo: Vmo, from: number, to: number, release: (frame: FrameNumber) => void): void {
  const before = vmo.pages.resident;
  forEachSlot(vmo.pages, from, to, (index, slot) => {
    setSlot(vmo.pages, index, 0);
    if (slot > 0) release(slot as FrameNumber);
    else releaseSlot(k, -slot - 1);
  });
  if (vmo.source.kind === "inode") k.state.memory.filePages -= before - vmo.pages.resident;
}

/** Moves the pages [from, to) into another VMO of the family, at the same indices; the uses of their frames move with them. */
export function movePages(source: Vmo, target: Vmo, from: number, to: number): void {
  if (source.family !== target.family) throw new KernelBug("pages may not move to another family");
  forEachSlot(source.pages, from, to, (index, slot) => {
    setSlot(source.pages, index, 0);
    setSlot(target.pages, index, slot);
  });
}

/** Notes that the VMO holds the frame, whose use is the VMO's from now on. */
export function holdPage(k: Kernel, vmo: Vmo, index: number, frame: FrameNumber): void {
  const { frames } = k.state.memory;
  setSlot(vmo.pages, index, frame);
  frames.families[frame - frames.firstFrame] = vmo.family;
  frames.pageIndices[frame - frames.firstFrame] = index;
  frames.takers[frame - frames.firstFrame] = vmo.id;
}

/** As `holdPage`, for `count` frames in a row at as many indices. */
export function holdPages(k: Kernel, vmo: Vmo, index: number, first: FrameNumber, count: number): void {
  for (let i = 0; i < count; i++) holdPage(k, vmo, index + i, (first + i) as FrameNumber);
}

/** Makes a VMO of the family that holds the frame at this index hold it as well. */
export function shareFrame(k: Kernel, vmo: Vmo, index: number, frame: FrameNumber): void {
  retainFrame(k, frame);
  setSlot(vmo.pages, index, frame);
}

function addPage(k: Kernel, vmo: Vmo, index: number, frame: FrameNumber | "ENOMEM"): FrameNumber | "ENOMEM" {
  if (frame !== "ENOMEM") holdPage(k, vmo, index, frame);
  return frame;
}

function replaceByCopy(k: Kernel, vmo: Vmo, index: number, shared: FrameNumber): FrameNumber | "ENOMEM" {
  const copy = copyFrame(k, shared);
  if (copy === "ENOMEM") return "ENOMEM";
  holdPage(k, vmo, index, copy);
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
