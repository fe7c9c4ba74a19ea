// Sv39 and Sv48 as page-table formats.
//
//   63      54 53                               10 9  8 7 6 5 4 3 2 1 0
//  +----------+-----------------------------------+----+-+-+-+-+-+-+-+-+
//  | reserved |     physical page number (44)     | sw |D|A|G|U|X|W|R|V|
//  +----------+-----------------------------------+----+-+-+-+-+-+-+-+-+
//             hi: 21..0 = PPN 43..22   lo: 31..10 = PPN 21..0
//
// RISC-V privileged architecture, Sv39: a valid PTE with R = W = X = 0 points to the next table; W without R is reserved, so
// a writable page is readable; A, D and U of a pointer are reserved and stay 0. The physical address of a PTE is (pte >> 10) << 12.

import type { FrameNumber } from "../../../lib/address.ts";
import {
  levelShift,
  levelSize,
  PTE,
  PTE_HI,
  PTE_PPN_SHIFT,
  SATP_MODE,
  SV39,
  SV48,
  type PagingScheme,
} from "../../../isa/riscv64/paging.ts";
import { SATP_HI, SATP_HI_SHIFT } from "../../../isa/riscv64/csrs.ts";
import { toNumber } from "../../../lib/word64.ts";
import type { TlbEntry } from "../../../machine/hart.ts";
import type { PageTableFormat, PteFlags, PteView } from "../arch.ts";

const RWX = PTE.R | PTE.W | PTE.X;
const LEVEL_NAMES = ["4 KiB", "2 MiB", "1 GiB", "512 GiB"];

export const sv39: PageTableFormat = createFormat(SV39);
export const sv48: PageTableFormat = createFormat(SV48);

function createFormat(scheme: PagingScheme): PageTableFormat {
  return {
    name: scheme.name,
    virtualBits: scheme.virtualAddressBits,
    levels: Array.from({ length: scheme.levels }, (_, level) => ({
      shift: levelShift(level),
      size: levelSize(level),
      leafAllowed: true,
      name: LEVEL_NAMES[level] ?? "",
      tableName: `L${level}`,
    })),
    entriesPerTable: 512,
    executeImpliesRead: false,
    writeBit: PTE.W,
    view,
    frame,
    isValid: (_hi, lo) => (lo & PTE.V) !== 0,
    isLeaf: (_hi, lo) => (lo & RWX) !== 0,
    allowsUser(_hi, lo, access) {
      const right = access === "read" ? PTE.R : access === "write" ? PTE.W : PTE.X;
      return (lo & (PTE.V | PTE.U | right)) === (PTE.V | PTE.U | right);
    },
    encodeTable(target, _user, out) {
      encode(target, PTE.V, out);
    },
    encodeLeaf(target, flags, _level, out) {
      encode(target, encodeFlags(flags), out);
    },
    flagLetters(_hi, lo) {
      return [..."VRWXUGAD"].map((letter, bit) => (lo & (1 << bit) ? letter : "-")).join("");
    },
  };
}

/** What the satp of a TLB entry names. */
export function tablesOf({ space: satp }: TlbEntry): { root: FrameNumber; asid: number } | undefined {
  if (satp.hi >>> SATP_HI_SHIFT.MODE === SATP_MODE.bare) return undefined;
  return {
    root: toNumber(satp.hi & SATP_HI.PPN, satp.lo) as FrameNumber,
    asid: (satp.hi & SATP_HI.ASID) >>> SATP_HI_SHIFT.ASID,
  };
}

function view(hi: number, lo: number): PteView {
  if ((lo & PTE.V) === 0) return { kind: "vacant" };
  if ((lo & RWX) === 0) return { kind: "table", frame: frame(hi, lo) };
  return { kind: "leaf", frame: frame(hi, lo), flags: decodeFlags(lo) };
}

function frame(hi: number, lo: number): FrameNumber {
  const low = lo >>> PTE_PPN_SHIFT;
  // Below 16 GiB all of the PPN is in the low half: no multiplication on the hot path.
  const high = hi & PTE_HI.PPN;
  return (high === 0 ? low : high * 2 ** (32 - PTE_PPN_SHIFT) + low) as FrameNumber;
}

function encode(target: FrameNumber, flags: number, out: Int32Array): void {
  out[0] = (target << PTE_PPN_SHIFT) | flags;
  out[1] = Math.floor(target / 2 ** (32 - PTE_PPN_SHIFT));
}

function encodeFlags(flags: PteFlags): number {
  return (
    PTE.V |
    (flags.read || flags.write ? PTE.R : 0) |
    (flags.write ? PTE.W : 0) |
    (flags.execute ? PTE.X : 0) |
    (flags.user ? PTE.U : 0) |
    (flags.global ? PTE.G : 0) |
    (flags.accessed ? PTE.A : 0) |
    (flags.dirty ? PTE.D : 0)
  );
}

function decodeFlags(lo: number): PteFlags {
  return {
    read: (lo & PTE.R) !== 0,
    write: (lo & PTE.W) !== 0,
    execute: (lo & PTE.X) !== 0,
    user: (lo & PTE.U) !== 0,
    global: (lo & PTE.G) !== 0,
    accessed: (lo & PTE.A) !== 0,
    dirty: (lo & PTE.D) !== 0,
  };
}
