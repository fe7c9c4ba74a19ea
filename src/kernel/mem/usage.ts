// What memory is used for, counted from the state when somebody asks (/proc/meminfo, /proc/vmstat, /proc/PID/status).
//
//   all frames = free + kernel + page tables + trapframes + kernel stacks + page cache + anonymous
//                                                                         (owner file)  └ private memory + shared memory,
//                                                                                         those of MADV_FREE included (owner freeable)
//
// The time goes with the number of frames, VMOs and page-table entries.

import { PAGE_SIZE, virtAddr, type FrameNumber } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { isRam } from "./frames.ts";
import { slotAt } from "./page-map.ts";
import { visitRange } from "./page-table.ts";
import { watermarks } from "./reclaim.ts";
import { regionsOf } from "./region-tree.ts";
import { FRAME_OWNERS, type AddressSpace, type FrameOwner, type Region, type Vmo } from "./types.ts";

/** Frames of each owner. */
export function countOwners(k: Kernel): Record<FrameOwner, number> {
  const counts = new Uint32Array(FRAME_OWNERS.length);
  for (const owner of k.state.memory.frames.owners) counts[owner] = (counts[owner] ?? 0) + 1;
  return Object.fromEntries(FRAME_OWNERS.map((owner, index) => [owner, counts[index] ?? 0])) as Record<
    FrameOwner,
    number
  >;
}

/** Memory that several processes may write: of a tmpfs or memfd, of System V, or anonymous. Page caches are not meant. */
export function isSharedMemory(vmo: Vmo): boolean {
  if (vmo.source.kind !== "zero") return false;
  const [region] = vmo.mappings;
  return vmo.source.file !== undefined || region?.sharing === "shared";
}

/** Pages of shared memory that are in memory. */
export function countSharedMemory(k: Kernel): number {
  let pages = 0;
  for (const family of k.state.memory.families.values()) {
    for (const vmo of family.values()) if (isSharedMemory(vmo)) pages += vmo.pages.resident;
  }
  return pages;
}

export interface ObjectCounts {
  /** As `countSharedMemory`. */
  readonly sharedMemory: number;
  /** Pages of the page cache and of shared memory that some page table shows. */
  readonly mapped: number;
  /** Pages of the page cache that have not been stored since somebody may have written them. */
  readonly dirty: number;
}

/** Above so many regions over a VMO, its pages count as mapped unseen. */
const FEW_REGIONS = 16;

export function countObjects(k: Kernel): ObjectCounts {
  const seen = new Uint8Array(k.state.memory.frames.frameCount);
  let [sharedMemory, mapped, dirty] = [0, 0, 0];
  for (const family of k.state.memory.families.values()) {
    for (const vmo of family.values()) {
      const isShared = isSharedMemory(vmo);
      if (!isShared && vmo.source.kind !== "inode") continue;
      if (isShared) sharedMemory += vmo.pages.resident;
      dirty += vmo.dirty.size;
      mapped += countMapped(k, vmo, seen);
    }
  }
  return { sharedMemory, mapped, dirty };
}

/** Pages of the VMO that some page table shows; `seen` has a place for each frame. */
function countMapped(k: Kernel, vmo: Vmo, seen: Uint8Array): number {
  const regions = [...vmo.mappings];
  for (const dependent of vmo.dependents) {
    if (regions.length > FEW_REGIONS) return vmo.pages.resident;
    regions.push(...dependent.mappings);
  }
  if (regions.length > FEW_REGIONS) return vmo.pages.resident;
  const { frames, spaces } = k.state.memory;
  let count = 0;
  for (const region of regions) {
    const space = spaces.get(region.space);
    if (space === undefined) continue;
    forEachResidentPage(k, space, region, (frame) => {
      const at = frame - frames.firstFrame;
      if (seen[at] === 1 || frames.families[at] !== vmo.family) return;
      seen[at] = 1;
      count += 1;
    });
  }
  return count;
}

/** Visits each page of the region that the page table shows and that is RAM, page by page for large ones too. */
export function forEachResidentPage(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  visit: (frame: FrameNumber, address: number, level: number) => void,
): void {
  const { format } = k.arch;
  visitRange(k, space, region.start, region.end, ({ address, level, hi, lo, isLeaf }) => {
    if (!isLeaf) return;
    const first = format.frame(hi, lo);
    const size = format.levels[level]?.size ?? PAGE_SIZE;
    const to = Math.min(address + size, region.end);
    for (let page = Math.max(address, region.start); page < to; page += PAGE_SIZE) {
      const frame = (first + (page - address) / PAGE_SIZE) as FrameNumber;
      if (isRam(k, frame)) visit(frame, page, level);
    }
  });
}

/** Pages that a space's table shows, by what they are of. */
export interface ResidentCounts {
  anonymous: number;
  file: number;
  sharedMemory: number;
  /** Those in pages that MAP_HUGETLB asked for, which are in none of the others. */
  explicitLarge: number;
}

export function countResident(k: Kernel, space: AddressSpace): ResidentCounts {
  const counts: ResidentCounts = { anonymous: 0, file: 0, sharedMemory: 0, explicitLarge: 0 };
  for (const region of regionsOf(space)) {
    forEachResidentPage(k, space, region, (frame, address) => {
      counts[kindOf(region, frame, address)] += 1;
    });
  }
  return counts;
}

function kindOf(region: Region, frame: FrameNumber, address: number): keyof ResidentCounts {
  const { vmo, pageLevel, sharing } = region;
  if (pageLevel > 0) return "explicitLarge";
  const index = region.vmoOffsetPages + (address - region.start) / PAGE_SIZE;
  if (sharing === "private" && slotAt(vmo.pages, index) === frame) return "anonymous";
  const holder = vmo.source.kind === "vmo" ? vmo.source.vmo : vmo;
  if (isSharedMemory(holder)) return "sharedMemory";
  return holder.source.kind === "zero" ? "anonymous" : "file"; // what is left of private memory is the page of zeros
}

/** Pages in large leaves of all spaces: unasked in private memory, in shared memory, and by MAP_HUGETLB. */
export function countLargePages(k: Kernel): { anonymous: number; sharedMemory: number; explicit: number } {
  const counts = { anonymous: 0, sharedMemory: 0, explicit: 0 };
  for (const space of k.state.memory.spaces.values()) {
    for (const region of regionsOf(space)) {
      if (region.end - region.start < LARGE_PAGE_BYTES) continue;
      const kind = region.pageLevel > 0 ? "explicit" : region.sharing === "shared" ? "sharedMemory" : "anonymous";
      visitRange(k, space, region.start, region.end, ({ level, isLeaf }) => {
        if (isLeaf && level > 0) counts[kind] += (k.arch.format.levels[level]?.size ?? 0) / PAGE_SIZE;
      });
    }
  }
  return counts;
}

const LARGE_PAGE_BYTES = 2 ** 21;

/** Bytes of the kernel's direct map in leaves of each level, the smallest first. */
export function directMapBytes(k: Kernel): number[] {
  const { kernelSpace } = k.state.memory;
  const { levels } = k.arch.format;
  const bytes = levels.map(() => 0);
  const start = k.arch.layout.directMap;
  const { firstFrame, frameCount } = k.state.memory.frames;
  const from = virtAddr(start + firstFrame * PAGE_SIZE);
  const to = virtAddr(from + frameCount * PAGE_SIZE);
  visitRange(k, kernelSpace, from, to, ({ level, isLeaf }) => {
    if (isLeaf) bytes[level] = (bytes[level] ?? 0) + (levels[level]?.size ?? 0);
  });
  return bytes;
}

/** Pages that programs can have without swapping (Linux: si_mem_available): free ones, and most of the page cache. */
export function availablePages(k: Kernel): number {
  const { frames, filePages } = k.state.memory;
  const { low } = watermarks(k);
  return Math.max(0, frames.freeCount - low) + filePages - Math.min(filePages >> 1, low);
}
