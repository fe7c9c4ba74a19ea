/** The walker against the rules of the manual: Intel SDM volume 3, 4.5 to 4.8, over a memory of nothing but tables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PTE } from "../../isa/x86_64/paging.ts";
import { PAGE_FAULT } from "../../isa/x86_64/vectors.ts";
import type { AccessType } from "../hart.ts";
import { isCanonical, walk, type WalkMemory, type WalkRequest, type WalkResult } from "./mmu.ts";

const { P, W, U, A, D, PS, G, PAT, PAT_LARGE } = PTE;
const { PRESENT, WRITE, USER, RESERVED, FETCH } = PAGE_FAULT;
const PML4 = 0x1000;
const PDPT = 0x2000;
const PD = 0x3000;
const PT = 0x4000;
const NX = 1 << 31;

class Tables implements WalkMemory {
  pteLo = 0;
  pteHi = 0;
  private readonly entries = new Map<number, { lo: number; hi: number }>();

  readPte(address: number): void {
    const entry = this.entries.get(address) ?? { lo: 0, hi: 0 };
    this.pteLo = entry.lo;
    this.pteHi = entry.hi;
  }

  writePteLow(address: number, lo: number): void {
    this.entries.set(address, { lo, hi: this.entries.get(address)?.hi ?? 0 });
  }

  set(table: number, index: number, lo: number, hi = 0): void {
    this.entries.set(table + index * 8, { lo, hi });
  }

  low(table: number, index: number): number {
    return this.entries.get(table + index * 8)?.lo ?? 0;
  }
}

/** Tables in which everything may be done on the way to the page tables. */
function tables(): Tables {
  const memory = new Tables();
  memory.set(PML4, 0, PDPT | P | W | U);
  memory.set(PDPT, 0, PD | P | W | U);
  memory.set(PD, 0, PT | P | W | U);
  return memory;
}

const result: WalkResult = { errorCode: 0, page: 0, shift: 0 };

/** The physical address, or "error" and the error code. */
function outcome(
  memory: Tables,
  address: number,
  access: AccessType,
  modes: Partial<WalkRequest> = {},
): number | string {
  const request: WalkRequest = {
    lo: address | 0,
    hi: Math.floor(address / 2 ** 32) | 0,
    access,
    cr3Lo: PML4 | 0x5,
    cr3Hi: 0,
    isUser: false,
    writeProtect: true,
    smep: false,
    smap: false,
    nxe: true,
    updates: true,
    ...modes,
  };
  return walk(memory, request, result) ? result.page + (request.lo & 4095) : `error ${result.errorCode}`;
}

const error = (...bits: number[]): string => `error ${bits.reduce((all, bit) => all | bit, 0)}`;

test("a 4-KiB page is mapped by four levels, in both halves", () => {
  const memory = tables();
  memory.set(PT, 3, 0x123000 | P | W);
  assert.equal(outcome(memory, 0x3abc, "load"), 0x123abc);
  assert.equal(outcome(memory, 0x4abc, "load"), error());
  memory.set(PML4, 511, PDPT | P | W);
  memory.set(PDPT, 511, PD | P | W);
  memory.set(PD, 511, PT | P | W);
  memory.set(PT, 511, 0x234000 | P | W, 0x3fff);
  assert.equal(outcome(memory, -1, "load"), 0x3fff_0023_4fff);
});

test("pages of 2 MiB and 1 GiB must be aligned, and a PML4 entry maps none", () => {
  const memory = tables();
  memory.set(PD, 1, 0x40000000 | P | PS | PAT_LARGE);
  assert.equal(outcome(memory, 0x2fffff, "load"), 0x400fffff);
  assert.equal(result.shift, 21);
  memory.set(PD, 1, 0x40002000 | P | PS);
  assert.equal(outcome(memory, 0x200000, "load"), error(PRESENT, RESERVED));
  memory.set(PDPT, 1, 0x40000000 | P | PS | PAT_LARGE);
  assert.equal(outcome(memory, 0x52345678, "load"), 0x52345678);
  assert.equal(result.shift, 30);
  memory.set(PDPT, 1, 0x40200000 | P | PS);
  assert.equal(outcome(memory, 0x40000000, "load"), error(PRESENT, RESERVED));
  memory.set(PML4, 1, P | PS);
  assert.equal(outcome(memory, 2 ** 39, "load"), error(PRESENT, RESERVED));
  memory.set(PT, 0, 0x5000 | P | PAT | G);
  assert.equal(outcome(memory, 0, "load"), 0x5000);
});

test("address bits above the processor's are reserved, and NX is without EFER.NXE", () => {
  const memory = tables();
  memory.set(PT, 0, 0x5000 | P, 1 << 14);
  assert.equal(outcome(memory, 0, "load"), error(PRESENT, RESERVED));
  assert.equal(outcome(memory, 0, "store", { isUser: true }), error(PRESENT, RESERVED, WRITE, USER));
  memory.set(PT, 0, 0x5000 | P, NX | (0x7ff << 20));
  assert.equal(outcome(memory, 0, "load"), 0x5000);
  assert.equal(outcome(memory, 0, "load", { nxe: false }), error(PRESENT, RESERVED));
});

test("rights are those that all levels give", () => {
  for (const table of [PML4, PDPT, PD, PT]) {
    const memory = tables();
    memory.set(PT, 0, 0x5000 | P | W | U);
    assert.equal(outcome(memory, 0, "store", { isUser: true }), 0x5000);
    assert.equal(outcome(memory, 0, "execute", { isUser: true }), 0x5000);
    const all = memory.low(table, 0);
    memory.set(table, 0, all & ~W);
    assert.equal(outcome(memory, 0, "store", { isUser: true }), error(PRESENT, WRITE, USER));
    assert.equal(outcome(memory, 0, "store"), error(PRESENT, WRITE));
    assert.equal(outcome(memory, 0, "store", { writeProtect: false }), 0x5000);
    memory.set(table, 0, all & ~U);
    assert.equal(outcome(memory, 0, "load", { isUser: true }), error(PRESENT, USER));
    assert.equal(outcome(memory, 0, "load"), 0x5000);
    memory.set(table, 0, all, NX);
    assert.equal(outcome(memory, 0, "execute"), error(PRESENT, FETCH));
    assert.equal(outcome(memory, 0, "load", { isUser: true }), 0x5000);
  }
});

test("SMEP and SMAP keep the supervisor out of user pages", () => {
  const memory = tables();
  memory.set(PT, 0, 0x5000 | P | W | U);
  assert.equal(outcome(memory, 0, "execute"), 0x5000);
  assert.equal(outcome(memory, 0, "execute", { smep: true }), error(PRESENT, FETCH));
  assert.equal(outcome(memory, 0, "execute", { smap: true }), 0x5000);
  assert.equal(outcome(memory, 0, "load", { smep: true }), 0x5000);
  assert.equal(outcome(memory, 0, "load", { smap: true }), error(PRESENT));
  assert.equal(outcome(memory, 0, "store", { smap: true }), error(PRESENT, WRITE));
  assert.equal(outcome(memory, 0, "store", { smap: true, isUser: true }), 0x5000);
});

test("the error code tells of a fetch only where fetches can be denied", () => {
  const memory = tables();
  assert.equal(outcome(memory, 0, "execute"), error(FETCH));
  assert.equal(outcome(memory, 0, "execute", { nxe: false }), error());
  assert.equal(outcome(memory, 0, "execute", { nxe: false, smep: true }), error(FETCH));
});

test("A is set at every level, D by writes in the last entry, and by nothing that faults or only looks", () => {
  const memory = tables();
  const marks = (): number[] => [PML4, PDPT, PD, PT].map((table) => memory.low(table, table === PT ? 7 : 0) & (A | D));
  memory.set(PT, 7, 0x5000 | P);
  outcome(memory, 0x7000, "store");
  outcome(memory, 0x7000, "load", { updates: false });
  assert.deepEqual(marks(), [0, 0, 0, 0]);
  outcome(memory, 0x7000, "load");
  assert.deepEqual(marks(), [A, A, A, A]);
  memory.set(PT, 7, 0x5000 | P | W);
  outcome(memory, 0x7000, "store");
  assert.deepEqual(marks(), [A, A, A, A | D]);
  assert.equal(memory.low(PT, 7), 0x5000 | P | W | A | D);
});

test("an address is canonical if its upper 17 bits are alike", () => {
  assert.deepEqual([0, 0x7fff, -1, -0x8000].map(isCanonical), [true, true, true, true]);
  assert.deepEqual([0x8000, 0xffff, -0x8001, -0x10000].map(isCanonical), [false, false, false, false]);
});
