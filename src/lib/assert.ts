// What to call where our own code must not be wrong: both throw, and neither is for a guest's or a user's mistakes.

/** A broken invariant of ours. The run loop alone catches it. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** Marks the impossible branch of an exhaustive switch: the compiler rejects a call whose argument still has a case. */
export function assertNever(value: never): never {
  throw new InvariantError(`unreachable case: ${String(value)}`);
}

/** Throws unless the condition, which our own code guarantees, holds. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
