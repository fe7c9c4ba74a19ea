// An instruction in AT&T's syntax, as objdump shows it.
//
// Operands come in the opposite order; a register has a %, an immediate a $; the size of a memory operand is a letter behind the mnemonic where no
// register operand tells it; and fsub and fsubr, fdiv and fdivr are exchanged where the destination is not the top of the stack.

import { type CodeMode, type Decoded, OPERAND } from "./decode-types.ts";
import {
  absoluteText,
  addressRegisters,
  comparisonName,
  displacementOf,
  hexOfWord,
  immediateText,
  isAbsoluteMove,
  isExchangeWithItself,
  isUsualSize,
  registerText,
  signedHex,
  sizeInName,
  type TextContext,
} from "./disassembler-text.ts";
import type { Instruction, OperandTemplate } from "./instructions.ts";
import { CONDITION_NAMES, GPR, gprName, SEGMENT_NAMES } from "./registers.ts";

/** Mnemonic and operands. */
export function attInstruction(decoded: Decoded, row: Instruction, context: TextContext): string {
  if (isExchangeWithItself(decoded, row)) return "xchg %ax,%ax";
  const comparison = comparisonName(decoded, row);
  const count = comparison === undefined ? decoded.operandCount : decoded.operandCount - 1;
  const operands = row.operands
    .slice(0, count)
    .flatMap((template, i) => (template.place === "one" ? [] : operandText(decoded, row, template, i, context)));
  if (!IN_INTEL_ORDER.has(row.mnemonic)) operands.reverse();
  const { segment, addressSize } = decoded;
  if (row.mnemonic === "xlat") operands.push(`%${SEGMENT_NAMES[segment] ?? ""}:(%${gprName(GPR.rbx, addressSize)})`);
  if (row.mnemonic === "monitor") operands.push(`%${gprName(GPR.rax, addressSize)}`, "%ecx", "%edx");
  if (row.mnemonic === "mwait") operands.push("%eax", "%ecx");
  const name = comparison ?? attName(decoded, row, context);
  return operands.length === 0 ? name : `${name} ${operands.join(",")}`;
}

const IN_INTEL_ORDER: ReadonlySet<string> = new Set(["enter", "bound"]);

const REVERSED: Readonly<Record<string, string>> = {
  fsub: "fsubr",
  fsubr: "fsub",
  fdiv: "fdivr",
  fdivr: "fdiv",
  fsubp: "fsubrp",
  fsubrp: "fsubp",
  fdivp: "fdivrp",
  fdivrp: "fdivp",
};

const letterOf = (size: number): string => (size === 1 ? "b" : size === 2 ? "w" : size === 4 ? "l" : "q");

function attName(decoded: Decoded, row: Instruction, { mode }: TextContext): string {
  const { mnemonic } = row;
  const { operandSize, addressSize } = decoded;
  const condition = CONDITION_NAMES[decoded.condition] ?? "";
  const farSuffix = isUsualSize(decoded, row, mode) ? "" : letterOf(operandSize);
  switch (mnemonic) {
    case "jcc":
      return `j${condition}`;
    case "setcc":
      return `set${condition}`;
    case "cmovcc":
      return `cmov${condition}`;
    case "cbw":
      return operandSize === 8 ? "cltq" : operandSize === 4 ? "cwtl" : "cbtw";
    case "cwd":
      return operandSize === 8 ? "cqto" : operandSize === 4 ? "cltd" : "cwtd";
    case "jcxz":
      return addressSize === 8 ? "jrcxz" : addressSize === 4 ? "jecxz" : "jcxz";
    case "callf":
      return `lcall${farSuffix}`;
    case "jmpf":
      return `ljmp${farSuffix}`;
    case "sysret":
    case "sysexit":
      return mnemonic + (mode !== 64 ? "" : operandSize === 8 ? "q" : "l");
    case "fxsave":
    case "fxrstor":
    case "xsave":
    case "xrstor":
    case "xsaveopt":
      return mnemonic + (decoded.isWide ? "64" : "");
    case "movs":
    case "cmps":
    case "ins":
    case "outs":
      return mnemonic + letterOf(operandSize);
    case "movzx":
    case "movsx":
      return `${mnemonic.slice(0, 4)}${letterOf(decoded.operands[1].size)}${letterOf(operandSize)}`;
    case "movsxd":
      return operandSize === 8 ? "movslq" : "movsxd";
    case "mov":
      if (isAbsoluteMove(decoded, row)) return "movabs";
      return row.extension === "system" ? "mov" : mnemonic + memorySuffix(decoded, row, mode);
    default: {
      if (row.extension === "x87") return floatName(decoded, row, mode);
      const size = sizeInName(decoded, row, mode);
      const name = mnemonic === "retf" ? "lret" : mnemonic;
      return (
        name +
        (size !== undefined ? letterOf(size) : row.extension === "system" ? "" : memorySuffix(decoded, row, mode))
      );
    }
  }
}

/** Mnemonics whose memory operand has no letter: its size is in the name, or does not matter. */
const WITHOUT_LETTER = /^(prefetch.*|clflush|cmpxchg(8|16)b)$/;

/** Mnemonics whose memory operand has a letter only where it is not as wide as the stack. */
const IN_STACK_SIZE = /^(push|pop|jmp|call)$/;

/** The letter for the size of memory that no register operand tells. */
function memorySuffix(decoded: Decoded, row: Instruction, mode: CodeMode): string {
  if (WITHOUT_LETTER.test(row.mnemonic)) return "";
  const { mnemonic, operands } = row;
  const memory = decoded.operands.findIndex(({ kind }, i) => kind === OPERAND.memory && i < operands.length);
  const size = decoded.operands[memory]?.size ?? 0;
  if (memory < 0 || (row.extension !== "base" && (!/^cvtsi2s[sd]$/.test(mnemonic) || mode !== 64))) return "";
  if (IN_STACK_SIZE.test(mnemonic)) return isUsualSize(decoded, row, mode) ? "" : letterOf(size);
  const isTold = operands.some(({ text }, i) => decoded.operands[i]?.kind === OPERAND.gpr && text !== "CL");
  return isTold && mnemonic !== "crc32" ? "" : letterOf(size);
}

const FLOAT_LETTERS: Readonly<Record<number, string>> = { 4: "s", 8: "l", 10: "t" };
const INTEGER_LETTERS: Readonly<Record<number, string>> = { 2: "s", 4: "l", 8: "ll" };
const FLOAT_MEMORY = /^f(ld|st|stp|add|mul|comp?|subr?|divr?)$/;
const INTEGER_MEMORY = /^f(ild|ist|istp|isttp|iadd|imul|icomp?|isubr?|idivr?)$/;

function floatName(decoded: Decoded, row: Instruction, mode: CodeMode): string {
  const { mnemonic } = row;
  const { kind, size, register } = decoded.operands[0];
  if (sizeInName(decoded, row, mode) === 2) return `${mnemonic}s`;
  if (kind === OPERAND.memory) {
    if (FLOAT_MEMORY.test(mnemonic)) return mnemonic + (FLOAT_LETTERS[size] ?? "");
    return mnemonic + (INTEGER_MEMORY.test(mnemonic) ? (INTEGER_LETTERS[size] ?? "") : "");
  }
  const isToStack = row.operands[0]?.place === "stInRm" && row.operands.length === 2;
  return isToStack && register >= 0 ? (REVERSED[mnemonic] ?? mnemonic) : mnemonic;
}

function operandText(
  decoded: Decoded,
  row: Instruction,
  template: OperandTemplate,
  i: number,
  context: TextContext,
): string {
  const operand = decoded.operands[i];
  if (operand === undefined) return "";
  const star = row.mnemonic === "jmp" || row.mnemonic === "call" || /^(jmp|call)f$/.test(row.mnemonic) ? "*" : "";
  switch (operand.kind) {
    case OPERAND.memory:
      return star + memoryText(decoded, context);
    case OPERAND.absolute:
      return segmentText(decoded) + hexOfWord(decoded.dispLo, decoded.dispHi, decoded.addressSize);
    case OPERAND.stringSource:
      return `%${SEGMENT_NAMES[decoded.segment] ?? ""}:(%${gprName(GPR.rsi, decoded.addressSize)})`;
    case OPERAND.stringDestination:
      return `%es:(%${gprName(GPR.rdi, decoded.addressSize)})`;
    case OPERAND.relative:
      return context.target(decoded.immLo);
    case OPERAND.far:
      return `$${hexOfWord(decoded.imm2, 0, 2)},$${hexOfWord(decoded.immLo, 0, 4)}`;
    case OPERAND.st:
      return template.place === "fixedSt" ? "%st" : `%st(${operand.register})`;
    case OPERAND.debug:
      return `%db${operand.register}`;
    default: {
      if (template.text === "DX") return "(%dx)";
      const register = registerText(operand);
      return register === undefined ? `$${immediateText(decoded, row, i)}` : `${star}%${register}`;
    }
  }
}

function segmentText(decoded: Decoded): string {
  return decoded.hasSegmentPrefix ? `%${SEGMENT_NAMES[decoded.segment] ?? ""}:` : "";
}

/** `%fs:-0x8(%rax,%rcx,4)` */
function memoryText(decoded: Decoded, context: TextContext): string {
  const { base, index } = addressRegisters(decoded);
  const segment = segmentText(decoded);
  if (base === undefined && index === undefined) return segment + absoluteText(decoded, context.mode);
  const displacement = decoded.dispSize > 0 ? signedHex(displacementOf(decoded)) : "";
  const scaled = index === undefined ? "" : `,%${index}${decoded.addressSize === 2 ? "" : `,${2 ** decoded.scale}`}`;
  return `${segment}${displacement}(${base === undefined ? "" : `%${base}`}${scaled})`;
}
