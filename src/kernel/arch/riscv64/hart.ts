// What each hart has of its own: a kernel stack in the kernel's space, its trap vector and the interrupts that it listens to. Of the
// pages that every space maps there is one, which all harts share: the trampoline.

import { PAGE_SIZE, virtAddr } from "../../../lib/address.ts";
import { highHalf } from "../../../lib/word64.ts";
import { CSR, INTERRUPT_BIT } from "../../../isa/riscv64/csrs.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { symbolAddress } from "./boot.ts";
import { hartOf } from "./context.ts";
import { IMAGE, imageFrame, KERNEL_STACK_FRAMES, kernelStackBase, layout } from "./layout.ts";

const SP = 2;

/** Interrupts that a hart listens to: software, timer, external. */
const ENABLED_INTERRUPTS = INTERRUPT_BIT.SSI | INTERRUPT_BIT.STI | INTERRUPT_BIT.SEI;

/** Start-up: the pages that every space maps. */
export function makeSharedPages(k: Kernel): void {
  k.state.memory.sharedPages.push({
    name: "trampoline",
    address: layout.trampoline,
    frame: imageFrame(IMAGE.trampoline),
    protection: { read: true, write: false, execute: true },
  });
}

/** First thing of `kentry main`: kernel stack and trap vector of this hart. */
export function initializeHart(k: Kernel, hart: number): void {
  const registers = hartOf(k, hart);
  const state = k.state.harts[hart];
  if (state === undefined) throw new KernelBug(`no hart ${hart}`);
  state.kernelStack = virtAddr(kernelStackBase(hart) + KERNEL_STACK_FRAMES * PAGE_SIZE);
  k.state.memory.kernelSpace.cachingHarts.add(hart);
  registers.setXNumber(SP, state.kernelStack);
  const vector = symbolAddress("kernelvec");
  registers.writeCsr(CSR.stvec, vector | 0, highHalf(vector));
  registers.writeCsr(CSR.sie, ENABLED_INTERRUPTS, 0);
}
