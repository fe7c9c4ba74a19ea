/** Harts through the instruction stream: traps, CSRs, code that changes, reservations, several harts. On both tiers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/riscv64/assembler.ts";
import { CSR } from "../../isa/riscv64/csrs.ts";
import { createMachine } from "../create-machine.ts";
import { riscv64Processor } from "./engine.ts";
import { bench, RAM, TIERS } from "./testing.test.support.ts";

const OPEN_PMP = `
  li t0, -1
  csrw pmpaddr0, t0
  li t0, 0x1f
  csrw pmpcfg0, t0
`;

/** Goes to the label in the mode that MPP holds after clearing it and setting `bits`. */
const enter = (bits: string, label: string): string => `
  li t0, 0x1800
  csrc mstatus, t0
  li t0, ${bits}
  csrs mstatus, t0
  la t0, ${label}
  csrw mepc, t0
  mret
`;

for (const tier of TIERS) {
  test(`a trap saves pc, cause and value, and mret goes back (${tier})`, () => {
    const b = bench(
      tier,
      `
        la t0, handler
        csrw mtvec, t0
        csrsi mstatus, 8
      here: .word 0xffffffff
        li a3, 1
        j stop
        .balign 4
      handler:
        csrr a0, mcause
        csrr a1, mtval
        csrr a2, mepc
        csrr a4, mstatus
        addi t0, a2, 4
        csrw mepc, t0
        mret`,
    );
    b.finish();
    assert.equal(b.hart.x(10), 2);
    assert.equal(b.hart.x(11), 0xffffffff);
    assert.equal(b.hart.x(12), b.symbol("here"));
    assert.equal(b.hart.x(13), 1);
    assert.equal(b.hart.x(14) & 0x1888, 0x1880, "MPP = M, MPIE = 1, MIE = 0");
    assert.equal(b.hart.csrNumber(CSR.mstatus) & 0x1888, 0x88, "MIE restored, MPIE set, MPP = U");
  });

  test(`medeleg sends a user's ecall to S-mode, and leaves M-mode's own (${tier})`, () => {
    const b = bench(
      tier,
      `${OPEN_PMP}
        li t0, 0x100
        csrw medeleg, t0
        la t0, supervisor
        csrw stvec, t0
        la t0, machine
        csrw mtvec, t0
        ${enter("0", "user")}
      user: ecall
        .balign 4
      supervisor:
        csrr a0, scause
        csrr a1, sepc
        ecall
        .balign 4
      machine:
        csrr a2, mcause
        j stop`,
    );
    b.finish();
    assert.deepEqual([b.hart.x(10), b.hart.x(11), b.hart.x(12)], [8, b.symbol("user"), 9]);
    assert.equal(b.hart.privilege, 3);
  });

  test(`interrupts go by priority, and vectored (${tier})`, () => {
    const b = bench(
      tier,
      `
        la t0, vector+1
        csrw mtvec, t0
        li t0, 0x888
        csrw mie, t0
        csrsi mstatus, 8
        j stop
        .balign 64
      vector:
        .space 12
        j software
        .space 12
        j timer
        .space 12
        j external
      external: li a0, 11
        j stop
      software: li a0, 3
        j stop
      timer: li a0, 7
        j stop`,
    );
    for (const bit of [7, 3, 11]) b.hart.setInterruptPending(bit, true);
    b.finish();
    assert.equal(b.hart.x(10), 11);
    assert.deepEqual(b.hart.readCsr(CSR.mcause), { hi: -0x80000000, lo: 11 });
  });

  test(`below its mode an S-mode interrupt is taken whatever SIE says, in M-mode never (${tier})`, () => {
    const b = bench(
      tier,
      `${OPEN_PMP}
        li t0, 2
        csrw mideleg, t0
        csrw mie, t0
        csrw mip, t0
        csrsi mstatus, 2
        la t0, supervisor
        csrw stvec, t0
        li a0, 1
        ${enter("0", "user")}
      user: li a0, 2
        j user
        .balign 4
      supervisor:
        li a1, 3
        csrr a2, sepc
        csrwi sip, 0
      1: j 1b`,
    );
    b.finish(2000);
    assert.deepEqual([b.hart.x(10), b.hart.x(11), b.hart.x(12)], [1, 3, b.symbol("user")]);
  });

  test(`stimecmp interrupts at its time, and an idle hart skips to it (${tier})`, () => {
    const b = bench(
      tier,
      `${OPEN_PMP}
        li t0, 1 << 63
        csrw menvcfg, t0
        li t0, 2
        csrw mcounteren, t0
        li t0, 0x20
        csrw mideleg, t0
        csrw mie, t0
        la t0, supervisor
        csrw stvec, t0
        ${enter("0x802", "super")}
      super:
        rdtime t0
        li t1, 1000
        add t0, t0, t1
        csrw stimecmp, t0
        mv s0, t0
      1: wfi
        j 1b
        .balign 4
      supervisor:
        rdtime a0
        sub a0, a0, s0
        csrr a1, scause
        li t0, -1
        csrw stimecmp, t0
        csrr a2, sip
      2: wfi
        j 2b`,
    );
    b.finish();
    assert.ok(b.hart.x(10) >= 0 && b.hart.x(10) < 10, `late by ${b.hart.x(10)} ticks`);
    assert.deepEqual(b.hart.readCsr(CSR.scause), { hi: -0x80000000, lo: 5 });
    assert.equal(b.hart.x(12), 0);
    assert.ok(b.hart.instructionsRetired < 1000);
  });

  test(`a program that writes its own code runs what it wrote, with no fence (${tier})`, () => {
    const b = bench(
      tier,
      `
        la s0, patch
        li s1, 0x00150513     # addi a0, a0, 1
        li s2, 0x00250513     # addi a0, a0, 2
        li s3, 10
      again:
        sw s1, (s0)
      patch: nop
        sw s2, (s0)
        addi s3, s3, -1
        bnez s3, again
        jal ra, patch2
        j stop
      patch2: ret`,
    );
    b.finish();
    assert.equal(b.hart.x(10), 10);
  });

  test(`an instruction across a page boundary is fetched from both pages (${tier})`, () => {
    const b = bench(
      tier,
      `
        li s3, 20
        la t0, straddle
        jr t0
        .balign 4096
        .space 4096-6
        .option rvc
      straddle: addi a0, a0, 1
        nop
        .option norvc
        lui a2, 0x12345
        addi s3, s3, -1
        bnez s3, straddle
        j stop`,
    );
    assert.equal(b.symbol("straddle") % 4096, 4090);
    b.finish();
    assert.deepEqual([b.hart.x(10), b.hart.x(12)], [20, 0x12345000]);
  });

  test(`a straddling instruction that was decoded sees a write to its second half (${tier})`, () => {
    const b = bench(
      tier,
      `
        li s3, 10
        li s4, 0x7777
        la s0, straddle+2
        la t0, straddle
        jr t0
      written:
        sh s4, (s0)
        li s3, 10
        li s5, 1
        j straddle
        .balign 4096
        .space 4096-2
      straddle:
        lui a2, 0x12345
        addi s3, s3, -1
        bnez s3, straddle
        bnez s5, stop
        mv a3, a2
        la t0, written
        jr t0`,
    );
    assert.equal(b.symbol("straddle") % 4096, 4094);
    b.finish();
    assert.deepEqual([b.hart.x(13), b.hart.x(12)], [0x12345000, 0x77775000]);
  });

  test(`misaligned loads and stores work in RAM, across pages too; atomics must be aligned (${tier})`, () => {
    const b = bench(
      tier,
      `
        la t0, handler
        csrw mtvec, t0
        la s0, table+4093
        li a0, 0x1122334455667788
        sd a0, (s0)
        ld a1, (s0)
        lw a2, 1(s0)
        lhu a3, 2(s0)
        amoadd.w a4, a0, (s0)
        j stop
        .balign 4
      handler:
        csrr a5, mcause
        csrr a6, mtval
        j stop`,
    );
    b.finish();
    assert.equal(b.hart.xHi(11), 0x11223344);
    assert.equal(b.hart.xLo(11), 0x55667788);
    assert.equal(b.hart.x(12), 0x44556677);
    assert.equal(b.hart.x(13), 0x5566);
    assert.deepEqual([b.hart.x(15), b.hart.x(16)], [6, b.symbol("table") + 4093]);
  });

  test(`a store-conditional needs its reservation, on the same place, with no trap between (${tier})`, () => {
    const b = bench(
      tier,
      `
        la t0, handler
        csrw mtvec, t0
        la s0, table
        sc.w a0, zero, (s0)
        lr.w t1, (s0)
        li t1, 7
        sc.w a1, t1, (s0)
        sc.w a2, t1, (s0)
        lr.d t1, (s0)
        addi s1, s0, 8
        sc.d a3, t1, (s1)
        lr.w t1, (s0)
        ecall
        sc.w a4, t1, (s0)
        lw a5, (s0)
        j stop
        .balign 4
      handler:
        csrr t0, mepc
        addi t0, t0, 4
        csrw mepc, t0
        mret`,
    );
    b.finish();
    assert.deepEqual(
      [10, 11, 12, 13, 14, 15].map((register) => b.hart.x(register)),
      [1, 0, 1, 1, 1, 7],
    );
  });

  test(`four harts count together with LR/SC and with AMOs (${tier})`, () => {
    const b = bench(
      tier,
      `
        li s1, 2000
        la s0, table
      again:
        lr.w t0, (s0)
        addi t0, t0, 1
        sc.w t1, t0, (s0)
        bnez t1, again
        li t2, 1
        addi t3, s0, 8
        amoadd.d zero, t2, (t3)
        addi s1, s1, -1
        bnez s1, again
        j stop`,
      4,
    );
    b.finish(1_000_000);
    assert.equal(b.machine.memory.read32(b.symbol("table")), 8000);
    assert.equal(b.machine.memory.read32(b.symbol("table") + 8), 8000);
    assert.ok(b.harts.every((hart) => hart.waiting));
  });

  test(`kentry calls the bound kernel in S-mode inside its text, and is illegal elsewhere (${tier})`, () => {
    const b = bench(
      tier,
      `${OPEN_PMP}
        la t0, handler
        csrw mtvec, t0
        kentry 1
        ${enter("0x800", "kernel")}
        .balign 4
      kernel: kentry 5
        addi a1, a1, 1
      outside: kentry 6
        .balign 4
      handler:
        csrr t0, mepc
        la t1, outside
        beq t0, t1, 1f
        addi a2, a2, 1
        addi t0, t0, 4
        csrw mepc, t0
        mret
      1: li a3, 9
        j stop`,
    );
    const calls: number[] = [];
    const start = b.symbol("kernel");
    b.machine.bindKernel({
      text: { start, end: start + 4 },
      enter: (hart, index) => {
        calls.push(index, hart.pc - start, hart.privilege);
        b.hart.setXNumber(11, 40);
      },
    });
    b.finish();
    assert.deepEqual(calls, [5, 4, 1]);
    assert.deepEqual([b.hart.x(11), b.hart.x(12), b.hart.x(13)], [41, 1, 9]);
  });

  test(`a handler that faults for ever still comes to the end of its fuel (${tier})`, () => {
    const b = bench(tier, "li t0, 0x40000000\ncsrw mtvec, t0\n.word 0");
    const before = b.machine.timeNs;
    assert.deepEqual(b.machine.run({ instructions: 5000 }), { kind: "budget" });
    assert.ok(b.machine.timeNs - before >= 5000);
  });

  test(`counters count what has retired, and stop when they are inhibited (${tier})`, () => {
    const b = bench(
      tier,
      `
        csrr a0, minstret
        nop
        nop
        csrr a1, minstret
        sub a1, a1, a0
        li t0, 4
        csrw mcountinhibit, t0
        csrr a2, minstret
        nop
        csrr a3, minstret
        sub a3, a3, a2
        csrw mcountinhibit, zero
        csrw minstret, zero
        csrr a4, minstret
        j stop`,
    );
    b.finish();
    assert.deepEqual([b.hart.x(11), b.hart.x(13), b.hart.x(14)], [3, 0, 0]);
  });
}

test("code of more pages than are kept runs, and sees what is written to it", () => {
  const pages = 24;
  // Each page adds 1 to a0, patches the next page's addi to add 2, and jumps to it; the last one begins again.
  const text = Array.from(
    { length: pages },
    (_, page) => `
      .balign 4096
    p${page}:
      addi a0, a0, 1
      la s0, p${(page + 1) % pages}
      sw s1, (s0)
      ${page === pages - 1 ? "addi s2, s2, -1\nbeqz s2, done" : ""}
      la t0, p${(page + 1) % pages}
      jr t0`,
  ).join("\n");
  const run = (codePages: number): number => {
    const machine = createMachine({ processor: riscv64Processor, ramBase: RAM, ramSize: 1 << 20, harts: 1, codePages });
    const program = assemble(`li s1, 0x00250513\nli s2, 3\nla t0, p0\njr t0\n${text}\ndone: wfi\nj done`, {
      base: RAM,
    });
    machine.memory.write(RAM, program.bytes);
    machine.run({ instructions: 5000 });
    return machine.harts[0]?.x(10) ?? 0;
  };
  const expected = 1 + 2 * (3 * pages - 1);
  assert.deepEqual([run(4), run(1000)], [expected, expected]);
});

test("fields that are not supported read back as what is", () => {
  const b = bench("run", "nop");
  const write = (csr: number, hi: number, lo: number): { hi: number; lo: number } => {
    b.hart.writeCsr(csr, lo, hi);
    return b.hart.readCsr(csr);
  };
  const ones = (csr: number): { hi: number; lo: number } => write(csr, -1, -1);
  assert.deepEqual(ones(CSR.mideleg), { hi: 0, lo: 0x222 });
  assert.deepEqual(ones(CSR.medeleg), { hi: 0, lo: 0xb3ff });
  assert.deepEqual(ones(CSR.mie), { hi: 0, lo: 0xaaa });
  assert.deepEqual(ones(CSR.mepc), { hi: -1, lo: -2 });
  assert.deepEqual(ones(CSR.mtvec), { hi: -1, lo: -3 });
  assert.deepEqual(write(CSR.satp, 0x80012345 | 0, 5), { hi: 0x80012345 | 0, lo: 5 });
  assert.deepEqual(
    write(CSR.satp, 0xa0000000 | 0, 7),
    { hi: 0x80012345 | 0, lo: 5 },
    "an unknown mode changes nothing",
  );
  const misa = b.hart.readCsr(CSR.misa);
  assert.deepEqual(ones(CSR.misa), misa);
  b.hart.writeCsr(CSR.mstatus, 3 << 11, 0);
  assert.equal(write(CSR.mstatus, 0, 2 << 11).lo & 0x1800, 0x1800, "MPP = 2 keeps the old");
  assert.equal(write(CSR.mstatus, 0, 3 << 13).hi >>> 31, 1, "SD sums FS up");
  b.hart.writeCsr(CSR.pmpcfg0, 0x9a, 0);
  assert.equal(b.hart.readCsr(CSR.pmpcfg0).lo, 0x98, "W without R is reserved");
  assert.equal(write(CSR.pmpcfg0, 0, 0).lo, 0x98, "a locked entry stays");
});

test("the same program takes the same path on both tiers, preempted anywhere", () => {
  const source = `
      li s0, 500
    1: addi a0, a0, 3
      andi t0, a0, 4
      beqz t0, 2f
      call f
    2: addi s0, s0, -1
      bnez s0, 1b
      j stop
    f: addi a1, a1, 1
      ret`;
  const [fast, exact] = TIERS.map((tier) => bench(tier, source));
  for (let instructions = 1; instructions < 60; instructions++) {
    fast?.machine.run({ instructions });
    exact?.machine.run({ instructions });
    assert.equal(fast?.hart.pc, exact?.hart.pc);
    assert.equal(fast?.hart.instructionsRetired, exact?.hart.instructionsRetired);
  }
  assert.ok((fast?.hart.pc ?? 0) >= RAM);
});
