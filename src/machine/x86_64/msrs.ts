/**
 * The model-specific registers. What is not in the table raises #GP, and so does a write that a row refuses: of reserved bits, or of a
 * non-canonical address. Intel SDM volume 4, chapter 2; AMD APM volume 2, appendix A.
 */
import { APIC_BASE, MISC_ENABLE, MISC_ENABLE_HI, MSR } from "../../isa/x86_64/msrs.ts";
import { CR0, EFER, SEGMENT } from "../../isa/x86_64/registers.ts";
import { add, fromNumber, sub, toUnsignedNumber, ZERO64, type Word64 } from "../../lib/word64.ts";
import { isExecuteDisableOff } from "./cpuid.ts";
import { CELL, segmentBase } from "./layout.ts";
import { isCanonical } from "./mmu.ts";
import type { SystemHart } from "./system.ts";

interface MsrRow {
  read(hart: SystemHart): Word64;
  /** False is #GP, with nothing changed. Without it every write is. */
  write?(hart: SystemHart, lo: number, hi: number): boolean;
}

/** IA32_ARCH_CAPABILITIES: speculation leaks nothing here (RDCL_NO, SSB_NO, MDS_NO, TAA_NO and their kin), since there is none. */
const ARCH_CAPABILITIES = [0, 3, 4, 5, 6, 8, 13, 14, 15, 20, 24, 26, 27].reduce((bits, bit) => bits | (1 << bit), 0);
/** Where the local APIC's registers are; they cannot be moved. */
const APIC_REGISTERS = 0xfee00000 | 0;
/** Memory types of the PAT's entries: UC, WC, WT, WP, WB, UC-. */
const PAT_TYPES = new Set([0, 1, 4, 5, 6, 7]);
/** Of IA32_MISC_ENABLE these can be set; but for the last two there is nothing that they would change. */
const MISC_ENABLE_BITS =
  MISC_ENABLE.FAST_STRINGS |
  MISC_ENABLE.THERMAL_CONTROL |
  MISC_ENABLE.SPEED_STEP |
  MISC_ENABLE.MONITOR |
  MISC_ENABLE.XTPR_DISABLE |
  MISC_ENABLE.LIMIT_CPUID;
const MISC_ENABLE_HI_BITS = MISC_ENABLE_HI.XD_DISABLE;
const EFER_BITS = EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE;

/** A cell that takes what `admits` lets through. */
const cell = (address: number, admits: (lo: number, hi: number) => boolean): MsrRow => ({
  read: ({ registers }) => registers.word(address),
  write: ({ registers }, lo, hi) => {
    if (!admits(lo, hi)) return false;
    registers.setWords(address, lo, hi);
    return true;
  },
});
const isAny = (): boolean => true;
const isAddress = (_: number, hi: number): boolean => isCanonical(hi);
const isMiscEnable = (lo: number, hi: number): boolean =>
  (lo & ~MISC_ENABLE_BITS) === 0 && (hi & ~MISC_ENABLE_HI_BITS) === 0;
const is32Bits = (_: number, hi: number): boolean => hi === 0;

const constant = (lo: number, hi = 0): MsrRow => ({ read: () => ({ hi, lo }) });
/** Reads as 0, and only 0 may be written. */
const zero: MsrRow = { read: () => ZERO64, write: (_, lo, hi) => (lo | hi) === 0 };

const timeStamp: MsrRow = {
  read: ({ registers }) => registers.tsc,
  write: ({ registers }, lo, hi) => {
    const offset = sub({ hi, lo }, fromNumber(registers.timeNs));
    registers.setWords(CELL.tscOffset, offset.lo, offset.hi);
    return true;
  },
};

/** In ticks of the time-stamp counter; 0 disarms it. */
const tscDeadline: MsrRow = {
  read: ({ registers, apic }) => {
    const atNs = apic?.deadlineNs();
    return atNs === undefined ? ZERO64 : add(fromNumber(atNs), registers.word(CELL.tscOffset));
  },
  write: ({ registers, apic }, lo, hi) => {
    const at = sub({ hi, lo }, registers.word(CELL.tscOffset));
    // A time before the start of time has passed.
    const atNs = at.hi < 0 && hi >= 0 ? 0 : toUnsignedNumber(at.hi, at.lo);
    apic?.setDeadlineNs((lo | hi) === 0 ? undefined : atNs);
    return true;
  },
};

const apicBase: MsrRow = {
  read: ({ registers }) => registers.word(CELL.apicBase),
  write: ({ registers, apic }, lo, hi) => {
    const writable = APIC_BASE.ENABLE | APIC_BASE.BSP;
    if (hi !== 0 || (lo & ~writable) !== APIC_REGISTERS) return false;
    registers.set(CELL.apicBase, (lo & ~APIC_BASE.BSP) | (registers.get(CELL.apicBase) & APIC_BASE.BSP));
    apic?.setGlobalEnable((lo & APIC_BASE.ENABLE) !== 0);
    return true;
  },
};

const efer: MsrRow = {
  read: ({ registers }) => registers.word(CELL.efer),
  write: (hart, lo, hi) => {
    const { registers } = hart;
    const old = registers.get(CELL.efer);
    const isPaging = (registers.get(CELL.cr0) & CR0.PG) !== 0;
    if (hi !== 0 || (lo & ~EFER_BITS) !== 0) return false;
    if ((lo & EFER.NXE) !== 0 && isExecuteDisableOff(registers)) return false;
    if (isPaging && ((lo ^ old) & EFER.LME) !== 0) return false;
    registers.setWords(CELL.efer, (lo & ~EFER.LMA) | (old & EFER.LMA), 0);
    hart.onModesChanged();
    return true;
  },
};

function isPat(lo: number, hi: number): boolean {
  for (let entry = 0; entry < 8; entry++) {
    if (!PAT_TYPES.has(((entry < 4 ? lo : hi) >>> ((entry & 3) * 8)) & 0xff)) return false;
  }
  return true;
}

const rows: ReadonlyMap<number, MsrRow> = new Map([
  [MSR.tsc, timeStamp],
  [MSR.platformId, constant(0)],
  [MSR.apicBase, apicBase],
  [MSR.biosSignatureId, zero],
  [MSR.archCapabilities, constant(ARCH_CAPABILITIES)],
  [MSR.sysenterCs, cell(CELL.sysenterCs, isAny)],
  [MSR.sysenterEsp, cell(CELL.sysenterEsp, isAddress)],
  [MSR.sysenterEip, cell(CELL.sysenterEip, isAddress)],
  [MSR.mcgCap, constant(0)],
  [MSR.mcgStatus, zero],
  [MSR.miscEnable, cell(CELL.miscEnable, isMiscEnable)],
  [MSR.pat, cell(CELL.pat, isPat)],
  [MSR.tscDeadline, tscDeadline],
  [MSR.efer, efer],
  [MSR.star, cell(CELL.star, isAny)],
  [MSR.lstar, cell(CELL.lstar, isAddress)],
  [MSR.cstar, cell(CELL.cstar, isAddress)],
  [MSR.sfmask, cell(CELL.sfmask, is32Bits)],
  [MSR.fsBase, cell(segmentBase(SEGMENT.fs), isAddress)],
  [MSR.gsBase, cell(segmentBase(SEGMENT.gs), isAddress)],
  [MSR.kernelGsBase, cell(CELL.kernelGsBase, isAddress)],
  [MSR.tscAux, cell(CELL.tscAux, is32Bits)],
]);

/** Reads an MSR; undefined is #GP. */
export function readMsr(hart: SystemHart, number: number): Word64 | undefined {
  return rows.get(number >>> 0)?.read(hart);
}

/** Writes an MSR; false is #GP. */
export function writeMsr(hart: SystemHart, number: number, lo: number, hi: number): boolean {
  return rows.get(number >>> 0)?.write?.(hart, lo, hi) ?? false;
}
