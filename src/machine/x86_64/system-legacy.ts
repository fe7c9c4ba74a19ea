/**
 * What 64-bit mode has not (pusha, popa, bound), and clflush, which has no emitted form. Intel SDM volume 2,
 * "Operation" of each.
 */
import { GPR } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
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

/** Caches hold nothing that memory does not; but the address is checked. */
const clflush: SystemSemantics = ({ operands, access }, decoded) =>
  operands.linear(decoded, 0, 1, "load") && access.translate("load", access.linearLo, access.linearHi) >= 0
    ? "done"
    : "faulted";

export const legacySemantics = {
  clflush,
  pusha,
  popa,
  bound,
} satisfies Record<string, SystemSemantics>;
