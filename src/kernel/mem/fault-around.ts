// What one page fault maps beyond the page that was touched, so that the neighbours need no trap of their own.
//
//   read of a file page       the pages around it that the page cache has      [ . c c T c . c c ]
//   first write to memory     the pages after it, if those before it came       w w w w w w w w T + + + …
//   in ascending order        in that order
//
// T is touched, c in the cache, w written before, + new. Linux maps the cached neighbours of a file page too (mm/filemap.c,
// filemap_map_pages); pages ahead of a writer are its anonymous folios of more than one page (Documentation/admin-guide/mm/transhuge.rst),
// but of single frames here: a run of them needs no aligned block, and an unused one is evicted or dropped by itself.

import { PAGE_SIZE, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import type { PteFlags } from "../arch/arch.ts";
import type { Kernel } from "../kernel.ts";
import { BLOCK_FRAMES } from "./frames.ts";
import { slotAt } from "./page-map.ts";
import { mapVacant } from "./page-table.ts";
import type { AddressSpace, Region, Vmo } from "./types.ts";
import { residentFrame, vmoPage } from "./vmo.ts";

/**
 * Pages of a file that one read fault maps at most, where the page cache has them: a power of two that divides the pages of a table.
 * Mapping as many takes as long as one more trap would.
 */
const AROUND_PAGES = 64;

/** Pages that one write fault makes beyond its own at most, and pages before it that must have been made. */
const AHEAD_PAGES = 15;
const EVIDENCE_PAGES = 8;

/** Maps the neighbours of a file page, itself mapped already, that the page cache has: they are likely to be next. */
export function mapAround(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  source: Extract<Vmo["source"], { kind: "vmo" }>,
  flags: PteFlags,
): void {
  const window = AROUND_PAGES * PAGE_SIZE;
  const windowStart = Math.floor(page / window) * window;
  const start = Math.max(region.start, windowStart);
  const end = Math.min(region.end, windowStart + window);
  const { vmo } = source;
  const { pages: own } = region.vmo;
  const from = region.vmoOffsetPages + (start - region.start) / PAGE_SIZE;
  const frameOf = (i: number): FrameNumber | undefined => {
    const sourceIndex = source.offsetPages + from + i;
    return sourceIndex < vmo.lengthPages && slotAt(own, from + i) === 0 ? residentFrame(vmo, sourceIndex) : undefined;
  };
  mapVacant(k, space, virtAddr(start), (end - start) / PAGE_SIZE, frameOf, flags);
}

/**
 * After the first write to page `index` of private anonymous memory, which is mapped by now: makes and maps the pages that follow, as
 * far as they are absent, while memory is plenty and the pages before `index` are there.
 */
export function makeAhead(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  index: number,
  flags: PteFlags,
): void {
  const { frames, largePages } = k.state.memory;
  const { vmo } = region;
  if (largePages === "never" || frames.freeCount < 2 * BLOCK_FRAMES || space.unacknowledged > 0) return;
  if (index - EVIDENCE_PAGES < region.vmoOffsetPages) return;
  for (let i = 1; i <= EVIDENCE_PAGES; i++) if (slotAt(vmo.pages, index - i) === 0) return;
  const start = page + PAGE_SIZE;
  const tableEnd = Math.ceil(start / TABLE_BYTES) * TABLE_BYTES;
  const end = Math.min(region.end, tableEnd, start + AHEAD_PAGES * PAGE_SIZE);
  if (end <= start) return;
  const frameOf = (i: number): FrameNumber | undefined => {
    if (slotAt(vmo.pages, index + 1 + i) !== 0) return undefined;
    const frame = vmoPage(k, vmo, index + 1 + i, "write");
    return typeof frame === "string" ? undefined : frame;
  };
  mapVacant(k, space, virtAddr(start), (end - start) / PAGE_SIZE, frameOf, flags);
}

/** What one table of pages maps. */
const TABLE_BYTES = BLOCK_FRAMES * PAGE_SIZE;
