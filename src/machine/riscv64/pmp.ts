/**
 * Physical memory protection. RISC-V privileged architecture, "Physical Memory Protection".
 *
 * Sixteen entries; the lowest-numbered that matches any byte of an access decides, and it must match all of them.
 *
 *     pmpcfg byte   L 7 | - | A 4..3 | X 2 | W 1 | R 0
 *     A   OFF       matches nothing
 *         TOR       [the entry before's address, pmpaddr << 2)
 *         NA4       4 bytes at pmpaddr << 2
 *         NAPOT     trailing ones of pmpaddr tell the size: …0 8 bytes, …01 16, …
 *
 * An access that no entry matches is allowed in M-mode, and denied elsewhere once any entry exists, which here they do.
 */
import { PMP_MATCH, PMPCFG, PMPCFG_A_SHIFT } from "../../isa/riscv64/csrs.ts";
import { toUnsignedNumber } from "../../lib/word64.ts";
import type { AccessType } from "../hart.ts";
import type { Privilege } from "./hart.ts";
import { CELL } from "./layout.ts";
import type { Registers } from "./registers.ts";

export const PMP_ENTRIES = 16;

const PERMISSION: Readonly<Record<AccessType, number>> = { load: PMPCFG.R, store: PMPCFG.W, execute: PMPCFG.X };

/** The configuration byte of an entry. */
export function pmpConfig(registers: Registers, entry: number): number {
  return (registers.get(CELL.pmpcfg + (entry & ~3)) >>> ((entry & 3) * 8)) & 0xff;
}

/** pmpaddr << 2 of an entry, in bytes. */
function addressOf(registers: Registers, entry: number): number {
  const cell = CELL.pmpaddr + entry * 8;
  return toUnsignedNumber(registers.get(cell + 4), registers.get(cell)) * 4;
}

/** Bytes of a NAPOT range: 8 for a pmpaddr that ends in 0, twice as much for each trailing one. */
function napotSize(registers: Registers, entry: number): number {
  const cell = CELL.pmpaddr + entry * 8;
  const lo = registers.get(cell);
  const ones = lo !== -1 ? 31 - Math.clz32(~lo & -~lo) : 32 + trailingOnes(registers.get(cell + 4));
  return 2 ** (ones + 3);
}

const trailingOnes = (word: number): number => 31 - Math.clz32(~word & -~word);

/** The active entries, with what they cover; made again whenever a register of the PMP changes. */
export interface PmpMap {
  /** In order of priority. [start, end) may be empty. */
  readonly ranges: readonly { readonly start: number; readonly end: number; readonly config: number }[];
  /** Whether everything may be accessed by everyone: the usual case, when firmware opens all of memory with one entry. */
  readonly isOpen: boolean;
}

export const NO_PMP: PmpMap = { ranges: [], isOpen: false };

const ALL = PMPCFG.R | PMPCFG.W | PMPCFG.X;

export function readPmp(registers: Registers): PmpMap {
  const ranges: { start: number; end: number; config: number }[] = [];
  for (let entry = 0; entry < PMP_ENTRIES; entry++) {
    const config = pmpConfig(registers, entry);
    const match = (config & PMPCFG.A) >> PMPCFG_A_SHIFT;
    if (match === PMP_MATCH.off) continue;
    let start = addressOf(registers, entry);
    let end = start + 4;
    if (match === PMP_MATCH.tor) {
      end = start;
      start = entry === 0 ? 0 : addressOf(registers, entry - 1);
    } else if (match === PMP_MATCH.napot) {
      const size = napotSize(registers, entry);
      start = Math.floor(start / size) * size;
      end = start + size;
    }
    ranges.push({ start, end, config });
  }
  const [first] = ranges;
  const isOpen = first !== undefined && first.start === 0 && first.end >= 2 ** 56 && (first.config & ALL) === ALL;
  return { ranges, isOpen };
}

/** Whether all of [address, address + length) may be accessed. */
export function pmpAllows(
  map: PmpMap,
  address: number,
  length: number,
  access: AccessType,
  privilege: Privilege,
): boolean {
  if (map.isOpen) return true;
  for (const { start, end, config } of map.ranges) {
    if (address >= end || address + length <= start) continue;
    if (address < start || address + length > end) return false;
    if (privilege === 3 && (config & PMPCFG.L) === 0) return true;
    return (config & PERMISSION[access]) !== 0;
  }
  return privilege === 3;
}

/** Whether every byte of the page has the same answer, so that a TLB entry may stand for it. */
export function pmpIsUniform(map: PmpMap, page: number): boolean {
  if (map.isOpen) return true;
  for (const { start, end } of map.ranges) {
    if (start <= page && page + 4096 <= end) return true;
    if (start < page + 4096 && page < end && start < end) return false;
  }
  return true;
}
