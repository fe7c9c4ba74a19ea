// The frame allocator: the in-frame free list, blocks that break up and rejoin.

import assert from "node:assert/strict";
import fc from "fast-check";
import { frameAddress, type FrameNumber } from "../../src/lib/address.ts";
import { KernelBug } from "../../src/kernel/kernel.ts";
import {
  allocateFrame,
  allocateFrames,
  BLOCK_FRAMES,
  freeFrameCount,
  frameShareCount,
  listFreeBlocks,
  listFreeFrames,
  releaseFrame,
  retainFrame,
} from "../../src/kernel/mem/frames.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const must = (frame: FrameNumber | "ENOMEM"): FrameNumber => {
  assert.notEqual(frame, "ENOMEM");
  return frame as FrameNumber;
};

eachArch(({ arch, test }) => {
  test("single frames are last in, first out, and the links lie in the free frames themselves", () => {
    const k = createMemoryKernel(arch);
    const [a, b, c] = [
      must(allocateFrame(k, "kernel")),
      must(allocateFrame(k, "kernel")),
      must(allocateFrame(k, "kernel")),
    ];
    for (const frame of [b, a, c]) releaseFrame(k, frame);
    assert.deepEqual(listFreeFrames(k, 3), [c, a, b]);
    assert.equal(k.memory.read32(frameAddress(c)) >>> 0, frameAddress(a));
    assert.equal(k.memory.read32(frameAddress(a)) >>> 0, frameAddress(b));
    assert.deepEqual([allocateFrame(k, "kernel"), allocateFrame(k, "kernel"), allocateFrame(k, "kernel")], [c, a, b]);
  });

  test("a frame is zeroed when it is allocated, whatever it held", () => {
    const k = createMemoryKernel(arch);
    const frame = must(allocateFrame(k, "kernel"));
    k.memory.fill(frameAddress(frame), 4096, 0x5a);
    releaseFrame(k, frame);
    assert.equal(must(allocateFrame(k, "kernel")), frame);
    assert.ok(k.memory.read(frameAddress(frame), 4096).every((byte) => byte === 0));
  });

  test("INV-1: a share count frees the frame at zero, and misuse is a kernel bug", () => {
    const k = createMemoryKernel(arch);
    const before = freeFrameCount(k);
    const frame = must(allocateFrame(k, "kernel"));
    retainFrame(k, frame);
    releaseFrame(k, frame);
    assert.equal(frameShareCount(k, frame), 1);
    releaseFrame(k, frame);
    assert.equal(freeFrameCount(k), before);
    assert.throws(() => releaseFrame(k, frame), KernelBug);
    assert.throws(() => retainFrame(k, frame), KernelBug);
    const beyond = ((k.memory.base + k.memory.size) / 4096) as FrameNumber;
    assert.throws(() => releaseFrame(k, beyond), KernelBug);
  });

  test("blocks are aligned, and whole blocks come together again from single frames", () => {
    const k = createMemoryKernel(arch);
    const blocks = listFreeBlocks(k).length;
    assert.ok(blocks >= 4);
    const singles: FrameNumber[] = [];
    for (let frame = allocateFrame(k, "kernel"); frame !== "ENOMEM"; frame = allocateFrame(k, "kernel"))
      singles.push(frame);
    assert.equal(freeFrameCount(k), 0);
    assert.equal(allocateFrames(k, BLOCK_FRAMES, "kernel"), "ENOMEM");
    for (const frame of singles.toReversed()) releaseFrame(k, frame);
    const block = must(allocateFrames(k, BLOCK_FRAMES, "kernel"));
    assert.equal(block % BLOCK_FRAMES, 0);
    assert.equal(listFreeBlocks(k).length, blocks - 1);
    assert.deepEqual(checkInvariants(k), []);
  });

  test("random traffic keeps the counts right, and no frame is given out twice", () => {
    const k = createMemoryKernel(arch, { memoryBytes: 8 << 20 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(1000)), { maxLength: 200 }), (steps) => {
        const before = freeFrameCount(k);
        const held: FrameNumber[] = [];
        for (const [kind, choice] of steps) {
          if (kind === 0 && held.length > 0) {
            const [frame] = held.splice(choice % held.length, 1);
            if (frame !== undefined) releaseFrame(k, frame);
          } else {
            const count = kind === 1 ? 1 << (choice % 5) : 1;
            const first = count === 1 ? allocateFrame(k, "kernel") : allocateFrames(k, count, "kernel");
            if (first === "ENOMEM") continue;
            assert.equal(first % count, 0);
            for (let i = 0; i < count; i++) held.push((first + i) as FrameNumber);
          }
          assert.equal(new Set(held).size, held.length);
          assert.equal(freeFrameCount(k), before - held.length);
        }
        for (const frame of held) releaseFrame(k, frame);
        assert.deepEqual(checkInvariants(k), []);
      }),
      { numRuns: 30 },
    );
  });
});
