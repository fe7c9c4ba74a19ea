// Which flags instructions leave undefined, and how a random program gets rid of them: the next instruction sets all, or makes those 0.
// Intel SDM volume 2, "Flags Affected" of each instruction.

import { NO_REGISTER } from "../../src/isa/x86_64/decode-types.ts";
import type { Instruction } from "../../src/isa/x86_64/instructions.ts";
import { ARITHMETIC_FLAGS, GPR, RFLAGS } from "../../src/isa/x86_64/registers.ts";
import type { BlockMaker } from "./x86-random-block.ts";
import type { Code } from "./x86-random-encode.ts";
import { op } from "./x86-random-program.ts";

const { CF, PF, AF, ZF, SF, OF } = RFLAGS;

/** What a shift or rotation leaves undefined when it may have any count. */
const BY_COUNT = new Map([
  ["shl", AF | OF],
  ["shr", AF | OF],
  ["sar", AF | OF],
  ["shld", AF | OF],
  ["shrd", AF | OF],
  ["rol", OF],
  ["ror", OF],
  ["rcl", OF],
  ["rcr", OF],
]);
const ALWAYS = new Map([
  ["mul", SF | ZF | AF | PF],
  ["imul", SF | ZF | AF | PF],
  ["div", ARITHMETIC_FLAGS],
  ["idiv", ARITHMETIC_FLAGS],
  ["bsf", CF | OF | SF | AF | PF],
  ["bsr", CF | OF | SF | AF | PF],
  ["bt", OF | SF | AF | PF],
  ["bts", OF | SF | AF | PF],
  ["btr", OF | SF | AF | PF],
  ["btc", OF | SF | AF | PF],
]);

/**
 * The flags that an instruction of the row leaves undefined, with the immediate byte that it ends with. AF after and, or, xor and test is undefined by the
 * manual too; all processors clear it, and programs may have come to rely on it, so it is compared.
 */
export function undefinedFlags({ mnemonic, operands }: Instruction, operandSize: number, immediate: number): number {
  const always = ALWAYS.get(mnemonic);
  if (always !== undefined) return always;
  const byCount = BY_COUNT.get(mnemonic);
  if (byCount === undefined) return 0;
  const last = operands.at(-1);
  const bits = operands[0]?.size === "b" ? 8 : operandSize * 8;
  if (last?.place === "one") return byCount & ~OF;
  const mayExceed = bits < 32 && (mnemonic === "shl" || mnemonic === "shr");
  if (last?.place === "fixedGpr") return mayExceed ? byCount | CF : byCount;
  const count = immediate & (bits === 64 ? 63 : 31);
  if (count === 0) return 0;
  if (count === 1) return byCount & ~OF;
  return mayExceed && count >= bits ? byCount | CF : byCount;
}

/** What each pair of conditions reads: o, b, z, be, s, p, l, le. */
const CONDITION_FLAGS = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, ZF | SF | OF] as const;
const ALL_SETTERS = ["add", "sub", "cmp"] as const;

/**
 * Instructions after which no flag is undefined: they keep the others, or set all. Before them perhaps one that reads a flag that is defined.
 */
export function settle(maker: BlockMaker, mask: number, wish: "keep" | "set" | "any"): Code[] {
  if (mask === 0) return [];
  const { random } = maker;
  const codes: Code[] = [];
  const conditions = CONDITION_FLAGS.flatMap((flags, n) => ((flags & mask) === 0 ? [2 * n, 2 * n + 1] : []));
  if (conditions.length > 0 && random.oneIn(3)) {
    const rex = random.oneIn(2);
    const condition = random.pick(conditions);
    codes.push(
      random.oneIn(2)
        ? op("setcc", "Eb", { inOpcode: condition, rex, rm: maker.byteRegister(rex) })
        : op("cmovcc", "Gv,Ev", { inOpcode: condition, rex, reg: maker.register(rex), rm: maker.register(rex) }),
    );
  }
  if (wish === "set" || (wish === "any" && random.oneIn(2))) return [...codes, ...maker.simple(ALL_SETTERS)];
  return [
    ...codes,
    op("pushf", "", { operandSize: 8 }),
    op("and", "Ev,Iz", { operandSize: 4, rm: STACK_TOP_ADDRESS, immediates: [BigInt(~mask)] }),
    op("popf", "", { operandSize: 8 }),
  ];
}

const STACK_TOP_ADDRESS = {
  base: GPR.rsp,
  index: NO_REGISTER,
  scale: 0,
  displacement: 0,
  inRecord: false,
  addressSize: 8,
  segment: undefined,
  isLong: false,
} as const;
