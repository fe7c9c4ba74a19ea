/** A hart of nothing but registers and one memory operand, as exact definitions see it. */
import { type Decoded, newDecoded } from "../../isa/x86_64/decode-types.ts";
import { decode } from "../../isa/x86_64/decode.ts";
import { instructionOf } from "../../isa/x86_64/instructions.ts";
import { createMemory } from "../../wasm/engine.ts";
import type { ExactHart, ExactOutcome } from "./exact.ts";
import { CELL } from "./layout.ts";
import { Registers } from "./registers.ts";
import { initialize } from "./x87-state.ts";
import { x87Access, type X87Mnemonic, x87Semantics } from "./x87.ts";

const MAX_OPERAND = 128;

export class TestHart implements ExactHart {
  readonly registers = new Registers(createMemory(1), 0);
  /** The bytes at the memory operand. */
  readonly memory = new Uint8Array(MAX_OPERAND);
  operandLo = 0;
  operandHi = 0;
  /** Whether images fault. */
  isFaulting = false;
  private code: readonly number[] = [];

  constructor() {
    initialize(this.registers);
  }

  codeByte(offset: number): number {
    return this.code[offset] ?? 0;
  }

  readMemory(_: Decoded, into: Uint8Array): boolean {
    if (!this.isFaulting) into.set(this.memory.subarray(0, into.length));
    return !this.isFaulting;
  }

  writeMemory(_: Decoded, from: Uint8Array): boolean {
    if (!this.isFaulting) this.memory.set(from);
    return !this.isFaulting;
  }

  /** Executes an instruction of 64-bit mode, as a hart core does; its memory operand is `memory`, whatever its address. */
  execute(...code: readonly number[]): ExactOutcome {
    this.code = code;
    const decoded = newDecoded();
    const result = decode(Uint8Array.from(code), 0, code.length, 64, decoded);
    if (result !== "ok") throw new Error(`${result}: ${code.join(" ")}`);
    return this.executeDecoded(instructionOf(decoded.id).mnemonic as X87Mnemonic, decoded, code);
  }

  executeDecoded(mnemonic: X87Mnemonic, decoded: Decoded, code: readonly number[]): ExactOutcome {
    this.code = code;
    const size = decoded.base >= 0 ? decoded.operands[0].size : 0;
    const access = x87Access(mnemonic);
    const window = this.registers.bytes.subarray(CELL.operand, CELL.operand + 16);
    if (size > 0 && access === "read") window.set(this.memory.subarray(0, size));
    const outcome = x87Semantics[mnemonic](this, decoded);
    if (size > 0 && access === "write" && outcome === "done") this.memory.set(window.subarray(0, size));
    return outcome;
  }
}
