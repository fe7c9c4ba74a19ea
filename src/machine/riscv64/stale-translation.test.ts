/** Uses of stale translations are found, by the instruction that makes them, on every tier; what the manual allows is not reported. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PTE } from "../../isa/riscv64/paging.ts";
import type { StaleTranslation } from "../engine/translation-check.ts";
import { bench, pte, TIERS, writePte, type Bench, type TestTier } from "./testing.test.support.ts";

const { V, R, W, X, G, A, D } = PTE;
const RW = V | R | W | A | D;
const PAGE = 0x8030_0000;
const OTHER = 0x8031_0000;
/** Where the page and the megapage of the tests are. */
const AT = 0x1000;
const MEGAPAGE = 0x20_0000;

interface Outcome extends Bench {
  readonly stale: readonly StaleTranslation[];
}

/**
 * Runs `program` in S-mode with ASID 5, RAM where it is, `leaf` at AT and a megapage at MEGAPAGE. It finds the table of 4-KiB leaves in
 * s0, that of the megapages in s1, AT in a0, MEGAPAGE in a3, and the word for another page, with the same flags, in a1.
 */
function run(tier: TestTier, program: string, leaf = pte(PAGE, RW)): Outcome {
  const stale: StaleTranslation[] = [];
  const b = bench(
    tier,
    `
      li t0, -1
      csrw pmpaddr0, t0
      li t0, 0x1f
      csrw pmpcfg0, t0
      la s2, table
      li t0, (8 << 60) | (5 << 44)
      srli t1, s2, 12
      or t0, t0, t1
      csrw satp, t0
      li t0, 0x800         # MPP = S
      csrs mstatus, t0
      la t0, main
      csrw mepc, t0
      li t0, 4096
      add s1, s2, t0
      add s0, s1, t0
      li a0, ${AT}
      li a3, ${MEGAPAGE}
      li a1, ${pte(OTHER, leaf.lo & 0x3ff).lo}
      mret
main:
      ${program}
done: ebreak`,
    1,
    { onStaleTranslation: (found) => stale.push(found) },
  );
  const root = b.symbol("table");
  writePte(b.machine, root, 0, pte(root + 4096, V));
  writePte(b.machine, root, 2, pte(0x8000_0000, V | R | W | X | A | D));
  writePte(b.machine, root + 4096, 0, pte(root + 8192, V));
  writePte(b.machine, root + 4096, 1, pte(0x8020_0000, RW));
  writePte(b.machine, root + 8192, 1, leaf);
  // The other space's root, with the same tables below but for the leaves.
  writePte(b.machine, root + 12288, 0, pte(root + 16384, V));
  writePte(b.machine, root + 12288, 2, pte(0x8000_0000, V | R | W | X | A | D));
  writePte(b.machine, root + 16384, 0, pte(root + 20480, V));
  writePte(b.machine, root + 20480, 1, pte(OTHER, RW));
  b.machine.memory.write32(PAGE, 1111);
  b.machine.memory.write32(OTHER, 2222);
  b.machine.probes.trap = () => b.machine.requestStop();
  b.finish(1000);
  return { ...b, stale };
}

const LOAD = "ld a2, (a0)\n";
const EDIT = "edit: sd a1, 8(s0)\n";
const USE = "use: ld a2, (a0)\n";

for (const tier of TIERS) {
  test(`a page that was moved without a fence is found by the load that uses it [${tier}]`, () => {
    const { stale, symbol } = run(tier, LOAD + EDIT + "nop\n" + USE);
    assert.equal(stale.length, 1);
    const [found] = stale;
    assert.ok(found !== undefined);
    assert.equal(found.pc, symbol("use"));
    assert.deepEqual([...found.code.slice(0, 4)], [0x03, 0x36, 0x05, 0x00]);
    assert.equal(found.access, "load");
    assert.equal(found.address, AT);
    assert.equal(found.asid, 5);
    assert.equal(found.entry.physical, PAGE);
    assert.equal(found.tables?.physical, OTHER);
    assert.deepEqual(
      found.changes.map(({ location, level }) => ({ location, level })),
      [{ location: symbol("table") + 8192 + 8, level: 0 }],
    );
    const writer = found.changes[0]?.writer;
    assert.ok(writer?.kind === "hart");
    assert.equal(writer.pc, symbol("edit"));
  });

  test(`a page that was unmapped, made read-only or cleaned without a fence is found [${tier}]`, () => {
    assert.equal(run(tier, LOAD + "sd zero, 8(s0)\n" + USE).stale[0]?.tables, undefined);
    const readOnly = `li a1, ${pte(PAGE, V | R | A | D).lo}\n`;
    assert.equal(run(tier, readOnly + LOAD + EDIT + "sd a2, (a0)").stale.length, 1);
    assert.equal(run(tier, readOnly + LOAD + EDIT + USE).stale.length, 0);
    // The store would leave no dirty bit behind.
    const clean = `li a1, ${pte(PAGE, V | R | W | A).lo}\n`;
    assert.equal(run(tier, clean + LOAD + EDIT + "sd a2, (a0)").stale.length, 1);
  });

  test(`a fetch from a page that was moved is found, the next instruction already [${tier}]`, () => {
    const program = `
      li t0, 0x00130313    # addi t1, t1, 1
      li t1, 0x00008067    # ret
      li t2, ${PAGE}
      sw t0, (t2)
      sw t0, 4(t2)
      sw t1, 8(t2)
      jalr a0
      sd a1, 8(s0)
      jalr a0`;
    const { stale } = run(tier, program, pte(PAGE, V | R | W | X | A | D));
    assert.equal(stale[0]?.access, "execute");
    assert.equal(stale[0]?.pc, AT);
  });

  test(`with the right fence there is nothing to find [${tier}]`, () => {
    const fences = ["sfence.vma", "sfence.vma a0", "li t0, 5\n sfence.vma a0, t0", "li t0, 5\n sfence.vma zero, t0"];
    for (const fence of fences) assert.equal(run(tier, `${LOAD}${EDIT}${fence}\n${USE}`).stale.length, 0, fence);
  });

  test(`a fence of another address or ASID, or of an ASID for a global page, is none [${tier}]`, () => {
    const wrong = ["sfence.vma s0", "li t0, 6\n sfence.vma a0, t0", "li t0, 6\n sfence.vma zero, t0"];
    for (const fence of wrong) assert.equal(run(tier, `${LOAD}${EDIT}${fence}\n${USE}`).stale.length, 1, fence);
    const global = pte(PAGE, RW | G);
    for (const fence of ["li t0, 5\n sfence.vma a0, t0", "li t0, 5\n sfence.vma zero, t0"]) {
      assert.equal(run(tier, `${LOAD}${EDIT}${fence}\n${USE}`, global).stale.length, 1, fence);
    }
    assert.equal(run(tier, `${LOAD}${EDIT}sfence.vma a0\n${USE}`, global).stale.length, 0);
  });

  test(`rights that grew, marks that hardware sets and an accessed bit that was cleared are no mistake [${tier}]`, () => {
    const grows = `li a1, ${pte(PAGE, RW).lo}\n${LOAD}${EDIT}sd a2, (a0)`;
    assert.equal(run(tier, grows, pte(PAGE, V | R | A)).stale.length, 0);
    assert.equal(run(tier, `${LOAD}sd a2, (a0)\n${LOAD}`, pte(PAGE, V | R | W)).stale.length, 0);
    assert.equal(run(tier, `li a1, ${pte(PAGE, V | R | W | D).lo}\n${LOAD}${EDIT}${USE}`).stale.length, 0);
    assert.equal(run(tier, `sd zero, 16(s0)\n${LOAD}${EDIT.replace("8(s0)", "16(s0)")}${USE}`).stale.length, 0);
  });

  test(`a megapage is one entry: a fence of any of its addresses drops it [${tier}]`, () => {
    const move = `
      ld a2, (a3)
      li t1, 0x1ff000
      add t1, t1, a3
      ld a4, (t1)
      sd zero, 8(s1)`;
    assert.equal(run(tier, `${move}\n ld a2, (a3)`).stale[0]?.entry.size, MEGAPAGE);
    const fence = "li t2, 0x100000\n add t2, t2, a3\n sfence.vma t2\n";
    assert.equal(run(tier, `${move}\n${fence} ld a2, (t1)`).stale.length, 0);
  });

  test(`so is a gigapage, in the upper half too [${tier}]`, () => {
    const map = (base: string): string => `
      li t0, ${pte(0x8000_0000, RW).lo}
      li t1, ${base}
      srli t2, t1, 30
      andi t2, t2, 511
      slli t2, t2, 3
      add t2, t2, s2
      sd t0, (t2)
      ld a2, (t1)
      li t3, 0x345000
      add t4, t1, t3
      lw a4, (t4)
      sd zero, (t2)
      li t3, 0x2ffff000
      add t3, t1, t3`;
    for (const base of [String(2 ** 32), "-0x40000000", "-0x4000000000"]) {
      assert.equal(
        run(
          tier,
          `${map(base)}
 lw a4, (t4)`,
        ).stale[0]?.entry.size,
        2 ** 30,
        base,
      );
      for (const fence of ["sfence.vma t3", "li t5, 5\n sfence.vma t3, t5"]) {
        assert.equal(
          run(
            tier,
            `${map(base)}
 ${fence}
 lw a4, (t4)`,
          ).stale.length,
          0,
          base,
        );
      }
    }
  });

  test(`accessed and dirty bits that software clears are set again by the next use, once it has fenced [${tier}]`, () => {
    const entry = (b: Outcome): number => b.machine.memory.read32(b.symbol("table") + 8192 + 8) & (A | D);
    const clear = (bits: number): string => `
      ld a2, (a0)
      sd a2, (a0)
      li a1, ${pte(PAGE, RW & ~bits).lo}
      sd a1, 8(s0)
      sfence.vma a0
`;
    assert.equal(entry(run(tier, clear(A | D))), 0);
    assert.equal(entry(run(tier, `${clear(A | D)} ld a2, (a0)`)), A);
    assert.equal(entry(run(tier, `${clear(A | D)} sd a2, (a0)`)), A | D);
    // What was filled by a load is no way around the dirty bit.
    assert.equal(
      entry(
        run(
          tier,
          `${clear(D)} ld a2, (a0)
 sd a2, (a0)`,
        ),
      ),
      A | D,
    );
    assert.equal(entry(run(tier, `${clear(D)} ld a2, (a0)`)), A);
  });

  test(`an ASID that was given to other tables without a fence is found [${tier}]`, () => {
    const change = `
      li t0, 12288
      add t0, t0, s2
      srli t0, t0, 12
      li t1, (8 << 60) | (5 << 44)
      or t0, t0, t1
      csrw satp, t0`;
    const { stale } = run(tier, `${LOAD}${change}\n${USE}`);
    assert.equal(stale.length, 1);
    assert.equal(stale[0]?.tables?.physical, OTHER);
    assert.deepEqual(stale[0].changes, []);
    assert.equal(run(tier, `${LOAD}${change}\n sfence.vma\n${USE}`).stale.length, 0);
  });

  test(`the access goes on with what the tables say, and is reported once [${tier}]`, () => {
    const { stale, hart } = run(tier, LOAD + EDIT + USE + USE.replace("use: ", "") + USE.replace("use: ", ""));
    assert.equal(stale.length, 1);
    assert.equal(hart.x(12), 2222);
  });
}
