// The registers of x86-64 by number and name, and the bits of RFLAGS, CR0, CR4, EFER and MXCSR.
//
// Intel SDM volume 1, chapter 3 (basic execution environment); volume 3, chapter 2 (system registers); AMD APM volume
// 2, chapter 3.

/** General-purpose registers by number, 64 bits wide. */
export const GPR_NAMES = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;

export const GPR = {
  rax: 0,
  rcx: 1,
  rdx: 2,
  rbx: 3,
  rsp: 4,
  rbp: 5,
  rsi: 6,
  rdi: 7,
  r8: 8,
  r9: 9,
  r10: 10,
  r11: 11,
  r12: 12,
  r13: 13,
  r14: 14,
  r15: 15,
} as const;

/** The name of a general-purpose register, or of its low part: rax, eax, ax, al; r8, r8d, r8w, r8b; ah for bits 15-8. */
export function gprName(register: number, size: number, isHighByte = false): string {
  const name = GPR_NAMES[register] ?? "";
  if (isHighByte) return `${name.charAt(1)}h`;
  if (register >= 8) return name + (size === 4 ? "d" : size === 2 ? "w" : size === 1 ? "b" : "");
  if (size === 8) return name;
  if (size === 4) return `e${name.slice(1)}`;
  if (size === 2) return name.slice(1);
  return register < 4 ? `${name.charAt(1)}l` : `${name.slice(1)}l`;
}

/** Segment registers by number, as ModRM.reg names them. */
export const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"] as const;
export const SEGMENT = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;

/** RFLAGS. SDM volume 1, 3.4.3. */
export const RFLAGS = {
  CF: 1 << 0,
  /** Always 1. */
  ONE: 1 << 1,
  PF: 1 << 2,
  AF: 1 << 4,
  ZF: 1 << 6,
  SF: 1 << 7,
  TF: 1 << 8,
  IF: 1 << 9,
  DF: 1 << 10,
  OF: 1 << 11,
  IOPL: 3 << 12,
  NT: 1 << 14,
  RF: 1 << 16,
  VM: 1 << 17,
  AC: 1 << 18,
  VIF: 1 << 19,
  VIP: 1 << 20,
  ID: 1 << 21,
} as const;

/** The flags that arithmetic sets. */
export const ARITHMETIC_FLAGS = RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.OF;

/** CR0. SDM volume 3, 2.5. */
export const CR0 = {
  PE: 1 << 0,
  MP: 1 << 1,
  EM: 1 << 2,
  TS: 1 << 3,
  ET: 1 << 4,
  NE: 1 << 5,
  WP: 1 << 16,
  AM: 1 << 18,
  NW: 1 << 29,
  CD: 1 << 30,
  PG: 1 << 31,
} as const;

/** CR4. SDM volume 3, 2.5. */
export const CR4 = {
  VME: 1 << 0,
  PVI: 1 << 1,
  TSD: 1 << 2,
  DE: 1 << 3,
  PSE: 1 << 4,
  PAE: 1 << 5,
  MCE: 1 << 6,
  PGE: 1 << 7,
  PCE: 1 << 8,
  OSFXSR: 1 << 9,
  OSXMMEXCPT: 1 << 10,
  UMIP: 1 << 11,
  FSGSBASE: 1 << 16,
  PCIDE: 1 << 17,
  OSXSAVE: 1 << 18,
  SMEP: 1 << 20,
  SMAP: 1 << 21,
} as const;

/** IA32_EFER. SDM volume 3, 2.2.1. */
export const EFER = { SCE: 1 << 0, LME: 1 << 8, LMA: 1 << 10, NXE: 1 << 11 } as const;

/** DR6: which breakpoints were met, an access to a debug register, a step. SDM volume 3, 17.2.3. */
export const DR6 = { MET: 0xf, BD: 1 << 13, BS: 1 << 14 } as const;

/** MXCSR. SDM volume 1, 10.2.3. Flags in bits 0-5, masks in 7-12, rounding in 13-14. */
export const MXCSR = {
  IE: 1 << 0,
  DE: 1 << 1,
  ZE: 1 << 2,
  OE: 1 << 3,
  UE: 1 << 4,
  PE: 1 << 5,
  FLAGS: 0x3f,
  DAZ: 1 << 6,
  MASK_SHIFT: 7,
  MASKS: 0x3f << 7,
  ROUNDING_SHIFT: 13,
  FTZ: 1 << 15,
  /** At reset: everything masked, round to nearest. */
  RESET: 0x1f80,
} as const;

/** Condition codes by number, as the low four bits of Jcc, SETcc and CMOVcc. */
export const CONDITION_NAMES = [
  "o",
  "no",
  "b",
  "ae",
  "e",
  "ne",
  "be",
  "a",
  "s",
  "ns",
  "p",
  "np",
  "l",
  "ge",
  "le",
  "g",
] as const;
