/**
 * The state of a hart after reset, and where it starts: in 32-bit protected mode with flat segments, since there is no real mode. Intel
 * SDM volume 3, table 9-1, for everything else.
 */
import { APIC_BASE, MISC_ENABLE, PAT_RESET } from "../../isa/x86_64/msrs.ts";
import { CR0, GPR, MXCSR, RFLAGS, SEGMENT } from "../../isa/x86_64/registers.ts";
import { ATTRIBUTE } from "../../isa/x86_64/segments.ts";
import { SIGNATURE } from "./cpuid.ts";
import { CELL, LDTR, TR } from "./layout.ts";
import type { Registers } from "./registers.ts";
import { refreshCodeMode } from "./segmentation.ts";
import { initializeX87 } from "./system-state.ts";
import { resetDebugRegisters } from "./system-registers.ts";

/** Selectors of the segments that a hart starts with; there is no table yet that they are of. */
const START_CODE = 0x08;
const START_DATA = 0x10;
const FLAT = ATTRIBUTE.P | ATTRIBUTE.S | ATTRIBUTE.G | ATTRIBUTE.DB | ATTRIBUTE.ACCESSED | ATTRIBUTE.WRITABLE;
const APIC_REGISTERS = 0xfee00000 | 0;
/** x87's control and tag words before the first fninit: nothing is masked, and every register is a valid zero. */
const FPU_RESET = { control: 0x40, tags: 0x5555 } as const;
const SYSTEM_CELLS = [
  CELL.cr2,
  CELL.cr3,
  CELL.cr4,
  CELL.cr8,
  CELL.efer,
  CELL.star,
  CELL.lstar,
  CELL.cstar,
  CELL.sfmask,
  CELL.kernelGsBase,
  CELL.tscAux,
  CELL.sysenterCs,
  CELL.sysenterEsp,
  CELL.sysenterEip,
  CELL.gdtrBase,
  CELL.gdtrLimit,
  CELL.idtrBase,
  CELL.idtrLimit,
];

/** Everything but time, and what is asked of the hart. */
export function resetHart(registers: Registers, isFirst: boolean): void {
  for (let register = 0; register < 16; register++) registers.setGpr(register, 0, 0);
  registers.setGpr(GPR.rdx, SIGNATURE, 0);
  registers.setRflags(0);
  for (const cell of SYSTEM_CELLS) registers.setWords(cell, 0, 0);
  // The cell after this one is what is asked of the hart.
  registers.set(CELL.interruptShadow, 0);
  registers.set(CELL.nmiBlocked, 0);
  registers.set(CELL.debugState, 0);
  for (let number = 0; number < 8; number++) registers.setWords(CELL.debug + number * 8, 0, 0);
  resetDebugRegisters((cell, lo, hi) => registers.setWords(cell, lo, hi));
  registers.setWords(CELL.cr0, CR0.PE | CR0.ET, 0);
  registers.setWords(CELL.pat, PAT_RESET.lo, PAT_RESET.hi);
  registers.setWords(CELL.apicBase, APIC_REGISTERS | APIC_BASE.ENABLE | (isFirst ? APIC_BASE.BSP : 0), 0);
  registers.setWords(CELL.miscEnable, MISC_ENABLE.FAST_STRINGS, 0);
  registers.setWords(CELL.xcr0, 1, 0);
  registers.set(CELL.mxcsr, MXCSR.RESET);
  initializeX87(registers);
  registers.set(CELL.fpuControl, FPU_RESET.control);
  registers.set(CELL.fpuTag, FPU_RESET.tags);
  registers.set(CELL.cpl, 0);
  for (const segment of [LDTR, TR]) setEmptySegment(registers, segment);
  registers.refreshFloat();
  startHart(registers, 0);
}

function setEmptySegment(registers: Registers, segment: number): void {
  registers.setSegment(segment, { selector: 0, base: { hi: 0, lo: 0 }, limit: 0, attributes: 0 });
}

/** Starts at an address, in flat 32-bit code. */
export function startHart(registers: Registers, pc: number): void {
  const base = { hi: 0, lo: 0 };
  const limit = 0xffffffff;
  for (const segment of Object.values(SEGMENT)) {
    const isCode = segment === SEGMENT.cs;
    registers.setSegment(segment, {
      selector: isCode ? START_CODE : START_DATA,
      base,
      limit,
      attributes: isCode ? FLAT | ATTRIBUTE.CODE : FLAT,
    });
  }
  registers.set(CELL.systemFlags, RFLAGS.ONE);
  registers.set(CELL.waiting, 0);
  refreshCodeMode(registers);
  registers.setWords(CELL.pc, pc | 0, 0);
}
