// ASIDs: generations, and a rollover while other harts still run with old ones.

import assert from "node:assert/strict";
import { activateSpace, enterSpace } from "../../src/kernel/mem/asid.ts";
import { createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { answerRequests } from "../../src/kernel/mem/shootdown.ts";
import type { AddressSpace } from "../../src/kernel/mem/types.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

function spaceOf(k: Kernel): AddressSpace {
  const space = createAddressSpace(k);
  assert.notEqual(space, "ENOMEM");
  return space as AddressSpace;
}

eachArch(({ arch, test }) => {
  test("INV-5: after a rollover a hart empties its TLB before it goes on, and a space that one runs keeps its ASID for itself", () => {
    const k = createMemoryKernel(arch, { harts: 2, changes: { maxAsid: 4 } });
    const flushes: string[] = [];
    k.machine.probes.tlbFlush = (hart, address, asid) => flushes.push(`${hart.id} ${address ?? asid ?? "all"}`);
    const running = spaceOf(k);
    enterSpace(k, 1, running);
    const others = Array.from({ length: 20 }, () => spaceOf(k));
    for (const [index, space] of others.entries()) {
      activateSpace(k, 0, space);
      assert.notEqual(space.asid, running.asid, `space ${index}`);
      assert.ok(space.asid >= 1 && space.asid <= 4);
      assert.deepEqual(checkInvariants(k), []);
    }
    assert.equal(running.asid, 1);
    assert.equal(running.asidGeneration, k.state.memory.asids.generation);
    assert.ok(k.state.memory.asids.generation > 5);
    assert.deepEqual(
      new Set(flushes.splice(0)),
      new Set(["0 all"]),
      "rollovers flush everything, where it is about to be used",
    );
    answerRequests(k, 1);
    enterSpace(k, 1, running);
    assert.deepEqual(flushes, ["1 all"], "and one that went on with its old number when it comes back");
    assert.deepEqual(checkInvariants(k), []);
    answerRequests(k, 1);
    for (const space of [running, ...others]) releaseAddressSpace(k, space);
  });

  test("a space of an old generation gets a new ASID before it runs again", () => {
    const k = createMemoryKernel(arch, { changes: { maxAsid: 2 } });
    const [a, b, c] = [spaceOf(k), spaceOf(k), spaceOf(k)];
    for (const space of [a, b, c]) activateSpace(k, 0, space);
    assert.notEqual(a.asidGeneration, c.asidGeneration);
    activateSpace(k, 0, a);
    assert.equal(a.asidGeneration, k.state.memory.asids.generation);
    assert.deepEqual(checkInvariants(k), []);
  });
});
