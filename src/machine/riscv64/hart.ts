/**
 * A RISC-V hart as the host side sees it: registers, CSRs, translation.
 *
 * Registers are two int32 halves, or a JS number where that is exact enough. An address is a JS number: a canonical
 * 64-bit virtual address, sign-extended, so the upper half is negative.
 */
import type { Word64 } from "../../lib/word64.ts";

/** 0 user, 1 supervisor, 3 machine. */
export type Privilege = 0 | 1 | 3;

export type AccessType = "load" | "store" | "execute";

/** Where an access goes, or the exception that it raises. */
export type Translation =
  | { readonly ok: true; readonly physical: number }
  | { readonly ok: false; readonly cause: number; readonly tval: Word64 };

/** One translation that a TLB of the hart holds now; a superpage appears as each 4 KiB page that was filled. */
export interface TlbEntry {
  readonly virtualPage: number;
  readonly physicalPage: number;
  readonly access: AccessType;
  /** The satp under which it is used; mode 0 where translation is off. */
  readonly satp: Word64;
  /** Effective privilege of the accesses that use it. */
  readonly privilege: Privilege;
}

export interface Hart {
  readonly id: number;
  /** Integer registers by number; writes of x0 are dropped. `x` is signed, exact below 2^53. */
  xLo(register: number): number;
  xHi(register: number): number;
  setX(register: number, lo: number, hi: number): void;
  x(register: number): number;
  setXNumber(register: number, value: number): void;
  fLo(register: number): number;
  fHi(register: number): number;
  setF(register: number, lo: number, hi: number): void;
  /** The address of the next instruction. */
  readonly pc: number;
  setPc(address: number): void;
  readonly privilege: Privilege;
  setPrivilege(privilege: Privilege): void;
  /** CSRs by number, without a privilege check, with all effects of `csrr` and `csrw`. Reads of unknown CSRs give 0. */
  readCsr(number: number): Word64;
  csrNumber(number: number): number;
  writeCsr(number: number, lo: number, hi: number): void;
  /** As `sfence.vma` with those operands. */
  sfence(virtualAddress: number | undefined, asid: number | undefined): void;
  /** As the hart's MMU sees the address now, through its TLB: sets no A or D bit and fills nothing. */
  translate(virtualAddress: number, access: AccessType): Translation;
  tlbEntries(): TlbEntry[];
  readonly instructionsRetired: number;
  /** Drives a bit of mip from outside (3 MSIP, 7 MTIP, 1 SSIP, 9 SEIP, 11 MEIP). */
  setInterruptPending(bit: number, level: boolean): void;
  /** Whether the hart waits in `wfi`. */
  readonly waiting: boolean;
}
