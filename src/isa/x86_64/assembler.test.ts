// Tests of assembler.ts. That its encodings are those of GNU as is for test/isa/x86-assembler-oracle.test.ts.

import assert from "node:assert/strict";
import test from "node:test";
import { assemble, AssemblyError, type AssemblerOptions } from "./assembler.ts";

/** `expected` in hexadecimal; spaces in it do not matter. */
const encodes = (source: string, expected: string, options: Partial<AssemblerOptions> = {}): void => {
  const { bytes } = assemble(source, { base: 0, ...options });
  assert.equal(Buffer.from(bytes).toString("hex"), expected.replaceAll(" ", ""), source);
};
const refuses = (source: string, pattern: RegExp, line = 1, mode: 32 | 64 = 64): void => {
  assert.throws(
    () => assemble(source, { base: 0, mode }),
    (error) => error instanceof AssemblyError && pattern.test(error.message) && error.line === line,
    source,
  );
};

test("operands have the encodings that the manual gives", () => {
  encodes("mov rax, [rbx + rcx*8 + 16]", "488b44cb10");
  encodes("mov dword ptr [rax], 5", "c70005000000");
  encodes("lock cmpxchg [rdi], esi", "f00fb137");
  encodes("rep movsb; rep stosq", "f3a4f348ab");
  encodes("mov rax, gs:[8]; mov rax, qword ptr gs:8", "65488b042508000000 65488b042508000000");
  encodes("mov eax, 16[rsp]; mov eax, [rsp][8 + 8]", "8b442410 8b442410");
  encodes("mov cr3, rax; mov rax, cr8", "0f22d8440f20c0");
  encodes("iretq; sysretq; swapgs; retfq; int 0x80; kentry 3", "48cf480f070f01f848cbcd800f0403");
  encodes("movaps xmm1, [rsp+16]; fld tbyte ptr [rdi]", "0f284c2410db2f");
  encodes("lgdt [0x1234]; ltr ax", "0f0115341200000f00d8", { mode: 32 });
  encodes("jmp 0x08:0x12345678; jmp fword ptr [ebx]", "ea785634120800ff2b", { mode: 32 });
  encodes("mov ax, [bx + si - 2]", "67668b40fe", { mode: 32 });
});

test("the shortest encoding is chosen", () => {
  encodes("add rcx, 5; add eax, 500; add al, 5", "4883c105 05f4010000 0405");
  encodes("mov rax, -1; mov rax, 0x80000000", "48c7c0ffffffff 48b80000008000000000");
  encodes("mov eax, [rbp]; mov eax, [r13 + 128]", "8b4500 418b8580000000");
  encodes("inc eax; mov eax, [0x1000]", "40a100100000", { mode: 32 });
  encodes("push 5; push 500; shl eax, 1", "6a05 68f4010000 d1e0");
  encodes("movabs rax, 5", "48b80500000000000000");
});

test("jumps are short where they reach, and labels may lie ahead", () => {
  encodes("1: jmp 1f; jne 1b; 1: call 1b", "eb0275fce8fbffffff");
  const far = (count: number): number => assemble(`jmp a; .zero ${count}; a:`, { base: 0 }).bytes.length - count;
  assert.deepEqual([far(127), far(128)], [2, 5]);
  // The first jump becomes long only because the second one does.
  const chain = assemble("jmp a; jmp b; .zero 123; a: .zero 5; b:", { base: 0 });
  assert.equal(chain.symbols.get("b"), 5 + 5 + 128);
  refuses("jmp short a\n.zero 128\na:", /out of reach/);
  refuses("loop a\n.zero 128\na:", /out of reach/);
  encodes("call high", "e80b000000", { base: -4096, symbols: { high: -4096n + 16n } });
});

test("rip-relative addresses count from the end of the instruction", () => {
  encodes("mov dword ptr [rip + a], 5; a:", "c7050000000005000000");
  encodes("lea rax, [rip + 16]", "488d0510000000");
  encodes("lgdt [rip + table]", "0f0115f9ffffff", { base: -0x1000, symbols: { table: -0x1000 } });
});

test("the mode changes within a source, and data directives have the sizes of the architecture", () => {
  encodes(".code32\n push eax\n mov eax, 1\n.code64\n push rax\n mov eax, 1", "50b80100000050b801000000");
  encodes(".code16; mov ax, 1; mov eax, cr0; iretd; jmp 8:0x1234", "b80100 0f20c0 66cf ea34120800");
  encodes('.byte 1; .word 2; .long 3; .quad 4; .asciz "a"', "01 0200 03000000 0400000000000000 6100");
  encodes("nop; .align 8; .byte 1; .align 4; .org 14, 0xff", "90 0f1f8000000000 01000000 ffff");
  encodes(".set a, 3; .equ a, a + 1; mov al, a", "b004");
});

test("mistakes name their line", () => {
  refuses("nop\nnosuch rax", /unknown instruction 'nosuch'/, 2);
  refuses("mov [rax], 5", /size is not known/);
  refuses("mov rax, ebx", /cannot be had with these operands/);
  refuses("mov al, 256", /256 does not fit/);
  refuses("add rax, 0x80000000", /does not fit/);
  refuses("mov rax, [rax + 0x80000000]", /does not fit/);
  refuses("mov rax, rbx", /64-bit mode only/, 1, 32);
  refuses("pusha", /in 64-bit mode/);
  refuses("lock mov [rax], ebx", /and prefixes/);
  refuses("mov rax, [rsp*2]", /is no address/);
  refuses("mov rax, [rax - rbx]", /only be added/);
  refuses("a: mov eax, a", /'offset …'/);
  refuses("mov eax, nowhere", /undefined symbol 'nowhere'/);
  refuses("mov ah, r8b", /cannot be had with/);
  refuses("jmp nowhere", /undefined symbol/);
  refuses(".org 4\n.org 2", /behind/, 2);
});
