// What a page of a program is beyond its page-table entry: whose frame it shows, who else holds that, and pages that no entry shows.
//
//   in the table       own             the region's VMO holds the frame, and no other VMO does
//                      copy-on-write   other VMOs hold it too: the first write copies it
//                      file, zeros     a private mapping that nobody has written: the page cache's frame, the zero page
//                      shared          all writers write to it
//   not in the table   resident        the VMO, or the file below it, has the page in memory: the next access maps it
//                      swapped         the VMO has a swap slot in its place

import type { Kernel } from "../kernel/kernel.ts";
import { frameShareCount, isRam } from "../kernel/mem/frames.ts";
import { presentIndices, slotAt } from "../kernel/mem/page-map.ts";
import { regionsOf } from "../kernel/mem/region-tree.ts";
import { cachedSlot, locateSlot } from "../kernel/mem/swap-slots.ts";
import type { AddressSpace, Region } from "../kernel/mem/types.ts";
import type { FrameNumber } from "../lib/address.ts";
import { translateUser } from "./peek.ts";

export type PageState = "own" | "copy-on-write" | "file" | "zeros" | "shared" | "kernel";

/** What all pages under a leaf have in common. */
export interface LeafState {
  readonly state: PageState;
  /** Fewest and most VMOs that hold a frame of it. */
  readonly holders: readonly [number, number];
  /** A swap slot holds the same contents: to evict the page again costs no write. */
  readonly swapCached: boolean;
}

/** A run of pages of one region that no entry of the page table shows, though they exist. */
export interface UnmappedRun {
  readonly address: number;
  readonly pages: number;
  readonly kind: "resident" | "swapped";
  /** Swapped: the device of the swap area, and the page of it that holds the first one; the others follow it. */
  readonly device?: string;
  readonly devicePage?: number;
  /** Start of the region. */
  readonly regionStart: number;
}

/** State of the pages that a leaf shows in a region: `frame` at `address`, and those that follow for `pages` pages. */
export function leafState(k: Kernel, region: Region, address: number, frame: number, pages: number): LeafState {
  let [least, most] = [Infinity, 0];
  let isOwn = true;
  let swapCached = false;
  const first = pageIndex(region, address);
  for (let i = 0; i < pages; i++) {
    const one = (frame + i) as FrameNumber;
    const holders = isRam(k, one) ? frameShareCount(k, one) : 1;
    least = Math.min(least, holders);
    most = Math.max(most, holders);
    isOwn &&= slotAt(region.vmo.pages, first + i) === one;
    swapCached ||= cachedSlot(k, one) !== undefined;
  }
  return { state: stateOf(k, region, frame, isOwn, most), holders: [least, most], swapCached };
}

function stateOf(k: Kernel, region: Region, frame: number, isOwn: boolean, holders: number): PageState {
  if (region.vmo.source.kind === "physical") return "kernel";
  if (region.sharing === "shared") return "shared";
  if (isOwn) return holders > 1 ? "copy-on-write" : "own";
  return frame === k.state.memory.zeroFrame ? "zeros" : "file";
}

/** "own", "copy-on-write x3" (three VMOs hold it), "copy-on-write x1-3" (of a large page, some are held by fewer). */
export function formatState({ state, holders, swapCached }: LeafState): string {
  const [least, most] = holders;
  const count = state === "copy-on-write" ? ` x${least === most ? most : `${least}-${most}`}` : "";
  return `${state}${count}${swapCached ? ", in the swap cache" : ""}`;
}

/** Pages of all regions that exist and that the page table does not show, in order of address. */
export function unmappedRuns(k: Kernel, space: AddressSpace): UnmappedRun[] {
  const runs: UnmappedRun[] = [];
  for (const region of regionsOf(space)) {
    for (const [index, slot] of presentPages(region)) {
      const address = region.start + (index - region.vmoOffsetPages) * 4096;
      if (slot > 0 && translateUser(k, space, address) !== undefined) continue;
      const next = describe(k, region, address, slot);
      const last = runs.at(-1);
      if (last !== undefined && continues(last, next)) runs[runs.length - 1] = { ...last, pages: last.pages + 1 };
      else runs.push(next);
    }
  }
  return runs;
}

/** The slots of a region that are not absent, those of the file below a private mapping included, by index of its own VMO. */
function presentPages(region: Region): (readonly [number, number])[] {
  const { pages, source } = region.vmo;
  const from = region.vmoOffsetPages;
  const to = from + (region.end - region.start) / 4096;
  const own = presentIndices(pages, from, to).map((index) => [index, slotAt(pages, index)] as const);
  if (source.kind !== "vmo") return own;
  const { vmo, offsetPages } = source;
  const below = presentIndices(vmo.pages, from + offsetPages, to + offsetPages)
    .filter((index) => slotAt(pages, index - offsetPages) === 0)
    .map((index) => [index - offsetPages, slotAt(vmo.pages, index)] as const);
  return [...own, ...below].sort((a, b) => a[0] - b[0]);
}

function describe(k: Kernel, region: Region, address: number, slot: number): UnmappedRun {
  const place = { address, pages: 1, regionStart: region.start };
  if (slot > 0) return { ...place, kind: "resident" };
  const { area, page } = locateSlot(k, -slot - 1);
  return { ...place, kind: "swapped", device: area.device, devicePage: page };
}

function continues(run: UnmappedRun, next: UnmappedRun): boolean {
  return (
    run.kind === next.kind &&
    run.regionStart === next.regionStart &&
    run.address + run.pages * 4096 === next.address &&
    run.device === next.device &&
    (run.devicePage === undefined || run.devicePage + run.pages === next.devicePage)
  );
}

function pageIndex(region: Region, address: number): number {
  return region.vmoOffsetPages + (address - region.start) / 4096;
}
