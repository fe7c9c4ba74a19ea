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

import { physAddr } from "../../../lib/address.ts";
import { highHalf } from "../../../lib/word64.ts";
import { SATP_HI_SHIFT } from "../../../isa/riscv64/csrs.ts";
import { SATP_MODE } from "../../../isa/riscv64/paging.ts";
import type { PteFlags } from "../arch.ts";
import type { Kernel } from "../../kernel.ts";
import { freeRange } from "../../mem/frames.ts";
import { makeKernelSpace, makeZeroPage, type DirectRange } from "../../mem/kernel-space.ts";
import type { AddressSpace } from "../../mem/types.ts";
import { addressOfSymbol, nearestSymbol } from "../../symbols.ts";
import { makeSharedPages } from "./hart.ts";
import { bootImage } from "./image.prebuilt.ts";
import {
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
export const symbolAddress = (name: string): number => addressOfSymbol(bootImage().symbols, name);

/** The nearest symbol at or below an address in the image, as "uservec+0x10"; undefined outside. */
export const symbolize = (address: number): string | undefined => nearestSymbol(bootImage().symbols, address);

/** TypeScript side of `kentry start`: free memory onto the list, kernel page table, satp for all harts. */
export function start(k: Kernel): void {
  const { memory } = k.state;
  const ramEnd = physAddr(k.memory.base + k.memory.size);
  freeRange(k, IMAGE_END, ramEnd);
  makeSharedPages(k);
  memory.vdsoFrame = imageFrame(IMAGE.vdso);
  makeZeroPage(k);
  makeKernelSpace(k, directRanges(k), { frames: KERNEL_STACK_FRAMES, flags: KERNEL_DATA, baseOf: kernelStackBase });
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

/** Everything below RAM that the board has is devices: whole large pages. */
function directRanges(k: Kernel): DirectRange[] {
  const dataStart = imagePage(IMAGE.data);
  return [
    { start: 0, end: RAM_BASE, flags: KERNEL_DATA },
    { start: RAM_BASE, end: dataStart, flags: KERNEL_TEXT },
    { start: dataStart, end: k.memory.base + k.memory.size, flags: KERNEL_DATA },
  ];
}
