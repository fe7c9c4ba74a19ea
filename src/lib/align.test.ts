// Tests of align.ts.

import assert from "node:assert/strict";
import test from "node:test";
import { alignDown, alignUp, isAligned } from "./align.ts";
import { contains, containsRange, intersect, isEmpty, overlaps, range, rangeLength } from "./range.ts";
import { assertNever, invariant, InvariantError } from "./assert.ts";

test("alignment works above 2^32 and below zero", () => {
  assert.equal(alignDown(0x3ffffff123, 4096), 0x3ffffff000);
  assert.equal(alignUp(0x3ffffff001, 4096), 0x4000000000);
  assert.equal(alignUp(4096, 4096), 4096);
  assert.equal(alignDown(-1, 4096), -4096);
  assert.ok(Object.is(alignUp(-1, 4096), 0));
  assert.ok(isAligned(-4096, 4096) && !isAligned(-4095, 4096));
});

test("ranges are half-open", () => {
  const top = range(-4096, 0);
  assert.equal(rangeLength(top), 4096);
  assert.ok(contains(top, -1) && !contains(top, 0) && contains(top, -4096));
  assert.ok(!overlaps(range(0, 4), range(4, 8)) && overlaps(range(0, 5), range(4, 8)));
  assert.ok(!overlaps(range(3, 3), range(0, 8)), "an empty range overlaps nothing");
  assert.deepEqual(intersect(range(0, 5), range(4, 8)), range(4, 5));
  assert.equal(intersect(range(0, 4), range(4, 8)), undefined);
  assert.ok(containsRange(range(0, 8), range(2, 8)) && !containsRange(range(0, 8), range(2, 9)));
  assert.ok(isEmpty(range(3, 3)));
});

test("assertions throw InvariantError", () => {
  assert.throws(() => invariant(false, "no"), InvariantError);
  invariant(true, "yes");
  assert.throws(() => assertNever("x" as never), InvariantError);
});
