/** System registers by name, as the host reads and writes them: with the effects of a write, but without its checks. */
import { EFER, SEGMENT } from "../../isa/x86_64/registers.ts";
import { MSR } from "../../isa/x86_64/msrs.ts";
import { ZERO64, type Word64 } from "../../lib/word64.ts";
import type { SystemRegister } from "./hart.ts";
import { CELL, segmentBase } from "./layout.ts";
import { readMsr, writeMsr } from "./msrs.ts";
import type { SystemHart } from "./system.ts";
import { setCr0, setCr3, setCr4, setCr8 } from "./system-registers.ts";
import { refreshCodeMode } from "./segmentation.ts";

/** Where the registers are whose write has no effects, or whose effects are dealt with below. */
const cells: Readonly<Record<Exclude<SystemRegister, "tscDeadline">, number>> = {
  cr0: CELL.cr0,
  cr2: CELL.cr2,
  cr3: CELL.cr3,
  cr4: CELL.cr4,
  cr8: CELL.cr8,
  dr6: CELL.debug + 6 * 8,
  efer: CELL.efer,
  star: CELL.star,
  lstar: CELL.lstar,
  cstar: CELL.cstar,
  sfmask: CELL.sfmask,
  fsBase: segmentBase(SEGMENT.fs),
  gsBase: segmentBase(SEGMENT.gs),
  kernelGsBase: CELL.kernelGsBase,
  gdtrBase: CELL.gdtrBase,
  gdtrLimit: CELL.gdtrLimit,
  idtrBase: CELL.idtrBase,
  idtrLimit: CELL.idtrLimit,
};

export function readSystemRegister(hart: SystemHart, name: SystemRegister): Word64 {
  const { registers, apic } = hart;
  switch (name) {
    case "tscDeadline":
      return readMsr(hart, MSR.tscDeadline) ?? ZERO64;
    case "cr8":
      return { hi: 0, lo: apic?.taskPriority() ?? registers.get(CELL.cr8) };
    // The cell after these is another's.
    case "gdtrLimit":
    case "idtrLimit":
      return { hi: 0, lo: registers.get(cells[name]) };
    default:
      return registers.word(cells[name]);
  }
}

export function writeSystemRegister(hart: SystemHart, name: SystemRegister, lo: number, hi: number): void {
  const { registers } = hart;
  switch (name) {
    case "cr0":
      return setCr0(hart, lo);
    case "cr3":
      return setCr3(hart, lo, hi & 0x7fffffff, hi < 0);
    case "cr4":
      return setCr4(hart, lo);
    case "cr8":
      return setCr8(hart, lo);
    case "efer":
      registers.setWords(CELL.efer, lo & (EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE), 0);
      refreshCodeMode(registers);
      return hart.onModesChanged();
    case "tscDeadline":
      writeMsr(hart, MSR.tscDeadline, lo, hi);
      return;
    case "gdtrLimit":
    case "idtrLimit":
      registers.set(cells[name], lo & 0xffff);
      return;
    default:
      registers.setWords(cells[name], lo, hi);
  }
}
