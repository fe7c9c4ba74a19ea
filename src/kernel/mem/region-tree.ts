// The ordered structure that an address space keeps its regions in: an AVL tree by address, each node of which knows the largest gap
// between neighbours below it. Everybody looks at regions through these functions; only regions.ts adds, removes and resizes them.
//
//                       [40 60)                       a node's summary covers its whole subtree:
//              first 0  last 99  gap 20                 first   where its lowest region wants room to begin: its start, less
//                 /             \                               the guard gap when it grows down
//          [0 10)                [80 99)                last    where its highest region ends
//      first 0  last 30       first 80  last 99         gap     the largest room between two neighbours of it
//           gap 5                 gap 0
//               \                                     room between subtrees is left.last to first, last to right.first; so a summary
//                [15 30)                              follows from the node and its two children, and no neighbour is looked up
//
// Find, add, remove, resize and the search for a gap visit O(log n) nodes: a tree of n regions is at most 1.44 log2 n high. AVL and
// not a hash-ordered tree, since a guest that chooses its addresses cannot unbalance it, and not a B+-tree, since a fault looks at
// few regions in most spaces, and a node for each region makes adding and removing short. The nodes are data without links upwards
// or sideways, and recursion over them is as deep as the tree is high: structuredClone takes any number of regions.
//
// Adelson-Velsky and Landis, "An algorithm for the organization of information", 1962; the gap is Linux's rb_subtree_gap of mm/mmap.c
// before 6.1, without its dependence on the region before.

import { PAGE_SIZE } from "../../lib/address.ts";
import type { AddressSpace, Region } from "./types.ts";

export interface RegionTree {
  root: RegionNode | undefined;
  count: number;
  /** Of all regions together. */
  bytes: number;
}

export interface RegionNode {
  region: Region;
  left: RegionNode | undefined;
  right: RegionNode | undefined;
  /** 1 for a node without children. */
  height: number;
  /** What the subtree covers, and the largest room between neighbours in it, in bytes: 0 when there is none. */
  first: number;
  last: number;
  gap: number;
}

/** Bytes that stay free below a region that grows down. */
export const STACK_GUARD_GAP = 256 * PAGE_SIZE;

export const createRegionTree = (): RegionTree => ({ root: undefined, count: 0, bytes: 0 });

/** The region that holds `address`. */
export function findRegion(space: AddressSpace, address: number): Region | undefined {
  const region = findRegionAtOrAbove(space, address);
  return region !== undefined && region.start <= address ? region : undefined;
}

/** The region that holds `address`, or else the next one above it. */
export function findRegionAtOrAbove(space: AddressSpace, address: number): Region | undefined {
  let found: Region | undefined;
  for (let node = space.regions.root; node !== undefined;) {
    const { region } = node;
    if (region.end <= address) {
      node = node.right;
    } else {
      found = region;
      if (region.start <= address) break;
      node = node.left;
    }
  }
  return found;
}

/** The last region that ends at or below `address`: of a region's start, its predecessor. */
export function findRegionBelow(space: AddressSpace, address: number): Region | undefined {
  let found: Region | undefined;
  for (let node = space.regions.root; node !== undefined;) {
    if (node.region.end <= address) {
      found = node.region;
      node = node.right;
    } else {
      node = node.left;
    }
  }
  return found;
}

/**
 * The regions of the space, or those that reach into a range of it, in order of address. The loop's body may change the regions: the
 * next one is the first that ends above the end of the one before.
 */
export function* regionsOf(space: AddressSpace, from = 0, to = Infinity): Generator<Region, void> {
  let region = findRegionAtOrAbove(space, from);
  while (region !== undefined && region.start < to) {
    const { end } = region;
    yield region;
    region = findRegionAtOrAbove(space, Math.max(end, region.end));
  }
}

export function regionCount(space: AddressSpace): number {
  return space.regions.count;
}

/** Bytes of all regions. */
export function spaceSize(space: AddressSpace): number {
  return space.regions.bytes;
}

/** Puts a region in its place. It overlaps no other. */
export function addRegion(space: AddressSpace, region: Region): void {
  const { regions } = space;
  regions.root = add(regions.root, region);
  regions.count += 1;
  regions.bytes += region.end - region.start;
}

/** Takes a region out. */
export function deleteRegion(space: AddressSpace, region: Region): void {
  const { regions } = space;
  regions.root = remove(regions.root, region.start);
  regions.count -= 1;
  regions.bytes -= region.end - region.start;
}

/** Gives a region of the tree other bounds, within the room between its neighbours. */
export function moveBounds(space: AddressSpace, region: Region, start: Region["start"], end: Region["end"]): void {
  const { regions } = space;
  regions.bytes += end - start - (region.end - region.start);
  region.start = start;
  region.end = end;
  refresh(regions.root, region);
}

/** Takes all regions out. */
export function clearRegions(space: AddressSpace): void {
  Object.assign(space.regions, createRegionTree());
}

/**
 * The highest free range of `length` bytes within bounds that is clear of the guard gaps; its start is a multiple of `alignment`.
 * Like Linux's vm_unmapped_area it looks for as much room as suffices wherever it begins.
 */
export function findHighestGap(
  { regions }: AddressSpace,
  length: number,
  within: { readonly start: number; readonly end: number },
  alignment: number = PAGE_SIZE,
): number | undefined {
  const { start, end } = within;
  const { root } = regions;
  const needed = length + alignment - PAGE_SIZE;
  const top =
    root === undefined
      ? clip(start, end, start, end, needed)
      : (clip(root.last, end, start, end, needed) ??
        searchGap(root, start, end, needed) ??
        clip(start, root.first, start, end, needed));
  return top === undefined ? undefined : top - length - ((top - length) % alignment);
}

/** The end of the highest room between two neighbours of the subtree that has so many bytes within bounds. */
function searchGap(node: RegionNode | undefined, start: number, end: number, needed: number): number | undefined {
  if (node === undefined || node.gap < needed || node.last <= start || node.first >= end) return undefined;
  const { region, left, right } = node;
  return (
    searchGap(right, start, end, needed) ??
    (right === undefined ? undefined : clip(region.end, right.first, start, end, needed)) ??
    (left === undefined ? undefined : clip(left.last, lowBound(region), start, end, needed)) ??
    searchGap(left, start, end, needed)
  );
}

/** The end of [from, to) within bounds, if that leaves enough. */
function clip(from: number, to: number, start: number, end: number, needed: number): number | undefined {
  const top = Math.min(to, end);
  return top - Math.max(from, start) >= needed ? top : undefined;
}

/** The lowest address that a mapping below the region must leave alone. */
function lowBound(region: Region): number {
  return region.growsDown ? region.start - STACK_GUARD_GAP : region.start;
}

function add(node: RegionNode | undefined, region: Region): RegionNode {
  if (node === undefined) {
    return { region, left: undefined, right: undefined, height: 1, first: lowBound(region), last: region.end, gap: 0 };
  }
  if (region.start < node.region.start) node.left = add(node.left, region);
  else node.right = add(node.right, region);
  return balance(node);
}

function remove(node: RegionNode | undefined, start: number): RegionNode | undefined {
  if (node === undefined) return undefined;
  if (start < node.region.start) {
    node.left = remove(node.left, start);
  } else if (start > node.region.start) {
    node.right = remove(node.right, start);
  } else {
    const { left, right } = node;
    if (left === undefined) return right;
    if (right === undefined) return left;
    let next = right;
    while (next.left !== undefined) next = next.left;
    node.region = next.region;
    node.right = remove(right, next.region.start);
  }
  return balance(node);
}

/** Computes the summaries anew from a region whose bounds have changed up to the root. */
function refresh(node: RegionNode | undefined, region: Region): void {
  if (node === undefined) return;
  if (node.region !== region) refresh(region.start < node.region.start ? node.left : node.right, region);
  summarize(node);
}

/** Restores a node whose children are in order and differ in height by at most two; returns the subtree's new root. */
function balance(node: RegionNode): RegionNode {
  const { left, right } = node;
  const lean = heightOf(left) - heightOf(right);
  if (left !== undefined && lean > 1) {
    if (heightOf(left.left) < heightOf(left.right)) node.left = rotateLeft(left);
    return rotateRight(node);
  }
  if (right !== undefined && lean < -1) {
    if (heightOf(right.right) < heightOf(right.left)) node.right = rotateRight(right);
    return rotateLeft(node);
  }
  summarize(node);
  return node;
}

/** The left child becomes the root of the subtree. */
function rotateRight(node: RegionNode): RegionNode {
  const { left } = node;
  if (left === undefined) return node;
  node.left = left.right;
  left.right = node;
  summarize(node);
  summarize(left);
  return left;
}

/** The right child becomes the root of the subtree. */
function rotateLeft(node: RegionNode): RegionNode {
  const { right } = node;
  if (right === undefined) return node;
  node.right = right.left;
  right.left = node;
  summarize(node);
  summarize(right);
  return right;
}

function heightOf(node: RegionNode | undefined): number {
  return node === undefined ? 0 : node.height;
}

function summarize(node: RegionNode): void {
  const { region, left, right } = node;
  node.height = 1 + Math.max(heightOf(left), heightOf(right));
  let gap = 0;
  node.first = lowBound(region);
  node.last = region.end;
  if (left !== undefined) {
    gap = Math.max(gap, left.gap, node.first - left.last);
    node.first = left.first;
  }
  if (right !== undefined) {
    gap = Math.max(gap, right.gap, right.first - region.end);
    node.last = right.last;
  }
  node.gap = gap;
}

/** For tests: whether the tree is ordered, balanced and rightly summarized (INV-6); in words what is not. */
export function checkRegionTree({ regions }: AddressSpace): string[] {
  const problems: string[] = [];
  let count = 0;
  let bytes = 0;
  let previous = -Infinity;
  const visit = (node: RegionNode | undefined): void => {
    if (node === undefined) return;
    const { region, height, first, last, gap } = node;
    const what = `the node of ${region.start}-${region.end}`;
    visit(node.left);
    if (region.start < previous) problems.push(`${what} is out of order`);
    previous = region.end;
    count += 1;
    bytes += region.end - region.start;
    visit(node.right);
    if (Math.abs(heightOf(node.left) - heightOf(node.right)) > 1) problems.push(`${what} is out of balance`);
    const right = { ...node };
    summarize(right);
    if (right.height !== height || right.first !== first || right.last !== last || right.gap !== gap) {
      problems.push(`${what} has a wrong summary`);
    }
  };
  visit(regions.root);
  if (count !== regions.count || bytes !== regions.bytes) {
    problems.push(`${regions.count} regions of ${regions.bytes} bytes counted, ${count} of ${bytes} there`);
  }
  return problems;
}
