// Regions: joining, placing, mremap, madvise, locks, limits, and where a program's parts lie. What the calls return on Linux is
// compared in test/programs/memory-calls.test.ts.

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import * as abi from "../../src/abi/linux/memory.ts";
import { ADDR_NO_RANDOMIZE } from "../../src/abi/linux/process.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { adviseRange } from "../../src/kernel/mem/advice.ts";
import { cloneAddressSpace, createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { frameOwner, freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { lockRange, lockSpace, setLock } from "../../src/kernel/mem/locking.ts";
import { populateRange } from "../../src/kernel/mem/populate.ts";
import { query } from "../../src/kernel/mem/page-table.ts";
import { reclaimFrames } from "../../src/kernel/mem/reclaim.ts";
import {
  findRegion,
  mapRegion,
  protectRange,
  regionCount,
  regionsOf,
  spaceSize,
  STACK_GUARD_GAP,
  unmapRange,
  type MapRequest,
} from "../../src/kernel/mem/regions.ts";
import { MREMAP, remapRange } from "../../src/kernel/mem/remap.ts";
import { swapOn } from "../../src/kernel/mem/swap-areas.ts";
import type { AddressSpace, Protection } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { chooseLayout } from "../../src/kernel/process/space-layout.ts";
import type { Process } from "../../src/kernel/process/types.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryDevice } from "../support/memory-device.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const RW: Protection = { read: true, write: true, execute: false };
const RO: Protection = { read: true, write: false, execute: false };
const RX: Protection = { read: true, write: false, execute: true };
const RWX: Protection = { read: true, write: true, execute: true };
const AT = 0x1000_0000;
const LARGE = 512 * PAGE_SIZE;
const page = (number: number): number => AT + number * PAGE_SIZE;

function spaceOf(k: Kernel): AddressSpace {
  const space = createAddressSpace(k);
  assert.notEqual(space, "ENOMEM");
  return space as AddressSpace;
}

function map(k: Kernel, space: AddressSpace, first: number, pages: number, change: Partial<MapRequest> = {}): number {
  const request = { address: page(first), fixed: "no-replace", protection: RW, sharing: "private" } as const;
  const mapped = mapRegion(k, space, { ...request, length: pages * PAGE_SIZE, purpose: "anonymous", ...change });
  assert.equal(typeof mapped, "number", String(mapped));
  return mapped as number;
}

/** First page and number of pages of each region in the window, from AT on. */
const shape = (space: AddressSpace): [number, number][] =>
  [...regionsOf(space, AT, AT + 2 ** 30)].map(({ start, end }) => [
    (start - AT) / PAGE_SIZE,
    (end - start) / PAGE_SIZE,
  ]);
const poke = (k: Kernel, space: AddressSpace, at: number, value: number): void =>
  assert.equal(copyToUser(k, space, at, Uint8Array.of(value)), 0);
const peek = (k: Kernel, space: AddressSpace, at: number): number | undefined => {
  const bytes = copyFromUser(k, space, at, 1);
  return bytes === "EFAULT" ? undefined : bytes[0];
};
const isFine = (k: Kernel): void => assert.deepEqual(checkInvariants(k), []);
const MOVE = MREMAP.MAYMOVE | MREMAP.FIXED;

eachArch(({ arch, test }) => {
  test("a new region joins its neighbours on both sides where they show the same thing", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 10, 2);
    map(k, space, 14, 2);
    poke(k, space, page(14), 5);
    map(k, space, 12, 2);
    assert.deepEqual(shape(space), [[10, 6]]);
    assert.equal(peek(k, space, page(14)), 5);
    map(k, space, 8, 2, { protection: RO });
    map(k, space, 16, 1, { sharing: "shared" });
    assert.deepEqual(shape(space), [
      [8, 2],
      [10, 6],
      [16, 1],
    ]);
    assert.equal(protectRange(k, space, page(8), 2 * PAGE_SIZE, RW), 0);
    assert.deepEqual(shape(space)[0], [8, 8]);
    assert.equal(unmapRange(k, space, page(11), PAGE_SIZE), 0);
    map(k, space, 11, 1);
    assert.deepEqual(shape(space)[0], [8, 8], "a hole that is filled again");
    isFine(k);
  });

  test("two regions that both have pages stay two, as with two anon_vmas on Linux", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 1);
    map(k, space, 2, 1);
    poke(k, space, page(0), 1);
    poke(k, space, page(2), 2);
    map(k, space, 1, 1);
    assert.deepEqual(shape(space), [
      [0, 2],
      [2, 1],
    ]);
    assert.deepEqual([peek(k, space, page(0)), peek(k, space, page(1)), peek(k, space, page(2))], [1, 0, 2]);
    isFine(k);
  });

  test("the accounts of a space follow every change, and a space that goes leaves none", () => {
    const k = createMemoryKernel(arch);
    const before = { free: freeFrameCount(k), regions: k.state.memory.regionCount };
    const space = spaceOf(k);
    const base = spaceSize(space);
    map(k, space, 0, 8);
    assert.equal(spaceSize(space) - base, 8 * PAGE_SIZE);
    assert.equal(space.committedPages, 8);
    assert.equal(protectRange(k, space, page(2), 2 * PAGE_SIZE, RO), 0);
    assert.deepEqual([space.committedPages, space.dataPages], [6, 6]);
    assert.equal(unmapRange(k, space, page(1), 2 * PAGE_SIZE), 0);
    assert.deepEqual([space.committedPages, spaceSize(space) - base], [5, 6 * PAGE_SIZE]);
    map(k, space, 20, 4, { noReserve: true });
    assert.equal(space.committedPages, 5, "MAP_NORESERVE promises nothing");
    isFine(k);
    releaseAddressSpace(k, space);
    assert.equal(k.state.memory.committedPages, 0);
    assert.deepEqual({ free: freeFrameCount(k), regions: k.state.memory.regionCount }, before);
  });

  test("memory that is made of 2-MiB blocks is placed on their borders, other memory is not", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    space.mmapTop = virtAddr(0x3000_0000 + 5 * PAGE_SIZE);
    const request = { protection: RW, sharing: "private", purpose: "anonymous", preferredAlignment: LARGE } as const;
    const first = mapRegion(k, space, { ...request, length: 2 * LARGE });
    assert.equal(first, 0x3000_0000 - 2 * LARGE);
    assert.equal(mapRegion(k, space, { ...request, length: 4 * LARGE }), 0x3000_0000 - 6 * LARGE);
    assert.equal(mapRegion(k, space, { ...request, preferredAlignment: undefined, length: PAGE_SIZE }), 0x3000_4000);
    isFine(k);
  });

  test("a region of large pages is placed, cut and moved on their borders only", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const large = { pageLevel: 1, alignment: LARGE, noReserve: true } as const;
    assert.equal(
      mapRegion(k, space, {
        address: page(1),
        fixed: "replace",
        length: LARGE,
        protection: RW,
        sharing: "private",
        purpose: "anonymous",
        ...large,
      }),
      "EINVAL",
    );
    map(k, space, 0, 2 * 512, large);
    assert.equal(unmapRange(k, space, page(0), PAGE_SIZE), "EINVAL");
    assert.equal(protectRange(k, space, page(0), PAGE_SIZE, RO), "EINVAL");
    assert.equal(remapRange(k, space, page(0), LARGE, LARGE, MOVE, page(2048 + 1)), "EINVAL");
    assert.equal(remapRange(k, space, page(0), LARGE, LARGE, MOVE, page(2048)), page(2048));
    assert.equal(unmapRange(k, space, page(512), LARGE), 0);
    assert.deepEqual(shape(space), [[2048, 512]]);
    isFine(k);
  });

  test("mremap with DONTUNMAP leaves the old place mapped and empty; of length 0 it shows shared memory twice", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 3);
    for (const i of [0, 1, 2]) poke(k, space, page(i), 10 + i);
    assert.equal(remapRange(k, space, page(1), PAGE_SIZE, PAGE_SIZE, MOVE | MREMAP.DONTUNMAP, page(20)), page(20));
    assert.deepEqual([peek(k, space, page(1)), peek(k, space, page(20))], [0, 11]);
    poke(k, space, page(1), 99);
    assert.equal(peek(k, space, page(20)), 11);
    map(k, space, 30, 2, { sharing: "shared" });
    poke(k, space, page(31), 7);
    assert.equal(remapRange(k, space, page(31), 0, PAGE_SIZE, MOVE, page(40)), page(40));
    poke(k, space, page(40), 8);
    assert.equal(peek(k, space, page(31)), 8);
    assert.equal(remapRange(k, space, page(0), 0, PAGE_SIZE, MREMAP.MAYMOVE, 0), "EINVAL", "private memory cannot");
    isFine(k);
  });

  test("mremap moves a run of regions, and what the target has opposite a gap stays", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 2);
    map(k, space, 4, 2);
    poke(k, space, page(0), 1);
    poke(k, space, page(5), 2);
    assert.equal(protectRange(k, space, page(4), 2 * PAGE_SIZE, RO), 0);
    map(k, space, 22, 1);
    poke(k, space, page(22), 3);
    assert.equal(remapRange(k, space, page(0), 6 * PAGE_SIZE, 6 * PAGE_SIZE, MOVE, page(20)), page(20));
    assert.deepEqual(
      [20, 22, 25].map((i) => peek(k, space, page(i))),
      [1, 3, 2],
    );
    assert.equal(findRegion(space, page(0)), undefined);
    assert.equal(remapRange(k, space, page(20), 6 * PAGE_SIZE, 7 * PAGE_SIZE, MOVE, page(40)), "EFAULT");
    isFine(k);
  });

  test("memory that moved before it was touched joins its new neighbours", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 1);
    map(k, space, 10, 1);
    poke(k, space, page(10), 4);
    assert.equal(remapRange(k, space, page(0), PAGE_SIZE, 2 * PAGE_SIZE, MOVE, page(11)), page(11));
    assert.deepEqual(shape(space), [[10, 3]]);
    poke(k, space, page(12), 6);
    assert.deepEqual(
      [10, 11, 12].map((i) => peek(k, space, page(i))),
      [4, 0, 6],
    );
    isFine(k);
  });

  test("madvise FREE keeps pages until memory is short, and a write keeps its page for good", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 4);
    for (const i of [0, 1, 2, 3]) poke(k, space, page(i), 50 + i);
    assert.equal(adviseRange(k, space, page(0), 3 * PAGE_SIZE, abi.MADV_FREE), 0);
    assert.equal(k.state.memory.frames.freeableCount, 3);
    assert.deepEqual(
      [0, 1, 2].map((i) => peek(k, space, page(i))),
      [50, 51, 52],
      "until then they read as before",
    );
    poke(k, space, page(1), 77);
    assert.equal(k.state.memory.frames.freeableCount, 2);
    isFine(k);
    assert.equal(reclaimFrames(k, 100), 2);
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => peek(k, space, page(i))),
      [0, 77, 0, 53],
    );
    assert.equal(k.state.memory.frames.freeableCount, 0);
    isFine(k);
  });

  test("a page that a child shares is not freeable, and a freeable one that is forked keeps to itself", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 2);
    poke(k, space, page(0), 1);
    poke(k, space, page(1), 2);
    const frame = query(k, space, virtAddr(page(1)))?.frame;
    assert.equal(adviseRange(k, space, page(1), PAGE_SIZE, abi.MADV_FREE), 0);
    assert.ok(frame !== undefined && frameOwner(k, frame) === "freeable");
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    assert.equal(adviseRange(k, space, page(0), PAGE_SIZE, abi.MADV_FREE), 0);
    poke(k, child, page(1), 3);
    reclaimFrames(k, 100);
    assert.deepEqual([peek(k, space, page(0)), peek(k, child, page(0))], [1, 1]);
    assert.equal(peek(k, child, page(1)), 3);
    assert.equal(peek(k, space, page(1)), 0);
    isFine(k);
    releaseAddressSpace(k, child);
    isFine(k);
  });

  test("madvise PAGEOUT sends pages to the swap area, but not locked or shared ones, and WILLNEED brings them back", () => {
    const blockDevices = new Map([["swap0", createMemoryDevice(100)]]);
    const k = createMemoryKernel(arch, { blockDevices });
    assert.equal(swapOn(k, "swap0"), 0);
    const space = spaceOf(k);
    map(k, space, 0, 4);
    for (const i of [0, 1, 2, 3]) poke(k, space, page(i), 30 + i);
    const { pages } = findRegion(space, page(0))?.vmo ?? assert.fail();
    assert.equal(adviseRange(k, space, page(0), 2 * PAGE_SIZE, abi.MADV_COLD), 0);
    assert.equal(adviseRange(k, space, page(0), 4 * PAGE_SIZE, abi.MADV_PAGEOUT), 0);
    assert.deepEqual([pages.resident, pages.swapped], [0, 4]);
    isFine(k);
    assert.equal(adviseRange(k, space, page(1), 3 * PAGE_SIZE, abi.MADV_WILLNEED), 0);
    assert.ok(pages.resident >= 3, "and neighbours, as a fault would");
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => peek(k, space, page(i))),
      [30, 31, 32, 33],
    );
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    assert.equal(adviseRange(k, space, page(0), 4 * PAGE_SIZE, abi.MADV_PAGEOUT), 0);
    assert.equal(pages.swapped, 0);
    releaseAddressSpace(k, child);
    assert.equal(lockRange(k, space, page(0), PAGE_SIZE, "present"), 0);
    assert.equal(adviseRange(k, space, page(0), 4 * PAGE_SIZE, abi.MADV_PAGEOUT), "EINVAL");
    isFine(k);
  });

  test("madvise DONTFORK, WIPEONFORK: a child gets nothing, or zeros, and holds no frame that it does not show", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 3);
    for (const i of [0, 1, 2]) poke(k, space, page(i), 10 + i);
    assert.equal(adviseRange(k, space, page(1), PAGE_SIZE, abi.MADV_WIPEONFORK), 0);
    assert.equal(adviseRange(k, space, page(2), PAGE_SIZE, abi.MADV_DONTFORK), 0);
    assert.deepEqual(shape(space), [
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    assert.deepEqual(
      [0, 1, 2].map((i) => peek(k, child, page(i))),
      [10, 0, undefined],
    );
    isFine(k);
    releaseAddressSpace(k, child);
    assert.equal(adviseRange(k, space, page(1), PAGE_SIZE, abi.MADV_KEEPONFORK), 0);
    assert.equal(adviseRange(k, space, page(2), PAGE_SIZE, abi.MADV_DOFORK), 0);
    assert.deepEqual(shape(space), [[0, 3]]);
    isFine(k);
  });

  test("locks count against their limit, bring pages in, follow the region, and are not inherited", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 8);
    space.limits.locked = 3 * PAGE_SIZE;
    assert.equal(lockRange(k, space, page(0) + 1, 2 * PAGE_SIZE, "present"), 0);
    assert.equal(space.lockedPages, 3);
    for (const i of [0, 1, 2]) assert.ok(query(k, space, virtAddr(page(i))) !== undefined);
    assert.equal(lockRange(k, space, page(3), PAGE_SIZE, "present"), "ENOMEM");
    assert.equal(lockRange(k, space, page(0), 3 * PAGE_SIZE, "present"), 0, "what is locked is not counted twice");
    assert.equal(adviseRange(k, space, page(0), PAGE_SIZE, abi.MADV_DONTNEED), "EINVAL");
    assert.equal(adviseRange(k, space, page(0), PAGE_SIZE, abi.MADV_DONTNEED_LOCKED), 0);
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    assert.equal(child.lockedPages, 0);
    releaseAddressSpace(k, child);
    assert.equal(setLock(k, space, page(1), PAGE_SIZE, "no"), 0);
    assert.equal(space.lockedPages, 2);
    assert.equal(unmapRange(k, space, page(0), PAGE_SIZE), 0);
    assert.equal(space.lockedPages, 1);
    assert.equal(lockSpace(k, space, "present", "no"), "ENOMEM");
    assert.equal(lockSpace(k, space, undefined, "on-fault"), 0);
    assert.equal(
      mapRegion(k, space, { length: 3 * PAGE_SIZE, protection: RW, sharing: "private", purpose: "anonymous" }),
      "EAGAIN",
    );
    space.limits.locked = 0;
    assert.equal(lockRange(k, space, page(1), PAGE_SIZE, "present"), "EPERM");
    assert.equal(lockSpace(k, space, "no", "no"), 0);
    assert.equal(space.lockedPages, 0);
    isFine(k);
  });

  test("mlockall tries as many pages as memory has, in all regions together", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const pages = k.memory.size / PAGE_SIZE;
    for (let i = 0; i < 8; i++) map(k, space, i * pages, pages, { protection: i % 2 === 0 ? RO : RX });
    map(k, space, 8 * pages, pages, { protection: { read: false, write: false, execute: false } });
    space.limits.locked = Infinity;
    const before = k.state.counters.minorFaults;
    assert.equal(lockSpace(k, space, "present", "no"), 0);
    assert.equal(k.state.counters.minorFaults - before, pages);
    isFine(k);
  });

  test("a space that refuses to gain executable memory does, and says so", () => {
    const k = createMemoryKernel(arch);
    const lines: string[] = [];
    k.probes.log = (line) => lines.push(line);
    const space = spaceOf(k);
    map(k, space, 0, 2);
    map(k, space, 4, 1, { protection: RX });
    space.executeGain = "refused";
    const request = { length: PAGE_SIZE, sharing: "private", purpose: "anonymous" } as const;
    assert.equal(mapRegion(k, space, { ...request, protection: RWX }), "EACCES");
    assert.equal(typeof mapRegion(k, space, { ...request, protection: RX }), "number");
    assert.equal(protectRange(k, space, page(0), PAGE_SIZE, RX), "EACCES");
    assert.equal(protectRange(k, space, page(4), PAGE_SIZE, RX), 0);
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? "", /writable and executable memory refused at 0x/);
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    assert.equal(child.executeGain, "refused");
    isFine(k);
  });

  test("regions are bounded in each space, a hole in one at the bound is refused, and the end of one is not", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 0, 3);
    k.state.memory.settings.maxMapCount = regionCount(space);
    assert.equal(unmapRange(k, space, page(1), PAGE_SIZE), "ENOMEM");
    assert.equal(protectRange(k, space, page(1), PAGE_SIZE, RO), "ENOMEM");
    assert.deepEqual(shape(space), [[0, 3]]);
    assert.equal(unmapRange(k, space, page(2), PAGE_SIZE), 0);
    map(k, space, 10, 1);
    const request = { length: PAGE_SIZE, protection: RW, sharing: "private", purpose: "anonymous" } as const;
    assert.equal(mapRegion(k, space, { ...request, address: page(20), fixed: "no-replace" }), "ENOMEM");
    isFine(k);
  });

  test("populating ends at a gap, at what is not allowed, and after as much as memory holds", () => {
    const k = createMemoryKernel(arch, { memoryBytes: 4 << 20 });
    const space = spaceOf(k);
    map(k, space, 0, 2);
    assert.equal(populateRange(k, space, page(0), page(2), "any"), undefined);
    assert.equal(populateRange(k, space, page(0), page(3), "any"), "gap");
    assert.equal(protectRange(k, space, page(1), PAGE_SIZE, RO), 0);
    assert.equal(populateRange(k, space, page(0), page(2), "write"), "denied");
    map(k, space, 1000, 1 << 20, { protection: RO });
    assert.equal(populateRange(k, space, page(1000), page(1000 + (1 << 20)), "read"), "out of memory");
    isFine(k);
  });

  test("the layout of a program is random, the same for the same history, and fixed where that is asked for", () => {
    const k = createMemoryKernel(arch);
    const program = (personality: number): Process => ({ personality }) as Partial<Process> as Process;
    const limit = 8 * 2 ** 20;
    const choose = (kernel: Kernel, personality = 0) => chooseLayout(kernel, program(personality), false, limit);
    const layouts = Array.from({ length: 200 }, () => choose(k));
    assert.ok(new Set(layouts.map(({ mmapTop }) => mmapTop)).size > 190);
    assert.ok(new Set(layouts.map(({ stackTop }) => stackTop)).size > 190);
    const { layout } = k.arch;
    for (const { mmapTop, stackTop, pieBase, heapOffset } of layouts) {
      for (const value of [mmapTop, stackTop, pieBase, heapOffset]) assert.equal(value % PAGE_SIZE, 0);
      assert.ok(stackTop <= layout.stackTop && stackTop - limit - STACK_GUARD_GAP >= mmapTop);
      assert.ok(pieBase >= layout.pieBase && pieBase < mmapTop);
    }
    const again = createMemoryKernel(arch);
    assert.deepEqual(choose(again), layouts[0]);
    const fixed = { stackTop: layout.stackTop, mmapTop: layout.mmapTop, pieBase: layout.pieBase, heapOffset: 0 };
    assert.deepEqual(choose(k, ADDR_NO_RANDOMIZE), fixed);
    k.state.memory.settings.randomizeLayout = 1;
    assert.equal(choose(k).heapOffset, 0);
    k.state.memory.settings.randomizeLayout = 0;
    assert.deepEqual(choose(k), fixed);
    const endless = chooseLayout(k, program(0), false, Infinity);
    assert.ok(endless.mmapTop >= layout.userTop / 6 - PAGE_SIZE);
  });
});
