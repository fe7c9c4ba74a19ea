// `trace --traps`: every step of the path into the kernel and back, with cause, registers and instruction counts.
//
//   #12 hart 0  pid 2  instruction 48213
//     ecall        pc 0x0000000000010156  cause 8 (environment call from U-mode)
//     uservec      sscratch 0x3fffffe000  satp 0x8000…87f5a -> 0x8000…80040   registers to the trapframe at 0x87f3b000
//     usertrap     scause 8  sepc …
//     …
//
// The kernel says what happens in each step (the trapStep probe), the machine where it happens (trap, trapReturn, satp).

import type { Kernel } from "../kernel/kernel.ts";
import { formatAddress } from "./page-table-view.ts";

export interface TrapTraceOptions {
  readonly write: (line: string) => void;
  /** Name of a trap cause of the machine. */
  readonly causeName: (cause: number, interrupt: boolean) => string;
  /** Show traps of interrupts too; without it, only system calls and faults. */
  readonly interrupts: boolean;
}

/** Attaches to machine and kernel probes. */
export function traceTraps(k: Kernel, options: TrapTraceOptions): void {
  let count = 0;
  const step = (name: string, detail: Readonly<Record<string, number | string>>): void => {
    const parts = Object.entries(detail).map(([key, value]) => `${key} ${typeof value === "number" ? showNumber(value) : value}`);
    options.write(`    ${name.padEnd(12)} ${parts.join("  ")}`.trimEnd());
  };
  k.machine.probes.trap = (hart, trap): void => {
    count += 1;
    options.write(`trap ${count}: hart ${hart.id}, ${hart.instructionsRetired} instructions retired`);
    const kind = trap.interrupt ? "interrupt" : trap.cause === 8 ? "ecall" : "exception";
    step(kind, {
      pc: formatAddress(trap.pc),
      cause: `${trap.cause} (${options.causeName(trap.cause, trap.interrupt)})`,
      ...(trap.tval === 0 ? {} : { tval: formatAddress(trap.tval) }),
      mode: `${privilegeName(trap.from)} -> ${privilegeName(trap.to)}`,
    });
  };
  k.machine.probes.satp = (hart, hi, lo): void => {
    step("satp", { value: showWords(hi, lo), instructions: hart.instructionsRetired });
  };
  k.machine.probes.trapReturn = (hart, from): void => {
    step(from === 3 ? "mret" : "sret", { to: formatAddress(hart.pc), mode: privilegeName(hart.privilege), instructions: hart.instructionsRetired });
  };
  k.probes.trapStep = (_hart, name, detail): void => step(name, detail);
}

function privilegeName(privilege: number): string {
  return privilege === 0 ? "U" : privilege === 1 ? "S" : "M";
}

function showNumber(value: number): string {
  return Math.abs(value) < 65536 ? String(value) : formatAddress(value);
}

function showWords(hi: number, lo: number): string {
  return `0x${(hi >>> 0).toString(16).padStart(8, "0")}${(lo >>> 0).toString(16).padStart(8, "0")}`;
}
