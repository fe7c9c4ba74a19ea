/**
 * The predecoded code of guest pages.
 *
 * A page of RAM that is executed gets a code frame: 2048 records, one for each 2-byte slot, decoded when they are first
 * reached, and one record at the end that means "the next page".
 *
 *     slot    0      1      2      3     ...   2047    end
 *           +------+------+------+------+-----+------+------+
 *           | addi |  (2  | c.ld |  ?   |     |      | next |       ? op 0, not decoded yet
 *           +------+------+------+------+-----+------+------+
 *
 * Code is always coherent: whoever writes to a page with a code frame calls `invalidate`, which forgets the records that the
 * bytes overlap. Stores by the guest notice since the TLB has no store entry for such a page. A 4-byte instruction that
 * straddles two pages has its record after those of the first page, and is checked each time: the same page must follow.
 */
import { expandCompressed } from "../../isa/riscv64/compressed.ts";
import { decodeInto, newDecoded, type Decoded } from "../../isa/riscv64/decode.ts";
import { INSTRUCTIONS, type Instruction } from "../../isa/riscv64/instructions.ts";
import type { WasmMemory } from "../../wasm/engine.ts";
import type { Layout } from "../engine/layout.ts";
import type { CodeListener } from "../engine/shared-engine.ts";
import { ROUNDINGS } from "./emitter.ts";
import {
  CELL,
  CODE_FRAME_SIZE,
  CODE_SLOTS,
  codeFrame,
  codeFrameCount,
  FRAME_END,
  RECORD,
  RECORD_SIZE,
} from "./layout.ts";
import type { Forwarding } from "./run-emitter.ts";
import { LONGEST_SEQUENCE, sequences } from "./sequences.ts";
import { findOp, isSystem, OP, SHAPES, type KnownZero, type Shape, type Transfer } from "./shapes.ts";

const PAGE_BYTES = 4096;
const SLOTS = CODE_SLOTS;
/** Writes to a page with code before it counts as data; doubled each time that it is executed again, up to 2^8 times as many. */
const PATIENCE = 64;
const MOST_PATIENCE_SHIFT = 8;
/** How many instructions are decoded at once, at most; a jump that is always taken ends it too. */
const DECODE_AHEAD = 32;

/** The value of `rm` that means frm. Under 0 and under this one, code for "nearest" is used, if frm is RNE. */
const DYNAMIC_ROUNDING = 7;

/** Which of an instruction's register fields name floating-point registers. */
interface FieldKinds {
  readonly rd: boolean;
  readonly rs1: boolean;
  readonly rs2: boolean;
  readonly writesRd: boolean;
}

export class CodeCache {
  private readonly layout: Layout;
  private readonly frames: number;
  private readonly halves: Uint16Array;
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  /** By RAM page: its code frame + 1, or 0. */
  private readonly frameOfPage: Int16Array;
  private readonly pageOfFrame: Int32Array;
  /** By RAM page: 1 when some TLB may have a store translation to it. */
  private readonly mayBeStoredTo: Uint8Array;
  private used = 0;
  private victim = 0;
  /** Code frames that were used and are free again. */
  private readonly free: number[] = [];
  /** By code frame: writes to its page since something was decoded there. */
  private readonly writes: Uint16Array;
  /** By RAM page: how often its code was given up because of writes. */
  private readonly lostCode: Uint8Array;
  /** By RAM page: its translated regions. */
  private readonly regions = new Map<number, PageRegion[]>();
  /** By RAM page: the pages with an instruction that was decoded across their end into this one. */
  private readonly straddlingInto = new Map<number, Set<number>>();
  private readonly decoded: Decoded = newDecoded();
  /** The records decoded together. */
  private readonly run: number[] = [];
  private readonly listener: CodeListener;
  /** Whether the interpreter has operations for sequences. */
  private isJoining = false;

  constructor(memory: WasmMemory, layout: Layout, ramSize: number, listener: CodeListener) {
    this.layout = layout;
    this.halves = new Uint16Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.frameOfPage = new Int16Array(ramSize / 4096);
    this.frames = codeFrameCount(layout);
    this.pageOfFrame = new Int32Array(this.frames);
    this.mayBeStoredTo = new Uint8Array(ramSize / 4096);
    this.writes = new Uint16Array(this.frames);
    this.lostCode = new Uint8Array(ramSize / 4096);
    this.listener = listener;
  }

  hasCode(page: number): boolean {
    return this.frameOfPage[page] !== 0;
  }

  /** Some TLB has a store translation to the page from now on. */
  noteStoreTranslation(page: number): void {
    this.mayBeStoredTo[page] = 1;
  }

  /** The address of the page's records; gives it a code frame if it has none, which may take another page's. */
  recordsOf(page: number): number {
    const known = this.frameOfPage[page] ?? 0;
    if (known !== 0) return codeFrame(this.layout, known - 1);
    let frame = this.free.pop() ?? this.used;
    if (frame === this.used && frame < this.frames) {
      this.used++;
    } else if (frame === this.used) {
      frame = this.victim;
      this.victim = (this.victim + 1) % this.frames;
      this.giveUp(this.pageOfFrame[frame] ?? 0);
    }
    const base = codeFrame(this.layout, frame);
    this.bytes.fill(0, base, base + CODE_FRAME_SIZE);
    this.halves[(base + FRAME_END.nextPage * RECORD_SIZE) >> 1] = OP.nextPage;
    this.halves[(base + FRAME_END.afterStraddling * RECORD_SIZE) >> 1] = OP.nextPage;
    this.frameOfPage[page] = frame + 1;
    this.pageOfFrame[frame] = page;
    this.writes[frame] = 0;
    if (this.mayBeStoredTo[page] !== 0) {
      this.mayBeStoredTo[page] = 0;
      this.listener.onCode(page);
    }
    return base;
  }

  /** The page has no code frame any more. */
  private giveUp(page: number): void {
    this.frameOfPage[page] = 0;
    this.regions.delete(page);
    this.forgetStraddling(page);
    this.listener.onEvict();
  }

  /** From now on the interpreter has operations for sequences. */
  startJoining(): void {
    this.isJoining = true;
    this.clear();
  }

  /** Forgets all that was decoded; every code frame is free. */
  clear(): void {
    this.frameOfPage.fill(0);
    this.straddlingInto.clear();
    this.regions.clear();
    this.used = 0;
    this.free.length = 0;
    this.listener.onEvict();
  }

  /** The instruction's id in the ISA's table. */
  idAt(record: number): number {
    return this.bytes[record + RECORD.id] ?? 0;
  }

  /** A field of 16 bits, and one of 32, of a record. */
  field(record: number, field: number): number {
    return this.halves[(record + field) >> 1] ?? 0;
  }

  wordField(record: number, field: number): number {
    return this.words[(record + field) >> 2] ?? 0;
  }

  /** The op at a record. */
  opAt(record: number): number {
    return this.halves[record >> 1] ?? 0;
  }

  /**
   * The bytes [offset, offset + length) of a RAM page with code have changed. A page that is overwritten, or written to again and
   * again while nothing new is decoded, is data now: it gives up its code frame, so that stores to it are fast. One that is executed
   * all the same gets more patience each time.
   */
  invalidate(page: number, offset: number, length: number): void {
    const frame = (this.frameOfPage[page] ?? 1) - 1;
    const writes = (this.writes[frame] ?? 0) + 1;
    this.writes[frame] = writes;
    const lost = this.lostCode[page] ?? 0;
    if (length === PAGE_BYTES || writes > PATIENCE << lost) {
      this.free.push(frame);
      this.lostCode[page] = length === PAGE_BYTES ? 0 : Math.min(lost + 1, MOST_PATIENCE_SHIFT);
      this.giveUp(page);
      return;
    }
    if (offset < 2) this.forgetStraddling(page);
    const base = codeFrame(this.layout, frame);
    // An instruction begins at most one slot before a byte that it covers, and so does the last of a sequence.
    const first = Math.max(0, (offset >> 1) - (2 * LONGEST_SEQUENCE - 1));
    const last = Math.min(SLOTS - 1, (offset + length - 1) >> 1);
    for (let slot = first; slot <= last; slot++) this.halves[(base + slot * RECORD_SIZE) >> 1] = OP.decode;
    this.dropRegions(page, first, last);
  }

  /** Whether the record is the head of a translated region. */
  isRegion(record: number): boolean {
    return this.opAt(record) === OP.region;
  }

  /**
   * The instructions from a record on that a region can have: up to a jump, which may be the last, or what leaves the page or
   * is the exact tier's, which is not among them.
   */
  membersFrom(record: number, limit: number): CodeMember[] {
    const page = this.pageAt(record);
    const base = this.recordsOfKnown(page);
    // A code frame that was given up: the page has none now, or another.
    if (base === undefined || record < base || record >= base + SLOTS * RECORD_SIZE) return [];
    const pageHalf = (this.layout.ram + page * 4096) >> 1;
    const members: CodeMember[] = [];
    const { decoded } = this;
    for (let slot = (record - base) / RECORD_SIZE; slot < SLOTS && members.length < limit;) {
      const low = this.halves[pageHalf + slot] ?? 0;
      const size = (low & 3) === 3 ? 4 : 2;
      if (size === 4 && slot === SLOTS - 1) break;
      const word = size === 2 ? expandCompressed(low) : low | ((this.halves[pageHalf + slot + 1] ?? 0) << 16);
      if (!decodeInto(decoded, word)) break;
      // Decoding succeeded, so the id is a row's.
      const row = INSTRUCTIONS[decoded.id] as Instruction;
      const transfer = transferOf(row, slot, decoded.imm);
      const shape = SHAPES[this.chooseOp(row, size, transfer) - OP.first];
      if (shape === undefined || transfer === "far" || row.mnemonic === "jalr") break;
      const at = base + slot * RECORD_SIZE;
      const target = transfer === "none" ? undefined : at + decoded.imm * 8;
      const { id, rd, rs1, rs2, rs3, imm } = decoded;
      members.push({ at, shape, id, rd, rs1, rs2, rs3, imm, target });
      if (row.mnemonic === "jal") break;
      slot += size / 2;
    }
    return members;
  }

  /** From now on control that comes to the record enters the region of that index. */
  enterRegion(head: number, index: number, members: readonly CodeMember[]): void {
    const page = this.pageAt(head);
    const base = codeFrame(this.layout, (this.frameOfPage[page] ?? 1) - 1);
    const last = members[members.length - 1];
    if (last === undefined) return;
    this.halves[(head + RECORD.rs3) >> 1] = index;
    this.halves[head >> 1] = OP.region;
    const slotOf = (at: number): number => (at - base) / RECORD_SIZE;
    const regions = this.regions.get(page) ?? [];
    regions.push({ head, first: slotOf(head), end: slotOf(last.at) + last.shape.size / 2 });
    this.regions.set(page, regions);
  }

  /** No region is entered any more. */
  forgetRegions(): void {
    for (const page of [...this.regions.keys()]) this.dropRegions(page, 0, SLOTS);
  }

  /** Slots [first, last] of a page have changed: regions that have any of them are entered no more. */
  private dropRegions(page: number, first: number, last: number): void {
    const regions = this.regions.get(page);
    if (regions === undefined) return;
    const kept = regions.filter((region) => region.first > last || region.end <= first);
    for (const region of regions) if (!kept.includes(region)) this.halves[region.head >> 1] = OP.decode;
    if (kept.length === 0) this.regions.delete(page);
    else this.regions.set(page, kept);
  }

  /** The records of a page that has some. */
  private recordsOfKnown(page: number): number | undefined {
    const known = this.frameOfPage[page] ?? 0;
    return known === 0 ? undefined : codeFrame(this.layout, known - 1);
  }

  /** Decodes the instruction of a record, and those that follow it. */
  decodeAt(record: number): void {
    const frame = Math.floor((record - this.layout.codeBase) / CODE_FRAME_SIZE);
    this.writes[frame] = 0;
    const base = codeFrame(this.layout, frame);
    const pageStart = this.layout.ram + (this.pageOfFrame[frame] ?? 0) * 4096;
    let slot = (record - base) / RECORD_SIZE;
    const { run } = this;
    run.length = 0;
    while (run.length < DECODE_AHEAD && slot >= 0 && slot < SLOTS) {
      const at = base + slot * RECORD_SIZE;
      run.push(at);
      if (this.opAt(at) !== OP.decode) break;
      slot = this.decodeSlot(at, pageStart, slot);
    }
    if (this.isJoining) this.joinSequences(run, base + SLOTS * RECORD_SIZE);
  }

  /** Decodes one slot; the slot that follows, or -1 where decoding ahead ends. */
  private decodeSlot(at: number, pageStart: number, slot: number): number {
    const low = this.halves[(pageStart >> 1) + slot] ?? 0;
    const size = (low & 3) === 3 ? 4 : 2;
    if (size === 4 && slot === SLOTS - 1) {
      this.bytes[at + RECORD.size] = size;
      this.halves[at >> 1] = OP.slow;
      return -1;
    }
    const word = size === 2 ? expandCompressed(low) : low | ((this.halves[(pageStart >> 1) + slot + 1] ?? 0) << 16);
    return this.writeRecord(at, word, size, slot) ? slot + size / 2 : -1;
  }

  /**
   * Decodes a word into a record; false where decoding ahead ends. `slot` tells which branches stay in the page; for an
   * instruction outside the page's own records it is undefined, and none do.
   */
  private writeRecord(at: number, word: number, size: 2 | 4, slot: number | undefined): boolean {
    const half = at >> 1;
    const { decoded } = this;
    this.bytes[at + RECORD.size] = size;
    if (!decodeInto(decoded, word)) {
      this.halves[half] = OP.slow;
      return false;
    }
    // Decoding succeeded, so the id is a row's.
    const row = INSTRUCTIONS[decoded.id] as Instruction;
    this.bytes[at + RECORD.id] = decoded.id;
    this.halves[half + 1] = destinationAddress(row.id, decoded.rd);
    this.halves[half + 2] = sourceAddress(isFloatField[row.id]?.rs1 ?? false, decoded.rs1);
    this.halves[half + 3] = sourceAddress(isFloatField[row.id]?.rs2 ?? false, decoded.rs2);
    this.halves[half + 6] = sourceAddress(true, decoded.rs3);
    let imm = decoded.imm;
    const transfer = transferOf(row, slot, imm);
    if (transfer === "forward" || transfer === "backward") imm *= 8;
    this.words[(at + RECORD.imm) >> 2] = imm;
    this.halves[half] = this.chooseOp(row, size, transfer);
    const { mnemonic } = row;
    return !(mnemonic === "jal" || mnemonic === "jalr" || mnemonic === "mret" || mnemonic === "sret");
  }

  /**
   * Whether the record is that of a 4-byte instruction in the last slot of its page, whose other half is in the page that
   * follows in the virtual address space.
   */
  isStraddling(record: number): boolean {
    const isLast = (record - this.layout.codeBase) % CODE_FRAME_SIZE === (SLOTS - 1) * RECORD_SIZE;
    return isLast && this.bytes[record + RECORD.size] === 4;
  }

  /**
   * Decodes a straddling instruction, given where the records of the page are that has its second half. It holds for as long
   * as the execute TLB leads from the next page to those records, and their page's first two bytes do not change.
   */
  decodeStraddling(record: number, nextRecords: number): void {
    const page = this.pageAt(record);
    const nextPage = this.pageAt(nextRecords);
    const low = this.halves[(this.layout.ram + page * 4096 + 4094) >> 1] ?? 0;
    const high = this.halves[(this.layout.ram + nextPage * 4096) >> 1] ?? 0;
    const base = record - (SLOTS - 1) * RECORD_SIZE;
    this.writeRecord(base + FRAME_END.straddling * RECORD_SIZE, low | (high << 16), 4, undefined);
    this.words[(record + RECORD.imm) >> 2] = nextRecords;
    this.halves[record >> 1] = OP.straddle;
    let from = this.straddlingInto.get(nextPage);
    if (from === undefined) {
      from = new Set();
      this.straddlingInto.set(nextPage, from);
    }
    from.add(page);
  }

  /** The first two bytes of a page, or where its records are, have changed: what straddled into it is decoded again. */
  private forgetStraddling(nextPage: number): void {
    const from = this.straddlingInto.get(nextPage);
    if (from === undefined) return;
    this.straddlingInto.delete(nextPage);
    for (const page of from) {
      const frame = (this.frameOfPage[page] ?? 0) - 1;
      if (frame < 0) continue;
      this.halves[(codeFrame(this.layout, frame) + (SLOTS - 1) * RECORD_SIZE) >> 1] = OP.decode;
    }
  }

  /** The RAM page whose records these are. */
  private pageAt(record: number): number {
    return this.pageOfFrame[Math.floor((record - this.layout.codeBase) / CODE_FRAME_SIZE)] ?? 0;
  }

  private chooseOp(row: Instruction, size: 2 | 4, transfer: Transfer): number {
    if (isSystem(row.mnemonic)) return OP.slow;
    const { decoded } = this;
    const { operands } = row.format;
    const rounds = operands.some((operand) => operand === "rm" || operand === "rmExact");
    if (rounds && decoded.rm !== 0 && decoded.rm !== DYNAMIC_ROUNDING) {
      const rounding = ROUNDINGS[decoded.rm];
      return (rounding !== undefined && findOp(row.id, size, undefined, transfer, rounding)) || OP.slow;
    }
    for (const zero of ZEROS) {
      if (!isZero(row, decoded, zero)) continue;
      const op = findOp(row.id, size, zero, transfer, "nearest");
      if (op !== 0) return op;
    }
    return findOp(row.id, size, undefined, transfer, "nearest") || OP.slow;
  }

  /** Makes each of these adjacent records the first of the longest sequence that there is an operation for. */
  private joinSequences(run: readonly number[], end: number): void {
    // The last record may have been decoded before: what follows it takes part as well.
    const last = run[run.length - 1] ?? end;
    for (const first of run) {
      if (first === last && run.length > 1) return;
      let node: SequenceNode | undefined = (tree ??= growTree());
      let at = first;
      let previous = CELL.sink as number;
      let best = 0;
      while (at < end) {
        const op = baseOp(this.opAt(at));
        if (op < OP.first) break;
        const rs1 = this.halves[(at + RECORD.rs1) >> 1] ?? 0;
        const rs2 = this.halves[(at + RECORD.rs2) >> 1] ?? 0;
        const step: SequenceNode | undefined = stepIn(node, op, rs1 === previous, rs2 === previous);
        if (step === undefined) break;
        node = step;
        if (node.op !== 0) best = node.op;
        previous = this.halves[(at + RECORD.rd) >> 1] ?? 0;
        at += (this.bytes[at + RECORD.size] ?? 4) * 8;
      }
      if (best !== 0) this.halves[first >> 1] = best;
    }
  }
}

/** An instruction of a region: its record, its shape and its operands. */
export interface CodeMember {
  readonly at: number;
  readonly shape: Shape;
  readonly id: number;
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  readonly imm: number;
  /** The record that a branch or jump goes to. */
  readonly target: number | undefined;
}

/** A translated region of a page: the record of its head, and the slots [first, end) that it covers. */
interface PageRegion {
  readonly head: number;
  readonly first: number;
  readonly end: number;
}

const ZEROS: readonly KnownZero[] = ["rd", "rs1", "rs2", "imm"];

const isFloatField: readonly FieldKinds[] = INSTRUCTIONS.map((row) => {
  const has = (operand: string): boolean => (row.format.operands as readonly string[]).includes(operand);
  return { rd: has("frd"), rs1: has("frs1"), rs2: has("frs2"), writesRd: has("rd") || has("frd") };
});

/** The window address of a source register field. */
export function sourceAddress(isFloat: boolean, register: number): number {
  return (isFloat ? CELL.f : CELL.x) + register * 8;
}

/** The window address of what an instruction writes. */
export function destinationAddress(id: number, register: number): number {
  const kinds = isFloatField[id];
  if (kinds === undefined || !kinds.writesRd) return CELL.sink;
  if (kinds.rd) return CELL.f + register * 8;
  return register === 0 ? CELL.sink : CELL.x + register * 8;
}

/** Whether the fields rs1 and rs2 of an instruction name floating-point registers. */
export function floatFieldsOf(id: number): { readonly rs1: boolean; readonly rs2: boolean } {
  return isFloatField[id] ?? { rs1: false, rs2: false };
}

function isZero(row: Instruction, decoded: Decoded, zero: KnownZero): boolean {
  switch (zero) {
    case "rd":
      return decoded.rd === 0;
    case "rs1":
      return decoded.rs1 === 0 && isFloatField[row.id]?.rs1 === false;
    case "rs2":
      return decoded.rs2 === 0 && isFloatField[row.id]?.rs2 === false;
    case "imm":
      return decoded.imm === 0;
  }
}

function transferOf(row: Instruction, slot: number | undefined, imm: number): Transfer {
  if (row.formatName !== "Branch" && row.mnemonic !== "jal") return "none";
  if (slot === undefined) return "far";
  const target = slot * 2 + imm;
  if (target < 0 || target >= 4096) return "far";
  return imm > 0 ? "forward" : "backward";
}

const opsByShape: ReadonlyMap<Shape, number> = new Map(SHAPES.map((shape, index) => [shape, OP.first + index]));
const opOfShape = (shape: Shape): number => opsByShape.get(shape) ?? OP.slow;

/** The sequences as a tree: from a node, an element leads to the next. */
interface SequenceNode {
  /** The operation of the sequence that ends here, or 0. */
  op: number;
  readonly next: Map<number, SequenceNode>;
}

const FIRST_SEQUENCE = OP.first + SHAPES.length;
const elementKey = (op: number, forwarding: Forwarding): number =>
  op * 4 + (forwarding === "none" ? 0 : forwarding === "rs1" ? 1 : 2);

function growTree(): SequenceNode {
  const root: SequenceNode = { op: 0, next: new Map() };
  for (const [index, sequence] of sequences().entries()) {
    let node = root;
    for (const { shape, forwarding } of sequence) {
      const key = elementKey(opOfShape(shape), forwarding);
      let next = node.next.get(key);
      if (next === undefined) {
        next = { op: 0, next: new Map() };
        node.next.set(key, next);
      }
      node = next;
    }
    node.op = FIRST_SEQUENCE + index;
  }
  return root;
}

let tree: SequenceNode | undefined;

/**
 * The node of an element. One that forwards goes first; one that does not is right whatever the operands are, since the
 * registers in the window are up to date as well.
 */
function stepIn(node: SequenceNode, op: number, isRs1: boolean, isRs2: boolean): SequenceNode | undefined {
  return (
    (isRs1 ? node.next.get(elementKey(op, "rs1")) : undefined) ??
    (isRs2 ? node.next.get(elementKey(op, "rs2")) : undefined) ??
    node.next.get(elementKey(op, "none"))
  );
}

/** The op of a sequence's first instruction; any other op itself. */
function baseOp(op: number): number {
  if (op < FIRST_SEQUENCE) return op;
  const first = sequences()[op - FIRST_SEQUENCE]?.[0];
  return first === undefined ? op : opOfShape(first.shape);
}
