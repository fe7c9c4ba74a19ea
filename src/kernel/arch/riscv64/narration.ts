// How tracers tell of riscv64's traps and start-up: the words of the privileged architecture.

import { EXCEPTION } from "../../../isa/riscv64/causes.ts";
import { PRIVILEGE, SATP_HI, SATP_HI_SHIFT } from "../../../isa/riscv64/csrs.ts";
import { SATP_MODE } from "../../../isa/riscv64/paging.ts";
import { hexNumber64 } from "../../../lib/word64.ts";
import type { Hart } from "../../../machine/hart.ts";
import { isRiscvHart } from "../../../machine/riscv64/hart.ts";
import type { Narration, NarratedStep } from "../arch.ts";
import { symbolize } from "./boot.ts";
import { sv39 } from "./paging.ts";
import { describeCause } from "./report.ts";

const REGISTERS: Readonly<Record<NarratedStep, readonly string[]>> = {
  trap: [],
  usertrap: ["scause", "sepc", "stval", "stvec"],
  usertrapret: ["sepc", "sstatus", "stvec"],
};
const A0 = 10;

const ENVIRONMENT_CALLS: ReadonlySet<number> = new Set([
  EXCEPTION.userEnvironmentCall,
  EXCEPTION.supervisorEnvironmentCall,
  EXCEPTION.machineEnvironmentCall,
]);

export const narration: Narration = {
  symbolize,
  userPrivilege: PRIVILEGE.user,
  privilegeName: (privilege) => ["U", "S", "?", "M"][privilege] ?? "?",
  spaceRegister: "satp",
  asidName: "ASID",
  describeSpace(hi) {
    if (hi >>> SATP_HI_SHIFT.MODE === SATP_MODE.bare) return "paging off";
    const asid = (hi & SATP_HI.ASID) >>> SATP_HI_SHIFT.ASID;
    return `${sv39.name}, ASID ${asid}${asid === 0 ? ", the kernel's page table" : ""}`;
  },
  describeReset: (hart) => `M-mode at ${place(hart.pc)}${isRiscvHart(hart) ? `, a0 = ${hart.x(A0)}` : ""}`,
  describeStartupReturn: (hart, from) =>
    from === PRIVILEGE.machine ? `mret: S-mode at ${place(hart.pc)}; traps delegated, paging off` : undefined,
  nameTrap(cause, interrupt) {
    if (interrupt) return "interrupt";
    return ENVIRONMENT_CALLS.has(cause) ? "ecall" : "exception";
  },
  describeTrap: (cause, interrupt) => `cause ${cause} (${describeCause(cause, interrupt)})`,
  valueName: () => "stval",
  nameReturn: (_hart: Hart, from) => (from === PRIVILEGE.machine ? "mret" : "sret"),
  registersAt: (step) => REGISTERS[step],
  saves: "",
  restores: "31 registers from the trapframe",
};

/** Where an address is, with its symbol where the kernel image has one. */
function place(address: number): string {
  const symbol = symbolize(address);
  return symbol === undefined ? hexNumber64(address) : `${hexNumber64(address)} (${symbol})`;
}
