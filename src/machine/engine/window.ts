/**
 * Typed access to a hart's window, which is at address 0 while the hart runs and at its saved place otherwise (layout.ts); and the
 * hart's time, which is counted in it.
 *
 *     retired = retiredLimit - fuel        generated code only ever counts fuel down
 *     timeNs  = retired + idleNs
 */
import { highHalf, toNumber } from "../../lib/word64.ts";
import type { WasmMemory } from "../../wasm/engine.ts";

/** Where an architecture's windows have what the machine itself counts and sets: an int32, two doubles, 64 bits. */
export interface WindowCells {
  readonly fuel: number;
  readonly retiredLimit: number;
  readonly idleNs: number;
  readonly pc: number;
}

export class HartWindow {
  readonly words: Int32Array;
  private readonly doubles: Float64Array;
  private readonly cells: WindowCells;
  /** Byte address of the window. */
  base: number;

  constructor(memory: WasmMemory, base: number, cells: WindowCells) {
    this.words = new Int32Array(memory.buffer);
    this.doubles = new Float64Array(memory.buffer);
    this.base = base;
    this.cells = cells;
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

  get pcLo(): number {
    return this.get(this.cells.pc);
  }

  get pcHi(): number {
    return this.get(this.cells.pc + 4);
  }

  get pc(): number {
    return toNumber(this.pcHi, this.pcLo);
  }

  set pc(address: number) {
    this.setWords(this.cells.pc, address | 0, highHalf(address));
  }

  get fuel(): number {
    return this.get(this.cells.fuel);
  }

  /** Instructions retired since reset. */
  get retired(): number {
    return this.getDouble(this.cells.retiredLimit) - this.get(this.cells.fuel);
  }

  /** The hart's own time: what it has retired, and how long it has waited. */
  get timeNs(): number {
    return this.retired + this.getDouble(this.cells.idleNs);
  }

  /** Lets the hart retire `count` more instructions, whatever it had left. */
  setFuel(count: number): void {
    this.setDouble(this.cells.retiredLimit, this.retired + count);
    this.set(this.cells.fuel, count);
  }

  /** Counts one instruction that the host executed. */
  retire(): void {
    this.set(this.cells.fuel, this.fuel - 1);
  }

  /** Takes one back. */
  unretire(): void {
    this.set(this.cells.fuel, this.fuel + 1);
  }

  /** Lets time pass in which nothing retires. */
  passTime(ns: number): void {
    this.setDouble(this.cells.idleNs, this.getDouble(this.cells.idleNs) + ns);
  }

  /** Takes fuel and retires nothing: what a trap costs, so that one without end uses its fuel up. */
  spend(ns = 1): void {
    this.set(this.cells.fuel, this.fuel - ns);
    this.setDouble(this.cells.retiredLimit, this.getDouble(this.cells.retiredLimit) - ns);
    this.passTime(ns);
  }
}
