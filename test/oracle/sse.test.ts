// MMX and SSE against the host CPU: every row of the instruction table, on random and on particular values, bit for bit, MXCSR included.
//
//     state ──> host CPU ──────────────────────────────────────────> state
//           ├─> emitted code, as the interpreter has it ───┐            │
//           ├─> the same with the immediate known          ├──> equal? ─┘
//           ├─> exact definition (if there is one) ────────┤
//           └─> the machine, on both tiers ────────────────┘
//
// Emitted code that leaves by `slow` is followed by the exact definition, as in the machine. VITRINE_SEED moves on to other values,
// VITRINE_ORACLE=long takes many more.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Instruction } from "../../src/isa/x86_64/instructions.ts";
import type { Semantics } from "../../src/machine/x86_64/emitter.ts";
import { exactSseOf } from "../../src/machine/x86_64/semantics/sse-exact.ts";
import { sseSemantics } from "../../src/machine/x86_64/semantics/sse.ts";
import { createRandom, type Random } from "./random.ts";
import { firstSeed } from "./settings.ts";
import { describeForm, formsOf, hasImmediate, type Form } from "./x86-forms.ts";
import { type CompiledForm, compileHandlers, loadState, runExact, storeState } from "./x86-handlers.ts";
import { createCaseMachine } from "./x86-machine.ts";
import { type HostCase, runOnHost, skipHostCpu, STATE, STATE_SIZE } from "./x86-host.ts";

const EXTENSIONS: readonly Instruction["extension"][] = ["mmx", "sse", "sse2", "sse3", "ssse3", "sse4.1", "sse4.2"];
const BASE_MNEMONICS: readonly Instruction["mnemonic"][] = ["crc32", "movnti"];
/** Those that approximate as each CPU pleases: judged by their error. */
const APPROXIMATE = /^r(cp|sqrt)[ps]s$/;
/** Those that compute with floating-point numbers. */
const FLOAT = /^(add|addsub|sub|mul|div|sqrt|min|max|cmp|hadd|hsub|dp|round|u?comi)(ps|pd|ss|sd)$|^u?comis[sd]$|^cvt/;

const TIERS = ["run", "step"] as const;
const CASES_PER_FORM = process.env["VITRINE_ORACLE"] === "long" ? 2000 : 60;
const IMMEDIATES_PER_FORM = 16;

function semanticsOf(form: Form): Semantics {
  const byName: Readonly<Record<string, Semantics | undefined>> = sseSemantics;
  return byName[form.mnemonic] ?? assert.fail(`${form.mnemonic} has no semantics`);
}

/** 64 bits for integer instructions: often with bytes, words and doublewords at the ends of their ranges. */
function integerBits(random: Random): bigint {
  const corners = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xff];
  switch (random.below(4)) {
    case 0:
      return random.integer();
    case 1: {
      let bits = 0n;
      for (let n = 0; n < 8; n++)
        bits = (bits << 8n) | BigInt(random.oneIn(2) ? random.pick(corners) : random.below(256));
      return bits;
    }
    case 2: {
      const words = [0, 1, 0x7fff, 0x8000, 0xffff, 0x8001, 0xff, 0x100, 0xff80];
      let bits = 0n;
      for (let n = 0; n < 4; n++) bits = (bits << 16n) | BigInt(random.pick(words));
      return bits;
    }
    default:
      return BigInt(random.below(70));
  }
}

/** 64 bits for floating-point instructions: two singles or a double, or an integer to convert. */
function floatBits(random: Random, form: Form): bigint {
  const isSingle = /s[sd]?[ip]?$/.test(form.mnemonic)
    ? !/[ps]d/.test(form.mnemonic) || random.oneIn(2)
    : random.oneIn(8);
  if (/cvt(si|pi|dq)/.test(form.mnemonic) && random.oneIn(2)) return BigInt.asUintN(64, random.integer());
  return isSingle ? (random.single() << 32n) | random.single() : random.double();
}

function makeState(random: Random, form: Form): Uint8Array {
  const state = new Uint8Array(STATE_SIZE);
  const view = new DataView(state.buffer);
  const isFloat = FLOAT.test(form.mnemonic);
  for (let at = 0; at < STATE.mxcsr; at += 8) {
    const bits = isFloat ? floatBits(random, form) : integerBits(random);
    view.setBigUint64(at, BigInt.asUintN(64, bits), true);
  }
  // Operands are often equal, whole or in part.
  if (random.oneIn(4)) state.copyWithin(16, 32, 48);
  if (random.oneIn(4)) state.copyWithin(STATE.memory, 16, 16 + (random.oneIn(2) ? 16 : 8));
  if (form.mnemonic === "ldmxcsr") view.setUint32(STATE.memory, random.below(0x10000), true);
  if (/^pcmp.str/.test(form.mnemonic)) {
    view.setInt32(STATE.rax, random.below(40) - 20, true);
    for (let n = 0; n < 48; n++) if (random.oneIn(2)) state[n] = random.below(4);
    if (random.oneIn(2)) view.setInt32(STATE.memory, random.below(40) - 20, true);
  }
  view.setUint32(STATE.mxcsr, isFloat ? randomMxcsr(random) : 0x1f80, true);
  return state;
}

/** Mostly the modes that programs run in. */
function randomMxcsr(random: Random): number {
  const flags = random.oneIn(2) ? 0x20 : random.oneIn(2) ? 0 : random.below(64);
  if (random.oneIn(2)) return 0x1f80 | flags;
  const masks = random.oneIn(2) ? 0x3f : random.below(64);
  return (random.below(8) << 13) | (masks << 7) | (random.below(2) << 6) | flags;
}

const show = (state: Uint8Array): string => {
  const hex = (from: number, to: number): string =>
    [...state.subarray(from, to)]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .reverse()
      .join("");
  const fields: readonly (readonly [string, number, number])[] = [
    ["xmm0", 0, 16],
    ["xmm1", 16, 32],
    ["xmm2", 32, 48],
    ["mm0", 48, 56],
    ["mm1", 56, 64],
    ["rax", 64, 72],
    ["rcx", 72, 80],
    ["memory", 80, 96],
    ["mxcsr", 96, 100],
    ["flags", 100, 104],
    ["trapped", 104, 105],
  ];
  return fields.map(([name, from, to]) => `${name}=${hex(from, to)}`).join(" ");
};

/** Whether an instruction touches the flags: those of the others are not compared, being none of its business. */
const setsFlags = (form: Form): boolean => /^(ptest|u?comis[sd]|pcmp.str.)$/.test(form.mnemonic);

function comparable(state: Uint8Array, form: Form): Uint8Array {
  const copy = state.slice();
  if (!setsFlags(form) || state[STATE.trapped] !== 0) copy.fill(0, STATE.flags, STATE.flags + 4);
  return copy;
}

/** Emitted code, and after it the exact definition if it left. */
function runEmitted({ handler }: CompiledForm, { form, immediate, state }: HostCase): Uint8Array {
  loadState(state);
  if (handler(immediate)) return storeState(false);
  loadState(state);
  return runDefinition(form, immediate);
}

function runDefinition(form: Form, immediate: number): Uint8Array {
  const exact = exactSseOf(form.mnemonic) ?? assert.fail(`${form.mnemonic} left, and has no exact definition`);
  const outcome = runExact(form, exact, immediate);
  assert.ok(outcome === "done" || outcome === "simd-error", `${form.mnemonic} ends as ${outcome}`);
  return storeState(outcome === "simd-error");
}

function compareWithHost(forms: readonly Form[], seed: number): void {
  const random = createRandom(seed);
  const cases: HostCase[] = forms.flatMap((form) => {
    const immediates = hasImmediate(form)
      ? Array.from({ length: IMMEDIATES_PER_FORM }, () => random.below(random.oneIn(2) ? 256 : 32))
      : [0];
    return Array.from({ length: CASES_PER_FORM }, () => ({
      form,
      immediate: random.pick(immediates),
      state: makeState(random, form),
    }));
  });
  const results = runOnHost(cases);

  const dynamic = new Map(
    compileHandlers(forms.map((form) => ({ form, semantics: semanticsOf(form) }))).map((one, n) => [forms[n], one]),
  );
  const variants = new Map<string, { form: Form; semantics: Semantics; known: number }>();
  for (const { form, immediate } of cases) {
    if (!hasImmediate(form)) continue;
    variants.set(`${describeForm(form)} ${immediate}`, { form, semantics: semanticsOf(form), known: immediate });
  }
  const fixedList = compileHandlers([...variants.values()]);
  const fixed = new Map([...variants.keys()].map((name, n) => [name, fixedList[n]]));

  const machines = { run: createCaseMachine("run", cases), step: createCaseMachine("step", cases) };
  const failures = new Map<string, string>();
  cases.forEach((one, n) => {
    const expected = comparable(results[n] ?? assert.fail(), one.form);
    const check = (tier: string, actual: Uint8Array): void => {
      if (Buffer.compare(comparable(actual, one.form), expected) === 0) return;
      const lines = [
        `${describeForm(one.form)} ${one.immediate}: ${tier} (seed ${seed})`,
        `before  ${show(one.state)}`,
        `host    ${show(expected)}`,
        `ours    ${show(comparable(actual, one.form))}`,
      ];
      const name = describeForm(one.form);
      if (!failures.has(name)) failures.set(name, lines.join("\n"));
    };
    check("handler", runEmitted(dynamic.get(one.form) ?? assert.fail(), one));
    const variant = fixed.get(`${describeForm(one.form)} ${one.immediate}`);
    if (variant !== undefined) check("translated", runEmitted(variant, one));
    if (exactSseOf(one.form.mnemonic) !== undefined) {
      loadState(one.state);
      check("exact", runDefinition(one.form, one.immediate));
    }
    for (const tier of TIERS) check(`machine, ${tier}`, machines[tier](one));
  });
  assert.equal([...failures.values()].slice(0, 8).join("\n\n"), "", `${failures.size} forms differ`);
}

const forms = formsOf(
  ({ extension, mnemonic }) =>
    (EXTENSIONS.includes(extension) || BASE_MNEMONICS.includes(mnemonic)) && !APPROXIMATE.test(mnemonic),
);

for (const extension of EXTENSIONS) {
  test(`${extension} is what the host CPU makes of it`, { skip: skipHostCpu }, () => {
    const wanted = formsOf((row) => row.extension === extension);
    const names = new Set(wanted.map(describeForm));
    compareWithHost(
      forms.filter((form) => names.has(describeForm(form))),
      firstSeed(),
    );
  });
}

test("crc32 and movnti are what the host CPU makes of them", { skip: skipHostCpu }, () => {
  compareWithHost(
    forms.filter(({ mnemonic }) => BASE_MNEMONICS.includes(mnemonic)),
    firstSeed(),
  );
});

/** The lanes of operand 0 of an approximation, of those of operand 1. */
function approximationsOf(form: Form, inputs: readonly number[], tier: "emitted" | "exact"): number[] {
  const state = new Uint8Array(STATE_SIZE);
  const view = new DataView(state.buffer);
  const lanes = form.mnemonic.endsWith("ps") ? 4 : 1;
  const [compiled] = compileHandlers([{ form, semantics: semanticsOf(form) }]);
  const results: number[] = [];
  for (let first = 0; first < inputs.length; first += lanes) {
    for (let lane = 0; lane < lanes; lane++) {
      for (const at of [32, STATE.memory]) view.setUint32(at + 4 * lane, inputs[first + lane] ?? 0, true);
    }
    view.setUint32(STATE.mxcsr, 0x7000, true);
    const one = { form, immediate: 0, state };
    loadState(state);
    const after = tier === "exact" ? runDefinition(form, 0) : runEmitted(compiled ?? assert.fail(), one);
    const result = new DataView(after.buffer);
    assert.equal(result.getUint32(STATE.mxcsr, true), 0x7000);
    for (let lane = 0; lane < lanes; lane++) results.push(result.getFloat32(16 + 4 * lane, true));
  }
  return results;
}

test("approximations err by less than 1.5 * 2^-12, alike on both tiers, and know zeros, infinities and NaNs", () => {
  const random = createRandom(firstSeed());
  const inputs = Array.from({ length: 2000 }, () => Number(random.single()));
  const buffer = new DataView(new ArrayBuffer(4));
  const valueOf = (bits: number): number => {
    buffer.setUint32(0, bits);
    return buffer.getFloat32(0);
  };
  for (const form of formsOf(({ mnemonic }) => APPROXIMATE.test(mnemonic))) {
    const emitted = approximationsOf(form, inputs, "emitted");
    assert.deepEqual(approximationsOf(form, inputs, "exact"), emitted, describeForm(form));
    const flush = (x: number): number =>
      Math.abs(x) >= 2 ** -126 || Number.isNaN(x) ? x : x > 0 || Object.is(x, 0) ? 0 : -0;
    inputs.forEach((bits, n) => {
      const value = valueOf(bits);
      // Denormal numbers count as zeros.
      const seen = flush(value);
      const exact = form.mnemonic.startsWith("rcp") ? 1 / seen : 1 / Math.sqrt(seen);
      const wanted = flush(exact);
      const actual = emitted[n] ?? assert.fail();
      const isClose = Number.isFinite(wanted) && Math.abs(actual - wanted) <= Math.abs(wanted) * 1.5 * 2 ** -12;
      assert.ok(isClose || Object.is(actual, wanted), `${describeForm(form)} of ${value}: ${actual}, not ${wanted}`);
    });
  }
});
