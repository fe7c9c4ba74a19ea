// From reset to the kernel: the boot image, and what start-up does.
//
//   32-bit   reset:       hart 0, paging off: boot tables PML4, PDPT, PD, which map 256 MiB at 0 and in the kernel's range
//                         others begin here too, by INIT and start-up interrupt, and find the tables made
//            enable:      CR4.PAE, CR3, EFER.LME, CR0.PG; far jump into a 64-bit code segment
//   64-bit   long_mode:   to `high`, the kernel's text at its mapped address
//            high:        hart 0: kentry start: frames onto the free list, kernel page table
//                         CR3 = the kernel's; PCIDs, SMEP, SMAP; GDT, IDT, TSS of the hart; MSRs of `syscall`
//                         kernel stack, kentry main: local APIC, hart 0 starts the others; the scheduler; the first process leaves
//                         through usertrapret, userret, iretq
//
// Intel SDM volume 3, 9.8.5 (initializing IA-32e mode), 8.4 (multiple-processor initialization); K8. docs/startup.md tells the story.

import { frameAddress, PAGE_SIZE, physAddr, virtAddr } from "../../../lib/address.ts";
import { highHalf } from "../../../lib/word64.ts";
import { assemble } from "../../../isa/x86_64/assembler.ts";
import { APIC_BASE, MSR, STAR_HI } from "../../../isa/x86_64/msrs.ts";
import { PTE } from "../../../isa/x86_64/paging.ts";
import { CR0, CR4, EFER, RFLAGS } from "../../../isa/x86_64/registers.ts";
import { MICROVM } from "../../../machine/boards/microvm-map.ts";
import type { PteFlags } from "../arch.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { mapSharedPages } from "../../mem/address-space.ts";
import { finishFlush, newFlush } from "../../mem/flush.ts";
import { allocateFrame, allocateFrames, freeRange } from "../../mem/frames.ts";
import { mapContiguous } from "../../mem/page-table.ts";
import type { AddressSpace } from "../../mem/types.ts";
import { ENTRY } from "./entries.ts";
import { flatDescriptor, HART_PAGE, makeSharedPages, SEGMENT_ATTRIBUTES, SELECTORS } from "./hart.ts";
import {
  BOOT_TABLES,
  directAddress,
  hartPage,
  IMAGE,
  IMAGE_END,
  imageFrame,
  imagePage,
  KERNEL_STACK_FRAMES,
  kernelStackBase,
  layout,
  TABLES_PAGE,
} from "./layout.ts";
import { encodeIdt, KERNEL_CR3, TEXT_SOURCE, TRAMPOLINE_SOURCE, VDSO_SOURCE } from "./trampoline.ts";

/** rflags bits that `syscall` clears: traps, interrupts, string direction, nested task, alignment checks and SMAP's override (K4). */
export const SYSCALL_FLAG_MASK = RFLAGS.TF | RFLAGS.IF | RFLAGS.DF | RFLAGS.IOPL | RFLAGS.NT | RFLAGS.AC;

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

/** A symbol's address once paging is on (trampoline symbols: at the trampoline). */
export function symbolAddress(name: string): number {
  const address = bootImage().symbols.get(name);
  if (address === undefined) throw new KernelBug(`no symbol ${name} in the kernel image`);
  return address;
}

/** The nearest symbol at or below an address in the image, as "uservec+0x10"; undefined outside. */
export function symbolize(address: number): string | undefined {
  let best: { name: string; at: number } | undefined;
  for (const [name, at] of bootImage().symbols) {
    if (at <= address && address - at < PAGE_SIZE && (best === undefined || at >= best.at)) best = { name, at };
  }
  if (best === undefined) return undefined;
  return address === best.at ? best.name : `${best.name}+0x${(address - best.at).toString(16)}`;
}

/** TypeScript side of `kentry start`: free memory onto the list, what every space maps, kernel page table, CR3 for all harts. */
export function start(k: Kernel): void {
  const { memory } = k.state;
  freeRange(k, IMAGE_END, physAddr(k.memory.base + k.memory.size));
  makeSharedPages(k);
  memory.vdsoFrame = imageFrame(IMAGE.vdso);
  const zeroFrame = allocateFrame(k, "kernel");
  if (zeroFrame === "ENOMEM") throw new KernelBug("no memory for the zero page");
  memory.zeroFrame = zeroFrame;
  makeKernelSpace(k, memory.kernelSpace);
  const { lo, hi } = rootRegisterOf(memory.kernelSpace, 0);
  const word = imagePage(IMAGE.tables) + KERNEL_CR3;
  k.memory.write32(word, lo);
  k.memory.write32(word + 4, hi);
}

/** CR3 for a space: its PML4, its PCID. */
export function rootRegisterOf(space: AddressSpace, asid: number): { hi: number; lo: number } {
  const address = frameAddress(space.root);
  return { hi: highHalf(address), lo: address | asid | 0 };
}

/** Pages that only the kernel's space has are not global: they are under one PCID, and no other space should find them in a TLB. */
const KERNEL_DATA: PteFlags = {
  read: true,
  write: true,
  execute: false,
  user: false,
  global: false,
  accessed: true,
  dirty: true,
};
const KERNEL_TEXT: PteFlags = { ...KERNEL_DATA, write: false, execute: true };

function makeKernelSpace(k: Kernel, space: AddressSpace): void {
  const root = allocateFrame(k, "page-table");
  if (root === "ENOMEM") throw new KernelBug("no memory for the kernel page table");
  space.root = root;
  space.tablePages = 1;
  const map = (at: number, physical: number, length: number, flags: PteFlags): void => {
    const flush = newFlush(k, space);
    const frame = physAddr(physical) / PAGE_SIZE;
    const result = mapContiguous(k, space, virtAddr(at), frame as ReturnType<typeof imageFrame>, length, flags, flush);
    finishFlush(k, flush, "start-up");
    if (result === "ENOMEM") throw new KernelBug("no memory for the kernel page table");
  };
  const mapDirect = (start: number, end: number, flags: PteFlags): void =>
    map(directAddress(start), start, end - start, flags);
  const textStart = imagePage(IMAGE.text);
  const textEnd = imagePage(IMAGE.vdso + 1);
  mapDirect(0, textStart, KERNEL_DATA);
  mapDirect(textStart, textEnd, KERNEL_TEXT);
  mapDirect(textEnd, k.memory.base + k.memory.size, KERNEL_DATA);
  mapDirect(MICROVM.virtio, 2 ** 32, KERNEL_DATA);
  const flush = newFlush(k, space);
  if (mapSharedPages(k, space, flush) === "ENOMEM") throw new KernelBug("no memory for the kernel page table");
  finishFlush(k, flush, "start-up");
  for (const hart of k.machine.harts) {
    const stack = allocateFrames(k, KERNEL_STACK_FRAMES, "kernel-stack");
    if (stack === "ENOMEM") throw new KernelBug("no memory for the kernel stacks");
    map(kernelStackBase(hart.id), frameAddress(stack), KERNEL_STACK_FRAMES * PAGE_SIZE, KERNEL_DATA);
  }
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
