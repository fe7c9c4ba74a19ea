// How a difference is told: the registers that changed or differ, before and after.

import { fRegisterName, xRegisterName } from "../../src/isa/riscv64/registers.ts";

/** A line for each register of a dump that the block changed, or on which the outcomes disagree (marked). */
export function describeStates(before: Uint8Array, expected: Uint8Array, ours: Uint8Array): string {
  return Array.from({ length: before.length / 8 }, (_, i) => i)
    .map((i) => ({ name: nameOf(i), before: word(before, i), expected: word(expected, i), ours: word(ours, i) }))
    .filter((row) => row.before !== row.expected || row.expected !== row.ours)
    .map(
      (row) =>
        `${row.expected === row.ours ? " " : "*"} ${row.name.padEnd(5)} ${row.before} -> expected ${row.expected} ours ${row.ours}`,
    )
    .join("\n");
}

function nameOf(index: number): string {
  if (index === 0) return "fcsr";
  return index < 32 ? xRegisterName(index) : fRegisterName(index - 32);
}

function word(state: Uint8Array, index: number): string {
  const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
  return view
    .getBigUint64(8 * index, true)
    .toString(16)
    .padStart(16, "0");
}
