// Runs one program on qemu and on our machine, and narrows a difference down to the instruction that makes it.

import { disassemble, disassembleCompressed } from "../../src/isa/riscv64/disassembler.ts";
import { runOnOurMachine, type Tier } from "./our-machine.ts";
import { type Block, BLOCK_SIZE, buildImage, type Item, type Program, STATE_SIZE, WINDOW_SIZE } from "./program.ts";
import { runUnderQemu } from "./qemu.ts";
import { describeStates } from "./report.ts";

/** The two outcomes of a program. */
interface Outcomes {
  readonly qemu: Uint8Array;
  readonly ours: Uint8Array;
  /** Why our machine did not come to the end. */
  readonly failure: string | undefined;
}

/** Far more instructions than any block executes with its dump and its loops. */
const INSTRUCTIONS_PER_BLOCK = 1000;

function runBoth(program: Program, tier: Tier): Outcomes {
  const image = buildImage(program);
  const { data, failure } = runOnOurMachine(image, tier, (program.blocks.length + 1) * INSTRUCTIONS_PER_BLOCK);
  return { qemu: runUnderQemu(image), ours: data, failure };
}

/** A report of the first difference between qemu and our machine, or undefined when there is none. */
export function findDifference(program: Program, tier: Tier): string | undefined {
  const { qemu, ours, failure } = runBoth(program, tier);
  const index = program.blocks.findIndex((_, i) => !sameBlock(qemu, ours, i));
  const block = program.blocks[index];
  if (block === undefined) return failure;
  // The block by itself, from the state that qemu had before it.
  const before = index === 0 ? program.firstState : stateAfter(qemu, index - 1);
  const alone = { ...program, firstState: before };
  for (let count = 1; count <= block.items.length; count++) {
    const report = reportPrefix(alone, block, count, tier);
    if (report !== undefined) return `block ${index}, item ${count - 1}\n${report}`;
  }
  const states = describeStates(before, stateAfter(qemu, index), stateAfter(ours, index));
  const what = failure ?? "it ends with another state";
  return `block ${index} differs, but not when it runs alone: ${what}\n${listItems(block.items)}\n${states}`;
}

/** Runs the first `count` items of a block; a report when their outcomes differ. */
function reportPrefix(program: Program, block: Block, count: number, tier: Tier): string | undefined {
  const prefix = (length: number): Program => ({
    ...program,
    blocks: [{ ...block, items: block.items.slice(0, length) }],
  });
  const { qemu, ours, failure } = runBoth(prefix(count), tier);
  if (sameBlock(qemu, ours, 0)) return undefined;
  const before = runUnderQemu(buildImage(prefix(count - 1)));
  const rows = [
    failure ?? "it ends with another state",
    listItems(block.items.slice(count - 1, count)),
    describeStates(stateAfter(before, 0), stateAfter(qemu, 0), stateAfter(ours, 0)),
  ];
  if (windowHex(qemu) !== windowHex(ours)) {
    rows.push(
      `memory before ${windowHex(before)}`,
      `         qemu ${windowHex(qemu)}`,
      `         ours ${windowHex(ours)}`,
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
