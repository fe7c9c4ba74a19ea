// A hart of nothing but x87 state, as exact definitions see it, loaded from and stored to a host case.

import { ARITHMETIC_FLAGS } from "../../src/isa/x86_64/registers.ts";
import type { ExactHart, ExactOutcome, ExactRegisters } from "../../src/machine/x86_64/exact.ts";
import { CELL } from "../../src/machine/x86_64/layout.ts";
import {
  packEnvironment,
  packRegisters,
  unpackEnvironment,
  unpackRegisters,
} from "../../src/machine/x86_64/x87-state.ts";
import { x87Access, x87Semantics } from "../../src/machine/x86_64/x87.ts";
import type { Form } from "./x87-forms.ts";
import { FIELD, HostCase } from "./x87-host.ts";

const WINDOW_BYTES = 4096;
const ENVIRONMENT_BYTES = 28;

class Window implements ExactRegisters {
  readonly words = new Int32Array(WINDOW_BYTES / 4);
  readonly bytes = new Uint8Array(this.words.buffer);
  flags = 0;

  get(cell: number): number {
    return this.words[cell >> 2] ?? 0;
  }
  set(cell: number, value: number): void {
    this.words[cell >> 2] = value;
  }
  setWords(cell: number, lo: number, hi: number): void {
    this.set(cell, lo);
    this.set(cell + 4, hi);
  }
  arithmeticFlags(): number {
    return this.flags;
  }
  setArithmeticFlags(flags: number): void {
    this.flags = flags;
  }
}

/** Executes a case, and gives what it leaves. */
export function execute(
  given: HostCase,
  { mnemonic, decoded, memoryBytes }: Form,
): { result: HostCase; outcome: ExactOutcome } {
  const window = new Window();
  const result = new HostCase(given.bytes.slice());
  const image = new DataView(result.bytes.buffer, FIELD.image, 112);
  unpackEnvironment(window, image, 4);
  unpackRegisters(window, image, ENVIRONMENT_BYTES);
  const rflags = given.view.getUint32(FIELD.rflags, true);
  window.flags = rflags & ARITHMETIC_FLAGS;
  window.set(CELL.gpr, given.view.getInt32(FIELD.rax, true));
  const memory = result.bytes.subarray(FIELD.memory);
  const access = memoryBytes === 0 ? "none" : x87Access(mnemonic);
  if (access === "read") window.bytes.set(memory.subarray(0, memoryBytes), CELL.operand);
  const hart: ExactHart = {
    registers: window,
    operandLo: 0,
    operandHi: 0,
    codeByte: (offset) => given.bytes[FIELD.code + offset] ?? 0,
    readMemory: (_, into) => (into.set(memory.subarray(0, into.length)), true),
    writeMemory: (_, from) => (memory.set(from), true),
  };
  const outcome = x87Semantics[mnemonic](hart, decoded);
  if (access === "write" && outcome === "done")
    memory.set(window.bytes.subarray(CELL.operand, CELL.operand + memoryBytes));
  packEnvironment(window, image, 4);
  packRegisters(window, image, ENVIRONMENT_BYTES);
  result.view.setUint32(FIELD.rflags, (rflags & ~ARITHMETIC_FLAGS) | window.flags, true);
  result.view.setInt32(FIELD.rax, window.get(CELL.gpr), true);
  return { result, outcome };
}
