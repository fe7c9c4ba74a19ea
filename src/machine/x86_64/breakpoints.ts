/**
 * The breakpoints of the debug registers.
 *
 *     dr0-dr3  addresses        dr7  enabled? of what kind? how long?        dr6  which were met
 *
 *     execution    a fault before the instruction, unless RF says that it has been reported
 *     data, port   a trap after the instruction
 *
 * CELL.debugState has what is still to be reported: bits 0-3 of dr6, and RF. While a breakpoint is enabled the exact tier executes
 * everything. Intel SDM volume 3, 17.2 (debug registers), 17.3.1 (debug exceptions).
 */
import { CR4, DR6 } from "../../isa/x86_64/registers.ts";
import { toNumber } from "../../lib/word64.ts";
import type { AccessType } from "../hart.ts";
import { CELL } from "./layout.ts";
import type { Registers } from "./registers.ts";

const COUNT = 4;
const DR7 = { ENABLED: 0xff, KIND_SHIFT: 16, GD: 1 << 13 } as const;
/** The two low bits of the four that tell kind and length; "port" is so with CR4.DE. */
const KIND = { execution: 0, store: 1, port: 2, access: 3 } as const;
/** By the other two. */
const LENGTHS = [1, 2, 8, 4] as const;
/** CELL.debugState: RF, where there are breakpoints. */
export const RESUME_FLAG = 1 << 16;

const dr6Cell = CELL.debug + 6 * 8;
const dr7Cell = CELL.debug + 7 * 8;

/** Whether any breakpoint is enabled. */
export const isArmed = (registers: Registers): boolean => (registers.get(dr7Cell) & DR7.ENABLED) !== 0;

/** Those enabled of a kind that have some of the bytes from `lo`, `hi` on, as bits. */
function match(registers: Registers, isKind: (kind: number) => boolean, lo: number, hi: number, size: number): number {
  const control = registers.get(dr7Cell);
  const first = toNumber(hi, lo);
  let met = 0;
  for (let number = 0; number < COUNT; number++) {
    const fields = control >> (DR7.KIND_SHIFT + number * 4);
    if (((control >> (number * 2)) & 3) === 0 || !isKind(fields & 3)) continue;
    const length = LENGTHS[((fields >> 2) & 3) as 0 | 1 | 2 | 3];
    const cell = CELL.debug + number * 8;
    const start = toNumber(registers.get(cell + 4), registers.get(cell) & -length);
    if (first < start + length && start < first + size) met |= 1 << number;
  }
  return met;
}

const isExecution = (kind: number): boolean => kind === KIND.execution;
const isStore = (kind: number): boolean => kind === KIND.store || kind === KIND.access;
const isAccess = (kind: number): boolean => kind === KIND.access;
const isPort = (kind: number): boolean => kind === KIND.port;

/** Whether there is a breakpoint at the instruction at a linear address; dr6 then tells of it. */
export function meetInstruction(registers: Registers, lo: number, hi: number): boolean {
  const met = match(registers, isExecution, lo, hi, 1);
  if (met !== 0) reportDebug(registers, met);
  return met !== 0;
}

/** Notes the breakpoints that an access meets, to be reported after the instruction. */
export function noteAccess(registers: Registers, access: AccessType, lo: number, hi: number, size: number): void {
  if (access === "execute") return;
  note(registers, match(registers, access === "store" ? isStore : isAccess, lo, hi, size));
}

/** … and those of a port. */
export function notePort(registers: Registers, port: number, size: number): void {
  if (isArmed(registers) && (registers.get(CELL.cr4) & CR4.DE) !== 0) {
    note(registers, match(registers, isPort, port, 0, size));
  }
}

function note(registers: Registers, met: number): void {
  if (met !== 0) registers.set(CELL.debugState, registers.get(CELL.debugState) | met);
}

/** Sets dr6 for a debug exception: why it comes, and the breakpoints that were noted. Guarding ends with the exception. */
export function reportDebug(registers: Registers, reasons: number): void {
  const noted = registers.get(CELL.debugState) & DR6.MET;
  registers.set(CELL.debugState, registers.get(CELL.debugState) & ~DR6.MET);
  registers.set(dr6Cell, (registers.get(dr6Cell) & ~DR6.MET) | reasons | noted);
  registers.set(dr7Cell, registers.get(dr7Cell) & ~DR7.GD);
}

/** Whether an access to a debug register is itself a debug exception. */
export const isGuarded = (registers: Registers): boolean => (registers.get(dr7Cell) & DR7.GD) !== 0;
