// Encodes an instruction of the table from its parts. It is made for random programs: every prefix and every form of an address can be
// asked for, also where an assembler would choose another. Addresses of a block's record are put in when the program is laid out.
//
// Intel SDM volume 2, chapter 2.

import { NO_REGISTER, RIP } from "../../src/isa/x86_64/decode-types.ts";
import type { Instruction, OperandSize } from "../../src/isa/x86_64/instructions.ts";

/** A memory operand as it is encoded. */
export interface Address {
  /** A register, RIP, or NO_REGISTER: then the displacement is absolute. */
  readonly base: number;
  /** A register, or NO_REGISTER. */
  readonly index: number;
  /** The index is shifted left by so many bits. */
  readonly scale: number;
  /** Counts from the block's record for `inRecord`. */
  readonly displacement: number;
  readonly inRecord: boolean;
  readonly addressSize: 4 | 8;
  /** 64 (fs) or 65 (gs). */
  readonly segment: 0x64 | 0x65 | undefined;
  /** Whether a displacement that would fit in a byte has four. */
  readonly isLong: boolean;
}

/** Where an address goes into an instruction's bytes: 4 bytes relative to the instruction's end, or 4 or 8 absolute ones. */
export interface Fixup {
  readonly at: number;
  readonly kind: "relative" | "absolute4" | "absolute8";
  /** From the start of the block's record. */
  readonly offset: number;
}

/** One instruction, but for addresses. */
export interface Code {
  readonly bytes: Uint8Array;
  readonly fixups: readonly Fixup[];
  /** Whether it is one that its item is about, and no preparation. */
  readonly isMain: boolean;
  /** As it was asked for. */
  readonly operandSize: number;
}

export interface Fields {
  /** 2, 4 or 8; 1 and absent: no prefix. */
  readonly operandSize?: number;
  /** Whether there is a REX prefix; there must be where a register above 7 or an operand size of 8 is asked for. */
  readonly rex?: boolean;
  /** ModRM.reg: a register. */
  readonly reg?: number;
  /** ModRM.rm. */
  readonly rm?: number | Address;
  /** The low bits of the opcode: a register or a condition. */
  readonly inOpcode?: number;
  readonly immediates?: readonly bigint[];
  /** An absolute address in the instruction, from the start of the record. */
  readonly absolute?: {
    readonly offset: number;
    readonly addressSize: 4 | 8;
    readonly segment?: 0x64 | 0x65 | undefined;
  };
  /** Prefixes that come beside those that the rest needs. */
  readonly prefixes?: readonly number[];
  readonly isMain?: boolean;
}

const MAP_BYTES = { "": [], "0f": [0x0f], "0f38": [0x0f, 0x38], "0f3a": [0x0f, 0x3a] } as const;
const OPERAND_SIZE = 0x66;
const ADDRESS_SIZE = 0x67;

/** The bytes of an immediate of a size letter. */
export function immediateBytes(size: OperandSize, operandSize: number): number {
  if (size === "b") return 1;
  if (size === "w") return 2;
  return size === "v" ? operandSize : Math.min(operandSize, 4);
}

export function encode(row: Instruction, fields: Fields): Code {
  const operandSize = fields.operandSize ?? 4;
  const bytes: number[] = [];
  const fixups: Fixup[] = [];
  const address = typeof fields.rm === "object" ? fields.rm : undefined;
  const segment = address?.segment ?? fields.absolute?.segment;
  if (segment !== undefined) bytes.push(segment);
  if ((address ?? fields.absolute)?.addressSize === 4) bytes.push(ADDRESS_SIZE);
  bytes.push(...(fields.prefixes ?? []));
  if (operandSize === 2) bytes.push(OPERAND_SIZE);
  if (row.prefix === "66" || row.prefix === "f3" || row.prefix === "f2") bytes.push(Number.parseInt(row.prefix, 16));

  const isForced64 = row.attributes.has("f64") || row.attributes.has("d64");
  const isWide = row.rexW === 1 || (row.rexW === undefined && operandSize === 8 && !isForced64);
  const high = (register: number | undefined): number =>
    register !== undefined && register >= 8 && register < RIP ? 1 : 0;
  const rm = typeof fields.rm === "number" ? fields.rm : undefined;
  const lowest = row.opcodeCount === 8 ? fields.inOpcode : (rm ?? address?.base);
  const rexBits = (isWide ? 8 : 0) | (high(fields.reg) << 2) | (high(address?.index) << 1) | high(lowest);
  if (rexBits !== 0 || fields.rex === true) bytes.push(0x40 | rexBits);

  bytes.push(...MAP_BYTES[row.map], row.opcode + ((fields.inOpcode ?? 0) & (row.opcodeCount - 1)));
  if (row.modRm === "byte") bytes.push(row.modRmValue);
  else if (row.modRm !== "none") {
    const reg = row.modRm === "digit" ? row.modRmValue : (fields.reg ?? 0) & 7;
    if (address === undefined) bytes.push(0xc0 | (reg << 3) | ((rm ?? 0) & 7));
    else pushAddress(bytes, fixups, reg, address);
  }
  if (fields.absolute !== undefined) {
    const { offset, addressSize } = fields.absolute;
    fixups.push({ at: bytes.length, kind: addressSize === 4 ? "absolute4" : "absolute8", offset });
    for (let i = 0; i < addressSize; i++) bytes.push(0);
  }
  let next = 0;
  for (const { place, size } of row.operands) {
    if (place !== "immediate" && place !== "unsigned" && place !== "relative") continue;
    const length = immediateBytes(size, operandSize);
    const value = fields.immediates?.[next++] ?? 0n;
    for (let i = 0; i < length; i++) bytes.push(Number((value >> BigInt(8 * i)) & 0xffn));
  }
  return { bytes: Uint8Array.from(bytes), fixups, isMain: fields.isMain ?? false, operandSize };
}

const RBP = 5;
const RSP = 4;

function pushAddress(bytes: number[], fixups: Fixup[], reg: number, address: Address): void {
  const { base, index, scale, displacement, inRecord, isLong } = address;
  const push4 = (): void => {
    if (inRecord)
      fixups.push({ at: bytes.length, kind: base === RIP ? "relative" : "absolute4", offset: displacement });
    for (let i = 0; i < 4; i++) bytes.push(inRecord ? 0 : (displacement >> (8 * i)) & 0xff);
  };
  if (base === RIP) {
    bytes.push((reg << 3) | RBP);
    push4();
    return;
  }
  const hasBase = base !== NO_REGISTER;
  const isByte = (displacement << 24) >> 24 === displacement && !isLong && !inRecord;
  // Without a base there are four bytes, under mod 0; rbp and r13 have no form without a displacement.
  const mod = !hasBase || (displacement === 0 && !isLong && !inRecord && (base & 7) !== RBP) ? 0 : isByte ? 1 : 2;
  const needsSib = !hasBase || index !== NO_REGISTER || (base & 7) === RSP;
  bytes.push((mod << 6) | (reg << 3) | (needsSib ? RSP : base & 7));
  if (needsSib) {
    const indexBits = index === NO_REGISTER ? RSP : index & 7;
    bytes.push((scale << 6) | (indexBits << 3) | (hasBase ? base & 7 : RBP));
  }
  if (mod === 1) bytes.push(displacement & 0xff);
  else if (mod === 2 || !hasBase) push4();
}
