// Tests of disassembler.ts. What binutils says is in test/isa/.

import assert from "node:assert/strict";
import test from "node:test";
import { disassemble, disassembleAt, type DisassemblerOptions } from "./disassembler.ts";

function show(hex: string, options: DisassemblerOptions = {}): string {
  const bytes = Uint8Array.from(hex.split(" "), (byte) => Number.parseInt(byte, 16));
  const { text, length } = disassembleAt(bytes, 0, options);
  assert.equal(length, bytes.length, hex);
  return text;
}

test("both syntaxes", () => {
  for (const [hex, intel, att] of [
    ["f0 0f c1 44 8f f8", "lock xadd DWORD PTR [rdi+rcx*4-0x8],eax", "lock xadd %eax,-0x8(%rdi,%rcx,4)"],
    [
      "48 c7 04 25 00 10 00 80 ff ff ff ff",
      "mov QWORD PTR ds:0xffffffff80001000,0xffffffffffffffff",
      "movq $0xffffffffffffffff,0xffffffff80001000",
    ],
    ["64 48 8b 04 25 28 00 00 00", "mov rax,QWORD PTR fs:0x28", "mov %fs:0x28,%rax"],
    ["f3 48 a5", "rep movs QWORD PTR es:[rdi],QWORD PTR ds:[rsi]", "rep movsq %ds:(%rsi),%es:(%rdi)"],
    ["f3 0f 58 45 fc", "addss xmm0,DWORD PTR [rbp-0x4]", "addss -0x4(%rbp),%xmm0"],
    ["dc e9", "fsub st(1),st", "fsubr %st,%st(1)"],
    ["0f c2 c1 01", "cmpltps xmm0,xmm1", "cmpltps %xmm1,%xmm0"],
    ["ff 25 00 00 00 00", "jmp QWORD PTR [rip+0x0] # 0x6", "jmp *0x0(%rip) # 0x6"],
    ["0f b6 c4", "movzx eax,ah", "movzbl %ah,%eax"],
    ["48 98", "cdqe", "cltq"],
    ["f3 0f 1e fa", "endbr64", "endbr64"],
    ["0f 04 05", "kentry 0x5", "kentry $0x5"],
  ] as const) {
    assert.equal(show(hex), intel);
    assert.equal(show(hex, { syntax: "att" }), att);
  }
});

test("targets have their symbols", () => {
  const symbolize = (address: number): string => `start+${address - 0x1000}`;
  assert.equal(show("eb fe", { pc: 0x1000, symbolize }), "jmp 0x1000 <start+0>");
  assert.equal(show("48 8d 05 01 00 00 00", { pc: 0x1000, symbolize }), "lea rax,[rip+0x1] # 0x1008 <start+8>");
  assert.equal(show("eb fe", { pc: -4096 }), "jmp 0xfffffffffffff000");
  assert.equal(show("eb fe", { pc: 0xfffff000, mode: 32 }), "jmp 0xfffff000");
});

test("prefixes without effect are shown, and what is no instruction is a byte", () => {
  assert.equal(show("f3 c3"), "repz ret");
  assert.equal(show("48 c3"), "rex.W ret");
  assert.equal(show("66 66 2e 0f 1f 84 00 00 00 00 00"), "data16 cs nop WORD PTR [rax+rax*1+0x0]");
  assert.deepEqual(disassemble(Uint8Array.of(0x06, 0x90), 0), { text: ".byte 0x6", length: 1 });
  assert.deepEqual(disassemble(Uint8Array.of(0x06, 0x90), 0, { mode: 32 }), { text: "push es", length: 1 });
  assert.deepEqual(disassemble(Uint8Array.of(0xe8, 0), 0), { text: ".byte 0xe8", length: 1 });
});
