/**
 * The exact tier's instruction fetch: up to 15 bytes from the pc on, which may lie in two pages, and the instruction that they are.
 * Intel SDM volume 2, 2.3.11 (length); volume 3, 5.3 (limits).
 */
import { OPERAND, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { decode, MAX_INSTRUCTION_LENGTH } from "../../isa/x86_64/decode.ts";
import { INSTRUCTIONS } from "../../isa/x86_64/instructions.ts";
import { SEGMENT } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import type { BusWord } from "../bus.ts";
import { addWords, type AccessMachine, type MemoryAccess } from "./access.ts";
import { CELL, segmentBase, segmentLimit } from "./layout.ts";
import { isCanonical } from "./mmu.ts";
import type { Operands } from "./operands.ts";
import type { Registers } from "./registers.ts";

const SYSTEM_CALLS: ReadonlySet<string> = new Set(["syscall", "sysret", "sysenter", "sysexit"]);
const isSystemCall: readonly boolean[] = INSTRUCTIONS.map(({ mnemonic }) => SYSTEM_CALLS.has(mnemonic));
const isCall: readonly boolean[] = INSTRUCTIONS.map(({ mnemonic }) => mnemonic === "call");
const isReturn: readonly boolean[] = INSTRUCTIONS.map(({ mnemonic }) => mnemonic === "ret");

export class InstructionFetch {
  private readonly machine: AccessMachine;
  private readonly registers: Registers;
  private readonly access: MemoryAccess;
  private readonly operands: Operands;
  /** Bytes that are not in RAM one after the other. */
  private readonly gathered = new Uint8Array(16);
  private readonly word: BusWord = { lo: 0, hi: 0 };

  constructor(machine: AccessMachine, registers: Registers, access: MemoryAccess, operands: Operands) {
    this.machine = machine;
    this.registers = registers;
    this.access = access;
    this.operands = operands;
  }

  /** Fetches and decodes the instruction at the pc, and sets CELL.nextPc; false if that faults, which is noted. */
  next(decoded: Decoded): boolean {
    const { registers, access } = this;
    const mode = registers.codeMode;
    let lo = registers.pcLo;
    const hi = registers.pcHi;
    let within = MAX_INSTRUCTION_LENGTH;
    if (mode === 64) {
      if (!isCanonical(hi)) return access.fail(VECTOR.GP);
    } else {
      within = (registers.get(segmentLimit(SEGMENT.cs)) >>> 0) - (lo >>> 0) + 1;
      if (within <= 0) return access.fail(VECTOR.GP);
      lo = (lo + registers.get(segmentBase(SEGMENT.cs))) | 0;
    }
    const physical = access.translate("execute", lo, hi);
    if (physical < 0) return false;
    const first = Math.min(MAX_INSTRUCTION_LENGTH, 4096 - (lo & 4095));
    this.point(physical, first);
    const { operands } = this;
    let result = decode(operands.code, operands.codeAt, first, mode, decoded);
    if (result === "truncated" && first < MAX_INSTRUCTION_LENGTH) {
      const rest = addWords(lo, hi, first);
      const second = access.translate("execute", rest.lo, mode === 64 ? rest.hi : 0);
      if (second < 0) return false;
      this.gather(physical, first, second);
      result = decode(operands.code, operands.codeAt, MAX_INSTRUCTION_LENGTH, mode, decoded);
    }
    if (result !== "ok") return access.fail(result === "undefined" ? VECTOR.UD : VECTOR.GP);
    if (decoded.length > within) return access.fail(VECTOR.GP);
    const next = addWords(registers.pcLo, hi, decoded.length);
    registers.setWords(CELL.nextPc, next.lo, mode === 64 ? next.hi : 0);
    return true;
  }

  /** Has the operands' code be the bytes at an address: where they are, if that is RAM. */
  private point(physical: number, count: number): void {
    const { operands, registers } = this;
    const { ram } = this.machine;
    if (ram.contains(physical, count)) {
      operands.code = registers.bytes;
      operands.codeAt = ram.host + (physical - ram.base);
      return;
    }
    this.gather(physical, count, 0);
  }

  private gather(physical: number, first: number, second: number): void {
    const { operands, gathered } = this;
    for (let i = 0; i < MAX_INSTRUCTION_LENGTH; i++) {
      gathered[i] = this.readByte(i < first ? physical + i : second + i - first);
    }
    operands.code = gathered;
    operands.codeAt = 0;
  }

  private readByte(physical: number): number {
    const { ram, bus } = this.machine;
    if (ram.contains(physical, 1)) return ram.read8(physical);
    return bus.load(physical, 1, this.word) ? this.word.lo : 0xff;
  }

  /** Whether a control transfer goes to where a register or memory says. */
  isIndirect(decoded: Decoded): boolean {
    return decoded.operandCount === 0 || decoded.operands[0].kind !== OPERAND.relative;
  }

  /** By how much a near call or return moves the stack pointer. */
  stackMovementOf(decoded: Decoded): number {
    if (isCall[decoded.id] === true) return -decoded.operandSize;
    if (isReturn[decoded.id] === true)
      return decoded.operandSize + (decoded.operandCount > 0 ? decoded.immLo & 0xffff : 0);
    return 0;
  }

  /** A system call or the return from one: traced as RFLAGS.TF is after it. */
  isSystemCall(decoded: Decoded): boolean {
    return isSystemCall[decoded.id] === true;
  }
}
