// The regions of an address space and what is behind them, as data and as text.
//
//   /proc/PID/maps says what may be touched; here is what is there: in memory, in swap, shared until written, in large pages.
//
// Read from the raw page table and the page maps, without a fault and without a change.

import type { Kernel } from "../kernel/kernel.ts";
import { regionsOf } from "../kernel/mem/region-tree.ts";
import type { AddressSpace, Region } from "../kernel/mem/types.ts";
import type { Process } from "../kernel/process/types.ts";
import { unmappedRuns } from "./page-state.ts";
import { formatAddress, formatSize, readPageTable, regionRights, type PageTableEntry } from "./page-table-view.ts";
import { wrapText } from "./wrap.ts";

/** Counts of 4-KiB pages. */
export type PageCounts = Readonly<Counts>;

interface Counts {
  /** Shown by the page table. */
  resident: number;
  /** In memory, but not shown by this page table. */
  unmapped: number;
  swapped: number;
  /** Of the resident ones of private regions: held by other VMOs too, so that the first write copies. */
  copyOnWrite: number;
  /** Of the resident ones: in pages larger than 4 KiB. */
  large: number;
}

export interface MappedRegion extends PageCounts {
  readonly start: number;
  readonly end: number;
  /** As /proc/PID/maps has it: r, w, x, then p(rivate) or s(hared). */
  readonly rights: string;
  readonly purpose: Region["purpose"];
  readonly file: string | undefined;
  /** Byte of the file that `start` shows. */
  readonly fileOffset: number;
  readonly vmo: number;
  /** Id of the VMO that this one and its copies come from (forks, moves). */
  readonly family: number;
  /** Page of the VMO that `start` shows. */
  readonly vmoOffsetPages: number;
  /** Bytes of the pages that MAP_HUGETLB asked for; 4096 without. */
  readonly pageSize: number;
  readonly locked: Region["locked"];
  /** What madvise, mmap and mlock said of it, in words. */
  readonly remarks: readonly string[];
}

export interface MemoryMap {
  readonly regions: readonly MappedRegion[];
  readonly total: PageCounts & { readonly bytes: number };
}

export function readMemoryMap(k: Kernel, space: AddressSpace): MemoryMap {
  const counts = new Map<number, Counts>();
  const countsAt = (start: number): Counts => {
    const found = counts.get(start) ?? { resident: 0, unmapped: 0, swapped: 0, copyOnWrite: 0, large: 0 };
    counts.set(start, found);
    return found;
  };
  for (const { regionStart, pages, count, size } of leavesOf(readPageTable(k, space))) {
    if (regionStart === undefined) continue;
    const of = countsAt(regionStart);
    const length = (count * size) / 4096;
    of.resident += length;
    if (pages?.state === "copy-on-write") of.copyOnWrite += length;
    if (size > 4096) of.large += length;
  }
  for (const { regionStart, kind, pages } of unmappedRuns(k, space)) {
    countsAt(regionStart)[kind === "swapped" ? "swapped" : "unmapped"] += pages;
  }
  const regions = [...regionsOf(space)].map((region) => ({ ...describeRegion(k, region), ...countsAt(region.start) }));
  const sum = (key: keyof PageCounts): number => regions.reduce((total, region) => total + region[key], 0);
  return {
    regions,
    total: {
      bytes: regions.reduce((total, { start, end }) => total + end - start, 0),
      resident: sum("resident"),
      unmapped: sum("unmapped"),
      swapped: sum("swapped"),
      copyOnWrite: sum("copyOnWrite"),
      large: sum("large"),
    },
  };
}

/** What the region itself says, without its pages. */
function describeRegion(k: Kernel, region: Region): Omit<MappedRegion, keyof PageCounts> {
  return {
    start: region.start,
    end: region.end,
    rights: regionRights(region),
    purpose: region.purpose,
    file: region.file?.path,
    fileOffset: region.fileOffset,
    vmo: region.vmo.id,
    family: region.vmo.family,
    vmoOffsetPages: region.vmoOffsetPages,
    pageSize: k.arch.format.levels[region.pageLevel]?.size ?? 4096,
    locked: region.locked,
    remarks: remarksOf(region),
  };
}

function remarksOf({ advice, locked, noReserve, growsDown, pageLevel }: Region): string[] {
  const remarks: readonly (readonly [boolean, string])[] = [
    [locked === "present", "locked"],
    [locked === "on-fault", "locked on fault"],
    [growsDown, "grows down"],
    [noReserve, "no reserve"],
    [pageLevel > 0, "huge TLB"],
    [advice.access !== "normal", advice.access],
    [advice.omittedByFork, "not in forks"],
    [advice.wipedByFork, "zeros in forks"],
    [!advice.dumped, "not dumped"],
    [advice.largePages === "wanted", "large pages wanted"],
    [advice.largePages === "refused", "no large pages"],
  ];
  return remarks.flatMap(([isSo, text]) => (isSo ? text : []));
}

function leavesOf(entries: readonly PageTableEntry[]): PageTableEntry[] {
  return entries.flatMap((entry) => (entry.kind === "leaf" ? entry : leavesOf(entry.children)));
}

/** Whose space it is, where its table is, and by which identifier TLBs know it. */
export function describeSpace(k: Kernel, { pid, name, space }: Process): string {
  const { asidName } = k.arch.narration;
  const { generation } = k.state.memory.asids;
  const isOld = space.asidGeneration !== generation;
  const age = isOld ? `, which is over: ${generation} is the present one` : "";
  return `pid ${pid} (${name}): ${k.arch.format.name}, root frame 0x${space.root.toString(16)}, ${asidName} ${space.asid} of generation ${space.asidGeneration}${age}`;
}

/** Lines of fewer characters than this show a region in two. */
const TABLE_WIDTH = 110;

/** The map as text in lines of at most `width` characters, but for long names: a table, or on a narrow terminal two lines a region. */
export function formatMemoryMap(k: Kernel, process: Process, width: number): string {
  const map = readMemoryMap(k, process.space);
  const { space } = process;
  const head = [
    ...wrapText(describeSpace(k, process), width),
    `${map.regions.length} regions, ${formatBytes(map.total.bytes)}; ${space.tablePages} table pages, ${space.committedPages} pages promised, ${space.lockedPages} locked`,
    "",
  ];
  return [...head, ...(width < TABLE_WIDTH ? formatPairs(map) : formatTable(map))].join("\n");
}

const COLUMNS: readonly (readonly [string, keyof PageCounts])[] = [
  ["RES", "resident"],
  ["UNMAPPED", "unmapped"],
  ["SWAP", "swapped"],
  ["COW", "copyOnWrite"],
  ["LARGE", "large"],
];

function formatTable({ regions, total }: MemoryMap): string[] {
  const cells = (size: number, counts: PageCounts): string =>
    [size / 1024, ...COLUMNS.map(([, key]) => counts[key] * 4)]
      .map((kib, column) => formatKib(kib).padStart(column === 2 ? 8 : 7))
      .join(" ");
  const titles = ["SIZE", ...COLUMNS.map(([title]) => title)].map((title, column) =>
    title.padStart(column === 2 ? 8 : 7),
  );
  return [
    `${"START".padEnd(16)}-${"END".padEnd(16)} MODE ${titles.join(" ")}  ${"VMO".padEnd(9)} WHAT`,
    ...regions.map(
      (region) =>
        `${rangeOf(region)} ${region.rights} ${cells(region.end - region.start, region)}  ${vmoName(region).padEnd(9)} ${whatOf(region)}`,
    ),
    `${"total".padEnd(33)}      ${cells(total.bytes, total)}`,
  ];
}

function formatPairs({ regions, total }: MemoryMap): string[] {
  const counts = (of: PageCounts): string => {
    const words = COLUMNS.flatMap(([, key]) => (of[key] === 0 ? [] : `${formatKib(of[key] * 4)} ${COUNT_WORDS[key]}`));
    return words.length === 0 ? "untouched" : words.join(", ");
  };
  return [
    ...regions.flatMap((region) => [
      `${rangeOf(region)} ${region.rights} ${formatKib((region.end - region.start) / 1024).padStart(7)}  ${whatOf(region)}`,
      `  VMO ${vmoName(region)}: ${counts(region)}`,
    ]),
    `total ${formatBytes(total.bytes)}: ${counts(total)}`,
  ];
}

const COUNT_WORDS: Readonly<Record<keyof PageCounts, string>> = {
  resident: "resident",
  unmapped: "not mapped",
  swapped: "swapped",
  copyOnWrite: "copy-on-write",
  large: "in large pages",
};

function rangeOf({ start, end }: MappedRegion): string {
  return `${formatAddress(start).slice(2)}-${formatAddress(end).slice(2)}`;
}

/** The VMO, and the family that it is of where it is a copy. */
function vmoName({ vmo, family }: MappedRegion): string {
  return vmo === family ? `${vmo}` : `${vmo} of ${family}`;
}

function whatOf({ file, purpose, pageSize, remarks }: MappedRegion): string {
  const size = pageSize > 4096 ? [`pages of ${formatSize(pageSize)}`] : [];
  const notes = [...size, ...remarks];
  return `${file ?? `[${purpose}]`}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`;
}

function formatKib(kib: number): string {
  return kib === 0 ? "-" : `${kib}K`;
}

/** KiB, or MiB with one digit after the point from 1 MiB on. */
export function formatBytes(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
