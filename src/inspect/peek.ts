// Reads user memory as an onlooker: no fault is raised, no page is brought in, no accessed bit is set. A page that the page table
// does not map yet is read from its region's memory object, where that has it; else it is absent.

import type { Kernel } from "../kernel/kernel.ts";
import { frameAt } from "../kernel/mem/page-map.ts";
import { findRegion } from "../kernel/mem/region-tree.ts";
import type { AddressSpace, Vmo } from "../kernel/mem/types.ts";

/** Physical address of a user virtual address, or undefined where no valid user leaf maps it. */
export function translateUser(k: Kernel, space: AddressSpace, address: number): number | undefined {
  const format = k.arch.format;
  if (!(address >= 0 && address < k.arch.layout.userTop)) return undefined;
  let table = space.root * 4096;
  for (let level = format.levels.length - 1; level >= 0; level--) {
    const shape = format.levels[level];
    if (shape === undefined || !k.memory.contains(table, 4096)) return undefined;
    const index = Math.floor(address / 2 ** shape.shift) % format.entriesPerTable;
    const lo = k.memory.read32(table + index * 8);
    const hi = k.memory.read32(table + index * 8 + 4);
    const view = format.view(hi, lo, level);
    if (view.kind === "vacant") return undefined;
    if (view.kind === "table") {
      table = view.frame * 4096;
      continue;
    }
    const physical = view.frame * 4096 + (address % 2 ** shape.shift);
    return view.flags.user && k.memory.contains(physical, 1) ? physical : undefined;
  }
  return undefined;
}

/** Physical address of what a fault at the address would map, without that fault; undefined where the page is not in memory. */
function findUnmapped(space: AddressSpace, address: number): number | undefined {
  const region = findRegion(space, address);
  if (region === undefined || !region.protection.read) return undefined;
  const index = region.vmoOffsetPages + Math.floor((address - region.start) / 4096);
  const frame = findFrame(region.vmo, index);
  return frame === undefined ? undefined : frame * 4096 + (address % 4096);
}

function findFrame({ pages, source }: Vmo, index: number): number | undefined {
  return (
    frameAt(pages, index) ?? (source.kind === "vmo" ? findFrame(source.vmo, source.offsetPages + index) : undefined)
  );
}

/** Up to `length` bytes from `address`; fewer where a page is absent; undefined when not even the first byte is there. */
export function peekUser(k: Kernel, space: AddressSpace, address: number, length: number): Uint8Array | undefined {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const physical = translateUser(k, space, address + done) ?? findUnmapped(space, address + done);
    if (physical === undefined) break;
    const chunk = Math.min(length - done, 4096 - (physical % 4096));
    bytes.set(k.memory.read(physical, chunk), done);
    done += chunk;
  }
  if (done === 0 && length > 0) return undefined;
  return bytes.subarray(0, done);
}

/** A NUL-terminated byte string of at most `limit` bytes, and whether its end was seen. */
export function peekString(
  k: Kernel,
  space: AddressSpace,
  address: number,
  limit: number,
): { bytes: Uint8Array; ended: boolean } | undefined {
  const bytes = peekUser(k, space, address, limit);
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf(0);
  return end < 0 ? { bytes, ended: false } : { bytes: bytes.subarray(0, end), ended: true };
}
