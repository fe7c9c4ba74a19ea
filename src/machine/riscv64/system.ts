/**
 * The system instructions: those that the exact tier executes in TypeScript. RISC-V privileged architecture, "Machine-Mode
 * Privileged Instructions" and "Supervisor Instructions"; "Zicsr"; "Zifencei".
 */
import type { Decoded } from "../../isa/riscv64/decode.ts";
import { csrPrivilege, isCsrReadOnly, MSTATUS } from "../../isa/riscv64/csrs.ts";
import { EXCEPTION } from "../../isa/riscv64/causes.ts";
import {
  INSTRUCTIONS,
  type InstructionId,
  type Mnemonic,
  type MnemonicOfExtension,
} from "../../isa/riscv64/instructions.ts";
import { toNumber } from "../../lib/word64.ts";
import { findCsr, type CsrHart, type CsrValue } from "./csrs.ts";
import { CELL } from "./layout.ts";
import type { IntegerSystemMnemonic } from "./semantics/integer.ts";
import { pendingInterrupts } from "./traps.ts";

export type SystemMnemonic = MnemonicOfExtension<"Zicsr" | "Zifencei" | "Priv" | "Xvitrine"> | IntegerSystemMnemonic;

/** What the system instructions need of the hart. */
export interface SystemHart extends CsrHart {
  /** Takes an exception at the current pc. */
  raise(cause: number, tvalLo: number, tvalHi: number): void;
  /** As `mret` or `sret`; the instruction retires. */
  trapReturn(level: 1 | 3): void;
  sfence(virtualAddress: number | undefined, asid: number | undefined): void;
  /** Enters the resident kernel if there is one and the pc is in its text; false if not. The instruction has retired then. */
  enterKernel(index: number): boolean;
  wait(): void;
}

/**
 * How an instruction ended: "done", the pc goes on to the next one; "jumped", the pc has been set and the instruction has
 * retired; "illegal"; or "trapped", the trap has been taken.
 */
export type SystemOutcome = "done" | "jumped" | "illegal" | "trapped";

export type SystemSemantics = (hart: SystemHart, instruction: Decoded) => SystemOutcome;

/** What the CSR being accessed held: one for all, so that an access allocates nothing. */
const old: CsrValue = { lo: 0, hi: 0 };

type Update = (old: number, operand: number) => number;
const replace: Update = (_, operand) => operand;
const setBits: Update = (old, operand) => old | operand;
const clearBits: Update = (old, operand) => old & ~operand;

/**
 * csrrw and its kin. csrrw with rd = x0 does not read, csrrs and csrrc with rs1 = x0 (or a zero immediate) do not write;
 * that decides about read-only registers.
 */
const csrAccess =
  (update: Update, isImmediate: boolean): SystemSemantics =>
  (hart, { rd, rs1, imm }) => {
    const { registers } = hart;
    const row = findCsr(imm);
    const writes = update === replace || rs1 !== 0;
    if (row === undefined || csrPrivilege(imm) > registers.privilege || (writes && isCsrReadOnly(imm)))
      return "illegal";
    if (row.mayAccess !== undefined && !row.mayAccess(hart)) return "illegal";
    const lo = isImmediate ? rs1 : registers.xLo(rs1);
    const hi = isImmediate ? 0 : registers.xHi(rs1);
    if (update !== replace || rd !== 0) row.read(hart, old);
    const readLo = old.lo;
    const readHi = old.hi;
    if (writes) {
      if (update !== replace) row.readForUpdate?.(hart, old);
      row.write(hart, update(old.lo, lo), update(old.hi, hi));
    }
    registers.setX(rd, readLo, readHi);
    return "done";
  };

const ENVIRONMENT_CALL = {
  0: EXCEPTION.userEnvironmentCall,
  1: EXCEPTION.supervisorEnvironmentCall,
  3: EXCEPTION.machineEnvironmentCall,
} as const;

const systemSemantics: Readonly<Record<SystemMnemonic, SystemSemantics>> = {
  csrrw: csrAccess(replace, false),
  csrrs: csrAccess(setBits, false),
  csrrc: csrAccess(clearBits, false),
  csrrwi: csrAccess(replace, true),
  csrrsi: csrAccess(setBits, true),
  csrrci: csrAccess(clearBits, true),
  ecall: (hart) => {
    hart.raise(ENVIRONMENT_CALL[hart.registers.privilege], 0, 0);
    return "trapped";
  },
  ebreak: (hart) => {
    hart.raise(EXCEPTION.breakpoint, hart.registers.pcLo, hart.registers.pcHi);
    return "trapped";
  },
  // Predecoded code is always coherent with memory.
  "fence.i": () => "done",
  mret: (hart) => {
    if (hart.registers.privilege !== 3) return "illegal";
    hart.trapReturn(3);
    return "jumped";
  },
  sret: (hart) => {
    const { registers } = hart;
    const isTrapped = registers.privilege === 1 && (registers.get(CELL.mstatus) & MSTATUS.TSR) !== 0;
    if (registers.privilege === 0 || isTrapped) return "illegal";
    hart.trapReturn(1);
    return "jumped";
  },
  wfi: (hart) => {
    const { registers } = hart;
    const isTrapped = registers.privilege < 3 && (registers.get(CELL.mstatus) & MSTATUS.TW) !== 0;
    if (registers.privilege === 0 || isTrapped) return "illegal";
    hart.refreshTimer();
    // It wakes for what is pending and enabled in mie, whatever mstatus says.
    if ((pendingInterrupts(registers) & registers.get(CELL.mie)) === 0) hart.wait();
    return "done";
  },
  "sfence.vma": (hart, { rs1, rs2 }) => {
    const { registers } = hart;
    const isTrapped = registers.privilege === 1 && (registers.get(CELL.mstatus) & MSTATUS.TVM) !== 0;
    if (registers.privilege === 0 || isTrapped) return "illegal";
    hart.sfence(
      rs1 === 0 ? undefined : toNumber(registers.xHi(rs1), registers.xLo(rs1)),
      rs2 === 0 ? undefined : registers.xLo(rs2) & 0xffff,
    );
    return "done";
  },
  kentry: (hart, { imm }) => (hart.enterKernel(imm) ? "jumped" : "illegal"),
};

const semanticsById: readonly (SystemSemantics | undefined)[] = INSTRUCTIONS.map(({ mnemonic }) => {
  const byName: Readonly<Partial<Record<Mnemonic, SystemSemantics>>> = systemSemantics;
  return byName[mnemonic];
});

/** What a system instruction does, by its id; undefined for the others. */
export function systemSemanticsOf(id: InstructionId): SystemSemantics | undefined {
  return semanticsById[id];
}
