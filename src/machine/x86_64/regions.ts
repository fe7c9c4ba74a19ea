/**
 * Hot regions: the loops of one page, translated to a WebAssembly function each.
 *
 *     registers that are used -> locals                      the functions of a batch are one module
 *     loop   br_table to the block where control is          operands are constants, registers and flags are locals
 *              block, block, …                               a jump ahead is a branch, one back goes round the loop
 *              a slow case, a jump out of the region ──┐
 *     locals -> registers, flags; return  <────────────┘     the interpreter goes on at a record
 *
 * Registers and flags go back to the window at the one way out, so flags that only a way out needs are computed there. Check points are
 * where they always are, and fuel is counted alike, so a region changes nothing that the guest could see. The interpreter enters
 * by the op of the head's record; a write to the code makes that record unreachable, as it does all of the page.
 */
import { OPERAND, NO_REGISTER, RIP, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { SEGMENT } from "../../isa/x86_64/registers.ts";
import { compileModule, createTable, instantiate, type WasmMemory, type WasmTable } from "../../wasm/engine.ts";
import { FunctionBuilder, type Label } from "../../wasm/function-builder.ts";
import { ModuleBuilder } from "../../wasm/module-builder.ts";
import type { I32, I64, V128, Value, ValueType } from "../../wasm/values.ts";
import type { LoadKind } from "../emitter.ts";
import type { CodeCache } from "./code.ts";
import { REGIONS, semanticsOf } from "./interpreter.ts";
import { CELL, RECORD, segmentBase } from "./layout.ts";
import { findRegion, type Member, type Region } from "./region-finder.ts";
import { RunEmitter } from "./run-emitter.ts";
import { gprAddress, xmmAddress } from "./window-address.ts";

/** What a region's function tells the interpreter: go on at `ip`, execute `ip` exactly, or leave since fuel is used up. */
const GO_ON = 0;
const SLOW = 1;
const LEAVE = 2;

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
    if (this.used + heads.length > REGIONS) {
      // What is hot now will soon be seen again.
      this.code.clear();
      this.used = 0;
      return;
    }
    const module = new ModuleBuilder();
    module.importMemory("host", "memory", 1, 65536);
    const made: { head: number; index: number }[] = [];
    for (const head of heads) {
      const region = findRegion(this.code, head);
      if (region === undefined) continue;
      const index = this.used++;
      emitRegion(this.f, region);
      module.addFunction(`region${index}`, { parameters: [], results: ["i32"] }, this.f, { export: `${index}` });
      made.push({ head, index });
    }
    if (made.length === 0) return;
    const exports = instantiate(compileModule(module.finish()), { host: { memory: this.memory } });
    for (const { head, index } of made) {
      this.table.set(index, exports[`${index}`]);
      this.code.enterRegion(head, index);
    }
  }
}

/** Locals that stand for cells of the window while a region runs. */
interface CellLocal {
  readonly local: number;
  readonly type: "i32" | "i64" | "v128";
  isWritten: boolean;
}

const FLAG_CELLS: readonly { readonly cell: number; readonly type: "i32" | "i64" }[] = [
  { cell: CELL.flagResult, type: "i64" },
  { cell: CELL.flagCarries, type: "i64" },
  { cell: CELL.flagCarry, type: "i32" },
];

function emitRegion(f: FunctionBuilder, region: Region): void {
  f.reset([]);
  const { i32 } = f;
  const zero = (): I32 => i32.const(0);
  const frame = { ip: f.local("i32"), fuel: f.local("i32"), tlb: f.local("i32"), pageBase: f.local("i64") };
  const status = f.local("i32");
  const state = f.local("i32");
  f.setLocal(frame.fuel, f.load("i32", zero(), CELL.fuel));
  f.setLocal(frame.tlb, f.load("i32", zero(), CELL.tlb));
  f.setLocal(frame.pageBase, f.load("i64", zero(), CELL.pageBase));
  const cells = new Map<number, CellLocal>();
  const define = (cell: number, type: "i32" | "i64" | "v128"): void => {
    if (cells.has(cell)) return;
    const local = f.local(type);
    f.load(type, zero(), cell);
    f.setLocal(local, type as Value<ValueType>);
    cells.set(cell, { local, type, isWritten: false });
  };
  for (const { cell, type } of FLAG_CELLS) define(cell, type);
  for (const cell of cellsOf(region)) define(cell, cell >= CELL.xmm ? "v128" : "i64");
  const headBlock = region.blocks.findIndex((block) => block.members[0]?.offset === region.head);
  f.setLocal(state, i32.const(headBlock));
  const exit = f.block();
  const again = f.loop();
  const labels: Label[] = new Array<Label>(region.blocks.length);
  for (let n = region.blocks.length - 1; n >= 0; n--) labels[n] = f.block();
  const emitter = new RegionEmitter(f, region, { ...frame, status, state, exit, again, labels }, cells);
  emitter.emitRequirements();
  f.branchTable(labels, labels[headBlock] ?? exit, f.getLocal(state, "i32"));
  region.blocks.forEach((block, n) => {
    f.end();
    emitter.emitBlock(block.members, n);
  });
  f.end(); // again
  f.end(); // exit
  for (const [cell, { local, type, isWritten }] of cells) {
    if (isWritten) f.store(type, zero(), f.getLocal(local, type), cell);
  }
  f.store("i32", zero(), f.getLocal(frame.ip, "i32"), CELL.ip);
  f.store("i32", zero(), f.getLocal(frame.fuel, "i32"), CELL.fuel);
  f.getLocal(status, "i32");
}

/** Window addresses of the registers that the region's instructions name or imply. */
function cellsOf(region: Region): Set<number> {
  const cells = new Set<number>();
  for (const { members } of region.blocks) {
    for (const { decoded } of members) {
      if (decoded.base >= 0 && decoded.base !== RIP) cells.add(gprAddress(decoded.base, false));
      if (decoded.index !== NO_REGISTER) cells.add(gprAddress(decoded.index, false));
      for (const { kind, register } of decoded.operands.slice(0, decoded.operandCount)) {
        if (kind === OPERAND.gpr) cells.add(gprAddress(register, false));
        else if (kind === OPERAND.xmm) cells.add(xmmAddress(register));
      }
    }
  }
  return cells;
}

interface RegionFrame {
  readonly ip: number;
  readonly fuel: number;
  readonly tlb: number;
  readonly pageBase: number;
  readonly status: number;
  readonly state: number;
  readonly exit: Label;
  readonly again: Label;
  /** By block: a label that leads to its beginning, from blocks before it. */
  readonly labels: readonly Label[];
}

class RegionEmitter extends RunEmitter {
  private readonly region: Region;
  private readonly places: RegionFrame;
  private readonly cells: Map<number, CellLocal>;
  private member: Member | undefined;
  private block = 0;

  constructor(f: FunctionBuilder, region: Region, places: RegionFrame, cells: Map<number, CellLocal>) {
    const [first] = region.blocks[0]?.members ?? [];
    if (first === undefined) throw new Error("a region has instructions");
    // The labels are the interpreter's; a region has none of them.
    super(f, { ...places, target: -1, dispatch: -1, slow: -1, far: -1, leave: -1 }, first.shape);
    this.region = region;
    this.places = places;
    this.cells = cells;
  }

  /** What the region's instructions ask for before they run is asked once, at its head. */
  emitRequirements(): void {
    for (const cell of this.region.requirements) {
      this.f.if(this.i32.eqz(this.f.load("i32", this.i32.const(0), cell)));
      this.setExit(this.region.headRecord, SLOW);
      this.f.branch(this.places.exit);
      this.f.end();
    }
  }

  emitBlock(members: readonly Member[], index: number): void {
    this.block = index;
    this.flagSource = undefined;
    members.forEach((member, n) => {
      this.begin(member.shape, n);
      this.member = member;
      semanticsOf(member.shape)(this);
    });
    this.releaseTemporaries();
    const last = members[members.length - 1];
    if (this.ended || last === undefined) return;
    this.retired++;
    this.goTo(last.offset + last.decoded.length, last.offset);
  }

  override require(what: "sse" | "nearest" | "mmx"): void {
    // Nothing in a region changes what this asks for; `emitRequirements` has asked.
    if (what === "mmx") throw new Error("MMX is no part of a region");
  }

  override slow(condition?: I32): void {
    if (condition !== undefined) this.f.if(condition);
    this.leaveTo(this.current.record, SLOW);
    if (condition === undefined) this.ended = true;
    else this.f.end();
  }

  override knownImmediate(): number | undefined {
    return this.current.decoded.immLo;
  }

  override pc(): I64 {
    return this.addressOf(this.current.offset);
  }

  override nextPc(): I64 {
    return this.addressOf(this.current.offset + this.current.decoded.length);
  }

  override address(): I64 {
    const { i64, decoded } = this;
    const { base, index, scale } = decoded;
    const isRelative = base === RIP;
    const displacement = isRelative ? decoded.dispLo + this.current.offset + decoded.length : decoded.dispLo;
    let sum: I64 | undefined;
    if (isRelative) sum = this.f.getLocal(this.places.pageBase, "i64");
    else if (base !== NO_REGISTER) sum = this.cell64(gprAddress(base, false));
    if (index !== NO_REGISTER) {
      const register = this.cell64(gprAddress(index, false));
      const scaled = scale === 0 ? register : i64.shl(register, i64.const(scale));
      sum = sum === undefined ? scaled : i64.add(sum, scaled);
    }
    if (sum === undefined) return i64.const(displacement);
    return displacement === 0 ? sum : i64.add(sum, i64.const(displacement));
  }

  override gpr(register: number): I64 {
    return this.cell64(gprAddress(register, false));
  }

  override setGpr(register: number, value: I64): void {
    this.setCell(gprAddress(register, false), value);
  }

  override jumpTo(): void {
    throw new Error("an indirect jump is no part of a region");
  }

  /** A branch that is taken. */
  protected override transfer(): void {
    const { offset, decoded } = this.current;
    const taken = this.retired + 1;
    this.withRetired(taken, () => this.goTo(offset + decoded.length + decoded.immLo, offset));
  }

  protected override operandAddress(): I64 {
    const { segment } = this.decoded;
    if (segment !== SEGMENT.fs && segment !== SEGMENT.gs) return this.address();
    return this.i64.add(this.address(), this.f.load("i64", this.i32.const(0), segmentBase(segment)));
  }

  protected override immediate(): I64 {
    return this.i64.constWords(this.decoded.immHi, this.decoded.immLo);
  }

  protected override immediateWord(): I32 {
    return this.i32.const(this.decoded.immLo);
  }

  protected override field16(field: number): I32 {
    // Only register operands that have no local are reached by address.
    const n = field === RECORD.a ? 0 : field === RECORD.b ? 1 : 2;
    return this.i32.const(this.operandCell(n));
  }

  protected override registerValue(n: number, kind: LoadKind): I64 {
    const { i64 } = this;
    const { isHighByte } = this.operand(n);
    const whole = this.cell64(this.registerCell(n));
    const value = isHighByte ? i64.shr_u(whole, i64.const(8)) : whole;
    switch (kind) {
      case "i8":
        return i64.extend8_s(value);
      case "u8":
        return i64.and(value, i64.const(0xff));
      case "i16":
        return i64.extend16_s(value);
      case "u16":
        return i64.and(value, i64.const(0xffff));
      case "i32":
        return i64.extend32_s(value);
      case "u32":
        return i64.and(value, i64.constWords(0, -1));
      case "i64":
        return value;
    }
  }

  protected override registerWord(n: number, kind: "i32_8s" | "i32_16s" | "i32"): I32 {
    const { i32, i64 } = this;
    const { isHighByte } = this.operand(n);
    const whole = this.cell64(this.registerCell(n));
    const word = i32.wrap_i64(isHighByte ? i64.shr_u(whole, i64.const(8)) : whole);
    return kind === "i32" ? word : kind === "i32_8s" ? i32.extend8_s(word) : i32.extend16_s(word);
  }

  protected override writeRegister(n: number, value: I64, size: number): void {
    const { i64 } = this;
    const cell = this.registerCell(n);
    if (size === 8) {
      this.setCell(cell, value);
    } else if (size === 4) {
      this.setCell(cell, this.zeroExtend(value, 4));
    } else {
      const part = this.let(this.zeroExtend(value, size));
      const shift = this.operand(n).isHighByte ? 8 : 0;
      const mask = ~((2 ** (size * 8) - 1) << shift);
      const placed = shift === 0 ? part.get() : i64.shl(part.get(), i64.const(8));
      this.setCell(cell, i64.or(placed, i64.and(this.cell64(cell), i64.constWords(-1, mask))));
    }
  }

  protected override writeRegisterWord(n: number, value: I32, kind: "i32_8" | "i32_16" | "i32"): void {
    this.writeRegister(n, this.i64.extend_i32_u(value), kind === "i32_8" ? 1 : kind === "i32_16" ? 2 : 4);
  }

  protected override registerVector(n: number): V128 {
    return this.f.getLocal(this.localOf(this.operandCell(n)).local, "v128");
  }

  protected override registerScalar(n: number, size: 4 | 8): I64 {
    const { i64, v128 } = this;
    const vector = this.registerVector(n);
    return size === 8 ? v128.i64x2_extract(vector, 0) : i64.extend_i32_u(v128.i32x4_extract(vector, 0));
  }

  override writeVector(n: number, value: V128): void {
    const place = this.localOf(this.operandCell(n));
    place.isWritten = true;
    this.f.setLocal(place.local, value);
  }

  override writeScalar(n: number, size: 4 | 8, bits: I64): void {
    if (this.isMemory(n)) {
      super.writeScalar(n, size, bits);
      return;
    }
    const { i32, v128 } = this;
    const scalar = this.let(bits);
    const vector = this.registerVector(n);
    this.writeVector(
      n,
      size === 8
        ? v128.i64x2_replace(vector, scalar.get(), 0)
        : v128.i32x4_replace(vector, i32.wrap_i64(scalar.get()), 0),
    );
  }

  protected override cell32(cell: number): I32 {
    const place = this.cells.get(cell);
    return place === undefined ? super.cell32(cell) : this.f.getLocal(place.local, "i32");
  }

  protected override cell64(cell: number): I64 {
    const place = this.cells.get(cell);
    return place === undefined ? super.cell64(cell) : this.f.getLocal(place.local, "i64");
  }

  protected override storeCell32(cell: number, value: () => I32): void {
    const place = this.cells.get(cell);
    if (place === undefined) {
      super.storeCell32(cell, value);
      return;
    }
    place.isWritten = true;
    this.f.setLocal(place.local, value());
  }

  protected override storeCell64(cell: number, value: () => I64): void {
    const place = this.cells.get(cell);
    if (place === undefined) {
      super.storeCell64(cell, value);
      return;
    }
    place.isWritten = true;
    this.f.setLocal(place.local, value());
  }

  /** Goes back to the interpreter, with the record to go on with, when this many instructions of the block have retired. */
  private leaveTo(record: number, status: number): void {
    this.setExit(record, status);
    this.spendRetired();
    this.f.branch(this.places.exit);
  }

  private setExit(record: number, status: number): void {
    this.f.setLocal(this.places.ip, this.i32.const(record));
    this.f.setLocal(this.places.status, this.i32.const(status));
  }

  /** Control goes from one offset of the page to another, which is a block of the region or out of it. */
  private goTo(target: number, from: number): void {
    const { f, i32, places } = this;
    const record = this.region.recordOf(target);
    const block = this.region.blocks.findIndex(({ members }) => members[0]?.offset === target);
    if (target > from) {
      if (block < 0) {
        this.leaveTo(record, GO_ON);
        return;
      }
      this.spendRetired();
      // The next block follows.
      if (block > this.block) f.branch(places.labels[block] ?? places.exit);
      return;
    }
    this.spendRetired();
    f.if(i32.le_s(f.getLocal(places.fuel, "i32"), i32.const(0)));
    this.setExit(record, LEAVE);
    f.branch(places.exit);
    f.end();
    if (block < 0) {
      this.setExit(record, GO_ON);
      f.branch(places.exit);
      return;
    }
    f.setLocal(places.state, i32.const(block));
    f.branch(places.again);
  }

  private spendRetired(): void {
    if (this.retired === 0) return;
    const { f, i32, places } = this;
    f.setLocal(places.fuel, i32.sub(f.getLocal(places.fuel, "i32"), i32.const(this.retired)));
  }

  private withRetired(count: number, work: () => void): void {
    const before = this.retired;
    this.retired = count;
    work();
    this.retired = before;
  }

  private get current(): Member {
    if (this.member === undefined) throw new Error("no instruction is being emitted");
    return this.member;
  }

  private get decoded(): Decoded {
    return this.current.decoded;
  }

  private operand(n: number): Decoded["operands"][0] {
    const operand = this.decoded.operands[n];
    if (operand === undefined) throw new Error(`no operand ${n}`);
    return operand;
  }

  /** The cell of a register operand. */
  private operandCell(n: number): number {
    const { kind, register } = this.operand(n);
    return kind === OPERAND.xmm ? xmmAddress(register) : gprAddress(register, false);
  }

  private registerCell(n: number): number {
    return gprAddress(this.operand(n).register, false);
  }

  private setCell(cell: number, value: I64): void {
    const result = this.let(value);
    this.storeCell64(cell, () => result.get());
  }

  private localOf(cell: number): CellLocal {
    const place = this.cells.get(cell);
    if (place === undefined) throw new Error(`no local for cell ${cell}`);
    return place;
  }

  private addressOf(offset: number): I64 {
    return this.i64.add(this.f.getLocal(this.places.pageBase, "i64"), this.i64.const(offset));
  }
}
