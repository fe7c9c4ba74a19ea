// Out of memory: a page is needed, and no frame is free. The process with the highest score is killed, and the log says who and why.
// Pid 1 is spared as long as there is another, and a process that is exempt always.
//
//   score = pages resident + pages swapped out + pages of its tables + oom_score_adj * all pages / 1000
//
// Linux: mm/oom_kill.c, oom_badness; proc_pid_oom_score_adj(5).

import { SIGNALS } from "../../abi/linux/signals.ts";
import type { Kernel } from "../kernel.ts";
import { freeFrameCount } from "../mem/frames.ts";
import { exitProcess } from "./exit.ts";
import { memoryScore, OOM_EXEMPT, swappedPages } from "./memory-score.ts";
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
