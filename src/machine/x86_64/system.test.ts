/** System instructions through the instruction stream: segments, far transfers, system calls, registers, state areas. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CR0, CR4, EFER, GPR, RFLAGS, SEGMENT } from "../../isa/x86_64/registers.ts";
import { SYSTEM_CALL, VECTOR } from "../../isa/x86_64/vectors.ts";
import {
  bench,
  PAGES,
  PROGRAM,
  SELECTORS,
  STACK,
  SUPERVISOR_ALIAS,
  TIERS,
  type Bench,
} from "./testing.test.support.ts";

const taken = (b: Bench): number[][] => b.traps.map(({ cause, tval }) => [cause, tval]);
const GDT = 0x5000;

for (const tier of TIERS) {
  const run = (source: string): Bench => {
    const b = bench(tier, source);
    b.finish();
    return b;
  };
  const fault = (source: string): number[][] => taken(run(`${source}\n jmp stop`));

  test(`${tier}: segment registers take what their descriptors and privileges allow`, () => {
    assert.deepEqual(fault("mov eax, 0x78\n mov ds, eax"), [[VECTOR.GP, 0x78]]);
    assert.deepEqual(fault("mov eax, ABSENT\n mov ds, eax"), [[VECTOR.NP, SELECTORS.absent]]);
    assert.deepEqual(fault("mov eax, ABSENT\n mov ss, eax"), [[VECTOR.SS, SELECTORS.absent]]);
    assert.deepEqual(fault("mov eax, READ_ONLY\n mov ss, eax"), [[VECTOR.GP, SELECTORS.readOnly]]);
    assert.deepEqual(fault("mov eax, READ_ONLY\n mov ds, eax"), []);
    assert.deepEqual(fault("mov eax, USER_DATA\n mov ss, eax"), [[VECTOR.GP, SELECTORS.userData & ~3]]);
    assert.deepEqual(fault("mov eax, TASK\n mov es, eax"), [[VECTOR.GP, SELECTORS.task]]);
    assert.deepEqual(fault("mov eax, DATA | 3\n mov ds, eax"), [[VECTOR.GP, SELECTORS.data]]);
    assert.deepEqual(fault("mov eax, 4\n mov ds, eax"), [[VECTOR.GP, 4]]);
    assert.deepEqual(fault("xor eax, eax\n mov ss, eax\n mov ds, eax"), []);
    assert.deepEqual(fault("mov eax, 3\n mov ss, eax"), [[VECTOR.GP, 0]]);
    assert.deepEqual(fault("mov cs, eax"), [[VECTOR.UD, 0]]);
  });

  test(`${tier}: loading a segment marks its descriptor`, () => {
    const b = bench(tier, "mov eax, DATA\n mov fs, eax\n jmp stop");
    b.machine.memory.write8(GDT + SELECTORS.data + 5, 0x92);
    b.finish();
    assert.equal(b.machine.memory.read8(GDT + SELECTORS.data + 5), 0x93);
    assert.deepEqual(b.hart.segment(SEGMENT.fs), {
      selector: SELECTORS.data,
      base: { hi: 0, lo: 0 },
      limit: 0xffffffff,
      attributes: 0xc093,
    });
  });

  test(`${tier}: fs and gs have bases, which swapgs and the base instructions change`, () => {
    const b = run(`
      mov  eax, offset PAGES
      wrfsbase rax
      mov  dword ptr fs:[8], 5
      rdfsbase rbx
      mov  ecx, 0xc0000102
      mov  eax, offset PAGES + 0x1000
      xor  edx, edx
      wrmsr
      swapgs
      mov  dword ptr gs:[4], 6
      rdgsbase rcx
      jmp  stop`);
    assert.deepEqual(taken(b), []);
    assert.deepEqual([b.gpr("rbx"), b.gpr("rcx")], [PAGES, PAGES + 0x1000]);
    assert.equal(b.machine.memory.read32(PAGES + 8), 5);
    assert.equal(b.machine.memory.read32(PAGES + 0x1004), 6);
    assert.deepEqual(fault("mov rax, 0x800000000000\n wrgsbase rax"), [[VECTOR.GP, 0]]);
    assert.deepEqual(fault("mov rax, cr4\n btr eax, 16\n mov cr4, rax\n rdfsbase rax"), [[VECTOR.UD, 0]]);
  });

  test(`${tier}: syscall and sysret`, () => {
    const b = bench(
      tier,
      `lea  rsi, [rip + 1f]
       jmp  user
1:     mov  r10, 0x123
       stc
       std
       syscall
back:  cld
       mov  r9, cs
       ud2
kernel:
       mov  r8, rcx
       mov  r12, r11
       pushfq
       pop  r13
       mov  r14, cs
       mov  r15, ss
       sysretq`,
    );
    b.hart.setSystemRegister("star", 0, (SELECTORS.userCode32 << 16) | SELECTORS.code);
    b.hart.setSystemRegister("lstar", b.symbol("kernel"), 0);
    b.hart.setSystemRegister("sfmask", RFLAGS.DF | RFLAGS.IF, 0);
    // The kernel pushes to the user's stack here.
    b.finish();
    // Listeners are told of the call as well.
    assert.deepEqual(
      b.traps.map(({ cause, from, pc }) => [cause, from, pc]),
      [
        [SYSTEM_CALL, 3, b.symbol("back") - 2],
        [VECTOR.UD, 3, b.symbol("back") + 4],
      ],
    );
    assert.equal(b.gpr("r8"), b.symbol("back"));
    assert.equal(b.gpr("r12"), RFLAGS.ONE | RFLAGS.CF | RFLAGS.DF);
    assert.equal(b.gpr("r13"), RFLAGS.ONE | RFLAGS.CF);
    assert.deepEqual([b.gpr("r14"), b.gpr("r15")], [SELECTORS.code, SELECTORS.data]);
    assert.equal(b.gpr("r9"), SELECTORS.userCode);
    assert.deepEqual(fault("mov rcx, 0x800000000000\n sysretq"), [[VECTOR.GP, 0]]);
    const off = bench(tier, "syscall");
    off.hart.setSystemRegister("efer", EFER.LME | EFER.LMA, 0);
    off.finish();
    assert.deepEqual(taken(off), [[VECTOR.UD, 0]]);
  });

  test(`${tier}: sysretl and sysexit go to 32-bit code`, () => {
    const b = bench(
      tier,
      `mov  ecx, offset code
       mov  r11d, 2
       sysretd
       .code32
code:  mov  eax, cs
       mov  ebx, ss
       ud2`,
    );
    b.hart.setSystemRegister("star", 0, (SELECTORS.userCode32 << 16) | SELECTORS.code);
    b.finish();
    assert.deepEqual(taken(b), [[VECTOR.UD, 0]]);
    assert.deepEqual([b.gpr("rax"), b.gpr("rbx")], [SELECTORS.userCode32, SELECTORS.userData]);
  });

  test(`${tier}: syscall in 32-bit code goes to CSTAR`, () => {
    const b = bench(
      tier,
      `mov  ecx, offset code
       mov  r11d, 2
       sysretd
       .code32
code:  syscall
       .code64
entry: mov  r8, rcx
       mov  r9, cs
       ud2`,
    );
    b.hart.setSystemRegister("star", 0, (SELECTORS.userCode32 << 16) | SELECTORS.code);
    b.hart.setSystemRegister("cstar", b.symbol("entry"), 0);
    b.finish();
    assert.deepEqual([b.gpr("r8"), b.gpr("r9")], [b.symbol("entry"), SELECTORS.code]);
  });

  test(`${tier}: a far jump into compatibility mode and back`, () => {
    const b = run(`
      mov   rax, -1
      jmp   fword ptr [rip + down]
down: .long narrow
      .word CODE32
      .code32
narrow:
      mov   esp, 0x80000
      push  DATA
      pop   ds
      mov   eax, 0x10
      inc   eax
      push  eax
      call  1f
1:    pop   ebx
      mov   ecx, cs
      pusha
      popa
      jmp   CODE:wide
      .code64
wide: mov   rdx, cs
      jmp   stop`);
    assert.deepEqual(taken(b), []);
    assert.equal(b.gpr("rax"), 0x11);
    assert.deepEqual([b.gpr("rcx"), b.gpr("rdx")], [SELECTORS.code32, SELECTORS.code]);
    assert.equal(b.gpr("rsp"), 0x80000 - 4);
  });

  test(`${tier}: what only 32-bit code has needs no vector state`, () => {
    const b = bench(
      tier,
      `
      jmp   fword ptr [rip + down]
down: .long narrow
      .word CODE32
      .code32
narrow:
      mov   eax, 0x79
      add   al, 0x35
      daa
      mov   ebx, eax
      setc  cl
      mov   eax, 0x3f
      aam
      mov   edx, eax
      aad
      mov   esi, eax
      jmp   CODE:stop`,
    );
    b.hart.setSystemRegister("cr4", b.hart.systemRegister("cr4").lo & ~CR4.OSFXSR, 0);
    b.hart.setSystemRegister("cr0", b.hart.systemRegister("cr0").lo | CR0.TS, 0);
    b.finish();
    assert.deepEqual(taken(b), []);
    // 79 + 35 = 114 in decimal digits.
    assert.deepEqual([b.gpr("rbx"), b.gpr("rcx")], [0x14, 1]);
    assert.deepEqual([b.gpr("rdx"), b.gpr("rsi")], [0x0603, 0x3f]);
  });

  test(`${tier}: far calls and returns, of 4 and 8 bytes`, () => {
    const b = run(`
      mov   rbp, rsp
      push  CODE
      lea   rax, [rip + 1f]
      push  rax
      retfq
1:    call  fword ptr [rip + down]
back: mov   rdx, rsp
      jmp   stop
down: .long there
      .word CODE
there:
      mov   ebx, [rsp]
      mov   ecx, [rsp + 4]
      retf`);
    assert.deepEqual(taken(b), []);
    assert.deepEqual([b.gpr("rbx"), b.gpr("rcx")], [b.symbol("back"), SELECTORS.code]);
    assert.equal(b.gpr("rdx"), b.gpr("rbp"));
    assert.deepEqual(fault("push 0x78\n push 0\n retfq"), [[VECTOR.GP, 0x78]]);
    assert.deepEqual(fault("push 0\n push 0\n retfq"), [[VECTOR.GP, 0]]);
    assert.deepEqual(fault("push DATA\n push 0\n retfq"), [[VECTOR.GP, SELECTORS.data]]);
    assert.deepEqual(
      fault(
        "push USER_DATA\n push 0\n push 0\n push 0\n push CODE\n push 0\n mov ax, 0x4002\n push rax\n popfq\n iretq",
      ),
      [[VECTOR.GP, 0]],
    );
  });

  test(`${tier}: a call gate leads from user code to the kernel and back`, () => {
    const b = bench(
      tier,
      `lea   rsi, [rip + 1f]
       jmp   user
1:     call  fword ptr [rip + gate]
back:  mov   r15, rsp
       ud2
gate:  .long 0
       .word SPARE | 3
inner: mov   r8, [rsp]
       mov   r9, [rsp + 8]
       mov   r10, [rsp + 16]
       mov   r11, [rsp + 24]
       mov   r12, rsp
       mov   r13, ss
       mov   r14, cs
       retfq`,
    );
    const inner = b.symbol("inner");
    b.machine.memory.write32(GDT + SELECTORS.spare, (SELECTORS.code << 16) | (inner & 0xffff));
    b.machine.memory.write32(GDT + SELECTORS.spare + 4, (inner & 0xffff0000) | 0xec00);
    b.finish();
    assert.deepEqual(
      b.traps.map(({ cause, from }) => [cause, from]),
      [[VECTOR.UD, 3]],
    );
    assert.equal(b.gpr("r8"), b.symbol("back"));
    assert.deepEqual([b.gpr("r9"), b.gpr("r10"), b.gpr("r11")], [SELECTORS.userCode, STACK.user, SELECTORS.userData]);
    assert.deepEqual([b.gpr("r12"), b.gpr("r13"), b.gpr("r14")], [STACK.rsp0 - 32, 0, SELECTORS.code]);
    assert.equal(b.gpr("r15"), STACK.user);
  });

  test(`${tier}: user code may not what is the kernel's`, () => {
    const user = (instruction: string): number[][] =>
      fault(`mov rax, cr4\n bts rax, 11\n mov cr4, rax\n lea rsi, [rip + 1f]\n jmp user\n1: ${instruction}\n ud2`);
    for (const instruction of [
      "hlt",
      "cli",
      "sti",
      "mov rax, cr0",
      "mov cr3, rax",
      "mov rax, dr7",
      "clts",
      "rdmsr",
      "wrmsr",
      "invlpg [rsi]",
      "wbinvd",
      "swapgs",
      "lgdt [rsi]",
      "lidt [rsi]",
      "ltr ax",
      "lldt ax",
      "sgdt [rsi]",
      "sidt [rsi]",
      "str eax",
      "sldt eax",
      "smsw eax",
      "lmsw ax",
      "xsetbv",
      "rdpmc",
      "in al, 0x80",
      "out 0x80, al",
      "invpcid rax, [rsi]",
    ]) {
      assert.deepEqual(user(instruction), [[VECTOR.GP, 0]], instruction);
    }
    assert.deepEqual(user("stac"), [[VECTOR.UD, 0]]);
    assert.deepEqual(user("kentry 1"), [[VECTOR.UD, 0]]);
  });

  test(`${tier}: popf in user code leaves IF and IOPL`, () => {
    const b = run("lea rsi, [rip + 1f]\n jmp user\n1: push 0x3202\n popfq\n pushfq\n pop rbx\n ud2");
    assert.equal(b.gpr("rbx"), RFLAGS.ONE);
  });

  test(`${tier}: control registers refuse what is reserved or does not go together`, () => {
    const change = (register: string, bits: number | string): number[][] =>
      fault(`mov rax, ${register}\n mov rbx, ${bits}\n xor rax, rbx\n mov ${register}, rax`);
    const refused = [[VECTOR.GP, 0]];
    assert.deepEqual(change("cr0", CR0.NW), refused);
    assert.deepEqual(change("cr0", CR0.PE), refused);
    assert.deepEqual(change("cr0", "0x80000000"), refused);
    assert.deepEqual(change("cr0", "0x100000000"), refused);
    assert.deepEqual(change("cr0", CR0.WP | CR0.MP), []);
    assert.deepEqual(change("cr4", CR4.PAE), refused);
    assert.deepEqual(change("cr4", 1 << 13), refused);
    assert.deepEqual(change("cr4", CR4.PCIDE | CR4.PGE), []);
    assert.deepEqual(change("cr3", "0x4000000000000"), refused);
    assert.deepEqual(change("cr3", "0x8000000000000000"), refused);
    assert.deepEqual(fault("mov eax, 16\n mov cr8, rax"), refused);
    assert.deepEqual(fault("mov rax, cr1"), [[VECTOR.UD, 0]]);
  });

  test(`${tier}: model-specific registers`, () => {
    const write = (msr: number, lo: number, hi: number): number[][] =>
      fault(`mov ecx, ${msr}\n mov eax, ${lo}\n mov edx, ${hi}\n wrmsr`);
    const refused = [[VECTOR.GP, 0]];
    assert.deepEqual(write(0xc0000082, 1, 0x8000), refused);
    assert.deepEqual(write(0xc0000082, 1, -0x8000), []);
    assert.deepEqual(write(0xc0000080, 0x400, 0), refused);
    assert.deepEqual(write(0xc0000080, 0, 0), refused);
    assert.deepEqual(write(0xc0000080, EFER.LME, 0), []);
    assert.deepEqual(write(0x277, 0x02000000, 0), refused);
    assert.deepEqual(write(0x1b, 0x0ee00900, 0), refused);
    assert.deepEqual(write(0xc0000103, 1, 1), refused);
    assert.deepEqual(fault("mov ecx, 0x12345\n rdmsr"), refused);
    const b = run(`
      mov ecx, 0xc0000103\n mov eax, 42\n xor edx, edx\n wrmsr
      mov ecx, 0x10\n mov eax, 0x1000\n mov edx, 5\n wrmsr
      rdtscp\n mov r8, rcx\n mov r9, rdx\n mov r10, rax\n mov ecx, 0xc0000080\n rdmsr\n jmp stop`);
    assert.deepEqual([b.gpr("r8"), b.gpr("r9")], [42, 5]);
    assert.ok(b.gpr("r10") >= 0x1000 && b.gpr("r10") < 0x1010);
    assert.equal(b.gpr("rax"), EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE);
  });

  test(`${tier}: cpuid tells what is there`, () => {
    const ask = (leaf: number, subleaf = 0): number[] => {
      const b = run(`mov eax, ${leaf}\n mov ecx, ${subleaf}\n cpuid\n jmp stop`);
      return (["rax", "rbx", "rcx", "rdx"] as const).map((name) => b.gpr(name));
    };
    const text = (words: readonly number[]): string =>
      words.map((word) => String.fromCharCode(...[0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff))).join("");
    const [last = 0, ebx = 0, ecx = 0, edx = 0] = ask(0);
    assert.equal(last, 0x16);
    assert.equal(text([ebx, edx, ecx]), "GenuineIntel");
    assert.equal(text(ask(0x80000002)).replaceAll("\0", ""), "Vitrine x86-64");
    // x86-64-v2: CMPXCHG16B, LAHF, POPCNT, SSE3, SSE4.1, SSE4.2, SSSE3.
    assert.equal((ask(1)[2] ?? 0) & 0x00982201, 0x00982201);
    // No AVX, no RDRAND, no AES.
    assert.equal((ask(1)[2] ?? 0) & 0x72000002, 0);
    assert.deepEqual(ask(0xd), [3, 576, 576, 0]);
    assert.equal((ask(0x80000008)[0] ?? 0) & 0xffff, 0x302e);
  });

  test(`${tier}: lar, lsl, verr and verw tell of descriptors`, () => {
    const b = run(`
      mov ebx, DATA\n lar eax, ebx\n setz r8b\n lsl ecx, ebx\n
      mov ebx, 0x78\n lar edx, ebx\n setz r9b\n
      mov ebx, CODE\n verw bx\n setz r10b\n verr bx\n setz r11b\n
      mov ebx, TASK\n lsl esi, ebx\n setz r12b\n jmp stop`);
    assert.deepEqual([b.gpr("rax"), b.gpr("rcx"), b.gpr("rsi")], [0xcf9300, 0xffffffff, 0x1067]);
    assert.deepEqual(
      (["r8", "r9", "r10", "r11", "r12"] as const).map((name) => b.gpr(name) & 1),
      [1, 0, 0, 1, 1],
    );
  });

  test(`${tier}: sgdt, sidt, str and what loads them`, () => {
    const b = run(`
      mov ebx, offset PAGES\n sgdt [rbx]\n sidt [rbx + 16]\n str eax\n sldt ecx
      lgdt [rbx]\n lidt [rbx + 16]\n
      mov byte ptr [0x5000 + TASK + 5], 0x89\n mov edx, TASK\n ltr dx\n int 0x40\n jmp stop\n catch_64: iretq`);
    assert.deepEqual(taken(b), [[64, 0]]);
    assert.equal(b.machine.memory.read16(PAGES), 0x6f);
    assert.equal(b.machine.memory.read32(PAGES + 2), SUPERVISOR_ALIAS + GDT);
    assert.equal(b.machine.memory.read16(PAGES + 16), 0xfff);
    assert.deepEqual([b.gpr("rax"), b.gpr("rcx")], [SELECTORS.task, 0]);
    assert.equal(b.machine.memory.read8(GDT + SELECTORS.task + 5), 0x8b);
    assert.deepEqual(fault("mov edx, TASK\n mov byte ptr [0x5000 + TASK + 5], 0x8b\n ltr dx"), [
      [VECTOR.GP, SELECTORS.task],
    ]);
  });

  test(`${tier}: fxsave and fxrstor, xsave and xrstor keep x87 and SSE state`, () => {
    for (const [save, restore] of [
      ["fxsave64 [rbx]", "fxrstor64 [rbx]"],
      ["xsave64 [rbx]", "xrstor64 [rbx]"],
    ] as const) {
      const b = run(`
        mov   ebx, offset PAGES
        mov   eax, 3
        xor   edx, edx
        xor   ecx, ecx
        xsetbv
        fninit
        fld1
        mov   rcx, 0x11223344556000
        movq  xmm3, rcx
        mov   dword ptr [rbx + 1024], 0x3f80
        ldmxcsr [rbx + 1024]
        ${save}
        fninit
        pxor  xmm3, xmm3
        mov   dword ptr [rbx + 1024], 0x1f80
        ldmxcsr [rbx + 1024]
        ${restore}
        movq  r8, xmm3
        stmxcsr [rbx + 1028]
        fstp  qword ptr [rbx + 1032]
        jmp   stop`);
      assert.deepEqual(taken(b), []);
      assert.equal(b.gpr("r8"), 0x11223344556000);
      assert.equal(b.machine.memory.read32(PAGES + 1028), 0x3f80);
      assert.equal(b.machine.memory.read32(PAGES + 1036), 0x3ff00000);
      assert.equal(b.machine.memory.read32(PAGES + 28), 0xffff);
    }
    assert.deepEqual(fault("mov ebx, offset PAGES + 8\n fxsave [rbx]"), [[VECTOR.GP, 0]]);
    assert.deepEqual(fault("mov ebx, offset PAGES + 16\n xsave [rbx]"), [[VECTOR.GP, 0]]);
    assert.deepEqual(fault("mov ebx, offset PAGES\n mov dword ptr [rbx + 24], 0x10000\n fxrstor [rbx]"), [
      [VECTOR.GP, 0],
    ]);
    assert.deepEqual(fault("mov ebx, offset PAGES\n mov dword ptr [rbx + 512], 4\n xrstor [rbx]"), [[VECTOR.GP, 0]]);
    assert.deepEqual(fault("mov ebx, offset PAGES\n mov dword ptr [rbx], 0x10000\n ldmxcsr [rbx]"), [[VECTOR.GP, 0]]);
  });

  test(`${tier}: x87, MMX and SSE are there as CR0 and CR4 say`, () => {
    const set = (cr0: number, instruction: string): number[][] =>
      fault(`mov rax, cr0\n or rax, ${cr0}\n mov cr0, rax\n ${instruction}`);
    assert.deepEqual(set(CR0.TS, "fld1"), [[VECTOR.NM, 0]]);
    assert.deepEqual(set(CR0.EM, "fld1"), [[VECTOR.NM, 0]]);
    assert.deepEqual(set(CR0.TS, "addps xmm0, xmm1"), [[VECTOR.NM, 0]]);
    assert.deepEqual(set(CR0.EM, "addps xmm0, xmm1"), [[VECTOR.UD, 0]]);
    assert.deepEqual(set(CR0.TS, "paddb mm0, mm1"), [[VECTOR.NM, 0]]);
    assert.deepEqual(set(CR0.EM, "paddb mm0, mm1"), [[VECTOR.UD, 0]]);
    assert.deepEqual(set(CR0.TS, "fwait"), []);
    assert.deepEqual(set(CR0.TS | CR0.MP, "fwait"), [[VECTOR.NM, 0]]);
    assert.deepEqual(set(CR0.TS, "clts\n addps xmm0, xmm1"), []);
    assert.deepEqual(fault("mov rax, cr4\n btr rax, 9\n mov cr4, rax\n pxor xmm0, xmm0"), [[VECTOR.UD, 0]]);
    assert.deepEqual(fault("movaps xmm0, [PAGES + 8]"), [[VECTOR.GP, 0]]);
    assert.deepEqual(fault("movups xmm0, [PAGES + 8]"), []);
  });

  test(`${tier}: operands that only the exact tier meets`, () => {
    const b = bench(
      tier,
      `mov  ebx, offset PAGES
       mov  eax, 100
       bts  dword ptr [rbx + 8], eax
       mov  rax, -1
       bts  qword ptr [rbx + 64], rax
       mov  rcx, rsp
       push 0x77
       pop  qword ptr [rsp + 8]
       lock cmpxchg16b [rbx + 128]
       mov  rdx, [rcx + 8]
       mov  al, [0x200014]
       clflush [rbx]
       mov  byte ptr [rbx + 0x85], 0x5a
       lea  r9, [rbx]
       add  rbx, 0x80
       mov  eax, 5
       xlatb
       mov  r10b, al
       mov  rbx, r9
       mov  al, 16
       mov  rbp, rsp
       mov  r11, rsp
       enter 32, 1
       sub  r11, rsp
       mov  r12, [rbp - 8]
       sub  r12, rbp
       leave
       mov  ecx, 0x20000c
       mov  r8d, [ecx - 4]
       jmp  stop`,
    );
    b.finish();
    assert.deepEqual(taken(b), []);
    // Bit 100 from PAGES + 8: word 3, bit 4. Bit -1 from PAGES + 64: the top bit of the quadword before.
    assert.equal(b.machine.memory.read32(PAGES + 20), 16);
    assert.equal(b.machine.memory.read32(PAGES + 60), 0x80000000 | 0);
    assert.equal(b.gpr("rdx"), 0x77);
    assert.equal(b.gpr("rax") & 0xff, 16);
    assert.equal(b.gpr("r8"), 0);
    // xlat; enter with a frame pointer for one level: it points at itself.
    assert.equal(b.gpr("r10") & 0xff, 0x5a);
    assert.deepEqual([b.gpr("r11"), b.gpr("r12")], [48, 0]);
    assert.ok(b.hart.pc > PROGRAM);
    assert.equal(b.hart.gpr(GPR.rbx), PAGES);
  });
}
