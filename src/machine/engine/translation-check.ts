/**
 * Finds uses of stale translations: accesses that a real TLB could serve from an entry that the page tables no longer say.
 *
 *     walk ──> model TLB of the hart: keeps what was walked until it is flushed or replaced, whatever happens to the tables
 *     write to a PTE that an entry was made from ──> the hart's own TLB drops the page, so that the next access asks here
 *     miss of the hart's own TLB ──> the model has an entry that allows the access? ──> compared with the tables as they are now
 *
 * The hart's own TLB (tlb.ts) serves only what agrees with the tables, so the fast tiers run at their speed and every use of an
 * entry that has become stale is seen, by the instruction that makes it. The model is what the manuals let hardware be: entries
 * are found by ASID alone and not by the tables' root, a large page is one entry, a global one serves every ASID and survives what
 * flushes single ASIDs. RISC-V privileged architecture, "Supervisor Memory-Management Fence Instruction"; Intel SDM volume 3, 4.10.
 *
 * Entries that allow less than the tables are no mistake: hardware walks again, or raises a fault that software finds spurious.
 */
import { highHalf, toNumber } from "../../lib/word64.ts";
import type { AccessType, Hart } from "../hart.ts";
import type { CodeTracker, Ram } from "../ram.ts";
import type { TlbSet } from "./tlb.ts";

/** What a walk found, in the architecture's terms. Reused from walk to walk. */
export interface Walked {
  /** Physical address of the 4-KiB page. */
  page: number;
  /** log2 of the size of the mapping. */
  shift: number;
  /** The bits of PTEs that decide accesses, as the architecture likes them. */
  rights: number;
  isGlobal: boolean;
  /** Physical addresses of the PTEs that were read, from the root. */
  readonly path: number[];
}

/** What the check asks of the architecture, about the hart as it is now. */
export interface Walker {
  /** Walks without side effects, into `walked`; false where the access faults. */
  look(access: AccessType, lo: number, hi: number): boolean;
  readonly walked: Walked;
  /** Whether an entry with these rights serves the access; a store through one that is not dirty walks again. */
  allows(access: AccessType, rights: number): boolean;
  /** The accessed and the dirty bit of a PTE's low half, and of `rights`. */
  readonly accessed: number;
  readonly dirty: number;
  /** Rights in letters. */
  describe(rights: number): string;
}

/** Who wrote a PTE. */
export type PteWriter =
  /** The instruction at a hart's pc. */
  | { readonly kind: "hart"; readonly hart: number; readonly pc: number; readonly code: Uint8Array }
  /** The host: a resident kernel, or a device; where in TypeScript that was. */
  | { readonly kind: "host"; readonly trace: Error };

/** A PTE that has another value than when the entry was made from it, and who wrote it last. */
export interface PteChange {
  readonly location: number;
  /** How many levels above the leaf tables. */
  readonly level: number;
  readonly writer: PteWriter | undefined;
}

/** A use of a stale translation. Nothing has happened yet: the access goes on with what the tables say. */
export interface StaleTranslation {
  readonly hart: Hart;
  /** The instruction that made the access, and its bytes where they could be read. */
  readonly pc: number;
  readonly code: Uint8Array;
  readonly access: AccessType;
  readonly address: number;
  readonly asid: number;
  /** What the TLB entry says. */
  readonly entry: TranslationView & {
    readonly virtual: number;
    readonly size: number;
    readonly isGlobal: boolean;
    /** The instruction that filled it, and for what. */
    readonly filledAt: number;
    readonly filledFor: AccessType;
  };
  /** What the tables say; undefined where the access faults. */
  readonly tables: TranslationView | undefined;
  /** Empty where the entry comes from other tables than those that the ASID now has. */
  readonly changes: readonly PteChange[];
}

export interface TranslationView {
  /** Where the address leads. */
  readonly physical: number;
  readonly rights: string;
}

/** Physical memory's words that an entry was made from, and what was in them. */
interface Source {
  readonly location: number;
  readonly lo: number;
  readonly hi: number;
  writer: PteWriter | undefined;
}

interface Entry {
  readonly model: ModelTlb;
  readonly key: number;
  readonly asid: number;
  readonly isGlobal: boolean;
  /** The first address, and that as a number of 4-KiB pages without the sign. */
  readonly virtual: number;
  readonly shift: number;
  /** Physical address of the first page. */
  readonly base: number;
  readonly rights: number;
  readonly filledAt: number;
  readonly filledFor: AccessType;
  readonly sources: readonly Source[];
}

/** Entries that a hart's model keeps; the oldest goes first. More than any TLB has, so less is missed. */
const CAPACITY = 8192;
/** ASIDs have 16 bits; one more tells global entries. A page number has 36. */
const ASID_RANGE = 2 ** 17;
const GLOBAL = 2 ** 16;
const LONGEST_INSTRUCTION = 15;
/** Entries whose translations are dropped one by one when a table is written; above, all go. */
const MOST_DROPPED = 64;

export class TranslationCheck {
  readonly onStale: (stale: StaleTranslation) => void;
  /** The hart whose instructions run now; undefined while the host acts. */
  executing: Hart | undefined;
  private readonly ram: Ram;
  private readonly models: ModelTlb[] = [];
  /** Entries by the PTEs that they were made from. */
  private readonly dependents = new Map<number, Set<Entry>>();
  /** For each page of RAM, how many PTEs in it have dependents. */
  private readonly watched: Uint16Array;
  private isHardware = false;

  constructor(ram: Ram, onStale: (stale: StaleTranslation) => void) {
    this.ram = ram;
    this.onStale = onStale;
    this.watched = new Uint16Array(ram.size / 4096);
  }

  createModel(hart: Hart, tlbs: TlbSet, walker: Walker): ModelTlb {
    const model = new ModelTlb(this, hart, tlbs, walker);
    this.models.push(model);
    return model;
  }

  /** What must know of writes to RAM, with `code`. */
  track(code: CodeTracker): CodeTracker {
    return {
      hasCode: (page) => this.isWatched(page) || code.hasCode(page),
      invalidate: (page, offset, length) => {
        if (this.isWatched(page)) this.noteWrite(page, offset, length);
        if (code.hasCode(page)) code.invalidate(page, offset, length);
      },
    };
  }

  /** Whether stores to a page of RAM are to be seen: the interpreter must not store there by itself. */
  isWatched(page: number): boolean {
    return (this.watched[page] ?? 0) > 0;
  }

  /** Does a write of the hart's own walker, which sets accessed and dirty bits: nothing that anybody must flush for. */
  writeAsHardware(write: () => void): void {
    this.isHardware = true;
    write();
    this.isHardware = false;
  }

  /** Does what an instruction has the host do: writes are the host's. */
  callHost(work: () => void): void {
    const { executing } = this;
    this.executing = undefined;
    work();
    this.executing = executing;
  }

  readSource(location: number): Source {
    const { ram } = this;
    return { location, lo: ram.read32(location), hi: ram.read32(location + 4), writer: undefined };
  }

  addDependent(entry: Entry, location: number): void {
    let entries = this.dependents.get(location);
    if (entries === undefined) {
      entries = new Set();
      this.dependents.set(location, entries);
      const page = this.ram.pageOf(location);
      const count = this.watched[page] ?? 0;
      this.watched[page] = count + 1;
      if (count === 0) this.flushStoresTo(page);
    }
    entries.add(entry);
  }

  removeDependent(entry: Entry, location: number): void {
    const entries = this.dependents.get(location);
    if (entries === undefined || !entries.delete(entry) || entries.size > 0) return;
    this.dependents.delete(location);
    const page = this.ram.pageOf(location);
    const count = (this.watched[page] ?? 1) - 1;
    this.watched[page] = count;
    // What was hidden from the interpreter may be filled again for it.
    if (count === 0) this.flushStoresTo(page);
  }

  /** The bytes of the instruction at a hart's pc, as far as they can be read. */
  codeAt(hart: Hart): Uint8Array {
    const found = hart.translate(hart.pc, "execute");
    if (!found.ok) return new Uint8Array(0);
    const length = Math.min(LONGEST_INSTRUCTION, 4096 - (found.physical % 4096));
    return this.ram.contains(found.physical, length) ? this.ram.read(found.physical, length) : new Uint8Array(0);
  }

  /** PTEs are about to change: who uses them asks again, and the entries remember who it was. */
  private noteWrite(page: number, offset: number, length: number): void {
    if (this.isHardware) return;
    const start = this.ram.base + page * 4096;
    let writer: PteWriter | undefined;
    for (let location = start + (offset & ~7); location < start + offset + length; location += 8) {
      const entries = this.dependents.get(location);
      if (entries === undefined) continue;
      writer ??= this.writer();
      if (entries.size > MOST_DROPPED) for (const model of this.models) model.dropTranslations();
      for (const entry of entries) {
        if (entries.size <= MOST_DROPPED) entry.model.dropTranslation(entry);
        for (const source of entry.sources) if (source.location === location) source.writer = writer;
      }
    }
  }

  private writer(): PteWriter {
    const { executing } = this;
    if (executing === undefined) return { kind: "host", trace: traceHere() };
    return { kind: "hart", hart: executing.id, pc: executing.pc, code: this.codeAt(executing) };
  }

  private flushStoresTo(page: number): void {
    for (const model of this.models) model.flushStoresTo(this.ram.base / 4096 + page);
  }
}

/** A hart's TLB as the manuals let it be. */
export class ModelTlb {
  private readonly check: TranslationCheck;
  private readonly hart: Hart;
  private readonly tlbs: TlbSet;
  private readonly walker: Walker;
  /** By size of the mapping (log2), then by page and ASID. */
  private readonly bySize = new Map<number, Map<number, Entry>>();
  /** In order of their age. */
  private readonly entries = new Set<Entry>();
  /** The root of the tables that an ASID was last used with. */
  private readonly roots = new Map<number, number>();
  private asid = 0;

  constructor(check: TranslationCheck, hart: Hart, tlbs: TlbSet, walker: Walker) {
    this.check = check;
    this.hart = hart;
    this.tlbs = tlbs;
    this.walker = walker;
  }

  /** From now on translations are those of `asid`, with tables at `root`. The hart's own TLB must not tell spaces apart better than hardware. */
  select(asid: number, root: number): void {
    this.asid = asid;
    const old = this.roots.get(asid);
    if (old === root) return;
    this.roots.set(asid, root);
    if (old !== undefined) this.tlbs.flush(undefined, asid);
  }

  /** The hart's own TLB lacks a translation: compares what the model has with the tables. */
  compare(access: AccessType, lo: number, hi: number): void {
    const page = pageNumber(lo, hi);
    const entry = this.find(page);
    if (entry === undefined) return;
    const { walker } = this;
    if (!walker.allows(access, entry.rights)) return;
    const isMapped = walker.look(access, lo, hi);
    const { walked } = walker;
    const used = entry.base + (page % 2 ** (entry.shift - 12)) * 4096;
    const isCleaned = access === "store" && (walked.rights & walker.dirty) === 0;
    if (isMapped && walked.page === used && !isCleaned) return;
    this.remove(entry);
    this.report(entry, access, lo, hi, used, isMapped ? walked : undefined);
  }

  /** The hart has walked for an access, and may keep what it found. */
  note(access: AccessType, lo: number, hi: number, walked: Walked): void {
    const { check, asid, hart } = this;
    const { shift, isGlobal, rights } = walked;
    const page = pageNumber(lo, hi);
    const pages = 2 ** (shift - 12);
    const first = page - (page % pages);
    const key = keyOf(first, isGlobal ? GLOBAL : asid);
    let map = this.bySize.get(shift);
    if (map === undefined) {
      map = new Map();
      this.bySize.set(shift, map);
    }
    const old = map.get(key);
    if (old !== undefined) this.remove(old);
    const entry: Entry = {
      model: this,
      key,
      asid,
      isGlobal,
      virtual: toNumber(hi, lo & -4096) - (page - first) * 4096,
      shift,
      base: walked.page - (page - first) * 4096,
      rights,
      filledAt: hart.pc,
      filledFor: access,
      sources: walked.path.map((location) => check.readSource(location)),
    };
    map.set(key, entry);
    this.entries.add(entry);
    for (const { location } of entry.sources) check.addDependent(entry, location);
    if (this.entries.size <= CAPACITY) return;
    for (const oldest of this.entries) {
      // The hart's own TLB must have nothing that the model lacks.
      this.dropTranslation(oldest);
      this.remove(oldest);
      break;
    }
  }

  /**
   * Flushes one address or all, of one ASID or all, and global entries only with `takesGlobal`.
   */
  flush(address: number | undefined, asid: number | undefined, takesGlobal: boolean): void {
    const page = address === undefined ? 0 : pageNumber(address | 0, highHalf(address));
    if (address !== undefined && asid !== undefined) {
      for (const [shift, map] of this.bySize) {
        const first = page - (page % 2 ** (shift - 12));
        const own = map.get(keyOf(first, asid));
        if (own !== undefined) this.remove(own);
        const shared = takesGlobal ? map.get(keyOf(first, GLOBAL)) : undefined;
        if (shared !== undefined) this.remove(shared);
      }
      return;
    }
    for (const entry of this.entries) {
      if (address !== undefined && Math.floor(entry.key / ASID_RANGE) !== page - (page % 2 ** (entry.shift - 12)))
        continue;
      const isMeant = entry.isGlobal ? takesGlobal : asid === undefined || entry.asid === asid;
      if (isMeant) this.remove(entry);
    }
  }

  /** The hart's own TLB forgets the translations of an entry. */
  dropTranslation(entry: Entry): void {
    this.tlbs.flush(entry.virtual, undefined);
  }

  dropTranslations(): void {
    this.tlbs.flush(undefined, undefined);
  }

  flushStoresTo(physicalPage: number): void {
    this.tlbs.flushStoresTo(physicalPage);
  }

  private find(page: number): Entry | undefined {
    for (const [shift, map] of this.bySize) {
      const first = page - (page % 2 ** (shift - 12));
      const entry = map.get(keyOf(first, this.asid)) ?? map.get(keyOf(first, GLOBAL));
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  private remove(entry: Entry): void {
    this.bySize.get(entry.shift)?.delete(entry.key);
    this.entries.delete(entry);
    for (const { location } of entry.sources) this.check.removeDependent(entry, location);
  }

  private report(
    entry: Entry,
    access: AccessType,
    lo: number,
    hi: number,
    page: number,
    now: Walked | undefined,
  ): void {
    const { check, hart, walker } = this;
    const offset = lo & 4095;
    // Before the code is read, which walks.
    const tables = now === undefined ? undefined : { physical: now.page + offset, rights: walker.describe(now.rights) };
    check.onStale({
      hart,
      pc: hart.pc,
      code: access === "execute" ? new Uint8Array(0) : check.codeAt(hart),
      access,
      address: toNumber(hi, lo),
      asid: this.asid,
      entry: {
        virtual: entry.virtual,
        size: 2 ** entry.shift,
        isGlobal: entry.isGlobal,
        physical: page + offset,
        rights: walker.describe(entry.rights),
        filledAt: entry.filledAt,
        filledFor: entry.filledFor,
      },
      tables,
      changes: this.changesOf(entry),
    });
  }

  private changesOf({ sources }: Entry): PteChange[] {
    const { check, walker } = this;
    const marks = walker.accessed | walker.dirty;
    const changes: PteChange[] = [];
    sources.forEach(({ location, lo, hi, writer }, index) => {
      const now = check.readSource(location);
      // Marks that were set are the hart's; those that were cleared are not.
      const isSame = now.hi === hi && (now.lo | marks) === (lo | marks) && (lo & ~now.lo & marks) === 0;
      if (!isSame) changes.push({ location, level: sources.length - 1 - index, writer });
    });
    return changes;
  }
}

/** An address's page, as one of 2^36. */
const pageNumber = (lo: number, hi: number): number => (hi & 0xffff) * 2 ** 20 + (lo >>> 12);
const keyOf = (page: number, asid: number): number => page * ASID_RANGE + asid;

/** Where the host's program is: for people. */
function traceHere(): Error {
  const errors: { stackTraceLimit?: number } = Error;
  const { stackTraceLimit } = errors;
  errors.stackTraceLimit = 32;
  const trace = new Error("a PTE was written");
  if (stackTraceLimit !== undefined) errors.stackTraceLimit = stackTraceLimit;
  return trace;
}
