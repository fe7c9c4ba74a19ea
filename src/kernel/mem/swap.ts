// Swapping: pages of private and shared memory on a block device of the host, and back.
//
//   page map of each holder   [ … frame 1234 … ]  ──swapOut──>  [ … -(slot + 1) … ]  ──swapIn──>  [ … frame 777 … ]
//                                                     │ write           │ uses: holders      │ read, checksum
//                                                     v                 v                    v
//                                                  device            SwapArea          swap cache: slot <──> frame
//
// What comes back differs from what was written: an error of the device, EIO, which is SIGBUS for the program that needs the page and
// nobody else's concern. A device whose write fails loses a slot, and the page stays in memory.

import type { Errno } from "../../abi/linux/errno.ts";
import { frameAddress, PAGE_SIZE, type FrameNumber } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { allocateFrame, releaseFrame } from "./frames.ts";
import { setSlot, slotAt } from "./page-map.ts";
import {
  abandonSlot,
  addCached,
  allocateSlot,
  cachedFrame,
  cachedSlot,
  forgetCached,
  isSwapShort,
  locateSlot,
  releaseSlot,
  retainSlot,
} from "./swap-slots.ts";
import type { Vmo } from "./types.ts";
import { holdPage, shareFrame } from "./vmo.ts";

/** Pages around a page that was read which are read too, where they are swapped out: an aligned window. */
const READAHEAD_PAGES = 8;
/** Frames that readahead leaves free. */
const READAHEAD_RESERVE = 64;

/** A page's bytes on their way, and as words for the checksum. Never read across calls. */
const bytes = new Uint8Array(PAGE_SIZE);
const words = new Int32Array(bytes.buffer);

/** Brings a page back whose slot of the page map is `entry` (below 0), and those around it that are swapped out as well. */
export function swapIn(k: Kernel, vmo: Vmo, index: number, entry: number): FrameNumber | Errno {
  const frame = swapInOne(k, vmo, index, entry);
  if (typeof frame === "string") return frame;
  const first = index - (index % READAHEAD_PAGES);
  for (let near = first; near < first + READAHEAD_PAGES; near++) {
    const slot = near === index ? 0 : slotAt(vmo.pages, near);
    if (slot < 0 && k.state.memory.frames.freeCount > READAHEAD_RESERVE) swapInOne(k, vmo, near, slot);
  }
  return frame;
}

function swapInOne(k: Kernel, vmo: Vmo, index: number, entry: number): FrameNumber | Errno {
  const slot = -entry - 1;
  const cached = cachedFrame(k, slot);
  if (cached !== undefined) {
    shareFrame(k, vmo, index, cached);
    releaseSlot(k, slot);
    return cached;
  }
  const frame = allocateFrame(k, "anonymous", "unset");
  if (frame === "ENOMEM") return "ENOMEM";
  const read = readSlot(k, slot);
  if (read !== 0) {
    releaseFrame(k, frame);
    return read;
  }
  k.memory.write(frameAddress(frame), bytes);
  k.state.memory.statistics.swapIns += 1;
  holdPage(k, vmo, index, frame);
  addCached(k, slot, frame);
  releaseSlot(k, slot);
  if (locateSlot(k, slot).area.draining || isSwapShort(k)) forgetCached(k, frame);
  return frame;
}

/**
 * Moves a page out that nothing maps any more: `holders` are all the VMOs that have `frame`, at `index`. ENOSPC without a free slot, EIO
 * where the device fails; then nothing has changed.
 */
export function swapOut(k: Kernel, frame: FrameNumber, holders: readonly Vmo[], index: number): 0 | "ENOSPC" | "EIO" {
  let slot: number | "ENOSPC" | undefined = cachedSlot(k, frame);
  if (slot === undefined) {
    slot = allocateSlot(k);
    if (slot === "ENOSPC") return "ENOSPC";
    if (!writeSlot(k, slot, frame)) {
      abandonSlot(k, slot);
      return "EIO";
    }
    k.state.memory.statistics.swapOuts += 1;
  }
  retainSlot(k, slot, holders.length);
  for (const vmo of holders) setSlot(vmo.pages, index, -slot - 1);
  for (let i = 0; i < holders.length; i++) releaseFrame(k, frame);
  return 0;
}

function writeSlot(k: Kernel, slot: number, frame: FrameNumber): boolean {
  const { area, page } = locateSlot(k, slot);
  k.memory.readInto(frameAddress(frame), bytes);
  area.checksums[page] = checksum();
  return k.host.blockDevices.get(area.device)?.write(page * PAGE_SIZE, bytes) === 0;
}

/** Fills `bytes` from the slot. */
function readSlot(k: Kernel, slot: number): 0 | "EIO" {
  const { area, page } = locateSlot(k, slot);
  const isGood =
    k.host.blockDevices.get(area.device)?.read(page * PAGE_SIZE, bytes) === 0 && area.checksums[page] === checksum();
  if (isGood) return 0;
  k.probes.log?.(`swap: page ${page} of /dev/${area.device} cannot be read back or is not what was written`);
  return "EIO";
}

/** Of the words in `bytes`: a multiplicative hash (Knuth, The Art of Computer Programming, volume 3, 6.4), which any changed bit changes. */
function checksum(): number {
  let sum = 0;
  for (let i = 0; i < words.length; i++) {
    sum = Math.imul(sum ^ (words[i] ?? 0), 0x9e3779b1);
    sum = (sum << 15) | (sum >>> 17);
  }
  return sum >>> 0;
}
