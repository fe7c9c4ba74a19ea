// From the fields of an instruction to its bytes.
//
//     segment | 67 | 66 | F3 F2 | F0 | REX | opcode | ModRM | SIB | displacement | immediates
//
// Prefixes come in the order that GNU as gives them. Intel SDM volume 2, 2.1 (prefixes, ModRM, SIB) and 2.2.1 (REX).

import { OperandError } from "../assembly/errors.ts";
import type { Value } from "../assembly/value.ts";
import type { MemoryOperand, RegisterOperand } from "./assembler-operands.ts";
import { type CodeMode, RIP } from "./decode-types.ts";
import { SEGMENT } from "./registers.ts";

/** What an instruction consists of. */
export interface Fields {
  /** The prefix 66, be it for the operand size or as part of the opcode. */
  hasOperandPrefix: boolean;
  /** F2 or F3, be it a repeat prefix or part of the opcode; else 0. */
  repeat: number;
  hasLock: boolean;
  /** REX.W. */
  isWide: boolean;
  /** A segment that was asked for. */
  segment: number | undefined;
  /** Bytes of addresses that are not in ModRM: of string instructions and absolute addresses. */
  addressSize: number | undefined;
  opcode: readonly number[];
  /** The register in the low bits of the opcode. */
  opcodeRegister: RegisterOperand | undefined;
  /** The reg field of ModRM: a register, or a digit of the opcode. */
  reg: RegisterOperand | number | undefined;
  rm: RegisterOperand | MemoryOperand | undefined;
  immediates: readonly SizedNumber[];
  /** A jump's target, encoded as the distance from the end of the instruction; the size is that of the distance. */
  target: SizedNumber | undefined;
}

export interface SizedNumber {
  readonly value: bigint;
  readonly size: number;
}

export interface EncodedBytes {
  readonly bytes: readonly number[];
  /** A number that the encoding has no room for. */
  readonly misfit: bigint | undefined;
}

/** Encodes at an address, which is asked for only where it matters; throws OperandError for what no encoding can have. */
export function encodeFields(fields: Fields, mode: CodeMode, address: () => bigint): EncodedBytes {
  const memory = fields.rm?.kind === "memory" ? encodeMemory(fields.rm, mode) : undefined;
  const prefixes = encodePrefixes(fields, memory, mode);
  const tail: number[] = [];
  for (const immediate of fields.immediates) pushNumber(tail, immediate.value, immediate.size);
  const body = [...prefixes, ...fields.opcode.slice(0, -1), (fields.opcode.at(-1) ?? 0) | low(fields.opcodeRegister)];
  let misfit = memory?.misfit;
  if (fields.rm !== undefined) {
    const [mod, rm] = memory === undefined ? [3, low(fields.rm)] : [memory.mod, memory.rm];
    body.push((mod << 6) | (low(fields.reg) << 3) | rm);
    if (memory?.sib !== undefined) body.push(memory.sib);
    if (memory !== undefined) {
      let { displacement } = memory;
      if (memory.isRelative) {
        const end = address() + BigInt(body.length + memory.size + tail.length);
        displacement = BigInt.asIntN(64, displacement - end);
        if (BigInt.asIntN(32, displacement) !== displacement) misfit = displacement;
      }
      pushNumber(body, displacement, memory.size);
    }
  }
  body.push(...tail);
  if (fields.target !== undefined) {
    const { value, size } = fields.target;
    const distance = BigInt.asIntN(64, value - (address() + BigInt(body.length + size)));
    // Without 64-bit addresses a jump wraps around at 4 GiB.
    const wrapped = mode === 64 ? distance : BigInt.asIntN(32, distance);
    if (BigInt.asIntN(size * 8, wrapped) !== wrapped) misfit = distance;
    pushNumber(body, wrapped, size);
  }
  return { bytes: body, misfit };
}

function encodePrefixes(fields: Fields, memory: EncodedMemory | undefined, mode: CodeMode): number[] {
  const prefixes: number[] = [];
  const segment = fields.segment;
  if (segment !== undefined && segment !== memory?.defaultSegment) prefixes.push(SEGMENT_PREFIXES[segment] ?? 0);
  const addressSize = memory?.addressSize ?? fields.addressSize ?? mode / 8;
  if (addressSize !== mode / 8) prefixes.push(0x67);
  if (fields.hasOperandPrefix) prefixes.push(0x66);
  if (fields.repeat !== 0) prefixes.push(fields.repeat);
  if (fields.hasLock) prefixes.push(0xf0);
  const rex =
    (fields.isWide ? 8 : 0) |
    (high(fields.reg) << 2) |
    ((memory?.rexIndex ?? 0) << 1) |
    (memory?.rexBase ?? high(fields.rm) | high(fields.opcodeRegister));
  const registers = [fields.reg, fields.rm, fields.opcodeRegister].filter(isRegister);
  if (rex === 0 && !registers.some(needsRex)) return prefixes;
  const highByte = registers.some((register) => register.isHighByte);
  if (highByte) throw new OperandError("ah, ch, dh and bh cannot be had with a register of 64-bit mode");
  return [...prefixes, 0x40 | rex];
}

/** Prefixes of es, cs, ss, ds, fs, gs. */
const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

type Register = RegisterOperand | MemoryOperand | number | undefined;

function isRegister(register: Register): register is RegisterOperand {
  return typeof register === "object" && register.kind === "register";
}

function numberOf(register: Register): number {
  if (typeof register === "number") return register;
  return isRegister(register) ? register.number : 0;
}

const low = (register: Register): number => numberOf(register) & 7;
const high = (register: Register): number => numberOf(register) >> 3;

/** spl, bpl, sil and dil are ah, ch, dh and bh without REX. */
function needsRex(register: RegisterOperand): boolean {
  return register.class === "gpr" && register.size === 1 && register.number >= 4 && !register.isHighByte;
}

interface EncodedMemory {
  readonly mod: number;
  readonly rm: number;
  readonly sib: number | undefined;
  /** Bytes of the displacement. */
  readonly size: number;
  readonly displacement: bigint;
  /** Whether the displacement counts from the end of the instruction. */
  readonly isRelative: boolean;
  readonly rexBase: number;
  readonly rexIndex: number;
  readonly addressSize: number;
  readonly defaultSegment: number;
  readonly misfit: bigint | undefined;
}

function encodeMemory(memory: MemoryOperand, mode: CodeMode): EncodedMemory {
  const {
    base,
    index,
    displacement: { value },
  } = memory;
  const addressSize = memory.addressSize ?? mode / 8;
  if (addressSize === 8 && mode !== 64) throw new OperandError("64-bit addresses exist in 64-bit mode only");
  if (addressSize === 2 && mode === 64) throw new OperandError("16-bit addresses do not exist in 64-bit mode");
  const displacement = BigInt.asIntN(addressSize * 8, value);
  const isWhole = displacement === value || BigInt.asUintN(addressSize * 8, value) === value;
  const common = {
    displacement,
    addressSize,
    defaultSegment: usesStackSegment(base, addressSize) ? SEGMENT.ss : SEGMENT.ds,
    isRelative: false,
    rexBase: base === undefined || base === RIP ? 0 : base >> 3,
    rexIndex: index === undefined ? 0 : index >> 3,
    misfit: !isWhole || (addressSize === 8 && BigInt.asIntN(32, displacement) !== displacement) ? value : undefined,
  };
  if (addressSize === 2) return { ...common, ...encodeShortAddress(memory, displacement) };
  if (base === RIP) {
    // A bare number is the displacement itself.
    const isRelative = memory.displacement.status !== "constant";
    return {
      ...common,
      mod: 0,
      rm: 5,
      sib: undefined,
      size: 4,
      isRelative,
      misfit: isRelative ? undefined : common.misfit,
    };
  }
  const scale = Math.log2(memory.scale) << 6;
  if (base === undefined && index === undefined && mode !== 64)
    return { ...common, mod: 0, rm: 5, sib: undefined, size: 4 };
  if (base === undefined) return { ...common, mod: 0, rm: 4, sib: scale | (((index ?? 4) & 7) << 3) | 5, size: 4 };
  // rbp and r13 without a displacement would be the forms without a base.
  const size = displacementSize(memory.displacement, displacement, 4, (base & 7) === 5);
  const mod = size === 0 ? 0 : size === 1 ? 1 : 2;
  if (index === undefined && (base & 7) !== 4) return { ...common, mod, rm: base & 7, sib: undefined, size };
  return { ...common, mod, rm: 4, sib: scale | (((index ?? 4) & 7) << 3) | (base & 7), size };
}

function usesStackSegment(base: number | undefined, addressSize: number): boolean {
  return base === 5 || (base === 4 && addressSize !== 2);
}

function displacementSize({ status }: Value, value: bigint, full: number, isNeeded: boolean): number {
  // An address may move until layout is done, so it gets its full room.
  if (status === "address" || status === "unknown") return full;
  if (value === 0n && !isNeeded) return 0;
  return BigInt.asIntN(8, value) === value ? 1 : full;
}

/** Addresses of 16 bits: SDM volume 2, table 2-1. */
function encodeShortAddress(
  memory: MemoryOperand,
  displacement: bigint,
): Pick<EncodedMemory, "mod" | "rm" | "sib" | "size"> {
  const { base, index, scale } = memory;
  if (base === undefined && index === undefined) return { mod: 0, rm: 6, sib: undefined, size: 2 };
  const rm = SHORT_ADDRESSES.findIndex(
    (registers) =>
      [base, index]
        .filter((register) => register !== undefined)
        .sort()
        .join() === registers.join(),
  );
  if (rm < 0 || scale !== 1) throw new OperandError("no such 16-bit address");
  const size = displacementSize(memory.displacement, displacement, 2, rm === 6);
  return { mod: size, rm, sib: undefined, size };
}

/** bx + si, bx + di, bp + si, bp + di, si, di, bp, bx; by number, ascending. */
const SHORT_ADDRESSES: readonly (readonly number[])[] = [[3, 6], [3, 7], [5, 6], [5, 7], [6], [7], [5], [3]];

function pushNumber(bytes: number[], value: bigint, size: number): void {
  let rest = value;
  for (let i = 0; i < size; i++) {
    bytes.push(Number(rest & 255n));
    rest >>= 8n;
  }
}
