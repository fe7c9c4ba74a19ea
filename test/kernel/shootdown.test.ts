// Shootdowns from the inside: who is asked, who is marked, who waits, and when frames come back.

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr, type FrameNumber } from "../../src/lib/address.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { activateSpace, enterSpace } from "../../src/kernel/mem/asid.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { finishFlush, FLUSH_PAGE_LIMIT, flushPage, newFlush, onAcknowledged } from "../../src/kernel/mem/flush.ts";
import { allocateFrame, frameShareCount, freeFrameCount, retainFrame } from "../../src/kernel/mem/frames.ts";
import { query } from "../../src/kernel/mem/page-table.ts";
import { mapRegion, protectRange, unmapRange } from "../../src/kernel/mem/regions.ts";
import { MREMAP, remapRange } from "../../src/kernel/mem/remap.ts";
import { answerRequests, framesInLimbo, isHeld } from "../../src/kernel/mem/shootdown.ts";
import type { AddressSpace } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const AT = virtAddr(0x1000_0000);
const RO = { read: true, write: false, execute: false };
const RW = { read: true, write: true, execute: false };

function spaceOf(k: Kernel): AddressSpace {
  const space = createAddressSpace(k);
  assert.notEqual(space, "ENOMEM");
  return space as AddressSpace;
}

/** `pages` pages of private memory at `AT`, each written. */
function fill(k: Kernel, space: AddressSpace, pages: number, address: number = AT): void {
  const length = pages * PAGE_SIZE;
  const request = {
    address,
    fixed: "no-replace",
    length,
    protection: RW,
    sharing: "private",
    purpose: "anonymous",
  } as const;
  assert.equal(mapRegion(k, space, request), address);
  for (let i = 0; i < pages; i++) assert.equal(copyToUser(k, space, address + i * PAGE_SIZE, Uint8Array.of(i + 1)), 0);
}

const frameAt = (k: Kernel, space: AddressSpace, address: number): FrameNumber | undefined =>
  query(k, space, virtAddr(address))?.frame;
const isFine = (k: Kernel): void => assert.deepEqual(checkInvariants(k), []);

/** A kernel with the present hart 0, and the others in user mode in one space; which harts get interrupts and flush what. */
function setUp(arch: Parameters<typeof createMemoryKernel>[0], harts = 4) {
  const calls: number[] = [];
  const flushes: string[] = [];
  const k = createMemoryKernel(arch, {
    harts,
    changes: { sendInterprocessorInterrupt: (_k, hart) => void calls.push(hart) },
  });
  k.machine.probes.tlbFlush = (hart, address, asid) =>
    flushes.push(`${hart.id} ${address?.toString(16) ?? "all"} ${asid ?? "all"}`);
  const space = spaceOf(k);
  activateSpace(k, 0, space);
  for (let hart = 1; hart < harts; hart++) enterSpace(k, hart, space);
  return { k, space, calls, flushes };
}

eachArch(({ arch, test }) => {
  test("INV-12: frames and tables are free only when the last hart has acknowledged", () => {
    const { k, space, calls, flushes } = setUp(arch);
    fill(k, space, 3);
    const free = freeFrameCount(k);
    const tables = space.tablePages;
    flushes.length = 0;
    assert.equal(unmapRange(k, space, AT, 3 * PAGE_SIZE), 0);
    assert.deepEqual(calls, [1, 2, 3]);
    assert.equal(flushes.length, 3, "the present hart");
    assert.equal(framesInLimbo(k), 3 + tables - space.tablePages);
    for (const hart of [3, 1]) {
      answerRequests(k, hart);
      assert.equal(freeFrameCount(k), free, `hart ${hart} is not the last`);
      isFine(k);
    }
    answerRequests(k, 2);
    assert.equal(freeFrameCount(k), free + 3 + tables - space.tablePages);
    assert.equal(framesInLimbo(k), 0);
    isFine(k);
    releaseAddressSpace(k, space);
  });

  test("INV-10: requests are merged: one interrupt, single pages up to the limit, then all of the ASID", () => {
    const { k, space, calls, flushes } = setUp(arch);
    fill(k, space, FLUSH_PAGE_LIMIT + 1);
    flushes.length = 0;
    const protect = (page: number): number | string => protectRange(k, space, AT + page * PAGE_SIZE, PAGE_SIZE, RO);
    for (let page = 0; page < FLUSH_PAGE_LIMIT; page++) assert.equal(protect(page), 0);
    assert.deepEqual(calls, [1, 2, 3], "one call for each hart");
    assert.equal(k.state.memory.shootdowns.pending.length, 1);
    isFine(k);
    flushes.length = 0;
    answerRequests(k, 1);
    assert.equal(flushes.length, FLUSH_PAGE_LIMIT);
    assert.equal(protect(FLUSH_PAGE_LIMIT), 0);
    flushes.length = 0;
    answerRequests(k, 2);
    assert.deepEqual(flushes, [`2 all ${space.asid}`]);
    answerRequests(k, 3);
    isFine(k);
    const { sent, received } = k.state.memory.shootdowns.counters;
    assert.equal(received, 3);
    assert.ok(sent >= 3);
    releaseAddressSpace(k, space);
  });

  test("INV-11: a space is held until all have acknowledged, and its forked child with it", () => {
    const { k, space } = setUp(arch);
    fill(k, space, 2);
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    assert.ok(isHeld(space) && isHeld(child));
    isFine(k);
    for (const hart of [1, 2]) answerRequests(k, hart);
    assert.ok(isHeld(space) && isHeld(child));
    answerRequests(k, 3);
    assert.ok(!isHeld(space) && !isHeld(child));
    isFine(k);
    for (const each of [space, child]) releaseAddressSpace(k, each);
  });

  test("INV-11: a forked child that ends before it has run leaves nothing behind", () => {
    const { k, space } = setUp(arch);
    fill(k, space, 2);
    const free = freeFrameCount(k);
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    releaseAddressSpace(k, child);
    isFine(k);
    for (const hart of [1, 2, 3]) answerRequests(k, hart);
    assert.equal(freeFrameCount(k), free);
    isFine(k);
    releaseAddressSpace(k, space);
  });

  test("INV-4: a hart that idles, or runs another space, is not called: it drops the ASID before it uses it again", () => {
    const { k, space, calls, flushes } = setUp(arch);
    fill(k, space, 1);
    const other = spaceOf(k);
    answerRequests(k, 1); // and idles
    answerRequests(k, 2);
    enterSpace(k, 2, other);
    answerRequests(k, 3);
    flushes.length = 0;
    const free = freeFrameCount(k);
    assert.equal(unmapRange(k, space, AT, PAGE_SIZE), 0);
    assert.deepEqual(calls, []);
    assert.ok(freeFrameCount(k) > free, "nobody is waited for");
    flushes.length = 0;
    enterSpace(k, 1, space);
    assert.deepEqual(flushes, [`1 all ${space.asid}`], "the space that it ran last");
    answerRequests(k, 2);
    enterSpace(k, 2, space);
    assert.deepEqual(flushes.slice(1), [`2 all ${space.asid}`], "another one than it ran last");
    answerRequests(k, 2);
    enterSpace(k, 2, space);
    assert.equal(flushes.length, 2, "once is enough");
    isFine(k);
    for (const hart of [1, 2]) answerRequests(k, hart);
    for (const each of [space, other]) releaseAddressSpace(k, each);
  });

  test("two harts that shoot at each other: whoever comes in has answered before it asks", () => {
    const { k, space } = setUp(arch, 3);
    fill(k, space, 2);
    assert.equal(unmapRange(k, space, AT, PAGE_SIZE), 0);
    answerRequests(k, 1);
    k.state.scheduler.kernelHart = 1;
    assert.equal(unmapRange(k, space, AT + PAGE_SIZE, PAGE_SIZE), 0);
    isFine(k);
    assert.equal(
      k.state.memory.shootdowns.pending.every(({ harts }) => harts === 0b100),
      true,
    );
    answerRequests(k, 2);
    assert.ok(!isHeld(space));
    assert.equal(framesInLimbo(k), 0);
    isFine(k);
    releaseAddressSpace(k, space);
  });

  test("INV-12: what is released while a shootdown is under way waits for it, whoever releases it, and in order", () => {
    const { k, space } = setUp(arch, 3);
    const other = spaceOf(k);
    fill(k, space, 1);
    fill(k, other, 1);
    answerRequests(k, 2);
    enterSpace(k, 2, other);
    const first = frameAt(k, space, AT);
    const second = frameAt(k, other, AT);
    const freed: FrameNumber[] = [];
    k.probes.frameFree = (frame) => freed.push(frame);
    assert.equal(unmapRange(k, space, AT, PAGE_SIZE), 0);
    assert.equal(unmapRange(k, other, AT, PAGE_SIZE), 0);
    answerRequests(k, 2);
    assert.ok(!isHeld(other), "its threads go on");
    assert.equal(freed.length, 0, "but the frames of the one before come first");
    isFine(k);
    answerRequests(k, 1);
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(freed.indexOf(first) < freed.indexOf(second));
    assert.ok(freed.includes(second));
    isFine(k);
    for (const each of [space, other]) releaseAddressSpace(k, each);
  });

  test("an action is done by the last who acknowledges, and at once where nobody is asked", () => {
    const { k, space } = setUp(arch, 3);
    fill(k, space, 1);
    const frame = allocateFrame(k, "kernel");
    assert.ok(frame !== "ENOMEM");
    const begin = (): void => {
      retainFrame(k, frame);
      const flush = newFlush(k, space);
      flushPage(flush, AT);
      onAcknowledged(flush, { kind: "release", frames: [frame] });
      finishFlush(k, flush, "test");
    };
    begin();
    answerRequests(k, 1);
    assert.equal(frameShareCount(k, frame), 2);
    answerRequests(k, 2);
    assert.equal(frameShareCount(k, frame), 1);
    begin();
    assert.equal(frameShareCount(k, frame), 1);
    releaseAddressSpace(k, space);
  });

  test("copy-on-write with siblings in user mode: the kernel writes to the copy, which nobody finds before they have acknowledged", () => {
    const { k, space } = setUp(arch, 3);
    fill(k, space, 1);
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    for (const hart of [1, 2]) {
      answerRequests(k, hart);
      enterSpace(k, hart, space);
    }
    const old = frameAt(k, space, AT) as FrameNumber;
    assert.equal(copyToUser(k, space, AT, Uint8Array.of(99)), 0);
    assert.equal(frameAt(k, space, AT), undefined);
    assert.deepEqual(copyFromUser(k, space, AT, 1), Uint8Array.of(99));
    assert.equal(frameAt(k, space, AT), undefined, "not by the kernel's own read either");
    assert.deepEqual(copyFromUser(k, child, AT, 1), Uint8Array.of(1));
    const outcome = handlePageFault(k, child, AT, "write");
    assert.ok(
      outcome.kind === "resolved" && outcome.how === "copy on write",
      "the child does not take the old page over",
    );
    isFine(k);
    for (const hart of [1, 2]) answerRequests(k, hart);
    assert.equal(frameShareCount(k, old), 0, "the last use of the old page was that of the flush");
    assert.deepEqual(copyFromUser(k, space, AT, 1), Uint8Array.of(99));
    assert.notEqual(frameAt(k, space, AT), undefined);
    isFine(k);
    for (const each of [space, child]) releaseAddressSpace(k, each);
  });

  test("rights that only grow, and spurious faults, are no business of other harts", () => {
    const { k, space, calls } = setUp(arch);
    fill(k, space, 1);
    assert.equal(protectRange(k, space, AT, PAGE_SIZE, RO), 0);
    for (const hart of [1, 2, 3]) {
      answerRequests(k, hart);
      enterSpace(k, hart, space);
    }
    calls.length = 0;
    assert.equal(protectRange(k, space, AT, PAGE_SIZE, RW), 0);
    assert.deepEqual(handlePageFault(k, space, AT, "read"), { kind: "resolved", how: "spurious" });
    assert.deepEqual(calls, []);
    assert.ok(!isHeld(space));
    isFine(k);
    for (const hart of [1, 2, 3]) answerRequests(k, hart);
    releaseAddressSpace(k, space);
  });

  test("mremap: the old range is dropped everywhere before anything else is found there", () => {
    const { k, space, calls } = setUp(arch, 2);
    fill(k, space, 1);
    const to = AT + 16 * PAGE_SIZE;
    assert.equal(remapRange(k, space, AT, PAGE_SIZE, PAGE_SIZE, MREMAP.MAYMOVE | MREMAP.FIXED, to), to);
    assert.deepEqual(calls, [1]);
    // The same call, or the kernel on another thread's behalf, maps and writes something new there.
    fill(k, space, 1);
    assert.equal(frameAt(k, space, AT), undefined, "hart 1 may still use the page that has moved");
    isFine(k);
    answerRequests(k, 1);
    assert.deepEqual(copyFromUser(k, space, AT, 1), Uint8Array.of(1));
    assert.notEqual(frameAt(k, space, AT), frameAt(k, space, to));
    isFine(k);
    releaseAddressSpace(k, space);
  });
});
