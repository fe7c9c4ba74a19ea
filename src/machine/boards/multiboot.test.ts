/** Multiboot images of each kind, and what the guest is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCString, readU32, writeU16, writeU32, writeU64 } from "../../lib/bytes.ts";
import type { Machine } from "../machine.ts";
import { Ram } from "../ram.ts";
import type { X86Hart } from "../x86_64/hart.ts";
import { loadMultiboot, MultibootError } from "./multiboot.ts";

const RAM_SIZE = 4 << 20;
const LOAD = 0x10_0000;
const INFO = 0x9000;

function load(image: Uint8Array, commandLine = ""): { memory: Ram; set: Record<string, number> } {
  const memory = new Ram(new ArrayBuffer(RAM_SIZE), 0, 0, RAM_SIZE);
  memory.fill(0, RAM_SIZE, 0xee);
  const set: Record<string, number> = {};
  const hart: Partial<X86Hart> = {
    setPc: (address) => void (set["pc"] = address),
    setGpr: (register, lo) => void (set[`gpr${register}`] = lo),
  };
  // All that the loader uses of a machine.
  loadMultiboot({ memory, harts: [hart] } as unknown as Machine<X86Hart>, image, commandLine);
  return { memory, set };
}

function writeHeader(image: Uint8Array, at: number, flags: number): void {
  writeU32(image, at, 0x1badb002);
  writeU32(image, at + 4, flags);
  writeU32(image, at + 8, -(0x1badb002 + flags) >>> 0);
}

/** An ELF image of one segment, with its header in it; the last 16 bytes in memory are not in the file. */
function elfImage(bits: 32 | 64, address = LOAD): Uint8Array {
  const image = new Uint8Array(0x180);
  writeU32(image, 0, 0x464c457f);
  image[4] = bits / 32;
  const program = 0x40;
  if (bits === 32) {
    writeU32(image, 24, address + 0x20);
    writeU32(image, 28, program);
    writeU16(image, 42, 32);
    writeU16(image, 44, 1);
    [1, 0x100, 0xffff0000, address, 0x80, 0x90].forEach((value, word) => writeU32(image, program + word * 4, value));
  } else {
    writeU64(image, 24, address + 0x20);
    writeU64(image, 32, program);
    writeU16(image, 54, 56);
    writeU16(image, 56, 1);
    writeU32(image, program, 1);
    [0x100, 0xffff0000, address, 0x80, 0x90].forEach((value, word) => writeU64(image, program + 8 + word * 8, value));
  }
  writeHeader(image, 0x100, 2);
  image.fill(0x77, 0x110, 0x180);
  return image;
}

for (const bits of [32, 64] as const) {
  test(`an ELF image of ${bits} bits is loaded by its segments' physical addresses`, () => {
    const { memory, set } = load(elfImage(bits));
    assert.deepEqual(set, { pc: LOAD + 0x20, gpr0: 0x2badb002, gpr3: INFO });
    assert.equal(memory.read32(LOAD), 0x1badb002);
    assert.equal(memory.read8(LOAD + 0x7f), 0x77);
    assert.equal(memory.read8(LOAD + 0x80), 0);
    assert.equal(memory.read8(LOAD + 0x8f), 0);
    assert.equal(memory.read8(LOAD + 0x90), 0xee);
  });
}

test("an image with addresses in its header goes where they say", () => {
  const image = new Uint8Array(0x100).fill(0x55);
  writeHeader(image, 0x20, 1 << 16);
  [LOAD + 0x10, LOAD, LOAD + 0x40, LOAD + 0x60, LOAD + 4].forEach((value, word) =>
    writeU32(image, 0x2c + word * 4, value),
  );
  const { memory, set } = load(image);
  assert.equal(set["pc"], LOAD + 4);
  assert.equal(memory.read32(LOAD + 0x10), 0x1badb002);
  assert.equal(memory.read8(LOAD + 0x3f), 0x55);
  assert.equal(memory.read8(LOAD + 0x40), 0);
  assert.equal(memory.read8(LOAD + 0x60), 0xee);
});

test("the information tells of memory and the command line", () => {
  const { memory } = load(elfImage(32), "test one=1");
  const info = memory.read(INFO, 0x1000);
  assert.equal(readU32(info, 0), 1 | 4 | 64 | 512);
  assert.deepEqual([readU32(info, 4), readU32(info, 8)], [640, 3072]);
  assert.equal(decodeCString(info, readU32(info, 16) - INFO), "test one=1");
  const map = readU32(info, 48) - INFO;
  const entries = [0, 24, 48].map((at) => [4, 12, 20].map((field) => readU32(info, map + at + field)));
  assert.equal(readU32(info, 44), 72);
  assert.deepEqual(entries, [
    [0, 0xa0000, 1],
    [0xa0000, 0x60000, 2],
    [0x100000, 0x300000, 1],
  ]);
  assert.equal(decodeCString(info, readU32(info, 64) - INFO), "vitrine");
});

test("what is no image, or does not fit, is refused", () => {
  const cases: readonly [string, Uint8Array][] = [
    ["empty", new Uint8Array(0)],
    ["no header", new Uint8Array(9000)],
    ["beyond RAM", elfImage(32, RAM_SIZE - 0x10)],
    ["negative", elfImage(64, -4096)],
    ["over the information", elfImage(32, INFO - 0x10)],
    ["cut off", elfImage(32).subarray(0, 0x170)],
  ];
  for (const [name, image] of cases) assert.throws(() => load(image), MultibootError, name);
  assert.throws(() => load(elfImage(32), "x".repeat(4096)), MultibootError);
});
