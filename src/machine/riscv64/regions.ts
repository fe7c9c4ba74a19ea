/**
 * Hot regions: straight runs of instructions of one page, most often a loop, translated to a WebAssembly function each.
 *
 *     head:  registers that are read -> locals            the functions of a batch are one module
 *     loop   instruction, instruction, …                  operands are constants, registers are locals
 *              a branch to the head: fuel, then again
 *              a branch elsewhere, or the end: back to the dispatch loop at that record
 *              a slow case: back, for the exact tier to execute the instruction
 *
 * Every write of a register also goes to the window, so that leaving needs nothing but the record pointer and the fuel. The
 * interpreter enters a region by the op of its head's record; check points are where they always are, so a region changes
 * nothing that the guest could see. A write to a region's code takes the op away.
 */
import { INSTRUCTIONS } from "../../isa/riscv64/instructions.ts";
import { compileModule, createTable, instantiate, type WasmMemory, type WasmTable } from "../../wasm/engine.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { F64, I32, I64, Value } from "../../wasm/values.ts";
import { floatFieldsOf, type CodeCache, type CodeMember } from "./code.ts";
import { floatRequirement, REGIONS, semanticsOf } from "./interpreter.ts";
import { CELL, RECORD } from "./layout.ts";
import { RunEmitter, type Frame } from "./run-emitter.ts";

/** What a region's function tells the interpreter: go on at `ip`, execute `ip` exactly, or leave since fuel is used up. */
const GO_ON = 0;
const SLOW = 1;
const LEAVE = 2;

/** Instructions of a region at most; a longer run is several. */
const LONGEST = 160;
/** A run of fewer that does not loop is not worth a call. */
const SHORTEST_STRAIGHT = 8;
/** Regions made for one head: the loop, and what its branches skip to. */
const MOST_PER_HEAD = 12;

export class Regions {
  readonly table: WasmTable = createTable(REGIONS);
  private readonly memory: WasmMemory;
  private readonly code: CodeCache;
  private readonly f = new FunctionBuilder();
  private used = 0;

  constructor(memory: WasmMemory, code: CodeCache) {
    this.memory = memory;
    this.code = code;
  }

  /** Translates what begins at these records, and makes the interpreter use it. */
  translate(heads: readonly number[]): void {
    if (this.used >= REGIONS) {
      // What is hot now will soon be seen again.
      this.code.forgetRegions();
      this.used = 0;
    }
    const module = new ModuleBuilder();
    module.importMemory("host", "memory", 1, 65536);
    const made: { head: number; index: number; members: readonly CodeMember[] }[] = [];
    const seen = new Set<number>();
    for (const first of heads) {
      const wanted = [first];
      for (let count = 0; count < MOST_PER_HEAD && this.used < REGIONS; count++) {
        const head = wanted.shift();
        if (head === undefined) break;
        if (seen.has(head) || this.code.isRegion(head)) continue;
        seen.add(head);
        const members = this.code.membersFrom(head, LONGEST);
        const last = members[members.length - 1];
        if (last === undefined) continue;
        const loops = members.some((member) => member.target === head);
        for (const { target } of members)
          if (loops && target !== undefined && target > head && target <= last.at) wanted.push(target);
        if (members.length === LONGEST) wanted.push(last.at + last.shape.size * 8);
        if (!loops && members.length < SHORTEST_STRAIGHT) continue;
        const index = this.used++;
        emitRegion(this.f, head, members);
        module.addFunction(`region${index}`, { parameters: [], results: ["i32"] }, this.f, { export: `${index}` });
        made.push({ head, index, members });
      }
    }
    if (made.length === 0) return;
    const exports = instantiate(compileModule(module.finish()), { host: { memory: this.memory } });
    for (const { head, index, members } of made) {
      this.table.set(index, exports[`${index}`]);
      this.code.enterRegion(head, index, members);
    }
  }
}

/** The registers that a member reads, as window addresses. */
function sourcesOf({ id, rs1, rs2, rs3 }: CodeMember): number[] {
  const operands: readonly string[] = INSTRUCTIONS[id]?.format.operands ?? [];
  const has = (...names: string[]): boolean => names.some((name) => operands.includes(name));
  const sources: number[] = [];
  if (has("rs1", "loadAddress", "storeAddress", "address")) sources.push(CELL.x + rs1 * 8);
  if (has("rs2")) sources.push(CELL.x + rs2 * 8);
  if (has("frs1")) sources.push(CELL.f + rs1 * 8);
  if (has("frs2")) sources.push(CELL.f + rs2 * 8);
  if (has("frs3")) sources.push(CELL.f + rs3 * 8);
  return sources;
}

const isFloatCell = (cell: number): boolean => cell >= CELL.f;

function emitRegion(f: FunctionBuilder, head: number, members: readonly CodeMember[]): void {
  f.reset([]);
  const { i32 } = f;
  const frame = { fuel: f.local("i32"), tlb: f.local("i32"), pcBase: f.local("i64") };
  const zero = (): I32 => i32.const(0);
  f.setLocal(frame.fuel, f.load("i32", zero(), CELL.fuel));
  f.setLocal(frame.tlb, f.load("i32", zero(), CELL.tlb));
  f.setLocal(frame.pcBase, f.load("i64", zero(), CELL.pcBase));
  for (const cell of new Set(members.map((member) => floatRequirement(member.shape)))) {
    if (cell === undefined) continue;
    // Not ready: the exact tier executes the first instruction, and the interpreter those after it.
    f.if(i32.eqz(f.load("i32", zero(), cell)));
    f.store("i32", zero(), i32.const(head), CELL.ip);
    f.return(i32.const(SLOW));
    f.end();
  }
  const locals = new Map<number, number>();
  for (const cell of new Set(members.flatMap(sourcesOf))) {
    if (cell === CELL.x) continue;
    const type = isFloatCell(cell) ? "f64" : "i64";
    const local = f.local(type);
    f.setLocal(local, f.load(type, zero(), cell));
    locals.set(cell, local);
  }
  const again = f.loop();
  const emitter = new RegionEmitter(f, frame, head, again, locals);
  members.forEach((member, index) => emitter.emitMember(member, index));
  const last = members[members.length - 1];
  if (last !== undefined && !emitter.hasEnded) emitter.leaveTo(last.at + last.shape.size * 8, GO_ON, members.length);
  f.end();
  f.unreachable();
}

class RegionEmitter extends RunEmitter {
  private readonly head: number;
  private readonly again: Label;
  /** By window address: the local that holds the register. */
  private readonly locals: Map<number, number>;
  /** The instruction being emitted. */
  private member: CodeMember | undefined;

  constructor(
    f: FunctionBuilder,
    frame: Pick<Frame, "fuel" | "tlb" | "pcBase">,
    head: number,
    again: Label,
    locals: Map<number, number>,
  ) {
    // The labels and the record pointer are the interpreter's; a region has none of them.
    super(f, { ...frame, ip: -1, target: -1, dispatch: -1, slow: -1, far: -1, leave: -1 });
    this.head = head;
    this.again = again;
    this.locals = locals;
  }

  get hasEnded(): boolean {
    return this.ended;
  }

  emitMember(member: CodeMember, index: number): void {
    this.begin(member.shape, 0, index);
    this.member = member;
    semanticsOf(member.shape)(this);
    this.releaseTemporaries();
  }

  /** Goes back to the interpreter, with the record to go on with, when so many instructions have retired. */
  leaveTo(record: number, status: number, retired: number): void {
    const { f, i32 } = this;
    f.store("i32", i32.const(0), i32.const(record), CELL.ip);
    f.store("i32", i32.const(0), i32.sub(f.getLocal(this.frame.fuel, "i32"), i32.const(retired)), CELL.fuel);
    f.return(i32.const(status));
  }

  /** Checked once, at the region's entry. */
  override requireCell(): void {
    // Nothing in a region changes these cells.
  }

  override slow(condition?: I32): void {
    if (condition !== undefined) this.f.if(condition);
    this.leaveTo(this.current.at, SLOW, this.retired);
    if (condition === undefined) this.ended = true;
    else this.f.end();
  }

  override imm(): I64 {
    return this.i64.const(this.current.imm);
  }

  override immWord(): I32 {
    return this.i32.const(this.current.imm);
  }

  override pc(): I64 {
    return this.addressOf(0);
  }

  override nextPc(): I64 {
    return this.addressOf(this.shape.size);
  }

  override setRd(value: I64): void {
    const { f } = this;
    const { rd } = this.current;
    if (rd === 0) {
      f.drop(value);
      return;
    }
    const cell = CELL.x + rd * 8;
    const local = this.localOf(cell);
    f.setLocal(local, value);
    f.store("i64", this.i32.const(0), f.getLocal(local, "i64"), cell);
  }

  override setFdBits(bits: I64): void {
    this.setFd(this.f64.reinterpret_i64(bits));
  }

  override setFd(value: F64): void {
    const { f } = this;
    const cell = CELL.f + this.current.rd * 8;
    const local = this.localOf(cell);
    f.setLocal(local, value);
    f.store("f64", this.i32.const(0), f.getLocal(local, "f64"), cell);
  }

  override jumpTo(): void {
    throw new Error("an indirect jump is no part of a region");
  }

  /** A branch that is taken: to the head again, or out of the region. */
  protected override transfer(): void {
    const { f, frame, i32 } = this;
    const target = this.current.target ?? 0;
    if (target !== this.head) {
      if (this.shape.transfer === "forward") {
        this.leaveTo(target, GO_ON, this.retired + 1);
        return;
      }
      f.setLocal(frame.fuel, i32.sub(f.getLocal(frame.fuel, "i32"), i32.const(this.retired + 1)));
      f.if(i32.le_s(f.getLocal(frame.fuel, "i32"), i32.const(0)));
      this.leaveTo(target, LEAVE, 0);
      f.end();
      this.leaveTo(target, GO_ON, 0);
      return;
    }
    f.setLocal(frame.fuel, i32.sub(f.getLocal(frame.fuel, "i32"), i32.const(this.retired + 1)));
    f.branchIf(this.again, i32.gt_s(f.getLocal(frame.fuel, "i32"), i32.const(0)));
    this.leaveTo(this.head, LEAVE, 0);
  }

  protected override register<T extends "i32" | "i64" | "f32" | "f64">(type: T, field: number): Value<T> {
    const { f, current, i32, i64 } = this;
    const floats = floatFieldsOf(current.id);
    const isFloat = field === RECORD.rs1 ? floats.rs1 : field === RECORD.rs2 ? floats.rs2 : true;
    const number = field === RECORD.rs1 ? current.rs1 : field === RECORD.rs2 ? current.rs2 : current.rs3;
    if (!isFloat) {
      const value = number === 0 ? i64.const(0) : f.getLocal(this.localOf(CELL.x + number * 8), "i64");
      if (type === "i32") i32.wrap_i64(value);
    } else {
      const value = f.getLocal(this.localOf(CELL.f + number * 8), "f64");
      if (type !== "f64") {
        const bits = i64.reinterpret_f64(value);
        if (type === "f32") this.f32.reinterpret_i32(i32.wrap_i64(bits));
      }
    }
    // The code above has left a value of this type on the stack.
    return type as unknown as Value<T>;
  }

  private get current(): CodeMember {
    if (this.member === undefined) throw new Error("no instruction is being emitted");
    return this.member;
  }

  private addressOf(bytes: number): I64 {
    const { f, frame, i64 } = this;
    return i64.add(f.getLocal(frame.pcBase, "i64"), i64.const(this.current.at / 8 + bytes));
  }

  private localOf(cell: number): number {
    let local = this.locals.get(cell);
    if (local === undefined) {
      local = this.f.local(isFloatCell(cell) ? "f64" : "i64");
      this.locals.set(cell, local);
    }
    return local;
  }
}
