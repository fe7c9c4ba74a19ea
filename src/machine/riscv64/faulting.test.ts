/**
 * Which exception a load or store raises whose address has no translation: the interpreter, which raises page faults by itself, and the
 * exact tier agree, and nothing has changed. RISC-V privileged architecture, "Machine Cause Register" (priorities).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EXCEPTION } from "../../isa/riscv64/causes.ts";
import { PTE } from "../../isa/riscv64/paging.ts";
import type { TrapEvent } from "../machine.ts";
import { bench, pte, TIERS, writePte, type TestTier } from "./testing.test.support.ts";

const { V, R, W, X, A, D } = PTE;
const PRESENT = 0x7000;
const ABSENT = 0x8000;
const READ_ONLY = 0x9000;

/** Executes an instruction in S-mode in a loop, with a0 at a page that is there, and then at `address`; the first trap. */
function run(
  tier: TestTier,
  instruction: string,
  address: number,
): { trap: TrapEvent | undefined; again: number; a1: number } {
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
      li t0, 0x800
      csrs mstatus, t0
      la t0, main
      csrw mepc, t0
      mret
main: li a0, ${PRESENT}
      li a1, 77
      li t1, 40
again: ${instruction}
      addi t1, t1, -1
      bnez t1, again
      li a0, ${address}
      li a1, 77
      li t1, 1
      j again`,
    1,
    { hotness: { pause: 0, samples: 4, quantum: 20, threshold: 1 } },
  );
  const root = b.symbol("table");
  writePte(b.machine, root, 0, pte(root + 4096, V));
  writePte(b.machine, root, 2, pte(0x8000_0000, V | R | W | X | A | D));
  writePte(b.machine, root + 4096, 0, pte(root + 8192, V));
  for (const page of [PRESENT - 4096, PRESENT]) {
    writePte(b.machine, root + 8192, page / 4096, pte(0x8030_0000, V | R | W | A | D));
  }
  writePte(b.machine, root + 8192, READ_ONLY / 4096, pte(0x8031_0000, V | R | A));
  let trap: TrapEvent | undefined;
  b.machine.probes.trap = (_, event) => {
    trap ??= event;
    b.machine.requestStop();
  };
  b.finish(2000);
  return { trap, again: b.symbol("again"), a1: b.hart.x(11) };
}

const CASES: readonly (readonly [instruction: string, address: number, cause: number, tval: number])[] = [
  ["ld a1, 8(a0)", ABSENT, EXCEPTION.loadPageFault, ABSENT + 8],
  ["lbu a1, -1(a0)", ABSENT + 1, EXCEPTION.loadPageFault, ABSENT],
  ["lw a1, 2047(a0)", ABSENT + 1, EXCEPTION.loadPageFault, ABSENT + 2048],
  ["sd a1, -8(a0)", ABSENT + 8, EXCEPTION.storePageFault, ABSENT],
  ["sb zero, 5(a0)", ABSENT, EXCEPTION.storePageFault, ABSENT + 5],
  ["sw a1, 4(a0)", READ_ONLY, EXCEPTION.storePageFault, READ_ONLY + 4],
  ["ld a1, 0(a0)", 2 ** 38, EXCEPTION.loadPageFault, 2 ** 38],
  ["ld a1, 16(a0)", -16, EXCEPTION.loadPageFault, 0],
  // The first page is there, the second is not.
  ["ld a1, -4(a0)", ABSENT, EXCEPTION.loadPageFault, ABSENT],
  ["amoadd.w a1, t1, (a0)", ABSENT, EXCEPTION.storePageFault, ABSENT],
  ["lr.w a1, (a0)", ABSENT, EXCEPTION.loadPageFault, ABSENT],
];

for (const [instruction, address, cause, tval] of CASES) {
  test(`page fault of \`${instruction}\` at ${address}`, () => {
    for (const tier of TIERS) {
      const { trap, again, a1 } = run(tier, instruction, address);
      assert.deepEqual(
        { cause: trap?.cause, tval: trap?.tval, pc: trap?.pc, a1 },
        { cause, tval, pc: again, a1: 77 },
        tier,
      );
    }
  });
}
