// /proc/PID/pagemap: 8 bytes for each virtual page. Linux Documentation/admin-guide/mm/pagemap.rst.
//
//   63 present   62 swapped out   61 file page or shared memory   56 mapped at this place alone   55 soft-dirty: not kept, always 0
//   present: 54..0 frame number, for the superuser; for others 0          swapped out: 54..5 page of the swap area, 4..0 its number

import type { Errno } from "../../../abi/linux/errno.ts";
import { frameOf, PAGE_SIZE, physAddr, virtAddr, type VirtAddr } from "../../../lib/address.ts";
import { writeU32 } from "../../../lib/bytes.ts";
import type { Kernel } from "../../kernel.ts";
import { isRam } from "../../mem/frames.ts";
import { slotAt } from "../../mem/page-map.ts";
import { query } from "../../mem/page-table.ts";
import { findRegion } from "../../mem/regions.ts";
import { locateSlot, MAX_SLOTS } from "../../mem/swap-slots.ts";
import type { AddressSpace } from "../../mem/types.ts";
import type { Process } from "../../process/types.ts";
import { countPlaces } from "./smaps.ts";
import type { Inode } from "../types.ts";

/** Flags in the high word. */
const PRESENT = 0x8000_0000;
const SWAPPED = 0x4000_0000;
const FILE_OR_SHARED = 0x2000_0000;
const EXCLUSIVE = 0x0100_0000;
const SWAP_OFFSET_SHIFT = 5;

/** Reads entries at `offset`; undefined when the inode is not a pagemap. Offsets and lengths are multiples of 8. */
export function readPagemap(
  k: Kernel,
  reader: Process,
  inode: Inode,
  offset: number,
  target: Uint8Array,
): number | Errno | undefined {
  if (inode.content.kind !== "procfs" || inode.content.node.entry !== "pagemap") return undefined;
  const process = k.state.processes.get(inode.content.node.pid ?? 0);
  if (process === undefined || process.state.kind === "zombie") return "ESRCH";
  if (offset % 8 !== 0 || target.length % 8 !== 0) return "EINVAL";
  const showsFrames = reader.credentials.euid === 0;
  const end = k.arch.layout.userTop / PAGE_SIZE;
  let done = 0;
  for (let page = offset / 8; page < end && done < target.length; page++, done += 8) {
    const { high, number } = describePage(k, process.space, virtAddr(page * PAGE_SIZE), showsFrames);
    writeU32(target, done, number % 2 ** 32);
    writeU32(target, done + 4, high + Math.floor(number / 2 ** 32));
  }
  return done;
}

/** Flags, and what the low 55 bits say. */
function describePage(
  k: Kernel,
  space: AddressSpace,
  address: VirtAddr,
  showsFrames: boolean,
): { readonly high: number; readonly number: number } {
  const region = findRegion(space, address);
  if (region === undefined) return { high: 0, number: 0 };
  const index = region.vmoOffsetPages + (address - region.start) / PAGE_SIZE;
  const slot = slotAt(region.vmo.pages, index);
  const found = query(k, space, address);
  if (found === undefined) {
    if (slot >= 0) return { high: 0, number: 0 };
    const { page } = locateSlot(k, -slot - 1);
    const area = Math.floor((-slot - 1) / MAX_SLOTS);
    const high = SWAPPED + (region.sharing === "shared" ? FILE_OR_SHARED : 0);
    return { high, number: page * 2 ** SWAP_OFFSET_SHIFT + area };
  }
  const frame = frameOf(physAddr(found.physical));
  const isOwn = slot === frame;
  const isAnonymous = region.sharing === "private" && (isOwn || frame === k.state.memory.zeroFrame);
  const isAlone = isRam(k, frame) && countPlaces(k, region, index, frame, isOwn) === 1;
  const high = PRESENT + (isAnonymous ? 0 : FILE_OR_SHARED) + (isAlone ? EXCLUSIVE : 0);
  return { high, number: showsFrames ? frame : 0 };
}
