/** Predecoded code where its runs meet: at the longest run's end, and at what jumps have waited for. */
import assert from "node:assert/strict";
import { test } from "node:test";
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
