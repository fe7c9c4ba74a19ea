/**
 * Small bare-metal programs for the board microvm (see multiboot-image.ts for what they may use): each prints what it sees and ends by
 * the debug-exit port. Those with `anywhere` use only what every PC has, so that QEMU must print the same.
 */

export interface BoardProgram {
  readonly name: string;
  readonly source: string;
  readonly output: string;
  /** What comes of the value at the debug-exit port; 1, of 0, by default. */
  readonly status?: number;
  readonly harts?: number;
  readonly input?: string;
  readonly anywhere: boolean;
}

/** Programs with one hart do not care where other harts go. */
const ALONE = "other:  hlt\n        jmp other\n";

/** Registers of the local APIC, by name. */
const REGISTERS = `
        .set   TPR, 0x80
        .set   PPR, 0xa0
        .set   EOI, 0xb0
        .set   LDR, 0xd0
        .set   DFR, 0xe0
        .set   SVR, 0xf0
        .set   ISR, 0x100
        .set   TMR, 0x180
        .set   IRR, 0x200
        .set   ESR, 0x280
        .set   ICR, 0x300
        .set   ICR2, 0x310
        .set   LVT_TIMER, 0x320
        .set   INITIAL, 0x380
        .set   CURRENT, 0x390
        .set   DIVIDE, 0x3e0
`;

/** A handler that prints a letter, and another when it ends the interrupt. */
const printing = (name: string, letter: string, inside = ""): string => `
${name}: push   rax
        push   rcx
        push   rdx
        mov    al, '${letter}'
        call   putc
        ${inside}
        mov    dword ptr [r15 + EOI], 0
        mov    al, '.'
        call   putc
        pop    rdx
        pop    rcx
        pop    rax
        iretq
`;

const setGate = (vector: string, handler: string): string => `
        mov    edi, ${vector}
        lea    rsi, [rip + ${handler}]
        call   gate`;

export const BOARD_PROGRAMS: readonly BoardProgram[] = [
  {
    name: "the console, and the way out",
    anywhere: true,
    output: "hello\n",
    status: 43,
    source: `${ALONE}
main:   lea    rsi, [rip + text]
        call   puts
        mov    al, 21
        jmp    exit
text:   .asciz "hello\\n"
`,
  },
  {
    name: "versions, and registers that keep what is written",
    anywhere: true,
    output: "00050014 00170020 000101ff 00000035 ff000000 0fffffff 21000000 00018041 ",
    source: `${ALONE}${REGISTERS}
main:   mov    eax, [r15 + 0x30]
        call   hex
        mov    dword ptr [r14], 1
        mov    eax, [r14 + 0x10]
        call   hex
        mov    dword ptr [r14], 0x3e
        mov    dword ptr [r14 + 0x10], 0x101ff
        mov    eax, [r14 + 0x10]
        call   hex
        mov    dword ptr [r15 + TPR], 0x35
        mov    eax, [r15 + TPR]
        call   hex
        mov    dword ptr [r15 + LDR], 0xffffffff
        mov    eax, [r15 + LDR]
        call   hex
        mov    dword ptr [r15 + DFR], 0
        mov    eax, [r15 + DFR]
        call   hex
        mov    dword ptr [r15 + ICR2], 0x21000000
        mov    eax, [r15 + ICR2]
        call   hex
        mov    dword ptr [r15 + SVR], 0x1ff
        mov    dword ptr [r15 + 0x350], 0x18041
        mov    eax, [r15 + 0x350]
        call   hex
        ret
`,
  },
  {
    name: "priorities: pending, in service, nested, held back by the task priority and by CR8",
    anywhere: true,
    output: "00040002 00000000 c.a.\n00000050 00000002 00000000 d.c.b.00000005 \n",
    source: `${ALONE}${REGISTERS}
main:   ${setGate("0x41", "a")}
        ${setGate("0x50", "b")}
        ${setGate("0x52", "c")}
        ${setGate("0x61", "nested")}
        mov    dword ptr [r15 + SVR], 0x1ff
        mov    dword ptr [r15 + TPR], 0
        mov    dword ptr [r15 + ICR], 0x44041   # to itself
        mov    dword ptr [r15 + ICR], 0x44052
        mov    eax, [r15 + IRR + 0x20]
        call   hex
        mov    eax, [r15 + ISR + 0x20]
        call   hex
        sti
        nop
        nop
        cli
        mov    al, 10
        call   putc
        mov    dword ptr [r15 + TPR], 0x50
        mov    dword ptr [r15 + ICR], 0x44052
        mov    dword ptr [r15 + ICR], 0x44050
        sti
        nop
        nop
        cli
        mov    eax, [r15 + PPR]
        call   hex
        mov    dword ptr [r15 + ICR], 0x44061
        mov    eax, [r15 + IRR + 0x30]
        call   hex
        mov    eax, [r15 + ISR + 0x30]
        call   hex
        sti
        nop
        nop
        mov    eax, 4
        mov    cr8, rax
        nop
        cli
        mov    eax, 5
        mov    cr8, rax
        mov    eax, [r15 + TPR]
        shr    eax, 4
        call   hex
        mov    al, 10
        jmp    putc
${printing("a", "a")}${printing("b", "b")}${printing("c", "c")}${printing("nested", "d")}
`,
  },
  {
    name: "a handler that lets interrupts in is interrupted by a higher class only",
    anywhere: true,
    output: "a00000040 c.b.00000040 .00000000 ",
    source: `${ALONE}${REGISTERS}
main:   ${setGate("0x40", "a")}
        ${setGate("0x4f", "b")}
        ${setGate("0x70", "c")}
        mov    dword ptr [r15 + SVR], 0x1ff
        mov    dword ptr [r15 + TPR], 0
        sti
        mov    dword ptr [r15 + ICR], 0x44040
        nop
        nop
        cli
        mov    eax, [r15 + PPR]
        jmp    hex
a:      mov    al, 'a'
        call   putc
        mov    eax, [r15 + PPR]
        call   hex
        sti
        mov    dword ptr [r15 + ICR], 0x4404f   # the same class: waits
        nop
        mov    dword ptr [r15 + ICR], 0x44070
        nop
        nop
        cli
        mov    dword ptr [r15 + EOI], 0
        sti
        nop
        nop
        cli
        mov    eax, 0x40
        call   hex
        mov    al, '.'
        call   putc
        iretq
${printing("b", "b")}${printing("c", "c")}
`,
  },
  {
    name: "the timer, once and again and again",
    anywhere: true,
    output: "T.00000000 T.T.T.T.00100000 ",
    source: `${ALONE}${REGISTERS}
main:   ${setGate("0x60", "tick")}
        mov    dword ptr [r15 + SVR], 0x1ff
        mov    dword ptr [r15 + TPR], 0
        mov    dword ptr [r15 + LVT_TIMER], 0x60
        mov    dword ptr [r15 + DIVIDE], 11
        mov    dword ptr [r15 + INITIAL], 0x200000
        sti
1:      hlt
        cmp    dword ptr [rip + ticks], 1
        jb     1b
        cli
        mov    eax, [r15 + CURRENT]
        call   hex
        mov    dword ptr [r15 + LVT_TIMER], 0x20060
        mov    dword ptr [r15 + DIVIDE], 0      # by 2
        mov    dword ptr [r15 + INITIAL], 0x100000
        sti
1:      hlt
        cmp    dword ptr [rip + ticks], 5
        jb     1b
        cli
        mov    eax, [r15 + INITIAL]
        mov    dword ptr [r15 + INITIAL], 0
        jmp    hex
${printing("tick", "T", "inc dword ptr [rip + ticks]")}
ticks:  .long  0
`,
  },
  {
    name: "the UART's interrupt through the I/O APIC, level-triggered",
    anywhere: false,
    input: "typed\n",
    output: "typed 0000c034 00008034 ",
    source: `${ALONE}${REGISTERS}
main:   ${setGate("0x34", "typed")}
        mov    dword ptr [r15 + SVR], 0x1ff
        mov    dword ptr [r14], 0x19            # pin 4: to hart 0
        mov    dword ptr [r14 + 0x10], 0
        mov    dword ptr [r14], 0x18
        mov    dword ptr [r14 + 0x10], 0x8034
        mov    edx, 0x3f9
        mov    al, 1                            # an interrupt for what is received
        out    dx, al
        sti
1:      hlt
        cmp    byte ptr [rip + last], 10
        jne    1b
        cli
        mov    al, 0x20
        call   putc
        mov    eax, [rip + inside]
        call   hex
        mov    dword ptr [r14], 0x18
        mov    eax, [r14 + 0x10]
        jmp    hex
typed:  push   rax
        push   rcx
        push   rdx
        mov    dword ptr [r14], 0x18
        mov    eax, [r14 + 0x10]                # remote IRR is set
        mov    [rip + inside], eax
        mov    edx, 0x3f8
        in     al, dx
        mov    [rip + last], al
        cmp    al, 10
        je     1f
        call   putc
1:      mov    dword ptr [r15 + EOI], 0
        pop    rdx
        pop    rcx
        pop    rax
        iretq
inside: .long  0
last:   .byte  0
`,
  },
  {
    name: "a timer with a deadline",
    anywhere: false,
    output: "00000001 T.00000000 00000000 ",
    source: `${ALONE}${REGISTERS}
main:   ${setGate("0x60", "tick")}
        mov    dword ptr [r15 + SVR], 0x1ff
        mov    dword ptr [r15 + LVT_TIMER], 0x40060
        rdtsc
        shl    rdx, 32
        or     rax, rdx
        add    rax, 100000
        mov    [rip + due], rax
        mov    rdx, rax
        shr    rdx, 32
        mov    ecx, 0x6e0
        wrmsr
        rdmsr
        cmp    eax, [rip + due]
        sete   al
        movzx  eax, al
        call   hex
        sti
        hlt
        cli
        rdtsc
        shl    rdx, 32
        or     rax, rdx
        sub    rax, [rip + due]
        shr    rax, 8                           # late by less than 256 ns
        call   hex
        mov    ecx, 0x6e0
        rdmsr
        jmp    hex
${printing("tick", "T")}
        .align 8
due:    .quad  0
`,
  },
  {
    name: "harts are started one after the other, and answer",
    anywhere: false,
    harts: 4,
    output: "00000001 00000002 00000003 00000006 ",
    source: `${REGISTERS}
        # A start-up message names a page: the code there goes on with the prologue.
main:   mov    dword ptr [r15 + SVR], 0x1ff
        mov    edi, 0x8000
        lea    rsi, [rip + landing]
        mov    ecx, landing_end - landing
        rep movsb
        mov    ebx, 1
1:      mov    eax, ebx
        shl    eax, 24
        mov    [r15 + ICR2], eax
        mov    dword ptr [r15 + ICR], 0x4500
        mov    dword ptr [r15 + ICR], 0x4608
2:      pause
        cmp    [rip + started], ebx
        jne    2b
        mov    eax, ebx
        call   hex
        inc    ebx
        cmp    ebx, 4
        jb     1b
        mov    eax, [rip + sum]
        jmp    hex
        .code32
landing:
        lgdt   [gdt_pointer]
        mov    eax, offset enter
        jmp    eax
landing_end:
        .code64
other:  lock add [rip + sum], eax
        mov    [rip + started], eax
1:      hlt
        jmp    1b
        .align 4
started:
        .long  0
sum:    .long  0
`,
  },
  {
    name: "messages go round all harts",
    anywhere: false,
    harts: 3,
    output: "ring 00000064 ",
    source: `${REGISTERS}
        .set   ROUNDS, 100
main:   mov    dword ptr [r15 + SVR], 0x1ff
        ${setGate("0x55", "ring")}
        mov    edi, 0x8000
        lea    rsi, [rip + landing]
        mov    ecx, landing_end - landing
        rep movsb
        mov    dword ptr [r15 + ICR], 0xc4500   # all but itself
        mov    dword ptr [r15 + ICR], 0xc4608
1:      pause
        cmp    dword ptr [rip + ready], 2
        jne    1b
        lea    rsi, [rip + text]
        call   puts
        mov    dword ptr [r15 + ICR2], 0x1000000
        mov    dword ptr [r15 + ICR], 0x4055
        sti
1:      hlt
        cmp    dword ptr [rip + rounds], ROUNDS
        jb     1b
        mov    eax, [rip + rounds]
        jmp    hex
        .code32
landing:
        lgdt   [gdt_pointer]
        mov    eax, offset enter
        jmp    eax
landing_end:
        .code64
other:  mov    ebx, eax
        shl    eax, 12
        lea    esp, [rax + 0x180000]
        mov    dword ptr [r15 + SVR], 0x1ff
        lock inc dword ptr [rip + ready]
        sti
1:      hlt
        jmp    1b
ring:   mov    dword ptr [r15 + EOI], 0
        mov    eax, [r15 + 0x20]
        shr    eax, 24
        jnz    1f
        inc    dword ptr [rip + rounds]
        cmp    dword ptr [rip + rounds], ROUNDS
        jae    2f
1:      inc    eax
        cmp    eax, 3
        jb     1f
        xor    eax, eax
1:      shl    eax, 24
        mov    [r15 + ICR2], eax
        mov    dword ptr [r15 + ICR], 0x4055
2:      iretq
text:   .asciz "ring "
        .align 4
ready:  .long  0
rounds: .long  0
`,
  },
  {
    name: "the first words of a disk's slot, and of an empty one",
    anywhere: false,
    output: "74726976 00000002 00000002 00000000 ",
    source: `${ALONE}
main:   mov    ebx, 0xfeb00000
        mov    eax, [rbx]
        call   hex
        mov    eax, [rbx + 4]
        call   hex
        mov    eax, [rbx + 8]
        call   hex
        mov    eax, [rbx + 0x1008]
        jmp    hex
`,
  },
  {
    name: "addresses and ports where nothing is read all ones",
    anywhere: false,
    output: "ffffffff ffffffff 0000ffff 000000ff ",
    source: `${ALONE}
main:   mov    ebx, 0xd0000000
        mov    dword ptr [rbx], 0
        mov    eax, [rbx]
        call   hex
        mov    edx, 0x300
        in     eax, dx
        call   hex
        mov    edx, 0x300
        xor    eax, eax
        in     ax, dx
        call   hex
        mov    edx, 0x300
        xor    eax, eax
        out    dx, al
        in     al, dx
        jmp    hex
`,
  },
];
