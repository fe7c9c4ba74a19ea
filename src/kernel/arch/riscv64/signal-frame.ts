// What a signal handler finds on its stack: Linux's rt_sigframe for riscv64.
//
//   sp -> +------------------+ 0
//         | siginfo (128)    |
//         +------------------+ 128 = ucontext
//         | flags, link      |  +0
//         | stack_t          |  +16   sp, flags, size
//         | sigmask          |  +40   1024 bits
//         | mcontext: pc, x1 … x31 |  +176
//         | fp: f0 … f31, fcsr     |  +432   528 bytes
//         +------------------+ 1088, the stack stays 16-byte aligned
//
// uapi asm/ucontext.h, asm/sigcontext.h, asm/ptrace.h; the return address is the vdso's rt_sigreturn.

import { readU32, writeU32, writeU64 } from "../../../lib/bytes.ts";
import { encodeSiginfo, encodeStackT } from "../../../abi/linux/process-layouts.ts";
import { MINSIGSTKSZ, SA_ONSTACK, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from "../../../abi/linux/signals.ts";
import type { Kernel } from "../../kernel.ts";
import { copyFromUser, copyToUser } from "../../mem/user-memory.ts";
import type { SignalAction, SignalInfo, SignalSet, Thread } from "../../process/types.ts";
import { symbolAddress } from "./boot.ts";
import { forgetFloats, saveFloats } from "./context.ts";
import { readField, TRAPFRAME, trapframeOffset, writeField } from "./trapframe.ts";

const CONTEXT = 128;
const STACK = CONTEXT + 16;
const MASK = CONTEXT + 40;
const REGISTERS = CONTEXT + 176;
const FLOATS = REGISTERS + 32 * 8;
const FRAME_SIZE = FLOATS + 528;
const FLOAT_WORDS = 65;
const STACK_ALIGNMENT = 16;
const [RA, SP, A0, A1, A2] = [1, 2, 10, 11, 12];

export function pushSignalFrame(
  k: Kernel,
  thread: Thread,
  signal: number,
  action: SignalAction,
  info: SignalInfo,
  mask: SignalSet,
): boolean {
  const { memory } = k;
  const { trapframe, alternateStack } = thread;
  const oldSp = readField(memory, trapframe, trapframeOffset(SP));
  const isOnAlternate = oldSp > alternateStack.address && oldSp <= alternateStack.address + alternateStack.size;
  const wantsAlternate =
    (action.flags & SA_ONSTACK) !== 0 && (alternateStack.flags & SS_DISABLE) === 0 && !isOnAlternate;
  const top = wantsAlternate ? alternateStack.address + alternateStack.size : oldSp;
  const frame = Math.floor((top - FRAME_SIZE) / STACK_ALIGNMENT) * STACK_ALIGNMENT;
  // A frame that would run over the end of the alternate stack it is on is no frame.
  if ((isOnAlternate || wantsAlternate) && frame < alternateStack.address) return false;

  const bytes = new Uint8Array(FRAME_SIZE);
  bytes.set(encodeSiginfo(info), 0);
  const stackFlags = alternateStack.flags | (isOnAlternate ? SS_ONSTACK : 0);
  bytes.set(encodeStackT({ ...alternateStack, flags: stackFlags }), STACK);
  writeU32(bytes, MASK, mask.lo);
  writeU32(bytes, MASK + 4, mask.hi);
  writeU64(bytes, REGISTERS, readField(memory, trapframe, TRAPFRAME.epc));
  bytes.set(memory.read(trapframe + trapframeOffset(1), 31 * 8), REGISTERS + 8);
  saveFloats(k, thread);
  for (let word = 0; word < FLOAT_WORDS; word++) writeU32(bytes, FLOATS + word * 4, thread.floatState[word] ?? 0);
  if (copyToUser(k, thread.process.space, frame, bytes) !== 0) return false;

  if (wantsAlternate && (alternateStack.flags & SS_AUTODISARM) !== 0) {
    thread.alternateStack = { address: 0, size: 0, flags: SS_DISABLE };
  }
  const set = (register: number, value: number): void =>
    writeField(memory, trapframe, trapframeOffset(register), value);
  set(SP, frame);
  set(RA, symbolAddress("rt_sigreturn"));
  set(A0, signal);
  set(A1, frame);
  set(A2, frame + CONTEXT);
  writeField(memory, trapframe, TRAPFRAME.epc, action.handler);
  return true;
}

export function popSignalFrame(k: Kernel, thread: Thread): SignalSet | undefined {
  const { memory } = k;
  const { trapframe } = thread;
  const frame = readField(memory, trapframe, trapframeOffset(SP));
  const bytes = copyFromUser(k, thread.process.space, frame, FRAME_SIZE);
  if (bytes === "EFAULT") return undefined;
  memory.write(trapframe + TRAPFRAME.epc, bytes.subarray(REGISTERS, REGISTERS + 8));
  memory.write(trapframe + trapframeOffset(1), bytes.subarray(REGISTERS + 8, REGISTERS + 32 * 8));
  forgetFloats(k, thread);
  for (let word = 0; word < FLOAT_WORDS; word++) thread.floatState[word] = readU32(bytes, FLOATS + word * 4);
  const address = readU32(bytes, STACK) + readU32(bytes, STACK + 4) * 0x1_0000_0000;
  const flags = (readU32(bytes, STACK + 8) & ~SS_ONSTACK) >>> 0;
  const size = readU32(bytes, STACK + 16) + readU32(bytes, STACK + 20) * 0x1_0000_0000;
  // As Linux: what sigaltstack would refuse is left as it is.
  const isStack = (flags & SS_DISABLE) !== 0 || size >= MINSIGSTKSZ;
  if (isStack && (flags & ~(SS_DISABLE | SS_AUTODISARM)) >>> 0 === 0) thread.alternateStack = { address, size, flags };
  return { lo: readU32(bytes, MASK) | 0, hi: readU32(bytes, MASK + 4) | 0 };
}
