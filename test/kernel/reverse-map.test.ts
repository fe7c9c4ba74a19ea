// From a frame to all the places that show it (INV-8).

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr, type FrameNumber } from "../../src/lib/address.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { query } from "../../src/kernel/mem/page-table.ts";
import { mapRegion, protectRange } from "../../src/kernel/mem/regions.ts";
import { MREMAP, remapRange } from "../../src/kernel/mem/remap.ts";
import { forEachMapping, holdersOf } from "../../src/kernel/mem/reverse-map.ts";
import type { AddressSpace, Vmo } from "../../src/kernel/mem/types.ts";
import { createVmo } from "../../src/kernel/mem/vmo.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const AT = virtAddr(0x1000_0000);
const RW = { read: true, write: true, execute: false };

function ok<T>(value: T | "ENOMEM"): T {
  assert.notEqual(value, "ENOMEM");
  return value as T;
}

function map(
  k: Kernel,
  space: AddressSpace,
  pages: number,
  vmo?: Vmo,
  sharing: "private" | "shared" = "private",
): void {
  const request = { address: AT, fixed: "no-replace", length: pages * PAGE_SIZE, protection: RW, sharing } as const;
  assert.equal(mapRegion(k, space, { ...request, vmo, purpose: "anonymous" }), AT);
}

function frameOfPage(k: Kernel, space: AddressSpace, address: number): FrameNumber {
  const found = query(k, space, virtAddr(address));
  assert.ok(found !== undefined);
  return found.frame;
}

/** "space:address" of all mappings, sorted. */
function places(k: Kernel, frame: FrameNumber): string[] {
  const found: string[] = [];
  forEachMapping(k, frame, (space, _region, address) => found.push(`${space.id}:${address.toString(16)}`));
  return found.sort();
}

eachArch(({ arch, test }) => {
  test("INV-8: a private frame is found in both spaces after fork, at its new place after mremap, and nowhere after exit", () => {
    const k = createMemoryKernel(arch);
    const parent = ok(createAddressSpace(k));
    map(k, parent, 4);
    for (let page = 0; page < 4; page++) handlePageFault(k, parent, virtAddr(AT + page * PAGE_SIZE), "write");
    const frame = frameOfPage(k, parent, AT + PAGE_SIZE);
    const child = ok(cloneAddressSpace(k, parent));
    const second = (AT + PAGE_SIZE).toString(16);
    assert.deepEqual(places(k, frame), [`${child.id}:${second}`, `${parent.id}:${second}`].sort());
    const moved = 0x2000_0000;
    const flags = MREMAP.MAYMOVE | MREMAP.FIXED;
    assert.equal(remapRange(k, child, AT + PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, flags, moved), moved);
    assert.deepEqual(places(k, frame), [`${child.id}:${moved.toString(16)}`, `${parent.id}:${second}`].sort());
    assert.equal(holdersOf(k, frame).vmos.length, 2);
    releaseAddressSpace(k, child);
    assert.deepEqual(places(k, frame), [`${parent.id}:${second}`]);
    assert.deepEqual(checkInvariants(k), []);
    releaseAddressSpace(k, parent);
    assert.deepEqual(places(k, frame), []);
  });

  test("INV-8: a private VMO in many regions is found by address; a page of a source by all who have no copy of it", () => {
    const k = createMemoryKernel(arch);
    const space = ok(createAddressSpace(k));
    map(k, space, 64);
    for (let page = 0; page < 64; page++) handlePageFault(k, space, virtAddr(AT + page * PAGE_SIZE), "write");
    for (let page = 0; page < 64; page += 2) {
      protectRange(k, space, AT + page * PAGE_SIZE, PAGE_SIZE, { ...RW, write: false });
    }
    const address = AT + 37 * PAGE_SIZE;
    assert.deepEqual(places(k, frameOfPage(k, space, address)), [`${space.id}:${address.toString(16)}`]);

    const source = createVmo(k, { kind: "zero" }, 8);
    const shared = ok(createAddressSpace(k));
    const lone = ok(createAddressSpace(k));
    const copied = ok(createAddressSpace(k));
    map(k, shared, 8, source, "shared");
    map(k, lone, 8, source);
    map(k, copied, 8, source);
    handlePageFault(k, shared, AT, "write");
    handlePageFault(k, lone, AT, "read");
    handlePageFault(k, copied, AT, "write");
    const at = AT.toString(16);
    assert.deepEqual(places(k, frameOfPage(k, shared, AT)), [`${shared.id}:${at}`, `${lone.id}:${at}`].sort());
    assert.deepEqual(places(k, frameOfPage(k, copied, AT)), [`${copied.id}:${at}`]);
  });
});
