// The page-table editor: one for every format (arch/arch.ts PageTableFormat).
//
//   virtual address, Sv39          38      30 29      21 20      12 11            0
//                                 +----------+----------+----------+---------------+
//                                 | index L2 | index L1 | index L0 |  page offset  |
//                                 +----------+----------+----------+---------------+
//   root frame ──[index L2]──> table ──[index L1]──> table ──[index L0]──> leaf: 4 KiB page
//                    └ leaf: 1 GiB          └ leaf: 2 MiB
//
// Tables are frames of 512 eight-byte entries in simulated memory. An entry is vacant, a pointer to a table one level down, or a
// leaf. Tables are made on demand. Every edit takes a Flush (flush.ts); INV-3: no PTE edit goes unflushed.
//
// The machine's walker is written apart from this and shares only bit numbers: it is the oracle in the tests.

import {
  frameAddress,
  PAGE_SIZE,
  physAddr,
  virtAddr,
  type FrameNumber,
  type PhysAddr,
  type VirtAddr,
} from "../../lib/address.ts";
import type { PageTableFormat, PageTableLevel, PteFlags } from "../arch/arch.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import { flushAll, flushGrownPage, flushPage, releaseAfterFlush, type Flush } from "./flush.ts";
import { allocateFrame, releaseFrame } from "./frames.ts";
import type { AddressSpace } from "./types.ts";

/** An entry that is not vacant, as `visitEntries` shows it. */
export interface Entry {
  /** First address that it translates. */
  readonly address: VirtAddr;
  readonly level: number;
  /** Where the entry itself lies. */
  readonly location: PhysAddr;
  readonly hi: number;
  readonly lo: number;
  readonly isLeaf: boolean;
}

/** What `query` finds. */
export interface Translation {
  readonly physical: PhysAddr;
  /** First frame of the page, which may be a large one. */
  readonly frame: FrameNumber;
  readonly flags: PteFlags;
  readonly level: number;
}

/** Where an address leads, and with which rights; undefined where it is not mapped. */
export function query(k: Kernel, space: AddressSpace, address: VirtAddr): Translation | undefined {
  const location = findEntry(k, space, address);
  const level = foundLevel;
  const view = k.arch.format.view(k.memory.read32(location + 4), k.memory.read32(location), level);
  if (view.kind !== "leaf") return undefined;
  const { size } = levelOf(k.arch.format, level);
  const physical = physAddr(frameAddress(view.frame) + (address - Math.floor(address / size) * size));
  return { physical, frame: view.frame, flags: view.flags, level };
}

/** Level of the entry that the last `findEntry` returned. */
export let foundLevel = 0;

/** The entry at which the walk for `address` ends: a leaf, or a vacant one. Its level is left in `foundLevel`. */
export function findEntry(k: Kernel, space: AddressSpace, address: VirtAddr): PhysAddr {
  const { memory } = k;
  const { format } = k.arch;
  const { levels } = format;
  let table: number = frameAddress(space.root);
  for (let level = levels.length - 1; ; level--) {
    const location = table + indexOf(levelOf(format, level), address) * 8;
    foundLevel = level;
    if (level === 0) return physAddr(location);
    const lo = memory.read32(location);
    const hi = memory.read32(location + 4);
    if (!format.isValid(hi, lo) || format.isLeaf(hi, lo, level)) return physAddr(location);
    table = format.frame(hi, lo) * PAGE_SIZE;
  }
}

/**
 * Maps [address, address + length) to the contiguous frames from `frame` on, each step with the largest page that alignment and
 * length allow. On ENOMEM, what was mapped before stays mapped.
 */
export function mapContiguous(
  k: Kernel,
  space: AddressSpace,
  address: VirtAddr,
  frame: FrameNumber,
  length: number,
  flags: PteFlags,
  flush: Flush,
): 0 | "ENOMEM" {
  const { format } = k.arch;
  let offset = 0;
  while (offset < length) {
    const at = virtAddr(address + offset);
    const physical = frameAddress(frame) + offset;
    const level = largestLevel(format, at, physical, length - offset);
    if (mapLeaf(k, space, at, (physical / PAGE_SIZE) as FrameNumber, level, flags, flush) === "ENOMEM") return "ENOMEM";
    offset += levelOf(format, level).size;
  }
  return 0;
}

/** Maps one 4 KiB page, in place of what was there. */
export function mapPage(
  k: Kernel,
  space: AddressSpace,
  address: VirtAddr,
  frame: FrameNumber,
  flags: PteFlags,
  flush: Flush,
): 0 | "ENOMEM" {
  return mapLeaf(k, space, address, frame, 0, flags, flush);
}

/**
 * Maps those of `count` pages from `address` on that are vacant and for which `frameOf` has a frame. The range does not leave a table of
 * pages; where that table is not there, nothing is mapped. Nothing is to be flushed.
 */
export function mapVacant(
  k: Kernel,
  space: AddressSpace,
  address: VirtAddr,
  count: number,
  frameOf: (index: number) => FrameNumber | undefined,
  flags: PteFlags,
): void {
  const { format } = k.arch;
  const first = findEntry(k, space, address);
  if (foundLevel !== 0) return;
  let mapped = 0;
  for (let i = 0; i < count; i++) {
    const location = physAddr(first + i * 8);
    if (format.isValid(k.memory.read32(location + 4), k.memory.read32(location))) continue;
    const frame = frameOf(i);
    if (frame === undefined) continue;
    format.encodeLeaf(frame, flags, 0, words);
    writeEntry(k, space, location, virtAddr(address + i * PAGE_SIZE), 0);
    mapped += 1;
  }
  countResident(k, space, address, mapped);
}

/** Maps one large page, whose address and frame are aligned to the size of a leaf of `level`, in place of whatever was there. */
export function mapLarge(
  k: Kernel,
  space: AddressSpace,
  address: VirtAddr,
  frame: FrameNumber,
  level: number,
  flags: PteFlags,
  flush: Flush,
): 0 | "ENOMEM" {
  findEntry(k, space, address);
  if (foundLevel < level) unmap(k, space, address, virtAddr(address + levelOf(k.arch.format, level).size), flush);
  return mapLeaf(k, space, address, frame, level, flags, flush);
}

/**
 * Clears every leaf in [start, end), and frees the tables that it covers wholly. Large pages at its ends are split; in the range of
 * programs, one that no frame is free to split goes whole: what is left of it comes back by faults.
 */
export function unmap(k: Kernel, space: AddressSpace, start: VirtAddr, end: VirtAddr, flush: Flush): 0 | "ENOMEM" {
  return editLeaves(k, space, start, end, flush, removeLeaf);
}

/**
 * Gives the leaves in [start, end) new flags, or removes those for which `change` returns undefined. Large pages that stick out
 * are split, or go, as `unmap` has it; on ENOMEM (outside the range of programs), pages before the large one are changed.
 */
export function updateFlags(
  k: Kernel,
  space: AddressSpace,
  start: VirtAddr,
  end: VirtAddr,
  change: (flags: PteFlags, frame: FrameNumber) => PteFlags | undefined,
  flush: Flush,
): 0 | "ENOMEM" {
  return editLeaves(k, space, start, end, flush, change);
}

/**
 * Gives `child`, whose tables are empty in [start, end), the leaves that `parent` has there, without the right to write, which
 * the parent loses too. On ENOMEM some are given.
 */
export function shareRange(
  k: Kernel,
  parent: AddressSpace,
  child: AddressSpace,
  start: VirtAddr,
  end: VirtAddr,
  flush: Flush,
): 0 | "ENOMEM" {
  const top = k.arch.format.levels.length - 1;
  const tables = { from: frameAddress(parent.root), to: frameAddress(child.root) };
  return shareTable(k, parent, child, tables, top, start, end, flush);
}

/** Every entry that is not vacant, tables before what lies below them: lower half first, each in order of address. */
export function visitEntries(k: Kernel, space: AddressSpace, visit: (entry: Entry) => void): void {
  const half = 2 ** (k.arch.format.virtualBits - 1);
  visitRange(k, space, virtAddr(0), virtAddr(half), visit);
  visitRange(k, space, virtAddr(-half), virtAddr(0), visit);
}

/** As `visitEntries`, for the entries that translate some address of [start, end), a range within one half. */
export function visitRange(
  k: Kernel,
  space: AddressSpace,
  start: VirtAddr,
  end: VirtAddr,
  visit: (entry: Entry) => void,
): void {
  visitTable(k, frameAddress(space.root), k.arch.format.levels.length - 1, start, end, visit);
}

/** Frees every table of the space, root included. The leaves' frames are their owners' business. */
export function freeTables(k: Kernel, space: AddressSpace): void {
  freeTable(k, space.root, k.arch.format.levels.length - 1);
  space.tablePages = 0;
  space.residentPages = 0;
}

function freeTable(k: Kernel, table: FrameNumber, level: number): void {
  const { format } = k.arch;
  if (level > 0) {
    const entries = readTable(k, frameAddress(table), level);
    for (let at = 0; at < entries.length; at += 2) {
      const lo = entries[at] ?? 0;
      if (lo === 0) continue; // vacant in every format
      const hi = entries[at + 1] ?? 0;
      if (format.isValid(hi, lo) && !format.isLeaf(hi, lo, level)) freeTable(k, format.frame(hi, lo), level - 1);
    }
  }
  releaseFrame(k, table);
}

/** A copy of a table's entries, lo before hi: one for each level, which the next call for that level overwrites. */
const tableCopies: { readonly bytes: Uint8Array; readonly entries: Int32Array }[] = [];

/** Reading all of a table is quicker than looking at a few dozen of its entries: 0.2 µs. */
function readTable(k: Kernel, table: PhysAddr, level: number): Int32Array {
  const { bytes, entries } = (tableCopies[level] ??= createTableCopy());
  k.memory.readInto(table, bytes);
  return entries;
}

function createTableCopy(): (typeof tableCopies)[number] {
  const entries = new Int32Array(PAGE_SIZE / 4);
  return { bytes: new Uint8Array(entries.buffer), entries };
}

type LeafChange = (flags: PteFlags, frame: FrameNumber) => PteFlags | undefined;
const removeLeaf: LeafChange = () => undefined;

/** Scratch for the encoders: lo, hi. Never read across calls. */
const words = new Int32Array(2);

function mapLeaf(
  k: Kernel,
  space: AddressSpace,
  address: VirtAddr,
  frame: FrameNumber,
  level: number,
  flags: PteFlags,
  flush: Flush,
): 0 | "ENOMEM" {
  const { format } = k.arch;
  const location = ensureEntry(k, space, address, level, flush);
  if (location === "ENOMEM") return "ENOMEM";
  const lo = k.memory.read32(location);
  const hi = k.memory.read32(location + 4);
  if (format.isValid(hi, lo)) {
    const old = format.view(hi, lo, level);
    if (old.kind !== "leaf") throw new KernelBug("a large page over a table: unmap first");
    if (old.frame === frame && hasAll(flags, old.flags)) flushGrownPage(flush, address);
    else flushPage(flush, address);
  } else {
    countResident(k, space, address, levelOf(format, level).size / PAGE_SIZE);
  }
  format.encodeLeaf(frame, flags, level, words);
  writeEntry(k, space, location, address, level);
  return 0;
}

/** The entry of `address` at `level`, with the tables above it made as needed. */
function ensureEntry(
  k: Kernel,
  space: AddressSpace,
  address: VirtAddr,
  level: number,
  flush: Flush,
): PhysAddr | "ENOMEM" {
  const { format } = k.arch;
  let table: number = frameAddress(space.root);
  for (let at = format.levels.length - 1; ; at--) {
    const row = levelOf(format, at);
    const location = physAddr(table + indexOf(row, address) * 8);
    if (at === level) return location;
    const first = virtAddr(Math.floor(address / row.size) * row.size);
    if (format.isLeaf(k.memory.read32(location + 4), k.memory.read32(location), at)) {
      const split = splitLeaf(k, space, location, first, at, flush);
      if (split === "ENOMEM") return "ENOMEM";
      table = split * PAGE_SIZE;
    } else {
      const below = ensureTable(k, space, location, first, at);
      if (below === "ENOMEM") return "ENOMEM";
      table = below;
    }
  }
}

/** Puts a table of 512 smaller leaves in place of a large one. */
function splitLeaf(
  k: Kernel,
  space: AddressSpace,
  location: PhysAddr,
  address: VirtAddr,
  level: number,
  flush: Flush,
): FrameNumber | "ENOMEM" {
  const { format } = k.arch;
  const view = format.view(k.memory.read32(location + 4), k.memory.read32(location), level);
  if (view.kind !== "leaf") throw new KernelBug("split of something else than a leaf");
  const table = allocateFrame(k, "page-table");
  if (table === "ENOMEM") return "ENOMEM";
  space.tablePages += 1;
  k.state.memory.statistics.largePagesSplit += 1;
  const { size } = levelOf(format, level - 1);
  for (let index = 0; index < format.entriesPerTable; index++) {
    format.encodeLeaf((view.frame + index * (size / PAGE_SIZE)) as FrameNumber, view.flags, level - 1, words);
    writeEntry(k, space, physAddr(table * PAGE_SIZE + index * 8), virtAddr(address + index * size), level - 1);
  }
  format.encodeTable(table, address >= 0, words);
  writeEntry(k, space, location, address, level);
  flushPage(flush, address);
  return table;
}

function editLeaves(
  k: Kernel,
  space: AddressSpace,
  start: VirtAddr,
  end: VirtAddr,
  flush: Flush,
  change: LeafChange,
): 0 | "ENOMEM" {
  const { format } = k.arch;
  const top = format.levels.length - 1;
  return editTable(k, space, frameAddress(space.root), top, start, end, flush, change);
}

/** Edits the entries of one table that translate [start, end), a range that does not leave the table. */
function editTable(
  k: Kernel,
  space: AddressSpace,
  table: number,
  level: number,
  start: number,
  end: number,
  flush: Flush,
  change: LeafChange,
): 0 | "ENOMEM" {
  const { memory } = k;
  const { format } = k.arch;
  const row = levelOf(format, level);
  if (level === 0 && change === removeLeaf) {
    removePages(k, space, physAddr(table + indexOf(row, start) * 8), start, end, flush);
    return 0;
  }
  for (let base = Math.floor(start / row.size) * row.size; base < end; base += row.size) {
    const location = physAddr(table + indexOf(row, base) * 8);
    const lo = memory.read32(location);
    const hi = memory.read32(location + 4);
    if (!format.isValid(hi, lo)) continue;
    const isCovered = base >= start && base + row.size <= end;
    const isLeaf = format.isLeaf(hi, lo, level);
    if (isLeaf && isCovered) {
      editLeaf(k, space, location, virtAddr(base), level, flush, change);
      continue;
    }
    const below = isLeaf ? splitLeaf(k, space, location, virtAddr(base), level, flush) : format.frame(hi, lo);
    if (below === "ENOMEM") {
      if (base < 0 || base >= k.arch.layout.userTop) return "ENOMEM";
      editLeaf(k, space, location, virtAddr(base), level, flush, removeLeaf);
      continue;
    }
    const from = Math.max(start, base);
    const to = Math.min(end, base + row.size);
    if (editTable(k, space, below * PAGE_SIZE, level - 1, from, to, flush, change) === "ENOMEM") return "ENOMEM";
    if (isCovered && change === removeLeaf) {
      words.fill(0);
      writeEntry(k, space, location, virtAddr(base), level);
      space.tablePages -= 1;
      // A flush of one address says nothing of entries above the last level (RISC-V privileged architecture, "Supervisor Memory-Management
      // Fence Instruction"): a hart that caches those must not walk into the table once it is another's.
      flushAll(flush);
      releaseAfterFlush(flush, below);
    }
  }
  return 0;
}

/** Shares the entries of one table that translate [start, end), a range that does not leave the table. */
function shareTable(
  k: Kernel,
  parent: AddressSpace,
  child: AddressSpace,
  tables: { readonly from: number; readonly to: number },
  level: number,
  start: number,
  end: number,
  flush: Flush,
): 0 | "ENOMEM" {
  if (level === 0) return sharePages(k, parent, child, tables, start, end, flush);
  const { memory } = k;
  const { format } = k.arch;
  const row = levelOf(format, level);
  let leaves = 0;
  for (let base = Math.floor(start / row.size) * row.size; base < end; base += row.size) {
    const offset = indexOf(row, base) * 8;
    const lo = memory.read32(tables.from + offset);
    const hi = memory.read32(tables.from + offset + 4);
    if (!format.isValid(hi, lo)) continue;
    if (format.isLeaf(hi, lo, level)) {
      const shared = lo & ~format.writeBit;
      words[0] = shared;
      words[1] = hi;
      if (shared !== lo) {
        writeEntry(k, parent, physAddr(tables.from + offset), virtAddr(base), level);
        flushPage(flush, virtAddr(base));
      }
      writeEntry(k, child, physAddr(tables.to + offset), virtAddr(base), level);
      leaves += 1;
      continue;
    }
    const below = ensureTable(k, child, physAddr(tables.to + offset), virtAddr(base), level);
    if (below === "ENOMEM") return "ENOMEM";
    const next = { from: format.frame(hi, lo) * PAGE_SIZE, to: below };
    const result = shareTable(
      k,
      parent,
      child,
      next,
      level - 1,
      Math.max(start, base),
      Math.min(end, base + row.size),
      flush,
    );
    if (result === "ENOMEM") return "ENOMEM";
  }
  child.residentPages += leaves * (row.size / PAGE_SIZE);
  return 0;
}

/** As `shareTable`, for a table of 4-KiB pages: all of its entries are moved at once, 4 times as fast as one by one. */
function sharePages(
  k: Kernel,
  parent: AddressSpace,
  child: AddressSpace,
  tables: { readonly from: number; readonly to: number },
  start: number,
  end: number,
  flush: Flush,
): 0 {
  const { format } = k.arch;
  const row = levelOf(format, 0);
  const offset = indexOf(row, start) * 8;
  const count = (end - start) / PAGE_SIZE;
  const { bytes, entries } = (tableCopies[0] ??= createTableCopy());
  const range = bytes.subarray(0, count * 8);
  k.memory.readInto(tables.from + offset, range);
  let leaves = 0;
  let weakened = 0;
  for (let i = 0; i < count; i++) {
    const lo = entries[2 * i] ?? 0;
    const hi = entries[2 * i + 1] ?? 0;
    if (!format.isValid(hi, lo)) continue;
    leaves += 1;
    const shared = lo & ~format.writeBit;
    const address = virtAddr(start + i * PAGE_SIZE);
    if (shared !== lo) {
      entries[2 * i] = shared;
      weakened += 1;
      flushPage(flush, address);
      k.probes.pteWrite?.(parent, address, 0, hi, shared);
    }
    k.probes.pteWrite?.(child, address, 0, hi, shared);
  }
  if (weakened > 0) k.memory.write(tables.from + offset, range);
  if (leaves > 0) k.memory.write(tables.to + offset, range);
  child.residentPages += leaves;
  return 0;
}

/** Address of the table that an entry, which is no leaf, points to; made where the entry is vacant. */
function ensureTable(
  k: Kernel,
  space: AddressSpace,
  location: PhysAddr,
  address: VirtAddr,
  level: number,
): PhysAddr | "ENOMEM" {
  const { format } = k.arch;
  const lo = k.memory.read32(location);
  const hi = k.memory.read32(location + 4);
  if (format.isValid(hi, lo)) return frameAddress(format.frame(hi, lo));
  const made = allocateFrame(k, "page-table");
  if (made === "ENOMEM") return "ENOMEM";
  space.tablePages += 1;
  format.encodeTable(made, address >= 0, words);
  writeEntry(k, space, location, address, level);
  return frameAddress(made);
}

/** Clears the entries of the 4-KiB pages in [start, end), which are those of one table from `location` on. */
function removePages(
  k: Kernel,
  space: AddressSpace,
  location: PhysAddr,
  start: number,
  end: number,
  flush: Flush,
): void {
  const { format } = k.arch;
  const count = (end - start) / PAGE_SIZE;
  const { bytes, entries } = (tableCopies[0] ??= createTableCopy());
  k.memory.readInto(location, bytes.subarray(0, count * 8));
  let removed = 0;
  for (let i = 0; i < count; i++) {
    if (!format.isValid(entries[2 * i + 1] ?? 0, entries[2 * i] ?? 0)) continue;
    const address = virtAddr(start + i * PAGE_SIZE);
    removed += 1;
    flushPage(flush, address);
    k.probes.pteWrite?.(space, address, 0, 0, 0);
  }
  if (removed === 0) return;
  k.memory.fill(location, count * 8, 0);
  countResident(k, space, virtAddr(start), -removed);
}

function editLeaf(
  k: Kernel,
  space: AddressSpace,
  location: PhysAddr,
  address: VirtAddr,
  level: number,
  flush: Flush,
  change: LeafChange,
): void {
  const { format } = k.arch;
  const view = format.view(k.memory.read32(location + 4), k.memory.read32(location), level);
  if (view.kind !== "leaf") throw new KernelBug("edit of something else than a leaf");
  const flags = change === removeLeaf ? undefined : change(view.flags, view.frame);
  if (flags !== undefined && hasAll(flags, view.flags)) flushGrownPage(flush, address);
  else flushPage(flush, address);
  if (flags === undefined) {
    words.fill(0);
    countResident(k, space, address, -levelOf(format, level).size / PAGE_SIZE);
  } else {
    format.encodeLeaf(view.frame, flags, level, words);
  }
  writeEntry(k, space, location, address, level);
}

/** Whether whoever could access the page with the flags `old` can do so with `flags`, in the same ways. */
function hasAll(flags: PteFlags, old: PteFlags): boolean {
  return (
    (flags.read || !old.read) &&
    (flags.write || !old.write) &&
    (flags.execute || !old.execute) &&
    flags.user === old.user &&
    flags.global === old.global &&
    (flags.accessed || !old.accessed) &&
    (flags.dirty || !old.dirty)
  );
}

function visitTable(
  k: Kernel,
  table: number,
  level: number,
  start: number,
  end: number,
  visit: (entry: Entry) => void,
): void {
  const { memory } = k;
  const { format } = k.arch;
  const row = levelOf(format, level);
  for (let base = Math.floor(start / row.size) * row.size; base < end; base += row.size) {
    const location = physAddr(table + indexOf(row, base) * 8);
    const lo = memory.read32(location);
    const hi = memory.read32(location + 4);
    if (!format.isValid(hi, lo)) continue;
    const isLeaf = format.isLeaf(hi, lo, level);
    visit({ address: virtAddr(base), level, location, hi, lo, isLeaf });
    if (isLeaf) continue;
    const below = frameAddress(format.frame(hi, lo));
    visitTable(k, below, level - 1, Math.max(start, base), Math.min(end, base + row.size), visit);
  }
}

/** Stores `words` as the entry at `location`. */
function writeEntry(k: Kernel, space: AddressSpace, location: PhysAddr, address: VirtAddr, level: number): void {
  const [lo = 0, hi = 0] = words;
  k.memory.write32(location, lo);
  k.memory.write32(location + 4, hi);
  k.probes.pteWrite?.(space, address, level, hi, lo);
}

/** Only what a program can see counts as resident: not its trapframes and the trampoline. */
function countResident(k: Kernel, space: AddressSpace, address: VirtAddr, pages: number): void {
  if (address >= 0 && address < k.arch.layout.userTop) space.residentPages += pages;
}

function largestLevel(format: PageTableFormat, address: number, physical: number, length: number): number {
  for (let level = format.levels.length - 1; level > 0; level--) {
    const { size, leafAllowed } = levelOf(format, level);
    if (leafAllowed && length >= size && Number.isInteger(address / size) && Number.isInteger(physical / size))
      return level;
  }
  return 0;
}

function levelOf(format: PageTableFormat, level: number): PageTableLevel {
  const row = format.levels[level];
  if (row === undefined) throw new KernelBug(`no page-table level ${level}`);
  return row;
}

/** Index into a table: `&` takes the number modulo 2^32, which keeps the nine bits right for negative addresses too. */
function indexOf(level: PageTableLevel, address: number): number {
  return Math.floor(address / level.size) & 511;
}
