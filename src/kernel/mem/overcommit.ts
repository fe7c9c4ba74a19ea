// How much memory may be promised (Linux: Documentation/mm/overcommit-accounting.rst).
//
//   0  heuristic   a single request may be as large as memory and swap together
//   1  always      every request is granted
//   2  never       all promises together stay below swap + memory * ratio / 100
//
// Promised are private writable and shared anonymous mappings, which no file backs, and System V segments; `committedPages` counts them in every mode. Of mappings
// with MAP_NORESERVE only mode 2 takes notice.

import type { Kernel } from "../kernel.ts";
import { swapTotals } from "./swap-slots.ts";

export type OvercommitMode = 0 | 1 | 2;

export interface OvercommitState {
  /** vm.overcommit_memory */
  mode: OvercommitMode;
  /** vm.overcommit_ratio: per cent of memory. */
  ratio: number;
}

export function createOvercommitState(): OvercommitState {
  return { mode: 0, ratio: 50 };
}

/** Whether so many pages more may be promised. */
export function mayCommit(k: Kernel, pages: number): boolean {
  const { overcommit, frames, committedPages } = k.state.memory;
  switch (overcommit.mode) {
    case 0:
      return pages <= frames.frameCount + swapTotals(k).total;
    case 1:
      return true;
    case 2:
      return committedPages + pages <= commitLimit(k);
  }
}

/** Whether more is promised than mode 2 allows. */
export function isOvercommitted(k: Kernel): boolean {
  const { overcommit, committedPages } = k.state.memory;
  return overcommit.mode === 2 && committedPages > commitLimit(k);
}

/** Pages that mode 2 lets be promised: CommitLimit of /proc/meminfo. */
export function commitLimit(k: Kernel): number {
  const { overcommit, frames } = k.state.memory;
  return swapTotals(k).total + Math.floor((frames.frameCount * overcommit.ratio) / 100);
}
