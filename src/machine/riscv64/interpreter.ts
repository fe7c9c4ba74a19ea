/**
 * Generates the interpreter: a WebAssembly module with two functions, made from the instructions' semantics.
 *
 *     run()       loop $dispatch                         executes records until something needs the host;
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
 *     step(id)    one instruction with its operands in the step record, memory through the host
 *
 * Nothing in a handler calls: a call costs the registers around it (measured: 2 times on memory-bound loops).
 */
import { findInstruction, INSTRUCTIONS } from "../../isa/riscv64/instructions.ts";
import { instantiate, type WasmMemory, type WasmModule, type WasmTable } from "../../wasm/engine.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../../wasm/module-builder.ts";
import type { I32 } from "../../wasm/values.ts";
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

/**
 * "plain" has one operation for each shape of instruction, and is ready soon; "joined" has the sequences besides: half as much code
 * again, and worth it only to a machine that runs for more than a moment (measured: start-up takes 60 ms less without).
 */
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
  emitRun(f, kind, slow, miss, module.typeOf(NOTHING_TO_I32));
  module.addFunction("run", NOTHING_TO_I32, f, { export: "run" });
  emitStep(f, stepImports);
  module.addFunction("step", { parameters: ["i32"], results: ["i32"] }, f, { export: "step" });
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

function emitRun(
  f: FunctionBuilder,
  kind: InterpreterKind,
  slowFunction: number,
  missFunction: number,
  regionType: number,
): void {
  f.reset([]);
  const joined = kind === "joined" ? sequences() : [];
  const opCount = OP.first + SHAPES.length + joined.length;
  const { i32, i64 } = f;
  const frame: Omit<Frame, "dispatch" | "slow" | "far" | "leave"> = {
    ip: f.local("i32"),
    fuel: f.local("i32"),
    tlb: f.local("i32"),
    pcBase: f.local("i64"),
    target: f.local("i64"),
  };
  const entry = f.local("i32");
  const status = f.local("i32");
  const { ip, fuel, pcBase, tlb, target } = frame;
  const getIp = (): I32 => f.getLocal(ip, "i32");
  const zero = (): I32 => i32.const(0);
  const pc = () => i64.add(i64.extend_i32_u(i32.shr_u(getIp(), i32.const(3))), f.getLocal(pcBase, "i64"));
  const saveFuel = (): void => f.store("i32", zero(), f.getLocal(fuel, "i32"), CELL.fuel);
  const loadState = (): void => {
    f.setLocal(ip, f.load("i32", zero(), CELL.ip));
    f.setLocal(fuel, f.load("i32", zero(), CELL.fuel));
    f.setLocal(tlb, f.load("i32", zero(), CELL.tlb));
    f.setLocal(pcBase, f.load("i64", zero(), CELL.pcBase));
  };
  /** Sets `entry` to where the execute TLB has the page of `target`, if it has it. */
  const findPage = (): void => {
    const pageBits = i32.and(i32.shr_u(i32.wrap_i64(f.getLocal(target, "i64")), i32.const(8)), i32.const(0x3ff0));
    f.setLocal(entry, i32.add(pageBits, f.getLocal(tlb, "i32")));
  };
  /** Returns what the host said, unless that is 0. */
  const callHost = (functionIndex: number): void => {
    f.if(f.teeLocal(status, f.callValue("i32", functionIndex)));
    f.return(f.getLocal(status, "i32"));
    f.end();
  };

  loadState();
  const dispatch = f.loop();
  const resume = f.block();
  const slow = f.block();
  const far = f.block();
  const leave = f.block();
  const labels: Label[] = new Array<Label>(opCount);
  // The first op's block is the innermost, since handlers follow in order.
  for (let op = opCount - 1; op >= 0; op--) labels[op] = f.block();
  f.branchTable(labels, slow, f.load("i32_16u", getIp(), RECORD.op));

  f.end(); // OP.decode
  f.branch(slow);
  f.end(); // OP.slow
  f.branch(slow);
  f.end(); // OP.nextPage
  f.setLocal(target, pc());
  f.branch(far);
  f.end(); // OP.straddle
  // The second half is the one that was decoded if the next page's records are still where they were.
  f.setLocal(target, i64.add(pc(), i64.const(2)));
  findPage();
  f.branchIf(slow, i64.ne(f.load("i64", f.getLocal(entry, "i32"), TLB.execute), f.getLocal(target, "i64")));
  const expected = f.load("i32", getIp(), RECORD.imm);
  f.branchIf(slow, i32.ne(expected, f.load("i32", f.getLocal(entry, "i32"), TLB.execute + 8)));
  const distance = FRAME_END.straddling - (CODE_SLOTS - 1);
  f.setLocal(ip, i32.add(getIp(), i32.const(distance * RECORD_SIZE)));
  f.setLocal(pcBase, i64.sub(f.getLocal(pcBase, "i64"), i64.const((distance * RECORD_SIZE) / 8)));
  f.branch(dispatch);
  f.end(); // OP.region
  f.store("i64", zero(), f.getLocal(pcBase, "i64"), CELL.pcBase);
  saveFuel();
  f.setLocal(status, f.callIndirect("i32", regionType, f.load("i32_16u", getIp(), RECORD.rs3)));
  f.setLocal(ip, f.load("i32", zero(), CELL.ip));
  f.setLocal(fuel, f.load("i32", zero(), CELL.fuel));
  f.branchTable([dispatch, slow], leave, f.getLocal(status, "i32"));
  const emitter = new RunEmitter(f, { ...frame, dispatch, slow, far, leave });
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
  f.store("i64", zero(), pc(), CELL.pc);
  saveFuel();
  f.return(zero());

  f.end(); // far
  findPage();
  const tag = f.load("i64", f.getLocal(entry, "i32"), TLB.execute);
  f.if(i64.eq(tag, i64.and(f.getLocal(target, "i64"), i64.const(-4096))));
  const slot = i32.shl(i32.and(i32.wrap_i64(f.getLocal(target, "i64")), i32.const(0xffe)), i32.const(3));
  f.setLocal(ip, i32.add(slot, f.load("i32", f.getLocal(entry, "i32"), TLB.execute + 8)));
  f.setLocal(pcBase, i64.sub(f.getLocal(target, "i64"), i64.extend_i32_u(i32.shr_u(getIp(), i32.const(3)))));
  f.branchIf(dispatch, i32.gt_s(f.getLocal(fuel, "i32"), zero()));
  f.end();
  f.store("i64", zero(), f.getLocal(target, "i64"), CELL.pc);
  saveFuel();
  f.if(i32.le_s(f.getLocal(fuel, "i32"), zero()));
  f.return(zero());
  f.end();
  callHost(missFunction);
  f.branch(resume);

  f.end(); // slow
  f.store("i64", zero(), pc(), CELL.pc);
  f.store("i32", zero(), getIp(), CELL.ip);
  f.store("i64", zero(), f.getLocal(pcBase, "i64"), CELL.pcBase);
  saveFuel();
  callHost(slowFunction);

  f.end(); // resume
  loadState();
  f.branch(dispatch);
  f.end();
  f.unreachable();
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

function emitStep(f: FunctionBuilder, imports: StepImports): void {
  f.reset(["i32"]);
  const done = f.block();
  const none = f.block();
  const labels: Label[] = new Array<Label>(INSTRUCTIONS.length);
  const emitted = INSTRUCTIONS.filter(
    (row) => findSemantics(row.mnemonic) !== undefined && exactFloatOf(row.mnemonic) === undefined,
  );
  labels.fill(none);
  for (const row of emitted.toReversed()) labels[row.id] = f.block();
  f.branchTable(labels, none, f.getLocal(0, "i32"));
  const emitter = new StepEmitter(f, imports, done);
  for (const row of emitted) {
    f.end();
    const semantics = findSemantics(row.mnemonic);
    if (semantics !== undefined) emitter.emit(semantics);
  }
  f.end(); // none
  f.unreachable();
  f.end(); // done
  f.i32.const(0);
}
