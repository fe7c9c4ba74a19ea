// Bringing pages in before they are touched: MAP_POPULATE, mlock, MADV_POPULATE_READ and MADV_POPULATE_WRITE.

import { PAGE_SIZE, virtAddr } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { handlePageFault } from "./fault.ts";
import { findRegion } from "./region-tree.ts";
import type { AddressSpace, Region } from "./types.ts";

/** Why populating ended early: nothing is mapped, the access is not allowed, it would raise SIGBUS, no frame is free. */
export type PopulateFailure = "gap" | "denied" | "no page" | "out of memory";

/**
 * Faults the pages of [start, end) in as the program's own accesses would; what came in before a failure stays. "any" is the access that
 * makes later ones cheapest: a write where the region is private and writable. The right to read is asked for even where the processor
 * reads what it may write or execute. No more pages than memory has are tried: pages of zeros
 * share one frame, and would go on until their page tables fill memory.
 */
export function populateRange(
  k: Kernel,
  space: AddressSpace,
  start: number,
  end: number,
  access: "read" | "write" | "any",
): PopulateFailure | undefined {
  const last = Math.min(end, start + k.memory.size);
  for (let at = start; at < last;) {
    const region = findRegion(space, at);
    if (region === undefined) return "gap";
    const chosen = chooseAccess(region, access);
    if (chosen === undefined) return "denied";
    const outcome = handlePageFault(k, space, virtAddr(at), chosen);
    if (outcome.kind === "out-of-memory") return "out of memory";
    if (outcome.kind === "signal") return "no page";
    const { size } = k.arch.format.levels[region.pageLevel] ?? { size: PAGE_SIZE };
    at = Math.floor(at / size) * size + size;
  }
  return last < end ? "out of memory" : undefined;
}

function chooseAccess(
  { protection: { read, write, execute }, sharing }: Region,
  access: "read" | "write" | "any",
): "read" | "write" | "execute" | undefined {
  if (access === "write") return write ? "write" : undefined;
  if (access === "any" && write && sharing === "private") return "write";
  if (read || (write && access === "any")) return "read";
  return execute && access === "any" ? "execute" : undefined;
}
