// futex(2) and the robust-list calls. Priority-inheriting operations are ENOSYS, as on a Linux built without them.

import { writeU64 } from "../../lib/bytes.ts";
import * as abi from "../../abi/linux/futex.ts";
import { totalNanoseconds, type TimeValue } from "../../abi/linux/time.ts";
import { now } from "../kernel.ts";
import { findRegion } from "../mem/regions.ts";
import type { AddressSpace } from "../mem/types.ts";
import { copyToUser, readUser32, writeUser32 } from "../mem/user-memory.ts";
import { futexKey, requeueFutex, wakeFutex } from "../process/futex.ts";
import { readTimespec } from "../process/reading.ts";
import { block } from "../wait.ts";
import { defineCall, type Call, type SyscallResult, type SyscallRow } from "./row.ts";
import { realTime } from "./time.ts";

const futex = defineCall({
  name: "futex",
  args: [
    { name: "uaddr", type: "pointer" },
    { name: "op", type: "int", show: "futex" },
    { name: "val", type: "uint" },
    { name: "timeout", type: "long" },
    { name: "uaddr2", type: "pointer" },
    { name: "val3", type: "uint" },
  ],
  result: "int",
  handler: (call, address, operation, value, timeoutOrCount, address2, value3) => {
    const { k, process } = call;
    if (!(address % 4 === 0)) return "EINVAL";
    const command = operation & abi.FUTEX_CMD_MASK;
    // The second limit comes in place of the timeout.
    const count = timeoutOrCount | 0;
    switch (command) {
      case abi.FUTEX_WAIT:
        return wait(call, address, value, timeoutOrCount, operation, abi.FUTEX_BITSET_MATCH_ANY);
      case abi.FUTEX_WAIT_BITSET:
        return wait(call, address, value, timeoutOrCount, operation, value3);
      case abi.FUTEX_WAKE:
        return wakeAt(call, address, operation, value | 0, abi.FUTEX_BITSET_MATCH_ANY);
      case abi.FUTEX_WAKE_BITSET:
        return value3 === 0 ? "EINVAL" : wakeAt(call, address, operation, value | 0, value3);
      case abi.FUTEX_REQUEUE:
      case abi.FUTEX_CMP_REQUEUE: {
        if (!(address2 % 4 === 0) || count < 0 || (value | 0) < 0) return "EINVAL";
        const word = readUser32(k, process.space, address);
        if (word === undefined || readUser32(k, process.space, address2) === undefined) return "EFAULT";
        if (command === abi.FUTEX_CMP_REQUEUE && word !== (value3 | 0)) return "EAGAIN";
        const from = futexKey(process.space, address);
        const woken = wakeFutex(k, from, value | 0, abi.FUTEX_BITSET_MATCH_ANY);
        const moved = requeueFutex(k, from, futexKey(process.space, address2), count);
        return command === abi.FUTEX_CMP_REQUEUE ? woken + moved : woken;
      }
      case abi.FUTEX_WAKE_OP:
        return wakeOp(call, address, value | 0, count, address2, value3);
      default:
        return "ENOSYS";
    }
  },
});

function wait(
  call: Call,
  address: number,
  value: number,
  timeoutAt: number,
  operation: number,
  bits: number,
): SyscallResult {
  const { k, thread, process } = call;
  if (bits === 0) return "EINVAL";
  const { restart } = thread;
  if (restart?.futexWoken === true) return 0;
  let deadlineNs = restart?.deadlineNs;
  if (restart === undefined && timeoutAt !== 0) {
    const timeout = readTimespec(k, process.space, timeoutAt);
    if (typeof timeout === "string") return timeout;
    deadlineNs = deadlineOf(call, timeout, operation);
  }
  // The comparison and the queueing are one step, since kernel code is atomic with respect to harts.
  const word = readUser32(k, process.space, address);
  if (word === undefined) return "EFAULT";
  if (word !== (value | 0)) return "EAGAIN";
  if (deadlineNs !== undefined && deadlineNs <= now(k)) return "ETIMEDOUT";
  thread.restart = { futexBits: bits, futexWoken: false, neverRestart: deadlineNs !== undefined };
  if (deadlineNs !== undefined) thread.restart.deadlineNs = deadlineNs;
  return block(k, thread, [futexKey(process.space, address)], deadlineNs);
}

/** FUTEX_WAIT takes a duration, FUTEX_WAIT_BITSET a point in time on the monotonic or the real-time clock. */
function deadlineOf(call: Call, timeout: TimeValue, operation: number): number {
  const { k } = call;
  const ns = totalNanoseconds(timeout);
  if ((operation & abi.FUTEX_CMD_MASK) === abi.FUTEX_WAIT) return now(k) + ns;
  if ((operation & abi.FUTEX_CLOCK_REALTIME) === 0) return ns;
  const current = realTime(k);
  return now(k) + (timeout.seconds - current.seconds) * 1e9 + (timeout.nanoseconds - current.nanoseconds);
}

function wakeAt(call: Call, address: number, operation: number, limit: number, bits: number): SyscallResult {
  const { k, process } = call;
  // A private word is known by its address alone; to know a shared one, there must be one.
  const isShared = (operation & abi.FUTEX_PRIVATE_FLAG) === 0;
  if (isShared && !isMapped(process.space, address)) return "EFAULT";
  // Linux wakes at least one, whatever the limit.
  return wakeFutex(k, futexKey(process.space, address), Math.max(1, limit), bits);
}

function isMapped(space: AddressSpace, address: number): boolean {
  const { read = false, write = false } = findRegion(space, address)?.protection ?? {};
  return read || write;
}

/** Changes the second word, wakes waiters of the first, and of the second when its old value compares. */
function wakeOp(
  call: Call,
  address: number,
  limit: number,
  limit2: number,
  address2: number,
  encoded: number,
): SyscallResult {
  const { k, process } = call;
  if (!(address2 % 4 === 0)) return "EINVAL";
  const old = readUser32(k, process.space, address2);
  if (old === undefined) return "EFAULT";
  const shifts = (encoded >>> 31) & 1;
  const rawArgument = (encoded << 8) >> 20;
  const argument = shifts === 1 ? 1 << (rawArgument & 31) : rawArgument;
  const next = changed(old, (encoded >>> 28) & 7, argument);
  const compares = comparison(old, (encoded >>> 24) & 15, (encoded << 20) >> 20);
  if (next === undefined || compares === undefined) return "ENOSYS";
  if (writeUser32(k, process.space, address2, next) !== 0) return "EFAULT";
  let woken = wakeFutex(k, futexKey(process.space, address), Math.max(1, limit), abi.FUTEX_BITSET_MATCH_ANY);
  if (compares)
    woken += wakeFutex(k, futexKey(process.space, address2), Math.max(1, limit2), abi.FUTEX_BITSET_MATCH_ANY);
  return woken;
}

function changed(old: number, operation: number, argument: number): number | undefined {
  switch (operation) {
    case abi.FUTEX_OP_SET:
      return argument;
    case abi.FUTEX_OP_ADD:
      return (old + argument) | 0;
    case abi.FUTEX_OP_OR:
      return old | argument;
    case abi.FUTEX_OP_ANDN:
      return old & ~argument;
    case abi.FUTEX_OP_XOR:
      return old ^ argument;
    default:
      return undefined;
  }
}

function comparison(old: number, operator: number, argument: number): boolean | undefined {
  switch (operator) {
    case abi.FUTEX_OP_CMP_EQ:
      return old === argument;
    case abi.FUTEX_OP_CMP_NE:
      return old !== argument;
    case abi.FUTEX_OP_CMP_LT:
      return old < argument;
    case abi.FUTEX_OP_CMP_LE:
      return old <= argument;
    case abi.FUTEX_OP_CMP_GT:
      return old > argument;
    case abi.FUTEX_OP_CMP_GE:
      return old >= argument;
    default:
      return undefined;
  }
}

const setRobustList = defineCall({
  name: "set_robust_list",
  args: [
    { name: "head", type: "pointer" },
    { name: "len", type: "size" },
  ],
  result: "int",
  handler: ({ thread }, head, length) => {
    if (length !== abi.ROBUST_LIST_HEAD_SIZE) return "EINVAL";
    thread.robustList = { head, length };
    return 0;
  },
});

const getRobustList = defineCall({
  name: "get_robust_list",
  args: [
    { name: "pid", type: "pid" },
    { name: "head_ptr", type: "pointer" },
    { name: "len_ptr", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, thread, process }, pid, headAt, lengthAt) => {
    const target = pid === 0 ? thread : k.state.threads.get(pid);
    if (target === undefined) return "ESRCH";
    if (target.process !== process && process.credentials.euid !== 0) return "EPERM";
    const bytes = new Uint8Array(8);
    writeU64(bytes, 0, abi.ROBUST_LIST_HEAD_SIZE);
    if (copyToUser(k, process.space, lengthAt, bytes) !== 0) return "EFAULT";
    writeU64(bytes, 0, target.robustList.head);
    return copyToUser(k, process.space, headAt, bytes);
  },
});

/** The futex calls of Linux but futex_waitv and its successors, which programs fall back from. */
export const futexCalls: readonly SyscallRow[] = [futex, setRobustList, getRobustList];
