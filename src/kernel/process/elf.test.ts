// The ELF reader against hostile headers: it never throws, and what it accepts can be mapped.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EM_RISCV } from "../../abi/linux/elf.ts";
import { writeU16, writeU32, writeU64 } from "../../lib/bytes.ts";
import { locateProgramHeaders, parseElf } from "./elf.ts";

const LIMIT = 2 ** 38;

interface Header {
  type: number;
  flags: number;
  offset: number;
  address: number;
  fileSize: number;
  memorySize: number;
  align: number;
}

function buildElf(headers: Header[], change: (bytes: Uint8Array) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(64 + headers.length * 56);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  writeU16(bytes, 16, 2);
  writeU16(bytes, 18, EM_RISCV);
  writeU32(bytes, 20, 1);
  writeU64(bytes, 24, 0x10078);
  writeU64(bytes, 32, 64);
  writeU16(bytes, 54, 56);
  writeU16(bytes, 56, headers.length);
  headers.forEach((header, i) => {
    const at = 64 + i * 56;
    writeU32(bytes, at, header.type);
    writeU32(bytes, at + 4, header.flags);
    writeU64(bytes, at + 8, header.offset);
    writeU64(bytes, at + 16, header.address);
    writeU64(bytes, at + 32, header.fileSize);
    writeU64(bytes, at + 40, header.memorySize);
    writeU64(bytes, at + 48, header.align);
  });
  change(bytes);
  return bytes;
}

function read(bytes: Uint8Array) {
  const place = locateProgramHeaders(bytes, EM_RISCV);
  if ("error" in place) return place;
  return parseElf(bytes, bytes.slice(place.offset, place.offset + place.size), LIMIT);
}

const text: Header = {
  type: 1,
  flags: 5,
  offset: 0,
  address: 0x10000,
  fileSize: 0x200,
  memorySize: 0x200,
  align: 0x1000,
};
const data: Header = {
  type: 1,
  flags: 6,
  offset: 0x200,
  address: 0x11200,
  fileSize: 0x10,
  memorySize: 0x5000,
  align: 0x1000,
};

test("a plain program is accepted, with its headers found in memory", () => {
  const image = read(buildElf([text, data]));
  assert.ok(!("error" in image));
  assert.equal(image.placement, "fixed");
  assert.equal(image.segments.length, 2);
  assert.equal(image.headersAddress, 0x10040);
  assert.deepEqual(image.segments[1]?.protection, { read: true, write: true, execute: false });
});

const cases: [string, Uint8Array, string][] = [
  ["another class", buildElf([text], (b) => (b[4] = 1)), "32-bit"],
  ["another byte order", buildElf([text], (b) => (b[5] = 2)), "big-endian"],
  ["another machine", buildElf([text], (b) => writeU16(b, 18, 62)), "x86-64"],
  ["a core file", buildElf([text], (b) => writeU16(b, 16, 4)), "type 4"],
  ["no headers", buildElf([]), "no program headers"],
  ["strange header size", buildElf([text], (b) => writeU16(b, 54, 32)), "unknown size"],
  ["no segment", buildElf([{ ...text, type: 4 }]), "no loadable"],
  ["more file than memory", buildElf([{ ...text, memorySize: 0x100 }]), "more in the file"],
  ["incongruent offset", buildElf([{ ...text, offset: 8 }]), "differ within the page"],
  ["overlap", buildElf([text, { ...data, address: 0x10100, offset: 0x100 }]), "overlap"],
  ["beyond the user's half", buildElf([{ ...text, address: 2 ** 38 - 0x1000, memorySize: 0x2000 }]), "beyond"],
  ["a negative address", buildElf([{ ...text, address: -0x1000 }]), "impossible"],
  ["an entry outside", buildElf([text], (b) => writeU64(b, 24, -8)), "entry point"],
  ["a giant interpreter", buildElf([{ ...text, type: 3, fileSize: 2 ** 40 }, text]), "interpreter"],
];

for (const [what, bytes, reason] of cases) {
  test(`${what} is refused`, () => {
    const image = read(bytes);
    assert.ok("error" in image);
    assert.match(image.reason, new RegExp(reason));
  });
}

test("random headers never throw, and accepted segments lie in the user's half, in order", () => {
  const word = fc.oneof(
    fc.integer({ min: 0, max: 0x4000 }),
    fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    fc.constant(2 ** 53),
  );
  const header = fc.record({
    type: fc.constantFrom(0, 1, 1, 1, 2, 3, 6, 0x6474e551),
    flags: fc.integer({ min: 0, max: 7 }),
    offset: word,
    address: word,
    fileSize: word,
    memorySize: word,
    align: fc.oneof(word, fc.constantFrom(0, 1, 0x1000, 0x200000)),
  });
  const flips = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(header, { maxLength: 6 }), flips, (headers, changes) => {
      const bytes = buildElf(headers, (b) => {
        for (const [at, value] of changes) if (at < b.length) b[at] = value;
      });
      const image = read(bytes);
      if ("error" in image) return;
      let end = 0;
      for (const segment of image.segments) {
        assert.ok(segment.address >= end && segment.fileSize <= segment.memorySize);
        end = segment.address + segment.memorySize;
        assert.ok(end <= LIMIT);
      }
    }),
    { numRuns: 2000 },
  );
});
