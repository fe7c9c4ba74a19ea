/**
 * The string instructions: movs, stos, lods, scas, cmps, alone or repeated.
 *
 *     one step    as many elements as source and destination have before the end of their pages, at most rcx
 *     then        rsi, rdi, rcx are moved on, and the instruction is executed again if there is more to do
 *
 * So a fault comes at the first element of a step, when all before it are done, and interrupts come between steps. A step takes a
 * nanosecond for every eight elements. Intel SDM volume 2, REP and each instruction; volume 1, 7.3.9.
 */
import { REPEAT, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { GPR, RFLAGS, SEGMENT } from "../../isa/x86_64/registers.ts";
import { ATTRIBUTE } from "../../isa/x86_64/segments.ts";
import type { AccessType } from "../hart.ts";
import { newSpan, type Span } from "./access.ts";
import { CELL, segmentAttributes, segmentBase, segmentLimit } from "./layout.ts";
import type { Registers } from "./registers.ts";
import type { SystemHart, SystemOutcome, SystemSemantics } from "./system.ts";

const ELEMENTS_PER_NS = 8;
/** Elements of a step where they are accessed one by one. */
const MOST_SINGLE = 64;

/** The bytes that an element is compared as: sign-extended. */
const left = { lo: 0, hi: 0 };
const right = { lo: 0, hi: 0 };
const source = newSpan();
const destination = newSpan();

// --- Pointers and counts -------------------------------------------------------------------------------------------

/** rcx as far as the address size goes, at most `most`. */
function countOf(registers: Registers, decoded: Decoded, most: number): number {
  if (decoded.repeat === REPEAT.none) return 1;
  const lo = registers.gprLo(GPR.rcx);
  if (decoded.addressSize === 8 && registers.gprHi(GPR.rcx) !== 0) return most;
  return Math.min(most, (decoded.addressSize === 2 ? lo & 0xffff : lo) >>> 0);
}

function isExhausted(registers: Registers, { addressSize }: Decoded): boolean {
  const lo = registers.gprLo(GPR.rcx);
  if (addressSize === 2) return (lo & 0xffff) === 0;
  return lo === 0 && (addressSize === 4 || registers.gprHi(GPR.rcx) === 0);
}

/** Adds to a register as far as the address size goes. */
function advance(registers: Registers, register: number, { addressSize }: Decoded, amount: number): void {
  const sum = (registers.gprLo(register) >>> 0) + amount;
  const hi = registers.gprHi(register) + Math.floor(sum / 0x1_0000_0000);
  registers.writeGpr(register, addressSize, sum | 0, hi | 0);
}

/** The linear address of the element that a register points at, in `access`. */
export function linearOf(
  hart: SystemHart,
  decoded: Decoded,
  register: number,
  segment: number,
  access: AccessType,
): boolean {
  const { registers } = hart;
  const lo = registers.gprLo(register);
  const { addressSize } = decoded;
  const offset = addressSize === 2 ? lo & 0xffff : lo;
  const hi = addressSize === 8 ? registers.gprHi(register) : 0;
  return hart.access.linear(segment, offset, hi, decoded.operandSize, access);
}

const stepOf = (registers: Registers, { operandSize }: Decoded): number =>
  registers.hasFlag(RFLAGS.DF) ? -operandSize : operandSize;

/** Whether elements may be taken together: they are not where addresses wrap, or where each must be seen by itself. */
function isBulk(hart: SystemHart, decoded: Decoded): boolean {
  const { registers } = hart;
  return decoded.addressSize === 8 && registers.codeMode === 64 && isUnseen(hart, decoded);
}

/** The same outside 64-bit mode: the elements of a page can be taken together where the segment is all of the address space. */
function isFlatBulk(hart: SystemHart, decoded: Decoded, segment: number): boolean {
  const { registers } = hart;
  return (
    decoded.addressSize === 4 &&
    registers.codeMode === 32 &&
    registers.get(segmentBase(segment)) === 0 &&
    registers.get(segmentLimit(segment)) === -1 &&
    (registers.get(segmentAttributes(segment)) & ATTRIBUTE.EXPAND_DOWN) === 0 &&
    isUnseen(hart, decoded)
  );
}

function isUnseen({ registers, access }: SystemHart, { repeat }: Decoded): boolean {
  return repeat !== REPEAT.none && !registers.hasFlag(RFLAGS.TF) && !access.isChecked;
}

/** How many elements, of `count`, lie in the page from here on; 0 if the first one crosses its end. */
function inPage(address: number, step: number, count: number): number {
  const offset = address & 4095;
  const size = Math.abs(step);
  if (offset + size > 4096) return 0;
  return Math.min(count, step > 0 ? Math.floor((4096 - offset) / size) : Math.floor(offset / size) + 1);
}

/** After `count` elements: moves the registers on, and tells how the instruction ends. */
export function finish(
  hart: SystemHart,
  decoded: Decoded,
  count: number,
  pointers: readonly number[],
  isEnded = false,
): SystemOutcome {
  const { registers } = hart;
  const amount = count * stepOf(registers, decoded);
  for (const register of pointers) advance(registers, register, decoded, amount);
  if (decoded.repeat === REPEAT.none) return "done";
  advance(registers, GPR.rcx, decoded, -count);
  const isDone = isEnded || isExhausted(registers, decoded);
  const taken = isDone ? count - 1 : count;
  if (taken > 0) registers.spend(Math.ceil(taken / ELEMENTS_PER_NS));
  return isDone ? "done" : "repeat";
}

/** Runs `element` for each of some elements, which are accessed one by one; it says whether to go on. */
export function oneByOne(
  hart: SystemHart,
  decoded: Decoded,
  pointers: readonly number[],
  element: () => "next" | "last" | "faulted",
): SystemOutcome {
  const { registers, access } = hart;
  const isSeen = registers.hasFlag(RFLAGS.TF) || access.isChecked;
  const count = countOf(registers, decoded, isSeen ? 1 : MOST_SINGLE);
  if (count === 0) return "done";
  let outcome: SystemOutcome = "done";
  for (let i = 0; i < count; i++) {
    const result = element();
    // The fault comes when the instruction is executed again, with all before it done.
    if (result === "faulted") return i === 0 ? "faulted" : "repeat";
    outcome = finish(hart, decoded, 1, pointers, result === "last");
    if (outcome === "done") break;
  }
  return outcome;
}

// --- movs, stos, lods ----------------------------------------------------------------------------------------------

const MOVS_POINTERS = [GPR.rsi, GPR.rdi];
const STOS_POINTERS = [GPR.rdi];
const LODS_POINTERS = [GPR.rsi];

const movs: SystemSemantics = (hart, decoded) => {
  const { access, registers } = hart;
  const size = decoded.operandSize;
  if (isBulk(hart, decoded)) {
    const step = stepOf(registers, decoded);
    let count = countOf(registers, decoded, 4096);
    if (count === 0) return "done";
    count = inPage(registers.gprLo(GPR.rdi), step, count);
    if (!linearOf(hart, decoded, GPR.rsi, decoded.segment, "load")) return "faulted";
    const { linearLo, linearHi } = access;
    count = inPage(linearLo, step, count);
    if (count > 0) {
      const from = access.translate("load", linearLo, linearHi);
      if (from < 0 || !linearOf(hart, decoded, GPR.rdi, SEGMENT.es, "store")) return "faulted";
      const to = access.translate("store", access.linearLo, access.linearHi);
      if (to < 0) return "faulted";
      if (copyElements(hart, from, to, step, count)) return finish(hart, decoded, count, MOVS_POINTERS);
    }
  }
  return oneByOne(hart, decoded, MOVS_POINTERS, () => {
    if (!resolveElement(hart, decoded, GPR.rsi, decoded.segment, "load", source)) return "faulted";
    if (!resolveElement(hart, decoded, GPR.rdi, SEGMENT.es, "store", destination)) return "faulted";
    access.readSpan(source, size, CELL.stepValue);
    access.writeSpan(destination, size, CELL.stepValue);
    return "next";
  });
};

/** Copies elements within two pages as though one by one; false if they are not in RAM, with nothing done. */
function copyElements(hart: SystemHart, from: number, to: number, step: number, count: number): boolean {
  const { ram } = hart.machine;
  const size = Math.abs(step);
  const length = size * count;
  const first = step > 0 ? 0 : size - length;
  if (!ram.contains(from + first, length) || !ram.contains(to + first, length)) return false;
  const distance = step > 0 ? to - from : from - to;
  if (distance <= 0 || distance >= length) {
    ram.copy(to + first, from + first, length);
    return true;
  }
  // What is written is read again further on: no more at once than lies between.
  const piece = distance - (distance % size);
  if (piece === 0) return false;
  for (let done = 0; done < length; done += piece) {
    const now = Math.min(piece, length - done);
    const at = step > 0 ? done : size - done - now;
    ram.copy(to + at, from + at, now);
  }
  return true;
}

function resolveElement(
  hart: SystemHart,
  decoded: Decoded,
  register: number,
  segment: number,
  kind: AccessType,
  span: Span,
): boolean {
  const { access } = hart;
  return (
    linearOf(hart, decoded, register, segment, kind) &&
    access.resolve(kind, decoded.operandSize, access.linearLo, access.linearHi, span)
  );
}

const stos: SystemSemantics = (hart, decoded) => {
  const { access, registers } = hart;
  const { ram } = hart.machine;
  const size = decoded.operandSize;
  if (isBulk(hart, decoded) || isFlatBulk(hart, decoded, SEGMENT.es)) {
    const step = stepOf(registers, decoded);
    let count = countOf(registers, decoded, 4096);
    if (count === 0) return "done";
    count = inPage(registers.gprLo(GPR.rdi), step, count);
    if (count > 0) {
      if (!linearOf(hart, decoded, GPR.rdi, SEGMENT.es, "store")) return "faulted";
      const to = access.translate("store", access.linearLo, access.linearHi);
      if (to < 0) return "faulted";
      const first = to + (step > 0 ? 0 : size * (1 - count));
      if (ram.contains(first, size * count)) {
        fillElements(hart, first, size, count);
        return finish(hart, decoded, count, STOS_POINTERS);
      }
    }
  }
  return oneByOne(hart, decoded, STOS_POINTERS, () => {
    if (!resolveElement(hart, decoded, GPR.rdi, SEGMENT.es, "store", destination)) return "faulted";
    access.writeSpan(destination, size, CELL.gpr + GPR.rax * 8);
    return "next";
  });
};

/** Fills with rax: one element, then what is there doubled again and again. */
function fillElements(hart: SystemHart, first: number, size: number, count: number): void {
  const { access, registers } = hart;
  const { ram } = hart.machine;
  const length = size * count;
  const lo = registers.gprLo(GPR.rax);
  if (size === 1 || (lo === 0 && registers.gprHi(GPR.rax) === 0)) {
    ram.fill(first, length, lo & 0xff);
    return;
  }
  destination.first = first;
  destination.firstSize = size;
  access.writeSpan(destination, size, CELL.gpr + GPR.rax * 8);
  for (let done = size; done < length; done *= 2) ram.copy(first + done, first, Math.min(done, length - done));
}

const lods: SystemSemantics = (hart, decoded) => {
  const { access, registers } = hart;
  const size = decoded.operandSize;
  return oneByOne(hart, decoded, LODS_POINTERS, () => {
    if (!resolveElement(hart, decoded, GPR.rsi, decoded.segment, "load", source)) return "faulted";
    access.readSpan(source, size, CELL.stepValue);
    registers.writeGpr(GPR.rax, size, registers.get(CELL.stepValue), registers.get(CELL.stepValue + 4));
    return "next";
  });
};

// --- scas, cmps ----------------------------------------------------------------------------------------------------

/** Reads an element that has been found, sign-extended. */
function readElement(hart: SystemHart, span: Span, size: number, into: { lo: number; hi: number }): void {
  const { access, registers } = hart;
  access.readSpan(span, size, CELL.stepValue);
  extend(size, registers.get(CELL.stepValue), registers.get(CELL.stepValue + 4), into);
}

function extend(size: number, lo: number, hi: number, into: { lo: number; hi: number }): void {
  into.lo = size === 1 ? (lo << 24) >> 24 : size === 2 ? (lo << 16) >> 16 : lo;
  into.hi = size === 8 ? hi : into.lo >> 31;
}

/** Sets the flags as cmp of `left` and `right` does. */
function compare(registers: Registers, size: number): void {
  const borrow = left.lo >>> 0 < right.lo >>> 0 ? 1 : 0;
  const result = { lo: 0, hi: 0 };
  extend(size, (left.lo - right.lo) | 0, (left.hi - right.hi - borrow) | 0, result);
  registers.setWords(CELL.flagResult, result.lo, result.hi);
  registers.setWords(CELL.flagCarries, left.lo ^ right.lo ^ result.lo, left.hi ^ right.hi ^ result.hi);
  const isBelow = left.hi === right.hi ? borrow === 1 : left.hi >>> 0 < right.hi >>> 0;
  registers.set(CELL.flagCarry, isBelow ? 1 : 0);
}

/** Whether a repeated comparison ends with this one. */
function endsWith(decoded: Decoded): boolean {
  const isEqual = left.lo === right.lo && left.hi === right.hi;
  return decoded.repeat === REPEAT.repne ? isEqual : !isEqual;
}

/** Where the bytes of an element are in the machine's memory; -1 where they are not in RAM. */
function hostAddress({ machine }: SystemHart, span: Span, step: number, count: number): number {
  const { ram } = machine;
  const length = Math.abs(step) * count;
  const first = step > 0 ? span.first : span.first + Math.abs(step) - length;
  return ram.contains(first, length) ? ram.host + (span.first - ram.base) : -1;
}

function areEqual(bytes: Uint8Array, a: number, b: number, size: number): boolean {
  for (let i = 0; i < size; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

/**
 * Compares `count` elements at two places, as long as they are equal, or are not: the number of the one that ends it, from 1, or
 * `count`. The second place moves on with the first, or stays.
 */
function search(
  { registers }: SystemHart,
  decoded: Decoded,
  a: number,
  b: number,
  count: number,
  moves: "both" | "first",
): number {
  const { bytes } = registers;
  const step = stepOf(registers, decoded);
  const endsAtEqual = decoded.repeat === REPEAT.repne;
  const size = Math.abs(step);
  if (endsAtEqual && moves === "first" && step === 1) {
    const found = bytes.subarray(a, a + count).indexOf(bytes[b] ?? 0);
    return found < 0 ? count : found + 1;
  }
  if (!endsAtEqual && moves === "both" && step > 0) {
    const length = count * size;
    for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return Math.floor(i / size) + 1;
    return count;
  }
  const other = moves === "both" ? step : 0;
  for (let i = 0; i < count; i++) {
    if (areEqual(bytes, a + i * step, b + i * other, size) === endsAtEqual) return i + 1;
  }
  return count;
}

const scas: SystemSemantics = (hart, decoded) => {
  const { registers } = hart;
  const size = decoded.operandSize;
  const read = (): void => readElement(hart, destination, size, right);
  extend(size, registers.gprLo(GPR.rax), registers.gprHi(GPR.rax), left);
  if (isBulk(hart, decoded)) {
    const step = stepOf(registers, decoded);
    const wanted = countOf(registers, decoded, 4096);
    if (wanted === 0) return "done";
    const count = inPage(registers.gprLo(GPR.rdi), step, wanted);
    if (count > 0) {
      if (!resolveElement(hart, decoded, GPR.rdi, SEGMENT.es, "load", destination)) return "faulted";
      const at = hostAddress(hart, destination, step, count);
      if (at >= 0) {
        const done = search(hart, decoded, at, registers.base + CELL.gpr + GPR.rax * 8, count, "first");
        destination.first += (done - 1) * step;
        read();
        compare(registers, size);
        return finish(hart, decoded, done, STOS_POINTERS, endsWith(decoded));
      }
    }
  }
  return oneByOne(hart, decoded, STOS_POINTERS, () => {
    if (!resolveElement(hart, decoded, GPR.rdi, SEGMENT.es, "load", destination)) return "faulted";
    read();
    compare(registers, size);
    return endsWith(decoded) ? "last" : "next";
  });
};

const cmps: SystemSemantics = (hart, decoded) => {
  const { registers, access } = hart;
  const size = decoded.operandSize;
  const read = (): void => {
    readElement(hart, source, size, left);
    readElement(hart, destination, size, right);
  };
  const resolve = (): boolean =>
    resolveElement(hart, decoded, GPR.rsi, decoded.segment, "load", source) &&
    resolveElement(hart, decoded, GPR.rdi, SEGMENT.es, "load", destination);
  if (isBulk(hart, decoded)) {
    const step = stepOf(registers, decoded);
    let count = countOf(registers, decoded, 4096);
    if (count === 0) return "done";
    if (!linearOf(hart, decoded, GPR.rsi, decoded.segment, "load")) return "faulted";
    count = inPage(access.linearLo, step, inPage(registers.gprLo(GPR.rdi), step, count));
    if (count > 0) {
      if (!resolve()) return "faulted";
      const from = hostAddress(hart, source, step, count);
      const to = hostAddress(hart, destination, step, count);
      if (from >= 0 && to >= 0) {
        const done = search(hart, decoded, from, to, count, "both");
        source.first += (done - 1) * step;
        destination.first += (done - 1) * step;
        read();
        compare(registers, size);
        return finish(hart, decoded, done, MOVS_POINTERS, endsWith(decoded));
      }
    }
  }
  return oneByOne(hart, decoded, MOVS_POINTERS, () => {
    if (!resolve()) return "faulted";
    read();
    compare(registers, size);
    return endsWith(decoded) ? "last" : "next";
  });
};

export const stringSemantics = { movs, stos, lods, scas, cmps } satisfies Record<string, SystemSemantics>;
