// ASIDs: generations, and a rollover while other harts still run with old ones.

import assert from "node:assert/strict";
import { createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { AddressSpace } from "../../src/kernel/mem/types.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

function spaceOf(k: Kernel): AddressSpace {
  const space = createAddressSpace(k);
  assert.notEqual(space, "ENOMEM");
  return space as AddressSpace;
}

eachArch(({ arch, test }) => {
  test("INV-5: a rollover empties the TLBs, and a space that a hart runs keeps its ASID for itself", () => {
    const k = createMemoryKernel(arch, { harts: 2, changes: { maxAsid: 4 } });
    const flushes: (number | undefined)[] = [];
    k.machine.probes.tlbFlush = (_hart, address, asid) => flushes.push(address ?? asid);
    const running = spaceOf(k);
    k.arch.activate(k, 1, running);
    const others = Array.from({ length: 20 }, () => spaceOf(k));
    for (const [index, space] of others.entries()) {
      k.arch.activate(k, 0, space);
      assert.notEqual(space.asid, running.asid, `space ${index}`);
      assert.ok(space.asid >= 1 && space.asid <= 4);
      assert.deepEqual(checkInvariants(k), []);
    }
    assert.equal(running.asid, 1);
    assert.equal(running.asidGeneration, k.state.memory.asids.generation);
    assert.ok(k.state.memory.asids.generation > 5);
    assert.ok(
      flushes.every((what) => what === undefined),
      "rollovers flush everything",
    );
    for (const space of [running, ...others]) releaseAddressSpace(k, space);
  });

  test("a space of an old generation gets a new ASID before it runs again", () => {
    const k = createMemoryKernel(arch, { changes: { maxAsid: 2 } });
    const [a, b, c] = [spaceOf(k), spaceOf(k), spaceOf(k)];
    for (const space of [a, b, c]) k.arch.activate(k, 0, space);
    assert.notEqual(a.asidGeneration, c.asidGeneration);
    k.arch.activate(k, 0, a);
    assert.equal(a.asidGeneration, k.state.memory.asids.generation);
    assert.deepEqual(checkInvariants(k), []);
  });
});
