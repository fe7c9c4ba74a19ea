// What the decoder says of one instruction: the row of the instruction table that it is, its operands, its prefixes.
//
//     prefixes | REX | opcode | ModRM | SIB | displacement | immediate          at most 15 bytes in all
//
// Intel SDM volume 2, chapter 2 (instruction format). One object is filled again and again, so decoding allocates
// nothing.

import { SEGMENT } from "./registers.ts";

/** What an operand is. Plain numbers, since decoding is on the way of all new code. */
export const OPERAND = {
  none: 0,
  /** General-purpose register `register`; with `isHighByte`, bits 15..8 of register 0-3 (ah, ch, dh, bh). */
  gpr: 1,
  /** The memory operand that `base`, `index`, … of the instruction describe. */
  memory: 2,
  /**
   * `immLo`, `immHi`: sign-extended to 64 bits from its encoded size, or zero-extended where the manual says so (shift
   * counts).
   */
  immediate: 3,
  /** A second immediate: `imm2`. */
  immediate2: 4,
  /** A jump target: `immLo`, `immHi` is the displacement from the end of the instruction. */
  relative: 5,
  xmm: 6,
  mmx: 7,
  /** x87 stack register st(register). */
  st: 8,
  segment: 9,
  control: 10,
  debug: 11,
  /** A far pointer in the instruction: offset in `immLo`, selector in `imm2`. Not in 64-bit mode. */
  far: 12,
  /** The constant 1 of the shifts. */
  one: 13,
  /** Memory at an absolute 64-bit address in the instruction (moffs): `dispLo`, `dispHi`; no base, no index. */
  absolute: 14,
  /** The string at segment:rsi, and that at es:rdi. */
  stringSource: 15,
  stringDestination: 16,
} as const;

export type OperandKind = (typeof OPERAND)[keyof typeof OPERAND];

export interface DecodedOperand {
  kind: OperandKind;
  register: number;
  isHighByte: boolean;
  /** Bytes: 1, 2, 4, 8, 10, 16, 28, 512, …; 0 where it has no size (lea's memory, invlpg's). */
  size: number;
}

/** No register in an address. */
export const NO_REGISTER = -1;
/** The base of rip-relative addressing. */
export const RIP = 16;

/** Modes of execution that change decoding. */
export type CodeMode = 64 | 32 | 16;

/** Repeat prefixes, where they are not part of the opcode. */
export const REPEAT = { none: 0, repe: 0xf3, repne: 0xf2 } as const;
export type Repeat = (typeof REPEAT)[keyof typeof REPEAT];

export interface Decoded {
  /** Index in the table. */
  id: number;
  /** Bytes, 1 to 15. */
  length: number;
  /** The effective operand size: 2, 4 or 8 (1 for byte instructions). */
  operandSize: 1 | 2 | 4 | 8;
  /** The effective address size: 2, 4 or 8. */
  addressSize: 2 | 4 | 8;
  operandCount: number;
  readonly operands: readonly [DecodedOperand, DecodedOperand, DecodedOperand, DecodedOperand];
  /**
   * The memory operand: base + (index << scale) + disp, in segment `segment`. `RIP` as base counts from the end of the
   * instruction.
   */
  base: number;
  index: number;
  scale: number;
  /** Sign-extended. */
  dispLo: number;
  dispHi: number;
  /** Bytes of the encoded displacement, 0 without one. */
  dispSize: number;
  /** The segment that the memory operand uses: by prefix, or ss for a base of rsp or rbp, or ds. */
  segment: number;
  /** Whether a prefix named it. In 64-bit mode es, cs, ss, ds prefixes count as none. */
  hasSegmentPrefix: boolean;
  immLo: number;
  immHi: number;
  imm2: number;
  /** Of jcc, setcc and cmovcc: the low four bits of the opcode; else 0. */
  condition: number;
  hasLock: boolean;
  /** F3 or F2 where it is a repeat prefix and no part of the opcode. */
  repeat: Repeat;
  hasRex: boolean;
  /** Whether REX.W was in force. */
  isWide: boolean;
}

/** A `Decoded` to be filled. */
export function newDecoded(): Decoded {
  const operand = (): DecodedOperand => ({ kind: OPERAND.none, register: 0, isHighByte: false, size: 0 });
  return {
    id: -1,
    length: 0,
    operandSize: 4,
    addressSize: 8,
    operandCount: 0,
    operands: [operand(), operand(), operand(), operand()],
    base: NO_REGISTER,
    index: NO_REGISTER,
    scale: 0,
    dispLo: 0,
    dispHi: 0,
    dispSize: 0,
    segment: SEGMENT.ds,
    hasSegmentPrefix: false,
    immLo: 0,
    immHi: 0,
    imm2: 0,
    condition: 0,
    hasLock: false,
    repeat: REPEAT.none,
    hasRex: false,
    isWide: false,
  };
}

/** Why bytes are no instruction. */
export type DecodeFailure =
  /** #UD: an undefined encoding, or a prefix that the instruction does not take. */
  | "undefined"
  /** #GP: more than 15 bytes. */
  | "too-long"
  /** The bytes end before the instruction does. */
  | "truncated";
