/** What x86-64 machines run on: the parts of their engine. */
import { SharedEngine, type EngineParts } from "../engine/shared-engine.ts";
import type { Processor } from "../processor.ts";
import { CODE_BYTES, CodeCache } from "./code.ts";
import { HartCore } from "./hart-core.ts";
import type { X86Hart } from "./hart.ts";
import { instantiateInterpreter } from "./interpreter.ts";
import { joinedInterpreter, plainInterpreter } from "./interpreters.prebuilt.ts";
import { Regions } from "./regions.ts";

const PARTS: EngineParts<HartCore, CodeCache, () => number> = {
  createCode: (memory, layout, ramSize, listener) => new CodeCache(memory, layout, ramSize, listener),
  createHart: (machine, code, id, memory, layout, window) => new HartCore(machine, code, id, memory, layout, window),
  createRegions: (memory, code) => new Regions(memory, code),
  plainInterpreter,
  joinedInterpreter,
  instantiate: (module, memory, regions, running) =>
    instantiateInterpreter(module, memory, regions, {
      slow: () => running().slow(),
      miss: () => running().miss(),
    }),
};

export const x86Processor: Processor<X86Hart> = {
  arch: "x86_64",
  codeBytes: () => CODE_BYTES,
  createEngine: (machine, memory, layout) => new SharedEngine(PARTS, machine, memory, layout),
};
