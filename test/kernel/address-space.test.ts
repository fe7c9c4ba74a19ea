// The pitfalls of real kernels' virtual memory, one test each, and a random one against a model.

import assert from "node:assert/strict";
import { frameAddress, PAGE_SIZE, virtAddr, type FrameNumber } from "../../src/lib/address.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { activateSpace, enterSpace } from "../../src/kernel/mem/asid.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { frameShareCount, freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { query } from "../../src/kernel/mem/page-table.ts";
import {
  findRegion,
  mapRegion,
  protectRange,
  setBreak,
  STACK_GUARD_GAP,
  unmapRange,
  type MapRequest,
} from "../../src/kernel/mem/regions.ts";
import { adviseRange } from "../../src/kernel/mem/advice.ts";
import { MREMAP, remapRange } from "../../src/kernel/mem/remap.ts";
import { answerRequests } from "../../src/kernel/mem/shootdown.ts";
import type { AddressSpace, Protection } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser, readUserString } from "../../src/kernel/mem/user-memory.ts";
import { resizeVmo } from "../../src/kernel/mem/file-vmo.ts";
import { createVmo, releaseVmo, residentFrame, vmoPage } from "../../src/kernel/mem/vmo.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const RW: Protection = { read: true, write: true, execute: false };
const RO: Protection = { read: true, write: false, execute: false };
const NONE: Protection = { read: false, write: false, execute: false };
const AT = virtAddr(0x1000_0000);

function spaceOf(k: Kernel): AddressSpace {
  const space = createAddressSpace(k);
  assert.notEqual(space, "ENOMEM");
  return space as AddressSpace;
}

function forkOf(k: Kernel, parent: AddressSpace): AddressSpace {
  const child = cloneAddressSpace(k, parent);
  assert.notEqual(child, "ENOMEM");
  return child as AddressSpace;
}

function map(k: Kernel, space: AddressSpace, pages: number, request: Partial<MapRequest> = {}): number {
  const address = mapRegion(k, space, {
    address: AT,
    fixed: "no-replace",
    length: pages * PAGE_SIZE,
    protection: RW,
    sharing: "private",
    purpose: "anonymous",
    ...request,
  });
  assert.equal(typeof address, "number", String(address));
  return address as number;
}

const poke = (k: Kernel, space: AddressSpace, address: number, value: number): void =>
  assert.equal(copyToUser(k, space, address, Uint8Array.of(value)), 0);
const peek = (k: Kernel, space: AddressSpace, address: number): number | undefined => {
  const bytes = copyFromUser(k, space, address, 1);
  return bytes === "EFAULT" ? undefined : bytes[0];
};
const frameAt = (k: Kernel, space: AddressSpace, address: number): FrameNumber | undefined =>
  query(k, space, virtAddr(address))?.frame;
const isFine = (k: Kernel): void => assert.deepEqual(checkInvariants(k), []);

eachArch(({ arch, test }) => {
  test("a read fault and then a write fault on the same page: the zero page, then a page of one's own", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 1);
    const free = freeFrameCount(k);
    assert.deepEqual(handlePageFault(k, space, AT, "read"), { kind: "resolved", how: "zero page" });
    assert.equal(frameAt(k, space, AT), k.state.memory.zeroFrame);
    assert.deepEqual(handlePageFault(k, space, AT, "write"), { kind: "resolved", how: "demand zero" });
    assert.notEqual(frameAt(k, space, AT), k.state.memory.zeroFrame);
    assert.deepEqual(handlePageFault(k, space, AT, "write"), { kind: "resolved", how: "spurious" });
    assert.ok(freeFrameCount(k) >= free - k.arch.format.levels.length, "a page, and the tables above it");
    assert.ok(k.memory.read(frameAddress(k.state.memory.zeroFrame), PAGE_SIZE).every((byte) => byte === 0));
    isFine(k);
  });

  test("INV-4: a page's translation leaves every hart's TLB before its frame is free", () => {
    const k = createMemoryKernel(arch, { harts: 3 });
    const space = spaceOf(k);
    for (const hart of [0, 1, 2]) activateSpace(k, hart, space);
    enterSpace(k, 1, space);
    map(k, space, 2);
    poke(k, space, AT, 1);
    const frame = frameAt(k, space, AT);
    const order: string[] = [];
    k.machine.probes.tlbFlush = (hart, address) => order.push(`flush ${hart.id} ${address}`);
    k.probes.frameFree = (freed) => order.push(freed === frame ? "free" : "free other");
    k.probes.pteWrite = (_space, _address, _level, _hi, lo) => order.push(lo === 0 ? "clear" : "write");
    assert.equal(unmapRange(k, space, AT, PAGE_SIZE), 0);
    assert.deepEqual(order.splice(0), ["clear", `flush 0 ${AT}`], "the present hart, at once");
    isFine(k);
    answerRequests(k, 1);
    assert.deepEqual(
      order.splice(0),
      [`flush 1 ${AT}`, "free"],
      "the hart in user mode, when it comes into the kernel",
    );
    isFine(k);
    activateSpace(k, 2, space);
    assert.deepEqual(order, ["flush 2 undefined"], "the idle hart, before it uses the space again");
    isFine(k);
  });

  test("page-table pages are freed only after the flush, too", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    k.state.memory.largePages = "never";
    activateSpace(k, 0, space);
    const start = virtAddr(0x4000_0000);
    map(k, space, 1024, { address: start });
    poke(k, space, start, 1);
    const tables = space.tablePages;
    const order: string[] = [];
    k.machine.probes.tlbFlush = () => order.push("flush");
    k.probes.frameFree = () => order.push("free");
    unmapRange(k, space, start, 1024 * PAGE_SIZE);
    assert.equal(space.tablePages, tables - 1);
    assert.equal(order.lastIndexOf("flush") < order.indexOf("free"), true, order.join());
    isFine(k);
  });

  test("overlap is checked with the regions on both sides", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 4, { protection: RO });
    const attempt = (address: number, pages: number) =>
      mapRegion(k, space, {
        address,
        fixed: "no-replace",
        length: pages * PAGE_SIZE,
        protection: RW,
        sharing: "private",
        purpose: "anonymous",
      });
    assert.equal(attempt(AT - PAGE_SIZE, 2), "EEXIST");
    assert.equal(attempt(AT + 3 * PAGE_SIZE, 2), "EEXIST");
    assert.equal(attempt(AT - PAGE_SIZE, 8), "EEXIST");
    assert.equal(attempt(AT + PAGE_SIZE, 1), "EEXIST");
    assert.equal(attempt(AT - PAGE_SIZE, 1), AT - PAGE_SIZE);
    assert.equal(attempt(AT + 4 * PAGE_SIZE, 1), AT + 4 * PAGE_SIZE);
    isFine(k);
  });

  test("the offset into the VMO holds for faults and for unmapping alike", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const vmo = createVmo(k, { kind: "zero" }, 8);
    for (let page = 0; page < 8; page++)
      k.memory.write8(frameAddress(vmoPage(k, vmo, page, "write") as FrameNumber), 10 + page);
    map(k, space, 3, { vmo, vmoOffsetPages: 4, sharing: "shared", purpose: "file" });
    map(k, space, 3, { address: AT + 0x10_0000, vmo, vmoOffsetPages: 2, purpose: "file" });
    assert.deepEqual(
      [0, 1, 2].map((page) => peek(k, space, AT + page * PAGE_SIZE)),
      [14, 15, 16],
    );
    assert.deepEqual(
      [0, 1, 2].map((page) => peek(k, space, AT + 0x10_0000 + page * PAGE_SIZE)),
      [12, 13, 14],
    );
    poke(k, space, AT + 0x10_0000 + 2 * PAGE_SIZE, 99);
    unmapRange(k, space, AT + 0x10_0000 + PAGE_SIZE, PAGE_SIZE);
    assert.deepEqual(
      [0, 2].map((page) => peek(k, space, AT + 0x10_0000 + page * PAGE_SIZE)),
      [12, 99],
    );
    assert.equal(peek(k, space, AT), 14, "a private write does not reach the source");
    poke(k, space, AT, 77);
    assert.equal(k.memory.read8(frameAddress(residentFrame(vmo, 4) as FrameNumber)), 77);
    isFine(k);
    releaseVmo(k, vmo);
    releaseAddressSpace(k, space);
  });

  test("copy-on-write: when one thread breaks the sharing, no hart keeps the old page", () => {
    const k = createMemoryKernel(arch, { harts: 3 });
    const parent = spaceOf(k);
    for (const hart of [0, 1, 2]) activateSpace(k, hart, parent);
    for (const hart of [1, 2]) enterSpace(k, hart, parent);
    map(k, parent, 1);
    poke(k, parent, AT, 1);
    const child = forkOf(k, parent);
    const answer = (): void => {
      for (const hart of [1, 2]) {
        answerRequests(k, hart);
        enterSpace(k, hart, parent);
      }
    };
    answer();
    const old = frameAt(k, parent, AT);
    const flushed: number[] = [];
    k.machine.probes.tlbFlush = (hart, address) => address === AT && flushed.push(hart.id);
    const outcome = handlePageFault(k, parent, AT, "write");
    assert.ok(outcome.kind === "resolved" && outcome.how === "copy on write");
    assert.notEqual(outcome.unmapped, old);
    assert.equal(frameAt(k, parent, AT), undefined, "nobody finds the new page while others use the old one");
    assert.equal(frameShareCount(k, old as FrameNumber), 2, "nor does the child take the old one over");
    isFine(k);
    answer();
    assert.deepEqual(flushed, [0, 1, 2]);
    assert.deepEqual(handlePageFault(k, parent, AT, "write"), { kind: "resolved", how: "taken over" });
    assert.equal(frameAt(k, parent, AT), outcome.unmapped);
    assert.equal(peek(k, child, AT), 1);
    isFine(k);
  });

  test("copy-on-write: with no sharer left the page is taken over, not copied; and it was not writable before", () => {
    const k = createMemoryKernel(arch);
    const parent = spaceOf(k);
    map(k, parent, 1);
    poke(k, parent, AT, 5);
    const child = forkOf(k, parent);
    const frame = frameAt(k, parent, AT);
    assert.ok(frame !== undefined);
    assert.equal(frameShareCount(k, frame), 2);
    assert.equal(query(k, parent, AT)?.flags.write, false);
    releaseAddressSpace(k, child);
    assert.equal(query(k, parent, AT)?.flags.write, false);
    assert.deepEqual(handlePageFault(k, parent, AT, "write"), { kind: "resolved", how: "taken over" });
    assert.equal(frameAt(k, parent, AT), frame);
    isFine(k);
  });

  test("fork leaves read-only pages read-only, in both", () => {
    const k = createMemoryKernel(arch);
    const parent = spaceOf(k);
    map(k, parent, 1);
    poke(k, parent, AT, 5);
    protectRange(k, parent, AT, PAGE_SIZE, RO);
    const child = forkOf(k, parent);
    for (const space of [parent, child]) {
      assert.equal(handlePageFault(k, space, AT, "write").kind, "signal");
      assert.equal(copyToUser(k, space, AT, Uint8Array.of(1)), "EFAULT");
      assert.equal(peek(k, space, AT), 5);
    }
    isFine(k);
  });

  test("the kernel's writes into copy-on-write pages break the sharing like a user's", () => {
    const k = createMemoryKernel(arch);
    const parent = spaceOf(k);
    map(k, parent, 2);
    poke(k, parent, AT, 1);
    poke(k, parent, AT + PAGE_SIZE, 2);
    const child = forkOf(k, parent);
    const across = Uint8Array.of(7, 8);
    assert.equal(copyToUser(k, child, AT + PAGE_SIZE - 1, across), 0);
    assert.deepEqual([peek(k, parent, AT + PAGE_SIZE - 1), peek(k, parent, AT + PAGE_SIZE)], [0, 2]);
    assert.deepEqual([peek(k, child, AT + PAGE_SIZE - 1), peek(k, child, AT + PAGE_SIZE)], [7, 8]);
    isFine(k);
  });

  test("shared anonymous memory stays shared over fork, pages that nobody had touched too", () => {
    const k = createMemoryKernel(arch);
    const parent = spaceOf(k);
    map(k, parent, 2, { sharing: "shared" });
    poke(k, parent, AT, 1);
    assert.equal(peek(k, parent, AT + PAGE_SIZE), 0, "a read of an untouched page");
    const child = forkOf(k, parent);
    poke(k, child, AT, 2);
    poke(k, child, AT + PAGE_SIZE, 3);
    assert.deepEqual([peek(k, parent, AT), peek(k, parent, AT + PAGE_SIZE)], [2, 3]);
    isFine(k);
  });

  test("mremap flushes the old range before it can be used again, and moves the pages themselves", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    activateSpace(k, 0, space);
    map(k, space, 4);
    for (let page = 0; page < 4; page++) poke(k, space, AT + page * PAGE_SIZE, page + 1);
    map(k, space, 1, { address: AT + 4 * PAGE_SIZE, protection: RO });
    const frame = frameAt(k, space, AT + PAGE_SIZE);
    const flushed: (number | undefined)[] = [];
    k.machine.probes.tlbFlush = (_hart, address) => flushed.push(address);
    const moved = remapRange(k, space, AT + PAGE_SIZE, 2 * PAGE_SIZE, 6 * PAGE_SIZE, MREMAP.MAYMOVE, 0);
    assert.ok(typeof moved === "number");
    assert.deepEqual(flushed, [AT + PAGE_SIZE, AT + 2 * PAGE_SIZE]);
    assert.equal(peek(k, space, AT + PAGE_SIZE), undefined);
    assert.deepEqual(
      [0, 1, 2, 5].map((page) => peek(k, space, moved + page * PAGE_SIZE)),
      [2, 3, 0, 0],
    );
    assert.equal(frameAt(k, space, moved), frame);
    assert.deepEqual([peek(k, space, AT), peek(k, space, AT + 3 * PAGE_SIZE)], [1, 4]);
    isFine(k);
  });

  test("a part that moved away and grew does not see the pages of the part that stayed", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 10);
    for (let page = 0; page < 10; page++) poke(k, space, AT + page * PAGE_SIZE, page + 1);
    const moved = remapRange(k, space, AT, 2 * PAGE_SIZE, 10 * PAGE_SIZE, MREMAP.MAYMOVE, 0);
    assert.ok(typeof moved === "number");
    assert.deepEqual(
      [1, 2, 9].map((page) => peek(k, space, moved + page * PAGE_SIZE)),
      [2, 0, 0],
    );
    isFine(k);
  });

  test("a mapped file: SIGBUS beyond its end, zeros after truncation in the last page, in private copies too", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const vmo = createVmo(k, { kind: "zero" }, 3);
    for (let page = 0; page < 3; page++) {
      k.memory.fill(frameAddress(vmoPage(k, vmo, page, "write") as FrameNumber), PAGE_SIZE, 0x11 * (page + 1));
    }
    map(k, space, 4, { vmo, sharing: "shared", purpose: "file" });
    map(k, space, 4, { address: AT + 0x10_0000, vmo, purpose: "file" });
    assert.deepEqual(handlePageFault(k, space, virtAddr(AT + 3 * PAGE_SIZE), "read"), {
      kind: "signal",
      signal: "SIGBUS",
      code: 2,
    });
    assert.equal(handlePageFault(k, space, virtAddr(AT + 0x10_0000 + 3 * PAGE_SIZE), "write").kind, "signal");
    for (const base of [AT, AT + 0x10_0000])
      for (let page = 0; page < 3; page++) assert.equal(peek(k, space, base + page * PAGE_SIZE), 0x11 * (page + 1));
    poke(k, space, AT + 0x10_0000 + 2 * PAGE_SIZE, 1);
    resizeVmo(k, vmo, 3 * PAGE_SIZE, PAGE_SIZE + 100);
    isFine(k);
    for (const base of [AT, AT + 0x10_0000]) {
      assert.deepEqual(
        [99, 100, 4095].map((offset) => peek(k, space, base + PAGE_SIZE + offset)),
        [0x22, 0, 0],
      );
      assert.equal(handlePageFault(k, space, virtAddr(base + 2 * PAGE_SIZE), "read").kind, "signal");
    }
    resizeVmo(k, vmo, PAGE_SIZE + 100, 3 * PAGE_SIZE);
    assert.equal(peek(k, space, AT + 2 * PAGE_SIZE), 0);
    assert.equal(peek(k, space, AT + 0x10_0000 + 2 * PAGE_SIZE), 0);
    isFine(k);
  });

  test("a string that ends with the last mapped byte is read, one that goes on faults, lazily mapped pages are faulted in", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 2);
    const text = Uint8Array.from("tail\0", (char) => char.charCodeAt(0));
    assert.equal(copyToUser(k, space, AT + 2 * PAGE_SIZE - 5, text), 0);
    assert.equal(readUserString(k, space, AT + 2 * PAGE_SIZE - 5, 4096), "tail");
    assert.equal(copyToUser(k, space, AT + 2 * PAGE_SIZE - 1, Uint8Array.of(65)), 0);
    assert.equal(readUserString(k, space, AT + 2 * PAGE_SIZE - 5, 4096), "EFAULT");
    assert.equal(copyToUser(k, space, AT + PAGE_SIZE - 2, Uint8Array.of(66, 67)), 0);
    assert.equal(readUserString(k, space, AT + PAGE_SIZE - 2, 4096), "BC", "the next page was never written");
    assert.equal(readUserString(k, space, AT + PAGE_SIZE - 2, 2), "ENAMETOOLONG");
    for (const bad of [NaN, -1, -4096, 0, 2 ** 38, 2 ** 60, Infinity]) {
      assert.equal(readUserString(k, space, bad, 10), "EFAULT", `${bad}`);
      assert.equal(copyFromUser(k, space, bad, 8), "EFAULT");
      assert.equal(copyToUser(k, space, bad, new Uint8Array(8)), "EFAULT");
    }
    assert.equal(copyFromUser(k, space, AT, 2 ** 40), "EFAULT", "before anything is allocated");
  });

  test("a program that rewrites its signal-return page rewrites a copy", () => {
    const k = createMemoryKernel(arch);
    const [one, other] = [spaceOf(k), spaceOf(k)];
    const { vdso } = k.arch.layout;
    const original = peek(k, other, vdso);
    assert.notEqual(original, 0);
    assert.equal(protectRange(k, one, vdso, PAGE_SIZE, RW), 0);
    poke(k, one, vdso, 0);
    assert.equal(peek(k, one, vdso), 0);
    assert.equal(peek(k, other, vdso), original);
    assert.equal(peek(k, spaceOf(k), vdso), original);
    isFine(k);
  });

  test("EFAULT leaves nothing half-done", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    map(k, space, 2);
    map(k, space, 1, { address: AT + 2 * PAGE_SIZE, protection: RO });
    assert.equal(copyToUser(k, space, AT + PAGE_SIZE, new Uint8Array(PAGE_SIZE + 1).fill(9)), "EFAULT");
    assert.equal(peek(k, space, AT + PAGE_SIZE), 0);
  });

  test("the stack grows to its limit, keeps its guard gap, and nothing else is put into the gap", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const top = 0x3000_0000;
    map(k, space, 2, { address: top - 2 * PAGE_SIZE, growsDown: true, purpose: "stack" });
    poke(k, space, top - 100 * PAGE_SIZE, 1);
    assert.equal(findRegion(space, top - 1)?.start, top - 100 * PAGE_SIZE);
    assert.equal(handlePageFault(k, space, virtAddr(top - space.limits.stack - 1), "write").kind, "signal");
    // A neighbour below: growth stops a guard gap above it.
    const below = top - 400 * PAGE_SIZE;
    map(k, space, 1, { address: below });
    const limit = below + PAGE_SIZE + STACK_GUARD_GAP;
    assert.equal(handlePageFault(k, space, virtAddr(limit - 1), "write").kind, "signal");
    poke(k, space, limit, 1);
    const hinted = mapRegion(k, space, {
      address: limit - 8 * PAGE_SIZE,
      length: PAGE_SIZE,
      protection: RW,
      sharing: "private",
      purpose: "anonymous",
    });
    assert.ok(typeof hinted === "number" && (hinted + PAGE_SIZE <= limit - STACK_GUARD_GAP || hinted >= top));
    isFine(k);
  });

  test("brk grows and shrinks the heap, and never over a neighbour", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    space.breakStart = space.breakEnd = virtAddr(AT + 0x123);
    assert.equal(setBreak(k, space, AT + 3 * PAGE_SIZE), AT + 3 * PAGE_SIZE);
    poke(k, space, AT + 2 * PAGE_SIZE, 1);
    map(k, space, 1, { address: AT + 5 * PAGE_SIZE });
    assert.equal(setBreak(k, space, AT + 5 * PAGE_SIZE), AT + 5 * PAGE_SIZE);
    assert.equal(setBreak(k, space, AT + 5 * PAGE_SIZE + 1), AT + 5 * PAGE_SIZE);
    assert.equal(setBreak(k, space, 0), AT + 5 * PAGE_SIZE);
    assert.equal(setBreak(k, space, NaN), AT + 5 * PAGE_SIZE);
    assert.equal(setBreak(k, space, AT + 0x200), AT + 0x200);
    assert.equal(setBreak(k, space, AT + 3 * PAGE_SIZE), AT + 3 * PAGE_SIZE);
    assert.equal(peek(k, space, AT + 2 * PAGE_SIZE), 0, "a page that was given back comes back as zeros");
    isFine(k);
  });

  test("memory that cannot be had is refused, and nothing leaks", () => {
    const k = createMemoryKernel(arch, { memoryBytes: 4 << 20 });
    const before = freeFrameCount(k);
    const space = spaceOf(k);
    map(k, space, 1020);
    let pages = 0;
    while (handlePageFault(k, space, virtAddr(AT + pages * PAGE_SIZE), "write").kind === "resolved") pages += 1;
    assert.ok(pages > 500);
    assert.deepEqual(handlePageFault(k, space, virtAddr(AT + pages * PAGE_SIZE), "write"), { kind: "out-of-memory" });
    assert.equal(cloneAddressSpace(k, space), "ENOMEM");
    assert.equal(createAddressSpace(k), "ENOMEM");
    isFine(k);
    releaseAddressSpace(k, space);
    assert.equal(freeFrameCount(k), before);
    assert.equal(k.state.memory.committedPages, 0);
    isFine(k);
  });

  /** A model: what each page of a window holds, by address space; content cells are shared or copied as the real thing should. */
  interface ModelPage {
    cell: { value: number };
    readonly protection: Protection;
    readonly sharing: "private" | "shared";
  }

  test("random maps, unmaps, protections, moves, writes and forks agree with a model, and every invariant holds after each", () => {
    const k = createMemoryKernel(arch, { memoryBytes: 8 << 20, harts: 2 });
    const before = freeFrameCount(k);
    let seed = 12345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const WINDOW = 24;
    const protections = [RW, RW, RO, NONE];
    let spaces: { space: AddressSpace; pages: (ModelPage | undefined)[] }[] = [];
    const addSpace = (): void => void spaces.push({ space: spaceOf(k), pages: Array.from({ length: WINDOW }) });
    addSpace();
    for (let step = 0; step < 1500; step++) {
      const target = spaces[random(spaces.length)];
      assert.ok(target);
      const { space, pages } = target;
      const first = random(WINDOW);
      const count = 1 + random(Math.min(6, WINDOW - first));
      const address = AT + first * PAGE_SIZE;
      const protection = protections[random(protections.length)] ?? RW;
      activateSpace(k, random(2), space);
      switch (random(9)) {
        case 0: {
          const sharing = random(3) === 0 ? "shared" : "private";
          map(k, space, count, { address, fixed: "replace", protection, sharing });
          for (let i = 0; i < count; i++) pages[first + i] = { cell: { value: 0 }, protection, sharing };
          break;
        }
        case 1:
          assert.equal(unmapRange(k, space, address, count * PAGE_SIZE), 0);
          pages.fill(undefined, first, first + count);
          break;
        case 2: {
          const result = protectRange(k, space, address, count * PAGE_SIZE, protection);
          const gap = pages.slice(first, first + count).indexOf(undefined);
          assert.equal(result, gap < 0 ? 0 : "ENOMEM");
          for (let i = 0; i < (gap < 0 ? count : gap); i++) {
            const page = pages[first + i];
            if (page !== undefined) pages[first + i] = { ...page, protection };
          }
          break;
        }
        case 3: {
          if (spaces.length >= 5) break;
          const child = forkOf(k, space);
          spaces.push({
            space: child,
            pages: pages.map((page) => (page?.sharing === "private" ? { ...page, cell: { ...page.cell } } : page)),
          });
          break;
        }
        case 4: {
          if (spaces.length === 1) break;
          releaseAddressSpace(k, space);
          spaces = spaces.filter((other) => other !== target);
          break;
        }
        case 5: {
          // ENOMEM tells of a gap; what is mapped was dropped all the same.
          const hasGap = pages.slice(first, first + count).includes(undefined);
          assert.equal(adviseRange(k, space, address, count * PAGE_SIZE, 4), hasGap ? "ENOMEM" : 0);
          for (let i = 0; i < count; i++) {
            const page = pages[first + i];
            if (page?.sharing === "private") page.cell.value = 0;
          }
          break;
        }
        case 6: {
          // Moves a run within the window to another place in it, where the model can follow.
          const to = random(WINDOW - count + 1);
          const isApart = to + count <= first || first + count <= to;
          const region = findRegion(space, address);
          if (!isApart || region === undefined || region.end < address + count * PAGE_SIZE) break;
          const moved = remapRange(
            k,
            space,
            address,
            count * PAGE_SIZE,
            count * PAGE_SIZE,
            MREMAP.MAYMOVE | MREMAP.FIXED,
            AT + to * PAGE_SIZE,
          );
          assert.equal(moved, AT + to * PAGE_SIZE);
          for (let i = 0; i < count; i++) {
            pages[to + i] = pages[first + i];
            pages[first + i] = undefined;
          }
          break;
        }
        default: {
          const value = 1 + random(255);
          const page = pages[first];
          const written = copyToUser(k, space, address, Uint8Array.of(value));
          assert.equal(written, page?.protection.write === true ? 0 : "EFAULT");
          if (written === 0 && page !== undefined) page.cell.value = value;
        }
      }
      isFine(k);
      for (const { space: other, pages: model } of spaces) {
        const at = random(WINDOW);
        const page = model[at];
        const expected = page?.protection.read === true ? page.cell.value : undefined;
        assert.equal(peek(k, other, AT + at * PAGE_SIZE), expected, `step ${step}, page ${at}`);
      }
    }
    for (const { space } of spaces) releaseAddressSpace(k, space);
    assert.equal(freeFrameCount(k), before);
    assert.equal(k.state.memory.committedPages, 0);
  });
});
