/**
 * Shapes: what an op number of a record stands for.
 *
 * A shape is an instruction with what is known of it before it runs: the kinds and sizes of its operands, how its address is made, its
 * condition, where it jumps, and whether the flags that it sets are used. It is written as
 *
 *     "add r4,m4+"    add with a 4-byte register and 4 bytes of memory at base + index << scale + disp + segment
 *     "add r4,m4"     the same at base + disp
 *     "cmp r8,i"      "jcc:5@b" a jump if not equal, backwards in the page     "add~ r4,r4" an add whose flags nobody sees
 *
 * The names are keys, never parsed on the way of decoding: `ShapeFinder` computes a number from what the decoder says, and looks it up.
 */
import { OPERAND, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { MNEMONIC_BY_ID, type Mnemonic } from "../../isa/x86_64/instructions.ts";

/** Every mnemonic once; its place here is its index. */
export const MNEMONICS: readonly Mnemonic[] = [...new Set(MNEMONIC_BY_ID)];

const indexByName = new Map<Mnemonic, number>(MNEMONICS.map((mnemonic, index) => [mnemonic, index]));
const indexById = Uint16Array.from(MNEMONIC_BY_ID, (mnemonic) => indexByName.get(mnemonic) ?? 0);

/** The index of an instruction's mnemonic. */
export const mnemonicIndexOf = (id: number): number => indexById[id] ?? 0;

/** r general register, m memory, i immediate, k second immediate, x xmm, q mmx, j relative target, o anything else. */
export type OperandLetter = "r" | "m" | "i" | "k" | "x" | "q" | "j" | "o";

export interface OperandShape {
  readonly letter: OperandLetter;
  /** Bytes; 0 for immediates and targets. */
  readonly size: number;
}

/** How the address of a memory operand is made: of a base alone, or of all parts. */
export type AddressForm = "base" | "full";

/** Where a direct jump goes. */
export type Transfer = "none" | "forward" | "backward" | "far";

export interface Shape {
  readonly mnemonic: Mnemonic;
  readonly operands: readonly OperandShape[];
  /** Effective operand size, which matters where no operand tells it (push, call, string instructions). */
  readonly operandSize: number;
  readonly address: AddressForm;
  /** Effective address size: 8, but where the exact tier executes 32-bit addressing. */
  readonly addressSize: number;
  /** Low four bits of Jcc, SETcc, CMOVcc; 0 for others. */
  readonly condition: number;
  readonly transfer: Transfer;
  readonly flags: "used" | "dead";
}

const LETTER_OF_KIND: readonly OperandLetter[] = (() => {
  const letters: OperandLetter[] = [];
  for (const kind of Object.values(OPERAND)) letters[kind] = "o";
  letters[OPERAND.gpr] = "r";
  letters[OPERAND.memory] = "m";
  letters[OPERAND.absolute] = "m";
  letters[OPERAND.immediate] = "i";
  letters[OPERAND.immediate2] = "k";
  letters[OPERAND.one] = "i";
  letters[OPERAND.xmm] = "x";
  letters[OPERAND.mmx] = "q";
  letters[OPERAND.relative] = "j";
  return letters;
})();

/** The letter of a decoded operand's kind. */
export const letterOf = (kind: number): OperandLetter => LETTER_OF_KIND[kind] ?? "o";

const hasSize = (letter: OperandLetter): boolean => letter !== "i" && letter !== "k" && letter !== "j";

/** The operands and the size of a decoded instruction, as in a shape's name. */
export function signatureOf(decoded: Decoded): OperandShape[] {
  const shapes: OperandShape[] = [];
  for (let n = 0; n < decoded.operandCount; n++) {
    const operand = decoded.operands[n];
    if (operand === undefined) break;
    const letter = letterOf(operand.kind);
    shapes.push({ letter, size: hasSize(letter) ? operand.size : 0 });
  }
  return shapes;
}

const LETTERS: readonly OperandLetter[] = ["r", "m", "i", "k", "x", "q", "j", "o"];
const SIZES: readonly number[] = [0, 1, 2, 4, 8, 10, 16];

const sizeCodes: readonly number[] = (() => {
  const codes = new Array<number>(17).fill(SIZES.length);
  SIZES.forEach((size, code) => (codes[size] = code));
  return codes;
})();
const letterCode: readonly number[] = LETTER_OF_KIND.map((letter) => LETTERS.indexOf(letter));
const isSized: readonly boolean[] = LETTER_OF_KIND.map(hasSize);
const transferCode: Readonly<Record<Transfer, number>> = { none: 0, forward: 1, backward: 2, far: 3 };
/** log2 of an operand size of 1, 2, 4 or 8. */
const LOG2: readonly number[] = [0, 0, 1, 1, 2, 2, 2, 2, 3];

/**
 * What tells shapes apart, as one number below 2^53. Every field has room for all of its values.
 */
function composeKey(
  mnemonic: number,
  operandSize: number,
  address: AddressForm,
  condition: number,
  transfer: number,
  isDead: boolean,
  operands: number,
): number {
  const size = LOG2[operandSize] ?? 0;
  const form = address === "full" ? 1 : 0;
  const upper = (((mnemonic * 4 + size) * 2 + form) * 16 + condition) * 8 + transfer * 2 + (isDead ? 1 : 0);
  return upper * 0x40000 + operands;
}

/** The key of a decoded instruction. */
export function shapeKeyOf(
  decoded: Decoded,
  mnemonic: number,
  address: AddressForm,
  transfer: Transfer,
  flags: "used" | "dead",
): number {
  let operands = 0;
  const count = Math.min(3, decoded.operandCount);
  for (let n = 0; n < count; n++) {
    // There are four operands.
    const { kind, size } = decoded.operands[n] as (typeof decoded.operands)[0];
    const code = isSized[kind] === true ? (sizeCodes[size] ?? SIZES.length) : 0;
    operands = operands * 64 + (letterCode[kind] ?? 0) * 8 + code;
  }
  operands = operands * 4 + count;
  return composeKey(
    mnemonic,
    decoded.operandSize,
    address,
    decoded.condition,
    transferCode[transfer],
    flags === "dead",
    operands,
  );
}

/** The key of a shape: that of the decoded instructions that have it. */
export function keyOfShape(shape: Shape): number {
  let operands = 0;
  const count = Math.min(3, shape.operands.length);
  for (const { letter, size } of shape.operands.slice(0, count)) {
    operands = operands * 64 + LETTERS.indexOf(letter) * 8 + (hasSize(letter) ? (sizeCodes[size] ?? SIZES.length) : 0);
  }
  return composeKey(
    indexByName.get(shape.mnemonic) ?? 0,
    shape.operandSize,
    shape.address,
    shape.condition,
    transferCode[shape.transfer],
    shape.flags === "dead",
    operands * 4 + count,
  );
}

const TRANSFER_MARKS: Readonly<Record<Transfer, string>> = { none: "", forward: "@f", backward: "@b", far: "@x" };
const CONDITIONAL: ReadonlySet<string> = new Set(["jcc", "setcc", "cmovcc"]);

/** A shape's name, as the head of this file describes it; the operand size is written behind `/` where no operand tells it. */
export function shapeName(shape: Shape): string {
  const { mnemonic, operands, operandSize, address, condition, transfer, flags } = shape;
  const texts = operands.map(
    ({ letter, size }) => `${letter}${hasSize(letter) ? size : ""}${letter === "m" && address === "full" ? "+" : ""}`,
  );
  const size = operandSize === operands[0]?.size ? "" : `/${operandSize}`;
  const marks = `${CONDITIONAL.has(mnemonic) ? `:${condition}` : ""}${flags === "dead" ? "~" : ""}${size}`;
  return `${mnemonic}${marks}${TRANSFER_MARKS[transfer]}${texts.length > 0 ? ` ${texts.join(",")}` : ""}`;
}

/** The shape that a name stands for. */
export function parseShape(name: string): Shape {
  const parts = /^([a-z0-9]+)(?::(\d+))?(~)?(?:\/(\d+))?(?:@([fbx]))?(?: (.*))?$/.exec(name);
  if (parts === null) throw new Error(`${name} names no shape`);
  const [, mnemonic = "", condition, dead, size, transfer, form = ""] = parts;
  const operands = form === "" ? [] : form.replace("+", "").split(",").map(parseOperandShape);
  return {
    mnemonic: mnemonic as Mnemonic, // what is no mnemonic has no semantics, which the interpreter's generator reports
    operands,
    operandSize: size === undefined ? (operands[0]?.size ?? 0) : Number(size),
    address: form.includes("+") ? "full" : "base",
    addressSize: 8,
    condition: Number(condition ?? 0),
    transfer: transfer === "f" ? "forward" : transfer === "b" ? "backward" : transfer === "x" ? "far" : "none",
    flags: dead === undefined ? "used" : "dead",
  };
}

export function parseOperandShape(text: string): OperandShape {
  return { letter: text.charAt(0) as OperandLetter, size: Number.parseInt(text.slice(1) || "0", 10) };
}
