/**
 * What the interpreter most often asks the host for: a translation that the TLB lacks. It is filled in, and the instruction is
 * interpreted again; or there is none, and the exception is raised. Either costs a part of the instruction's execution by the exact tier.
 */
import { INSTRUCTIONS, type Mnemonic } from "../../isa/riscv64/instructions.ts";
import type { TlbSet } from "../engine/tlb.ts";
import type { MemoryAccess } from "./access.ts";
import type { CodeCache } from "./code.ts";
import { RECORD } from "./layout.ts";
import type { Registers } from "./registers.ts";
import { OP } from "./shapes.ts";

interface Access {
  readonly type: "load" | "store";
  readonly size: number;
}

const SIZES: Readonly<Partial<Record<Mnemonic, Access>>> = {
  lb: { type: "load", size: 1 },
  lbu: { type: "load", size: 1 },
  lh: { type: "load", size: 2 },
  lhu: { type: "load", size: 2 },
  lw: { type: "load", size: 4 },
  lwu: { type: "load", size: 4 },
  ld: { type: "load", size: 8 },
  sb: { type: "store", size: 1 },
  sh: { type: "store", size: 2 },
  sw: { type: "store", size: 4 },
  sd: { type: "store", size: 8 },
};
/** By id: what instructions that do nothing else with memory access. */
const ACCESSES: readonly (Access | undefined)[] = INSTRUCTIONS.map(({ mnemonic }) => SIZES[mnemonic]);

export class Refill {
  private readonly code: CodeCache;
  private readonly registers: Registers;
  private readonly access: MemoryAccess;
  private readonly tlbs: TlbSet;

  constructor(code: CodeCache, registers: Registers, access: MemoryAccess, tlbs: TlbSet) {
    this.code = code;
    this.registers = registers;
    this.access = access;
    this.tlbs = tlbs;
  }

  /**
   * "filled" where the integer load or store of the record lacked a translation that it now has; "faulted" where there is none, and the
   * exception is noted; all else, as what is misaligned, is the exact tier's.
   */
  fill(record: number): "filled" | "faulted" | "other" {
    const { code, registers, tlbs } = this;
    const wanted = code.opAt(record) === OP.slow ? undefined : ACCESSES[code.idAt(record)];
    if (wanted === undefined) return "other";
    const { type, size } = wanted;
    const base = code.field(record, RECORD.rs1);
    const sum = (registers.get(base) >>> 0) + code.wordField(record, RECORD.imm);
    const lo = sum | 0;
    const hi = (registers.get(base + 4) + (sum > 0xffffffff ? 1 : sum < 0 ? -1 : 0)) | 0;
    if ((lo & (size - 1)) !== 0 || tlbs.find(type, lo, hi) >= 0) return "other";
    if (this.access.translate(type, lo, hi, size) < 0) return "faulted";
    const index = tlbs.find(type, lo, hi);
    return index >= 0 && tlbs.isForInterpreter(index) ? "filled" : "other";
  }
}
