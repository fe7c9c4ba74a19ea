// What each hart has of its own: descriptor table, task state and entry stacks in a page that every space maps, a kernel stack in
// the kernel's space, and its local APIC.
//
//   hart page      0 GDT: -, -, kernel code, kernel data, (user 32), user data, user code, -, TSS
//               0x60 what lgdt and lidt load   0x80 top of the kernel stack   0xc0 TSS: RSP0, IST 1-3
//              0x400 … 0x800 … 0xc00 … 0x1000  stacks of #MC, NMI, #DF
//
// The order of the user's descriptors is SYSRET's: stack segment 8 after, 64-bit code 16 after what STAR names. The numbers are those
// of Linux, since a program can see them. RSP0 is the end of the trapframe of the thread that runs (trapframe.ts): the hart pushes
// the first part of the frame itself.
//
// Intel SDM volume 3, 3.4.5 (descriptors), 6.14.5 (IST), 7.7 (64-bit TSS).

import { frameAddress, PAGE_SIZE, virtAddr, type PhysAddr } from "../../../lib/address.ts";
import { writeU16, writeU32, writeU64 } from "../../../lib/bytes.ts";
import { highHalf } from "../../../lib/word64.ts";
import { GPR } from "../../../isa/x86_64/registers.ts";
import { ATTRIBUTE, SYSTEM_TYPE, TSS64 } from "../../../isa/x86_64/segments.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { allocateFrame } from "../../mem/frames.ts";
import { hartOf } from "./context.ts";
import { initializeLocalApic, startHart } from "./devices.ts";
import { OWN_STACKS, VECTORS } from "./entries.ts";
import { hartPage, imageFrame, IMAGE, kernelStackBase, KERNEL_STACK_FRAMES, layout, TABLES_PAGE } from "./layout.ts";

/** Segment selectors, the user's with RPL 3. */
export const SELECTORS = {
  kernelCode: 0x10,
  kernelData: 0x18,
  /** No 32-bit programs run: its descriptor is not present. SYSRET counts from here. */
  user32: 0x23,
  userData: 0x2b,
  userCode: 0x33,
  tss: 0x40,
} as const;

/** Offsets in a hart's page. */
export const HART_PAGE = { gdt: 0, gdtPointer: 0x60, idtPointer: 0x70, kernelStack: 0x80, tss: 0xc0 } as const;
const GDT_SIZE = SELECTORS.tss + 16;
const OWN_STACK_SIZE = 0x400;

const PRESENT = ATTRIBUTE.P | ATTRIBUTE.S | ATTRIBUTE.ACCESSED;
const CODE = PRESENT | ATTRIBUTE.CODE | ATTRIBUTE.READABLE | ATTRIBUTE.L | ATTRIBUTE.G;
const DATA = PRESENT | ATTRIBUTE.WRITABLE | ATTRIBUTE.DB | ATTRIBUTE.G;

/** Attributes of the segments by selector; all of them begin at 0 and end nowhere. */
export const SEGMENT_ATTRIBUTES: ReadonlyMap<number, number> = new Map([
  [SELECTORS.kernelCode, CODE],
  [SELECTORS.kernelData, DATA],
  [SELECTORS.userData, DATA | ATTRIBUTE.DPL],
  [SELECTORS.userCode, CODE | ATTRIBUTE.DPL],
]);

/** A descriptor for all of memory: base 0, limit 2^32 - 1. */
export function flatDescriptor(attributes: number): { lo: number; hi: number } {
  return { lo: 0xffff, hi: 0xf_0000 | (attributes << 8) };
}

/** Bytes of the IDT: gates for every vector up to the last. */
export const IDT_SIZE = (Math.max(...VECTORS) + 1) * 16;

/** Places in `MemoryState.sharedPages`. */
const FIRST_HART = 2;

/** Start-up: makes the pages that every space maps: trampoline, tables, and one for each hart. */
export function makeSharedPages(k: Kernel): void {
  const { sharedPages } = k.state.memory;
  sharedPages.push(
    {
      name: "trampoline",
      address: layout.trampoline,
      frame: imageFrame(IMAGE.trampoline),
      protection: { read: true, write: false, execute: true },
    },
    {
      name: "tables",
      address: TABLES_PAGE,
      frame: imageFrame(IMAGE.tables),
      protection: { read: true, write: false, execute: false },
    },
  );
  for (const { id } of k.machine.harts) {
    const frame = allocateFrame(k, "kernel");
    if (frame === "ENOMEM") throw new KernelBug("no memory for the harts' tables");
    k.memory.write(frameAddress(frame), encodeHartPage(id));
    sharedPages.push({
      name: `page of hart ${id}`,
      address: hartPage(id),
      frame,
      protection: { read: true, write: true, execute: false },
    });
  }
}

/** Contents of a hart's page at start-up. */
export function encodeHartPage(hart: number): Uint8Array {
  const bytes = new Uint8Array(PAGE_SIZE);
  const address = hartPage(hart);
  for (const [selector, attributes] of SEGMENT_ATTRIBUTES) {
    const { lo, hi } = flatDescriptor(attributes);
    writeU32(bytes, HART_PAGE.gdt + (selector & ~7), lo);
    writeU32(bytes, HART_PAGE.gdt + (selector & ~7) + 4, hi);
  }
  const tss = address + HART_PAGE.tss;
  const at = HART_PAGE.gdt + SELECTORS.tss;
  writeU32(bytes, at, ((tss << 16) | (TSS64.size - 1)) >>> 0);
  writeU32(
    bytes,
    at + 4,
    (tss & 0xff00_0000) | (ATTRIBUTE.P << 8) | (SYSTEM_TYPE.availableTss << 8) | ((tss >>> 16) & 0xff),
  );
  writeU32(bytes, at + 8, highHalf(tss));

  writeU16(bytes, HART_PAGE.gdtPointer, GDT_SIZE - 1);
  writeU64(bytes, HART_PAGE.gdtPointer + 2, address + HART_PAGE.gdt);
  writeU16(bytes, HART_PAGE.idtPointer, IDT_SIZE - 1);
  writeU64(bytes, HART_PAGE.idtPointer + 2, TABLES_PAGE);
  writeU64(bytes, HART_PAGE.kernelStack, kernelStackTop(hart));

  for (const stack of OWN_STACKS.values()) {
    writeU64(bytes, HART_PAGE.tss + TSS64.ist1 + (stack - 1) * 8, address + PAGE_SIZE - (stack - 1) * OWN_STACK_SIZE);
  }
  // No port is open to user mode: the map would begin beyond the segment.
  writeU16(bytes, HART_PAGE.tss + TSS64.ioMapBase, TSS64.size);
  return bytes;
}

const kernelStackTop = (hart: number): number => kernelStackBase(hart) + KERNEL_STACK_FRAMES * PAGE_SIZE;

/** Traps from user mode begin their frame below `address` from now on: RSP0. */
export function setEntryStack(k: Kernel, hart: number, address: number): void {
  const tss = hartPageAddress(k, hart) + HART_PAGE.tss;
  k.memory.write32(tss + TSS64.rsp0, address | 0);
  k.memory.write32(tss + TSS64.rsp0 + 4, highHalf(address));
}

function hartPageAddress(k: Kernel, hart: number): PhysAddr {
  const page = k.state.memory.sharedPages[FIRST_HART + hart];
  if (page === undefined) throw new KernelBug(`no page of hart ${hart}`);
  return frameAddress(page.frame);
}

/** First thing of `kentry main`: the kernel stack and the local APIC of this hart; hart 0 starts the others. */
export function initializeHart(k: Kernel, hart: number): void {
  const state = k.state.harts[hart];
  if (state === undefined) throw new KernelBug(`no hart ${hart}`);
  state.kernelStack = virtAddr(kernelStackTop(hart));
  k.state.memory.kernelSpace.cachingHarts.add(hart);
  hartOf(k, hart).setGprNumber(GPR.rsp, state.kernelStack);
  initializeLocalApic(k);
  if (hart === 0) for (const { id } of k.machine.harts) if (id !== 0) startHart(k, id);
}
