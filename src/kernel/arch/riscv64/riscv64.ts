// The riscv64 architecture as the core kernel sees it.

import { RISCV64_ABI } from "../../../abi/linux/abi.ts";
import type { Arch } from "../arch.ts";
import { riscv64CallNames, riscv64Calls } from "../../syscall/table.ts";
import * as context from "./context.ts";
import { cpuInfo } from "./cpu-info.ts";
import { consoleUart, initializeDevices, sendInterprocessorInterrupt, serveDevices } from "./devices.ts";
import { layout } from "./layout.ts";
import { narration } from "./narration.ts";
import { AT_HWCAP } from "../../../abi/linux/process.ts";
import { sv39, tablesOf } from "./paging.ts";
import { describeCause, hartRegisters, trapframeFields } from "./report.ts";
import { popSignalFrame, pushSignalFrame } from "./signal-frame.ts";
import * as trap from "./trap.ts";

/** e_machine of RISC-V (ELF psABI). */
const EM_RISCV = 243;
/** AT_HWCAP: bit n for the extension with the n-th letter: I, M, A, F, D, C. */
const HWCAP = [..."IMAFDC"].reduce((bits, letter) => bits | (1 << (letter.charCodeAt(0) - 65)), 0);
/** satp.ASID has 16 bits; 0 is the kernel's. */
const MAX_ASID = 0xffff;

export const riscv64: Arch = {
  name: "riscv64",
  elfMachine: EM_RISCV,
  machineName: "riscv64",
  abi: RISCV64_ABI,
  auxv: [AT_HWCAP, HWCAP],
  floatStateWords: context.FLOAT_STATE_WORDS,
  format: sv39,
  layout,
  systemCalls: riscv64Calls,
  cpuInfo,
  readSyscall: context.readSyscall,
  setSyscallResult: context.setSyscallResult,
  advancePastSyscall: context.advancePastSyscall,
  programCounter: context.programCounter,
  stackPointer: context.stackPointer,
  startProgram: context.startProgram,
  copyRegisters: context.copyRegisters,
  registers: context.registers,
  callNames: riscv64CallNames,
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
