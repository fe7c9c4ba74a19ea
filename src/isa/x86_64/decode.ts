// Bytes to instructions: finds the row of the table, then reads what its operands say.
//
//     prefixes | REX | opcode | ModRM | SIB | displacement | immediate
//
// What real processors do with odd prefixes is done here: the last of F2 and F3 counts and beats 66 where a prefix is
// part of the opcode; REX counts only right before the opcode, and its W beats 66; near branches have 64-bit operands
// in 64-bit mode whatever 66 says.
//
// Intel SDM volume 2, chapter 2; appendix A.

import {
  type CodeMode,
  type Decoded,
  type DecodedOperand,
  type DecodeFailure,
  NO_REGISTER,
  OPERAND,
  REPEAT,
  type Repeat,
  RIP,
} from "./decode-types.ts";
import { type Instruction, instructionOf, type OperandSize } from "./instructions.ts";
import { findRow, hasModRm, isKnownOpcode, keyOf, marksOf } from "./opcode-index.ts";
import { KEY_PREFIX, MARK } from "./opcode-tables.ts";
import { GPR, SEGMENT } from "./registers.ts";

export const MAX_INSTRUCTION_LENGTH = 15;

/** Where reading is. One decoding at a time, so one is enough, and nothing is allocated. */
const reader: { bytes: Uint8Array; position: number; limit: number } = {
  bytes: new Uint8Array(0),
  position: 0,
  limit: 0,
};

/**
 * Decodes the instruction at `offset` of `bytes`, of which `available` may be read, into `out`. What a failure leaves
 * in `out` has no meaning.
 */
export function decode(
  bytes: Uint8Array,
  offset: number,
  available: number,
  mode: CodeMode,
  out: Decoded,
): "ok" | DecodeFailure {
  reader.bytes = bytes;
  reader.limit = offset + (available < MAX_INSTRUCTION_LENGTH ? available : MAX_INSTRUCTION_LENGTH);
  const atLimit = available < MAX_INSTRUCTION_LENGTH ? "truncated" : "too-long";

  let rex = 0;
  let hasOperandPrefix = false;
  let hasAddressPrefix = false;
  let repeat: Repeat = REPEAT.none;
  let segment: number = NO_REGISTER;
  out.hasLock = false;
  let position = offset;
  let opcode: number;
  for (; ; position++) {
    if (position >= reader.limit) return atLimit;
    opcode = bytes[position] ?? 0;
    if ((opcode & 0xf0) === 0x40 && mode === 64) {
      rex = opcode;
      continue;
    }
    if (opcode === 0x66) hasOperandPrefix = true;
    else if (opcode === 0x67) hasAddressPrefix = true;
    else if (opcode === REPEAT.repne || opcode === REPEAT.repe) repeat = opcode;
    else if (opcode === 0xf0) out.hasLock = true;
    else if ((opcode & 0xfe) === 0x64) segment = SEGMENT.fs + (opcode & 1);
    else if ((opcode & 0xe7) === 0x26) {
      // 26, 2E, 36, 3E: es, cs, ss, ds, which 64-bit mode ignores.
      if (mode !== 64) segment = (opcode >> 3) & 3;
    } else break;
    rex = 0;
  }
  position++;
  if (opcode === 0x0f) {
    if (position >= reader.limit) return atLimit;
    opcode = 0x100 | (bytes[position++] ?? 0);
    if (opcode === 0x138 || opcode === 0x13a) {
      if (position >= reader.limit) return atLimit;
      opcode = (opcode === 0x138 ? 0x200 : 0x300) | (bytes[position++] ?? 0);
    }
  }

  if (!isKnownOpcode(opcode)) return "undefined";
  let modRm = 0;
  if (hasModRm(opcode)) {
    if (position >= reader.limit) return atLimit;
    modRm = bytes[position++] ?? 0;
  }
  const prefix =
    repeat === REPEAT.none ? (hasOperandPrefix ? 1 : 0) : repeat === REPEAT.repe ? KEY_PREFIX.f3 : KEY_PREFIX.f2;
  const id = findRow(opcode, keyOf(modRm, prefix, rex, mode === 64));
  if (id < 0) return "undefined";
  const row = instructionOf(id);
  const mark = marksOf(id);

  out.id = id;
  out.hasRex = rex !== 0;
  out.isWide = (rex & 8) !== 0;
  out.repeat = (mark & MARK.repeats) !== 0 ? repeat : REPEAT.none;
  out.condition = (mark & MARK.condition) !== 0 ? opcode & 15 : 0;
  out.operandSize = operandSizeOf(mark, hasOperandPrefix && (mark & MARK.prefix66) === 0, out.isWide, mode);
  out.addressSize = mode === 64 ? (hasAddressPrefix ? 4 : 8) : hasAddressPrefix === (mode === 16) ? 4 : 2;
  out.hasSegmentPrefix = segment !== NO_REGISTER;
  out.segment = segment === NO_REGISTER ? SEGMENT.ds : segment;
  out.base = NO_REGISTER;
  out.index = NO_REGISTER;
  out.scale = 0;
  out.dispLo = 0;
  out.dispHi = 0;
  out.dispSize = 0;
  out.immLo = 0;
  out.immHi = 0;
  out.imm2 = 0;

  reader.position = position;
  const hasMemory = hasModRm(opcode) && modRm < 0xc0 && (mark & MARK.modless) === 0;
  if (hasMemory && !(out.addressSize === 2 ? readAddress16(modRm, out) : readAddress(modRm, rex, mode, out)))
    return atLimit;
  const result = readOperands(row, opcode, modRm, rex, mode, out);
  if (result !== "ok") return result === "truncated" ? atLimit : result;
  if (out.hasLock && ((mark & MARK.lock) === 0 || out.operands[0].kind !== OPERAND.memory)) return "undefined";
  out.length = reader.position - offset;
  return "ok";
}

function operandSizeOf(mark: number, hasOperandPrefix: boolean, isWide: boolean, mode: CodeMode): 1 | 2 | 4 | 8 {
  if ((mark & MARK.byte) !== 0) return 1;
  if (mode !== 64) return hasOperandPrefix === (mode === 16) ? 4 : 2;
  if ((mark & MARK.force64) !== 0) return 8;
  if (isWide) return (mark & MARK.word) !== 0 ? 4 : 8;
  if (hasOperandPrefix) return 2;
  return (mark & MARK.default64) !== 0 ? 8 : 4;
}

/** Reads SIB and displacement of a 32- or 64-bit address; false at the limit. */
function readAddress(modRm: number, rex: number, mode: CodeMode, out: Decoded): boolean {
  const mod = modRm >> 6;
  let base = modRm & 7;
  if (base === 4) {
    if (reader.position >= reader.limit) return false;
    const sib = reader.bytes[reader.position++] ?? 0;
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index !== GPR.rsp) {
      out.index = index;
      out.scale = sib >> 6;
    }
    base = sib & 7;
    if (base === 5 && mod === 0) return readDisplacement(4, out);
  } else if (base === 5 && mod === 0) {
    if (mode === 64) out.base = RIP;
    return readDisplacement(4, out);
  }
  out.base = base | ((rex & 1) << 3);
  if ((out.base === GPR.rsp || out.base === GPR.rbp) && !out.hasSegmentPrefix) out.segment = SEGMENT.ss;
  return mod === 0 || readDisplacement(mod === 1 ? 1 : 4, out);
}

/** Base and index of a 16-bit address by ModRM.rm. */
const BASES_16 = [GPR.rbx, GPR.rbx, GPR.rbp, GPR.rbp, GPR.rsi, GPR.rdi, GPR.rbp, GPR.rbx] as const;
const INDEXES_16 = [GPR.rsi, GPR.rdi, GPR.rsi, GPR.rdi] as const;

/** Reads the displacement of a 16-bit address; false at the limit. */
function readAddress16(modRm: number, out: Decoded): boolean {
  const mod = modRm >> 6;
  const rm = modRm & 7;
  if (mod === 0 && rm === 6) return readDisplacement(2, out);
  out.base = BASES_16[rm] ?? NO_REGISTER;
  out.index = INDEXES_16[rm] ?? NO_REGISTER;
  if (out.base === GPR.rbp && !out.hasSegmentPrefix) out.segment = SEGMENT.ss;
  return mod === 0 || readDisplacement(mod, out);
}

function readDisplacement(size: number, out: Decoded): boolean {
  if (reader.position + size > reader.limit) return false;
  out.dispLo = readSigned(size);
  out.dispHi = out.dispLo >> 31;
  out.dispSize = size;
  return true;
}

/** The next 1, 2 or 4 bytes, sign-extended. They must be within the limit. */
function readSigned(size: number): number {
  const { bytes, position } = reader;
  reader.position += size;
  const first = bytes[position] ?? 0;
  if (size === 1) return (first << 24) >> 24;
  const second = bytes[position + 1] ?? 0;
  if (size === 2) return first | ((second << 24) >> 16);
  return first | (second << 8) | ((bytes[position + 2] ?? 0) << 16) | ((bytes[position + 3] ?? 0) << 24);
}

/** Fills the operands, and reads immediates as they come. */
function readOperands(
  row: Instruction,
  opcode: number,
  modRm: number,
  rex: number,
  mode: CodeMode,
  out: Decoded,
): "ok" | "undefined" | "truncated" {
  const { operands } = row;
  out.operandCount = operands.length;
  const isRegister = modRm >= 0xc0;
  const rm = (modRm & 7) | ((rex & 1) << 3);
  const reg = ((modRm >> 3) & 7) | ((rex & 4) << 1);
  let immediates = 0;
  for (let i = 0; i < operands.length; i++) {
    const template = operands[i];
    const operand = out.operands[i];
    if (template === undefined || operand === undefined) return "undefined"; // i is within both
    operand.isHighByte = false;
    const size = sizeInBytes(isRegister ? template.size : template.memorySize, out.operandSize, mode);
    operand.size = size;
    switch (template.place) {
      case "gprOrMemory":
        if (isRegister) setGpr(operand, rm, rex);
        else operand.kind = OPERAND.memory;
        break;
      case "gpr":
        setGpr(operand, reg, rex);
        break;
      case "gprInRm":
        setGpr(operand, rm, rex);
        break;
      case "memory":
        operand.kind = OPERAND.memory;
        break;
      case "gprInOpcode":
        setGpr(operand, (opcode & 7) | ((rex & 1) << 3), rex);
        break;
      case "immediate":
        operand.kind = OPERAND.immediate;
        if (reader.position + size > reader.limit) return "truncated";
        readImmediate(size, out);
        break;
      case "unsigned":
        operand.kind = immediates++ === 0 ? OPERAND.immediate : OPERAND.immediate2;
        if (reader.position + size > reader.limit) return "truncated";
        if (immediates === 1) out.immLo = readUnsigned(size);
        else out.imm2 = readUnsigned(size);
        break;
      case "relative":
        operand.kind = OPERAND.relative;
        if (reader.position + size > reader.limit) return "truncated";
        readImmediate(size, out);
        break;
      case "xmmOrMemory":
        if (isRegister) setRegister(operand, OPERAND.xmm, rm);
        else operand.kind = OPERAND.memory;
        break;
      case "xmm":
        setRegister(operand, OPERAND.xmm, reg);
        break;
      case "xmmInRm":
        setRegister(operand, OPERAND.xmm, rm);
        break;
      case "mmxOrMemory":
        if (isRegister) setRegister(operand, OPERAND.mmx, rm & 7);
        else operand.kind = OPERAND.memory;
        break;
      case "mmx":
        setRegister(operand, OPERAND.mmx, reg & 7);
        break;
      case "mmxInRm":
        setRegister(operand, OPERAND.mmx, rm & 7);
        break;
      case "stInRm":
        setRegister(operand, OPERAND.st, rm & 7);
        break;
      case "fixedGpr":
        setRegister(operand, OPERAND.gpr, template.register);
        break;
      case "fixedSt":
        setRegister(operand, OPERAND.st, template.register);
        break;
      case "fixedXmm":
        setRegister(operand, OPERAND.xmm, template.register);
        break;
      case "fixedSegment":
        setRegister(operand, OPERAND.segment, template.register);
        break;
      case "one":
        operand.kind = OPERAND.one;
        out.immLo = 1;
        break;
      case "stringSource":
        operand.kind = OPERAND.stringSource;
        break;
      case "stringDestination":
        operand.kind = OPERAND.stringDestination;
        break;
      case "segment":
        // Only es, cs, ss, ds, fs, gs; and cs is not loaded by mov.
        setRegister(operand, OPERAND.segment, reg & 7);
        if (operand.register > SEGMENT.gs || (i === 0 && operand.register === SEGMENT.cs)) return "undefined";
        break;
      case "control":
        setRegister(operand, OPERAND.control, reg);
        if (((CONTROL_REGISTERS >> reg) & 1) === 0) return "undefined";
        break;
      case "debug":
        setRegister(operand, OPERAND.debug, reg);
        if (reg > 7) return "undefined";
        break;
      case "absolute":
        operand.kind = OPERAND.absolute;
        if (reader.position + out.addressSize > reader.limit) return "truncated";
        readAbsolute(out);
        break;
      case "far": {
        operand.kind = OPERAND.far;
        if (reader.position + size > reader.limit) return "truncated";
        out.immLo = out.operandSize === 2 ? readUnsigned(2) : readSigned(4);
        out.imm2 = readUnsigned(2);
        break;
      }
    }
  }
  return "ok";
}

/** cr0, cr2, cr3, cr4, cr8. */
const CONTROL_REGISTERS = 0b1_0001_1101;

function setRegister(operand: DecodedOperand, kind: DecodedOperand["kind"], register: number): void {
  operand.kind = kind;
  operand.register = register;
}

function setGpr(operand: DecodedOperand, register: number, rex: number): void {
  operand.kind = OPERAND.gpr;
  const isHighByte = operand.size === 1 && rex === 0 && register >= 4;
  operand.isHighByte = isHighByte;
  operand.register = isHighByte ? register - 4 : register;
}

function readImmediate(size: number, out: Decoded): void {
  out.immLo = readSigned(size === 8 ? 4 : size);
  out.immHi = size === 8 ? readSigned(4) : out.immLo >> 31;
}

function readUnsigned(size: number): number {
  return size === 1 ? readSigned(1) & 0xff : readSigned(2) & 0xffff;
}

/** An absolute address is as wide as addresses are, and zero-extended. */
function readAbsolute(out: Decoded): void {
  out.dispLo = out.addressSize === 2 ? readUnsigned(2) : readSigned(4);
  out.dispHi = out.addressSize === 8 ? readSigned(4) : 0;
  out.dispSize = out.addressSize;
}

function sizeInBytes(size: OperandSize, operandSize: number, mode: CodeMode): number {
  switch (size) {
    case "v":
      return operandSize;
    case "b":
      return 1;
    case "d":
      return 4;
    case "q":
      return 8;
    case "x":
      return 16;
    case "z":
      return operandSize === 8 ? 4 : operandSize;
    case "":
      return 0;
    case "y":
      return operandSize === 8 ? 8 : 4;
    case "w":
      return 2;
    case "t":
      return 10;
    case "p":
      return operandSize + 2;
    case "s":
      return mode === 64 ? 10 : 6;
    case "a":
      return operandSize * 2;
    case "e":
      return operandSize === 2 ? 14 : 28;
    case "f":
      return operandSize === 2 ? 94 : 108;
    case "o":
      return 512;
  }
}
