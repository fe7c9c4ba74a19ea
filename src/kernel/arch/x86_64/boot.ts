// From reset to the kernel: the path of the boot image (image.prebuilt.ts), and what start-up does.
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

import { frameAddress, physAddr } from "../../../lib/address.ts";
import { highHalf } from "../../../lib/word64.ts";
import { MICROVM } from "../../../machine/boards/microvm-map.ts";
import type { PteFlags } from "../arch.ts";
import type { Kernel } from "../../kernel.ts";
import { freeRange } from "../../mem/frames.ts";
import { makeKernelSpace, makeZeroPage, type DirectRange } from "../../mem/kernel-space.ts";
import type { AddressSpace } from "../../mem/types.ts";
import { addressOfSymbol, nearestSymbol } from "../../symbols.ts";
import { makeSharedPages } from "./hart.ts";
import { bootImage } from "./image.prebuilt.ts";
import { IMAGE, IMAGE_END, imageFrame, imagePage, KERNEL_CR3, KERNEL_STACK_FRAMES, kernelStackBase } from "./layout.ts";

/** A symbol's address once paging is on (trampoline symbols: at the trampoline). */
export const symbolAddress = (name: string): number => addressOfSymbol(bootImage().symbols, name);

/** The nearest symbol at or below an address in the image, as "uservec+0x10"; undefined outside. */
export const symbolize = (address: number): string | undefined => nearestSymbol(bootImage().symbols, address);

/** TypeScript side of `kentry start`: free memory onto the list, what every space maps, kernel page table, CR3 for all harts. */
export function start(k: Kernel): void {
  const { memory } = k.state;
  freeRange(k, IMAGE_END, physAddr(k.memory.base + k.memory.size));
  makeSharedPages(k);
  memory.vdsoFrame = imageFrame(IMAGE.vdso);
  makeZeroPage(k);
  makeKernelSpace(k, directRanges(k), { frames: KERNEL_STACK_FRAMES, flags: KERNEL_DATA, baseOf: kernelStackBase });
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

function directRanges(k: Kernel): DirectRange[] {
  const textStart = imagePage(IMAGE.text);
  const textEnd = imagePage(IMAGE.vdso + 1);
  return [
    { start: 0, end: textStart, flags: KERNEL_DATA },
    { start: textStart, end: textEnd, flags: KERNEL_TEXT },
    { start: textEnd, end: k.memory.base + k.memory.size, flags: KERNEL_DATA },
    { start: MICROVM.virtio, end: 2 ** 32, flags: KERNEL_DATA },
  ];
}
