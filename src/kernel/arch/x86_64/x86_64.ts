// The x86-64 architecture as the core kernel sees it.

import { X86_64_ABI } from "../../../abi/linux/abi.ts";
import { AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ } from "../../../abi/linux/process.ts";
import type { Arch } from "../arch.ts";
import { x86_64CallNames, x86_64Calls } from "../../syscall/table.ts";
import * as context from "./context.ts";
import { cpuInfo } from "./cpu-info.ts";
import { consoleUart, initializeDevices, sendInterprocessorInterrupt, serveDevices } from "./devices.ts";
import { layout } from "./layout.ts";
import { narration } from "./narration.ts";
import { fourLevel, tablesOf } from "./paging.ts";
import { describeCause, hartRegisters, trapframeFields } from "./report.ts";
import { LARGEST_FRAME, popSignalFrame, pushSignalFrame } from "./signal-frame.ts";
import * as trap from "./trap.ts";

/** e_machine of x86-64 (ELF psABI). */
const EM_X86_64 = 62;
/** What CPUID 1 gives in EDX: fpu de pse tsc msr pae mce cx8 apic sep pge mca cmov pat pse36 clflush mmx fxsr sse sse2. */
const HWCAP_BITS = [0, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26];
const HWCAP = HWCAP_BITS.reduce((bits, bit) => bits | (1 << bit), 0);
/** Programs may use rdfsbase and its kin. */
const HWCAP2_FSGSBASE = 1 << 1;
/** A PCID has 12 bits; 0 is the kernel's. */
const MAX_ASID = 0xfff;

export const x86_64: Arch = {
  name: "x86_64",
  elfMachine: EM_X86_64,
  machineName: "x86_64",
  abi: X86_64_ABI,
  auxv: [AT_HWCAP, HWCAP, AT_HWCAP2, HWCAP2_FSGSBASE, AT_MINSIGSTKSZ, LARGEST_FRAME],
  floatStateWords: context.FLOAT_STATE_WORDS,
  format: fourLevel,
  layout,
  systemCalls: x86_64Calls,
  cpuInfo,
  readSyscall: context.readSyscall,
  setSyscallResult: context.setSyscallResult,
  advancePastSyscall: context.advancePastSyscall,
  programCounter: context.programCounter,
  stackPointer: context.stackPointer,
  startProgram: context.startProgram,
  copyRegisters: context.copyRegisters,
  segmentBases: context.segmentBases,
  registers: context.registers,
  callNames: x86_64CallNames,
  hartRegisters,
  describeCause,
  narration,
  trapframeFields,
  provokeFault: trap.provokeFault,
  pushSignalFrame,
  popSignalFrame,
  resumeUser: trap.resumeUser,
  resumeIdle: trap.resumeIdle,
  sendInterprocessorInterrupt,
  initializeDevices,
  consoleUart,
  serveDevices,
  setTimer: trap.setTimer,
  flushTlb: trap.flushTlb,
  maxAsid: MAX_ASID,
  tablesOf,
};
