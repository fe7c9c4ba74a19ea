/** The walker against the rules of the manual: RISC-V privileged architecture, "Virtual Address Translation Process". */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EXCEPTION } from "../../isa/riscv64/causes.ts";
import { CSR, MSTATUS } from "../../isa/riscv64/csrs.ts";
import { PTE } from "../../isa/riscv64/paging.ts";
import type { AccessType } from "../hart.ts";
import { bench, pte, writePte, type Bench } from "./testing.test.support.ts";

const { V, R, W, X, U, G, A, D } = PTE;
const RW = V | R | W | A | D;

/** Three levels of tables at `table`, and a PMP that allows everything; S-mode with Sv39 on. */
function translating(): Bench & { root: number; middle: number; leaves: number } {
  const b = bench("run", "nop");
  const root = b.symbol("table");
  const [middle, leaves] = [root + 4096, root + 8192];
  writePte(b.machine, root, 0, pte(middle, V));
  writePte(b.machine, middle, 0, pte(leaves, V));
  b.hart.writeCsr(CSR.pmpaddr0, -1, -1);
  b.hart.writeCsr(CSR.pmpcfg0, 0x1f, 0);
  useScheme(b, 8, root);
  b.hart.setPrivilege(1);
  return { ...b, root, middle, leaves };
}

function useScheme(b: Bench, mode: number, root: number, asid = 0): void {
  b.hart.writeCsr(CSR.satp, (root / 4096) | 0, (mode << 28) | (asid << 12));
}

function outcome(b: Bench, address: number, access: AccessType): number | string {
  const result = b.hart.translate(address, access);
  return result.ok ? result.physical : `cause ${result.cause}`;
}

const loadFault = `cause ${EXCEPTION.loadPageFault}`;
const storeFault = `cause ${EXCEPTION.storePageFault}`;
const fetchFault = `cause ${EXCEPTION.instructionPageFault}`;

test("a 4 KiB leaf maps its page", () => {
  const b = translating();
  writePte(b.machine, b.leaves, 3, pte(0x80123000, RW));
  assert.equal(outcome(b, 0x3abc, "load"), 0x80123abc);
  assert.equal(outcome(b, 0x3abc, "store"), 0x80123abc);
  assert.equal(outcome(b, 0x3abc, "execute"), fetchFault);
  assert.equal(outcome(b, 0x4abc, "load"), loadFault);
});

test("superpages map, and must be aligned", () => {
  const b = translating();
  writePte(b.machine, b.middle, 1, pte(0x80200000, RW));
  assert.equal(outcome(b, 0x2fffff, "load"), 0x802fffff);
  writePte(b.machine, b.middle, 2, pte(0x80201000, RW));
  assert.equal(outcome(b, 0x400000, "load"), loadFault);
  writePte(b.machine, b.root, 1, pte(0x80000000, RW));
  assert.equal(outcome(b, 0x40345678, "load"), 0x80345678);
  writePte(b.machine, b.root, 2, pte(0x80200000, RW));
  assert.equal(outcome(b, 0x80000000, "load"), loadFault);
});

test("the upper half is reached by sign extension, and what is between the halves faults", () => {
  const b = translating();
  writePte(b.machine, b.root, 511, pte(b.middle, V));
  writePte(b.machine, b.middle, 511, pte(b.leaves, V));
  writePte(b.machine, b.leaves, 511, pte(0x80123000, RW));
  assert.equal(outcome(b, -4096, "load"), 0x80123000);
  assert.equal(outcome(b, 2 ** 38, "load"), loadFault);
  assert.equal(outcome(b, -(2 ** 38) - 4096, "load"), loadFault);
});

test("Sv48 walks four levels", () => {
  const b = translating();
  const top = b.root + 12288;
  writePte(b.machine, top, 1, pte(b.root, V));
  writePte(b.machine, b.leaves, 0, pte(0x80123000, RW));
  useScheme(b, 9, top);
  assert.equal(outcome(b, 2 ** 39, "load"), 0x80123000);
  assert.equal(outcome(b, 2 ** 47, "load"), loadFault);
});

test("reserved encodings fault: W without R, reserved high bits, flags in pointers, pointers at the last level", () => {
  const b = translating();
  writePte(b.machine, b.leaves, 0, pte(0x80123000, V | W | A | D));
  writePte(b.machine, b.leaves, 1, pte(0x80123000, V | W | X | A | D));
  for (const [index, bit] of [54, 60, 61, 62, 63].entries()) {
    const { lo, hi } = pte(0x80123000, RW);
    writePte(b.machine, b.leaves, 2 + index, { lo, hi: hi | (1 << (bit - 32)) });
  }
  writePte(b.machine, b.leaves, 7, pte(0x80123000, V));
  for (let page = 0; page <= 7; page++) assert.equal(outcome(b, page * 4096, "load"), loadFault, `page ${page}`);
  writePte(b.machine, b.leaves, 0, pte(0x80123000, RW));
  for (const flag of [A, D, U]) {
    writePte(b.machine, b.root, 0, pte(b.middle, V | flag));
    assert.equal(outcome(b, 0, "load"), loadFault);
  }
  writePte(b.machine, b.root, 0, pte(b.middle, V | G));
  assert.equal(outcome(b, 0, "load"), 0x80123000);
});

test("user pages: S-mode loads them with SUM only, and never executes them", () => {
  const b = translating();
  writePte(b.machine, b.leaves, 0, pte(0x80123000, V | R | W | X | U | A | D));
  writePte(b.machine, b.leaves, 1, pte(0x80124000, V | R | X | A));
  assert.equal(outcome(b, 0, "load"), loadFault);
  b.hart.writeCsr(CSR.mstatus, MSTATUS.SUM, 0);
  assert.equal(outcome(b, 0, "load"), 0x80123000);
  assert.equal(outcome(b, 0, "execute"), fetchFault);
  b.hart.setPrivilege(0);
  assert.equal(outcome(b, 0, "execute"), 0x80123000);
  assert.equal(outcome(b, 0x1000, "load"), loadFault);
});

test("MXR makes executable pages readable, and nothing else", () => {
  const b = translating();
  writePte(b.machine, b.leaves, 0, pte(0x80123000, V | X | A));
  assert.equal(outcome(b, 0, "load"), loadFault);
  b.hart.writeCsr(CSR.mstatus, MSTATUS.MXR, 0);
  assert.equal(outcome(b, 0, "load"), 0x80123000);
  assert.equal(outcome(b, 0, "store"), storeFault);
});

test("MPRV gives M-mode's data the privilege of MPP, and leaves fetches alone", () => {
  const b = translating();
  writePte(b.machine, b.leaves, 0, pte(0x80123000, RW));
  b.hart.setPrivilege(3);
  b.hart.writeCsr(CSR.mstatus, MSTATUS.MPRV | (1 << 11), 0);
  assert.equal(outcome(b, 0, "load"), 0x80123000);
  assert.equal(outcome(b, 0x80000000, "execute"), 0x80000000);
  b.hart.writeCsr(CSR.mstatus, 0, 0);
  assert.equal(outcome(b, 0x1000, "load"), 0x1000);
});

test("a table outside memory is an access fault, and so is one that the PMP forbids", () => {
  const b = translating();
  writePte(b.machine, b.root, 3, pte(0x1000_0000, V));
  assert.equal(outcome(b, 3 * 2 ** 30, "load"), `cause ${EXCEPTION.loadAccessFault}`);
  // Entry 0: no access to the page of the last level; entry 1: everything else.
  writePte(b.machine, b.leaves, 0, pte(0x80123000, RW));
  b.hart.writeCsr(CSR.pmpaddr0, (b.leaves / 4) | 0x1ff, 0);
  b.hart.writeCsr(CSR.pmpaddr0 + 1, -1, -1);
  b.hart.writeCsr(CSR.pmpcfg0, 0x18 | (0x1f << 8), 0);
  assert.equal(outcome(b, 0, "load"), `cause ${EXCEPTION.loadAccessFault}`);
});

test("A and D are set by the access that needs them, and looking sets nothing", () => {
  for (const tier of ["run", "step"] as const) {
    const b = bench(
      tier,
      `
        li t0, -1
        csrw pmpaddr0, t0
        li t0, 0x1f
        csrw pmpcfg0, t0
        li t0, 8 << 60
        la t1, table
        srli t1, t1, 12
        or t0, t0, t1
        csrw satp, t0
        li t0, 0x20800       # MPRV, MPP = S
        csrs mstatus, t0
        li a0, 0x1000
        ld a1, (a0)
        sd a1, 4(a0)
        li a0, 0x2000
        ld a1, (a0)
        j stop`,
    );
    const root = b.symbol("table");
    writePte(b.machine, root, 0, pte(root + 4096, V));
    writePte(b.machine, root + 4096, 0, pte(root + 8192, V));
    for (const page of [1, 2]) writePte(b.machine, root + 8192, page, pte(0x80300000 + page * 4096, V | R | W));
    b.hart.translate(0x1000, "store");
    b.finish();
    assert.equal(b.machine.memory.read32(root + 8192 + 8) & (A | D), A | D, tier);
    assert.equal(b.machine.memory.read32(root + 8192 + 16) & (A | D), A, tier);
    assert.equal(b.machine.memory.read32(root + 4096) & (A | D), 0, tier);
  }
});

test("INV: a flush of one address in a superpage drops all of it; one of another ASID drops nothing", () => {
  const b = bench(
    "run",
    `
      li t0, -1
      csrw pmpaddr0, t0
      li t0, 0x1f
      csrw pmpcfg0, t0
      li t0, (8 << 60) | (5 << 44)
      la t1, table
      srli t1, t1, 12
      or t0, t0, t1
      csrw satp, t0
      li t0, 0x20800
      csrs mstatus, t0
      li a0, 0x200000
      ld a1, (a0)
      li a2, 0x3ff000
      ld a1, (a2)
      li a3, 7
      sfence.vma a0, a3
      wfi
      li a3, 5
      sfence.vma a0, a3
      j stop`,
  );
  const root = b.symbol("table");
  writePte(b.machine, root, 0, pte(root + 4096, V));
  writePte(b.machine, root + 4096, 1, pte(0x80200000, RW));
  const held = (): number[] =>
    b.hart
      .tlbEntries()
      .filter((entry) => entry.access === "load" && entry.space.hi !== 0)
      .map((entry) => entry.virtualPage)
      .toSorted((x, y) => x - y);
  b.finish();
  assert.deepEqual(held(), [0x200000, 0x3ff000]);
  b.hart.writeCsr(CSR.mie, 2, 0);
  b.hart.setInterruptPending(1, true);
  b.finish();
  assert.deepEqual(held(), []);
});
