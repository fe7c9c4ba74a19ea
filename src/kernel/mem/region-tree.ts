// The ordered structure that an address space keeps its regions in. Everybody looks at regions through these functions, and only
// regions.ts adds, removes and resizes them.

import type { AddressSpace, Region } from "./types.ts";

/** The region that holds `address`. */
export function findRegion(space: AddressSpace, address: number): Region | undefined {
  const region = space.regions[firstEndingAfter(space, address)];
  return region !== undefined && region.start <= address ? region : undefined;
}

/** The region that holds `address`, or else the next one above it. */
export function findRegionAtOrAbove(space: AddressSpace, address: number): Region | undefined {
  return space.regions[firstEndingAfter(space, address)];
}

/** The last region that ends at or below `address`: of a region's start, its predecessor. */
export function findRegionBelow(space: AddressSpace, address: number): Region | undefined {
  return space.regions[firstEndingAfter(space, address) - 1];
}

/** The regions of the space, or those that reach into a range of it, in order of address. No region may come or go meanwhile. */
export function* regionsOf(space: AddressSpace, from = 0, to = Infinity): Generator<Region, void> {
  const { regions } = space;
  for (let i = firstEndingAfter(space, from); i < regions.length; i++) {
    const region = regions[i];
    if (region === undefined || region.start >= to) return;
    yield region;
  }
}

export function regionCount(space: AddressSpace): number {
  return space.regions.length;
}

/** Puts a region in its place. It overlaps no other. */
export function addRegion(space: AddressSpace, region: Region): void {
  space.regions.splice(firstEndingAfter(space, region.start), 0, region);
}

/** Takes a region out. */
export function deleteRegion(space: AddressSpace, region: Region): void {
  space.regions.splice(firstEndingAfter(space, region.start), 1);
}

/** Takes all regions out. */
export function clearRegions(space: AddressSpace): void {
  space.regions.length = 0;
}

/** Index of the first region that ends after `address`. */
function firstEndingAfter(space: AddressSpace, address: number): number {
  const { regions } = space;
  let low = 0;
  let high = regions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const region = regions[middle];
    if (region !== undefined && region.end <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}
