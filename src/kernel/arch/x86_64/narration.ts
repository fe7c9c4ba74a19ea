// How tracers tell of x86-64's traps and start-up: the words of Intel's manual.

import { CR3 } from "../../../isa/x86_64/paging.ts";
import { GPR } from "../../../isa/x86_64/registers.ts";
import { VECTOR } from "../../../isa/x86_64/vectors.ts";
import { hexNumber64 } from "../../../lib/word64.ts";
import type { Hart } from "../../../machine/hart.ts";
import type { Narration, NarratedStep } from "../arch.ts";
import { symbolize } from "./boot.ts";
import { x86Hart } from "./context.ts";
import { INTERRUPT } from "./entries.ts";
import { BOOT_TABLES } from "./layout.ts";
import { fourLevel, tablesOf } from "./paging.ts";
import { describeCause } from "./report.ts";
import { SYSCALL } from "./trapframe.ts";

const USER = 3;

/** What `syscall` takes and leaves: the return address and flags, and where it goes by which MSRs. */
const SYSCALL_REGISTERS = ["rcx", "r11", "star", "lstar", "sfmask"];
/** The stack that a gate has found: the end of what it pushed. */
const VECTOR_REGISTERS = ["rsp", "cs"];

export const narration: Narration = {
  symbolize,
  userPrivilege: USER,
  privilegeName: (privilege) => `ring ${privilege}`,
  spaceRegister: "cr3",
  asidName: "PCID",
  describeSpace(hi, lo) {
    if (hi === 0 && (lo & CR3.ADDRESS) === BOOT_TABLES.pml4) {
      return `${fourLevel.name}, the boot tables: 2-MiB pages at 0 and in the kernel's range`;
    }
    const space = { hi, lo };
    if (tablesOf({ space, virtualPage: 0, physicalPage: 0, access: "load", privilege: 0 }) === undefined) {
      return "paging off";
    }
    const pcid = lo & CR3.PCID;
    return `${fourLevel.name}, PCID ${pcid}${pcid === 0 ? ", the kernel's page table" : ""}`;
  },
  describeReset: (hart) =>
    hart.waiting ? "waits for INIT and a start-up interrupt" : `32-bit protected mode at ${place(hart.pc)}, paging off`,
  describeStartupReturn: () => undefined,
  nameTrap(cause, interrupt) {
    if (cause === SYSCALL) return "syscall";
    if (cause === INTERRUPT.legacyCall) return "int 0x80";
    return interrupt ? "interrupt" : "exception";
  },
  // `syscall` goes through an MSR: it has no vector.
  describeTrap: (cause, interrupt) =>
    cause === SYSCALL ? undefined : `vector ${cause} (${describeCause(cause, interrupt)})`,
  valueName: (cause) => (cause === VECTOR.PF ? "cr2" : "error code"),
  nameReturn,
  registersAt: (step, cause) => registersAt(step, cause),
  saves: "swapgs",
  restores: "15 registers from the trapframe, swapgs",
};

/** `sysretq` is used exactly where rcx and r11 are what it loads rip and rflags from (trap.ts, mayUseSysret). */
function nameReturn(from: Hart): string {
  const hart = x86Hart(from);
  return hart.gpr(GPR.rcx) === hart.pc && hart.gprLo(GPR.r11) === hart.rflags ? "sysretq" : "iretq";
}

function registersAt(step: NarratedStep, cause: number): readonly string[] {
  switch (step) {
    case "trap":
      // Before swapgs: the program's own base, and beside it the trapframe's address.
      return [...(cause === SYSCALL ? SYSCALL_REGISTERS : VECTOR_REGISTERS), "gs_base", "kernel_gs_base"];
    case "usertrap":
      return cause === VECTOR.PF ? ["cr2", "gs_base", "kernel_gs_base"] : ["gs_base", "kernel_gs_base"];
    case "usertrapret":
      // rax is what CR3 gets, with the PCID and the bit that keeps its translations.
      return ["rax", "rsp", "gs_base", "kernel_gs_base"];
  }
}

/** Where an address is, with its symbol where the kernel image has one. */
function place(address: number): string {
  const symbol = symbolize(address);
  return symbol === undefined ? hexNumber64(address) : `${hexNumber64(address)} (${symbol})`;
}
