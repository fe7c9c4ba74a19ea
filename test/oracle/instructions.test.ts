// Our machine against qemu on random programs, an extension at a time: all registers, fcsr and memory after each block.
//
//     VITRINE_ORACLE=long npm test -- oracle        a million instructions an extension
//     VITRINE_SEED=n                                 from another seed

import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithout } from "../support/tools.ts";
import { findDifference } from "./differential.ts";
import { generateProgram, GROUPS, ITEMS_PER_BLOCK } from "./generate.ts";
import { QEMU } from "./qemu.ts";
import { firstSeed, instructionBudget } from "./settings.ts";

const BLOCKS = 400;
const ITEMS = BLOCKS * ITEMS_PER_BLOCK;

for (const group of GROUPS) {
  for (const tier of ["run", "step"] as const) {
    test(`random ${group} instructions, ${tier} tier, do as under qemu`, { skip: skipWithout(QEMU) }, (t) => {
      const budget = tier === "run" ? instructionBudget(2 * ITEMS) : Math.ceil(instructionBudget(ITEMS) / 10);
      const programs = Math.ceil(budget / ITEMS);
      for (let seed = firstSeed(); seed < firstSeed() + programs; seed++) {
        const difference = findDifference(generateProgram(group, seed, BLOCKS), tier);
        if (difference !== undefined) assert.fail(`seed ${seed}, ${difference}`);
      }
      t.diagnostic(`${programs * ITEMS} items, seeds ${firstSeed()} to ${firstSeed() + programs - 1}`);
    });
  }
}
