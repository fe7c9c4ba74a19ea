// Random x86-64 encodings of rows of the instruction table, seeded, so that a failure can be had again.

import type { CodeMode } from "../../src/isa/x86_64/decode-types.ts";
import type { Instruction, OperandSize } from "../../src/isa/x86_64/instructions.ts";

const MAP_BYTES = { "": [], "0f": [0x0f], "0f38": [0x0f, 0x38], "0f3a": [0x0f, 0x3a] } as const;

/** Instructions that have an operand size but no operand to tell it. */
const SIZED = /^(cbw|cwd|pushf|popf|push|pop|leave|enter|iret|retf)$/;

export interface EncodingOptions {
  readonly mode: CodeMode;
  /** Whether prefixes come that the row does not need: 66, 67, segments, REX bits. */
  readonly prefixes: "few" | "none";
}

/** Random bytes that are the row: any registers, any form of memory, any immediates. */
export function randomEncoding(row: Instruction, next: () => number, options: EncodingOptions): number[] {
  const { mode } = options;
  const chance = (of: number): boolean => options.prefixes === "few" && (next() >>> 8) % of === 0;
  const bytes: number[] = [];
  const usesOperandSize = row.operands.some(({ size }) => /^[vzapef]$/.test(size)) || SIZED.test(row.mnemonic);
  const hasOperandPrefix = usesOperandSize && row.prefix !== "none" && row.prefix !== "66" && chance(4);
  const hasMemory = row.modRm !== "none" && row.modRm !== "byte" && row.mod !== "register";
  const hasAddressPrefix = hasMemory && chance(6);
  if (hasMemory && chance(8)) bytes.push(mode === 64 ? 0x64 | (next() & 1) : (next() & 3) * 8 + 0x26);
  if (hasAddressPrefix) bytes.push(0x67);
  if (hasOperandPrefix) bytes.push(0x66);
  if (row.prefix === "66" || row.prefix === "f3" || row.prefix === "f2") bytes.push(Number.parseInt(row.prefix, 16));

  let rex = 0;
  if (mode === 64 && (row.rexW === 1 || (next() & 1) === 0)) {
    rex = 0x40 | ((next() >>> 5) & 15);
    if (row.rexW !== undefined) rex = (rex & ~8) | (row.rexW << 3);
    if (row.rexB === 0) rex &= ~1;
    if (!usesModRmReg(row)) rex &= ~4;
    if (!usesModRmRm(row) && row.opcodeCount !== 8) rex &= ~3;
    if (!row.operands.some(({ size }) => /^[vyap]$/.test(size)) && row.rexW === undefined && !SIZED.test(row.mnemonic))
      rex &= ~8;
    if (row.attributes.has("f64") || row.attributes.has("d64")) rex &= ~8;
    if (rex !== 0x40) bytes.push(rex);
    else rex = 0;
  }
  bytes.push(...MAP_BYTES[row.map], row.opcode + (next() & (row.opcodeCount - 1)));

  let modRm = next() & 0xff;
  if (row.mod === "register" || row.attributes.has("modless")) modRm |= 0xc0;
  if (row.mod === "memory" && modRm >= 0xc0) modRm ^= ((next() & 1) + 1) << 6;
  const reg = systemRegister(row, next);
  if (reg !== undefined) modRm = (modRm & ~0x38) | (reg << 3);
  if (row.modRm === "digit") modRm = (modRm & ~0x38) | (row.modRmValue << 3);
  if (row.modRm === "byte") modRm = row.modRmValue;
  if (row.modRm !== "none") {
    bytes.push(modRm);
    if (modRm < 0xc0) pushAddress(bytes, modRm, addressSize(mode, hasAddressPrefix), next);
  }
  const isWide =
    (rex & 8) !== 0 || (mode === 64 && (row.attributes.has("f64") || (row.attributes.has("d64") && !hasOperandPrefix)));
  const operandSize = isWide ? 8 : hasOperandPrefix === (mode === 16) ? 4 : 2;
  for (const { place, size } of row.operands) {
    if (place === "immediate" || place === "unsigned" || place === "relative")
      pushRandom(bytes, immediateBytes(size, operandSize), next);
    if (place === "absolute") pushRandom(bytes, addressSize(mode, hasAddressPrefix), next);
    if (place === "far") pushRandom(bytes, operandSize + 2, next);
  }
  return bytes;
}

/** Of the segment, control and debug registers those that there are. */
function systemRegister(row: Instruction, next: () => number): number | undefined {
  const places = row.operands.map(({ place }) => place);
  const random = (next() >>> 4) & 3;
  if (places.includes("segment")) return places[0] === "segment" ? [0, 2, 3, 5][random] : random + 1;
  if (places.includes("control")) return [0, 2, 3, 4][random];
  return places.includes("debug") ? random * 2 + 1 : undefined;
}

function usesModRmReg(row: Instruction): boolean {
  return row.operands.some(({ place }) => place === "gpr" || place === "xmm");
}

function usesModRmRm(row: Instruction): boolean {
  return row.operands.some(({ place }) => /InRm|OrMemory|memory/.test(place) && !/^(mmx|st)InRm/.test(place));
}

function addressSize(mode: CodeMode, hasAddressPrefix: boolean): 2 | 4 | 8 {
  if (mode === 64) return hasAddressPrefix ? 4 : 8;
  return hasAddressPrefix === (mode === 16) ? 4 : 2;
}

function immediateBytes(size: OperandSize, operandSize: number): number {
  return size === "b" ? 1 : size === "w" ? 2 : size === "v" ? operandSize : Math.min(operandSize, 4);
}

function pushAddress(bytes: number[], modRm: number, size: 2 | 4 | 8, next: () => number): void {
  const mod = modRm >> 6;
  if (size === 2) {
    pushRandom(bytes, mod === 0 ? ((modRm & 7) === 6 ? 2 : 0) : mod, next);
    return;
  }
  let base = modRm & 7;
  if (base === 4) {
    const sib = next() & 0xff;
    bytes.push(sib);
    base = sib & 7;
  }
  pushRandom(bytes, mod === 1 ? 1 : mod === 2 || base === 5 ? 4 : 0, next);
}

function pushRandom(bytes: number[], count: number, next: () => number): void {
  for (let i = 0; i < count; i++) bytes.push((next() >>> 3) & 0xff);
}
