// Page reclaim: frames back from those who need them least.
//
//   clock hand ──> frame ──> held by VMOs, and by nothing else? ──> all its PTEs: accessed since the last round? ──yes──> spared, once
//                                                                     │ no
//             round 0: freeable pages            dropped              v
//             round 1: clean pages of files      dropped
//             round 2: dirty pages of files      stored, dropped    PTEs removed, TLBs flushed ──> stored or swapped out ──> freed
//                      private and shared memory swapped out
//             round 3: as round 2, accessed or not
//
// While other harts have still to drop their translations, which they may write through, a page is not stored yet: that is left to the
// last acknowledger (shootdown.ts). Who touches the page before that maps it again, and it stays.
//
// Second chance by accessed bits (Tanenbaum, Modern Operating Systems, 3.4.4-3.4.5). Pages that are locked in memory, or mapped by MAP_HUGETLB,
// stay. It runs at safe points only: where nothing in the kernel holds the number of a frame of a VMO that it goes on using.
//
//   free frames:  0 ............. low ............. high         below `low` on leaving the kernel: reclaim until `high`
//                 └ a fault that finds none reclaims itself; when that frees nothing, memory is out (process/memory-killer.ts)

import { PAGE_SIZE, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import { storePages } from "./file-vmo.ts";
import { finishFlush, newFlush } from "./flush.ts";
import { frameOwner, frameShareCount, releaseFrame } from "./frames.ts";
import { setSlot } from "./page-map.ts";
import { framesInLimbo, lastShootdown } from "./shootdown.ts";
import { query, unmap, updateFlags } from "./page-table.ts";
import { forEachMappingOfPage, holdersOf } from "./reverse-map.ts";
import { swapOut } from "./swap.ts";
import { canSwapOut } from "./swap-slots.ts";
import type { AddressSpace, Region, Vmo } from "./types.ts";
import { dropPages, vmoPage } from "./vmo.ts";

/** Frames that a caller who needs one or a few asks for. */
export const RECLAIM_BATCH = 32;
/** Frames that a round looks at, for each that it is to free, before the next one begins; at least SCAN_MINIMUM. */
const SCAN_RATIO = 16;
const SCAN_MINIMUM = 4096;
/** How often an operation is tried again after reclaim freed something for it. */
export const RECLAIM_ATTEMPTS = 8;

/** Below the low one reclaim begins by itself, at the high one it ends: frames. */
export function watermarks(k: Kernel): { low: number; high: number } {
  const low = Math.max(32, Math.floor(k.state.memory.frames.frameCount / 128));
  return { low, high: low + (low >> 1) };
}

/** On leaving the kernel: keeps some frames free, unless the last attempt at that was futile. */
export function balanceMemory(k: Kernel): void {
  const { frames, reclaim } = k.state.memory;
  const { low, high } = watermarks(k);
  if (frames.freeCount >= low) {
    reclaim.futileAt = -1;
    return;
  }
  if (reclaim.futileAt !== -1 && frames.freeCount >= reclaim.futileAt) return;
  const expected = frames.freeCount + framesInLimbo(k);
  if (expected >= low) return;
  const isFutile = reclaimFrames(k, high - expected) === 0 && framesInLimbo(k) === 0;
  reclaim.futileAt = isFutile ? frames.freeCount : -1;
}

/**
 * Runs an operation that needs frames, and again after reclaim as long as it says ENOMEM and reclaim frees some. The operation
 * must have changed nothing when it says so, and its caller must be at a safe point.
 */
export function withReclaim<T>(k: Kernel, attempt: () => T | "ENOMEM"): T | "ENOMEM" {
  let result = attempt();
  for (let i = 0; result === "ENOMEM" && i < RECLAIM_ATTEMPTS && reclaimFrames(k, RECLAIM_BATCH) > 0; i++)
    result = attempt();
  return result;
}

/** `vmoPage` at a safe point. */
export function vmoPageOrReclaim(k: Kernel, vmo: Vmo, index: number, access: "read" | "write"): FrameNumber | Errno {
  return withReclaim(k, () => vmoPage(k, vmo, index, access));
}

/**
 * Frees up to `target` frames; returns how many it did free. Others may follow when other harts have dropped them: who got nothing
 * then can wait for those (`framesInLimbo`). Its time is bounded by `target` and the number of frames.
 */
export function reclaimFrames(k: Kernel, target: number): number {
  const { memory } = k.state;
  const { reclaim } = memory;
  const budget = Math.max(SCAN_MINIMUM, target * SCAN_RATIO);
  const before = memory.frames.freeCount;
  let found = 0;
  if (memory.frames.freeableCount > 0) found += sweep(k, target, memory.frames.frameCount, "freeable");
  // A round that found none among so many pages of files need not be made again until there are more.
  reclaim.fileFloor = Math.min(reclaim.fileFloor, memory.filePages);
  if (memory.filePages > reclaim.fileFloor && found < target) {
    const clean = sweep(k, target - found, budget, "clean-file");
    found += clean;
    if (clean === 0) reclaim.fileFloor = memory.filePages;
  }
  if (memory.filePages > leastFilePages(k) || memory.swap.areas.length > 0) {
    if (found < target) found += sweep(k, target - found, budget, "any");
    if (found < target) found += sweep(k, target - found, memory.frames.frameCount, "forced");
  }
  const freed = memory.frames.freeCount - before;
  if (freed === 0 && framesInLimbo(k) > 0) reclaim.isAwaited = true;
  return freed;
}

/**
 * Pages of files that stay: the programs that run need them. Without that, a machine whose memory is full and has no swap would read them
 * again and again, instead of seeing that it is out of memory.
 */
function leastFilePages(k: Kernel): number {
  return watermarks(k).low;
}

type Round = "freeable" | "clean-file" | "any" | "forced";

/** Moves the clock hand over at most `budget` frames, until `target` of them are free or will be. */
function sweep(k: Kernel, target: number, budget: number, round: Round): number {
  const { frames, reclaim, statistics } = k.state.memory;
  const steps = Math.min(budget, frames.frameCount);
  let found = 0;
  for (let step = 0; step < steps && found < target; step++) {
    const at = reclaim.hand;
    reclaim.hand = at + 1 === frames.frameCount ? 0 : at + 1;
    if (frames.families[at] === 0) continue;
    statistics.framesScanned += 1;
    if (evict(k, (frames.firstFrame + at) as FrameNumber, round)) found += 1;
  }
  return found;
}

interface Mapping {
  readonly space: AddressSpace;
  readonly address: VirtAddr;
}

/** Frees a frame now, however lately it was used, if it may go at all; at a safe point. */
export function evictFrame(k: Kernel, frame: FrameNumber): boolean {
  return evict(k, frame, "forced");
}

/** Frees a frame if it may go in this round, or has it freed once all harts have dropped it. */
function evict(k: Kernel, frame: FrameNumber, round: Round): boolean {
  const { index, vmos } = holdersOf(k, frame);
  const [first] = vmos;
  if (first === undefined || vmos.length !== frameShareCount(k, frame)) return false;
  const { evicting } = k.state.memory.reclaim;
  if (evicting.has(frame)) return false;
  const isFile = first.source.kind === "inode";
  const isFreeable = frameOwner(k, frame) === "freeable";
  if (round === "freeable" && !isFreeable) return false;
  if (round === "clean-file" && (!isFile || first.dirty.has(index))) return false;
  if (isFile ? k.state.memory.filePages <= leastFilePages(k) : !isFreeable && !canSwapOut(k, frame)) return false;
  const mappings = findMappings(k, vmos, index, frame);
  if (mappings === "pinned") return false;
  if (round !== "forced" && round !== "freeable" && spare(k, mappings)) return false;
  for (const { space, address } of mappings) removeMapping(k, space, address);
  const awaited = lastShootdown(k);
  if (awaited === undefined) return moveOut(k, vmos, index, frame);
  awaited.actions.push({ kind: "evict", frame });
  evicting.add(frame);
  return true;
}

/** The harts have dropped a page that was to go: it goes, unless somebody has mapped it again or its frame is another's by now. */
export function finishEviction(k: Kernel, frame: FrameNumber): void {
  k.state.memory.reclaim.evicting.delete(frame);
  const { index, vmos } = holdersOf(k, frame);
  if (vmos.length === 0 || vmos.length !== frameShareCount(k, frame)) return;
  const mappings = findMappings(k, vmos, index, frame);
  if (mappings !== "pinned" && mappings.length === 0) moveOut(k, vmos, index, frame);
}

/** Stores or swaps out a page that no hart can reach, and frees its frame. False where it cannot be stored: then it stays. */
function moveOut(k: Kernel, vmos: readonly Vmo[], index: number, frame: FrameNumber): boolean {
  const [first] = vmos;
  const isFile = first?.source.kind === "inode";
  const isOut =
    frameOwner(k, frame) === "freeable"
      ? dropFreeable(k, vmos, index)
      : isFile
        ? dropFilePage(k, first, index, frame)
        : swapOut(k, frame, vmos, index) === 0;
  if (isOut) k.state.memory.statistics.framesReclaimed += 1;
  return isOut;
}

/** The PTEs that lead to the frame; "pinned" when a region must keep it. */
function findMappings(k: Kernel, vmos: readonly Vmo[], index: number, frame: FrameNumber): Mapping[] | "pinned" {
  const found: Mapping[] = [];
  let isPinned = false;
  const visit = (space: AddressSpace, region: Region, address: VirtAddr): void => {
    if (region.locked !== "no" || region.pageLevel > 0) isPinned = true;
    const translation = query(k, space, address);
    if (translation !== undefined && Math.floor(translation.physical / PAGE_SIZE) === frame)
      found.push({ space, address });
  };
  for (const { source } of vmos) {
    // A file of large pages keeps them while nobody maps it, too.
    const content = source.kind === "zero" ? source.file?.content : undefined;
    if (content?.kind === "tmpfs-file" && content.pageBytes > PAGE_SIZE) isPinned = true;
  }
  for (const vmo of vmos) forEachMappingOfPage(k, vmo, index, visit);
  return isPinned ? "pinned" : found;
}

/** Second chance: whether the page was accessed since the last round. Its accessed bits are cleared. */
function spare(k: Kernel, mappings: readonly Mapping[]): boolean {
  let isAccessed = false;
  for (const { space, address } of mappings) {
    const page = pageAt(k, space, address);
    if (page === undefined || !page.accessed) continue;
    isAccessed = true;
    const flush = newFlush(k, space);
    // The page is covered whole, so nothing is split and no frame needed.
    updateFlags(k, space, page.start, page.end, (flags) => ({ ...flags, accessed: false }), flush);
    finishFlush(k, flush, "reclaim: accessed");
  }
  if (isAccessed) k.state.memory.statistics.framesSpared += 1;
  return isAccessed;
}

/** Removes the PTE of a page; of all of a large one, whose other pages come back by faults. */
function removeMapping(k: Kernel, space: AddressSpace, address: VirtAddr): void {
  const page = pageAt(k, space, address);
  if (page === undefined) return;
  const flush = newFlush(k, space);
  unmap(k, space, page.start, page.end, flush);
  finishFlush(k, flush, "reclaim");
}

/** Bounds of the page, large or not, that is mapped at an address. */
function pageAt(
  k: Kernel,
  space: AddressSpace,
  address: VirtAddr,
): { start: VirtAddr; end: VirtAddr; accessed: boolean } | undefined {
  const found = query(k, space, address);
  if (found === undefined) return undefined;
  const { size } = k.arch.format.levels[found.level] ?? { size: PAGE_SIZE };
  const start = Math.floor(address / size) * size;
  return { start: virtAddr(start), end: virtAddr(start + size), accessed: found.flags.accessed };
}

/** Drops an anonymous page that its program said may go: it reads as zeros again. */
function dropFreeable(k: Kernel, vmos: readonly Vmo[], index: number): boolean {
  for (const vmo of vmos) dropPages(k, vmo, index, index + 1, (frame) => releaseFrame(k, frame));
  return true;
}

/** Stores a page of the page cache if it is dirty, and frees it. */
function dropFilePage(k: Kernel, vmo: Vmo, index: number, frame: FrameNumber): boolean {
  if (vmo.dirty.has(index)) {
    if (storePages(k, vmo, index, 1) !== 0) return false;
    vmo.dirty.delete(index);
    k.state.memory.statistics.filePagesStored += 1;
  }
  setSlot(vmo.pages, index, 0);
  k.state.memory.filePages -= 1;
  releaseFrame(k, frame);
  return true;
}
