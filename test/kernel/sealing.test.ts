// mseal: what a sealed region refuses, what it allows, and that a refusal changes nothing.

import assert from "node:assert/strict";
import * as abi from "../../src/abi/linux/memory.ts";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, createAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { adviseRange } from "../../src/kernel/mem/advice.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { mapRegion, protectRange, regionsOf, unmapRange } from "../../src/kernel/mem/regions.ts";
import { MREMAP, remapRange } from "../../src/kernel/mem/remap.ts";
import { sealRange } from "../../src/kernel/mem/sealing.ts";
import type { AddressSpace } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const AT = virtAddr(0x1000_0000);
const RW = { read: true, write: true, execute: false };
const READ = { read: true, write: false, execute: false };

function pageAt(page: number): number {
  return AT + page * PAGE_SIZE;
}

function mapPages(k: Kernel, pages: number): AddressSpace {
  const space = createAddressSpace(k);
  assert.ok(space !== "ENOMEM");
  assert.equal(mapOver(k, space, AT, pages), AT);
  copyToUser(k, space, pageAt(2), Buffer.from("kept"));
  return space;
}

function mapOver(k: Kernel, space: AddressSpace, address: number, pages: number): unknown {
  const request = { fixed: "replace", length: pages * PAGE_SIZE, protection: RW, sharing: "private" } as const;
  return mapRegion(k, space, { ...request, address: virtAddr(address), purpose: "anonymous" });
}

/** "first-last" pages and rights of each region; an s for a sealed one. */
function layout(space: AddressSpace): string[] {
  return [...regionsOf(space, AT, AT + 64 * PAGE_SIZE)].map(({ start, end, protection, sealed }) => {
    const pages = `${(start - AT) / PAGE_SIZE}-${(end - AT) / PAGE_SIZE}`;
    return `${pages} ${protection.write ? "rw" : "r"}${sealed ? " s" : ""}`;
  });
}

eachArch(({ arch, test }) => {
  test("a sealed part cannot be unmapped, mapped over, protected, moved or grown", () => {
    const k = createMemoryKernel(arch);
    const space = mapPages(k, 6);
    assert.equal(sealRange(k, space, pageAt(2), 2 * PAGE_SIZE), 0);
    const sealed = ["0-2 rw", "2-4 rw s", "4-6 rw"];
    assert.deepEqual(layout(space), sealed);
    assert.equal(unmapRange(k, space, pageAt(1), 2 * PAGE_SIZE), "EPERM");
    assert.equal(unmapRange(k, space, AT, 6 * PAGE_SIZE), "EPERM");
    assert.equal(mapOver(k, space, pageAt(3), 1), "EPERM");
    assert.equal(remapRange(k, space, pageAt(2), PAGE_SIZE, 3 * PAGE_SIZE, MREMAP.MAYMOVE, 0), "EPERM");
    assert.equal(remapRange(k, space, pageAt(2), 2 * PAGE_SIZE, PAGE_SIZE, 0, 0), "EPERM");
    const onto = MREMAP.MAYMOVE | MREMAP.FIXED;
    assert.equal(remapRange(k, space, pageAt(4), PAGE_SIZE, PAGE_SIZE, onto, pageAt(2)), "EPERM");
    assert.deepEqual(layout(space), sealed);
    assert.equal(protectRange(k, space, AT, 6 * PAGE_SIZE, READ), "EPERM");
    assert.deepEqual(layout(space), ["0-2 r", "2-4 rw s", "4-6 rw"]); // as Linux: what is before it is changed
    assert.equal(Buffer.from(copyFromUser(k, space, pageAt(2), 4)).toString(), "kept");
    assert.deepEqual(checkInvariants(k), []);
  });

  test("neighbours that are sealed too join it; a forked child's memory is sealed", () => {
    const k = createMemoryKernel(arch);
    const space = mapPages(k, 6);
    assert.equal(sealRange(k, space, pageAt(2), 2 * PAGE_SIZE), 0);
    assert.equal(sealRange(k, space, AT, 6 * PAGE_SIZE), 0);
    assert.deepEqual(layout(space), ["0-6 rw s"]);
    const child = cloneAddressSpace(k, space);
    assert.ok(child !== "ENOMEM");
    assert.equal(unmapRange(k, child, AT, PAGE_SIZE), "EPERM");
    assert.equal(sealRange(k, space, pageAt(5), 2 * PAGE_SIZE), "ENOMEM");
    assert.deepEqual(checkInvariants(k), []);
  });

  test("pages are not taken away by advice where the program could not overwrite them", () => {
    const k = createMemoryKernel(arch);
    const space = mapPages(k, 6);
    assert.equal(sealRange(k, space, AT, 2 * PAGE_SIZE), 0);
    assert.equal(adviseRange(k, space, AT, PAGE_SIZE, abi.MADV_DONTNEED), 0);
    assert.equal(protectRange(k, space, pageAt(2), 2 * PAGE_SIZE, READ), 0);
    assert.equal(sealRange(k, space, pageAt(2), 2 * PAGE_SIZE), 0);
    for (const advice of [abi.MADV_DONTNEED, abi.MADV_FREE, abi.MADV_DONTFORK, abi.MADV_WIPEONFORK, abi.MADV_REMOVE]) {
      assert.equal(adviseRange(k, space, pageAt(2), PAGE_SIZE, advice), "EPERM");
    }
    assert.equal(adviseRange(k, space, pageAt(2), PAGE_SIZE, abi.MADV_WILLNEED), 0);
    assert.equal(Buffer.from(copyFromUser(k, space, pageAt(2), 4)).toString(), "kept");
  });
});
