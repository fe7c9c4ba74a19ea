/**
 * Where a hart's state lies in its window, and what a predecoded record looks like. The window is at address 0 of the machine's
 * WebAssembly memory while the hart runs (engine/layout.ts), so a record names a register by its 16-bit address.
 */

const SEGMENT_STRIDE = 32;

/** Byte addresses in the window. All of a hart's architectural state is here. */
export const CELL = {
  /** rax … r15. A byte register is at its own address: ah is `gpr + 1`. */
  gpr: 0x100,
  /** Always 0: the base or index that an address does not have. */
  zero: 0x180,
  /** Takes what is written nowhere. */
  sink: 0x188,
  /** The exact tier's copy of a memory operand, up to 16 bytes. */
  operand: 0x190,
  /** rip of the next instruction, while the hart's state is at rest. */
  pc: 0x1a0,
  /** The record of that instruction. */
  ip: 0x1a8,
  /** Instructions left; retired = retiredLimit - fuel. */
  fuel: 0x1ac,
  /** Virtual address of the page that records are executed of: rip = pageBase + the record's offset. */
  pageBase: 0x1b0,
  /** Base of the current TLB context. */
  tlb: 0x1b8,
  /** What host accesses return or store (16 bytes). */
  stepValue: 0x1c0,
  nextPc: 0x1d0,
  stepTransferred: 0x1d8,
  /** The effective address of the exact tier's memory operand, without its segment's base. */
  stepAddress: 0x220,
  /** The same with the segment's base: its linear address. */
  stepLinear: 0x228,
  /** The base of the segment that the exact tier's instruction uses. */
  stepSegmentBase: 0x230,
  /**
   * The arithmetic flags, lazily. `flagResult` and `flagCarries` are sign-extended to 64 bits from the operand size:
   *
   *     ZF = flagResult == 0      SF = flagResult < 0 ^ flagCarry bit 1      PF = parity of flagResult's low byte ^ flagCarry bit 2
   *     CF = flagCarry bit 0      AF = flagCarries bit 4                     OF = CF ^ (flagCarries < 0)
   *
   * flagCarries is a ^ b ^ result of an addition or subtraction: the carry into each bit. Bits 1 and 2 of flagCarry are set only
   * by what loads flags that no arithmetic gives (popf, sahf, iret, comisd).
   */
  flagResult: 0x1e0,
  flagCarries: 0x1e8,
  flagCarry: 0x1f0,
  /** The other flags, at their places in RFLAGS; bit 1 is set. */
  systemFlags: 0x1f4,
  /** A double. */
  retiredLimit: 0x1f8,
  /** A double: virtual time is retired + this. */
  idleNs: 0x200,
  /** Not 0 while halted (hlt), or while waiting to be started. */
  waiting: 0x208,
  cpl: 0x20c,
  /** 64, 32 or 16: the mode that code is decoded in. */
  codeMode: 0x210,
  mxcsr: 0x214,
  /** Not 0 while SSE instructions need no check: CR0.EM = 0, TS = 0, CR4.OSFXSR = 1. */
  sseReady: 0x218,
  /** Not 0 while `sseReady` holds and MXCSR is: round to nearest, all masked, no DAZ, no FTZ. */
  sseNearest: 0x21c,
  /** es, cs, ss, ds, fs, gs, ldtr, tr: 32 bytes each: base (8), limit (4), attributes (4), selector (4). */
  segments: 0x240,
  gdtrBase: 0x340,
  gdtrLimit: 0x348,
  idtrBase: 0x350,
  idtrLimit: 0x358,
  cr0: 0x360,
  cr2: 0x368,
  cr3: 0x370,
  cr4: 0x378,
  cr8: 0x380,
  efer: 0x388,
  star: 0x390,
  lstar: 0x398,
  cstar: 0x3a0,
  sfmask: 0x3a8,
  kernelGsBase: 0x3b0,
  tscAux: 0x3b8,
  /** What is added to virtual time to give the time-stamp counter. */
  tscOffset: 0x3c0,
  pat: 0x3c8,
  apicBase: 0x3d0,
  miscEnable: 0x3d8,
  sysenterCs: 0x3e0,
  sysenterEsp: 0x3e8,
  sysenterEip: 0x3f0,
  xcr0: 0x3f8,
  /** dr0-dr3 at 0-3, dr6 at 6, dr7 at 7: 8 bytes each. */
  debug: 0x400,
  /** Not 0 from the instruction after `sti` or `mov ss` until that has retired: no interrupt is taken. */
  interruptShadow: 0x440,
  /** Not 0 while a line of the local APIC asks for an interrupt: bit 0 INTR, bit 1 NMI, bit 2 INIT, bit 3 SIPI (whose vector the APIC tells). */
  requests: 0x444,
  /** Not 0 from an NMI until iret. */
  nmiBlocked: 0x448,
  /** Not 0 while breakpoints were met that no exception has told of (bits 0-3, as in dr6), or RF is set (breakpoints.ts). */
  debugState: 0x44c,
  /** x87: control word, status word (TOP in bits 11-13), tag word (2 bits a register, by physical number), last opcode and pointers. */
  fpuControl: 0x450,
  fpuStatus: 0x454,
  fpuTag: 0x458,
  fpuOpcode: 0x45c,
  fpuInstruction: 0x460,
  fpuData: 0x468,
  /** Physical registers R0-R7, 16 bytes each: 64-bit significand, then sign and exponent (16 bits). mm(n) is the significand of R(n). */
  fpu: 0x480,
  /** xmm0 … xmm15 in the low 16 of 32 bytes each: room for ymm. */
  xmm: 0x600,
  /** The exact tier's operands: one record. */
  stepRecord: 0x800,
} as const;

/** Addresses of a segment register's parts, by number (6 ldtr, 7 tr). */
export const segmentBase = (segment: number): number => CELL.segments + segment * SEGMENT_STRIDE;
export const segmentLimit = (segment: number): number => segmentBase(segment) + 8;
/** As in the descriptor's second word, shifted: type (0-3), S (4), DPL (5-6), P (7), AVL (12), L (13), D/B (14), G (15). */
export const segmentAttributes = (segment: number): number => segmentBase(segment) + 12;
export const segmentSelector = (segment: number): number => segmentBase(segment) + 16;
export const LDTR = 6;
export const TR = 7;

export const XMM_STRIDE = 32;
export const FPU_STRIDE = 16;

/**
 * A predecoded record, 32 bytes. Records of a run of instructions follow each other, so `ip` goes on by 32.
 *
 *     0    2    4    6    8      10      11       12      14    16    24     28       30
 *     +----+----+----+----+------+-------+--------+-------+-----+-----+------+--------+----+
 *     | op | a  | b  | c  | base | scale | length | index | seg | imm | disp | offset | id |
 *     +----+----+----+----+------+-------+--------+-------+-----+-----+------+--------+----+
 *
 * a, b, c: window addresses of the register operands 0, 1, 2. base, index, seg: of what an address is the sum of. imm: 64 bits; the
 * target's record for a jump within the page. offset: the instruction's offset in its page. id: in the ISA's table.
 */
export const RECORD = {
  op: 0,
  a: 2,
  b: 4,
  c: 6,
  base: 8,
  scale: 10,
  length: 11,
  index: 12,
  seg: 14,
  imm: 16,
  disp: 24,
  offset: 28,
  id: 30,
} as const;
export const RECORD_SIZE = 32;
