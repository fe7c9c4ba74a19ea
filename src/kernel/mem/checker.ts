// Checks the numbered invariants of memory over the whole state (docs/invariants.md). Slow: for tests, after each kernel entry.
//
// INV-1  each frame has one owner, and its share count is the number of its uses
// INV-2  no PTE allows more than its region, and it leads to the page that the region shows
// INV-3  no PTE edit goes unflushed
// INV-4  no hart can use a translation that the page table does not hold, but for those that were asked to drop it (mem/flush.ts)
// INV-5  no two live spaces of the current generation have one ASID
// INV-6  regions are sorted, page-aligned, and do not overlap; their tree and the accounts of their space agree with them
// INV-9  swap slots have one owner, and nothing can write to a frame of the swap cache
// INV-8  every place that shows a frame is found from the frame
// INV-10, 11, 12: shootdowns (mem/shootdown-checker.ts)

import { frameAddress, PAGE_SIZE, virtAddr, type FrameNumber } from "../../lib/address.ts";
import { hexNumber64 } from "../../lib/word64.ts";
import type { Kernel } from "../kernel.ts";
import { BLOCK_FRAMES, frameOwner, frameShareCount, isRam, listFreeBlocks, listFreeFrames } from "./frames.ts";
import { forEachSlot } from "./page-map.ts";
import { query, visitEntries, visitRange } from "./page-table.ts";
import { checkRegionTree, findRegion, regionsOf } from "./region-tree.ts";
import { countPages } from "./regions.ts";
import { forEachMapping } from "./reverse-map.ts";
import { countSlotUses } from "./swap-areas.ts";
import { checkShootdowns, checkTlbs } from "./shootdown-checker.ts";
import { forEachFrameInLimbo } from "./shootdown.ts";
import { FRAME_OWNERS, type AddressSpace, type Region, type Vmo } from "./types.ts";
import { residentFrame } from "./vmo.ts";

/** What does not hold, in words; empty when all is well. */
export function checkInvariants(k: Kernel): string[] {
  const problems: string[] = [];
  const { memory } = k.state;
  if (memory.openFlushes !== 0) problems.push(`INV-3: ${memory.openFlushes} flushes were begun and not finished`);
  checkFrames(k, problems);
  const asids = new Map<number, number>();
  for (const space of memory.spaces.values()) {
    checkRegions(k, space, problems);
    checkEntries(k, space, problems);
    if (space.asidGeneration !== memory.asids.generation) continue;
    const other = asids.get(space.asid);
    if (other !== undefined) problems.push(`INV-5: spaces ${other} and ${space.id} both have ASID ${space.asid}`);
    asids.set(space.asid, space.id);
  }
  checkTlbs(k, problems);
  checkSwap(k, problems);
  checkShootdowns(k, problems);
  return problems;
}

/** INV-9: slots are counted right, and what the swap cache holds cannot be written through any PTE. */
function checkSwap(k: Kernel, problems: string[]): void {
  const { swap } = k.state.memory;
  const complain = (what: string): void => void problems.push(`INV-9: ${what}`);
  const uses = countSlotUses(k);
  for (const area of swap.areas) {
    if (area === undefined) continue;
    const free = new Set(area.freePages.subarray(0, area.freeCount));
    if (free.size !== area.freeCount) complain(`/dev/${area.device}: a slot is free twice`);
    let taken = 0;
    for (let page = 1; page < area.pages; page++) {
      const slot = area.firstSlot + page;
      const counted = uses.get(slot) ?? 0;
      uses.delete(slot);
      if (counted !== area.uses[page]) complain(`slot ${slot} counts ${area.uses[page]} uses and has ${counted}`);
      if (swap.idle.has(slot) !== (counted === 0 && swap.frames.has(slot))) complain(`slot ${slot} is wrongly idle`);
      if (counted === 0 && !swap.frames.has(slot)) continue;
      taken += 1;
      if (free.has(page)) complain(`slot ${slot} is free and in use`);
    }
    if (taken + area.freeCount + area.badCount !== area.pages - 1) complain(`/dev/${area.device}: slots are lost`);
  }
  for (const slot of uses.keys()) complain(`slot ${slot} of no area is in use`);
  for (const [slot, frame] of swap.frames) {
    if (swap.slots.get(frame) !== slot) complain(`frame ${frame} does not know its slot ${slot}`);
    forEachMapping(k, frame, (space, _region, address) => {
      const found = query(k, space, address);
      if (found?.frame === frame && found.flags.write) complain(`frame ${frame} of the swap cache can be written`);
    });
  }
  if (swap.slots.size !== swap.frames.size) complain("the swap cache's two maps differ");
}

/** Every VMO that something refers to. */
function collectVmos(k: Kernel): Set<Vmo> {
  const vmos = new Set<Vmo>();
  const add = (vmo: Vmo | undefined): void => {
    if (vmo === undefined || vmos.has(vmo)) return;
    vmos.add(vmo);
    if (vmo.source.kind === "vmo") add(vmo.source.vmo);
  };
  for (const space of k.state.memory.spaces.values()) for (const region of regionsOf(space)) add(region.vmo);
  return vmos;
}

/** INV-1, for what address spaces account for; the frames of files that nobody maps are the page cache's own. */
function checkFrames(k: Kernel, problems: string[]): void {
  const { memory } = k.state;
  const { frames } = memory;
  const uses = new Map<FrameNumber, number>();
  const use = (frame: FrameNumber): void => void uses.set(frame, (uses.get(frame) ?? 0) + 1);
  const tables = new Set<FrameNumber>();
  for (const space of [memory.kernelSpace, ...memory.spaces.values()]) {
    const own = [space.root];
    visitEntries(k, space, ({ isLeaf, hi, lo }) => {
      if (!isLeaf) own.push(k.arch.format.frame(hi, lo));
    });
    if (own.length !== space.tablePages) {
      problems.push(`INV-1: space ${space.id} counts ${space.tablePages} tables and has ${own.length}`);
    }
    for (const table of own) {
      if (tables.has(table)) problems.push(`INV-1: table frame ${table} is in two places`);
      tables.add(table);
      use(table);
    }
    for (const frame of space.trapframes.values()) use(frame);
  }
  for (const vmo of collectVmos(k)) {
    checkKin(k, vmo, problems);
    forEachSlot(vmo.pages, 0, Infinity, (_index, slot) => {
      if (slot > 0) use(slot as FrameNumber);
    });
  }
  forEachFrameInLimbo(k, use);
  for (const [frame, count] of uses) {
    if (!isRam(k, frame)) problems.push(`INV-1: frame ${frame} is used and not RAM`);
    else if (frameShareCount(k, frame) !== count) {
      problems.push(
        `INV-1: frame ${frame} (${frameOwner(k, frame)}) has share count ${frameShareCount(k, frame)} and ${count} uses`,
      );
    }
  }
  const freeable = frames.owners.filter((owner) => FRAME_OWNERS[owner] === "freeable").length;
  if (freeable !== frames.freeableCount) {
    problems.push(`INV-1: ${frames.freeableCount} freeable frames counted, ${freeable} there`);
  }
  checkFreeLists(k, uses, problems);
  let owned = 0;
  for (const count of frames.shareCounts) if (count > 0) owned += 1;
  if (owned + frames.freeCount !== frames.frameCount) {
    problems.push(`INV-1: ${owned} frames in use and ${frames.freeCount} free of ${frames.frameCount}`);
  }
}

/** INV-8: the VMO is found by its family, its regions and its source's dependents by it, and its frames know both. */
function checkKin(k: Kernel, vmo: Vmo, problems: string[]): void {
  const { frames, families, spaces } = k.state.memory;
  const complain = (what: string): void => void problems.push(`INV-8: VMO ${vmo.id}: ${what}`);
  if (families.get(vmo.family)?.get(vmo.id) !== vmo) complain(`not in its family ${vmo.family}`);
  if (vmo.source.kind === "vmo" && !vmo.source.vmo.dependents.has(vmo)) complain("not a dependent of its source");
  for (const region of vmo.mappings) {
    const space = spaces.get(region.space);
    if (region.vmo !== vmo || space === undefined || findRegion(space, region.start) !== region) {
      complain(`region ${hexNumber64(region.start)} of space ${region.space} does not show it`);
    }
  }
  forEachSlot(vmo.pages, 0, Infinity, (index, slot) => {
    const at = slot - frames.firstFrame;
    if (slot > 0 && (frames.families[at] !== vmo.family || frames.pageIndices[at] !== index)) {
      complain(`frame ${slot} of page ${index} says page ${frames.pageIndices[at]} of family ${frames.families[at]}`);
    }
  });
}

function checkFreeLists(k: Kernel, uses: ReadonlyMap<FrameNumber, number>, problems: string[]): void {
  const free = new Set<FrameNumber>();
  const add = (frame: FrameNumber): void => {
    if (free.has(frame)) problems.push(`INV-1: frame ${frame} is on the free lists twice`);
    free.add(frame);
    if (frameShareCount(k, frame) !== 0 || uses.has(frame)) problems.push(`INV-1: frame ${frame} is free and in use`);
  };
  for (const frame of listFreeFrames(k)) add(frame);
  for (const block of listFreeBlocks(k)) for (let i = 0; i < BLOCK_FRAMES; i++) add((block + i) as FrameNumber);
  checkBlockCounts(k, problems);
  const { freeCount } = k.state.memory.frames;
  if (free.size !== freeCount) problems.push(`INV-1: ${free.size} frames on the free lists, ${freeCount} counted`);
}

/** INV-1: the free single frames of each block, and the links back in the free list. */
function checkBlockCounts(k: Kernel, problems: string[]): void {
  const { frames } = k.state.memory;
  const firstBlock = Math.floor(frames.firstFrame / BLOCK_FRAMES);
  const counts = new Uint16Array(frames.freeInBlock.length);
  let before: FrameNumber | undefined;
  for (const frame of listFreeFrames(k)) {
    const at = Math.floor(frame / BLOCK_FRAMES) - firstBlock;
    counts[at] = (counts[at] ?? 0) + 1;
    const back = k.memory.read32(frameAddress(frame) + 8) >>> 12;
    if (before !== undefined && back !== before % 2 ** 20)
      problems.push(`INV-1: free frame ${frame} has a wrong link back`);
    before = frame;
  }
  const wrong = counts.findIndex((count, at) => count !== frames.freeInBlock[at]);
  if (wrong !== -1) problems.push(`INV-1: block ${firstBlock + wrong} counts ${frames.freeInBlock[wrong]} free frames`);
  const whole = counts.filter((count) => count === BLOCK_FRAMES).length;
  if (whole !== frames.wholeBlocks)
    problems.push(`INV-1: ${frames.wholeBlocks} whole blocks counted, ${whole} are there`);
}

/** INV-6, and the accounts of the space. */
function checkRegions(k: Kernel, space: AddressSpace, problems: string[]): void {
  for (const problem of checkRegionTree(space)) problems.push(`INV-6: space ${space.id}: ${problem}`);
  const { committedPages, dataPages, lockedPages } = countPages(space);
  if (committedPages !== space.committedPages || dataPages !== space.dataPages || lockedPages !== space.lockedPages) {
    problems.push(`INV-6: space ${space.id} counts its promised, data or locked pages wrongly`);
  }
  let previous = 0;
  for (const { start, end } of regionsOf(space)) {
    const isGood = start >= previous && end > start && start % PAGE_SIZE === 0 && end % PAGE_SIZE === 0;
    if (!isGood || end > k.arch.layout.userTop) {
      problems.push(`INV-6: region ${hexNumber64(start)}-${hexNumber64(end)} of space ${space.id} is out of place`);
    }
    previous = end;
  }
}

/** INV-2. */
function checkEntries(k: Kernel, space: AddressSpace, problems: string[]): void {
  const { layout, format } = k.arch;
  const { executeImpliesRead } = format;
  const complain = (address: number, what: string): void => {
    problems.push(`INV-2: space ${space.id}, page ${hexNumber64(address)}: ${what}`);
  };
  let resident = 0;
  const regions = regionsOf(space);
  let region = regions.next().value ?? undefined;
  visitRange(k, space, virtAddr(0), layout.userTop, ({ address, level, hi, lo, isLeaf }) => {
    const view = isLeaf ? format.view(hi, lo, level) : undefined;
    if (view?.kind !== "leaf") return;
    const { size } = format.levels[level] ?? { size: PAGE_SIZE };
    resident += size / PAGE_SIZE;
    // Both lists are in order of address.
    while (region !== undefined && region.end <= address) region = regions.next().value ?? undefined;
    if (region === undefined || region.start > address) return complain(address, "mapped outside every region");
    const { read, write, execute } = region.protection;
    const { flags } = view;
    if (!flags.user) complain(address, "not a user page");
    const isReadable = read || write || (execute && executeImpliesRead);
    if ((flags.write && !write) || (flags.execute && !execute) || (flags.read && !isReadable)) {
      complain(address, "more rights than its region");
    }
    if (address + size > region.end) return complain(address, "a large page that leaves its region");
    for (let offset = 0; offset < size; offset += PAGE_SIZE) {
      const frame = (view.frame + offset / PAGE_SIZE) as FrameNumber;
      checkShown(k, region, address + offset, frame, flags.write, complain);
    }
  });
  if (resident !== space.residentPages) complain(0, `${space.residentPages} pages counted, ${resident} mapped`);
  for (const { name, address, frame } of k.state.memory.sharedPages) {
    const found = query(k, space, address);
    if (found?.frame !== frame || found.flags.user) complain(address, `not the ${name} that every space has`);
  }
  for (const [slot, frame] of space.trapframes) {
    const at = virtAddr(layout.trapframe - slot * PAGE_SIZE);
    if (query(k, space, at)?.frame !== frame) complain(at, `trapframe ${slot} is not mapped`);
  }
}

/** The page is the one that the region's VMO has there; a page that someone else holds too is not writable. */
function checkShown(
  k: Kernel,
  region: Region,
  address: number,
  frame: FrameNumber,
  isWritable: boolean,
  complain: (address: number, what: string) => void,
): void {
  const { vmo, sharing } = region;
  const index = region.vmoOffsetPages + (address - region.start) / PAGE_SIZE;
  if (frame !== shownFrame(k, vmo, index)) complain(address, `frame ${frame} is not the page that its region shows`);
  if (!isWritable || sharing === "shared") return;
  if (residentFrame(vmo, index) !== frame) complain(address, "a private page of its source is writable");
  else if (frameShareCount(k, frame) !== 1) complain(address, "a copy-on-write page is writable");
}

function shownFrame(k: Kernel, vmo: Vmo, index: number): FrameNumber | undefined {
  const own = residentFrame(vmo, index);
  if (own !== undefined) return own;
  switch (vmo.source.kind) {
    case "physical":
      return (vmo.source.frame + index) as FrameNumber;
    case "vmo":
      return shownFrame(k, vmo.source.vmo, vmo.source.offsetPages + index);
    case "zero":
      return k.state.memory.zeroFrame;
    case "inode":
      return undefined;
  }
}
