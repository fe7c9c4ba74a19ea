// From reset to the kernel: the path of the boot image (image.prebuilt.ts), and what start-up does.
//
//   M-mode  reset:        PMP open, traps and interrupts delegated, counters and stimecmp given to S-mode, mret
//   S-mode  supervisor:   hart 0: kentry start: frames onto the free list, kernel page table
//                         others: wait for the kernel's satp
//           enter:        stvec = `high` at its mapped address; satp loaded; the next fetch faults, since nothing is mapped at
//                         the physical addresses: the trap goes to `high`
//           high:         kernel stack, stvec = kernelvec, kentry main: the scheduler; the first process leaves through
//                         usertrapret, userret, sret
//
// RISC-V privileged architecture, "Machine-Level CSRs"; Sstc for menvcfg.STCE; K8, X6, X7, X8. docs/startup.md tells the story.

import { frameAddress, PAGE_SIZE, physAddr, virtAddr } from "../../../lib/address.ts";
import { highHalf } from "../../../lib/word64.ts";
import { SATP_HI_SHIFT } from "../../../isa/riscv64/csrs.ts";
import { SATP_MODE } from "../../../isa/riscv64/paging.ts";
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
  KERNEL_STACK_FRAMES,
  kernelStackBase,
  RAM_BASE,
  SATP_WORD,
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

/** TypeScript side of `kentry start`: free memory onto the list, kernel page table, satp for all harts. */
export function start(k: Kernel): void {
  const { memory } = k.state;
  const ramEnd = physAddr(k.memory.base + k.memory.size);
  freeRange(k, IMAGE_END, ramEnd);
  makeSharedPages(k);
  memory.vdsoFrame = imageFrame(IMAGE.vdso);
  const zeroFrame = allocateFrame(k, "kernel");
  if (zeroFrame === "ENOMEM") throw new KernelBug("no memory for the zero page");
  memory.zeroFrame = zeroFrame;
  makeKernelSpace(k, memory.kernelSpace);
  const satp = rootRegisterOf(memory.kernelSpace, 0);
  k.memory.write32(SATP_WORD, satp.lo);
  k.memory.write32(SATP_WORD + 4, satp.hi);
}

/** satp for a space: Sv39, its ASID, its root. */
export function rootRegisterOf(space: AddressSpace, asid: number): { hi: number; lo: number } {
  return {
    hi: (SATP_MODE.sv39 << SATP_HI_SHIFT.MODE) | (asid << SATP_HI_SHIFT.ASID) | highHalf(space.root),
    lo: space.root | 0,
  };
}

const KERNEL_DATA: PteFlags = {
  read: true,
  write: true,
  execute: false,
  user: false,
  global: true,
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
  const mapDirect = (physical: number, length: number, flags: PteFlags): void =>
    map(directAddress(physical), physical, length, flags);
  // Everything below RAM that the board has is devices: whole large pages.
  mapDirect(0, RAM_BASE, KERNEL_DATA);
  mapDirect(RAM_BASE, IMAGE.data * PAGE_SIZE, KERNEL_TEXT);
  const dataStart = imagePage(IMAGE.data);
  mapDirect(dataStart, k.memory.base + k.memory.size - dataStart, KERNEL_DATA);
  const flush = newFlush(k, space);
  if (mapSharedPages(k, space, flush) === "ENOMEM") throw new KernelBug("no memory for the kernel page table");
  finishFlush(k, flush, "start-up");
  for (const hart of k.machine.harts) {
    const stack = allocateFrames(k, KERNEL_STACK_FRAMES, "kernel-stack");
    if (stack === "ENOMEM") throw new KernelBug("no memory for the kernel stacks");
    map(kernelStackBase(hart.id), frameAddress(stack), KERNEL_STACK_FRAMES * PAGE_SIZE, KERNEL_DATA);
  }
}
