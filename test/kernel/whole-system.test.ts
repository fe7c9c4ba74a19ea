// The kernel as a whole, through small programs: the trap path, leaks, determinism, snapshots, several harts, panics.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CSR } from "../../src/isa/riscv64/csrs.ts";
import { hartOf } from "../../src/kernel/arch/riscv64/context.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { assembleProgram, bootGuest, CALL } from "../support/guest.ts";

/** Forks `ROUNDS` children one after the other, each of which executes itself again, touches memory and ends. */
const FORKER = `
_start:
    ld s0, 0(sp)                    # argc
    li t0, 1
    bgtu s0, t0, child              # executed with an argument: the second life of a child
    li s1, ROUNDS
1:  li a7, ${CALL.clone}
    li a0, 17                       # SIGCHLD
    li a1, 0
    li a2, 0
    li a3, 0
    li a4, 0
    ecall
    beqz a0, 2f
    bltz a0, failed
    sd s1, -8(sp)                   # breaks a copy-on-write page
    li a0, -1
    lla a1, status
    li a2, 0
    li a3, 0
    li a7, ${CALL.wait4}
    ecall
    bltz a0, failed
    lla t0, status
    lw t0, 0(t0)
    li t1, 0x700                    # exit code 7
    bne t0, t1, failed
    addi s1, s1, -1
    bnez s1, 1b
    li a0, 0
    j exit
2:  lla a0, path
    lla a1, arguments
    lla t0, path
    sd t0, 0(a1)
    sd t0, 8(a1)
    li a2, 0
    li a7, ${CALL.execve}
    ecall
failed:
    li a0, 99
exit:
    li a7, ${CALL.exit}
    ecall
child:
    li a0, 0
    li a1, 0x8000
    li a2, 3
    li a3, 0x22                     # MAP_PRIVATE | MAP_ANONYMOUS
    li a4, -1
    li a5, 0
    li a7, ${CALL.mmap}
    ecall
    bltz a0, failed
    ld t0, 0(a0)                    # the zero page
    sd a0, 0(a0)                    # demand zero
    li t1, 0x4000
    add t1, a0, t1
    sd a0, 0(t1)
    addi t2, sp, -2047
    addi t2, t2, -2047
    addi t2, t2, -2047
    sd a0, 0(t2)                    # the stack
    li a0, 7
    j exit
    .align 3
status:
    .dword 0
arguments:
    .dword 0
    .dword 0
    .dword 0
path:
    .asciz "/bin/forker"
`;

const forker = (rounds: number): Uint8Array => assembleProgram(FORKER, { ROUNDS: rounds });

const HELLO = `
_start:
    li a0, 1
    lla a1, text
    li a2, 6
    li a7, ${CALL.write}
    ecall
    li a0, 3
    li a7, ${CALL.exit}
    ecall
text:
    .ascii "hello\\n"
`;

test("a system call goes through uservec, usertrap, usertrapret and userret, with registers in the trapframe (X1-X3)", () => {
  const steps: string[] = [];
  const satps: number[] = [];
  const guest = bootGuest({
    files: { "bin/hello": assembleProgram(HELLO) },
    argv: ["/bin/hello"],
    onKernel: (k) => {
      k.probes.trapStep = (_hart, step, detail) =>
        steps.push(step === "usertrap" ? `usertrap ${detail["cause"]}` : step);
      k.probes.syscallEnter = (thread, _number, row) => {
        steps.push(row?.name ?? "?");
        if (row?.name === "write")
          assert.equal(k.memory.read32(thread.trapframe + 168), 64, "a7 at its offset in the trapframe");
      };
      k.machine.probes.addressSpace = (_hart, hi) => satps.push((hi >>> 12) & 0xffff);
    },
  });
  assert.deepEqual(guest.finish(), { kind: "stopped", status: 3, reason: "power-off", report: undefined });
  assert.equal(guest.output(), "hello\r\n");
  assert.deepEqual(steps.slice(-7), [
    "usertrapret",
    "usertrap 8",
    "write",
    "usertrapret",
    "usertrap 8",
    "exit",
    "idle",
  ]);
  assert.ok(satps.includes(0) && satps.includes(1), "the kernel's page table and the program's");
});

test("after 1,000 rounds of fork, exec, fault and exit the free frames are what they were", () => {
  const free: number[] = [];
  const guest = bootGuest({
    files: { "bin/forker": forker(1000) },
    argv: ["/bin/forker"],
    onKernel: (k) => {
      k.probes.exit = () => free.push(freeFrameCount(k));
    },
  });
  assert.equal(guest.finish(400_000_000).status, 0);
  assert.equal(free.length, 1001);
  // The first rounds fill what stays: the page cache, the parent's own pages.
  assert.equal(free[999], free[10]);
  assert.deepEqual(checkInvariants(guest.system.kernel), []);
});

for (const harts of [1, 3]) {
  test(`every invariant holds after each kernel entry of a forking program, ${harts} hart(s)`, () => {
    const guest = bootGuest({
      files: { "bin/forker": forker(6) },
      argv: ["/bin/forker"],
      checkInvariants: true,
      harts,
    });
    const state = guest.finish();
    assert.equal(state.report, undefined);
    assert.equal(state.status, 0);
  });
}

test("two runs give the same trace, event by event, with one hart and with four, whatever the slices", () => {
  const record = (harts: number, slice: number): string => {
    const events: string[] = [];
    const guest = bootGuest({
      files: { "bin/forker": forker(8) },
      argv: ["/bin/forker"],
      harts,
      onKernel: (k) => {
        k.probes.trapStep = (hart, step, detail) =>
          events.push(`${k.machine.timeNs} ${hart} ${step} ${JSON.stringify(detail)}`);
        k.probes.pteWrite = (space, address, level, hi, lo) =>
          events.push(`${space.id} ${address} ${level} ${hi} ${lo}`);
      },
    });
    let state = guest.system.run({ instructions: slice });
    while (state.kind === "running") state = guest.system.run({ instructions: slice });
    assert.equal(state.kind, "stopped");
    return events.join("\n");
  };
  for (const harts of [1, 4]) assert.equal(record(harts, 1_000_000), record(harts, harts === 1 ? 777 : 1_000_000));
});

test("kernel state is plain data: structuredClone takes all of it", () => {
  const guest = bootGuest({ files: { "bin/forker": forker(50) }, argv: ["/bin/forker"] });
  guest.system.run({ instructions: 3000 });
  const { state } = guest.system.kernel;
  const clone = structuredClone(state);
  assert.deepEqual(clone, state);
  assert.ok(state.processes.size >= 1);
  const [process] = clone.processes.values();
  const thread = process === undefined ? undefined : clone.threads.get(process.threads[0] ?? 0);
  assert.equal(thread?.process, process, "identity is kept");
});

test("a fault inside the kernel is a readable report and stops the machine, not the host", () => {
  const guest = bootGuest({ files: { "bin/forker": forker(1000) }, argv: ["/bin/forker"] });
  guest.system.run({ instructions: 1000 });
  guest.system.kernel.arch.provokeFault(guest.system.kernel, 0);
  const state = guest.finish();
  assert.equal(state.reason, "panic");
  assert.equal(state.status, 125);
  assert.match(state.report ?? "", /kernel panic on hart 0: KernelBug: load page fault in the kernel at fault/);
  assert.match(state.report ?? "", /scause 000000000000000d/);
  assert.match(state.report ?? "", /kernelTrap/);
  assert.deepEqual(guest.finish(), state, "it stays stopped");
});

test("a bug in TypeScript code is caught by the run loop alone, with its stack", () => {
  const guest = bootGuest({ files: { "bin/forker": forker(1000) }, argv: ["/bin/forker"] });
  guest.system.kernel.probes.syscallEnter = () => {
    throw new TypeError("a bug");
  };
  const state = guest.finish();
  assert.equal(state.reason, "panic");
  assert.match(state.report ?? "", /TypeError: a bug\n\s+at /);
});

const SIGILL = 4;
const SIGSEGV = 11;
const TRESPASSES: Readonly<Record<string, { code: string; signal: number }>> = {
  "executes kentry": { code: "kentry 2", signal: SIGILL },
  "executes sret": { code: "sret", signal: SIGILL },
  "writes satp": { code: "csrw satp, zero", signal: SIGILL },
  "jumps into kernel text": { code: "li t0, 0xffffffc080001000\n jr t0", signal: SIGSEGV },
  "jumps to the trampoline": { code: "li t0, 0x3ffffff000\n jr t0", signal: SIGSEGV },
  "reads its trapframe": { code: "li t0, 0x3fffffe000\n ld t0, 0(t0)", signal: SIGSEGV },
  "writes to the direct map": { code: "li t0, 0xffffffc080004000\n sd t0, 0(t0)", signal: SIGSEGV },
  "jumps to a non-canonical address": { code: "li t0, 0x1234567812345678\n jr t0", signal: SIGSEGV },
  "writes to its signal-return page": { code: "li t0, 0x3ffdfff000\n sd t0, 0(t0)", signal: SIGSEGV },
};
for (const [name, { code, signal }] of Object.entries(TRESPASSES)) {
  test(`the kernel is out of a program's reach: one that ${name} gets signal ${signal}`, () => {
    const guest = bootGuest({ files: { "bin/trespasser": assembleProgram(code) }, argv: ["/bin/trespasser"] });
    const state = guest.finish();
    assert.equal(state.report, undefined);
    assert.equal(state.status, 128 + signal);
  });
}

test("every hart comes up, and the kernel's own translations are where the manual says", () => {
  const guest = bootGuest({ files: { "bin/hello": assembleProgram(HELLO) }, argv: ["/bin/hello"], harts: 8 });
  guest.finish();
  // Harts that have come up wait in supervisor mode, with the kernel's page table.
  for (const hart of guest.system.machine.harts.slice(1)) {
    if (!hart.waiting) continue;
    assert.equal(hart.privilege, 1);
    assert.equal(hartOf(guest.system.kernel, hart.id).readCsr(CSR.satp).hi >>> 28, 8);
  }
});
