/**
 * The physical address map, ports and interrupt numbers of the board `microvm` (pictured in microvm.ts).
 */

/** Where things are; also what a kernel for this board may take as given. */
export const MICROVM = {
  ram: 0,
  /** Above it come devices. */
  maxRamSize: 3 * 2 ** 30,
  virtio: 0xfeb0_0000,
  virtioStride: 0x1000,
  virtioSlots: 8,
  /** Pin of the I/O APIC of the first slot. */
  virtioIrq: 16,
  ioApic: 0xfec0_0000,
  /** Each hart sees its own there. */
  localApic: 0xfee0_0000,
  uartPort: 0x3f8,
  uartIrq: 4,
  rtcPort: 0x70,
  debugExitPort: 0xf4,
  /** What the machine tells of itself. */
  fwCfgPort: 0x510,
  /** 16 bits: a write with bit 13 (SLP_EN) set powers off. */
  powerPort: 0x604,
  /** 8 bits: a write with bit 2 set resets. */
  resetPort: 0xcf9,
  /** The time-stamp counter and the local APIC's timer (before its divider) count nanoseconds. */
  timerHz: 1_000_000_000,
  maxHarts: 8,
} as const;
