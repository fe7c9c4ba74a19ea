// Paging in long mode, 4 levels: bit numbers and sizes. No behaviour: the kernel's page-table editor and the machine's
// walker are written apart from each other and share only this.
//
//     63      48 47      39 38      30 29      21 20      12 11          0
//    +----------+----------+----------+----------+----------+-------------+
//    | sign ext.|   PML4   |   PDPT   |    PD    |    PT    | page offset |
//    +----------+----------+----------+----------+----------+-------------+
//
//     63 62 59 58   52 51                      12 11  9 8  7  6 5 4   3   2 1 0
//    +--+-----+-------+--------------------------+-----+-+---+-+-+---+---+-+-+-+
//    |NX| key |ignored|    physical address      | AVL |G|PAT|D|A|PCD|PWT|U|W|P|   of a 4-KiB page
//    +--+-----+-------+--------------------------+-----+-+---+-+-+---+---+-+-+-+
//                                          PAT 12       G  PS=1                    of a 2-MiB or 1-GiB page
//                                                          PS=0                    of a table (bit 7 of a PML4 entry is reserved)
//
// Intel SDM volume 3, 4.5 (4-level paging), 4.6 (access rights), 4.10 (TLBs, PCIDs).

import { PAGE_SHIFT } from "../../lib/address.ts";

/** Entries of a table, and the bits of a virtual address that choose one. */
export const PTES_PER_TABLE = 512;
const LEVEL_BITS = 9;
export const PTE_SIZE = 8;
export const LEVELS = 4;
export const VIRTUAL_ADDRESS_BITS = 48;

/** Flags of an entry's low half. */
export const PTE = {
  P: 1 << 0,
  W: 1 << 1,
  U: 1 << 2,
  PWT: 1 << 3,
  PCD: 1 << 4,
  A: 1 << 5,
  D: 1 << 6,
  /** In an entry of level 1 or 2: it maps a page. */
  PS: 1 << 7,
  /** In an entry of level 0, where PS would be. */
  PAT: 1 << 7,
  G: 1 << 8,
  /** For software. */
  AVL: 7 << 9,
  /** PAT of a large page. The bits from here to the page's size must be 0. */
  PAT_LARGE: 1 << 12,
  ADDRESS: 0xfffff000 | 0,
} as const;

/** Bit numbers of the flags. */
export const PTE_BIT = { P: 0, W: 1, U: 2, PWT: 3, PCD: 4, A: 5, D: 6, PS: 7, G: 8, AVL: 9 } as const;

/** Bits of an entry's high half. NX is reserved while EFER.NXE = 0; AVL and KEY are ignored. */
export const PTE_HI = { ADDRESS: 0xfffff, AVL: 0x7f << 20, KEY: 0xf << 27, NX: 1 << 31 } as const;

/** CR3: the PML4's address, and with CR4.PCIDE the PCID in the low bits. */
export const CR3 = { PWT: 1 << 3, PCD: 1 << 4, PCID: 0xfff, ADDRESS: 0xfffff000 | 0 } as const;
/** Bit 63 of what is written to CR3: keep this PCID's translations. */
export const CR3_HI_NO_FLUSH = 1 << 31;

/** What `invpcid` invalidates, by its register operand. SDM volume 2, INVPCID. */
export const INVPCID = { address: 0, pcid: 1, allWithGlobal: 2, all: 3 } as const;

/**
 * Where the index of a level begins in a virtual address; also the log2 of what a page at that level is. Level 0 is the
 * last.
 */
export const levelShift = (level: number): number => PAGE_SHIFT + LEVEL_BITS * level;
/** Bytes that an entry of the level covers: 4 KiB, 2 MiB, 1 GiB, 512 GiB. Entries of level 3 never map pages. */
export const levelSize = (level: number): number => 2 ** levelShift(level);
/** Names of the tables, by level. */
export const TABLE_NAMES = ["PT", "PD", "PDPT", "PML4"] as const;
