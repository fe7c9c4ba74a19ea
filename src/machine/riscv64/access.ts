/**
 * Memory as a hart sees it, exactly: translation through the TLB and the page-table walker, PMP, RAM and devices,
 * misalignment and page boundaries. The interpreter has the fast part of this inline; what is odd comes here.
 *
 *     virtual address -> TLB? -> walk -> PMP -> RAM (and a TLB entry, if the whole page is alike) or device
 */
import { EXCEPTION } from "../../isa/riscv64/causes.ts";
import { MSTATUS, MSTATUS_SHIFT, SATP_HI, SATP_HI_SHIFT } from "../../isa/riscv64/csrs.ts";
import { PTE } from "../../isa/riscv64/paging.ts";
import { highHalf, toNumber, toUnsignedNumber } from "../../lib/word64.ts";
import type { AccessSize, BusWord } from "../bus.ts";
import type { TlbSet } from "../engine/tlb.ts";
import type { ModelTlb, Walked, Walker } from "../engine/translation-check.ts";
import type { AccessType, Hart, Translation } from "../hart.ts";
import type { EngineMachine } from "../processor.ts";
import type { CodeCache } from "./code.ts";
import type { Privilege } from "./hart.ts";
import { CELL } from "./layout.ts";
import {
  ACCESS_FAULT,
  describeRights,
  isAllowed,
  schemeOf,
  walk,
  type WalkMemory,
  type WalkRequest,
  type WalkResult,
} from "./mmu.ts";
import { NO_PMP, pmpAllows, pmpIsUniform, readPmp, type PmpMap } from "./pmp.ts";
import type { Registers } from "./registers.ts";

/** What accesses need of the machine. */
type AccessMachine = Pick<EngineMachine, "bus" | "ram" | "probes" | "translationCheck">;

export class MemoryAccess implements WalkMemory, Walker {
  private readonly machine: AccessMachine;
  private readonly code: CodeCache;
  private readonly hart: Hart;
  private readonly registers: Registers;
  private readonly tlbs: TlbSet;
  /** The exception of the access that failed last. */
  cause = 0;
  tvalLo = 0;
  tvalHi = 0;
  pteLo = 0;
  pteHi = 0;
  private pmp: PmpMap = NO_PMP;
  private readonly word: BusWord = { lo: 0, hi: 0 };
  private readonly request: WalkRequest = {
    lo: 0,
    hi: 0,
    access: "load",
    privilege: 0,
    satpLo: 0,
    satpHi: 0,
    sum: false,
    mxr: false,
    updates: true,
  };
  private readonly result: WalkResult = { cause: 0, page: 0, shift: 12, global: false };
  /** What a real TLB could have, where stale translations are looked for. */
  readonly model: ModelTlb | undefined;
  readonly walked: Walked = { page: 0, shift: 12, rights: 0, isGlobal: false, path: [] };
  readonly accessed = PTE.A;
  readonly dirty = PTE.D;

  constructor(machine: AccessMachine, code: CodeCache, hart: Hart, registers: Registers, tlbs: TlbSet) {
    this.machine = machine;
    this.code = code;
    this.hart = hart;
    this.registers = registers;
    this.tlbs = tlbs;
    this.model = machine.translationCheck?.createModel(hart, tlbs, this);
  }

  /** Selects the TLB context for the hart's present modes. Called whenever one of them may have changed. */
  selectContext(): void {
    const { registers } = this;
    const status = registers.get(CELL.mstatus);
    const fetch = registers.privilege;
    const data = dataPrivilege(registers);
    const satpHi = registers.get(CELL.satp + 4);
    // Where nothing is translated satp, SUM and MXR do not matter: one context serves them all.
    const isTranslating = data !== 3 && schemeOf(satpHi) !== undefined;
    const modes = isTranslating ? ((status & MSTATUS.SUM) !== 0 ? 16 : 0) | ((status & MSTATUS.MXR) !== 0 ? 32 : 0) : 0;
    if (isTranslating) this.model?.select(asidOf(satpHi), rootOf(satpHi, registers.get(CELL.satp)));
    const base = this.tlbs.select(
      isTranslating ? registers.get(CELL.satp) : 0,
      isTranslating ? satpHi : 0,
      fetch | (data << 2) | modes,
      isTranslating ? asidOf(satpHi) : 0,
    );
    registers.set(CELL.tlb, base);
  }

  /** Reads the PMP's registers again. */
  refreshPmp(): void {
    this.pmp = readPmp(this.registers);
  }

  /**
   * The physical address of `size` bytes, which lie in one page; -1 when the access raises an exception, which is noted.
   * Fills the TLB.
   */
  translate(access: AccessType, lo: number, hi: number, size: number): number {
    const index = this.tlbs.find(access, lo, hi);
    if (index >= 0) return this.tlbs.physicalPageAt(index) * 4096 + (lo & 4095);
    return this.translateMiss(access, lo, hi, size);
  }

  private translateMiss(access: AccessType, lo: number, hi: number, size: number): number {
    const { registers, machine } = this;
    const { ram } = machine;
    const privilege = access === "execute" ? registers.privilege : dataPrivilege(registers);
    this.tvalLo = lo;
    this.tvalHi = hi;
    let mappingSize = 4096;
    let page: number;
    if (privilege === 3 || schemeOf(registers.get(CELL.satp + 4)) === undefined) {
      if (hi >>> 24 !== 0) return this.fail(ACCESS_FAULT[access]);
      page = toUnsignedNumber(hi, lo & -4096);
    } else {
      this.model?.compare(access, lo, hi);
      if (!this.walkFor(access, lo, hi, privilege, true)) return this.fail(this.result.cause);
      this.model?.note(access, lo, hi, this.walked);
      page = this.result.page;
      mappingSize = 2 ** this.result.shift;
    }
    const physical = page + (lo & 4095);
    if (!pmpAllows(this.pmp, physical, size, access, privilege)) return this.fail(ACCESS_FAULT[access]);
    if (ram.contains(page, 4096) && pmpIsUniform(this.pmp, page)) {
      this.fill(access, lo, hi, page, mappingSize);
    }
    return physical;
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

  /** As the MMU would translate now, without side effects. */
  peek(access: AccessType, virtualAddress: number): Translation {
    const { registers } = this;
    const lo = virtualAddress | 0;
    const hi = highHalf(virtualAddress);
    const index = this.tlbs.find(access, lo, hi);
    if (index >= 0) return { ok: true, physical: this.tlbs.physicalPageAt(index) * 4096 + (lo & 4095) };
    const privilege = access === "execute" ? registers.privilege : dataPrivilege(registers);
    let page: number;
    if (privilege === 3 || schemeOf(registers.get(CELL.satp + 4)) === undefined) {
      if (hi >>> 24 !== 0) return { ok: false, cause: ACCESS_FAULT[access], tval: { hi, lo } };
      page = toUnsignedNumber(hi, lo & -4096);
    } else {
      if (!this.walkFor(access, lo, hi, privilege, false))
        return { ok: false, cause: this.result.cause, tval: { hi, lo } };
      page = this.result.page;
    }
    const physical = page + (lo & 4095);
    if (!pmpAllows(this.pmp, physical, 1, access, privilege)) {
      return { ok: false, cause: ACCESS_FAULT[access], tval: { hi, lo } };
    }
    return { ok: true, physical };
  }

  /** A load into the step value; 0 done, 1 failed. */
  load(size: number, lo: number, hi: number): number {
    const first = Math.min(size, 4096 - (lo & 4095));
    const physical = this.translate("load", lo, hi, first);
    if (physical < 0) return 1;
    if (first === size) return this.loadPhysical(size, physical, lo, hi);
    const { lo: nextLo, hi: nextHi } = addWords(lo, hi, first);
    const second = this.translate("load", nextLo, nextHi, size - first);
    if (second < 0) return 1;
    const { ram } = this.machine;
    if (!ram.contains(physical, first)) return this.failAt(EXCEPTION.loadAccessFault, lo, hi);
    if (!ram.contains(second, size - first)) return this.failAt(EXCEPTION.loadAccessFault, nextLo, nextHi);
    this.setStepValue(0, 0);
    for (let i = 0; i < size; i++) {
      this.setStepByte(i, ram.read8(i < first ? physical + i : second + i - first));
    }
    return 0;
  }

  /** A store of the step value; 0 done, 1 failed with nothing stored. */
  store(size: number, lo: number, hi: number): number {
    const first = Math.min(size, 4096 - (lo & 4095));
    const physical = this.translate("store", lo, hi, first);
    if (physical < 0) return 1;
    if (first === size) return this.storePhysical(size, physical, lo, hi);
    const { lo: nextLo, hi: nextHi } = addWords(lo, hi, first);
    const second = this.translate("store", nextLo, nextHi, size - first);
    if (second < 0) return 1;
    const { ram } = this.machine;
    if (!ram.contains(physical, first)) return this.failAt(EXCEPTION.storeAccessFault, lo, hi);
    if (!ram.contains(second, size - first)) return this.failAt(EXCEPTION.storeAccessFault, nextLo, nextHi);
    for (let i = 0; i < size; i++) {
      ram.write8(i < first ? physical + i : second + i - first, this.stepByte(i));
    }
    return 0;
  }

  /** The load of an atomic: aligned, and to where a store may go. */
  atomicLoad(size: number, lo: number, hi: number): number {
    if ((lo & (size - 1)) !== 0) return this.failAt(EXCEPTION.storeAddressMisaligned, lo, hi);
    const physical = this.translate("store", lo, hi, size);
    if (physical < 0) return 1;
    if (this.loadPhysical(size, physical, lo, hi) === 0) return 0;
    this.cause = EXCEPTION.storeAccessFault;
    return 1;
  }

  loadReserved(size: number, lo: number, hi: number): number {
    if ((lo & (size - 1)) !== 0) return this.failAt(EXCEPTION.loadAddressMisaligned, lo, hi);
    const physical = this.translate("load", lo, hi, size);
    if (physical < 0) return 1;
    // Only main memory supports reservations.
    if (!this.machine.ram.contains(physical, size)) return this.failAt(EXCEPTION.loadAccessFault, lo, hi);
    this.registers.set(CELL.reservation, this.hostAddress(physical));
    return this.loadPhysical(size, physical, lo, hi);
  }

  /** 0 stored, 1 the reservation was lost, 2 failed. */
  storeConditional(size: number, lo: number, hi: number): number {
    if ((lo & (size - 1)) !== 0) {
      this.failAt(EXCEPTION.storeAddressMisaligned, lo, hi);
      return 2;
    }
    const physical = this.translate("store", lo, hi, size);
    if (physical < 0) return 2;
    if (!this.machine.ram.contains(physical, size)) {
      this.failAt(EXCEPTION.storeAccessFault, lo, hi);
      return 2;
    }
    const holds = this.registers.get(CELL.reservation) === this.hostAddress(physical);
    this.registers.set(CELL.reservation, 0);
    if (!holds) return 1;
    this.storePhysical(size, physical, lo, hi);
    return 0;
  }

  readPte(address: number): boolean {
    const { ram } = this.machine;
    // The walker's own accesses are those of S-mode.
    if (!ram.contains(address, 8) || !pmpAllows(this.pmp, address, 8, "load", 1)) return false;
    this.pteLo = ram.read32(address);
    this.pteHi = ram.read32(address + 4);
    if (this.model !== undefined) this.walked.path.push(address);
    return true;
  }

  writePteLow(address: number, lo: number): boolean {
    if (!pmpAllows(this.pmp, address, 8, "store", 1)) return false;
    const { ram, translationCheck } = this.machine;
    if (translationCheck === undefined) ram.write32(address, lo);
    else translationCheck.writeAsHardware(() => ram.write32(address, lo));
    return true;
  }

  private hostAddress(physical: number): number {
    const { ram } = this.machine;
    return (ram.host + (physical - ram.base)) | 0;
  }

  private walkFor(access: AccessType, lo: number, hi: number, privilege: Privilege, updates: boolean): boolean {
    const { registers, request } = this;
    const status = registers.get(CELL.mstatus);
    request.lo = lo;
    request.hi = hi;
    request.access = access;
    request.privilege = privilege;
    request.satpLo = registers.get(CELL.satp);
    request.satpHi = registers.get(CELL.satp + 4);
    request.sum = (status & MSTATUS.SUM) !== 0;
    request.mxr = (status & MSTATUS.MXR) !== 0;
    request.updates = updates;
    if (this.model === undefined) return walk(this, request, this.result);
    return this.walkNoting();
  }

  /** Walks, and notes in `walked` by which PTEs and what the leaf says. */
  private walkNoting(): boolean {
    const { request, result, walked } = this;
    walked.path.length = 0;
    if (!walk(this, request, result)) return false;
    walked.page = result.page;
    walked.shift = result.shift;
    walked.isGlobal = walked.path.some((location) => (this.machine.ram.read32(location) & PTE.G) !== 0);
    walked.rights = this.machine.ram.read32(walked.path.at(-1) ?? 0) & RIGHTS;
    return true;
  }

  look(access: AccessType, lo: number, hi: number): boolean {
    const { registers } = this;
    return this.walkFor(access, lo, hi, access === "execute" ? registers.privilege : dataPrivilege(registers), false);
  }

  allows(access: AccessType, rights: number): boolean {
    const { registers, request } = this;
    const status = registers.get(CELL.mstatus);
    request.access = access;
    request.privilege = access === "execute" ? registers.privilege : dataPrivilege(registers);
    request.sum = (status & MSTATUS.SUM) !== 0;
    request.mxr = (status & MSTATUS.MXR) !== 0;
    return isAllowed(request, rights) && (access !== "store" || (rights & PTE.D) !== 0);
  }

  describe(rights: number): string {
    return describeRights(rights);
  }

  private loadPhysical(size: number, physical: number, lo: number, hi: number): number {
    const { ram, bus } = this.machine;
    if (ram.contains(physical, size)) {
      switch (size) {
        case 1:
          this.setStepValue(ram.read8(physical), 0);
          break;
        case 2:
          this.setStepValue(ram.read16(physical), 0);
          break;
        case 4:
          this.setStepValue(ram.read32(physical), 0);
          break;
        default:
          this.setStepValue(ram.read32(physical), ram.read32(physical + 4));
      }
      return 0;
    }
    if (physical % size !== 0 || !bus.load(physical, size as AccessSize, this.word)) {
      return this.failAt(EXCEPTION.loadAccessFault, lo, hi);
    }
    this.setStepValue(this.word.lo, this.word.hi);
    return 0;
  }

  private storePhysical(size: number, physical: number, lo: number, hi: number): number {
    const { ram, bus } = this.machine;
    const valueLo = this.registers.get(CELL.stepValue);
    const valueHi = this.registers.get(CELL.stepValue + 4);
    if (ram.contains(physical, size)) {
      switch (size) {
        case 1:
          ram.write8(physical, valueLo);
          break;
        case 2:
          ram.write16(physical, valueLo);
          break;
        case 4:
          ram.write32(physical, valueLo);
          break;
        default:
          ram.write32(physical, valueLo);
          ram.write32(physical + 4, valueHi);
      }
      return 0;
    }
    if (physical % size !== 0 || !bus.store(physical, size as AccessSize, valueLo, valueHi)) {
      return this.failAt(EXCEPTION.storeAccessFault, lo, hi);
    }
    return 0;
  }

  private setStepValue(lo: number, hi: number): void {
    this.registers.setWords(CELL.stepValue, lo, hi);
  }

  private stepByte(i: number): number {
    return (this.registers.get(CELL.stepValue + (i & 4)) >>> ((i & 3) * 8)) & 0xff;
  }

  /** Sets a byte of a step value that was 0 there. */
  private setStepByte(i: number, byte: number): void {
    const cell = CELL.stepValue + (i & 4);
    this.registers.set(cell, this.registers.get(cell) | (byte << ((i & 3) * 8)));
  }

  private fail(cause: number): number {
    this.cause = cause;
    return -1;
  }

  private failAt(cause: number, lo: number, hi: number): number {
    this.cause = cause;
    this.tvalLo = lo;
    this.tvalHi = hi;
    return 1;
  }
}

/** The low byte of a PTE: V to D. */
const RIGHTS = 0xff;

const rootOf = (satpHi: number, satpLo: number): number => toUnsignedNumber(satpHi & SATP_HI.PPN, satpLo);
const asidOf = (satpHi: number): number => (satpHi & SATP_HI.ASID) >>> SATP_HI_SHIFT.ASID;

/** The privilege of loads and stores: MPP's while MPRV is set in M-mode. */
function dataPrivilege(registers: Registers): Privilege {
  const status = registers.get(CELL.mstatus);
  if (registers.privilege !== 3 || (status & MSTATUS.MPRV) === 0) return registers.privilege;
  const previous = (status >>> MSTATUS_SHIFT.MPP) & 3;
  return previous === 0 || previous === 1 ? previous : 3;
}

/** A 64-bit address plus a small number. */
export function addWords(lo: number, hi: number, amount: number): { lo: number; hi: number } {
  const sum = (lo >>> 0) + amount;
  return { lo: sum | 0, hi: sum > 0xffffffff ? (hi + 1) | 0 : hi };
}
