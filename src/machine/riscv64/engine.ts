/** What RISC-V machines run on: the parts of their engine. */
import { SharedEngine, type EngineParts } from "../engine/shared-engine.ts";
import type { Processor } from "../processor.ts";
import { CodeCache } from "./code.ts";
import { HartCore } from "./hart-core.ts";
import type { RiscvHart } from "./hart.ts";
import { instantiateInterpreter, type Interpreter } from "./interpreter.ts";
import { joinedInterpreter, plainInterpreter } from "./interpreters.prebuilt.ts";
import { codeBytes } from "./layout.ts";
import { Regions } from "./regions.ts";

const PARTS: EngineParts<HartCore, CodeCache, Interpreter> = {
  createCode: (memory, layout, ramSize, listener) => new CodeCache(memory, layout, ramSize, listener),
  createHart: (machine, code, id, memory, layout, window) => new HartCore(machine, code, id, memory, layout, window),
  createRegions: (memory, code) => new Regions(memory, code),
  plainInterpreter,
  joinedInterpreter,
  instantiate: (module, memory, regions, running) =>
    instantiateInterpreter(module, memory, regions, {
      slow: () => running().slow(),
      miss: () => running().miss(),
      load: (size, lo, hi) => running().load(size, lo, hi),
      store: (size, lo, hi) => running().store(size, lo, hi),
      atomicLoad: (size, lo, hi) => running().atomicLoad(size, lo, hi),
      loadReserved: (size, lo, hi) => running().loadReserved(size, lo, hi),
      storeConditional: (size, lo, hi) => running().storeConditional(size, lo, hi),
    }),
};

export const riscv64Processor: Processor<RiscvHart> = {
  arch: "riscv64",
  codeBytes,
  createEngine: (machine, memory, layout) => new SharedEngine(PARTS, machine, memory, layout),
};
