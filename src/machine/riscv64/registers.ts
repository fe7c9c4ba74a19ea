/**
 * A hart's registers: typed access to its window, which is at address 0 while the hart runs and at its saved place otherwise.
 * All of a hart's architectural state is in the window; nothing of it is anywhere else.
 */
import { highHalf, toNumber } from "../../lib/word64.ts";
import type { WasmMemory } from "../../wasm/engine.ts";
import type { ExactRegisters } from "./exact.ts";
import type { Privilege } from "./hart.ts";
import { CELL } from "./layout.ts";

const FS_DIRTY = 3 << 13;

export class Registers implements ExactRegisters {
  readonly words: Int32Array;
  private readonly doubles: Float64Array;
  /** Byte address of the window. */
  base: number;

  constructor(memory: WasmMemory, base: number) {
    this.words = new Int32Array(memory.buffer);
    this.doubles = new Float64Array(memory.buffer);
    this.base = base;
  }

  /** One 32-bit cell. Cells are 4-byte aligned, so the words are always there. */
  get(cell: number): number {
    return this.words[(this.base + cell) >> 2] ?? 0;
  }

  set(cell: number, value: number): void {
    this.words[(this.base + cell) >> 2] = value;
  }

  setWords(cell: number, lo: number, hi: number): void {
    const index = (this.base + cell) >> 2;
    this.words[index] = lo;
    this.words[index + 1] = hi;
  }

  getDouble(cell: number): number {
    return this.doubles[(this.base + cell) >> 3] ?? 0;
  }

  setDouble(cell: number, value: number): void {
    this.doubles[(this.base + cell) >> 3] = value;
  }

  xLo(register: number): number {
    return this.get(CELL.x + register * 8);
  }

  xHi(register: number): number {
    return this.get(CELL.x + register * 8 + 4);
  }

  setX(register: number, lo: number, hi: number): void {
    if (register !== 0) this.setWords(CELL.x + register * 8, lo, hi);
  }

  fLo(register: number): number {
    return this.get(CELL.f + register * 8);
  }

  fHi(register: number): number {
    return this.get(CELL.f + register * 8 + 4);
  }

  setF(register: number, lo: number, hi: number): void {
    this.setWords(CELL.f + register * 8, lo, hi);
  }

  get frm(): number {
    return this.get(CELL.frm);
  }

  raiseFlags(flags: number): void {
    this.set(CELL.fflags, this.get(CELL.fflags) | flags);
  }

  get pcLo(): number {
    return this.get(CELL.pc);
  }

  get pcHi(): number {
    return this.get(CELL.pc + 4);
  }

  get pc(): number {
    return toNumber(this.pcHi, this.pcLo);
  }

  set pc(address: number) {
    this.setWords(CELL.pc, address | 0, highHalf(address));
  }

  get privilege(): Privilege {
    const privilege = this.get(CELL.privilege);
    return privilege === 0 || privilege === 1 ? privilege : 3;
  }

  get fuel(): number {
    return this.get(CELL.fuel);
  }

  /** Instructions retired since reset. */
  get retired(): number {
    return this.getDouble(CELL.retiredLimit) - this.get(CELL.fuel);
  }

  /** The hart's own time: what it has retired, and how long it has waited. */
  get timeNs(): number {
    return this.retired + this.getDouble(CELL.idleNs);
  }

  /** Lets the hart retire `count` more instructions, whatever it had left. */
  setFuel(count: number): void {
    this.setDouble(CELL.retiredLimit, this.retired + count);
    this.set(CELL.fuel, count);
  }

  /** Counts one instruction that the host executed. */
  retire(): void {
    this.set(CELL.fuel, this.get(CELL.fuel) - 1);
  }

  /** Brings the cells that the interpreter tests in line with mstatus.FS and frm. */
  refreshFloat(): void {
    const ready = (this.get(CELL.mstatus) & FS_DIRTY) === FS_DIRTY;
    this.set(CELL.floatReady, ready ? 1 : 0);
    this.set(CELL.floatNearest, ready && this.get(CELL.frm) === 0 ? 1 : 0);
  }
}
