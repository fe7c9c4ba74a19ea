/** The encoder, judged by the host's own WebAssembly: what it builds must validate, and compute what it says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { ByteWriter } from "./byte-writer.ts";
import { compileModule, createMemory, instantiate } from "./engine.ts";
import { FunctionBuilder, memoryLoads, memoryStores, type MemoryLoad, type MemoryStore } from "./function-builder.ts";
import { ModuleBuilder } from "./module-builder.ts";
import { f32Operators, f64Operators, i32Operators, i64Operators, type OperatorRow } from "./operators.ts";
import type { AnyValue, ValueType } from "./values.ts";

type Callable = (...values: unknown[]) => unknown;

/** Builds a module of one function and returns it. */
function build(
  parameters: readonly ValueType[],
  results: readonly ValueType[],
  emit: (f: FunctionBuilder) => void,
): Callable {
  const module = new ModuleBuilder();
  module.importMemory("host", "memory", 1, 1);
  const f = new FunctionBuilder();
  f.reset(parameters);
  emit(f);
  module.addFunction("it", { parameters, results }, f, { export: "it" });
  const exports = instantiate(compileModule(module.finish()), { host: { memory: createMemory(1) } });
  return exports["it"] as Callable;
}

const anyWord = fc.integer({ min: -2147483648, max: 2147483647 });

test("32-bit constants are what they were", () => {
  fc.assert(
    fc.property(anyWord, (value) => {
      assert.equal(build([], ["i32"], (f) => f.i32.const(value))(), value);
    }),
    { numRuns: 200 },
  );
});

test("64-bit constants of two halves are what they were", () => {
  fc.assert(
    fc.property(anyWord, anyWord, (hi, lo) => {
      const expected = BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo >>> 0));
      assert.equal(build([], ["i64"], (f) => f.i64.constWords(hi, lo))(), expected);
    }),
    { numRuns: 300 },
  );
});

test("unsigned LEB128 keeps to seven bits a byte", () => {
  const writer = new ByteWriter();
  writer.unsigned(624485);
  assert.deepEqual([...writer.view()], [0xe5, 0x8e, 0x26]); // the specification's example
});

for (const [name, table] of Object.entries({ i32Operators, i64Operators, f32Operators, f64Operators })) {
  test(`every row of ${name} has the types that it says`, () => {
    for (const [operator, row] of Object.entries<OperatorRow>(table)) {
      const [, operands, result] = row;
      const emit = (f: FunctionBuilder): void => {
        operands.forEach((type, index) => f.getLocal(index, type));
        const set = f[name.slice(0, 3) as ValueType] as unknown as Readonly<
          Record<string, (() => AnyValue) | undefined>
        >;
        assert.equal(set[operator]?.(), result);
      };
      assert.equal(typeof build(operands, [result], emit), "function", operator);
    }
  });
}

test("loads and stores of every width meet", () => {
  for (const store of Object.keys(memoryStores) as MemoryStore[]) {
    const type = memoryStores[store][1];
    if (type === "v128") continue; // cannot leave a function: vector.test.ts
    const load: MemoryLoad = type;
    const run = build([type], [type], (f) => {
      f.store(store, f.i32.const(8), f.getLocal(0, type) as never, 16);
      f.load(load, f.i32.const(8), 16);
    });
    const value = type === "i64" ? 5n : 5;
    assert.equal(run(value), value);
  }
  assert.equal(Object.keys(memoryLoads).length, 15);
});

test("blocks, loops, tables and locals make control flow", () => {
  // 1 + 2 + … + n, and then 10, 20 or 30 for n = 0, 1 or more.
  const run = build(["i32"], ["i32"], (f) => {
    const { i32 } = f;
    const sum = f.local("i32");
    const counter = f.local("i32");
    f.setLocal(counter, f.getLocal(0, "i32"));
    const done = f.block();
    const again = f.loop();
    f.branchIf(done, i32.eqz(f.getLocal(counter, "i32")));
    f.setLocal(sum, i32.add(f.getLocal(sum, "i32"), f.getLocal(counter, "i32")));
    f.setLocal(counter, i32.sub(f.getLocal(counter, "i32"), i32.const(1)));
    f.branch(again);
    f.end();
    f.end();
    const many = f.block();
    const one = f.block();
    const none = f.block();
    f.branchTable([none, one], many, f.getLocal(0, "i32"));
    f.end();
    f.return(i32.const(10));
    f.end();
    f.return(i32.const(20));
    f.end();
    f.ifValue(i32.gt_s(f.getLocal(0, "i32"), i32.const(2)), "i32");
    i32.add(f.getLocal(sum, "i32"), i32.const(30));
    f.else();
    i32.const(-1);
    f.end();
  });
  assert.deepEqual(
    [0, 1, 2, 3, 10].map((n) => run(n)),
    [10, 20, -1, 36, 85],
  );
});

test("a builder is reused without what was before", () => {
  const f = new FunctionBuilder();
  const module = new ModuleBuilder();
  for (let i = 0; i < 3; i++) {
    f.reset([]);
    const local = f.local("i64");
    f.release(local, "i64");
    assert.equal(f.local("i64"), local);
    f.i32.const(i);
    module.addFunction(`f${i}`, { parameters: [], results: ["i32"] }, f, { export: `f${i}` });
  }
  const exports = instantiate(compileModule(module.finish()), {});
  assert.deepEqual(
    ["f0", "f1", "f2"].map((name) => (exports[name] as Callable)()),
    [0, 1, 2],
  );
});

test("an open block is noticed", () => {
  const f = new FunctionBuilder();
  f.reset([]);
  f.block();
  assert.throws(() => f.finish(new ByteWriter(), new ByteWriter()), /left open/);
});
