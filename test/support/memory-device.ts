// Block devices in memory, for tests of swap: a good one, and ones that fail.

import type { HostBlockDevice } from "../../src/kernel/host.ts";
import { swapHeader } from "../../src/kernel/mem/swap-areas.ts";

export interface MemoryDevice extends HostBlockDevice {
  readonly bytes: Uint8Array;
  /** Pages written so far. */
  writes: number;
  reads: number;
  /** Pages that cannot be read, and whether nothing can be written. */
  readonly unreadable: Set<number>;
  refusesWrites: boolean;
}

/** A device of `pages` pages with an empty swap area. */
export function createMemoryDevice(pages: number): MemoryDevice {
  const bytes = new Uint8Array(pages * 4096);
  bytes.set(swapHeader(pages));
  const device: MemoryDevice = {
    size: bytes.length,
    bytes,
    writes: 0,
    reads: 0,
    unreadable: new Set(),
    refusesWrites: false,
    read(offset, target) {
      if (device.unreadable.has(offset / 4096)) return "EIO";
      device.reads += 1;
      target.set(bytes.subarray(offset, offset + target.length));
      return 0;
    },
    write(offset, page) {
      if (device.refusesWrites) return "EIO";
      device.writes += 1;
      bytes.set(page, offset);
      return 0;
    },
  };
  return device;
}
