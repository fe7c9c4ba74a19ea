// The kernel's boot image for x86-64: its machine code, assembled. It depends on nothing of the run, so the bundle has it ready-made.
//
//     boot        reset, enable, long_mode            runs where it was loaded
//     text        high, and the trap path's own part (trampoline.ts)
//     trampoline  mapped in every space               vdso   mapped for user programs           tables   IDT, and the kernel's CR3

import { PAGE_SIZE } from "../../../lib/address.ts";
import { assemble } from "../../../isa/x86_64/assembler.ts";
import { APIC_BASE, MSR, STAR_HI } from "../../../isa/x86_64/msrs.ts";
import { PTE } from "../../../isa/x86_64/paging.ts";
import { CR0, CR4, EFER, RFLAGS } from "../../../isa/x86_64/registers.ts";
import { KernelBug } from "../../kernel.ts";
import { ENTRY } from "./entries.ts";
import { flatDescriptor, HART_PAGE, SEGMENT_ATTRIBUTES, SELECTORS } from "./hart.ts";
import { BOOT_TABLES, directAddress, hartPage, IMAGE, imagePage, KERNEL_CR3, layout, TABLES_PAGE } from "./layout.ts";
import { encodeIdt, TEXT_SOURCE, TRAMPOLINE_SOURCE, VDSO_SOURCE } from "./trampoline.ts";

/** rflags bits that `syscall` clears: traps, interrupts, string direction, nested task, alignment checks and SMAP's override (K4). */
const SYSCALL_FLAG_MASK = RFLAGS.TF | RFLAGS.IF | RFLAGS.DF | RFLAGS.IOPL | RFLAGS.NT | RFLAGS.AC;

const BOOT_CR4 = CR4.PAE | CR4.PGE | CR4.OSFXSR | CR4.OSXMMEXCPT;
/** What can be set only in long mode, with PCID 0 in CR3, or on page tables that tell user pages. */
const KERNEL_CR4 = CR4.PCIDE | CR4.FSGSBASE | CR4.SMEP | CR4.SMAP;
const BOOT_EFER = EFER.LME | EFER.NXE | EFER.SCE;
const CR0_OFF = CR0.EM | CR0.TS | CR0.CD | CR0.NW;
const CR0_ON = CR0.PG | CR0.WP | CR0.AM | CR0.NE | CR0.MP;

/** Where the kernel's range begins in the boot tables: the index of its gigabyte in the PDPT. */
const KERNEL_GIBIBYTE = 512 + layout.directMap / 2 ** 30;
const TABLE = PTE.P | PTE.W;
const LARGE_PAGE = PTE.P | PTE.W | PTE.PS;

const BOOT_SOURCE = `
    .code32
reset:                              # flat segments, paging off
    mov ecx, ${MSR.apicBase}
    rdmsr
    test eax, ${APIC_BASE.BSP}      # only the first hart makes the tables
    jz enable
    xor eax, eax
    mov edi, ${BOOT_TABLES.pml4}
    mov ecx, ${(3 * PAGE_SIZE) / 4}
    cld
    rep stosd
    mov eax, ${BOOT_TABLES.pdpt | TABLE}
    mov dword ptr [${BOOT_TABLES.pml4}], eax
    mov dword ptr [${BOOT_TABLES.pml4 + 511 * 8}], eax       # the last 512 GiB show the same
    mov eax, ${BOOT_TABLES.pd | TABLE}
    mov dword ptr [${BOOT_TABLES.pdpt}], eax
    mov dword ptr [${BOOT_TABLES.pdpt + KERNEL_GIBIBYTE * 8}], eax
    mov edi, ${BOOT_TABLES.pd}
    mov eax, ${LARGE_PAGE}
1:  mov dword ptr [edi], eax
    add eax, 0x200000
    add edi, 8
    cmp edi, ${BOOT_TABLES.pd + BOOT_TABLES.largePages * 8}
    jb 1b
enable:
    mov eax, cr4
    or eax, ${BOOT_CR4}
    mov cr4, eax
    mov eax, ${BOOT_TABLES.pml4}
    mov cr3, eax
    mov ecx, ${MSR.efer}
    rdmsr
    or eax, ${BOOT_EFER}
    wrmsr
    mov eax, cr0
    and eax, ${~CR0_OFF >>> 0}
    or eax, ${CR0_ON >>> 0}
    mov cr0, eax                    # long mode is active: in a 32-bit segment, until the far jump
    lgdt [boot_gdt_pointer]
    jmp ${SELECTORS.kernelCode}:long_mode

    .code64
long_mode:
    movabs rax, offset HIGH
    jmp rax

    .align 8
boot_gdt:
    .quad 0, 0
${[SELECTORS.kernelCode, SELECTORS.kernelData]
  .map((selector) => flatDescriptor(SEGMENT_ATTRIBUTES.get(selector) ?? 0))
  .map(({ lo, hi }) => `    .long ${lo >>> 0}, ${hi >>> 0}`)
  .join("\n")}
boot_gdt_pointer:
    .word ${SELECTORS.kernelData + 7}
    .long boot_gdt
`;

/** First in kernel text; begins on the boot tables, with the boot GDT. */
const ENTER_SOURCE = `
high:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov eax, ${SELECTORS.kernelData}
    mov ss, eax
    mov ecx, ${MSR.apicBase}
    rdmsr
    test eax, ${APIC_BASE.BSP}
    jz 1f
    kentry ${ENTRY.start}
1:  mov rax, ${directAddress(imagePage(IMAGE.tables) + KERNEL_CR3)}
    mov rax, [rax]
    mov cr3, rax                    # the kernel's page table
    mov rax, cr4
    or rax, ${KERNEL_CR4}
    mov cr4, rax
    mov eax, 1
    cpuid
    shr ebx, 24                     # the id of the hart's local APIC is the hart's
    shl ebx, 12
    mov rdi, ${hartPage(0)}
    sub rdi, rbx                    # the hart's page
    lgdt [rdi + ${HART_PAGE.gdtPointer}]
    lidt [rdi + ${HART_PAGE.idtPointer}]
    mov eax, ${SELECTORS.tss}
    ltr ax
    mov ecx, ${MSR.star}
    xor eax, eax
    mov edx, ${((SELECTORS.kernelCode << STAR_HI.SYSCALL_CS_SHIFT) | (SELECTORS.user32 << STAR_HI.SYSRET_CS_SHIFT)) >>> 0}
    wrmsr
    mov ecx, ${MSR.lstar}
    movabs rax, offset uservec
    mov rdx, rax
    shr rdx, 32
    wrmsr
    mov ecx, ${MSR.sfmask}
    mov eax, ${SYSCALL_FLAG_MASK}
    xor edx, edx
    wrmsr
    mov rsp, [rdi + ${HART_PAGE.kernelStack}]
    kentry ${ENTRY.main}            # leaves through userret or the idle loop
    jmp stuck
`;

/** The assembled image, and where its symbols are once paging is on. */
export interface BootImage {
  readonly bytes: Uint8Array;
  readonly symbols: ReadonlyMap<string, number>;
}

let assembled: BootImage | undefined;

/** The kernel's machine code; the same for every machine. */
export function bootImage(): BootImage {
  assembled ??= assembleImage();
  return assembled;
}

function assembleImage(): BootImage {
  const bytes = new Uint8Array(IMAGE.pages * PAGE_SIZE);
  const symbols = new Map<string, number>();
  const place = (
    page: number,
    source: string,
    base: number,
    mode: 32 | 64,
    known: Readonly<Record<string, number>>,
  ): void => {
    const code = assemble(source, { base, symbols: known, mode });
    if (code.bytes.length > PAGE_SIZE) throw new KernelBug("machine code of more than a page");
    bytes.set(code.bytes, page * PAGE_SIZE);
    for (const [name, address] of code.symbols) symbols.set(name, address);
  };
  const find = (name: string): number => {
    const address = symbols.get(name);
    if (address === undefined) throw new KernelBug(`no symbol ${name}`);
    return address;
  };
  const textBase = directAddress(imagePage(IMAGE.text));
  // Text and trampoline name each other: the text's symbols are looked up first, with any place for the trampoline's.
  const unknown = { kernelret: layout.trampoline, uservec: layout.trampoline };
  const text = ENTER_SOURCE + TEXT_SOURCE;
  const { symbols: textSymbols } = assemble(text, { base: textBase, symbols: unknown, mode: 64 });
  place(IMAGE.trampoline, TRAMPOLINE_SOURCE, layout.trampoline, 64, {
    kernelvec: textSymbols.get("kernelvec") ?? 0,
    kernel_cr3: TABLES_PAGE + KERNEL_CR3,
  });
  place(IMAGE.text, text, textBase, 64, { kernelret: find("kernelret"), uservec: find("uservec") });
  place(IMAGE.vdso, VDSO_SOURCE, layout.vdso, 64, {});
  // The loader runs where it was loaded, before there is a page table.
  place(IMAGE.boot, BOOT_SOURCE, imagePage(IMAGE.boot), 32, { HIGH: find("high") });
  bytes.set(encodeIdt(symbols), IMAGE.tables * PAGE_SIZE);
  return { bytes, symbols };
}
