// Shootdowns: telling the harts that run a space in user mode to drop translations, and waiting for them (K13).
//
//   hart 0, in the kernel            hart 1, in user mode              hart 2, in user mode
//     edits PTEs, finishFlush
//     drops its own translations
//     queues a request ────IPI────────> ⚡ trap                 ┌──IPI──> ⚡ trap
//     and another ─────────────────────────────────────────────┘
//     the thread is held: idle loop     takes its whole queue           takes its whole queue
//        ·                              drops, acknowledges             drops, acknowledges: it was the last
//        ·                              back to user mode               limbo: frames are freed
//     ⚡ <────────────────────────────────────────────────────IPI────      the space is released
//     goes on to user mode                                              back to user mode
//
// The state is data: `Shootdown` (types.ts) says which harts have still to acknowledge, `HartState.requests` what each is asked to drop.
//
// Who waits (INV-11): while a space has a shootdown that is not acknowledged it is held. No system call and no page fault of its threads
// is begun, and none that has trapped for one goes back to user mode, nor one that was elsewhere; a child that was forked from
// it does not start. A thread that was merely interrupted goes on once its hart has answered: it can see nothing new before it traps,
// since a PTE whose frame changes is first made vacant (fault.ts) and nothing is mapped where harts have still to drop something. So
// from the edit to the last acknowledgement the program can neither see a new translation on one hart while another uses the old
// one, nor learn that the change is done. The three threads of a copy-on-write break:
//
//   A breaks the sharing of a page   PTE vacant, VMO has the copy      A is held
//   B writes to it                   its fault waits                   B is held
//   C reads it, by its old TLB entry the frame from before: nobody has written to the copy yet
//   C acknowledges                   A, B and C go on; who touches the page faults, and finds the copy
//
// And of a fork: what a sibling still writes through its old TLB entry, parent and child both have; what it writes after it has
// answered faults, waits for all others, and is the parent's alone. So the child sees the memory of one moment.
//
// A thread is held on its hart, in the idle loop, so that it goes on at once; its slice runs on, and at its end others have the hart.
// Nothing can wait in a circle. A hart is asked only while it is in user mode, where interrupts are on; whatever brings it into the
// kernel, it answers all its requests first (`answerRequests`), before anything that could wait. So two harts that shoot at each other
// have each answered before they ask, and a hart that idles, or that holds a thread, has nothing to answer.
//
// Limbo: a frame that is released while a shootdown is under way is freed once that shootdown and all before it are acknowledged,
// whatever released it. Requests of one space are merged while the same harts have still to answer: they take one interrupt, and one
// flush of all the ASID once there are more than 32 pages.

import type { FrameNumber, VirtAddr } from "../../lib/address.ts";
import { KernelBug, type HartState, type Kernel } from "../kernel.ts";
import type { Thread } from "../process/types.ts";
import { wake, type WaitKey } from "../wait.ts";
import { FLUSH_PAGE_LIMIT, type Flush } from "./flush.ts";
import { releaseFramesNow } from "./frames.ts";
import { finishEviction } from "./reclaim.ts";
import type { AcknowledgedAction, AddressSpace, FlushRequest, Shootdown } from "./types.ts";

/** Key on which a thread waits for frames that lie in limbo. */
export const LIMBO_KEY: WaitKey = "limbo";

/** Uses of frames that end with acknowledgements which are still awaited, and frames of pages that are evicted then. */
export function framesInLimbo(k: Kernel): number {
  let count = k.state.memory.reclaim.evicting.size;
  forEachFrameInLimbo(k, () => (count += 1));
  return count;
}

/** Visits each frame as often as it has uses that end with an acknowledgement. */
export function forEachFrameInLimbo(k: Kernel, visit: (frame: FrameNumber) => void): void {
  for (const { frames, actions } of k.state.memory.shootdowns.pending) {
    frames.forEach(visit);
    for (const action of actions) if (action.kind === "release") action.frames.forEach(visit);
  }
}

/** Whether threads of the space that have trapped are held. */
export function isHeld(space: AddressSpace): boolean {
  return space.unacknowledged > 0;
}

/** Whether the thread may not go to user mode on `hart` now. */
export function isThreadHeld(k: Kernel, hart: number, thread: Thread): boolean {
  const { process } = thread;
  if (process.space.unacknowledged === 0) return false;
  const isUntouched = thread.pendingSignals.length === 0 && process.pendingSignals.length === 0;
  return hartState(k, hart).interrupted !== thread.tid || !isUntouched;
}

/** Whether another hart than the present one may use translations of the space at any time. */
export function runsElsewhere(k: Kernel, space: AddressSpace): boolean {
  for (const hart of space.activeHarts) if (hart !== k.state.scheduler.kernelHart && runs(k, hart, space)) return true;
  return false;
}

/** Whether some hart has still to drop its translations of addresses in [start, end). */
export function isAwaited(k: Kernel, space: AddressSpace, start: number, end: number): boolean {
  return space.unacknowledged > 0 && k.state.harts.some((_, hart) => isAsked(k, hart, space, start, end));
}

/** Whether the hart was asked to drop its translations of addresses in [start, end), and may use them until it comes into the kernel. */
export function isAsked(k: Kernel, hart: number, space: AddressSpace, start: number, end: number): boolean {
  const asid = asidOf(k, space);
  return hartState(k, hart).requests.some(
    (request) =>
      request.asid === asid &&
      (request.everything || request.pages.some((at) => at < end && at + largestSize(k, at) > start)),
  );
}

/** Size of the largest page that may begin at an address. */
function largestSize(k: Kernel, address: VirtAddr): number {
  let largest = 0;
  for (const { size, leafAllowed } of k.arch.format.levels) if (leafAllowed && address % size === 0) largest = size;
  return largest;
}

/** The last shootdown that is under way. */
export function lastShootdown(k: Kernel): Shootdown | undefined {
  return k.state.memory.shootdowns.pending.at(-1);
}

/**
 * The harts that may cache what the flush names drop it, now or before they can use it. The mask of the others, which run the space
 * in user mode, is returned: they are to be asked.
 */
export function dropTranslations(k: Kernel, flush: Flush, reason: string): number {
  const { space } = flush;
  const present = k.state.scheduler.kernelHart;
  const concernsAll = flush.everything || flush.pages.length > 0;
  let mask = 0;
  for (const hart of space.cachingHarts) {
    if (hart === present) {
      dropOnHart(k, hart, asidOf(k, space), flush.everything, flush.pages, reason, "local");
      if (!flush.everything) dropOnHart(k, hart, asidOf(k, space), false, flush.grownPages, reason, "local");
    } else if (!concernsAll) {
      continue;
    } else if (runs(k, hart, space)) {
      mask |= 1 << hart;
    } else {
      markStale(k, hart, space);
    }
  }
  return mask;
}

/** Asks the harts of the mask to drop what the flush names. Its frames are released, and its actions done, when all have. */
export function askHarts(k: Kernel, flush: Flush, harts: number, reason: string, child?: AddressSpace): void {
  const { space } = flush;
  const shootdown = extendLast(k, space, harts) ?? begin(k, space, harts);
  shootdown.frames.push(...flush.frames);
  shootdown.actions.push(...flush.actions);
  if (child !== undefined) hold(shootdown, child);
  k.probes.shootdown?.(shootdown, "asked", k.state.scheduler.kernelHart, reason);
  for (const [hart, state] of k.state.harts.entries()) {
    if (((harts >>> hart) & 1) === 1) request(k, hart, state, flush, shootdown.id);
  }
}

/**
 * The hart has come into the kernel, by whatever way: it drops what it was asked to, and acknowledges. `interrupted` is the thread that an
 * interrupt took from user mode.
 */
export function answerRequests(k: Kernel, hart: number, interrupted?: number): void {
  const state = hartState(k, hart);
  state.isInUser = false;
  state.interrupted = interrupted;
  if (state.requests.length === 0) return;
  const { counters } = k.state.memory.shootdowns;
  for (const { asid, pages, everything, shootdowns } of state.requests.splice(0)) {
    counters.received += 1;
    dropOnHart(k, hart, asid, everything, pages, "shootdown", "remote");
    for (const id of shootdowns) acknowledge(k, hart, id);
  }
  retire(k);
}

/** Drops translations on a hart that does not run now, and counts that. */
export function dropOnHart(
  k: Kernel,
  hart: number,
  asid: number | undefined,
  everything: boolean,
  pages: readonly VirtAddr[],
  reason: string,
  manner: FlushManner,
): void {
  const { counters } = k.state.memory.shootdowns;
  if (everything) {
    k.arch.flushTlb(k, hart, undefined, asid);
    counters.everything += 1;
    k.probes.flush?.(hart, asid, undefined, reason, manner);
    return;
  }
  for (const page of pages) {
    k.arch.flushTlb(k, hart, page, asid);
    counters.pages += 1;
    k.probes.flush?.(hart, asid, page, reason, manner);
  }
}

/** For whose sake a hart drops translations: by itself, asked by another, or before it uses an ASID again. */
export type FlushManner = "local" | "remote" | "lazy";

/** The pages of the kernel's own space are global: they are dropped whatever the ASID. */
function asidOf(k: Kernel, space: AddressSpace): number | undefined {
  return space === k.state.memory.kernelSpace ? undefined : space.asid;
}

/** Every hart uses the kernel's space: in the idle loop, and on its way in and out. */
function runs(k: Kernel, hart: number, space: AddressSpace): boolean {
  if (space === k.state.memory.kernelSpace) return true;
  const state = hartState(k, hart);
  return state.isInUser && state.space === space;
}

function markStale(k: Kernel, hart: number, space: AddressSpace): void {
  space.cachingHarts.delete(hart);
  space.staleHarts.add(hart);
  const state = hartState(k, hart);
  if (state.space === space && state.stale === "nothing") state.stale = "space";
}

/** The last shootdown, when it is for the same space and the same harts have still to answer. */
function extendLast(k: Kernel, space: AddressSpace, harts: number): Shootdown | undefined {
  const last = lastShootdown(k);
  return last?.space === space.id && last.harts === harts ? last : undefined;
}

function begin(k: Kernel, space: AddressSpace, harts: number): Shootdown {
  const { shootdowns } = k.state.memory;
  const shootdown: Shootdown = { id: shootdowns.nextId, space: space.id, harts, holds: [], frames: [], actions: [] };
  shootdowns.nextId += 1;
  shootdowns.pending.push(shootdown);
  hold(shootdown, space);
  return shootdown;
}

function hold(shootdown: Shootdown, space: AddressSpace): void {
  if (shootdown.holds.includes(space.id)) return;
  shootdown.holds.push(space.id);
  space.unacknowledged += 1;
}

/** Puts what is to be dropped on the hart's queue, and calls it if the queue was empty. */
function request(k: Kernel, hart: number, state: HartState, flush: Flush, shootdown: number): void {
  const asid = asidOf(k, flush.space);
  k.state.memory.shootdowns.counters.sent += 1;
  const isFirst = state.requests.length === 0;
  let entry = state.requests.find((other) => other.asid === asid);
  if (entry === undefined) {
    entry = { asid, pages: [], everything: false, shootdowns: [] };
    state.requests.push(entry);
  }
  addPages(entry, flush);
  if (entry.shootdowns.at(-1) !== shootdown) entry.shootdowns.push(shootdown);
  if (isFirst) k.arch.sendInterprocessorInterrupt(k, hart);
}

function addPages(entry: FlushRequest, flush: Flush): void {
  if (entry.everything) return;
  if (flush.everything || entry.pages.length + flush.pages.length > FLUSH_PAGE_LIMIT) {
    entry.everything = true;
    entry.pages.length = 0;
  } else {
    entry.pages.push(...flush.pages);
  }
}

function acknowledge(k: Kernel, hart: number, id: number): void {
  const { pending } = k.state.memory.shootdowns;
  const shootdown = pending[id - (pending[0]?.id ?? 0)];
  if (shootdown === undefined) throw new KernelBug(`hart ${hart} acknowledges shootdown ${id}, which is over`);
  shootdown.harts &= ~(1 << hart);
  k.probes.shootdown?.(shootdown, "acknowledged", hart, "");
  if (shootdown.harts !== 0) return;
  for (const held of shootdown.holds) {
    const space = held === 0 ? k.state.memory.kernelSpace : k.state.memory.spaces.get(held);
    if (space === undefined) continue; // a child that was killed before it ran
    space.unacknowledged -= 1;
    if (space.unacknowledged === 0) callHeldThreads(k, hart, space);
  }
}

/** The threads of the space that are held on their harts go on. */
function callHeldThreads(k: Kernel, present: number, space: AddressSpace): void {
  const { current } = k.state.scheduler;
  for (const [hart, tid] of current.entries()) {
    if (tid === undefined || hart === present || hartState(k, hart).isInUser) continue;
    if (k.state.threads.get(tid)?.process.space === space) k.arch.sendInterprocessorInterrupt(k, hart);
  }
}

/** Ends the shootdowns that are acknowledged, and all before them are too. */
function retire(k: Kernel): void {
  const { pending } = k.state.memory.shootdowns;
  let freed = 0;
  while (pending[0]?.harts === 0) {
    const [{ frames, actions }] = pending.splice(0, 1) as [Shootdown]; // there is one
    releaseFramesNow(k, frames);
    for (const action of actions) runAction(k, action);
    freed += frames.length + actions.length;
  }
  if (freed > 0) wake(k, LIMBO_KEY);
}

/** Does what was to be done once no hart can use what was flushed. */
export function runAction(k: Kernel, action: AcknowledgedAction): void {
  switch (action.kind) {
    case "release":
      releaseFramesNow(k, action.frames);
      return;
    case "evict":
      finishEviction(k, action.frame);
      return;
  }
}

export function hartState(k: Kernel, hart: number): HartState {
  const state = k.state.harts[hart];
  if (state === undefined) throw new KernelBug(`no hart ${hart}`);
  return state;
}
