// Instructions as text, from the tables that the assembler reads: `addi sp, sp, -32`, `bnez a0, 0x80000010 <loop>`.
//
// A compressed instruction is shown as what it stands for. What no table knows is shown as data (`.word`, `.half`).

import { readI32, readU16 } from "../../lib/bytes.ts";
import { hexNumber64 } from "../../lib/word64.ts";
import { expandCompressed, isCompressed } from "./compressed.ts";
import { csrName, ROUNDING_MODE } from "./csrs.ts";
import { decode, type Decoded } from "./decode.ts";
import { instructionOf, type Operand } from "./instructions.ts";
import { PSEUDO_INSTRUCTIONS, splitTemplate } from "./pseudo-instructions.ts";
import { fRegisterName, xRegisterName } from "./registers.ts";

export interface DisassemblerOptions {
  /** Address of the instruction, for branch targets; 0 when absent. */
  readonly pc?: number;
  /** A name for an address, as `main` or `main+8`; it is put behind branch targets. */
  readonly symbolize?: (address: number) => string | undefined;
  /** Whether pseudo-instructions such as `mv` and `ret` are used where they fit. They are, when absent. */
  readonly aliases?: "aliases" | "no-aliases";
}

/** The text of a 32-bit word. */
export function disassemble(word: number, options: DisassemblerOptions = {}): string {
  return disassembleWord(word, options) ?? `.word ${hex(word >>> 0)}`;
}

/** The text of a half-word, which must be one that `isCompressed`. */
export function disassembleCompressed(half: number, options: DisassemblerOptions = {}): string {
  const word = expandCompressed(half);
  return (word === 0 ? undefined : disassembleWord(word, options)) ?? `.half ${hex(half)}`;
}

/** The instruction at an offset in memory, and its length in bytes: 2 or 4, or what is left when that is less. */
export function disassembleAt(
  bytes: Uint8Array,
  offset: number,
  options: DisassemblerOptions = {},
): { readonly text: string; readonly length: number } {
  const left = bytes.length - offset;
  if (left < 2) return { text: `.byte ${hex(bytes[offset] ?? 0)}`, length: left };
  const half = readU16(bytes, offset);
  if (isCompressed(half)) return { text: disassembleCompressed(half, options), length: 2 };
  if (left < 4) return { text: `.half ${hex(half)}`, length: 2 };
  return { text: disassemble(readI32(bytes, offset), options), length: 4 };
}

function disassembleWord(word: number, options: DisassemblerOptions): string | undefined {
  const decoded = decode(word);
  if (decoded === undefined) return undefined;
  const { mnemonic, format, extension } = instructionOf(decoded.id);
  if (mnemonic === "fence" && decoded.imm === FENCE_TSO) return "fence.tso";
  const ordering = extension === "A" ? (ORDERINGS[decoded.aq * 2 + decoded.rl] ?? "") : "";
  const operands = format.operands.flatMap((operand) => showOperand(operand, decoded, options));
  const alias = options.aliases === "no-aliases" ? undefined : findAlias(mnemonic, operands);
  return alias ?? join(mnemonic + ordering, operands);
}

/** Immediate of `fence.tso`: fm = 8, both sets rw. */
const FENCE_TSO = 0x833;
const ORDERINGS = ["", ".rl", ".aq", ".aqrl"];
const ROUNDING_MODE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ROUNDING_MODE).map(([name, mode]) => [mode, name]),
);

/** The text of an operand; nothing for a rounding mode that need not be written. */
function showOperand(operand: Operand, decoded: Decoded, options: DisassemblerOptions): string | [] {
  const { imm } = decoded;
  switch (operand) {
    case "rd":
      return xRegisterName(decoded.rd);
    case "rs1":
      return xRegisterName(decoded.rs1);
    case "rs2":
      return xRegisterName(decoded.rs2);
    case "frd":
      return fRegisterName(decoded.rd);
    case "frs1":
      return fRegisterName(decoded.rs1);
    case "frs2":
      return fRegisterName(decoded.rs2);
    case "frs3":
      return fRegisterName(decoded.rs3);
    case "imm12":
    case "shift5":
    case "shift6":
    case "entry":
      return `${imm}`;
    case "loadAddress":
    case "storeAddress":
      return `${imm}(${xRegisterName(decoded.rs1)})`;
    case "address":
      return `(${xRegisterName(decoded.rs1)})`;
    case "imm20":
      return hex(imm >>> 12);
    case "branchTarget":
    case "jumpTarget":
      return showTarget((options.pc ?? 0) + imm, options);
    case "csr":
      return csrName(imm) ?? hex(imm);
    case "uimm5":
      return `${decoded.rs1}`;
    case "predecessor":
      return showFenceSet((imm >>> 4) & 15);
    case "successor":
      return showFenceSet(imm & 15);
    case "rm":
      return decoded.rm === ROUNDING_MODE.dyn ? [] : showRoundingMode(decoded.rm);
    case "rmExact":
      return decoded.rm === ROUNDING_MODE.rne ? [] : showRoundingMode(decoded.rm);
  }
}

function showTarget(address: number, options: DisassemblerOptions): string {
  const text = address < 0 ? `0x${hexNumber64(address)}` : hex(address);
  const name = options.symbolize?.(address);
  return name === undefined ? text : `${text} <${name}>`;
}

function showFenceSet(set: number): string {
  const letters = `${set & 8 ? "i" : ""}${set & 4 ? "o" : ""}${set & 2 ? "r" : ""}${set & 1 ? "w" : ""}`;
  return letters === "" ? "0" : letters;
}

function showRoundingMode(mode: number): string {
  return ROUNDING_MODE_NAMES.get(mode) ?? `reserved${mode}`;
}

interface Alias {
  readonly pattern: RegExp;
  readonly mnemonic: string;
  readonly operands: readonly string[];
}

/** Aliases of each mnemonic of the table, in the order in which they are tried. */
const aliasesByMnemonic: ReadonlyMap<string, readonly Alias[]> = buildAliases();

function findAlias(mnemonic: string, operands: readonly string[]): string | undefined {
  const text = operands.join(", ");
  for (const alias of aliasesByMnemonic.get(mnemonic) ?? []) {
    const groups = alias.pattern.exec(text)?.groups;
    if (groups !== undefined) {
      const written = alias.operands.map((operand) => groups[groupName(operand)] ?? operand);
      return join(alias.mnemonic, written);
    }
  }
  return undefined;
}

function buildAliases(): Map<string, Alias[]> {
  const result = new Map<string, Alias[]>();
  for (const [pseudo, instruction] of PSEUDO_INSTRUCTIONS) {
    const target = splitTemplate(instruction);
    const placeholders = new Set(instruction.match(/\$[0-9]/g));
    const onlyReorders =
      placeholders.size > 0 && target.operands.length === placeholders.size && !/[(]/.test(instruction);
    if (onlyReorders) continue;
    const seen = new Set<string>();
    const source = target.operands
      .join(", ")
      .replace(/[()]/g, "\\$&")
      .replace(/\$[0-9]/g, (placeholder) => {
        const name = groupName(placeholder);
        if (seen.has(name)) return `\\k<${name}>`;
        seen.add(name);
        return `(?<${name}>[^,()]+)`;
      });
    const aliases = result.get(target.mnemonic) ?? [];
    // The group `all` makes `groups` defined for a pattern without placeholders too.
    aliases.push({ pattern: new RegExp(`^(?<all>${source})$`), ...splitTemplate(pseudo) });
    result.set(target.mnemonic, aliases);
  }
  return result;
}

function groupName(placeholder: string): string {
  return `operand${placeholder.slice(1)}`;
}

function join(mnemonic: string, operands: readonly string[]): string {
  return operands.length === 0 ? mnemonic : `${mnemonic} ${operands.join(", ")}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
