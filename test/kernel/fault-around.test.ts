// What a page fault maps beyond its own page (mem/fault-around.ts).

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { query } from "../../src/kernel/mem/page-table.ts";
import { findRegion, mapRegion } from "../../src/kernel/mem/regions.ts";
import type { AddressSpace } from "../../src/kernel/mem/types.ts";
import { residentFrame } from "../../src/kernel/mem/vmo.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const AT = virtAddr(0x1000_0000);
const PAGES = 40;

function spaceWithMemory(k: Kernel): AddressSpace {
  const space = createAddressSpace(k);
  assert.ok(space !== "ENOMEM");
  const protection = { read: true, write: true, execute: false };
  const length = PAGES * PAGE_SIZE;
  const request = { address: AT, fixed: "no-replace", length, protection, sharing: "private", purpose: "anonymous" };
  assert.equal(mapRegion(k, space, request as Parameters<typeof mapRegion>[2]), AT);
  return space;
}

const write = (k: Kernel, space: AddressSpace, page: number): void =>
  assert.equal(handlePageFault(k, space, virtAddr(AT + page * PAGE_SIZE), "write").kind, "resolved");

function residentPages(space: AddressSpace): number[] {
  const region = findRegion(space, AT);
  assert.ok(region !== undefined);
  const { vmo, vmoOffsetPages } = region;
  return range(0, PAGES).filter((page) => residentFrame(vmo, vmoOffsetPages + page) !== undefined);
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

eachArch(({ arch, test }) => {
  test("whoever writes to memory in ascending order gets pages ahead, zeroed and writable; nobody else does", () => {
    const k = createMemoryKernel(arch);
    const free = freeFrameCount(k);
    const space = spaceWithMemory(k);
    for (const page of [30, 28, 26]) write(k, space, page);
    assert.deepEqual(residentPages(space), [26, 28, 30]);
    for (const page of range(0, 8)) write(k, space, page);
    assert.deepEqual(residentPages(space), [...range(0, 8), 26, 28, 30]);
    // A page that shows the common page of zeros stays as it is, and so does one that is there.
    assert.equal(handlePageFault(k, space, virtAddr(AT + 20 * PAGE_SIZE), "read").kind, "resolved");
    write(k, space, 8);
    assert.deepEqual(residentPages(space), [...range(0, 20), ...range(21, 24), 26, 28, 30]);
    const ahead = query(k, space, virtAddr(AT + 12 * PAGE_SIZE));
    assert.ok(ahead?.flags.write === true);
    assert.equal(k.memory.read32(ahead.physical), 0);
    assert.equal(query(k, space, virtAddr(AT + 20 * PAGE_SIZE))?.frame, k.state.memory.zeroFrame);
    assert.equal(query(k, space, virtAddr(AT + 24 * PAGE_SIZE)), undefined);
    assert.deepEqual(checkInvariants(k), []);
    releaseAddressSpace(k, space);
    assert.equal(freeFrameCount(k), free);
  });

  test("pages ahead end with the region, and come only while memory is plenty", () => {
    const k = createMemoryKernel(arch);
    const space = spaceWithMemory(k);
    for (const page of range(28, 37)) write(k, space, page);
    assert.deepEqual(residentPages(space), range(28, PAGES));
    const other = createMemoryKernel(arch, { memoryBytes: 4 << 20 });
    const scarce = spaceWithMemory(other);
    for (const page of range(0, 9)) write(other, scarce, page);
    assert.deepEqual(residentPages(scarce), range(0, 9));
    assert.deepEqual(checkInvariants(k), []);
  });

  test("without large pages every page is made by its own fault", () => {
    const k = createMemoryKernel(arch);
    k.state.memory.largePages = "never";
    const space = spaceWithMemory(k);
    for (const page of range(0, 12)) write(k, space, page);
    assert.deepEqual(residentPages(space), range(0, 12));
  });
});
