// Instructions as text, from the table that the decoder reads, as objdump writes them in either syntax.
//
//     intel:  lock xadd DWORD PTR [rdi+rcx*4-0x8],eax        je 0x401020 <main+32>
//     att:    lock xadd %eax,-0x8(%rdi,%rcx,4)
//
// Prefixes that have no effect are shown in front (`data16`, `rex.W`, `repz`). What no table knows is shown as data (`.byte`).

import { decode } from "./decode.ts";
import { type CodeMode, type Decoded, newDecoded, NO_REGISTER, OPERAND } from "./decode-types.ts";
import { attInstruction } from "./disassembler-att.ts";
import { intelInstruction } from "./disassembler-intel.ts";
import { hexOfNumber, isExchangeWithItself, ripTarget } from "./disassembler-text.ts";
import { type Instruction, instructionOf, type OperandSize } from "./instructions.ts";
import { SEGMENT_NAMES } from "./registers.ts";

export type Syntax = "intel" | "att";

export interface DisassemblerOptions {
  /** Address of the instruction, for branch targets; 0 when absent. */
  readonly pc?: number;
  /** A name for an address, as `main` or `main+8`; it is put behind branch targets and addresses relative to rip. */
  readonly symbolize?: (address: number) => string | undefined;
  /** Intel's, when absent. */
  readonly syntax?: Syntax;
  /** 64 when absent. */
  readonly mode?: CodeMode;
}

export interface DisassembledInstruction {
  readonly text: string;
  /** Bytes: those of the instruction, or 1. */
  readonly length: number;
}

/** The instruction at the beginning of `bytes`, which lie at `address`. */
export function disassemble(
  bytes: Uint8Array,
  address: number,
  options: Omit<DisassemblerOptions, "pc"> = {},
): DisassembledInstruction {
  return disassembleAt(bytes, 0, { ...options, pc: address });
}

/** The instruction at an offset in memory. */
export function disassembleAt(
  bytes: Uint8Array,
  offset: number,
  options: DisassemblerOptions = {},
): DisassembledInstruction {
  const { mode = 64, syntax = "intel", pc = 0, symbolize } = options;
  const decoded = newDecoded();
  if (decode(bytes, offset, bytes.length - offset, mode, decoded) !== "ok") {
    return { text: `.byte 0x${(bytes[offset] ?? 0).toString(16)}`, length: 1 };
  }
  const row = instructionOf(decoded.id);
  const show = syntax === "intel" ? intelInstruction : attInstruction;
  const prefixes = prefixWords(bytes, offset, decoded, row, mode);
  const comment = showRipTarget(decoded, pc, symbolize);
  const text = show(decoded, row, {
    mode,
    target: (displacement) => showTarget(targetOf(decoded, pc, displacement, mode), symbolize),
  });
  return { text: [...prefixes, text].join(" ") + comment, length: decoded.length };
}

/** A branch target, cut to what rip can be. */
function targetOf(decoded: Decoded, pc: number, displacement: number, mode: CodeMode): number {
  const target = pc + decoded.length + displacement;
  if (mode === 64) return target;
  return decoded.operandSize === 2 ? target & 0xffff : target >>> 0;
}

function showTarget(address: number, symbolize: DisassemblerOptions["symbolize"]): string {
  const name = symbolize?.(address);
  return name === undefined ? hexOfNumber(address) : `${hexOfNumber(address)} <${name}>`;
}

function showRipTarget(decoded: Decoded, pc: number, symbolize: DisassemblerOptions["symbolize"]): string {
  const address = ripTarget(decoded, pc);
  return address === undefined ? "" : ` # ${showTarget(address, symbolize)}`;
}

// Prefixes

/** The prefixes that are shown as words: lock, repeats, and those without effect. */
function prefixWords(
  bytes: Uint8Array,
  offset: number,
  decoded: Decoded,
  row: Instruction,
  mode: CodeMode,
): readonly string[] {
  const words: string[] = [];
  const end = offset + decoded.length;
  const last = new Map<number, number>();
  let count = 0;
  for (; offset + count < end; count++) {
    const byte = bytes[offset + count] ?? 0;
    const group = groupOf(byte, mode);
    if (group === undefined) break;
    last.set(group, count);
  }
  for (let i = 0; i < count; i++) {
    const byte = bytes[offset + i] ?? 0;
    const group = groupOf(byte, mode);
    const isLast = group !== undefined && last.get(group) === i;
    const isEffective = isLast && (group !== GROUP_REX || i === count - 1);
    const word = isEffective ? wordOfPrefix(byte, decoded, row, mode) : nameOfPrefix(byte, mode);
    if (word !== "") words.push(word);
  }
  return words;
}

const GROUP_REX = 0x40;

/** Prefixes of a group displace each other; undefined for what is no prefix. */
function groupOf(byte: number, mode: CodeMode): number | undefined {
  if (byte === 0x66 || byte === 0x67 || byte === 0xf0) return byte;
  if (byte === 0xf2 || byte === 0xf3) return 0xf2;
  if ((byte & 0xfe) === 0x64) return 0x64;
  if ((byte & 0xe7) === 0x26) return mode === 64 ? 0x26 : 0x64;
  return mode === 64 && (byte & 0xf0) === GROUP_REX ? GROUP_REX : undefined;
}

/** The word for a prefix without effect. */
function nameOfPrefix(byte: number, mode: CodeMode): string {
  if (byte === 0x66) return mode === 16 ? "data32" : "data16";
  if (byte === 0x67) return mode === 32 ? "addr16" : "addr32";
  if (byte === 0xf0) return "lock";
  if (byte === 0xf2 || byte === 0xf3) return byte === 0xf3 ? "repz" : "repnz";
  if ((byte & 0xf0) === GROUP_REX) {
    const bits = `${byte & 8 ? "W" : ""}${byte & 4 ? "R" : ""}${byte & 2 ? "X" : ""}${byte & 1 ? "B" : ""}`;
    return bits === "" ? "rex" : `rex.${bits}`;
  }
  return SEGMENT_NAMES[(byte & 0xfe) === 0x64 ? byte & 7 : (byte >> 3) & 3] ?? "";
}

/** The word for the prefix of its group that counts: none where the text of the instruction shows its effect. */
function wordOfPrefix(byte: number, decoded: Decoded, row: Instruction, mode: CodeMode): string {
  const name = nameOfPrefix(byte, mode);
  switch (groupOf(byte, mode)) {
    case 0x66:
      return row.prefix === "66" || isExchangeWithItself(decoded, row) || sizeFollowsPrefix(decoded, row, mode)
        ? ""
        : name;
    case 0x67:
      return hasAddress(decoded, row) || row.mnemonic === "jcxz" ? "" : name;
    case 0xf2:
      if (row.prefix === "f3" || row.prefix === "f2") return "";
      if (row.attributes.has("rep") && byte === 0xf3) return "rep";
      return byte === 0xf2 && /^(jmp|jcc|call|ret)$/.test(row.mnemonic) ? "bnd" : name;
    case 0x64:
      return hasAddress(decoded, row) ? "" : name;
    case 0x26:
      return byte === 0x3e && /^(jmp|call)$/.test(row.mnemonic) && row.modRm !== "none" ? "notrack" : name;
    case GROUP_REX:
      if ((byte & 15 & ~rexBitsUsed(decoded, row)) !== 0) return name;
      return byte !== GROUP_REX || usesByteRegister(decoded) ? "" : name;
    default:
      return name;
  }
}

/** Whether 66 changes how the instruction is shown: its operands or its name have the operand size. */
function sizeFollowsPrefix(decoded: Decoded, row: Instruction, mode: CodeMode): boolean {
  if (decoded.operandSize !== (mode === 16 ? 4 : 2)) return false;
  return SIZED.test(row.mnemonic) || sizesOf(decoded, row).some((size) => /^[vzpaef]$/.test(size));
}

/** The sizes of the operands, as they are here: memory or not. */
function sizesOf(decoded: Decoded, row: Instruction): OperandSize[] {
  return row.operands.map(({ size, memorySize }, i) =>
    decoded.operands[i]?.kind === OPERAND.memory ? memorySize : size,
  );
}

const SIZED = /^(cbw|cwd|pushf?|popf?|pusha|popa|iret|retf|leave|enter|ret)$/;

function hasAddress(decoded: Decoded, row: Instruction): boolean {
  if (/^(xlat|maskmov.*|loop.*)$/.test(row.mnemonic)) return true;
  return decoded.operands.slice(0, decoded.operandCount).some(({ kind }) => ADDRESS_KINDS.has(kind));
}

const ADDRESS_KINDS: ReadonlySet<number> = new Set([
  OPERAND.memory,
  OPERAND.absolute,
  OPERAND.stringSource,
  OPERAND.stringDestination,
]);

function usesByteRegister(decoded: Decoded): boolean {
  return decoded.operands
    .slice(0, decoded.operandCount)
    .some(({ kind, size, register }) => kind === OPERAND.gpr && size === 1 && register >= 4);
}

/** The bits of REX that matter for the instruction, set or not. */
function rexBitsUsed(decoded: Decoded, row: Instruction): number {
  let used = widthFollowsRex(decoded, row) ? 8 : 0;
  if (decoded.index !== NO_REGISTER) used |= 2;
  for (const [i, { place }] of row.operands.entries()) {
    const kind = decoded.operands[i]?.kind ?? OPERAND.none;
    if (kind === OPERAND.memory) used |= 1;
    else if (REGISTER_KINDS.has(kind) && !place.startsWith("fixed")) used |= IN_REG.has(place) ? 4 : 1;
  }
  return used;
}

const IN_REG: ReadonlySet<string> = new Set(["gpr", "xmm", "control", "debug"]);
const REGISTER_KINDS: ReadonlySet<number> = new Set([OPERAND.gpr, OPERAND.xmm, OPERAND.control, OPERAND.debug]);

/** Whether REX.W changes how the instruction is shown. */
function widthFollowsRex(decoded: Decoded, row: Instruction): boolean {
  if (row.rexW !== undefined) return true;
  if (row.attributes.has("f64") || row.attributes.has("d64")) return false;
  if (/^(cbw|cwd|iret|sysret|sysexit|fxsave|fxrstor|xsave|xrstor|xsaveopt|retf)$/.test(row.mnemonic)) return true;
  return sizesOf(decoded, row).some((size) => size === "v" || size === "y" || size === "p");
}
