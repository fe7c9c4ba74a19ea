// Swap areas coming into use and going out of it.
//
//   page 0 of the device, as mkswap(8) writes it:
//     1024  version (1)   1028  number of the last page   1032  bad pages (0)   4086  "SWAPSPACE2"        (Linux: union swap_header)

import type { Errno } from "../../abi/linux/errno.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import type { HostBlockDevice } from "../host.ts";
import type { Kernel } from "../kernel.ts";
import { forEachSlot, presentIndices, slotAt } from "./page-map.ts";
import { withReclaim } from "./reclaim.ts";
import { swapIn } from "./swap.ts";
import { createSwapArea, forgetCached, MAX_AREAS, MAX_SLOTS, type SwapArea } from "./swap-slots.ts";

const SIGNATURE = "SWAPSPACE2";
const SIGNATURE_OFFSET = PAGE_SIZE - SIGNATURE.length;
const VERSION_OFFSET = 1024;
const LAST_PAGE_OFFSET = 1028;
/** As mkswap has it. */
export const LEAST_SWAP_PAGES = 10;

/** Pages that one call of swapoff brings back before others get their turn. */
const DRAIN_BATCH = 2048;

/** The first page of an empty area of `pages` pages. */
export function swapHeader(pages: number): Uint8Array {
  const header = new Uint8Array(PAGE_SIZE);
  const view = new DataView(header.buffer);
  view.setUint32(VERSION_OFFSET, 1, true);
  view.setUint32(LAST_PAGE_OFFSET, pages - 1, true);
  for (let i = 0; i < SIGNATURE.length; i++) header[SIGNATURE_OFFSET + i] = SIGNATURE.charCodeAt(i);
  return header;
}

/** Pages of the area whose first page this is; undefined when it is none. */
export function pagesOfHeader(header: Uint8Array): number | undefined {
  if (header.length < PAGE_SIZE) return undefined;
  const signature = String.fromCharCode(...header.subarray(SIGNATURE_OFFSET, PAGE_SIZE));
  const view = new DataView(header.buffer, header.byteOffset, PAGE_SIZE);
  if (signature !== SIGNATURE || view.getUint32(VERSION_OFFSET, true) !== 1) return undefined;
  return view.getUint32(LAST_PAGE_OFFSET, true) + 1;
}

/**
 * Takes a device into use; without a priority it comes after those before it. EBUSY when it is in use, EINVAL when it holds no area or
 * one that is too small or larger than itself, EPERM when there are too many, ENODEV, EIO.
 */
export function swapOn(k: Kernel, device: string, priority?: number): 0 | Errno {
  const { areas } = k.state.memory.swap;
  const port = k.host.blockDevices.get(device);
  if (port === undefined) return "ENODEV";
  if (areas.some((area) => area?.device === device)) return "EBUSY";
  const pages = readPages(port);
  if (typeof pages === "string") return pages;
  const gap = areas.findIndex((area) => area === undefined);
  const number = gap === -1 ? areas.length : gap;
  if (number >= MAX_AREAS) return "EPERM";
  const lowest = Math.min(-1, ...areas.map((area) => area?.priority ?? 0));
  areas[number] = createSwapArea(device, number, pages, priority ?? lowest - 1);
  k.state.memory.reclaim.futileAt = -1;
  return 0;
}

function readPages(port: HostBlockDevice): number | Errno {
  const header = new Uint8Array(PAGE_SIZE);
  if (port.size < PAGE_SIZE) return "EINVAL";
  const read = port.read(0, header);
  if (read !== 0) return read;
  const pages = pagesOfHeader(header) ?? 0;
  return pages >= LEAST_SWAP_PAGES && pages * PAGE_SIZE <= port.size && pages <= MAX_SLOTS ? pages : "EINVAL";
}

/**
 * Takes a device out of use: its pages come back into memory, a batch in each call, "more" until none is left. ENOMEM when memory
 * cannot take them and EIO when one cannot be read: then it stays in use. EINVAL when it is not in use.
 */
export function swapOff(k: Kernel, device: string): 0 | "more" | Errno {
  const { swap, families } = k.state.memory;
  const number = swap.areas.findIndex((area) => area?.device === device);
  const area = swap.areas[number];
  if (area === undefined) return "EINVAL";
  area.draining = true;
  for (const [slot, frame] of [...swap.frames]) if (isIn(area, slot)) forgetCached(k, frame);
  let budget = DRAIN_BATCH;
  for (const family of families.values()) {
    for (const vmo of family.values()) {
      if (vmo.pages.swapped === 0) continue;
      for (const index of presentIndices(vmo.pages)) {
        const entry = slotAt(vmo.pages, index);
        if (entry >= 0 || !isIn(area, -entry - 1)) continue;
        if (budget === 0) return "more";
        budget -= 1;
        const frame = withReclaim(k, () => swapIn(k, vmo, index, entry));
        if (typeof frame === "number") continue;
        area.draining = false;
        return frame;
      }
    }
  }
  swap.areas[number] = undefined;
  while (swap.areas.length > 0 && swap.areas.at(-1) === undefined) swap.areas.pop();
  return 0;
}

/**
 * Areas that somebody had begun to take out of use take pages again: who did so was interrupted or has ended. Others who are at it say so
 * again with their next batch.
 */
export function cancelSwapOff(k: Kernel): void {
  for (const area of k.state.memory.swap.areas) if (area !== undefined) area.draining = false;
}

function isIn(area: SwapArea, slot: number): boolean {
  return slot >= area.firstSlot && slot < area.firstSlot + area.pages;
}

/** Slots of each area that VMOs use, counted anew: for the invariant checker. */
export function countSlotUses(k: Kernel): Map<number, number> {
  const uses = new Map<number, number>();
  for (const family of k.state.memory.families.values()) {
    for (const vmo of family.values()) {
      forEachSlot(vmo.pages, 0, Infinity, (_index, slot) => {
        if (slot < 0) uses.set(-slot - 1, (uses.get(-slot - 1) ?? 0) + 1);
      });
    }
  }
  return uses;
}
