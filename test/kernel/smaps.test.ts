// /proc/PID/smaps: what of a region is in memory, alone or shared, in swap or locked.

import assert from "node:assert/strict";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import { smaps, smapsRollup } from "../../src/kernel/fs/procfs/smaps.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, createAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { regionsOf } from "../../src/kernel/mem/region-tree.ts";
import { mapRegion } from "../../src/kernel/mem/regions.ts";
import type { AddressSpace, Region, Vmo } from "../../src/kernel/mem/types.ts";
import { createVmo } from "../../src/kernel/mem/vmo.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const AT = virtAddr(0x1000_0000);
const RW = { read: true, write: true, execute: false };

function newSpace(space: AddressSpace | "ENOMEM"): AddressSpace {
  assert.ok(space !== "ENOMEM");
  return space;
}

function map(k: Kernel, space: AddressSpace, pages: number, of: { vmo?: Vmo; sharing: Region["sharing"] }): void {
  const request = { address: AT, fixed: "replace", length: pages * PAGE_SIZE, protection: RW } as const;
  assert.equal(mapRegion(k, space, { ...request, vmo: of.vmo, sharing: of.sharing, purpose: "anonymous" }), AT);
}

function touch(k: Kernel, space: AddressSpace, page: number, access: "read" | "write"): void {
  assert.equal(handlePageFault(k, space, virtAddr(AT + page * PAGE_SIZE), access).kind, "resolved");
}

/** Rows in KiB by name, of the region at AT. */
function rowsOf(k: Kernel, space: AddressSpace): Map<string, number> {
  const regions = [...regionsOf(space)].filter(({ start }) => start === AT);
  return parse(smaps(k, space, regions));
}

function parse(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^(\w+): +(\d+) kB$/gm)].map(([, name, value]) => [name ?? "", Number(value)]));
}

function pick(rows: Map<string, number>, ...names: string[]): (number | undefined)[] {
  return names.map((name) => rows.get(name));
}

eachArch(({ arch, test }) => {
  test("smaps tells private from shared pages across a fork, and splits the latter among those who share", () => {
    const k = createMemoryKernel(arch);
    const parent = newSpace(createAddressSpace(k));
    map(k, parent, 8, { sharing: "private" });
    for (const page of [0, 1, 2]) touch(k, parent, page, "write");
    const names = ["Size", "Rss", "Pss", "Private_Dirty", "Shared_Dirty", "Anonymous", "Swap", "Locked"];
    assert.deepEqual(pick(rowsOf(k, parent), ...names), [32, 12, 12, 12, 0, 12, 0, 0]);
    const child = newSpace(cloneAddressSpace(k, parent));
    touch(k, child, 2, "write");
    touch(k, parent, 0, "read");
    assert.deepEqual(pick(rowsOf(k, parent), ...names), [32, 12, 8, 4, 8, 12, 0, 0]);
    assert.deepEqual(pick(rowsOf(k, child), ...names), [32, 12, 8, 4, 8, 12, 0, 0]);
  });

  test("smaps counts the places where a shared object's pages are mapped", () => {
    const k = createMemoryKernel(arch);
    const [one, other] = [newSpace(createAddressSpace(k)), newSpace(createAddressSpace(k))];
    const vmo = createVmo(k, { kind: "zero" }, 8);
    map(k, one, 8, { vmo, sharing: "shared" });
    map(k, other, 8, { vmo, sharing: "shared" });
    touch(k, one, 0, "write");
    touch(k, one, 1, "write");
    touch(k, other, 1, "read");
    const names = ["Rss", "Pss", "Private_Dirty", "Shared_Dirty", "Anonymous"];
    assert.deepEqual(pick(rowsOf(k, one), ...names), [8, 6, 4, 4, 0]);
    assert.deepEqual(pick(rowsOf(k, other), ...names), [4, 2, 0, 4, 0]);
  });

  test("smaps_rollup is the sum of smaps", () => {
    const k = createMemoryKernel(arch);
    const space = newSpace(createAddressSpace(k));
    map(k, space, 8, { sharing: "private" });
    touch(k, space, 5, "write");
    const regions = [...regionsOf(space)];
    const sum = parse(smapsRollup(k, space, regions));
    for (const [name, value] of sum) {
      const rows = regions.map((region) => parse(smaps(k, space, [region])).get(name) ?? 0);
      assert.equal(
        value,
        rows.reduce((total, row) => total + row, 0),
        name,
      );
    }
    assert.equal(sum.get("Anonymous"), 4);
  });
});
