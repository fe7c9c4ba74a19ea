// Address-space identifiers with generations (K13): ASIDs of RISC-V, PCIDs of x86-64.
//
//   generation 7:   1 2 3 … next … maxAsid        a space keeps its ASID while its generation is the current one
//   rollover   ->   generation 8, next = 1; each hart empties its TLB before it next enters user mode; a space that another hart
//                   runs right now keeps its number
//
// INV-5: no hart enters user mode with an ASID under which its TLB holds translations of another space. Within a generation a number
// is given out once. After a rollover a hart goes to user mode only once it has emptied its TLB (`HartState.stale`), so whatever it
// holds under a number is of the new generation; a hart that stays in user mode meanwhile uses one number, which its space keeps and
// nobody else is given. Up to one number per other hart is kept so: there must be at least as many numbers as harts.

import { KernelBug, type Kernel } from "../kernel.ts";
import { dropOnHart, hartState } from "./shootdown.ts";
import type { AddressSpace } from "./types.ts";

/** ASID 0 is the kernel's own space. */
export const KERNEL_ASID = 0;

/** The hart leaves the kernel for user mode in `space`: with a number of the current generation, and nothing stale in its TLB. */
export function enterSpace(k: Kernel, hart: number, space: AddressSpace): void {
  const state = hartState(k, hart);
  if (state.space !== space || state.stale !== "nothing" || space.asidGeneration !== k.state.memory.asids.generation) {
    activateSpace(k, hart, space);
  }
  state.isInUser = true;
}

/** Makes `space` the one that the hart enters user mode with. */
export function activateSpace(k: Kernel, hart: number, space: AddressSpace): void {
  const state = hartState(k, hart);
  state.space?.activeHarts.delete(hart);
  state.space = space;
  ensureAsid(k, hart, space);
  if (state.stale === "everything") dropOnHart(k, hart, undefined, true, [], "ASID rollover", "lazy");
  else if (space.staleHarts.has(hart)) dropOnHart(k, hart, space.asid, true, [], "stale", "lazy");
  state.stale = "nothing";
  space.staleHarts.delete(hart);
  space.activeHarts.add(hart);
  space.cachingHarts.add(hart);
}

/** Makes sure that `space` has an identifier of the current generation. */
function ensureAsid(k: Kernel, hart: number, space: AddressSpace): void {
  const { asids } = k.state.memory;
  if (space.asidGeneration === asids.generation) return;
  skipReserved(k);
  if (asids.next > k.arch.maxAsid) {
    rollOver(k, hart);
    // Another hart may run the space, and so have kept its number.
    if (space.asidGeneration === asids.generation) return;
    skipReserved(k);
    if (asids.next > k.arch.maxAsid) throw new KernelBug(`${k.arch.maxAsid} ASIDs for ${k.state.harts.length} harts`);
  }
  space.asid = asids.next;
  space.asidGeneration = asids.generation;
  space.cachingHarts.clear();
  space.staleHarts.clear();
  asids.next += 1;
}

function skipReserved(k: Kernel): void {
  const { asids } = k.state.memory;
  while (asids.reserved.has(asids.next)) asids.next += 1;
}

/** Begins the next generation. `present` is the hart that is about to enter a space without a number. */
function rollOver(k: Kernel, present: number): void {
  const { asids, spaces } = k.state.memory;
  asids.generation += 1;
  asids.next = 1;
  asids.reserved.clear();
  for (const space of spaces.values()) {
    space.cachingHarts.clear();
    space.staleHarts.clear();
  }
  for (const [hart, state] of k.state.harts.entries()) {
    state.stale = "everything";
    const { space, isInUser } = state;
    if (hart === present || !isInUser || space === undefined) continue;
    space.asidGeneration = asids.generation;
    asids.reserved.add(space.asid);
    space.cachingHarts.add(hart);
  }
}
