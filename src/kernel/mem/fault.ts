// Page faults (K14): find the region, check the access, find or make the page, map it, retry.
//
//   address ──> region? ──no──> just below a stack? ──no──> SIGSEGV MAPERR
//                 │yes            └─yes: the stack grows
//               right? ──no──> SIGSEGV ACCERR
//                 │yes
//               PTE already allows it? ──yes──> spurious: retry
//                 │no
//   page swapped out: read back first (swap.ts)
//   private  read:  own page | zero page | the source's page     mapped read-only unless nobody else holds the frame
//            write: own page, alone ──> taken over; shared ──> copied; absent ──> zeroed or copied from the source
//   shared          the VMO's page; SIGBUS beyond its end
//
// RISC-V privileged architecture, cause 12, 13, 15: stval holds the address; Intel SDM volume 3, 6.15, vector 14: CR2 does. A page
// that is writable is readable, and on x86-64 one that is executable, so a region with that right may be read.

import { frameAddress, PAGE_SIZE, pageBase, virtAddr, type FrameNumber, type VirtAddr } from "../../lib/address.ts";
import type { PteFlags } from "../arch/arch.ts";
import type { Kernel } from "../kernel.ts";
import { makeAhead, mapAround } from "./fault-around.ts";
import { finishFlush, flushGrownPage, newFlush, releaseAfterFlush, type Flush } from "./flush.ts";
import { frameShareCount, retainFrame } from "./frames.ts";
import { mapHugePage } from "./huge-mappings.ts";
import { makeLargePage, mapWholeBlock } from "./large-pages.ts";
import { mayCommit } from "./overcommit.ts";
import { slotAt } from "./page-map.ts";
import { findEntry, foundLevel, mapPage, query, unmap } from "./page-table.ts";
import { RECLAIM_ATTEMPTS, RECLAIM_BATCH, reclaimFrames } from "./reclaim.ts";
import {
  findRegion,
  findRegionAtOrAbove,
  findRegionBelow,
  mayLock,
  resizeRegion,
  spaceSize,
  STACK_GUARD_GAP,
} from "./regions.ts";
import { isAwaited, runsElsewhere } from "./shootdown.ts";
import type { AddressSpace, FaultAccess, Protection, Region } from "./types.ts";
import { isWatched, vmoPage } from "./vmo.ts";

export type FaultOutcome =
  /** The instruction is to be retried. `how` is for tracers. */
  | {
      readonly kind: "resolved";
      readonly how: FaultResolution;
      /** The frame of a page that is not mapped yet, since another hart may use the one that it replaces: the access faults once more. */
      readonly unmapped?: FrameNumber;
    }
  | { readonly kind: "signal"; readonly signal: "SIGSEGV" | "SIGBUS"; readonly code: number }
  /** No frame is free: the process killer's business (nothing was changed). */
  | { readonly kind: "out-of-memory" };

export type FaultResolution =
  | "spurious"
  | "zero page"
  | "demand zero"
  | "large page"
  | "copy on write"
  | "taken over"
  | "resident"
  | "swapped in"
  | "file page"
  | "file copy"
  | "shared page";

/** si_code values (uapi asm-generic/siginfo.h). */
const SEGV_MAPERR = 1;
const SEGV_ACCERR = 2;
const BUS_ADRERR = 2;

/** Makes the access possible, reclaiming frames for it if it must, or says which signal the program gets. */
export function handlePageFault(k: Kernel, space: AddressSpace, address: VirtAddr, access: FaultAccess): FaultOutcome {
  let outcome = tryPageFault(k, space, address, access);
  for (let i = 0; i < RECLAIM_ATTEMPTS && outcome.kind === "out-of-memory"; i++) {
    if (reclaimFrames(k, RECLAIM_BATCH) === 0) break;
    outcome = tryPageFault(k, space, address, access);
  }
  return outcome;
}

function tryPageFault(k: Kernel, space: AddressSpace, address: VirtAddr, access: FaultAccess): FaultOutcome {
  const region = findRegion(space, address) ?? growStack(k, space, address);
  if (region === undefined) return segv(SEGV_MAPERR);
  if (!allows(k, region.protection, access)) return segv(SEGV_ACCERR);
  const page = pageBase(address);
  const flush = newFlush(k, space);
  const outcome = isMapped(k, space, page, access)
    ? spurious(flush, page)
    : resolve(k, space, region, page, access, flush);
  finishFlush(k, flush, "fault");
  if (outcome.kind === "resolved" && outcome.how !== "spurious") k.state.counters.minorFaults += 1;
  return outcome;
}

function resolve(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  access: FaultAccess,
  flush: Flush,
): FaultOutcome {
  if (region.pageLevel > 0) return resolveHuge(k, space, region, page, access, flush);
  const index = region.vmoOffsetPages + (page - region.start) / PAGE_SIZE;
  return region.sharing === "shared"
    ? resolveShared(k, space, region, page, index, access, flush)
    : resolvePrivate(k, space, region, page, index, access, flush);
}

function resolveHuge(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  access: FaultAccess,
  flush: Flush,
): FaultOutcome {
  const isWrite = access === "write";
  const flags = (writable: boolean): PteFlags => flagsOf(region, writable, isWrite);
  const result = mapHugePage(k, space, region, page, isWrite, flags, flush);
  switch (result) {
    case "made":
      return { kind: "resolved", how: "large page" };
    case "copied":
      return { kind: "resolved", how: "copy on write" };
    case "mapped":
      return { kind: "resolved", how: "resident" };
    default:
      return failure(result);
  }
}

function resolveShared(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  index: number,
  access: FaultAccess,
  flush: Flush,
): FaultOutcome {
  const { vmo } = region;
  const isWrite = access === "write";
  const frame = vmoPage(k, vmo, index, isWrite ? "write" : "read");
  if (typeof frame === "string") return failure(frame);
  // A cached file's page stays read-only until the first write, so that the cache learns that it is dirty; one of the swap cache,
  // so that it leaves that.
  const isNoticed = vmo.source.kind === "inode" || isWatched(k, frame);
  const writable = region.protection.write && (isWrite || !isNoticed);
  return map(k, space, region, page, frame, writable, isWrite, "shared page", flush);
}

function resolvePrivate(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  index: number,
  access: FaultAccess,
  flush: Flush,
): FaultOutcome {
  const { vmo } = region;
  const isWrite = access === "write";
  const slot = slotAt(vmo.pages, index);
  if (slot !== 0) {
    const present = vmoPage(k, vmo, index, "read");
    if (typeof present === "string") return failure(present);
    const isAlone = frameShareCount(k, present) === 1;
    const frame = isWrite ? vmoPage(k, vmo, index, "write") : present;
    if (typeof frame === "string") return failure(frame);
    if (frame !== present) {
      // The other holders must not take the old frame over while a hart can still read it through this space.
      retainFrame(k, present);
      releaseAfterFlush(flush, present);
    }
    const how = slot < 0 ? "swapped in" : !isWrite ? "resident" : isAlone ? "taken over" : "copy on write";
    const mayWrite = isAlone && !isWatched(k, frame);
    const flags = (writable: boolean): PteFlags => flagsOf(region, writable, isWrite);
    if ((mayWrite || !isWrite) && mapWholeBlock(k, space, region, page, frame, isWrite, flags, flush)) {
      return { kind: "resolved", how };
    }
    const writable = region.protection.write && (isWrite || mayWrite);
    return map(k, space, region, page, frame, writable, isWrite, how, flush);
  }
  if (isWrite) {
    const large =
      vmo.source.kind === "zero"
        ? makeLargePage(k, space, region, page, flagsOf(region, true, true), flush)
        : "refused";
    if (large === "mapped") return { kind: "resolved", how: "large page" };
    const frame = vmoPage(k, vmo, index, "write");
    if (typeof frame === "string") return failure(frame);
    if (large === "in use") return { kind: "resolved", how: "large page", unmapped: frame };
    const how = vmo.source.kind === "zero" ? "demand zero" : "file copy";
    const outcome = map(k, space, region, page, frame, true, true, how, flush);
    if (how === "demand zero" && outcome.kind === "resolved" && outcome.unmapped === undefined) {
      makeAhead(k, space, region, page, index, flagsOf(region, true, true));
    }
    return outcome;
  }
  if (vmo.source.kind === "zero") {
    return map(k, space, region, page, k.state.memory.zeroFrame, false, false, "zero page", flush);
  }
  const frame = vmoPage(k, vmo, index, "read");
  if (typeof frame === "string") return failure(frame);
  const outcome = map(k, space, region, page, frame, false, false, "file page", flush);
  if (outcome.kind === "resolved" && vmo.source.kind === "vmo") {
    mapAround(k, space, region, page, vmo.source, flagsOf(region, false, false));
  }
  return outcome;
}

function map(
  k: Kernel,
  space: AddressSpace,
  region: Region,
  page: VirtAddr,
  frame: FrameNumber,
  writable: boolean,
  dirty: boolean,
  how: FaultResolution,
  flush: Flush,
): FaultOutcome {
  if (isInUseElsewhere(k, space, page, frame)) {
    const cleared = unmap(k, space, page, virtAddr(page + PAGE_SIZE), flush);
    return cleared === "ENOMEM" ? { kind: "out-of-memory" } : { kind: "resolved", how, unmapped: frame };
  }
  const mapped = mapPage(k, space, page, frame, flagsOf(region, writable, dirty), flush);
  return mapped === "ENOMEM" ? { kind: "out-of-memory" } : { kind: "resolved", how };
}

/**
 * Whether another hart may still use a translation of the page to another frame. Nobody is to find the new one meanwhile: it could be
 * written, and that hart would read what was there before (shootdown.ts).
 */
function isInUseElsewhere(k: Kernel, space: AddressSpace, page: VirtAddr, frame: FrameNumber): boolean {
  if (isAwaited(k, space, page, page + PAGE_SIZE)) return true;
  if (!runsElsewhere(k, space)) return false;
  const old = query(k, space, page);
  return old !== undefined && old.physical !== frameAddress(frame);
}

function flagsOf(region: Region, writable: boolean, dirty: boolean): PteFlags {
  const { read, write, execute } = region.protection;
  return { read: read || write, write: writable, execute, user: true, global: false, accessed: true, dirty };
}

/** A hart may fault on a translation that another one has just made valid: it drops what it has and looks again. */
function spurious(flush: Flush, page: VirtAddr): FaultOutcome {
  flushGrownPage(flush, page);
  return { kind: "resolved", how: "spurious" };
}

function isMapped(k: Kernel, space: AddressSpace, page: VirtAddr, access: FaultAccess): boolean {
  const location = findEntry(k, space, page);
  const lo = k.memory.read32(location);
  const hi = k.memory.read32(location + 4);
  return k.arch.format.isLeaf(hi, lo, foundLevel) && k.arch.format.allowsUser(hi, lo, access);
}

/**
 * Extends the stack above `address` down to it, if that keeps within the stack limit and away from what lies below.
 * Returns the region that then holds the address.
 */
function growStack(k: Kernel, space: AddressSpace, address: VirtAddr): Region | undefined {
  const region = findRegionAtOrAbove(space, address);
  if (region?.growsDown !== true || address < 0) return undefined;
  const start = pageBase(address);
  if (region.end - start > space.limits.stack) return undefined;
  if (spaceSize(space) + (region.start - start) > space.limits.addressSpace) return undefined;
  if (region.locked !== "no" && !mayLock(space, region.start - start)) return undefined;
  if (!mayCommit(k, (region.start - start) / PAGE_SIZE)) return undefined;
  const below = findRegionBelow(space, region.start);
  if (below !== undefined && keepsGap(below) && start - below.end < STACK_GUARD_GAP) return undefined;
  resizeRegion(k, space, region, start, region.end);
  return region;
}

/** A neighbour below that another stack, or nobody, can reach needs no gap (Linux mm/vma.c, expand_downwards). */
function keepsGap({ growsDown, protection: { read, write, execute } }: Region): boolean {
  return !growsDown && (read || write || execute);
}

function allows(k: Kernel, protection: Protection, access: FaultAccess): boolean {
  const { read, write, execute } = protection;
  if (access === "read") return read || write || (execute && k.arch.format.executeImpliesRead);
  return access === "write" ? write : execute;
}

function failure(errno: string): FaultOutcome {
  return errno === "ENOMEM" ? { kind: "out-of-memory" } : { kind: "signal", signal: "SIGBUS", code: BUS_ADRERR };
}

function segv(code: number): FaultOutcome {
  return { kind: "signal", signal: "SIGSEGV", code };
}
