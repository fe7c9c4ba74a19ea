/**
 * Instructions that compute, as the exact tier executes them: with an emitted handler, or a definition in TypeScript.
 *
 *     is there x87, SSE?  ──>  memory operand: address, alignment, translation, bytes to CELL.operand  ──>  handler or definition
 *          #UD, #NM                      #GP, #SS, #AC, #PF                                            ──>  bytes back to memory
 *
 * So nothing has changed when a memory operand faults. Intel SDM volume 1, 10.5, 11.6.8 (what x87, MMX and SSE need); volume 3, 13.1.
 */
import { OPERAND, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { type Instruction, instructionOf, mnemonicOf } from "../../isa/x86_64/instructions.ts";
import { CR0, CR4, GPR } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import type { WasmMemory } from "../../wasm/engine.ts";
import { newSpan, type MemoryAccess } from "./access.ts";
import type { ExactOutcome, ExactX86 } from "./exact.ts";
import type { InterpreterHost } from "./interpreter.ts";
import { CELL } from "./layout.ts";
import { memoryUseOf, type MemoryUse } from "./memory-use.ts";
import type { Operands } from "./operands.ts";
import type { Registers } from "./registers.ts";
import { integerExact } from "./semantics/integer-exact.ts";
import { exactSseOf } from "./semantics/sse-exact.ts";
import { toleratesMisalignment } from "./semantics/sse.ts";
import { STEP } from "./step-emitter.ts";
import { prepareStep, StepHandlers } from "./step-handlers.ts";
import type { SystemOutcome } from "./system.ts";
import { isPending } from "./x87-state.ts";
import { x87Semantics, type X87Mnemonic } from "./x87.ts";

/** The state that an instruction works on, which CR0 and CR4 may deny it. */
type Unit = "integer" | "x87" | "wait" | "mmx" | "sse";

/** What is known of a row. */
interface RowFacts {
  readonly unit: Unit;
  /** Its definition in TypeScript, if that is what the exact tier executes. */
  readonly exact: ExactX86 | undefined;
  /** Whether 16 bytes of memory must be aligned. */
  readonly isAligned: boolean;
  /** bt and its kin with a register: the bit may be far from the operand. */
  readonly isBitTest: boolean;
}

const BIT_TESTS: ReadonlySet<string> = new Set(["bt", "bts", "btr", "btc"]);

function factsOf({ mnemonic, extension }: Instruction): RowFacts {
  const isInteger = extension === "base" || extension === "legacy";
  const isVector = !isInteger && extension !== "x87";
  const unit = isInteger ? "integer" : extension === "x87" || extension === "mmx" ? extension : "sse";
  const exact =
    extension === "x87"
      ? x87Semantics[mnemonic as X87Mnemonic] // the extension's mnemonics are those
      : (integerExact[mnemonic] ?? exactSseOf(mnemonic));
  return {
    unit: mnemonic === "fwait" ? "wait" : unit,
    exact,
    isAligned: isVector && !toleratesMisalignment(mnemonic),
    isBitTest: BIT_TESTS.has(mnemonic),
  };
}

/** By id, as far as they were asked for. */
const facts: (RowFacts | undefined)[] = [];

function factsOfId(id: number): RowFacts {
  const found = factsOf(instructionOf(id));
  facts[id] = found;
  return found;
}

/** Operands of at most so many bytes are brought to CELL.operand. */
const MOST_OPERAND = 16;

export class Computation {
  private readonly operands: Operands;
  private readonly access: MemoryAccess;
  private readonly registers: Registers;
  private readonly handlers: StepHandlers;
  /** Where the memory operand is. */
  private readonly span = newSpan();

  constructor(
    memory: WasmMemory,
    host: Pick<InterpreterHost, "load" | "store">,
    operands: Operands,
    access: MemoryAccess,
  ) {
    this.operands = operands;
    this.access = access;
    this.registers = operands.registers;
    this.handlers = new StepHandlers(memory, host);
  }

  execute(decoded: Decoded): SystemOutcome {
    const row = facts[decoded.id] ?? factsOfId(decoded.id);
    const denied = this.checkUnit(row, decoded);
    if (denied !== undefined) return denied;
    const operand = memoryOperandOf(decoded);
    const use = operand < 0 ? "none" : memoryUseOf(decoded.id, operand);
    const size = operand < 0 ? 0 : (decoded.operands[operand as 0 | 1]?.size ?? 0);
    if (operand >= 0 && !this.bring(row, decoded, use, size)) return "faulted";
    const outcome = row.exact === undefined ? this.handle(decoded) : this.define(row.exact, decoded);
    if (outcome === "done" && (use === "write" || use === "modify") && !this.isSuppressed) {
      this.access.writeSpan(this.span, size, CELL.operand);
    }
    return outcome;
  }

  // --- Before ------------------------------------------------------------------------------------------------------

  /** What keeps an instruction from being executed at all. */
  private checkUnit({ unit }: RowFacts, decoded: Decoded): SystemOutcome | undefined {
    if (unit === "integer") return undefined;
    const cr0 = this.registers.get(CELL.cr0);
    const isEmulated = (cr0 & CR0.EM) !== 0;
    const isSwitched = (cr0 & CR0.TS) !== 0;
    switch (unit) {
      case "x87":
        return isEmulated || isSwitched ? this.fault(VECTOR.NM) : undefined;
      case "wait":
        return isSwitched && (cr0 & CR0.MP) !== 0 ? this.fault(VECTOR.NM) : undefined;
      case "mmx":
        if (isEmulated) return "undefined";
        break;
      case "sse":
        if (isEmulated || (this.registers.get(CELL.cr4) & CR4.OSFXSR) === 0) return "undefined";
    }
    if (isSwitched) return this.fault(VECTOR.NM);
    const usesMmx = unit === "mmx" || hasMmxOperand(decoded);
    return usesMmx && isPending(this.registers) ? this.fault(VECTOR.MF) : undefined;
  }

  /** Finds the memory operand, and brings what is read of it to CELL.operand; false if that faults. */
  private bring(row: RowFacts, decoded: Decoded, use: MemoryUse, size: number): boolean {
    const { operands, access, registers, span } = this;
    operands.locate(decoded);
    if (use === "none" || use === "own" || size > MOST_OPERAND) return true;
    if (row.isBitTest) this.moveToBit(decoded, size);
    // The address of what is popped into memory is that with the stack pointer as it is afterwards.
    if (decoded.base === GPR.rsp && mnemonicOf(decoded.id) === "pop") this.moveAddress(decoded, decoded.operandSize, 0);
    const kind = use === "read" ? "load" : "store";
    if (!operands.linear(decoded, 0, size, kind)) return false;
    registers.setWords(CELL.stepLinear, access.linearLo, access.linearHi);
    if (size === 16 && row.isAligned && (access.linearLo & 15) !== 0) return access.fail(VECTOR.GP);
    if (!access.resolve(kind, size, access.linearLo, access.linearHi, span)) return false;
    if (use !== "write") access.readSpan(span, size, CELL.operand);
    return true;
  }

  /** The bit index in a register is signed, and counts from the operand: the address moves to the element that has the bit. */
  private moveToBit(decoded: Decoded, size: number): void {
    const { kind, register } = decoded.operands[1];
    if (kind !== OPERAND.gpr) return;
    const { registers } = this;
    const lo = registers.gprLo(register);
    if (size === 8) {
      const hi = registers.gprHi(register);
      // (index >> 6) * 8
      this.moveAddress(decoded, ((lo >> 3) & ~7 & 0x1fffffff) | ((hi & 7) << 29), hi >> 3);
      return;
    }
    const index = size === 2 ? (lo << 16) >> 16 : lo;
    const bytes = (index >> 3) & -size;
    this.moveAddress(decoded, bytes, bytes >> 31);
  }

  private moveAddress({ addressSize }: Decoded, lo: number, hi: number): void {
    const { registers } = this;
    const sum = (registers.get(CELL.stepAddress) >>> 0) + (lo >>> 0);
    const sumHi = registers.get(CELL.stepAddress + 4) + hi + (sum > 0xffffffff ? 1 : 0);
    registers.setWords(CELL.stepAddress, addressSize === 2 ? sum & 0xffff : sum | 0, addressSize === 8 ? sumHi | 0 : 0);
  }

  // --- The instruction ---------------------------------------------------------------------------------------------

  private isSuppressed = false;

  private handle(decoded: Decoded): SystemOutcome {
    this.isSuppressed = false;
    const handler = this.handlers.find(decoded);
    if (handler === undefined) return "undefined";
    prepareStep(this.registers, decoded);
    switch (handler()) {
      case STEP.done:
        return "done";
      case STEP.misaligned:
        return this.fault(VECTOR.GP);
      default:
        return "faulted";
    }
  }

  private define(exact: ExactX86, decoded: Decoded): SystemOutcome {
    const outcome: ExactOutcome = exact(this.operands, decoded);
    this.isSuppressed = outcome === "suppressed";
    switch (outcome) {
      case "done":
      case "suppressed":
        return "done";
      case "undefined":
      case "faulted":
        return outcome;
      case "protection":
      case "misaligned":
        return this.fault(VECTOR.GP);
      case "x87-error":
        return this.fault(VECTOR.MF);
      case "divide-error":
        return this.fault(VECTOR.DE);
      case "simd-error": {
        const isReported = (this.registers.get(CELL.cr4) & CR4.OSXMMEXCPT) !== 0;
        return isReported ? this.fault(VECTOR.XM) : "undefined";
      }
    }
  }

  private fault(vector: number): SystemOutcome {
    this.access.fail(vector);
    return "faulted";
  }
}

/** The place of the memory operand, or -1. */
function memoryOperandOf({ operands, operandCount }: Decoded): number {
  for (let n = 0; n < operandCount; n++) {
    const kind = operands[n]?.kind;
    if (kind === OPERAND.memory || kind === OPERAND.absolute) return n;
  }
  return -1;
}

function hasMmxOperand({ operands, operandCount }: Decoded): boolean {
  for (let n = 0; n < operandCount; n++) if (operands[n]?.kind === OPERAND.mmx) return true;
  return false;
}
