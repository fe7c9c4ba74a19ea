/**
 * Guest RAM as the machine's host side sees it: the kernel, the loader and device DMA read and write through these
 * methods, which keep predecoded code coherent with what they write.
 *
 * Addresses are physical, as JS numbers. An address outside RAM is a bug of the caller and throws a RangeError; ask
 * `contains` first where the guest chose the address. Little-endian throughout; no alignment is asked for.
 */
export interface PhysicalMemory {
  /** RAM is [base, base + size). */
  readonly base: number;
  readonly size: number;
  contains(address: number, length: number): boolean;
  read8(address: number): number;
  read16(address: number): number;
  /** An int32. */
  read32(address: number): number;
  write8(address: number, value: number): void;
  write16(address: number, value: number): void;
  write32(address: number, value: number): void;
  /** A copy. */
  read(address: number, length: number): Uint8Array;
  readInto(address: number, target: Uint8Array): void;
  write(address: number, bytes: Uint8Array): void;
  fill(address: number, length: number, byte: number): void;
  /** Overlapping ranges are copied as if through a buffer. */
  copy(to: number, from: number, length: number): void;
}
