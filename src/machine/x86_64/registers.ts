/**
 * A hart's registers: typed access to its window, which is at address 0 while the hart runs and at its saved place otherwise.
 * All of a hart's architectural state is in the window; nothing of it is anywhere else.
 *
 * RFLAGS has no cell of its own: the arithmetic flags are kept as what they are made of, the others in `systemFlags` (layout.ts).
 * Intel SDM volume 1, 3.4 (registers, RFLAGS).
 */
import { ARITHMETIC_FLAGS, CR0, CR4, GPR, MXCSR, RFLAGS, SEGMENT } from "../../isa/x86_64/registers.ts";
import { ATTRIBUTE } from "../../isa/x86_64/segments.ts";
import { highHalf, toNumber, type Word64 } from "../../lib/word64.ts";
import type { WasmMemory } from "../../wasm/engine.ts";
import type { ExactRegisters } from "./exact.ts";
import type { SegmentState } from "./hart.ts";
import { HartWindow } from "../engine/window.ts";
import { CELL, segmentAttributes, segmentBase, segmentLimit, segmentSelector } from "./layout.ts";

const TWO_32 = 4294967296;
/** Bits of CELL.flagCarry. */
const FLIP_SF = 2;
const FLIP_PF = 4;
/** Flags that are in `systemFlags`, and may be set there. RF is never: see `setRflags`. */
const SYSTEM_FLAGS =
  RFLAGS.TF | RFLAGS.IF | RFLAGS.DF | RFLAGS.IOPL | RFLAGS.NT | RFLAGS.AC | RFLAGS.VIF | RFLAGS.VIP | RFLAGS.ID;
/** Everything of MXCSR that rounding and exceptions depend on; its sticky flags do not matter. */
const MXCSR_MODES = 0xffff & ~MXCSR.FLAGS;

export class Registers extends HartWindow implements ExactRegisters {
  readonly bytes: Uint8Array;
  private readonly halves: Uint16Array;

  constructor(memory: WasmMemory, base: number) {
    super(memory, base, { fuel: CELL.fuel, retiredLimit: CELL.retiredLimit, idleNs: CELL.idleNs, pc: CELL.pc });
    this.bytes = new Uint8Array(memory.buffer);
    this.halves = new Uint16Array(memory.buffer);
  }

  word(cell: number): Word64 {
    return { hi: this.get(cell + 4), lo: this.get(cell) };
  }

  // --- General-purpose registers -----------------------------------------------------------------------------------

  gprLo(register: number): number {
    return this.get(CELL.gpr + register * 8);
  }

  gprHi(register: number): number {
    return this.get(CELL.gpr + register * 8 + 4);
  }

  /** Signed, exact below 2^53. */
  gpr(register: number): number {
    return toNumber(this.gprHi(register), this.gprLo(register));
  }

  setGpr(register: number, lo: number, hi: number): void {
    this.setWords(CELL.gpr + register * 8, lo, hi);
  }

  setGprNumber(register: number, value: number): void {
    this.setGpr(register, value | 0, highHalf(value));
  }

  /**
   * Writes the low `size` bytes of a register as instructions do: 4 bytes clear the upper half, 1 and 2 leave the rest. Bytes are
   * those at the bottom.
   */
  writeGpr(register: number, size: number, lo: number, hi: number): void {
    const address = this.base + CELL.gpr + register * 8;
    switch (size) {
      case 1:
        this.bytes[address] = lo;
        break;
      case 2:
        this.halves[address >> 1] = lo;
        break;
      case 4:
        this.setGpr(register, lo, 0);
        break;
      default:
        this.setGpr(register, lo, hi);
    }
  }

  // --- RFLAGS ------------------------------------------------------------------------------------------------------

  arithmeticFlags(): number {
    const resultLo = this.get(CELL.flagResult);
    const resultHi = this.get(CELL.flagResult + 4);
    const carry = this.get(CELL.flagCarry);
    let parity = resultLo & 0xff;
    parity ^= parity >> 4;
    const isEven = ((0x9669 >> (parity & 15)) & 1) !== 0;
    let flags = carry & RFLAGS.CF;
    if (isEven !== ((carry & FLIP_PF) !== 0)) flags |= RFLAGS.PF;
    flags |= this.get(CELL.flagCarries) & RFLAGS.AF;
    if ((resultLo | resultHi) === 0) flags |= RFLAGS.ZF;
    if (resultHi < 0 !== ((carry & FLIP_SF) !== 0)) flags |= RFLAGS.SF;
    if (this.get(CELL.flagCarries + 4) < 0 !== ((carry & 1) !== 0)) flags |= RFLAGS.OF;
    return flags;
  }

  setArithmeticFlags(flags: number): void {
    const isCarry = (flags & RFLAGS.CF) !== 0;
    const isZero = (flags & RFLAGS.ZF) !== 0;
    const isNegative = (flags & RFLAGS.SF) !== 0;
    const isEven = (flags & RFLAGS.PF) !== 0;
    let carry = isCarry ? 1 : 0;
    // A result of 0 is neither negative nor of odd parity: what contradicts that is flipped.
    if (isZero) {
      carry |= (isNegative ? FLIP_SF : 0) | (isEven ? 0 : FLIP_PF);
      this.setWords(CELL.flagResult, 0, 0);
    } else {
      this.setWords(CELL.flagResult, isEven ? 3 : 1, isNegative ? -1 : 0);
    }
    const isOverflow = (flags & RFLAGS.OF) !== 0;
    this.setWords(CELL.flagCarries, flags & RFLAGS.AF, isOverflow === isCarry ? 0 : -1);
    this.set(CELL.flagCarry, carry);
  }

  get rflags(): number {
    return this.arithmeticFlags() | this.get(CELL.systemFlags);
  }

  /**
   * Sets all of RFLAGS but RF, which ends with the next instruction and is kept only where there are breakpoints (breakpoints.ts).
   */
  setRflags(value: number): void {
    this.setArithmeticFlags(value);
    this.set(CELL.systemFlags, (value & SYSTEM_FLAGS) | RFLAGS.ONE);
  }

  hasFlag(flag: number): boolean {
    return (this.get(CELL.systemFlags) & flag) !== 0;
  }

  /** Changes flags that are not arithmetic. */
  setFlag(flag: number, isSet: boolean): void {
    const flags = this.get(CELL.systemFlags);
    this.set(CELL.systemFlags, isSet ? flags | flag : flags & ~flag);
  }

  setZeroFlag(isZero: boolean): void {
    const others = this.arithmeticFlags() & ARITHMETIC_FLAGS & ~RFLAGS.ZF;
    this.setArithmeticFlags(isZero ? others | RFLAGS.ZF : others);
  }

  get iopl(): number {
    return (this.get(CELL.systemFlags) & RFLAGS.IOPL) >> 12;
  }

  // --- Where the hart is -------------------------------------------------------------------------------------------

  get cpl(): number {
    return this.get(CELL.cpl);
  }

  get codeMode(): 64 | 32 | 16 {
    const mode = this.get(CELL.codeMode);
    return mode === 64 || mode === 16 ? mode : 32;
  }

  // --- Segments ----------------------------------------------------------------------------------------------------

  segment(number: number): SegmentState {
    return {
      selector: this.get(segmentSelector(number)),
      base: this.word(segmentBase(number)),
      limit: this.get(segmentLimit(number)) >>> 0,
      attributes: this.get(segmentAttributes(number)),
    };
  }

  /** Only the register; what follows from it is `HartCore`'s. */
  setSegment(number: number, state: SegmentState): void {
    this.setWords(segmentBase(number), state.base.lo, state.base.hi);
    this.set(segmentLimit(number), state.limit | 0);
    this.set(segmentAttributes(number), state.attributes);
    this.set(segmentSelector(number), state.selector);
  }

  /** Bytes of a stack slot by default, and which part of rsp is the stack pointer: 8, or in 32-bit code what ss says. */
  get stackSize(): 8 | 4 | 2 {
    if (this.codeMode === 64) return 8;
    return (this.get(segmentAttributes(SEGMENT.ss)) & ATTRIBUTE.DB) !== 0 ? 4 : 2;
  }

  get rspLo(): number {
    return this.gprLo(GPR.rsp);
  }

  get rspHi(): number {
    return this.gprHi(GPR.rsp);
  }

  // --- Time --------------------------------------------------------------------------------------------------------

  /** The time-stamp counter: a nanosecond is a tick. */
  get tsc(): Word64 {
    const time = this.timeNs;
    const sum = (this.get(CELL.tscOffset) >>> 0) + (time % TWO_32);
    const carry = sum >= TWO_32 ? 1 : 0;
    return { hi: (this.get(CELL.tscOffset + 4) + Math.floor(time / TWO_32) + carry) | 0, lo: sum | 0 };
  }

  // --- What follows from control registers -------------------------------------------------------------------------

  /** Brings the cells that the interpreter tests in line with CR0, CR4 and MXCSR. */
  refreshFloat(): void {
    const isReady = (this.get(CELL.cr0) & (CR0.EM | CR0.TS)) === 0 && (this.get(CELL.cr4) & CR4.OSFXSR) !== 0;
    const isNearest = (this.get(CELL.mxcsr) & MXCSR_MODES) === MXCSR.RESET;
    this.set(CELL.sseReady, isReady ? 1 : 0);
    this.set(CELL.sseNearest, isReady && isNearest ? 1 : 0);
  }
}
