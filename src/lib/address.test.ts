// Tests of address.ts.

import assert from "node:assert/strict";
import test from "node:test";
import { frameAddress, frameOf, pageAlignUp, pageBase, pageOffset, physAddr, virtAddrFromWords } from "./address.ts";

test("the canonical check takes exactly the addresses whose upper bits are all equal", () => {
  for (const bits of [39, 48]) {
    const half = 2 ** (bits - 1);
    const words = (n: number): [number, number] => [Math.floor(n / 2 ** 32) | 0, n | 0];
    for (const address of [0, 1, half - 1, -half, -4096, -1]) {
      assert.equal(virtAddrFromWords(...words(address), bits), address);
    }
    for (const address of [half, half + 4096, -half - 1, 2 ** 52, -(2 ** 52)]) {
      assert.equal(virtAddrFromWords(...words(address), bits), undefined);
    }
  }
});

test("pages and frames, below zero and above 2^32 too", () => {
  assert.equal(pageBase(-1), -4096);
  assert.equal(pageOffset(-1), 4095);
  assert.equal(pageBase(0x3ffffff123), 0x3ffffff000);
  assert.equal(pageAlignUp(0x3ffffff001), 0x4000000000);
  assert.equal(frameAddress(frameOf(physAddr(0x123456789a))), 0x1234567000);
});
