// The instructions that the host CPU judges, as forms: a row of the instruction table with each operand a register or memory, of one size.
//
//     "paddb Vx,Wx"     paddb xmm1, xmm2     paddb xmm1, [rsi]          xmm1 and xmm2 by place; xmm0 in third place
//     "movq Eq,Pq"      movq rax, mm1        movq [rsi], mm1            mm0 and mm1, rax and rcx likewise

import { instructions, type Instruction, type OperandTemplate } from "../../src/isa/x86_64/instructions.ts";

/** x xmm, q MMX, r general register, m memory, i immediate. */
export type OperandLetter = "x" | "q" | "r" | "m" | "i";

export interface FormOperand {
  readonly letter: OperandLetter;
  readonly size: number;
}

export interface Form {
  readonly mnemonic: Instruction["mnemonic"];
  readonly operands: readonly FormOperand[];
}

/** All forms of the rows that `isWanted` takes. */
export function formsOf(isWanted: (row: Instruction) => boolean): Form[] {
  const forms = instructions()
    .filter(isWanted)
    .flatMap(({ mnemonic, operands }) =>
      combine(operands.map(choicesOf))
        .filter((choice) => agree(operands, choice))
        .map((choice) => ({ mnemonic, operands: choice })),
    );
  return [...new Map(forms.map((form) => [describeForm(form), form])).values()];
}

export function hasImmediate(form: Form): boolean {
  return form.operands.some(({ letter }) => letter === "i");
}

/** How a form is written, for messages. */
export function describeForm(form: Form): string {
  return `${form.mnemonic} ${form.operands.map(({ letter, size }) => letter + (letter === "i" ? "" : size)).join()}`;
}

/** Intel syntax for the assembler. */
export function assemblyOf(form: Form, immediate: number): string {
  const operands = form.operands.map((operand, n) => operandText(operand, n, immediate));
  return `${form.mnemonic} ${operands.join(", ")}`;
}

const SIZES: Readonly<Record<string, readonly number[]>> = {
  b: [1],
  w: [2],
  d: [4],
  q: [8],
  x: [16],
  y: [4, 8],
  v: [2, 4, 8],
};

function choicesOf({ place, size, memorySize }: OperandTemplate): FormOperand[] {
  const all = (letter: OperandLetter, letters: string): FormOperand[] =>
    (SIZES[letters] ?? []).map((bytes) => ({ letter, size: bytes }));
  switch (place) {
    case "xmm":
    case "xmmInRm":
    case "fixedXmm":
      return all("x", size);
    case "xmmOrMemory":
      return [...all("x", size), ...all("m", memorySize)];
    case "mmx":
    case "mmxInRm":
      return all("q", size);
    case "mmxOrMemory":
      return [...all("q", size), ...all("m", memorySize)];
    case "gpr":
    case "gprInRm":
      return all("r", size);
    case "gprOrMemory":
      return [...all("r", size), ...all("m", memorySize)];
    case "memory":
      return all("m", memorySize);
    case "unsigned":
      return [{ letter: "i", size: 1 }];
    default:
      throw new Error(`no form for an operand ${place}`);
  }
}

/** Whether operands that follow the operand size take it as one: y is 4 with v of 2, and both are the same otherwise. */
function agree(templates: readonly OperandTemplate[], choice: readonly FormOperand[]): boolean {
  const sizes = templates.flatMap(({ size }, n) => ("yv".includes(size) ? [Math.max(4, choice[n]?.size ?? 4)] : []));
  return new Set(sizes).size <= 1;
}

function combine(choices: readonly (readonly FormOperand[])[]): FormOperand[][] {
  return choices.reduce<FormOperand[][]>(
    (all, choice) => all.flatMap((before) => choice.map((next) => [...before, next])),
    [[]],
  );
}

const POINTERS: Readonly<Record<number, string>> = { 1: "byte", 2: "word", 4: "dword", 8: "qword", 16: "xmmword" };
const REGISTERS: Readonly<Record<number, readonly string[]>> = {
  1: ["al", "cl"],
  2: ["ax", "cx"],
  4: ["eax", "ecx"],
  8: ["rax", "rcx"],
};

function operandText({ letter, size }: FormOperand, n: number, immediate: number): string {
  switch (letter) {
    case "x":
      return n === 2 ? "xmm0" : `xmm${n + 1}`;
    case "q":
      return `mm${n}`;
    case "r":
      return REGISTERS[size]?.[n] ?? "";
    case "m":
      return `${POINTERS[size]} ptr [rsi]`;
    case "i":
      return String(immediate);
  }
}
