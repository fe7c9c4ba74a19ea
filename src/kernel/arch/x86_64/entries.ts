// Numbers of the kernel's entry points: the operand of each `kentry` instruction in kernel text, and the TypeScript function
// that it calls (trap.ts enterKernel); and the vectors of interrupts, above the 32 of exceptions.

import { FIRST_INTERRUPT_VECTOR, VECTOR } from "../../../isa/x86_64/vectors.ts";

export const ENTRY = {
  /** Hart 0, on the boot tables: free list, kernel page table. */
  start: 0,
  /** Any hart, on the kernel's page table, for the first time. */
  main: 1,
  userTrap: 2,
  kernelTrap: 3,
  /** Reached by no path: a bug. */
  stuck: 4,
} as const;

/** Interrupt vectors. An APIC serves those with the greater high digit first. */
export const INTERRUPT = {
  /** Pin n of the I/O APIC at `device + n`. */
  device: 0x30,
  timer: 0x50,
  interprocessor: 0x51,
  /** Of an interrupt that went away before it was taken; its low four bits are all ones on old APICs. */
  spurious: 0x5f,
  /** `int 0x80`, the way into the kernel of 32-bit programs. */
  legacyCall: 0x80,
} as const;

/** Pins of an I/O APIC. */
export const DEVICE_PINS = 24;

/** What has a gate in the IDT. */
export const VECTORS: readonly number[] = [
  ...Array.from({ length: FIRST_INTERRUPT_VECTOR }, (_, vector) => vector),
  ...Array.from({ length: DEVICE_PINS }, (_, pin) => INTERRUPT.device + pin),
  INTERRUPT.timer,
  INTERRUPT.interprocessor,
  INTERRUPT.spurious,
  INTERRUPT.legacyCall,
];

/** Vectors that user mode may raise itself: int3, into, int 0x80. All others are #GP there. */
export const USER_VECTORS: ReadonlySet<number> = new Set([VECTOR.BP, VECTOR.OF, INTERRUPT.legacyCall]);

/**
 * Vectors with a stack of their own, by number of it in the TSS: they may come where rsp cannot be trusted, between `syscall` and
 * the load of the kernel's stack, or because of the stack itself.
 */
export const OWN_STACKS: ReadonlyMap<number, number> = new Map([
  [VECTOR.DF, 1],
  [VECTOR.NMI, 2],
  [VECTOR.MC, 3],
]);
