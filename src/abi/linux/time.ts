// Clocks, timers and time structures (uapi linux/time.h, time_types.h). A time is {seconds, nanoseconds} in user memory and a number of
// virtual nanoseconds in the kernel, exact below 2^53 (104 days).

import { readI32, readI64, writeU64 } from "../../lib/bytes.ts";

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;
export const CLOCK_TAI = 11;

export const TIMER_ABSTIME = 1;

export const ITIMER_REAL = 0;
export const ITIMER_VIRTUAL = 1;
export const ITIMER_PROF = 2;

/** utimensat: "now" and "leave as it is" in tv_nsec. */
export const UTIME_NOW = 0x3fff_ffff;
export const UTIME_OMIT = 0x3fff_fffe;

export const TFD_TIMER_ABSTIME = 1;
export const TFD_TIMER_CANCEL_ON_SET = 2;

/** Ticks per second of times(2) and /proc (USER_HZ). */
export const CLOCK_TICKS_PER_SECOND = 100;

export const TIMESPEC_SIZE = 16;
export const TIMEVAL_SIZE = 16;
/** interval, then value. */
export const ITIMERSPEC_SIZE = 32;
export const ITIMERVAL_SIZE = 32;

const NS_PER_SECOND = 1_000_000_000;

export interface TimeValue {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export function splitNanoseconds(ns: number): TimeValue {
  const seconds = Math.floor(ns / NS_PER_SECOND);
  return { seconds, nanoseconds: ns - seconds * NS_PER_SECOND };
}

/** Total nanoseconds; Infinity beyond what a number holds exactly, which no virtual clock reaches. */
export function totalNanoseconds(time: TimeValue): number {
  const total = time.seconds * NS_PER_SECOND + time.nanoseconds;
  return total > Number.MAX_SAFE_INTEGER ? Infinity : total;
}

export function writeTimespec(bytes: Uint8Array, offset: number, time: TimeValue): void {
  writeU64(bytes, offset, time.seconds);
  writeU64(bytes, offset + 8, time.nanoseconds);
}

export function encodeTimespec(ns: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(TIMESPEC_SIZE);
  writeTimespec(bytes, 0, splitNanoseconds(ns));
  return bytes;
}

/** A struct timespec, or undefined when seconds are negative or nanoseconds are outside 0..999999999. */
export function decodeTimespec(bytes: Uint8Array, offset = 0): TimeValue | undefined {
  const seconds = readI64(bytes, offset);
  const nanoseconds = readI64(bytes, offset + 8);
  if (seconds < 0 || nanoseconds < 0 || nanoseconds >= NS_PER_SECOND) return undefined;
  return { seconds, nanoseconds };
}

export function writeTimeval(bytes: Uint8Array, offset: number, ns: number): void {
  const { seconds, nanoseconds } = splitNanoseconds(ns);
  writeU64(bytes, offset, seconds);
  writeU64(bytes, offset + 8, Math.floor(nanoseconds / 1000));
}

/** A struct timeval in nanoseconds, or undefined when it is negative or has a million microseconds or more. */
export function decodeTimeval(bytes: Uint8Array, offset = 0): number | undefined {
  const seconds = readI64(bytes, offset);
  const microseconds = readI64(bytes, offset + 8);
  if (seconds < 0 || microseconds < 0 || microseconds >= 1_000_000) return undefined;
  return totalNanoseconds({ seconds, nanoseconds: microseconds * 1000 });
}

/** struct sigevent as timer_create reads it: value, signal, notify, thread id. 64 bytes. */
export const SIGEVENT_SIZE = 64;
export const SIGEV_SIGNAL = 0;
export const SIGEV_NONE = 1;
export const SIGEV_THREAD_ID = 4;

export interface SignalEvent {
  readonly valueLo: number;
  readonly valueHi: number;
  readonly signal: number;
  readonly notify: number;
  readonly tid: number;
}

export function decodeSignalEvent(bytes: Uint8Array): SignalEvent {
  return {
    valueLo: readI32(bytes, 0),
    valueHi: readI32(bytes, 4),
    signal: readI32(bytes, 8),
    notify: readI32(bytes, 12),
    tid: readI32(bytes, 16),
  };
}
