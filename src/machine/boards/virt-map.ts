/**
 * The physical address map and interrupt numbers of the board `virt` (pictured in virt.ts).
 */

/** Where things are; also what a kernel for this board may take as given. */
export const VIRT = {
  test: 0x10_0000,
  rtc: 0x10_1000,
  rtcIrq: 11,
  clint: 0x200_0000,
  sswi: 0x2f0_0000,
  plic: 0xc00_0000,
  uart: 0x1000_0000,
  uartIrq: 10,
  virtio: 0x1000_1000,
  virtioStride: 0x1000,
  virtioSlots: 8,
  virtioIrq: 1,
  ram: 0x8000_0000,
  /** Ticks per second of mtime and of the time CSR. */
  timebaseHz: 10_000_000,
  maxHarts: 8,
} as const;
