// Reclaim and swap from the inside: what goes out comes back, for all who share it; what cannot come back hurts one.

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr, type FrameNumber } from "../../src/lib/address.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { frameShareCount, freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { query } from "../../src/kernel/mem/page-table.ts";
import { reclaimFrames } from "../../src/kernel/mem/reclaim.ts";
import { mapRegion } from "../../src/kernel/mem/regions.ts";
import { cancelSwapOff, swapOff, swapOn } from "../../src/kernel/mem/swap-areas.ts";
import { swapTotals } from "../../src/kernel/mem/swap-slots.ts";
import type { AddressSpace, Protection } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { eachArch } from "../support/architectures.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { createMemoryDevice, type MemoryDevice } from "../support/memory-device.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const RW: Protection = { read: true, write: true, execute: false };
const AT = 0x1000_0000;

function createSwappingKernel(
  arch: Architecture,
  pages: number,
  memoryBytes = 4 << 20,
): { k: Kernel; device: MemoryDevice } {
  const device = createMemoryDevice(pages);
  const k = createMemoryKernel(arch, { memoryBytes, blockDevices: new Map([["swap0", device]]) });
  assert.equal(swapOn(k, "swap0"), 0);
  return { k, device };
}

function ok<T>(value: T | "ENOMEM"): T {
  assert.notEqual(value, "ENOMEM");
  return value as T;
}

function map(k: Kernel, space: AddressSpace, pages: number, sharing: "private" | "shared" = "private"): void {
  const request = { address: AT, fixed: "no-replace", length: pages * PAGE_SIZE, protection: RW, sharing } as const;
  assert.equal(mapRegion(k, space, { ...request, purpose: "anonymous" }), AT);
}

const page = (index: number): number => AT + index * PAGE_SIZE;
const poke = (k: Kernel, space: AddressSpace, address: number, value: number): 0 | "EFAULT" =>
  copyToUser(k, space, address, Uint8Array.of(value & 255, value >> 8));
function peek(k: Kernel, space: AddressSpace, address: number): number | undefined {
  const bytes = copyFromUser(k, space, address, 2);
  return bytes === "EFAULT" ? undefined : (bytes[0] ?? 0) + (bytes[1] ?? 0) * 256;
}
const frameAt = (k: Kernel, space: AddressSpace, address: number): FrameNumber | undefined =>
  query(k, space, virtAddr(address))?.frame;
const isFine = (k: Kernel): void => assert.deepEqual(checkInvariants(k), []);
/** Until nothing is left that can go. */
const reclaimAll = (k: Kernel): void => {
  while (reclaimFrames(k, 1000) > 0);
};

eachArch(({ arch, test }) => {
  test("a space of four times the memory keeps its contents, and gives all frames and slots back", () => {
    const { k } = createSwappingKernel(arch, 6000);
    const free = freeFrameCount(k);
    const pages = 4 * k.state.memory.frames.frameCount;
    const space = ok(createAddressSpace(k));
    map(k, space, pages);
    for (let i = 0; i < pages; i++) assert.equal(poke(k, space, page(i), i), 0);
    isFine(k);
    for (let i = 0; i < pages; i++) assert.equal(peek(k, space, page(i)), i & 0xffff);
    for (let i = pages - 1; i >= 0; i -= 7) assert.equal(poke(k, space, page(i), i ^ 0x5555), 0);
    for (let i = pages - 1; i >= 0; i -= 7) assert.equal(peek(k, space, page(i)), (i ^ 0x5555) & 0xffff);
    isFine(k);
    releaseAddressSpace(k, space);
    assert.equal(freeFrameCount(k), free);
    const { total, free: freeSlots } = swapTotals(k);
    assert.equal(freeSlots, total);
  });

  test("a page that both sides of a fork have goes out once and comes back shared; a write then copies it", () => {
    const { k, device } = createSwappingKernel(arch, 1000);
    const parent = ok(createAddressSpace(k));
    map(k, parent, 4);
    for (let i = 0; i < 4; i++) poke(k, parent, page(i), 100 + i);
    const child = ok(cloneAddressSpace(k, parent));
    reclaimAll(k);
    assert.equal(frameAt(k, parent, page(1)), undefined);
    assert.equal(device.writes, 4);
    isFine(k);
    const grandchild = ok(cloneAddressSpace(k, child));
    assert.equal(peek(k, child, page(1)), 101);
    assert.equal(peek(k, parent, page(1)), 101);
    assert.equal(frameAt(k, child, page(1)), frameAt(k, parent, page(1)));
    assert.equal(frameShareCount(k, frameAt(k, parent, page(1)) ?? (0 as FrameNumber)), 2);
    poke(k, child, page(1), 7);
    assert.equal(peek(k, parent, page(1)), 101);
    assert.equal(peek(k, grandchild, page(1)), 101);
    isFine(k);
    for (const space of [parent, child, grandchild]) releaseAddressSpace(k, space);
    isFine(k);
    assert.equal(swapTotals(k).free, swapTotals(k).total);
  });

  test("a page that was only read since it came back goes out again without a write; one that was written, with one", () => {
    const { k, device } = createSwappingKernel(arch, 1000);
    const space = ok(createAddressSpace(k));
    map(k, space, 1);
    poke(k, space, AT, 5);
    reclaimAll(k);
    assert.equal(device.writes, 1);
    assert.equal(handlePageFault(k, space, virtAddr(AT), "read").kind, "resolved");
    assert.equal(query(k, space, virtAddr(AT))?.flags.write, false, "the first write must be noticed");
    reclaimAll(k);
    assert.equal(device.writes, 1);
    poke(k, space, AT, 6);
    isFine(k);
    reclaimAll(k);
    assert.equal(device.writes, 2);
    assert.equal(peek(k, space, AT), 6);
  });

  test("shared memory goes out and comes back for all who map it", () => {
    const { k } = createSwappingKernel(arch, 1000);
    const parent = ok(createAddressSpace(k));
    map(k, parent, 8, "shared");
    for (let i = 0; i < 8; i++) poke(k, parent, page(i), i);
    const child = ok(cloneAddressSpace(k, parent));
    assert.equal(peek(k, child, page(3)), 3);
    reclaimAll(k);
    poke(k, child, page(3), 33);
    assert.equal(peek(k, parent, page(3)), 33);
    reclaimAll(k);
    assert.equal(peek(k, parent, page(3)), 33);
    isFine(k);
  });

  test("a page that cannot be read back, or is not what was written, is SIGBUS for who needs it and nobody else", () => {
    const { k, device } = createSwappingKernel(arch, 1000);
    const space = ok(createAddressSpace(k));
    map(k, space, 32);
    for (let i = 0; i < 32; i++) poke(k, space, page(i), i);
    reclaimAll(k);
    const slotOfPage = (index: number): number => {
      const at = device.bytes.findIndex((byte, offset) => offset >= 4096 && offset % 4096 === 0 && byte === index);
      return at / 4096;
    };
    device.unreadable.add(slotOfPage(9));
    const corrupt = slotOfPage(17);
    device.bytes[corrupt * 4096 + 2000] ^= 1;
    for (let i = 0; i < 32; i++) {
      const { kind } = handlePageFault(k, space, virtAddr(page(i)), "read");
      assert.equal(kind, i === 9 || i === 17 ? "signal" : "resolved", `page ${i}`);
    }
    isFine(k);
    releaseAddressSpace(k, space);
    assert.equal(swapTotals(k).free, swapTotals(k).total);
  });

  test("a device that refuses writes loses slots, and no page is lost", () => {
    const { k, device } = createSwappingKernel(arch, 100);
    const space = ok(createAddressSpace(k));
    map(k, space, 16);
    for (let i = 0; i < 16; i++) poke(k, space, page(i), i);
    device.refusesWrites = true;
    assert.equal(reclaimFrames(k, 8), 0);
    device.refusesWrites = false;
    for (let i = 0; i < 16; i++) assert.equal(peek(k, space, page(i)), i);
    isFine(k);
  });

  test("with memory and swap full a fault says so, and what is there stays", () => {
    const { k } = createSwappingKernel(arch, 65);
    const space = ok(createAddressSpace(k));
    const pages = 2 * k.state.memory.frames.frameCount;
    map(k, space, k.state.memory.frames.frameCount + 64);
    let touched = 0;
    while (touched < pages && poke(k, space, page(touched), touched) === 0) touched += 1;
    assert.ok(touched < pages);
    assert.equal(handlePageFault(k, space, virtAddr(page(touched)), "write").kind, "out-of-memory");
    for (let i = 0; i < 64; i++) assert.equal(peek(k, space, page(i)), i);
    isFine(k);
  });

  test("swapoff brings every page back, in steps; without room for them it says ENOMEM and the area stays", () => {
    const { k } = createSwappingKernel(arch, 6000);
    const space = ok(createAddressSpace(k));
    const pages = 2 * k.state.memory.frames.frameCount;
    map(k, space, pages);
    for (let i = 0; i < pages; i++) poke(k, space, page(i), i);
    let result = swapOff(k, "swap0");
    while (result === "more") result = swapOff(k, "swap0");
    assert.equal(result, "ENOMEM");
    isFine(k);
    for (let i = 0; i < pages; i += 11) assert.equal(peek(k, space, page(i)), i);
    releaseAddressSpace(k, space);
    const small = ok(createAddressSpace(k));
    map(k, small, 40);
    for (let i = 0; i < 40; i++) poke(k, small, page(i), i);
    reclaimAll(k);
    assert.equal(swapOff(k, "swap0"), 0);
    assert.equal(swapOff(k, "swap0"), "EINVAL");
    for (let i = 0; i < 40; i++) assert.equal(peek(k, small, page(i)), i);
    isFine(k);
  });

  test("an area whose swapoff is given up half-way takes pages again", () => {
    const { k } = createSwappingKernel(arch, 20_000, 16 << 20);
    const space = ok(createAddressSpace(k));
    const pages = 2500;
    // Apart, so that none comes in with its neighbour.
    k.state.memory.largePages = "never";
    map(k, space, 8 * pages);
    for (let i = 0; i < pages; i++) poke(k, space, page(8 * i), i);
    reclaimAll(k);
    assert.equal(swapOff(k, "swap0"), "more");
    assert.equal(swapTotals(k).total, 0);
    cancelSwapOff(k);
    assert.equal(swapTotals(k).total, 19_999);
    for (let i = 0; i < pages; i++) assert.equal(peek(k, space, page(8 * i)), i);
    isFine(k);
  });

  test("what is no swap area is refused: none, too small, larger than its device, in use", () => {
    const blockDevices = new Map([
      ["good", createMemoryDevice(64)],
      ["none", createMemoryDevice(64)],
      ["small", createMemoryDevice(4)],
      ["cut", createMemoryDevice(64)],
    ]);
    blockDevices.get("none")?.bytes.fill(0);
    const cut = blockDevices.get("cut");
    if (cut !== undefined) new DataView(cut.bytes.buffer).setUint32(1028, 64, true);
    const k = createMemoryKernel(arch, { blockDevices });
    assert.equal(swapOn(k, "good"), 0);
    assert.equal(swapOn(k, "good"), "EBUSY");
    for (const device of ["none", "small", "cut"]) assert.equal(swapOn(k, device), "EINVAL", device);
    assert.equal(swapOn(k, "absent"), "ENODEV");
  });
});
