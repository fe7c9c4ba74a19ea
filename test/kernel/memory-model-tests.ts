// The test of the memory model for one architecture; each has a file of its own, so that two processes share the time.
//
//   VITRINE_MODEL_SEED         first seed (default: a fixed one)
//   VITRINE_MODEL_OPERATIONS   operations, instead of a time
//   VITRINE_MODEL_SECONDS      seconds (default below)

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import { ARCHITECTURES } from "../support/architectures.ts";
import { runEpisodes } from "./memory-model-episodes.ts";

const DEFAULT_SEED = 20_261_125;
const DEFAULT_SECONDS = 30;

export function testMemoryModel(arch: ArchitectureName): void {
  if (!ARCHITECTURES.includes(arch)) return;
  test(`random memory operations agree with the model, the raw tables and the harts [${arch}]`, (context) => {
    const number = (name: string): number | undefined =>
      process.env[name] === undefined ? undefined : Number(process.env[name]);
    const tally = runEpisodes(arch, {
      operations: number("VITRINE_MODEL_OPERATIONS"),
      milliseconds: (number("VITRINE_MODEL_SECONDS") ?? DEFAULT_SECONDS) * 1000,
      seed: number("VITRINE_MODEL_SEED") ?? DEFAULT_SEED,
    });
    context.diagnostic(
      `${tally.operations} operations in ${tally.episodes} episodes, ${Math.round((tally.operations * 1000) / tally.milliseconds)} a second`,
    );
    assert.ok(tally.operations > 0);
  });
}
