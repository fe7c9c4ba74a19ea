// Random instructions of the x86-64 table as text, seeded, so that a failure can be had again.

import type { Instruction, OperandSize, OperandTemplate } from "../../src/isa/x86_64/instructions.ts";
import { CONDITION_NAMES, GPR_NAMES, SEGMENT_NAMES } from "../../src/isa/x86_64/registers.ts";

export type TextMode = 32 | 64;

/** Texts of a row in a mode: `count` for each operand size that it has. None where GNU as has no text for it. */
export function randomTexts(row: Instruction, mode: TextMode, count: number, next: () => number): string[] {
  const isThere = mode === 64 ? !row.attributes.has("i64") : !row.attributes.has("o64") && row.rexW !== 1;
  if (!isThere || row.attributes.has("alias")) return [];
  return sizesOf(row, mode).flatMap((size) =>
    Array.from({ length: count }, () => {
      const context: TextContext = { row, mode, size, next, isFirst: true };
      const operands = isImplicit(row)
        ? ""
        : row.operands.map((operand, i) => operandText(operand, { ...context, isFirst: i === 0 })).join(", ");
      return `${nameOf(context)} ${operands}`.trim();
    }),
  );
}

interface TextContext {
  readonly row: Instruction;
  readonly mode: TextMode;
  readonly size: number;
  readonly next: () => number;
  readonly isFirst: boolean;
}

function pick<T>(next: () => number, list: readonly T[]): T {
  const item = list[(next() >>> 0) % list.length];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

function isImplicit({ operands }: Instruction): boolean {
  return operands.some(({ place }) => place === "stringSource" || place === "stringDestination");
}

/** Names by operand size of mnemonics that have no operand to tell it. */
const SIZED_NAMES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  cbw: { 2: "cbw", 4: "cwde", 8: "cdqe" },
  cwd: { 2: "cwd", 4: "cdq", 8: "cqo" },
  pushf: { 2: "pushfw", 4: "pushfd", 8: "pushfq" },
  popf: { 2: "popfw", 4: "popfd", 8: "popfq" },
  pusha: { 2: "pushaw", 4: "pushad" },
  popa: { 2: "popaw", 4: "popad" },
  iret: { 2: "iretw", 4: "iretd", 8: "iretq" },
  retf: { 4: "retf", 8: "retfq" },
  sysret: { 4: "sysretd", 8: "sysretq" },
};

/** Operand sizes that GNU as has no text for. Of bswap and movsxd the one of 2 bytes is not defined. */
const WITHOUT_TEXT: Readonly<Record<string, readonly number[]>> = {
  bswap: [2],
  movsxd: [2],
  lss: [8],
  lfs: [8],
  lgs: [8],
  callf: [2, 8],
  jmpf: [2, 8],
};

const WITH_WIDE_NAME: ReadonlySet<string> = new Set(["fxsave", "fxrstor", "xsave", "xrstor", "xsaveopt"]);

function sizesOf(row: Instruction, mode: TextMode): readonly number[] {
  const isLong = mode === 64 && (row.attributes.has("d64") || row.attributes.has("f64"));
  const named = SIZED_NAMES[row.mnemonic];
  const possible = isLong ? (row.attributes.has("f64") ? [8] : [8, 2]) : mode === 64 ? [4, 2, 8] : [4, 2];
  if (row.width === "byte") return [1];
  if (named !== undefined) return possible.filter((size) => size in named);
  if (WITH_WIDE_NAME.has(row.mnemonic)) return mode === 64 ? [4, 8] : [4];
  const explicit = row.operands.filter(({ place }) => place !== "immediate" && place !== "relative");
  const letters = explicit.flatMap(({ size, memorySize }) => [size, memorySize]);
  const excluded = WITHOUT_TEXT[row.mnemonic] ?? [];
  const usable = possible.filter((size) => !excluded.includes(size) && !(row.width === "word" && size === 8));
  if (letters.some((letter) => /[vzpa]/.test(letter))) return usable;
  return letters.includes("y") ? usable.filter((size) => size !== 2) : possible.slice(0, 1);
}

function nameOf({ row, mode, size, next }: TextContext): string {
  const { mnemonic } = row;
  const named = SIZED_NAMES[mnemonic]?.[size];
  if (named !== undefined) return named;
  if (mnemonic === "sysexit" && mode === 64) return size === 8 ? "sysexitq" : "sysexitd";
  if (mnemonic.endsWith("cc")) return mnemonic.slice(0, -2) + pick(next, CONDITION_NAMES);
  if (isImplicit(row)) return mnemonic + ({ 1: "b", 2: "w", 4: "d", 8: "q" }[size] ?? "");
  if (mnemonic === "jcxz") return pick(next, mode === 64 ? ["jecxz", "jrcxz"] : ["jcxz", "jecxz"]);
  if (WITH_WIDE_NAME.has(mnemonic) && size === 8) return `${mnemonic}64`;
  if (mnemonic === "callf" || mnemonic === "jmpf") return mnemonic.slice(0, -1);
  if (mode === 64 && row.operands.some(({ place }) => place === "absolute")) return "movabs";
  return mnemonic;
}

function bytesOf(letter: OperandSize, size: number): number {
  const fixed = { b: 1, w: 2, d: 4, q: 8, t: 10, x: 16 }[letter as string];
  if (fixed !== undefined) return fixed;
  if (letter === "v") return size;
  if (letter === "z") return Math.min(size, 4);
  if (letter === "y") return Math.max(size, 4);
  return letter === "p" ? size + 2 : 0;
}

const KEYWORDS: Readonly<Record<number, string>> = {
  1: "byte ptr ",
  2: "word ptr ",
  4: "dword ptr ",
  6: "fword ptr ",
  8: "qword ptr ",
  10: "tbyte ptr ",
  16: "xmmword ptr ",
};

function operandText(template: OperandTemplate, context: TextContext): string {
  const { mode, size, next } = context;
  const bytes = bytesOf(template.size, size);
  const count = mode === 64 ? 16 : 8;
  const memory = (): string => memoryText(bytesOf(template.memorySize, size), context);
  const numbered = (name: string, limit = count): string => `${name}${(next() >>> 0) % limit}`;
  const orMemory = (register: () => string): string =>
    context.row.mod !== "register" && (context.row.mod === "memory" || next() < 0) ? memory() : register();
  switch (template.place) {
    case "gprOrMemory":
      return orMemory(() => gprText(bytes, context));
    case "gpr":
    case "gprInRm":
    case "gprInOpcode":
      return gprText(bytes, context);
    case "fixedGpr":
      return gprName(template.register, bytes);
    case "memory":
      return memory();
    case "xmmOrMemory":
      return orMemory(() => numbered("xmm"));
    case "xmm":
    case "xmmInRm":
      return numbered("xmm");
    case "fixedXmm":
      return "xmm0";
    case "mmxOrMemory":
      return orMemory(() => numbered("mm", 8));
    case "mmx":
    case "mmxInRm":
      return numbered("mm", 8);
    case "stInRm":
      return `st(${(next() >>> 0) % 8})`;
    case "fixedSt":
      return "st";
    case "segment":
      return pick(next, context.isFirst ? SEGMENT_NAMES.filter((name) => name !== "cs") : SEGMENT_NAMES);
    case "fixedSegment":
      return SEGMENT_NAMES[template.register] ?? "";
    case "control":
      return pick(next, mode === 64 ? ["cr0", "cr2", "cr3", "cr4", "cr8"] : ["cr0", "cr2", "cr3", "cr4"]);
    case "debug":
      return numbered("dr", 8);
    case "one":
      return "1";
    case "immediate":
      return immediateText(template, context);
    case "unsigned":
      return `${(next() >>> 0) % 2 ** (8 * bytes)}`;
    case "relative":
      return `. ${pick(next, template.size === "b" ? ["- 100", "+ 20", "+ 129"] : ["+ 1000", "- 500"])}`;
    case "far":
      return `${(next() >>> 0) & 0xffff}:${next() >>> 0}`;
    case "absolute":
      return `[${mode === 64 ? "0x123456789abc" : "0x89abcdef"}]`;
    case "stringSource":
    case "stringDestination":
      return "";
  }
}

function immediateText({ size: letter }: OperandTemplate, { size, next }: TextContext): string {
  const bytes = bytesOf(letter, size);
  // Large ones for the forms that are there for them.
  const small = ["0", "1", "-1", "127", "-128"];
  if (bytes === 1) return pick(next, size === 1 ? [...small, "255"] : small);
  if (bytes === 2) return pick(next, ["128", "-129", "0x7fff", "-0x8000", "0x8000"]);
  if (bytes === 8) return pick(next, ["0x123456789abcdef0", "-0x8000000000000000", "0x80000000"]);
  return pick(next, size === 8 ? ["128", "-129", "0x7fffffff", "-0x80000000"] : ["128", "-129", "0x89abcdef"]);
}

function gprText(bytes: number, { mode, next }: TextContext): string {
  // In 32-bit mode there are ah, ch, dh and bh in place of spl, bpl, sil and dil; here in neither.
  return gprName((next() >>> 0) % (mode === 64 ? 16 : bytes === 1 ? 4 : 8), bytes);
}

function gprName(number: number, bytes: number): string {
  const name = GPR_NAMES[number] ?? "";
  if (number >= 8) return name + ({ 1: "b", 2: "w", 4: "d" }[bytes] ?? "");
  const stem = name.slice(1);
  if (bytes === 1) return `${number < 4 ? stem.charAt(0) : stem}l`;
  return ({ 2: "", 4: "e" }[bytes] ?? "r") + stem;
}

function memoryText(bytes: number, { row, mode, next }: TextContext): string {
  const count = mode === 64 ? 16 : 8;
  const width = pick(next, mode === 64 ? [8, 8, 4] : [4]);
  const base = gprName((next() >>> 0) % count, width);
  const indexNumber = (next() >>> 0) % count;
  const index = gprName(indexNumber === 4 ? 5 : indexNumber, width);
  const scale = pick(next, [1, 2, 4, 8]);
  const displacement = pick(next, ["", " + 1", " + 127", " - 128", " + 128", " - 0x80000000", " + 0x7fffffff"]);
  const forms = [
    `[${base}${displacement}]`,
    `[${base} + ${index}*${scale}${displacement}]`,
    `[${index}*${scale}${displacement}]`,
    "[0x12345678]",
    ...(mode === 64
      ? [`[rip${displacement}]`, "[-16]"]
      : ["[bx]", "[bp]", "[bp + di - 128]", "[bx + si + 500]", "[si]"]),
  ];
  const segment = row.mnemonic === "lea" ? "" : pick(next, ["", "", "", "gs:", "fs:"]);
  // The sizes of these have no keyword.
  const keyword = /^(lgdt|lidt|sgdt|sidt|bound)$/.test(row.mnemonic) ? "" : (KEYWORDS[bytes] ?? "");
  return `${keyword}${segment}${pick(next, forms)}`;
}
