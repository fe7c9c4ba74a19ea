// Trap causes: the codes of mcause and scause. Bit 63 of the register tells interrupts from exceptions.
//
// RISC-V privileged architecture, "Machine Cause Register", tables of cause values and of exception priority.

/** Exception codes. */
export const EXCEPTION = {
  instructionAddressMisaligned: 0,
  instructionAccessFault: 1,
  illegalInstruction: 2,
  breakpoint: 3,
  loadAddressMisaligned: 4,
  loadAccessFault: 5,
  storeAddressMisaligned: 6, // stores and atomics
  storeAccessFault: 7,
  userEnvironmentCall: 8,
  supervisorEnvironmentCall: 9,
  machineEnvironmentCall: 11,
  instructionPageFault: 12,
  loadPageFault: 13,
  storePageFault: 15,
} as const;

export type ExceptionName = keyof typeof EXCEPTION;
export type ExceptionCode = (typeof EXCEPTION)[ExceptionName];

/** Interrupt codes; also the numbers of their bits in mip and mie. */
export const INTERRUPT = {
  supervisorSoftware: 1,
  machineSoftware: 3,
  supervisorTimer: 5,
  machineTimer: 7,
  supervisorExternal: 9,
  machineExternal: 11,
} as const;

export type InterruptName = keyof typeof INTERRUPT;
export type InterruptCode = (typeof INTERRUPT)[InterruptName];

/** Codes of simultaneous interrupts to one privilege level, the one to take first first. */
export const INTERRUPT_PRIORITY: readonly InterruptCode[] = [
  INTERRUPT.machineExternal,
  INTERRUPT.machineSoftware,
  INTERRUPT.machineTimer,
  INTERRUPT.supervisorExternal,
  INTERRUPT.supervisorSoftware,
  INTERRUPT.supervisorTimer,
];

const exceptionTexts: ReadonlyMap<number, string> = new Map([
  [EXCEPTION.instructionAddressMisaligned, "instruction address misaligned"],
  [EXCEPTION.instructionAccessFault, "instruction access fault"],
  [EXCEPTION.illegalInstruction, "illegal instruction"],
  [EXCEPTION.breakpoint, "breakpoint"],
  [EXCEPTION.loadAddressMisaligned, "load address misaligned"],
  [EXCEPTION.loadAccessFault, "load access fault"],
  [EXCEPTION.storeAddressMisaligned, "store/AMO address misaligned"],
  [EXCEPTION.storeAccessFault, "store/AMO access fault"],
  [EXCEPTION.userEnvironmentCall, "environment call from U-mode"],
  [EXCEPTION.supervisorEnvironmentCall, "environment call from S-mode"],
  [EXCEPTION.machineEnvironmentCall, "environment call from M-mode"],
  [EXCEPTION.instructionPageFault, "instruction page fault"],
  [EXCEPTION.loadPageFault, "load page fault"],
  [EXCEPTION.storePageFault, "store/AMO page fault"],
]);

const interruptTexts: ReadonlyMap<number, string> = new Map([
  [INTERRUPT.supervisorSoftware, "supervisor software interrupt"],
  [INTERRUPT.machineSoftware, "machine software interrupt"],
  [INTERRUPT.supervisorTimer, "supervisor timer interrupt"],
  [INTERRUPT.machineTimer, "machine timer interrupt"],
  [INTERRUPT.supervisorExternal, "supervisor external interrupt"],
  [INTERRUPT.machineExternal, "machine external interrupt"],
]);

/** The manual's words for an exception code. */
export function describeException(code: number): string {
  return exceptionTexts.get(code) ?? `reserved exception ${code}`;
}

/** The manual's words for an interrupt code. */
export function describeInterrupt(code: number): string {
  return interruptTexts.get(code) ?? `reserved interrupt ${code}`;
}
