/**
 * The physical address space of a board: RAM plus memory-mapped devices.
 *
 *   0 ......... | test | rtc | CLINT | SSWI | PLIC | UART | virtio 0..7 | ... | RAM .......... |
 *
 * A device is plain functions over plain state. Its registers are reached by naturally aligned loads and stores of
 * 1, 2, 4 or 8 bytes at an offset into its window; anything else is an access fault before the device sees it. What a
 * device may ask of the machine around it is `DeviceServices`, and nothing more.
 */
import type { PhysicalMemory } from "./physical-memory.ts";

export type AccessSize = 1 | 2 | 4 | 8;

/** A loaded value, as two int32 halves; a load of 4 bytes or fewer is zero-extended and leaves `hi` 0. */
export interface BusWord {
  lo: number;
  hi: number;
}

export interface Device {
  /** Unique on its board; names the device in events, snapshots and reports. */
  readonly name: string;
  /** The window [base, base + size) of physical addresses. */
  readonly base: number;
  readonly size: number;
  /** Structured-clonable data, and all of it: a snapshot is its clone, a restore assigns the clone's fields back. */
  readonly state: object;
  /** Loads into `out`; false is an access fault. */
  load(offset: number, size: AccessSize, out: BusWord): boolean;
  /** Stores int32 halves (`hi` counts for 8 bytes only); false is an access fault. */
  store(offset: number, size: AccessSize, lo: number, hi: number): boolean;
  /** An event that this device scheduled has come due. */
  onEvent?(tag: number, atNs: number): void;
  /** Called after `state` was replaced, so that interrupt lines are driven from it again. */
  onRestore?(): void;
}

/** What the machine offers its devices. */
export interface DeviceServices {
  /** Guest RAM, for DMA; the caller checks `contains` first. Writes keep translated code coherent. */
  readonly memory: PhysicalMemory;
  /** Virtual time. */
  timeNs(): number;
  /** Asks for `onEvent(tag)` of the device at `atNs` (at once, when that has passed); one pending event per tag, the later call wins. */
  schedule(atNs: number, device: string, tag: number): void;
  cancel(device: string, tag: number): void;
  /**
   * Drives an interrupt line of a hart. RISC-V: bit of `mip` (3 MSIP, 7 MTIP, 1 SSIP, 9 SEIP, 11 MEIP); x86-64: REQUEST of
   * x86_64/local-apic-port.ts.
   */
  setInterrupt(hart: number, line: number, level: boolean): void;
  /** The hart whose access reaches the device now. */
  runningHart(): number;
  /** Stops the machine after the current instruction. */
  halt(reason: HaltReason, status: number): void;
}

export type HaltReason = "power-off" | "failure" | "reset";

/** The port space of x86, beside the physical address space: what `in` and `out` reach. A port without a device reads all ones. */
export interface PortSpace {
  readonly devices: readonly Device[];
  /** Throws when the window overlaps another device, or the name is taken. */
  attach(device: Device): void;
  /** A device that knows no access of that size gets one for each byte. */
  load(port: number, size: 1 | 2 | 4): number;
  store(port: number, size: 1 | 2 | 4, value: number): void;
}

export interface Bus {
  readonly memory: PhysicalMemory;
  readonly ports: PortSpace;
  readonly devices: readonly Device[];
  /** Throws when the window overlaps RAM or another device, or the name is taken. */
  attach(device: Device): void;
  /** A load or store anywhere in the physical address space, RAM included; false is an access fault. */
  load(address: number, size: AccessSize, out: BusWord): boolean;
  store(address: number, size: AccessSize, lo: number, hi: number): boolean;
}
