/**
 * The operands of an instruction that the exact tier executes: the effective address of its memory operand, general registers, and the
 * stack. Intel SDM volume 1, 3.7 (operand addressing), 6.2 (stacks).
 */
import { NO_REGISTER, OPERAND, RIP, type Decoded, type DecodedOperand } from "../../isa/x86_64/decode-types.ts";
import { GPR, SEGMENT } from "../../isa/x86_64/registers.ts";
import type { AccessType } from "../hart.ts";
import type { MemoryAccess } from "./access.ts";
import type { ExactHart } from "./exact.ts";
import { CELL } from "./layout.ts";
import type { Registers } from "./registers.ts";

export class Operands implements ExactHart {
  readonly registers: Registers;
  private readonly access: MemoryAccess;
  /** Where the instruction's bytes are. */
  code: Uint8Array = new Uint8Array(16);
  codeAt = 0;
  /** What `read` gave, zero-extended. */
  valueLo = 0;
  valueHi = 0;
  /** Where the stack pointer leads in the machine's memory, while it is viewed; else -1. */
  private viewed = -1;

  constructor(registers: Registers, access: MemoryAccess) {
    this.registers = registers;
    this.access = access;
  }

  codeByte(offset: number): number {
    return this.code[this.codeAt + offset] ?? 0;
  }

  // --- Memory ------------------------------------------------------------------------------------------------------

  get operandLo(): number {
    return this.registers.get(CELL.stepAddress);
  }

  get operandHi(): number {
    return this.registers.get(CELL.stepAddress + 4);
  }

  /** Works out the effective address of the memory operand. CELL.nextPc is known already. */
  locate(decoded: Decoded): void {
    const { registers } = this;
    let lo = decoded.dispLo >>> 0;
    let hi = decoded.dispHi;
    const { base, index, scale, addressSize } = decoded;
    if (base !== NO_REGISTER) {
      const cell = base === RIP ? CELL.nextPc : CELL.gpr + base * 8;
      lo += registers.get(cell) >>> 0;
      hi += registers.get(cell + 4);
    }
    if (index !== NO_REGISTER) {
      const indexLo = registers.gprLo(index);
      lo += (indexLo << scale) >>> 0;
      hi += scale === 0 ? registers.gprHi(index) : (registers.gprHi(index) << scale) | (indexLo >>> (32 - scale));
    }
    hi += Math.floor(lo / 0x1_0000_0000);
    if (addressSize === 8) registers.setWords(CELL.stepAddress, lo | 0, hi | 0);
    else registers.setWords(CELL.stepAddress, addressSize === 4 ? lo | 0 : lo & 0xffff, 0);
  }

  /** The linear address of `size` bytes at an offset from the memory operand, in `access`; false notes a fault. */
  linear(decoded: Decoded, offset: number, size: number, access: AccessType): boolean {
    const { registers } = this;
    let lo = registers.get(CELL.stepAddress);
    let hi = registers.get(CELL.stepAddress + 4);
    if (offset !== 0) {
      const sum = (lo >>> 0) + offset;
      lo = sum | 0;
      if (decoded.addressSize === 8 && sum > 0xffffffff) hi = (hi + 1) | 0;
    }
    return this.access.linear(decoded.segment, lo, hi, size, access);
  }

  readMemory(decoded: Decoded, into: Uint8Array): boolean {
    const { access } = this;
    this.locate(decoded);
    return this.linear(decoded, 0, into.length, "load") && access.readBytes(access.linearLo, access.linearHi, into);
  }

  writeMemory(decoded: Decoded, from: Uint8Array): boolean {
    const { access } = this;
    this.locate(decoded);
    return this.linear(decoded, 0, from.length, "store") && access.writeBytes(access.linearLo, access.linearHi, from);
  }

  /** Reads 1 to 8 bytes at an offset from the memory operand into `valueLo` and `valueHi`. */
  load(decoded: Decoded, offset: number, size: number): boolean {
    const { access } = this;
    if (!this.linear(decoded, offset, size, "load")) return false;
    if (!access.load(size, access.linearLo, access.linearHi)) return false;
    this.takeStepValue();
    return true;
  }

  private takeStepValue(): void {
    this.valueLo = this.registers.get(CELL.stepValue);
    this.valueHi = this.registers.get(CELL.stepValue + 4);
  }

  // --- Any operand -------------------------------------------------------------------------------------------------

  /** Reads operand n, a general register, memory or an immediate; false notes a fault. */
  read(decoded: Decoded, n: 0 | 1 | 2): boolean {
    const operand = decoded.operands[n];
    switch (operand.kind) {
      case OPERAND.memory:
      case OPERAND.absolute:
        return this.load(decoded, 0, operand.size);
      case OPERAND.immediate:
        this.valueLo = decoded.immLo;
        this.valueHi = decoded.immHi;
        return true;
      default:
        this.readRegister(operand);
        return true;
    }
  }

  private readRegister({ register, size }: DecodedOperand): void {
    const { registers } = this;
    const lo = registers.gprLo(register);
    this.valueLo = size === 1 ? lo & 0xff : size === 2 ? lo & 0xffff : lo;
    this.valueHi = size === 8 ? registers.gprHi(register) : 0;
  }

  /** Writes the low bytes of a value to operand n, a general register or memory; false notes a fault. */
  write(decoded: Decoded, n: 0 | 1 | 2, lo: number, hi: number): boolean {
    const { registers, access } = this;
    const { kind, register, size } = decoded.operands[n];
    if (kind !== OPERAND.memory) {
      registers.writeGpr(register, size, lo, hi);
      return true;
    }
    if (!this.linear(decoded, 0, size, "store")) return false;
    registers.setWords(CELL.stepValue, lo, hi);
    return access.store(size, access.linearLo, access.linearHi);
  }

  // --- The stack ---------------------------------------------------------------------------------------------------

  /** Reads a stack slot that is `offset` bytes above the stack pointer into `valueLo` and `valueHi`; false notes a fault. */
  readStack(offset: number, size: number): boolean {
    const { viewed } = this;
    if (viewed >= 0 && size === 8) {
      this.valueLo = this.registers.words[(viewed + offset) >> 2] ?? 0;
      this.valueHi = this.registers.words[(viewed + offset + 4) >> 2] ?? 0;
      return true;
    }
    if (!this.locateStack(offset, size, "load")) return false;
    const { access } = this;
    if (!access.load(size, access.linearLo, access.linearHi)) return false;
    this.takeStepValue();
    return true;
  }

  /** Writes a stack slot, mostly one below the stack pointer. */
  writeStack(offset: number, size: number, lo: number, hi: number): boolean {
    if (!this.locateStack(offset, size, "store")) return false;
    const { access, registers } = this;
    registers.setWords(CELL.stepValue, lo, hi);
    return access.store(size, access.linearLo, access.linearHi);
  }

  /**
   * Until `endView` slots of 8 bytes among the first `size` above the stack pointer are read without translation, if they lie in one page
   * that has one, and nothing else looks at accesses.
   */
  viewStack(size: number): void {
    const { registers, access } = this;
    const isPlain = registers.codeMode === 64 && !access.isChecked && (registers.rspLo & 7) === 0;
    this.viewed = isPlain ? access.findBytes("load", registers.rspLo, registers.rspHi, size) : -1;
  }

  endView(): void {
    this.viewed = -1;
  }

  private locateStack(offset: number, size: number, access: AccessType): boolean {
    const { registers } = this;
    const sum = (registers.rspLo >>> 0) + offset;
    const { stackSize } = registers;
    const lo = stackSize === 2 ? sum & 0xffff : sum | 0;
    const hi = stackSize === 8 ? registers.rspHi + Math.floor(sum / 0x1_0000_0000) : 0;
    return this.access.linear(SEGMENT.ss, lo, hi | 0, size, access);
  }

  moveStack(bytes: number): void {
    const { registers } = this;
    const sum = (registers.rspLo >>> 0) + bytes;
    const { stackSize } = registers;
    if (stackSize === 8) registers.setGpr(GPR.rsp, sum | 0, (registers.rspHi + Math.floor(sum / 0x1_0000_0000)) | 0);
    else registers.writeGpr(GPR.rsp, stackSize, sum | 0, 0);
  }

  push(size: number, lo: number, hi: number): boolean {
    if (!this.writeStack(-size, size, lo, hi)) return false;
    this.moveStack(-size);
    return true;
  }
}
