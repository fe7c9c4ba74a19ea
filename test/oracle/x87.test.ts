// x87 instructions against the host's processor: registers, status word, tag word, memory and flags, bit for bit. The transcendental ones
// may differ by a unit in the last place, and in what follows from it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createRandom } from "./random.ts";
import { firstSeed, instructionBudget } from "./settings.ts";
import { randomCase } from "./x87-cases.ts";
import { type Form, FORMS } from "./x87-forms.ts";
import { FIELD, type HostCase, hostIsMissing, runOnHost } from "./x87-host.ts";
import { execute } from "./x87-window.ts";

const TRANSCENDENTAL = new Set(["fsin", "fcos", "fsincos", "fptan", "fpatan", "f2xm1", "fyl2x", "fyl2xp1"]);
const isTranscendental = ({ mnemonic }: Form): boolean => TRANSCENDENTAL.has(mnemonic);

const C1 = 0x200;
/** SDM: C1 is set to 0. AMD's processors leave it. */
const LEAVES_C1 = /^fu?comip?$/;

const QUICK = 20_000;
const QUICK_TRANSCENDENTAL = 4000;

/** What differs, or undefined. */
type Compare = (form: Form, given: HostCase, host: HostCase) => string | undefined;

test("x87 instructions leave what the host's leave", { skip: hostIsMissing }, () => {
  compareAll(
    FORMS.filter((form) => !isTranscendental(form)),
    instructionBudget(QUICK),
    differenceOf,
  );
});

test("transcendental x87 instructions are within 1 ulp of the host's", { skip: hostIsMissing }, () => {
  compareAll(FORMS.filter(isTranscendental), instructionBudget(QUICK_TRANSCENDENTAL), distanceOf);
});

function compareAll(forms: readonly Form[], budget: number, compare: Compare): void {
  const seed = firstSeed();
  const count = Math.ceil(budget / forms.length);
  const random = createRandom(seed);
  const cases = forms.flatMap((form) =>
    Array.from({ length: count }, () => ({ form, given: randomCase(random, form) })),
  );
  const results = runOnHost(cases.map(({ given }) => given));
  const wrong = new Map<string, string[]>();
  cases.forEach(({ form, given }, index) => {
    const host = results[index];
    assert.ok(host !== undefined);
    const difference = compare(form, given, host);
    if (difference === undefined) return;
    const name = `${form.mnemonic} ${form.code.map((byte) => byte.toString(16)).join(" ")}`;
    wrong.set(name, [...(wrong.get(name) ?? []), difference]);
  });
  const report = [...wrong].map(
    ([name, differences]) => `${name}: ${differences.length} of ${count}, as\n${differences[0]}`,
  );
  assert.equal(report.length, 0, `seed ${seed}\n${report.join("\n")}`);
}

function differenceOf(form: Form, given: HostCase, host: HostCase): string | undefined {
  const { result, outcome } = execute(given, form);
  const [before, expected, actual] = [given, host, result].map((one) => show(form, one));
  if (expected === actual) return undefined;
  return `  given  ${before}\n  host   ${expected}\n  ours   ${actual} (${outcome})`;
}

function distanceOf(form: Form, given: HostCase, host: HostCase): string | undefined {
  const { result, outcome } = execute(given, form);
  const [mine, theirs] = [result, host].map(({ view }) => {
    const status = view.getUint16(FIELD.image + 4, true) & ~C1;
    const registers = Array.from({ length: 8 }, (_, index) => {
      const offset = FIELD.image + 28 + index * 10;
      const head = BigInt(view.getUint16(offset + 8, true));
      const significand = view.getBigUint64(offset, true);
      // Without the integer bit, which follows from the exponent, neighbours are 1 apart.
      return { sign: head >> 15n, order: ((head & 0x7fffn) << 63n) | (significand & ((1n << 63n) - 1n)) };
    });
    return { status, registers };
  });
  assert.ok(mine !== undefined && theirs !== undefined);
  const isNear = mine.registers.every(({ sign, order }, index) => {
    const other = theirs.registers[index];
    assert.ok(other !== undefined);
    const distance = order - other.order;
    return sign === other.sign && distance >= -1n && distance <= 1n;
  });
  if (isNear && mine.status === theirs.status) return undefined;
  const [before, expected, actual] = [given, host, result].map((one) => show(form, one));
  return `  given  ${before}\n  host   ${expected}\n  ours   ${actual} (${outcome})`;
}

function show(form: Form, { bytes, view }: HostCase): string {
  const hex = (value: number | bigint, digits: number): string => value.toString(16).padStart(digits, "0");
  const extended = (offset: number): string =>
    `${hex(view.getUint16(offset + 8, true), 4)}:${hex(view.getBigUint64(offset, true), 16)}`;
  const stack = Array.from({ length: 8 }, (_, index) => extended(FIELD.image + 28 + index * 10));
  const word = (index: number): string => hex(view.getUint16(FIELD.image + index * 4, true), 4);
  const memory = bytes.slice(FIELD.memory, FIELD.memory + 128);
  // Pointers and opcodes are not compared.
  if (form.mnemonic === "fnstenv" || form.mnemonic === "fnsave")
    memory.fill(0, form.code[0] === 0x66 ? 6 : 12, form.code[0] === 0x66 ? 14 : 28);
  const statusMask = LEAVES_C1.test(form.mnemonic) ? ~C1 : ~0;
  const status = hex(view.getUint16(FIELD.image + 4, true) & statusMask, 4);
  const flags = hex(view.getUint32(FIELD.rflags, true), 4);
  return [
    `cw ${word(0)} sw ${status} tw ${word(2)} flags ${flags} eax ${hex(view.getUint32(FIELD.rax, true), 8)} mem ${Buffer.from(
      memory,
    )
      .reverse()
      .toString("hex")
      .slice(form.decoded.operands[0].size <= 16 ? -20 : 0)}`,
    `         ${stack.slice(0, 4).join(" ")}`,
    `         ${stack.slice(4).join(" ")}`,
  ].join("\n");
}
