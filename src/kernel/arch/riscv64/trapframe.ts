// The trapframe page: where a thread's registers lie while it is in the kernel.
//
//     0 kernel satp    8 kernel sp    16 kernel trap    24 epc    32 hart id
//    40 ra   48 sp   56 gp   64 tp   72 t0 … 112 a0 … 168 a7 … 280 t6           register xN at 32 + 8 N
//
// The same layout as xv6's struct trapframe.

import type { PhysAddr } from "../../../lib/address.ts";
import { highHalf, toNumber } from "../../../lib/word64.ts";
import type { PhysicalMemory } from "../../../machine/physical-memory.ts";

/** Byte offsets of the fields that are not user registers. */
export const TRAPFRAME = { kernelSatp: 0, kernelStack: 8, kernelTrap: 16, epc: 24, hartId: 32 } as const;

/** Byte offset of integer register x1..x31. */
export const trapframeOffset = (register: number): number => 32 + 8 * register;

/** A 64-bit field as a JS number: signed, nearest beyond 2^53. */
export function readField(memory: PhysicalMemory, trapframe: PhysAddr, offset: number): number {
  return toNumber(memory.read32(trapframe + offset + 4), memory.read32(trapframe + offset));
}

/** Stores an integer in [-2^63, 2^64) in a 64-bit field. */
export function writeField(memory: PhysicalMemory, trapframe: PhysAddr, offset: number, value: number): void {
  memory.write32(trapframe + offset, value | 0);
  memory.write32(trapframe + offset + 4, highHalf(value));
}
