// Model-specific registers: numbers and fields.
//
// Intel SDM volume 4, chapter 2; AMD APM volume 2, appendix A.

/** MSR numbers by name. */
export const MSR = {
  tsc: 0x10,
  platformId: 0x17,
  apicBase: 0x1b,
  featureControl: 0x3a,
  tscAdjust: 0x3b,
  biosSignatureId: 0x8b,
  mtrrCap: 0xfe,
  archCapabilities: 0x10a,
  sysenterCs: 0x174,
  sysenterEsp: 0x175,
  sysenterEip: 0x176,
  mcgCap: 0x179,
  mcgStatus: 0x17a,
  miscEnable: 0x1a0,
  mtrrDefType: 0x2ff,
  pat: 0x277,
  tscDeadline: 0x6e0,
  /** First of the registers of an APIC in x2APIC mode. */
  x2apic: 0x800,
  efer: 0xc0000080,
  star: 0xc0000081,
  lstar: 0xc0000082,
  cstar: 0xc0000083,
  sfmask: 0xc0000084,
  fsBase: 0xc0000100,
  gsBase: 0xc0000101,
  kernelGsBase: 0xc0000102,
  tscAux: 0xc0000103,
} as const;

export type MsrName = keyof typeof MSR;

const namesByNumber: ReadonlyMap<number, MsrName> = new Map(
  Object.entries(MSR).map(([name, number]) => [number, name as MsrName]), // Object.entries loses the keys' type
);

/** The name of an MSR, if it has one here. */
export function msrName(number: number): MsrName | undefined {
  return namesByNumber.get(number >>> 0);
}

/** IA32_APIC_BASE, low half. The base is bits 12 and up. */
export const APIC_BASE = {
  /** The bootstrap processor. */
  BSP: 1 << 8,
  X2APIC: 1 << 10,
  ENABLE: 1 << 11,
} as const;

/** IA32_MISC_ENABLE, low half, and the execute-disable bit in its high half. */
export const MISC_ENABLE = {
  FAST_STRINGS: 1 << 0,
  THERMAL_CONTROL: 1 << 3,
  SPEED_STEP: 1 << 16,
  MONITOR: 1 << 18,
  LIMIT_CPUID: 1 << 22,
  XTPR_DISABLE: 1 << 23,
} as const;
export const MISC_ENABLE_HI = { XD_DISABLE: 1 << 2 } as const;

/** IA32_PAT at reset: WB, WT, UC-, UC, and the same again. */
export const PAT_RESET = { hi: 0x00070406, lo: 0x00070406 } as const;

/**
 * IA32_STAR's high half: `syscall` loads cs from bits 32-47 (ss is 8 more); `sysret` from 48-63 (cs 16 more, ss 8
 * more).
 */
export const STAR_HI = { SYSCALL_CS_SHIFT: 0, SYSRET_CS_SHIFT: 16 } as const;
