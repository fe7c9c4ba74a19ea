// Pitfalls that real kernels fell into, as far as no other file has them: large pages in TLBs, three threads and one copy-on-write
// page, pipes and argument vectors at the edge of what is mapped. docs/memory-model.md lists all pitfalls with their tests.

import assert from "node:assert/strict";
import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import * as abi from "../../src/abi/linux/memory.ts";
import { O_CREAT, O_NONBLOCK, O_RDWR } from "../../src/abi/linux/open-flags.ts";
import type { PteFlags } from "../../src/kernel/arch/arch.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { allocateFrame, allocateFrames, BLOCK_FRAMES, freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { finishFlush, newFlush } from "../../src/kernel/mem/flush.ts";
import { mapContiguous, mapPage, query, unmap, updateFlags } from "../../src/kernel/mem/page-table.ts";
import { copyToUser, readUserString } from "../../src/kernel/mem/user-memory.ts";
import { frameAddress, PAGE_SIZE, virtAddr, type FrameNumber } from "../../src/lib/address.ts";
import { eachArch } from "../support/architectures.ts";
import { createFileKernel, BUFFER, BUFFER_LENGTH, type FileKernel } from "../support/file-kernel.ts";
import { bootGuest, portableProgram } from "../support/guest.ts";
import {
  accessOn,
  callOn,
  createFirstUser,
  createSubject,
  exitOn,
  forkOn,
  inKernelSpace,
  physicalOn,
  translateOn,
  type Subject,
  type User,
} from "./memory-model-machine.ts";

const RW = abi.PROT_READ | abi.PROT_WRITE;
const ANONYMOUS = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | abi.MAP_FIXED;
const AT = 0x1000_0000;
const LARGE = 2 << 20;
const USER: PteFlags = {
  read: true,
  write: true,
  execute: false,
  user: true,
  global: false,
  accessed: true,
  dirty: true,
};

function subjectOf(arch: ArchitectureName, harts = 1): { subject: Subject; user: User } {
  const subject = createSubject(arch, { harts, memoryBytes: 32 << 20, maxAsid: undefined, swapPages: 0 });
  return { subject, user: createFirstUser(subject, 0x3000_0000) };
}

/** Maps a 2-MiB page of frames of its own at AT, and touches two pages of it on hart 0. */
function mapLargePage(subject: Subject, user: User): FrameNumber {
  const { k } = subject;
  const { space } = user.process;
  const first = allocateFrames(k, BLOCK_FRAMES, "anonymous");
  assert.ok(first !== "ENOMEM");
  const flush = newFlush(k, space);
  assert.equal(mapContiguous(k, space, virtAddr(AT), first, LARGE, USER, flush), 0);
  finishFlush(k, flush, "test");
  assert.equal(query(k, space, virtAddr(AT))?.level, 1);
  for (const page of [3, 200]) {
    const address = AT + page * PAGE_SIZE;
    assert.equal(accessOn(subject, user, 0, address, "read"), "done");
    assert.equal(physicalOn(subject, 0, address, "read"), frameAddress(first) + page * PAGE_SIZE);
  }
  return first;
}

eachArch(({ arch, test }) => {
  test("a flush of one address on a 2-MiB page drops the whole page from the TLB", () => {
    const { subject, user } = subjectOf(arch);
    const { k } = subject;
    mapLargePage(subject, user);
    const other = allocateFrames(k, BLOCK_FRAMES, "anonymous");
    assert.ok(other !== "ENOMEM");
    const heard: (number | undefined)[] = [];
    k.machine.probes.tlbFlush = (_hart, address) => heard.push(address);
    const flush = newFlush(k, user.process.space);
    assert.equal(mapContiguous(k, user.process.space, virtAddr(AT), other, LARGE, USER, flush), 0);
    finishFlush(k, flush, "test");
    assert.deepEqual(heard, [AT], "one address");
    for (const page of [3, 200]) {
      const seen = translateOn(subject, 0, AT + page * PAGE_SIZE, "read");
      assert.equal(seen, frameAddress(other) + page * PAGE_SIZE);
    }
  });

  test("a split of a large page flushes it, whatever becomes of its parts", () => {
    const { subject, user } = subjectOf(arch);
    const { k } = subject;
    const { space } = user.process;
    const first = mapLargePage(subject, user);
    const heard: (number | undefined)[] = [];
    k.machine.probes.tlbFlush = (_hart, address) => heard.push(address);
    const page = virtAddr(AT + 200 * PAGE_SIZE);
    const flush = newFlush(k, space);
    updateFlags(k, space, page, virtAddr(page + PAGE_SIZE), (flags) => ({ ...flags, write: false }), flush);
    finishFlush(k, flush, "test");
    assert.ok(heard.includes(AT) || heard.includes(undefined), `the large page itself is flushed, not only ${heard}`);
    assert.equal(query(k, space, page)?.level, 0);
    assert.equal(translateOn(subject, 0, page, "write"), undefined);
    assert.equal(translateOn(subject, 0, page, "read"), frameAddress(first) + 200 * PAGE_SIZE);
    assert.equal(translateOn(subject, 0, AT + 3 * PAGE_SIZE, "write"), frameAddress(first) + 3 * PAGE_SIZE);
  });

  test("a page that is unmapped out of a large one is gone from the TLB, and its neighbours are where they were", () => {
    const { subject, user } = subjectOf(arch);
    const { k } = subject;
    const { space } = user.process;
    const first = mapLargePage(subject, user);
    const page = virtAddr(AT + 3 * PAGE_SIZE);
    const flush = newFlush(k, space);
    assert.equal(unmap(k, space, page, virtAddr(page + PAGE_SIZE), flush), 0);
    finishFlush(k, flush, "test");
    assert.equal(translateOn(subject, 0, page, "read"), undefined);
    assert.equal(translateOn(subject, 0, AT + 200 * PAGE_SIZE, "read"), frameAddress(first) + 200 * PAGE_SIZE);
  });

  test("a border between regions cuts a large page: what one part is told does not concern the other", () => {
    for (const failAt of [0, 1]) {
      const { subject, user } = subjectOf(arch);
      const { k } = subject;
      assert.equal(callOn(subject, user, 0, "mmap", 0x4000_0000, LARGE, RW, ANONYMOUS, -1, 0), 0x4000_0000);
      assert.equal(accessOn(subject, user, 0, 0x4000_0000, "write"), "done");
      assert.equal(query(k, user.process.space, virtAddr(0x4000_0000))?.level, 1);
      k.state.memory.frames.failCountdown = failAt;
      const part = 0x4000_0000 + 8 * PAGE_SIZE;
      assert.equal(callOn(subject, user, 0, "madvise", part, PAGE_SIZE, abi.MADV_DONTFORK), 0);
      k.state.memory.frames.failCountdown = 0;
      assert.deepEqual(checkInvariants(k), []);
      const child = forkOn(subject, user, 0);
      assert.ok(typeof child !== "string");
      assert.deepEqual(checkInvariants(k), []);
      assert.equal(accessOn(subject, child, 0, part, "read"), "SIGSEGV 1");
      assert.equal(accessOn(subject, child, 0, part + PAGE_SIZE, "read"), "done");
      assert.equal(accessOn(subject, user, 0, part, "write"), "done");
    }
  });

  test("a flush of an address in the upper half finds the translation, sign and all", () => {
    const { subject } = subjectOf(arch);
    const { k } = subject;
    const space = k.state.memory.kernelSpace;
    const at = virtAddr(-0x2000_0000);
    const [one, other] = [allocateFrame(k, "kernel"), allocateFrame(k, "kernel")];
    assert.ok(one !== "ENOMEM" && other !== "ENOMEM");
    const mapTo = (frame: FrameNumber): void => {
      const flush = newFlush(k, space);
      assert.equal(mapPage(k, space, at, frame, { ...USER, user: false }, flush), 0);
      finishFlush(k, flush, "test");
    };
    mapTo(one);
    inKernelSpace(subject, 0, () => {
      assert.equal(accessOnKernelPage(subject, at), frameAddress(one));
      mapTo(other);
      k.arch.flushTlb(k, 0, at, space.asid);
      assert.equal(accessOnKernelPage(subject, at), frameAddress(other));
    });
  });

  function accessOnKernelPage(subject: Subject, address: number): number | undefined {
    const [hart] = subject.k.machine.harts;
    const port = hart as unknown as { load(size: number, lo: number, hi: number): number };
    assert.equal(port.load(4, address | 0, -1), 0);
    return translateOn(subject, 0, address, "read");
  }

  test("the offset into the VMO holds when a part is unmapped: it goes, its neighbours stay, and what comes there is new", () => {
    const { subject, user } = subjectOf(arch);
    const { memory } = subject.k;
    const touch = (page: number, value: number): void => {
      assert.equal(accessOn(subject, user, 0, AT + page * PAGE_SIZE, "write"), "done");
      memory.write32(physicalOn(subject, 0, AT + page * PAGE_SIZE, "write"), value);
    };
    const look = (page: number): number => {
      assert.equal(accessOn(subject, user, 0, AT + page * PAGE_SIZE, "read"), "done");
      return memory.read32(physicalOn(subject, 0, AT + page * PAGE_SIZE, "read"));
    };
    assert.equal(callOn(subject, user, 0, "mmap", AT, 4 * PAGE_SIZE, RW, ANONYMOUS, -1, 0), AT);
    for (let page = 0; page < 4; page++) touch(page, 10 + page);
    const free = freeFrameCount(subject.k);
    assert.equal(callOn(subject, user, 0, "munmap", AT + 2 * PAGE_SIZE, PAGE_SIZE), 0);
    assert.equal(freeFrameCount(subject.k), free + 1);
    assert.equal(
      callOn(subject, user, 0, "mmap", AT + 2 * PAGE_SIZE, PAGE_SIZE, RW, ANONYMOUS, -1, 0),
      AT + 2 * PAGE_SIZE,
    );
    assert.deepEqual([0, 1, 2, 3].map(look), [10, 11, 0, 13]);
  });

  test("mremap that keeps what it moves moves all regions of the range, those too that become one behind it", () => {
    const { subject, user } = subjectOf(arch);
    const { memory } = subject.k;
    // Two regions that have become alike, each with a page of its own: without their pages they are one.
    for (const [page, rights] of [
      [0, RW],
      [1, RW | abi.PROT_EXEC],
    ] as const) {
      const at = AT + page * PAGE_SIZE;
      assert.equal(callOn(subject, user, 0, "mmap", at, PAGE_SIZE, rights, ANONYMOUS, -1, 0), at);
      assert.equal(accessOn(subject, user, 0, at, "write"), "done");
      memory.write32(physicalOn(subject, 0, at, "write"), 10 + page);
    }
    assert.equal(callOn(subject, user, 0, "mprotect", AT + PAGE_SIZE, PAGE_SIZE, RW), 0);
    const flags = abi.MREMAP_MAYMOVE | abi.MREMAP_FIXED | abi.MREMAP_DONTUNMAP;
    const target = AT + 16 * PAGE_SIZE;
    assert.equal(callOn(subject, user, 0, "mremap", AT, 2 * PAGE_SIZE, 2 * PAGE_SIZE, flags, target), target);
    const look = (page: number): number => {
      assert.equal(accessOn(subject, user, 0, AT + page * PAGE_SIZE, "read"), "done");
      return memory.read32(physicalOn(subject, 0, AT + page * PAGE_SIZE, "read"));
    };
    assert.deepEqual([0, 1, 16, 17].map(look), [0, 0, 10, 11]);
    assert.deepEqual(checkInvariants(subject.k), []);
  });

  test("copy-on-write with three threads: one breaks the sharing, one writes the new page, and none reads the old one", () => {
    const { subject, user } = subjectOf(arch, 3);
    const { memory } = subject.k;
    assert.equal(callOn(subject, user, 0, "mmap", AT, PAGE_SIZE, RW, ANONYMOUS, -1, 0), AT);
    assert.equal(accessOn(subject, user, 0, AT, "write"), "done");
    memory.write32(physicalOn(subject, 0, AT, "write"), 1);
    const child = forkOn(subject, user, 0);
    assert.ok(typeof child !== "string");
    for (const hart of [0, 1, 2]) assert.equal(accessOn(subject, user, hart, AT, "read"), "done");
    const old = physicalOn(subject, 2, AT, "read");
    // The first thread breaks the sharing, the second writes, the third has only ever read.
    assert.equal(accessOn(subject, user, 0, AT, "write"), "done");
    assert.equal(accessOn(subject, user, 1, AT, "write"), "done");
    memory.write32(physicalOn(subject, 1, AT, "write"), 2);
    assert.equal(accessOn(subject, user, 2, AT, "read"), "done");
    const seen = physicalOn(subject, 2, AT, "read");
    assert.notEqual(seen, old);
    assert.equal(memory.read32(seen), 2);
    assert.equal(accessOn(subject, child, 2, AT, "read"), "done");
    assert.equal(memory.read32(physicalOn(subject, 2, AT, "read")), 1);
  });

  test("a process that maps a file twice, writes and ends: storing the file does not look into tables that are gone", () => {
    const { subject, user } = subjectOf(arch);
    const { k, folder } = subject;
    const child = forkOn(subject, user, 0);
    assert.ok(typeof child !== "string");
    const free = freeFrameCount(k);
    const fd = callOn(subject, child, 0, "openat", -100, "/h/file", O_RDWR | O_CREAT, 0o644);
    assert.equal(callOn(subject, child, 0, "ftruncate", fd as number, PAGE_SIZE), 0);
    // The second one not below the first entry of the root, which a freed table has a link in.
    for (const at of [AT, k.arch.layout.mmapTop - 256 * PAGE_SIZE]) {
      assert.equal(
        callOn(subject, child, 0, "mmap", at, PAGE_SIZE, RW, abi.MAP_SHARED | abi.MAP_FIXED, fd as number, 0),
        at,
      );
      assert.equal(accessOn(subject, child, 0, at, "write"), "done");
    }
    k.memory.write32(physicalOn(subject, 0, AT, "write"), 0x1234);
    exitOn(subject, child, 0);
    assert.deepEqual(checkInvariants(k), []);
    assert.ok(freeFrameCount(k) > free);
    assert.deepEqual(folder.files.get("file")?.bytes.subarray(0, 2), Uint8Array.of(0x34, 0x12));
  });

  test("a pipe read whose buffer faults half-way loses no byte", () => {
    const files = createFileKernel(arch);
    const { user, k } = files;
    const [reader, writer] = pipeWith(files, 10_000);
    const end = BUFFER + BUFFER_LENGTH;
    // Half the buffer lies behind the end of the mapping.
    const broken = user.call("read", reader, end - PAGE_SIZE, 2 * PAGE_SIZE);
    assert.ok(broken === "EFAULT" || broken === PAGE_SIZE, String(broken));
    let next = broken === "EFAULT" ? 0 : PAGE_SIZE;
    // Half of it cannot be had: the buffer's second page is not there yet, and no frame is free for it.
    user.put("x", 0x20_0000);
    k.state.memory.frames.failCountdown = 1;
    const short = user.call("read", reader, BUFFER + 0x20_0000, 2 * PAGE_SIZE);
    k.state.memory.frames.failCountdown = 0;
    assert.ok(short === "EFAULT" || short === PAGE_SIZE || short === 2 * PAGE_SIZE, String(short));
    if (typeof short === "number") next += short;
    // What is left comes in order, into pages that nobody had touched.
    user.must("close", writer);
    for (;;) {
      const count = user.must("read", reader, BUFFER + 0x30_0ff0, 3 * PAGE_SIZE);
      if (count === 0) break;
      for (const byte of user.get(count, 0x30_0ff0)) {
        assert.equal(byte, next & 0x7f, `byte ${next}`);
        next += 1;
      }
    }
    assert.equal(next, 10_000);
  });

  /** A pipe with bytes that count. */
  function pipeWith({ user }: FileKernel, length: number): [number, number] {
    user.must("pipe2", BUFFER, O_NONBLOCK);
    const view = new DataView(user.get(8).slice().buffer);
    const ends: [number, number] = [view.getInt32(0, true), view.getInt32(4, true)];
    user.put(Uint8Array.from({ length }, (_, i) => i & 0x7f));
    assert.equal(user.must("write", ends[1], BUFFER, length), length);
    return ends;
  }

  test("a string that crosses into a page that nobody has touched ends there; one that crosses into a hole is EFAULT", () => {
    const { user, k } = createFileKernel(arch);
    const lazy = 0x2000_0000;
    user.must("mmap", lazy, 2 * PAGE_SIZE, RW, ANONYMOUS, -1, 0);
    const { space } = user.process;
    assert.equal(copyToUser(k, space, lazy + PAGE_SIZE - 2, Uint8Array.of(0x61, 0x62)), 0);
    assert.equal(query(k, space, virtAddr(lazy + PAGE_SIZE)), undefined, "the second page is not there yet");
    assert.equal(readUserString(k, space, lazy + PAGE_SIZE - 2, 4096), "ab");
    assert.notEqual(query(k, space, virtAddr(lazy + PAGE_SIZE)), undefined);
    user.must("munmap", lazy + PAGE_SIZE, PAGE_SIZE);
    assert.equal(readUserString(k, space, lazy + PAGE_SIZE - 2, 4096), "EFAULT");
    assert.equal(readUserString(k, space, lazy + PAGE_SIZE - 2, 2), "ENAMETOOLONG", "as far as it may be looked at");
  });

  test("an argument vector and its strings may end exactly at the end of a page with nothing behind it", () => {
    // The vector is the page's last 24 bytes, its last string the last bytes of another page; what follows both is not mapped.
    const source = `
_start:
    load64 s0, [sp]                     # argc
    if s0 == 2 goto executed
    sys mmap, 0x40000000, 0x4000, 3, 0x22, -1, 0
    set s1, r
    set t0, s1
    add t0, 0x1000
    sys munmap, t0, 0x1000
    set t0, s1
    add t0, 0x3000
    sys munmap, t0, 0x1000
    set t0, 0x61                        # "a", NUL: the last two bytes before the second hole
    store8 t0, [s1 + 0x2ffe]
    set t0, 0
    store8 t0, [s1 + 0x2fff]
    set t0, s1
    add t0, 0x2ffe
    set t1, &path
    store64 t1, [s1 + 0xfe8]
    store64 t0, [s1 + 0xff0]
    set t0, 0
    store64 t0, [s1 + 0xff8]            # NULL, then the hole
    set s2, s1
    add s2, 0xfe8
    sys execve, &path, s2, 0
    sys exit, 99
executed:
    load64 t0, [sp + 16]                # argv[1]
    load8 t1, [t0]
    if t1 != 0x61 goto wrong
    load8 t1, [t0 + 1]
    if t1 != 0 goto wrong
    sys exit, 7
wrong:
    sys exit, 98
path:
    .asciz "/bin/self"
`;
    const guest = bootGuest({ arch, files: { "bin/self": portableProgram(arch, source) }, argv: ["/bin/self"] });
    const state = guest.finish();
    assert.equal(state.report, undefined);
    assert.equal(state.status, 7);
  });

  test("an argument vector or a string that runs on into a page that is not there is EFAULT", () => {
    const files = createFileKernel(arch);
    const { user } = files;
    user.writeFile("/x", "no program");
    const end = BUFFER + BUFFER_LENGTH;
    const pointer = (at: number): Uint8Array => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(at), true);
      return bytes;
    };
    user.put("aa", BUFFER_LENGTH - 2); // no NUL
    user.put(pointer(end - 2), 0);
    user.put(pointer(0), 8);
    assert.equal(user.call("execve", "/x", BUFFER, 0), "EFAULT", "the string runs on");
    user.put(pointer(BUFFER), BUFFER_LENGTH - 8);
    assert.equal(user.call("execve", "/x", end - 8, 0), "EFAULT", "the vector runs on");
  });
});
