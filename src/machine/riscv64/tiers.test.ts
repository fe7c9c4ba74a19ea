/**
 * The interpreter, translated regions and the exact tier are the same machine: random programs, run on each in slices, agree
 * after each slice on every register, on memory, on what has retired and on where they were preempted. The programs jump anywhere in their own
 * text, also into the middle of instructions, write into it, straddle pages, and trap all the time.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/riscv64/assembler.ts";
import { encode, immediateFits } from "../../isa/riscv64/decode.ts";
import { compress } from "../../isa/riscv64/compressed.ts";
import { INSTRUCTIONS, type Instruction } from "../../isa/riscv64/instructions.ts";
import { createMachine } from "../create-machine.ts";
import type { Hotness } from "../engine/hotness.ts";
import type { Machine } from "../machine.ts";
import { riscv64Processor } from "./engine.ts";
import type { RiscvHart } from "./hart.ts";

const BASE = 0x8000_0000;
const TEXT = BASE + 0x1000;
const TEXT_BYTES = 0x2000;
const DATA = BASE + 0x4000;
const SEEDS = 12;
const SLICES = 60;

/** A small generator of random numbers (xorshift), so that a failure's seed repeats it. */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed * 2654435761 + 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const SKIPPED: ReadonlySet<string> = new Set([
  "wfi",
  "mret",
  "sret",
  "kentry",
  "csrrw",
  "csrrwi",
  "csrrs",
  "csrrc",
  "csrrsi",
  "csrrci",
]);
const candidates = INSTRUCTIONS.filter((row) => !SKIPPED.has(row.mnemonic));

/** Registers that programs keep: 8 points at data, 9 into the text, 18 just before a page boundary, 19 so in the text. */
const BASES = [8, 8, 8, 18, 18, 9, 19];
const DESTINATIONS = [5, 6, 7, 10, 11, 12, 13, 14, 15, 28, 29, 0];

function randomWord(random: (limit: number) => number, row: Instruction): number {
  const pick = (list: readonly number[]): number => list[random(list.length)] ?? 0;
  const operands: readonly string[] = row.format.operands;
  const has = (name: string): boolean => operands.includes(name);
  const isAccess = has("loadAddress") || has("storeAddress") || has("address");
  const immediates = {
    none: 0,
    I: random(4096) - 2048,
    S: random(64) - 32,
    B: (random(512) - 256) * 2,
    U: random(0x100000) << 12,
    J: (random(1024) - 512) * 2,
    shift5: random(32),
    shift6: random(64),
    unsigned12: random(256),
  };
  let imm = immediates[row.format.immediate];
  if (isAccess && row.format.immediate === "I") imm = random(64) - 32;
  if (!immediateFits(row.format.immediate, imm)) imm = 0;
  const fields = {
    rd: has("rd") || has("frd") ? pick(DESTINATIONS) : 0,
    rs1: isAccess ? pick(BASES) : has("rs1") || has("frs1") ? random(32) : 0,
    rs2: has("rs2") || has("frs2") ? random(32) : 0,
    rs3: has("frs3") ? random(32) : 0,
    rm: has("rm") || has("rmExact") ? pick([0, 7, 7, 1, 2, 3, 4, 5]) : 0,
    imm,
  };
  return encode(row.id, fields);
}

function randomText(random: (limit: number) => number): Uint8Array {
  const bytes = new Uint8Array(TEXT_BYTES);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 4 <= TEXT_BYTES;) {
    const row = candidates[random(candidates.length)];
    if (row === undefined) continue;
    const word = randomWord(random, row);
    const half = compress(word);
    if (random(40) === 0) {
      view.setUint16(at, random(65536), true);
      at += 2;
    } else if (half !== undefined) {
      view.setUint16(at, half, true);
      at += 2;
    } else {
      view.setInt32(at, word, true);
      at += 4;
    }
  }
  return bytes;
}

/** A trap skips two bytes; one outside the text goes to a place in it that depends on how much has retired. */
const START = assemble(
  `
    la t0, trap
    csrw mtvec, t0
    li t0, 0x6000
    csrs mstatus, t0
    j begin
    .balign 4
  trap:
    csrr t6, mepc
    addi t6, t6, 2
    li t5, ${TEXT}
    bltu t6, t5, 1f
    li t5, ${TEXT + TEXT_BYTES}
    bltu t6, t5, 2f
  1:
    csrr t6, minstret
    slli t6, t6, 5
    li t5, ${TEXT_BYTES - 2}
    and t6, t6, t5
    li t5, ${TEXT}
    add t6, t6, t5
  2:
    csrw mepc, t6
    mret
  begin:
    li s0, ${DATA}
    li s1, ${TEXT + 0x800}
    li s2, ${DATA + 0x1000 - 4}
    li s3, ${TEXT + 0x1000 - 4}
    li t0, ${TEXT}
    jr t0
  `,
  { base: BASE },
);

/** Never translates; or translates whatever it sees, all the time. */
const COLD: Hotness = { pause: Infinity, samples: 1, quantum: 1, threshold: 1 };
const HOT: Hotness = { pause: 150, samples: 6, quantum: 5, threshold: 1 };

function prepare(seed: number, tier: "run" | "step", hotness: Hotness, joinAfter = 0): Machine<RiscvHart> {
  const random = randomNumbers(seed);
  const machine = createMachine({
    processor: riscv64Processor,
    ramBase: BASE,
    ramSize: 1 << 20,
    harts: 1,
    tier,
    hotness,
    joinAfter,
  });
  machine.memory.write(START.base, START.bytes);
  machine.memory.write(TEXT, randomText(random));
  // After the text, a jump back to where registers are set again.
  const back = assemble(`j ${BASE}`, { base: TEXT + TEXT_BYTES });
  machine.memory.write(TEXT + TEXT_BYTES, back.bytes);
  const hart = machine.harts[0];
  for (let register = 1; register < 32; register++) {
    hart?.setX(register, random(0x100000000) | 0, random(0x100000000) | 0);
    hart?.setF(register, random(0x100000000) | 0, random(3) === 0 ? -1 : random(0x100000000) | 0);
  }
  hart?.setPc(BASE);
  return machine;
}

function stateOf(machine: Machine<RiscvHart>): string {
  const hart = machine.harts[0];
  if (hart === undefined) return "";
  const lines = [`pc ${hart.pc.toString(16)} retired ${hart.instructionsRetired} time ${machine.timeNs}`];
  for (let i = 0; i < 32; i++)
    lines.push(`x${i} ${hart.xHi(i) >>> 0} ${hart.xLo(i) >>> 0} f${i} ${hart.fHi(i) >>> 0} ${hart.fLo(i) >>> 0}`);
  for (const csr of [0x003, 0x300, 0x341, 0x342, 0x343, 0xb02]) {
    const { hi, lo } = hart.readCsr(csr);
    lines.push(`csr ${csr.toString(16)} ${hi >>> 0} ${lo >>> 0}`);
  }
  return lines.join("\n");
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`both interpreters, regions and exact tier agree, seed ${seed}`, () => {
    const random = randomNumbers(seed + 1000);
    const machines = [
      prepare(seed, "step", COLD),
      prepare(seed, "run", COLD),
      prepare(seed, "run", COLD, Infinity),
      prepare(seed, "run", HOT),
    ];
    const [exact] = machines;
    if (exact === undefined) return;
    for (let slice = 0; slice < SLICES; slice++) {
      const instructions = 1 + random(400);
      // Programs soon circle in some loop: each slice begins elsewhere, with one register new.
      const pc = TEXT + random(TEXT_BYTES / 2) * 2;
      const [register, lo, hi] = [10 + random(6), random(0x100000000) | 0, random(0x100000000) | 0];
      for (const machine of machines) {
        const hart = machine.harts[0];
        if (slice > 0) hart?.setPc(pc);
        hart?.setX(register, lo, hi);
        machine.run({ instructions });
      }
      for (const machine of machines) assert.equal(stateOf(machine), stateOf(exact), `seed ${seed}, slice ${slice}`);
    }
    const ram = { base: BASE, length: 1 << 16 };
    const expected = exact.memory.read(ram.base, ram.length);
    for (const machine of machines) assert.deepEqual(machine.memory.read(ram.base, ram.length), expected);
  });
}
