// What both syntaxes of the disassembler share: numbers, register names, operands of an instruction.

import { hex64, highHalf, toNumber } from "../../lib/word64.ts";
import { type CodeMode, type Decoded, type DecodedOperand, NO_REGISTER, OPERAND, RIP } from "./decode-types.ts";
import type { Instruction } from "./instructions.ts";
import { gprName, SEGMENT_NAMES } from "./registers.ts";

/** What the text of an instruction depends on besides the instruction. */
export interface TextContext {
  readonly mode: CodeMode;
  /** The text of the branch target that is `displacement` bytes from the end of the instruction. */
  readonly target: (displacement: number) => string;
}

/** 0x… of an integer in [-2^63, 2^64), modulo 2^64. */
export function hexOfNumber(n: number): string {
  return hexOfWord(n | 0, highHalf(n), 8);
}

/** 0x… of the low `size` bytes of a word. */
export function hexOfWord(lo: number, hi: number, size: number): string {
  if (size === 8) return `0x${hex64(hi, lo).replace(/^0+(?=.)/, "")}`;
  return `0x${(size === 4 ? lo >>> 0 : lo & (2 ** (size * 8) - 1)).toString(16)}`;
}

/** 0x… or -0x… */
export function signedHex(n: number): string {
  return n < 0 ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`;
}

/** The address that an operand relative to rip has; undefined when there is none. */
export function ripTarget(decoded: Decoded, pc: number): number | undefined {
  if (decoded.base !== RIP) return undefined;
  const address = pc + decoded.length + decoded.dispLo;
  return decoded.addressSize === 4 ? address >>> 0 : address;
}

/** The name of a register operand, without the mark of a syntax; undefined for what is none. */
export function registerText(operand: DecodedOperand): string | undefined {
  const { kind, register, size, isHighByte } = operand;
  switch (kind) {
    case OPERAND.gpr:
      return gprName(register, size, isHighByte);
    case OPERAND.xmm:
      return `xmm${register}`;
    case OPERAND.mmx:
      return `mm${register}`;
    case OPERAND.segment:
      return SEGMENT_NAMES[register] ?? "";
    case OPERAND.control:
      return `cr${register}`;
    default:
      return undefined;
  }
}

/** The names of base and index as they are in an address; undefined where there is none. */
export function addressRegisters(decoded: Decoded): { base: string | undefined; index: string | undefined } {
  const { base, index, addressSize } = decoded;
  const ip = addressSize === 8 ? "rip" : "eip";
  return {
    base: base === NO_REGISTER ? undefined : base === RIP ? ip : gprName(base, addressSize),
    index: index === NO_REGISTER ? undefined : gprName(index, addressSize),
  };
}

/** The displacement as a number. */
export function displacementOf(decoded: Decoded): number {
  return toNumber(decoded.dispHi, decoded.dispLo);
}

/** The displacement of an address without registers. */
export function absoluteText(decoded: Decoded, mode: CodeMode): string {
  return hexOfWord(decoded.dispLo, decoded.dispHi, mode === 64 ? 8 : decoded.addressSize);
}

/** An immediate as it is shown: the bits of the operand size where it is sign-extended to that. */
export function immediateText(decoded: Decoded, row: Instruction, i: number): string {
  const place = row.operands[i]?.place;
  if (place === "one") return "1";
  if (decoded.operands[i]?.kind === OPERAND.immediate2) return hexOfWord(decoded.imm2, 0, 2);
  if (place === "unsigned") return hexOfWord(decoded.immLo, 0, 4);
  return hexOfWord(decoded.immLo, decoded.immHi, decoded.operandSize);
}

/** 66 90 is shown as the exchange of ax with itself. */
export function isExchangeWithItself(decoded: Decoded, row: Instruction): boolean {
  return row.mnemonic === "nop" && row.modRm === "none" && decoded.operandSize === 2;
}

/** The comparisons that the first eight immediates of cmpps and its like name. */
const PREDICATES = ["eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"];
const COMPARES = /^cmp(ps|pd|ss|sd)$/;

/** The name of a comparison of vectors that says its immediate, which then is no operand. */
export function comparisonName(decoded: Decoded, row: Instruction): string | undefined {
  const type = COMPARES.exec(row.mnemonic)?.[1];
  const predicate = PREDICATES[decoded.immLo];
  return type === undefined || predicate === undefined ? undefined : `cmp${predicate}${type}`;
}

/** Instructions whose names say an operand size that is not the usual one. */
const SIZE_IN_NAME = /^(pushf|popf|pusha|popa|leave|enter|iret|retf|fldenv|fnstenv|frstor|fnsave)$/;
const SIZE_IN_NAME_WITHOUT_OPERAND = /^(push|pop|call|jmp)$/;

/** The operand size where the name has to say it: there is no operand that does, and it is not the one without a prefix. */
export function sizeInName(decoded: Decoded, row: Instruction, mode: CodeMode): number | undefined {
  const { kind } = decoded.operands[0];
  const isUntold =
    SIZE_IN_NAME.test(row.mnemonic) ||
    (SIZE_IN_NAME_WITHOUT_OPERAND.test(row.mnemonic) && kind !== OPERAND.gpr && kind !== OPERAND.memory);
  return !isUntold || isUsualSize(decoded, row, mode) ? undefined : decoded.operandSize;
}

/** Whether the operand size is the one without a prefix. */
export function isUsualSize(decoded: Decoded, row: Instruction, mode: CodeMode): boolean {
  if (mode !== 64) return decoded.operandSize === mode / 8;
  return decoded.operandSize === (row.attributes.has("d64") || row.attributes.has("f64") ? 8 : 4);
}

/** Whether a mov has eight bytes of immediate, or in 64-bit mode an absolute address. */
export function isAbsoluteMove(decoded: Decoded, row: Instruction): boolean {
  return decoded.operands.some(
    ({ kind }, i) =>
      i < decoded.operandCount &&
      ((kind === OPERAND.absolute && decoded.addressSize === 8) ||
        (kind === OPERAND.immediate && row.operands[i]?.text === "Iv" && decoded.operandSize === 8)),
  );
}
