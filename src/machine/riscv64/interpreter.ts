/**
 * Generates the interpreter: a WebAssembly module, made from the instructions' semantics, in two forms.
 *
 *     joined      loop $dispatch                         run(): executes records until something needs the host;
 *                   block $resume                        returns 0 when fuel ran out, else what the host said
 *                     block $slow
 *                       block $far
 *                         block $leave
 *                           block … block              one block for each operation
 *                             br_table (op at ip)
 *                           end handler … end handler
 *                         end: save the state, return
 *                       end: look the target's page up, or ask the host
 *                     end: save the state, call the host
 *                   end: load the state
 *                 end
 *
 *     plain       run() ─> dispatch(state) ─> handler(state) ─> dispatch(state) ─> handler(state) …      tail calls all
 *
 *     step(id)    both have the exact tier: one instruction with its operands in the step record, memory through the host
 *
 * WebAssembly engines compile whole functions. Of the plain form they compile the handlers that are met, which is soon done; the joined
 * form, one large function, costs a tenth of a second and keeps the state in processor registers. In it nothing in a handler calls: a
 * call costs the registers around it (measured: 2 times on memory-bound loops).
 */
import { findInstruction, INSTRUCTIONS } from "../../isa/riscv64/instructions.ts";
import { instantiate, type WasmMemory, type WasmModule, type WasmTable } from "../../wasm/engine.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../../wasm/module-builder.ts";
import type { AnyValue, I32, I64 } from "../../wasm/values.ts";
import { TLB } from "../engine/layout.ts";
import type { Semantics } from "./emitter.ts";
import { CELL, CODE_SLOTS, FRAME_END, RECORD, RECORD_SIZE } from "./layout.ts";
import { RunEmitter, type Frame } from "./run-emitter.ts";
import { exactFloatOf } from "./semantics/float-lookup.ts";
import { findSemantics } from "./semantics/table.ts";
import { sequences } from "./sequences.ts";
import { OP, SHAPES, type Shape } from "./shapes.ts";
import { StepEmitter, type StepImports } from "./step-emitter.ts";

/** What the interpreter calls. State is in the window when it does. */
export interface InterpreterHost {
  /** Deals with the instruction at `ip`; 0 to go on from the state in the window, else what `run` is to return. */
  slow(): number;
  /** Control has come to `pc`, in a page that the TLB does not have; as `slow`. */
  miss(): number;
  load(size: number, lo: number, hi: number): number;
  store(size: number, lo: number, hi: number): number;
  atomicLoad(size: number, lo: number, hi: number): number;
  loadReserved(size: number, lo: number, hi: number): number;
  storeConditional(size: number, lo: number, hi: number): number;
}

/** Size of the table of translated regions. */
export const REGIONS = 1024;

export interface Interpreter {
  run(): number;
  step(id: number): number;
}

const NOTHING_TO_I32: Signature = { parameters: [], results: ["i32"] };
const ACCESS: Signature = { parameters: ["i32", "i32", "i32"], results: ["i32"] };

/** ip, fuel, tlb, pcBase. */
const STATE_TO_I32: Signature = { parameters: ["i32", "i32", "i32", "i64"], results: ["i32"] };
/** The same, and target. */
const FAR_TO_I32: Signature = { parameters: ["i32", "i32", "i32", "i64", "i64"], results: ["i32"] };
const ID_TO_I32: Signature = { parameters: ["i32"], results: ["i32"] };

/** "plain" has one operation for each shape of instruction, and is ready at once; "joined" has the sequences besides, and is faster. */
export type InterpreterKind = "plain" | "joined";

/** The module; it is the same for every machine. */
export function buildInterpreterModule(kind: InterpreterKind): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("host", "memory", 1, 65536);
  const slow = module.importFunction("host", "slow", NOTHING_TO_I32);
  const miss = module.importFunction("host", "miss", NOTHING_TO_I32);
  const stepImports: StepImports = {
    load: module.importFunction("host", "load", ACCESS),
    store: module.importFunction("host", "store", ACCESS),
    atomicLoad: module.importFunction("host", "atomicLoad", ACCESS),
    loadReserved: module.importFunction("host", "loadReserved", ACCESS),
    storeConditional: module.importFunction("host", "storeConditional", ACCESS),
  };
  module.importTable("host", "regions", REGIONS);
  const f = new FunctionBuilder();
  if (kind === "plain") {
    addThreads(module, f, slow, miss);
  } else {
    emitRun(f, slow, miss, module.typeOf(NOTHING_TO_I32));
    module.addFunction("run", NOTHING_TO_I32, f, { export: "run" });
  }
  addSteps(module, f, stepImports);
  return module.finish();
}

export function instantiateInterpreter(
  module: WasmModule,
  memory: WasmMemory,
  regions: WasmTable,
  host: InterpreterHost,
): Interpreter {
  const imports = {
    memory,
    regions,
    slow: () => host.slow(),
    miss: () => host.miss(),
    load: (size: number, lo: number, hi: number) => host.load(size, lo, hi),
    store: (size: number, lo: number, hi: number) => host.store(size, lo, hi),
    atomicLoad: (size: number, lo: number, hi: number) => host.atomicLoad(size, lo, hi),
    loadReserved: (size: number, lo: number, hi: number) => host.loadReserved(size, lo, hi),
    storeConditional: (size: number, lo: number, hi: number) => host.storeConditional(size, lo, hi),
  };
  // The module is ours: its exports are these functions.
  return instantiate(module, { host: imports }) as unknown as Interpreter;
}

/** The plain interpreter: a function for each operation, which ends by calling the next one in its own place. */
function addThreads(module: ModuleBuilder, f: FunctionBuilder, slowFunction: number, missFunction: number): void {
  const table = module.nextTable;
  const dispatchFunction = module.nextFunction;
  const [runFunction, leave, slow, far] = [1, 2, 3, 4].map((n) => dispatchFunction + n) as [
    number,
    number,
    number,
    number,
  ];
  const stateType = module.typeOf(STATE_TO_I32);
  /** Begins a function of the state, which it has as parameters. */
  const begin = (): State => {
    f.reset(STATE_TO_I32.parameters);
    return { ip: 0, fuel: 1, tlb: 2, pcBase: 3 };
  };
  const state = ({ ip, fuel, tlb, pcBase }: State): AnyValue[] => [
    f.getLocal(ip, "i32"),
    f.getLocal(fuel, "i32"),
    f.getLocal(tlb, "i32"),
    f.getLocal(pcBase, "i64"),
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

  /** A handler: what it branches to are the ends of blocks around it, where other functions are called. */
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
    f.returnCall(dispatchFunction, ...state(from));
    return module.addFunction(name, STATE_TO_I32, f);
  };
  const ops: number[] = new Array<number>(OP.first).fill(slow);
  ops[OP.nextPage] = add("nextPage", (frame) => emitNextPage(f, frame));
  ops[OP.straddle] = add("straddle", (frame) => emitStraddle(f, frame));
  for (const shape of SHAPES) {
    ops.push(add(shape.mnemonic, (frame) => new RunEmitter(f, frame).emitOne(shape, semanticsOf(shape))));
  }
  module.addTable(ops);
}

/** The joined interpreter: one function with a block for each operation. */
function emitRun(f: FunctionBuilder, slowFunction: number, missFunction: number, regionType: number): void {
  f.reset([]);
  const joined = sequences();
  const opCount = OP.first + SHAPES.length + joined.length;
  const { i32 } = f;
  const state = newState(f);
  const target = f.local("i64");
  const status = f.local("i32");
  const { ip, fuel, pcBase } = state;
  const getIp = (): I32 => f.getLocal(ip, "i32");
  const zero = (): I32 => i32.const(0);

  emitLoadState(f, state);
  const dispatch = f.loop();
  const resume = f.block();
  const slow = f.block();
  const far = f.block();
  const leave = f.block();
  const labels: Label[] = new Array<Label>(opCount);
  // The first op's block is the innermost, since handlers follow in order.
  for (let op = opCount - 1; op >= 0; op--) labels[op] = f.block();
  f.branchTable(labels, slow, f.load("i32_16u", getIp(), RECORD.op));
  const frame: Frame = { ...state, target, dispatch, slow, far, leave };
  const ways: Ways = { dispatch: () => f.branch(dispatch), resume: () => f.branch(resume) };

  f.end(); // OP.decode
  f.branch(slow);
  f.end(); // OP.slow
  f.branch(slow);
  f.end(); // OP.nextPage
  emitNextPage(f, frame);
  f.end(); // OP.straddle
  emitStraddle(f, frame);
  f.end(); // OP.region
  f.store("i64", zero(), f.getLocal(pcBase, "i64"), CELL.pcBase);
  f.store("i32", zero(), f.getLocal(fuel, "i32"), CELL.fuel);
  f.setLocal(status, f.callIndirect("i32", regionType, f.load("i32_16u", getIp(), RECORD.rs3)));
  f.setLocal(ip, f.load("i32", zero(), CELL.ip));
  f.setLocal(fuel, f.load("i32", zero(), CELL.fuel));
  f.branchTable([dispatch, slow], leave, f.getLocal(status, "i32"));
  const emitter = new RunEmitter(f, frame);
  for (const shape of SHAPES) {
    f.end();
    emitter.emitOne(shape, semanticsOf(shape));
  }
  for (const sequence of joined) {
    f.end();
    emitter.emitSequence(
      sequence.map(({ shape, forwarding }) => ({ shape, forwarding, semantics: semanticsOf(shape) })),
    );
  }
  f.end(); // leave
  emitLeave(f, state);
  f.end(); // far
  emitFar(f, state, target, ways, missFunction);
  f.end(); // slow
  emitSlow(f, state, ways, slowFunction);
  f.end(); // resume
  emitLoadState(f, state);
  f.branch(dispatch);
  f.end();
  f.unreachable();
}

/** The locals that hold the interpreter's state between instructions. */
type State = Pick<Frame, "ip" | "fuel" | "tlb" | "pcBase">;

/** How the interpreter goes on: at the record at `ip`, or from the state in the window. */
interface Ways {
  dispatch(): void;
  resume(): void;
}

const newState = (f: FunctionBuilder): State => ({
  ip: f.local("i32"),
  fuel: f.local("i32"),
  tlb: f.local("i32"),
  pcBase: f.local("i64"),
});

function emitLoadState(f: FunctionBuilder, { ip, fuel, tlb, pcBase }: State): void {
  f.setLocal(ip, f.load("i32", f.i32.const(0), CELL.ip));
  f.setLocal(fuel, f.load("i32", f.i32.const(0), CELL.fuel));
  f.setLocal(tlb, f.load("i32", f.i32.const(0), CELL.tlb));
  f.setLocal(pcBase, f.load("i64", f.i32.const(0), CELL.pcBase));
}

/** The address of the instruction at `ip`. */
function emitPc(f: FunctionBuilder, { ip, pcBase }: State): I64 {
  const { i32, i64 } = f;
  return i64.add(i64.extend_i32_u(i32.shr_u(f.getLocal(ip, "i32"), i32.const(3))), f.getLocal(pcBase, "i64"));
}

/** Where the execute TLB has the page of `target`, if it has it. */
function emitFindPage(f: FunctionBuilder, { tlb }: State, target: number): I32 {
  const { i32 } = f;
  const pageBits = i32.and(i32.shr_u(i32.wrap_i64(f.getLocal(target, "i64")), i32.const(8)), i32.const(0x3ff0));
  return i32.add(pageBits, f.getLocal(tlb, "i32"));
}

function emitNextPage(f: FunctionBuilder, frame: Frame): void {
  f.setLocal(frame.target, emitPc(f, frame));
  f.branch(frame.far);
}

/** The second half is the one that was decoded if the next page's records are still where they were. */
function emitStraddle(f: FunctionBuilder, frame: Frame): void {
  const { i32, i64 } = f;
  const { ip, pcBase, target, slow, dispatch } = frame;
  const entry = f.local("i32");
  f.setLocal(target, i64.add(emitPc(f, frame), i64.const(2)));
  f.setLocal(entry, emitFindPage(f, frame, target));
  f.branchIf(slow, i64.ne(f.load("i64", f.getLocal(entry, "i32"), TLB.execute), f.getLocal(target, "i64")));
  const expected = f.load("i32", f.getLocal(ip, "i32"), RECORD.imm);
  f.branchIf(slow, i32.ne(expected, f.load("i32", f.getLocal(entry, "i32"), TLB.execute + 8)));
  const distance = FRAME_END.straddling - (CODE_SLOTS - 1);
  f.setLocal(ip, i32.add(f.getLocal(ip, "i32"), i32.const(distance * RECORD_SIZE)));
  f.setLocal(pcBase, i64.sub(f.getLocal(pcBase, "i64"), i64.const((distance * RECORD_SIZE) / 8)));
  f.branch(dispatch);
  f.release(entry, "i32");
}

/** Returns before the instruction at `ip`. */
function emitLeave(f: FunctionBuilder, state: State): void {
  f.store("i64", f.i32.const(0), emitPc(f, state), CELL.pc);
  f.store("i32", f.i32.const(0), f.getLocal(state.fuel, "i32"), CELL.fuel);
  f.return(f.i32.const(0));
}

/** Looks the page of the local `target` up, or asks the host. */
function emitFar(f: FunctionBuilder, state: State, target: number, ways: Ways, missFunction: number): void {
  const { i32, i64 } = f;
  const { ip, fuel, pcBase } = state;
  const entry = f.local("i32");
  const zero = (): I32 => i32.const(0);
  f.setLocal(entry, emitFindPage(f, state, target));
  const tag = f.load("i64", f.getLocal(entry, "i32"), TLB.execute);
  f.if(i64.eq(tag, i64.and(f.getLocal(target, "i64"), i64.const(-4096))));
  const slot = i32.shl(i32.and(i32.wrap_i64(f.getLocal(target, "i64")), i32.const(0xffe)), i32.const(3));
  f.setLocal(ip, i32.add(slot, f.load("i32", f.getLocal(entry, "i32"), TLB.execute + 8)));
  const records = (): I64 => i64.extend_i32_u(i32.shr_u(f.getLocal(ip, "i32"), i32.const(3)));
  f.setLocal(pcBase, i64.sub(f.getLocal(target, "i64"), records()));
  f.if(i32.gt_s(f.getLocal(fuel, "i32"), zero()));
  ways.dispatch();
  f.end();
  f.end();
  f.store("i64", zero(), f.getLocal(target, "i64"), CELL.pc);
  f.store("i32", zero(), f.getLocal(fuel, "i32"), CELL.fuel);
  f.if(i32.le_s(f.getLocal(fuel, "i32"), zero()));
  f.return(zero());
  f.end();
  emitHostCall(f, missFunction);
  ways.resume();
}

/** Saves the state, and hands the instruction at `ip` to the host. */
function emitSlow(f: FunctionBuilder, state: State, ways: Ways, slowFunction: number): void {
  const zero = (): I32 => f.i32.const(0);
  f.store("i64", zero(), emitPc(f, state), CELL.pc);
  f.store("i32", zero(), f.getLocal(state.ip, "i32"), CELL.ip);
  f.store("i64", zero(), f.getLocal(state.pcBase, "i64"), CELL.pcBase);
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

/** The semantics of a shape with what its format asks for first: floating-point state that is ready. */
export function semanticsOf(shape: Shape): Semantics {
  const semantics = findSemantics(shape.mnemonic);
  if (semantics === undefined) throw new Error(`no semantics for ${shape.mnemonic}`);
  const requirement = floatRequirement(shape);
  if (requirement === undefined) return semantics;
  return (e) => {
    if (e instanceof RunEmitter) e.requireCell(requirement);
    semantics(e);
  };
}

/** The cell that must be set before a floating-point shape may be executed, if it is one. */
export function floatRequirement(shape: Shape): number | undefined {
  const row = findInstruction(shape.mnemonic);
  if (row === undefined || (row.extension !== "F" && row.extension !== "D")) return undefined;
  const rounds = row.format.operands.some((operand) => operand === "rm" || operand === "rmExact");
  return rounds && shape.rounding === "nearest" ? CELL.floatNearest : CELL.floatReady;
}

/** The exact tier: a function for each instruction, and one that calls them by their number. */
function addSteps(module: ModuleBuilder, f: FunctionBuilder, imports: StepImports): void {
  f.reset([]);
  f.unreachable();
  const none = module.addFunction("none", NOTHING_TO_I32, f);
  const steps = INSTRUCTIONS.map(({ mnemonic }) => {
    const semantics = findSemantics(mnemonic);
    if (semantics === undefined || exactFloatOf(mnemonic) !== undefined) return none;
    f.reset([]);
    const done = f.block();
    new StepEmitter(f, imports, done).emit(semantics);
    f.end();
    f.i32.const(0);
    return module.addFunction(`step ${mnemonic}`, NOTHING_TO_I32, f);
  });
  f.reset(ID_TO_I32.parameters);
  f.returnCallIndirect(module.nextTable, module.typeOf(NOTHING_TO_I32), f.getLocal(0, "i32"));
  module.addFunction("step", ID_TO_I32, f, { export: "step" });
  module.addTable(steps);
}
