/**
 * A RISC-V hart as the host side sees it: what hart.ts says of every hart, with registers and CSRs.
 *
 * Registers are two int32 halves, or a JS number where that is exact enough.
 */
import type { Word64 } from "../../lib/word64.ts";
import type { Hart } from "../hart.ts";

/** 0 user, 1 supervisor, 3 machine. */
export type Privilege = 0 | 1 | 3;

export function isRiscvHart(hart: Hart): hart is RiscvHart {
  return hart.arch === "riscv64";
}

export interface RiscvHart extends Hart {
  readonly arch: "riscv64";
  /** Integer registers by number; writes of x0 are dropped. `x` is signed, exact below 2^53. */
  xLo(register: number): number;
  xHi(register: number): number;
  setX(register: number, lo: number, hi: number): void;
  x(register: number): number;
  setXNumber(register: number, value: number): void;
  fLo(register: number): number;
  fHi(register: number): number;
  setF(register: number, lo: number, hi: number): void;
  readonly privilege: Privilege;
  setPrivilege(privilege: Privilege): void;
  /** CSRs by number, without a privilege check, with all effects of `csrr` and `csrw`. Reads of unknown CSRs give 0. */
  readCsr(number: number): Word64;
  csrNumber(number: number): number;
  writeCsr(number: number, lo: number, hi: number): void;
  /** As `sfence.vma` with those operands. */
  sfence(virtualAddress: number | undefined, asid: number | undefined): void;
  /** Drives a bit of mip from outside (3 MSIP, 7 MTIP, 1 SSIP, 9 SEIP, 11 MEIP). */
  setInterruptPending(bit: number, level: boolean): void;
}
