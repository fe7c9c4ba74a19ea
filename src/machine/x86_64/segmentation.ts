/**
 * Segment registers and where they come from: descriptors in the global and local tables.
 *
 *     selector ──> GDT or LDT ──> descriptor ──checks──> segment register: selector, base, limit, attributes
 *
 * A check that fails notes its exception in `access` and returns false, with no register changed. Intel SDM volume 3, 3.4 (segments),
 * 3.5 (system descriptors), 5.5-5.8 (privilege levels); volume 2, MOV and LxS ("Operation").
 */
import { EFER, SEGMENT } from "../../isa/x86_64/registers.ts";
import { ATTRIBUTE, SELECTOR, SYSTEM_TYPE, TSS_BUSY } from "../../isa/x86_64/segments.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import type { MemoryAccess } from "./access.ts";
import { addWords } from "./access.ts";
import { CELL, LDTR, segmentAttributes, segmentBase, segmentLimit, segmentSelector, TR } from "./layout.ts";
import { isCanonical } from "./mmu.ts";
import type { Registers } from "./registers.ts";

/** The bits of an error code that name a selector. */
const errorOf = (selector: number): number => selector & ~SELECTOR.RPL;
export const isNull = (selector: number): boolean => (selector & ~SELECTOR.RPL) === 0;
/** Whether the hart is in IA-32e mode: 64-bit or compatibility mode. */
export const isLongMode = (registers: Registers): boolean => (registers.get(CELL.efer) & EFER.LMA) !== 0;

export class Segmentation {
  private readonly registers: Registers;
  private readonly access: MemoryAccess;
  /** The descriptor fetched last: where it is, its words, and what they say. */
  private addressLo = 0;
  private addressHi = 0;
  private readonly words = new Int32Array(4);
  attributes = 0;
  limit = 0;
  baseLo = 0;
  baseHi = 0;
  /** The code segment that was kept. */
  private codeAttributes = 0;
  private codeLimit = 0;
  private codeBase = 0;

  constructor(registers: Registers, access: MemoryAccess) {
    this.registers = registers;
    this.access = access;
  }

  // --- Descriptors -------------------------------------------------------------------------------------------------

  /**
   * Reads a selector's descriptor; false notes `vector` with the selector (what lies beyond the table), or a page fault. `external` is
   * the EXT bit of the error code.
   */
  fetch(selector: number, vector: number = VECTOR.GP, external = 0): boolean {
    return this.read(selector, 8) === "read" || (this.isOutside && this.fail(vector, selector, external));
  }

  /** As `fetch`, of a system descriptor, which has 16 bytes in long mode. */
  fetchSystem(selector: number, vector: number = VECTOR.GP): boolean {
    const size = isLongMode(this.registers) ? 16 : 8;
    if (this.read(selector, size) !== "read") return this.isOutside && this.fail(vector, selector, 0);
    // Bits 12-8 of the last word are the type of what would be a descriptor of its own.
    if (size === 16 && ((this.words[3] ?? 0) & 0x1f00) !== 0) return this.fail(vector, selector, 0);
    return true;
  }

  /** As `fetch`, without an exception for what lies beyond the table: for lar, lsl and their kin. */
  look(selector: number, isWide: boolean): "read" | "outside" | "faulted" {
    return this.read(selector, isWide ? 16 : 8);
  }

  private isOutside = false;

  private read(selector: number, size: 8 | 16): "read" | "outside" | "faulted" {
    const { registers, access, words } = this;
    const isLocal = (selector & SELECTOR.TI) !== 0;
    const limit = registers.get(isLocal ? segmentLimit(LDTR) : CELL.gdtrLimit) >>> 0;
    const hasTable = !isLocal || (registers.get(segmentAttributes(LDTR)) & ATTRIBUTE.P) !== 0;
    const offset = selector & SELECTOR.INDEX;
    this.isOutside = !hasTable || offset + size - 1 > limit;
    if (this.isOutside) return "outside";
    const base = isLocal ? segmentBase(LDTR) : CELL.gdtrBase;
    const { lo, hi } = addWords(registers.get(base), registers.get(base + 4), offset);
    this.addressLo = lo;
    this.addressHi = hi;
    if (!access.loadImplicit(size, lo, hi)) return "faulted";
    words[2] = 0;
    words[3] = 0;
    for (let i = 0; i < size / 4; i++) words[i] = registers.get(CELL.stepValue + i * 4);
    this.unpack();
    return "read";
  }

  private unpack(): void {
    const [lo = 0, hi = 0, upper = 0] = this.words;
    this.attributes = attributesOf(hi);
    this.baseLo = (lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff000000);
    this.baseHi = upper;
    const limit = (lo & 0xffff) | (hi & 0xf0000);
    this.limit = (hi & (1 << 23)) !== 0 ? ((limit << 12) | 0xfff) >>> 0 : limit;
  }

  /** A word of the descriptor, 0-3. */
  word(index: number): number {
    return this.words[index] ?? 0;
  }

  get dpl(): number {
    return (this.attributes & ATTRIBUTE.DPL) >> ATTRIBUTE.DPL_SHIFT;
  }

  get isPresent(): boolean {
    return (this.attributes & ATTRIBUTE.P) !== 0;
  }

  get isSystem(): boolean {
    return (this.attributes & ATTRIBUTE.S) === 0;
  }

  get systemType(): number {
    return this.attributes & ATTRIBUTE.TYPE;
  }

  get isCode(): boolean {
    return (this.attributes & (ATTRIBUTE.S | ATTRIBUTE.CODE)) === (ATTRIBUTE.S | ATTRIBUTE.CODE);
  }

  get isConforming(): boolean {
    return this.isCode && (this.attributes & ATTRIBUTE.CONFORMING) !== 0;
  }

  get isWritableData(): boolean {
    return (
      (this.attributes & (ATTRIBUTE.S | ATTRIBUTE.CODE | ATTRIBUTE.WRITABLE)) === (ATTRIBUTE.S | ATTRIBUTE.WRITABLE)
    );
  }

  get isReadable(): boolean {
    return !this.isSystem && (!this.isCode || (this.attributes & ATTRIBUTE.READABLE) !== 0);
  }

  /** Puts the descriptor into a segment register, and marks it accessed in its table; false if that faults. */
  private enter(segment: number, selector: number): boolean {
    if (!this.markAccessed()) return false;
    this.enterRegister(segment, selector);
    return true;
  }

  /** Sets the accessed bit in the table, if it is not set yet. */
  markAccessed(): boolean {
    if ((this.attributes & ATTRIBUTE.ACCESSED) !== 0) return true;
    this.attributes |= ATTRIBUTE.ACCESSED;
    return this.writeType();
  }

  /** Writes the byte with the type back to the table. */
  private writeType(): boolean {
    const { registers, access } = this;
    const { lo, hi } = addWords(this.addressLo, this.addressHi, 5);
    registers.setWords(CELL.stepValue, this.attributes & 0xff, 0);
    access.selectImplicit();
    const isWritten = access.store(1, lo, hi);
    access.selectContext();
    return isWritten;
  }

  /** Puts the descriptor into a segment register. */
  enterRegister(segment: number, selector: number): void {
    const { registers } = this;
    registers.setWords(segmentBase(segment), this.baseLo, this.baseHi);
    registers.set(segmentLimit(segment), this.limit | 0);
    registers.set(segmentAttributes(segment), this.attributes);
    registers.set(segmentSelector(segment), selector);
  }

  /** Puts a null selector into a segment register. ss keeps the privilege that it stands for. */
  enterNull(segment: number, selector: number): void {
    const { registers } = this;
    registers.setWords(segmentBase(segment), 0, 0);
    registers.set(segmentLimit(segment), 0);
    registers.set(segmentAttributes(segment), segment === SEGMENT.ss ? (selector & 3) << ATTRIBUTE.DPL_SHIFT : 0);
    registers.set(segmentSelector(segment), selector);
  }

  fail(vector: number, selector: number, external = 0): false {
    return this.access.fail(vector, errorOf(selector) | external);
  }

  // --- Loading segment registers -----------------------------------------------------------------------------------

  /** As mov, pop and lds do: es, ss, ds, fs or gs. */
  load(segment: number, selector: number): boolean {
    if (segment === SEGMENT.ss) return this.loadStack(selector, this.registers.cpl, VECTOR.GP, 0);
    if (isNull(selector)) {
      this.enterNull(segment, selector);
      return true;
    }
    if (!this.fetch(selector)) return false;
    if (!this.isReadable) return this.fail(VECTOR.GP, selector);
    const weakest = Math.max(this.registers.cpl, selector & SELECTOR.RPL);
    if (!this.isConforming && weakest > this.dpl) return this.fail(VECTOR.GP, selector);
    if (!this.isPresent) return this.fail(VECTOR.NP, selector);
    return this.enter(segment, selector);
  }

  /** Loads ss for code at a privilege. `vector` is #TS while a privilege changes inwards. */
  loadStack(selector: number, privilege: number, vector: number, external: number): boolean {
    const { registers } = this;
    if (isNull(selector)) {
      const isAllowed = registers.codeMode === 64 && privilege < 3 && (selector & SELECTOR.RPL) === privilege;
      if (!isAllowed || vector !== VECTOR.GP) return this.fail(vector, 0, external);
      this.enterNull(SEGMENT.ss, selector);
      return true;
    }
    if (!this.checkStack(selector, privilege, vector, external)) return false;
    return this.enter(SEGMENT.ss, selector);
  }

  /** Fetches a stack segment's descriptor and checks it, without loading ss. */
  checkStack(selector: number, privilege: number, vector: number, external: number): boolean {
    if (!this.fetch(selector, vector, external)) return false;
    const isFit = (selector & SELECTOR.RPL) === privilege && this.dpl === privilege && this.isWritableData;
    if (!isFit) return this.fail(vector, selector, external);
    return this.isPresent || this.fail(VECTOR.SS, selector, external);
  }

  /**
   * Keeps the code segment fetched last for `enterCode`, while others are fetched, and marks it accessed; false if that faults. Its
   * checks have been made.
   */
  keepCode(): boolean {
    if (!this.markAccessed()) return false;
    this.codeAttributes = this.attributes;
    this.codeLimit = this.limit;
    this.codeBase = this.baseLo;
    return true;
  }

  /** Loads cs with the descriptor that was kept, for code at a privilege. */
  enterCode(selector: number, privilege: number): void {
    const { registers } = this;
    registers.setWords(segmentBase(SEGMENT.cs), this.codeBase, 0);
    registers.set(segmentLimit(SEGMENT.cs), this.codeLimit | 0);
    registers.set(segmentAttributes(SEGMENT.cs), this.codeAttributes);
    registers.set(segmentSelector(SEGMENT.cs), (selector & ~SELECTOR.RPL) | privilege);
    registers.set(CELL.cpl, privilege);
    refreshCodeMode(registers);
  }

  /** Loads a segment register as syscall and its kin do: flat, whatever the tables say. */
  enterFlat(segment: number, selector: number, attributes: number): void {
    const { registers } = this;
    registers.setWords(segmentBase(segment), 0, 0);
    registers.set(segmentLimit(segment), -1);
    registers.set(segmentAttributes(segment), attributes);
    registers.set(segmentSelector(segment), selector);
    if (segment !== SEGMENT.cs) return;
    registers.set(CELL.cpl, (attributes & ATTRIBUTE.DPL) >> ATTRIBUTE.DPL_SHIFT);
    refreshCodeMode(registers);
  }

  /** Whether an offset may be executed in the code segment fetched last. */
  admitsTarget(lo: number, hi: number): boolean {
    if (isLongMode(this.registers) && (this.attributes & ATTRIBUTE.L) !== 0) return isCanonical(hi);
    return hi === 0 && lo >>> 0 <= this.limit;
  }

  /** Whether bytes are within the limit of the data segment fetched last. */
  admitsData(offset: number, size: number): boolean {
    const first = offset >>> 0;
    const last = first + size - 1;
    if ((this.attributes & ATTRIBUTE.EXPAND_DOWN) === 0) return last <= this.limit;
    return first > this.limit && last <= ((this.attributes & ATTRIBUTE.DB) !== 0 ? 0xffffffff : 0xffff);
  }

  /** After a return to a lower privilege: data segments that it may not use become null, but for their bases. */
  dropInnerSegments(): void {
    const { registers } = this;
    for (const segment of [SEGMENT.es, SEGMENT.ds, SEGMENT.fs, SEGMENT.gs]) {
      const attributes = registers.get(segmentAttributes(segment));
      const isConforming =
        (attributes & (ATTRIBUTE.CODE | ATTRIBUTE.CONFORMING)) === (ATTRIBUTE.CODE | ATTRIBUTE.CONFORMING);
      const dpl = (attributes & ATTRIBUTE.DPL) >> ATTRIBUTE.DPL_SHIFT;
      if ((attributes & ATTRIBUTE.P) !== 0 && !isConforming && dpl < registers.cpl) {
        // 64-bit code goes on using the bases of fs and gs.
        registers.set(segmentAttributes(segment), 0);
        registers.set(segmentSelector(segment), 0);
      }
    }
  }

  /** Reads a field of the TSS into the step value. */
  readTask(offset: number, size: number, external: number): boolean {
    const { registers, access } = this;
    const isInside = offset + size - 1 <= registers.get(segmentLimit(TR)) >>> 0;
    if (!isInside) return this.fail(VECTOR.TS, registers.get(segmentSelector(TR)), external);
    const { lo, hi } = addWords(registers.get(segmentBase(TR)), registers.get(segmentBase(TR) + 4), offset);
    return access.loadImplicit(size, lo, hi);
  }

  // --- System segments ---------------------------------------------------------------------------------------------

  /** lldt. */
  loadLocalTable(selector: number): boolean {
    if (isNull(selector)) {
      this.enterNull(LDTR, selector);
      return true;
    }
    if ((selector & SELECTOR.TI) !== 0) return this.fail(VECTOR.GP, selector);
    if (!this.fetchSystem(selector)) return false;
    if (!this.isSystem || this.systemType !== SYSTEM_TYPE.ldt) return this.fail(VECTOR.GP, selector);
    if (!this.isPresent) return this.fail(VECTOR.NP, selector);
    if (!isCanonical(this.baseHi)) return this.fail(VECTOR.GP, 0);
    this.enterRegister(LDTR, selector);
    return true;
  }

  /** ltr. Only available TSSs, and in long mode only 64-bit ones. */
  loadTask(selector: number): boolean {
    if (isNull(selector)) return this.fail(VECTOR.GP, 0);
    if ((selector & SELECTOR.TI) !== 0) return this.fail(VECTOR.GP, selector);
    if (!this.fetchSystem(selector)) return false;
    const is16Bit = this.systemType === AVAILABLE_TSS_16 && !isLongMode(this.registers);
    if (!this.isSystem || !(is16Bit || this.systemType === SYSTEM_TYPE.availableTss)) {
      return this.fail(VECTOR.GP, selector);
    }
    if (!this.isPresent) return this.fail(VECTOR.NP, selector);
    if (!isCanonical(this.baseHi)) return this.fail(VECTOR.GP, 0);
    this.attributes |= TSS_BUSY;
    if (!this.writeType()) return false;
    this.enterRegister(TR, selector);
    return true;
  }
}

/** The 16-bit TSS, which long mode does not have. */
const AVAILABLE_TSS_16 = 1;

/** The attributes in a descriptor's second word. */
export const attributesOf = (hi: number): number => (hi >> 8) & 0xf0ff;

/** Brings CELL.codeMode in line with cs and EFER.LMA. */
export function refreshCodeMode(registers: Registers): void {
  const attributes = registers.get(segmentAttributes(SEGMENT.cs));
  const is64 = isLongMode(registers) && (attributes & ATTRIBUTE.L) !== 0;
  registers.set(CELL.codeMode, is64 ? 64 : (attributes & ATTRIBUTE.DB) !== 0 ? 32 : 16);
}
