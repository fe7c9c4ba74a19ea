/**
 * The vector instructions: every row validates with the types that it says, and the name of a row tells what its opcode computes.
 * WebAssembly core specification, 5.4.8 (opcodes) and 4.3.4 (what they do).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileModule, createMemory, instantiate } from "./engine.ts";
import { FunctionBuilder } from "./function-builder.ts";
import { ModuleBuilder } from "./module-builder.ts";
import { v128LaneOperators, v128Operators, type OperatorRow } from "./operators.ts";
import type { AnyValue, Value } from "./values.ts";

type Emit = (...operands: unknown[]) => AnyValue;

const memory = createMemory(1);
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);
const OPERANDS = [0, 16, 32] as const;
const RESULT = 48;

/** Compiles a function without parameters that leaves its result in memory, and runs it. */
function run(emit: (f: FunctionBuilder) => void): void {
  const module = new ModuleBuilder();
  module.importMemory("host", "memory", 1, 1);
  const f = new FunctionBuilder();
  f.reset([]);
  emit(f);
  module.addFunction("it", { parameters: [], results: [] }, f, { export: "it" });
  const exports = instantiate(compileModule(module.finish()), { host: { memory } });
  (exports["it"] as () => void)();
}

/** Emits one operator over the operands in memory, and stores its result. */
function apply(f: FunctionBuilder, name: string, row: OperatorRow, lane?: number): void {
  const [, operands, result] = row;
  operands.forEach((type, n) => f.load(type, f.i32.const(0), OPERANDS[n] ?? 0));
  const set = f.v128 as unknown as Readonly<Record<string, Emit | undefined>>;
  assert.equal(set[name]?.(lane), result);
  // The address comes below the value: through a local.
  const value = f.local(result);
  f.setLocal(value, result as AnyValue);
  f.store(result, f.i32.const(0), f.getLocal(value, result) as Value<"v128">, RESULT);
}

type Lane = number | bigint;
interface LaneType {
  readonly size: number;
  read(at: number, signed: boolean): Lane;
  write(at: number, value: Lane): void;
}

const LANES: Readonly<Record<string, LaneType>> = {
  i8x16: {
    size: 1,
    read: (at, signed) => (signed ? view.getInt8(at) : view.getUint8(at)),
    write: (at, value) => view.setInt8(at, Number(value)),
  },
  i16x8: {
    size: 2,
    read: (at, signed) => (signed ? view.getInt16(at, true) : view.getUint16(at, true)),
    write: (at, value) => view.setInt16(at, Number(value), true),
  },
  i32x4: {
    size: 4,
    read: (at, signed) => (signed ? view.getInt32(at, true) : view.getUint32(at, true)),
    write: (at, value) => view.setInt32(at, Number(value), true),
  },
  i64x2: {
    size: 8,
    read: (at, signed) => (signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true)),
    write: (at, value) => view.setBigInt64(at, BigInt.asIntN(64, BigInt(value)), true),
  },
  f32x4: { size: 4, read: (at) => view.getFloat32(at, true), write: (at, x) => view.setFloat32(at, Number(x), true) },
  f64x2: { size: 8, read: (at) => view.getFloat64(at, true), write: (at, x) => view.setFloat64(at, Number(x), true) },
};

const laneType = (shape: string): LaneType => LANES[shape] ?? assert.fail(shape);

const nearest = (x: number): number => {
  const whole = Math.round(x);
  return Math.abs(x % 1) === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
};

/** Lane by lane: the shape of the operands, and what becomes of a lane of each. */
const LANEWISE: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: Math.imul,
  neg: (a) => -a,
  abs: Math.abs,
  min: Math.min,
  max: Math.max,
  avgr: (a, b) => (a + b + 1) >> 1,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest,
  sqrt: Math.sqrt,
  div: (a, b) => a / b,
  pmin: (a, b) => (b < a ? b : a),
  pmax: (a, b) => (a < b ? b : a),
  popcnt: (a) => (a & 255).toString(2).replaceAll("0", "").length,
};
const COMPARE: Readonly<Record<string, (a: Lane, b: Lane) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  gt: (a, b) => a > b,
  le: (a, b) => a <= b,
  ge: (a, b) => a >= b,
};

/** What the operator of that name makes of the operands in memory, in the bytes of the result; undefined if no rule here knows it. */
function expected(name: string): Uint8Array | undefined {
  const saved = bytes.slice(RESULT, RESULT + 16);
  bytes.fill(0, RESULT, RESULT + 16);
  const known = compute(name);
  const result = bytes.slice(RESULT, RESULT + 16);
  bytes.set(saved, RESULT);
  return known ? result : undefined;
}

function compute(name: string): boolean {
  const [, shape = "", operation = "", tail = ""] = /^([if]\d+x\d+)_([a-z]+)(?:_(.*))?$/.exec(name) ?? [];
  const lanes = LANES[shape];
  if (lanes === undefined) return false;
  const isFloat = shape.startsWith("f");
  const signed = tail !== "u";
  const count = 16 / lanes.size;
  const each = (make: (at: number, lane: number) => Lane): true => {
    for (let lane = 0; lane < count; lane++) lanes.write(RESULT + lane * lanes.size, make(lane * lanes.size, lane));
    return true;
  };

  const compare = COMPARE[operation];
  if (compare !== undefined) {
    const ones = (at: number): void => void bytes.fill(255, RESULT + at, RESULT + at + lanes.size);
    for (let at = 0; at < 16; at += lanes.size)
      if (compare(lanes.read(at, signed), lanes.read(16 + at, signed))) ones(at);
    return true;
  }
  if (operation === "narrow") {
    const [from = ""] = tail.split("_");
    const wide = laneType(from);
    const unsigned = tail.endsWith("_u");
    const bits = lanes.size * 8;
    const [low, high] = unsigned ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
    return each((_, lane) => Math.min(high, Math.max(low, Number(wide.read(lane * wide.size, true)))));
  }
  if (operation === "extend" || operation === "extmul") {
    const [half = "", from = "", sign = ""] = tail.split("_");
    const narrow = laneType(from);
    const start = half === "high" ? 8 : 0;
    const read = (base: number, lane: number): bigint =>
      BigInt(narrow.read(base + start + lane * narrow.size, sign === "s"));
    return each((_, lane) => {
      const value = operation === "extend" ? read(0, lane) : read(0, lane) * read(16, lane);
      return lanes.size === 8 ? value : Number(BigInt.asIntN(32, value));
    });
  }
  if (operation === "extadd") {
    const [, from = "", sign = ""] = tail.split("_");
    const narrow = laneType(from);
    const read = (index: number): number => Number(narrow.read(index * narrow.size, sign === "s"));
    return each((_, lane) => read(2 * lane) + read(2 * lane + 1));
  }
  if (operation === "dot") {
    const product = (at: number): number => view.getInt16(at, true) * view.getInt16(16 + at, true);
    return each((at) => (product(at) + product(at + 2)) | 0);
  }
  if (tail.startsWith("sat")) {
    const unsigned = tail.endsWith("u");
    const bits = lanes.size * 8;
    const [low, high] = unsigned ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
    const sum = (a: number, b: number): number => (operation === "add" ? a + b : a - b);
    if (operation !== "add" && operation !== "sub") return false;
    return each((at) =>
      Math.min(high, Math.max(low, sum(Number(lanes.read(at, !unsigned)), Number(lanes.read(16 + at, !unsigned))))),
    );
  }
  if (operation === "shl" || operation === "shr") {
    const bits = lanes.size * 8;
    const by = BigInt(view.getInt32(16, true) & (bits - 1));
    return each((at) => {
      const value = BigInt(lanes.read(at, tail === "s"));
      const shifted = operation === "shl" ? value << by : value >> by;
      return lanes.size === 8 ? shifted : Number(BigInt.asIntN(bits, shifted));
    });
  }
  if (operation === "swizzle")
    return each((at) => (view.getUint8(16 + at) < 16 ? view.getInt8(view.getUint8(16 + at)) : 0));
  if (operation === "splat") return each(() => lanes.read(0, true));
  if (operation === "convert") {
    const lane = (index: number): number =>
      tail.endsWith("_s") ? view.getInt32(4 * index, true) : view.getUint32(4 * index, true);
    return each((_, index) => lane(index));
  }
  if (operation === "promote") return each((_, lane) => view.getFloat32(4 * lane, true));
  if (operation === "demote") return each((_, lane) => (lane < 2 ? view.getFloat64(8 * lane, true) : 0));
  if (tail.startsWith("sat_f") || /^sat|^f/.test(tail)) return false;
  const combine = LANEWISE[operation];
  if (combine === undefined) return false;
  if (lanes.size === 8 && !isFloat) {
    const one = (at: number): bigint => BigInt(lanes.read(at, true));
    const wide: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
      add: (a, b) => a + b,
      sub: (a, b) => a - b,
      mul: (a, b) => a * b,
      neg: (a) => -a,
      abs: (a) => (a < 0n ? -a : a),
    };
    const make = wide[operation];
    return make !== undefined && each((at) => make(one(at), one(16 + at)));
  }
  const multiply = isFloat && operation === "mul" ? (a: number, b: number): number => a * b : combine;
  return each((at) => multiply(Number(lanes.read(at, signed)), Number(lanes.read(16 + at, signed))));
}

/** A repeatable stream of 32-bit words. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) ^ (state >>> 12);
  };
}

function fill(name: string, random: () => number): void {
  for (let at = 0; at < 48; at += 4) view.setInt32(at, random(), true);
  if (random() & 1) for (let at = 0; at < 16; at++) if (random() & 1) bytes[16 + at] = bytes[at] ?? 0;
  if (!/^f|f32|f64/.test(name) || name.includes("convert")) return;
  for (let at = 0; at < 48; at += name.startsWith("f64x2") && !name.includes("promote") ? 8 : 4) {
    const value = (random() % 2000) / 8;
    if (name.startsWith("f64x2") && !name.includes("promote")) view.setFloat64(at, value, true);
    else if (name.includes("demote")) view.setFloat64(at & ~7, value, true);
    else view.setFloat32(at, value, true);
  }
  if (name.includes("sqrt")) for (const at of [3, 7, 11, 15]) bytes[at] = (bytes[at] ?? 0) & 127;
}

test("what a vector instruction computes is what the name of its row says", () => {
  const random = makeRandom(2024);
  const unjudged: string[] = [];
  for (const [name, row] of Object.entries<OperatorRow>(v128Operators)) {
    for (let round = 0; round < 8; round++) {
      fill(name, random);
      const wanted = expected(name);
      bytes.fill(0, RESULT, RESULT + 16);
      run((f) => apply(f, name, row));
      if (wanted === undefined) {
        if (round === 0) unjudged.push(name);
        continue;
      }
      assert.deepEqual(bytes.slice(RESULT, RESULT + 16), wanted, name);
    }
  }
  // Those have rows in the next test.
  assert.deepEqual(unjudged.sort(), Object.keys(PARTICULAR).sort());
});

const words = (...values: readonly number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer);
const doubles = (...values: readonly number[]): Uint8Array => new Uint8Array(Float64Array.from(values).buffer);
const singles = (...values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

/** Operands and result, for those whose name is no lane-by-lane rule. */
const PARTICULAR: Readonly<Record<string, readonly Uint8Array[]>> = {
  not: [words(0, -1, 5, 6), words(-1, 0, -6, -7)],
  and: [words(12, -1, 0, 7), words(10, 3, 9, -1), words(8, 3, 0, 7)],
  andnot: [words(12, -1, 0, 7), words(10, 3, 9, -1), words(4, -4, 0, 0)],
  or: [words(12, -1, 0, 7), words(10, 3, 9, 8), words(14, -1, 9, 15)],
  xor: [words(12, -1, 0, 7), words(10, 3, 9, 8), words(6, -4, 9, 15)],
  bitselect: [words(-1, 1, 2, 3), words(0, 5, 6, 7), words(0xf0, -1, 0, -1), words(0xf0, 1, 6, 3)],
  any_true: [words(0, 0, 4, 0), words(1)],
  i8x16_all_true: [words(-1, -1, -1, 0x01010001), words(0)],
  i16x8_all_true: [words(-1, -1, -1, 0x01010001), words(1)],
  i32x4_all_true: [words(1, 2, 0, 3), words(0)],
  i64x2_all_true: [words(1, 2, 0, 3), words(1)],
  i8x16_bitmask: [words(0x80, 0, -1, 0x80000000 | 0), words(0x8f01)],
  i16x8_bitmask: [words(0x8000, 0, -1, 0x80000000 | 0), words(0xb1)],
  i32x4_bitmask: [words(0x8000, -1, 0, -1), words(10)],
  i64x2_bitmask: [words(0x8000, -1, -1, 0), words(1)],
  i16x8_q15mulr_sat_s: [words(0x4000_8000, 0, 0, 0), words(0x4000_8000, 0, 0, 0), words(0x2000_7fff, 0, 0, 0)],
  i32x4_trunc_sat_f32x4_s: [singles(1.9, -1.9, 1e20, NaN), words(1, -1, 0x7fffffff, 0)],
  i32x4_trunc_sat_f32x4_u: [singles(1.9, -1.9, 1e20, 3e9), words(1, 0, -1, 3e9 | 0)],
  i32x4_trunc_sat_f64x2_s_zero: [doubles(-1.9, 1e20), words(-1, 0x7fffffff, 0, 0)],
  i32x4_trunc_sat_f64x2_u_zero: [doubles(-1.9, 3e9), words(0, 3e9 | 0, 0, 0)],
};

test("vector instructions with rules of their own", () => {
  for (const [name, values] of Object.entries(PARTICULAR)) {
    const row: OperatorRow = (v128Operators as Readonly<Record<string, OperatorRow>>)[name] ?? assert.fail(name);
    bytes.fill(0, 0, 64);
    values.slice(0, -1).forEach((value, n) => bytes.set(value, OPERANDS[n] ?? 0));
    run((f) => apply(f, name, row));
    const wanted = values.at(-1) ?? assert.fail();
    assert.deepEqual(bytes.slice(RESULT, RESULT + wanted.length), wanted, name);
  }
});

test("lanes are taken out and put in where they lie", () => {
  for (const [name, row] of Object.entries<OperatorRow>(v128LaneOperators)) {
    const [shape = "", operation = "", sign = ""] = name.split("_");
    const lanes = laneType(shape);
    for (let lane = 0; lane < 16 / lanes.size; lane++) {
      for (let at = 0; at < 32; at++) bytes[at] = 0x90 + at;
      const source = bytes.slice(0, 32);
      run((f) => apply(f, name, row, lane));
      const at = lane * lanes.size;
      if (operation === "replace") {
        const wanted = source.slice(0, 16);
        wanted.set(source.subarray(16, 16 + lanes.size), at);
        assert.deepEqual(bytes.slice(RESULT, RESULT + 16), wanted, name);
      } else {
        const wanted = lanes.read(at, sign !== "u");
        assert.equal(lanes.size < 4 ? view.getInt32(RESULT, true) : lanes.read(RESULT, true), wanted, name);
      }
    }
  }
});

test("constants, shuffles, loads and stores keep the order of bytes", () => {
  run((f) => {
    const { v128, i32 } = f;
    f.store("v128", i32.const(0), v128.const(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c), 0);
    f.store("v128", i32.const(16), f.load("v128", i32.const(0), 0), 0);
    const lanes = [31, 0, 17, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 30];
    f.store(
      "v128",
      i32.const(0),
      v128.shuffle(f.load("v128", i32.const(0), 0), f.load("v128", i32.const(0), 16), lanes),
      RESULT,
    );
  });
  assert.deepEqual([...bytes.slice(16, 32)], [...new Array(16).keys()]);
  assert.deepEqual([...bytes.slice(RESULT, RESULT + 16)], [15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
});
