/**
 * Which exception an instruction raises whose memory operand has no translation: the interpreter, which raises page faults by itself, and
 * the exact tier agree, and nothing has changed. Intel SDM volume 3, 6.9 (priority among exceptions).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CR0 } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { bench, PAGES, STACK, TIERS, type TestTier } from "./testing.test.support.ts";

/** A page without translation, in rdi; the one before it has one. */
const ABSENT = PAGES + 8 * 4096;

interface Outcome {
  readonly vector: number | undefined;
  /** Of a page fault its address, else the error code. */
  readonly value: number | undefined;
  readonly isAtInstruction: boolean;
  /** The stack pointer, as the handler finds it. */
  readonly rsp: number;
}

/** Executes an instruction at CPL 3, often enough in a loop to be met by every form of the interpreter. */
function run(tier: TestTier, instruction: string, cr0 = 0): Outcome {
  const source = `
        lea    rsi, [rip + start]
        jmp    user
start:  mov    edi, ${PAGES}
        mov    eax, 5
        mov    ecx, 40
        mov    ebp, edi
again:  ${instruction}
        dec    ecx
        jnz    again
        mov    edi, ${ABSENT}
        mov    ecx, 1
        mov    ebp, edi
        jmp    again`;
  const b = bench(tier, source, "kernel", { hotness: { pause: 0, samples: 4, quantum: 20, threshold: 1 } });
  b.setPage(ABSENT, 0, 0);
  if (cr0 !== 0) {
    const { lo, hi } = b.hart.systemRegister("cr0");
    b.hart.setSystemRegister("cr0", lo | cr0, hi);
  }
  b.finish(3000);
  const [trap] = b.traps;
  return {
    vector: trap?.cause,
    value: trap?.tval,
    isAtInstruction: trap?.pc === b.symbol("again"),
    rsp: b.quad(STACK.rsp0 - 16),
  };
}

const PAGE_FAULTS: readonly (readonly [string, number])[] = [
  ["mov rax, [rdi]", 0],
  ["mov byte ptr [rdi + 7], al", 7],
  ["mov dword ptr [rdi + rcx * 8], 3", 8],
  ["add [rdi], rax", 0],
  ["add rax, [rdi + 8]", 8],
  ["cmp dword ptr [rdi], 0", 0],
  ["movzx edx, byte ptr [rdi + 1]", 1],
  ["inc dword ptr [rdi]", 0],
  ["xchg [rdi], rdx", 0],
  ["imul rdx, [rdi]", 0],
  ["mov rdx, [rdi - 4]", 0],
  ["mov [rdi + 4095], rax", 4095],
  ["movups xmm0, [rdi + 3]", 3],
  ["movups [rdi + 1], xmm0", 1],
  ["movaps [rdi + 16], xmm0", 16],
  ["addps xmm0, [rdi]", 0],
];

for (const [instruction, offset] of PAGE_FAULTS) {
  test(`#PF of \`${instruction}\``, () => {
    for (const tier of TIERS) {
      const found = run(tier, instruction);
      const { vector, value, isAtInstruction } = found;
      assert.deepEqual(
        { vector, value, isAtInstruction },
        { vector: VECTOR.PF, value: ABSENT + offset, isAtInstruction: true },
        tier,
      );
    }
  });
}

test("#PF of stack accesses: the stack pointer is what it was", () => {
  const end = ABSENT + 4096;
  for (const [instruction, stack, address] of [
    ["push rax", end, end - 8],
    ["push 5", end, end - 8],
    ["pop rax", ABSENT, ABSENT],
    ["leave", ABSENT, ABSENT],
    ["ret", ABSENT, ABSENT],
    ["call rdx", end, end - 8],
    ["push qword ptr [rdi]", ABSENT - 8, ABSENT],
    ["pop qword ptr [rsi]", ABSENT, ABSENT],
  ] as const) {
    for (const tier of TIERS) {
      const found = run(tier, `mov esp, ${stack}\n mov ebp, esp\n mov edi, ${ABSENT}\n ${instruction}`);
      const { vector, value, rsp } = found;
      assert.deepEqual(
        { vector, value, rsp },
        { vector: VECTOR.PF, value: address, rsp: stack },
        `${tier} ${instruction}`,
      );
    }
  }
});

test("what comes before a page fault: misalignment, and vectors that are switched off", () => {
  for (const tier of TIERS) {
    assert.equal(run(tier, "movaps xmm0, [rdi + rcx * 8 - 8 + 4]").vector, VECTOR.GP, tier);
    assert.equal(run(tier, "movups xmm0, [rdi]", CR0.TS).vector, VECTOR.NM, tier);
    assert.equal(run(tier, "movups xmm0, [rdi]", CR0.EM).vector, VECTOR.UD, tier);
  }
});

test("swapgs and clac in the interpreter: #GP and #UD for user code, and what they do for the kernel", () => {
  for (const tier of TIERS) {
    assert.equal(run(tier, "swapgs").vector, VECTOR.GP, tier);
    assert.equal(run(tier, "clac").vector, VECTOR.UD, tier);
    const b = bench(
      tier,
      `
        mov    ecx, 30
again:  swapgs
        clac
        dec    ecx
        jnz    again
        stac
        clac
        pushfq
        pop    rax`,
    );
    b.hart.setSystemRegister("gsBase", 0x1234, 1);
    b.hart.setSystemRegister("kernelGsBase", 0x5678, 2);
    b.hart.setPc(b.symbol("main"));
    b.finish(1000);
    assert.equal(b.traps.length, 0);
    assert.deepEqual(b.hart.systemRegister("gsBase"), { lo: 0x1234, hi: 1 });
    assert.deepEqual(b.hart.systemRegister("kernelGsBase"), { lo: 0x5678, hi: 2 });
    assert.equal(b.gpr("rax") & 0x4_0000, 0);
  }
});
