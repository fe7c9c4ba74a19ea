/**
 * The emitter as RISC-V's instruction semantics see it: the operands of the instruction, its program counter, and the
 * floating-point state, on top of the neutral emitter.
 *
 *     add:  (e) => e.setRd(e.i64.add(e.rs1(), e.rs2()))
 *     addw: (e) => e.setRdWord(e.i32.add(e.rs1Word(), e.rs2Word()))
 *     beq:  (e) => e.branchIf(e.i64.eq(e.rs1(), e.rs2()))
 *     lw:   (e) => e.setRd(e.load("i32", e.i64.add(e.rs1(), e.imm())))
 *
 * Floating-point registers are 64 raw bits; NaN-boxing is the semantics' business.
 */
import type { F32, F64, I32, I64 } from "../../wasm/values.ts";
import type { Emitter } from "../emitter.ts";

/**
 * The rounding modes that emitted code may rely on, in the order of their numbers in `rm` and `frm`: RNE, RTZ, RDN, RUP, RMM.
 * Code for "nearest" is used when the instruction says RNE, or says DYN and frm is RNE (that has been checked before the
 * semantics run); the others when it says so itself. Everything else goes to the exact tier.
 */
export const ROUNDINGS = ["nearest", "zero", "down", "up", "away"] as const;
export type EmittedRounding = (typeof ROUNDINGS)[number];

export interface RiscvEmitter extends Emitter {
  /** Integer operands; x0 reads as 0. `…Word` is the low 32 bits, and costs less than wrapping. */
  rs1(): I64;
  rs2(): I64;
  rs1Word(): I32;
  rs2Word(): I32;
  /** The immediate, sign-extended (the shift amount for shifts). */
  imm(): I64;
  immWord(): I32;
  /** Writes rd; a write to x0 is dropped. `setRdWord` sign-extends. One write an instruction, as the last change of state. */
  setRd(value: I64): void;
  setRdWord(value: I32): void;

  /** Address of this instruction, and of the one that follows it in memory. */
  pc(): I64;
  nextPc(): I64;
  /** Control transfers; the last thing an instruction does. Without one, `nextPc` is next. */
  branchIf(condition: I32): void;
  jump(): void;
  jumpTo(target: I64): void;

  /**
   * Floating-point registers, as raw bits, as a double, or as the low 32 bits taken as a float (unboxed, unchecked). For each
   * instruction with a floating-point operand, mstatus.FS has been checked, and made dirty, before its semantics run.
   */
  fs1Bits(): I64;
  fs2Bits(): I64;
  fs3Bits(): I64;
  fs1(): F64;
  fs2(): F64;
  fs3(): F64;
  fs1Single(): F32;
  fs2Single(): F32;
  fs3Single(): F32;
  /** Writes the whole of fd. A double written through `setFd` must not be a NaN made by arithmetic: its bits are not defined. */
  setFdBits(bits: I64): void;
  setFd(value: F64): void;

  readonly rounding: EmittedRounding;
  /** The accrued exception flags, NX 1, UF 2, OF 4, DZ 8, NV 16. */
  fflags(): I32;
  /** Ors into the accrued flags. */
  raiseFlags(flags: I32): void;
}

/** The semantics of one instruction. */
export type Semantics = (e: RiscvEmitter) => void;
