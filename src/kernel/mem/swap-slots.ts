// The slots of swap areas: which are taken, by how many VMOs, and which frames still hold what a slot holds.
//
//   slot:   free ──allocate──> taken: `uses` VMOs have it in their page map ──last use gone, not cached──> free
//                                │                                                        ^
//                                └─ swap cache: slot <──> frame, equal contents ──────────┘ frame written, freed, or the area short
//
// A page that was read back keeps its slot in the swap cache as long as nobody writes to it: to evict it again costs no write, and the
// other VMOs that have the slot find the frame instead of reading it again (Gorman, Understanding the Linux Virtual Memory Manager,
// chapter 11). No PTE lets anyone write to a frame of the cache (INV-9): the first write is a fault that takes it out.

import type { FrameNumber } from "../../lib/address.ts";
import { KernelBug, type Kernel } from "../kernel.ts";

/** Swap in use: areas on devices of the host, and the swap cache. */
export interface SwapState {
  /** By number; a gap where an area was taken out of use. */
  readonly areas: (SwapArea | undefined)[];
  /** Swap cache: slot -> frame with the same contents, and the way back. */
  readonly frames: Map<number, FrameNumber>;
  readonly slots: Map<FrameNumber, number>;
  /** Slots that only the swap cache holds: they can be had when no slot is free. */
  readonly idle: Set<number>;
}

export interface SwapArea {
  /** Name of the block device in `HostPorts.blockDevices`. */
  readonly device: string;
  /** Slots are numbered over all areas: area number * MAX_SLOTS + page of the device. Page 0 is the header. */
  readonly firstSlot: number;
  /** Pages of the device, the header included. */
  readonly pages: number;
  /** VMOs that have each slot in their page map. */
  readonly uses: Uint32Array;
  /** Checksum of what was written to each slot: another content is an error of the device. */
  readonly checksums: Uint32Array;
  /** Pages that are free, the next one to be taken last. */
  readonly freePages: Uint32Array;
  freeCount: number;
  /** Pages that failed to be written: not used again. */
  badCount: number;
  priority: number;
  /** No new slots: swapoff is emptying it. */
  draining: boolean;
}

/** Pages of an area at most: 256 GiB. */
export const MAX_SLOTS = 2 ** 26;
/** Areas at most: slot numbers stay below 2 ** 31. */
export const MAX_AREAS = 31;

export function createSwapState(): SwapState {
  return { areas: [], frames: new Map(), slots: new Map(), idle: new Set() };
}

/** Area `number` with all pages after the header free; they leave it in ascending order. */
export function createSwapArea(device: string, number: number, pages: number, priority: number): SwapArea {
  const freePages = new Uint32Array(pages - 1);
  for (let i = 0; i < freePages.length; i++) freePages[i] = pages - 1 - i;
  return {
    device,
    firstSlot: number * MAX_SLOTS,
    pages,
    uses: new Uint32Array(pages),
    checksums: new Uint32Array(pages),
    freePages,
    freeCount: pages - 1,
    badCount: 0,
    priority,
    draining: false,
  };
}

/** The area of a slot and the slot's page in it. */
export function locateSlot(k: Kernel, slot: number): { area: SwapArea; page: number } {
  const area = k.state.memory.swap.areas[Math.floor(slot / MAX_SLOTS)];
  if (area === undefined) throw new KernelBug(`swap slot ${slot} of no area`);
  return { area, page: slot - area.firstSlot };
}

/** Takes a free slot without uses, of the area of the highest priority that has one; cached slots are given up for it. */
export function allocateSlot(k: Kernel): number | "ENOSPC" {
  const slot = takeFreeSlot(k);
  if (slot !== "ENOSPC" || !giveUpCachedSlot(k)) return slot;
  return takeFreeSlot(k);
}

function takeFreeSlot(k: Kernel): number | "ENOSPC" {
  let best: SwapArea | undefined;
  for (const area of k.state.memory.swap.areas) {
    if (area === undefined || area.draining || area.freeCount === 0) continue;
    if (best === undefined || area.priority > best.priority) best = area;
  }
  if (best === undefined) return "ENOSPC";
  best.freeCount -= 1;
  return best.firstSlot + (best.freePages[best.freeCount] ?? 0);
}

/** Frees one slot that only the swap cache holds. */
function giveUpCachedSlot(k: Kernel): boolean {
  const { idle, frames } = k.state.memory.swap;
  const [slot] = idle;
  const frame = slot === undefined ? undefined : frames.get(slot);
  if (frame === undefined) return false;
  forgetCached(k, frame);
  return true;
}

/** Whether a page that is in memory could be swapped out now. */
export function canSwapOut(k: Kernel, frame: FrameNumber): boolean {
  const { swap } = k.state.memory;
  return swap.areas.length > 0 && (swap.slots.has(frame) || swap.idle.size > 0 || swapTotals(k).free > 0);
}

/** Gives a slot back that nothing refers to. */
export function freeSlot(k: Kernel, slot: number): void {
  const { area, page } = locateSlot(k, slot);
  if (area.uses[page] !== 0) throw new KernelBug(`swap slot ${slot} is freed in use`);
  area.freePages[area.freeCount] = page;
  area.freeCount += 1;
}

/** Takes a slot that could not be written, and that nothing refers to, out of use for good. */
export function abandonSlot(k: Kernel, slot: number): void {
  locateSlot(k, slot).area.badCount += 1;
}

/** Counts VMOs that have the slot in their page map. */
export function retainSlot(k: Kernel, slot: number, count = 1): void {
  const { area, page } = locateSlot(k, slot);
  area.uses[page] = (area.uses[page] ?? 0) + count;
  k.state.memory.swap.idle.delete(slot);
}

/** One VMO less has the slot. The last one frees it, unless the swap cache has it. */
export function releaseSlot(k: Kernel, slot: number): void {
  const { area, page } = locateSlot(k, slot);
  const uses = area.uses[page] ?? 0;
  if (uses === 0) throw new KernelBug(`release of free swap slot ${slot}`);
  area.uses[page] = uses - 1;
  if (uses > 1) return;
  const { frames, idle } = k.state.memory.swap;
  if (frames.has(slot)) idle.add(slot);
  else freeSlot(k, slot);
}

/** Whether fewer than half of the slots are free: then cached slots are not worth keeping (as Linux's vm_swap_full). */
export function isSwapShort(k: Kernel): boolean {
  const { total, free } = swapTotals(k);
  return free * 2 < total;
}

/** Slots of all areas in use, and how many of them are free. */
export function swapTotals(k: Kernel): { total: number; free: number } {
  let total = 0;
  let free = 0;
  for (const area of k.state.memory.swap.areas) {
    if (area === undefined || area.draining) continue;
    total += area.pages - 1 - area.badCount;
    free += area.freeCount;
  }
  return { total, free };
}

/** Notes that a frame and a slot hold the same. */
export function addCached(k: Kernel, slot: number, frame: FrameNumber): void {
  const { swap } = k.state.memory;
  swap.frames.set(slot, frame);
  swap.slots.set(frame, slot);
}

export function cachedFrame(k: Kernel, slot: number): FrameNumber | undefined {
  return k.state.memory.swap.frames.get(slot);
}

export function cachedSlot(k: Kernel, frame: FrameNumber): number | undefined {
  return k.state.memory.swap.slots.get(frame);
}

/** The frame is about to be written or freed: it leaves the swap cache. A slot without uses is free then. */
export function forgetCached(k: Kernel, frame: FrameNumber): void {
  const { swap } = k.state.memory;
  const slot = swap.slots.get(frame);
  if (slot === undefined) return;
  swap.slots.delete(frame);
  swap.frames.delete(slot);
  swap.idle.delete(slot);
  const { area, page } = locateSlot(k, slot);
  if (area.uses[page] === 0) freeSlot(k, slot);
}
