/**
 * The predecoded code of guest pages.
 *
 * A page of RAM that is executed gets a page map: for each byte, the address of the record of the instruction that begins there, or 0.
 * Records lie in an arena, those of a run of instructions one after the other:
 *
 *     page map   0 |rec|  0    0  |rec|  0  |rec| …          a run     | cmp | jcc | mov | add | jmp |
 *                    └──────────────┴──────────┴─────────────────────>  └─imm──> record of its target in the page
 *
 * A run goes on through conditional jumps and calls to where control surely leaves, the page ends, or an instruction comes that has a
 * record already (a `goto` record leads there). A jump within the page whose target has no record yet gets a stub: when control
 * first comes to it the target is decoded, and all jumps that waited are led there. Flags that a later instruction of the run
 * overwrites before anything can see them are not computed: where an instruction may fault or leave, all flags are seen.
 *
 * Code is always coherent: whoever writes to a page with code calls `invalidate`. If an instruction overlaps the bytes the page map is
 * cleared; the records are left where they are, unreachable, until the arena is full: then everything is forgotten. Stores by the
 * guest notice, since the TLB has no store entry for such a page.
 */
import { newDecoded, NO_REGISTER, OPERAND, RIP, type Decoded } from "../../isa/x86_64/decode-types.ts";
import { decode } from "../../isa/x86_64/decode.ts";
import { SEGMENT } from "../../isa/x86_64/registers.ts";
import type { WasmMemory } from "../../wasm/engine.ts";
import type { Layout } from "../engine/layout.ts";
import type { CodeListener } from "../engine/shared-engine.ts";
import { CELL, RECORD, RECORD_SIZE, segmentBase } from "./layout.ts";
import { OP, operations, type Operations, type SequenceNode } from "./operations.ts";
import { endsRun, FLAG_EFFECT, flagEffectOf, isHint } from "./semantics/effects.ts";
import { mnemonicIndexOf, shapeKeyOf, type AddressForm, type Shape, type Transfer } from "./shapes.ts";
import { gprAddress, mmxAddress, xmmAddress } from "./window-address.ts";
import { systemSemanticsOf, type SystemSemantics } from "./system.ts";

const PAGE_BYTES = 4096;
/** Bytes of a page map: a 32-bit record address for each byte of the page. */
const MAP_SIZE = PAGE_BYTES * 4;
/** Page maps that are kept: so many pages of code at once. */
const PAGE_MAPS = 1024;
const ARENA_SIZE = 24 << 20;
/** What a machine wants of its memory for code. */
export const CODE_BYTES = PAGE_MAPS * MAP_SIZE + ARENA_SIZE;

/** Instructions decoded at once, at most. */
const LONGEST_RUN = 64;
const LONGEST_INSTRUCTION = 15;
/** Writes to a page with code before it counts as data; doubled each time that it is executed again, up to 2^8 times as many. */
const PATIENCE = 64;
const MOST_PATIENCE_SHIFT = 8;

/** An instruction of the exact tier that lies in one page. */
export interface ExactInstruction {
  readonly decoded: Decoded;
  /** Where its bytes lie in the machine's memory. */
  readonly source: number;
  /** What it does, if TypeScript executes it. */
  readonly system: SystemSemantics | undefined;
}

export class CodeCache {
  private readonly layout: Layout;
  private readonly bytes: Uint8Array;
  private readonly halves: Uint16Array;
  private readonly words: Int32Array;
  /** By RAM page: its page map + 1, or 0. */
  private readonly mapOfPage: Int16Array;
  private readonly pageOfMap: Int32Array;
  private readonly mapCount: number;
  /** By RAM page: 1 when some TLB may have a store translation to it. */
  private readonly mayBeStoredTo: Uint8Array;
  private usedMaps = 0;
  private victim = 0;
  private readonly freeMaps: number[] = [];
  /** By page map: writes to its page since something was decoded there. */
  private readonly writes: Uint16Array;
  /** By RAM page: how often its code was given up because of writes. */
  private readonly lostCode: Uint8Array;
  private readonly arenaBase: number;
  private readonly arenaEnd: number;
  private arena: number;
  private readonly decoded: Decoded = newDecoded();
  /** Instructions of the exact tier, by their records. */
  private readonly exact = new Map<number, ExactInstruction | undefined>();
  /** The ops that region heads had. */
  private readonly headOps = new Map<number, number>();
  private readonly listener: CodeListener;
  private operations: Operations = operations("plain");
  /** What the backward pass over a run needs of each of its instructions. */
  private readonly run: { record: number; effect: number; deadOp: number }[] = [];
  /** Jumps of a run, as pairs: record, offset of the target in the page. */
  private readonly jumps: number[] = [];

  constructor(memory: WasmMemory, layout: Layout, ramSize: number, listener: CodeListener) {
    this.layout = layout;
    this.bytes = new Uint8Array(memory.buffer);
    this.halves = new Uint16Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
    this.mapCount = Math.min(PAGE_MAPS, Math.floor((layout.codeBytes - (1 << 20)) / MAP_SIZE));
    this.mapOfPage = new Int16Array(ramSize / PAGE_BYTES);
    this.pageOfMap = new Int32Array(this.mapCount);
    this.mayBeStoredTo = new Uint8Array(ramSize / PAGE_BYTES);
    this.writes = new Uint16Array(this.mapCount);
    this.lostCode = new Uint8Array(ramSize / PAGE_BYTES);
    this.arenaBase = layout.codeBase + this.mapCount * MAP_SIZE;
    this.arenaEnd = layout.codeBase + layout.codeBytes;
    this.arena = this.arenaBase;
    this.listener = listener;
  }

  hasCode(page: number): boolean {
    return this.mapOfPage[page] !== 0;
  }

  /** Some TLB has a store translation to the page from now on. */
  noteStoreTranslation(page: number): void {
    this.mayBeStoredTo[page] = 1;
  }

  /** The address of the page's map; gives it one if it has none, which may take another page's. */
  recordsOf(page: number): number {
    const known = this.mapOfPage[page] ?? 0;
    if (known !== 0) return this.mapAddress(known - 1);
    let map = this.freeMaps.pop() ?? this.usedMaps;
    if (map === this.usedMaps && map < this.mapCount) {
      this.usedMaps++;
    } else if (map === this.usedMaps) {
      map = this.victim;
      this.victim = (this.victim + 1) % this.mapCount;
      this.giveUp(this.pageOfMap[map] ?? 0);
    }
    this.clearMap(map);
    this.mapOfPage[page] = map + 1;
    this.pageOfMap[map] = page;
    this.writes[map] = 0;
    if (this.mayBeStoredTo[page] !== 0) {
      this.mayBeStoredTo[page] = 0;
      this.listener.onCode(page);
    }
    return this.mapAddress(map);
  }

  /** The interpreter has all operations from now on. */
  startJoining(): void {
    this.operations = operations("joined");
    this.clear();
  }

  /** Forgets all that was decoded. */
  clear(): void {
    this.mapOfPage.fill(0);
    this.usedMaps = 0;
    this.freeMaps.length = 0;
    this.arena = this.arenaBase;
    this.exact.clear();
    this.headOps.clear();
    this.listener.onEvict();
  }

  /** The instruction of the exact tier that a record stands for, if it has been learnt. */
  exactAt(record: number): ExactInstruction | undefined {
    return this.exact.get(record);
  }

  /** Decodes it, in the page that has this map; undefined where it is none, or goes on in the next page. */
  learnExact(record: number, map: number): ExactInstruction | undefined {
    // What is known here and was not found is none.
    if (this.exact.has(record)) return undefined;
    const offset = this.offsetAt(record);
    const source = this.layout.ram + this.pageAt(map) * PAGE_BYTES + offset;
    const decoded = newDecoded();
    const isWhole = decode(this.bytes, source, PAGE_BYTES - offset, 64, decoded) === "ok";
    const found = isWhole ? { decoded, source, system: systemSemanticsOf(decoded.id) } : undefined;
    this.exact.set(record, found);
    return found;
  }

  opAt(record: number): number {
    return this.halves[record >> 1] ?? 0;
  }

  /** The instruction's offset in its page. */
  offsetAt(record: number): number {
    return this.halves[(record + RECORD.offset) >> 1] ?? 0;
  }

  /** A field of 16 bits, and one of 32, of a record. */
  field(record: number, field: number): number {
    return this.halves[(record + field) >> 1] ?? 0;
  }

  wordField(record: number, field: number): number {
    return this.words[(record + field) >> 2] ?? 0;
  }

  /** The offset of the transfer by which control has left the page at a record; undefined where it has come to the end. */
  transferOffset(record: number): number | undefined {
    return this.opAt(record) === OP.nextPage ? undefined : this.offsetAt(record);
  }

  /** The shape of the instruction that a record's handler begins with; undefined where it has none. */
  shapeOf(record: number): Shape | undefined {
    const { shapes, sequences } = this.operations;
    const op = this.opAt(record);
    const index = (op === OP.region ? (this.headOps.get(record) ?? 0) : op) - OP.first;
    // Reading before an array's start would be slow.
    if (index < 0) return undefined;
    return index < shapes.length ? shapes[index] : sequences[index - shapes.length]?.[0];
  }

  /**
   * The bytes [offset, offset + length) of a RAM page with code have changed. A page that is overwritten, or written to again and
   * again while nothing new is decoded, is data now: it gives up its map, so that stores to it are fast.
   */
  invalidate(page: number, offset: number, length: number): void {
    const map = (this.mapOfPage[page] ?? 0) - 1;
    if (map < 0) return;
    const writes = (this.writes[map] ?? 0) + 1;
    this.writes[map] = writes;
    const lost = this.lostCode[page] ?? 0;
    if (length === PAGE_BYTES || writes > PATIENCE << lost) {
      this.freeMaps.push(map);
      this.lostCode[page] = length === PAGE_BYTES ? 0 : Math.min(lost + 1, MOST_PATIENCE_SHIFT);
      this.giveUp(page);
      return;
    }
    const base = this.mapAddress(map) >> 2;
    const first = Math.max(0, offset - (LONGEST_INSTRUCTION - 1));
    for (let at = first; at < offset + length; at++) {
      const record = this.words[base + at] ?? 0;
      if (record === 0) continue;
      // What was not decoded has no length; it depends on bytes that are not known.
      const size = this.bytes[record + RECORD.length] ?? 0;
      if (at + (size === 0 ? LONGEST_INSTRUCTION : size) <= offset) continue;
      this.clearMap(map);
      return;
    }
  }

  /**
   * The record of the instruction at an offset of the page that has this map, decoded if it was not. The whole cache may be cleared on the way,
   * so translations must be looked up again: then the answer is 0.
   */
  recordAt(map: number, offset: number): number {
    const known = this.words[(map + offset * 4) >> 2] ?? 0;
    if (known !== 0) return known;
    if (!this.hasRoom()) return 0;
    return this.decodeRun(map, offset);
  }

  /** Decodes what a record stands for that was put where control had not come to yet; false when the cache was cleared. */
  resolve(record: number, map: number): boolean {
    const offset = this.offsetAt(record);
    const entry = (map + offset * 4) >> 2;
    const known = this.words[entry] ?? 0;
    let target = known === record ? 0 : known;
    if (target === 0) {
      if (!this.hasRoom()) return false;
      if (known === record) this.words[entry] = 0;
      target = this.decodeRun(map, offset);
    }
    this.redirect(record, target);
    return true;
  }

  /** The map and the offset that a record belongs to, if it is still the record there, and the map still a page's. */
  placeOf(record: number): { readonly map: number; readonly offset: number } | undefined {
    const offset = this.offsetAt(record);
    for (let map = 0; map < this.usedMaps; map++) {
      // A map that was given up keeps its entries until another page gets it.
      if (this.mapOfPage[this.pageOfMap[map] ?? 0] !== map + 1) continue;
      const address = this.mapAddress(map);
      if (this.words[(address + offset * 4) >> 2] === record) return { map: address, offset };
    }
    return undefined;
  }

  isPlaceOf(record: number, map: number, offset: number): boolean {
    return this.words[(map + offset * 4) >> 2] === record;
  }

  /** Decodes the instruction at an offset of a page; its shape, if the interpreter has a handler for it. */
  shapeAt(map: number, offset: number, into: Decoded): Shape | undefined {
    const source = this.layout.ram + this.pageAt(map) * PAGE_BYTES + offset;
    if (decode(this.bytes, source, PAGE_BYTES - offset, 64, into) !== "ok") return undefined;
    if (isHint(mnemonicIndexOf(into.id))) return NOTHING;
    const form = addressFormOf(into);
    if (form === undefined) return undefined;
    const transfer = transferOf(into, offset);
    const op = this.operations.ops.get(shapeKeyOf(into, mnemonicIndexOf(into.id), form, transfer, "used"));
    return op === undefined ? undefined : this.operations.shapes[op - OP.first];
  }

  isRegion(record: number): boolean {
    return this.opAt(record) === OP.region;
  }

  /** From now on control that comes to the record enters the region of that index. */
  enterRegion(head: number, index: number): void {
    if (!this.isRegion(head)) this.headOps.set(head, this.opAt(head));
    this.halves[(head + RECORD.c) >> 1] = index;
    this.halves[head >> 1] = OP.region;
  }

  /** Leads a stub and the jumps that wait for it to a record. */
  private redirect(stub: number, target: number): void {
    this.halves[stub >> 1] = OP.goto;
    let waiting = this.words[(stub + RECORD.imm) >> 2] ?? 0;
    while (waiting !== 0) {
      const next = this.words[(waiting + RECORD.disp) >> 2] ?? 0;
      this.words[(waiting + RECORD.imm) >> 2] = target;
      waiting = next;
    }
    this.words[(stub + RECORD.imm) >> 2] = target;
  }

  /** Makes sure that a run fits; false where everything had to be forgotten for it. */
  private hasRoom(): boolean {
    if (this.arena + (2 * LONGEST_RUN + 2) * RECORD_SIZE <= this.arenaEnd) return true;
    this.clear();
    return false;
  }

  /** Decodes a run of the page that has this map; the record of its first instruction. */
  private decodeRun(map: number, start: number): number {
    this.writes[this.mapIndex(map)] = 0;
    const base = map >> 2;
    const source = this.layout.ram + this.pageAt(map) * PAGE_BYTES;
    const { decoded, run, jumps } = this;
    run.length = 0;
    jumps.length = 0;
    const first = this.arena;
    let at = start;
    for (;;) {
      const record = this.allocate(at);
      if (at === PAGE_BYTES) {
        this.halves[record >> 1] = OP.nextPage;
        break;
      }
      const known = this.words[base + at] ?? 0;
      const isWaiting = known !== 0 && this.opAt(known) === OP.decode;
      // At the end of a run a stub stays the record of its place: it decodes the next one when control comes to it.
      if (known !== 0 && (!isWaiting || run.length === LONGEST_RUN)) {
        this.halves[record >> 1] = OP.goto;
        this.words[(record + RECORD.imm) >> 2] = known;
        break;
      }
      if (run.length === LONGEST_RUN) {
        this.halves[record >> 1] = OP.decode;
        break;
      }
      if (isWaiting) this.redirect(known, record);
      this.words[base + at] = record;
      const outcome = decode(this.bytes, source + at, PAGE_BYTES - at, 64, decoded);
      if (outcome !== "ok") {
        // Undefined, or it goes on in the next page: the exact tier looks at it each time.
        this.halves[record >> 1] = OP.slow;
        break;
      }
      this.fill(record, at);
      at += decoded.length;
      if (endsRun(mnemonicIndexOf(decoded.id))) break;
    }
    this.dropDeadFlags();
    for (let i = 0; i < jumps.length; i += 2) this.link(jumps[i] ?? 0, jumps[i + 1] ?? 0, base);
    const { tree } = this.operations;
    if (tree !== undefined) this.joinSequences(tree);
    return first;
  }

  /** A new record for an offset. */
  private allocate(offset: number): number {
    const record = this.arena;
    this.arena += RECORD_SIZE;
    this.words.fill(0, record >> 2, (record + RECORD_SIZE) >> 2);
    this.halves[(record + RECORD.offset) >> 1] = offset;
    return record;
  }

  /** Fills the record of the instruction that was decoded. */
  private fill(record: number, at: number): void {
    const { decoded, halves, words, bytes } = this;
    const half = record >> 1;
    bytes[record + RECORD.length] = decoded.length;
    halves[half + RECORD.id / 2] = decoded.id;
    words[(record + RECORD.imm) >> 2] = decoded.immLo;
    words[((record + RECORD.imm) >> 2) + 1] = decoded.immHi;
    const address = addressFormOf(decoded);
    let hasMemory = false;
    for (let n = 0; n < decoded.operandCount; n++) {
      // There are four operands.
      const operand = decoded.operands[n] as (typeof decoded.operands)[0];
      switch (operand.kind) {
        case OPERAND.gpr:
          halves[half + 1 + n] = gprAddress(operand.register, operand.isHighByte);
          break;
        case OPERAND.xmm:
          halves[half + 1 + n] = xmmAddress(operand.register);
          break;
        case OPERAND.mmx:
          halves[half + 1 + n] = mmxAddress(operand.register);
          break;
        case OPERAND.memory:
          hasMemory = true;
          this.fillAddress(record, at);
          break;
        case OPERAND.one:
          words[(record + RECORD.imm) >> 2] = 1;
          words[((record + RECORD.imm) >> 2) + 1] = 0;
          break;
        default:
      }
    }
    const mnemonic = mnemonicIndexOf(decoded.id);
    const transfer = transferOf(decoded, at);
    if (transfer === "forward" || transfer === "backward") this.jumps.push(record, at + decoded.length + decoded.immLo);
    if (isHint(mnemonic)) {
      halves[half] = OP.nothing;
      this.run.push({ record, effect: 0, deadOp: 0 });
      return;
    }
    const { ops } = this.operations;
    const isOrdinary =
      address !== undefined && (decoded.base !== RIP || fitsWord(decoded.dispLo + at + decoded.length));
    const op = isOrdinary ? ops.get(shapeKeyOf(decoded, mnemonic, address, transfer, "used")) : undefined;
    halves[half] = op ?? OP.slow;
    const effect = op === undefined ? FLAG_EFFECT.sees : flagEffectOf(mnemonic, hasMemory);
    const deadOp =
      op !== undefined && address !== undefined && (effect & FLAG_EFFECT.writes) !== 0
        ? (ops.get(shapeKeyOf(decoded, mnemonic, address, transfer, "dead")) ?? 0)
        : 0;
    this.run.push({ record, effect, deadOp });
  }

  /** The parts of the memory operand's address. */
  private fillAddress(record: number, at: number): void {
    const { decoded, halves, bytes, words } = this;
    const half = record >> 1;
    const { base, index, segment } = decoded;
    const isRelative = base === RIP;
    halves[half + RECORD.base / 2] = isRelative
      ? CELL.pageBase
      : base === NO_REGISTER
        ? CELL.zero
        : gprAddress(base, false);
    // The displacement counts from the end of the instruction.
    words[(record + RECORD.disp) >> 2] = isRelative ? (decoded.dispLo + at + decoded.length) | 0 : decoded.dispLo;
    halves[half + RECORD.index / 2] = index === NO_REGISTER ? CELL.zero : gprAddress(index, false);
    bytes[record + RECORD.scale] = decoded.scale;
    halves[half + RECORD.seg / 2] = hasSegmentBase(segment) ? segmentBase(segment) : CELL.zero;
  }

  /** From the end of the run to its beginning: flags that nothing sees before they are set again are dead. */
  private dropDeadFlags(): void {
    let areSeen = true;
    for (let i = this.run.length - 1; i >= 0; i--) {
      const member = this.run[i];
      if (member === undefined) continue;
      const { effect } = member;
      if ((effect & FLAG_EFFECT.writes) !== 0) {
        if (!areSeen && member.deadOp !== 0) this.halves[member.record >> 1] = member.deadOp;
        if ((effect & FLAG_EFFECT.writesAll) !== 0) areSeen = false;
      }
      if ((effect & FLAG_EFFECT.sees) !== 0) areSeen = true;
    }
  }

  /** Leads a jump to the record of its target, or has it wait for that at a stub. */
  private link(record: number, target: number, base: number): void {
    let known = this.words[base + target] ?? 0;
    if (known === 0) {
      known = this.allocate(target);
      this.halves[known >> 1] = OP.decode;
      this.words[base + target] = known;
    }
    if (this.opAt(known) === OP.decode) {
      this.words[(record + RECORD.disp) >> 2] = this.words[(known + RECORD.imm) >> 2] ?? 0;
      this.words[(known + RECORD.imm) >> 2] = record;
    }
    this.words[(record + RECORD.imm) >> 2] = known;
  }

  /** Makes each record the first of the longest sequence that there is an operation for. */
  private joinSequences(tree: SequenceNode): void {
    const { run } = this;
    for (let first = 0; first + 1 < run.length; first++) {
      let node: SequenceNode | undefined = tree;
      let best = 0;
      for (let i = first; node !== undefined && i < run.length; i++) {
        node = node.next.get(this.opAt(run[i]?.record ?? 0));
        if (node !== undefined && node.op !== 0) best = node.op;
      }
      if (best !== 0) this.halves[(run[first]?.record ?? 0) >> 1] = best;
    }
  }

  private giveUp(page: number): void {
    this.mapOfPage[page] = 0;
    this.listener.onEvict();
  }

  private clearMap(map: number): void {
    const start = this.mapAddress(map) >> 2;
    this.words.fill(0, start, start + PAGE_BYTES);
  }

  private mapAddress(map: number): number {
    return this.layout.codeBase + map * MAP_SIZE;
  }

  /** The RAM page that a map belongs to. */
  private pageAt(map: number): number {
    return this.pageOfMap[this.mapIndex(map)] ?? 0;
  }

  private mapIndex(map: number): number {
    return (map - this.layout.codeBase) / MAP_SIZE;
  }
}

/** What all hints are, whatever their operands. */
const NOTHING: Shape = {
  mnemonic: "nop",
  operands: [],
  operandSize: 4,
  address: "base",
  addressSize: 8,
  condition: 0,
  transfer: "none",
  flags: "used",
};

/** In 64-bit mode only fs and gs have bases. */
const hasSegmentBase = (segment: number): boolean => segment === SEGMENT.fs || segment === SEGMENT.gs;

/** The form of a decoded instruction's address; undefined where it is the exact tier's: 32 bits, or a displacement of 64. */
function addressFormOf(decoded: Decoded): AddressForm | undefined {
  let form: AddressForm = "base";
  for (let n = 0; n < decoded.operandCount; n++) {
    const kind = decoded.operands[n]?.kind;
    if (kind === OPERAND.absolute) return undefined;
    if (kind !== OPERAND.memory) continue;
    if (decoded.addressSize !== 8) return undefined;
    if (decoded.index !== NO_REGISTER || hasSegmentBase(decoded.segment)) form = "full";
  }
  return form;
}

/** Where a direct jump at an offset of its page goes. */
function transferOf(decoded: Decoded, at: number): Transfer {
  if (decoded.operandCount === 0 || decoded.operands[0].kind !== OPERAND.relative) return "none";
  const target = at + decoded.length + decoded.immLo;
  if (target < 0 || target >= PAGE_BYTES) return "far";
  return target > at ? "forward" : "backward";
}

const fitsWord = (value: number): boolean => (value | 0) === value;
