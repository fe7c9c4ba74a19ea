// Structures that the process calls pass: utsname, rusage, sysinfo, rlimit, siginfo, sigaction, stack_t. Layouts: uapi linux/utsname.h,
// resource.h, sysinfo.h, asm-generic/siginfo.h, signal.h; they agree on riscv64 and x86-64 but for sigaction's restorer.

import { readI32, readI64, readU32, writeU16, writeU32, writeU64 } from "../../lib/bytes.ts";
import type { SigactionLayout } from "./abi.ts";
import { SIGINFO_SIZE, SIGNALS, SI_TIMER } from "./signals.ts";
import { writeTimeval } from "./time.ts";

/** struct new_utsname: six strings of 65 bytes. */
export function encodeUtsname(fields: {
  readonly system: string;
  readonly node: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
  readonly domain: string;
}): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(6 * 65);
  const texts = [fields.system, fields.node, fields.release, fields.version, fields.machine, fields.domain];
  texts.forEach((text, field) => {
    for (let i = 0; i < Math.min(text.length, 64); i++) bytes[field * 65 + i] = text.charCodeAt(i);
  });
  return bytes;
}

export interface RusageFields {
  readonly userNs: number;
  readonly systemNs: number;
  readonly maxResidentPages: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
}

export const RUSAGE_SIZE = 144;

/** struct rusage: two timevals, then 14 longs. */
export function encodeRusage(usage: RusageFields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(RUSAGE_SIZE);
  writeTimeval(bytes, 0, usage.userNs);
  writeTimeval(bytes, 16, usage.systemNs);
  writeU64(bytes, 32, usage.maxResidentPages * 4); // ru_maxrss counts KiB
  writeU64(bytes, 64, usage.minorFaults);
  writeU64(bytes, 72, usage.majorFaults);
  writeU64(bytes, 128, usage.voluntarySwitches);
  writeU64(bytes, 136, usage.involuntarySwitches);
  return bytes;
}

/** struct sysinfo, 112 bytes; sizes in bytes (mem_unit 1), loads as 16.16 fixed point. */
export function encodeSysinfo(fields: {
  readonly uptimeSeconds: number;
  readonly loads: readonly [number, number, number];
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly sharedBytes: number;
  readonly totalSwapBytes: number;
  readonly freeSwapBytes: number;
  readonly processes: number;
}): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(112);
  writeU64(bytes, 0, fields.uptimeSeconds);
  fields.loads.forEach((load, i) => writeU64(bytes, 8 + i * 8, Math.floor(load * 65536)));
  writeU64(bytes, 32, fields.totalBytes);
  writeU64(bytes, 40, fields.freeBytes);
  writeU64(bytes, 48, fields.sharedBytes);
  writeU64(bytes, 64, fields.totalSwapBytes);
  writeU64(bytes, 72, fields.freeSwapBytes);
  writeU16(bytes, 80, Math.min(fields.processes, 0xffff));
  writeU32(bytes, 104, 1);
  return bytes;
}

export const RLIMIT_SIZE = 16;

/** struct rlimit64; Infinity is RLIM_INFINITY, all bits set. */
export function encodeRlimit(limit: { readonly soft: number; readonly hard: number }): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(RLIMIT_SIZE);
  [limit.soft, limit.hard].forEach((value, i) => writeU64(bytes, i * 8, value === Infinity ? -1 : value));
  return bytes;
}

export function decodeRlimit(bytes: Uint8Array): { soft: number; hard: number } {
  const field = (offset: number): number => {
    const value = readI64(bytes, offset);
    return value < 0 || value > Number.MAX_SAFE_INTEGER ? Infinity : value;
  };
  return { soft: field(0), hard: field(8) };
}

/** What a siginfo_t may carry, by signal and code. */
export interface SiginfoFields {
  readonly signal: number;
  readonly code: number;
  readonly pid?: number;
  readonly uid?: number;
  readonly status?: number;
  readonly address?: number;
  readonly valueLo?: number;
  readonly valueHi?: number;
  /** Timer id and overrun count of SI_TIMER. */
  readonly timer?: number;
  readonly overrun?: number;
}

const FAULT_SIGNALS: ReadonlySet<number> = new Set([
  SIGNALS.SIGILL,
  SIGNALS.SIGFPE,
  SIGNALS.SIGSEGV,
  SIGNALS.SIGBUS,
  SIGNALS.SIGTRAP,
]);

/**
 * siginfo_t: signo 0, errno 4, code 8, then by kind from 16 on:
 *   kill pid, uid | queue pid, uid, value 24 | timer id, overrun, value 24 | child pid, uid, status 24, times | fault address
 */
export function encodeSiginfo(info: SiginfoFields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SIGINFO_SIZE);
  writeU32(bytes, 0, info.signal);
  writeU32(bytes, 8, info.code);
  if (info.code === SI_TIMER) {
    writeU32(bytes, 16, info.timer ?? 0);
    writeU32(bytes, 20, info.overrun ?? 0);
    writeU32(bytes, 24, info.valueLo ?? 0);
    writeU32(bytes, 28, info.valueHi ?? 0);
  } else if (info.code > 0 && FAULT_SIGNALS.has(info.signal)) {
    writeU64(bytes, 16, info.address ?? 0);
  } else {
    writeU32(bytes, 16, info.pid ?? 0);
    writeU32(bytes, 20, info.uid ?? 0);
    if (info.signal === SIGNALS.SIGCHLD && info.code > 0) writeU32(bytes, 24, info.status ?? 0);
    else {
      writeU32(bytes, 24, info.valueLo ?? 0);
      writeU32(bytes, 28, info.valueHi ?? 0);
    }
  }
  return bytes;
}

/** A siginfo_t with all fields that its union may hold; which of them count, signal and code say. */
export function decodeSiginfo(bytes: Uint8Array): SiginfoFields {
  return {
    signal: readI32(bytes, 0),
    code: readI32(bytes, 8),
    pid: readI32(bytes, 16),
    uid: readU32(bytes, 20),
    status: readI32(bytes, 24),
    address: readI64(bytes, 16),
    valueLo: readI32(bytes, 24),
    valueHi: readI32(bytes, 28),
  };
}

/** The kernel's struct sigaction as rt_sigaction passes it. */
export interface SigactionFields {
  readonly handler: number;
  readonly flags: number;
  readonly restorer: number;
  readonly maskLo: number;
  readonly maskHi: number;
}

export function encodeSigaction(layout: SigactionLayout, action: SigactionFields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(layout.size);
  writeU64(bytes, 0, action.handler);
  writeU64(bytes, 8, action.flags >>> 0);
  if (layout.restorerOffset !== undefined) writeU64(bytes, layout.restorerOffset, action.restorer);
  writeU32(bytes, layout.maskOffset, action.maskLo);
  writeU32(bytes, layout.maskOffset + 4, action.maskHi);
  return bytes;
}

export function decodeSigaction(layout: SigactionLayout, bytes: Uint8Array): SigactionFields {
  return {
    handler: readI64(bytes, 0),
    flags: readU32(bytes, 8),
    restorer: layout.restorerOffset === undefined ? 0 : readI64(bytes, layout.restorerOffset),
    maskLo: readI32(bytes, layout.maskOffset),
    maskHi: readI32(bytes, layout.maskOffset + 4),
  };
}

/** stack_t: sp 0, flags i32 8, size 16. */
export const STACK_T_SIZE = 24;

export function encodeStackT(stack: {
  readonly address: number;
  readonly size: number;
  readonly flags: number;
}): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(STACK_T_SIZE);
  writeU64(bytes, 0, stack.address);
  writeU32(bytes, 8, stack.flags);
  writeU64(bytes, 16, stack.size);
  return bytes;
}

export function decodeStackT(bytes: Uint8Array): { address: number; size: number; flags: number } {
  return { address: readI64(bytes, 0), flags: readU32(bytes, 8), size: readI64(bytes, 16) };
}
