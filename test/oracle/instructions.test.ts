// Our machine against qemu on random programs, an extension at a time: all registers, fcsr and memory after each block.
// Where there is no qemu, the interpreter is still compared with the exact tier, which shares no code with it where an
// instruction has an exact definition.
//
//     VITRINE_ORACLE=long npm test -- oracle        a million instructions an extension
//     VITRINE_SEED=n                                 from another seed

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { skipWithout } from "../support/tools.ts";
import { Differential, type Pair } from "./differential.ts";
import { countOfGroup, generateProgram, type Group, GROUPS } from "./generate.ts";
import { runOnTier } from "./our-machine.ts";
import { RISCV_PROGRAMS } from "./program.ts";
import { QEMU, runUnderQemu } from "./qemu.ts";
import { firstSeed, instructionBudget } from "./settings.ts";

const BLOCKS = 400;
const QUICK = 8_000;

const differential = new Differential(RISCV_PROGRAMS);

/** Compares random programs until `budget` instructions of the group have been executed. */
function compare(t: TestContext, group: Group, pair: Pair, budget: number): void {
  let count = 0;
  let seed = firstSeed();
  for (; count < budget; seed++) {
    const program = generateProgram(group, seed, BLOCKS);
    count += countOfGroup(group, program);
    const difference = differential.findDifference(program, pair);
    if (difference !== undefined) assert.fail(`seed ${seed}, ${difference}`);
  }
  t.diagnostic(`${count} instructions, seeds ${firstSeed()} to ${seed - 1}`);
}

for (const group of GROUPS) {
  test(`random ${group} instructions do as under qemu`, { skip: skipWithout(QEMU) }, (t) => {
    compare(t, group, { reference: runUnderQemu, tested: runOnTier("run") }, instructionBudget(QUICK));
  });
  test(`random ${group} instructions do as under qemu in the exact tier`, { skip: skipWithout(QEMU) }, (t) => {
    compare(t, group, { reference: runUnderQemu, tested: runOnTier("step") }, instructionBudget(QUICK) / 8);
  });
  test(`random ${group} instructions do the same in both tiers`, (t) => {
    compare(t, group, { reference: runOnTier("step"), tested: runOnTier("run") }, instructionBudget(QUICK) / 8);
  });
}
