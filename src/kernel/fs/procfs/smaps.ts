// /proc/PID/smaps and smaps_rollup: what of each region is in memory, and who shares it. Linux man-pages: proc_pid_smaps(5); Linux:
// Documentation/filesystems/proc.rst, fs/proc/task_mmu.c.
//
//   each PTE of the region ──> its frame ──> mapped here alone: Private   at several places: Shared, and 1/n of it in Pss
//                                   └── written since it came from its file, or anonymous: Dirty
//   swapped-out pages: those that the region's VMO has in swap

import { PAGE_SIZE, type FrameNumber } from "../../../lib/address.ts";
import type { Kernel } from "../../kernel.ts";
import { frameOwner, frameShareCount, isRam } from "../../mem/frames.ts";
import { mayHaveLargePages } from "../../mem/large-pages.ts";
import { forEachSlot, slotAt } from "../../mem/page-map.ts";
import { query, visitRange } from "../../mem/page-table.ts";
import { forEachMappingOfPage } from "../../mem/reverse-map.ts";
import type { AddressSpace, Region, Vmo } from "../../mem/types.ts";
import { mapsLine } from "./maps.ts";
import { hexAddress } from "./text.ts";

/** Pages of 4 KiB; `proportional` and `proportionalDirty` are each page divided by the number of its places. */
interface Residency {
  resident: number;
  proportional: number;
  proportionalDirty: number;
  sharedClean: number;
  sharedDirty: number;
  privateClean: number;
  privateDirty: number;
  referenced: number;
  anonymous: number;
  lazilyFreed: number;
  large: number;
  swapped: number;
  locked: number;
}

export function smaps(k: Kernel, space: AddressSpace, regions: readonly Region[]): string {
  return regions.map((region) => mapsLine(k, region) + describeRegion(k, space, region)).join("");
}

export function smapsRollup(k: Kernel, space: AddressSpace, regions: readonly Region[]): string {
  const [first, last] = [regions.at(0), regions.at(-1)];
  if (first === undefined || last === undefined) return "";
  const sum = emptyResidency();
  for (const region of regions) {
    const one = residencyOf(k, space, region);
    for (const key of Object.keys(sum) as (keyof Residency)[]) sum[key] += one[key];
  }
  const range = `${hexAddress(first.start)}-${hexAddress(last.end)} ---p 00000000 00:00 0 `;
  return `${range.padEnd(73)}[rollup]\n${residencyRows(sum, "private")}`;
}

function describeRegion(k: Kernel, space: AddressSpace, region: Region): string {
  const pageSize = k.arch.format.levels[region.pageLevel]?.size ?? PAGE_SIZE;
  return (
    row("Size", (region.end - region.start) / 1024) +
    row("KernelPageSize", pageSize / 1024) +
    row("MMUPageSize", pageSize / 1024) +
    residencyRows(residencyOf(k, space, region), region.sharing) +
    `THPeligible:    ${mayHaveLargePages(k, region) ? 1 : 0}\n` +
    `VmFlags: ${regionFlags(region).join(" ")} \n`
  );
}

function residencyRows(pages: Residency, sharing: Region["sharing"]): string {
  const kib = (count: number): number => Math.floor((count * PAGE_SIZE) / 1024);
  return [
    row("Rss", kib(pages.resident)),
    row("Pss", kib(pages.proportional)),
    row("Pss_Dirty", kib(pages.proportionalDirty)),
    row("Shared_Clean", kib(pages.sharedClean)),
    row("Shared_Dirty", kib(pages.sharedDirty)),
    row("Private_Clean", kib(pages.privateClean)),
    row("Private_Dirty", kib(pages.privateDirty)),
    row("Referenced", kib(pages.referenced)),
    row("Anonymous", kib(pages.anonymous)),
    row("KSM", 0),
    row("LazyFree", kib(pages.lazilyFreed)),
    row("AnonHugePages", kib(sharing === "private" ? pages.large : 0)),
    row("ShmemPmdMapped", kib(sharing === "shared" ? pages.large : 0)),
    row("FilePmdMapped", 0),
    row("Shared_Hugetlb", 0),
    row("Private_Hugetlb", 0),
    row("Swap", kib(pages.swapped)),
    row("SwapPss", kib(pages.swapped)),
    row("Locked", kib(pages.locked)),
  ].join("");
}

function row(name: string, kib: number): string {
  return `${`${name}:`.padEnd(16)}${String(kib).padStart(8)} kB\n`;
}

function emptyResidency(): Residency {
  return {
    resident: 0,
    proportional: 0,
    proportionalDirty: 0,
    sharedClean: 0,
    sharedDirty: 0,
    privateClean: 0,
    privateDirty: 0,
    referenced: 0,
    anonymous: 0,
    lazilyFreed: 0,
    large: 0,
    swapped: 0,
    locked: 0,
  };
}

function residencyOf(k: Kernel, space: AddressSpace, region: Region): Residency {
  const pages = emptyResidency();
  const { format } = k.arch;
  visitRange(k, space, region.start, region.end, ({ address, level, hi, lo, isLeaf }) => {
    const view = format.view(hi, lo, level);
    if (!isLeaf || view.kind !== "leaf") return;
    const size = format.levels[level]?.size ?? PAGE_SIZE;
    const from = Math.max(address, region.start);
    const to = Math.min(address + size, region.end);
    if (level > 0) pages.large += (to - from) / PAGE_SIZE;
    for (let page = from; page < to; page += PAGE_SIZE) {
      const frame = (view.frame + (page - address) / PAGE_SIZE) as FrameNumber;
      if (isRam(k, frame)) countPage(k, region, page, frame, view.flags, pages);
    }
  });
  const first = region.vmoOffsetPages;
  forEachSlot(region.vmo.pages, first, first + (region.end - region.start) / PAGE_SIZE, (_index, slot) => {
    if (slot < 0) pages.swapped += 1;
  });
  if (region.locked !== "no") pages.locked = pages.proportional;
  return pages;
}

function countPage(
  k: Kernel,
  region: Region,
  address: number,
  frame: FrameNumber,
  flags: { readonly accessed: boolean; readonly dirty: boolean },
  pages: Residency,
): void {
  const index = region.vmoOffsetPages + (address - region.start) / PAGE_SIZE;
  const isOwn = slotAt(region.vmo.pages, index) === frame;
  const isAnonymous = isOwn && region.sharing === "private";
  const isDirty = flags.dirty || isAnonymous || holderOf(region, isOwn).vmo.source.kind === "zero";
  const places = countPlaces(k, region, index, frame, isOwn);
  pages.resident += 1;
  pages.proportional += 1 / places;
  if (isDirty) pages.proportionalDirty += 1 / places;
  if (flags.accessed) pages.referenced += 1;
  if (isAnonymous) pages.anonymous += 1;
  if (frameOwner(k, frame) === "freeable") pages.lazilyFreed += 1;
  if (places > 1) pages[isDirty ? "sharedDirty" : "sharedClean"] += 1;
  else pages[isDirty ? "privateDirty" : "privateClean"] += 1;
}

/** The VMO that holds a page which the region shows, and by how much indices differ there. */
function holderOf(region: Region, isOwn: boolean): { vmo: Vmo; shift: number } {
  const { source } = region.vmo;
  return isOwn || source.kind !== "vmo"
    ? { vmo: region.vmo, shift: 0 }
    : { vmo: source.vmo, shift: source.offsetPages };
}

/** Above so many regions over a shared VMO, all of them count as places of each of its pages. */
const FEW_PLACES = 16;

/** At how many places a page is mapped, at least 1. A private VMO has one; of one with copies each copy counts. */
export function countPlaces(k: Kernel, region: Region, index: number, frame: FrameNumber, isOwn: boolean): number {
  if (isOwn && region.sharing === "private") return frameShareCount(k, frame);
  const { vmo, shift } = holderOf(region, isOwn);
  const regions = vmo.mappings.size + vmo.dependents.size;
  if (regions > FEW_PLACES) return regions;
  let places = 0;
  forEachMappingOfPage(k, vmo, index + shift, (space, _region, address) => {
    if (query(k, space, address) !== undefined) places += 1;
  });
  return Math.max(1, places);
}

/** Linux: show_smap_vma_flags, in the order of its bits. */
function regionFlags(region: Region): string[] {
  const { protection, maximum, advice, locked } = region;
  const isShared = region.sharing === "shared";
  const flags: readonly (readonly [boolean, string])[] = [
    [protection.read, "rd"],
    [protection.write, "wr"],
    [protection.execute, "ex"],
    [isShared, "sh"],
    [maximum.read, "mr"],
    [maximum.write, "mw"],
    [maximum.execute, "me"],
    [isShared, "ms"],
    [region.growsDown, "gd"],
    [locked !== "no", "lo"],
    [advice.access === "sequential", "sr"],
    [advice.access === "random", "rr"],
    [advice.omittedByFork, "dc"],
    [locked === "on-fault", "lf"],
    [protection.write && !isShared && !region.noReserve, "ac"],
    [region.noReserve, "nr"],
    [region.pageLevel > 0, "ht"],
    [advice.wipedByFork, "wf"],
    [!advice.dumped, "dd"],
    [advice.largePages === "wanted", "hg"],
    [advice.largePages === "refused", "nh"],
    [region.sealed, "sl"],
  ];
  return flags.flatMap(([isSet, name]) => (isSet ? name : []));
}
