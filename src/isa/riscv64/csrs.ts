// Control and status registers: numbers, names, and fields.
//
//     11   10 9    8 7           0
//    +-------+------+-------------+
//    | access| mode |    index    |    access 3: read-only; mode: lowest privilege that may touch it (0 U, 1 S, 3 M)
//    +-------+------+-------------+
//
// A 64-bit register's fields are given as masks of its low and its high half (`MSTATUS` and `MSTATUS_HI`), since registers
// are pairs of 32-bit words. Sources: RISC-V privileged architecture, chapter "CSR Listing" and those on machine- and
// supervisor-level CSRs; Sstc for `stimecmp`; unprivileged ISA for fcsr and the counters.

/** CSR numbers by name, without the numbered families (see `csrNumber`). */
export const CSR = {
  // Unprivileged floating-point
  fflags: 0x001,
  frm: 0x002,
  fcsr: 0x003,
  // Unprivileged counters
  cycle: 0xc00,
  time: 0xc01,
  instret: 0xc02,
  // Supervisor
  sstatus: 0x100,
  sie: 0x104,
  stvec: 0x105,
  scounteren: 0x106,
  senvcfg: 0x10a,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  sip: 0x144,
  stimecmp: 0x14d,
  satp: 0x180,
  // Machine
  mstatus: 0x300,
  misa: 0x301,
  medeleg: 0x302,
  mideleg: 0x303,
  mie: 0x304,
  mtvec: 0x305,
  mcounteren: 0x306,
  menvcfg: 0x30a,
  mcountinhibit: 0x320,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  mip: 0x344,
  mseccfg: 0x747,
  mcycle: 0xb00,
  minstret: 0xb02,
  mvendorid: 0xf11,
  marchid: 0xf12,
  mimpid: 0xf13,
  mhartid: 0xf14,
  mconfigptr: 0xf15,
  // Trigger module of the debug specification
  tselect: 0x7a0,
  tdata1: 0x7a1,
  tdata2: 0x7a2,
  tdata3: 0x7a3,
  tinfo: 0x7a4,
  // First of each numbered family
  hpmcounter3: 0xc03,
  mhpmcounter3: 0xb03,
  mhpmevent3: 0x323,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
} as const;

export type CsrName = keyof typeof CSR;

/** How many registers each numbered family has, from its first. RV64 has only the even ones of pmpcfg. */
export const CSR_FAMILIES = { hpmcounter: 29, mhpmcounter: 29, mhpmevent: 29, pmpcfg: 16, pmpaddr: 64 } as const;

const numbersByName: ReadonlyMap<string, number> = new Map([
  ...Object.entries(CSR),
  ...family("hpmcounter", 3, CSR.hpmcounter3, CSR_FAMILIES.hpmcounter),
  ...family("mhpmcounter", 3, CSR.mhpmcounter3, CSR_FAMILIES.mhpmcounter),
  ...family("mhpmevent", 3, CSR.mhpmevent3, CSR_FAMILIES.mhpmevent),
  ...family("pmpcfg", 0, CSR.pmpcfg0, CSR_FAMILIES.pmpcfg),
  ...family("pmpaddr", 0, CSR.pmpaddr0, CSR_FAMILIES.pmpaddr),
]);

const namesByNumber: ReadonlyMap<number, string> = new Map([...numbersByName].map(([name, n]) => [n, name]));

/** The number of any CSR of the tables, the members of numbered families included (`pmpaddr15`). */
export function csrNumber(name: string): number | undefined {
  return numbersByName.get(name);
}

/** The name of a CSR, or undefined for a number that has none here. */
export function csrName(n: number): string | undefined {
  return namesByNumber.get(n);
}

/** Every CSR number with a name, ascending. */
export function namedCsrs(): number[] {
  return [...namesByNumber.keys()].toSorted((a, b) => a - b);
}

function family(prefix: string, first: number, firstNumber: number, count: number): [string, number][] {
  return Array.from({ length: count }, (_, i) => [`${prefix}${first + i}`, firstNumber + i]);
}

/** Privilege levels, as they are encoded in MPP, SPP and CSR numbers. */
export const PRIVILEGE = { user: 0, supervisor: 1, machine: 3 } as const;
export type Privilege = (typeof PRIVILEGE)[keyof typeof PRIVILEGE];

/** The lowest privilege that may access a CSR. Mode 2 is the hypervisor's. */
export const csrPrivilege = (n: number): number => (n >>> 8) & 3;
/** Whether a write to the CSR is an illegal instruction. */
export const isCsrReadOnly = (n: number): boolean => n >>> 10 === 3;

/** mstatus, bits 31..0. */
export const MSTATUS = {
  SIE: 1 << 1,
  MIE: 1 << 3,
  SPIE: 1 << 5,
  UBE: 1 << 6,
  MPIE: 1 << 7,
  SPP: 1 << 8,
  VS: 3 << 9,
  MPP: 3 << 11,
  FS: 3 << 13,
  XS: 3 << 15,
  MPRV: 1 << 17,
  SUM: 1 << 18,
  MXR: 1 << 19,
  TVM: 1 << 20,
  TW: 1 << 21,
  TSR: 1 << 22,
} as const;

/** Where the fields of mstatus that are wider than a bit begin. */
export const MSTATUS_SHIFT = { SPP: 8, VS: 9, MPP: 11, FS: 13, XS: 15 } as const;

/** mstatus, bits 63..32. SD is also bit 63 of sstatus. */
export const MSTATUS_HI = { UXL: 3, SXL: 3 << 2, SBE: 1 << 4, MBE: 1 << 5, SD: 1 << 31 } as const;

/** The bits of mstatus that sstatus shows, in its low half; its high half shows UXL and SD. */
export const SSTATUS_MASK =
  MSTATUS.SIE |
  MSTATUS.SPIE |
  MSTATUS.UBE |
  MSTATUS.SPP |
  MSTATUS.VS |
  MSTATUS.FS |
  MSTATUS.XS |
  MSTATUS.SUM |
  MSTATUS.MXR;

/** States of an extension's registers, in mstatus.FS, VS and XS. */
export const EXTENSION_STATE = { off: 0, initial: 1, clean: 2, dirty: 3 } as const;

/** UXL and SXL, and MXL of misa: the width is 64 bits. */
export const XLEN_64 = 2;

/** Bits of mip, mie, mideleg, sip and sie. */
export const INTERRUPT_BIT = {
  SSI: 1 << 1,
  MSI: 1 << 3,
  STI: 1 << 5,
  MTI: 1 << 7,
  SEI: 1 << 9,
  MEI: 1 << 11,
} as const;

/** The bits of mip and mie that sip and sie show (those of them that mideleg delegates). */
export const SUPERVISOR_INTERRUPTS = INTERRUPT_BIT.SSI | INTERRUPT_BIT.STI | INTERRUPT_BIT.SEI;

/** mtvec and stvec: the mode in the two low bits; the base is the rest. */
export const TVEC = { MODE: 3, direct: 0, vectored: 1 } as const;

/** mcause and scause: bit 63 tells an interrupt from an exception. */
export const CAUSE_HI_INTERRUPT = 1 << 31;

/** satp, bits 63..32. The PPN is bits 43..0, so its high part is the low 12 bits of this half. */
export const SATP_HI = { MODE: 0xf << 28, ASID: 0xffff << 12, PPN: 0xfff } as const;
export const SATP_HI_SHIFT = { MODE: 28, ASID: 12 } as const;

/** mcounteren, scounteren and mcountinhibit: one bit a counter, hpmcounter n at bit n. mcountinhibit has no TM. */
export const COUNTER = { CY: 1 << 0, TM: 1 << 1, IR: 1 << 2 } as const;

/** menvcfg and senvcfg, low half. */
export const ENVCFG = { FIOM: 1 << 0, CBIE: 3 << 4, CBCFE: 1 << 6, CBZE: 1 << 7 } as const;
/** menvcfg, high half: STCE (bit 63) gives supervisor mode `stimecmp`; PBMTE is bit 62, ADUE bit 61. */
export const MENVCFG_HI = { STCE: 1 << 31, PBMTE: 1 << 30, ADUE: 1 << 29 } as const;

/** One byte of pmpcfg. */
export const PMPCFG = { R: 1 << 0, W: 1 << 1, X: 1 << 2, A: 3 << 3, L: 1 << 7 } as const;
export const PMPCFG_A_SHIFT = 3;
/** Values of pmpcfg.A: how pmpaddr tells the range. */
export const PMP_MATCH = { off: 0, tor: 1, na4: 2, napot: 3 } as const;
/** pmpaddr holds bits 55..2 of a physical address: 54 bits, 22 of them in the high half. */
export const PMPADDR_HI_MASK = 0x3fffff;

/** fcsr: fflags in bits 4..0, frm in bits 7..5. */
export const FFLAGS = { NX: 1, UF: 2, OF: 4, DZ: 8, NV: 16 } as const;
export const FCSR = { FFLAGS: 0x1f, FRM: 0xe0, FRM_SHIFT: 5 } as const;

/** Rounding modes in frm and in instructions; `dyn` is only of instructions. 5 and 6 are reserved. */
export const ROUNDING_MODE = { rne: 0, rtz: 1, rdn: 2, rup: 3, rmm: 4, dyn: 7 } as const;
export type RoundingModeName = keyof typeof ROUNDING_MODE;

/** The bit of misa for an extension's letter. */
export const misaBit = (letter: string): number => 1 << (letter.toUpperCase().charCodeAt(0) - 65);
