/**
 * Loops of random vector instructions: translated regions, where the immediates and registers are known, do as the exact tier does.
 * VITRINE_SEED moves on to other loops.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Instruction } from "../../src/isa/x86_64/instructions.ts";
import { GPR } from "../../src/isa/x86_64/registers.ts";
import { fastShapes } from "../../src/machine/x86_64/fast-shapes.ts";
import { createRandom, type Random } from "../oracle/random.ts";
import { firstSeed } from "../oracle/settings.ts";
import { assemblyOf, type Form, formsOf, hasImmediate } from "../oracle/x86-forms.ts";
import { type CodeMachine, createCodeMachine, MEMORY } from "../oracle/x86-machine.ts";

const LOOPS = process.env["VITRINE_ORACLE"] === "long" ? 2000 : 60;
const ITERATIONS = 60;
const LENGTH = 10;
const EXTENSIONS: readonly Instruction["extension"][] = ["sse", "sse2", "sse3", "ssse3", "sse4.1", "sse4.2"];
const key = (mnemonic: string, operands: readonly { letter: string; size: number }[]): string =>
  `${mnemonic} ${operands.map(({ letter, size }) => (letter === "i" ? "i" : letter + size)).join()}`;

/** What translated code may have in it: the interpreter's own instructions. */
const fast = new Set(fastShapes().map(({ mnemonic, operands }) => key(mnemonic, operands)));
const forms = formsOf(({ extension }) => EXTENSIONS.includes(extension)).filter(({ mnemonic, operands }) =>
  fast.has(key(mnemonic, operands)),
);

function makeLoop(random: Random): string {
  const instruction = (): string => {
    const form: Form = random.pick(forms);
    return assemblyOf(form, hasImmediate(form) ? random.below(256) : 0);
  };
  const body = Array.from({ length: LENGTH }, instruction);
  return ["1:", ...body, "dec ebx", "jnz 1b"].join("\n");
}

interface Outcome {
  readonly float: Uint8Array;
  readonly memory: Uint8Array;
  readonly registers: readonly number[];
  readonly retired: number;
}

/** Runs a loop from random registers; MXCSR lets everything be inexact from the start, or not. */
function runLoop(machine: CodeMachine, loop: string, seed: number): Outcome {
  const random = createRandom(seed);
  const { hart, memory } = machine;
  const image = new Uint8Array(512);
  const view = new DataView(image.buffer);
  view.setUint16(0, 0x37f, true);
  view.setUint32(24, 0x1f80 | (random.oneIn(2) ? 0x20 : 0), true);
  for (let at = 160; at < 208; at += 8) {
    const bits = random.oneIn(3)
      ? BigInt.asUintN(64, random.integer())
      : random.oneIn(2)
        ? random.double()
        : (random.single() << 32n) | random.single();
    view.setBigUint64(at, bits, true);
  }
  hart.loadFloat(image);
  for (const register of [GPR.rax, GPR.rcx]) hart.setGpr(register, random.next() | 0, random.next() | 0);
  hart.setGprNumber(GPR.rbx, ITERATIONS);
  hart.setRflags(2);
  for (let at = 0; at < 16; at += 4) memory.write32(MEMORY + at, random.next() | 0);
  const before = hart.instructionsRetired;
  assert.equal(machine.execute(loop, ITERATIONS * (LENGTH + 2)), undefined);
  const float = new Uint8Array(512);
  hart.saveFloat(float);
  return {
    float,
    memory: memory.read(MEMORY, 16),
    registers: [GPR.rax, GPR.rcx, GPR.rbx].flatMap((register) => [hart.gprLo(register), hart.gprHi(register)]),
    retired: hart.instructionsRetired - before,
  };
}

test("translated loops of vector instructions do as the exact tier does", () => {
  assert.ok(forms.length > 100);
  const first = firstSeed();
  const loops = Array.from({ length: LOOPS }, (_, n) => makeLoop(createRandom(first * 10_000 + n)));
  const hotness = { pause: 50, samples: 4, quantum: 50, threshold: 1 };
  const translating = createCodeMachine("run", loops, { hotness });
  const exact = createCodeMachine("step", loops);
  loops.forEach((loop, n) => {
    // The second time the loop is translated from its beginning on.
    for (let round = 0; round < 3; round++) {
      const seed = (first * 10_000 + n) * 3 + round;
      assert.deepEqual(runLoop(translating, loop, seed), runLoop(exact, loop, seed), `seed ${seed}\n${loop}`);
    }
  });
});
