/**
 * What 64-bit mode has not (pusha, popa, bound), and what is too rare to have an emitted form (xlat, enter, clflush). Intel SDM volume 2,
 * "Operation" of each.
 */
import { GPR, SEGMENT } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { addWords } from "./access.ts";
import { CELL } from "./layout.ts";
import type { SystemSemantics } from "./system.ts";

const pusha: SystemSemantics = ({ registers, operands }, { operandSize }) => {
  // All eight, rsp as it was before.
  for (let register = 0; register < 8; register++) {
    const offset = -(register + 1) * operandSize;
    if (!operands.writeStack(offset, operandSize, registers.gprLo(register), 0)) return "faulted";
  }
  operands.moveStack(-8 * operandSize);
  return "done";
};

const popa: SystemSemantics = ({ registers, operands }, { operandSize }) => {
  const values: number[] = [];
  for (let slot = 0; slot < 8; slot++) {
    if (!operands.readStack(slot * operandSize, operandSize)) return "faulted";
    values.push(operands.valueLo);
  }
  operands.moveStack(8 * operandSize);
  for (const [slot, value] of values.entries()) {
    const register = 7 - slot;
    if (register !== GPR.rsp) registers.writeGpr(register, operandSize, value, 0);
  }
  return "done";
};

const bound: SystemSemantics = ({ registers, operands, access }, decoded) => {
  const size = decoded.operandSize;
  const signed = (value: number): number => (size === 2 ? (value << 16) >> 16 : value);
  if (!operands.load(decoded, 0, size)) return "faulted";
  const lower = signed(operands.valueLo);
  if (!operands.load(decoded, size, size)) return "faulted";
  const upper = signed(operands.valueLo);
  const index = signed(registers.gprLo(decoded.operands[0].register));
  if (index >= lower && index <= upper) return "done";
  access.fail(VECTOR.BR);
  return "faulted";
};

/** al becomes the byte at rbx + al. */
const xlat: SystemSemantics = ({ registers, access }, { addressSize, segment }) => {
  const sum = (registers.gprLo(GPR.rbx) >>> 0) + (registers.gprLo(GPR.rax) & 0xff);
  const lo = addressSize === 2 ? sum & 0xffff : sum | 0;
  const hi = addressSize === 8 ? (registers.gprHi(GPR.rbx) + (sum > 0xffffffff ? 1 : 0)) | 0 : 0;
  if (!access.linear(segment, lo, hi, 1, "load")) return "faulted";
  if (!access.load(1, access.linearLo, access.linearHi)) return "faulted";
  registers.writeGpr(GPR.rax, 1, registers.get(CELL.stepValue), 0);
  return "done";
};

/** Makes a frame: pushes rbp, copies the outer frames' pointers that a nested procedure needs, and makes room. */
const enter: SystemSemantics = ({ registers, operands, access }, { operandSize, immLo, imm2 }) => {
  const level = imm2 & 31;
  const room = immLo & 0xffff;
  const bottomLo = registers.rspLo;
  const bottomHi = registers.rspHi;
  const baseLo = registers.gprLo(GPR.rbp);
  const baseHi = registers.gprHi(GPR.rbp);
  if (!operands.writeStack(-operandSize, operandSize, baseLo, baseHi)) return "faulted";
  const frame = addWords(bottomLo, bottomHi, -operandSize);
  const is64 = registers.codeMode === 64;
  for (let n = 1; n < level; n++) {
    const outer = addWords(baseLo, is64 ? baseHi : 0, -n * operandSize);
    if (!access.linear(SEGMENT.ss, outer.lo, outer.hi, operandSize, "load")) return "faulted";
    if (!access.load(operandSize, access.linearLo, access.linearHi)) return "faulted";
    const { lo, hi } = registers.word(CELL.stepValue);
    if (!operands.writeStack(-(n + 1) * operandSize, operandSize, lo, hi)) return "faulted";
  }
  if (level > 0 && !operands.writeStack(-(level + 1) * operandSize, operandSize, frame.lo, frame.hi)) return "faulted";
  operands.moveStack(-(operandSize * (1 + level) + room));
  registers.writeGpr(GPR.rbp, operandSize, frame.lo, frame.hi);
  return "done";
};

/** Caches hold nothing that memory does not; but the address is checked. */
const clflush: SystemSemantics = ({ operands, access }, decoded) =>
  operands.linear(decoded, 0, 1, "load") && access.translate("load", access.linearLo, access.linearHi) >= 0
    ? "done"
    : "faulted";

export const legacySemantics = {
  xlat,
  enter,
  clflush,
  pusha,
  popa,
  bound,
} satisfies Record<string, SystemSemantics>;
