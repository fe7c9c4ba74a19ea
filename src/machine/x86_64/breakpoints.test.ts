/** Debug registers and single-stepping through the instruction stream: Intel SDM volume 3, chapter 17. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CR4, RFLAGS } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { bench, PAGES, TIERS, type Bench } from "./testing.test.support.ts";

/** A handler that counts in r15, and keeps rip and dr6 of the last time in r14 and r13. `flags` is set in what it returns with. */
const handler = (flags: number): string => `
catch_1: inc  r15
       mov  r14, [rsp]
       mov  r13, dr6
       or   dword ptr [rsp + 16], ${flags}
       iretq`;

const seen = (b: Bench): number[] => [b.gpr("r15"), b.gpr("r14"), b.gpr("r13")];
const ONES = 0xffff0ff0;

for (const tier of TIERS) {
  test(`${tier}: an execution breakpoint is a fault before the instruction, which RF lets pass`, () => {
    const b = bench(
      tier,
      `lea  rax, [rip + here]
       mov  dr2, rax
       mov  eax, 2
       mov  dr6, rax
       mov  eax, 0x20
       mov  dr7, rax
       mov  ecx, 3
here:  inc  rbx
       loop here
       xor  eax, eax
       mov  dr7, rax
       jmp  stop
${handler(RFLAGS.RF)}`,
    );
    b.finish();
    assert.equal(b.gpr("rbx"), 3);
    // What was met before is no longer in dr6.
    assert.deepEqual(
      seen(b),
      [3, b.symbol("here"), ONES | 4].map((n) => n >>> 0),
    );
  });

  test(`${tier}: a data breakpoint is a trap after the access, if it is of the kind and touches the bytes`, () => {
    const met = (control: number, access: string): number => {
      const b = bench(
        tier,
        `mov  eax, ${PAGES} + 4
         mov  dr1, rax
         mov  rsi, ${PAGES}
         mov  rdi, ${PAGES} + 64
         mov  eax, ${control}
         mov  dr7, rax
         ${access}
after:   xor  eax, eax
         mov  dr7, rax
         jmp  stop
${handler(0)}`,
      );
      b.finish();
      if (b.gpr("r15") > 0) assert.equal(b.gpr("r13"), (ONES | 2) >>> 0);
      if (b.gpr("r15") > 0) assert.equal(b.gpr("r14"), b.symbol(access.includes("rep") ? "repeated" : "after"));
      return b.gpr("r15");
    };
    const store4 = 0x00d0_0008;
    const access1 = 0x0030_0008;
    assert.equal(met(store4, "mov dword ptr [rsi + 4], 1"), 1);
    assert.equal(met(store4, "mov byte ptr [rsi + 7], 1"), 1);
    assert.equal(met(store4, "mov qword ptr [rsi], 1"), 1);
    assert.equal(met(store4, "mov dword ptr [rsi + 8], 1"), 0);
    assert.equal(met(store4, "mov eax, [rsi + 4]"), 0);
    assert.equal(met(access1, "mov eax, [rsi + 4]"), 1);
    assert.equal(met(access1, "mov al, [rsi + 5]"), 0);
    assert.equal(met(0x00d0_0000, "mov dword ptr [rsi + 4], 1"), 0);
    // A repeated instruction traps after the element.
    assert.equal(met(access1, "mov ecx, 8\nrepeated: rep movsb"), 1);
  });

  test(`${tier}: with CR4.DE there are breakpoints of ports`, () => {
    for (const [port, count] of [
      [0x80, 1],
      [0x82, 0],
    ] as const) {
      const b = bench(
        tier,
        `mov  eax, 0x80
         mov  dr0, rax
         mov  eax, 0x60002
         mov  dr7, rax
         mov  edx, ${port}
         out  dx, al
         xor  eax, eax
         mov  dr7, rax
         jmp  stop
${handler(0)}`,
      );
      b.hart.setSystemRegister("cr4", b.hart.systemRegister("cr4").lo | CR4.DE, 0);
      b.finish();
      assert.equal(b.gpr("r15"), count);
    }
  });

  test(`${tier}: after a load of ss the trap waits for the next instruction, or goes with its own`, () => {
    const after = (instruction: string): number[] => {
      const b = bench(
        tier,
        `mov  eax, ${PAGES}
         mov  dr1, rax
         mov  word ptr [rax], DATA
         mov  edx, 0x00f00008
         mov  dr7, rdx
         mov  ss, [rax]
         ${instruction}
next:    xor  eax, eax
         mov  dr7, rax
         jmp  stop
catch_3: mov  r12, 1
         iretq
${handler(0)}`,
      );
      b.finish();
      return [b.gpr("r15"), b.gpr("r14") === b.symbol("next") ? 1 : 0, b.gpr("r12")];
    };
    assert.deepEqual(after("nop"), [1, 1, 0]);
    assert.deepEqual(after("int1"), [1, 1, 0]);
    assert.deepEqual(after("int 1"), [2, 1, 0]);
    assert.deepEqual(after("int3"), [1, 0, 1]);
  });

  test(`${tier}: sysretq that sets TF is traced before the first instruction of the user's`, () => {
    const b = bench(
      tier,
      `mov  ecx, 0xc0000081
       xor  eax, eax
       mov  edx, (DATA | 3) << 16 | CODE
       wrmsr
       lea  rcx, [rip + 1f]
       mov  r11d, ${RFLAGS.TF | RFLAGS.ONE}
       sysretq
1:     nop
       nop`,
    );
    b.finish();
    assert.deepEqual(
      b.traps.map(({ cause, from }) => [cause, from]),
      [[VECTOR.DB, 3]],
    );
    assert.equal(b.traps[0]?.pc, b.gpr("rcx"));
  });
}
