/**
 * Traps and the way back. RISC-V privileged architecture, "Trap Handling" in the chapters on M- and S-mode.
 *
 *     trap to x:   xEPC = pc   xCAUSE   xTVAL   xPP = privilege   xPIE = xIE   xIE = 0   pc = xTVEC
 *     xret:        pc = xEPC   privilege = xPP  xIE = xPIE        xPIE = 1     xPP = U
 */
import { INTERRUPT_PRIORITY } from "../../isa/riscv64/causes.ts";
import { CAUSE_HI_INTERRUPT, MENVCFG_HI, MSTATUS, MSTATUS_SHIFT, TVEC } from "../../isa/riscv64/csrs.ts";
import type { Privilege } from "./hart.ts";
import { CELL } from "./layout.ts";
import type { Registers } from "./registers.ts";

export interface Trap {
  readonly cause: number;
  readonly interrupt: boolean;
  readonly tvalLo: number;
  readonly tvalHi: number;
}

/** Enters the handler of a trap; returns the privilege that handles it. A reservation does not survive. */
export function enterTrap(r: Registers, trap: Trap): Privilege {
  const from = r.privilege;
  const delegated = r.get(trap.interrupt ? CELL.mideleg : CELL.medeleg);
  const toSupervisor = from < 3 && ((delegated >>> trap.cause) & 1) === 1;
  const causeHi = trap.interrupt ? CAUSE_HI_INTERRUPT : 0;
  let status = r.get(CELL.mstatus);
  if (toSupervisor) {
    r.setWords(CELL.sepc, r.pcLo, r.pcHi);
    r.setWords(CELL.scause, trap.cause, causeHi);
    r.setWords(CELL.stval, trap.tvalLo, trap.tvalHi);
    const wasEnabled = (status & MSTATUS.SIE) !== 0;
    status &= ~(MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP);
    if (wasEnabled) status |= MSTATUS.SPIE;
    if (from === 1) status |= MSTATUS.SPP;
  } else {
    r.setWords(CELL.mepc, r.pcLo, r.pcHi);
    r.setWords(CELL.mcause, trap.cause, causeHi);
    r.setWords(CELL.mtval, trap.tvalLo, trap.tvalHi);
    const wasEnabled = (status & MSTATUS.MIE) !== 0;
    status &= ~(MSTATUS.MIE | MSTATUS.MPIE | MSTATUS.MPP);
    if (wasEnabled) status |= MSTATUS.MPIE;
    status |= from << MSTATUS_SHIFT.MPP;
  }
  r.set(CELL.mstatus, status);
  const to: Privilege = toSupervisor ? 1 : 3;
  r.set(CELL.privilege, to);
  r.set(CELL.reservation, 0);
  r.set(CELL.waiting, 0);
  const vectorCell = toSupervisor ? CELL.stvec : CELL.mtvec;
  const vectorLo = r.get(vectorCell);
  let lo = vectorLo & ~TVEC.MODE;
  let hi = r.get(vectorCell + 4);
  if (trap.interrupt && (vectorLo & TVEC.MODE) === TVEC.vectored) {
    const sum = (lo >>> 0) + 4 * trap.cause;
    if (sum > 0xffffffff) hi = (hi + 1) | 0;
    lo = sum | 0;
  }
  r.setWords(CELL.pc, lo, hi);
  return to;
}

/** `sret` or `mret`, by the privilege whose trap it ends. MPRV is cleared on the way to a mode below M. */
export function returnFromTrap(r: Registers, level: 1 | 3): void {
  let status = r.get(CELL.mstatus);
  let to: number;
  if (level === 1) {
    to = (status >>> MSTATUS_SHIFT.SPP) & 1;
    const enabled = (status & MSTATUS.SPIE) !== 0;
    status &= ~(MSTATUS.SIE | MSTATUS.SPP);
    status |= MSTATUS.SPIE | (enabled ? MSTATUS.SIE : 0);
    r.setWords(CELL.pc, r.get(CELL.sepc), r.get(CELL.sepc + 4));
  } else {
    to = (status >>> MSTATUS_SHIFT.MPP) & 3;
    const enabled = (status & MSTATUS.MPIE) !== 0;
    status &= ~(MSTATUS.MIE | MSTATUS.MPP);
    status |= MSTATUS.MPIE | (enabled ? MSTATUS.MIE : 0);
    r.setWords(CELL.pc, r.get(CELL.mepc), r.get(CELL.mepc + 4));
  }
  if (to !== 3) status &= ~MSTATUS.MPRV;
  r.set(CELL.mstatus, status);
  r.set(CELL.privilege, to);
}

/** The pending bits of mip: those that software writes and lines drive (low half), and the external line of SEIP (high half). */
export function pendingInterrupts(r: Registers): number {
  return r.get(CELL.mip) | r.get(CELL.mip + 4);
}

/**
 * The interrupt that the hart takes now, or -1. One for M-mode goes before one for S-mode; a mode's own are held back by
 * its enable bit, those of higher modes never.
 */
export function interruptToTake(r: Registers): number {
  const pending = pendingInterrupts(r) & r.get(CELL.mie);
  if (pending === 0) return -1;
  const privilege = r.privilege;
  const status = r.get(CELL.mstatus);
  const delegated = r.get(CELL.mideleg);
  const forMachine = pending & ~delegated;
  if (forMachine !== 0 && (privilege < 3 || (status & MSTATUS.MIE) !== 0)) return highestPriority(forMachine);
  const forSupervisor = pending & delegated;
  if (forSupervisor !== 0 && (privilege < 1 || (privilege === 1 && (status & MSTATUS.SIE) !== 0))) {
    return highestPriority(forSupervisor);
  }
  return -1;
}

function highestPriority(pending: number): number {
  return INTERRUPT_PRIORITY.find((code) => ((pending >>> code) & 1) === 1) ?? -1;
}

/** Whether supervisor mode has its own timer compare register (Sstc), which then drives STIP. */
export function hasSupervisorTimer(r: Registers): boolean {
  return (r.get(CELL.menvcfg + 4) & MENVCFG_HI.STCE) !== 0;
}
