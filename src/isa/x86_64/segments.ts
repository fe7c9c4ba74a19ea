// Selectors, segment and gate descriptors, the task-state segment.
//
//     31      24 23 22 21 20 19    16 15 14 13 12 11   8 7        0
//    +----------+--+--+--+---+-------+--+-----+--+------+----------+
//    |base 31-24|G |DB|L |AVL|lim    |P | DPL |S | type |base 23-16|   second word; the attributes are its bits 8-23,
//    +----------+--+--+--+---+-------+--+-----+--+------+----------+   so type is bits 0-3, S 4, … G 15
//    |         base 15-0             |         limit 15-0          |   first word
//    +-------------------------------+-----------------------------+
//
// Intel SDM volume 3, 3.4.2 (selectors), 3.4.5 (segment descriptors), 3.5 (system descriptors), 6.14 (64-bit IDT), 7.7
// (64-bit TSS).

/** A selector: index, table indicator, requested privilege level. */
export const SELECTOR = { RPL: 3, TI: 1 << 2, INDEX_SHIFT: 3, INDEX: 0xfff8 } as const;

/** Attributes of a segment: bits 8-23 of the descriptor's second word. Bits 8-11, which are of the limit, are 0. */
export const ATTRIBUTE = {
  TYPE: 0xf,
  /** Types of code and data (S = 1). */
  ACCESSED: 1 << 0,
  /** Data: writable. Code: readable. */
  WRITABLE: 1 << 1,
  READABLE: 1 << 1,
  /** Data: the limit is the lowest valid offset less one. Code: conforming. */
  EXPAND_DOWN: 1 << 2,
  CONFORMING: 1 << 2,
  CODE: 1 << 3,
  /** Code or data; 0 for system descriptors. */
  S: 1 << 4,
  DPL_SHIFT: 5,
  DPL: 3 << 5,
  P: 1 << 7,
  AVL: 1 << 12,
  /** 64-bit code. */
  L: 1 << 13,
  /** 32-bit code, stack or bounds. */
  DB: 1 << 14,
  /** The limit counts 4-KiB pages. */
  G: 1 << 15,
} as const;

/** Types of system descriptors (S = 0); in long mode only these exist, and they are 16 bytes long. */
export const SYSTEM_TYPE = {
  ldt: 2,
  availableTss: 9,
  busyTss: 11,
  callGate: 12,
  interruptGate: 14,
  trapGate: 15,
} as const;

/** Turns an availableTss into a busyTss. */
export const TSS_BUSY = 1 << 1;

/** A gate's second word: type and DPL lie as in a descriptor; bits 0-2 choose an IST stack. Word 2 is offset 63-32. */
export const GATE = { IST: 7, TYPE_SHIFT: 8, DPL_SHIFT: 13, P: 1 << 15, OFFSET_HIGH: 0xffff0000 | 0 } as const;
export const GATE_SIZE_64 = 16;

/** Offsets in the 64-bit TSS. */
export const TSS64 = {
  /** rsp0, rsp1, rsp2: 8 bytes each. */
  rsp0: 4,
  /** ist1 … ist7: 8 bytes each. */
  ist1: 36,
  ioMapBase: 102,
  size: 104,
} as const;

/** Offsets in the 32-bit TSS, as far as interrupts use them. */
export const TSS32 = { esp0: 4, ss0: 8, ioMapBase: 102, size: 104 } as const;
