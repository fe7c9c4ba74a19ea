/**
 * The exact tier's handlers of what programs execute most: of each instruction that the interpreter has an operation for, and of those of
 * up to 32 bits the forms for 32-bit addresses, which is what start-up executes before paging. They depend on nothing of the run, so the
 * bundle has them ready-made.
 */
import { fastShapes } from "./fast-shapes.ts";
import { keyOfShape, type Shape } from "./shapes.ts";
import { buildStepModule } from "./step-module.ts";

export interface UsualHandlers {
  /** What `StepHandlers` looks for, in the order of the module's table. */
  readonly keys: Float64Array;
  readonly module: Uint8Array<ArrayBuffer>;
}

export function usualHandlers(): UsualHandlers {
  const shapes = new Map<number, Shape>();
  for (const fast of fastShapes()) {
    const sizes = fast.operandSize > 4 && fast.transfer === "none" ? [8] : [8, 4];
    for (const addressSize of sizes) {
      // A relative jump outside 64-bit mode has 32-bit operands.
      const operandSize = addressSize === 4 ? Math.min(4, fast.operandSize) : fast.operandSize;
      const shape: Shape = { ...fast, operandSize, addressSize, address: "base", transfer: "none", flags: "used" };
      shapes.set(keyOfShape(shape) * 4 + addressSize / 4, shape);
    }
  }
  return { keys: Float64Array.from(shapes.keys()), module: buildStepModule([...shapes.values()]) };
}
