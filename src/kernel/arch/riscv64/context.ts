// A thread's registers while it is in the kernel: integer registers and pc in its trapframe page, floating-point ones on the
// hart that last ran it or in its record.
//
//   floatState words:   f0 lo, f0 hi, … f31 hi (64 words), fcsr
//
// System calls (K3): number a7, arguments a0-a5, result a0; sepc stays on the ecall until the call is complete.
// sstatus.FS says whether a hart's floating-point registers were changed since they were loaded: clean or dirty.

import type { VirtAddr } from "../../../lib/address.ts";
import { hex64, hexNumber64 } from "../../../lib/word64.ts";
import { CSR, EXTENSION_STATE, MSTATUS, MSTATUS_SHIFT } from "../../../isa/riscv64/csrs.ts";
import { X_REGISTER_NAMES } from "../../../isa/riscv64/registers.ts";
import type { Hart } from "../../../machine/hart.ts";
import { isRiscvHart, type RiscvHart } from "../../../machine/riscv64/hart.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import type { Thread } from "../../process/types.ts";
import { readField, TRAPFRAME, trapframeOffset, writeField } from "./trapframe.ts";

const RA_SP_TP = { sp: 2, tp: 4, a0: 10, a7: 17 } as const;
const ECALL_LENGTH = 4;
const FCSR_WORD = 64;
/** Words of `floatState`. */
export const FLOAT_STATE_WORDS = FCSR_WORD + 1;

export function readSyscall(k: Kernel, thread: Thread, args: Int32Array): number {
  const first = thread.trapframe + trapframeOffset(RA_SP_TP.a0);
  for (let word = 0; word < 12; word++) args[word] = k.memory.read32(first + word * 4);
  return k.memory.read32(thread.trapframe + trapframeOffset(RA_SP_TP.a7));
}

export function setSyscallResult(k: Kernel, thread: Thread, value: number): void {
  writeField(k.memory, thread.trapframe, trapframeOffset(RA_SP_TP.a0), value);
}

export function advancePastSyscall(k: Kernel, thread: Thread): void {
  writeField(k.memory, thread.trapframe, TRAPFRAME.epc, programCounter(k, thread) + ECALL_LENGTH);
}

export function programCounter(k: Kernel, thread: Thread): number {
  return readField(k.memory, thread.trapframe, TRAPFRAME.epc);
}

export function stackPointer(k: Kernel, thread: Thread): number {
  return readField(k.memory, thread.trapframe, trapframeOffset(RA_SP_TP.sp));
}

export function startProgram(k: Kernel, thread: Thread, entry: VirtAddr, stack: VirtAddr): void {
  k.memory.fill(thread.trapframe + trapframeOffset(1), 31 * 8, 0);
  writeField(k.memory, thread.trapframe, TRAPFRAME.epc, entry);
  writeField(k.memory, thread.trapframe, trapframeOffset(RA_SP_TP.sp), stack);
  forgetFloats(k, thread);
  thread.floatState.fill(0);
}

export function copyRegisters(k: Kernel, from: Thread, to: Thread, change: { stack?: number; tls?: number }): void {
  k.memory.copy(to.trapframe + TRAPFRAME.epc, from.trapframe + TRAPFRAME.epc, 8);
  k.memory.copy(to.trapframe + trapframeOffset(1), from.trapframe + trapframeOffset(1), 31 * 8);
  setSyscallResult(k, to, 0);
  if (change.stack !== undefined) writeField(k.memory, to.trapframe, trapframeOffset(RA_SP_TP.sp), change.stack);
  if (change.tls !== undefined) writeField(k.memory, to.trapframe, trapframeOffset(RA_SP_TP.tp), change.tls);
  saveFloats(k, from);
  to.floatState.set(from.floatState);
}

export function registers(k: Kernel, thread: Thread): { name: string; value: string }[] {
  const list = [{ name: "pc", value: hexNumber64(programCounter(k, thread)) }];
  X_REGISTER_NAMES.forEach((name, number) => {
    const at = thread.trapframe + trapframeOffset(number);
    if (number > 0) list.push({ name, value: hex64(k.memory.read32(at + 4), k.memory.read32(at)) });
  });
  return list;
}

/** Brings `thread.floatState` up to date, if a hart holds newer registers. They stay valid on the hart. */
export function saveFloats(k: Kernel, thread: Thread): void {
  for (const [id, state] of k.state.harts.entries()) {
    if (state.floatOwner !== thread.tid) continue;
    const hart = hartOf(k, id);
    if (floatStatus(hart) !== EXTENSION_STATE.dirty) return;
    const { floatState } = thread;
    for (let register = 0; register < 32; register++) {
      floatState[register * 2] = hart.fLo(register);
      floatState[register * 2 + 1] = hart.fHi(register);
    }
    floatState[FCSR_WORD] = hart.csrNumber(CSR.fcsr);
    setFloatStatus(hart, EXTENSION_STATE.clean);
    return;
  }
}

/** Makes the hart's floating-point registers those of the thread; whoever's they were has been saved. */
export function loadFloats(k: Kernel, hartId: number, thread: Thread): void {
  const state = k.state.harts[hartId];
  if (state === undefined || state.floatOwner === thread.tid) return;
  for (const other of k.state.harts) if (other.floatOwner === thread.tid) other.floatOwner = undefined;
  const hart = hartOf(k, hartId);
  setFloatStatus(hart, EXTENSION_STATE.dirty); // registers can be written only while FS is not off
  const { floatState } = thread;
  for (let register = 0; register < 32; register++) {
    hart.setF(register, floatState[register * 2] ?? 0, floatState[register * 2 + 1] ?? 0);
  }
  hart.writeCsr(CSR.fcsr, floatState[FCSR_WORD] ?? 0, 0);
  setFloatStatus(hart, EXTENSION_STATE.clean);
  state.floatOwner = thread.tid;
}

/** The hart's registers are no longer the thread's: its record was replaced. */
export function forgetFloats(k: Kernel, thread: Thread): void {
  for (const state of k.state.harts) if (state.floatOwner === thread.tid) state.floatOwner = undefined;
}

export function hartOf(k: Kernel, id: number): RiscvHart {
  const hart = k.machine.harts[id];
  if (hart === undefined) throw new KernelBug(`no hart ${id}`);
  return riscvHart(hart);
}

/** The hart as one of this architecture; another is a bug. */
export function riscvHart(hart: Hart): RiscvHart {
  if (!isRiscvHart(hart)) throw new KernelBug(`hart ${hart.id} is of ${hart.arch}`);
  return hart;
}

function floatStatus(hart: RiscvHart): number {
  return (hart.csrNumber(CSR.sstatus) & MSTATUS.FS) >>> MSTATUS_SHIFT.FS;
}

function setFloatStatus(hart: RiscvHart, status: number): void {
  const { hi, lo } = hart.readCsr(CSR.sstatus);
  hart.writeCsr(CSR.sstatus, (lo & ~MSTATUS.FS) | (status << MSTATUS_SHIFT.FS), hi);
}
