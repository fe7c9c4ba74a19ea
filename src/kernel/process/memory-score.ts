// How much memory would come back if a process ended: what the killer compares (memory-killer.ts), and /proc/PID/oom_score shows.

import type { Kernel } from "../kernel.ts";
import { regionsOf } from "../mem/region-tree.ts";
import { swapTotals } from "../mem/swap-slots.ts";
import type { Vmo } from "../mem/types.ts";
import type { Process } from "./types.ts";

/** `oom_score_adj` of a process that is never killed for memory. */
export const OOM_EXEMPT = -1000;

/** How much memory would come back if this process ended, in pages, with its preference added. */
export function memoryScore(k: Kernel, process: Process): number {
  const { residentPages, tablePages } = process.space;
  const preference = Math.trunc((process.oomScoreAdjust * totalPages(k)) / 1000);
  return residentPages + swappedPages(process) + tablePages + preference;
}

/** Pages of memory and of swap. */
export function totalPages(k: Kernel): number {
  return k.state.memory.frames.frameCount + swapTotals(k).total;
}

/** Pages of its private memory that are swapped out. */
export function swappedPages({ space }: Process): number {
  const seen = new Set<Vmo>();
  for (const { sharing, vmo } of regionsOf(space)) if (sharing === "private") seen.add(vmo);
  let pages = 0;
  for (const vmo of seen) pages += vmo.pages.swapped;
  return pages;
}
