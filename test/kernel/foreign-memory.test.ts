// /proc/PID/mem: memory read and written from outside, whatever its protection, and never anybody else's.

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import { readMemoryFile } from "../../src/kernel/fs/procfs/memory-file.ts";
import { createInode } from "../../src/kernel/fs/inode.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, createAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { readForeign, writeForeign } from "../../src/kernel/mem/foreign-memory.ts";
import { mapRegion, protectRange } from "../../src/kernel/mem/regions.ts";
import type { AddressSpace, Region, Vmo } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { createVmo } from "../../src/kernel/mem/vmo.ts";
import { eachArch } from "../support/architectures.ts";
import { createFileKernel, BUFFER } from "../support/file-kernel.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const AT = virtAddr(0x1000_0000);
const RW = { read: true, write: true, execute: false };
const NONE = { read: false, write: false, execute: false };

function newSpace(space: AddressSpace | "ENOMEM"): AddressSpace {
  assert.ok(space !== "ENOMEM");
  return space;
}

function map(k: Kernel, space: AddressSpace, of: { vmo?: Vmo; sharing: Region["sharing"] }): void {
  const request = {
    address: AT,
    fixed: "replace",
    length: 4 * PAGE_SIZE,
    protection: RW,
    purpose: "anonymous",
  } as const;
  assert.equal(mapRegion(k, space, { ...request, vmo: of.vmo, sharing: of.sharing }), AT);
}

function foreign(k: Kernel, space: AddressSpace, address: number, length: number): string {
  const target = new Uint8Array(length);
  return Buffer.from(target.subarray(0, readForeign(k, space, address, target))).toString();
}

eachArch(({ arch, test }) => {
  test("a private page without any rights is read and written from outside; a forked child keeps its own", () => {
    const k = createMemoryKernel(arch);
    const parent = newSpace(createAddressSpace(k));
    map(k, parent, { sharing: "private" });
    copyToUser(k, parent, AT + PAGE_SIZE - 3, Buffer.from("abcdef"));
    const child = newSpace(cloneAddressSpace(k, parent));
    assert.equal(protectRange(k, parent, AT, 4 * PAGE_SIZE, NONE), 0);
    assert.equal(copyFromUser(k, parent, AT, 1), "EFAULT");
    assert.equal(foreign(k, parent, AT + PAGE_SIZE - 3, 6), "abcdef");
    assert.equal(writeForeign(k, parent, AT + PAGE_SIZE - 3, Buffer.from("ABCDEF")), 6);
    assert.equal(foreign(k, child, AT + PAGE_SIZE - 3, 6), "abcdef");
    assert.equal(protectRange(k, parent, AT, 4 * PAGE_SIZE, RW), 0);
    assert.equal(Buffer.from(copyFromUser(k, parent, AT + PAGE_SIZE - 3, 6)).toString(), "ABCDEF");
    assert.deepEqual(checkInvariants(k), []);
  });

  test("a transfer ends at the end of a region; untouched memory reads as zeros and takes no frame", () => {
    const k = createMemoryKernel(arch);
    const space = newSpace(createAddressSpace(k));
    map(k, space, { sharing: "private" });
    const free = k.state.memory.frames.freeCount;
    assert.equal(foreign(k, space, AT + 4 * PAGE_SIZE - 2, 10), "\0\0");
    assert.equal(k.state.memory.frames.freeCount, free);
    assert.equal(readForeign(k, space, AT - 1, new Uint8Array(8)), 0);
    assert.equal(writeForeign(k, space, AT + 4 * PAGE_SIZE - 2, Buffer.from("12345")), 2);
  });

  test("shared memory is written only where the region may be", () => {
    const k = createMemoryKernel(arch);
    const space = newSpace(createAddressSpace(k));
    map(k, space, { vmo: createVmo(k, { kind: "zero" }, 2), sharing: "shared" });
    assert.equal(writeForeign(k, space, AT, Buffer.from("x")), 1);
    assert.equal(protectRange(k, space, AT, 4 * PAGE_SIZE, { ...RW, write: false }), 0);
    assert.equal(writeForeign(k, space, AT, Buffer.from("y")), 0);
    assert.equal(foreign(k, space, AT, 1), "x");
    assert.equal(readForeign(k, space, AT + 2 * PAGE_SIZE, new Uint8Array(1)), 0, "beyond the end of the object");
  });

  test("/proc/PID/mem is another user's only when he is root", () => {
    const { k, user, addProcess, root } = createFileKernel(arch);
    const other = addProcess();
    other.put("secret");
    const inode = createInode(k, root.inode.filesystem, {
      kind: "file",
      mode: 0o600,
      uid: 0,
      gid: 0,
      content: { kind: "procfs", node: { entry: "mem", pid: other.process.pid } },
      number: 1,
    });
    const target = new Uint8Array(6);
    const read = (): unknown => readMemoryFile(k, user.process, inode, BUFFER, target);
    assert.equal(read(), 6);
    assert.equal(Buffer.from(target).toString(), "secret");
    Object.assign(user.process.credentials, { uid: 5, euid: 5, suid: 5, fsuid: 5 });
    assert.equal(read(), "EACCES");
    Object.assign(other.process.credentials, { uid: 5, euid: 5, suid: 5, fsuid: 5 });
    assert.equal(read(), 6);
    other.process.dumpable = false;
    assert.equal(read(), "EACCES");
    assert.equal(readMemoryFile(k, other.process, inode, 0, target), "EIO");
  });
});
