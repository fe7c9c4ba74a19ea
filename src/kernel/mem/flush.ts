// TLB invalidation (K13).
//
// Who edits a page table holds a Flush. It collects the pages whose translation became weaker or different, and the frames
// that may be freed once nobody can reach them; `finishFlush` drops the translations on every hart that may cache them, and
// only then releases the frames.
//
//   newFlush ──> flushPage / flushRange / releaseAfterFlush … ──> finishFlush
//
// INV-3: no PTE edit goes unflushed: every Flush is finished before the kernel is left.
// INV-4: a frame is released only after no hart can reach it: kernel code is atomic with respect to harts, so a remote hart's
// TLB is emptied (as SBI's remote fence does it) before the frame is on the free list and before that hart runs another
// instruction.
//
// A page that was not mapped before needs no flush: the TLB holds no invalid entries, and a hart that still faults finds the
// PTE valid and retries (fault.ts).

import { PAGE_SIZE, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import { releaseFrame } from "./frames.ts";
import type { AddressSpace } from "./types.ts";

export interface Flush {
  readonly space: AddressSpace;
  readonly pages: VirtAddr[];
  /** All of the space's translations are to go. */
  everything: boolean;
  readonly frames: FrameNumber[];
  finished: boolean;
}

/** Above this many pages one flush of the whole ASID is cheaper. */
export const FLUSH_PAGE_LIMIT = 32;

export function newFlush(k: Kernel, space: AddressSpace): Flush {
  k.state.memory.openFlushes += 1;
  return { space, pages: [], everything: false, frames: [], finished: false };
}

/** The translation of the page at `address` was weakened, changed or removed. */
export function flushPage(flush: Flush, address: VirtAddr): void {
  if (flush.everything) return;
  if (flush.pages.length >= FLUSH_PAGE_LIMIT) flushAll(flush);
  else flush.pages.push(address);
}

export function flushRange(flush: Flush, start: VirtAddr, end: VirtAddr): void {
  if ((end - start) / PAGE_SIZE > FLUSH_PAGE_LIMIT) flushAll(flush);
  else for (let at: number = start; at < end; at += PAGE_SIZE) flushPage(flush, virtAddr(at));
}

export function flushAll(flush: Flush): void {
  flush.everything = true;
  flush.pages.length = 0;
}

/** Gives up one use of `frame` once the flush is done. */
export function releaseAfterFlush(flush: Flush, frame: FrameNumber): void {
  flush.frames.push(frame);
}

/** Drops the translations on every hart, then releases the frames. */
export function finishFlush(k: Kernel, flush: Flush, reason: string): void {
  if (flush.finished) throw new KernelBug("a Flush was finished twice");
  flush.finished = true;
  k.state.memory.openFlushes -= 1;
  const { space } = flush;
  if (flush.everything) {
    for (const hart of space.cachingHarts) k.arch.flushTlb(k, hart, undefined, space.asid);
    k.probes.flush?.(space.asid, undefined, reason);
  } else {
    for (const page of flush.pages) {
      for (const hart of space.cachingHarts) k.arch.flushTlb(k, hart, page, space.asid);
      k.probes.flush?.(space.asid, page, reason);
    }
  }
  for (const frame of flush.frames) releaseFrame(k, frame);
}
