/**
 * Instructions as the exact tier executes them in TypeScript: those whose emitted form is only a fast path (it leaves by
 * `slow`), and those of the system, which have no emitted form.
 */
import type { Decoded } from "../../isa/riscv64/decode.ts";

/** The registers that an exact definition reads and writes. */
export interface ExactRegisters {
  xLo(register: number): number;
  xHi(register: number): number;
  setX(register: number, lo: number, hi: number): void;
  fLo(register: number): number;
  fHi(register: number): number;
  setF(register: number, lo: number, hi: number): void;
  /** fcsr.frm: 0 RNE, 1 RTZ, 2 RDN, 3 RUP, 4 RMM; 5-7 are reserved. */
  readonly frm: number;
  /** Ors into fcsr.fflags: NX 1, UF 2, OF 4, DZ 8, NV 16. */
  raiseFlags(flags: number): void;
}

/**
 * Executes a floating-point computation exactly; false is an illegal instruction (a reserved rounding mode), with nothing
 * changed. mstatus.FS has been checked, and made dirty.
 */
export type ExactFloat = (hart: ExactRegisters, instruction: Decoded) => boolean;
