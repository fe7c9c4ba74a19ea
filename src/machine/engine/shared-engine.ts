/**
 * The engine that both architectures have: one interpreter for all harts, their predecoded code, and the regions translated from it.
 * What these are is the architecture's, which hands them over as `EngineParts`.
 */
import { compileModule, type WasmMemory, type WasmModule, type WasmTable } from "../../wasm/engine.ts";
import type { Hart } from "../hart.ts";
import type { Engine, EngineHart, EngineMachine } from "../processor.ts";
import type { CodeTracker } from "../ram.ts";
import { savedWindow, type Layout } from "./layout.ts";

/** What predecoded code tells the harts. Pages are counted from the start of RAM. */
export interface CodeListener {
  /** Records of some page are no longer that page's: no execute translation may point at them any more. */
  onEvict(): void;
  /** The page has code from now on: no store translation may point at it any more. */
  onCode(page: number): void;
}

export interface EngineCode extends CodeTracker {
  /** From now on the interpreter is the one that has operations for sequences. */
  startJoining(): void;
}

/** A hart, with what its engine asks of it; `Interpreter` is whatever runs its code. */
export interface EngineCore<Interpreter> extends EngineHart {
  reset(pc: number): void;
  attachInterpreter(interpreter: Interpreter): void;
  flushExecuteTranslations(): void;
  flushStoresTo(physicalPage: number): void;
}

export interface EngineParts<Core extends EngineCore<Interpreter>, Code extends EngineCode, Interpreter> {
  createCode(memory: WasmMemory, layout: Layout, ramSize: number, listener: CodeListener): Code;
  createHart(machine: EngineMachine, code: Code, id: number, memory: WasmMemory, layout: Layout, window: number): Core;
  createRegions(memory: WasmMemory, code: Code): Regions;
  /** The interpreter that is ready at once, and the one with sequences. */
  plainInterpreter(): Uint8Array<ArrayBuffer>;
  joinedInterpreter(): Uint8Array<ArrayBuffer>;
  /** An instance of a compiled interpreter. It works on the window of whichever hart runs, and calls that one. */
  instantiate(module: WasmModule, memory: WasmMemory, regions: WasmTable, running: () => Core): Interpreter;
}

interface Regions {
  readonly table: WasmTable;
  translate(hot: readonly number[]): void;
}

/** The compiled interpreters: every machine of a process uses the same. */
const compiled = new Map<() => Uint8Array<ArrayBuffer>, WasmModule>();

function compileOnce(make: () => Uint8Array<ArrayBuffer>): WasmModule {
  let module = compiled.get(make);
  if (module === undefined) {
    module = compileModule(make());
    compiled.set(make, module);
  }
  return module;
}

export class SharedEngine<
  H extends Hart,
  Core extends H & EngineCore<Interpreter>,
  Code extends EngineCode,
  Interpreter,
> implements Engine<H> {
  readonly harts: readonly Core[];
  readonly code: Code;
  private readonly parts: EngineParts<Core, Code, Interpreter>;
  private readonly memory: WasmMemory;
  private readonly regions: Regions;
  private running: Core;

  constructor(parts: EngineParts<Core, Code, Interpreter>, machine: EngineMachine, memory: WasmMemory, layout: Layout) {
    const { ram } = machine;
    const harts: Core[] = [];
    this.parts = parts;
    this.memory = memory;
    this.code = parts.createCode(memory, layout, ram.size, {
      onEvict: () => harts.forEach((hart) => hart.flushExecuteTranslations()),
      onCode: (page) => harts.forEach((hart) => hart.flushStoresTo(ram.base / 4096 + page)),
    });
    for (let id = 0; id < layout.harts; id++) {
      harts.push(parts.createHart(machine, this.code, id, memory, layout, id === 0 ? 0 : savedWindow(id)));
    }
    this.harts = harts;
    // There is at least one hart.
    this.running = harts[0] as Core;
    this.regions = parts.createRegions(memory, this.code);
  }

  reset(pc: number): void {
    for (const hart of this.harts) hart.reset(pc);
  }

  setRunning(hart: H & EngineHart): void {
    // The machine's loop has its harts from here.
    this.running = hart as Core;
  }

  useInterpreter(kind: "soonest" | "fastest"): void {
    const { parts } = this;
    const isJoined = kind === "fastest";
    const module = compileOnce(isJoined ? parts.joinedInterpreter : parts.plainInterpreter);
    const interpreter = parts.instantiate(module, this.memory, this.regions.table, () => this.running);
    for (const hart of this.harts) hart.attachInterpreter(interpreter);
    if (isJoined) this.code.startJoining();
  }

  translate(hot: readonly number[]): void {
    this.regions.translate(hot);
  }
}
