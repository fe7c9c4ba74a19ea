// Where the parts of a program lie in its address space: at fixed places, or moved at random (address-space layout randomisation).
//
//   0 .. [image] ~heap~> ..... [pie image] ~heap~> ..... <─ mappings ─ mmapTop ~~ | room for the stack, guard gap | stackTop ~~ userTop
//                └ + 0 to heap                 └ + 0 to mappings                └ - 0 to mappings              └ - 0 to stack
//
// The distances are pages of the kernel's generator: they follow from the boot's seed and from what ran before, so two runs of one
// boot are alike. kernel.randomize_va_space and personality(ADDR_NO_RANDOMIZE) turn them off; a fork keeps its parent's. The page with the
// signal-return code stays: its address is assembled into it. Linux: arch/*/mm/mmap.c, fs/binfmt_elf.c; personality(2).

import { ADDR_NO_RANDOMIZE } from "../../abi/linux/process.ts";
import { PAGE_SIZE, virtAddr, type VirtAddr } from "../../lib/address.ts";
import { fillRandom } from "../fs/device-files.ts";
import type { Kernel } from "../kernel.ts";
import { STACK_GUARD_GAP } from "../mem/region-tree.ts";
import type { Process } from "./types.ts";

export interface SpaceLayout {
  readonly stackTop: VirtAddr;
  readonly mmapTop: VirtAddr;
  /** Where a position-independent program begins. */
  readonly pieBase: VirtAddr;
  /** Bytes from the end of the program to its heap. */
  readonly heapOffset: number;
}

/** Room below the stack's top that is kept for it, however small its limit is, and however large. */
const LEAST_STACK_ROOM = 128 * 2 ** 20;
const MOST_STACK_ROOM = 5 / 6;

/** Chooses the layout of the program that `process` is about to run, whose stack may grow to `stackLimit` bytes. */
export function chooseLayout(k: Kernel, process: Process, isPrivileged: boolean, stackLimit: number): SpaceLayout {
  const { layout } = k.arch;
  const { randomizeLayout } = k.state.memory.settings;
  // A program that gains rights by being run does not take its layout from who runs it.
  const isFixed = randomizeLayout === 0 || ((process.personality & ADDR_NO_RANDOMIZE) !== 0 && !isPrivileged);
  const [mappings, stack, pie, heap] = isFixed ? [0, 0, 0, 0] : randomOffsets(k, randomizeLayout === 2);
  const mostStackOffset = isFixed ? 0 : layout.randomPages.stack * PAGE_SIZE;
  const room = Math.max(LEAST_STACK_ROOM, Math.min(stackLimit, layout.userTop) + STACK_GUARD_GAP) + mostStackOffset;
  const bounded = Math.min(room, Math.floor((layout.userTop * MOST_STACK_ROOM) / PAGE_SIZE) * PAGE_SIZE);
  return {
    stackTop: virtAddr(layout.stackTop - stack),
    mmapTop: virtAddr(Math.floor((layout.userTop - bounded - mappings) / PAGE_SIZE) * PAGE_SIZE),
    pieBase: virtAddr(layout.pieBase + pie),
    heapOffset: heap,
  };
}

/** Four offsets in bytes: of the mappings, the stack, the program and the heap. */
function randomOffsets(k: Kernel, movesHeap: boolean): [number, number, number, number] {
  const { mappings, stack, heap } = k.arch.layout.randomPages;
  const words = new Uint32Array(4);
  fillRandom(k, new Uint8Array(words.buffer));
  const below = (index: number, pages: number): number => ((words[index] ?? 0) % pages) * PAGE_SIZE;
  return [below(0, mappings), below(1, stack), below(2, mappings), movesHeap ? below(3, heap) : 0];
}
