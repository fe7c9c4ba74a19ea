// The page-table tree of an address space, as data and as text, read from the raw bytes in simulated memory.
//
//   L2[  0] 0x0000000000000000  table 0x87ffb
//     L1[  0] 0x0000000000000000  table 0x87ffa
//       L0[ 16] 0x0000000000010000  0x0000000087f3c000   4K  VR-XU-A-  text  copy-on-write x2
//
// The walk stands apart from the kernel's page-table editor: it shares only the format descriptor.

import { findRegion, regionsOf } from "../kernel/mem/region-tree.ts";
import type { AddressSpace, Region } from "../kernel/mem/types.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { formatState, leafState, unmappedRuns, type LeafState } from "./page-state.ts";

/** One valid entry of a table, or a run of neighbouring leaf entries of one region that show neighbouring frames in the same state. */
export interface PageTableEntry {
  readonly level: number;
  readonly levelName: string;
  readonly index: number;
  /** Canonical virtual address of the first byte it covers. */
  readonly address: number;
  /** Bytes that one entry covers. */
  readonly size: number;
  readonly kind: "table" | "leaf";
  /** Physical address of the table or of the first byte. */
  readonly physical: number;
  /** Flag letters in the format's own order, "-" for a clear flag. */
  readonly flags: string;
  /** Entries in the run: 1 for a table. */
  readonly count: number;
  /** Leaves of a program's regions: the region's start, and who holds the frames. */
  readonly regionStart?: number;
  readonly pages?: LeafState;
  readonly children: readonly PageTableEntry[];
}

/** Reads the whole tree. A table outside RAM (a corrupt entry) is shown without children. */
export function readPageTable(k: Kernel, space: AddressSpace): PageTableEntry[] {
  const format = k.arch.format;
  const readTable = (physical: number, level: number, base: number): PageTableEntry[] => {
    const shape = format.levels[level];
    if (shape === undefined || !k.memory.contains(physical, 4096)) return [];
    const size = 2 ** shape.shift;
    const entries: PageTableEntry[] = [];
    for (let index = 0; index < format.entriesPerTable; index++) {
      const lo = k.memory.read32(physical + index * 8);
      const hi = k.memory.read32(physical + index * 8 + 4);
      const view = format.view(hi, lo, level);
      if (view.kind === "vacant") continue;
      const address = canonical(base + index * size, format.virtualBits);
      const target = view.frame * 4096;
      const flags = format.flagLetters(hi, lo, level);
      const children = view.kind === "table" ? readTable(target, level - 1, base + index * size) : [];
      const region = view.kind === "leaf" ? findRegion(space, address) : undefined;
      const entry: PageTableEntry = {
        level,
        levelName: shape.tableName,
        index,
        address,
        size,
        kind: view.kind,
        physical: target,
        flags,
        count: 1,
        children,
        ...(region === undefined
          ? {}
          : { regionStart: region.start, pages: leafState(k, region, address, view.frame, size / 4096) }),
      };
      const previous = entries.at(-1);
      if (previous !== undefined && entry.kind === "leaf" && continues(previous, entry)) {
        entries[entries.length - 1] = { ...previous, count: previous.count + 1 };
      } else entries.push(entry);
    }
    return entries;
  };
  return readTable(space.root * 4096, format.levels.length - 1, 0);
}

function continues(run: PageTableEntry, next: PageTableEntry): boolean {
  return isAlike(run, next) && run.physical + run.count * run.size === next.physical;
}

/** Whether a leaf follows a run, with the same flags and in the same state, wherever its frame is. */
function isAlike(run: PageTableEntry, next: PageTableEntry): boolean {
  return (
    run.kind === "leaf" &&
    run.flags === next.flags &&
    run.address + run.count * run.size === next.address &&
    run.regionStart === next.regionStart &&
    stateText(run) === stateText(next)
  );
}

function stateText({ pages }: PageTableEntry): string {
  return pages === undefined ? "" : formatState(pages);
}

function canonical(address: number, bits: number): number {
  return address >= 2 ** (bits - 1) ? address - 2 ** bits : address;
}

/** What the levels' entries cover, from the root down: "L2 1G, L1 2M, L0 4K". */
export function describeLevels(k: Kernel): string {
  return k.arch.format.levels
    .map(({ shift, tableName }) => `${tableName} ${formatSize(2 ** shift)}`)
    .reverse()
    .join(", ");
}

/** Lines of fewer characters than this have addresses of 12 and 10 digits and no columns after the flags. */
const WIDE = 110;

/** The tree as text, a line an entry or a run of leaves that are alike, each with what it belongs to and who holds its frames. */
export function formatPageTable(k: Kernel, space: AddressSpace, width = WIDE): string {
  const isWide = width >= WIDE;
  const physical = (address: number): string => formatAddress(address, isWide ? 14 : 10);
  const lines: string[] = [];
  const print = (entries: readonly PageTableEntry[], depth: number): void => {
    for (const { entry, runs } of joinAlike(entries)) {
      const position = `${"  ".repeat(depth)}${entry.levelName}[${String(entry.index).padStart(3)}] ${formatAddress(entry.address, isWide ? 16 : 12)}`;
      if (entry.kind === "table") {
        lines.push(`${position}  table ${physical(entry.physical)}`);
        print(entry.children, depth + 1);
        continue;
      }
      const run = entry.count === 1 ? "" : ` x${entry.count}`;
      const size = formatSize(entry.size).padStart(4);
      const owner = describeOwner(k, space, entry).padEnd(isWide ? 12 : 0);
      lines.push(
        `${position}  ${physical(entry.physical)} ${size}${run.padEnd(6)} ${entry.flags}  ${owner}  ${stateText(entry)}${runs > 1 ? `, frames in ${runs} runs` : ""}`.trimEnd(),
      );
    }
  };
  print(readPageTable(k, space), 0);
  return lines.join("\n");
}

/** Leaves that are alike as one, which has the frame of the first; `runs` says in how many runs their frames lie. */
function joinAlike(entries: readonly PageTableEntry[]): { entry: PageTableEntry; runs: number }[] {
  const joined: { entry: PageTableEntry; runs: number }[] = [];
  for (const entry of entries) {
    const last = joined.at(-1);
    if (last !== undefined && isAlike(last.entry, entry)) {
      last.entry = { ...last.entry, count: last.entry.count + entry.count };
      last.runs += 1;
    } else joined.push({ entry, runs: 1 });
  }
  return joined;
}

/** Pages that exist and that the table does not show, a line a run; empty when there are none. */
export function formatUnmapped(k: Kernel, space: AddressSpace): string {
  return unmappedRuns(k, space)
    .map(({ address, pages, kind, device, devicePage, regionStart }) => {
      const region = findRegion(space, regionStart);
      const last = (devicePage ?? 0) + pages - 1;
      const slots =
        kind === "resident" ? "" : `: /dev/${device ?? ""} page ${devicePage ?? 0}${pages > 1 ? `-${last}` : ""}`;
      const name = region === undefined ? "" : regionName(region);
      return `${formatAddress(address)} ${`x${pages}`.padEnd(6)} ${name.padEnd(12)}  ${kind}${slots}`;
    })
    .join("\n");
}

/** The region of a leaf, or which of the kernel's own pages it is. */
function describeOwner(k: Kernel, space: AddressSpace, leaf: PageTableEntry): string {
  const region = regionAt(space, leaf.address);
  if (region !== undefined) return regionName(region);
  if (leaf.count > 1) return "";
  const shared = k.state.memory.sharedPages.find(({ frame }) => leaf.physical === frame * 4096);
  if (shared !== undefined) return `(${shared.name})`;
  return [...k.state.threads.values()].some((thread) => thread.trapframe === leaf.physical) ? "(trapframe)" : "";
}

/** The regions of the space, as /proc/PID/maps shows them but with sizes and resident pages. */
export function formatRegions(k: Kernel, space: AddressSpace): string {
  const tree = readPageTable(k, space);
  const rows = [...regionsOf(space)].map((region) => {
    const resident = residentPages(tree, region);
    return `${formatAddress(region.start)}-${formatAddress(region.end)} ${regionRights(region)} ${formatSize(region.end - region.start).padStart(8)} ${String(
      resident,
    ).padStart(6)} resident  ${regionName(region)}`;
  });
  return rows.join("\n");
}

/** rwxp, as /proc/PID/maps has it. */
export function regionRights({ protection, sharing }: Region): string {
  const { read, write, execute } = protection;
  return `${read ? "r" : "-"}${write ? "w" : "-"}${execute ? "x" : "-"}${sharing === "shared" ? "s" : "p"}`;
}

/** Pages of the region that have a valid leaf entry in the tree. */
export function residentPages(tree: readonly PageTableEntry[], region: Region): number {
  let pages = 0;
  const count = (entries: readonly PageTableEntry[]): void => {
    for (const entry of entries) {
      if (entry.kind === "table") {
        count(entry.children);
        continue;
      }
      const start = Math.max(entry.address, region.start);
      const end = Math.min(entry.address + entry.count * entry.size, region.end);
      if (end > start) pages += (end - start) / 4096;
    }
  };
  count(tree);
  return pages;
}

export function regionAt(space: AddressSpace, address: number): Region | undefined {
  return findRegion(space, address);
}

/** What a region is, in a word or by its file. */
export function regionName(region: Region): string {
  return region.file === undefined ? `[${region.purpose}]` : region.file.path;
}

/** "0x" and at least `digits` hex digits; a negative address in two's complement over 64 bits. */
export function formatAddress(address: number, digits = 16): string {
  const hi = Math.floor(address / 2 ** 32) >>> 0;
  const lo = address >>> 0;
  const text = hi.toString(16).padStart(8, "0") + (lo % 2 ** 32).toString(16).padStart(8, "0");
  return `0x${text.replace(/^0+/, "").padStart(digits, "0")}`;
}

/** 4K, 2M, 1G: the largest unit that divides the size. */
export function formatSize(bytes: number): string {
  if (bytes >= 2 ** 30 && bytes % 2 ** 30 === 0) return `${bytes / 2 ** 30}G`;
  if (bytes >= 2 ** 20 && bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20}M`;
  return `${Math.ceil(bytes / 1024)}K`;
}
