/**
 * The public riscv-tests, on each tier. They are not part of this repository: build them elsewhere, and name the folder of
 * ELF files in VITRINE_RISCV_TESTS. Without it the test reports a skip.
 *
 * A test program reports through the symbol `tohost`: 1 is success, an odd number n is failure of its case n >> 1.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readI64, readU32 } from "../../src/lib/bytes.ts";
import { createMachine } from "../../src/machine/create-machine.ts";
import type { MachineOptions } from "../../src/machine/machine.ts";
import { riscv64Processor } from "../../src/machine/riscv64/engine.ts";
import { loadElf } from "../support/elf.ts";

const folder = process.env["VITRINE_RISCV_TESTS"];
const BASE = 0x8000_0000;
const SIZE = 4 << 20;
const SLICE = 20_000;
const LIMIT = 4_000_000;

/**
 * Programs that fail for a reason that is not the machine's, with the reason.
 */
const EXPLAINED: Readonly<Record<string, string>> = {};

/** Translates whatever is seen once. */
const HOT = { pause: 100, samples: 8, quantum: 10, threshold: 1 };

if (folder === undefined) {
  test("riscv-tests", { skip: "VITRINE_RISCV_TESTS names no folder" }, () => undefined);
} else {
  const names = readdirSync(folder).filter((name) => /^rv64\w+-[pv]-\w+$/.test(name));
  for (const name of names) {
    const path = join(folder, name);
    const skip = EXPLAINED[name] ?? false;
    test(`${name} (interpreter)`, { skip }, () => runProgram(path, { tier: "run" }));
    test(`${name} (exact tier)`, { skip }, () => runProgram(path, { tier: "step" }));
    test(`${name} (regions)`, { skip }, () => runProgram(path, { tier: "run", hotness: HOT }));
  }
}

function runProgram(path: string, options: Pick<MachineOptions, "tier" | "hotness">): void {
  const file = readFileSync(path);
  const machine = createMachine({ processor: riscv64Processor, ramBase: BASE, ramSize: SIZE, harts: 1, ...options });
  loadElf(machine.memory, file);
  const tohost = findSymbol(file, "tohost");
  assert.ok(tohost !== undefined, "no symbol tohost");
  for (let count = 0; count < LIMIT; count += SLICE) {
    machine.run({ instructions: SLICE });
    const result = machine.memory.read32(tohost);
    if (result === 0) continue;
    assert.equal(result, 1, `case ${result >> 1} failed`);
    return;
  }
  const hart = machine.harts[0];
  assert.fail(`no result after ${LIMIT} instructions; pc ${hart?.pc.toString(16)}`);
}

/** The value of a symbol of an ELF file: section headers at e_shoff, the symbol table of type 2, its strings by sh_link. */
function findSymbol(file: Uint8Array, name: string): number | undefined {
  const sections = readI64(file, 40);
  const count = readU32(file, 60) & 0xffff;
  for (let i = 0; i < count; i++) {
    const section = sections + i * 64;
    if (readU32(file, section + 4) !== 2) continue;
    const strings = readI64(file, sections + readU32(file, section + 40) * 64 + 24);
    const start = readI64(file, section + 24);
    const end = start + readI64(file, section + 32);
    for (let symbol = start; symbol < end; symbol += 24) {
      const from = strings + readU32(file, symbol);
      const text = Buffer.from(file.subarray(from, file.indexOf(0, from))).toString("latin1");
      if (text === name) return readI64(file, symbol + 8);
    }
  }
  return undefined;
}
