// Tests of disassembler.ts.

import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { readI32 } from "../../lib/bytes.ts";
import { assemble } from "./assembler.ts";
import { decode } from "./decode.ts";
import { disassemble, disassembleAt, disassembleCompressed } from "./disassembler.ts";
import { INSTRUCTIONS } from "./instructions.ts";

/** A word of the row with its free bits random, but those that the text does not show. */
function randomWord(id: number, random: number): number {
  const row = INSTRUCTIONS[id];
  assert.ok(row !== undefined);
  const word = row.match | (random & ~row.mask);
  if (row.formatName === "Fence") return word & 0x0ff0707f;
  return row.formatName === "FenceI" ? row.match : word;
}

test("what is disassembled assembles to the same word, with and without aliases", () => {
  const pc = -0x40000000;
  for (const { id, mnemonic } of INSTRUCTIONS) {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(0, 1, 2), (random, sparse) => {
        // Sparse bits make zero registers and small immediates, where aliases are.
        const word = randomWord(id, sparse === 0 ? random : random & (sparse === 1 ? 0x00f00000 : 0x000f8000));
        const rm = decode(word)?.rm ?? 0;
        if (/^f[a-z]/.test(mnemonic) && (rm === 5 || rm === 6)) return;
        for (const aliases of ["aliases", "no-aliases"] as const) {
          const text = disassemble(word, { pc, aliases });
          assert.equal(readI32(assemble(text, { base: pc }).bytes, 0), word, `${text} (${mnemonic})`);
        }
      }),
      { numRuns: 60 },
    );
  }
});

test("aliases, targets and symbols are shown as objdump shows them", () => {
  const show = (source: string): string => {
    const { bytes } = assemble(source, { base: 0x1000 });
    return disassembleAt(bytes, 0, { pc: 0x1000, symbolize: (a) => (a === 0x1008 ? "loop" : undefined) }).text;
  };
  for (const source of [
    "nop",
    "mv a0, a1",
    "li a0, -1",
    "ret",
    "jr t0",
    "jalr t0",
    "csrw satp, t1",
    "csrr a0, scause",
  ]) {
    assert.equal(show(source), source);
  }
  for (const source of [
    "fmv.d fa0, fa1",
    "snez a0, a1",
    "rdtime a0",
    "fence",
    "pause",
    "fence.tso",
    "sfence.vma",
    "unimp",
  ]) {
    assert.equal(show(source), source);
  }
  for (const source of ["lr.d.aq a0, (a1)", "amoadd.w.aqrl a0, a1, (a2)", "fadd.d fa0, fa1, fa2, rtz", "kentry 7"]) {
    assert.equal(show(source), source);
  }
  assert.equal(show("bgt a0, a1, 0x1010"), "blt a1, a0, 0x1010");
  assert.equal(show("beqz a0, 0x1008"), "beqz a0, 0x1008 <loop>");
  assert.equal(show("j 0xff0"), "j 0xff0");
  assert.equal(disassemble(0x00b50533, { aliases: "no-aliases" }), "add a0, a0, a1");
});

test("what is no instruction is shown as data, and the end of memory does not throw", () => {
  assert.equal(disassemble(-1), ".word 0xffffffff");
  assert.equal(disassembleCompressed(0), ".half 0x0");
  assert.equal(disassembleCompressed(0x8082), "ret");
  assert.deepEqual(disassembleAt(new Uint8Array([0x13, 0, 0]), 0), { text: ".half 0x13", length: 2 });
  assert.deepEqual(disassembleAt(new Uint8Array([0x13]), 0), { text: ".byte 0x13", length: 1 });
  assert.deepEqual(disassembleAt(new Uint8Array([0x82, 0x80]), 0), { text: "ret", length: 2 });
});
