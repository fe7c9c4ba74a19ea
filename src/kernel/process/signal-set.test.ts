// Signal sets against JavaScript sets of numbers.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  EMPTY_SIGNALS,
  hasSignal,
  maskOf,
  subtractSignals,
  unionSignals,
  withoutSignal,
  withSignal,
} from "./signal-set.ts";
import type { SignalSet } from "./types.ts";

const signal = fc.integer({ min: 1, max: 64 });
const numbers = fc.uniqueArray(signal);
const build = (signals: readonly number[]): SignalSet => signals.reduce(withSignal, EMPTY_SIGNALS);
const list = (set: SignalSet): number[] => Array.from({ length: 64 }, (_, i) => i + 1).filter((n) => hasSignal(set, n));
const sorted = (signals: readonly number[]): number[] => signals.toSorted((a, b) => a - b);

test("a set holds what was put in, less what was taken out", () => {
  fc.assert(
    fc.property(numbers, signal, (signals, out) => {
      assert.deepEqual(list(build(signals)), sorted(signals));
      assert.deepEqual(list(withoutSignal(build(signals), out)), sorted(signals.filter((n) => n !== out)));
    }),
  );
});

test("union and difference are those of sets", () => {
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      assert.deepEqual(list(unionSignals(build(a), build(b))), sorted([...new Set([...a, ...b])]));
      assert.deepEqual(list(subtractSignals(build(a), build(b))), sorted(a.filter((n) => !b.includes(n))));
    }),
  );
});

test("nobody masks SIGKILL and SIGSTOP", () => {
  const all = build(Array.from({ length: 64 }, (_, i) => i + 1));
  assert.deepEqual(list(subtractSignals(all, maskOf(all))), [9, 19]);
});
