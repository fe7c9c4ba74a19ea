/** Generates modules of the exact tier's handlers: a table of functions, one for each shape. */
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../../wasm/module-builder.ts";
import { semanticsOf } from "./interpreter.ts";
import type { Shape } from "./shapes.ts";
import { StepEmitter } from "./step-emitter.ts";

export const STEPS_EXPORT = "steps";

const STEP_SIGNATURE: Signature = { parameters: [], results: ["i32"] };
const ACCESS: Signature = { parameters: ["i32", "i32", "i32"], results: ["i32"] };

export function buildStepModule(shapes: readonly Shape[]): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("host", "memory", 1, 65536);
  const imports = {
    load: module.importFunction("host", "load", ACCESS),
    store: module.importFunction("host", "store", ACCESS),
  };
  const f = new FunctionBuilder();
  const functions = shapes.map((shape) => {
    f.reset([]);
    new StepEmitter(f, imports, shape).emit(semanticsOf(shape));
    return module.addFunction(shape.mnemonic, STEP_SIGNATURE, f);
  });
  module.addTable(functions, { export: STEPS_EXPORT });
  return module.finish();
}
