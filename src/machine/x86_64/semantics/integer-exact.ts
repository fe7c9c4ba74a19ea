/**
 * Integer instructions that the exact tier executes in TypeScript: those whose emitted form is only a fast path (division), and those
 * that are too rare, or too long, to emit. Intel SDM volume 2.
 */
import type { Decoded } from "../../../isa/x86_64/decode-types.ts";
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";
import { ARITHMETIC_FLAGS, GPR, RFLAGS } from "../../../isa/x86_64/registers.ts";
import { OPERAND } from "../../../isa/x86_64/decode-types.ts";
import type { ExactHart, ExactOutcome, ExactRegisters, ExactX86 } from "../exact.ts";
import { CELL } from "../layout.ts";
import { gprAddress } from "../window-address.ts";

const gprCell = (register: number): number => CELL.gpr + register * 8;

/** Two 32-bit cells as an unsigned 64-bit value. */
function read64(registers: ExactRegisters, cell: number): bigint {
  return (BigInt(registers.get(cell + 4) >>> 0) << 32n) | BigInt(registers.get(cell) >>> 0);
}

function write64(registers: ExactRegisters, cell: number, value: bigint): void {
  registers.setWords(cell, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

/** Writes the low bytes of a general register: 4 bytes clear the upper half, 1 and 2 leave the rest. */
function writeGpr(registers: ExactRegisters, register: number, size: number, value: bigint): void {
  const cell = gprCell(register);
  const low = BigInt.asUintN(size * 8, value);
  if (size >= 4) write64(registers, cell, low);
  else registers.set(cell, (registers.get(cell) & ~(2 ** (size * 8) - 1)) | Number(low));
}

/** The cells that hold operand 0, which is a general register or memory; a high byte register begins in the middle of one. */
function readOperand(registers: ExactRegisters, decoded: Decoded): bigint {
  const [operand] = decoded.operands;
  const address = operand.kind === OPERAND.gpr ? gprAddress(operand.register, operand.isHighByte) : CELL.operand;
  const whole = read64(registers, address & ~7) >> BigInt((address & 7) * 8);
  return BigInt.asUintN(operand.size * 8, whole);
}

/** div and idiv in full: #DE for a divisor of zero and for a quotient that does not fit. Flags are undefined, and stay. */
const divide =
  (isSigned: boolean): ExactX86 =>
  (hart: ExactHart, decoded: Decoded): ExactOutcome => {
    const { registers } = hart;
    const { size } = decoded.operands[0];
    const bits = size * 8;
    const divisorBits = readOperand(registers, decoded);
    const divisor = isSigned ? BigInt.asIntN(bits, divisorBits) : divisorBits;
    if (divisor === 0n) return "divide-error";
    const low = BigInt.asUintN(bits, read64(registers, gprCell(GPR.rax)));
    const high = BigInt.asUintN(bits, read64(registers, gprCell(GPR.rdx)));
    const pair = size === 1 ? BigInt.asUintN(16, read64(registers, gprCell(GPR.rax))) : (high << BigInt(bits)) | low;
    const dividend = isSigned ? BigInt.asIntN(bits * 2, pair) : pair;
    const quotient = dividend / divisor;
    const fits = isSigned ? BigInt.asIntN(bits, quotient) : BigInt.asUintN(bits, quotient);
    if (fits !== quotient) return "divide-error";
    const remainder = dividend % divisor;
    if (size === 1) {
      writeGpr(registers, GPR.rax, 2, (BigInt.asUintN(8, remainder) << 8n) | BigInt.asUintN(8, quotient));
    } else {
      writeGpr(registers, GPR.rax, size, quotient);
      writeGpr(registers, GPR.rdx, size, remainder);
    }
    return "done";
  };

/** cmpxchg8b and cmpxchg16b: memory with the pair d:a; ZF tells, the other flags stay. Memory is written either way. */
const compareExchangePair: ExactX86 = (hart, decoded) => {
  const { registers } = hart;
  const size = decoded.operands[0].size / 2;
  const half = BigInt(size * 8);
  const pairOf = (high: number, low: number): bigint =>
    (BigInt.asUintN(size * 8, read64(registers, gprCell(high))) << half) |
    BigInt.asUintN(size * 8, read64(registers, gprCell(low)));
  // #GP for memory of 16 bytes that is not aligned to them.
  if (size === 8 && (registers.get(CELL.stepLinear) & 15) !== 0) return "misaligned";
  const oldLow = BigInt.asUintN(size * 8, read64(registers, CELL.operand));
  const oldHigh = BigInt.asUintN(
    size * 8,
    size === 8 ? read64(registers, CELL.operand + 8) : read64(registers, CELL.operand) >> 32n,
  );
  const isEqual = ((oldHigh << half) | oldLow) === pairOf(GPR.rdx, GPR.rax);
  const flags = registers.arithmeticFlags();
  registers.setArithmeticFlags(isEqual ? flags | RFLAGS.ZF : flags & ~RFLAGS.ZF);
  if (isEqual) {
    const replacement = pairOf(GPR.rcx, GPR.rbx);
    write64(registers, CELL.operand, BigInt.asUintN(64, replacement));
    if (size === 8) write64(registers, CELL.operand + 8, replacement >> 64n);
  } else {
    writeGpr(registers, GPR.rax, size, oldLow);
    writeGpr(registers, GPR.rdx, size, oldHigh);
  }
  return "done";
};

const setDirection =
  (value: 0 | 1): ExactX86 =>
  ({ registers }) => {
    const flags = registers.get(CELL.systemFlags);
    registers.set(CELL.systemFlags, value === 1 ? flags | RFLAGS.DF : flags & ~RFLAGS.DF);
    return "done";
  };

// --- Decimal arithmetic, which 64-bit mode has not -------------------------------------------------------------------

const readAx = (registers: ExactRegisters): number => registers.get(gprCell(GPR.rax)) & 0xffff;
const writeAx = (registers: ExactRegisters, value: number): void =>
  registers.set(gprCell(GPR.rax), (registers.get(gprCell(GPR.rax)) & ~0xffff) | (value & 0xffff));

/** SF, ZF and PF of a byte. */
function byteFlags(value: number): number {
  let ones = value & 0xff;
  ones ^= ones >> 4;
  ones ^= ones >> 2;
  ones ^= ones >> 1;
  return (
    ((value & 0x80) !== 0 ? RFLAGS.SF : 0) | ((value & 0xff) === 0 ? RFLAGS.ZF : 0) | ((ones & 1) === 0 ? RFLAGS.PF : 0)
  );
}

const asciiAdjust =
  (sign: 1 | -1): ExactX86 =>
  ({ registers }) => {
    const flags = registers.arithmeticFlags();
    const ax = readAx(registers);
    const adjusts = (ax & 0xf) > 9 || (flags & RFLAGS.AF) !== 0;
    const result = adjusts ? ax + sign * 0x106 : ax;
    writeAx(registers, result & 0xff0f);
    registers.setArithmeticFlags(byteFlags(result & 0xf) | (adjusts ? RFLAGS.AF | RFLAGS.CF : 0));
    return "done";
  };

const decimalAdjust =
  (sign: 1 | -1): ExactX86 =>
  ({ registers }) => {
    const flags = registers.arithmeticFlags();
    const ax = readAx(registers);
    const al = ax & 0xff;
    let result = al;
    let carry = (flags & RFLAGS.CF) !== 0;
    const low = (al & 0xf) > 9 || (flags & RFLAGS.AF) !== 0;
    if (low) {
      result += sign * 6;
      carry ||= sign < 0 ? al < 6 : al > 0xf9;
    }
    if (al > 0x99 || (flags & RFLAGS.CF) !== 0) {
      result += sign * 0x60;
      carry = true;
    }
    writeAx(registers, (ax & 0xff00) | (result & 0xff));
    registers.setArithmeticFlags(byteFlags(result) | (low ? RFLAGS.AF : 0) | (carry ? RFLAGS.CF : 0));
    return "done";
  };

const splitDigits: ExactX86 = ({ registers }, decoded) => {
  const base = decoded.immLo & 0xff;
  if (base === 0) return "divide-error";
  const al = readAx(registers) & 0xff;
  writeAx(registers, (Math.floor(al / base) << 8) | (al % base));
  registers.setArithmeticFlags(byteFlags(al % base));
  return "done";
};

const joinDigits: ExactX86 = ({ registers }, decoded) => {
  const ax = readAx(registers);
  const al = ((ax & 0xff) + (ax >>> 8) * (decoded.immLo & 0xff)) & 0xff;
  writeAx(registers, al);
  registers.setArithmeticFlags(byteFlags(al) & ARITHMETIC_FLAGS);
  return "done";
};

export const integerExact: Readonly<Partial<Record<Mnemonic, ExactX86>>> = {
  div: divide(false),
  idiv: divide(true),
  cmpxchg8b: compareExchangePair,
  cmpxchg16b: compareExchangePair,
  cld: setDirection(0),
  std: setDirection(1),
  aaa: asciiAdjust(1),
  aas: asciiAdjust(-1),
  daa: decimalAdjust(1),
  das: decimalAdjust(-1),
  aam: splitDigits,
  aad: joinDigits,
};
