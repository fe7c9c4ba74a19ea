/** The engine of x86-64 machines: one interpreter for all harts, their predecoded code, and the regions translated from it. */
import { compileModule, type WasmMemory, type WasmModule } from "../../wasm/engine.ts";
import { savedWindow, type Layout } from "../engine/layout.ts";
import type { Engine, EngineMachine, Processor } from "../processor.ts";
import { CODE_BYTES, CodeCache } from "./code.ts";
import { HartCore } from "./hart-core.ts";
import type { X86Hart } from "./hart.ts";
import { instantiateInterpreter } from "./interpreter.ts";
import { joinedInterpreter, plainInterpreter } from "./interpreters.prebuilt.ts";
import type { InterpreterKind } from "./operations.ts";
import { Regions } from "./regions.ts";

export const x86Processor: Processor<X86Hart> = {
  arch: "x86_64",
  codeBytes: () => CODE_BYTES,
  createEngine: (machine, memory, layout) => new X86Engine(machine, memory, layout),
};

/** The compiled interpreters: every machine of a process uses the same. */
const compiled = new Map<InterpreterKind, WasmModule>();

function compileInterpreter(kind: InterpreterKind): WasmModule {
  let module = compiled.get(kind);
  if (module === undefined) {
    module = compileModule(kind === "plain" ? plainInterpreter() : joinedInterpreter());
    compiled.set(kind, module);
  }
  return module;
}

class X86Engine implements Engine<X86Hart> {
  readonly harts: readonly HartCore[];
  readonly code: CodeCache;
  private readonly memory: WasmMemory;
  private readonly regions: Regions;
  private running: HartCore;

  constructor(machine: EngineMachine, memory: WasmMemory, layout: Layout) {
    const { ram } = machine;
    const harts: HartCore[] = [];
    this.memory = memory;
    this.code = new CodeCache(memory, layout, ram.size, {
      onEvict: () => harts.forEach((hart) => hart.flushExecuteTranslations()),
      onCode: (page) => harts.forEach((hart) => hart.flushStoresTo(ram.base / 4096 + page)),
    });
    for (let id = 0; id < layout.harts; id++) {
      harts.push(new HartCore(machine, this.code, id, memory, layout, id === 0 ? 0 : savedWindow(id)));
    }
    this.harts = harts;
    // There is at least one hart.
    this.running = harts[0] as HartCore;
    this.regions = new Regions(memory, this.code);
  }

  reset(pc: number): void {
    for (const hart of this.harts) hart.reset(pc);
  }

  setRunning(hart: HartCore): void {
    this.running = hart;
  }

  useInterpreter(kind: "soonest" | "fastest"): void {
    const isJoined = kind === "fastest";
    const module = compileInterpreter(isJoined ? "joined" : "plain");
    // One for all harts: it works on the window of whichever runs.
    const run = instantiateInterpreter(module, this.memory, this.regions.table, {
      slow: () => this.running.slow(),
      miss: () => this.running.miss(),
    });
    for (const hart of this.harts) hart.attachInterpreter(run);
    if (isJoined) this.code.startJoining();
  }

  translate(hot: readonly number[]): void {
    this.regions.translate(hot);
  }
}
