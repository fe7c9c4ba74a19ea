// Operand sizes of a row of the instruction table, and what they make of the sizes of its operands.
//
//     Ev,Gv    2, 4 or 8, as the register says: mov eax, [rbx]        Gy    4 or 8        Eb    1
//     no such operand: the size that needs no prefix, unless the name says another, as iretq does
//
// Intel SDM volume 1, 3.6.1 (operand size in 64-bit mode); volume 2, 2.2.1.7 (what has 8 by default).

import type { Operand } from "./assembler-operands.ts";
import type { CodeMode } from "./decode-types.ts";
import type { Instruction, OperandSize, OperandTemplate } from "./instructions.ts";

/** An operand that a row is tried with; "implicit": what the row has and the text has not. */
export type FormOperand = Operand | "implicit";

/** The operand sizes to try, best first; `named` is the one that the name of the instruction says. */
export function operandSizes(
  row: Instruction,
  operands: readonly FormOperand[],
  mode: CodeMode,
  named: number | undefined,
): readonly number[] {
  const { possible, dependent } = sizesOf(row, mode);
  const explicit = named ?? immediateSize(row, operands);
  if (explicit !== undefined) return possible.filter((size) => size === explicit);
  const written = writtenSize(row, operands);
  return written === undefined ? dependent : dependent.filter((size) => size === written);
}

/** The operand sizes of a row in a mode. */
interface RowSizes {
  readonly possible: readonly number[];
  /** Those at which its operands differ. */
  readonly dependent: readonly number[];
}

/** By mode and row. */
const knownSizes = new Map<CodeMode, Map<Instruction, RowSizes>>();

function sizesOf(row: Instruction, mode: CodeMode): RowSizes {
  let rows = knownSizes.get(mode);
  if (rows === undefined) knownSizes.set(mode, (rows = new Map()));
  let sizes = rows.get(row);
  if (sizes === undefined) rows.set(row, (sizes = findSizes(row, mode)));
  return sizes;
}

function findSizes(row: Instruction, mode: CodeMode): RowSizes {
  if (row.width === "byte") return { possible: [1], dependent: [1] };
  const isForced = row.attributes.has("f64");
  const isLong = mode === 64 && (isForced || row.attributes.has("d64"));
  const plain = isLong ? 8 : mode === 16 ? 2 : 4;
  const possible = isLong ? [8] : [plain, 6 - plain];
  if (isLong && !isForced) possible.push(2);
  if (!isLong && mode === 64 && row.width === "full") possible.push(8);
  const letters = row.operands.filter(isSized).flatMap(({ size, memorySize }) => [size, memorySize]);
  if (letters.some((letter) => letter === "v" || letter === "z" || letter === "p" || letter === "a"))
    return { possible, dependent: possible };
  return { possible, dependent: letters.includes("y") ? possible.filter((size) => size !== 2) : [plain] };
}

/** The operand size that a register says. */
function writtenSize(row: Instruction, operands: readonly FormOperand[]): number | undefined {
  for (let i = 0; i < operands.length; i++) {
    const [operand, template] = [operands[i], row.operands[i]];
    if (operand === undefined || operand === "implicit" || operand.kind !== "register") continue;
    if (template?.size === "v" && template.memorySize === "v") return operand.size;
  }
  return undefined;
}

/** Whether an operand size is had by the prefix 66. Without it, 16-bit code has 2; operands that are never of 2 bytes need none. */
export function needsPrefix(row: Instruction, size: number, mode: CodeMode): boolean {
  if (mode !== 16) return size === 2;
  return size === 4 && sizesOf(row, mode).dependent.includes(2);
}

/** Immediates and jumps do not decide on an operand size. */
function isSized({ place }: OperandTemplate): boolean {
  return place !== "immediate" && place !== "unsigned" && place !== "relative" && place !== "far" && place !== "one";
}

/** The size that `push word ptr 5` names. */
function immediateSize(row: Instruction, operands: readonly FormOperand[]): number | undefined {
  if (row.operands.some(isSized)) return undefined;
  return operands.map((o) => (o !== "implicit" && o.kind === "immediate" ? o.size : undefined)).find((size) => size);
}

/** Bytes of a size letter; undefined for what has no one size, which an operand may give any. */
export function bytesOf(letter: OperandSize, size: number, mode: CodeMode): number | undefined {
  switch (letter) {
    case "b":
      return 1;
    case "w":
      return 2;
    case "d":
      return 4;
    case "q":
      return 8;
    case "t":
      return 10;
    case "x":
      return 16;
    case "v":
      return size;
    case "z":
      return Math.min(size, 4);
    case "y":
      return Math.max(size, 4);
    case "p":
      return size + 2;
    case "a":
      return size * 2;
    case "s":
      return mode === 64 ? 10 : 6;
    case "o":
    case "e":
    case "f":
    case "":
      return undefined;
  }
}
