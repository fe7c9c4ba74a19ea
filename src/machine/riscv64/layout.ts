/**
 * Where a hart's state lies in its window (see engine/layout.ts), and what its code frames look like: the predecoded records of a
 * page.
 */
import type { Layout } from "../engine/layout.ts";

/** Byte addresses in the window. `x(0)` always holds 0; what writes x0 goes to `sink`. */
export const CELL = {
  x: 0x100,
  f: 0x200,
  sink: 0x300,
  /** The address of the next instruction, while the hart's state is at rest. */
  pc: 0x310,
  /** The record of that instruction, and what to add to a record's address / 8 to have the address of its instruction. */
  ip: 0x318,
  pcBase: 0x320,
  /** Instructions left; retired = retiredLimit - fuel. */
  fuel: 0x328,
  tlb: 0x32c,
  /** Not 0 while floating-point instructions need no preparation: mstatus.FS is dirty. */
  floatReady: 0x330,
  /** As floatReady, and frm is round-to-nearest-even. */
  floatNearest: 0x334,
  fflags: 0x338,
  frm: 0x33c,
  /** Address in this memory of the reserved word, or 0. */
  reservation: 0x340,
  privilege: 0x344,
  /** Not 0 while waiting in wfi. */
  waiting: 0x348,
  /** A double. */
  retiredLimit: 0x350,
  /** A double: virtual time is retired + this. */
  idleNs: 0x358,
  /** The exact tier's operands (one record), its next pc, and what its memory accesses return. */
  stepRecord: 0x360,
  nextPc: 0x370,
  stepValue: 0x378,
  stepTransferred: 0x380,
  /** Control and status registers, 8 bytes each. */
  mstatus: 0x400,
  mie: 0x408,
  mip: 0x410,
  medeleg: 0x418,
  mideleg: 0x420,
  mtvec: 0x428,
  mscratch: 0x430,
  mepc: 0x438,
  mcause: 0x440,
  mtval: 0x448,
  mcounteren: 0x450,
  menvcfg: 0x458,
  mcountinhibit: 0x460,
  stvec: 0x468,
  scounteren: 0x470,
  senvcfg: 0x478,
  sscratch: 0x480,
  sepc: 0x488,
  scause: 0x490,
  stval: 0x498,
  stimecmp: 0x4a0,
  satp: 0x4a8,
  /** What counters add to their source; while inhibited, their value. */
  mcycle: 0x4b0,
  minstret: 0x4b8,
  pmpcfg: 0x4c0,
  pmpaddr: 0x500,
} as const;

/**
 * A predecoded record, 16 bytes: one for each 2-byte slot of a page.
 *
 *     0     2     4     6     8         12    14   15
 *     +-----+-----+-----+-----+---------+-----+----+------+
 *     | op  | rd  | rs1 | rs2 |   imm   | rs3 | id | size |     rd, rs1, rs2, rs3: addresses of registers in the window
 *     +-----+-----+-----+-----+---------+-----+----+------+
 *
 * Op 0 is "not decoded yet". `id` is the instruction's id in the ISA's table, `size` its length in bytes.
 */
export const RECORD = { op: 0, rd: 2, rs1: 4, rs2: 6, imm: 8, rs3: 12, id: 14, size: 15 } as const;
export const RECORD_SIZE = 16;
/** Slots of a page, which are its records; then come the records of `FRAME_END`. */
export const CODE_SLOTS = 2048;
/**
 * The records after a page's own: "the next page"; the 4-byte instruction that begins in the page's last slot, if it does;
 * and what follows that one, "the next page" again, 2 bytes in.
 */
export const FRAME_END = { nextPage: CODE_SLOTS, straddling: CODE_SLOTS + 1, afterStraddling: CODE_SLOTS + 3 } as const;
export const CODE_FRAME_SIZE = (CODE_SLOTS + 4) * RECORD_SIZE;

/** Pages of predecoded code that are kept: 8 MiB of guest code, in 64 MiB of this memory once all of it was executed. */
const CODE_FRAMES = 2048;

/** Bytes of the code area. */
export const codeBytes = (ramSize: number, codePages: number = CODE_FRAMES): number =>
  Math.max(4, Math.min(codePages, ramSize / 4096)) * CODE_FRAME_SIZE;
export const codeFrameCount = (layout: Layout): number => layout.codeBytes / CODE_FRAME_SIZE;
export const codeFrame = (layout: Layout, index: number): number => layout.codeBase + index * CODE_FRAME_SIZE;
