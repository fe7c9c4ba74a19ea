// Where things lie: in physical memory at reset, and in every address space.
//
//   physical                                kernel space                          every user space
//   0x0000_1000  boot tables: PML4, PDPT, PD    0xffffffc0_0000_1000  (direct map)
//   0x0000_8000  image page 0: loader       0xffffffc0_0000_8000
//   0x0000_9000  page 1: kernel text        0xffffffc0_0000_9000
//   0x0000_a000  page 2: trampoline         0x7fff_ffff_e000                      0x7fff_ffff_e000
//   0x0000_b000  page 3: tables (IDT)       0x7fff_ffff_d000                      0x7fff_ffff_d000
//   0x0000_c000  page 4: vdso               -                                     0x7fff_fdff_f000
//   0x0000_d000  end: free memory           direct map                            as its regions say
//   a frame for each hart: its GDT,         0x7fff_ffff_c000 for hart 0, the      the same
//     TSS and entry stacks                    next hart's below
//
// The user half of every space ends like this; programs get what lies below, and none of it may they touch (U = 0):
//
//   0x8000_0000_0000 +--------------------+ not canonical
//                    | nothing            | what runs off the trampoline faults as a page fault
//     7fff_ffff_e000 | trampoline         | uservec, userret: the code under which CR3 changes
//     7fff_ffff_d000 | tables             | IDT, the kernel's CR3: what a hart reads to enter the kernel
//     7fff_ffff_5000 | harts 7 … 0        | GDT, TSS, stacks of exceptions that must not trust rsp
//     7fff_ffff_4000 | trapframe slot 0   | a page for each thread, one below the other
//                    | …                  |
//     7fff_fe00_0000 +--------------------+ userTop
//                    | vdso               |
//     7fff_fdff_e000 | stack              |
//
// Page tables of user and kernel are separate as on riscv64, so whatever a hart touches on its way into the kernel, before CR3 is
// the kernel's, lies here. The loader is below 1 MiB since a start-up IPI can name only such a page. What is mapped at
// 0xffffffc0_0000_0000 + p is physical address p, devices included (K8, K12).

import { PAGE_SIZE, physAddr, virtAddr, type FrameNumber, type PhysAddr, type VirtAddr } from "../../../lib/address.ts";
import type { AddressLayout } from "../arch.ts";

export const RAM_BASE = 0;

/** The boot tables (K8): they map the first 256 MiB, with 2-MiB pages, at 0 and at the start of the kernel's range. */
export const BOOT_TABLES = { pml4: 0x1000, pdpt: 0x2000, pd: 0x3000, largePages: 128 } as const;

/** Pages of the kernel image, from its base. */
export const IMAGE = { boot: 0, text: 1, trampoline: 2, tables: 3, vdso: 4, pages: 5 } as const;
export const IMAGE_BASE = 0x8000;

/** Physical address of a page of the image. */
export const imagePage = (page: number): PhysAddr => physAddr(IMAGE_BASE + page * PAGE_SIZE);
export const imageFrame = (page: number): FrameNumber => (imagePage(page) / PAGE_SIZE) as FrameNumber;
/** `end` of the start-up sequence: free memory begins here. */
export const IMAGE_END = imagePage(IMAGE.pages);

const MAX_HARTS = 8;
const TRAMPOLINE = 0x7fff_ffff_e000;
const TABLES = TRAMPOLINE - PAGE_SIZE;
const FIRST_HART_PAGE = TABLES - PAGE_SIZE;
const TRAPFRAME = FIRST_HART_PAGE - MAX_HARTS * PAGE_SIZE;
const USER_TOP = 0x7fff_fe00_0000;

export const layout: AddressLayout = {
  userTop: virtAddr(USER_TOP),
  trampoline: virtAddr(TRAMPOLINE),
  trapframe: virtAddr(TRAPFRAME),
  trapframeSlots: (TRAPFRAME - USER_TOP) / PAGE_SIZE + 1,
  vdso: virtAddr(USER_TOP - PAGE_SIZE),
  directMap: virtAddr(-0x40_0000_0000),
  stackTop: virtAddr(USER_TOP - 2 * PAGE_SIZE),
  // Below the largest stack that the default limit allows, its guard gap, and some more.
  mmapTop: virtAddr(USER_TOP - 0x0800_0000),
  lowMappings: { start: virtAddr(0x4000_0000), end: virtAddr(0x8000_0000) },
  pieBase: virtAddr(0x5555_5555_4000),
  // 1 TiB, 16 GiB, 32 MiB.
  randomPages: { mappings: 2 ** 28, stack: 2 ** 22, heap: 2 ** 13 },
};

/** The page with the IDT. */
export const TABLES_PAGE = virtAddr(TABLES);
/** The page with a hart's GDT, TSS and entry stacks (hart.ts). */
export const hartPage = (hart: number): VirtAddr => virtAddr(FIRST_HART_PAGE - hart * PAGE_SIZE);

/** Where the kernel space maps a physical address. */
export const directAddress = (physical: number): VirtAddr => virtAddr(layout.directMap + physical);

/** Kernel text as the harts execute it once paging is on. */
export const TEXT_START = directAddress(imagePage(IMAGE.text));
export const TEXT_END = directAddress(imagePage(IMAGE.text + 1));

/** Frames of a hart's kernel stack; an unmapped guard page lies below each. */
export const KERNEL_STACK_FRAMES = 2;
const KERNEL_STACKS = virtAddr(-0x1000_0000);

/** Lowest address of a hart's kernel stack; its guard page is the page before. */
export const kernelStackBase = (hart: number): VirtAddr =>
  virtAddr(KERNEL_STACKS + (hart + 1) * PAGE_SIZE + hart * KERNEL_STACK_FRAMES * PAGE_SIZE);

/** Offset in the tables page of the kernel's CR3, for traps that may find any space. */
export const KERNEL_CR3 = 0xff8;
