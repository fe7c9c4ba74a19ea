/**
 * An x86-64 hart (logical processor) as the host side sees it: registers, system registers, translation.
 *
 * Registers are two int32 halves. An address is a JS number: a canonical 64-bit virtual address, sign-extended.
 */
import type { Word64 } from "../../lib/word64.ts";
import type { Hart } from "../hart.ts";
import type { LocalApicPort } from "./local-apic-port.ts";

/** A segment register with its hidden part; `attributes` as in layout.ts. */
export interface SegmentState {
  selector: number;
  base: Word64;
  limit: number;
  attributes: number;
}

/** System registers that the host reads and writes by name. */
export type SystemRegister =
  | "cr0"
  | "cr2"
  | "cr3"
  | "cr4"
  | "cr8"
  | "dr6"
  | "efer"
  | "star"
  | "lstar"
  | "cstar"
  | "sfmask"
  | "fsBase"
  | "gsBase"
  | "kernelGsBase"
  | "gdtrBase"
  | "gdtrLimit"
  | "idtrBase"
  | "idtrLimit"
  | "tscDeadline";

export interface X86Hart extends Hart {
  readonly arch: "x86_64";
  /** 0 to 3. */
  readonly cpl: number;
  /** What the hart was doing when it shut down (triple fault), if it did. */
  readonly shutdownReport: string | undefined;
  /** General-purpose registers by number (GPR in isa). `gpr` is signed, exact below 2^53. */
  gprLo(register: number): number;
  gprHi(register: number): number;
  gpr(register: number): number;
  setGpr(register: number, lo: number, hi: number): void;
  setGprNumber(register: number, value: number): void;
  /** RFLAGS, all of it. */
  readonly rflags: number;
  setRflags(value: number): void;
  /** With all effects of writing the register, but no privilege or reserved-bit check. */
  systemRegister(name: SystemRegister): Word64;
  setSystemRegister(name: SystemRegister, lo: number, hi: number): void;
  segment(number: number): SegmentState;
  /** Sets a segment register and what follows from it (cs: privilege and mode). */
  setSegment(number: number, state: SegmentState): void;
  /** The FXSAVE64 image (512 bytes) of x87, MMX, SSE state and MXCSR. SDM volume 1, 10.5.1. */
  saveFloat(into: Uint8Array): void;
  /** Loads such an image; reserved MXCSR bits are dropped. */
  loadFloat(from: Uint8Array): void;
  /** Wires the hart to its local APIC; without one it takes no interrupts. */
  attachLocalApic(port: LocalApicPort): void;
  /** As invlpg and invpcid: one page or all; one PCID or all. More may go than was asked for. */
  flush(virtualAddress: number | undefined, pcid: number | undefined): void;
}
