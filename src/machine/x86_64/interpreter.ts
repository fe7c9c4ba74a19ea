/**
 * Generates the interpreter: a WebAssembly module with a function for each operation, made from the instructions' semantics. Each ends by
 * calling the next one in its own place.
 *
 *     run() ─> dispatch(state) ─> handler(state) ─> handler(state) ─> handler(state) …      tail calls all; state is in parameters
 *                                     └─> slow(state), far(state), leave(state)             the host, another page, the end of fuel
 *
 * WebAssembly engines compile whole functions, and only those that are met. As one function with a br_table, all of it costs half a second
 * of CPU to optimise, more than most programs run; that form is a fifth faster once it is there, but what is hot is translated by then
 * (regions.ts). The exact tier's handlers are modules of their own, made when they are first needed (step-handlers.ts).
 */
import { instantiate, type WasmMemory, type WasmModule, type WasmTable } from "../../wasm/engine.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../../wasm/module-builder.ts";
import type { AnyValue, I32, I64 } from "../../wasm/values.ts";
import { TLB } from "../engine/layout.ts";
import type { Semantics } from "./emitter.ts";
import { CELL, RECORD, RECORD_SIZE } from "./layout.ts";
import { OP, operations, type InterpreterKind } from "./operations.ts";
import { RunEmitter, type Frame } from "./run-emitter.ts";
import { findSemantics } from "./semantics/table.ts";
import type { Shape } from "./shapes.ts";

/** What the interpreter calls. State is in the window when it does. */
export interface InterpreterHost {
  /** Deals with the instruction at `ip`; 0 to go on from the state in the window, else what `run` is to return. */
  slow(): number;
  /** Control has come to `pc`, whose page the TLB does not have, or whose instruction has no record; as `slow`. */
  miss(): number;
  /** Accesses of a step handler to the stack, through CELL.stepValue: 0 done, 1 faulted. */
  load(size: number, lo: number, hi: number): number;
  store(size: number, lo: number, hi: number): number;
}

/** Size of the table of translated regions. */
export const REGIONS = 1024;

const NOTHING_TO_I32: Signature = { parameters: [], results: ["i32"] };
/** ip, fuel, tlb, pageBase. */
const STATE_TO_I32: Signature = { parameters: ["i32", "i32", "i32", "i64"], results: ["i32"] };
/** The same, and target. */
const FAR_TO_I32: Signature = { parameters: ["i32", "i32", "i32", "i64", "i64"], results: ["i32"] };

/** The module; it is the same for every machine. */
export function buildInterpreterModule(kind: InterpreterKind): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("host", "memory", 1, 65536);
  const slow = module.importFunction("host", "slow", NOTHING_TO_I32);
  const miss = module.importFunction("host", "miss", NOTHING_TO_I32);
  module.importTable("host", "regions", REGIONS);
  addThreads(module, kind, slow, miss);
  return module.finish();
}

/** The function `run` of a machine. */
export function instantiateInterpreter(
  module: WasmModule,
  memory: WasmMemory,
  regions: WasmTable,
  host: Pick<InterpreterHost, "slow" | "miss">,
): () => number {
  const imports = { memory, regions, slow: () => host.slow(), miss: () => host.miss() };
  // The module is ours: this is what it exports.
  return (instantiate(module, { host: imports }) as unknown as { run(): number }).run;
}

/** A function for each operation, and what they have in common. */
function addThreads(module: ModuleBuilder, kind: InterpreterKind, slowFunction: number, missFunction: number): void {
  const { shapes, sequences } = operations(kind);
  const regionType = module.typeOf(NOTHING_TO_I32);
  const f = new FunctionBuilder();
  const table = module.nextTable;
  const dispatchFunction = module.nextFunction;
  const [runFunction, leave, slow, far] = [1, 2, 3, 4].map((n) => dispatchFunction + n) as [
    number,
    number,
    number,
    number,
  ];
  const stateType = module.typeOf(STATE_TO_I32);
  /** What a function of the state has: the state as parameters. */
  const begin = (): State => {
    f.reset(STATE_TO_I32.parameters);
    return { ip: 0, fuel: 1, tlb: 2, pageBase: 3 };
  };
  const state = ({ ip, fuel, tlb, pageBase }: State): AnyValue[] => [
    f.getLocal(ip, "i32"),
    f.getLocal(fuel, "i32"),
    f.getLocal(tlb, "i32"),
    f.getLocal(pageBase, "i64"),
  ];
  const goOn = (from: State): Ways => ({
    dispatch: () => f.returnCall(dispatchFunction, ...state(from)),
    resume: () => f.returnCall(runFunction),
  });

  let from = begin();
  f.returnCallIndirect(table, stateType, ...state(from), f.load("i32_16u", f.getLocal(from.ip, "i32"), RECORD.op));
  module.addFunction("dispatch", STATE_TO_I32, f);

  f.reset([]);
  from = newState(f);
  emitLoadState(f, from);
  f.returnCall(dispatchFunction, ...state(from));
  module.addFunction("run", NOTHING_TO_I32, f, { export: "run" });

  emitLeave(f, begin());
  module.addFunction("leave", STATE_TO_I32, f);

  from = begin();
  emitSlow(f, from, goOn(from), slowFunction);
  module.addFunction("slow", STATE_TO_I32, f);

  f.reset(FAR_TO_I32.parameters);
  emitFar(f, from, 4, goOn(from), missFunction);
  module.addFunction("far", FAR_TO_I32, f);

  /** A handler of its own: what it branches to are the ends of blocks around it, where other functions are called. */
  const add = (name: string, emit: (frame: Frame) => void): number => {
    from = begin();
    const target = f.local("i64");
    const labels = { dispatch: f.block(), slow: f.block(), far: f.block(), leave: f.block() };
    emit({ ...from, target, ...labels });
    f.end(); // leave
    f.returnCall(leave, ...state(from));
    f.end(); // far
    f.returnCall(far, ...state(from), f.getLocal(target, "i64"));
    f.end(); // slow
    f.returnCall(slow, ...state(from));
    f.end(); // dispatch
    f.returnCallIndirect(table, stateType, ...state(from), f.load("i32_16u", f.getLocal(from.ip, "i32"), RECORD.op));
    return module.addFunction(name, STATE_TO_I32, f);
  };
  const ops: number[] = new Array<number>(OP.first).fill(slow);
  ops[OP.nextPage] = add("nextPage", (frame) => emitNextPage(f, frame));
  ops[OP.goto] = add("goto", (frame) => emitGoto(f, frame));
  ops[OP.nothing] = add("nothing", (frame) => emitNothing(f, frame));
  ops[OP.region] = add("region", (frame) => emitRegion(f, frame, regionType));
  for (const shape of shapes) {
    ops.push(
      add(shape.mnemonic, (frame) => {
        new RunEmitter(f, frame, shape).emitSequence([{ shape, semantics: semanticsOf(shape) }]);
      }),
    );
  }
  for (const sequence of sequences) {
    const [first] = sequence;
    if (first === undefined) continue;
    ops.push(
      add("sequence", (frame) => {
        new RunEmitter(f, frame, first).emitSequence(
          sequence.map((shape) => ({ shape, semantics: semanticsOf(shape) })),
        );
      }),
    );
  }
  module.addTable(ops);
}

/** The locals that hold the interpreter's state between instructions. */
type State = Pick<Frame, "ip" | "fuel" | "tlb" | "pageBase">;

/** How the interpreter goes on: at the record at `ip`, or from the state in the window. */
interface Ways {
  dispatch(): void;
  resume(): void;
}

const newState = (f: FunctionBuilder): State => ({
  ip: f.local("i32"),
  fuel: f.local("i32"),
  tlb: f.local("i32"),
  pageBase: f.local("i64"),
});

function emitLoadState(f: FunctionBuilder, { ip, fuel, tlb, pageBase }: State): void {
  f.setLocal(ip, f.load("i32", f.i32.const(0), CELL.ip));
  f.setLocal(fuel, f.load("i32", f.i32.const(0), CELL.fuel));
  f.setLocal(tlb, f.load("i32", f.i32.const(0), CELL.tlb));
  f.setLocal(pageBase, f.load("i64", f.i32.const(0), CELL.pageBase));
}

/** The address of the instruction at `ip`. */
const emitPc = (f: FunctionBuilder, { ip, pageBase }: State): I64 =>
  f.i64.add(f.getLocal(pageBase, "i64"), f.i64.extend_i32_u(f.load("i32_16u", f.getLocal(ip, "i32"), RECORD.offset)));

function emitNextPage(f: FunctionBuilder, frame: Frame): void {
  f.setLocal(frame.target, emitPc(f, frame));
  f.branch(frame.far);
}

function emitGoto(f: FunctionBuilder, { ip, dispatch }: Frame): void {
  f.setLocal(ip, f.load("i32", f.getLocal(ip, "i32"), RECORD.imm));
  f.branch(dispatch);
}

function emitNothing(f: FunctionBuilder, { ip, fuel, dispatch }: Frame): void {
  const { i32 } = f;
  f.setLocal(ip, i32.add(f.getLocal(ip, "i32"), i32.const(RECORD_SIZE)));
  f.setLocal(fuel, i32.sub(f.getLocal(fuel, "i32"), i32.const(1)));
  f.branch(dispatch);
}

/** Calls the translated region whose head the record is, and goes on as it says. */
function emitRegion(f: FunctionBuilder, { ip, fuel, dispatch, slow, leave }: Frame, regionType: number): void {
  const zero = (): I32 => f.i32.const(0);
  const status = f.local("i32");
  f.store("i32", zero(), f.getLocal(fuel, "i32"), CELL.fuel);
  f.setLocal(status, f.callIndirect("i32", regionType, f.load("i32_16u", f.getLocal(ip, "i32"), RECORD.c)));
  f.setLocal(ip, f.load("i32", zero(), CELL.ip));
  f.setLocal(fuel, f.load("i32", zero(), CELL.fuel));
  f.branchTable([dispatch, slow], leave, f.getLocal(status, "i32"));
}

/** Returns before the instruction at `ip`. */
function emitLeave(f: FunctionBuilder, state: State): void {
  const { i32 } = f;
  f.store("i64", i32.const(0), emitPc(f, state), CELL.pc);
  f.store("i32", i32.const(0), f.getLocal(state.fuel, "i32"), CELL.fuel);
  f.return(i32.const(0));
}

/** Looks the page of the local `target` up, or asks the host. */
function emitFar(f: FunctionBuilder, state: State, target: number, ways: Ways, missFunction: number): void {
  const { i32, i64 } = f;
  const { ip, fuel, tlb, pageBase } = state;
  const entry = f.local("i32");
  const zero = (): I32 => i32.const(0);
  const pageBits = i32.and(i32.shr_u(i32.wrap_i64(f.getLocal(target, "i64")), i32.const(8)), i32.const(0x3ff0));
  f.setLocal(entry, i32.add(pageBits, f.getLocal(tlb, "i32")));
  const page = (): I64 => i64.and(f.getLocal(target, "i64"), i64.const(-4096));
  f.if(i64.eq(f.load("i64", f.getLocal(entry, "i32"), TLB.execute), page()));
  const offset = i32.shl(i32.and(i32.wrap_i64(f.getLocal(target, "i64")), i32.const(4095)), i32.const(2));
  const slot = i32.add(offset, f.load("i32", f.getLocal(entry, "i32"), TLB.execute + 8));
  f.setLocal(ip, f.load("i32", slot, 0));
  f.setLocal(pageBase, page());
  f.store("i64", zero(), f.getLocal(pageBase, "i64"), CELL.pageBase);
  f.if(f.getLocal(ip, "i32"));
  f.if(i32.gt_s(f.getLocal(fuel, "i32"), zero()));
  ways.dispatch();
  f.end();
  f.end();
  f.end();
  f.store("i64", zero(), f.getLocal(target, "i64"), CELL.pc);
  // Where the page was not found, this is still the record that control comes from.
  f.store("i32", zero(), f.getLocal(ip, "i32"), CELL.ip);
  f.store("i32", zero(), f.getLocal(fuel, "i32"), CELL.fuel);
  emitHostCall(f, missFunction);
  ways.resume();
}

/** Saves the state, and hands the instruction at `ip` to the host. */
function emitSlow(f: FunctionBuilder, state: State, ways: Ways, slowFunction: number): void {
  const zero = (): I32 => f.i32.const(0);
  f.store("i64", zero(), emitPc(f, state), CELL.pc);
  f.store("i32", zero(), f.getLocal(state.ip, "i32"), CELL.ip);
  f.store("i32", zero(), f.getLocal(state.fuel, "i32"), CELL.fuel);
  emitHostCall(f, slowFunction);
  ways.resume();
}

/** Returns what the host says, unless that is 0. */
function emitHostCall(f: FunctionBuilder, functionIndex: number): void {
  const status = f.local("i32");
  f.if(f.teeLocal(status, f.callValue("i32", functionIndex)));
  f.return(f.getLocal(status, "i32"));
  f.end();
}

/** What a shape does. */
export function semanticsOf(shape: Shape): Semantics {
  const semantics = findSemantics(shape.mnemonic);
  if (semantics === undefined) throw new Error(`no semantics for ${shape.mnemonic}`);
  return semantics;
}
