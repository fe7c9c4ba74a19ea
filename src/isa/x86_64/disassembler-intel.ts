// An instruction in Intel's syntax, as `objdump -M intel` shows it.

import { type Decoded, OPERAND, RIP } from "./decode-types.ts";
import {
  absoluteText,
  addressRegisters,
  comparisonName,
  displacementOf,
  hexOfNumber,
  hexOfWord,
  immediateText,
  isAbsoluteMove,
  isExchangeWithItself,
  registerText,
  signedHex,
  sizeInName,
  type TextContext,
} from "./disassembler-text.ts";
import type { Instruction, OperandTemplate } from "./instructions.ts";
import { CONDITION_NAMES, GPR, gprName, SEGMENT, SEGMENT_NAMES } from "./registers.ts";

/** Mnemonic and operands. */
export function intelInstruction(decoded: Decoded, row: Instruction, context: TextContext): string {
  if (isExchangeWithItself(decoded, row)) return "xchg ax,ax";
  const comparison = comparisonName(decoded, row);
  const count = comparison === undefined ? decoded.operandCount : decoded.operandCount - 1;
  const operands = row.operands.slice(0, count).map((template, i) => operandText(decoded, row, template, i, context));
  const name = comparison ?? intelName(decoded, row, context);
  if (row.mnemonic === "xlat")
    operands.push(`BYTE PTR ${SEGMENT_NAMES[decoded.segment] ?? ""}:[${gprName(GPR.rbx, decoded.addressSize)}]`);
  return operands.length === 0 ? name : `${name} ${operands.join(",")}`;
}

function intelName(decoded: Decoded, row: Instruction, { mode }: TextContext): string {
  const { mnemonic } = row;
  const { operandSize, addressSize } = decoded;
  const condition = CONDITION_NAMES[decoded.condition] ?? "";
  switch (mnemonic) {
    case "jcc":
      return `j${condition}`;
    case "setcc":
      return `set${condition}`;
    case "cmovcc":
      return `cmov${condition}`;
    case "cbw":
      return operandSize === 8 ? "cdqe" : operandSize === 4 ? "cwde" : "cbw";
    case "cwd":
      return operandSize === 8 ? "cqo" : operandSize === 4 ? "cdq" : "cwd";
    case "jcxz":
      return addressSize === 8 ? "jrcxz" : addressSize === 4 ? "jecxz" : "jcxz";
    case "callf":
      return "call";
    case "jmpf":
      return "jmp";
    case "mov":
      return isAbsoluteMove(decoded, row) ? "movabs" : "mov";
    case "sysret":
    case "sysexit":
      return mnemonic + (mode !== 64 ? "" : operandSize === 8 ? "q" : "d");
    case "fxsave":
    case "fxrstor":
    case "xsave":
    case "xrstor":
    case "xsaveopt":
      return mnemonic + (decoded.isWide ? "64" : "");
    default:
      return mnemonic + (SUFFIXES[sizeInName(decoded, row, mode) ?? 0] ?? "");
  }
}

const SUFFIXES: Readonly<Record<number, string>> = { 2: "w", 4: "d", 8: "q" };

function operandText(
  decoded: Decoded,
  row: Instruction,
  template: OperandTemplate,
  i: number,
  context: TextContext,
): string {
  const operand = decoded.operands[i];
  if (operand === undefined) return "";
  switch (operand.kind) {
    case OPERAND.memory:
      return sizeWord(row, template, operand.size) + memoryText(decoded, context);
    case OPERAND.absolute:
      return `${SEGMENT_NAMES[decoded.segment] ?? ""}:${hexOfWord(decoded.dispLo, decoded.dispHi, decoded.addressSize)}`;
    case OPERAND.stringSource:
      return `${SIZE_WORDS[operand.size] ?? ""}${SEGMENT_NAMES[decoded.segment] ?? ""}:[${gprName(GPR.rsi, decoded.addressSize)}]`;
    case OPERAND.stringDestination:
      return `${SIZE_WORDS[operand.size] ?? ""}es:[${gprName(GPR.rdi, decoded.addressSize)}]`;
    case OPERAND.relative:
      return context.target(decoded.immLo);
    case OPERAND.far:
      return `${hexOfWord(decoded.imm2, 0, 2)}:${hexOfWord(decoded.immLo, 0, 4)}`;
    case OPERAND.st:
      return template.place === "fixedSt" ? "st" : `st(${operand.register})`;
    case OPERAND.debug:
      return `dr${operand.register}`;
    default:
      return registerText(operand) ?? immediateText(decoded, row, i);
  }
}

const SIZE_WORDS: Readonly<Record<number, string>> = {
  1: "BYTE PTR ",
  2: "WORD PTR ",
  4: "DWORD PTR ",
  6: "FWORD PTR ",
  8: "QWORD PTR ",
  10: "TBYTE PTR ",
  16: "XMMWORD PTR ",
};

/** Sizes of operands that are no numbers are not written. */
const UNWRITTEN = /^[sefo]?$/;

function sizeWord(row: Instruction, template: OperandTemplate, size: number): string {
  if (row.mnemonic === "invlpg") return "BYTE PTR ";
  if (row.mnemonic === "cmpxchg16b") return "OWORD PTR ";
  if (row.mnemonic === "invpcid" || row.mnemonic === "lddqu" || UNWRITTEN.test(template.memorySize)) return "";
  return SIZE_WORDS[size] ?? "";
}

/** `fs:[rax+rcx*4-0x8]`, `ds:0x1234`, `[rip+0x10]` */
function memoryText(decoded: Decoded, context: TextContext): string {
  const { base, index } = addressRegisters(decoded);
  const displacement = displacementOf(decoded);
  const segment = decoded.hasSegmentPrefix ? `${SEGMENT_NAMES[decoded.segment] ?? ""}:` : "";
  if (base === undefined && index === undefined) {
    return `${segment === "" ? `${SEGMENT_NAMES[SEGMENT.ds]}:` : segment}${absoluteText(decoded, context.mode)}`;
  }
  const parts = [
    base,
    index === undefined ? undefined : index + (decoded.addressSize === 2 ? "" : `*${2 ** decoded.scale}`),
  ];
  const sum = parts.filter((part) => part !== undefined).join("+");
  if (decoded.base === RIP) return `${segment}[${sum}+${hexOfNumber(displacement)}]`;
  const sign = displacement < 0 ? "" : "+";
  return `${segment}[${sum}${decoded.dispSize > 0 ? sign + signedHex(displacement) : ""}]`;
}
