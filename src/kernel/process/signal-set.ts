// Sets of signals 1..64 as two 32-bit words: signal n is bit n - 1.

import { SIGNALS } from "../../abi/linux/signals.ts";
import type { SignalSet } from "./types.ts";

export const EMPTY_SIGNALS: Readonly<SignalSet> = { lo: 0, hi: 0 };

/** SIGKILL and SIGSTOP, which nobody blocks. */
const UNBLOCKABLE_LO = (1 << (SIGNALS.SIGKILL - 1)) | (1 << (SIGNALS.SIGSTOP - 1));

export function hasSignal(set: Readonly<SignalSet>, signal: number): boolean {
  return signal <= 32 ? ((set.lo >>> (signal - 1)) & 1) !== 0 : ((set.hi >>> (signal - 33)) & 1) !== 0;
}

export function withSignal(set: Readonly<SignalSet>, signal: number): SignalSet {
  return signal <= 32
    ? { lo: set.lo | (1 << (signal - 1)), hi: set.hi }
    : { lo: set.lo, hi: set.hi | (1 << (signal - 33)) };
}

export function withoutSignal(set: Readonly<SignalSet>, signal: number): SignalSet {
  return signal <= 32
    ? { lo: set.lo & ~(1 << (signal - 1)), hi: set.hi }
    : { lo: set.lo, hi: set.hi & ~(1 << (signal - 33)) };
}

export function unionSignals(a: Readonly<SignalSet>, b: Readonly<SignalSet>): SignalSet {
  return { lo: a.lo | b.lo, hi: a.hi | b.hi };
}

export function subtractSignals(a: Readonly<SignalSet>, b: Readonly<SignalSet>): SignalSet {
  return { lo: a.lo & ~b.lo, hi: a.hi & ~b.hi };
}

/** The set as a mask of blocked signals: without SIGKILL and SIGSTOP. */
export function maskOf(set: Readonly<SignalSet>): SignalSet {
  return { lo: set.lo & ~UNBLOCKABLE_LO, hi: set.hi };
}
