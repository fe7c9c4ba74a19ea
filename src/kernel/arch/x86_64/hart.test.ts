// The tables that harts are given, read back field by field as the manual lays them out: Intel SDM volume 3, 3.4.5, 6.14, 7.7.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readU16, readU32, readU64 } from "../../../lib/bytes.ts";
import { ATTRIBUTE, SYSTEM_TYPE, TSS64 } from "../../../isa/x86_64/segments.ts";
import { VECTOR } from "../../../isa/x86_64/vectors.ts";
import { symbolAddress } from "./boot.ts";
import { INTERRUPT, VECTORS } from "./entries.ts";
import { encodeHartPage, HART_PAGE, IDT_SIZE, SELECTORS } from "./hart.ts";
import { bootImage } from "./image.prebuilt.ts";
import { hartPage, IMAGE, kernelStackBase, KERNEL_STACK_FRAMES, layout, TABLES_PAGE } from "./layout.ts";
import { TRAPFRAME } from "./trapframe.ts";

/** A segment descriptor's fields. */
function descriptor(bytes: Uint8Array, selector: number): { base: number; limit: number; attributes: number } {
  const at = HART_PAGE.gdt + (selector & ~7);
  const lo = readU32(bytes, at);
  const hi = readU32(bytes, at + 4);
  return {
    base: ((hi & 0xff00_0000) | ((hi & 0xff) << 16) | (lo >>> 16)) >>> 0,
    limit: (hi & 0xf_0000) | (lo & 0xffff),
    attributes: (hi >>> 8) & 0xf0ff,
  };
}

test("a hart's GDT has the kernel's and the user's segments in SYSRET's order, with Linux's numbers", () => {
  const page = encodeHartPage(1);
  assert.equal(SELECTORS.userData, SELECTORS.user32 + 8);
  assert.equal(SELECTORS.userCode, SELECTORS.user32 + 16);
  assert.equal(SELECTORS.kernelData, SELECTORS.kernelCode + 8, "what syscall takes from STAR");
  for (const [selector, privilege] of [
    [SELECTORS.kernelCode, 0],
    [SELECTORS.userCode, 3],
  ] as const) {
    const { base, limit, attributes } = descriptor(page, selector);
    assert.deepEqual({ base, limit }, { base: 0, limit: 0xfffff });
    assert.equal((attributes & ATTRIBUTE.DPL) >>> ATTRIBUTE.DPL_SHIFT, privilege);
    for (const bit of [ATTRIBUTE.P, ATTRIBUTE.S, ATTRIBUTE.CODE, ATTRIBUTE.L]) assert.ok(attributes & bit);
    assert.equal(attributes & ATTRIBUTE.DB, 0, "64-bit code has D = 0");
  }
  for (const [selector, privilege] of [
    [SELECTORS.kernelData, 0],
    [SELECTORS.userData, 3],
  ] as const) {
    const { attributes } = descriptor(page, selector);
    assert.equal((attributes & ATTRIBUTE.DPL) >>> ATTRIBUTE.DPL_SHIFT, privilege);
    assert.equal(attributes & ATTRIBUTE.CODE, 0);
    assert.ok(attributes & ATTRIBUTE.WRITABLE);
  }
  assert.equal(descriptor(page, SELECTORS.user32).attributes & ATTRIBUTE.P, 0, "no 32-bit programs");
  assert.deepEqual(descriptor(page, 0), { base: 0, limit: 0, attributes: 0 });
});

test("a hart's TSS is where its descriptor says, with a stack for each exception that needs its own", () => {
  const page = encodeHartPage(3);
  const at = HART_PAGE.gdt + SELECTORS.tss;
  const { base, limit, attributes } = descriptor(page, SELECTORS.tss);
  assert.equal(readU32(page, at + 8) * 2 ** 32 + base, hartPage(3) + HART_PAGE.tss);
  assert.equal(limit, TSS64.size - 1);
  assert.equal(attributes, ATTRIBUTE.P | SYSTEM_TYPE.availableTss);
  const stacks = [0, 1, 2].map((index) => readU64(page, HART_PAGE.tss + TSS64.ist1 + index * 8));
  for (const stack of stacks) {
    assert.equal(stack % 16, 0);
    assert.ok(stack > hartPage(3) + HART_PAGE.tss + TSS64.size && stack <= hartPage(3) + 4096);
  }
  assert.equal(new Set(stacks).size, 3);
  assert.equal(readU16(page, HART_PAGE.tss + TSS64.ioMapBase), TSS64.size, "no I/O map");
  assert.equal(readU64(page, HART_PAGE.gdtPointer + 2), hartPage(3));
  assert.equal(readU64(page, HART_PAGE.idtPointer + 2), TABLES_PAGE);
  assert.equal(readU16(page, HART_PAGE.idtPointer), IDT_SIZE - 1);
  assert.equal(
    readU64(page, HART_PAGE.kernelStack),
    2 ** 64 + kernelStackBase(3) + KERNEL_STACK_FRAMES * 4096,
    "an address of the upper half",
  );
});

test("the IDT has an interrupt gate for every exception and interrupt, open to user mode where Linux has it so", () => {
  const idt = bootImage().bytes.subarray(IMAGE.tables * 4096, IMAGE.tables * 4096 + IDT_SIZE);
  const gate = (vector: number): { offset: number; selector: number; ist: number; attributes: number } => {
    const word = (index: number): number => readU32(idt, vector * 16 + index * 4);
    return {
      offset: word(2) * 2 ** 32 + ((word(1) & 0xffff_0000) >>> 0) + (word(0) & 0xffff),
      selector: word(0) >>> 16,
      ist: word(1) & 7,
      attributes: (word(1) >>> 8) & 0xff,
    };
  };
  for (const vector of VECTORS) {
    const isUser = [VECTOR.BP, VECTOR.OF, INTERRUPT.legacyCall].some((other) => other === vector);
    const { offset, selector, ist, attributes } = gate(vector);
    assert.equal(offset, symbolAddress(`vector_${vector}`));
    assert.ok(offset >= layout.trampoline && offset < layout.trampoline + 4096);
    assert.equal(selector, SELECTORS.kernelCode);
    assert.equal(attributes, isUser ? 0xee : 0x8e, `vector ${vector}`);
    const needsStack = [VECTOR.DF, VECTOR.NMI, VECTOR.MC].some((other) => other === vector);
    assert.equal(ist !== 0, needsStack);
  }
  assert.deepEqual(gate(0x20), { offset: 0, selector: 0, ist: 0, attributes: 0 }, "no interrupt comes there");
  assert.equal(VECTORS.filter((vector) => vector < 32).length, 32);
});

test("a trapframe ends with what the hart pushes, aligned as the hart aligns it", () => {
  assert.equal(TRAPFRAME.end % 16, 0);
  assert.deepEqual(
    [TRAPFRAME.rip, TRAPFRAME.cs, TRAPFRAME.rflags, TRAPFRAME.rsp, TRAPFRAME.ss].map((at) => TRAPFRAME.end - at),
    [40, 32, 24, 16, 8],
  );
});
