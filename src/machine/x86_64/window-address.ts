/** Window addresses of register operands, as records name them. */
import { CELL, FPU_STRIDE, XMM_STRIDE } from "./layout.ts";

/** Of a general register; of ah, ch, dh, bh that of the second byte of register 0-3. */
export function gprAddress(register: number, isHighByte: boolean): number {
  return CELL.gpr + register * 8 + (isHighByte ? 1 : 0);
}

export const xmmAddress = (register: number): number => CELL.xmm + register * XMM_STRIDE;

/** MMX register n is the significand of the physical x87 register n. */
export const mmxAddress = (register: number): number => CELL.fpu + register * FPU_STRIDE;
