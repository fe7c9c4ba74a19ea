/**
 * Memory as a hart sees it, exactly: segmentation, translation through the TLB and the page-table walker, RAM and devices, page
 * boundaries. The interpreter has the fast part of this inline; what is odd comes here.
 *
 *     segment : offset ──linear()──> linear address ──translate()──> TLB? -> walk ──> RAM (and a TLB entry) or device
 *                       #GP(0), #SS(0)                       #PF
 *
 * What no device answers reads as all ones, and swallows what is written. Intel SDM volume 3, 3.2-3.4 (segments), 4.6 (access rights),
 * 5.3 (limits); volume 1, 3.3.7.1 (canonical addresses).
 */
import { CR0, CR4, EFER, RFLAGS, SEGMENT } from "../../isa/x86_64/registers.ts";
import { ATTRIBUTE } from "../../isa/x86_64/segments.ts";
import { CR3, PTE } from "../../isa/x86_64/paging.ts";
import { VECTOR } from "../../isa/x86_64/vectors.ts";
import { highHalf, toNumber } from "../../lib/word64.ts";
import type { AccessSize, BusWord } from "../bus.ts";
import type { TlbSet } from "../engine/tlb.ts";
import type { ModelTlb, Walked, Walker } from "../engine/translation-check.ts";
import type { AccessType, Hart, Translation } from "../hart.ts";
import type { EngineMachine } from "../processor.ts";
import { isArmed, noteAccess } from "./breakpoints.ts";
import { CELL, segmentAttributes, segmentBase, segmentLimit } from "./layout.ts";
import {
  isAllowed,
  isCanonical,
  PHYSICAL_ADDRESS_BITS,
  walk,
  type WalkMemory,
  type WalkRequest,
  type WalkResult,
} from "./mmu.ts";
import type { Registers } from "./registers.ts";

export type AccessMachine = Pick<EngineMachine, "bus" | "ram" | "probes" | "translationCheck">;

/** What accesses need of the predecoded code; `CodeCache` is that. Pages are counted from the start of RAM. */
export interface CodePages {
  hasCode(page: number): boolean;
  /** The address of the page's map of records, which the execute TLB leads to. */
  recordsOf(page: number): number;
  /** Some TLB has a store translation to the page from now on. */
  noteStoreTranslation(page: number): void;
}

/** Where some bytes are: in one page, or in the end of one and the start of another. */
export interface Span {
  /** Physical addresses; `second` counts only where `firstSize` is less than the whole. */
  first: number;
  firstSize: number;
  second: number;
}

export const newSpan = (): Span => ({ first: 0, firstSize: 0, second: 0 });

/** Modes of a TLB context, above the privileges. */
const FLAG = { WP: 1 << 4, SMEP: 1 << 5, SMAP: 1 << 6, NXE: 1 << 7, PG: 1 << 8 } as const;
/** In `Walked.rights`: XD is set somewhere on the way. */
const NO_EXECUTE = 1 << 31;
const MOST_PHYSICAL = 2 ** PHYSICAL_ADDRESS_BITS;

export class MemoryAccess implements WalkMemory, Walker {
  private readonly machine: AccessMachine;
  private readonly code: CodePages;
  private readonly hart: Hart;
  private readonly registers: Registers;
  private readonly tlbs: TlbSet;
  /** The exception of the access that failed last; `cr2` is for page faults. */
  vector = 0;
  errorCode = 0;
  cr2Lo = 0;
  cr2Hi = 0;
  /** What `linear` gave. */
  linearLo = 0;
  linearHi = 0;
  pteLo = 0;
  pteHi = 0;
  /** The control registers that the next four were made from, and what they say of contexts but for the space and SMAP. */
  private knownCr0 = 0;
  private knownCr4 = 0;
  private knownEfer = 0;
  private userFlags = 0;
  private supervisorFlags = 0;
  /** CR0.PG: addresses are translated. */
  private isPaging = false;
  /** Misaligned accesses raise #AC: CPL 3, CR0.AM, RFLAGS.AC. */
  private checksAlignment = false;
  /** Breakpoints are enabled: those of data are noted. */
  isWatched = false;
  private readonly word: BusWord = { lo: 0, hi: 0 };
  private readonly span: Span = newSpan();
  private readonly request: WalkRequest = {
    lo: 0,
    hi: 0,
    access: "load",
    cr3Lo: 0,
    cr3Hi: 0,
    isUser: false,
    writeProtect: false,
    smep: false,
    smap: false,
    nxe: false,
    updates: true,
  };
  private readonly result: WalkResult = { errorCode: 0, page: 0, shift: 12 };
  /** What a real TLB could have, where stale translations are looked for. */
  readonly model: ModelTlb | undefined;
  readonly walked: Walked = { page: 0, shift: 12, rights: 0, isGlobal: false, path: [] };
  readonly accessed = PTE.A;
  readonly dirty = PTE.D;

  constructor(machine: AccessMachine, code: CodePages, hart: Hart, registers: Registers, tlbs: TlbSet) {
    this.machine = machine;
    this.code = code;
    this.hart = hart;
    this.registers = registers;
    this.tlbs = tlbs;
    this.model = machine.translationCheck?.createModel(hart, tlbs, this);
  }

  // --- Modes -------------------------------------------------------------------------------------------------------

  /** Selects the TLB context for the hart's present modes. Called whenever one of them may have changed. */
  selectContext(): void {
    const { registers } = this;
    const isUser = registers.cpl === 3;
    const ac = registers.hasFlag(RFLAGS.AC);
    this.checksAlignment = isUser && ac && (registers.get(CELL.cr0) & CR0.AM) !== 0;
    this.isWatched = isArmed(registers);
    registers.set(CELL.tlb, this.select(isUser, !ac));
  }

  /**
   * From here to `selectContext` accesses are the processor's own, to tables of the system: of the supervisor whatever the CPL is,
   * and under SMAP whatever RFLAGS.AC is. SDM volume 3, 4.6.1.
   */
  selectImplicit(): void {
    this.checksAlignment = false;
    this.isWatched = false;
    this.select(false, true);
  }

  /**
   * Loads up to 16 bytes of a table of the system into the step value, as after `selectImplicit`, and selects the hart's own context
   * again; false if that faults.
   */
  loadImplicit(size: number, lo: number, hi: number): boolean {
    const { tlbs, request, registers } = this;
    if (this.isPaging && (lo & 7) === 0 && size >= 8 && (lo & 4095) + size <= 4096) {
      const hasSmap = (registers.get(CELL.cr4) & CR4.SMAP) !== 0;
      const flags = hasSmap ? this.supervisorFlags | FLAG.SMAP : this.supervisorFlags;
      const index = tlbs.findAside(request.cr3Lo, request.cr3Hi, flags, "load", lo, hi);
      if (index >= 0) {
        const { words, base } = registers;
        const from = (lo + tlbs.addendAt(index)) >>> 2;
        const to = (base + CELL.stepValue) >> 2;
        for (let at = 0; at < size >> 2; at++) words[to + at] = words[from + at] ?? 0;
        return true;
      }
    }
    this.selectImplicit();
    const isRead = this.load(size, lo, hi);
    this.selectContext();
    return isRead;
  }

  /** Whether accesses have more to be looked at than the interpreter does. */
  get isChecked(): boolean {
    return this.checksAlignment || this.isWatched;
  }

  private select(isUser: boolean, isSmapInForce: boolean): number {
    const { registers, request, tlbs } = this;
    const cr0 = registers.get(CELL.cr0);
    const cr4 = registers.get(CELL.cr4);
    const efer = registers.get(CELL.efer);
    if (cr0 !== this.knownCr0 || cr4 !== this.knownCr4 || efer !== this.knownEfer) this.learnModes(cr0, cr4, efer);
    request.isUser = isUser;
    if (!this.isPaging) return tlbs.select(0, 0, isUser ? 0b1111 : 0, 0);
    const smap = isSmapInForce && (cr4 & CR4.SMAP) !== 0;
    request.smap = smap;
    // Without PCIDs the low bits of CR3 are not part of what names the space.
    const hasPcid = (cr4 & CR4.PCIDE) !== 0;
    const cr3 = registers.get(CELL.cr3);
    const lo = hasPcid ? cr3 : cr3 & CR3.ADDRESS;
    const hi = registers.get(CELL.cr3 + 4);
    request.cr3Lo = lo;
    request.cr3Hi = hi;
    const pcid = hasPcid ? lo & CR3.PCID : 0;
    this.model?.select(pcid, toNumber(hi, lo & CR3.ADDRESS));
    const flags = isUser ? this.userFlags : smap ? this.supervisorFlags | FLAG.SMAP : this.supervisorFlags;
    return tlbs.select(lo, hi, flags, pcid);
  }

  private learnModes(cr0: number, cr4: number, efer: number): void {
    const { request } = this;
    this.knownCr0 = cr0;
    this.knownCr4 = cr4;
    this.knownEfer = efer;
    this.isPaging = (cr0 & CR0.PG) !== 0;
    request.writeProtect = (cr0 & CR0.WP) !== 0;
    request.smep = (cr4 & CR4.SMEP) !== 0;
    request.nxe = (efer & EFER.NXE) !== 0;
    const { writeProtect, smep, nxe } = request;
    const common = FLAG.PG | (nxe ? FLAG.NXE : 0);
    this.userFlags = common | 0b1111;
    this.supervisorFlags = common | (writeProtect ? FLAG.WP : 0) | (smep ? FLAG.SMEP : 0);
  }

  // --- Segments ----------------------------------------------------------------------------------------------------

  /**
   * The linear address of `size` bytes at an offset in a segment, into `linearLo` and `linearHi`; false notes #SS(0) or #GP(0). In
   * 64-bit mode only fs and gs have a base, and nothing has a limit.
   */
  linear(segment: number, offsetLo: number, offsetHi: number, size: number, access: AccessType): boolean {
    const { registers } = this;
    if (registers.codeMode !== 64) return this.linear32(segment, offsetLo, size, access);
    let lo = offsetLo;
    let hi = offsetHi;
    if (segment >= SEGMENT.fs) {
      const base = segmentBase(segment);
      const sum = (lo >>> 0) + (registers.get(base) >>> 0);
      lo = sum | 0;
      hi = (hi + registers.get(base + 4) + (sum > 0xffffffff ? 1 : 0)) | 0;
    }
    this.linearLo = lo;
    this.linearHi = hi;
    const lastHi = (lo >>> 0) + size - 1 > 0xffffffff ? (hi + 1) | 0 : hi;
    if (isCanonical(hi) && isCanonical(lastHi)) return true;
    return this.failSegment(segment);
  }

  private linear32(segment: number, offsetLo: number, size: number, access: AccessType): boolean {
    const { registers } = this;
    const offset = offsetLo >>> 0;
    const attributes = registers.get(segmentAttributes(segment));
    const limit = registers.get(segmentLimit(segment)) >>> 0;
    const isCode = (attributes & ATTRIBUTE.CODE) !== 0;
    if ((attributes & ATTRIBUTE.P) === 0) return this.failSegment(segment);
    if (access === "store" && (isCode || (attributes & ATTRIBUTE.WRITABLE) === 0)) return this.failSegment(segment);
    if (access === "load" && isCode && (attributes & ATTRIBUTE.READABLE) === 0) return this.failSegment(segment);
    const last = offset + size - 1;
    if (!isCode && (attributes & ATTRIBUTE.EXPAND_DOWN) !== 0) {
      const top = (attributes & ATTRIBUTE.DB) !== 0 ? 0xffffffff : 0xffff;
      if (offset <= limit || last > top) return this.failSegment(segment);
    } else if (last > limit) {
      return this.failSegment(segment);
    }
    this.linearLo = (registers.get(segmentBase(segment)) + offset) | 0;
    this.linearHi = 0;
    return true;
  }

  private failSegment(segment: number): false {
    return this.fail(segment === SEGMENT.ss ? VECTOR.SS : VECTOR.GP);
  }

  /** Notes an exception; what fails returns this. */
  fail(vector: number, errorCode = 0): false {
    this.vector = vector;
    this.errorCode = errorCode;
    return false;
  }

  // --- Translation -------------------------------------------------------------------------------------------------

  /** The physical address of a canonical linear address; -1 when the access faults, which is noted. Fills the TLB. */
  translate(access: AccessType, lo: number, hi: number): number {
    const index = this.tlbs.find(access, lo, hi);
    if (index >= 0) return this.tlbs.physicalPageAt(index) * 4096 + (lo & 4095);
    return this.translateMiss(access, lo, hi);
  }

  /** Where bytes of one page lie in the machine's memory, if the TLB knows; else -1. */
  findBytes(access: AccessType, lo: number, hi: number, size: number): number {
    const index = (lo & 4095) + size <= 4096 ? this.tlbs.find(access, lo, hi) : -1;
    if (index < 0) return -1;
    const { ram } = this.machine;
    return ram.host + (this.tlbs.physicalPageAt(index) * 4096 - ram.base) + (lo & 4095);
  }

  private translateMiss(access: AccessType, lo: number, hi: number): number {
    let page = (lo & -4096) >>> 0;
    let mappingSize = 4096;
    if (this.isPaging) {
      this.model?.compare(access, lo, hi);
      if (!this.walkFor(access, lo, hi, true)) {
        this.vector = VECTOR.PF;
        this.errorCode = this.result.errorCode;
        this.cr2Lo = lo;
        this.cr2Hi = hi;
        this.forgetFaulting(lo, hi);
        return -1;
      }
      this.model?.note(access, lo, hi, this.walked);
      page = this.result.page;
      mappingSize = 2 ** this.result.shift;
    }
    if (this.machine.ram.contains(page, 4096)) this.fill(access, lo, hi, page, mappingSize);
    return page + (lo & 4095);
  }

  /** A page fault invalidates what the TLB has for the address. SDM volume 3, 4.10.4.1. */
  private forgetFaulting(lo: number, hi: number): void {
    const { registers, tlbs, model } = this;
    const hasPcid = (registers.get(CELL.cr4) & CR4.PCIDE) !== 0;
    const pcid = hasPcid ? registers.get(CELL.cr3) & CR3.PCID : 0;
    const address = toNumber(hi, lo);
    tlbs.flush(address, pcid);
    model?.flush(address, pcid, false);
  }

  private fill(access: AccessType, lo: number, hi: number, page: number, mappingSize: number): void {
    const { machine, code } = this;
    const ramPage = machine.ram.pageOf(page);
    const addend =
      access === "execute" ? code.recordsOf(ramPage) : (machine.ram.host + ramPage * 4096 - (lo & -4096)) | 0;
    // The interpreter must not store to a page with decoded code by itself, or to a table whose changes are watched.
    const isForHost =
      access === "store" && (code.hasCode(ramPage) || machine.translationCheck?.isWatched(ramPage) === true);
    if (access === "store") code.noteStoreTranslation(ramPage);
    this.tlbs.fill(access, lo & -4096, hi, page / 4096, addend, mappingSize, isForHost);
    machine.probes.tlbFill?.(this.hart, toNumber(hi, lo & -4096), page, access);
  }

  private walkFor(access: AccessType, lo: number, hi: number, updates: boolean): boolean {
    const { request } = this;
    request.lo = lo;
    request.hi = hi;
    request.access = access;
    request.updates = updates;
    if (this.model === undefined) return walk(this, request, this.result);
    return this.walkNoting();
  }

  /** Walks, and notes in `walked` by which entries and what they say together. */
  private walkNoting(): boolean {
    const { request, result, walked, registers } = this;
    const { ram } = this.machine;
    walked.path.length = 0;
    if (!walk(this, request, result)) return false;
    let common = PTE.W | PTE.U;
    let lo = 0;
    let noExecute = 0;
    for (const location of walked.path) {
      lo = ram.read32(location);
      common &= lo;
      if (ram.read32(location + 4) < 0) noExecute = NO_EXECUTE;
    }
    walked.page = result.page;
    walked.shift = result.shift;
    walked.isGlobal = (lo & PTE.G) !== 0 && (registers.get(CELL.cr4) & CR4.PGE) !== 0;
    walked.rights = common | (lo & (PTE.A | PTE.D)) | noExecute;
    return true;
  }

  look(access: AccessType, lo: number, hi: number): boolean {
    return this.walkFor(access, lo, hi, false);
  }

  allows(access: AccessType, rights: number): boolean {
    this.request.access = access;
    const isAllowedNow = isAllowed(this.request, rights, (rights & NO_EXECUTE) === 0);
    return isAllowedNow && (access !== "store" || (rights & PTE.D) !== 0);
  }

  describe(rights: number): string {
    const letters = `r${(rights & PTE.W) !== 0 ? "w" : "-"}${(rights & NO_EXECUTE) !== 0 ? "-" : "x"}`;
    return `${letters} ${(rights & PTE.U) !== 0 ? "user" : "supervisor"}, ${(rights & PTE.D) !== 0 ? "dirty" : "clean"}`;
  }

  /** As the MMU would translate now, without side effects. */
  peek(access: AccessType, virtualAddress: number): Translation {
    const lo = virtualAddress | 0;
    const hi = highHalf(virtualAddress);
    const tval = { hi, lo };
    if (!isCanonical(hi)) return { ok: false, cause: VECTOR.GP, tval };
    const index = this.tlbs.find(access, lo, hi);
    if (index >= 0) return { ok: true, physical: this.tlbs.physicalPageAt(index) * 4096 + (lo & 4095) };
    if (!this.isPaging) return { ok: true, physical: lo >>> 0 };
    if (!this.walkFor(access, lo, hi, false)) return { ok: false, cause: VECTOR.PF, tval };
    return { ok: true, physical: this.result.page + (lo & 4095) };
  }

  readPte(address: number): void {
    const { ram } = this.machine;
    if (ram.contains(address, 8)) {
      this.pteLo = ram.read32(address);
      this.pteHi = ram.read32(address + 4);
      if (this.model !== undefined) this.walked.path.push(address);
    } else {
      this.pteLo = -1;
      this.pteHi = -1;
    }
  }

  writePteLow(address: number, lo: number): void {
    // What was read from no memory has all bits set, so only RAM is written.
    const { ram, translationCheck } = this.machine;
    if (translationCheck === undefined) ram.write32(address, lo);
    else translationCheck.writeAsHardware(() => ram.write32(address, lo));
  }

  // --- Loads and stores at linear addresses ------------------------------------------------------------------------

  /** Finds `size` bytes, at most a page; false when the access faults, which is noted. */
  resolve(access: AccessType, size: number, lo: number, hi: number, span: Span): boolean {
    if (this.checksAlignment && isMisaligned(size, lo)) return this.fail(VECTOR.AC);
    span.first = this.translate(access, lo, hi);
    if (span.first < 0) return false;
    span.firstSize = Math.min(size, 4096 - (lo & 4095));
    if (this.isWatched) noteAccess(this.registers, access, lo, hi, size);
    if (span.firstSize === size) return true;
    const next = (lo >>> 0) + span.firstSize;
    // Where addresses have 32 bits the first page follows the last.
    const nextHi = next > 0xffffffff && this.registers.codeMode === 64 ? (hi + 1) | 0 : hi;
    span.second = this.translate(access, next | 0, nextHi);
    return span.second >= 0;
  }

  /** A load of 1, 2, 4, 8 or 16 bytes into the step value, zero-extended to 8; false if it faults. */
  load(size: number, lo: number, hi: number): boolean {
    if (!this.resolve("load", size, lo, hi, this.span)) return false;
    this.readSpan(this.span, size, CELL.stepValue);
    return true;
  }

  /** A store of the step value's low bytes; false if it faults, with nothing stored. */
  store(size: number, lo: number, hi: number): boolean {
    if (!this.resolve("store", size, lo, hi, this.span)) return false;
    this.writeSpan(this.span, size, CELL.stepValue);
    return true;
  }

  /** Any number of bytes up to a page; false if they cannot all be read. */
  readBytes(lo: number, hi: number, into: Uint8Array): boolean {
    const { span } = this;
    if (!this.resolve("load", into.length, lo, hi, span)) return false;
    if (span.firstSize === into.length && this.machine.ram.contains(span.first, into.length)) {
      this.machine.ram.readInto(span.first, into);
      return true;
    }
    for (let i = 0; i < into.length; i++) into[i] = this.readByte(physicalOf(span, i));
    return true;
  }

  /** Writes all of the bytes, at most a page, or none of them. */
  writeBytes(lo: number, hi: number, from: Uint8Array): boolean {
    const { span } = this;
    if (!this.resolve("store", from.length, lo, hi, span)) return false;
    this.writeSpanFrom(span, from);
    return true;
  }

  writeSpanFrom(span: Span, from: Uint8Array): void {
    const { ram } = this.machine;
    if (span.firstSize === from.length && ram.contains(span.first, from.length)) {
      ram.write(span.first, from);
      return;
    }
    for (let i = 0; i < from.length; i++) this.writeByte(physicalOf(span, i), from[i] ?? 0);
  }

  /** Reads up to 16 bytes into a cell, zero-extended to 8. */
  readSpan(span: Span, size: number, cell: number): void {
    const { registers } = this;
    const { ram } = this.machine;
    if (span.firstSize === size) {
      const { first } = span;
      const isRam = ram.contains(first, size);
      switch (size) {
        case 1:
          return registers.setWords(cell, isRam ? ram.read8(first) : this.readDevice(first, 1), 0);
        case 2:
          return registers.setWords(cell, isRam ? ram.read16(first) : this.readDevice(first, 2), 0);
        case 4:
          return registers.setWords(cell, isRam ? ram.read32(first) : this.readDevice(first, 4), 0);
        case 8:
        case 16:
          for (let at = 0; at < size; at += 8) {
            if (isRam) registers.setWords(cell + at, ram.read32(first + at), ram.read32(first + at + 4));
            else registers.setWords(cell + at, this.readDevice(first + at, 8), this.word.hi);
          }
          return;
      }
    }
    const start = registers.base + cell;
    registers.setWords(cell, 0, 0);
    for (let i = 0; i < size; i++) registers.bytes[start + i] = this.readByte(physicalOf(span, i));
  }

  /** Writes up to 16 bytes from a cell. */
  writeSpan(span: Span, size: number, cell: number): void {
    const { registers } = this;
    const { ram } = this.machine;
    const lo = registers.get(cell);
    if (span.firstSize === size) {
      const { first } = span;
      const isRam = ram.contains(first, size);
      switch (size) {
        case 1:
          return isRam ? ram.write8(first, lo) : this.writeDevice(first, 1, lo, 0);
        case 2:
          return isRam ? ram.write16(first, lo) : this.writeDevice(first, 2, lo, 0);
        case 4:
          return isRam ? ram.write32(first, lo) : this.writeDevice(first, 4, lo, 0);
        case 8:
        case 16:
          for (let at = 0; at < size; at += 8) {
            const wordLo = registers.get(cell + at);
            const wordHi = registers.get(cell + at + 4);
            if (isRam) {
              ram.write32(first + at, wordLo);
              ram.write32(first + at + 4, wordHi);
            } else {
              this.writeDevice(first + at, 8, wordLo, wordHi);
            }
          }
          return;
      }
    }
    const start = registers.base + cell;
    for (let i = 0; i < size; i++) this.writeByte(physicalOf(span, i), registers.bytes[start + i] ?? 0);
  }

  private readByte(physical: number): number {
    const { ram } = this.machine;
    return ram.contains(physical, 1) ? ram.read8(physical) : this.readDevice(physical, 1);
  }

  private writeByte(physical: number, value: number): void {
    const { ram } = this.machine;
    if (ram.contains(physical, 1)) ram.write8(physical, value);
    else this.writeDevice(physical, 1, value, 0);
  }

  /** The low half of what a device gives; the high half is in `word`. A misaligned access is one for each byte. */
  private readDevice(physical: number, size: AccessSize): number {
    const { word } = this;
    if (physical % size !== 0) return this.readDeviceBytes(physical, size);
    if (physical + size > MOST_PHYSICAL || !this.machine.bus.load(physical, size, word)) {
      word.lo = size === 1 ? 0xff : size === 2 ? 0xffff : -1;
      word.hi = size === 8 ? -1 : 0;
    }
    return word.lo;
  }

  private readDeviceBytes(physical: number, size: AccessSize): number {
    const { word } = this;
    const halves = [0, 0];
    for (let i = 0; i < size; i++) {
      halves[i >> 2] = (halves[i >> 2] ?? 0) | (this.readByte(physical + i) << ((i & 3) * 8));
    }
    word.lo = halves[0] ?? 0;
    word.hi = halves[1] ?? 0;
    return word.lo;
  }

  private writeDevice(physical: number, size: AccessSize, lo: number, hi: number): void {
    if (physical % size === 0) {
      if (physical + size <= MOST_PHYSICAL) this.machine.bus.store(physical, size, lo, hi);
      return;
    }
    for (let i = 0; i < size; i++) this.writeByte(physical + i, ((i < 4 ? lo : hi) >>> ((i & 3) * 8)) & 0xff);
  }
}

const physicalOf = (span: Span, i: number): number =>
  i < span.firstSize ? span.first + i : span.second + i - span.firstSize;

/** SDM volume 3, table 6-7: words, doublewords and quadwords at their size; what is larger at 8. */
function isMisaligned(size: number, lo: number): boolean {
  const alignment = size >= 8 ? 8 : size;
  return lo % alignment !== 0;
}

/** A 64-bit address plus a small number. */
export function addWords(lo: number, hi: number, amount: number): { lo: number; hi: number } {
  const sum = (lo >>> 0) + amount;
  return { lo: sum | 0, hi: sum > 0xffffffff ? (hi + 1) | 0 : sum < 0 ? (hi - 1) | 0 : hi };
}
