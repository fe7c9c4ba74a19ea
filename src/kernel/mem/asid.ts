// Address-space identifiers with generations (K13).
//
//   generation 7:   1 2 3 … next … maxAsid        a space keeps its ASID while its generation is the current one
//   rollover   ->   generation 8, every TLB emptied, next = 1; spaces that are on a hart right now keep their number
//
// INV-5: at any time, no two spaces whose translations some TLB may hold have the same ASID. A rollover empties every TLB; a
// space that a hart is running with keeps its ASID into the new generation, and that number is not given out again.

import type { Kernel } from "../kernel.ts";
import type { AddressSpace } from "./types.ts";

/** ASID 0 is the kernel's own space. */
export const KERNEL_ASID = 0;

/** Makes sure that `space` has an identifier of the current generation; called before it goes onto a hart. */
export function ensureAsid(k: Kernel, space: AddressSpace): void {
  const { asids } = k.state.memory;
  if (space.asidGeneration === asids.generation) return;
  while (asids.reserved.has(asids.next)) asids.next += 1;
  if (asids.next > k.arch.maxAsid) {
    rollOver(k);
    // The space may have been on a hart, and so have kept its number.
    if (space.asidGeneration === asids.generation) return;
    while (asids.reserved.has(asids.next)) asids.next += 1;
  }
  space.asid = asids.next;
  space.asidGeneration = asids.generation;
  space.cachingHarts.clear();
  asids.next += 1;
}

function rollOver(k: Kernel): void {
  const { asids, spaces } = k.state.memory;
  asids.generation += 1;
  asids.next = 1;
  asids.reserved.clear();
  for (const hart of k.machine.harts) k.arch.flushTlb(k, hart.id, undefined, undefined);
  k.probes.flush?.(KERNEL_ASID, undefined, "ASID rollover");
  for (const space of spaces.values()) {
    space.cachingHarts.clear();
    if (space.activeHarts.size === 0) continue;
    for (const hart of space.activeHarts) space.cachingHarts.add(hart);
    space.asidGeneration = asids.generation;
    asids.reserved.add(space.asid);
  }
}
