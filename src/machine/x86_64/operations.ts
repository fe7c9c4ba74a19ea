/**
 * The interpreter's operations: the numbers in the op field of records.
 *
 *     0 decode   1 slow   2 nextPage   3 goto   4 nothing   5 region   then one for each fast shape, then one for each pair
 */
import { fastShapes, type ShapePair } from "./fast-shapes.ts";
import { keyOfShape, type Shape } from "./shapes.ts";

export const OP = {
  /** Not decoded yet. */
  decode: 0,
  /** The exact tier's. */
  slow: 1,
  /** The end of a page. */
  nextPage: 2,
  /** Goes on at the record in `imm`; no instruction. */
  goto: 3,
  /** An instruction that does nothing. */
  nothing: 4,
  /** The head of a translated region, whose index is in `c`. */
  region: 5,
  first: 6,
} as const;

/** "plain" has one operation for each shape, and is ready at once; "joined" has pairs besides, and is faster. */
export type InterpreterKind = "plain" | "joined";

export interface Operations {
  readonly shapes: readonly Shape[];
  readonly pairList: readonly ShapePair[];
  /** Op number by shape key. */
  readonly ops: ReadonlyMap<number, number>;
  /** Op number of a pair by first × 65536 + second. */
  readonly pairs: ReadonlyMap<number, number>;
}

const made = new Map<InterpreterKind, Operations>();

export function operations(kind: InterpreterKind): Operations {
  let found = made.get(kind);
  if (found === undefined) {
    found = make(kind);
    made.set(kind, found);
  }
  return found;
}

function make(kind: InterpreterKind): Operations {
  const { shapes, pairs: allPairs } = fastShapes();
  const ops = new Map<number, number>();
  shapes.forEach((shape, index) => {
    const key = keyOfShape(shape);
    if (!ops.has(key)) ops.set(key, OP.first + index);
  });
  const pairList = kind === "plain" ? [] : allPairs;
  const pairs = new Map<number, number>();
  pairList.forEach(({ first, second }, index) => {
    const firstOp = ops.get(keyOfShape(first));
    const secondOp = ops.get(keyOfShape(second));
    if (firstOp !== undefined && secondOp !== undefined) {
      pairs.set(firstOp * 65536 + secondOp, OP.first + shapes.length + index);
    }
  });
  return { shapes, pairList, ops, pairs };
}
