// The kernel as a whole, through small programs: the trap path, leaks, determinism, snapshots, several harts, panics.

import assert from "node:assert/strict";
import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import { CSR } from "../../src/isa/riscv64/csrs.ts";
import { GPR } from "../../src/isa/x86_64/registers.ts";
import { hartOf as riscvHart } from "../../src/kernel/arch/riscv64/context.ts";
import { hartOf as x86Hart } from "../../src/kernel/arch/x86_64/context.ts";
import { layout } from "../../src/kernel/arch/x86_64/layout.ts";
import { SYSCALL, trapframeOffset } from "../../src/kernel/arch/x86_64/trapframe.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { eachArch } from "../support/architectures.ts";
import { assembleProgram, bootGuest, portableProgram } from "../support/guest.ts";

/** Forks `ROUNDS` children one after the other, each of which executes itself again, touches memory and ends. */
const FORKER = `
_start:
    load64 s0, [sp]                 # argc
    if s0 > 1 goto child            # executed with an argument: the second life of a child
    set s1, ROUNDS
next:
    sys clone, 17, 0, 0, 0, 0       # SIGCHLD
    if r == 0 goto execute
    if r < 0 goto failed
    store64 s1, [sp + -8]           # breaks a copy-on-write page
    sys wait4, -1, &status, 0, 0
    if r < 0 goto failed
    load32 t0, [&status]
    if t0 != 0x700 goto failed      # exit code 7
    sub s1, 1
    if s1 != 0 goto next
    sys exit, 0
execute:
    set t0, &path
    set t1, &arguments
    store64 t0, [t1]
    store64 t0, [t1 + 8]
    sys execve, &path, &arguments, 0
failed:
    sys exit, 99
child:
    sys mmap, 0, 0x8000, 3, 0x22, -1, 0     # MAP_PRIVATE | MAP_ANONYMOUS
    if r < 0 goto failed
    load64 t0, [r]                  # the zero page
    store64 r, [r]                  # demand zero
    store64 r, [r + 0x4000]
    store64 r, [sp + -6141]         # the stack
    sys exit, 7
    .balign 8
status:
    .quad 0
arguments:
    .quad 0, 0, 0
path:
    .asciz "/bin/forker"
`;

const HELLO = `
_start:
    sys write, 1, &text, 6
    sys exit, 3
text:
    .ascii "hello\\n"
`;

/** Where the trapframe has a call's number, and the number of `write`. */
const NUMBER_FIELD = {
  riscv64: { name: "a7", offset: 168 },
  x86_64: { name: "rax", offset: trapframeOffset(GPR.rax) },
} as const;

/** What usertrap tells of a system call: scause 8; the instruction `syscall`, which has no vector. */
const SYSTEM_CALL_CAUSE = { riscv64: 8, x86_64: SYSCALL } as const;

/** How the panic report tells of a load from an unmapped address. */
const KERNEL_FAULT = {
  riscv64: [/KernelBug: load page fault in the kernel at fault/, /scause 000000000000000d/],
  x86_64: [/KernelBug: page fault in the kernel at fault/, /cr2 0000000000000000/],
} as const;

const SIGILL = 4;
const SIGSEGV = 11;

type Trespass = { readonly code: string; readonly signal: number };

const TRESPASSES: Readonly<Record<ArchitectureName, Readonly<Record<string, Trespass>>>> = {
  riscv64: {
    "executes kentry": { code: "kentry 2", signal: SIGILL },
    "executes sret": { code: "sret", signal: SIGILL },
    "writes satp": { code: "csrw satp, zero", signal: SIGILL },
    "jumps into kernel text": { code: "li t0, 0xffffffc080001000\n jr t0", signal: SIGSEGV },
    "jumps to the trampoline": { code: "li t0, 0x3ffffff000\n jr t0", signal: SIGSEGV },
    "reads its trapframe": { code: "li t0, 0x3fffffe000\n ld t0, 0(t0)", signal: SIGSEGV },
    "writes to the direct map": { code: "li t0, 0xffffffc080004000\n sd t0, 0(t0)", signal: SIGSEGV },
    "jumps to a non-canonical address": { code: "li t0, 0x1234567812345678\n jr t0", signal: SIGSEGV },
    "writes to its signal-return page": { code: "li t0, 0x3ffdfff000\n sd t0, 0(t0)", signal: SIGSEGV },
  },
  x86_64: {
    "executes kentry": { code: "kentry 2", signal: SIGILL },
    "executes sysretq": { code: "sysretq", signal: SIGSEGV },
    "executes hlt": { code: "hlt", signal: SIGSEGV },
    "executes swapgs": { code: "swapgs", signal: SIGSEGV },
    "writes CR3": { code: "mov cr3, rax", signal: SIGSEGV },
    "writes a port": { code: "mov dx, 0x3f8\n out dx, al", signal: SIGSEGV },
    "jumps into kernel text": { code: `movabs rax, ${layout.directMap + 0x9000}\n jmp rax`, signal: SIGSEGV },
    "jumps to the trampoline": { code: `movabs rax, ${layout.trampoline}\n jmp rax`, signal: SIGSEGV },
    "reads its trapframe": { code: `movabs rax, ${layout.trapframe}\n mov rax, [rax]`, signal: SIGSEGV },
    "writes to the direct map": { code: `movabs rax, ${layout.directMap}\n mov [rax], rax`, signal: SIGSEGV },
    "jumps to a non-canonical address": { code: "movabs rax, 0x1234567812345678\n jmp rax", signal: SIGSEGV },
    "writes to its signal-return page": { code: `movabs rax, ${layout.vdso}\n mov [rax], rax`, signal: SIGSEGV },
  },
};

/** The privilege of the kernel, and whether a hart runs under page tables. */
const IN_KERNEL: Readonly<Record<ArchitectureName, (k: Kernel, id: number) => boolean>> = {
  riscv64(k, id) {
    const hart = riscvHart(k, id);
    return hart.privilege === 1 && hart.readCsr(CSR.satp).hi >>> 28 === 8;
  },
  x86_64(k, id) {
    const hart = x86Hart(k, id);
    return hart.privilege === 0 && hart.systemRegister("cr0").lo < 0;
  },
};

eachArch(({ arch, test }) => {
  const forker = (rounds: number): Uint8Array => portableProgram(arch, FORKER, { ROUNDS: rounds });

  test("a system call goes through uservec, usertrap, usertrapret and userret, with registers in the trapframe (X1-X3)", () => {
    const steps: string[] = [];
    const spaces: number[] = [];
    const guest = bootGuest({
      arch,
      files: { "bin/hello": portableProgram(arch, HELLO) },
      argv: ["/bin/hello"],
      onKernel: (k) => {
        k.probes.trapStep = (_hart, step, detail) =>
          steps.push(step === "usertrap" ? `usertrap ${detail["cause"]}` : step);
        k.probes.syscallEnter = (thread, number, row) => {
          steps.push(row?.name ?? "?");
          const { name, offset } = NUMBER_FIELD[arch];
          if (row?.name === "write")
            assert.equal(k.memory.read32(thread.trapframe + offset), number, `${name} at its offset in the trapframe`);
        };
        k.machine.probes.addressSpace = (_hart, hi, lo) =>
          spaces.push(arch === "riscv64" ? (hi >>> 12) & 0xffff : lo & 0xfff);
      },
    });
    assert.deepEqual(guest.finish(), { kind: "stopped", status: 3, reason: "power-off", report: undefined });
    assert.equal(guest.output(), "hello\r\n");
    assert.deepEqual(steps.slice(-7), [
      "usertrapret",
      `usertrap ${SYSTEM_CALL_CAUSE[arch]}`,
      "write",
      "usertrapret",
      `usertrap ${SYSTEM_CALL_CAUSE[arch]}`,
      "exit",
      "idle",
    ]);
    assert.ok(spaces.includes(0) && spaces.includes(1), "the kernel's page table and the program's");
  });

  test("after 1,000 rounds of fork, exec, fault and exit the free frames are what they were", () => {
    const free: number[] = [];
    const guest = bootGuest({
      arch,
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
        arch,
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
        arch,
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
    const guest = bootGuest({ arch, files: { "bin/forker": forker(50) }, argv: ["/bin/forker"] });
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
    const guest = bootGuest({ arch, files: { "bin/forker": forker(1000) }, argv: ["/bin/forker"] });
    guest.system.run({ instructions: 1000 });
    guest.system.kernel.arch.provokeFault(guest.system.kernel, 0);
    const state = guest.finish();
    assert.equal(state.reason, "panic");
    assert.equal(state.status, 125);
    assert.match(state.report ?? "", /kernel panic on hart 0: /);
    for (const pattern of KERNEL_FAULT[arch]) assert.match(state.report ?? "", pattern);
    assert.match(state.report ?? "", /kernelTrap/);
    assert.deepEqual(guest.finish(), state, "it stays stopped");
  });

  test("a bug in TypeScript code is caught by the run loop alone, with its stack", () => {
    const guest = bootGuest({ arch, files: { "bin/forker": forker(1000) }, argv: ["/bin/forker"] });
    guest.system.kernel.probes.syscallEnter = () => {
      throw new TypeError("a bug");
    };
    const state = guest.finish();
    assert.equal(state.reason, "panic");
    assert.match(state.report ?? "", /TypeError: a bug\n\s+at /);
  });

  for (const [name, { code, signal }] of Object.entries(TRESPASSES[arch])) {
    test(`the kernel is out of a program's reach: one that ${name} gets signal ${signal}`, () => {
      const guest = bootGuest({
        arch,
        files: { "bin/trespasser": assembleProgram(arch, code) },
        argv: ["/bin/trespasser"],
      });
      const state = guest.finish();
      assert.equal(state.report, undefined);
      assert.equal(state.status, 128 + signal);
    });
  }

  test("every hart comes up, and the kernel's own translations are where the manual says", () => {
    const guest = bootGuest({
      arch,
      // Long enough for each hart to be called and to come up.
      files: { "bin/forker": forker(50) },
      argv: ["/bin/forker"],
      harts: 8,
    });
    guest.finish();
    // Harts that have come up wait in supervisor mode, with the kernel's page table.
    for (const hart of guest.system.machine.harts.slice(1)) {
      if (hart.waiting) assert.ok(IN_KERNEL[arch](guest.system.kernel, hart.id));
    }
  });
});
