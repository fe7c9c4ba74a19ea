// The tree of regions against a sorted array, and how many of its nodes an operation looks at.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { virtAddr } from "../../lib/address.ts";
import { emptySpace } from "./address-space.ts";
import {
  addRegion,
  checkRegionTree,
  deleteRegion,
  findHighestGap,
  findRegion,
  findRegionAtOrAbove,
  findRegionBelow,
  moveBounds,
  regionCount,
  regionsOf,
  spaceSize,
  STACK_GUARD_GAP,
  type RegionNode,
} from "./region-tree.ts";
import type { AddressSpace, Region } from "./types.ts";

const PAGE = 4096;
const WINDOW_PAGES = 4096;

function regionAt(startPage: number, pages: number, growsDown = false): Region {
  const start = virtAddr(startPage * PAGE);
  return {
    space: 1,
    start,
    end: virtAddr(start + pages * PAGE),
    growsDown,
  } as Partial<Region> as Region; // the tree looks at nothing else
}

/** The oracle: the same operations over a sorted array. */
function highestGap(
  sorted: readonly Region[],
  length: number,
  start: number,
  end: number,
  alignment: number,
): number | undefined {
  const needed = length + alignment - PAGE;
  let top = end;
  for (const region of [...sorted.toReversed(), undefined]) {
    const floor = Math.max(region?.end ?? start, start);
    const ceiling = Math.min(top, end);
    if (ceiling - floor >= needed) return Math.floor((ceiling - length) / alignment) * alignment;
    if (region !== undefined) top = region.growsDown ? region.start - STACK_GUARD_GAP : region.start;
  }
  return undefined;
}

const operation = fc.record({
  kind: fc.constantFrom("add", "add", "delete", "grow", "shrink", "split"),
  page: fc.nat(WINDOW_PAGES - 1),
  pages: fc.integer({ min: 1, max: 64 }),
  growsDown: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
});

function apply(space: AddressSpace, sorted: Region[], op: typeof operation extends fc.Arbitrary<infer T> ? T : never) {
  const address = op.page * PAGE;
  const index = sorted.findIndex(({ end }) => end > address);
  const region = sorted[index];
  if (op.kind === "add") {
    const fresh = regionAt(op.page, op.pages, op.growsDown);
    if (region !== undefined && region.start < fresh.end) return;
    sorted.splice(index < 0 ? sorted.length : index, 0, fresh);
    addRegion(space, fresh);
    return;
  }
  if (region === undefined) return;
  const limit = sorted[index + 1]?.start ?? WINDOW_PAGES * PAGE * 2;
  const middle = virtAddr(region.start + Math.floor((region.end - region.start) / PAGE / 2) * PAGE);
  switch (op.kind) {
    case "delete":
      sorted.splice(index, 1);
      deleteRegion(space, region);
      break;
    case "grow":
      moveBounds(space, region, region.start, virtAddr(Math.min(limit, region.end + op.pages * PAGE)));
      break;
    case "shrink":
      if (middle > region.start) moveBounds(space, region, middle, region.end);
      break;
    case "split": {
      if (middle <= region.start) break;
      const upper = { ...region, start: middle };
      moveBounds(space, region, region.start, middle);
      addRegion(space, upper);
      sorted.splice(index + 1, 0, upper);
    }
  }
}

test("the tree agrees with a sorted array on every look-up and gap, after every operation (INV-6)", () => {
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 120 }),
      fc.array(fc.nat(WINDOW_PAGES * PAGE), { minLength: 1, maxLength: 12 }),
      fc.constantFrom(PAGE, 2 * PAGE, 512 * PAGE),
      (operations, places, alignment) => {
        const space = emptySpace(1);
        const sorted: Region[] = [];
        for (const op of operations) {
          apply(space, sorted, op);
          assert.deepEqual(checkRegionTree(space), []);
        }
        assert.deepEqual([...regionsOf(space)], sorted);
        assert.equal(regionCount(space), sorted.length);
        assert.equal(
          spaceSize(space),
          sorted.reduce((sum, { start, end }) => sum + end - start, 0),
        );
        for (const place of places) {
          const above = sorted.find(({ end }) => end > place);
          assert.equal(findRegionAtOrAbove(space, place), above);
          assert.equal(findRegion(space, place), above !== undefined && above.start <= place ? above : undefined);
          assert.equal(
            findRegionBelow(space, place),
            sorted.findLast(({ end }) => end <= place),
          );
          const [from = 0, to = 0] = [place, places[0] ?? 0].toSorted((a, b) => a - b);
          const inside = sorted.filter(({ start, end }) => end > from && start < to);
          assert.deepEqual([...regionsOf(space, from, to)], inside);
          for (const length of [PAGE, 17 * PAGE, 300 * PAGE]) {
            assert.equal(
              findHighestGap(space, length, { start: from, end: to }, alignment),
              highestGap(sorted, length, from, to, alignment),
            );
          }
        }
      },
    ),
    { numRuns: 300, seed: 4 },
  );
});

/** The space seen through nodes that count how often one is looked at. */
function countingVisits(space: AddressSpace): { space: AddressSpace; visits: () => number } {
  let visits = 0;
  const wrapped = new WeakMap<RegionNode, RegionNode>();
  const wrap = (node: RegionNode | undefined): RegionNode | undefined => {
    if (node === undefined) return undefined;
    const known = wrapped.get(node);
    if (known !== undefined) return known;
    const proxy = new Proxy(node, {
      get(target, key) {
        if (key === "region") visits += 1;
        if (key === "left" || key === "right") return wrap(target[key]);
        return Reflect.get(target, key) as unknown;
      },
    });
    wrapped.set(node, proxy);
    return proxy;
  };
  const regions = { ...space.regions, root: wrap(space.regions.root) };
  return {
    space: { ...space, regions },
    visits: () => {
      const seen = visits;
      visits = 0;
      return seen;
    },
  };
}

test("find and the search for a gap visit O(log n) nodes of 100,000 regions", () => {
  const space = emptySpace(1);
  const count = 100_000;
  // One page mapped, one free, in an order that is good for nobody; the only larger gap is in the middle.
  for (let i = 0; i < count; i++) {
    const place = (i * 7919) % count;
    addRegion(space, regionAt(2 * place + (place >= count / 2 ? 64 : 0), 1));
  }
  assert.equal(regionCount(space), count);
  assert.deepEqual(checkRegionTree(space), []);
  const height = space.regions.root?.height ?? 0;
  assert.ok(height <= 1.44 * Math.log2(count + 2), `height ${height}`);
  const { space: counted, visits } = countingVisits(space);
  const end = (2 * count + 64) * PAGE;
  for (let i = 0; i < 1000; i++) {
    const page = (i * 104729) % (2 * count);
    findRegion(counted, page * PAGE);
    findRegionBelow(counted, page * PAGE);
    assert.ok(visits() <= 4 * height);
    findHighestGap(counted, 8 * PAGE, { start: 0, end });
    assert.ok(visits() <= 4 * height);
    findHighestGap(counted, PAGE, { start: 0, end: (page + 3) * PAGE });
    assert.ok(visits() <= 4 * height);
    findHighestGap(counted, 1024 * PAGE, { start: PAGE, end: page * PAGE });
    assert.ok(visits() <= 4 * height);
  }
  assert.equal(findHighestGap(space, 64 * PAGE, { start: 0, end }), (count + 64 - 64) * PAGE);
});

test("a tree of 100,000 regions is copied by structuredClone, and keeps what is equal equal", () => {
  const space = emptySpace(1);
  for (let i = 0; i < 100_000; i++) addRegion(space, regionAt(2 * i, 1));
  const copy = structuredClone(space);
  assert.deepEqual(checkRegionTree(copy), []);
  assert.equal(regionCount(copy), 100_000);
});
