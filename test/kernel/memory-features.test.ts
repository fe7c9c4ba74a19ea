// What docs/memory-model.md promises of memory calls, and no other file shows: costs, locks, promises, residency, and mappings over
// what a program stands on.

import assert from "node:assert/strict";
import * as abi from "../../src/abi/linux/memory.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { commitLimit } from "../../src/kernel/mem/overcommit.ts";
import { balanceMemory, watermarks } from "../../src/kernel/mem/reclaim.ts";
import { findRegion } from "../../src/kernel/mem/regions.ts";
import { PAGE_SIZE } from "../../src/lib/address.ts";
import { eachArch } from "../support/architectures.ts";
import { BUFFER, createFileKernel } from "../support/file-kernel.ts";
import { bootGuest, portableProgram, PROGRAM_BASE } from "../support/guest.ts";
import {
  accessOn,
  callOn,
  createFirstUser,
  createSubject,
  exitOn,
  forkOn,
  physicalOn,
  reclaimOn,
  walkTables,
  type Subject,
  type User,
} from "./memory-model-machine.ts";

const RW = abi.PROT_READ | abi.PROT_WRITE;
const PRIVATE = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS;
const AT = 0x1000_0000;

eachArch(({ arch, test }) => {
  function subjectOf(swapPages: number): { subject: Subject; user: User } {
    const subject = createSubject(arch, { harts: 1, memoryBytes: 32 << 20, maxAsid: undefined, swapPages });
    return { subject, user: createFirstUser(subject, 0x3000_0000) };
  }

  function map(subject: Subject, user: User, length: number, flags = PRIVATE): void {
    assert.equal(callOn(subject, user, 0, "mmap", AT, length, RW, flags | abi.MAP_FIXED, -1, 0), AT);
  }

  test("fork and exit cost the mapped pages, not the span", () => {
    const { subject, user } = subjectOf(0);
    const { k } = subject;
    const GIB = 2 ** 30;
    map(subject, user, 8 * GIB, PRIVATE | abi.MAP_NORESERVE);
    for (const gigabyte of [0, 3, 7]) assert.equal(accessOn(subject, user, 0, AT + gigabyte * GIB, "write"), "done");
    let writes = 0;
    let frames = 0;
    k.probes.pteWrite = () => (writes += 1);
    k.probes.frameAllocate = () => (frames += 1);
    k.probes.frameFree = () => (frames += 1);
    const child = forkOn(subject, user, 0);
    assert.ok(typeof child !== "string");
    exitOn(subject, child, 0);
    assert.ok(writes < 200 && frames < 60, `${writes} entries written, ${frames} frames taken and given back`);
  });

  test("forks of forks leave no chain behind: a hundred generations on, a page is found in one step", () => {
    const { subject, user } = subjectOf(0);
    const { k } = subject;
    map(subject, user, PAGE_SIZE);
    assert.equal(accessOn(subject, user, 0, AT, "write"), "done");
    k.memory.write32(physicalOn(subject, 0, AT, "write"), 77);
    let last = user;
    const free = freeFrameCount(k);
    for (let generation = 0; generation < 100; generation++) {
      const child = forkOn(subject, last, 0);
      assert.ok(typeof child !== "string");
      exitOn(subject, last, 0);
      last = child;
    }
    assert.equal(findRegion(last.process.space, AT)?.vmo.source.kind, "zero");
    assert.ok(k.state.memory.families.size < 10, "objects of the generations before are gone");
    assert.equal(accessOn(subject, last, 0, AT, "read"), "done");
    assert.equal(k.memory.read32(physicalOn(subject, 0, AT, "read")), 77);
    assert.ok(Math.abs(freeFrameCount(k) - free) <= 1, "nor their frames");
    assert.deepEqual(checkInvariants(k), []);
  });

  test("mincore tells which pages are in memory, and refuses a range with a hole", () => {
    const { user } = createFileKernel(arch);
    user.must("mmap", AT, 4 * PAGE_SIZE, RW, PRIVATE | abi.MAP_FIXED, -1, 0);
    user.must("pread64", user.must("openat", -100, "/f", 0o102, 0o644), BUFFER, 1, 0);
    user.must("getcwd", AT + PAGE_SIZE, 100); // the kernel writes there
    assert.equal(user.call("mincore", AT, 4 * PAGE_SIZE, BUFFER), 0);
    assert.deepEqual([...user.get(4)], [0, 1, 0, 0]);
    user.must("munmap", AT + 2 * PAGE_SIZE, PAGE_SIZE);
    assert.equal(user.call("mincore", AT, 4 * PAGE_SIZE, BUFFER), "ENOMEM");
    assert.equal(user.call("mincore", AT + 1, PAGE_SIZE, BUFFER), "EINVAL");
  });

  test("locked pages are there, stay when all others go, and are not dropped by advice", () => {
    const { subject, user } = subjectOf(100);
    const isMapped = (page: number): boolean =>
      walkTables(subject, user.process.space, AT + page * PAGE_SIZE) !== undefined;
    map(subject, user, 4 * PAGE_SIZE);
    assert.equal(callOn(subject, user, 0, "mlock", AT, 2 * PAGE_SIZE), 0);
    assert.ok(isMapped(0) && isMapped(1) && !isMapped(2));
    for (let page = 0; page < 4; page++)
      assert.equal(accessOn(subject, user, 0, AT + page * PAGE_SIZE, "write"), "done");
    for (let round = 0; round < 3; round++) reclaimOn(subject, user, 0, 1000);
    assert.deepEqual([0, 1, 2, 3].map(isMapped), [true, true, false, false]);
    assert.equal(callOn(subject, user, 0, "madvise", AT, PAGE_SIZE, abi.MADV_DONTNEED), "EINVAL");
    assert.equal(callOn(subject, user, 0, "munlock", AT, 2 * PAGE_SIZE), 0);
    for (let round = 0; round < 3; round++) reclaimOn(subject, user, 0, 1000);
    assert.ok(!isMapped(0) && !isMapped(1));
    assert.deepEqual(checkInvariants(subject.k), []);
  });

  test("what may be promised: a request as large as memory and swap, everything, or no more than the limit", () => {
    const { subject, user } = subjectOf(1000);
    const { k } = subject;
    const { overcommit, frames } = k.state.memory;
    const all = (frames.frameCount + 1000) * PAGE_SIZE;
    const attempt = (length: number, flags = PRIVATE): unknown => {
      const result = callOn(subject, user, 0, "mmap", 0, length, RW, flags, -1, 0);
      if (typeof result === "number") assert.equal(callOn(subject, user, 0, "munmap", result, length), 0);
      return typeof result === "number" ? "granted" : result;
    };
    assert.equal(attempt(2 * all), "ENOMEM");
    assert.equal(attempt(2 * all, PRIVATE | abi.MAP_NORESERVE), "granted");
    overcommit.mode = 1;
    assert.equal(attempt(2 * all), "granted");
    overcommit.mode = 2;
    const limit = (commitLimit(k) - k.state.memory.committedPages) * PAGE_SIZE;
    assert.equal(attempt(limit + PAGE_SIZE), "ENOMEM");
    assert.equal(attempt(limit + PAGE_SIZE, PRIVATE | abi.MAP_NORESERVE), "ENOMEM");
    assert.equal(attempt(limit - 16 * PAGE_SIZE), "granted");
    map(subject, user, limit - 16 * PAGE_SIZE);
    assert.equal(attempt(17 * PAGE_SIZE), "ENOMEM");
    assert.equal(forkOn(subject, user, 0), "ENOMEM", "a child would need as much again");
    const reserved = callOn(subject, user, 0, "mmap", 0, 17 * PAGE_SIZE, abi.PROT_READ, PRIVATE, -1, 0);
    assert.equal(callOn(subject, user, 0, "mprotect", Number(reserved), 17 * PAGE_SIZE, RW), "ENOMEM");
    overcommit.mode = 0;
    assert.equal(typeof forkOn(subject, user, 0), "object");
    assert.deepEqual(checkInvariants(k), []);
  });

  test("below the low watermark reclaim begins by itself, and ends above it", () => {
    const { subject, user } = subjectOf(8000);
    const { k } = subject;
    const { low } = watermarks(k);
    map(subject, user, 9000 * PAGE_SIZE, PRIVATE | abi.MAP_NORESERVE);
    for (let page = 0; freeFrameCount(k) >= low; page++) {
      assert.equal(accessOn(subject, user, 0, AT + page * PAGE_SIZE, "write"), "done");
    }
    balanceMemory(k);
    assert.ok(freeFrameCount(k) >= low, `${freeFrameCount(k)} free, ${low} wanted`);
    assert.deepEqual(checkInvariants(k), []);
  });

  test("pkey_alloc and pkey_free say ENOSYS or that there is no key, and change nothing", () => {
    const { user } = createFileKernel(arch);
    const refusals: readonly unknown[] = ["ENOSYS", "ENOSPC", "EINVAL"];
    assert.ok(refusals.includes(user.call("pkey_alloc", 0, 0)));
    assert.ok(refusals.includes(user.call("pkey_free", 1)));
    assert.ok(refusals.includes(user.call("pkey_mprotect", BUFFER, PAGE_SIZE, abi.PROT_READ, 1)));
    user.put("still writable");
  });

  /** Ends with what the program says; a kernel bug shows in the report. */
  function statusOf(source: string): number {
    const guest = bootGuest({
      arch,
      files: { "bin/self": portableProgram(arch, source, { PROGRAM_BASE }) },
      argv: ["/bin/self"],
      checkInvariants: true,
    });
    const state = guest.finish();
    assert.equal(state.report, undefined);
    return state.status;
  }

  test("MAP_FIXED over the stack, the program itself, or the trampoline hurts nobody but the program", () => {
    const overStack = `
_start:
    set s0, sp
    and s0, -4096
    sys mmap, s0, 0x1000, 3, 0x32, -1, 0
    if r != s0 goto wrong
    load64 t0, [sp]                 # argc is gone
    if t0 != 0 goto wrong
    store64 t0, [sp + -16]
    sys exit, 7
wrong:
    sys exit, 1
`;
    assert.equal(statusOf(overStack), 7);
    const overItself = `
_start:
    sys mmap, PROGRAM_BASE, 0x1000, 5, 0x32, -1, 0
    sys exit, 1
`;
    assert.ok([128 + 4, 128 + 11].includes(statusOf(overItself)), "zeros are no program");
    const { trampoline, trapframe } = createFileKernel(arch).k.arch.layout;
    for (const place of [trampoline, trapframe]) {
      const overTrampoline = `
_start:
    set s0, ${place}
    sys mmap, s0, 0x1000, 7, 0x32, -1, 0
    if r >= 0 goto wrong
    sys munmap, s0, 0x1000
    if r >= 0 goto wrong
    sys mprotect, s0, 0x1000, 7
    if r >= 0 goto wrong
    sys exit, 7
wrong:
    sys exit, 1
`;
      assert.equal(statusOf(overTrampoline), 7);
    }
  });
});
