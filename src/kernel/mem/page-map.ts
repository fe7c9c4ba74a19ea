// The pages of a VMO by index: a sparse array of slots in chunks.
//
//   chunks: 0x1234 ──> [ slot 0 | slot 1 | … | slot 63 | used ]       page index = chunk number * 64 + slot number
//           0x1235 ──> [ …
//
//   slot > 0    the page is in memory, in the frame of that number (frame 0 never is a page of a VMO)
//   slot < 0    the page is in the swap area, in swap slot -slot - 1 (swap.ts)
//   slot = 0    absent: the page comes from the VMO's source
//
// A chunk is made for its first page and goes with its last, so that the cost of copying and of dropping follows the pages that are
// there, not the range. Sixty-four slots are 260 bytes of the host for a page of the guest in the worst case.

import type { FrameNumber } from "../../lib/address.ts";

/** Slots of a chunk. */
export const CHUNK_PAGES = 64;

export interface PageMap {
  /** Chunk number -> slots, and after them how many of them are not 0. */
  readonly chunks: Map<number, Int32Array>;
  /** Slots that hold a frame. */
  resident: number;
  /** Slots that hold a swap slot. */
  swapped: number;
}

export function createPageMap(): PageMap {
  return { chunks: new Map(), resident: 0, swapped: 0 };
}

/** Pages that are not absent. */
export function pageCount(map: PageMap): number {
  return map.resident + map.swapped;
}

/** The slot of page `index`, as above. */
export function slotAt(map: PageMap, index: number): number {
  return map.chunks.get(Math.floor(index / CHUNK_PAGES))?.[index & (CHUNK_PAGES - 1)] ?? 0;
}

/** The frame of page `index`; undefined where it is absent or swapped out. */
export function frameAt(map: PageMap, index: number): FrameNumber | undefined {
  const slot = slotAt(map, index);
  return slot > 0 ? (slot as FrameNumber) : undefined;
}

export function setSlot(map: PageMap, index: number, slot: number): void {
  const number = Math.floor(index / CHUNK_PAGES);
  const at = index & (CHUNK_PAGES - 1);
  let chunk = map.chunks.get(number);
  if (chunk === undefined) {
    if (slot === 0) return;
    chunk = new Int32Array(CHUNK_PAGES + 1);
    map.chunks.set(number, chunk);
  }
  const before = chunk[at] ?? 0;
  chunk[at] = slot;
  count(map, before, -1);
  count(map, slot, 1);
  const used = (chunk[CHUNK_PAGES] ?? 0) + (slot === 0 ? 0 : 1) - (before === 0 ? 0 : 1);
  chunk[CHUNK_PAGES] = used;
  if (used === 0) map.chunks.delete(number);
}

function count(map: PageMap, slot: number, change: number): void {
  if (slot > 0) map.resident += change;
  else if (slot < 0) map.swapped += change;
}

/**
 * Visits the slots of [from, to) that are not 0, in no promised order of chunks. `visit` may change the slot that it is shown, and no
 * other one of the map.
 */
export function forEachSlot(
  map: PageMap,
  from: number,
  to: number,
  visit: (index: number, slot: number) => void,
): void {
  const first = Math.floor(from / CHUNK_PAGES);
  const last = Math.ceil(to / CHUNK_PAGES);
  // Whichever is smaller: the range or what is there. A Map may lose the entry that is being visited.
  if (last - first <= map.chunks.size) {
    for (let number = first; number < last; number++) visitChunk(map.chunks.get(number), number, from, to, visit);
  } else {
    for (const [number, chunk] of map.chunks) {
      if (number >= first && number < last) visitChunk(chunk, number, from, to, visit);
    }
  }
}

function visitChunk(
  chunk: Int32Array | undefined,
  number: number,
  from: number,
  to: number,
  visit: (index: number, slot: number) => void,
): void {
  if (chunk === undefined) return;
  const base = number * CHUNK_PAGES;
  const end = Math.min(CHUNK_PAGES, to - base);
  for (let at = Math.max(0, from - base); at < end; at++) {
    const slot = chunk[at] ?? 0;
    if (slot !== 0) visit(base + at, slot);
  }
}

/** Whether every slot of [from, to) is 0. */
export function isRangeAbsent(map: PageMap, from: number, to: number): boolean {
  for (let number = Math.floor(from / CHUNK_PAGES); number * CHUNK_PAGES < to; number++) {
    const chunk = map.chunks.get(number);
    if (chunk === undefined) continue;
    const base = number * CHUNK_PAGES;
    const end = Math.min(CHUNK_PAGES, to - base);
    for (let at = Math.max(0, from - base); at < end; at++) if (chunk[at] !== 0) return false;
  }
  return true;
}

/** The first frame, if the slots of `count` pages from `from` on hold frames in a row. */
export function runOfFrames(map: PageMap, from: number, count: number): FrameNumber | undefined {
  const first = frameAt(map, from);
  if (first === undefined) return undefined;
  let index = from;
  while (index < from + count) {
    const base = Math.floor(index / CHUNK_PAGES) * CHUNK_PAGES;
    const chunk = map.chunks.get(base / CHUNK_PAGES);
    const end = Math.min(base + CHUNK_PAGES, from + count);
    for (; index < end; index++) if (chunk?.[index - base] !== first + (index - from)) return undefined;
  }
  return first;
}

/** A copy whose slots are the same; the uses of frames and swap slots are the caller's to count. */
export function copyPageMap(map: PageMap): PageMap {
  const chunks = new Map<number, Int32Array>();
  for (const [number, chunk] of map.chunks) chunks.set(number, chunk.slice());
  return { chunks, resident: map.resident, swapped: map.swapped };
}

/** Makes every page absent. */
export function clearPageMap(map: PageMap): void {
  map.chunks.clear();
  map.resident = 0;
  map.swapped = 0;
}

/** The first index at or after `from` whose slot is not 0 (`present`), or is 0; Infinity when there is none. */
export function findSlot(map: PageMap, from: number, present: boolean): number {
  if (present) {
    let best = Infinity;
    forEachSlot(map, from, Infinity, (index) => {
      if (index < best) best = index;
    });
    return best;
  }
  let index = from;
  while (slotAt(map, index) !== 0) index += 1;
  return index;
}

/** Indices of the slots of [from, to) that are not 0, in ascending order. */
export function presentIndices(map: PageMap, from = 0, to = Infinity): number[] {
  const found: number[] = [];
  forEachSlot(map, from, to, (index) => found.push(index));
  return found.sort((a, b) => a - b);
}
