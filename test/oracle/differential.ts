// Runs one program on two machines, and narrows a difference down to the instruction that makes it.

import { disassemble, disassembleCompressed } from "../../src/isa/riscv64/disassembler.ts";
import {
  type Block,
  BLOCK_SIZE,
  buildImage,
  type Image,
  type Item,
  type Program,
  STATE_SIZE,
  WINDOW_SIZE,
} from "./program.ts";
import { describeStates } from "./report.ts";

/** What became of a program on a machine. */
export interface Outcome {
  /** The program's data as it is when the program is about to write it out, or where it stopped. */
  readonly data: Uint8Array;
  /** Why it did not come to its end; undefined when it did. */
  readonly failure: string | undefined;
}

/** Runs an image on a machine, for about as many instructions at most. */
export type Runner = (image: Image, instructionLimit: number) => Outcome;

/** The machine that is right, and the one under test. */
export interface Pair {
  readonly reference: Runner;
  readonly tested: Runner;
}

/** Far more instructions than any block executes with its dump and its loops. */
const INSTRUCTIONS_PER_BLOCK = 1000;

function run(runner: Runner, program: Program): Outcome {
  return runner(buildImage(program), (program.blocks.length + 1) * INSTRUCTIONS_PER_BLOCK);
}

/** A report of the first difference between the two machines, or undefined when there is none. */
export function findDifference(program: Program, pair: Pair): string | undefined {
  const expected = run(pair.reference, program);
  if (expected.failure !== undefined) return `the reference fails: ${expected.failure}`;
  const ours = run(pair.tested, program);
  const index = program.blocks.findIndex((_, i) => !sameBlock(expected.data, ours.data, i));
  const block = program.blocks[index];
  if (block === undefined) return ours.failure;
  // The block by itself, from the state that the reference had before it.
  const before = index === 0 ? program.firstState : stateAfter(expected.data, index - 1);
  const alone = { ...program, firstState: before };
  for (let count = 1; count <= block.items.length; count++) {
    const report = reportPrefix(alone, block, count, pair);
    if (report !== undefined) return `block ${index}, item ${count - 1}\n${report}`;
  }
  const states = describeStates(before, stateAfter(expected.data, index), stateAfter(ours.data, index));
  const what = ours.failure ?? "it ends with another state";
  return `block ${index} differs, but not when it runs alone: ${what}\n${listItems(block.items)}\n${states}`;
}

/** Runs the first `count` items of a block; a report when their outcomes differ. */
function reportPrefix(program: Program, block: Block, count: number, pair: Pair): string | undefined {
  const prefix = (length: number): Program => ({
    ...program,
    blocks: [{ ...block, items: block.items.slice(0, length) }],
  });
  const expected = run(pair.reference, prefix(count)).data;
  const { data: ours, failure } = run(pair.tested, prefix(count));
  if (sameBlock(expected, ours, 0)) return undefined;
  const before = run(pair.reference, prefix(count - 1)).data;
  const rows = [
    failure ?? "it ends with another state",
    listItems(block.items.slice(count - 1, count)),
    describeStates(stateAfter(before, 0), stateAfter(expected, 0), stateAfter(ours, 0)),
  ];
  if (windowHex(expected) !== windowHex(ours)) {
    rows.push(
      `memory before ${windowHex(before)}`,
      `    expected ${windowHex(expected)}`,
      `        ours ${windowHex(ours)}`,
    );
  }
  return rows.join("\n");
}

function windowHex(data: Uint8Array): string {
  return Buffer.from(data.subarray(STATE_SIZE, STATE_SIZE + WINDOW_SIZE)).toString("hex");
}

function listItems(items: readonly Item[]): string {
  return items
    .flat()
    .map(({ bits, size }) => `    ${size === 2 ? disassembleCompressed(bits) : disassemble(bits)}`)
    .join("\n");
}

function blockStart(index: number): number {
  return STATE_SIZE + index * BLOCK_SIZE;
}

function sameBlock(a: Uint8Array, b: Uint8Array, index: number): boolean {
  const range = [blockStart(index), blockStart(index + 1)] as const;
  return Buffer.compare(a.subarray(...range), b.subarray(...range)) === 0;
}

function stateAfter(data: Uint8Array, index: number): Uint8Array {
  return data.slice(blockStart(index) + WINDOW_SIZE, blockStart(index + 1));
}
