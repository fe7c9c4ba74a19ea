// The page-table tree of an address space, as data and as text, read from the raw bytes in simulated memory.
//
//   L2[  0] 0x0000000000000000  table 0x87ffb
//     L1[  0] 0x0000000000000000  table 0x87ffa
//       L0[ 16] 0x0000000000010000  0x0000000087f3c000   4K  VR-XU-A-  text
//
// The walk stands apart from the kernel's page-table editor: it shares only the format descriptor.

import { findRegion, regionsOf } from "../kernel/mem/region-tree.ts";
import type { AddressSpace, Region } from "../kernel/mem/types.ts";
import type { Kernel } from "../kernel/kernel.ts";

/** One valid entry of a table, or a run of neighbouring leaf entries that show neighbouring frames with the same flags. */
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
      const previous = entries.at(-1);
      if (previous !== undefined && view.kind === "leaf" && continues(previous, address, target, flags)) {
        entries[entries.length - 1] = { ...previous, count: previous.count + 1 };
        continue;
      }
      entries.push({
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
      });
    }
    return entries;
  };
  return readTable(space.root * 4096, format.levels.length - 1, 0);
}

function continues(run: PageTableEntry, address: number, physical: number, flags: string): boolean {
  const bytes = run.count * run.size;
  return (
    run.kind === "leaf" && run.flags === flags && run.address + bytes === address && run.physical + bytes === physical
  );
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

/** The tree as text, a line an entry, each leaf with what it belongs to. */
export function formatPageTable(k: Kernel, space: AddressSpace): string {
  const lines: string[] = [];
  const print = (entries: readonly PageTableEntry[], depth: number): void => {
    for (const entry of entries) {
      const position = `${"  ".repeat(depth)}${entry.levelName}[${String(entry.index).padStart(3)}] ${formatAddress(entry.address)}`;
      if (entry.kind === "table") {
        lines.push(`${position}  table ${formatAddress(entry.physical, 14)}`);
        print(entry.children, depth + 1);
        continue;
      }
      const run = entry.count === 1 ? "" : ` x${entry.count}`;
      lines.push(
        `${position}  ${formatAddress(entry.physical, 14)} ${formatSize(entry.size).padStart(4)}${run.padEnd(6)} ${entry.flags}  ${describeOwner(k, space, entry)}`.trimEnd(),
      );
    }
  };
  print(readPageTable(k, space), 0);
  return lines.join("\n");
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
    const { read, write, execute } = region.protection;
    const rights = `${read ? "r" : "-"}${write ? "w" : "-"}${execute ? "x" : "-"}${region.sharing === "shared" ? "s" : "p"}`;
    return `${formatAddress(region.start)}-${formatAddress(region.end)} ${rights} ${formatSize(region.end - region.start).padStart(8)} ${String(
      resident,
    ).padStart(6)} resident  ${regionName(region)}`;
  });
  return rows.join("\n");
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
