// Addresses as plain JavaScript numbers, kept apart by brands.
//
//   virtual   a canonical 64-bit address, sign-extended, is exactly a JS number:
//             the lower half is [0, 2^47), the upper half [-2^47, 0), the top page [-4096, 0).
//             Half-open ranges therefore never overflow.
//   physical  0 .. 2^56 - 1
//   frame     physical address / 4096

declare const brand: unique symbol;

/** A canonical virtual address in bytes, sign-extended (negative in the upper half). */
export type VirtAddr = number & { readonly [brand]: "VirtAddr" };
/** A physical address in bytes. */
export type PhysAddr = number & { readonly [brand]: "PhysAddr" };
/** A physical frame number: physical address / 4096. */
export type FrameNumber = number & { readonly [brand]: "FrameNumber" };

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;

/** Marks a number that is known to be canonical (a constant, a sum within a region). */
export const virtAddr = (value: number): VirtAddr => value as VirtAddr;
export const physAddr = (value: number): PhysAddr => value as PhysAddr;
export const frameOf = (address: PhysAddr): FrameNumber => Math.floor(address / PAGE_SIZE) as FrameNumber;
export const frameAddress = (frame: FrameNumber): PhysAddr => (frame * PAGE_SIZE) as PhysAddr;

/** The page that holds `address`. */
export const pageBase = (address: number): VirtAddr => (address - pageOffset(address)) as VirtAddr;
/** Byte offset of `address` in its page, 0..4095; right for negative addresses too. */
export const pageOffset = (address: number): number => ((address % PAGE_SIZE) + PAGE_SIZE) % PAGE_SIZE;
export const pageAlignUp = (value: number): number => Math.ceil(value / PAGE_SIZE) * PAGE_SIZE;

/**
 * The canonical check: two raw register words as a virtual address, or undefined where bits 63..`bits`-1 are not all equal.
 * `bits` is the width of a virtual address: 39 for Sv39, 48 for Sv48 and four-level x86-64.
 */
export function virtAddrFromWords(hi: number, lo: number, bits: number): VirtAddr | undefined {
  const sign = hi >> (bits - 33);
  if (sign !== 0 && sign !== -1) return undefined;
  return (hi * 0x1_0000_0000 + (lo >>> 0)) as VirtAddr;
}
