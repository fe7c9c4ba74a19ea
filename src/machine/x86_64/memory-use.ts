/**
 * What an instruction does with its memory operand, for the exact tier, which brings the bytes before and takes them back after: by the
 * instruction's row, and the operand's place in it. Intel SDM volume 2.
 */
import { type Instruction, instructionOf, type Mnemonic } from "../../isa/x86_64/instructions.ts";
import { x87Access, type X87Mnemonic } from "./x87.ts";

export type MemoryUse =
  /** The address alone counts, or nothing. */
  | "none"
  | "read"
  | "write"
  | "modify"
  /** The definition reads and writes memory itself. */
  | "own";

/** Instructions whose operand 0 is read and then written. */
const MODIFIES: ReadonlySet<Mnemonic> = new Set<Mnemonic>([
  "add",
  "or",
  "adc",
  "sbb",
  "and",
  "sub",
  "xor",
  "inc",
  "dec",
  "not",
  "neg",
  "rol",
  "ror",
  "rcl",
  "rcr",
  "shl",
  "shr",
  "sar",
  "shld",
  "shrd",
  "bts",
  "btr",
  "btc",
  "xchg",
  "xadd",
  "cmpxchg",
  "cmpxchg8b",
  "cmpxchg16b",
]);

/** Instructions whose operand 0 is only written. */
const WRITES: ReadonlySet<Mnemonic> = new Set<Mnemonic>(["mov", "movnti", "setcc", "pop"]);
/** … and whose memory operand is nothing but an address. */
const UNUSED: ReadonlySet<Mnemonic> = new Set<Mnemonic>([
  "lea",
  "nop",
  "prefetchw",
  "prefetchnta",
  "prefetcht0",
  "prefetcht1",
  "prefetcht2",
]);
/** Of vector instructions, whose operand 0 is otherwise written where it is memory. */
const READS: ReadonlySet<Mnemonic> = new Set<Mnemonic>(["ldmxcsr"]);

function useOfFirst({ mnemonic, extension }: Instruction): MemoryUse {
  if (MODIFIES.has(mnemonic)) return "modify";
  if (WRITES.has(mnemonic)) return "write";
  if (READS.has(mnemonic)) return "read";
  return extension === "base" ? "read" : "write";
}

function useOf(row: Instruction, n: number): MemoryUse {
  if (UNUSED.has(row.mnemonic)) return "none";
  if (row.extension === "x87") {
    const access = x87Access(row.mnemonic as X87Mnemonic); // the extension's mnemonics are those
    return access === "image" ? "own" : access;
  }
  // xchg and xadd with memory as their second operand are rows with it as their first.
  return n === 0 ? useOfFirst(row) : "read";
}

/** By id, as far as they were asked for. */
const uses: (readonly MemoryUse[] | undefined)[] = [];

/** By the instruction's id. */
export function memoryUseOf(id: number, operand: number): MemoryUse {
  let found = uses[id];
  if (found === undefined) {
    const row = instructionOf(id);
    found = [useOf(row, 0), useOf(row, 1)];
    uses[id] = found;
  }
  return found[operand === 0 ? 0 : 1] ?? "none";
}
