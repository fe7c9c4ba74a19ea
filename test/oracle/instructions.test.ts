// Our machine against qemu on random programs, an extension at a time: all registers, fcsr and memory after each block.
//
//     VITRINE_ORACLE=long npm test -- oracle        a million instructions an extension
//     VITRINE_SEED=n                                 from another seed

import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithout } from "../support/tools.ts";
import { findDifference } from "./differential.ts";
import { countOfGroup, generateProgram, GROUPS } from "./generate.ts";
import { QEMU } from "./qemu.ts";
import { firstSeed, instructionBudget } from "./settings.ts";

const BLOCKS = 400;

for (const group of GROUPS) {
  for (const tier of ["run", "step"] as const) {
    test(`random ${group} instructions, ${tier} tier, do as under qemu`, { skip: skipWithout(QEMU) }, (t) => {
      const budget = instructionBudget(16_000) / (tier === "run" ? 1 : 8);
      let count = 0;
      let seed = firstSeed();
      for (; count < budget; seed++) {
        const program = generateProgram(group, seed, BLOCKS);
        count += countOfGroup(group, program);
        const difference = findDifference(program, tier);
        if (difference !== undefined) assert.fail(`seed ${seed}, ${difference}`);
      }
      t.diagnostic(`${count} instructions, seeds ${firstSeed()} to ${seed - 1}`);
    });
  }
}
