// Pitfalls of swap: a slot that is used again too soon, a page that is written to while it goes out, a shared page that is dirty.
// docs/memory-model.md lists all pitfalls with their tests.

import assert from "node:assert/strict";
import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import * as abi from "../../src/abi/linux/memory.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { swapTotals } from "../../src/kernel/mem/swap-slots.ts";
import { copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { PAGE_SIZE, virtAddr } from "../../src/lib/address.ts";
import { eachArch } from "../support/architectures.ts";
import {
  accessOn,
  callOn,
  createFirstUser,
  createSubject,
  exitOn,
  forkOn,
  physicalOn,
  reclaimOn,
  translateOn,
  walkTables,
  type Subject,
  type User,
} from "./memory-model-machine.ts";

const RW = abi.PROT_READ | abi.PROT_WRITE;
const FIXED = abi.MAP_ANONYMOUS | abi.MAP_FIXED;
const AT = 0x1000_0000;
const PLENTY = 10_000;

interface Swapping {
  readonly subject: Subject;
  readonly user: User;
  map(sharing: number, pages: number): void;
  write(user: User, hart: number, page: number, value: number): void;
  read(user: User, hart: number, page: number): number;
  /** Everything that can go out goes. */
  evict(): void;
  isMapped(user: User, page: number): boolean;
}

function swappingSubject(arch: ArchitectureName, harts = 1): Swapping {
  const subject = createSubject(arch, { harts, memoryBytes: 32 << 20, maxAsid: undefined, swapPages: 200 });
  const user = createFirstUser(subject, 0x3000_0000);
  const { memory } = subject.k;
  return {
    subject,
    user,
    map(sharing, pages) {
      assert.equal(callOn(subject, user, 0, "mmap", AT, pages * PAGE_SIZE, RW, sharing | FIXED, -1, 0), AT);
    },
    write(by, hart, page, value) {
      assert.equal(accessOn(subject, by, hart, AT + page * PAGE_SIZE, "write"), "done");
      memory.write32(physicalOn(subject, hart, AT + page * PAGE_SIZE, "write"), value);
    },
    read(by, hart, page) {
      assert.equal(accessOn(subject, by, hart, AT + page * PAGE_SIZE, "read"), "done");
      return memory.read32(physicalOn(subject, hart, AT + page * PAGE_SIZE, "read"));
    },
    evict: () => reclaimOn(subject, user, 0, PLENTY),
    isMapped: (by, page) => walkTables(subject, by.process.space, AT + page * PAGE_SIZE) !== undefined,
  };
}

eachArch(({ arch, test }) => {
  test("a swap slot is not used again while somebody may still need what is in it", () => {
    const { subject, user, map, write, read, evict, isMapped } = swappingSubject(arch);
    map(abi.MAP_PRIVATE, 8);
    write(user, 0, 0, 100);
    const child = forkOn(subject, user, 0);
    assert.ok(typeof child !== "string");
    evict();
    assert.ok(!isMapped(user, 0));
    // The parent's page comes back and is written, so that it needs the slot no longer: the child does.
    write(user, 0, 0, 200);
    for (let page = 1; page < 8; page++) write(user, 0, page, 300 + page);
    evict();
    assert.equal(read(child, 0, 0), 100);
    assert.equal(read(user, 0, 0), 200);
    for (let page = 1; page < 8; page++) assert.equal(read(user, 0, page), 300 + page);
    // Now nobody does.
    write(child, 0, 0, 101);
    evict();
    assert.deepEqual([read(child, 0, 0), read(user, 0, 0), read(user, 0, 7)], [101, 200, 307]);
    assert.deepEqual(checkInvariants(subject.k), []);
    exitOn(subject, child, 0);
    exitOn(subject, user, 0);
    const { total, free } = swapTotals(subject.k);
    assert.equal(free, total);
  });

  test("a fault that has to make room first finds the slot of its page as it was", () => {
    const { subject, user, map, write, read, evict, isMapped } = swappingSubject(arch);
    const { frames } = subject.k.state.memory;
    map(abi.MAP_PRIVATE, 8);
    for (let page = 0; page < 4; page++) write(user, 0, page, 400 + page);
    evict();
    for (let page = 4; page < 8; page++) write(user, 0, page, 400 + page);
    // No frame for what is to come in: others go out, into slots, and the fault is tried again.
    frames.failCountdown = 1;
    assert.equal(accessOn(subject, user, 0, AT, "read"), "done");
    assert.equal(frames.failCountdown, 0);
    assert.ok(!isMapped(user, 7), "others did go out");
    for (let page = 0; page < 8; page++) assert.equal(read(user, 0, page), 400 + page);
    assert.deepEqual(checkInvariants(subject.k), []);
  });

  test("what another hart writes to a page on its way out is not lost", () => {
    const { subject, user, map, write, read, evict, isMapped } = swappingSubject(arch, 2);
    map(abi.MAP_PRIVATE, 1);
    write(user, 1, 0, 500);
    let wasAsked = false;
    subject.onUnanswered = () => {
      // The other hart still has the page in its TLB, and has not been told yet.
      wasAsked = true;
      const physical = translateOn(subject, 1, AT, "write");
      assert.ok(physical !== undefined);
      subject.k.memory.write32(physical, 501);
    };
    // The user's other thread is in the kernel and reclaims; the first round spares what was accessed.
    for (let round = 0; round < 3 && isMapped(user, 0); round++) evict();
    assert.ok(wasAsked, "the other hart runs the space");
    assert.ok(!isMapped(user, 0), "the page is out");
    subject.onUnanswered = () => {};
    assert.equal(read(user, 1, 0), 501);
    assert.deepEqual(checkInvariants(subject.k), []);
  });

  test("what the kernel writes to a page on its way out is not lost", () => {
    const { subject, user, map, write, read, evict, isMapped } = swappingSubject(arch, 2);
    const { memory } = subject.k.state;
    map(abi.MAP_PRIVATE, 1);
    write(user, 1, 0, 600);
    let wasWritten = false;
    subject.onUnanswered = () => {
      if (memory.reclaim.evicting.size === 0 || wasWritten) return;
      wasWritten = true;
      assert.equal(copyToUser(subject.k, user.process.space, AT, Uint8Array.of(0x59, 0x02)), 0); // 601
    };
    for (let round = 0; round < 3 && !wasWritten; round++) evict();
    assert.ok(wasWritten);
    assert.deepEqual(checkInvariants(subject.k), []);
    assert.ok(!isMapped(user, 0) || read(user, 0, 0) === 601);
    assert.equal(read(user, 1, 0), 601);
  });

  test("a shared page that another process touches on its way out stays", () => {
    const { subject, user, map, write, read, evict, isMapped } = swappingSubject(arch, 2);
    const { memory } = subject.k.state;
    map(abi.MAP_SHARED, 1);
    write(user, 1, 0, 650);
    const frame = physicalOn(subject, 1, AT, "write");
    const child = forkOn(subject, user, 0);
    assert.ok(typeof child !== "string");
    assert.equal(read(user, 1, 0), 650);
    let wasTouched = false;
    subject.onUnanswered = () => {
      if (memory.reclaim.evicting.size === 0 || wasTouched) return;
      wasTouched = true;
      assert.equal(handlePageFault(subject.k, child.process.space, virtAddr(AT), "read").kind, "resolved");
      assert.ok(isMapped(child, 0));
    };
    for (let round = 0; round < 3 && !wasTouched; round++) evict();
    assert.ok(wasTouched);
    assert.deepEqual(checkInvariants(subject.k), []);
    assert.ok(isMapped(child, 0), "it stayed");
    assert.equal(read(child, 0, 0), 650);
    assert.equal(physicalOn(subject, 0, AT, "read"), frame);
  });

  test("a dirty shared page goes out as it was last written, by whom and how often so ever", () => {
    const { subject, user, map, write, read, evict, isMapped } = swappingSubject(arch);
    map(abi.MAP_SHARED, 2);
    write(user, 0, 0, 700);
    const child = forkOn(subject, user, 0);
    assert.ok(typeof child !== "string");
    for (let round = 1; round <= 4; round++) {
      evict();
      assert.ok(!isMapped(user, 0) && !isMapped(child, 0));
      const writer = round % 2 === 0 ? user : child;
      const reader: User = round % 2 === 0 ? child : user;
      // Seen, then written: the copy in the swap area is old from then on, for both.
      assert.equal(read(reader, 0, 0), 700 + round - 1);
      write(writer, 0, 0, 700 + round);
      assert.equal(read(reader, 0, 0), 700 + round);
    }
    evict();
    assert.equal(read(user, 0, 0), 704);
    assert.deepEqual(checkInvariants(subject.k), []);
  });
});
