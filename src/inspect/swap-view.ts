// Swap as data and as text: the areas, the swap cache, and what was moved since boot.

import type { Kernel } from "../kernel/kernel.ts";

export interface SwapView {
  readonly areas: readonly {
    readonly device: string;
    readonly priority: number;
    /** Pages after the header, those that failed included. */
    readonly pages: number;
    readonly used: number;
    /** Pages that could not be written, and are not used again. */
    readonly bad: number;
    /** swapoff is emptying it. */
    readonly draining: boolean;
  }[];
  /** Frames whose contents a slot holds too. */
  readonly cached: number;
}

export function readSwap(k: Kernel): SwapView {
  const { swap } = k.state.memory;
  return {
    areas: swap.areas.flatMap((area) => {
      if (area === undefined) return [];
      const { device, priority, badCount, draining } = area;
      const pages = area.pages - 1;
      return { device, priority, pages, used: pages - area.freeCount - badCount, bad: badCount, draining };
    }),
    cached: swap.frames.size,
  };
}

export function formatSwap(k: Kernel): string {
  const { areas, cached } = readSwap(k);
  const { statistics } = k.state.memory;
  const rows = areas.map(
    ({ device, priority, pages, used, bad, draining }) =>
      `/dev/${device.padEnd(8)} ${String(pages * 4).padStart(8)}K ${String(used * 4).padStart(8)}K used  priority ${priority}${bad > 0 ? `, ${bad} bad pages` : ""}${draining ? ", being emptied" : ""}`,
  );
  return [
    ...(rows.length === 0 ? ["no swap area"] : rows),
    `swap cache: ${cached} frames`,
    `since boot: ${statistics.swapOuts} pages out, ${statistics.swapIns} in; ${statistics.framesScanned} frames looked at, ${statistics.framesSpared} spared, ${statistics.framesReclaimed} reclaimed; ${statistics.outOfMemoryKills} processes ended for want of memory`,
  ].join("\n");
}
