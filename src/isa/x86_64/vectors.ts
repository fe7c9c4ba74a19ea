// Exception vectors, and the error codes that some exceptions push.
//
//                 15                     3  2  1  0
//                +------------------------+--+--+---+
//    selector    |         index          |TI| I|EXT|     #TS, #NP, #SS, #GP: I = the index is of the IDT, TI = of the LDT
//                +------------------------+--+--+---+
//    page fault  |  …  |SGX| … | PK| ID|RSV|US|WR|P |
//                +----------------------------------+
//
// Intel SDM volume 3, 6.3.1 (vectors), 6.13 (error code), 4.7 (page-fault exceptions).

/** Exceptions by the manual's mnemonic. */
export const VECTOR = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;

export type VectorName = keyof typeof VECTOR;
export type ExceptionVector = (typeof VECTOR)[VectorName];

/** Vectors below this are for exceptions; interrupts come at the others. */
export const FIRST_INTERRUPT_VECTOR = 32;
/** Beyond all vectors: what listeners are told of `syscall` and `sysenter`, which have none. */
export const SYSTEM_CALL = 0x100;

/** Bit n is set when exception n pushes an error code. */
const WITH_ERROR_CODE =
  (1 << VECTOR.DF) |
  (1 << VECTOR.TS) |
  (1 << VECTOR.NP) |
  (1 << VECTOR.SS) |
  (1 << VECTOR.GP) |
  (1 << VECTOR.PF) |
  (1 << VECTOR.AC);

/**
 * Whether an exception pushes an error code. An interrupt, also one that `int n` makes at the same vector, never does.
 */
export function pushesErrorCode(vector: number): boolean {
  return vector < FIRST_INTERRUPT_VECTOR && ((WITH_ERROR_CODE >>> vector) & 1) !== 0;
}

/**
 * Whether an exception makes a double fault of another that is raised while it is being delivered: "contributory" ones
 * do so with each other, a page fault with both. SDM volume 3, table 6-5.
 */
export function isContributory(vector: number): boolean {
  return vector === VECTOR.DE || (vector >= VECTOR.TS && vector <= VECTOR.GP);
}

/** Bits of a page fault's error code. */
export const PAGE_FAULT = {
  /** The page is mapped, and what it allows was violated. */
  PRESENT: 1 << 0,
  WRITE: 1 << 1,
  /** At CPL 3. */
  USER: 1 << 2,
  /** A reserved bit is set in an entry. */
  RESERVED: 1 << 3,
  /** An instruction fetch; only with EFER.NXE or CR4.SMEP. */
  FETCH: 1 << 4,
} as const;

/** Bits of an error code that names a selector. */
export const SELECTOR_ERROR = { EXTERNAL: 1 << 0, IDT: 1 << 1, LDT: 1 << 2 } as const;

const texts: ReadonlyMap<number, string> = new Map([
  [VECTOR.DE, "divide error"],
  [VECTOR.DB, "debug exception"],
  [VECTOR.NMI, "non-maskable interrupt"],
  [VECTOR.BP, "breakpoint"],
  [VECTOR.OF, "overflow"],
  [VECTOR.BR, "bound range exceeded"],
  [VECTOR.UD, "invalid opcode"],
  [VECTOR.NM, "device not available"],
  [VECTOR.DF, "double fault"],
  [VECTOR.TS, "invalid TSS"],
  [VECTOR.NP, "segment not present"],
  [VECTOR.SS, "stack-segment fault"],
  [VECTOR.GP, "general protection"],
  [VECTOR.PF, "page fault"],
  [VECTOR.MF, "x87 floating-point error"],
  [VECTOR.AC, "alignment check"],
  [VECTOR.MC, "machine check"],
  [VECTOR.XM, "SIMD floating-point exception"],
]);

/** The manual's words for a vector. */
export function describeVector(vector: number): string {
  if (vector >= FIRST_INTERRUPT_VECTOR) return `interrupt ${vector}`;
  return texts.get(vector) ?? `reserved exception ${vector}`;
}
