// Tests of csrs.ts.

import assert from "node:assert/strict";
import test from "node:test";
import { describeException, describeInterrupt, EXCEPTION, INTERRUPT, INTERRUPT_PRIORITY } from "./causes.ts";
import { CSR, csrName, csrNumber, csrPrivilege, INTERRUPT_BIT, isCsrReadOnly, misaBit, namedCsrs } from "./csrs.ts";
import { levelSize, PTE, PTE_BIT, SV39, SV48 } from "./paging.ts";

test("CSR names and numbers are inverse, and no two names share a number", () => {
  for (const [name, n] of Object.entries(CSR)) {
    assert.equal(csrNumber(name), n);
    assert.equal(csrName(n), name);
  }
  assert.equal(csrNumber("pmpaddr63"), 0x3ef);
  assert.equal(csrNumber("pmpcfg14"), 0x3ae);
  assert.equal(csrNumber("mhpmcounter31"), 0xb1f);
  assert.equal(csrNumber("mhpmevent31"), 0x33f);
  assert.equal(csrNumber("hpmcounter31"), 0xc1f);
  assert.equal(csrNumber("pmpaddr64"), undefined);
  assert.equal(csrName(0x800), undefined);
  assert.equal(new Set(namedCsrs()).size, namedCsrs().length);
});

test("a CSR's number tells its privilege and whether it may be written", () => {
  assert.equal(csrPrivilege(CSR.satp), 1);
  assert.equal(csrPrivilege(CSR.mstatus), 3);
  assert.equal(csrPrivilege(CSR.cycle), 0);
  assert.ok(isCsrReadOnly(CSR.cycle) && isCsrReadOnly(CSR.mhartid) && !isCsrReadOnly(CSR.mcycle));
});

test("interrupt bits are at the interrupt codes, and each has its place in the priority order", () => {
  const codes = Object.values(INTERRUPT);
  assert.deepEqual(
    Object.values(INTERRUPT_BIT),
    codes.map((code) => 1 << code),
  );
  assert.deepEqual([...INTERRUPT_PRIORITY].toSorted(), [...codes].toSorted());
  for (const code of codes) assert.doesNotMatch(describeInterrupt(code), /reserved/);
  for (const code of Object.values(EXCEPTION)) assert.doesNotMatch(describeException(code), /reserved/);
  assert.equal(describeException(10), "reserved exception 10");
});

test("paging constants agree with each other", () => {
  for (const [name, bit] of Object.entries(PTE_BIT)) assert.ok(PTE[name as keyof typeof PTE] & (1 << bit), name);
  assert.equal(levelSize(2), 1024 ** 3);
  assert.equal(levelSize(SV39.levels), 2 ** SV39.virtualAddressBits);
  assert.equal(levelSize(SV48.levels), 2 ** SV48.virtualAddressBits);
  assert.equal(misaBit("c"), 4);
});
