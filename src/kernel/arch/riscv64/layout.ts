// Where things lie: in physical memory at reset, and in every address space.
//
//   physical                              kernel space                          every user space
//   0x8000_0000  image page 0: boot       0xffffffc0_8000_0000  (direct map)
//   0x8000_1000  page 1: kernel text      0xffffffc0_8000_1000
//   0x8000_2000  page 2: trampoline       0x3f_ffff_f000                        0x3f_ffff_f000
//   0x8000_3000  page 3: vdso             -                                     0x3f_fdff_f000
//   0x8000_4000  page 4: boot data        0xffffffc0_8000_4000
//   0x8000_5000  end: free memory         direct map                            as its regions say
//
// The trapframes of a space lie one below the other from 0x3f_ffff_e000 down, as xv6's TRAPFRAME. What is mapped at
// 0xffffffc0_0000_0000 + p is physical address p, devices included (K12).

import { PAGE_SIZE, physAddr, virtAddr, type FrameNumber, type PhysAddr, type VirtAddr } from "../../../lib/address.ts";
import type { AddressLayout } from "../arch.ts";

export const RAM_BASE = 0x8000_0000;

/** Pages of the kernel image, from the base of RAM. */
export const IMAGE = { boot: 0, text: 1, trampoline: 2, vdso: 3, data: 4, pages: 5 } as const;

/** Physical address of a page of the image. */
export const imagePage = (page: number): PhysAddr => physAddr(RAM_BASE + page * PAGE_SIZE);
export const imageFrame = (page: number): FrameNumber => (imagePage(page) / PAGE_SIZE) as FrameNumber;
/** `end` of the start-up sequence: free memory begins here. */
export const IMAGE_END = imagePage(IMAGE.pages);

const TRAMPOLINE = 0x3f_ffff_f000;
const TRAPFRAME = 0x3f_ffff_e000;
const USER_TOP = 0x3f_fe00_0000;

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
  pieBase: virtAddr(0x15_5555_5000),
  // 1 GiB each.
  randomPages: { mappings: 2 ** 18, stack: 2 ** 18, heap: 2 ** 18 },
};

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

/** The word of the data page that tells waiting harts the kernel's satp; 0 until it is known. */
export const SATP_WORD = imagePage(IMAGE.data);
