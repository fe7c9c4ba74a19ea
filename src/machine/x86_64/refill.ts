/**
 * What the interpreter most often asks the host for: a translation that the TLB lacks. It is filled in, and the instruction is
 * interpreted again, which costs a tenth of its execution by the exact tier.
 */
import type { Mnemonic } from "../../isa/x86_64/instructions.ts";
import { GPR } from "../../isa/x86_64/registers.ts";
import type { TlbSet } from "../engine/tlb.ts";
import type { MemoryAccess } from "./access.ts";
import type { CodeCache } from "./code.ts";
import { CELL, RECORD } from "./layout.ts";
import { memoryUseOf } from "./memory-use.ts";
import { isCanonical } from "./mmu.ts";
import type { Registers } from "./registers.ts";
import type { Shape } from "./shapes.ts";

const TWO_32 = 0x1_0000_0000;
const PAGE_MASK = 4095;
const SLOT = 8;

export class Refill {
  private readonly code: CodeCache;
  private readonly registers: Registers;
  private readonly access: MemoryAccess;
  private readonly tlbs: TlbSet;
  /** Parts of an address, as they are added up: the low half as an unsigned number that may be too large. */
  private lo = 0;
  private hi = 0;

  constructor(code: CodeCache, registers: Registers, access: MemoryAccess, tlbs: TlbSet) {
    this.code = code;
    this.registers = registers;
    this.access = access;
    this.tlbs = tlbs;
  }

  /**
   * Whether the instruction of the record lacked a translation that it now has; or "faulted" where there is none, the exception is noted,
   * and the instruction has no other that would come before it.
   */
  fill(record: number): Outcome {
    const shape = this.code.shapeOf(record);
    if (shape === undefined) return "other";
    const facts = factsOf(shape);
    const { operand } = facts;
    const ofOperand = operand < 0 ? "other" : this.fillOperand(record, shape, operand);
    if (ofOperand === "faulted") return this.isOnlyFault(facts) ? "faulted" : "other";
    const ofStack = facts.usesStack ? this.fillStack(shape) : "other";
    if (ofStack === "faulted") return operand < 0 ? "faulted" : "other";
    return ofOperand === "filled" || ofStack === "filled" ? "filled" : "other";
  }

  /** Whether a page fault of the memory operand, at `lo`, is what the exact tier would come to as well. */
  private isOnlyFault({ isSimple, isVector, isAligned }: ShapeFacts): boolean {
    if (!isSimple) return false;
    if (isVector && this.registers.get(CELL.sseReady) === 0) return false;
    return !isAligned || (this.lo & 15) === 0;
  }

  private fillOperand(record: number, shape: Shape, operand: number): Outcome {
    const { code } = this;
    const use = memoryUseOf(code.field(record, RECORD.id), operand);
    if (use === "none" || use === "own") return "other";
    const displacement = code.wordField(record, RECORD.disp);
    this.lo = displacement >>> 0;
    this.hi = displacement >> 31;
    this.add(code.field(record, RECORD.base), 0);
    if (shape.address === "full") {
      this.add(code.field(record, RECORD.index), code.field(record, RECORD.scale) & 0xff);
      this.add(code.field(record, RECORD.seg), 0);
    }
    return this.fillAt(use === "read" ? "load" : "store", shape.operands[operand]?.size ?? 1);
  }

  private fillStack({ mnemonic }: Shape): Outcome {
    switch (mnemonic) {
      case "push":
      case "call":
        this.lo = TWO_32 - SLOT;
        this.hi = -1;
        this.add(CELL.gpr + GPR.rsp * 8, 0);
        return this.fillAt("store", SLOT);
      case "pop":
      case "ret":
      case "leave":
        this.lo = 0;
        this.hi = 0;
        this.add(CELL.gpr + (mnemonic === "leave" ? GPR.rbp : GPR.rsp) * 8, 0);
        return this.fillAt("load", SLOT);
      default:
        return "other";
    }
  }

  /** Adds a 64-bit cell, shifted by 0 to 3. */
  private add(cell: number, shift: number): void {
    const lo = this.registers.get(cell);
    const hi = this.registers.get(cell + 4);
    this.lo += (lo << shift) >>> 0;
    this.hi += shift === 0 ? hi : (hi << shift) | (lo >>> (32 - shift));
  }

  private fillAt(access: "load" | "store", size: number): Outcome {
    const { tlbs } = this;
    const lo = this.lo | 0;
    const hi = (this.hi + Math.floor(this.lo / TWO_32)) | 0;
    if (!isCanonical(hi) || (lo & PAGE_MASK) + size > PAGE_MASK + 1 || tlbs.find(access, lo, hi) >= 0) return "other";
    if (this.access.translate(access, lo, hi) < 0) return "faulted";
    const index = tlbs.find(access, lo, hi);
    return index >= 0 && tlbs.isForInterpreter(index) ? "filled" : "other";
  }
}

type Outcome = "filled" | "faulted" | "other";

interface ShapeFacts {
  /** Which operand is memory; -1 where none is. */
  readonly operand: number;
  readonly usesStack: boolean;
  /** A page fault is all that can keep it from being executed, but for what the next two say. */
  readonly isSimple: boolean;
  readonly isVector: boolean;
  readonly isAligned: boolean;
}

const STACK: ReadonlySet<Mnemonic> = new Set<Mnemonic>(["push", "pop", "call", "ret", "leave"]);
const SIMPLE_INTEGER: ReadonlySet<Mnemonic> = new Set<Mnemonic>(
  "mov movzx movsx movsxd add sub adc sbb and or xor cmp test inc dec neg not".split(" ") as Mnemonic[],
);
const SIMPLE_VECTOR: ReadonlySet<Mnemonic> = new Set<Mnemonic>(
  "movups movdqu movupd movss movsd movaps movdqa movapd".split(" ") as Mnemonic[],
);
const ALIGNED: ReadonlySet<Mnemonic> = new Set<Mnemonic>(["movaps", "movdqa", "movapd"]);

const factsByShape = new Map<Shape, ShapeFacts>();

function factsOf(shape: Shape): ShapeFacts {
  let facts = factsByShape.get(shape);
  if (facts === undefined) {
    const { mnemonic, operands } = shape;
    const isVector = SIMPLE_VECTOR.has(mnemonic);
    facts = {
      operand: operands.findIndex(({ letter }) => letter === "m"),
      usesStack: STACK.has(mnemonic),
      isSimple: isVector || SIMPLE_INTEGER.has(mnemonic),
      isVector,
      isAligned: ALIGNED.has(mnemonic),
    };
    factsByShape.set(shape, facts);
  }
  return facts;
}
