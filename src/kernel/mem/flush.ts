// TLB invalidation (K13).
//
// Who edits a page table holds a Flush. It collects the pages whose translation became weaker or different, and the frames
// that may be freed once nobody can reach them; `finishFlush` sees to it that every hart that may cache the translations drops them,
// and that the frames are released only then.
//
//   newFlush ──> flushPage / flushRange / releaseAfterFlush … ──> finishFlush
//                                                                    │ of the harts that may cache the space:
//              the hart that is in the kernel now ───────────────────┤ drops the pages at once
//              a hart that does not run the space ───────────────────┤ is marked: it drops all of the ASID before it uses it again
//              a hart that runs it in user mode ─────────────────────┘ is asked to, and is waited for (shootdown.ts)
//
// INV-3: no PTE edit goes unflushed: every Flush is finished before the kernel is left.
// INV-4: a frame is released only after no hart can reach it.
//
// A page that was not mapped before needs no flush: the TLB holds no invalid entries. Nor does one whose rights only grew, but on the
// present hart: another that still faults finds the PTE sufficient, drops what it has and retries (fault.ts, "spurious").
//
// A marked hart cannot use what it holds: it is in the kernel's own space (the idle loop, kernel text) or in another one, and a TLB
// matches entries of the present ASID and global ones alone (RISC-V privileged architecture, "Supervisor Memory-Management Fence
// Instruction": satp.ASID; Intel SDM volume 3, 4.10.2: the current PCID, which holds for cached paging structures too). User pages are
// never global. A load of CR3 with bit 63 keeps what its PCID has but uses it no sooner than CR3 names that PCID, and only userret
// and usersysret name one that is not the kernel's: `enterSpace` (asid.ts) has dropped what is stale before.

import { PAGE_SIZE, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import { releaseFrames } from "./frames.ts";
import { askHarts, dropTranslations, lastShootdown, runAction } from "./shootdown.ts";
import type { AcknowledgedAction, AddressSpace } from "./types.ts";

export interface Flush {
  readonly space: AddressSpace;
  readonly pages: VirtAddr[];
  /** All of the space's translations are to go. */
  everything: boolean;
  /** Pages whose rights grew: the present hart drops them. */
  readonly grownPages: VirtAddr[];
  readonly frames: FrameNumber[];
  readonly actions: AcknowledgedAction[];
  finished: boolean;
}

/** Above this many pages one flush of the whole ASID is cheaper. */
export const FLUSH_PAGE_LIMIT = 32;

export function newFlush(k: Kernel, space: AddressSpace): Flush {
  k.state.memory.openFlushes += 1;
  return { space, pages: [], everything: false, grownPages: [], frames: [], actions: [], finished: false };
}

/** The translation of the page at `address` was weakened, changed or removed. */
export function flushPage(flush: Flush, address: VirtAddr): void {
  if (flush.everything) return;
  if (flush.pages.length >= FLUSH_PAGE_LIMIT) flushAll(flush);
  else flush.pages.push(address);
}

/** The page at `address` leads where it led, with more rights than before. A hart that does not know yet faults once more at worst. */
export function flushGrownPage(flush: Flush, address: VirtAddr): void {
  if (flush.everything) return;
  if (flush.grownPages.length < FLUSH_PAGE_LIMIT) flush.grownPages.push(address);
}

export function flushRange(flush: Flush, start: VirtAddr, end: VirtAddr): void {
  if ((end - start) / PAGE_SIZE > FLUSH_PAGE_LIMIT) flushAll(flush);
  else for (let at: number = start; at < end; at += PAGE_SIZE) flushPage(flush, virtAddr(at));
}

export function flushAll(flush: Flush): void {
  flush.everything = true;
  flush.pages.length = 0;
}

/** Gives up one use of `frame` once no hart can reach it through what is flushed. */
export function releaseAfterFlush(flush: Flush, frame: FrameNumber): void {
  flush.frames.push(frame);
}

/** Does `action` once no hart can use what is flushed, and what was flushed before: at once when no hart has to be waited for. */
export function onAcknowledged(flush: Flush, action: AcknowledgedAction): void {
  flush.actions.push(action);
}

/**
 * Drops the translations on every hart, and releases the frames once they are dropped: at once, unless another hart runs the space.
 * No thread goes to user mode in the space before, nor in `child`, a copy of it that must not see what is still written here.
 */
export function finishFlush(k: Kernel, flush: Flush, reason: string, child?: AddressSpace): void {
  if (flush.finished) throw new KernelBug("a Flush was finished twice");
  flush.finished = true;
  k.state.memory.openFlushes -= 1;
  const isNeeded = flush.everything || flush.pages.length > 0 || flush.grownPages.length > 0;
  const harts = isNeeded ? dropTranslations(k, flush, reason) : 0;
  if (harts !== 0) {
    askHarts(k, flush, harts, reason, child);
    return;
  }
  // What was begun before may still be under way: in its wake everything is released that it might lead to.
  const before = lastShootdown(k);
  if (before !== undefined) {
    before.frames.push(...flush.frames);
    before.actions.push(...flush.actions);
    return;
  }
  releaseFrames(k, flush.frames);
  for (const action of flush.actions) runAction(k, action);
}
