/**
 * Pairs: two adjacent instructions that the interpreter executes as one operation, which saves a dispatch. Both are still
 * defined once; a pair's handler is the one's code and then the other's.
 */
import type { Forwarding } from "./run-emitter.ts";
import type { Shape } from "./shapes.ts";

export interface Pair {
  readonly first: Shape;
  readonly second: Shape;
  readonly forwarding: Forwarding;
}

export const PAIRS: readonly Pair[] = [];
