// What people are shown of this architecture: registers of harts, names of causes, the layout of the trapframe.

import { describeException, describeInterrupt } from "../../../isa/riscv64/causes.ts";
import { CSR } from "../../../isa/riscv64/csrs.ts";
import { X_REGISTER_NAMES } from "../../../isa/riscv64/registers.ts";
import { hexNumber64 } from "../../../lib/word64.ts";
import type { Kernel } from "../../kernel.ts";
import { hartOf } from "./context.ts";
import { TRAPFRAME, trapframeOffset } from "./trapframe.ts";

const SHOWN_CSRS = ["sstatus", "stvec", "sepc", "scause", "stval", "sscratch", "satp", "sie", "sip"] as const;

/** pc, mode, the integer registers and the supervisor's CSRs of a hart as it is now; values as 16 hex digits. */
export function hartRegisters(k: Kernel, hartId: number): { name: string; value: string }[] {
  const hart = hartOf(k, hartId);
  const rows = [
    { name: "pc", value: hexNumber64(hart.pc).replace(/^0x/, "").padStart(16, "0") },
    { name: "mode", value: (["U", "S", "?", "M"][hart.privilege] ?? "?").padEnd(16) },
  ];
  for (const [number, name] of X_REGISTER_NAMES.entries()) {
    if (number > 0) rows.push({ name, value: words(hart.xHi(number), hart.xLo(number)) });
  }
  for (const name of SHOWN_CSRS) {
    const { hi, lo } = hart.readCsr(CSR[name]);
    rows.push({ name, value: words(hi, lo) });
  }
  return rows;
}

/** A trap cause in the manual's words. */
export function describeCause(cause: number, interrupt: boolean): string {
  return interrupt ? describeInterrupt(cause) : describeException(cause);
}

/** The trapframe's 64-bit fields by offset. */
export const trapframeFields: readonly { readonly name: string; readonly offset: number }[] = [
  { name: "kernel_satp", offset: TRAPFRAME.kernelSatp },
  { name: "kernel_sp", offset: TRAPFRAME.kernelStack },
  { name: "kernel_trap", offset: TRAPFRAME.kernelTrap },
  { name: "epc", offset: TRAPFRAME.epc },
  { name: "kernel_hartid", offset: TRAPFRAME.hartId },
  ...X_REGISTER_NAMES.slice(1).map((name, index) => ({ name, offset: trapframeOffset(index + 1) })),
];

function words(hi: number, lo: number): string {
  return (hi >>> 0).toString(16).padStart(8, "0") + (lo >>> 0).toString(16).padStart(8, "0");
}
