// Where a mapping goes: the very place, a hint, or the highest gap that is large enough.
//
//   minimum ........ [image] [heap] ....gap.... [library] ..gap.. [thread stack] | mmapTop .. guard gap | [stack] userTop
//                                                                 <── searched downwards from here
//
// Linux mm/mmap.c: get_unmapped_area, thp_get_unmapped_area; mmap(2).

import { pageAlignUp, pageBase, pageOffset, PAGE_SIZE, virtAddr, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import { findHighestGap, findRegionAtOrAbove, STACK_GUARD_GAP } from "./region-tree.ts";
import type { AddressSpace } from "./types.ts";

/** What a mapping asks of its place. */
export interface PlaceRequest {
  /** A hint, or with `fixed` the very place. Page-aligned. */
  readonly address?: VirtAddr | number | undefined;
  readonly fixed?: "replace" | "no-replace" | undefined;
  /** Where to look for a place when the hint is not free; default: below the space's mmap top. */
  readonly within?: Bounds | undefined;
  /** Bytes that the place must be a multiple of; default: a page. */
  readonly alignment?: number | undefined;
  /** Bytes that it had better be a multiple of, where there is no hint. */
  readonly preferredAlignment?: number | undefined;
}

export interface Bounds {
  readonly start: number;
  readonly end: number;
}

/**
 * The place of a new mapping of `length` bytes. EINVAL for an unaligned fixed place, ENOMEM for one that does not exist or where there is
 * no room, EEXIST for a taken one with "no-replace".
 */
export function choosePlace(k: Kernel, space: AddressSpace, request: PlaceRequest, length: number): VirtAddr | Errno {
  const { address, fixed, within, alignment = PAGE_SIZE, preferredAlignment = alignment } = request;
  if (fixed !== undefined) {
    if (address !== undefined && address % alignment !== 0) return "EINVAL";
    const range = checkRange(k, address ?? -1, length);
    if (range === "EINVAL") return "ENOMEM";
    if (fixed === "no-replace" && !isFree(space, range.start, range.end)) return "EEXIST";
    return range.start;
  }
  if (address !== undefined && address >= PAGE_SIZE) {
    const wanted = Math.max(pageBase(address), k.state.memory.settings.minimumAddress);
    const hint = Math.ceil(wanted / alignment) * alignment;
    if (hasRoom(k, space, hint, hint + length)) return virtAddr(hint);
  } else if (preferredAlignment > alignment) {
    const preferred = findGap(k, space, length, within, preferredAlignment);
    if (preferred !== "ENOMEM") return preferred;
  }
  return findGap(k, space, length, within, alignment);
}

/** A free range of `length` bytes, top-down within bounds or below the space's mmap top; clear of the guard gap below stacks. */
export function findGap(
  k: Kernel,
  space: AddressSpace,
  length: number,
  within?: Bounds,
  alignment: number = PAGE_SIZE,
): VirtAddr | "ENOMEM" {
  const { minimumAddress } = k.state.memory.settings;
  const { userTop } = k.arch.layout;
  const start = Math.max(within?.start ?? 0, minimumAddress, PAGE_SIZE);
  const end = Math.min(within?.end ?? space.mmapTop, userTop);
  const found =
    findHighestGap(space, length, { start, end }, alignment) ??
    // Nothing below the stack: as on Linux, whatever there is.
    (within === undefined ? findHighestGap(space, length, { start, end: userTop }, alignment) : undefined);
  return found === undefined ? "ENOMEM" : virtAddr(found);
}

/** Whether a mapping may lie, or grow, there: nothing is mapped, and the next region up keeps its guard gap. */
export function hasRoom(k: Kernel, space: AddressSpace, from: number, to: number): boolean {
  if (to > k.arch.layout.userTop) return false;
  const next = findRegionAtOrAbove(space, from);
  return next === undefined || next.start - (next.growsDown ? STACK_GUARD_GAP : 0) >= to;
}

/** EINVAL for a range that is unaligned, empty or not wholly below the user top. */
export function checkRange(k: Kernel, address: number, length: number): { start: VirtAddr; end: VirtAddr } | "EINVAL" {
  const size = pageAlignUp(length);
  const isGood = pageOffset(address) === 0 && address >= 0 && size > 0 && address + size <= k.arch.layout.userTop;
  return isGood ? { start: virtAddr(address), end: virtAddr(address + size) } : "EINVAL";
}

function isFree(space: AddressSpace, start: number, end: number): boolean {
  const next = findRegionAtOrAbove(space, start);
  return next === undefined || next.start >= end;
}
