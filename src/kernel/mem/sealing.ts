// mseal: regions that stay what they are until the program is replaced. mseal(2); Linux: Documentation/userspace-api/mseal.rst.
//
//   refused in a sealed region (EPERM)   unmapping and mapping over it, mprotect, mremap, moving the break below it
//                                        advice that takes pages away, where the program could not write them itself
//   still allowed                        locks, faults, other advice; a forked child's regions are sealed too

import type { Errno } from "../../abi/linux/errno.ts";
import * as abi from "../../abi/linux/memory.ts";
import { virtAddr } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { changeRegion, checkRange, isolate, mappedBytes, mergeAround, regionsOf } from "./regions.ts";
import type { AddressSpace, Region } from "./types.ts";

/** Seals all of the range. ENOMEM at a gap (nothing is sealed), or where it would cut regions into too many (those before are). */
export function sealRange(k: Kernel, space: AddressSpace, address: number, length: number): 0 | Errno {
  const range = checkRange(k, address, length);
  if (range === "EINVAL" || mappedBytes(space, range.start, range.end) < range.end - range.start) return "ENOMEM";
  let result: 0 | Errno = 0;
  for (const region of [...regionsOf(space, range.start, range.end)]) {
    const start = virtAddr(Math.max(region.start, range.start));
    const part = isolate(k, space, region, start, virtAddr(Math.min(region.end, range.end)));
    if (typeof part === "string") {
      result = part;
      break;
    }
    changeRegion(k, space, part, { sealed: true });
  }
  mergeAround(k, space, range.start, range.end);
  return result;
}

const DISCARDS: ReadonlySet<number> = new Set([
  abi.MADV_FREE,
  abi.MADV_DONTNEED,
  abi.MADV_DONTNEED_LOCKED,
  abi.MADV_REMOVE,
  abi.MADV_DONTFORK,
  abi.MADV_WIPEONFORK,
]);

/** Whether the seal forbids this advice: it would change what the region shows, which the program may not do by writing. */
export function forbidsAdvice({ sealed, file, sharing, protection }: Region, advice: number): boolean {
  return sealed && DISCARDS.has(advice) && file === undefined && sharing === "private" && !protection.write;
}
