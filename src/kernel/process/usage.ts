// What threads and processes have used: sums over the living and the dead. getrusage(2), times(2).

import type { Kernel } from "../kernel.ts";
import type { Process, Thread, Usage } from "./types.ts";

/** Adds `part` to `sum`; of the resident peaks the larger one stays. */
export function addUsage(sum: Usage, part: Usage): void {
  sum.userNs += part.userNs;
  sum.systemNs += part.systemNs;
  sum.minorFaults += part.minorFaults;
  sum.majorFaults += part.majorFaults;
  sum.voluntarySwitches += part.voluntarySwitches;
  sum.involuntarySwitches += part.involuntarySwitches;
  sum.maxResidentPages = Math.max(sum.maxResidentPages, part.maxResidentPages);
}

/** Use of the process so far, its ended threads included. */
export function usageOf(k: Kernel, process: Process): Usage {
  const sum: Usage = { ...process.usage };
  for (const tid of process.threads) {
    const thread = k.state.threads.get(tid);
    if (thread !== undefined) addUsage(sum, thread.usage);
  }
  sum.maxResidentPages = Math.max(sum.maxResidentPages, process.space.residentPages);
  return sum;
}

/** Virtual time that the process's threads, dead ones included, have used. */
export function processTime(k: Kernel, process: Process): number {
  let total = process.usage.userNs + process.usage.systemNs;
  for (const tid of process.threads) {
    const thread = k.state.threads.get(tid);
    if (thread !== undefined) total += threadTime(thread);
  }
  return total;
}

/** Virtual time that the thread has used. */
export const threadTime = (thread: Thread): number => thread.usage.userNs + thread.usage.systemNs;
