// Random x86-64 programs, a group of instructions at a time.

import { type Extension, instructions, type Instruction } from "../../src/isa/x86_64/instructions.ts";
import { createRandom, type Random } from "./random.ts";
import { BlockMaker, NoRegisterError } from "./x86-random-block.ts";
import type { Code } from "./x86-random-encode.ts";
import { FAST_MNEMONICS, isFast } from "./x86-random-fast.ts";
import { settle, undefinedFlags } from "./x86-random-flags.ts";
import { ITEMS } from "./x86-random-items.ts";
import { loopAround } from "./x86-random-jumps.ts";
import {
  type Block,
  FLAG_SLOTS,
  inRecord,
  type Item,
  op,
  type Program,
  STATE,
  STATE_SIZE,
  WINDOW,
} from "./x86-random-program.ts";

/**
 * What a program exercises. "flags": as integer, with the flags compared after every item. "loops": loops that go round often enough to be
 * translated, of instructions that can be.
 */
export const GROUPS = ["integer", "flags", "string", "x87", "sse", "mixed", "loops"] as const;
export type Group = (typeof GROUPS)[number];

const ITEMS_PER_BLOCK = 24;
const LOOPS_PER_BLOCK = 6;
const SSE: readonly Extension[] = ["mmx", "sse", "sse2", "sse3", "ssse3", "sse4.1", "sse4.2"];

/** Results that are not the same on all processors: approximations, and functions that may be off by a unit in the last place. */
const APPROXIMATE = /^(rcp|rsqrt)[sp]s$|^(fsin|fcos|fsincos|fptan|fpatan|f2xm1|fyl2x|fyl2xp1)$/;

const isUser = (row: Instruction): boolean => !row.attributes.has("i64") && !APPROXIMATE.test(row.mnemonic);
const rowsOf = (...extensions: readonly Extension[]): Instruction[] =>
  instructions().filter((row) => extensions.includes(row.extension) && isUser(row));

const INTEGER = [
  ...rowsOf("base"),
  ...instructions().filter(({ mnemonic }) => mnemonic === "pushf" || mnemonic === "popf"),
];
const STRING = rowsOf("string").filter(({ mnemonic }) => mnemonic !== "ins" && mnemonic !== "outs");
/** D9 D8 and on are an alias of fstp that the manual leaves out; processors do not check there whether st(0) is empty. */
const UNCHECKED_FSTP = "D9 /3 r";
const X87 = rowsOf("x87").filter(({ encoding }) => encoding !== UNCHECKED_FSTP);
const VECTOR = rowsOf(...SSE);
/** Translated regions end at calls. */
const TRANSLATABLE = [...INTEGER, ...INTEGER, ...VECTOR].filter(
  ({ mnemonic }) => FAST_MNEMONICS.has(mnemonic) && !/^(call|ret|leave)$/.test(mnemonic),
);

const ROWS: Readonly<Record<Group, readonly Instruction[]>> = {
  integer: INTEGER,
  flags: INTEGER.filter(({ mnemonic }) => !/^(nop|prefetch|[lms]fence|clflush|endbr|pause)/.test(mnemonic)),
  string: STRING,
  x87: X87,
  sse: VECTOR,
  mixed: [],
  loops: TRANSLATABLE,
};
/** Some of x87's state would hardly ever be other than what these leave. */
const RARE = /^(fninit|fnsave|frstor|fldenv|emms|fnclex)$/;
const LOADS = X87.filter(({ mnemonic }) => /^(fld|fild|fld1|fldpi|fldz)$/.test(mnemonic));

/** Makes the program of a seed. */
export function generateProgram(group: Group, seed: number, blockCount: number): Program {
  return new Generator(group, createRandom(seed)).program(blockCount);
}

/** How many instructions a program has that its items are about. */
export function countOfGroup({ blocks }: Program): number {
  return blocks.reduce((sum, { items }) => sum + items.flat().filter(({ isMain }) => isMain).length, 0);
}

class Generator {
  private readonly group: Group;
  private readonly random: Random;

  constructor(group: Group, random: Random) {
    this.group = group;
    this.random = random;
  }

  program(blockCount: number): Program {
    const { random } = this;
    const firstState = new Uint8Array(STATE_SIZE);
    const view = new DataView(firstState.buffer);
    for (let n = 0; n < 16; n++) view.setBigUint64(STATE.gpr + 8 * n, random.integer(), true);
    view.setUint32(STATE.rflags, 0x202 | (random.next() & 0x8d5), true);
    view.setUint16(STATE.float, 0x37f, true);
    view.setUint32(STATE.float + 24, 0x1f80, true);
    for (let n = 0; n < 32; n++) view.setBigUint64(STATE.float + 160 + 8 * n, this.word(), true);
    const blocks = Array.from({ length: blockCount }, () => this.block());
    return { firstState, blocks, skew: 64 * random.below(64) };
  }

  private block(): Block {
    const { random, group } = this;
    const maker = new BlockMaker(random);
    const window = new Uint8Array(WINDOW.size);
    const view = new DataView(window.buffer);
    for (let offset = 0; offset < WINDOW.flags; offset += 8) view.setBigUint64(offset, this.word(), true);
    const items: Item[] = [];
    const itemCount = group === "loops" ? LOOPS_PER_BLOCK : ITEMS_PER_BLOCK;
    while (items.length < itemCount) {
      const item = this.item(maker);
      maker.kept.clear();
      if (item.length === 0) continue;
      items.push(group === "flags" ? [...item, ...keepFlags(items.length)] : item);
    }
    const repeats = group !== "loops" && random.oneIn(3) ? 1 + random.below(group === "mixed" ? 60 : 12) : 1;
    return { items, window, repeats, pointer: maker.pointer, bias: maker.bias };
  }

  private item(maker: BlockMaker): Item {
    const { random, group } = this;
    if (group === "loops") return this.longLoop(maker, random.oneIn(4) ? 1 : 0);
    if (random.oneIn(group === "mixed" ? 6 : 16)) {
      const body = (): Item => [1, 2, 3].flatMap(() => [...this.straightItem(maker)]);
      return loopAround(maker, 1 + random.below(5), body);
    }
    return this.straightItem(maker);
  }

  /** A loop that goes round some dozens of times, with loops in it so many levels deep. */
  private longLoop(maker: BlockMaker, depth: number): Item {
    const { random } = this;
    const length = 2 + random.below(8);
    const inner = depth > 0 ? random.below(length) : -1;
    return loopAround(maker, depth > 0 ? 3 + random.below(4) : 20 + random.below(60), () => {
      const items: Item[] = [];
      while (items.length < length) {
        const item = items.length === inner ? this.longLoop(maker, depth - 1) : this.straightItem(maker);
        if (item.length > 0) items.push(item);
      }
      return items.flat();
    });
  }

  /** Instructions of one row with their preparation; none where the registers for it are needed otherwise. */
  private straightItem(maker: BlockMaker): Item {
    const { stack } = maker;
    const kept = [...maker.kept];
    let item: Item;
    try {
      item = this.itemOf(this.row(), maker);
    } catch (error) {
      if (!(error instanceof NoRegisterError)) throw error;
      maker.stack = stack;
      item = [];
    }
    maker.kept.clear();
    maker.keep(...kept);
    return item;
  }

  private itemOf(row: Instruction, maker: BlockMaker): Item {
    if (writesImplicitly(row).some((register) => maker.kept.has(register))) return [];
    const build = ITEMS[row.mnemonic];
    const kept = [...maker.kept];
    const item = build === undefined ? maker.plain(row) : build(maker, row);
    const main = item.find(({ isMain }) => isMain);
    if (main === undefined) return item;
    if (this.group === "loops" && !isFast(main.bytes)) return [];
    maker.kept.clear();
    maker.keep(...kept);
    const mask = undefinedFlags(row, main.operandSize, main.bytes.at(-1) ?? 0);
    return [...item, ...settle(maker, mask, this.group === "flags" ? "keep" : this.group === "loops" ? "set" : "any")];
  }

  private row(): Instruction {
    const { random, group } = this;
    const from =
      group === "mixed" ? random.pick(["integer", "integer", "flags", "string", "x87", "sse"] as const) : group;
    if (from !== "integer" && from !== "loops" && random.oneIn(10)) return this.vary(random.pick(INTEGER));
    if (from === "x87" && random.oneIn(5)) return random.pick(LOADS);
    return this.vary(random.pick(ROWS[from]));
  }

  private vary(row: Instruction): Instruction {
    return RARE.test(row.mnemonic) && !this.random.oneIn(8) ? this.row() : row;
  }

  /** What memory and vectors hold: what the group computes with. */
  private word(): bigint {
    const { random, group } = this;
    if (group === "string") return random.oneIn(3) ? random.integer() : random.oneIn(2) ? 0n : 0x0101010101010101n;
    if (group === "integer" || group === "flags") return random.integer();
    return random.pick([
      () => random.integer(),
      () => random.double(),
      () => random.double(),
      () => (random.single() << 32n) | random.single(),
      // A significand of double-extended, whose head may be what follows.
      () => random.integer() | (1n << 63n),
      () => BigInt(0x3fff + random.below(9) - 4 + 0x8000 * random.below(2)),
    ])();
  }
}

/** Leaves the flags in the block's slot of that number. */
function keepFlags(slot: number): Code[] {
  return [
    op("pushf", "", { operandSize: 8 }),
    op("pop", "Ev", { operandSize: 8, rm: inRecord(WINDOW.flags + 8 * (slot % FLAG_SLOTS)) }),
  ];
}

/** Registers that a row writes without naming them in its operands. */
function writesImplicitly({ mnemonic, operands }: Instruction): readonly number[] {
  if (/^(loop|loope|loopne|pcmp[ei]stri)$/.test(mnemonic)) return [1];
  if (/^(cbw|lahf|xlat|cmpxchg)$/.test(mnemonic)) return [0];
  if (mnemonic === "cwd") return [2];
  if (/^(mul|div|idiv|cmpxchg8b|cmpxchg16b)$/.test(mnemonic)) return [0, 2];
  if (mnemonic === "imul" && operands.length === 1) return [0, 2];
  if (/^(lods)$/.test(mnemonic)) return [0, 1, 6, 7];
  return operands.some(({ place }) => place === "fixedGpr") ? [0] : [];
}
