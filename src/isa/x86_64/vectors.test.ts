// Tests of vectors.ts and msrs.ts.

import assert from "node:assert/strict";
import test from "node:test";
import { MSR, msrName } from "./msrs.ts";
import { describeVector, isContributory, pushesErrorCode, VECTOR } from "./vectors.ts";

const vectorsWhere = (predicate: (vector: number) => boolean): number[] =>
  Array.from({ length: 256 }, (_, vector) => vector).filter(predicate);

test("the exceptions that push an error code, and those that make a double fault of each other", () => {
  assert.deepEqual(vectorsWhere(pushesErrorCode), [8, 10, 11, 12, 13, 14, 17]);
  assert.deepEqual(vectorsWhere(isContributory), [0, 10, 11, 12, 13]);
});

test("vectors and MSRs have names", () => {
  assert.equal(describeVector(VECTOR.PF), "page fault");
  assert.equal(describeVector(9), "reserved exception 9");
  assert.equal(describeVector(0x20), "interrupt 32");
  assert.equal(msrName(0xc0000080 | 0), "efer");
  assert.equal(msrName(MSR.fsBase), "fsBase");
  assert.equal(msrName(5), undefined);
});
