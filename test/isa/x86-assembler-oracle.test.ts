// The x86-64 assembler against GNU as: every row of the table with random operands, in both modes; sources such as a loader's.

import assert from "node:assert/strict";
import test from "node:test";
import { assemble } from "../../src/isa/x86_64/assembler.ts";
import { newDecoded } from "../../src/isa/x86_64/decode-types.ts";
import { decode } from "../../src/isa/x86_64/decode.ts";
import { instructions, instructionOf } from "../../src/isa/x86_64/instructions.ts";
import { skipWithout } from "../support/tools.ts";
import { int32Generator } from "./random-words.ts";
import { gnuAssembleX86, gnuDisassembleX86, X86_BINUTILS } from "./x86-binutils.ts";
import { randomTexts, type TextMode } from "./x86-random-text.ts";

const skip = skipWithout(...X86_BINUTILS);
const SEED = 20261125;
const TEXTS_PER_SIZE = 6;

/** Every instruction has so many bytes to itself, so that one of another length does not move the rest. */
const STRIDE = 32;

function atStrides(lines: readonly string[]): string {
  return [...lines, ""].map((line, i) => `.org ${i * STRIDE}, 0xcc\n ${line}`).join("\n");
}

/** Both assemblers' bytes of each line, as hexadecimal. */
function assembleLines(lines: readonly string[], mode: TextMode): { ours: Uint8Array; gnu: Uint8Array } {
  const text = atStrides(lines);
  return { ours: assemble(text, { base: 0, mode }).bytes, gnu: gnuAssembleX86(text, 0n, mode) };
}

function sliceOf(bytes: Uint8Array, index: number): string {
  return Buffer.from(bytes.subarray(index * STRIDE, (index + 1) * STRIDE))
    .toString("hex")
    .replace(/(cc)+$/, "");
}

/** Lines that are not the same bytes, nor bytes of the same length that objdump reads as the same instruction. */
function differences(lines: readonly string[], mode: TextMode): string[] {
  const { ours, gnu } = assembleLines(lines, mode);
  assert.equal(ours.length, gnu.length);
  const read = [gnuDisassembleX86(ours, STRIDE, mode), gnuDisassembleX86(gnu, STRIDE, mode)];
  return lines.flatMap((line, i) => {
    const [mine, theirs] = [sliceOf(ours, i), sliceOf(gnu, i)];
    if (mine === theirs) return [];
    if (mine.length <= theirs.length && read[0]?.[i] === read[1]?.[i]) return [];
    return [`${mode}: ${line}: ${mine} (${read[0]?.[i] ?? ""}), GNU ${theirs} (${read[1]?.[i] ?? ""})`];
  });
}

for (const mode of [64, 32] as const) {
  test(`every row of the table with random operands is what GNU as has, in ${mode}-bit mode`, { skip }, () => {
    const next = int32Generator(SEED);
    const rows = instructions().filter((row) => row.extension !== "vitrine");
    const lines = rows.flatMap((row) => randomTexts(row, mode, TEXTS_PER_SIZE, next));
    assert.ok(lines.length > 4000, `${lines.length} lines`);
    assert.deepEqual(differences(lines, mode).slice(0, 20), [], `seed ${SEED}`);
  });

  test(`what every row assembles to is decoded as that row, in ${mode}-bit mode`, () => {
    const next = int32Generator(SEED);
    const decoded = newDecoded();
    for (const row of instructions()) {
      for (const text of randomTexts(row, mode, TEXTS_PER_SIZE, next)) {
        const { bytes } = assemble(text, { base: 0x1000, mode });
        assert.equal(decode(bytes, 0, bytes.length, mode, decoded), "ok", text);
        assert.equal(decoded.length, bytes.length, text);
        // Exchanging eax with itself is the nop.
        const expected = /^xchg (\w+), \1$/.test(text) && bytes.includes(0x90) ? "nop" : row.mnemonic;
        assert.equal(instructionOf(decoded.id).mnemonic, expected, text);
      }
    }
  });
}

for (const mode of [64, 32] as const) {
  test(`what objdump shows of every row assembles to the same bytes, in ${mode}-bit mode`, { skip }, () => {
    const next = int32Generator(SEED + 1);
    const rows = instructions().filter((row) => row.extension !== "vitrine");
    const lines = rows.flatMap((row) => randomTexts(row, mode, 2, next));
    const { bytes } = assemble(atStrides(lines), { base: 0, mode });
    const shown = gnuDisassembleX86(bytes, STRIDE, mode);
    // int3 is what the space between is filled with, so objdump shows it as part of that.
    const texts = lines.map((line, i) => (line === "int3" ? line : (shown[i] ?? "")));
    const again = assemble(atStrides(texts), { base: 0, mode }).bytes;
    const different = lines.flatMap((line, i) =>
      sliceOf(bytes, i) === sliceOf(again, i) ? [] : [`${line}: ${texts[i] ?? ""}: ${sliceOf(again, i)}`],
    );
    assert.deepEqual(different, [], `seed ${SEED}`);
  });
}

test("names, and what may be left out, are understood as GNU as does", { skip }, () => {
  assert.deepEqual(differences(NAMES_64, 64), []);
  assert.deepEqual(differences(NAMES_32, 32), []);
});

const NAMES_64 = `
  jz . + 5; jnae . + 5; jc . + 5; jnbe . + 500; setnle al; cmovpo eax, ebx; loopnz . - 3; jecxz . + 4
  sal eax, 3; shl ecx; rcl byte ptr [rax]; imul ecx, 5; imul rcx, 500; test eax, [rbx]; xchg ecx, [rbx]; xchg r8, rax
  xchg eax, eax; xchg ax, ax; int 3; int3; int 0x80; xlatb; cwde; cdqe; cqo; lret; retfq; iretq; sysretq; sysexitq
  movsx rax, ecx; movsxd rax, dword ptr [rbx]; movsx eax, byte ptr [rbx]; movzx ecx, ax; movabs rax, 5
  mov rax, 0x123456789abcdef0; mov rax, [0x123456789abc]; mov [0x123456789abc], al; mov ah, [rax]; cmp ch, dh; mov spl, al
  mov rax, gs; mov ds, eax; mov fs, rbx; mov [rax], ds; sldt rax; str ecx; lar eax, cx; lsl eax, [rbx]; smsw rax
  push qword ptr [rax]; push [rax]; push word ptr 5; pushw 5; pop [rbx]; call [rax]; jmp [rax]; call qword ptr [rip + 8]
  jmp far ptr [rax]; call fword ptr [rbx]; push fs; pop gs; pushfq; popfq; enter 16, 0; ret 8; rep ret
  mov rax, [rax + rsp]; mov rax, [rsp]; mov rax, [r12]; mov rax, [r13]; mov rax, [rbp]; mov rax, [rax*2]; mov rax, [rax*1]
  mov rax, [rbx*1 + rcx]; mov rax, [4*rcx + rbx]; mov rax, 16[rsp]; mov eax, [ebx + esi]; mov eax, [rip + 16]; lea eax, [eax]
  mov ecx, ds:[rbx]; mov ecx, ds:[rbp]; mov ecx, ss:[rbp]; mov ecx, cs:[rbx]; mov rax, gs:8; mov al, byte ptr gs:[rax]
  mov rcx, [rbx - 128]; mov rcx, [rbx + 128]; add rax, -128; add eax, 0xffffffff; add ax, 0xffff; add al, 0xff; add ax, 5
  movsb; movsd; movsq; rep movsb; rep stosq; repne scasb; repz cmpsb; lodsw; insb; outsd; rep movs byte ptr es:[rdi], byte ptr ds:[rsi]
  stos qword ptr es:[rdi], rax; lods al, byte ptr gs:[rsi]; movs dword ptr [edi], dword ptr [esi]; cmps word ptr [rsi], word ptr es:[rdi]
  movsd xmm0, xmm1; movsd xmm0, [rax]; movsd [rax], xmm0; cmpsd xmm0, xmm1, 1; cmpltps xmm0, [rax]; cmpneqsd xmm3, xmm4
  movq xmm0, xmm1; movq xmm0, rax; movq rax, xmm0; movq xmm0, [rax]; movq [rax], xmm0; movq mm0, rax; movq mm1, mm2; movd mm0, eax
  pextrw eax, xmm0, 1; pextrw [rax], xmm0, 1; pinsrw xmm0, eax, 1; blendvps xmm0, xmm1; pblendvb xmm2, [rax], xmm0; crc32 rax, bl
  cvtsi2sd xmm0, rax; cvtsi2sd xmm0, dword ptr [rax]; cvttsd2si rax, xmm0; psllw xmm0, 4; psllw xmm0, xmm1
  fadd st, st(1); fadd st(1), st; fadd st(3); faddp; faddp st(2), st; fsub st(1), st; fsubr st(1), st; fsubp; fsubrp st(1), st
  fdivp; fdiv st(2), st; fcom; fcom st(2); fcomi st, st(1); fcomip st(1); fucomi st(2); fxch; fxch st(2); fld st(0); fcmovb st, st(1)
  fstcw [rax]; fnstcw [rax]; fstsw ax; fnstsw ax; fsave [rax]; fstenv [rax]; finit; fclex; fwait; fld tbyte ptr [rax]
  lock add [rax], ecx; lock xchg [rax], ecx; lock cmpxchg16b [rdi]; lock; rep; movsb; nop; pause; endbr64; nop dword ptr [rax]
  fxsave64 [rax]; xsave64 [rax]; ldmxcsr [rax]; clflush [rax]; invlpg [rax]; prefetcht0 [rax]; rdfsbase rax; wrgsbase ecx
  ltr ax; lldt [rax]; verr cx; lmsw ax; mov cr8, rax; mov rax, cr4; mov dr7, rax; in al, dx; in eax, 0x60; out dx, ax; out 0x80, al
  mov al, 'x'; mov al, '#'; mov ecx, 2 + 3 * 4; mov ecx, (1 << 4) | 3; shld eax, ebx, cl; bt dword ptr [rax], 5; int1
`
  .split(/[;\n]/)
  .map((line) => line.trim())
  .filter((line) => line !== "");

const NAMES_32 = `
  jmp 0x08:0x12345678; call 0x10:5; jmp fword ptr [ebx]; jmp far ptr [ebx]; call [ebx]; jmp ebx; push [ebx]; push 5; push 500
  pushad; popad; pushfd; popfd; iretd; retf; inc eax; dec bx; mov eax, [0x1000]; mov [0x1000], al; mov eax, ds:[0x1000]
  les eax, [ebx]; lds cx, [ebx]; lss esp, [ebx]; bound eax, [ebx]; arpl ax, bx; aam; aad 5; into; push ds; pop es; jcxz . + 5
  mov cr0, eax; mov eax, dr6; lgdt [ebx]; lidt [0x1000]; mov ax, [bx + si]; mov eax, [bp]; mov eax, [di + 300]; lea ax, [bx]
  mov eax, [ebx + 0xfffffffc]; mov eax, [ebx*4]; mov ah, bh; add bl, [esp + 8]; mov dword ptr [0xfee00000], 1; xchg eax, eax
`
  .split(/[;\n]/)
  .map((line) => line.trim())
  .filter((line) => line !== "");

test("a loader, from 32-bit to 64-bit mode, is laid out as GNU as and ld have it", { skip }, () => {
  const source = `
    .set CR4_PAE, 1 << 5
    .set EFER, 0xc0000080
    .set TABLES, 0x1000
    start:  cli
            cld
            lgdt    [descriptor]
            mov     eax, 0x10
            mov     ds, eax
            mov     ss, eax
            mov     esp, offset stack
            call    tables
            mov     eax, cr4
            or      eax, CR4_PAE
            mov     cr4, eax
            mov     eax, TABLES
            mov     cr3, eax
            mov     ecx, EFER
            rdmsr
            or      eax, 0x901
            wrmsr
            mov     eax, cr0
            or      eax, 0x80000001
            mov     cr0, eax
            jmp     0x08:long
    tables: xor     eax, eax
            mov     edi, TABLES
            mov     ecx, (tables - start) * 4
            rep stosd
            mov     dword ptr [TABLES], TABLES + 0x1003
            mov     dword ptr [TABLES + 0x1000], TABLES + 0x2003
            xor     ecx, ecx
    1:      mov     edx, ecx
            shl     edx, 21
            or      edx, 0x83
            mov     [TABLES + 0x2000 + ecx*8], edx
            mov     [table + ecx*8], edx
            inc     ecx
            cmp     ecx, 128
            jb      1b
            ret
            .align  8
    gdt:    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
    descriptor:
            .word   descriptor - gdt - 1
            .long   gdt
            .balign 16, 0xf4
            .code64
    long:   mov     ax, 0x10
            mov     ds, ax
            lea     rsp, [rip + stack]
            mov     rbp, rsp
            movabs  rax, offset last
            lea     rdi, [rip + table + 8]
            lea     rsi, [rax + rax*4 - 1]
            mov     rcx, gs:[8]
            mov     byte ptr [rip + flag], 'x'
            cmp     dword ptr [rip + table], 0x12345
            test    rax, rax
            jnz     1f
            call    function
            jmp     last
    1:      lock inc dword ptr [rip + flag]
            swapgs
            iretq
    function:
            push    rbp
            mov     rbp, rsp
            sub     rsp, 32
            jmp     2f
            .zero   100
    2:      jmp     3f
            .zero   120
    3:      loop    3b
            leave
            ret
            .p2align 4
    last:   hlt
            jmp     last
            jmp     start
            .align  64
    table:  .quad   table, last - start, -1
            .long   function - last, 'a', 0xffffffff
            .word   1, -1
            .byte   1, 2, flag - table
            .ascii  "one", "two\\n"
            .asciz  "three # // ;"
    flag:   .zero   5
            .skip   3, 0x55
            .org    0x300
            .balign 32, 0
    stack:`;
  for (const base of [0x100000n, 0x7c00n]) {
    const { bytes } = assemble(source, { base: Number(base), mode: 32 });
    const gnu = gnuAssembleX86(source, base, 32);
    assert.deepEqual(Buffer.from(bytes).toString("hex"), Buffer.from(gnu).toString("hex"));
  }
});

test("long jumps and the padding between them settle as GNU as has it", { skip }, () => {
  const next = int32Generator(SEED);
  for (let round = 0; round < 20; round++) {
    const lines = Array.from({ length: 120 }, (_, i) => {
      const target = `l${Math.min(119, Math.max(0, i + ((next() >> 4) % 40)))}`;
      const jump = ["jmp", "je", "jg", "call"][next() & 3] ?? "jmp";
      const filler = [`.zero ${(next() >>> 0) % 20}`, "mov rax, [rbx + 8]", ".balign 8, 0xcc", "nop"][next() & 3] ?? "";
      return `l${i}: ${jump} ${target}\n ${filler}`;
    });
    const source = lines.join("\n");
    const ours = assemble(source, { base: 0x1000 }).bytes;
    assert.deepEqual(ours, gnuAssembleX86(source, 0x1000n, 64), `seed ${SEED}, round ${round}`);
  }
});
