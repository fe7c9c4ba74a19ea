/**
 * The abstract emitter that instruction semantics are written against.
 *
 * The semantics of an instruction are one function over an emitter. Run against the interpreter's emitter it yields the
 * handler of the fast tier; against the step emitter, the exact tier; a region translator's emitter yields the translated
 * code. All of them produce WebAssembly, and code is emitted as the expressions are evaluated:
 *
 *     add: (e) => e.setRd(e.i64.add(e.rs1(), e.rs2()))
 *
 * appends "rs1, rs2, i64.add, write rd". So a value token (see wasm/values.ts) is used once, where it is made. To use a
 * value twice, or out of order, name it: `const sum = e.let(...)`, then `sum.get()`.
 *
 * An instruction is atomic: whatever may make it fail (a memory access, `slow`) comes before its first change of state.
 */
import type { F32Operators, F64Operators, I32Operators, I64Operators } from "../wasm/operators.ts";
import type { I32, I64, Value, ValueType } from "../wasm/values.ts";

/** A temporary of one instruction; it does not outlive the semantics function that made it. */
export interface Local<T extends ValueType> {
  get(): Value<T>;
  set(value: Value<T>): void;
  /** Sets the local and leaves the value on the stack. */
  tee(value: Value<T>): Value<T>;
}

/** How an access's bytes become a 64-bit register value: its size, and how it is extended. */
export type LoadKind = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64";
export type StoreKind = "i8" | "i16" | "i32" | "i64";
export type AtomicKind = "i32" | "i64";

export interface Emitter {
  readonly i32: I32Operators;
  readonly i64: I64Operators;
  readonly f32: F32Operators;
  readonly f64: F64Operators;

  /** Names a value. */
  let<T extends ValueType>(value: Value<T>): Local<T>;
  /** `condition ? whenTrue : whenFalse`, both evaluated; emitted in the order written. */
  select<T extends ValueType>(whenTrue: Value<T>, whenFalse: Value<T>, condition: I32): Value<T>;
  if(condition: I32, then: () => void, otherwise?: () => void): void;
  /** `condition ? whenTrue : whenFalse`, only one evaluated. */
  choose<T extends ValueType>(type: T, condition: I32, whenTrue: () => Value<T>, whenFalse: () => Value<T>): Value<T>;

  /**
   * Leaves the instruction to the exact tier if `condition` holds (always, without one), as though it had not begun. Only
   * before the first change of state. An instruction that uses it also has a definition for the exact tier.
   */
  slow(condition?: I32): void;

  /** A load from the virtual address; faults, devices and misalignment are dealt with behind it. Little-endian. */
  load(kind: LoadKind, address: I64): I64;
  /** A store of the low bytes of `value`. */
  store(kind: StoreKind, address: I64, value: I64): void;
  /**
   * Read-modify-write, indivisible: `update` makes the new value from the old (sign-extended); what is returned is the old.
   * Aligned addresses only; others fault.
   */
  atomic(kind: AtomicKind, address: I64, update: (old: Local<"i64">) => I64): I64;
  /** Loads (sign-extended) and takes a reservation on the address. */
  loadReserved(kind: AtomicKind, address: I64): I64;
  /** Stores if the reservation holds, and drops it either way: 0 on success, 1 on failure. */
  storeConditional(kind: AtomicKind, address: I64, value: I64): I64;
}
