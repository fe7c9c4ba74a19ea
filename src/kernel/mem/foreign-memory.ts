// A program's memory as a debugger sees it: whatever its protection, through its VMOs. proc_pid_mem(5); Linux: mm/gup.c, FOLL_FORCE.
//
//   read    any page of a region; one that is not there yet reads as what a fault would bring
//   write   private memory: the space gets a copy of its own, also of a page that it may not write (a breakpoint in code)
//           shared memory: only where the region may be written

import {
  frameAddress,
  PAGE_SIZE,
  pageBase,
  pageOffset,
  physAddr,
  virtAddr,
  type FrameNumber,
} from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { finishFlush, newFlush } from "./flush.ts";
import { slotAt } from "./page-map.ts";
import { query, unmap } from "./page-table.ts";
import { vmoPageOrReclaim } from "./reclaim.ts";
import { findRegion } from "./region-tree.ts";
import type { AddressSpace } from "./types.ts";

/** Copies memory at `address` to `target`, up to the first page that cannot be had; returns how many bytes. */
export function readForeign(k: Kernel, space: AddressSpace, address: number, target: Uint8Array): number {
  return transfer(target.length, address, (at, from, to) => {
    const frame = foreignPage(k, space, at, "read");
    if (frame === undefined) return false;
    if (frame === "zero") target.fill(0, from, to);
    else k.memory.readInto(physAddr(frameAddress(frame) + pageOffset(at)), target.subarray(from, to));
    return true;
  });
}

/** Stores bytes at `address`, up to the first page that cannot be had; returns how many. */
export function writeForeign(k: Kernel, space: AddressSpace, address: number, bytes: Uint8Array): number {
  return transfer(bytes.length, address, (at, from, to) => {
    const frame = foreignPage(k, space, at, "write");
    if (frame === undefined || frame === "zero") return false;
    k.memory.write(physAddr(frameAddress(frame) + pageOffset(at)), bytes.subarray(from, to));
    return true;
  });
}

/** Calls `move` for the part of each page; it returns false to stop. */
function transfer(length: number, address: number, move: (at: number, from: number, to: number) => boolean): number {
  let done = 0;
  while (done < length) {
    const count = Math.min(length - done, PAGE_SIZE - pageOffset(address + done));
    if (!move(address + done, done, done + count)) break;
    done += count;
  }
  return done;
}

function foreignPage(
  k: Kernel,
  space: AddressSpace,
  address: number,
  access: "read" | "write",
): FrameNumber | "zero" | undefined {
  const region = findRegion(space, address);
  if (region === undefined || region.vmo.source.kind === "physical") return undefined;
  const { vmo, sharing, protection, maximum } = region;
  if (access === "write" && !(sharing === "private" ? maximum.write : protection.write)) return undefined;
  const page = pageBase(address);
  const index = region.vmoOffsetPages + (page - region.start) / PAGE_SIZE;
  if (index >= vmo.lengthPages) return undefined;
  if (access === "read" && vmo.source.kind === "zero" && slotAt(vmo.pages, index) === 0) return "zero";
  const frame = vmoPageOrReclaim(k, vmo, index, access);
  if (typeof frame === "string") return undefined;
  // What the space has mapped there may be the frame that others share: the next access finds the copy by a fault.
  const mapped = access === "write" ? query(k, space, page) : undefined;
  if (mapped !== undefined && Math.floor(mapped.physical / PAGE_SIZE) !== frame) {
    const flush = newFlush(k, space);
    const done = unmap(k, space, page, virtAddr(page + PAGE_SIZE), flush);
    finishFlush(k, flush, "foreign write");
    if (done !== 0) return undefined;
  }
  return frame;
}
