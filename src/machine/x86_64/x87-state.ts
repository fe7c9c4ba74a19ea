/**
 * The x87 state in a hart's window: the stack of eight registers, and the words that go with it.
 *
 *     status   15 14  13 12 11  10  9  8   7  6  5  4  3  2  1  0        control   11 10   9  8     5  4  3  2  1  0
 *             +--+--+---------+--+--+--+ +--+--+--+--+--+--+--+--+                +-----+------+ +--+--+--+--+--+--+
 *             |B |C3|   TOP   |C2|C1|C0| |ES|SF|PE|UE|OE|ZE|DE|IE|                | RC  |  PC  | |PM|UM|OM|ZM|DM|IM|
 *             +--+--+---------+--+--+--+ +--+--+--+--+--+--+--+--+                +-----+------+ +--+--+--+--+--+--+
 *
 * st(i) is register (TOP + i) mod 8. Of the tag word only "empty" is state; the rest is worked out from the contents where the word
 * is stored, as processors do. Intel SDM volume 1, 8.1.
 */
import { type Extended, type ExtendedEnvironment, Exception, kindOf } from "../float/extended.ts";
import { Rounding } from "../float/format.ts";
import type { ExactHart, ExactRegisters } from "./exact.ts";
import { CELL, FPU_STRIDE } from "./layout.ts";

export const STATUS = {
  EXCEPTIONS: 0x3f,
  /** Stack fault. */
  SF: 1 << 6,
  /** Exception summary: an unmasked exception is pending. */
  ES: 1 << 7,
  C0: 1 << 8,
  C1: 1 << 9,
  C2: 1 << 10,
  TOP_SHIFT: 11,
  TOP: 7 << 11,
  C3: 1 << 14,
  /** As ES. */
  BUSY: 1 << 15,
} as const;

export const CONTROL = {
  MASKS: 0x3f,
  /** Bit 6 reads as 1; bit 12 has no meaning any more, but keeps what is written. */
  FIXED: 0x40,
  WRITABLE: 0x1f3f,
  PRECISION_SHIFT: 8,
  ROUNDING_SHIFT: 10,
  /** After fninit: everything masked, 64 bits, to nearest. */
  INITIAL: 0x37f,
} as const;

const TAGS_EMPTY = 0xffff;
const TAG_EMPTY = 3;

const ROUNDINGS = [Rounding.RNE, Rounding.RDN, Rounding.RUP, Rounding.RTZ] as const;
const PRECISIONS = [24, 64, 53, 64] as const;

// --- The stack -----------------------------------------------------------------------------------------------------

export function topOf(registers: ExactRegisters): number {
  return (registers.get(CELL.fpuStatus) >> STATUS.TOP_SHIFT) & 7;
}

export function setTop(registers: ExactRegisters, top: number): void {
  const status = registers.get(CELL.fpuStatus) & ~STATUS.TOP;
  registers.set(CELL.fpuStatus, status | ((top & 7) << STATUS.TOP_SHIFT));
}

/** The register that st(index) is. */
function physical(registers: ExactRegisters, index: number): number {
  return (topOf(registers) + index) & 7;
}

export function isEmpty(registers: ExactRegisters, index: number): boolean {
  return ((registers.get(CELL.fpuTag) >> (physical(registers, index) * 2)) & TAG_EMPTY) === TAG_EMPTY;
}

export function setEmpty(registers: ExactRegisters, index: number): void {
  registers.set(CELL.fpuTag, registers.get(CELL.fpuTag) | (TAG_EMPTY << (physical(registers, index) * 2)));
}

export function readStack(registers: ExactRegisters, index: number): Extended {
  return readPhysical(registers, physical(registers, index));
}

/** Writes st(index), which is not empty then. */
export function writeStack(registers: ExactRegisters, index: number, value: Extended): void {
  const register = physical(registers, index);
  registers.set(CELL.fpuTag, registers.get(CELL.fpuTag) & ~(TAG_EMPTY << (register * 2)));
  writePhysical(registers, register, value);
}

export function pop(registers: ExactRegisters): void {
  setEmpty(registers, 0);
  setTop(registers, topOf(registers) + 1);
}

export function push(registers: ExactRegisters, value: Extended): void {
  setTop(registers, topOf(registers) - 1);
  writeStack(registers, 0, value);
}

function readPhysical(registers: ExactRegisters, register: number): Extended {
  return readExtended(registers, CELL.fpu + register * FPU_STRIDE);
}

function writePhysical(registers: ExactRegisters, register: number, value: Extended): void {
  writeExtended(registers, CELL.fpu + register * FPU_STRIDE, value);
}

/** The 10 bytes at a cell. */
export function readExtended(registers: ExactRegisters, cell: number): Extended {
  return {
    head: registers.get(cell + 8) & 0xffff,
    high: registers.get(cell + 4) >>> 0,
    low: registers.get(cell) >>> 0,
  };
}

export function writeExtended(registers: ExactRegisters, cell: number, { head, high, low }: Extended): void {
  registers.setWords(cell, low | 0, high | 0);
  registers.set(cell + 8, head);
}

// --- Exceptions ----------------------------------------------------------------------------------------------------

/** What the control word asks of arithmetic. */
export function environmentOf(registers: ExactRegisters): ExtendedEnvironment {
  const control = registers.get(CELL.fpuControl);
  return {
    rounding: ROUNDINGS[(control >> CONTROL.ROUNDING_SHIFT) & 3] ?? Rounding.RNE,
    precision: PRECISIONS[(control >> CONTROL.PRECISION_SHIFT) & 3] ?? 64,
    unmasked: ~control & CONTROL.MASKS,
    flags: 0,
    isRoundedUp: false,
  };
}

export function isPending(registers: ExactRegisters): boolean {
  return (registers.get(CELL.fpuStatus) & STATUS.ES) !== 0;
}

function isUnmasked(registers: ExactRegisters, exceptions: number): boolean {
  return (exceptions & ~registers.get(CELL.fpuControl) & CONTROL.MASKS) !== 0;
}

/** Accrues exceptions, and sets C1 as given. */
export function accrue(hart: ExactHart, exceptions: number, c1: boolean): void {
  const { registers } = hart;
  const status = registers.get(CELL.fpuStatus) & ~STATUS.C1;
  registers.set(CELL.fpuStatus, status | exceptions | (c1 ? STATUS.C1 : 0));
  if (isUnmasked(registers, exceptions)) {
    noteOpcode(hart);
    refreshSummary(registers);
  }
}

/** #IS: the stack under- or overflowed. True if it is masked, so that the indefinite number takes the missing one's place. */
export function faultStack(hart: ExactHart, direction: "underflow" | "overflow"): boolean {
  accrue(hart, Exception.invalid | STATUS.SF, direction === "overflow");
  return !isUnmasked(hart.registers, Exception.invalid);
}

/** Brings ES and B in line with flags and masks. */
export function refreshSummary(registers: ExactRegisters): void {
  const status = registers.get(CELL.fpuStatus) & ~(STATUS.ES | STATUS.BUSY);
  const pending = isUnmasked(registers, status & STATUS.EXCEPTIONS);
  registers.set(CELL.fpuStatus, pending ? status | STATUS.ES | STATUS.BUSY : status);
}

// --- Pointers ------------------------------------------------------------------------------------------------------

/**
 * Notes where the last instruction and its memory operand are, as every non-control instruction does. Its opcode is noted only
 * where it has an unmasked exception (SDM volume 1, 8.1.9.1); segment selectors are not kept (CPUID.7.0:EBX bit 13).
 */
export function notePointers(hart: ExactHart, hasMemory: boolean): void {
  const { registers } = hart;
  registers.setWords(CELL.fpuInstruction, registers.get(CELL.pc), registers.get(CELL.pc + 4));
  if (hasMemory) registers.setWords(CELL.fpuData, hart.operandLo, hart.operandHi);
}

function noteOpcode(hart: ExactHart): void {
  // No prefix looks like an escape opcode, D8 to DF.
  let at = 0;
  while ((hart.codeByte(at) & 0xf8) !== 0xd8) at++;
  hart.registers.set(CELL.fpuOpcode, ((hart.codeByte(at) & 7) << 8) | hart.codeByte(at + 1));
}

// --- Words and images ----------------------------------------------------------------------------------------------

export function initialize(registers: ExactRegisters): void {
  registers.set(CELL.fpuControl, CONTROL.INITIAL);
  registers.set(CELL.fpuStatus, 0);
  registers.set(CELL.fpuTag, TAGS_EMPTY);
  registers.set(CELL.fpuOpcode, 0);
  registers.setWords(CELL.fpuInstruction, 0, 0);
  registers.setWords(CELL.fpuData, 0, 0);
}

export function setControl(registers: ExactRegisters, value: number): void {
  registers.set(CELL.fpuControl, (value & CONTROL.WRITABLE) | CONTROL.FIXED);
  refreshSummary(registers);
}

/** The tag word with what the registers hold: 0 valid, 1 zero, 2 special, 3 empty. SDM volume 1, 8.1.7. */
function fullTags(registers: ExactRegisters): number {
  const tags = registers.get(CELL.fpuTag);
  let full = 0;
  for (let register = 0; register < 8; register++) {
    const shift = register * 2;
    full |= (((tags >> shift) & 3) === TAG_EMPTY ? TAG_EMPTY : tagOf(readPhysical(registers, register))) << shift;
  }
  return full;
}

function tagOf(value: Extended): number {
  const kind = kindOf(value);
  return kind === "normal" ? 0 : kind === "zero" ? 1 : 2;
}

/** Bytes of a register in an image. */
const REGISTER_BYTES = 10;

/** fnstenv's image: 28 bytes, or 14 with an operand size of 16 bits. SDM volume 1, figures 8-9 to 8-12, protected mode. */
export function packEnvironment(registers: ExactRegisters, image: DataView, width: 2 | 4): void {
  const fields = [
    registers.get(CELL.fpuControl),
    registers.get(CELL.fpuStatus),
    fullTags(registers),
    registers.get(CELL.fpuInstruction),
    0,
    registers.get(CELL.fpuData),
    0,
  ];
  fields.forEach((field, index) => {
    if (width === 2) image.setUint16(index * 2, field, true);
    // The unused upper halves are ones.
    else image.setUint32(index * 4, index === 3 || index === 5 ? field : field | 0xffff0000, true);
  });
  if (width === 4) image.setUint32(16, registers.get(CELL.fpuOpcode) << 16, true);
}

export function unpackEnvironment(registers: ExactRegisters, image: DataView, width: 2 | 4): void {
  const field = (index: number): number =>
    width === 2 ? image.getUint16(index * 2, true) : image.getUint32(index * 4, true);
  registers.set(CELL.fpuTag, emptyTags(field(2) & 0xffff));
  registers.setWords(CELL.fpuInstruction, field(3) | 0, 0);
  registers.set(CELL.fpuOpcode, width === 2 ? 0 : (field(4) >>> 16) & 0x7ff);
  registers.setWords(CELL.fpuData, field(5) | 0, 0);
  registers.set(CELL.fpuStatus, field(1) & 0xffff);
  setControl(registers, field(0));
}

/** The eight registers of fnsave's image, st(0) first, at `offset`. */
export function packRegisters(
  registers: ExactRegisters,
  image: DataView,
  offset: number,
  stride = REGISTER_BYTES,
): void {
  for (let index = 0; index < 8; index++) {
    const { head, high, low } = readStack(registers, index);
    const place = offset + index * stride;
    image.setUint32(place, low, true);
    image.setUint32(place + 4, high, true);
    image.setUint16(place + 8, head, true);
  }
}

/** Loads them; TOP and the tags have been loaded before. */
export function unpackRegisters(
  registers: ExactRegisters,
  image: DataView,
  offset: number,
  stride = REGISTER_BYTES,
): void {
  for (let index = 0; index < 8; index++) {
    const place = offset + index * stride;
    writePhysical(registers, physical(registers, index), {
      head: image.getUint16(place + 8, true),
      high: image.getUint32(place + 4, true),
      low: image.getUint32(place, true),
    });
  }
}

/** The tag word with "valid" for all that is not empty. */
function emptyTags(tags: number): number {
  const empty = tags & (tags >> 1) & 0x5555;
  return empty | (empty << 1);
}

const FXSAVE_REGISTERS = 32;
const FXSAVE_STRIDE = 16;

/**
 * The x87 part of the fxsave and xsave image: bytes 0-23 and 32-159, without the reserved ones. `wide` is the form with 64-bit
 * pointers. SDM volume 1, 10.5.1.
 */
export function packFxsaveX87(registers: ExactRegisters, image: DataView, wide: boolean): void {
  const tags = registers.get(CELL.fpuTag);
  let valid = 0;
  for (let register = 0; register < 8; register++) {
    if (((tags >> (register * 2)) & 3) !== TAG_EMPTY) valid |= 1 << register;
  }
  image.setUint16(0, registers.get(CELL.fpuControl), true);
  image.setUint16(2, registers.get(CELL.fpuStatus), true);
  image.setUint8(4, valid);
  image.setUint8(5, 0);
  image.setUint16(6, registers.get(CELL.fpuOpcode), true);
  image.setInt32(8, registers.get(CELL.fpuInstruction), true);
  image.setInt32(12, wide ? registers.get(CELL.fpuInstruction + 4) : 0, true);
  image.setInt32(16, registers.get(CELL.fpuData), true);
  image.setInt32(20, wide ? registers.get(CELL.fpuData + 4) : 0, true);
  packRegisters(registers, image, FXSAVE_REGISTERS, FXSAVE_STRIDE);
}

/** Loads what `packFxsaveX87` stored. */
export function unpackFxsaveX87(registers: ExactRegisters, image: DataView, wide: boolean): void {
  const valid = image.getUint8(4);
  let tags = 0;
  for (let register = 0; register < 8; register++) {
    if ((valid & (1 << register)) === 0) tags |= TAG_EMPTY << (register * 2);
  }
  registers.set(CELL.fpuTag, tags);
  registers.set(CELL.fpuOpcode, image.getUint16(6, true) & 0x7ff);
  registers.setWords(CELL.fpuInstruction, image.getInt32(8, true), wide ? image.getInt32(12, true) : 0);
  registers.setWords(CELL.fpuData, image.getInt32(16, true), wide ? image.getInt32(20, true) : 0);
  registers.set(CELL.fpuStatus, image.getUint16(2, true));
  setControl(registers, image.getUint16(0, true));
  unpackRegisters(registers, image, FXSAVE_REGISTERS, FXSAVE_STRIDE);
}
