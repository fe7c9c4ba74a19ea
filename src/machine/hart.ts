/**
 * A hart (RISC-V's word for a hardware thread, x86's logical processor) as everything sees it that does not depend on its architecture.
 *
 * An address is a JS number: a canonical 64-bit virtual address, sign-extended, so the upper half is negative.
 */
import type { Word64 } from "../lib/word64.ts";

export type AccessType = "load" | "store" | "execute";

/** Where an access goes, or the exception that it raises: its number, and the address that the exception reports. */
export type Translation =
  | { readonly ok: true; readonly physical: number }
  | { readonly ok: false; readonly cause: number; readonly tval: Word64 };

/** One translation that a TLB of the hart holds now; a large page appears as each 4 KiB page that was filled. */
export interface TlbEntry {
  readonly virtualPage: number;
  readonly physicalPage: number;
  readonly access: AccessType;
  /** What selects the tables under which it is used: satp or CR3; 0 where translation is off. */
  readonly space: Word64;
  /** Effective privilege of the accesses that use it, as the architecture numbers it. */
  readonly privilege: number;
}

export interface Hart {
  readonly id: number;
  readonly arch: "riscv64" | "x86_64";
  /** The address of the next instruction. */
  readonly pc: number;
  setPc(address: number): void;
  /** RISC-V: 0 user, 1 supervisor, 3 machine. x86-64: the CPL, 0 to 3. */
  readonly privilege: number;
  readonly instructionsRetired: number;
  /** Whether the hart waits for an interrupt. */
  readonly waiting: boolean;
  /** As the hart's MMU sees the address now, through its TLB: sets no accessed or dirty bit and fills nothing. */
  translate(virtualAddress: number, access: AccessType): Translation;
  tlbEntries(): TlbEntry[];
}
