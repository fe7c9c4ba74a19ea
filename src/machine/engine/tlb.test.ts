/** The TLB drops what a flush asks for: large pages as a whole, whatever half the address is in, and of small ones nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { highHalf, toNumber } from "../../lib/word64.ts";
import type { AccessType } from "../hart.ts";
import { layOut } from "./layout.ts";
import { TlbSet } from "./tlb.ts";

const layout = layOut(1, 4096, 4096);
const newTlb = (): TlbSet => new TlbSet(new ArrayBuffer(layout.pages * 65536), layout, 0);

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ACCESSES: readonly AccessType[] = ["load", "store", "execute"];

/** Fills the translation of a page under an ASID; `size` is that of its mapping. */
function fill(tlb: TlbSet, asid: number, address: number, size = 4096, access: AccessType = "load"): void {
  tlb.select(asid, 0, 0, asid);
  tlb.fill(access, address & -4096, highHalf(address), 1, 0, size, false);
}

function holds(tlb: TlbSet, asid: number, address: number, access: AccessType = "load"): boolean {
  tlb.select(asid, 0, 0, asid);
  return tlb.find(access, address | 0, highHalf(address)) >= 0;
}

for (const base of [0x40_0000_0000, -0x40_0000_0000]) {
  for (const size of [2 * MIB, GIB]) {
    test(`a flush of any address of a page of ${size / MIB} MiB at ${base} drops all of it`, () => {
      for (const at of [0, 4096, size / 2, size - 1]) {
        const tlb = newTlb();
        const pages = [0, 5 * 4096, size / 2 + 7 * 4096, size - 4096].map((offset) => base + offset);
        for (const page of pages) for (const asid of [1, 2]) fill(tlb, asid, page, size);
        tlb.flush(base + at, 1);
        for (const page of pages) {
          assert.equal(holds(tlb, 1, page), false, `${at} ${page}`);
          assert.equal(holds(tlb, 2, page), true);
        }
        tlb.flush(base + at, undefined);
        for (const page of pages) assert.equal(holds(tlb, 2, page), false);
      }
    });
  }
}

test("a flush beside a large page leaves it, and one of a small page beside it drops that alone", () => {
  const tlb = newTlb();
  fill(tlb, 1, 2 * MIB, 2 * MIB);
  fill(tlb, 1, 4 * MIB);
  fill(tlb, 1, 4 * MIB + 4096);
  tlb.flush(4 * MIB, 1);
  assert.deepEqual(
    [2 * MIB, 4 * MIB, 4 * MIB + 4096].map((page) => holds(tlb, 1, page)),
    [true, false, true],
  );
});

test("more large pages than a context remembers are flushed one by one all the same", () => {
  const tlb = newTlb();
  for (let i = 0; i < 3000; i++) {
    fill(tlb, 1, i * 2 * MIB, 2 * MIB);
    tlb.flush((i - 1) * 2 * MIB + 4096, 1);
    assert.equal(holds(tlb, 1, (i - 1) * 2 * MIB), false);
  }
});

test("random fills and flushes of small pages: what was flushed is gone, and the rest is there unless its place was taken", () => {
  const tlb = newTlb();
  const expected = new Map<string, { asid: number; address: number; access: AccessType }>();
  let seed = 12345;
  const random = (bound: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % bound;
  };
  for (let step = 0; step < 20_000; step++) {
    const asid = 1 + random(3);
    const page = random(300);
    // Pages below 1024 have places of their own.
    const address = page < 150 ? page * 4096 : toNumber(-1, 0) - 0x1000_0000 + page * 4096;
    const access = ACCESSES[random(3)] ?? "load";
    const kind = random(100);
    if (kind < 70) {
      fill(tlb, asid, address, 4096, access);
      expected.set(`${asid} ${page} ${access}`, { asid, address, access });
    } else {
      const one = kind < 95 ? address + random(4096) : undefined;
      const of = kind % 5 === 0 ? undefined : asid;
      tlb.flush(one, of);
      for (const [key, entry] of expected) {
        if ((one === undefined || entry.address === address) && (of === undefined || entry.asid === of)) {
          assert.equal(holds(tlb, entry.asid, entry.address, entry.access), false);
          expected.delete(key);
        }
      }
    }
    if (step % 500 !== 0) continue;
    for (const entry of expected.values()) {
      assert.equal(holds(tlb, entry.asid, entry.address, entry.access), true);
    }
  }
});

test("clearing a context costs what was filled, and leaves nothing: few entries, and more than are logged", () => {
  for (const count of [1, 1023, 1024, 3000]) {
    const tlb = newTlb();
    for (let i = 0; i < count; i++) fill(tlb, 1, i * 4096, 4096, ACCESSES[i % 3]);
    tlb.flush(undefined, 1);
    assert.deepEqual(tlb.entries(), []);
  }
});
