/**
 * What x87 instructions have in common: the check for a pending exception, and where their operands come from and go to.
 *
 * Intel SDM volume 1, 8.3 (instruction set) and 8.6 (the exception is raised by the next waiting instruction: #MF).
 */
import { type Decoded, type DecodedOperand, OPERAND } from "../../isa/x86_64/decode-types.ts";
import { fromInteger } from "../float/extended-arithmetic.ts";
import { fromDouble, fromSingle, isDenormalDouble, isDenormalSingle } from "../float/extended-convert.ts";
import { BEFORE_COMPUTATION, type Extended, type ExtendedEnvironment } from "../float/extended.ts";
import type { ExactHart, ExactOutcome, ExactRegisters, ExactX86 } from "./exact.ts";
import { CELL } from "./layout.ts";
import { accrue, isPending, notePointers, readExtended } from "./x87-state.ts";

/** An instruction that waits for pending exceptions, and is noted as the last one. */
export function waiting(execute: (hart: ExactHart, decoded: Decoded) => ExactOutcome): ExactX86 {
  return (hart, decoded) => {
    if (isPending(hart.registers)) return "x87-error";
    notePointers(hart, memoryOperand(decoded) !== undefined);
    return execute(hart, decoded);
  };
}

/** A waiting instruction of control, which leaves the pointers as they are. */
export function waitingControl(execute: (hart: ExactHart, decoded: Decoded) => ExactOutcome): ExactX86 {
  return (hart, decoded) => (isPending(hart.registers) ? "x87-error" : execute(hart, decoded));
}

export function memoryOperand({ operands, operandCount }: Decoded): DecodedOperand | undefined {
  for (let index = 0; index < operandCount; index++) {
    const operand = operands[index];
    if (operand !== undefined && operand.kind === OPERAND.memory) return operand;
  }
  return undefined;
}

/** The last operand that is st(i), as its i. */
export function stackOperand({ operands, operandCount }: Decoded, otherwise: number): number {
  const last = operands[operandCount - 1];
  return last !== undefined && last.kind === OPERAND.st ? last.register : otherwise;
}

/** The number at CELL.operand: binary32, binary64 or double-extended by its size. */
export function readReal(registers: ExactRegisters, size: number): Extended {
  switch (size) {
    case 4:
      return fromSingle(registers.get(CELL.operand));
    case 8:
      return fromDouble(registers.get(CELL.operand + 4), registers.get(CELL.operand));
    default:
      return readExtended(registers, CELL.operand);
  }
}

/** Whether that number is denormal, which its double-extended form does not show. */
export function isRealDenormal(registers: ExactRegisters, size: number): boolean {
  return size === 4
    ? isDenormalSingle(registers.get(CELL.operand))
    : size === 8 && isDenormalDouble(registers.get(CELL.operand + 4), registers.get(CELL.operand));
}

/** The signed integer at CELL.operand, of 2, 4 or 8 bytes. */
export function readInteger(registers: ExactRegisters, size: number): Extended {
  const word = registers.get(CELL.operand);
  if (size === 8) return fromInteger({ hi: registers.get(CELL.operand + 4), lo: word });
  const lo = size === 2 ? (word << 16) >> 16 : word;
  return fromInteger({ hi: lo >> 31, lo });
}

/**
 * Accrues what a computation raised; false where that keeps the result from being written and the stack from being popped.
 * Exceptions of the operands, unmasked, leave no room for those of the result.
 */
export function settle(hart: ExactHart, env: ExtendedEnvironment): boolean {
  const isStopped = (env.flags & env.unmasked & BEFORE_COMPUTATION) !== 0;
  if (isStopped) accrue(hart, env.flags & BEFORE_COMPUTATION, false);
  else accrue(hart, env.flags, env.isRoundedUp);
  return !isStopped;
}
