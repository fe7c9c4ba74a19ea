// Out of memory: a page is needed, and no frame is free. The process with the highest score is killed, and the log says who and why.
// Pid 1 is spared as long as there is another, and a process that is exempt always.
//
//   score = pages resident + pages swapped out + pages of its tables + oom_score_adj * all pages / 1000
//
// Linux: mm/oom_kill.c, oom_badness; proc_pid_oom_score_adj(5).

import { SIGNALS } from "../../abi/linux/signals.ts";
import type { Kernel } from "../kernel.ts";
import { freeFrameCount } from "../mem/frames.ts";
import { regionsOf } from "../mem/region-tree.ts";
import { swapTotals } from "../mem/swap-slots.ts";
import type { Vmo } from "../mem/types.ts";
import { exitProcess } from "./exit.ts";
import type { Process, Thread } from "./types.ts";

/** Frees memory by ending a process. `needy` is the thread that could not be served; it ends itself when it has the highest score. */
export function killForMemory(k: Kernel, needy: Thread): void {
  if ([...k.state.processes.values()].some(isDyingOfMemory)) {
    // A victim still runs on another hart: no second one until its memory is back.
    return;
  }
  const victim = chooseVictim(k, needy.process);
  k.probes.log?.(
    `Out of memory: killed process ${victim.pid} (${victim.name}), resident ${victim.space.residentPages} pages, ` +
      `swapped out ${swappedPages(victim)}, oom_score_adj ${victim.oomScoreAdjust}; ` +
      `asked for by ${needy.process.pid} (${needy.process.name}); ${freeFrameCount(k)} frames free`,
  );
  k.state.memory.statistics.outOfMemoryKills += 1;
  exitProcess(k, victim, { kind: "signaled", signal: SIGNALS.SIGKILL, coreDumped: false });
}

function isDyingOfMemory(process: Process): boolean {
  return process.threads.length > 0 && process.groupExit !== undefined;
}

/** `oom_score_adj` of a process that is never killed for memory. */
export const OOM_EXEMPT = -1000;

function chooseVictim(k: Kernel, fallback: Process): Process {
  let victim: Process | undefined;
  let highest = -Infinity;
  for (const process of k.state.processes.values()) {
    if (process.pid === 1 || process.threads.length === 0 || process.oomScoreAdjust === OOM_EXEMPT) continue;
    const score = memoryScore(k, process);
    if (score > highest) [victim, highest] = [process, score];
  }
  return victim ?? fallback;
}

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
