// Page-based virtual memory, Sv39 and Sv48: bit numbers and sizes. No behaviour: the kernel's page-table editor and the
// machine's walker are written apart from each other and share only this.
//
//             47      39 38      30 29      21 20      12 11          0
//            +----------+----------+----------+----------+-------------+
//    Sv48 VA |  VPN[3]  |  VPN[2]  |  VPN[1]  |  VPN[0]  | page offset |   Sv39 has no VPN[3]
//            +----------+----------+----------+----------+-------------+
//
//      63  62  61 60    54 53                              10 9  8 7 6 5 4 3 2 1 0
//     +--+-------+--------+----------------------------------+----+-+-+-+-+-+-+-+-+
//     |N | PBMT  |reserved|               PPN                | RSW|D|A|G|U|X|W|R|V|
//     +--+-------+--------+----------------------------------+----+-+-+-+-+-+-+-+-+
//
// RISC-V privileged architecture, "Sv39: Page-Based 39-bit Virtual-Memory System" and "Sv48".

import { PAGE_SHIFT } from "../../lib/address.ts";

/** Entries of a table, and the bits of a virtual page number that choose one. */
export const PTES_PER_TABLE = 512;
export const VPN_BITS = 9;
export const PTE_SIZE = 8;

/** Flags of a PTE's low half. R = W = X = 0 on a valid PTE is a pointer to the next table; W without R is reserved. */
export const PTE = {
  V: 1 << 0,
  R: 1 << 1,
  W: 1 << 2,
  X: 1 << 3,
  U: 1 << 4,
  G: 1 << 5,
  A: 1 << 6,
  D: 1 << 7,
  RSW: 3 << 8, // for software
} as const;

/** Bit numbers of the flags. */
export const PTE_BIT = { V: 0, R: 1, W: 2, X: 3, U: 4, G: 5, A: 6, D: 7, RSW: 8 } as const;

/** Bits of a PTE's high half. Without Svnapot and Svpbmt, N and PBMT are reserved too: a set bit faults. */
export const PTE_HI = { PPN: 0x3fffff, RESERVED: 0x7f << 22, PBMT: 3 << 29, N: 1 << 31 } as const;

/** The PPN begins at bit 10 of a PTE: physical address = (pte >> 10) << 12. */
export const PTE_PPN_SHIFT = 10;
export const PPN_BITS = 44;

/** satp.MODE. */
export const SATP_MODE = { bare: 0, sv39: 8, sv48: 9 } as const;

/** ASIDs have up to 16 bits. */
export const ASID_BITS = 16;

/** A virtual-memory scheme: the width of a virtual address, and the levels of its tables. */
export interface PagingScheme {
  readonly name: string;
  readonly satpMode: number;
  readonly virtualAddressBits: number;
  readonly levels: number;
}

export const SV39: PagingScheme = { name: "Sv39", satpMode: SATP_MODE.sv39, virtualAddressBits: 39, levels: 3 };
export const SV48: PagingScheme = { name: "Sv48", satpMode: SATP_MODE.sv48, virtualAddressBits: 48, levels: 4 };

/** Where VPN[level] begins in a virtual address; also the log2 of what a leaf at that level maps. Level 0 is the last. */
export const levelShift = (level: number): number => PAGE_SHIFT + VPN_BITS * level;
/** Bytes that a leaf at the level maps: 4 KiB, 2 MiB, 1 GiB, 512 GiB. */
export const levelSize = (level: number): number => 2 ** levelShift(level);
