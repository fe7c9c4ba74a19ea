/** The keys of the shapes that the interpreter has operations for, in their order. The bundle has them ready-made. */
import { fastShapes } from "./fast-shapes.ts";
import { keyOfShape } from "./shapes.ts";

export function fastShapeKeys(): Float64Array {
  return Float64Array.from(fastShapes(), keyOfShape);
}
