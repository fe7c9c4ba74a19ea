// Episodes: a fresh world, a few thousand random operations, everything given back. When one fails, the sequence is cut down to the
// operations that it takes, and shown with the seed.

import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import { describeOperation, nextOperation, Random, type Operation } from "./memory-model-operations.ts";
import { World, type WorldOptions } from "./memory-model-run.ts";

const EPISODE = 4000;
const MEGABYTE = 1 << 20;
/** Time for cutting a sequence down. */
const SHRINK_MS = Number(process.env["VITRINE_MODEL_SHRINK_SECONDS"] ?? 60) * 1000;

export interface Budget {
  /** Operations, or milliseconds: whichever is given. */
  readonly operations: number | undefined;
  readonly milliseconds: number;
  readonly seed: number;
}

export interface Tally {
  readonly operations: number;
  readonly episodes: number;
  readonly milliseconds: number;
}

/** Runs episodes until the budget is spent. Throws with a short sequence where something differs. */
export function runEpisodes(arch: ArchitectureName, budget: Budget): Tally {
  const start = Date.now();
  let operations = 0;
  let episodes = 0;
  const isSpent = (): boolean =>
    budget.operations === undefined ? Date.now() - start >= budget.milliseconds : operations >= budget.operations;
  while (!isSpent()) {
    const seed = (budget.seed + episodes) | 0;
    const left = budget.operations === undefined ? EPISODE : Math.min(EPISODE, budget.operations - operations);
    operations += runEpisode(arch, seed, left);
    episodes += 1;
  }
  return { operations, episodes, milliseconds: Date.now() - start };
}

function optionsOf(arch: ArchitectureName, seed: number): WorldOptions {
  return {
    arch,
    harts: 1 + (Math.abs(seed) % 4),
    // Every fifth is short of memory: what is used goes out and comes back all the time.
    memoryBytes: 32 * MEGABYTE,
    freeFrames: seed % 5 === 0 ? 700 : Infinity,
    swapPages: seed % 5 === 1 ? 0 : 3000,
    // Few identifiers: rollovers come often.
    maxAsid: seed % 3 === 0 ? 7 : undefined,
  };
}

function runEpisode(arch: ArchitectureName, seed: number, length: number): number {
  const options = optionsOf(arch, seed);
  const random = new Random(seed);
  const world = new World(options);
  const sequence: Operation[] = [];
  try {
    for (let i = 0; i < length; i++) {
      const operation = nextOperation(random, world.models(), options.harts, world.features);
      sequence.push(operation);
      world.step(operation);
    }
    world.finish();
  } catch (error) {
    throw report(arch, seed, options, sequence, error);
  }
  return length;
}

/** The error of a sequence in a fresh world; undefined when it goes through. */
function replay(options: WorldOptions, sequence: readonly Operation[]): unknown {
  try {
    const world = new World(options);
    for (const operation of sequence) world.step(operation);
    world.finish();
  } catch (error) {
    return error;
  }
  return undefined;
}

function report(
  arch: ArchitectureName,
  seed: number,
  options: WorldOptions,
  sequence: readonly Operation[],
  error: unknown,
): Error {
  const short = shrink(options, sequence, error);
  const last = replay(options, short) ?? error;
  const lines = short.map((operation) => `  ${describeOperation(operation)}`);
  return new ModelFailure(
    short,
    options,
    `VITRINE_MODEL_SEED=${seed} on ${arch}, ${options.harts} harts: ${messageOf(last)}\n` +
      `after ${sequence.length} operations (${messageOf(error)}); ${short.length} that are enough:\n${lines.join("\n")}\n` +
      `${last instanceof Error ? last.stack : ""}`,
  );
}

/** What a failing episode came to: enough to run it again. */
export class ModelFailure extends Error {
  override readonly name = "ModelFailure";
  readonly operations: readonly Operation[];
  readonly options: WorldOptions;

  constructor(operations: readonly Operation[], options: WorldOptions, message: string) {
    super(message);
    this.operations = operations;
    this.options = options;
  }
}

/** Leaves out parts, halves first, as long as what is left fails in the same way. */
function shrink(options: WorldOptions, sequence: readonly Operation[], error: unknown): readonly Operation[] {
  const deadline = Date.now() + SHRINK_MS;
  let current = sequence;
  for (let size = Math.ceil(current.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < current.length && Date.now() < deadline;) {
      const shorter = [...current.slice(0, at), ...current.slice(at + size)];
      if (kindOf(replay(options, shorter)) === kindOf(error)) current = shorter;
      else at += size;
    }
  }
  return current;
}

/** What two failures have in common that are the same one: the words before the first number or address. */
function kindOf(error: unknown): string {
  return messageOf(error).split(/:| \d| 0x/)[0] ?? "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
