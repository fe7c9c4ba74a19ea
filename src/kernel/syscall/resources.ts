// Limits, accounting, capabilities and facts about the system. getrlimit(2), getrusage(2), uname(2), sysinfo(2), reboot(2).

import { readI32, readU32, writeU32 } from "../../lib/bytes.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import * as abi from "../../abi/linux/process.ts";
import {
  decodeRlimit,
  encodeRlimit,
  encodeRusage,
  encodeSysinfo,
  encodeUtsname,
  RLIMIT_SIZE,
} from "../../abi/linux/process-layouts.ts";
import { now, type Kernel } from "../kernel.ts";
import { freeFrameCount } from "../mem/frames.ts";
import { swapTotals } from "../mem/swap-slots.ts";
import { countSharedMemory } from "../mem/usage.ts";
import { copyFromUser, copyToUser, readUserString } from "../mem/user-memory.ts";
import { usageOf } from "../process/usage.ts";
import { applyLimits } from "../process/load.ts";
import type { Process } from "../process/types.ts";
import { defineCall, type Call, type SyscallResult, type SyscallRow } from "./row.ts";

/** What uname says: the Linux whose calls these are. */
export const KERNEL_RELEASE = "6.12.0-vitrine";
export const KERNEL_VERSION = "#1 SMP Vitrine";

function getLimit(call: Call, target: Process, resource: number, at: number): SyscallResult {
  const limit = target.limits[resource];
  if (limit === undefined) return "EINVAL";
  return copyToUser(call.k, call.process.space, at, encodeRlimit(limit));
}

/** Soft may not pass hard; only root raises hard. RLIMIT_NOFILE may not pass nr_open. */
function checkNewLimit(
  process: Process,
  target: Process,
  resource: number,
  next: { soft: number; hard: number },
): 0 | Errno {
  const old = target.limits[resource];
  if (old === undefined || next.soft > next.hard) return "EINVAL";
  if (next.hard > old.hard && process.credentials.euid !== 0) return "EPERM";
  if (resource === abi.RLIMIT_NOFILE && next.hard > 1048576) return "EPERM";
  return 0;
}

function setLimit(target: Process, resource: number, next: { soft: number; hard: number }): void {
  target.limits[resource] = next;
  if (target.threads.length > 0) applyLimits(target, target.space);
}

function readLimit(call: Call, at: number): { soft: number; hard: number } | "EFAULT" {
  const bytes = copyFromUser(call.k, call.process.space, at, RLIMIT_SIZE);
  return bytes === "EFAULT" ? bytes : decodeRlimit(bytes);
}

const getrlimit = defineCall({
  name: "getrlimit",
  args: [
    { name: "resource", type: "int", show: "rlimit-resource" },
    { name: "rlim", type: "pointer", show: "rlimit:out" },
  ],
  result: "int",
  handler: (call, resource, at) => getLimit(call, call.process, resource, at),
});

const setrlimit = defineCall({
  name: "setrlimit",
  args: [
    { name: "resource", type: "int", show: "rlimit-resource" },
    { name: "rlim", type: "pointer", show: "rlimit:in" },
  ],
  result: "int",
  handler: (call, resource, at) => {
    const next = readLimit(call, at);
    if (next === "EFAULT") return "EFAULT";
    const invalid = checkNewLimit(call.process, call.process, resource, next);
    if (invalid !== 0) return invalid;
    setLimit(call.process, resource, next);
    return 0;
  },
});

const prlimit64 = defineCall({
  name: "prlimit64",
  args: [
    { name: "pid", type: "pid" },
    { name: "resource", type: "int", show: "rlimit-resource" },
    { name: "new_limit", type: "pointer", show: "rlimit:in" },
    { name: "old_limit", type: "pointer", show: "rlimit:out" },
  ],
  result: "int",
  handler: (call, pid, resource, newAt, oldAt) => {
    const { process } = call;
    const target = findProcess(call, pid);
    if (target === undefined) return "ESRCH";
    if (target !== process && !mayControl(process, target)) return "EPERM";
    if (target.limits[resource] === undefined) return "EINVAL";
    const next = newAt === 0 ? undefined : readLimit(call, newAt);
    if (next === "EFAULT") return "EFAULT";
    const invalid = next === undefined ? 0 : checkNewLimit(process, target, resource, next);
    if (invalid !== 0) return invalid;
    const shown = oldAt === 0 ? 0 : getLimit(call, target, resource, oldAt);
    if (shown !== 0) return shown;
    if (next !== undefined) setLimit(target, resource, next);
    return 0;
  },
});

/** The process that a pid argument means: 0 is the caller, a thread's id its process. */
export function findProcess(call: Call, pid: number): Process | undefined {
  return pid === 0 ? call.process : (call.k.state.processes.get(pid) ?? call.k.state.threads.get(pid)?.process);
}

/** Whether `process` may change the limits, priority or affinity of `target`. */
export function mayControl(process: Process, target: Process): boolean {
  const { euid } = process.credentials;
  return euid === 0 || euid === target.credentials.uid || euid === target.credentials.euid;
}

const getrusage = defineCall({
  name: "getrusage",
  args: [
    { name: "who", type: "int", show: "rusage-who" },
    { name: "usage", type: "pointer", show: "rusage:out" },
  ],
  result: "int",
  handler: ({ k, thread, process }, who, at) => {
    const usages = new Map([
      [abi.RUSAGE_SELF, () => usageOf(k, process)],
      [abi.RUSAGE_CHILDREN, () => process.childrenUsage],
      [abi.RUSAGE_THREAD, () => ({ ...thread.usage, maxResidentPages: process.space.residentPages })],
    ]);
    const usage = usages.get(who);
    return usage === undefined ? "EINVAL" : copyToUser(k, process.space, at, encodeRusage(usage()));
  },
});

const sysinfo = defineCall({
  name: "sysinfo",
  args: [{ name: "info", type: "pointer", show: "sysinfo:out" }],
  result: "int",
  handler: ({ k, process }, at) => {
    const swap = swapTotals(k);
    return copyToUser(
      k,
      process.space,
      at,
      encodeSysinfo({
        uptimeSeconds: Math.floor(now(k) / 1e9),
        loads: k.state.scheduler.load,
        totalBytes: k.state.memory.frames.frameCount * PAGE_SIZE,
        freeBytes: freeFrameCount(k) * PAGE_SIZE,
        sharedBytes: countSharedMemory(k) * PAGE_SIZE,
        totalSwapBytes: swap.total * PAGE_SIZE,
        freeSwapBytes: swap.free * PAGE_SIZE,
        processes: k.state.threads.size,
      }),
    );
  },
});

const uname = defineCall({
  name: "uname",
  args: [{ name: "buf", type: "pointer", show: "utsname:out" }],
  result: "int",
  handler: ({ k, process }, at) =>
    copyToUser(
      k,
      process.space,
      at,
      encodeUtsname({
        system: "Linux",
        node: k.state.hostname,
        release: KERNEL_RELEASE,
        version: KERNEL_VERSION,
        machine: k.arch.machineName,
        domain: k.state.domainname,
      }),
    ),
});

function readName(call: Call, at: number, length: number): { readonly name: string } | Errno {
  if (call.process.credentials.euid !== 0) return "EPERM";
  if (length < 0 || length > 64) return "EINVAL";
  const bytes = copyFromUser(call.k, call.process.space, at, length);
  if (bytes === "EFAULT") return "EFAULT";
  const end = bytes.indexOf(0);
  return { name: String.fromCharCode(...(end === -1 ? bytes : bytes.subarray(0, end))) };
}

const sethostname = defineCall({
  name: "sethostname",
  args: [
    { name: "name", type: "pointer", show: "buffer:in:1" },
    { name: "len", type: "int" },
  ],
  result: "int",
  handler: (call, at, length) => {
    const given = readName(call, at, length);
    if (typeof given === "string") return given;
    call.k.state.hostname = given.name;
    return 0;
  },
});

const setdomainname = defineCall({
  name: "setdomainname",
  args: [
    { name: "name", type: "pointer", show: "buffer:in:1" },
    { name: "len", type: "int" },
  ],
  result: "int",
  handler: (call, at, length) => {
    const given = readName(call, at, length);
    if (typeof given === "string") return given;
    call.k.state.domainname = given.name;
    return 0;
  },
});

const reboot = defineCall({
  name: "reboot",
  args: [
    { name: "magic", type: "uint" },
    { name: "magic2", type: "uint" },
    { name: "cmd", type: "uint" },
    { name: "arg", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process }, magic, magic2, command, argument) => {
    if (process.credentials.euid !== 0) return "EPERM";
    if (magic !== abi.REBOOT_MAGIC1 || !(abi.REBOOT_MAGIC2 as readonly number[]).includes(magic2)) return "EINVAL";
    switch (command) {
      case abi.REBOOT_CMD_POWER_OFF:
        k.state.shutdown ??= { kind: "power-off", status: exitStatusAt(k, process, argument) };
        return 0;
      case abi.REBOOT_CMD_HALT:
        k.state.shutdown ??= { kind: "halt", status: 0 };
        return 0;
      case abi.REBOOT_CMD_RESTART:
        k.state.shutdown ??= { kind: "reboot", status: 0 };
        return 0;
      case abi.REBOOT_CMD_CAD_ON:
      case abi.REBOOT_CMD_CAD_OFF:
        return 0;
      default:
        return "EINVAL";
    }
  },
});

/**
 * The exit status that init hands over with POWER_OFF: a decimal string where Linux takes a string for RESTART2. 0 where there is none;
 * the argument is not Linux's, so whatever else stands there is no error.
 */
function exitStatusAt(k: Kernel, process: Process, address: number): number {
  const text = address === 0 ? "" : readUserString(k, process.space, address, 4);
  return /^\d{1,3}$/.test(text) ? Number(text) & 0xff : 0;
}

/** struct __user_cap_header_struct's version 3: two words of each set. Root has every capability, others none. */
const CAPABILITY_VERSION_3 = 0x2008_0522;
const ALL_CAPABILITIES = [0xffff_ffff, 0x1ff] as const;

const capget = defineCall({
  name: "capget",
  args: [
    { name: "hdrp", type: "pointer" },
    { name: "datap", type: "pointer" },
  ],
  result: "int",
  handler: (call, headerAt, dataAt) => {
    const { k, process } = call;
    const header = copyFromUser(k, process.space, headerAt, 8);
    if (header === "EFAULT") return "EFAULT";
    if (readU32(header, 0) !== CAPABILITY_VERSION_3) {
      const bytes = new Uint8Array(4);
      writeU32(bytes, 0, CAPABILITY_VERSION_3);
      if (copyToUser(k, process.space, headerAt, bytes) !== 0) return "EFAULT";
      return dataAt === 0 ? 0 : "EINVAL";
    }
    const target = findProcess(call, readI32(header, 4));
    if (target === undefined) return "ESRCH";
    if (dataAt === 0) return 0;
    const bytes = new Uint8Array(24);
    ALL_CAPABILITIES.forEach((bits, word) => {
      if (target.credentials.euid !== 0) return;
      writeU32(bytes, word * 12, bits);
      writeU32(bytes, word * 12 + 4, bits);
    });
    return copyToUser(k, process.space, dataAt, bytes);
  },
});

const capset = defineCall({
  name: "capset",
  args: [
    { name: "hdrp", type: "pointer" },
    { name: "datap", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process }, headerAt) => {
    const header = copyFromUser(k, process.space, headerAt, 8);
    if (header === "EFAULT") return "EFAULT";
    return readU32(header, 0) === CAPABILITY_VERSION_3 ? 0 : "EINVAL";
  },
});

export const resourceCalls: readonly SyscallRow[] = [
  getrlimit,
  setrlimit,
  prlimit64,
  getrusage,
  sysinfo,
  uname,
  sethostname,
  setdomainname,
  reboot,
  capget,
  capset,
];
