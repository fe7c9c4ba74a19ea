// What a signal handler finds on its stack: Linux's rt_sigframe for x86-64.
//
//   sp before ----- 128 bytes that a leaf function may use (the red zone)
//                   FXSAVE image (512), aligned to 64
//                   …
//         +------------------+ 440
//         | siginfo (128)    |
//         +------------------+ 312
//         | ucontext         |   +296 sigmask   +40 sigcontext (256): r8 … gs fs ss, fpstate -> the image
//         | flags, link, stack_t |
//   rsp -> | return address   | 0   rsp + 8 is 16-byte aligned, as after a call
//         +------------------+
//
// The return address is the program's restorer, which calls rt_sigreturn: then rsp has gone up by 8. What comes back there is user
// data: only what a program may set for itself is taken over, and what it may not have makes the frame corrupt.
//
// uapi asm/sigcontext.h, asm/ucontext.h; arch/x86/kernel/signal.c, signal_64.c, fpu/signal.c.

import { virtAddrFromWords } from "../../../lib/address.ts";
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from "../../../lib/bytes.ts";
import { encodeSiginfo, encodeStackT } from "../../../abi/linux/process-layouts.ts";
import {
  MINSIGSTKSZ,
  SA_ONSTACK,
  SA_RESTORER,
  SIGINFO_SIZE,
  SS_AUTODISARM,
  SS_DISABLE,
  SS_ONSTACK,
} from "../../../abi/linux/signals.ts";
import { VIRTUAL_ADDRESS_BITS } from "../../../isa/x86_64/paging.ts";
import { GPR, RFLAGS } from "../../../isa/x86_64/registers.ts";
import type { Kernel } from "../../kernel.ts";
import { copyFromUser, copyToUser } from "../../mem/user-memory.ts";
import type { SignalAction, SignalInfo, SignalSet, Thread } from "../../process/types.ts";
import { floatBytes, forgetFloats, isCanonical, MXCSR_MASK, resetFloats, saveFloats, USER_FLAGS } from "./context.ts";
import { SELECTORS } from "./hart.ts";
import { readField, TRAPFRAME, trapframeOffset, writeField } from "./trapframe.ts";

const CONTEXT = 8;
const STACK = CONTEXT + 16;
const MACHINE = CONTEXT + 40;
const MASK = MACHINE + 256;
const INFO = MASK + 8;
const FRAME_SIZE = INFO + SIGINFO_SIZE;

/** Offsets in sigcontext. */
const AT = {
  rip: 128,
  rflags: 136,
  cs: 144,
  ss: 150,
  error: 152,
  vector: 160,
  oldMask: 168,
  address: 176,
  floats: 184,
} as const;
/** The general-purpose registers in sigcontext's order, from its start. */
const ORDER = [
  GPR.r8,
  GPR.r9,
  GPR.r10,
  GPR.r11,
  GPR.r12,
  GPR.r13,
  GPR.r14,
  GPR.r15,
  GPR.rdi,
  GPR.rsi,
  GPR.rbp,
  GPR.rbx,
  GPR.rdx,
  GPR.rax,
  GPR.rcx,
  GPR.rsp,
];

/** uc_flags: sigcontext has ss, and it is to be restored. No UC_FP_XSTATE: the state is an FXSAVE image. */
const UC_FLAGS = 2 | 4;
const UC_STRICT_RESTORE_SS = 4;
const RED_ZONE = 128;
const FLOATS_SIZE = 512;
const FLOATS_ALIGNMENT = 64;
const FXRSTOR_ALIGNMENT = 16;
const MXCSR_OFFSET = 24;

/** The largest frame with its alignment: AT_MINSIGSTKSZ. */
export const LARGEST_FRAME = FRAME_SIZE + 16 + FLOATS_SIZE + FLOATS_ALIGNMENT;

export function pushSignalFrame(
  k: Kernel,
  thread: Thread,
  signal: number,
  action: SignalAction,
  info: SignalInfo,
  mask: SignalSet,
): boolean {
  if ((action.flags & SA_RESTORER) === 0) return false;
  if (!isCanonical(action.handler)) return false;
  const { memory } = k;
  const { trapframe, alternateStack } = thread;
  const { space } = thread.process;
  const oldSp = readField(memory, trapframe, TRAPFRAME.rsp);
  const isOnAlternate = oldSp > alternateStack.address && oldSp <= alternateStack.address + alternateStack.size;
  const wantsAlternate =
    (action.flags & SA_ONSTACK) !== 0 && (alternateStack.flags & SS_DISABLE) === 0 && !isOnAlternate;
  const top = wantsAlternate ? alternateStack.address + alternateStack.size : oldSp - RED_ZONE;
  const floats = alignDown(top - FLOATS_SIZE, FLOATS_ALIGNMENT);
  const frame = alignDown(floats - FRAME_SIZE, 16) - 8;
  // A frame that would run over the end of the alternate stack it is on is no frame.
  if ((isOnAlternate || wantsAlternate) && frame < alternateStack.address) return false;

  saveFloats(k, thread);
  const stackFlags = alternateStack.flags | (isOnAlternate ? SS_ONSTACK : 0);
  const bytes = new Uint8Array(FRAME_SIZE);
  writeU64(bytes, 0, action.restorer);
  writeU64(bytes, CONTEXT, UC_FLAGS);
  bytes.set(encodeStackT({ ...alternateStack, flags: stackFlags }), STACK);
  encodeRegisters(k, thread, bytes.subarray(MACHINE, MASK));
  writeU32(bytes, MACHINE + AT.oldMask, mask.lo);
  writeU32(bytes, MACHINE + AT.oldMask + 4, mask.hi);
  writeU64(bytes, MACHINE + AT.floats, floats);
  writeU32(bytes, MASK, mask.lo);
  writeU32(bytes, MASK + 4, mask.hi);
  bytes.set(encodeSiginfo(info), INFO);
  if (copyToUser(k, space, floats, floatBytes(thread)) !== 0) return false;
  if (copyToUser(k, space, frame, bytes) !== 0) return false;

  if (wantsAlternate && (alternateStack.flags & SS_AUTODISARM) !== 0) {
    thread.alternateStack = { address: 0, size: 0, flags: SS_DISABLE };
  }
  const set = (register: number, value: number): void =>
    writeField(memory, trapframe, trapframeOffset(register), value);
  set(GPR.rsp, frame);
  set(GPR.rax, 0);
  set(GPR.rdi, signal);
  set(GPR.rsi, frame + INFO);
  set(GPR.rdx, frame + CONTEXT);
  writeField(memory, trapframe, TRAPFRAME.rip, action.handler);
  const rflags = memory.read32(trapframe + TRAPFRAME.rflags);
  memory.write32(trapframe + TRAPFRAME.rflags, rflags & ~(RFLAGS.DF | RFLAGS.TF | RFLAGS.RF));
  // The handler begins with the floating-point state of a new program.
  forgetFloats(k, thread);
  resetFloats(thread);
  return true;
}

export function popSignalFrame(k: Kernel, thread: Thread): SignalSet | undefined {
  const { memory } = k;
  const { trapframe } = thread;
  const { space } = thread.process;
  const frame = readField(memory, trapframe, TRAPFRAME.rsp) - 8;
  const bytes = copyFromUser(k, space, frame, FRAME_SIZE);
  if (bytes === "EFAULT") return undefined;
  const machine = bytes.subarray(MACHINE, MASK);
  const rip = { hi: readU32(machine, AT.rip + 4) | 0, lo: readU32(machine, AT.rip) };
  if (virtAddrFromWords(rip.hi, rip.lo, VIRTUAL_ADDRESS_BITS) === undefined) return undefined;
  // As Linux: the privilege level is not the program's to choose, the rest of the selector must name the program's segment.
  const isStrict = (readU32(bytes, CONTEXT) & UC_STRICT_RESTORE_SS) !== 0;
  if ((readU16(machine, AT.cs) | 3) !== SELECTORS.userCode) return undefined;
  if (isStrict && (readU16(machine, AT.ss) | 3) !== SELECTORS.userData) return undefined;
  const floats = readFloats(k, thread, machine);
  if (floats === undefined) return undefined;

  ORDER.forEach((register, i) => {
    memory.write(trapframe + trapframeOffset(register), machine.subarray(i * 8, i * 8 + 8));
  });
  memory.write(trapframe + TRAPFRAME.rip, machine.subarray(AT.rip, AT.rip + 8));
  const old = memory.read32(trapframe + TRAPFRAME.rflags);
  const rflags = (old & ~USER_FLAGS) | (readU32(machine, AT.rflags) & USER_FLAGS);
  memory.write32(trapframe + TRAPFRAME.rflags, rflags);
  // What the hart holds beside floating point, the segments, stays the thread's.
  saveFloats(k, thread);
  forgetFloats(k, thread);
  if (floats === "none") resetFloats(thread);
  else floatBytes(thread).set(floats);

  const address = readU64(bytes, STACK);
  const flags = (readU32(bytes, STACK + 8) & ~SS_ONSTACK) >>> 0;
  const size = readU64(bytes, STACK + 16);
  // As Linux: what sigaltstack would refuse is left as it is.
  const isStack = (flags & SS_DISABLE) !== 0 || size >= MINSIGSTKSZ;
  if (isStack && (flags & ~(SS_DISABLE | SS_AUTODISARM)) >>> 0 === 0) thread.alternateStack = { address, size, flags };
  return { lo: readU32(bytes, MASK) | 0, hi: readU32(bytes, MASK + 4) | 0 };
}

/** Fills in sigcontext, but for the mask and the floating-point state. */
function encodeRegisters(k: Kernel, { trapframe }: Thread, machine: Uint8Array): void {
  const { memory } = k;
  const put = (offset: number, field: number): void => machine.set(memory.read(trapframe + field, 8), offset);
  ORDER.forEach((register, i) => put(i * 8, trapframeOffset(register)));
  put(AT.rip, TRAPFRAME.rip);
  put(AT.rflags, TRAPFRAME.rflags);
  writeU16(machine, AT.cs, SELECTORS.userCode);
  writeU16(machine, AT.ss, SELECTORS.userData);
  put(AT.error, TRAPFRAME.lastError);
  put(AT.vector, TRAPFRAME.lastVector);
  put(AT.address, TRAPFRAME.lastAddress);
}

/** The FXSAVE image that sigcontext points to; "none" where it points nowhere, undefined where FXRSTOR would refuse it. */
function readFloats(k: Kernel, thread: Thread, machine: Uint8Array): Uint8Array | "none" | undefined {
  const pointer = virtAddrFromWords(
    readU32(machine, AT.floats + 4) | 0,
    readU32(machine, AT.floats),
    VIRTUAL_ADDRESS_BITS,
  );
  if (pointer === undefined) return undefined;
  if (pointer === 0) return "none";
  if (pointer % FXRSTOR_ALIGNMENT !== 0) return undefined;
  const image = copyFromUser(k, thread.process.space, pointer, FLOATS_SIZE);
  if (image === "EFAULT" || (readU32(image, MXCSR_OFFSET) & ~MXCSR_MASK) !== 0) return undefined;
  return image;
}

const alignDown = (value: number, alignment: number): number => Math.floor(value / alignment) * alignment;
