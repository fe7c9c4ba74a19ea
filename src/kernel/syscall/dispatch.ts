// System-call dispatch: from the registers of a trapped thread to a row's handler, and back.
//
//   number, 6 raw arguments ──row──> typed values ──handler──> number | Errno   result register, PC past the instruction
//                                                         ──> "BLOCKED"        PC stays on the instruction; the handler runs
//                                                                              again when the thread has been woken
//                                                         ──> "NO_RETURN"      registers are as the handler left them
//
// A call that gives EFAULT since no frame was left for a page of its buffer is made anew, when the memory killer has ended somebody.
//
// INV-22: a call that returns "BLOCKED" has changed nothing but its thread's wait, restart data and temporary signal mask.

import { toNumber, toUnsignedNumber } from "../../lib/word64.ts";
import { virtAddrFromWords } from "../../lib/address.ts";
import { ERRNO } from "../../abi/linux/errno.ts";
import { PATH_MAX } from "../../abi/linux/open-flags.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import { framesInLimbo, isHeld, LIMBO_KEY } from "../mem/shootdown.ts";
import { copyFromUser, readUserString } from "../mem/user-memory.ts";
import { restoreSignalMask } from "../process/deliver.ts";
import { killForMemory } from "../process/memory-killer.ts";
import { hasDeliverableSignal, isDying } from "../process/signals.ts";
import type { Thread } from "../process/types.ts";
import { block, BLOCKED, cancelWait } from "../wait.ts";
import type { ArgumentType, Call, SyscallResult, SyscallRow } from "./row.ts";

/** Longest string argument that is not a path. */
const STRING_LIMIT = 65536;
/** Different unknown numbers that are counted. */
const MAX_UNKNOWN = 1024;

/** Serves the call that `thread` has trapped with. */
export function handleSyscall(k: Kernel, hart: number, thread: Thread): void {
  const args = thread.callArguments;
  const number = k.arch.readSyscall(k, thread, args);
  const row = k.arch.systemCalls.get(number);
  k.state.counters.systemCalls += 1;
  thread.currentCall = { number, args };
  thread.restart = undefined;
  k.probes.syscallEnter?.(thread, number, row, args);
  if (row === undefined) {
    const { unknownCalls } = k.state.counters;
    if (unknownCalls.has(number) || unknownCalls.size < MAX_UNKNOWN)
      unknownCalls.set(number, (unknownCalls.get(number) ?? 0) + 1);
    completeCall(k, thread, number, row, args, "ENOSYS");
    return;
  }
  if (isHeld(thread.process.space)) return; // the scheduler begins it when the thread goes on
  const result = callHandler(k, hart, thread, row, args);
  if (isOutOfMemory(k, result)) {
    beginAnew(k, thread);
    return;
  }
  if (result !== BLOCKED) {
    completeCall(k, thread, number, row, args, result);
    return;
  }
  if (thread.state.kind !== "blocked") throw new KernelBug(`${row.name} says BLOCKED but waits for nothing`);
  thread.usage.voluntarySwitches += 1;
  k.probes.syscallBlocked?.(thread, number);
  if (isInterrupted(k, thread)) resumeRunning(k, hart, thread);
}

/**
 * Runs the handler of a call that was blocked again. False when it blocks again; true when the call is complete, or is to be
 * interrupted by a signal (`currentCall` is then still set, and delivery settles it).
 */
export function rerunCall(k: Kernel, hart: number, thread: Thread): boolean {
  const call = thread.currentCall;
  if (call === undefined) return true;
  const row = k.arch.systemCalls.get(call.number);
  if (row === undefined) throw new KernelBug(`blocked in call ${call.number}, which has no row`);
  const result = callHandler(k, hart, thread, row, call.args);
  if (isOutOfMemory(k, result)) {
    beginAnew(k, thread);
    return true;
  }
  if (result !== BLOCKED) {
    completeCall(k, thread, call.number, row, call.args, result);
    return true;
  }
  if (!isInterrupted(k, thread)) return false;
  resumeRunning(k, hart, thread);
  return true;
}

function isOutOfMemory(k: Kernel, result: SyscallResult): boolean {
  return result === "EFAULT" && k.state.memory.isShort;
}

/** Leaves the thread on its system-call instruction, which it executes again if it is not the one that is ended. */
function beginAnew(k: Kernel, thread: Thread): void {
  thread.currentCall = undefined;
  thread.restart = undefined;
  if (thread.savedSignalMask !== undefined) restoreSignalMask(thread);
  killForMemory(k, thread);
}

function isInterrupted(k: Kernel, thread: Thread): boolean {
  return thread.restart?.uninterruptible === true ? isDying(thread) : hasDeliverableSignal(k, thread);
}

/** Takes back the wait of a thread that is on a hart: a signal is to be delivered first. */
function resumeRunning(k: Kernel, hart: number, thread: Thread): void {
  cancelWait(k, thread);
  thread.state = { kind: "running", hart };
}

function completeCall(
  k: Kernel,
  thread: Thread,
  number: number,
  row: SyscallRow | undefined,
  args: Int32Array,
  result: Exclude<SyscallResult, "BLOCKED">,
): void {
  thread.currentCall = undefined;
  thread.restart = undefined;
  k.probes.syscallExit?.(thread, number, row, args, result);
  if (result !== "NO_RETURN") {
    k.arch.setSyscallResult(k, thread, typeof result === "number" ? result : -ERRNO[result]);
    k.arch.advancePastSyscall(k, thread);
  }
  // A temporary mask ends with the call, unless the signal that ended the call is still to be delivered under it.
  if (thread.savedSignalMask !== undefined && result !== "EINTR") restoreSignalMask(thread);
}

/**
 * Calls the handler. A call that failed for want of a frame, having changed nothing, while frames are to come back once other harts
 * have acknowledged a shootdown, waits for them and runs again.
 */
function callHandler(k: Kernel, hart: number, thread: Thread, row: SyscallRow, args: Int32Array): SyscallResult {
  const { reclaim } = k.state.memory;
  reclaim.isAwaited = false;
  const result = decodeAndCall(k, hart, thread, row, args);
  if (!reclaim.isAwaited || !SHORTAGE.has(result) || framesInLimbo(k) === 0) return result;
  return block(k, thread, [LIMBO_KEY]);
}

/** What a call says that found no frame: to copy arguments or results is EFAULT then. */
const SHORTAGE: ReadonlySet<SyscallResult> = new Set(["ENOMEM", "EFAULT", "EAGAIN"]);

/** Decodes the arguments by the row and calls the handler. */
function decodeAndCall(k: Kernel, hart: number, thread: Thread, row: SyscallRow, args: Int32Array): SyscallResult {
  const call: Call = { k, thread, process: thread.process, hart };
  const specs = row.args;
  k.state.memory.isShort = false;
  switch (specs.length) {
    case 0:
      return row.handler(call);
    case 1: {
      const a = decode(k, thread, specs[0]?.type, args, 0);
      return a === undefined ? failure : row.handler(call, a);
    }
    case 2: {
      const a = decode(k, thread, specs[0]?.type, args, 0);
      if (a === undefined) return failure;
      const b = decode(k, thread, specs[1]?.type, args, 1);
      return b === undefined ? failure : row.handler(call, a, b);
    }
    case 3: {
      const a = decode(k, thread, specs[0]?.type, args, 0);
      if (a === undefined) return failure;
      const b = decode(k, thread, specs[1]?.type, args, 1);
      if (b === undefined) return failure;
      const c = decode(k, thread, specs[2]?.type, args, 2);
      return c === undefined ? failure : row.handler(call, a, b, c);
    }
    default: {
      const values: (number | string)[] = [];
      for (let i = 0; i < specs.length; i++) {
        const value = decode(k, thread, specs[i]?.type, args, i);
        if (value === undefined) return failure;
        values.push(value);
      }
      return row.handler(call, ...values);
    }
  }
}

/** Why the last `decode` gave undefined. A variable, since a result object for each argument costs more than the call itself. */
let failure: "EFAULT" | "ENAMETOOLONG" = "EFAULT";

function decode(
  k: Kernel,
  thread: Thread,
  type: ArgumentType | undefined,
  args: Int32Array,
  index: number,
): number | string | undefined {
  const lo = args[index * 2] ?? 0;
  const hi = args[index * 2 + 1] ?? 0;
  switch (type) {
    case "int":
    case "fd":
    case "pid":
    case "signal":
      return lo;
    case "uint":
    case "mode":
    case "flags":
      return lo >>> 0;
    case "long":
    case "offset":
      return toNumber(hi, lo);
    case "ulong":
    case "size":
      return toUnsignedNumber(hi, lo);
    case "pointer":
      return decodePointer(k, hi, lo);
    case "path":
      return decodeString(k, thread, hi, lo, PATH_MAX);
    case "string":
      return decodeString(k, thread, hi, lo, STRING_LIMIT);
    case undefined:
      throw new KernelBug("an argument without a type");
  }
}

/** NaN for an address that is not canonical, so that every range check fails. */
function decodePointer(k: Kernel, hi: number, lo: number): number {
  return virtAddrFromWords(hi, lo, k.arch.format.virtualBits) ?? NaN;
}

function decodeString(k: Kernel, thread: Thread, hi: number, lo: number, limit: number): string | undefined {
  const address = decodePointer(k, hi, lo);
  const text = readUserString(k, thread.process.space, address, limit);
  if ((text === "EFAULT" || text === "ENAMETOOLONG") && !isWritten(k, thread, address, text)) {
    failure = text;
    return undefined;
  }
  return text;
}

/** Whether the user's own string spells an error name: there may be a file called EFAULT. */
function isWritten(k: Kernel, thread: Thread, address: number, text: string): boolean {
  const bytes = copyFromUser(k, thread.process.space, address, text.length + 1);
  return bytes !== "EFAULT" && String.fromCharCode(...bytes) === `${text}\0`;
}
