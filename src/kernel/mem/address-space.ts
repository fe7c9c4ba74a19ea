// Address spaces: what a program may touch, and where.
//
//   0 ........ image | heap -> ........ <- mmap area | ... guard | stack | vdso | userTop ... trapframes | trampoline
//
// A space is a sorted list of regions, none overlapping, plus page tables that are filled in by faults (fault.ts). The list
// says what is allowed; a PTE never allows more than its region (INV-2). Making and joining spaces is here and in fork.ts;
// changing their regions is in regions.ts.

import {
  frameAddress,
  PAGE_SIZE,
  virtAddr,
  type FrameNumber,
  type PhysAddr,
  type VirtAddr,
} from "../../lib/address.ts";
import type { PteFlags } from "../arch/arch.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import { finishFlush, flushAll, newFlush, releaseAfterFlush, type Flush } from "./flush.ts";
import { allocateFrame } from "./frames.ts";
import { isOvercommitted } from "./overcommit.ts";
import { freeTables, mapPage, shareRange, unmap } from "./page-table.ts";
import { clearRegions, createRegionTree, regionCount, regionsOf } from "./region-tree.ts";
import { copyRegions, isInherited } from "./fork-regions.ts";
import { hasRoomForRegions, mapRegion, releaseBacking } from "./regions.ts";
import type { AddressSpace } from "./types.ts";
import { createVmo, releaseVmo } from "./vmo.ts";

/** Default of RLIMIT_STACK. */
const DEFAULT_STACK_LIMIT = 8 * 1024 * 1024;

/** Flags of the page that holds a thread's registers: only the kernel sees it. */
const TRAPFRAME_FLAGS: PteFlags = {
  read: true,
  write: true,
  execute: false,
  user: false,
  global: false,
  accessed: true,
  dirty: true,
};

/** A space that nothing refers to yet and that has no tables: the kernel's own before start-up. */
export function emptySpace(id: number): AddressSpace {
  return {
    id,
    root: 0 as FrameNumber,
    asid: 0,
    asidGeneration: 0,
    regions: createRegionTree(),
    committedPages: 0,
    dataPages: 0,
    lockedPages: 0,
    lockFuture: "no",
    executeGain: "allowed",
    references: 1,
    breakStart: virtAddr(0),
    breakEnd: virtAddr(0),
    mmapTop: virtAddr(0),
    tablePages: 0,
    residentPages: 0,
    trapframes: new Map(),
    activeHarts: new Set(),
    cachingHarts: new Set(),
    staleHarts: new Set(),
    unacknowledged: 0,
    limits: { stack: DEFAULT_STACK_LIMIT, data: Infinity, addressSpace: Infinity, locked: Infinity },
  };
}

/** A user space with one reference: trampoline and signal-return page, and nothing else. */
export function createAddressSpace(k: Kernel): AddressSpace | "ENOMEM" {
  const space = createBareSpace(k);
  if (space === "ENOMEM") return "ENOMEM";
  const { layout } = k.arch;
  const vmo = createVmo(k, { kind: "physical", frame: k.state.memory.vdsoFrame }, 1);
  const vdso = mapRegion(k, space, {
    address: layout.vdso,
    fixed: "no-replace",
    length: PAGE_SIZE,
    protection: { read: true, write: false, execute: true },
    sharing: "private",
    vmo,
    purpose: "vdso",
    locked: "no",
  });
  releaseVmo(k, vmo);
  if (typeof vdso === "string") throw new KernelBug(`cannot map the vdso: ${vdso}`);
  return space;
}

/**
 * Fork: the same regions; private ones share their frames copy-on-write, shared ones their VMO. On ENOMEM nothing is left but
 * that the parent's pages are write-protected, which its next writes undo.
 */
export function cloneAddressSpace(k: Kernel, parent: AddressSpace): AddressSpace | "ENOMEM" {
  if (!hasRoomForRegions(k, -1, regionCount(parent))) return "ENOMEM";
  const child = createBareSpace(k);
  if (child === "ENOMEM") return "ENOMEM";
  child.breakStart = parent.breakStart;
  child.breakEnd = parent.breakEnd;
  child.mmapTop = parent.mmapTop;
  Object.assign(child.limits, parent.limits);
  if (parent.executeGain === "refused") child.executeGain = "refused";
  copyRegions(k, parent, child);
  if (isOvercommitted(k)) {
    releaseAddressSpace(k, child);
    return "ENOMEM";
  }
  const flush = newFlush(k, parent);
  const result = copyEntries(k, parent, child, flush);
  // The child does not run before the parent's other threads can no longer write to what it sees.
  finishFlush(k, flush, "fork", child);
  if (result === 0) return child;
  releaseAddressSpace(k, child);
  return "ENOMEM";
}

export function retainAddressSpace(space: AddressSpace): void {
  space.references += 1;
}

/** Gives up one reference; the last one frees regions, pages, trapframes and tables. */
export function releaseAddressSpace(k: Kernel, space: AddressSpace): void {
  space.references -= 1;
  if (space.references > 0) return;
  const { memory } = k.state;
  // Every translation goes from every TLB first (INV-4).
  const flush = newFlush(k, space);
  flushAll(flush);
  for (const frame of space.trapframes.values()) releaseAfterFlush(flush, frame);
  space.trapframes.clear();
  finishFlush(k, flush, "exit");
  for (const hart of space.activeHarts) {
    const state = k.state.harts[hart];
    if (state?.space === space) state.space = undefined;
  }
  space.activeHarts.clear();
  freeTables(k, space);
  // Storing a file's pages looks for all their mappings: none of this space may be found, whose tables are gone.
  for (const region of regionsOf(space)) region.vmo.mappings.delete(region);
  for (const region of regionsOf(space)) releaseBacking(k, region);
  memory.committedPages -= space.committedPages;
  memory.regionCount -= regionCount(space);
  clearRegions(space);
  memory.spaces.delete(space.id);
}

/** A zeroed trapframe page for one more thread of the space, mapped at the lowest free slot. */
export function allocateTrapframe(
  k: Kernel,
  space: AddressSpace,
): { physical: PhysAddr; address: VirtAddr } | "ENOMEM" {
  const { layout } = k.arch;
  let slot = 0;
  while (space.trapframes.has(slot)) slot += 1;
  if (slot >= layout.trapframeSlots) return "ENOMEM";
  const frame = allocateFrame(k, "trapframe");
  if (frame === "ENOMEM") return "ENOMEM";
  const address = virtAddr(layout.trapframe - slot * PAGE_SIZE);
  const flush = newFlush(k, space);
  const mapped = mapPage(k, space, address, frame, TRAPFRAME_FLAGS, flush);
  if (mapped === "ENOMEM") releaseAfterFlush(flush, frame);
  else space.trapframes.set(slot, frame);
  finishFlush(k, flush, "trapframe");
  return mapped === "ENOMEM" ? "ENOMEM" : { physical: frameAddress(frame), address };
}

/** Unmaps and frees the trapframe at `address` of the space. */
export function releaseTrapframe(k: Kernel, space: AddressSpace, address: VirtAddr): void {
  const slot = (k.arch.layout.trapframe - address) / PAGE_SIZE;
  const frame = space.trapframes.get(slot);
  if (frame === undefined) throw new KernelBug(`no trapframe at slot ${slot}`);
  space.trapframes.delete(slot);
  const flush = newFlush(k, space);
  unmap(k, space, address, virtAddr(address + PAGE_SIZE), flush);
  releaseAfterFlush(flush, frame);
  finishFlush(k, flush, "trapframe");
}

/** Maps the pages of the trap path; they are the same in every space, so their translations are global. */
export function mapSharedPages(k: Kernel, space: AddressSpace, flush: Flush): 0 | "ENOMEM" {
  for (const { address, frame, protection } of k.state.memory.sharedPages) {
    const flags = { ...protection, user: false, global: true, accessed: true, dirty: protection.write };
    if (mapPage(k, space, address, frame, flags, flush) === "ENOMEM") return "ENOMEM";
  }
  return 0;
}

/** Root table and shared pages. */
function createBareSpace(k: Kernel): AddressSpace | "ENOMEM" {
  const { memory } = k.state;
  const root = allocateFrame(k, "page-table");
  if (root === "ENOMEM") return "ENOMEM";
  const space = emptySpace(memory.nextSpace);
  memory.nextSpace += 1;
  space.root = root;
  space.tablePages = 1;
  space.mmapTop = k.arch.layout.mmapTop;
  memory.spaces.set(space.id, space);
  const flush = newFlush(k, space);
  const mapped = mapSharedPages(k, space, flush);
  finishFlush(k, flush, "create");
  if (mapped === 0) return space;
  releaseAddressSpace(k, space);
  return "ENOMEM";
}

/** Write-protects the parent's private pages and gives the child the same entries. Shared pages it will fault in itself. */
function copyEntries(k: Kernel, parent: AddressSpace, child: AddressSpace, flush: Flush): 0 | "ENOMEM" {
  for (const region of regionsOf(parent)) {
    if (region.sharing === "shared" || !isInherited(region)) continue;
    if (shareRange(k, parent, child, region.start, region.end, flush) === "ENOMEM") return "ENOMEM";
  }
  return 0;
}
