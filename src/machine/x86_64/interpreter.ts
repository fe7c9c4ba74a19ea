/**
 * Generates the interpreter: a WebAssembly module with one function, made from the instructions' semantics.
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
 *
 * Nothing in a handler calls: a call costs the registers around it. The exact tier's handlers are modules of their own, made when they
 * are first needed (step-handlers.ts).
 */
import { instantiate, type WasmMemory, type WasmModule, type WasmTable } from "../../wasm/engine.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import { ModuleBuilder, type Signature } from "../../wasm/module-builder.ts";
import type { I32 } from "../../wasm/values.ts";
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

/** The module; it is the same for every machine. */
export function buildInterpreterModule(kind: InterpreterKind): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("host", "memory", 1, 65536);
  const slow = module.importFunction("host", "slow", NOTHING_TO_I32);
  const miss = module.importFunction("host", "miss", NOTHING_TO_I32);
  module.importTable("host", "regions", REGIONS);
  const f = new FunctionBuilder();
  emitRun(f, kind, slow, miss, module.typeOf(NOTHING_TO_I32));
  module.addFunction("run", NOTHING_TO_I32, f, { export: "run" });
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

function emitRun(
  f: FunctionBuilder,
  kind: InterpreterKind,
  slowFunction: number,
  missFunction: number,
  regionType: number,
): void {
  f.reset([]);
  const { shapes, pairList } = operations(kind);
  const opCount = OP.first + shapes.length + pairList.length;
  const { i32, i64 } = f;
  const frame = {
    ip: f.local("i32"),
    fuel: f.local("i32"),
    tlb: f.local("i32"),
    pageBase: f.local("i64"),
    target: f.local("i64"),
  };
  const entry = f.local("i32");
  const status = f.local("i32");
  const { ip, fuel, pageBase, tlb, target } = frame;
  const getIp = (): I32 => f.getLocal(ip, "i32");
  const zero = (): I32 => i32.const(0);
  const pc = () => i64.add(f.getLocal(pageBase, "i64"), i64.extend_i32_u(f.load("i32_16u", getIp(), RECORD.offset)));
  const saveFuel = (): void => f.store("i32", zero(), f.getLocal(fuel, "i32"), CELL.fuel);
  const loadState = (): void => {
    f.setLocal(ip, f.load("i32", zero(), CELL.ip));
    f.setLocal(fuel, f.load("i32", zero(), CELL.fuel));
    f.setLocal(tlb, f.load("i32", zero(), CELL.tlb));
    f.setLocal(pageBase, f.load("i64", zero(), CELL.pageBase));
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
  f.end(); // OP.goto
  f.setLocal(ip, f.load("i32", getIp(), RECORD.imm));
  f.branch(dispatch);
  f.end(); // OP.nothing
  f.setLocal(ip, i32.add(getIp(), i32.const(RECORD_SIZE)));
  f.setLocal(fuel, i32.sub(f.getLocal(fuel, "i32"), i32.const(1)));
  f.branch(dispatch);
  f.end(); // OP.region
  saveFuel();
  f.setLocal(status, f.callIndirect("i32", regionType, f.load("i32_16u", getIp(), RECORD.c)));
  f.setLocal(ip, f.load("i32", zero(), CELL.ip));
  f.setLocal(fuel, f.load("i32", zero(), CELL.fuel));
  f.branchTable([dispatch, slow], leave, f.getLocal(status, "i32"));
  const labelled: Frame = { ...frame, dispatch, slow, far, leave };
  for (const shape of shapes) {
    f.end();
    new RunEmitter(f, labelled, shape).emitSequence([{ shape, semantics: semanticsOf(shape) }]);
  }
  for (const { first, second } of pairList) {
    f.end();
    new RunEmitter(f, labelled, first).emitSequence([
      { shape: first, semantics: semanticsOf(first) },
      { shape: second, semantics: semanticsOf(second) },
    ]);
  }

  f.end(); // leave
  f.store("i64", zero(), pc(), CELL.pc);
  saveFuel();
  f.return(zero());

  f.end(); // far
  const pageBits = i32.and(i32.shr_u(i32.wrap_i64(f.getLocal(target, "i64")), i32.const(8)), i32.const(0x3ff0));
  f.setLocal(entry, i32.add(pageBits, f.getLocal(tlb, "i32")));
  const page = (): ReturnType<typeof i64.and> => i64.and(f.getLocal(target, "i64"), i64.const(-4096));
  f.if(i64.eq(f.load("i64", f.getLocal(entry, "i32"), TLB.execute), page()));
  const offset = i32.shl(i32.and(i32.wrap_i64(f.getLocal(target, "i64")), i32.const(4095)), i32.const(2));
  const slot = i32.add(offset, f.load("i32", f.getLocal(entry, "i32"), TLB.execute + 8));
  f.setLocal(ip, f.load("i32", slot, 0));
  f.setLocal(pageBase, page());
  f.store("i64", zero(), f.getLocal(pageBase, "i64"), CELL.pageBase);
  f.if(getIp());
  f.branchIf(dispatch, i32.gt_s(f.getLocal(fuel, "i32"), zero()));
  f.end();
  f.end();
  f.store("i64", zero(), f.getLocal(target, "i64"), CELL.pc);
  // Where the page was not found, this is still the record that control comes from.
  f.store("i32", zero(), getIp(), CELL.ip);
  saveFuel();
  callHost(missFunction);
  f.branch(resume);

  f.end(); // slow
  f.store("i64", zero(), pc(), CELL.pc);
  f.store("i32", zero(), getIp(), CELL.ip);
  saveFuel();
  callHost(slowFunction);

  f.end(); // resume
  loadState();
  f.branch(dispatch);
  f.end();
  f.unreachable();
}

/** What a shape does. */
export function semanticsOf(shape: Shape): Semantics {
  const semantics = findSemantics(shape.mnemonic);
  if (semantics === undefined) throw new Error(`no semantics for ${shape.mnemonic}`);
  return semantics;
}
