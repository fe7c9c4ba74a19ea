/** Predecoded code where its runs meet, at the longest run's end and at what jumps have waited for; and when a page gives it up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemory } from "../../wasm/engine.ts";
import { layOut } from "../engine/layout.ts";
import { CODE_BYTES, CodeCache } from "./code.ts";
import { findRegion } from "./region-finder.ts";
import { bench, TIERS } from "./testing.test.support.ts";

/** As LONGEST_RUN of code.ts; the test is for all lengths around it. */
const LONGEST_RUN = 64;

for (const tier of TIERS) {
  test(`${tier}: a run that is as long as runs can be ends where a jump not yet taken leads`, () => {
    for (let length = LONGEST_RUN - 3; length <= LONGEST_RUN + 3; length++) {
      const b = bench(
        tier,
        `xor eax, eax
         xor ecx, ecx
         inc ecx
         jz waited
         jmp onward
         .balign 64
     onward:
         ${"inc eax\n".repeat(length)}
     waited:
         inc ecx
         jmp stop`,
      );
      b.machine.run({ instructions: 1000 });
      assert.deepEqual([b.gpr("rax"), b.gpr("rcx")], [length, 2], `${length}`);
    }
  });
}

test("a hot place whose page has given up its code since is no region's head", () => {
  const ramSize = 1 << 20;
  const layout = layOut(1, ramSize, CODE_BYTES);
  const memory = createMemory(layout.pages);
  const bytes = new Uint8Array(memory.buffer);
  const page = 3;
  // inc eax; jmp to it
  bytes.set([0xff, 0xc0, 0xeb, 0xfc], layout.ram + page * 4096);
  const code = new CodeCache(memory, layout, ramSize, { onEvict() {}, onCode() {} });
  const head = code.recordAt(code.recordsOf(page), 0);
  assert.equal(findRegion(code, head)?.headRecord, head);

  code.invalidate(page, 0, 4096);
  const before = Buffer.from(bytes.subarray(0, layout.codeBase));
  assert.equal(findRegion(code, head), undefined);
  assert.ok(before.equals(bytes.subarray(0, layout.codeBase)), "nothing is written outside the cache");

  // Decoded anew, in a map that may be the same.
  const other = code.recordAt(code.recordsOf(page), 0);
  assert.equal(findRegion(code, head), undefined);
  assert.equal(findRegion(code, other)?.headRecord, other);
});
