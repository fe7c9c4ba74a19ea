// The string comparisons of SSE4.2, crc32, masked stores and ldmxcsr, as the exact tier executes them.
//
// A string comparison: SDM volume 1, 12.3 (and volume 2, 4.1, "imm8 control byte operation").
//
//     control   6 output | 5-4 polarity | 3-2 aggregation | 1-0 format
//
//     elements of both, as far as they are valid ──aggregation──> one bit for each element of the second ──polarity──> index or mask

import type { Decoded } from "../../../isa/x86_64/decode-types.ts";
import { GPR, RFLAGS, SEGMENT } from "../../../isa/x86_64/registers.ts";
import { OPERAND, NO_REGISTER } from "../../../isa/x86_64/decode-types.ts";
import type { ExactHart, ExactRegisters, ExactX86 } from "../exact.ts";
import { CELL } from "../layout.ts";
import { cellOf, readBits, readByte, setMxcsr, tagMmxRegisters, xmmCell } from "./sse-exact-operands.ts";

/** The elements of an operand; those from `length` on are invalid. */
interface Text {
  readonly elements: readonly number[];
  readonly length: number;
}

/** Elements of a vector in the format that the control names: bytes or words, signed or not. */
function elementsAt(registers: ExactRegisters, cell: number, control: number): number[] {
  const isWords = (control & 1) !== 0;
  const isSigned = (control & 2) !== 0;
  return Array.from({ length: isWords ? 8 : 16 }, (_, n) => {
    if (!isWords) {
      const byte = readByte(registers, cell, n);
      return isSigned ? (byte << 24) >> 24 : byte;
    }
    const word = readByte(registers, cell, 2 * n) | (readByte(registers, cell, 2 * n + 1) << 8);
    return isSigned ? (word << 16) >> 16 : word;
  });
}

/** A length that a register gives: its absolute value, at most the number of elements. */
function explicitLength(registers: ExactRegisters, decoded: Decoded, register: number, count: number): number {
  const size = decoded.isWide ? 8 : 4;
  const value = BigInt.asIntN(size * 8, readBits(registers, CELL.gpr + 8 * register, size));
  const length = value < 0n ? -value : value;
  return length > BigInt(count) ? count : Number(length);
}

function implicitLength(elements: readonly number[]): number {
  const end = elements.indexOf(0);
  return end < 0 ? elements.length : end;
}

/** One bit for each element of `b`. */
function aggregate(a: Text, b: Text, control: number): number {
  const count = b.elements.length;
  const valueOf = (text: Text, n: number): number => text.elements[n] ?? 0;
  const holds = (j: number): boolean => {
    switch ((control >> 2) & 3) {
      case 0: // equal any: the element is one of the set
        return j < b.length && a.elements.slice(0, a.length).includes(valueOf(b, j));
      case 1: // ranges: it lies in one of the ranges
        if (j >= b.length) return false;
        for (let i = 0; i + 1 < a.length; i += 2) {
          if (valueOf(a, i) <= valueOf(b, j) && valueOf(b, j) <= valueOf(a, i + 1)) return true;
        }
        return false;
      case 2: // equal each: the elements in the same place are equal, or both invalid
        if (j >= a.length || j >= b.length) return j >= a.length && j >= b.length;
        return valueOf(a, j) === valueOf(b, j);
      default: // equal ordered: the first string begins here
        for (let i = 0; i < a.length && j + i < count; i++) {
          if (j + i >= b.length || valueOf(a, i) !== valueOf(b, j + i)) return false;
        }
        return true;
    }
  };
  let bits = 0;
  for (let j = 0; j < count; j++) if (holds(j)) bits |= 1 << j;
  return bits;
}

/** Bits as the polarity has them: as they are, inverted, or inverted where `b` is valid. */
function applyPolarity(bits: number, b: Text, control: number): number {
  const all = (1 << b.elements.length) - 1;
  switch ((control >> 4) & 3) {
    case 1:
      return bits ^ all;
    case 3:
      return bits ^ ((1 << b.length) - 1);
    default:
      return bits;
  }
}

/** A string comparison: lengths from eax and edx, or up to the first zero; the result as an index in ecx, or as a mask in xmm0. */
const compareStrings =
  (lengths: "explicit" | "implicit", output: "index" | "mask"): ExactX86 =>
  ({ registers }, decoded) => {
    const control = decoded.immLo & 0xff;
    const text = (n: 0 | 1, register: number): Text => {
      const elements = elementsAt(registers, cellOf(decoded, n), control);
      const length =
        lengths === "explicit"
          ? explicitLength(registers, decoded, register, elements.length)
          : implicitLength(elements);
      return { elements, length };
    };
    const a = text(0, GPR.rax);
    const b = text(1, GPR.rdx);
    const count = b.elements.length;
    const bits = applyPolarity(aggregate(a, b, control), b, control);
    const isSelected = (control & 0x40) !== 0;
    if (output === "index") {
      const lowest = 31 - Math.clz32(bits & -bits);
      const index = bits === 0 ? count : isSelected ? 31 - Math.clz32(bits) : lowest;
      registers.setWords(CELL.gpr + 8 * GPR.rcx, index, 0);
    } else {
      writeMask(registers, bits, isSelected ? 16 / count : 0);
    }
    registers.setArithmeticFlags(
      (bits !== 0 ? RFLAGS.CF : 0) |
        (b.length < count ? RFLAGS.ZF : 0) |
        (a.length < count ? RFLAGS.SF : 0) |
        ((bits & 1) !== 0 ? RFLAGS.OF : 0),
    );
    return "done";
  };

/** xmm0 takes the bits as they are (size 0), or elements of `size` bytes that are all ones where a bit is set. */
function writeMask(registers: ExactRegisters, bits: number, size: number): void {
  for (let word = 0; word < 4; word++) {
    let value = word === 0 ? bits : 0;
    if (size !== 0) {
      value = 0;
      for (let byte = 0; byte < 4; byte++) {
        if (((bits >> Math.floor((4 * word + byte) / size)) & 1) !== 0) value |= 0xff << (8 * byte);
      }
    }
    registers.set(xmmCell(0) + 4 * word, value);
  }
}

/** The polynomial of CRC-32C, reflected. */
const CRC32C = 0x82f63b78;

const crc32: ExactX86 = ({ registers }, decoded) => {
  const cell = cellOf(decoded, 0);
  const source = cellOf(decoded, 1);
  const size = decoded.operands[1].size;
  let crc = registers.get(cell);
  for (let n = 0; n < size; n++) {
    const at = source + n;
    crc ^= (registers.get(at & ~3) >>> ((at & 3) * 8)) & 0xff;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) !== 0 ? CRC32C : 0);
  }
  registers.setWords(cell, crc, 0);
  return "done";
};

/** Stores the bytes of the first vector whose mask byte in the second has its top bit set, at ds:rdi. */
const maskedStore =
  (kind: typeof OPERAND.xmm | typeof OPERAND.mmx): ExactX86 =>
  (hart, decoded) => {
    const { registers } = hart;
    const [data, mask] = decoded.operands.map((operand, n) => (operand.kind === kind ? n : -1)).filter((n) => n >= 0);
    if (data === undefined || mask === undefined) return "undefined";
    const isMmx = kind === OPERAND.mmx;
    for (let n = 0; n < (isMmx ? 8 : 16); n++) {
      if ((readByte(registers, cellOf(decoded, mask), n) & 0x80) === 0) continue;
      if (!storeAtDestination(hart, decoded, n, readByte(registers, cellOf(decoded, data), n))) return "faulted";
    }
    if (isMmx) tagMmxRegisters(registers);
    return "done";
  };

/** Stores a byte at rdi + n. One that faults after others were stored is stored again with them. */
function storeAtDestination(hart: ExactHart, decoded: Decoded, n: number, byte: number): boolean {
  const destination: Decoded = {
    ...decoded,
    base: GPR.rdi,
    index: NO_REGISTER,
    scale: 0,
    dispLo: n,
    dispHi: 0,
    segment: decoded.hasSegmentPrefix ? decoded.segment : SEGMENT.ds,
  };
  return hart.writeMemory(destination, Uint8Array.of(byte));
}

/** MXCSR has 16 bits. SDM volume 1, 10.2.3. */
const loadMxcsr: ExactX86 = ({ registers }) => {
  const value = registers.get(CELL.operand);
  if ((value & ~0xffff) !== 0) return "protection";
  setMxcsr(registers, value);
  return "done";
};

export const exactSseStrings = {
  pcmpestri: compareStrings("explicit", "index"),
  pcmpestrm: compareStrings("explicit", "mask"),
  pcmpistri: compareStrings("implicit", "index"),
  pcmpistrm: compareStrings("implicit", "mask"),
  crc32,
  maskmovq: maskedStore(OPERAND.mmx),
  maskmovdqu: maskedStore(OPERAND.xmm),
  ldmxcsr: loadMxcsr,
} satisfies Record<string, ExactX86>;
