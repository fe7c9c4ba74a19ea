// Checks what TLBs hold, and the state of shootdowns (docs/invariants.md). Slow: for tests, after each kernel entry.
//
// INV-4   every translation that a hart can use is in the page table, with its rights; or the hart was asked to drop it, and the frame
//         is not free
// INV-10  a hart was asked to drop something only while it runs the space; each shootdown is waited for by those that have the request
// INV-11  a hart runs a held space only as long as it has not acknowledged, or a thread that was merely interrupted
// INV-12  what is in limbo waits for a shootdown: the first one that is pending is not acknowledged

import { frameAddress, frameOf, PAGE_SIZE, physAddr, virtAddr } from "../../lib/address.ts";
import { hexNumber64 } from "../../lib/word64.ts";
import type { TlbEntry } from "../../machine/hart.ts";
import type { Kernel } from "../kernel.ts";
import { frameShareCount, isRam } from "./frames.ts";
import { findEntry, foundLevel } from "./page-table.ts";
import { hartState, isAsked } from "./shootdown.ts";
import type { AddressSpace } from "./types.ts";

/** INV-4. */
export function checkTlbs(k: Kernel, problems: string[]): void {
  const { memory } = k.state;
  const spaces = new Map<number, AddressSpace>([[0, memory.kernelSpace]]);
  for (const space of memory.spaces.values())
    if (space.asidGeneration === memory.asids.generation) spaces.set(space.asid, space);
  for (const hart of k.machine.harts) {
    for (const entry of hart.tlbEntries()) {
      const tables = k.arch.tablesOf(entry);
      const space = tables === undefined ? undefined : spaces.get(tables.asid);
      // Translations of a space that is gone can be reached by nobody: its ASID is not in use.
      if (space === undefined || space.root !== tables?.root) continue;
      if (!canUse(k, hart.id, space) || agrees(k, space, entry)) continue;
      const where = `hart ${hart.id} caches ${entry.access} of ${hexNumber64(entry.virtualPage)} in space ${space.id}`;
      const frame = frameOf(physAddr(entry.physicalPage));
      if (!isAsked(k, hart.id, space, entry.virtualPage, entry.virtualPage + PAGE_SIZE))
        problems.push(`INV-4: ${where}`);
      else if (isRam(k, frame) && frameShareCount(k, frame) === 0)
        problems.push(`INV-4: ${where}: frame ${frame} is free`);
    }
  }
}

/** Whether the hart may use translations of the space before it has dropped what is stale. */
function canUse(k: Kernel, hart: number, space: AddressSpace): boolean {
  const state = hartState(k, hart);
  if (space === k.state.memory.kernelSpace) return true;
  if (state.isInUser && state.space === space) return true;
  return state.stale !== "everything" && !space.staleHarts.has(hart);
}

function agrees(k: Kernel, space: AddressSpace, entry: TlbEntry): boolean {
  const address = virtAddr(entry.virtualPage);
  const location = findEntry(k, space, address);
  const view = k.arch.format.view(k.memory.read32(location + 4), k.memory.read32(location), foundLevel);
  if (view.kind !== "leaf") return false;
  const size = k.arch.format.levels[foundLevel]?.size ?? PAGE_SIZE;
  const physical = physAddr(frameAddress(view.frame) + (address - Math.floor(address / size) * size));
  const { flags } = view;
  const isAllowed = entry.access === "load" ? flags.read : entry.access === "store" ? flags.write : flags.execute;
  return isAllowed && physical === entry.physicalPage;
}

/** INV-10, INV-11, INV-12. */
export function checkShootdowns(k: Kernel, problems: string[]): void {
  const { memory, harts } = k.state;
  const { pending } = memory.shootdowns;
  const held = new Map<number, number>();
  if (pending[0]?.harts === 0) problems.push(`INV-12: shootdown ${pending[0].id} is acknowledged, and not over`);
  for (const [at, { id, harts: mask, holds }] of pending.entries()) {
    if (id !== (pending[0]?.id ?? 0) + at) problems.push(`INV-12: shootdown ${id} is out of order`);
    if (mask !== 0) for (const space of holds) held.set(space, (held.get(space) ?? 0) + 1);
    for (const [hart, { requests }] of harts.entries()) {
      const isWaitedFor = ((mask >>> hart) & 1) === 1;
      if (isWaitedFor !== requests.some(({ shootdowns }) => shootdowns.includes(id)))
        problems.push(`INV-10: shootdown ${id} ${isWaitedFor ? "waits" : "does not wait"} for hart ${hart}`);
    }
  }
  for (const space of [memory.kernelSpace, ...memory.spaces.values()]) {
    if (space.unacknowledged !== (held.get(space.id) ?? 0))
      problems.push(`INV-11: space ${space.id} counts ${space.unacknowledged} shootdowns`);
  }
  for (const [hart, { space, isInUser, requests, interrupted }] of harts.entries()) {
    const own = requests.filter(({ asid }) => asid !== undefined);
    if (own.some(({ asid }) => !isInUser || asid !== space?.asid))
      problems.push(`INV-10: hart ${hart} is asked to drop what it does not run`);
    const mayRun =
      requests.length > 0 || (interrupted !== undefined && interrupted === k.state.scheduler.current[hart]);
    if (isInUser && space !== undefined && space.unacknowledged > 0 && !mayRun)
      problems.push(`INV-11: hart ${hart} runs space ${space.id}, which is held`);
  }
}
