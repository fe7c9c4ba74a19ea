/**
 * A hart's registers: typed access to its window. All of a hart's architectural state is in the window; nothing of it is anywhere
 * else.
 */
import type { WasmMemory } from "../../wasm/engine.ts";
import { HartWindow } from "../engine/window.ts";
import type { ExactRegisters } from "./exact.ts";
import type { Privilege } from "./hart.ts";
import { CELL } from "./layout.ts";

const FS_DIRTY = 3 << 13;

export class Registers extends HartWindow implements ExactRegisters {
  constructor(memory: WasmMemory, base: number) {
    super(memory, base, CELL);
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

  get privilege(): Privilege {
    const privilege = this.get(CELL.privilege);
    return privilege === 0 || privilege === 1 ? privilege : 3;
  }

  /** Brings the cells that the interpreter tests in line with mstatus.FS and frm. */
  refreshFloat(): void {
    const ready = (this.get(CELL.mstatus) & FS_DIRTY) === FS_DIRTY;
    this.set(CELL.floatReady, ready ? 1 : 0);
    this.set(CELL.floatNearest, ready && this.get(CELL.frm) === 0 ? 1 : 0);
  }
}
