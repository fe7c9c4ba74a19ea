// madvise: what a program says it will do with a range of its memory.
//
//   dropped   DONTNEED  DONTNEED_LOCKED                 private pages read as their source again
//             FREE                                      the same, but only when memory is short, and not if written before
//   noted     NORMAL RANDOM SEQUENTIAL  (DONT|DO)FORK  (WIPE|KEEP)ONFORK  (DONT|DO)DUMP  (NO)HUGEPAGE      in the region, which splits
//   punched   REMOVE                                   pages of a file or of shared memory are gone for everyone
//   brought   WILLNEED  POPULATE_READ  POPULATE_WRITE   pages that are absent
//   sent      COLD                                      reclaim takes them for unused
//             PAGEOUT                                   to the swap area, or back to their file
//
// A gap in the range does not end it: what is mapped is advised, and ENOMEM returned. madvise(2), and Linux mm/madvise.c for which
// regions may be advised what.

import * as abi from "../../abi/linux/memory.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from "../../abi/linux/open-flags.ts";
import { pageAlignUp, pageOffset, PAGE_SIZE, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { allocateRange, checkAllocation } from "../fs/allocate.ts";
import type { Kernel } from "../kernel.ts";
import { punchVmo } from "./file-vmo.ts";
import { finishFlush, newFlush, releaseAfterFlush, type Flush } from "./flush.ts";
import { frameShareCount, freeFrameCount, setFreeable } from "./frames.ts";
import { forEachSlot } from "./page-map.ts";
import { unmap, updateFlags } from "./page-table.ts";
import { populateRange } from "./populate.ts";
import { evictFrame } from "./reclaim.ts";
import { changeRegion, checkRange, isolate, mergeAround, regionsOf } from "./regions.ts";
import { forbidsAdvice } from "./sealing.ts";
import { forgetCached } from "./swap-slots.ts";
import type { Advice, AddressSpace, Region } from "./types.ts";
import { dropPages, vmoPage } from "./vmo.ts";

/** Beyond it, the end of a range wraps around. */
const ADDRESS_LIMIT = 2 ** 64;
/** Pages that one WILLNEED reads ahead at most, and frames that it leaves free. */
const READ_AHEAD_PAGES = 512;
const READ_AHEAD_RESERVE = 256;

/** One kind of advice, for a part of one region. */
type Action = (
  k: Kernel,
  space: AddressSpace,
  region: Region,
  start: VirtAddr,
  end: VirtAddr,
  flush: Flush,
) => 0 | Errno;

/** Takes over how a range of memory will be used. EINVAL for unknown advice, and for what the region cannot be advised. */
export function adviseRange(
  k: Kernel,
  space: AddressSpace,
  address: number,
  length: number,
  advice: number,
): 0 | Errno {
  const action = ACTIONS.get(advice);
  const access = POPULATIONS.get(advice);
  if ((action === undefined && access === undefined) || pageOffset(address) !== 0 || !(length >= 0)) return "EINVAL";
  if (length === 0) return 0;
  const range = checkRange(k, address, length);
  if (range === "EINVAL") return address + pageAlignUp(length) < ADDRESS_LIMIT ? "ENOMEM" : "EINVAL";
  if (action === undefined) return access === undefined ? "EINVAL" : populate(k, space, range.start, range.end, access);
  let result: 0 | Errno = 0;
  let reached: number = range.start;
  const flush = newFlush(k, space);
  for (const region of regionsOf(space, range.start, range.end)) {
    if (region.start > reached) result = "ENOMEM";
    const start = virtAddr(Math.max(region.start, range.start));
    reached = Math.min(region.end, range.end);
    const error = forbidsAdvice(region, advice) ? "EPERM" : action(k, space, region, start, virtAddr(reached), flush);
    if (error !== 0) {
      finishFlush(k, flush, "advise");
      mergeAround(k, space, range.start, range.end);
      return error;
    }
  }
  finishFlush(k, flush, "advise");
  mergeAround(k, space, range.start, range.end);
  return reached < range.end ? "ENOMEM" : result;
}

/** Advice that is kept in the region, once `mayNote` has no objection. */
function note(change: (advice: Advice) => Partial<Advice>, mayNote: (region: Region) => boolean = () => true): Action {
  return (k, space, region, start, end) => {
    if (!mayNote(region)) return "EINVAL";
    const part = isolate(k, space, region, start, end);
    if (typeof part === "string") return part;
    changeRegion(k, space, part, { advice: { ...part.advice, ...change(part.advice) } });
    return 0;
  };
}

/** Takes the pages out: of a private region for good, of a shared one only its translations. */
const drop: Action = (k, space, region, start, end, flush) => {
  unmap(k, space, start, end, flush);
  if (region.sharing === "shared") return 0;
  const first = region.vmoOffsetPages + (start - region.start) / PAGE_SIZE;
  dropPages(k, region.vmo, first, first + (end - start) / PAGE_SIZE, (frame) => releaseAfterFlush(flush, frame));
  return 0;
};

/**
 * Lets the pages go once memory is short: until then they read as before, and a write keeps its page. What others share stays; what is in
 * the swap area goes at once.
 */
const free: Action = (k, space, region, start, end, flush) => {
  if (!isDroppable(region) || !isAnonymous(region) || region.pageLevel > 0) return "EINVAL";
  // Without the right to write, the next write is a fault.
  updateFlags(k, space, start, end, (flags) => ({ ...flags, write: false, dirty: false }), flush);
  const first = region.vmoOffsetPages + (start - region.start) / PAGE_SIZE;
  forEachSlot(region.vmo.pages, first, first + (end - start) / PAGE_SIZE, (index, slot) => {
    if (slot < 0) {
      dropPages(k, region.vmo, index, index + 1, () => {});
    } else if (frameShareCount(k, slot as FrameNumber) === 1) {
      forgetCached(k, slot as FrameNumber);
      setFreeable(k, slot as FrameNumber, true);
    }
  });
  return 0;
};

/** Punches a hole into what a shared region shows: pages go from every mapping, and read as zeros. */
const remove: Action = (k, _space, region, start, end) => {
  const { file, sharing, maximum, vmo } = region;
  if (region.locked !== "no" || (file === undefined && sharing === "private")) return "EINVAL";
  if (sharing === "private" || !maximum.write) return "EACCES";
  const offset = region.vmoOffsetPages * PAGE_SIZE - region.start;
  if (file === undefined) return punchVmo(k, vmo, start + offset, end + offset);
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const allowed = checkAllocation(k, file.inode, mode, start + offset, end + offset);
  return allowed === 0 ? allocateRange(k, file.inode, mode, start + offset, end + offset) : allowed;
};

const isSpecial = ({ vmo }: Region): boolean => vmo.source.kind === "physical";
const isAnonymous = ({ sharing, vmo }: Region): boolean => sharing === "private" && vmo.source.kind === "zero";
const isEvictable = (region: Region): boolean => region.locked === "no" && !isSpecial(region) && region.pageLevel === 0;

/** As if the pages had not been used for long: reclaim takes them first. */
const coolDown: Action = (k, space, region, start, end, flush) => {
  if (!isEvictable(region)) return "EINVAL";
  updateFlags(k, space, start, end, (flags) => ({ ...flags, accessed: false }), flush);
  return 0;
};

/** Sends pages that nobody else holds to where they come back from. Those that cannot go stay. */
const pageOut: Action = (k, _space, region, start, end) => {
  if (!isEvictable(region)) return "EINVAL";
  const first = region.vmoOffsetPages + (start - region.start) / PAGE_SIZE;
  const frames: FrameNumber[] = [];
  forEachSlot(region.vmo.pages, first, first + (end - start) / PAGE_SIZE, (_index, slot) => {
    if (slot > 0) frames.push(slot as FrameNumber);
  });
  for (const frame of frames) if (frameShareCount(k, frame) === 1) evictFrame(k, frame);
  return 0;
};

/** Reads the pages of a file or of the swap area ahead, as far as there is room; what cannot be read is told of when it is used. */
const bringIn: Action = (k, _space, region, start, end) => {
  const { vmo } = region;
  const own = region.vmoOffsetPages + (start - region.start) / PAGE_SIZE;
  let left = READ_AHEAD_PAGES;
  forEachSlot(vmo.pages, own, own + (end - start) / PAGE_SIZE, (index, slot) => {
    if (slot > 0 || left === 0 || freeFrameCount(k) <= READ_AHEAD_RESERVE) return;
    vmoPage(k, vmo, index, "read");
    left -= 1;
  });
  const { source } = vmo;
  const [file, offset] = source.kind === "vmo" ? [source.vmo, source.offsetPages] : [vmo, 0];
  if (file.source.kind !== "inode") return 0;
  const first = offset + region.vmoOffsetPages + (start - region.start) / PAGE_SIZE;
  const last = Math.min(first + Math.min((end - start) / PAGE_SIZE, READ_AHEAD_PAGES), file.lengthPages);
  for (let index = first; index < last && freeFrameCount(k) > READ_AHEAD_RESERVE; index++) {
    if (typeof vmoPage(k, file, index, "read") === "string") break;
  }
  return 0;
};

const ACTIONS: ReadonlyMap<number, Action> = new Map<number, Action>([
  [abi.MADV_NORMAL, note(() => ({ access: "normal" }))],
  [abi.MADV_RANDOM, note(() => ({ access: "random" }))],
  [abi.MADV_SEQUENTIAL, note(() => ({ access: "sequential" }))],
  [abi.MADV_WILLNEED, bringIn],
  [
    abi.MADV_DONTNEED,
    (k, space, region, ...rest) => (isDroppable(region) ? drop(k, space, region, ...rest) : "EINVAL"),
  ],
  [
    abi.MADV_DONTNEED_LOCKED,
    (k, space, region, ...rest) => (isSpecial(region) ? "EINVAL" : drop(k, space, region, ...rest)),
  ],
  [abi.MADV_FREE, free],
  [abi.MADV_REMOVE, remove],
  [abi.MADV_DONTFORK, note(() => ({ omittedByFork: true }))],
  [
    abi.MADV_DOFORK,
    note(
      () => ({ omittedByFork: false }),
      (region) => !isSpecial(region),
    ),
  ],
  [
    abi.MADV_HUGEPAGE,
    note(
      () => ({ largePages: "wanted" }),
      (region) => !isSpecial(region) && region.pageLevel === 0,
    ),
  ],
  [
    abi.MADV_NOHUGEPAGE,
    note(
      () => ({ largePages: "refused" }),
      (region) => !isSpecial(region) && region.pageLevel === 0,
    ),
  ],
  [abi.MADV_DONTDUMP, note(() => ({ dumped: false }))],
  [
    abi.MADV_DODUMP,
    note(
      () => ({ dumped: true }),
      (region) => !isSpecial(region),
    ),
  ],
  [abi.MADV_WIPEONFORK, note(() => ({ wipedByFork: true }), isAnonymous)],
  [abi.MADV_KEEPONFORK, note(() => ({ wipedByFork: false }))],
  [abi.MADV_COLD, coolDown],
  [abi.MADV_PAGEOUT, pageOut],
]);

function isDroppable(region: Region): boolean {
  return region.locked === "no" && !isSpecial(region);
}

/** Advice that faults the pages in. */
const POPULATIONS: ReadonlyMap<number, "read" | "write"> = new Map([
  [abi.MADV_POPULATE_READ, "read"],
  [abi.MADV_POPULATE_WRITE, "write"],
] as const);

/**
 * ENOMEM at a gap, and where no frame is free; EINVAL where the region does not allow the access, EFAULT where it would raise SIGBUS.
 * The pages before stay.
 */
function populate(k: Kernel, space: AddressSpace, start: number, end: number, access: "read" | "write"): 0 | Errno {
  switch (populateRange(k, space, start, end, access)) {
    case undefined:
      return 0;
    case "denied":
      return "EINVAL";
    case "no page":
      return "EFAULT";
    case "gap":
    case "out of memory":
      return "ENOMEM";
  }
}
