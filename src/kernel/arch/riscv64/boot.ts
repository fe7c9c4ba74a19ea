// From reset to the kernel: the boot image, and what start-up does.
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
import { assemble } from "../../../isa/riscv64/assembler.ts";
import {
  MSTATUS,
  PMPCFG,
  PMP_MATCH,
  PMPCFG_A_SHIFT,
  SATP_HI_SHIFT,
  SUPERVISOR_INTERRUPTS,
} from "../../../isa/riscv64/csrs.ts";
import { EXCEPTION } from "../../../isa/riscv64/causes.ts";
import { SATP_MODE } from "../../../isa/riscv64/paging.ts";
import { VIRT } from "../../../machine/boards/virt-map.ts";
import type { PteFlags } from "../arch.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { mapSharedPages } from "../../mem/address-space.ts";
import { finishFlush, newFlush } from "../../mem/flush.ts";
import { allocateFrame, allocateFrames, freeRange } from "../../mem/frames.ts";
import { mapContiguous } from "../../mem/page-table.ts";
import type { AddressSpace } from "../../mem/types.ts";
import { ENTRY } from "./entries.ts";
import { makeSharedPages } from "./hart.ts";
import {
  directAddress,
  IMAGE,
  IMAGE_END,
  imageFrame,
  imagePage,
  KERNEL_STACK_FRAMES,
  kernelStackBase,
  layout,
  RAM_BASE,
} from "./layout.ts";
import { TEXT_SOURCE, TRAMPOLINE_SOURCE, VDSO_SOURCE } from "./trampoline.ts";

/** What a fault or an interrupt of S- or U-mode leaves to S-mode: everything but its own environment calls. */
const DELEGATED_EXCEPTIONS = Object.values(EXCEPTION)
  .filter((code) => code !== EXCEPTION.supervisorEnvironmentCall && code !== EXCEPTION.machineEnvironmentCall)
  .reduce<number>((mask, code) => mask | (1 << code), 0);

/** The word of the data page that tells waiting harts the kernel's satp; 0 until it is known. */
const SATP_WORD = imagePage(IMAGE.data);

const BOOT_SOURCE = `
reset:                              # a0 = hart id
    li t0, -1
    srli t0, t0, 10
    csrw pmpaddr0, t0               # all of physical memory …
    li t0, ${PMPCFG.R | PMPCFG.W | PMPCFG.X | (PMP_MATCH.napot << PMPCFG_A_SHIFT)}
    csrw pmpcfg0, t0                # … may be read, written and executed
    li t0, ${DELEGATED_EXCEPTIONS}
    csrw medeleg, t0
    li t0, ${SUPERVISOR_INTERRUPTS}
    csrw mideleg, t0
    csrw mie, zero
    li t0, 1
    slli t0, t0, 63
    csrw menvcfg, t0                # STCE: stimecmp for S-mode
    li t0, 7
    csrw mcounteren, t0             # cycle, time, instret for S-mode …
    csrw scounteren, t0             # … and for user programs
    lla t0, machine_trap
    csrw mtvec, t0
    lla t0, supervisor
    csrw mepc, t0
    li t0, ${MSTATUS.MPP}
    csrc mstatus, t0
    li t0, ${1 << 11}
    csrs mstatus, t0                # MPP = S
    csrw satp, zero
    mret

    .align 2
machine_trap:                       # nothing is left to M-mode: tell the board that the machine failed
    li t0, ${VIRT.test}
    li t1, 0x13333
    sw t1, 0(t0)
    j machine_trap

supervisor:
    lla t0, kernel_text
    bnez a0, secondary
    jalr ra, 0(t0)                  # kernel text: kentry start
    j enter
secondary:
    lla t0, satp_word
1:  ld t1, 0(t0)
    beqz t1, 1b
enter:
    lla t0, satp_word
    ld t1, 0(t0)
    li t2, HIGH
    csrw stvec, t2
    sfence.vma
    csrw satp, t1                   # the fetch of the next instruction faults, and the trap goes to \`high\`
    j machine_trap
`;

/** First in kernel text; \`start\` runs at its physical address, with paging off. */
const ENTER_SOURCE = `
start:
    kentry ${ENTRY.start}
    ret
    .align 2
high:
    li sp, 0
    kentry ${ENTRY.main}            # leaves through userret or the idle loop
    j stuck
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

function assembleImage(): BootImage {
  const bytes = new Uint8Array(IMAGE.pages * PAGE_SIZE);
  const symbols = new Map<string, number>();
  const place = (page: number, source: string, base: number, known: Readonly<Record<string, number>> = {}): void => {
    const code = assemble(source, { base, symbols: known });
    if (code.bytes.length > PAGE_SIZE) throw new KernelBug("machine code of more than a page");
    bytes.set(code.bytes, page * PAGE_SIZE);
    for (const [name, address] of code.symbols) symbols.set(name, address);
  };
  place(IMAGE.text, ENTER_SOURCE + TEXT_SOURCE, directAddress(imagePage(IMAGE.text)));
  place(IMAGE.trampoline, TRAMPOLINE_SOURCE, layout.trampoline);
  place(IMAGE.vdso, VDSO_SOURCE, layout.vdso);
  const high = symbols.get("high");
  if (high === undefined) throw new KernelBug("no symbol high");
  // The boot page runs where it was loaded, before there is a page table.
  place(IMAGE.boot, BOOT_SOURCE, imagePage(IMAGE.boot), {
    kernel_text: imagePage(IMAGE.text),
    satp_word: SATP_WORD,
    HIGH: high,
  });
  return { bytes, symbols };
}
