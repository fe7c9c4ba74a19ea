/**
 * The interpreter's operations: the numbers in the op field of records.
 *
 *     0 decode   1 slow   2 nextPage   3 goto   4 nothing   5 region   then one for each fast shape, then one for each sequence
 */
import { fastShapeKeys } from "./fast-shape-keys.prebuilt.ts";
import { fastShapes } from "./fast-shapes.ts";
import { sequences, type Sequence } from "./sequences.ts";
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

/** "plain" has one operation for each shape, and is ready at once; "joined" has sequences besides, and is faster. */
export type InterpreterKind = "plain" | "joined";

/** Sequences as a tree: from a node the op of the next instruction leads on. */
export interface SequenceNode {
  /** The operation of the sequence that ends here, or 0. */
  op: number;
  readonly next: Map<number, SequenceNode>;
}

export interface Operations {
  readonly shapes: readonly Shape[];
  readonly sequences: readonly Sequence[];
  /** Op number by shape key. */
  readonly ops: ReadonlyMap<number, number>;
  /** Undefined where there are no sequences. */
  readonly tree: SequenceNode | undefined;
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
  const ops = new Map<number, number>();
  const keys = fastShapeKeys();
  for (let index = keys.length - 1; index >= 0; index--) ops.set(keys[index] ?? 0, OP.first + index);
  if (kind === "plain") {
    return {
      get shapes() {
        return fastShapes();
      },
      sequences: [],
      ops,
      tree: undefined,
    };
  }
  const shapes = fastShapes();
  const list = sequences();
  const tree: SequenceNode = { op: 0, next: new Map() };
  list.forEach((sequence, index) => {
    let node = tree;
    for (const shape of sequence) {
      const op = ops.get(keyOfShape(shape));
      // What has no handler of its own cannot be met.
      if (op === undefined) return;
      let next = node.next.get(op);
      if (next === undefined) {
        next = { op: 0, next: new Map() };
        node.next.set(op, next);
      }
      node = next;
    }
    node.op = OP.first + shapes.length + index;
  });
  return { shapes, sequences: list, ops, tree };
}
