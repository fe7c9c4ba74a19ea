// A thread's registers while it is in the kernel: general registers, rip and rflags in its trapframe page; the x87 and SSE state, the
// bases of FS and GS and the data selectors on the hart that last ran it, or in its records.
//
//   floatState words:   the FXSAVE64 image, 128 words: 0 control word … 6 MXCSR … 40 xmm0 …     SDM volume 1, 10.5.1
//
// System calls (K4): number rax, arguments rdi, rsi, rdx, r10, r8, r9, result rax; by int 0x80 eax, ebx, ecx, edx, esi, edi, ebp. The
// saved rip stays on the instruction, two bytes long in both cases, until the call is complete.

import { virtAddrFromWords, type VirtAddr } from "../../../lib/address.ts";
import { readU32 } from "../../../lib/bytes.ts";
import { hex64, hexNumber64, highHalf } from "../../../lib/word64.ts";
import { VIRTUAL_ADDRESS_BITS } from "../../../isa/x86_64/paging.ts";
import { ARITHMETIC_FLAGS, GPR, GPR_NAMES, MXCSR, RFLAGS, SEGMENT } from "../../../isa/x86_64/registers.ts";
import type { Hart } from "../../../machine/hart.ts";
import type { SystemRegister, X86Hart } from "../../../machine/x86_64/hart.ts";
import type { SegmentBases } from "../arch.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { copyFromUser } from "../../mem/user-memory.ts";
import type { Thread } from "../../process/types.ts";
import { COMPATIBLE_CALLS } from "../../syscall/table.ts";
import { INTERRUPT } from "./entries.ts";
import { SEGMENT_ATTRIBUTES, SELECTORS, setEntryStack } from "./hart.ts";
import { readField, TRAPFRAME, trapframeOffset, writeField } from "./trapframe.ts";

/** `syscall` is 0F 05, `int 0x80` CD 80. */
export const SYSCALL_LENGTH = 2;
/** Words of `floatState`. */
export const FLOAT_STATE_WORDS = 128;

const ARGUMENTS = [GPR.rdi, GPR.rsi, GPR.rdx, GPR.r10, GPR.r8, GPR.r9].map(trapframeOffset);
const LEGACY_ARGUMENTS = [GPR.rbx, GPR.rcx, GPR.rdx, GPR.rsi, GPR.rdi, GPR.rbp].map(trapframeOffset);
const RAX = trapframeOffset(GPR.rax);

/** rflags that a program may set for itself. Linux's FIX_EFLAGS. */
export const USER_FLAGS = ARITHMETIC_FLAGS | RFLAGS.TF | RFLAGS.DF | RFLAGS.RF | RFLAGS.AC;
/** rflags of a program at its start. */
const INITIAL_FLAGS = RFLAGS.ONE | RFLAGS.IF;

const FCW_INITIAL = 0x37f;
const MXCSR_WORD = 6;
/** MXCSR bits that exist, as FXSAVE reports them. */
export const MXCSR_MASK = 0xffff;

export function readSyscall(k: Kernel, thread: Thread, args: Int32Array): number {
  const { trapframe } = thread;
  const isLegacy = k.memory.read32(trapframe + TRAPFRAME.vector) === INTERRUPT.legacyCall;
  const offsets = isLegacy ? LEGACY_ARGUMENTS : ARGUMENTS;
  for (let i = 0; i < 6; i++) {
    const at = trapframe + (offsets[i] ?? 0);
    args[i * 2] = k.memory.read32(at);
    args[i * 2 + 1] = isLegacy ? 0 : k.memory.read32(at + 4);
  }
  const number = k.memory.read32(trapframe + RAX);
  return isLegacy ? COMPATIBLE_CALLS + (number >>> 0) : number;
}

export function setSyscallResult(k: Kernel, thread: Thread, value: number): void {
  writeField(k.memory, thread.trapframe, RAX, value);
}

export function advancePastSyscall(k: Kernel, thread: Thread): void {
  writeField(k.memory, thread.trapframe, TRAPFRAME.rip, programCounter(k, thread) + SYSCALL_LENGTH);
}

export function programCounter(k: Kernel, thread: Thread): number {
  return readField(k.memory, thread.trapframe, TRAPFRAME.rip);
}

export function stackPointer(k: Kernel, thread: Thread): number {
  return readField(k.memory, thread.trapframe, TRAPFRAME.rsp);
}

export function startProgram(k: Kernel, thread: Thread, entry: VirtAddr, stack: VirtAddr): void {
  const { trapframe } = thread;
  k.memory.fill(trapframe + TRAPFRAME.fsBase, TRAPFRAME.registers - TRAPFRAME.fsBase, 0);
  k.memory.fill(trapframe + TRAPFRAME.registers, TRAPFRAME.end - TRAPFRAME.registers, 0);
  // An entry point that is no address is one that cannot be fetched from.
  writeField(k.memory, trapframe, TRAPFRAME.rip, isCanonical(entry) ? entry : k.arch.layout.userTop);
  writeField(k.memory, trapframe, TRAPFRAME.cs, SELECTORS.userCode);
  writeField(k.memory, trapframe, TRAPFRAME.rflags, INITIAL_FLAGS);
  writeField(k.memory, trapframe, TRAPFRAME.rsp, stack);
  writeField(k.memory, trapframe, TRAPFRAME.ss, SELECTORS.userData);
  forgetFloats(k, thread);
  resetFloats(thread);
}

/** Whether an integer is an address that exists: of 48 bits, sign-extended. */
export function isCanonical(address: number): boolean {
  const half = 2 ** (VIRTUAL_ADDRESS_BITS - 1);
  return address >= -half && address < half;
}

/** Calls that old programs make by a jump into the top page, by address (Linux's Documentation/admin-guide, vsyscall=emulate). */
const VSYSCALLS: ReadonlyMap<number, number> = new Map([
  [-0xa0_0000, 96], // gettimeofday
  [-0xa0_0000 + 0x400, 201], // time
  [-0xa0_0000 + 0x800, 309], // getcpu
]);

/**
 * A jump to one of those addresses, where nothing is mapped, becomes the system call that it stands for, made by an instruction just
 * before the return address. False where it is no such jump: then nothing has changed.
 */
export function emulateVsyscall(k: Kernel, thread: Thread, address: VirtAddr): boolean {
  const number = VSYSCALLS.get(address);
  if (number === undefined || programCounter(k, thread) !== address) return false;
  const stack = stackPointer(k, thread);
  const slot = copyFromUser(k, thread.process.space, stack, 8);
  if (slot === "EFAULT") return false;
  const target = virtAddrFromWords(readU32(slot, 4) | 0, readU32(slot, 0), VIRTUAL_ADDRESS_BITS);
  if (target === undefined) return false;
  writeField(k.memory, thread.trapframe, TRAPFRAME.rip, target - SYSCALL_LENGTH);
  writeField(k.memory, thread.trapframe, TRAPFRAME.rsp, stack + 8);
  writeField(k.memory, thread.trapframe, RAX, number);
  return true;
}

export function copyRegisters(k: Kernel, from: Thread, to: Thread, change: { stack?: number; tls?: number }): void {
  const copy = (start: number, end: number): void =>
    k.memory.copy(to.trapframe + start, from.trapframe + start, end - start);
  saveFloats(k, from);
  copy(TRAPFRAME.registers, TRAPFRAME.end);
  copy(TRAPFRAME.fsBase, TRAPFRAME.lastVector);
  setSyscallResult(k, to, 0);
  if (change.stack !== undefined) writeField(k.memory, to.trapframe, TRAPFRAME.rsp, change.stack);
  if (change.tls !== undefined) writeField(k.memory, to.trapframe, TRAPFRAME.fsBase, change.tls);
  to.floatState.set(from.floatState);
}

export function registers(k: Kernel, thread: Thread): { name: string; value: string }[] {
  const at = thread.trapframe;
  const field = (name: string, offset: number): { name: string; value: string } => ({
    name,
    value: hex64(k.memory.read32(at + offset + 4), k.memory.read32(at + offset)),
  });
  return [
    { name: "rip", value: hexNumber64(programCounter(k, thread)) },
    ...GPR_NAMES.map((name, number) => field(name, trapframeOffset(number))),
    field("rflags", TRAPFRAME.rflags),
    { name: "fs_base", value: hexNumber64(segmentBases.read(k, thread, "fs")) },
    { name: "gs_base", value: hexNumber64(segmentBases.read(k, thread, "gs")) },
  ];
}

/** Where the base of a user's segment is while the hart is in the kernel: swapgs has put the user's GS aside. */
const BASES = {
  fs: { register: "fsBase", field: TRAPFRAME.fsBase },
  gs: { register: "kernelGsBase", field: TRAPFRAME.gsBase },
} as const satisfies Record<string, { register: SystemRegister; field: number }>;

export const segmentBases: SegmentBases = {
  read(k, thread, segment) {
    const hart = holder(k, thread);
    const { register, field } = BASES[segment];
    if (hart === undefined) return readField(k.memory, thread.trapframe, field);
    const { hi, lo } = hart.systemRegister(register);
    return hi * 0x1_0000_0000 + (lo >>> 0);
  },
  write(k, thread, segment, address) {
    const { register, field } = BASES[segment];
    writeField(k.memory, thread.trapframe, field, address);
    holder(k, thread)?.setSystemRegister(register, address | 0, highHalf(address));
  },
};

/** Brings the thread's records up to date, if a hart holds newer registers. They stay valid on the hart. */
export function saveFloats(k: Kernel, thread: Thread): void {
  const hart = holder(k, thread);
  if (hart === undefined) return;
  hart.saveFloat(floatBytes(thread));
  const { memory } = k;
  for (const { register, field } of [BASES.fs, BASES.gs]) {
    const { hi, lo } = hart.systemRegister(register);
    memory.write32(thread.trapframe + field, lo);
    memory.write32(thread.trapframe + field + 4, hi);
  }
  DATA_SEGMENTS.forEach((segment, i) => {
    memory.write16(thread.trapframe + TRAPFRAME.selectors + i * 2, hart.segment(segment).selector);
  });
}

/** Makes the hart's registers those of the thread, and its trapframe the one that traps find; whoever's they were has been saved. */
export function loadFloats(k: Kernel, hartId: number, thread: Thread): void {
  const state = k.state.harts[hartId];
  if (state === undefined || state.floatOwner === thread.tid) return;
  for (const other of k.state.harts) if (other.floatOwner === thread.tid) other.floatOwner = undefined;
  const hart = hartOf(k, hartId);
  hart.loadFloat(floatBytes(thread));
  const { memory } = k;
  DATA_SEGMENTS.forEach((segment, i) => {
    const selector = memory.read16(thread.trapframe + TRAPFRAME.selectors + i * 2);
    if (hart.segment(segment).selector !== selector) loadSelector(hart, segment, selector);
  });
  for (const { register, field } of [BASES.fs, BASES.gs]) {
    const at = thread.trapframe + field;
    hart.setSystemRegister(register, memory.read32(at), memory.read32(at + 4));
  }
  const address = thread.trapframeAddress;
  hart.setSystemRegister("gsBase", address | 0, highHalf(address));
  setEntryStack(k, hartId, address + TRAPFRAME.end);
  state.floatOwner = thread.tid;
}

/** The hart's registers are no longer the thread's: its record was replaced. */
export function forgetFloats(k: Kernel, thread: Thread): void {
  for (const state of k.state.harts) if (state.floatOwner === thread.tid) state.floatOwner = undefined;
}

/** The state that a program and a signal handler begin with: all exceptions masked, registers empty. */
export function resetFloats(thread: Thread): void {
  thread.floatState.fill(0);
  thread.floatState[0] = FCW_INITIAL;
  thread.floatState[MXCSR_WORD] = MXCSR.RESET;
  thread.floatState[MXCSR_WORD + 1] = MXCSR_MASK;
}

/** The FXSAVE image as bytes. */
export function floatBytes({ floatState }: Thread): Uint8Array {
  return new Uint8Array(floatState.buffer, floatState.byteOffset, floatState.byteLength);
}

export function hartOf(k: Kernel, id: number): X86Hart {
  const hart = k.machine.harts[id];
  if (hart === undefined) throw new KernelBug(`no hart ${id}`);
  return x86Hart(hart);
}

/** The machine's hart as what this kernel runs on. */
export function x86Hart(hart: Hart): X86Hart {
  if (hart.arch !== "x86_64") throw new KernelBug(`hart ${hart.id} is of another architecture`);
  return hart as X86Hart; // `arch` tells the interfaces apart
}

/** Selectors that a program can load and that nothing else tells: in 64-bit mode they mean nothing but themselves. */
const DATA_SEGMENTS = [SEGMENT.ds, SEGMENT.es, SEGMENT.fs, SEGMENT.gs] as const;

/** Loads a selector that the thread had: of a descriptor of the GDT, or null. */
function loadSelector(hart: X86Hart, segment: number, selector: number): void {
  const attributes = SEGMENT_ATTRIBUTES.get(selector) ?? 0;
  const limit = attributes === 0 ? 0 : 0xffff_ffff;
  hart.setSegment(segment, { selector, base: { hi: 0, lo: 0 }, limit, attributes });
}

/** The hart that holds the thread's registers. */
function holder(k: Kernel, thread: Thread): X86Hart | undefined {
  const id = k.state.harts.findIndex(({ floatOwner }) => floatOwner === thread.tid);
  return id < 0 ? undefined : hartOf(k, id);
}
