/** Exceptions and interrupts through the instruction stream: Intel SDM volume 3, chapter 6. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CR4, GPR, RFLAGS } from "../../isa/x86_64/registers.ts";
import { PTE } from "../../isa/x86_64/paging.ts";
import { PAGE_FAULT, VECTOR } from "../../isa/x86_64/vectors.ts";
import { REQUEST, type LocalApicPort } from "./local-apic-port.ts";
import {
  bench,
  HANDLERS,
  PAGES,
  SELECTORS,
  STACK,
  SUPERVISOR_ALIAS,
  TIERS,
  TSS,
  type Bench,
} from "./testing.test.support.ts";

const SUPERVISOR = PTE.P | PTE.W;

/** Vector and error code or address of what was taken. */
const taken = (b: Bench): number[][] => b.traps.map(({ cause, tval }) => [cause, tval]);

for (const tier of TIERS) {
  test(`${tier}: int n pushes a frame, and iretq takes it back`, () => {
    const b = bench(
      tier,
      `mov  rsp, ${STACK.kernel} - 8
       stc
       int  0x40
after: mov  rbx, rsp
       setc al
       jmp  stop
catch_64:
       mov  r8, rsp
       mov  r9, [rsp]
       mov  r10, [rsp + 8]
       mov  r11, [rsp + 16]
       mov  r12, [rsp + 24]
       mov  r13, [rsp + 32]
       clc
       iretq`,
    );
    b.setGate(64, b.symbol("catch_64"));
    b.finish();
    // The stack is aligned to 16 before the pushes.
    assert.equal(b.gpr("r8"), STACK.kernel - 16 - 40);
    assert.equal(b.gpr("r9"), b.symbol("after"));
    assert.equal(b.gpr("r10"), SELECTORS.code);
    assert.equal(b.gpr("r11"), RFLAGS.ONE | RFLAGS.CF);
    assert.equal(b.gpr("r12"), STACK.kernel - 8);
    assert.equal(b.gpr("r13"), SELECTORS.data);
    assert.equal(b.gpr("rbx"), STACK.kernel - 8);
    assert.equal(b.gpr("rax") & 1, 1);
  });

  test(`${tier}: faults push their error code, RF and the address of the instruction`, () => {
    const b = bench(
      tier,
      `mov  eax, 0x1230
bad:   mov  ds, eax
       jmp  stop`,
    );
    b.finish();
    assert.deepEqual(taken(b), [[VECTOR.GP, 0x1230]]);
    assert.equal(b.gpr("rsp"), STACK.kernel - 48);
    assert.equal(b.quad(STACK.kernel - 48), 0x1230);
    assert.equal(b.quad(STACK.kernel - 40), b.symbol("bad"));
    assert.equal(b.quad(STACK.kernel - 24) & RFLAGS.RF, RFLAGS.RF);
  });

  test(`${tier}: from user code the stack is rsp0, or that of the gate's IST, and ss is null`, () => {
    const program = `
       lea  rsi, [rip + 1f]
       jmp  user
1:     stc
       hlt`;
    for (const [ist, top] of [
      [0, STACK.rsp0],
      [1, STACK.ist1],
    ] as const) {
      const b = bench(tier, program);
      b.setGate(VECTOR.GP, HANDLERS, 0x8e00 | ist);
      b.finish();
      assert.deepEqual(taken(b), [[VECTOR.GP, 0]]);
      assert.equal(b.gpr("rsp"), top - 48);
      assert.equal(b.quad(top - 8), SELECTORS.userData);
      assert.equal(b.quad(top - 16), STACK.user);
      assert.equal(b.quad(top - 32), SELECTORS.userCode);
      assert.equal(b.hart.segment(2).selector, 0);
      assert.equal(b.hart.cpl, 0);
      assert.deepEqual([b.traps[0]?.from, b.traps[0]?.to], [3, 0]);
    }
  });

  test(`${tier}: int n needs a gate that the program may use; int3 and into as well, int1 does not`, () => {
    const run = (instruction: string, vector: number, gate: number): number[][] => {
      const b = bench(tier, `lea rsi, [rip + 1f]\n jmp user\n1: ${instruction}\n nop`);
      b.setGate(vector, 0x8000, gate);
      b.finish();
      return taken(b);
    };
    assert.deepEqual(run("int 0x50", 0x50, 0x8e00), [[VECTOR.GP, 0x50 * 8 + 2]]);
    assert.deepEqual(run("int 0x50", 0x50, 0xee00), [[0x50, 0]]);
    assert.deepEqual(run("int 0x50", 0x50, 0x6e00), [[VECTOR.NP, 0x50 * 8 + 2]]);
    assert.deepEqual(run("int 0x50", 0x50, 0xec00), [[VECTOR.GP, 0x50 * 8 + 2]]);
    assert.deepEqual(run("int3", VECTOR.BP, 0x8e00), [[VECTOR.GP, 3 * 8 + 2]]);
    assert.deepEqual(run("int3", VECTOR.BP, 0xee00), [[VECTOR.BP, 0]]);
    assert.deepEqual(run("int1", VECTOR.DB, 0x8e00), [[VECTOR.DB, 0]]);
  });

  test(`${tier}: interrupt gates clear IF, trap gates leave it, both clear TF`, () => {
    for (const [gate, expected] of [
      [0x8e00, 0],
      [0x8f00, RFLAGS.IF],
    ] as const) {
      const b = bench(tier, "sti\n nop\n ud2");
      b.setGate(VECTOR.UD, 0x8000, gate);
      b.finish();
      assert.equal(b.hart.rflags & RFLAGS.IF, expected);
      assert.equal(b.quad(STACK.kernel - 24) & RFLAGS.IF, RFLAGS.IF);
    }
  });

  test(`${tier}: page faults tell of the access`, () => {
    const fault = (instruction: string, flags: number, from: "kernel" | "user", more = 0): number[] => {
      const b = bench(
        tier,
        `mov ebx, PAGES + 8\n ${from === "user" ? "lea rsi, [rip + 1f]\n jmp user\n" : ""} 1: ${instruction}\n hlt`,
      );
      b.setPage(PAGES, PAGES, flags);
      b.hart.setSystemRegister("cr4", CR4.PAE | more, 0);
      b.finish();
      assert.equal(b.hart.systemRegister("cr2").lo, PAGES + 8);
      const [trap] = b.traps;
      assert.equal(trap?.cause, VECTOR.PF);
      return [b.quad((from === "user" ? STACK.rsp0 : STACK.kernel) - 48)];
    };
    const { PRESENT, WRITE, USER, FETCH } = PAGE_FAULT;
    assert.deepEqual(fault("mov al, [rbx]", 0, "kernel"), [0]);
    assert.deepEqual(fault("mov [rbx], al", 0, "kernel"), [WRITE]);
    assert.deepEqual(fault("add [rbx], al", PTE.P | PTE.U, "user"), [PRESENT | WRITE | USER]);
    assert.deepEqual(fault("mov al, [rbx]", SUPERVISOR, "user"), [PRESENT | USER]);
    assert.deepEqual(fault("jmp rbx", SUPERVISOR, "user"), [PRESENT | USER | FETCH]);
    assert.deepEqual(fault("mov al, [rbx]", SUPERVISOR | PTE.U, "kernel", CR4.SMAP), [PRESENT]);
    assert.deepEqual(fault("stac\n clac\n mov [rbx], al", SUPERVISOR | PTE.U, "kernel", CR4.SMAP), [PRESENT | WRITE]);
  });

  test(`${tier}: SMEP keeps the kernel from executing user pages`, () => {
    const b = bench(
      tier,
      `lea  rax, [rip + 1f]
       add  rax, ${SUPERVISOR_ALIAS}
       jmp  rax
1:     mov  rax, cr4
       or   eax, ${CR4.SMEP}
       mov  cr4, rax
       mov  eax, [PAGES]
       mov  eax, offset PAGES
       call rax`,
    );
    b.setGate(VECTOR.PF, SUPERVISOR_ALIAS + HANDLERS);
    b.finish();
    assert.deepEqual(taken(b), [[VECTOR.PF, PAGES]]);
    assert.equal(b.quad(STACK.kernel - 64), PAGE_FAULT.PRESENT | PAGE_FAULT.FETCH);
  });

  test(`${tier}: stac lets the kernel into user pages under SMAP`, () => {
    const b = bench(tier, "mov ebx, PAGES\n stac\n mov dword ptr [rbx], 77\n clac\n jmp stop");
    b.hart.setSystemRegister("cr4", CR4.PAE | CR4.SMAP, 0);
    b.finish();
    assert.deepEqual(taken(b), []);
    assert.equal(b.machine.memory.read32(PAGES), 77);
    assert.equal(b.pageEntry(PAGES) & (PTE.A | PTE.D), PTE.A | PTE.D);
  });

  test(`${tier}: an access over the end of a page reports the page that is missing`, () => {
    const b = bench(tier, "mov ebx, PAGES + 4092\n mov rax, [rbx]\n hlt");
    b.setPage(PAGES + 4096, 0, 0);
    b.finish();
    assert.deepEqual(taken(b), [[VECTOR.PF, PAGES + 4096]]);
  });

  test(`${tier}: an instruction over the end of a page faults in its second page`, () => {
    const b = bench(tier, `mov rbx, 0xb8\n mov [PAGES + 4094], bx\n mov ebx, PAGES + 4094\n jmp rbx`);
    b.setPage(PAGES + 4096, 0, 0);
    b.finish();
    assert.deepEqual(taken(b), [[VECTOR.PF, PAGES + 4096]]);
    assert.equal(b.traps[0]?.pc, PAGES + 4094);
  });

  test(`${tier}: addresses that are not canonical raise #GP, on the stack #SS`, () => {
    const b = bench(tier, "mov rbx, 0x800000000000\n mov al, [rbx]\n hlt");
    b.finish();
    assert.deepEqual(taken(b), [[VECTOR.GP, 0]]);
    // Where only the bits that are translated name a page that is there, and that has just been used.
    const alias = bench(tier, "mov rbx, 0x1000000200000\n mov eax, PAGES\n mov cl, [rax]\n mov al, [rbx]\n hlt");
    alias.finish();
    assert.deepEqual(taken(alias), [[VECTOR.GP, 0]]);
    const onStack = bench(tier, "mov rbp, 0x800000000000\n mov al, [rbp]\n hlt");
    onStack.finish();
    assert.deepEqual(taken(onStack), [[VECTOR.SS, 0]]);
    const fetch = bench(tier, "mov rbx, 0x800000000000\n jmp rbx");
    fetch.finish();
    assert.deepEqual(taken(fetch), [[VECTOR.GP, 0]]);
  });

  test(`${tier}: a fault in the delivery of one becomes a double fault, or is delivered instead`, () => {
    // #GP while #GP is delivered.
    const b = bench(tier, "mov eax, 0x1230\n mov ds, eax");
    b.setGate(VECTOR.GP, HANDLERS, 0x8500);
    b.finish();
    assert.deepEqual(taken(b), [[VECTOR.DF, 0]]);
    // A page fault while #UD is delivered: the stack is not there.
    const serial = bench(tier, "mov esp, PAGES + 4096\n ud2");
    serial.setPage(PAGES, 0, 0);
    serial.setGate(VECTOR.PF, HANDLERS, 0x8e01);
    serial.finish();
    assert.deepEqual(taken(serial), [[VECTOR.PF, PAGES + 4096 - 40]]);
    // … while a page fault is delivered.
    const double = bench(tier, "mov esp, PAGES + 4096\n mov al, [PAGES]");
    double.setPage(PAGES, 0, 0);
    double.setGate(VECTOR.DF, HANDLERS, 0x8e01);
    double.finish();
    assert.deepEqual(taken(double), [[VECTOR.DF, 0]]);
  });

  test(`${tier}: a fault in the delivery of a double fault shuts the machine down`, () => {
    const b = bench(tier, "lidt [rip + none]\n ud2\n none: .word 0\n .quad 0");
    const reason = b.machine.run({ instructions: 1000 });
    assert.deepEqual(reason, { kind: "halted", reason: "failure", status: 1 });
    assert.match(b.hart.shutdownReport ?? "", /hart 0 shut down/);
  });

  test(`${tier}: TF traps after each instruction, but not between a load of ss and what follows it`, () => {
    const b = bench(
      tier,
      `mov  ecx, DATA
       pushfq
       or   dword ptr [rsp], 0x100
       popfq
a1:    nop
a2:    mov  ss, ecx
       nop
a3:    pushfq
       and  dword ptr [rsp], ~0x100
       popfq
a4:    jmp  stop
catch_1:
       push rax
       mov  rax, dr6
       mov  r8, rax
       mov  rax, [rsp + 8]
       stosq
       pop  rax
       iretq`,
    );
    b.hart.setGprNumber(GPR.rdi, PAGES);
    b.finish();
    const seen = Array.from({ length: 6 }, (_, i) => b.quad(PAGES + i * 8));
    const after = (name: string, length: number): number => b.symbol(name) + length;
    // What follows a3 has been single-stepped up to and with popfq.
    assert.deepEqual(seen.slice(0, 3), [after("a1", 1), b.symbol("a3"), after("a3", 1)]);
    assert.deepEqual(seen.slice(4), [b.symbol("a4"), 0]);
    assert.equal(b.gpr("r8") & 0x4000, 0x4000);
  });

  test(`${tier}: an interrupt is taken after the instruction that follows sti, and ends hlt`, () => {
    const b = bench(
      tier,
      `sti
       nop
here:  mov  ebx, 1
       sti
       hlt
       mov  ecx, 1
       jmp  stop
catch_48:
       mov  rdx, [rsp]
       iretq`,
    );
    const vectors = [48];
    attachApic(b, vectors);
    b.finish();
    assert.equal(b.gpr("rdx"), b.symbol("here"));
    assert.deepEqual([b.gpr("rbx"), b.gpr("rcx")], [1, 0]);
    assert.ok(b.hart.waiting);
    vectors.push(48);
    b.machine.services.setInterrupt(0, REQUEST.INTR, true);
    b.finish();
    assert.equal(b.gpr("rcx"), 1);
    assert.deepEqual(
      b.traps.map(({ cause, interrupt }) => [cause, interrupt]),
      [
        [48, true],
        [48, true],
      ],
    );
  });

  test(`${tier}: an NMI blocks others until iretq`, () => {
    const b = bench(tier, "nop\n jmp stop\n catch_2: inc ebx\n mov ecx, ebx\n nop\n iretq");
    b.machine.services.setInterrupt(0, REQUEST.NMI, true);
    b.hart.setGprNumber(GPR.rbx, 0);
    const probe = b.machine.probes.trap;
    b.machine.probes.trap = (hart, trap) => {
      probe?.(hart, trap);
      if (b.traps.length === 1) b.machine.services.setInterrupt(0, REQUEST.NMI, true);
    };
    b.finish();
    assert.equal(b.traps.length, 2);
    assert.equal(b.gpr("rbx"), 2);
    // The second came right after the first one's iretq, not in its handler.
    assert.equal(b.traps[1]?.pc, b.traps[0]?.pc);
  });

  test(`${tier}: the I/O bitmap says which ports user code may use`, () => {
    const run = (port: number, size: "al" | "eax", iopl = 0): number[][] => {
      const b = bench(
        tier,
        `push USER_DATA\n push ${STACK.user}\n push ${2 | (iopl << 12)}\n push USER_CODE\n lea rax, [rip + 1f]\n push rax
         iretq\n 1: mov edx, ${port}\n in ${size}, dx\n int3`,
      );
      b.setGate(VECTOR.BP, HANDLERS, 0xee00);
      b.machine.memory.write16(TSS + 102, 0x68);
      b.machine.memory.fill(TSS + 0x68, 0x1000, 0xff);
      b.machine.memory.write8(TSS + 0x68 + 0x80 / 8, 0b1110_0000);
      b.finish();
      return taken(b);
    };
    assert.deepEqual(run(0x80, "al"), [[VECTOR.BP, 0]]);
    assert.deepEqual(run(0x81, "eax"), [[VECTOR.BP, 0]]);
    assert.deepEqual(run(0x82, "eax"), [[VECTOR.GP, 0]]);
    assert.deepEqual(run(0x90, "al"), [[VECTOR.GP, 0]]);
    assert.deepEqual(run(0x90, "al", 3), [[VECTOR.BP, 0]]);
  });

  test(`${tier}: alignment is checked at CPL 3 with CR0.AM and AC`, () => {
    const b = bench(
      tier,
      `push USER_DATA\n push ${STACK.user}\n push 0x40002\n push USER_CODE\n lea rax, [rip + 1f]\n push rax
       mov rax, cr0\n or eax, 0x40000\n mov cr0, rax\n iretq
       1: mov eax, [PAGES + 4]\n mov ax, [PAGES + 2]\n mov eax, [PAGES + 2]`,
    );
    b.finish();
    assert.deepEqual(taken(b), [[VECTOR.AC, 0]]);
    assert.equal(b.quad(STACK.rsp0 - 48), 0);
  });

  test(`${tier}: a near transfer to a non-canonical address faults where it is, with the stack pointer as before`, () => {
    const program = (transfer: string): string => `
       mov  rax, 0xaaaaaaaaaaaaaaaa
       lea  rbx, [rip + target]
       mov  rsp, ${STACK.kernel} - 64
       mov  [rsp], rax
       mov  ecx, 100
1:     dec  ecx
       jnz  1b
bad:   ${transfer}
target: .quad 0xaaaaaaaaaaaaaaaa`;
    for (const transfer of ["jmp rax", "jmp [rbx]", "call rax", "call [rbx]", "ret", "ret 24"]) {
      const b = bench(tier, program(transfer));
      b.finish();
      assert.deepEqual(taken(b), [[VECTOR.GP, 0]]);
      assert.equal(b.traps[0]?.pc, b.symbol("bad"));
      assert.equal(b.quad(b.gpr("rsp") + 32), STACK.kernel - 64, transfer);
      assert.equal(b.hart.instructionsRetired, 6 + 200 - 1 + 1);
    }
  });

  test(`${tier}: a return to user code keeps the bases of segments that become null`, () => {
    const b = bench(
      tier,
      `mov  ax, DATA
       mov  gs, ax
       mov  eax, ${PAGES}
       wrgsbase rax
       mov  dword ptr [rax + 8], 77
       lea  rsi, [rip + 1f]
       jmp  user
1:     mov  ebx, gs
       mov  ecx, gs:[8]
       hlt`,
    );
    b.finish();
    assert.deepEqual([b.gpr("rbx"), b.gpr("rcx")], [0, 77]);
  });
}

/** A local APIC that offers these vectors, one after the other. */
function attachApic(b: Bench, vectors: number[]): void {
  const port: LocalApicPort = {
    pendingVector: () => vectors[0] ?? -1,
    acknowledge: () => {
      vectors.shift();
      b.machine.services.setInterrupt(0, REQUEST.INTR, vectors.length > 0);
    },
    startVector: () => 0,
    taskPriority: () => 0,
    setTaskPriority: () => {},
    deadlineNs: () => undefined,
    setDeadlineNs: () => {},
    setGlobalEnable: () => {},
  };
  b.hart.attachLocalApic(port);
  b.machine.services.setInterrupt(0, REQUEST.INTR, true);
}
