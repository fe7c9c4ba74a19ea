/** Uses of stale translations are found, by the instruction that makes them, on every tier; what the manual allows is not reported. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PTE } from "../../isa/x86_64/paging.ts";
import { CR0, CR4, EFER } from "../../isa/x86_64/registers.ts";
import type { StaleTranslation } from "../engine/translation-check.ts";
import { bench, PAGES, SUPERVISOR_ALIAS, TIERS, type Bench, type TestTier } from "./testing.test.support.ts";

const { P, W, U, A, D, G, PS } = PTE;
const PML4 = 0x1000;
const PD = 0x3000;
const PT = 0x4000;
/** The page of the tests, and where it is moved. */
const AT = PAGES + 4096;
const MOVED = PAGES + 2 * 4096;
/** A large page of the tests, over RAM from 2 MiB on. */
const LARGE = 0x80_0000;
const TABLES = SUPERVISOR_ALIAS;

interface Outcome extends Bench {
  readonly stale: readonly StaleTranslation[];
}

/** Runs a program at CPL 0 with PCID 5 and global pages; rdi is AT, rbx its entry in the page table, and rsi an entry for MOVED. */
function run(tier: TestTier, program: string, flags: number = P | W | U | A | D): Outcome {
  const stale: StaleTranslation[] = [];
  const source = `
      mov    edi, ${AT}
      mov    ebx, ${TABLES + PT + 8}
      mov    esi, ${MOVED | flags}
      mov    ebp, ${LARGE}
${program}
      jmp    stop
      .balign 16
descriptor:
      .quad  5
      .quad  ${AT}
other: .quad  6
      .quad  ${AT}`;
  const b = bench(tier, source, "kernel", { onStaleTranslation: (found) => stale.push(found) });
  const { hart, machine } = b;
  hart.setSystemRegister("cr4", CR4.PAE | CR4.OSFXSR | CR4.PGE | CR4.PCIDE, 0);
  hart.setSystemRegister("efer", EFER.LME | EFER.LMA | EFER.SCE | EFER.NXE, 0);
  hart.setSystemRegister("cr0", CR0.PE | CR0.PG | CR0.WP | CR0.NE, 0);
  hart.setSystemRegister("cr3", PML4 | 5, 0);
  b.setPage(AT, AT, flags);
  machine.memory.write32(PD + 4 * 8, PAGES | P | W | PS | A | D);
  machine.memory.write32(AT, 1111);
  machine.memory.write32(MOVED, 2222);
  b.finish(1000);
  return { ...b, stale };
}

const LOAD = "mov rax, [rdi]\n";
const EDIT = "edit: mov [rbx], rsi\n";
const USE = "use: mov rcx, [rdi]\n";

for (const tier of TIERS) {
  test(`a page that was moved without an invlpg is found by the load that uses it [${tier}]`, () => {
    const { stale, symbol } = run(tier, LOAD + EDIT + USE);
    assert.equal(stale.length, 1);
    const [found] = stale;
    assert.ok(found !== undefined);
    assert.equal(found.pc, symbol("use"));
    assert.deepEqual([...found.code.slice(0, 3)], [0x48, 0x8b, 0x0f]);
    assert.equal(found.access, "load");
    assert.equal(found.address, AT);
    assert.equal(found.asid, 5);
    assert.equal(found.entry.physical, AT);
    assert.equal(found.tables?.physical, MOVED);
    assert.deepEqual(
      found.changes.map(({ location, level }) => ({ location, level })),
      [{ location: PT + 8, level: 0 }],
    );
    const writer = found.changes[0]?.writer;
    assert.ok(writer?.kind === "hart");
    assert.equal(writer.pc, symbol("edit"));
  });

  test(`a page that was unmapped, made read-only or cleaned without an invlpg is found [${tier}]`, () => {
    assert.equal(run(tier, `xor esi, esi\n${LOAD}${EDIT}${USE}`).stale[0]?.tables, undefined);
    const readOnly = `mov esi, ${AT | P | U | A | D}\n`;
    assert.equal(run(tier, `${readOnly}${LOAD}${EDIT}mov [rdi], rax`).stale.length, 1);
    assert.equal(run(tier, `${readOnly}${LOAD}${EDIT}${USE}`).stale.length, 0);
    // The store would leave no dirty bit behind.
    const clean = `mov esi, ${AT | P | W | U | A}\n`;
    assert.equal(run(tier, `${clean}${LOAD}${EDIT}mov [rdi], rax`).stale.length, 1);
  });

  test(`a fetch from a page that was moved is found [${tier}]`, () => {
    const program = `
      mov    byte ptr [${MOVED}], 0xc3
      mov    byte ptr [rdi], 0xc3
      call   rdi
      mov    [rbx], rsi
      call   rdi`;
    const { stale } = run(tier, program);
    assert.equal(stale.length, 1);
    assert.equal(stale[0]?.access, "execute");
    assert.equal(stale[0].pc, AT);
  });

  const invpcid = (kind: number, descriptor = "descriptor"): string =>
    `mov eax, ${kind}\n invpcid rax, [rip + ${descriptor}]\n`;
  const reload = "mov rax, cr3\n mov cr3, rax\n";

  test(`with the right invalidation there is nothing to find [${tier}]`, () => {
    const right = ["invlpg [rdi]\n", "invlpg [rdi + 4095]\n", reload, ...[0, 1, 2, 3].map((kind) => invpcid(kind))];
    for (const flush of right) assert.equal(run(tier, LOAD + EDIT + flush + USE).stale.length, 0, flush);
  });

  test(`an invalidation of another address or PCID, or one that keeps translations, is none [${tier}]`, () => {
    const wrong = [
      "invlpg [rdi + 4096]\n",
      invpcid(0, "other"),
      invpcid(1, "other"),
      "mov rax, cr3\n bts rax, 63\n mov cr3, rax\n",
    ];
    for (const flush of wrong) assert.equal(run(tier, LOAD + EDIT + flush + USE).stale.length, 1, flush);
  });

  test(`a global page survives what flushes a PCID, and goes with invlpg and CR4.PGE [${tier}]`, () => {
    const flags = P | W | U | A | D | G;
    for (const flush of [reload, invpcid(0), invpcid(1), invpcid(3)]) {
      assert.equal(run(tier, LOAD + EDIT + flush + USE, flags).stale.length, 1, flush);
    }
    const toggle = `mov rax, cr4\n btc rax, 7\n mov cr4, rax\n`;
    for (const flush of ["invlpg [rdi]\n", invpcid(2), toggle]) {
      assert.equal(run(tier, LOAD + EDIT + flush + USE, flags).stale.length, 0, flush);
    }
  });

  test(`rights that grew, marks that hardware sets and an accessed bit that was cleared are no mistake [${tier}]`, () => {
    const grows = `mov esi, ${AT | P | W | U | A | D}\n`;
    assert.equal(run(tier, `${grows}${LOAD}${EDIT}mov [rdi], rax`, P | U | A).stale.length, 0);
    assert.equal(run(tier, `${LOAD}mov [rdi], rax\n${USE}`, P | W | U).stale.length, 0);
    assert.equal(run(tier, `mov esi, ${AT | P | W | U | D}\n${LOAD}${EDIT}${USE}`).stale.length, 0);
  });

  test(`a page fault invalidates what the TLB has for its address [${tier}]`, () => {
    const program = `
      mov    rdx, ${MOVED | P | W | U | A | D}
      ${LOAD}
      mov    [rdi], rax
      mov    rcx, [rdi]
      jmp    stop
catch_14:
      mov    [rbx], rdx
      add    rsp, 8
      iretq`;
    const { stale, gpr } = run(tier, program, P | U | A);
    assert.equal(stale.length, 0);
    assert.equal(gpr("rcx"), 1111);
  });

  test(`a large page is one entry: an invlpg of any of its addresses drops it [${tier}]`, () => {
    const move = `
      mov    rax, [rbp]
      mov    rax, [rbp + 0x1ff000]
      mov    qword ptr [${TABLES + PD + 32}], 0`;
    assert.equal(run(tier, `${move}\n mov rax, [rbp]`).stale[0]?.entry.size, PAGES);
    assert.equal(run(tier, `${move}\n invlpg [rbp + 0x100000]\n mov rax, [rbp + 0x1ff000]`).stale.length, 0);
  });

  test(`so is one of 1 GiB, in the upper half too [${tier}]`, () => {
    const PDPT = 0x2000;
    // The first PDPT serves both ends of the address space; its last entries map the first GiB again.
    const map = (at: string): string => `
      mov    rax, qword ptr [${TABLES + PML4}]
      mov    qword ptr [${TABLES + PML4 + 511 * 8}], rax
      mov    eax, ${P | W | PS | A | D}
      mov    qword ptr [${TABLES + PDPT + 510 * 8}], rax
      movabs rdx, ${at}
      mov    rax, [rdx]
      mov    rax, [rdx + 0x3ff000]
      mov    qword ptr [${TABLES + PDPT + 510 * 8}], 0`;
    for (const at of ["0x7f80000000", "0xffffffff80000000"]) {
      assert.equal(run(tier, `${map(at)}\n mov rax, [rdx + 0x3ff000]`).stale[0]?.entry.size, 2 ** 30, at);
      const flush = "invlpg [rdx + 0x30000000]";
      assert.equal(run(tier, `${map(at)}\n ${flush}\n mov rax, [rdx + 0x3ff000]`).stale.length, 0, at);
      const byPcid = `
        mov    rax, rdx
        add    rax, 0x20000123
        mov    [rip + descriptor + 8], rax
        mov    eax, 0
        invpcid rax, [rip + descriptor]`;
      assert.equal(run(tier, `${map(at)}\n ${byPcid}\n mov rax, [rdx + 0x3ff000]`).stale.length, 0, at);
    }
  });

  test(`accessed and dirty bits that software clears are set again by the next use, once it has flushed [${tier}]`, () => {
    const entry = (b: Outcome): number => b.pageEntry(AT) & (A | D);
    const clear = (bits: number): string => `
      mov    rax, [rdi]
      mov    [rdi], rax
      mov    esi, ${AT | P | W | U | ((A | D) & ~bits)}
      mov    [rbx], rsi
      invlpg [rdi]\n`;
    assert.equal(entry(run(tier, clear(A | D))), 0);
    assert.equal(entry(run(tier, `${clear(A | D)} mov rax, [rdi]`)), A);
    assert.equal(entry(run(tier, `${clear(A | D)} mov [rdi], rax`)), A | D);
    // What was filled by a load is no way around the dirty bit.
    assert.equal(entry(run(tier, `${clear(D)} mov rax, [rdi]\n mov [rdi], rax`)), A | D);
    assert.equal(entry(run(tier, `${clear(D)} mov rax, [rdi]`)), A);
  });
}
