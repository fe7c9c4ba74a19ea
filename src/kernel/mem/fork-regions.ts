// What a forked child gets of its parent's regions.
//
//   private     a copy of the VMO: the same frames, copy-on-write        DONTFORK    nothing
//   shared      the same VMO                                             WIPEONFORK  zeros
//
// Locks are not inherited (mlock(2)); advice is (madvise(2)).

import type { FrameNumber } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { releaseFrame } from "./frames.ts";
import { insertRegion, pagesOf } from "./regions.ts";
import { regionsOf } from "./region-tree.ts";
import type { AddressSpace, Region, Vmo } from "./types.ts";
import { cloneVmo, createVmo, dropPages, releaseVmo, retainVmo } from "./vmo.ts";

/** Whether a child shows the same pages there. */
export function isInherited({ advice }: Region): boolean {
  return !advice.omittedByFork && !advice.wipedByFork;
}

/** Fills the child, which has no regions but those that it is to have. Page tables are the caller's. */
export function copyRegions(k: Kernel, parent: AddressSpace, child: AddressSpace): void {
  // Regions that were one before a split show the same VMO; their copies do too.
  const clones = new Map<Vmo, Vmo>();
  const cloneOf = (vmo: Vmo): Vmo => {
    const known = clones.get(vmo);
    if (known !== undefined) return known;
    const clone = cloneVmo(k, vmo);
    clones.set(vmo, clone);
    return clone;
  };
  for (const region of regionsOf(parent)) {
    const { advice, sharing } = region;
    if (advice.omittedByFork) continue;
    const vmo =
      sharing === "shared"
        ? region.vmo
        : advice.wipedByFork
          ? createVmo(k, { kind: "zero" }, Infinity)
          : cloneOf(region.vmo);
    if (!advice.wipedByFork) retainVmo(vmo);
    insertRegion(k, child, { ...region, space: child.id, vmo, locked: "no" });
  }
  // What the child does not show, it must not hold either.
  const drop = (frame: FrameNumber): void => releaseFrame(k, frame);
  for (const region of regionsOf(parent)) {
    const clone = isInherited(region) ? undefined : clones.get(region.vmo);
    const { from, to } = pagesOf(region);
    if (clone !== undefined) dropPages(k, clone, from, to, drop);
  }
  for (const clone of clones.values()) releaseVmo(k, clone);
}
