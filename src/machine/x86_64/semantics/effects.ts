/**
 * What instructions do to the flags, and to the flow of control: what decoding a run of them needs to know. An instruction that is not
 * listed is taken to see all flags, which costs speed and nothing else.
 */
import { MNEMONICS } from "../shapes.ts";
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";

/** Bits of `flagEffectOf`. */
export const FLAG_EFFECT = {
  /** Sets flags, perhaps not all, perhaps not always. */
  writes: 1,
  /** Sets all six, always. */
  writesAll: 2,
  /** Uses flags, or may fault or leave, so that they can be seen. */
  sees: 4,
} as const;

const WRITE_ALL: readonly Mnemonic[] = [
  "add",
  "sub",
  "and",
  "or",
  "xor",
  "cmp",
  "test",
  "neg",
  "mul",
  "imul",
  "popcnt",
];
const WRITE_SOME: readonly Mnemonic[] = ["inc", "dec", "shl", "shr", "sar", "shld", "shrd", "bsf", "bsr"];
/** They keep OF or other flags by reading them. */
const READ_AND_WRITE_ALL: readonly Mnemonic[] = ["adc", "sbb"];
/** Neither read nor written, if they have no memory operand. */
const INDIFFERENT: readonly Mnemonic[] = [
  "mov",
  "movzx",
  "movsx",
  "movsxd",
  "lea",
  "not",
  "xchg",
  "bswap",
  "cbw",
  "cwd",
  "nop",
];

const HINTS: readonly Mnemonic[] = [
  "nop",
  "pause",
  "endbr64",
  "endbr32",
  "lfence",
  "mfence",
  "sfence",
  "prefetchw",
  "prefetchnta",
  "prefetcht0",
  "prefetcht1",
  "prefetcht2",
];

/** After these nothing that follows is executed next. */
const ENDS: readonly Mnemonic[] = [
  "jmp",
  "jmpf",
  "ret",
  "retf",
  "iret",
  "syscall",
  "sysret",
  "sysenter",
  "sysexit",
  "hlt",
  "ud0",
  "ud1",
  "ud2",
  "int3",
  "kentry",
];

const effects: Uint8Array = (() => {
  const table = new Uint8Array(MNEMONICS.length).fill(FLAG_EFFECT.sees);
  const set = (mnemonics: readonly Mnemonic[], effect: number): void => {
    for (const mnemonic of mnemonics) table[MNEMONICS.indexOf(mnemonic)] = effect;
  };
  set(WRITE_ALL, FLAG_EFFECT.writes | FLAG_EFFECT.writesAll);
  set(WRITE_SOME, FLAG_EFFECT.writes);
  set(READ_AND_WRITE_ALL, FLAG_EFFECT.writes | FLAG_EFFECT.writesAll | FLAG_EFFECT.sees);
  set(INDIFFERENT, 0);
  return table;
})();

const ends: readonly boolean[] = MNEMONICS.map((mnemonic) => ENDS.includes(mnemonic));
const hints: readonly boolean[] = MNEMONICS.map((mnemonic) => HINTS.includes(mnemonic));

/** By the mnemonic's index. What touches memory may fault. */
export function flagEffectOf(mnemonic: number, hasMemory: boolean): number {
  const effect = effects[mnemonic] ?? FLAG_EFFECT.sees;
  return hasMemory ? effect | FLAG_EFFECT.sees : effect;
}

export const endsRun = (mnemonic: number): boolean => ends[mnemonic] === true;

/** Whether it does nothing, whatever its operands are. */
export const isHint = (mnemonic: number): boolean => hints[mnemonic] === true;
