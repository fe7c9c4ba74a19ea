// Tests of plic.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createPlic, plicSources } from "./plic.ts";
import { createFakeMachine, faults, load, store } from "./fake-services.test.support.ts";

const enable = (context: number, source: number) => 0x2000 + 0x80 * context + 4 * (source >> 5);
const threshold = (context: number) => 0x20_0000 + 0x1000 * context;
const claim = (context: number) => 0x20_0004 + 0x1000 * context;
const supervisor = 1;

function createPlicMachine(harts = 2) {
  const machine = createFakeMachine();
  const plic = createPlic({ base: 0, harts, services: machine });
  return { machine, plic };
}

test("claim takes the highest priority, then the lowest number; complete reopens a level that still stands", () => {
  const { machine, plic } = createPlicMachine();
  for (const [source, priority] of [
    [10, 1],
    [1, 2],
    [33, 2],
  ] as const) {
    store(plic, 4 * source, priority);
    store(plic, enable(supervisor, source), load(plic, enable(supervisor, source)) | (1 << (source & 31)));
    plic.setLevel(source, true);
  }
  assert.deepEqual([...machine.interrupts], ["0.9"]);
  assert.equal(load(plic, claim(supervisor)), 1);
  assert.equal(load(plic, claim(supervisor)), 33);
  assert.equal(load(plic, claim(supervisor)), 10);
  assert.equal(load(plic, claim(supervisor)), 0);
  assert.deepEqual([...machine.interrupts], []);
  plic.setLevel(33, false);
  store(plic, claim(supervisor), 33);
  assert.deepEqual([...machine.interrupts], []);
  store(plic, claim(supervisor), 10);
  assert.deepEqual([...machine.interrupts], ["0.9"]);
});

test("an edge interrupts once; one that comes in service, once more", () => {
  const { machine, plic } = createPlicMachine();
  store(plic, 4 * 7, 1);
  store(plic, enable(supervisor, 7), 1 << 7);
  plic.pulse(7);
  plic.pulse(7);
  assert.equal(load(plic, claim(supervisor)), 7);
  plic.pulse(7);
  plic.pulse(7);
  assert.deepEqual([...machine.interrupts], []);
  store(plic, claim(supervisor), 7);
  assert.equal(load(plic, claim(supervisor)), 7);
  store(plic, claim(supervisor), 7);
  assert.equal(load(plic, claim(supervisor)), 0);
});

test("the threshold masks the interrupt, not the claim", () => {
  const { machine, plic } = createPlicMachine();
  store(plic, 4 * 5, 3);
  store(plic, enable(supervisor, 5), 1 << 5);
  store(plic, threshold(supervisor), 3);
  plic.setLevel(5, true);
  assert.deepEqual([...machine.interrupts], []);
  store(plic, threshold(supervisor), 2);
  assert.deepEqual([...machine.interrupts], ["0.9"]);
  store(plic, threshold(supervisor), 7);
  assert.equal(load(plic, claim(supervisor)), 5);
});

test("priorities and thresholds keep three bits; source 0 and narrow accesses do not exist", () => {
  const { plic } = createPlicMachine();
  store(plic, 4, 0xffff_ffff);
  assert.equal(load(plic, 4), 7);
  store(plic, 0, 7);
  assert.equal(load(plic, 0), 0);
  store(plic, enable(0, 0), 0xffff_ffff);
  assert.equal(load(plic, enable(0, 0)), 0xffff_fffe);
  assert.ok(faults(plic, 4, 1));
});

/** The specification as sets, one interrupt at a time. */
class Model {
  readonly level = new Set<number>();
  readonly edge = new Set<number>();
  readonly pending = new Set<number>();
  readonly claimed = new Set<number>();
  readonly enabled = new Set<string>();
  readonly priority = new Map<number, number>();
  readonly threshold = new Map<number, number>();

  forward(): void {
    for (const source of [...this.level, ...this.edge]) {
      if (this.claimed.has(source)) continue;
      this.pending.add(source);
      this.edge.delete(source);
    }
  }
  candidates(context: number): number[] {
    const priority = (source: number) => this.priority.get(source) ?? 0;
    return [...this.pending]
      .filter((source) => this.enabled.has(`${context}.${source}`) && priority(source) > 0)
      .sort((a, b) => priority(b) - priority(a) || a - b);
  }
  claim(context: number): number {
    const source = this.candidates(context)[0] ?? 0;
    if (source === 0) return 0;
    this.pending.delete(source);
    this.claimed.add(source);
    return source;
  }
  complete(context: number, source: number): void {
    if (this.enabled.has(`${context}.${source}`)) this.claimed.delete(source);
    this.forward();
  }
  raised(context: number): boolean {
    const best = this.candidates(context)[0];
    return best !== undefined && (this.priority.get(best) ?? 0) > (this.threshold.get(context) ?? 0);
  }
}

test("any sequence of operations agrees with a model made of sets", () => {
  const source = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 30, max: 34 }), fc.constant(plicSources));
  const context = fc.integer({ min: 0, max: 3 });
  const small = fc.integer({ min: 0, max: 7 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("level" as const), source, value: fc.boolean() }),
    fc.record({ kind: fc.constant("pulse" as const), source }),
    fc.record({ kind: fc.constant("priority" as const), source, value: small }),
    fc.record({ kind: fc.constant("threshold" as const), context, value: small }),
    fc.record({ kind: fc.constant("enable" as const), context, source, value: fc.boolean() }),
    fc.record({ kind: fc.constant("claim" as const), context }),
    fc.record({ kind: fc.constant("complete" as const), context, source }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { machine, plic } = createPlicMachine();
      const model = new Model();
      for (const operation of steps) {
        switch (operation.kind) {
          case "level":
            plic.setLevel(operation.source, operation.value);
            if (operation.value) model.level.add(operation.source);
            else model.level.delete(operation.source);
            model.forward();
            break;
          case "pulse":
            plic.pulse(operation.source);
            model.edge.add(operation.source);
            model.forward();
            break;
          case "priority":
            store(plic, 4 * operation.source, operation.value);
            model.priority.set(operation.source, operation.value);
            break;
          case "threshold":
            store(plic, threshold(operation.context), operation.value);
            model.threshold.set(operation.context, operation.value);
            break;
          case "enable": {
            const at = enable(operation.context, operation.source);
            const bit = 1 << (operation.source & 31);
            store(plic, at, operation.value ? load(plic, at) | bit : load(plic, at) & ~bit);
            if (operation.value) model.enabled.add(`${operation.context}.${operation.source}`);
            else model.enabled.delete(`${operation.context}.${operation.source}`);
            break;
          }
          case "claim":
            assert.equal(load(plic, claim(operation.context)), model.claim(operation.context));
            break;
          case "complete":
            store(plic, claim(operation.context), operation.source);
            model.complete(operation.context, operation.source);
            break;
        }
        for (let target = 0; target < 4; target++) {
          const line = `${target >> 1}.${target % 2 === 0 ? 11 : 9}`;
          assert.equal(machine.interrupts.has(line), model.raised(target), `context ${target}`);
        }
      }
      for (let word = 0; word < 3; word++) {
        const expected = [...model.pending].filter((s) => s >> 5 === word).reduce((set, s) => set | (1 << (s & 31)), 0);
        assert.equal(load(plic, 0x1000 + 4 * word), expected >>> 0);
      }
    }),
    { numRuns: 400 },
  );
});
