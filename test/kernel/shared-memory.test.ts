// Shared memory from the inside: how long segments and memfds live, what they are charged, and how their words are known to futexes.
// What the calls return is compared with Linux in test/programs/memory-calls.test.ts.

import assert from "node:assert/strict";
import {
  F_SEAL_WRITE,
  IPC_CREAT,
  IPC_PRIVATE,
  IPC_RMID,
  MFD_ALLOW_SEALING,
  MFD_HUGETLB,
  SHM_HUGETLB,
} from "../../src/abi/linux/ipc.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from "../../src/abi/linux/memory.ts";
import { F_ADD_SEALS } from "../../src/abi/linux/open-flags.ts";
import { checkFileInvariants } from "../../src/kernel/fs/checker.ts";
import { SYSTEM_FILES } from "../../src/kernel/fs/procfs/system-files.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { reclaimFrames } from "../../src/kernel/mem/reclaim.ts";
import { findRegion } from "../../src/kernel/mem/regions.ts";
import { swapOn } from "../../src/kernel/mem/swap-areas.ts";
import { swapTotals } from "../../src/kernel/mem/swap-slots.ts";
import type { AddressSpace } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { futexKey } from "../../src/kernel/process/futex.ts";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import { eachArch } from "../support/architectures.ts";
import { BUFFER, BUFFER_LENGTH, createFileKernel, type User } from "../support/file-kernel.ts";
import { createMemoryDevice } from "../support/memory-device.ts";

const RW = PROT_READ | PROT_WRITE;
const KEY = 0x1234;

const isFine = (k: Kernel): void => assert.deepEqual([...checkInvariants(k), ...checkFileInvariants(k)], []);
const poke = (k: Kernel, { space }: User["process"], address: number, value: number): void =>
  assert.equal(copyToUser(k, space, address, Uint8Array.of(value)), 0);
const peek = (k: Kernel, { space }: { space: AddressSpace }, address: number): number | undefined => {
  const bytes = copyFromUser(k, space, address, 1);
  return bytes === "EFAULT" ? undefined : bytes[0];
};

eachArch(({ arch, test }) => {
  test("a removed segment lives until its last attach, over fork and split regions, and gives everything back", () => {
    const { k, user } = createFileKernel(arch);
    const { process } = user;
    const [free, committed] = [freeFrameCount(k), k.state.memory.committedPages];
    const id = user.must("shmget", KEY, 3 * PAGE_SIZE, IPC_CREAT | 0o600);
    assert.equal(k.state.memory.committedPages, committed + 3);
    const at = user.must("shmat", id, 0, 0);
    poke(k, process, at, 42);
    const child = cloneAddressSpace(k, process.space);
    assert.ok(child !== "ENOMEM");
    const segment = k.state.sharedMemory.segments.get(id);
    assert.equal(segment?.attaches, 2);
    user.must("shmctl", id, IPC_RMID, 0);
    assert.equal(user.call("shmget", KEY, 0, 0), "ENOENT");
    user.must("munmap", at + PAGE_SIZE, PAGE_SIZE);
    assert.equal(segment?.attaches, 3);
    isFine(k);
    user.must("shmdt", at);
    assert.equal(peek(k, { space: child }, at), 42);
    assert.ok(k.state.sharedMemory.segments.has(id));
    isFine(k);
    releaseAddressSpace(k, child);
    assert.equal(k.state.sharedMemory.segments.size, 0);
    assert.equal(k.state.sharedMemory.totalPages, 0);
    assert.equal(k.state.memory.committedPages, committed);
    isFine(k);
    // Page tables that the mappings needed stay with the process.
    assert.ok(free - freeFrameCount(k) <= 3, `${free} frames were free, ${freeFrameCount(k)} are`);
  });

  test("the id of a segment that is gone means nothing, although its index is used again", () => {
    const { k, user } = createFileKernel(arch);
    const first = user.must("shmget", IPC_PRIVATE, 100, 0o600);
    user.must("shmctl", first, IPC_RMID, 0);
    const second = user.must("shmget", IPC_PRIVATE, 100, 0o600);
    assert.equal(second & 0x7fff, first & 0x7fff);
    assert.notEqual(second, first);
    assert.equal(user.call("shmat", first, 0, 0), "EINVAL");
    assert.equal(user.call("shmctl", first, IPC_RMID, 0), "EINVAL");
    // The next id may be asked for; where its index is taken, the next free one follows.
    const ask = (id: number): unknown => SYSTEM_FILES.get("sys/kernel/shm_next_id")?.write?.(k, String(id));
    assert.equal(ask(7 * 32768 + 5), 0);
    assert.equal(user.must("shmget", IPC_PRIVATE, 100, 0o600), 7 * 32768 + 5);
    assert.equal(ask(9 * 32768 + 5), 0);
    assert.equal(user.must("shmget", IPC_PRIVATE, 100, 0o600), 9 * 32768 + 6);
    isFine(k);
  });

  test("segments keep to the limits in /proc/sys/kernel, and no request is larger than memory", () => {
    const { k, user } = createFileKernel(arch);
    const set = (name: string, value: string): unknown => SYSTEM_FILES.get(`sys/kernel/${name}`)?.write?.(k, value);
    assert.equal(user.call("shmget", IPC_PRIVATE, 2 ** 40, 0o600), "ENOMEM");
    assert.equal(set("shmmax", "8192"), 0);
    assert.equal(user.call("shmget", IPC_PRIVATE, 8193, 0o600), "EINVAL");
    user.must("shmget", IPC_PRIVATE, 8192, 0o600);
    assert.equal(set("shmall", "3"), 0);
    assert.equal(user.call("shmget", IPC_PRIVATE, 8192, 0o600), "ENOSPC");
    user.must("shmget", IPC_PRIVATE, 4096, 0o600);
    assert.equal(set("shmall", "18446744073692774399"), 0);
    assert.equal(set("shmmni", "2"), 0);
    assert.equal(user.call("shmget", IPC_PRIVATE, 1, 0o600), "ENOSPC");
    assert.equal(set("shmmni", "99999"), "EINVAL");
    assert.equal(set("shmmax", "none"), "EINVAL");
    const lines = SYSTEM_FILES.get("sysvipc/shm")?.read(k).split("\n") ?? [];
    assert.equal(lines.length, 4);
    assert.match(lines[1] ?? "", /^ {9}0 {10}0 {3}600 {18}8192 /);
  });

  test("a child's mapping keeps a memfd from being sealed against writes", () => {
    const { k, user } = createFileKernel(arch);
    const fd = user.must("memfd_create", "m", MFD_ALLOW_SEALING);
    user.must("ftruncate", fd, PAGE_SIZE);
    const at = user.must("mmap", 0, PAGE_SIZE, RW, MAP_SHARED, fd, 0);
    const child = cloneAddressSpace(k, user.process.space);
    assert.ok(child !== "ENOMEM");
    user.must("munmap", at, PAGE_SIZE);
    assert.equal(user.call("fcntl", fd, F_ADD_SEALS, F_SEAL_WRITE), "EBUSY");
    releaseAddressSpace(k, child);
    user.must("fcntl", fd, F_ADD_SEALS, F_SEAL_WRITE);
    assert.equal(user.call("pwrite64", fd, user.put("x"), 1, 0), "EPERM");
    isFine(k);
  });

  test("a memfd's pages stay while it is mapped or open, and are free afterwards", () => {
    const { k, user } = createFileKernel(arch);
    const { filesystem } = k.state.files.memory;
    const fd = user.must("memfd_create", "m", 0);
    user.must("ftruncate", fd, 4 * PAGE_SIZE);
    const at = user.must("mmap", 0, 4 * PAGE_SIZE, RW, MAP_SHARED, fd, 0);
    for (let page = 0; page < 4; page++) poke(k, user.process, at + page * PAGE_SIZE, page + 1);
    assert.equal(filesystem.usedBytes, 4 * PAGE_SIZE);
    user.must("close", fd);
    assert.equal(peek(k, user.process, at + 3 * PAGE_SIZE), 4);
    assert.equal(filesystem.usedBytes, 4 * PAGE_SIZE);
    isFine(k);
    const free = freeFrameCount(k);
    user.must("munmap", at, 4 * PAGE_SIZE);
    assert.ok(freeFrameCount(k) >= free + 4);
    assert.equal(filesystem.usedBytes, 0);
    assert.equal(filesystem.inodeCount, 1);
    isFine(k);
  });

  test("a page that a full tmpfs cannot have is SIGBUS, and what mappings make is charged", () => {
    const { k, user } = createFileKernel(arch, { limitBytes: 3 * PAGE_SIZE });
    const fd = user.must("openat", -100, "/file", 0o102, 0o600);
    user.must("ftruncate", fd, 8 * PAGE_SIZE);
    const at = user.must("mmap", 0, 8 * PAGE_SIZE, RW, MAP_SHARED, fd, 0);
    for (let page = 0; page < 3; page++) poke(k, user.process, at + page * PAGE_SIZE, 1);
    const outcome = handlePageFault(k, user.process.space, virtAddr(at + 3 * PAGE_SIZE), "write");
    assert.deepEqual(outcome, { kind: "signal", signal: "SIGBUS", code: 2 });
    assert.equal(user.call("pwrite64", fd, user.put("x"), 1, 4 * PAGE_SIZE), "ENOSPC");
    assert.equal(user.call("fallocate", fd, 0, 0, 4 * PAGE_SIZE), "ENOSPC");
    // A hole gives room again.
    user.must("fallocate", fd, 3, 0, PAGE_SIZE);
    poke(k, user.process, at + 3 * PAGE_SIZE, 1);
    assert.equal(peek(k, user.process, at + PAGE_SIZE), 1);
    isFine(k);
  });

  test("pages of files in memory go out to swap, and reads, writes, mappings, holes and truncation find them there", () => {
    const host = { blockDevices: new Map([["swap0", createMemoryDevice(1000)]]) };
    const { k, user, addProcess } = createFileKernel(arch, { host });
    assert.equal(swapOn(k, "swap0"), 0);
    const { free } = swapTotals(k);
    const other = addProcess();
    const id = user.must("shmget", IPC_PRIVATE, 6 * PAGE_SIZE, 0o600);
    const fd = user.must("memfd_create", "m", 0);
    const fill = (): number => user.put(new Uint8Array(6 * PAGE_SIZE).fill(65));
    user.must("pwrite64", fd, fill(), 6 * PAGE_SIZE, 0);
    const [here, there] = [user.must("shmat", id, 0, 0), other.must("shmat", id, 0, 0)];
    for (let page = 0; page < 6; page++) poke(k, user.process, here + page * PAGE_SIZE, page + 1);
    const evict = (): void => {
      while (reclaimFrames(k, 1000) > 0);
      assert.equal(user.process.files.descriptors[fd]?.file.inode.vmo?.pages.resident, 0);
    };
    evict();
    assert.equal(k.state.files.memory.filesystem.usedBytes, 12 * PAGE_SIZE);
    isFine(k);
    assert.equal(peek(k, other.process, there + 5 * PAGE_SIZE), 6);
    poke(k, other.process, there + 4 * PAGE_SIZE, 55);
    assert.equal(peek(k, user.process, here + 4 * PAGE_SIZE), 55);
    user.must("pread64", fd, user.put("..."), 3, PAGE_SIZE - 1);
    assert.equal(Buffer.from(user.get(3)).toString(), "AAA");
    evict();
    user.must("pwrite64", fd, user.put("bb"), 2, 2 * PAGE_SIZE - 1);
    evict();
    user.must("fallocate", fd, 3, 3 * PAGE_SIZE + 1, PAGE_SIZE);
    user.must("ftruncate", fd, 5 * PAGE_SIZE + 1);
    evict();
    user.must("ftruncate", fd, 6 * PAGE_SIZE);
    const at = user.must("mmap", 0, 6 * PAGE_SIZE, RW, MAP_SHARED, fd, 0);
    const bytes = [2 * PAGE_SIZE - 2, 2 * PAGE_SIZE - 1, 2 * PAGE_SIZE, 3 * PAGE_SIZE, 3 * PAGE_SIZE + 1].concat([
      4 * PAGE_SIZE,
      4 * PAGE_SIZE + 1,
      5 * PAGE_SIZE,
      5 * PAGE_SIZE + 1,
    ]);
    assert.deepEqual(
      bytes.map((offset) => peek(k, user.process, at + offset)),
      [65, 98, 98, 65, 0, 0, 65, 65, 0],
    );
    evict();
    user.must("shmctl", id, IPC_RMID, 0);
    for (const [each, address] of [
      [user, here],
      [other, there],
    ] as const)
      each.must("shmdt", address);
    user.must("munmap", at, 6 * PAGE_SIZE);
    user.must("close", fd);
    assert.equal(k.state.files.memory.filesystem.usedBytes, 0);
    user.must("munmap", BUFFER, BUFFER_LENGTH);
    other.must("munmap", BUFFER, BUFFER_LENGTH);
    assert.equal(swapTotals(k).free, free);
    isFine(k);
  });

  test("memfds and segments of large pages: sizes and places in whole pages, private copies, holes, and all memory back", () => {
    const { k, user } = createFileKernel(arch, { memoryBytes: 64 << 20 });
    const { process } = user;
    const huge = 2 << 20;
    const free = freeFrameCount(k);
    const fd = user.must("memfd_create", "m", MFD_HUGETLB);
    assert.equal(user.call("ftruncate", fd, PAGE_SIZE), "EINVAL");
    assert.equal(user.call("pwrite64", fd, user.put("x"), 1, 0), "EINVAL");
    user.must("ftruncate", fd, 2 * huge);
    const shared = user.must("mmap", 0, 2 * huge, RW, MAP_SHARED, fd, 0);
    assert.equal(shared % huge, 0);
    assert.equal(user.call("munmap", shared + PAGE_SIZE, huge), "EINVAL");
    assert.equal(user.call("mmap", 0, huge, RW, MAP_SHARED, fd, PAGE_SIZE), "EINVAL");
    poke(k, process, shared + 5, 42);
    poke(k, process, shared + huge + PAGE_SIZE, 43);
    const copy = user.must("mmap", 0, 2 * huge, RW, MAP_PRIVATE, fd, 0);
    assert.deepEqual(
      [copy + 5, copy + huge + PAGE_SIZE].map((at) => peek(k, process, at)),
      [42, 43],
    );
    poke(k, process, copy + 5, 44);
    assert.equal(peek(k, process, shared + 5), 42);
    isFine(k);
    user.must("fallocate", fd, 3, PAGE_SIZE, 2 * huge);
    assert.deepEqual(
      [shared + 5, shared + huge + PAGE_SIZE].map((at) => peek(k, process, at)),
      [42, 0],
    );
    assert.equal(peek(k, process, copy + 5), 44);
    isFine(k);
    user.must("munmap", shared, 2 * huge);
    while (reclaimFrames(k, 1000) > 0);
    user.must("pread64", fd, user.put("."), 1, 5);
    assert.deepEqual([...user.get(1)], [42]);
    const id = user.must("shmget", IPC_PRIVATE, 100, SHM_HUGETLB | 0o600);
    const at = user.must("shmat", id, 0, 0);
    assert.equal(at % huge, 0);
    poke(k, process, at + huge - 1, 45);
    user.must("shmctl", id, IPC_RMID, 0);
    isFine(k);
    user.must("shmdt", at);
    user.must("munmap", copy, 2 * huge);
    user.must("close", fd);
    assert.ok(free - freeFrameCount(k) <= 8, `${free} frames were free, ${freeFrameCount(k)} are`);
    isFine(k);
  });

  test("an allocation that fails leaves the file as it was", () => {
    const { k, user } = createFileKernel(arch);
    const fd = user.must("memfd_create", "m", 0);
    user.must("pwrite64", fd, user.put("x"), 1, 5 * PAGE_SIZE);
    const { frames } = k.state.memory;
    frames.failCountdown = 3;
    assert.equal(user.call("fallocate", fd, 0, 0, 10 * PAGE_SIZE), "ENOSPC");
    frames.failCountdown = 0;
    assert.equal(k.state.files.memory.filesystem.usedBytes, PAGE_SIZE);
    assert.equal(user.must("lseek", fd, 0, 3), 5 * PAGE_SIZE);
    assert.equal(user.must("lseek", fd, 0, 2), 5 * PAGE_SIZE + 1);
    isFine(k);
  });

  test("a long allocation lets others run, and its size comes last", () => {
    const { k, user } = createFileKernel(arch, { memoryBytes: 64 << 20 });
    const fd = user.must("memfd_create", "m", 0);
    assert.equal(user.call("fallocate", fd, 0, 0, 40 << 20), "BLOCKED");
    assert.equal(user.process.files.descriptors[fd]?.file.inode.size, 0);
    assert.equal(user.resume("fallocate", fd, 0, 0, 40 << 20), "BLOCKED");
    assert.equal(user.resume("fallocate", fd, 0, 0, 40 << 20), 0);
    assert.equal(user.process.files.descriptors[fd]?.file.inode.size, 40 << 20);
    assert.equal(k.state.files.memory.filesystem.usedBytes, 40 << 20);
  });

  test("a shared futex is known by its page, wherever it is mapped and before anyone touched it; a private one by its address", () => {
    const { user, addProcess } = createFileKernel(arch);
    const other = addProcess();
    const fd = user.must("memfd_create", "m", 0);
    user.must("ftruncate", fd, 3 * PAGE_SIZE);
    const { file } = user.process.files.descriptors[fd] ?? {};
    assert.ok(file !== undefined);
    file.references += 1;
    other.process.files.descriptors[0] = { file, closeOnExec: false };
    const here = user.must("mmap", 0, 3 * PAGE_SIZE, RW, MAP_SHARED, fd, 0);
    const there = other.must("mmap", 0, PAGE_SIZE, RW, MAP_SHARED, 0, PAGE_SIZE);
    const key = futexKey(user.process.space, here + PAGE_SIZE + 8);
    assert.equal(key, futexKey(other.process.space, there + 8));
    assert.notEqual(key, futexKey(other.process.space, there + 12));
    assert.equal(file.inode.vmo?.pages.resident, 0);
    const anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    const [a, b] = [user, other].map((each) => each.must("mmap", 0x2000_0000, PAGE_SIZE, RW, anonymous, -1, 0));
    assert.equal(a, b);
    assert.notEqual(futexKey(user.process.space, a ?? 0), futexKey(other.process.space, b ?? 0));
    const copy = user.must("mmap", 0, PAGE_SIZE, RW, MAP_PRIVATE, fd, 0);
    assert.notEqual(futexKey(user.process.space, copy), futexKey(user.process.space, here));
    assert.equal(findRegion(user.process.space, copy)?.sharing, "private");
  });
});
