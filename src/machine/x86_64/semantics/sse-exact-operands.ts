// Operands of MMX and SSE instructions as the exact tier reads and writes them: cells of the window, as 32-bit words or as BigInt.

import { OPERAND, type Decoded, type DecodedOperand } from "../../../isa/x86_64/decode-types.ts";
import { MXCSR } from "../../../isa/x86_64/registers.ts";
import type { ExactRegisters } from "../exact.ts";
import { CELL, FPU_STRIDE, XMM_STRIDE } from "../layout.ts";

export const xmmCell = (register: number): number => CELL.xmm + XMM_STRIDE * register;

/** Where operand n lies; a memory operand's bytes have been copied to CELL.operand. */
export function cellOf(decoded: Decoded, n: number): number {
  const operand: DecodedOperand | undefined = decoded.operands[n];
  switch (operand?.kind) {
    case OPERAND.xmm:
      return xmmCell(operand.register);
    case OPERAND.mmx:
      return CELL.fpu + FPU_STRIDE * operand.register;
    case OPERAND.gpr:
      return CELL.gpr + 8 * operand.register + (operand.isHighByte ? 1 : 0);
    case OPERAND.memory:
    case OPERAND.absolute:
      return CELL.operand;
    default:
      throw new Error(`operand ${n} is no register and no memory`);
  }
}

/** The unsigned value of 1, 2, 4 or 8 bytes, which may lie in the midst of a cell. */
export function readBits(registers: ExactRegisters, address: number, size: number): bigint {
  const low = BigInt(registers.get(address & ~3) >>> 0) >> BigInt((address & 3) * 8);
  if (size < 8) return BigInt.asUintN(size * 8, low);
  return (BigInt(registers.get(address + 4) >>> 0) << 32n) | low;
}

/** Writes 4 or 8 bytes to cells. */
export function writeBits(registers: ExactRegisters, cell: number, size: 4 | 8, value: bigint): void {
  registers.set(cell, Number(BigInt.asIntN(32, value)));
  if (size === 8) registers.set(cell + 4, Number(BigInt.asIntN(32, value >> 32n)));
}

/** Byte n of what begins at a cell. */
export function readByte(registers: ExactRegisters, cell: number, n: number): number {
  return (registers.get(cell + (n & ~3)) >>> ((n & 3) * 8)) & 0xff;
}

const X87_TOP = 7 << 11;

/** What MMX instructions do to the x87 state: TOP is 0, all registers are valid, and `written` has ones above its significand. */
export function tagMmxRegisters(registers: ExactRegisters, written?: DecodedOperand): void {
  registers.set(CELL.fpuStatus, registers.get(CELL.fpuStatus) & ~X87_TOP);
  registers.set(CELL.fpuTag, 0);
  if (written?.kind === OPERAND.mmx) registers.set(CELL.fpu + FPU_STRIDE * written.register + 8, 0xffff);
}

/** Sets MXCSR, and what instructions check of it before they run. */
export function setMxcsr(registers: ExactRegisters, value: number): void {
  registers.set(CELL.mxcsr, value);
  const isNearest = registers.get(CELL.sseReady) !== 0 && (value & ~MXCSR.FLAGS) === MXCSR.RESET;
  registers.set(CELL.sseNearest, isNearest ? 1 : 0);
}
