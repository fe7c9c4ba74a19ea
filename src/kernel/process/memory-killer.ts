// Out of memory: a page is needed, and no frame is free. The process with the most resident memory is killed, and the log says who
// and why. Pid 1 is spared as long as there is another.

import { SIGNALS } from "../../abi/linux/signals.ts";
import type { Kernel } from "../kernel.ts";
import { freeFrameCount } from "../mem/frames.ts";
import { exitProcess } from "./exit.ts";
import type { Process, Thread } from "./types.ts";

/** Frees memory by ending a process. `needy` is the thread that could not be served; it ends itself when it is the largest. */
export function killForMemory(k: Kernel, needy: Thread): void {
  if ([...k.state.processes.values()].some(isDyingOfMemory)) {
    // A victim still runs on another hart: no second one until its memory is back.
    return;
  }
  const victim = largestProcess(k, needy.process);
  k.probes.log?.(
    `Out of memory: killed process ${victim.pid} (${victim.name}), resident ${victim.space.residentPages} pages; ` +
      `asked for by ${needy.process.pid} (${needy.process.name}); ${freeFrameCount(k)} frames free`,
  );
  exitProcess(k, victim, { kind: "signaled", signal: SIGNALS.SIGKILL, coreDumped: false });
}

function isDyingOfMemory(process: Process): boolean {
  return process.threads.length > 0 && process.groupExit !== undefined;
}

function largestProcess(k: Kernel, fallback: Process): Process {
  let largest: Process | undefined;
  for (const process of k.state.processes.values()) {
    if (process.pid === 1 || process.threads.length === 0) continue;
    if (largest === undefined || process.space.residentPages > largest.space.residentPages) largest = process;
  }
  return largest ?? fallback;
}
