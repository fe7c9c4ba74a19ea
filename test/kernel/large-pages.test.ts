// Transparent large pages: when they come, what cuts them up, and that a part never takes the whole with it.

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { allocateFrame, freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { LARGE_PAGE_SIZE } from "../../src/kernel/mem/large-pages.ts";
import { query } from "../../src/kernel/mem/page-table.ts";
import { reclaimFrames } from "../../src/kernel/mem/reclaim.ts";
import { mapRegion, protectRange, unmapRange } from "../../src/kernel/mem/regions.ts";
import { adviseRange } from "../../src/kernel/mem/advice.ts";
import { MREMAP, remapRange } from "../../src/kernel/mem/remap.ts";
import { swapOn } from "../../src/kernel/mem/swap-areas.ts";
import type { AddressSpace, Protection } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryDevice } from "../support/memory-device.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const RW: Protection = { read: true, write: true, execute: false };
const RO: Protection = { read: true, write: false, execute: false };
const AT = 0x4000_0000;
const PAGES = LARGE_PAGE_SIZE / PAGE_SIZE;

function ok<T>(value: T | "ENOMEM"): T {
  assert.notEqual(value, "ENOMEM");
  return value as T;
}

function map(k: Kernel, space: AddressSpace, length: number, address = AT): void {
  const request = { address, fixed: "no-replace", length, protection: RW, sharing: "private" } as const;
  assert.equal(mapRegion(k, space, { ...request, purpose: "anonymous" }), address);
}

const poke = (k: Kernel, space: AddressSpace, address: number, value: number): void =>
  assert.equal(copyToUser(k, space, address, Uint8Array.of(value)), 0);
function peek(k: Kernel, space: AddressSpace, address: number): number | undefined {
  const bytes = copyFromUser(k, space, address, 1);
  return bytes === "EFAULT" ? undefined : bytes[0];
}
const levelAt = (k: Kernel, space: AddressSpace, address: number): number | undefined =>
  query(k, space, virtAddr(address))?.level;
const isFine = (k: Kernel): void => assert.deepEqual(checkInvariants(k), []);

/** A space with two large pages, the first byte of each 4 KiB its number. */
function largeSpace(k: Kernel): AddressSpace {
  const space = ok(createAddressSpace(k));
  map(k, space, 2 * LARGE_PAGE_SIZE);
  for (let i = 0; i < 2 * PAGES; i++) poke(k, space, AT + i * PAGE_SIZE, i & 0xff);
  assert.equal(levelAt(k, space, AT), 1);
  assert.equal(levelAt(k, space, AT + LARGE_PAGE_SIZE + 5), 1);
  return space;
}

function hasContents(k: Kernel, space: AddressSpace, from: number, to: number): void {
  for (let i = from; i < to; i++) assert.equal(peek(k, space, AT + i * PAGE_SIZE), i & 0xff, `page ${i}`);
}

eachArch(({ arch, test }) => {
  test("the first write to an untouched aligned 2 MiB makes a large page; reads, ragged ends and touched blocks do not", () => {
    const k = createMemoryKernel(arch);
    const space = ok(createAddressSpace(k));
    map(k, space, 3 * LARGE_PAGE_SIZE, AT + PAGE_SIZE);
    assert.equal(handlePageFault(k, space, virtAddr(AT + LARGE_PAGE_SIZE), "read").kind, "resolved");
    assert.equal(levelAt(k, space, AT + LARGE_PAGE_SIZE), 0, "the page of zeros");
    poke(k, space, AT + LARGE_PAGE_SIZE + 12345, 7);
    assert.equal(levelAt(k, space, AT + LARGE_PAGE_SIZE), 1);
    assert.equal(peek(k, space, AT + LARGE_PAGE_SIZE), 0);
    poke(k, space, AT + PAGE_SIZE, 1);
    assert.equal(levelAt(k, space, AT + PAGE_SIZE), 0, "the region does not cover the first 2 MiB");
    poke(k, space, AT + 3 * LARGE_PAGE_SIZE, 1);
    assert.equal(levelAt(k, space, AT + 3 * LARGE_PAGE_SIZE), 0, "nor the last");
    isFine(k);
    k.state.memory.largePages = "never";
    poke(k, space, AT + 2 * LARGE_PAGE_SIZE, 1);
    assert.equal(levelAt(k, space, AT + 2 * LARGE_PAGE_SIZE), 0);
    isFine(k);
  });

  test("unmapping, protecting and dropping a part cut a large page up, and leave the rest as it was", () => {
    const k = createMemoryKernel(arch);
    const free = freeFrameCount(k);
    const space = largeSpace(k);
    assert.equal(unmapRange(k, space, AT + 3 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
    assert.equal(levelAt(k, space, AT), 0);
    assert.equal(peek(k, space, AT + 3 * PAGE_SIZE), undefined);
    hasContents(k, space, 0, 3);
    hasContents(k, space, 5, 2 * PAGES);
    isFine(k);
    assert.equal(protectRange(k, space, AT + LARGE_PAGE_SIZE + 8 * PAGE_SIZE, PAGE_SIZE, RO), 0);
    assert.equal(handlePageFault(k, space, virtAddr(AT + LARGE_PAGE_SIZE + 8 * PAGE_SIZE), "write").kind, "signal");
    poke(k, space, AT + LARGE_PAGE_SIZE + 9 * PAGE_SIZE, (PAGES + 9) & 0xff);
    assert.equal(adviseRange(k, space, AT + LARGE_PAGE_SIZE, PAGE_SIZE, 4), 0);
    assert.equal(peek(k, space, AT + LARGE_PAGE_SIZE), 0);
    hasContents(k, space, PAGES + 1, 2 * PAGES);
    isFine(k);
    releaseAddressSpace(k, space);
    assert.equal(freeFrameCount(k), free);
  });

  test("fork shares a large page as one entry; a write copies 4 KiB of it; the last sharer gets the whole back", () => {
    const k = createMemoryKernel(arch);
    const parent = largeSpace(k);
    const child = ok(cloneAddressSpace(k, parent));
    assert.equal(levelAt(k, child, AT), 1);
    const free = freeFrameCount(k);
    poke(k, child, AT + 5 * PAGE_SIZE, 99);
    assert.equal(freeFrameCount(k), free - 2, "the page and the table for the parts");
    assert.equal(peek(k, parent, AT + 5 * PAGE_SIZE), 5);
    hasContents(k, child, 0, 5);
    assert.equal(levelAt(k, parent, AT), 1);
    isFine(k);
    releaseAddressSpace(k, child);
    poke(k, parent, AT + 7, 7);
    assert.equal(levelAt(k, parent, AT), 1, "taken over whole, without a copy");
    assert.equal(query(k, parent, virtAddr(AT))?.flags.write, true);
    hasContents(k, parent, 1, 2 * PAGES);
    isFine(k);
  });

  test("a block that moves by whole blocks is mapped in one entry again; by others, in parts", () => {
    const k = createMemoryKernel(arch);
    const space = largeSpace(k);
    const flags = MREMAP.MAYMOVE | MREMAP.FIXED;
    const aligned = AT + 16 * LARGE_PAGE_SIZE;
    assert.equal(remapRange(k, space, AT, LARGE_PAGE_SIZE, LARGE_PAGE_SIZE, flags, aligned), aligned);
    assert.equal(peek(k, space, aligned + 3 * PAGE_SIZE), 3);
    assert.equal(levelAt(k, space, aligned), 1);
    const ragged = aligned + 32 * LARGE_PAGE_SIZE + PAGE_SIZE;
    assert.equal(remapRange(k, space, aligned, LARGE_PAGE_SIZE, LARGE_PAGE_SIZE, flags, ragged), ragged);
    assert.equal(peek(k, space, ragged + 4 * PAGE_SIZE), 4);
    assert.equal(levelAt(k, space, ragged + 4 * PAGE_SIZE), 0);
    isFine(k);
  });

  test("without a frame for the table of the parts, a part still goes, and the rest comes back", () => {
    const k = createMemoryKernel(arch);
    const space = largeSpace(k);
    while (allocateFrame(k, "kernel") !== "ENOMEM");
    assert.equal(unmapRange(k, space, AT + 3 * PAGE_SIZE, PAGE_SIZE), 0);
    assert.equal(query(k, space, virtAddr(AT)), undefined);
    hasContents(k, space, 0, 3);
    hasContents(k, space, 4, PAGES);
    isFine(k);
  });

  test("reclaim takes large pages apart and swap brings them back in small ones", () => {
    const device = createMemoryDevice(2000);
    const k = createMemoryKernel(arch, { blockDevices: new Map([["swap0", device]]) });
    assert.equal(swapOn(k, "swap0"), 0);
    const space = largeSpace(k);
    while (reclaimFrames(k, 1000) > 0);
    assert.equal(query(k, space, virtAddr(AT)), undefined);
    hasContents(k, space, 0, 2 * PAGES);
    isFine(k);
  });

  test("MAP_HUGETLB: whole pages from the first touch, copied whole after fork, never swapped; SIGBUS without a block", () => {
    const device = createMemoryDevice(2000);
    const k = createMemoryKernel(arch, { blockDevices: new Map([["swap0", device]]) });
    assert.equal(swapOn(k, "swap0"), 0);
    const free = freeFrameCount(k);
    const parent = ok(createAddressSpace(k));
    const request = {
      address: AT,
      fixed: "no-replace",
      protection: RW,
      sharing: "private",
      purpose: "anonymous",
    } as const;
    assert.equal(mapRegion(k, parent, { ...request, length: 2 * LARGE_PAGE_SIZE, pageLevel: 1 }), AT);
    assert.equal(peek(k, parent, AT + 3), 0);
    assert.equal(levelAt(k, parent, AT), 1);
    poke(k, parent, AT + 5 * PAGE_SIZE, 55);
    isFine(k);
    const child = ok(cloneAddressSpace(k, parent));
    poke(k, child, AT + 6 * PAGE_SIZE, 66);
    assert.equal(levelAt(k, child, AT), 1);
    assert.equal(peek(k, child, AT + 5 * PAGE_SIZE), 55);
    assert.equal(peek(k, parent, AT + 6 * PAGE_SIZE), 0);
    while (reclaimFrames(k, 1000) > 0);
    assert.equal(device.writes, 0);
    assert.equal(unmapRange(k, child, AT + PAGE_SIZE, PAGE_SIZE), "EINVAL");
    isFine(k);
    while (allocateFrame(k, "kernel") !== "ENOMEM");
    const outcome = handlePageFault(k, parent, virtAddr(AT + LARGE_PAGE_SIZE), "write");
    assert.deepEqual(outcome, { kind: "signal", signal: "SIGBUS", code: 2 });
    releaseAddressSpace(k, child);
    poke(k, parent, AT, 1);
    isFine(k);
    releaseAddressSpace(k, parent);
    assert.ok(freeFrameCount(k) <= free);
    isFine(k);
  });
});
