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

import { frameAddress, PAGE_SIZE, physAddr, virtAddr } from "../../../lib/address.ts";
import { highHalf } from "../../../lib/word64.ts";
import { MICROVM } from "../../../machine/boards/microvm-map.ts";
import type { PteFlags } from "../arch.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { mapSharedPages } from "../../mem/address-space.ts";
import { finishFlush, newFlush } from "../../mem/flush.ts";
import { allocateFrame, allocateFrames, freeRange } from "../../mem/frames.ts";
import { mapContiguous } from "../../mem/page-table.ts";
import type { AddressSpace } from "../../mem/types.ts";
import { makeSharedPages } from "./hart.ts";
import { bootImage } from "./image.prebuilt.ts";
import {
  directAddress,
  IMAGE,
  IMAGE_END,
  imageFrame,
  imagePage,
  KERNEL_CR3,
  KERNEL_STACK_FRAMES,
  kernelStackBase,
} from "./layout.ts";

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
