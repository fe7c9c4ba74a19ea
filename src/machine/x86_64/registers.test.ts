/** RFLAGS as the lazy cells keep them, and partial registers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GPR, RFLAGS } from "../../isa/x86_64/registers.ts";
import { createMemory } from "../../wasm/engine.ts";
import { CELL } from "./layout.ts";
import { Registers } from "./registers.ts";

const BITS = [RFLAGS.CF, RFLAGS.PF, RFLAGS.AF, RFLAGS.ZF, RFLAGS.SF, RFLAGS.OF];

test("every combination of arithmetic flags comes back, those too that no arithmetic gives", () => {
  const registers = new Registers(createMemory(1), 0);
  for (let i = 0; i < 64; i++) {
    const flags = BITS.reduce((all, bit, n) => all | ((i >> n) & 1 ? bit : 0), 0);
    registers.setRflags(flags);
    assert.equal(registers.arithmeticFlags(), flags);
    assert.equal(registers.rflags, flags | RFLAGS.ONE);
  }
});

test("flags follow from a result and its carries", () => {
  const registers = new Registers(createMemory(1), 0);
  registers.setWords(CELL.flagResult, 0x80, -1);
  registers.setWords(CELL.flagCarries, 0x10, 0);
  registers.set(CELL.flagCarry, 1);
  assert.equal(registers.arithmeticFlags(), RFLAGS.CF | RFLAGS.AF | RFLAGS.SF | RFLAGS.OF);
  registers.setZeroFlag(true);
  assert.equal(registers.arithmeticFlags(), RFLAGS.CF | RFLAGS.AF | RFLAGS.SF | RFLAGS.OF | RFLAGS.ZF);
});

test("what RFLAGS cannot hold is dropped", () => {
  const registers = new Registers(createMemory(1), 0);
  registers.setRflags(-1);
  assert.equal(registers.rflags, 0x3f7fd7 & ~RFLAGS.RF & ~RFLAGS.VM);
});

test("4-byte writes clear the upper half, smaller ones keep the rest", () => {
  const registers = new Registers(createMemory(1), 0);
  const write = (size: number): string => {
    registers.setGpr(GPR.rbx, 0x11111111, 0x22222222);
    registers.writeGpr(GPR.rbx, size, 0x55667788, 0x33334444);
    return registers.gprHi(GPR.rbx).toString(16) + registers.gprLo(GPR.rbx).toString(16).padStart(8, "0");
  };
  assert.deepEqual([1, 2, 4, 8].map(write), ["2222222211111188", "2222222211117788", "055667788", "3333444455667788"]);
});
