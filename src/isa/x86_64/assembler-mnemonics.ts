// Names of instructions: what other assemblers call a row of the table, which has one mnemonic for all sizes and conditions.
//
//     jnz    -> jcc with condition 5             cmpltps -> cmpps with the immediate 1
//     movsq  -> movs with operand size 8         fxsave64 -> fxsave with REX.W
//     fstsw  -> fwait, fnstsw                    sal -> shl

import { instructionsOf } from "./instructions.ts";
import { CONDITION_NAMES } from "./registers.ts";

/** What a name stands for. */
export interface MnemonicMeaning {
  /** As in the table. */
  readonly mnemonic: string;
  /** The operand size, where the name says it. */
  readonly operandSize?: number;
  /** The address size, where the name says it. */
  readonly addressSize?: number;
  /** The number of a condition. */
  readonly condition?: number;
  /** An immediate after the other operands. */
  readonly immediate?: bigint;
  readonly isWide?: boolean;
  /** Whether fwait comes first. */
  readonly hasWait?: boolean;
  /** Whether only encodings with eight bytes of address or immediate will do. */
  readonly isAbsolute?: boolean;
}

/** All meanings of a name, the likeliest first: `movsd` is of SSE2, or a string instruction. None for what is no name. */
export function meaningsOf(name: string): readonly MnemonicMeaning[] {
  let meanings = known.get(name);
  if (meanings === undefined) {
    meanings = findMeanings(name);
    known.set(name, meanings);
  }
  return meanings;
}

const known = new Map<string, readonly MnemonicMeaning[]>();

function findMeanings(name: string): readonly MnemonicMeaning[] {
  const named = NAMES[name];
  const meanings: MnemonicMeaning[] = named === undefined ? [{ mnemonic: SYNONYMS[name] ?? name }] : [named];
  if (name === "movsx") meanings.push({ mnemonic: "movsxd", operandSize: 8 });
  const [, stem = "", letter = ""] = /^(movs|cmps|stos|lods|scas|ins|outs)([bwdq])$/.exec(name) ?? [];
  if (stem !== "") meanings.push({ mnemonic: stem, operandSize: SIZES[letter] ?? 0 });
  const [, family = "", conditionName = ""] = /^(j|set|cmov)([a-z]+)$/.exec(name) ?? [];
  const condition = conditionNumber(conditionName);
  if (condition !== undefined) meanings.push({ mnemonic: `${family}cc`, condition });
  const [, predicate = "", type = ""] = /^cmp([a-z]+)(ps|pd|ss|sd)$/.exec(name) ?? [];
  if (name === "aam" || name === "aad") meanings.push({ mnemonic: name, immediate: 10n });
  const immediate = PREDICATES.indexOf(predicate);
  if (immediate >= 0) meanings.push({ mnemonic: `cmp${type}`, immediate: BigInt(immediate) });
  return meanings.filter(({ mnemonic }) => instructionsOf(mnemonic).length > 0);
}

const SIZES: Readonly<Record<string, number>> = { b: 1, w: 2, d: 4, q: 8 };

/** Other names of the same thing. */
const SYNONYMS: Readonly<Record<string, string>> = {
  sal: "shl",
  lret: "retf",
  ljmp: "jmpf",
  lcall: "callf",
  retn: "ret",
  xlatb: "xlat",
  lgdtd: "lgdt",
  lidtd: "lidt",
  sgdtd: "sgdt",
  sidtd: "sidt",
  loopz: "loope",
  loopnz: "loopne",
  icebp: "int1",
  wait: "fwait",
  fcmovae: "fcmovnb",
  fcmovz: "fcmove",
  fcmovnz: "fcmovne",
  fcmova: "fcmovnbe",
  fcmovc: "fcmovb",
  fcmovnae: "fcmovb",
  fcmovna: "fcmovbe",
};

const sized = (mnemonic: string, operandSize: number): MnemonicMeaning => ({ mnemonic, operandSize });
const wide = (mnemonic: string): MnemonicMeaning => ({ mnemonic, isWide: true });
const waiting = (mnemonic: string): MnemonicMeaning => ({ mnemonic, hasWait: true });

const NAMES: Readonly<Record<string, MnemonicMeaning>> = {
  cbw: sized("cbw", 2),
  cwde: sized("cbw", 4),
  cdqe: sized("cbw", 8),
  cwd: sized("cwd", 2),
  cdq: sized("cwd", 4),
  cqo: sized("cwd", 8),
  pushfw: sized("pushf", 2),
  pushfd: sized("pushf", 4),
  pushfq: sized("pushf", 8),
  popfw: sized("popf", 2),
  popfd: sized("popf", 4),
  popfq: sized("popf", 8),
  pushaw: sized("pusha", 2),
  pushad: sized("pusha", 4),
  popaw: sized("popa", 2),
  popad: sized("popa", 4),
  pushw: sized("push", 2),
  popw: sized("pop", 2),
  iretw: sized("iret", 2),
  iretd: sized("iret", 4),
  iretq: sized("iret", 8),
  retfw: sized("retf", 2),
  retfd: sized("retf", 4),
  retfq: sized("retf", 8),
  lretq: sized("retf", 8),
  sysretd: sized("sysret", 4),
  sysretq: sized("sysret", 8),
  sysexitd: sized("sysexit", 4),
  sysexitq: sized("sysexit", 8),
  jcxz: { mnemonic: "jcxz", addressSize: 2 },
  jecxz: { mnemonic: "jcxz", addressSize: 4 },
  jrcxz: { mnemonic: "jcxz", addressSize: 8 },
  fxsave64: wide("fxsave"),
  fxrstor64: wide("fxrstor"),
  xsave64: wide("xsave"),
  xrstor64: wide("xrstor"),
  xsaveopt64: wide("xsaveopt"),
  movabs: { mnemonic: "mov", isAbsolute: true },
  finit: waiting("fninit"),
  fclex: waiting("fnclex"),
  fstcw: waiting("fnstcw"),
  fstsw: waiting("fnstsw"),
  fstenv: waiting("fnstenv"),
  fsave: waiting("fnsave"),
};

/** Other names of conditions. */
const CONDITION_SYNONYMS: Readonly<Record<string, string>> = {
  c: "b",
  nae: "b",
  nb: "ae",
  nc: "ae",
  z: "e",
  nz: "ne",
  na: "be",
  nbe: "a",
  pe: "p",
  po: "np",
  nge: "l",
  nl: "ge",
  ng: "le",
  nle: "g",
};

function conditionNumber(name: string): number | undefined {
  const index = CONDITION_NAMES.findIndex((condition) => condition === (CONDITION_SYNONYMS[name] ?? name));
  return index < 0 ? undefined : index;
}

/** Predicates of cmpps and its like, by immediate. SDM volume 2, CMPPS. */
const PREDICATES = ["eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"];
