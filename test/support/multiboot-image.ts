/**
 * Bare-metal programs for x86-64 as multiboot images: an ELF file of 32 bits, which any loader of such images takes, with a prologue
 * that brings the hart into long mode.
 *
 *     0x100000  multiboot header, prologue, the program's `main`      0x180000  stack, downwards
 *     0x200000  page tables: the first 4 GiB at their addresses, in 2-MiB pages
 */
import { assemble } from "../../src/isa/x86_64/assembler.ts";
import { writeU16, writeU32 } from "../../src/lib/bytes.ts";

const BASE = 0x10_0000;
const HEADERS = 0x1000;

/**
 * What a program may use: `putc` (al), `puts` (rsi), `hex` (eax, and a blank), `exit` (al), `gate` (edi: vector, rsi: handler); r15 is
 * the local APIC, r14 the I/O APIC. Routines change rax, rcx and rdx. Interrupts are off. An exception prints ! and ends with 0x7f.
 */
const PROLOGUE = `
        .code32
header: .long  0x1badb002, 0, -0x1badb002
start:  cli
        cld
        mov    al, 0xff                 # where there are 8259s they are silent
        out    0x21, al
        out    0xa1, al
        lgdt   [gdt_pointer]
        mov    edi, 0x200000
        xor    eax, eax
        mov    ecx, 0x6000 / 4
        rep stosd
        mov    dword ptr [0x200000], 0x201003
        mov    edi, 0x201000
        mov    eax, 0x202003
        mov    ecx, 4
1:      mov    [edi], eax
        add    edi, 8
        add    eax, 0x1000
        dec    ecx
        jnz    1b
        mov    edi, 0x202000
        mov    eax, 0x83
        mov    ecx, 2048
1:      mov    [edi], eax
        add    edi, 8
        add    eax, 0x200000
        dec    ecx
        jnz    1b
enter:  mov    eax, 0x20                # PAE
        mov    cr4, eax
        mov    eax, 0x200000
        mov    cr3, eax
        mov    ecx, 0xc0000080          # EFER.LME
        rdmsr
        or     eax, 0x100
        wrmsr
        mov    eax, 0x80000001          # PG, PE
        mov    cr0, eax
        jmp    0x08:long
        .code64
long:   mov    eax, 0x10
        mov    ds, eax
        mov    es, eax
        mov    ss, eax
        mov    r15d, 0xfee00000
        mov    r14d, 0xfec00000
        lidt   [rip + idt_pointer]
        mov    eax, [r15 + 0x20]
        shr    eax, 24
        jnz    other
        mov    esp, 0x180000
        xor    edi, edi
1:      lea    rsi, [rip + unexpected]
        call   gate
        inc    edi
        cmp    edi, 256
        jb     1b
        call   main
        xor    eax, eax
exit:   out    0xf4, al
1:      hlt
        jmp    1b
unexpected:
        mov    al, 0x21
        call   putc
        mov    al, 0x3f
        jmp    exit
gate:   mov    rdx, rdi                 # an interrupt gate for 64 bits in the code segment
        shl    rdx, 4
        lea    rcx, [rip + idt]
        add    rdx, rcx
        mov    rax, rsi
        mov    [rdx], ax
        mov    dword ptr [rdx + 2], 0x8e000008
        shr    rax, 16
        mov    [rdx + 6], ax
        shr    rax, 16
        mov    [rdx + 8], eax
        mov    dword ptr [rdx + 12], 0
        ret
putc:   mov    ecx, eax
        mov    edx, 0x3fd
1:      in     al, dx
        test   al, 0x20
        jz     1b
        mov    eax, ecx
        mov    edx, 0x3f8
        out    dx, al
        ret
puts:   lodsb
        test   al, al
        jz     1f
        call   putc
        jmp    puts
1:      ret
hex:    push   rbx
        push   rbp
        mov    ebx, eax
        mov    ebp, 8
1:      rol    ebx, 4
        mov    eax, ebx
        and    eax, 15
        add    eax, 0x30
        cmp    eax, 0x3a
        jb     2f
        add    eax, 39
2:      call   putc
        dec    ebp
        jnz    1b
        mov    al, 0x20
        call   putc
        pop    rbp
        pop    rbx
        ret
        .align 8
gdt:    .quad  0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        .word  23
        .long  gdt
idt_pointer:
        .word  4095
        .quad  idt
        .align 16
idt:    .skip  4096
`;

/** The image of a program that begins at `main`, and runs at `other` on harts but the first, without a stack. */
export function makeMultibootImage(program: string): Uint8Array {
  const { bytes, symbols } = assemble(`${PROLOGUE}\n${program}`, { base: BASE, mode: 32 });
  const image = new Uint8Array(HEADERS + bytes.length);
  writeU32(image, 0, 0x464c457f);
  image.set([1, 1, 1], 4);
  writeU16(image, 16, 2); // executable
  writeU16(image, 18, 3); // i386
  writeU32(image, 20, 1);
  writeU32(image, 24, symbols.get("start") ?? 0);
  writeU32(image, 28, 52);
  writeU16(image, 40, 52);
  writeU16(image, 42, 32);
  writeU16(image, 44, 1);
  [1, HEADERS, BASE, BASE, bytes.length, bytes.length, 7, 4096].forEach((value, word) =>
    writeU32(image, 52 + word * 4, value),
  );
  image.set(bytes, HEADERS);
  return image;
}
