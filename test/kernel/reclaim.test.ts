// Reclaim: whom the clock spares, slots of the swap cache that change hands, and stacks in strict overcommit.

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr, type FrameNumber } from "../../src/lib/address.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { finishFlush, newFlush } from "../../src/kernel/mem/flush.ts";
import { query, updateFlags } from "../../src/kernel/mem/page-table.ts";
import { reclaimFrames } from "../../src/kernel/mem/reclaim.ts";
import { mapRegion } from "../../src/kernel/mem/regions.ts";
import { swapOn } from "../../src/kernel/mem/swap-areas.ts";
import { swapTotals } from "../../src/kernel/mem/swap-slots.ts";
import type { AddressSpace, Protection } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryDevice, type MemoryDevice } from "../support/memory-device.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const RW: Protection = { read: true, write: true, execute: false };
const AT = 0x1000_0000;

function setUp(arch: Architecture, slots: number): { k: Kernel; space: AddressSpace; device: MemoryDevice } {
  const device = createMemoryDevice(slots + 1);
  const blockDevices = new Map([["swap0", device]]);
  const k = createMemoryKernel(arch, { memoryBytes: 4 << 20, blockDevices });
  assert.equal(swapOn(k, "swap0"), 0);
  return { k, space: ok(createAddressSpace(k)), device };
}

function ok<T>(value: T | "ENOMEM"): T {
  assert.notEqual(value, "ENOMEM");
  return value as T;
}

function map(
  k: Kernel,
  space: AddressSpace,
  pages: number,
  sharing: "private" | "shared" = "private",
  address = AT,
): number | string {
  const request = { address, fixed: "no-replace", length: pages * PAGE_SIZE, protection: RW, sharing } as const;
  return mapRegion(k, space, { ...request, purpose: "anonymous" });
}

const page = (index: number): number => AT + index * PAGE_SIZE;
const poke = (k: Kernel, space: AddressSpace, address: number, value: number): void =>
  assert.equal(copyToUser(k, space, address, Uint8Array.of(value)), 0);
function peek(k: Kernel, space: AddressSpace, address: number): number | undefined {
  const bytes = copyFromUser(k, space, address, 1);
  return bytes === "EFAULT" ? undefined : bytes[0];
}
const frameAt = (k: Kernel, space: AddressSpace, address: number): FrameNumber | undefined =>
  query(k, space, virtAddr(address))?.frame;
const isFine = (k: Kernel): void => assert.deepEqual(checkInvariants(k), []);
const reclaimAll = (k: Kernel): void => {
  while (reclaimFrames(k, 1000) > 0);
};

eachArch(({ arch, test }) => {
  test("a slot that the swap cache gave up for another page is not taken for the old page's copy any more", () => {
    const slots = 40;
    const { k, space, device } = setUp(arch, slots);
    assert.equal(map(k, space, slots + 1), AT);
    for (let index = 0; index < 10; index++) poke(k, space, page(index), 10 + index);
    reclaimAll(k);
    assert.equal(device.writes, 10);
    // They come back and are only read: their slots are idle. The pages after them take all free slots, and the last one an idle one.
    for (let index = 0; index < 10; index++) assert.equal(peek(k, space, page(index)), 10 + index);
    assert.equal(k.state.memory.swap.idle.size, 10);
    for (let index = 10; index <= slots; index++) {
      poke(k, space, page(index), 10 + index);
      setAccessed(k, space, page(index), false);
      k.state.memory.reclaim.hand = (frameAt(k, space, page(index)) ?? 0) - k.state.memory.frames.firstFrame;
      assert.equal(reclaimFrames(k, 1), 1);
      assert.equal(frameAt(k, space, page(index)), undefined, "it is the one that went");
    }
    assert.equal(k.state.memory.swap.idle.size, 9);
    isFine(k);
    reclaimAll(k);
    isFine(k);
    for (let index = 0; index <= slots; index++) assert.equal(peek(k, space, page(index)), 10 + index, `page ${index}`);
    releaseAddressSpace(k, space);
    assert.equal(swapTotals(k).free, swapTotals(k).total);
  });

  test("accessed pages get a second chance: of many, those that are used stay", () => {
    const { k, space } = setUp(arch, 3000);
    assert.equal(map(k, space, 256), AT);
    for (let index = 0; index < 256; index++) poke(k, space, page(index), index);
    // A first round clears the accessed bits; then the program uses a few.
    reclaimFrames(k, 1);
    const used = [3, 77, 200];
    for (const index of used) setAccessed(k, space, page(index), true);
    reclaimFrames(k, 100);
    for (const index of used) assert.notEqual(frameAt(k, space, page(index)), undefined, `page ${index}`);
    isFine(k);
  });

  test("in strict mode a stack does not grow beyond what may be promised", () => {
    const { k, space } = setUp(arch, 99);
    const request = {
      address: AT,
      fixed: "no-replace",
      length: PAGE_SIZE,
      protection: RW,
      sharing: "private",
    } as const;
    assert.equal(mapRegion(k, space, { ...request, growsDown: true, purpose: "stack" }), AT);
    const { overcommit } = k.state.memory;
    overcommit.mode = 2;
    overcommit.ratio = 0;
    assert.equal(handlePageFault(k, space, virtAddr(page(-98)), "write").kind, "resolved");
    assert.equal(handlePageFault(k, space, virtAddr(page(-99)), "write").kind, "signal");
    isFine(k);
  });
});

/** What the MMU does to the entry of a page that a program accesses, or what reclaim does. */
function setAccessed(k: Kernel, space: AddressSpace, address: number, accessed: boolean): void {
  const flush = newFlush(k, space);
  const end = virtAddr(address + PAGE_SIZE);
  updateFlags(k, space, virtAddr(address), end, (flags) => ({ ...flags, accessed }), flush);
  finishFlush(k, flush, "test");
}
