// From a frame back to the page-table entries that lead to it.
//
//   frame ── family, page index ──> the family's VMOs that hold it there ──> their regions ──> space and address
//                                          └ of a file: the private VMOs over it that have no page of their own there ──> theirs
//
// A family is a VMO and the copies that forks and moves made of it, and of those. A copy keeps the indices of its pages, so a frame
// that several VMOs hold is at one index in all of them (INV-8), and two numbers for each frame tell all its places. It is Linux's
// anon_vma and i_mmap in one (Gorman, Understanding the Linux Virtual Memory Manager, chapter 3; Corbet, "The object-based reverse-mapping
// VM", 2003).

import { PAGE_SIZE, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { slotAt } from "./page-map.ts";
import { findRegion } from "./region-tree.ts";
import type { AddressSpace, Region, Vmo } from "./types.ts";

/** A place that shows a page, whether a PTE is there yet or not. */
export type MappingVisitor = (space: AddressSpace, region: Region, address: VirtAddr) => void;

/** Above so many regions of a private VMO the one that shows a page is looked up by its address. */
const FEW_REGIONS = 8;

/** The VMOs that hold a frame, and the index at which all of them do. None for a frame that is no VMO's. */
export function holdersOf(k: Kernel, frame: FrameNumber): { index: number; vmos: Vmo[] } {
  const { frames, families } = k.state.memory;
  const at = frame - frames.firstFrame;
  const index = frames.pageIndices[at] ?? 0;
  const vmos: Vmo[] = [];
  const family = families.get(frames.families[at] ?? 0);
  if (family === undefined) return { index, vmos };
  const count = frames.shareCounts[at] ?? 0;
  // The one that took it in first, most often: the family may have a thousand members, of which it alone has the page.
  const taker = family.get(frames.takers[at] ?? 0);
  if (taker !== undefined && slotAt(taker.pages, index) === frame) vmos.push(taker);
  if (vmos.length >= count) return { index, vmos };
  for (const vmo of family.values()) {
    if (vmo === taker || slotAt(vmo.pages, index) !== frame) continue;
    vmos.push(vmo);
    if (vmos.length >= count) break;
  }
  return { index, vmos };
}

/** Every place that shows a frame. */
export function forEachMapping(k: Kernel, frame: FrameNumber, visit: MappingVisitor): void {
  const { index, vmos } = holdersOf(k, frame);
  for (const vmo of vmos) forEachMappingOfPage(k, vmo, index, visit);
}

/** Every place that shows page `index` of a VMO. */
export function forEachMappingOfPage(k: Kernel, vmo: Vmo, index: number, visit: MappingVisitor): void {
  forEachRegionOfPage(k, vmo, index, visit);
  for (const dependent of vmo.dependents) {
    if (dependent.source.kind !== "vmo") continue;
    const shown = index - dependent.source.offsetPages;
    if (slotAt(dependent.pages, shown) === 0) forEachRegionOfPage(k, dependent, shown, visit);
  }
}

function forEachRegionOfPage(k: Kernel, vmo: Vmo, index: number, visit: MappingVisitor): void {
  const { mappings } = vmo;
  const [any] = mappings;
  if (any === undefined) return;
  if (any.sharing === "private" && mappings.size > FEW_REGIONS) {
    // One space shows a private VMO, all of it shifted by one distance.
    const space = k.state.memory.spaces.get(any.space);
    const address = any.start + (index - any.vmoOffsetPages) * PAGE_SIZE;
    const region = space === undefined ? undefined : findRegion(space, address);
    if (space !== undefined && region?.vmo === vmo) visit(space, region, virtAddr(address));
    return;
  }
  for (const region of mappings) {
    const address = region.start + (index - region.vmoOffsetPages) * PAGE_SIZE;
    if (address < region.start || address >= region.end) continue;
    const space = k.state.memory.spaces.get(region.space);
    if (space !== undefined) visit(space, region, virtAddr(address));
  }
}
