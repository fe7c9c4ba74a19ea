/**
 * The emitter as the semantics of x86-64 see it: operands of any kind and size, flags, the stack, vectors, on top of the neutral
 * emitter.
 *
 *     add:   (e) => e.modify(0, (a) => { const b = e.let(e.read(1)); const r = e.let(e.narrow(e.i64.add(a.get(), b.get())));
 *                                        e.flags(r, () => …carries…, () => e.i64.lt_u(r.get(), a.get())); return r.get(); })
 *     lea:   (e) => e.write(0, e.address())
 *     jcc:   (e) => e.branchIf(e.condition())
 *
 * A value is 64 bits wide on the way: `read` sign-extends from the operand's size, `write` takes the low bytes. Sign extension keeps
 * both orders, the unsigned one too, so comparisons need not know the size. Whether an operand is a register or memory is the
 * emitter's business. One definition of an instruction gives the interpreter's handlers, one for each shape (size and kinds of
 * operands), the translator's code and the exact tier's handler.
 *
 * An instruction is atomic: all that can fail (memory, `slow`) comes before the first change of state.
 */
import type { V128Operators } from "../../wasm/operators.ts";
import type { I32, I64, V128 } from "../../wasm/values.ts";
import type { Emitter, Local } from "../emitter.ts";

export interface X86Emitter extends Emitter {
  readonly v128: V128Operators;

  /** Does `body` for as long as the condition holds. */
  repeat(condition: () => I32, body: () => void): void;

  /** Size of operand `n` in bytes. */
  sizeOf(n: number): number;
  /** In the exact tier too, which has copied the memory to a cell: some instructions differ by it (movss, movsd). */
  isMemory(n: number): boolean;
  isXmm(n: number): boolean;
  isMmx(n: number): boolean;
  /** The value of operand n, an immediate, where it is known as code is made (the translator); undefined in a handler. */
  knownImmediate(n: number): number | undefined;
  readonly operandCount: number;
  /** Whether operand n is a target relative to the next instruction. */
  isRelative(n: number): boolean;
  /** The effective address size, 8 or 4. */
  readonly addressSize: number;
  /** The effective operand size of the instruction, 1, 2, 4 or 8. */
  readonly operandSize: number;

  /** Operand n (general register, memory, immediate) sign-extended to 64 bits. */
  read(n: number): I64;
  readUnsigned(n: number): I64;
  /** Its low 32 bits, sign-extended from its size: cheaper than wrapping. */
  readWord(n: number): I32;
  /** Writes the low bytes of `value`; a 4-byte write to a general register clears its upper half. */
  write(n: number, value: I64): void;
  /** Writes what is known to have nothing above 32 bits set; for operands of 4 bytes cheaper than `write`. */
  writeWord(n: number, value: I32): void;
  /** Read-modify-write of operand n; the old value is sign-extended. Atomic, so `lock` asks for nothing more. */
  modify(n: number, update: (old: Local<"i64">) => I64): void;
  /** Sign-extends from the size of operand 0: the form that `flags` wants. */
  narrow(value: I64): I64;
  /** The effective address of the memory operand, without the segment's base, cut to the address size. */
  address(): I64;

  /** The instruction's second immediate (enter's level). */
  secondImmediate(): I32;
  /** The base of the segment that an implicit memory operand lies in (xlat's). */
  segmentBase(): I64;

  /** A general-purpose register by number, all 64 bits. */
  gpr(register: number): I64;
  setGpr(register: number, value: I64): void;

  /**
   * Sets all six arithmetic flags from a sign-extended result; see CELL.flagResult. `carries` is a ^ b ^ result, or what gives the
   * wanted AF and OF (OF = CF ^ sign); `carry` is CF, or all bits of CELL.flagCarry. The thunks are emitted only where the flags are used.
   */
  flags(result: Local<"i64">, carries: () => I64, carry: () => I32): void;
  /** As `flags` for a - b: lets a conditional that follows compare a and b by itself. */
  flagsOfSubtract(result: Local<"i64">, a: Local<"i64">, b: Local<"i64">): void;
  /** As `flags` with OF, AF and CF clear. */
  flagsOfLogic(result: Local<"i64">): void;
  /** As `flags`, and CF stays as it is. */
  flagsKeepingCarry(result: Local<"i64">, carries: () => I64): void;
  /** CF, 0 or 1. */
  carry(): I32;
  setCarry(value: I32): void;
  /** The arithmetic flags as bits of RFLAGS, nothing else. */
  arithmeticFlags(): I32;
  setArithmeticFlags(flags: I32): void;
  /** Whether any flag that the instruction sets is used before it is set again: false lets semantics skip work. */
  readonly needsFlags: boolean;
  /** Condition `code` (low four bits of Jcc); the instruction's own by default. */
  condition(code?: number): I32;

  /** Bytes of a stack slot of this instruction: 8, 4 or 2. */
  readonly stackSize: number;
  /** Moves rsp down and stores; nothing changes if it faults. */
  push(value: I64): void;
  /** Loads and moves rsp up. */
  pop(): I64;

  /** Cells of the window that are no general, vector or flag registers, by address (CELL). */
  state32(cell: number): I32;
  state64(cell: number): I64;
  setState64(cell: number, value: I64): void;

  /** Address of this instruction and of the next. */
  pc(): I64;
  nextPc(): I64;
  /** Control transfers, the last thing that an instruction does; `jump` goes to its relative target. */
  branchIf(condition: I32): void;
  jump(): void;
  jumpTo(target: I64): void;

  /**
   * Leaves to the exact tier (which has checked, and reports what is wrong) unless the state lets the instruction run. The first
   * thing that an instruction of these kinds does:
   *
   *     "sse"       CR0.EM and TS are clear, CR4.OSFXSR is set (CELL.sseReady)
   *     "nearest"   that, and MXCSR is as at reset but for its flags (CELL.sseNearest): floating-point arithmetic
   *     "mmx"       CR0.EM and TS are clear, and no unmasked x87 exception is pending
   */
  require(what: "sse" | "nearest" | "mmx"): void;
  /** What MMX instructions do to the x87 state: TOP is 0, and all registers are tagged as valid, or as empty (emms). Cannot fail. */
  tagMmx(tags: "valid" | "empty"): void;

  /** xmm registers and 16-byte memory. Operand n, all 16 bytes; memory without a check of alignment. */
  readVector(n: number): V128;
  /** As readVector of memory that must be aligned (#GP): for legacy SSE instructions. Registers as they are. */
  readVectorAligned(n: number): V128;
  /** The low 4 or 8 bytes of an xmm register or memory operand, zero-extended: as an integer. */
  readScalar(n: number, size: 4 | 8): I64;
  /** Writes all 16 bytes of an xmm register. */
  writeVector(n: number, value: V128): void;
  /** Writes 16 bytes to an xmm register or memory, which must be aligned where `aligned` is set. */
  storeVector(n: number, value: V128, alignment: "aligned" | "any"): void;
  /** Writes the low bytes of an xmm register and leaves the others. */
  writeScalar(n: number, size: 4 | 8, bits: I64): void;
  /** An 8-byte MMX register or memory. */
  readMmx(n: number): I64;
  /** Writes an MMX register: the significand, and ones above it. */
  writeMmx(n: number, value: I64): void;
  /** All of MXCSR. */
  mxcsr(): I32;
  raiseMxcsr(flags: I32): void;
}

/** What one instruction does. */
export type Semantics = (e: X86Emitter) => void;
