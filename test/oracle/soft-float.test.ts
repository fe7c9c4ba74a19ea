// Soft-float against qemu: every computing instruction of F and D, every rounding mode, results and flags.
//
// Each program is one long row of blocks that hold a single instruction, so that the state before and after it is known
// from qemu's own dumps.

import assert from "node:assert/strict";
import { test } from "node:test";
import { disassemble } from "../../src/isa/riscv64/disassembler.ts";
import { skipWithout } from "../support/tools.ts";
import { generateProgram } from "./generate.ts";
import { BLOCK_SIZE, buildImage, type Program, STATE_SIZE } from "./program.ts";
import { QEMU, runUnderQemu } from "./qemu.ts";
import { instructionBudget, firstSeed } from "./settings.ts";
import { describeStates } from "./report.ts";
import { executeSoftly, SoftState } from "./soft-executor.ts";

for (const group of ["F", "D"] as const) {
  test(`soft-float agrees with qemu on random ${group} instructions`, { skip: skipWithout(QEMU) }, (t) => {
    const budget = instructionBudget(3000);
    let compared = 0;
    let seed = firstSeed();
    for (; compared < budget; seed++) compared += compareSingly(splitBlocks(generateProgram(group, seed, 100)), seed);
    t.diagnostic(`${compared} instructions, seeds ${firstSeed()} to ${seed - 1}`);
  });
}

/** The same instructions, each in a block of its own. */
function splitBlocks(program: Program): Program {
  const blocks = program.blocks.flatMap(({ items, window }) => items.map((item) => ({ items: [item], window })));
  return { ...program, blocks };
}

/** Compares each block that soft-float can execute; returns how many. */
function compareSingly(program: Program, seed: number): number {
  const output = runUnderQemu(buildImage(program), Infinity).data;
  let compared = 0;
  program.blocks.forEach(({ items }, i) => {
    const code = items[0]?.[0];
    if (code === undefined || items[0]?.length !== 1) return;
    const end = STATE_SIZE + (i + 1) * BLOCK_SIZE;
    // The dump before the first block is not written by the program: its first state is.
    const before =
      i === 0 ? output.slice(0, STATE_SIZE) : output.slice(end - BLOCK_SIZE - STATE_SIZE, end - BLOCK_SIZE);
    const expected = output.slice(end - STATE_SIZE, end);
    const copyRegister = (register: number, from: Uint8Array, to: Uint8Array): void =>
      to.set(from.subarray(8 * register, 8 * register + 8), 8 * register);
    // The dump moves the pointer on after it has stored it, and the way to the dump sets the link.
    copyRegister(program.pointer, expected, before);
    const state = new SoftState(before);
    if (!executeSoftly(state, code)) return;
    const actual = state.dump();
    copyRegister(program.link, expected, actual);
    compared++;
    if (Buffer.compare(actual, expected) === 0) return;
    assert.fail(`seed ${seed}, block ${i}: ${disassemble(code.bits)}\n${describeStates(before, expected, actual)}`);
  });
  return compared;
}
