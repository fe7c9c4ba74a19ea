// The trapframe page: where a thread's registers lie while it is in the kernel.
//
//     0 kernel CR3   8 kernel rsp   16 kernel trap   24 hart id   32 fs base   40 gs base   48 selectors   56 last exception …
//     …
//  3920 r15  r14  r13  r12  rbp  rbx  r11  r10  r9  r8  rax  rcx  rdx  rsi  rdi       pushed by the trampoline
//  4040 vector  4048 error code                                                        pushed by the vector's stub
//  4056 rip  4064 cs  4072 rflags  4080 rsp  4088 ss                                   pushed by the hart
//  4096 = RSP0 of the TSS while the thread runs
//
// The registers end the page, in the order in which they are pushed: the hart itself begins the frame. A trap in the kernel that
// should not be still has room for its own frame below. `syscall` pushes nothing; uservec stores what it needs.

import type { PhysAddr } from "../../../lib/address.ts";
import { highHalf, toNumber } from "../../../lib/word64.ts";
import type { PhysicalMemory } from "../../../machine/physical-memory.ts";
import { GPR_NAMES, type GPR } from "../../../isa/x86_64/registers.ts";
import { SYSTEM_CALL } from "../../../isa/x86_64/vectors.ts";

/** General-purpose registers in the order in which they lie, those pushed last first. */
export const SAVED_REGISTERS = [
  "r15",
  "r14",
  "r13",
  "r12",
  "rbp",
  "rbx",
  "r11",
  "r10",
  "r9",
  "r8",
  "rax",
  "rcx",
  "rdx",
  "rsi",
  "rdi",
] as const satisfies readonly (keyof typeof GPR)[];

/** What a trap leaves: registers, vector, error code and the hart's own frame. */
const FRAME_SIZE = (SAVED_REGISTERS.length + 7) * 8;
const FRAME = 4096 - FRAME_SIZE;
const HARDWARE = 4096 - 5 * 8;

/** Byte offsets of the fields that are not general-purpose registers. */
export const TRAPFRAME = {
  kernelCr3: 0,
  kernelStack: 8,
  kernelTrap: 16,
  hartId: 24,
  fsBase: 32,
  gsBase: 40,
  /** ds, es, fs, gs: 16 bits each. */
  selectors: 48,
  /** The thread's last exception, for its signal frames: vector, error code, CR2. */
  lastVector: 56,
  lastError: 64,
  lastAddress: 72,
  /** r15, the lowest register: what the trampoline pops from. */
  registers: FRAME,
  vector: HARDWARE - 16,
  error: HARDWARE - 8,
  rip: HARDWARE,
  cs: HARDWARE + 8,
  rflags: HARDWARE + 16,
  rsp: HARDWARE + 24,
  ss: HARDWARE + 32,
  end: 4096,
} as const;

const offsets = GPR_NAMES.map((name) => (name === "rsp" ? TRAPFRAME.rsp : FRAME + 8 * SAVED_REGISTERS.indexOf(name)));

/** Byte offset of a general-purpose register by its number. */
export const trapframeOffset = (register: number): number => offsets[register] ?? NaN;

/** `vector` of what came by the instruction `syscall`. */
export const SYSCALL = SYSTEM_CALL;

/** A 64-bit field as a JS number: signed, nearest beyond 2^53. */
export function readField(memory: PhysicalMemory, trapframe: PhysAddr, offset: number): number {
  return toNumber(memory.read32(trapframe + offset + 4), memory.read32(trapframe + offset));
}

/** Stores an integer in [-2^63, 2^64) in a 64-bit field. */
export function writeField(memory: PhysicalMemory, trapframe: PhysAddr, offset: number, value: number): void {
  memory.write32(trapframe + offset, value | 0);
  memory.write32(trapframe + offset + 4, highHalf(value));
}
