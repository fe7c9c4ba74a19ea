// What people are shown of this architecture: registers of harts, names of causes, the layout of the trapframe.

import { FIRST_INTERRUPT_VECTOR, describeVector } from "../../../isa/x86_64/vectors.ts";
import { GPR_NAMES, SEGMENT } from "../../../isa/x86_64/registers.ts";
import { hex64, hexNumber64 } from "../../../lib/word64.ts";
import type { SystemRegister } from "../../../machine/x86_64/hart.ts";
import type { Kernel } from "../../kernel.ts";
import { hartOf } from "./context.ts";
import { DEVICE_PINS, INTERRUPT } from "./entries.ts";
import { SYSCALL, TRAPFRAME, trapframeOffset } from "./trapframe.ts";

/** System registers by the names that the manual gives them. */
const SHOWN: readonly (readonly [name: string, register: SystemRegister])[] = [
  ["cr0", "cr0"],
  ["cr2", "cr2"],
  ["cr3", "cr3"],
  ["cr4", "cr4"],
  ["efer", "efer"],
  ["star", "star"],
  ["lstar", "lstar"],
  ["sfmask", "sfmask"],
  ["fs_base", "fsBase"],
  ["gs_base", "gsBase"],
  ["kernel_gs_base", "kernelGsBase"],
];

/** rip, mode, the general registers, flags, selectors and system registers of a hart as it is now; values as 16 hex digits. */
export function hartRegisters(k: Kernel, hartId: number): { name: string; value: string }[] {
  const hart = hartOf(k, hartId);
  const rows = [
    { name: "rip", value: hexNumber64(hart.pc) },
    { name: "mode", value: `ring ${hart.cpl}`.padEnd(16) },
  ];
  for (const [number, name] of GPR_NAMES.entries()) {
    rows.push({ name, value: hex64(hart.gprHi(number), hart.gprLo(number)) });
  }
  rows.push({ name: "rflags", value: hexNumber64(hart.rflags) });
  for (const name of ["cs", "ss"] as const) {
    rows.push({ name, value: hexNumber64(hart.segment(SEGMENT[name]).selector) });
  }
  for (const [name, register] of SHOWN) {
    const { hi, lo } = hart.systemRegister(register);
    rows.push({ name, value: hex64(hi, lo) });
  }
  return rows;
}

/** A trap cause in the manual's words. */
export function describeCause(cause: number, _interrupt: boolean): string {
  if (cause < FIRST_INTERRUPT_VECTOR) return describeVector(cause);
  if (cause >= INTERRUPT.device && cause < INTERRUPT.device + DEVICE_PINS) {
    return `interrupt of pin ${cause - INTERRUPT.device}`;
  }
  return texts.get(cause) ?? describeVector(cause);
}

const texts: ReadonlyMap<number, string> = new Map([
  [INTERRUPT.timer, "APIC timer interrupt"],
  [INTERRUPT.interprocessor, "inter-processor interrupt"],
  [INTERRUPT.spurious, "spurious interrupt"],
  [INTERRUPT.legacyCall, "int 0x80"],
  [SYSCALL, "syscall"],
]);

/** The trapframe's 64-bit fields by offset. */
export const trapframeFields: readonly { readonly name: string; readonly offset: number }[] = [
  { name: "kernel_cr3", offset: TRAPFRAME.kernelCr3 },
  { name: "kernel_rsp", offset: TRAPFRAME.kernelStack },
  { name: "kernel_trap", offset: TRAPFRAME.kernelTrap },
  { name: "kernel_hartid", offset: TRAPFRAME.hartId },
  { name: "fs_base", offset: TRAPFRAME.fsBase },
  { name: "gs_base", offset: TRAPFRAME.gsBase },
  ...GPR_NAMES.map((name, number) => ({ name, offset: trapframeOffset(number) })),
  { name: "vector", offset: TRAPFRAME.vector },
  { name: "error", offset: TRAPFRAME.error },
  { name: "rip", offset: TRAPFRAME.rip },
  { name: "cs", offset: TRAPFRAME.cs },
  { name: "rflags", offset: TRAPFRAME.rflags },
  { name: "ss", offset: TRAPFRAME.ss },
].toSorted((a, b) => a.offset - b.offset);
