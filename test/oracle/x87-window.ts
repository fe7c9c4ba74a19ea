// Executes a host case with the exact definitions.

import { ARITHMETIC_FLAGS } from "../../src/isa/x86_64/registers.ts";
import type { ExactOutcome } from "../../src/machine/x86_64/exact.ts";
import { CELL } from "../../src/machine/x86_64/layout.ts";
import {
  packEnvironment,
  packRegisters,
  unpackEnvironment,
  unpackRegisters,
} from "../../src/machine/x86_64/x87-state.ts";
import { TestHart } from "../../src/machine/x86_64/x87.test.support.ts";
import type { Form } from "./x87-forms.ts";
import { FIELD, HostCase, MEMORY_BYTES } from "./x87-host.ts";

const ENVIRONMENT_BYTES = 28;

const hart = new TestHart();

/** What a case leaves. */
export function execute(given: HostCase, form: Form): { result: HostCase; outcome: ExactOutcome } {
  const { registers, memory } = hart;
  const result = new HostCase(given.bytes.slice());
  const image = new DataView(result.bytes.buffer, FIELD.image, 112);
  unpackEnvironment(registers, image, 4);
  unpackRegisters(registers, image, ENVIRONMENT_BYTES);
  const rflags = given.view.getUint32(FIELD.rflags, true);
  registers.setArithmeticFlags(rflags & ARITHMETIC_FLAGS);
  registers.set(CELL.gpr, given.view.getInt32(FIELD.rax, true));
  memory.set(given.bytes.subarray(FIELD.memory, FIELD.memory + MEMORY_BYTES));
  const outcome = hart.executeDecoded(form.mnemonic, form.decoded, form.code);
  result.bytes.set(memory, FIELD.memory);
  packEnvironment(registers, image, 4);
  packRegisters(registers, image, ENVIRONMENT_BYTES);
  result.view.setUint32(FIELD.rflags, (rflags & ~ARITHMETIC_FLAGS) | registers.arithmeticFlags(), true);
  result.view.setInt32(FIELD.rax, registers.get(CELL.gpr), true);
  return { result, outcome };
}
