// Our machine against the host's processor on random programs, a group of instructions at a time: all registers, flags, x87 and vector state and
// memory after each block of some dozens of instructions, on every tier. Where the host is no x86-64 Linux
// the tiers are still compared with each other.
//
//     VITRINE_TEST_TIMEOUT=3600 VITRINE_ORACLE=long npm test -- x86-random
//                                                    a million instructions a group, in some minutes each
//     VITRINE_SEED=n                                 from another seed

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Differential, type Runner } from "./differential.ts";
import { firstSeed, instructionBudget } from "./settings.ts";
import { countOfGroup, generateProgram, type Group, GROUPS } from "./x86-random-generate.ts";
import { runOnHost, runOnTier, skipHost, type Tier, TIERS } from "./x86-random-machines.ts";
import { X86_PROGRAMS } from "./x86-random-program.ts";

const MOST_BLOCKS = 1500;
/** About: of those that are counted. */
const INSTRUCTIONS_PER_BLOCK = 27;
const QUICK = 4000;

const differential = new Differential(X86_PROGRAMS);

/** Every so many programs run on the slower tiers too. */
const SLOW_TIERS_EVERY = 4;

const isAlwaysRun = (group: Group, tier: Tier): boolean => tier === "run" || (group === "loops" && tier === "regions");

/** Instructions of loops count as often as they go round, more or less. */
const budgetOf = (group: Group): number => instructionBudget(QUICK) / (group === "loops" ? 8 : 1);

/** Compares random programs until `budget` instructions of the group have been executed. */
function compare(
  t: TestContext,
  group: Group,
  reference: (skew: number) => Runner,
  tiers: readonly Tier[],
  budget: number,
): void {
  const blocks = Math.min(MOST_BLOCKS, Math.ceil(budget / INSTRUCTIONS_PER_BLOCK / SLOW_TIERS_EVERY));
  const counts = new Map<Tier, number>();
  let seed = firstSeed();
  for (; (counts.get("run") ?? 0) < budget; seed++) {
    const program = generateProgram(group, seed, blocks);
    const tested = tiers.filter((tier) => isAlwaysRun(group, tier) || seed % SLOW_TIERS_EVERY === 0);
    for (const tier of tested) counts.set(tier, (counts.get(tier) ?? 0) + countOfGroup(program));
    const runners = tested.map((tier) => runOnTier(tier, program.skew));
    const difference = differential.compare(program, reference(program.skew), runners);
    if (difference !== undefined) assert.fail(`seed ${seed}, ${blocks} blocks, ${difference}`);
  }
  const told = [...counts].map(([tier, count]) => `${tier} ${count}`).join(", ");
  t.diagnostic(`instructions: ${told}; seeds ${firstSeed()} to ${seed - 1}`);
}

for (const group of GROUPS) {
  test(`random ${group} instructions do as on the host`, { skip: skipHost }, (t) => {
    compare(t, group, runOnHost, TIERS, budgetOf(group));
  });
  if (skipHost === false) continue;
  test(`random ${group} instructions do the same on all tiers`, (t) => {
    compare(t, group, (skew) => runOnTier("step", skew), ["run", "regions", "first"], budgetOf(group));
  });
}
