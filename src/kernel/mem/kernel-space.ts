// The kernel's own address space, made once at start-up and never changed.
//
//   direct map      physical memory at arch.layout.directMap, in ranges as the architecture says
//   shared pages    what every space maps: the trampoline, …
//   stacks          one for each hart, an unmapped guard page below it
//
// Memory is all free then: that there is not enough is a bug.

import { frameAddress, PAGE_SIZE, physAddr, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import type { PteFlags } from "../arch/arch.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import { mapSharedPages } from "./address-space.ts";
import { finishFlush, newFlush } from "./flush.ts";
import { allocateFrame, allocateFrames } from "./frames.ts";
import { mapContiguous } from "./page-table.ts";

/** Physical memory from `start` to `end` (exclusive), in the direct map. */
export interface DirectRange {
  readonly start: number;
  readonly end: number;
  readonly flags: PteFlags;
}

/** Where the kernel stacks of harts are. */
export interface KernelStacks {
  readonly frames: number;
  readonly flags: PteFlags;
  /** Lowest address of a hart's stack. */
  baseOf(hart: number): VirtAddr;
}

/** The page of zeros that all untouched memory shows. */
export function makeZeroPage(k: Kernel): void {
  k.state.memory.zeroFrame = orBug(allocateFrame(k, "kernel"), "the zero page");
}

export function makeKernelSpace(k: Kernel, ranges: readonly DirectRange[], stacks: KernelStacks): void {
  const space = k.state.memory.kernelSpace;
  space.root = orBug(allocateFrame(k, "page-table"), "the kernel page table");
  space.tablePages = 1;
  const map = (at: number, physical: number, length: number, flags: PteFlags): void => {
    const flush = newFlush(k, space);
    // Physical addresses of whole pages: the quotient is a frame's number.
    const frame = (physAddr(physical) / PAGE_SIZE) as FrameNumber;
    const result = mapContiguous(k, space, virtAddr(at), frame, length, flags, flush);
    finishFlush(k, flush, "start-up");
    orBug(result, "the kernel page table");
  };
  for (const { start, end, flags } of ranges) map(k.arch.layout.directMap + start, start, end - start, flags);
  const flush = newFlush(k, space);
  orBug(mapSharedPages(k, space, flush), "the kernel page table");
  finishFlush(k, flush, "start-up");
  for (const hart of k.machine.harts) {
    const stack = orBug(allocateFrames(k, stacks.frames, "kernel-stack"), "the kernel stacks");
    map(stacks.baseOf(hart.id), frameAddress(stack), stacks.frames * PAGE_SIZE, stacks.flags);
  }
}

function orBug<T>(result: T | "ENOMEM", what: string): T {
  if (result === "ENOMEM") throw new KernelBug(`no memory for ${what}`);
  // The one string that it may be is dealt with above.
  return result as T;
}
