/**
 * What all emitters do alike: name values, choose between them, and give temporaries back at the end of an instruction. Where
 * operands come from and how memory is reached is for the architecture's emitters, one for each tier.
 */
import type { FunctionBuilder, MemoryLoad, MemoryStore } from "../../wasm/function-builder.ts";
import type { F32Operators, F64Operators, I32Operators, I64Operators } from "../../wasm/operators.ts";
import { tokenOf, type I32, type Value, type ValueType } from "../../wasm/values.ts";
import type { LoadKind, Local, StoreKind } from "../emitter.ts";

export const loadInstruction: Readonly<Record<LoadKind, MemoryLoad & `i64${string}`>> = {
  i8: "i64_8s",
  u8: "i64_8u",
  i16: "i64_16s",
  u16: "i64_16u",
  i32: "i64_32s",
  u32: "i64_32u",
  i64: "i64",
};

export const storeInstruction: Readonly<Record<StoreKind, MemoryStore & `i64${string}`>> = {
  i8: "i64_8",
  i16: "i64_16",
  i32: "i64_32",
  i64: "i64",
};

/** Bytes of an access. */
export const accessSize: Readonly<Record<LoadKind, 1 | 2 | 4 | 8>> = {
  i8: 1,
  u8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
};

export class BaseEmitter {
  readonly i32: I32Operators;
  readonly i64: I64Operators;
  readonly f32: F32Operators;
  readonly f64: F64Operators;
  protected readonly f: FunctionBuilder;
  private readonly temporaries: { local: number; type: ValueType }[] = [];

  constructor(f: FunctionBuilder) {
    this.f = f;
    this.i32 = f.i32;
    this.i64 = f.i64;
    this.f32 = f.f32;
    this.f64 = f.f64;
  }

  let<T extends ValueType>(value: Value<T>): Local<T> {
    const type: T = value;
    const local = this.f.local(type);
    this.temporaries.push({ local, type });
    this.f.setLocal(local, value);
    return this.localAt(local, type);
  }

  select<T extends ValueType>(whenTrue: Value<T>, whenFalse: Value<T>, condition: I32): Value<T> {
    return this.f.select(whenTrue, whenFalse, condition);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    this.f.if(condition);
    then();
    if (otherwise !== undefined) {
      this.f.else();
      otherwise();
    }
    this.f.end();
  }

  /** Does `body` for as long as the condition holds. */
  repeat(condition: () => I32, body: () => void): void {
    const { f, i32 } = this;
    const done = f.block();
    const again = f.loop();
    f.branchIf(done, i32.eqz(condition()));
    body();
    f.branch(again);
    f.end();
    f.end();
  }

  choose<T extends ValueType>(type: T, condition: I32, whenTrue: () => Value<T>, whenFalse: () => Value<T>): Value<T> {
    this.f.ifValue(condition, type);
    whenTrue();
    this.f.else();
    whenFalse();
    this.f.end();
    return tokenOf(type);
  }

  protected releaseTemporaries(): void {
    for (const { local, type } of this.temporaries) this.f.release(local, type);
    this.temporaries.length = 0;
  }

  protected localAt<T extends ValueType>(local: number, type: T): Local<T> {
    const { f } = this;
    return {
      get: () => f.getLocal(local, type),
      set: (value) => f.setLocal(local, value),
      tee: (value) => f.teeLocal(local, value),
    };
  }
}
