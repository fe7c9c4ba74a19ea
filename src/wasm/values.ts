/**
 * WebAssembly value types, as the compiler sees them.
 *
 * Code is emitted while TypeScript evaluates: `i64.add(a(), b())` appends the code of `a`, of `b`, then the `add`, because
 * arguments are evaluated left to right, which is the order of WebAssembly's stack. What such a call returns is only a
 * token: it stands for "the value on top of the stack" and carries its type, so that mixing types does not compile. A token
 * is consumed exactly once, at once; a value needed twice goes through a local.
 */
declare const valueType: unique symbol;

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** A value of type `T` on top of the stack. At run time it is the name of its type. */
export type Value<T extends ValueType = ValueType> = T & { readonly [valueType]: T };

export type I32 = Value<"i32">;
export type I64 = Value<"i64">;
export type F32 = Value<"f32">;
export type F64 = Value<"f64">;
export type V128 = Value<"v128">;

export type AnyValue = Value;

export const i32Token = "i32" as I32;
export const i64Token = "i64" as I64;
export const f32Token = "f32" as F32;
export const f64Token = "f64" as F64;
export const v128Token = "v128" as V128;

/** The binary encoding of a value type. WebAssembly core specification, 5.3.1. */
export const valueTypeCode: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** The token of a type. */
export function tokenOf<T extends ValueType>(type: T): Value<T> {
  return type as Value<T>;
}
