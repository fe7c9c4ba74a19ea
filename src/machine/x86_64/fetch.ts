/**
 * The exact tier's instruction fetch: up to 15 bytes from the pc on, which may lie in two pages, and the instruction that they are.
 * Intel SDM volume 2, 2.3.11 (length); volume 3, 5.3 (limits).
 */
import { newDecoded, OPERAND, type CodeMode, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { decode, MAX_INSTRUCTION_LENGTH } from "../../isa/x86_64/decode.ts";
import { MNEMONIC_BY_ID } from "../../isa/x86_64/instructions.ts";
import { SEGMENT } from "../../isa/x86_64/registers.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import type { BusWord } from "../bus.ts";
import { addWords, type AccessMachine, type MemoryAccess } from "./access.ts";
import { CELL, segmentBase, segmentLimit } from "./layout.ts";
import { isCanonical } from "./mmu.ts";
import type { Operands } from "./operands.ts";
import type { Registers } from "./registers.ts";

const SYSTEM_CALLS: ReadonlySet<string> = new Set(["syscall", "sysret", "sysenter", "sysexit"]);
const isSystemCall: readonly boolean[] = MNEMONIC_BY_ID.map((mnemonic) => SYSTEM_CALLS.has(mnemonic));
const isCall: readonly boolean[] = MNEMONIC_BY_ID.map((mnemonic) => mnemonic === "call");
/** Instructions that are remembered, by the low bits of where they are. */
const MEMORY = 256;
/** Bytes that tell whether it is still the same instruction: more than one can have. */
const COMPARED = 16;

/** An instruction that was decoded: where, in which mode, of which bytes. */
interface Remembered {
  at: number;
  mode: number;
  readonly words: Int32Array;
  readonly decoded: Decoded;
}

const isReturn: readonly boolean[] = MNEMONIC_BY_ID.map((mnemonic) => mnemonic === "ret");

export class InstructionFetch {
  private readonly machine: AccessMachine;
  private readonly registers: Registers;
  private readonly access: MemoryAccess;
  private readonly operands: Operands;
  /** Bytes that are not in RAM one after the other. */
  private readonly gathered = new Uint8Array(16);
  private readonly word: BusWord = { lo: 0, hi: 0 };
  private readonly decoded: Decoded = newDecoded();
  private readonly memory: (Remembered | undefined)[] = new Array<undefined>(MEMORY).fill(undefined);
  private readonly view: DataView;

  constructor(machine: AccessMachine, registers: Registers, access: MemoryAccess, operands: Operands) {
    this.machine = machine;
    this.registers = registers;
    this.access = access;
    this.operands = operands;
    this.view = new DataView(registers.bytes.buffer);
  }

  /** Fetches and decodes the instruction at the pc, and sets CELL.nextPc; undefined if that faults, which is noted. */
  next(): Decoded | undefined {
    const decoded = this.fetch();
    if (decoded === undefined) return undefined;
    const { registers } = this;
    const next = addWords(registers.pcLo, registers.pcHi, decoded.length);
    registers.setWords(CELL.nextPc, next.lo, registers.codeMode === 64 ? next.hi : 0);
    return decoded;
  }

  private fetch(): Decoded | undefined {
    const { registers, access } = this;
    const mode = registers.codeMode;
    let lo = registers.pcLo;
    const hi = registers.pcHi;
    let within = MAX_INSTRUCTION_LENGTH;
    if (mode === 64) {
      if (!isCanonical(hi)) return this.fail(VECTOR.GP);
    } else {
      within = (registers.get(segmentLimit(SEGMENT.cs)) >>> 0) - (lo >>> 0) + 1;
      if (within <= 0) return this.fail(VECTOR.GP);
      lo = (lo + registers.get(segmentBase(SEGMENT.cs))) | 0;
    }
    const physical = access.translate("execute", lo, hi);
    if (physical < 0) return undefined;
    const first = Math.min(MAX_INSTRUCTION_LENGTH, 4096 - (lo & 4095));
    const isRam = this.point(physical, first);
    const { operands } = this;
    if (isRam && (lo & 4095) <= 4096 - COMPARED && within >= MAX_INSTRUCTION_LENGTH) return this.recall(mode);
    const { decoded } = this;
    let result = decode(operands.code, operands.codeAt, first, mode, decoded);
    if (result === "truncated" && first < MAX_INSTRUCTION_LENGTH) {
      const rest = addWords(lo, hi, first);
      const second = access.translate("execute", rest.lo, mode === 64 ? rest.hi : 0);
      if (second < 0) return undefined;
      this.gather(physical, first, second);
      result = decode(operands.code, operands.codeAt, MAX_INSTRUCTION_LENGTH, mode, decoded);
    }
    if (result !== "ok") return this.fail(result === "undefined" ? VECTOR.UD : VECTOR.GP);
    return decoded.length > within ? this.fail(VECTOR.GP) : decoded;
  }

  /** Decodes the bytes that the operands' code points at, unless that has been done: decoding depends on nothing else. */
  private recall(mode: CodeMode): Decoded | undefined {
    const { operands, view } = this;
    const at = operands.codeAt;
    const index = (at ^ (at >>> 8)) & (MEMORY - 1);
    const known = (this.memory[index] ??= { at: -1, mode, words: new Int32Array(4), decoded: newDecoded() });
    const { words } = known;
    const a = view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    if (
      known.at === at &&
      known.mode === mode &&
      words[0] === a &&
      words[1] === b &&
      words[2] === c &&
      words[3] === d
    ) {
      return known.decoded;
    }
    known.at = -1;
    const result = decode(operands.code, at, MAX_INSTRUCTION_LENGTH, mode, known.decoded);
    if (result !== "ok") return this.fail(result === "undefined" ? VECTOR.UD : VECTOR.GP);
    known.at = at;
    known.mode = mode;
    words[0] = a;
    words[1] = b;
    words[2] = c;
    words[3] = d;
    return known.decoded;
  }

  private fail(vector: number): undefined {
    this.access.fail(vector);
  }

  /** Has the operands' code be the bytes at an address: where they are, if that is RAM; whether it is. */
  private point(physical: number, count: number): boolean {
    const { operands, registers } = this;
    const { ram } = this.machine;
    if (ram.contains(physical, count)) {
      operands.code = registers.bytes;
      operands.codeAt = ram.host + (physical - ram.base);
      return true;
    }
    this.gather(physical, count, 0);
    return false;
  }

  private gather(physical: number, first: number, second: number): void {
    const { operands, gathered } = this;
    for (let i = 0; i < MAX_INSTRUCTION_LENGTH; i++) {
      gathered[i] = this.readByte(i < first ? physical + i : second + i - first);
    }
    operands.code = gathered;
    operands.codeAt = 0;
  }

  private readByte(physical: number): number {
    const { ram, bus } = this.machine;
    if (ram.contains(physical, 1)) return ram.read8(physical);
    return bus.load(physical, 1, this.word) ? this.word.lo : 0xff;
  }

  /** Whether a control transfer goes to where a register or memory says. */
  isIndirect(decoded: Decoded): boolean {
    return decoded.operandCount === 0 || decoded.operands[0].kind !== OPERAND.relative;
  }

  /** By how much a near call or return moves the stack pointer. */
  stackMovementOf(decoded: Decoded): number {
    if (isCall[decoded.id] === true) return -decoded.operandSize;
    if (isReturn[decoded.id] === true)
      return decoded.operandSize + (decoded.operandCount > 0 ? decoded.immLo & 0xffff : 0);
    return 0;
  }

  /** A system call or the return from one: traced as RFLAGS.TF is after it. */
  isSystemCall(decoded: Decoded): boolean {
    return isSystemCall[decoded.id] === true;
  }
}
