/**
 * The body of one WebAssembly function, written in the order in which it runs.
 *
 *     const done = f.block();        block $done
 *     f.branchIf(done, cond);          cond  br_if $done
 *     f.setLocal(x, value);            value local.set $x
 *     f.end();                       end
 *
 * A label is the nesting depth of its block, a plain number; branches count outwards from where they are. Builders are
 * reused (`reset`), and hand temporaries out again once they are released, so a function body costs no garbage.
 *
 * WebAssembly core specification, 5.4 (instructions) and 5.5.13 (code section).
 */
import { ByteWriter } from "./byte-writer.ts";
import {
  f32Operators,
  f64Operators,
  i32Operators,
  i64Operators,
  v128LaneOperators,
  v128Operators,
  type F32Operators,
  type F64Operators,
  type I32Operators,
  type I64Operators,
  type OperatorRow,
  type V128Operators,
} from "./operators.ts";
import {
  f32Token,
  f64Token,
  i32Token,
  i64Token,
  tokenOf,
  v128Token,
  valueTypeCode,
  type AnyValue,
  type I32,
  type Value,
  type ValueType,
} from "./values.ts";

/** A block that can be branched to: its depth. */
export type Label = number;

/** Opcodes of loads and stores with the type of the value, and log2 of the natural alignment. */
export const memoryLoads = {
  i32: [0x28, "i32"],
  i64: [0x29, "i64"],
  f32: [0x2a, "f32"],
  f64: [0x2b, "f64"],
  i32_8s: [0x2c, "i32"],
  i32_8u: [0x2d, "i32"],
  i32_16s: [0x2e, "i32"],
  i32_16u: [0x2f, "i32"],
  i64_8s: [0x30, "i64"],
  i64_8u: [0x31, "i64"],
  i64_16s: [0x32, "i64"],
  i64_16u: [0x33, "i64"],
  i64_32s: [0x34, "i64"],
  i64_32u: [0x35, "i64"],
  v128: [0xfd00, "v128"],
} as const satisfies Record<string, readonly [number, ValueType]>;

export const memoryStores = {
  i32: [0x36, "i32"],
  i64: [0x37, "i64"],
  f32: [0x38, "f32"],
  f64: [0x39, "f64"],
  i32_8: [0x3a, "i32"],
  i32_16: [0x3b, "i32"],
  i64_8: [0x3c, "i64"],
  i64_16: [0x3d, "i64"],
  i64_32: [0x3e, "i64"],
  v128: [0xfd0b, "v128"],
} as const satisfies Record<string, readonly [number, ValueType]>;

export type MemoryLoad = keyof typeof memoryLoads;
export type MemoryStore = keyof typeof memoryStores;

const OPCODE = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  br_if: 0x0d,
  br_table: 0x0e,
  return: 0x0f,
  call: 0x10,
  call_indirect: 0x11,
  return_call: 0x12,
  return_call_indirect: 0x13,
  drop: 0x1a,
  select: 0x1b,
  local_get: 0x20,
  local_set: 0x21,
  local_tee: 0x22,
  i32_const: 0x41,
  i64_const: 0x42,
  f32_const: 0x43,
  f64_const: 0x44,
  /** Prefix of the vector instructions, and the numbers of those with immediates of their own. */
  vector: 0xfd,
  v128_const: 0x0c,
  i8x16_shuffle: 0x0d,
} as const;

/** The block type of a block without results. */
const NO_RESULT = 0x40;

export class FunctionBuilder {
  readonly code = new ByteWriter();
  readonly i32: I32Operators;
  readonly i64: I64Operators;
  readonly f32: F32Operators;
  readonly f64: F64Operators;
  readonly v128: V128Operators;
  private parameterCount = 0;
  private readonly localTypes: ValueType[] = [];
  private readonly released: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  private depth = 0;

  constructor() {
    const code = this.code;
    this.i32 = {
      ...makeOperators(code, i32Operators),
      const: (value) => {
        code.byte(OPCODE.i32_const);
        code.signed(value);
        return i32Token;
      },
    } as I32Operators;
    this.i64 = {
      ...makeOperators(code, i64Operators),
      const: (value) => {
        code.byte(OPCODE.i64_const);
        code.signed(value);
        return i64Token;
      },
      constWords: (hi, lo) => {
        code.byte(OPCODE.i64_const);
        code.signedWords(hi, lo);
        return i64Token;
      },
    } as I64Operators;
    this.f32 = {
      ...makeOperators(code, f32Operators),
      const: (value) => {
        code.byte(OPCODE.f32_const);
        code.float32(value);
        return f32Token;
      },
    } as F32Operators;
    this.f64 = {
      ...makeOperators(code, f64Operators),
      const: (value) => {
        code.byte(OPCODE.f64_const);
        code.float64(value);
        return f64Token;
      },
    } as F64Operators;
    this.v128 = {
      ...makeOperators(code, v128Operators),
      ...makeLaneOperators(code, v128LaneOperators),
      const: (...words) => {
        code.byte(OPCODE.vector);
        code.byte(OPCODE.v128_const);
        for (const word of words) for (let shift = 0; shift < 32; shift += 8) code.byte((word >>> shift) & 0xff);
        return v128Token;
      },
      shuffle: (_a, _b, lanes) => {
        code.byte(OPCODE.vector);
        code.byte(OPCODE.i8x16_shuffle);
        for (const lane of lanes) code.byte(lane);
        return v128Token;
      },
    } as V128Operators;
  }

  /** Starts an empty body; the parameters are locals 0, 1, …. */
  reset(parameters: readonly ValueType[]): void {
    this.code.clear();
    this.parameterCount = parameters.length;
    this.localTypes.length = 0;
    for (const locals of Object.values(this.released)) locals.length = 0;
    this.depth = 0;
  }

  /** A new local, or a released one of the type. */
  local(type: ValueType): number {
    const free = this.released[type].pop();
    if (free !== undefined) return free;
    this.localTypes.push(type);
    return this.parameterCount + this.localTypes.length - 1;
  }

  release(local: number, type: ValueType): void {
    this.released[type].push(local);
  }

  getLocal<T extends ValueType>(local: number, type: T): Value<T> {
    this.code.byte(OPCODE.local_get);
    this.code.unsigned(local);
    return tokenOf(type);
  }

  setLocal(local: number, _value: AnyValue): void {
    this.code.byte(OPCODE.local_set);
    this.code.unsigned(local);
  }

  teeLocal<T extends ValueType>(local: number, value: Value<T>): Value<T> {
    this.code.byte(OPCODE.local_tee);
    this.code.unsigned(local);
    return value;
  }

  block(): Label {
    return this.open(OPCODE.block, NO_RESULT);
  }

  loop(): Label {
    return this.open(OPCODE.loop, NO_RESULT);
  }

  /** Closed by `end`; `else` may come between. */
  if(_condition: I32): Label {
    return this.open(OPCODE.if, NO_RESULT);
  }

  /** As `if`, with a result; needs its `else`. */
  ifValue(_condition: I32, type: ValueType): Label {
    return this.open(OPCODE.if, valueTypeCode[type]);
  }

  else(): void {
    this.code.byte(OPCODE.else);
  }

  end(): void {
    this.code.byte(OPCODE.end);
    this.depth--;
  }

  branch(label: Label): void {
    this.code.byte(OPCODE.br);
    this.code.unsigned(this.depth - label);
  }

  branchIf(label: Label, _condition: I32): void {
    this.code.byte(OPCODE.br_if);
    this.code.unsigned(this.depth - label);
  }

  branchTable(targets: readonly Label[], fallback: Label, _index: I32): void {
    this.code.byte(OPCODE.br_table);
    this.code.unsigned(targets.length);
    for (const target of targets) this.code.unsigned(this.depth - target);
    this.code.unsigned(this.depth - fallback);
  }

  return(..._values: AnyValue[]): void {
    this.code.byte(OPCODE.return);
  }

  unreachable(): void {
    this.code.byte(OPCODE.unreachable);
  }

  drop(_value: AnyValue): void {
    this.code.byte(OPCODE.drop);
  }

  select<T extends ValueType>(whenTrue: Value<T>, _whenFalse: Value<T>, _condition: I32): Value<T> {
    this.code.byte(OPCODE.select);
    return whenTrue;
  }

  /** A call; the result, if the function has one, is on the stack. */
  call(functionIndex: number, ..._arguments: AnyValue[]): void {
    this.code.byte(OPCODE.call);
    this.code.unsigned(functionIndex);
  }

  callValue<T extends ValueType>(type: T, functionIndex: number, ..._arguments: AnyValue[]): Value<T> {
    this.code.byte(OPCODE.call);
    this.code.unsigned(functionIndex);
    return tokenOf(type);
  }

  /** Calls the function at an index of the table; `signature` is a type index. */
  callIndirect<T extends ValueType>(type: T, signature: number, _index: I32): Value<T> {
    this.code.byte(OPCODE.call_indirect);
    this.code.unsigned(signature);
    this.code.byte(0);
    return tokenOf(type);
  }

  /** Returns what a function returns, which takes the place of this one. */
  returnCall(functionIndex: number, ..._arguments: AnyValue[]): void {
    this.code.byte(OPCODE.return_call);
    this.code.unsigned(functionIndex);
  }

  /** As `returnCall`, of the function at an index of a table, which comes after the arguments. */
  returnCallIndirect(table: number, signature: number, ..._argumentsAndIndex: AnyValue[]): void {
    this.code.byte(OPCODE.return_call_indirect);
    this.code.unsigned(signature);
    this.code.unsigned(table);
  }

  load<K extends MemoryLoad>(kind: K, _address: I32, offset: number): Value<(typeof memoryLoads)[K][1]> {
    const [opcode, type] = memoryLoads[kind];
    this.memoryAccess(opcode, offset);
    return tokenOf<(typeof memoryLoads)[K][1]>(type);
  }

  store<K extends MemoryStore>(
    kind: K,
    _address: I32,
    _value: Value<(typeof memoryStores)[K][1]>,
    offset: number,
  ): void {
    this.memoryAccess(memoryStores[kind][0], offset);
  }

  /** Appends the code entry (locals, body, end) to a code section, with its length before it. */
  finish(target: ByteWriter, scratch: ByteWriter): void {
    if (this.depth !== 0) throw new Error(`${this.depth} blocks left open`);
    this.code.byte(OPCODE.end);
    scratch.clear();
    let runs = 0;
    for (let i = 0; i < this.localTypes.length; i++) if (this.localTypes[i] !== this.localTypes[i - 1]) runs++;
    scratch.unsigned(runs);
    for (let start = 0; start < this.localTypes.length;) {
      const type = this.localTypes[start];
      if (type === undefined) break;
      let end = start + 1;
      while (this.localTypes[end] === type) end++;
      scratch.unsigned(end - start);
      scratch.byte(valueTypeCode[type]);
      start = end;
    }
    target.unsigned(scratch.length + this.code.length);
    target.append(scratch.view());
    target.append(this.code.view());
  }

  private open(opcode: number, blockType: number): Label {
    this.code.byte(opcode);
    this.code.byte(blockType);
    return ++this.depth;
  }

  /** Alignment is only a hint; 0 is right for every address. */
  private memoryAccess(opcode: number, offset: number): void {
    if (opcode > 0xff) {
      this.code.byte(opcode >> 8);
      this.code.unsigned(opcode & 0xff);
    } else {
      this.code.byte(opcode);
    }
    this.code.byte(0);
    this.code.unsigned(offset);
  }
}

function makeOperators(code: ByteWriter, rows: Readonly<Record<string, OperatorRow>>): Record<string, () => AnyValue> {
  const operators: Record<string, () => AnyValue> = {};

  for (const [name, [opcode, , result]] of Object.entries(rows)) {
    const token = tokenOf(result);
    const prefix = opcode >> 8;
    const low = opcode & 0xff;
    operators[name] =
      prefix === 0
        ? () => {
            code.byte(low);
            return token;
          }
        : () => {
            code.byte(prefix);
            code.unsigned(low);
            return token;
          };
  }
  return operators;
}

/** Vector operators that take a lane after their operands. */
function makeLaneOperators(
  code: ByteWriter,
  rows: Readonly<Record<string, OperatorRow>>,
): Record<string, (...operands: readonly (AnyValue | number)[]) => AnyValue> {
  const operators: Record<string, (...operands: readonly (AnyValue | number)[]) => AnyValue> = {};
  for (const [name, [opcode, , result]] of Object.entries(rows)) {
    const token = tokenOf(result);
    operators[name] = (...operands) => {
      code.byte(opcode >> 8);
      code.unsigned(opcode & 0xff);
      code.byte(operands[operands.length - 1] as number);
      return token;
    };
  }
  return operators;
}
