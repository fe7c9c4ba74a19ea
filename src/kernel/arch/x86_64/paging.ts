// Four-level paging as a page-table format.
//
//   63 62     52 51                         12 11 9 8  7  6 5  4   3  2 1 0
//  +--+---------+-----------------------------+----+-+--+-+-+---+---+-+-+-+
//  |NX|    0    |        frame number         | sw |G|PS|D|A|PCD|PWT|U|W|P|      PS: the entry is a leaf above the last level
//  +--+---------+-----------------------------+----+-+--+-+-+---+---+-+-+-+      (on the last level the bit is PAT)
//   hi: 31 NX, 19..0 = frame 39..20            lo: 31..12 = frame 19..0
//
// Intel SDM volume 3, 4.5 and 4.6. U and W are ANDed and NX is ORed down the walk, so a table's entry allows what any page below it
// may: W always, U in the user half. A present page can be read; one that may be executed only does not exist. The frame is in bits
// 12..51: NX is no part of it (K9).

import type { FrameNumber } from "../../../lib/address.ts";
import {
  CR3,
  levelShift,
  levelSize,
  LEVELS,
  PTE,
  PTE_HI,
  TABLE_NAMES,
  VIRTUAL_ADDRESS_BITS,
} from "../../../isa/x86_64/paging.ts";
import type { TlbEntry } from "../../../machine/hart.ts";
import type { PageTableFormat, PteFlags, PteView } from "../arch.ts";

const LEVEL_NAMES = ["4 KiB", "2 MiB", "1 GiB", "512 GiB"];
const FRAME_SHIFT = 12;
/** Frame numbers from here on have bits in the high half. */
const HIGH_FRAME = 2 ** (32 - FRAME_SHIFT);

/** Letters of bits 0 to 8, then NX; bit 7 of a leaf of the last level is PAT. */
const LETTERS = "PWUTCADSG";

export const fourLevel: PageTableFormat = {
  name: "x86-64 4-level",
  virtualBits: VIRTUAL_ADDRESS_BITS,
  levels: Array.from({ length: LEVELS }, (_, level) => ({
    shift: levelShift(level),
    size: levelSize(level),
    leafAllowed: level < LEVELS - 1,
    name: LEVEL_NAMES[level] ?? "",
    tableName: TABLE_NAMES[level] ?? "",
  })),
  entriesPerTable: 512,
  executeImpliesRead: true,
  writeBit: PTE.W,
  view,
  frame,
  isValid: (_hi, lo) => (lo & PTE.P) !== 0,
  isLeaf,
  allowsUser(hi, lo, access) {
    const needed = PTE.P | PTE.U | (access === "write" ? PTE.W : 0);
    return (lo & needed) === needed && (access !== "execute" || (hi & PTE_HI.NX) === 0);
  },
  encodeTable(target, user, out) {
    encode(target, PTE.P | PTE.W | (user ? PTE.U : 0), 0, out);
  },
  encodeLeaf(target, flags, level, out) {
    encode(target, encodeFlags(flags) | (level > 0 ? PTE.PS : 0), flags.execute ? 0 : PTE_HI.NX, out);
  },
  flagLetters(hi, lo, level) {
    const letters = [...LETTERS].map((letter, bit) => {
      if ((lo & (1 << bit)) === 0) return "-";
      return level === 0 && letter === "S" ? "M" : letter;
    });
    return letters.join("") + (hi & PTE_HI.NX ? "N" : "-");
  },
};

/** What the CR3 of a TLB entry names. */
export function tablesOf({ space }: TlbEntry): { root: FrameNumber; asid: number } | undefined {
  const root = frame(space.hi, space.lo);
  return root === 0 ? undefined : { root, asid: space.lo & CR3.PCID };
}

function isLeaf(_hi: number, lo: number, level: number): boolean {
  return (lo & PTE.P) !== 0 && (level === 0 || (level < LEVELS - 1 && (lo & PTE.PS) !== 0));
}

function view(hi: number, lo: number, level: number): PteView {
  if ((lo & PTE.P) === 0) return { kind: "vacant" };
  if (!isLeaf(hi, lo, level)) return { kind: "table", frame: frame(hi, lo) };
  return { kind: "leaf", frame: frame(hi, lo), flags: decodeFlags(hi, lo) };
}

function frame(hi: number, lo: number): FrameNumber {
  const low = lo >>> FRAME_SHIFT;
  // Below 4 GiB all of the frame number is in the low half: no multiplication on the hot path.
  const high = hi & PTE_HI.ADDRESS;
  return (high === 0 ? low : high * HIGH_FRAME + low) as FrameNumber;
}

function encode(target: FrameNumber, flags: number, highFlags: number, out: Int32Array): void {
  out[0] = (target << FRAME_SHIFT) | flags;
  out[1] = Math.floor(target / HIGH_FRAME) | highFlags;
}

function encodeFlags(flags: PteFlags): number {
  return (
    PTE.P |
    (flags.write ? PTE.W : 0) |
    (flags.user ? PTE.U : 0) |
    (flags.global ? PTE.G : 0) |
    (flags.accessed ? PTE.A : 0) |
    (flags.dirty ? PTE.D : 0)
  );
}

function decodeFlags(hi: number, lo: number): PteFlags {
  return {
    read: true,
    write: (lo & PTE.W) !== 0,
    execute: (hi & PTE_HI.NX) === 0,
    user: (lo & PTE.U) !== 0,
    global: (lo & PTE.G) !== 0,
    accessed: (lo & PTE.A) !== 0,
    dirty: (lo & PTE.D) !== 0,
  };
}
