/**
 * A hart's translation look-aside buffers.
 *
 * A hart has several contexts, each with its own three tables (load, store, execute) of 1024 entries. A context belongs to
 * what decides a translation beside the address: the address space (satp, CR3), the privileges of fetches and of data, and
 * modes. So a trap, a return or a change of address space only changes contexts, and flushes nothing.
 *
 *     entry (16 bytes)   tag: the page's virtual address, or all ones | addend | physical page number
 *                        index: bits 12..21 of the address
 *
 * `addend` leads from a virtual address to this memory's (load, store), or to what was decoded of the page (execute). The
 * interpreter may compare the tag with the address including its alignment bits, so that a misaligned access misses.
 */
import { highHalf, toNumber } from "../../lib/word64.ts";
import type { AccessType, TlbEntry } from "../hart.ts";
import { TLB, TLB_CONTEXT_SIZE, TLB_CONTEXTS, TLB_ENTRIES, TLB_ENTRY_SIZE, tlbContext, type Layout } from "./layout.ts";

interface Context {
  readonly base: number;
  /** What it is for, as given to `select`. */
  spaceLo: number;
  spaceHi: number;
  flags: number;
  asid: number;
  isUsed: boolean;
  /** The entries filled since it was last cleared, so that clearing costs what was filled; then all of it. */
  readonly filled: Int32Array;
  filledCount: number;
  /** When it was last selected. */
  stamp: number;
  /** The large pages that entries were filled from: the first address plus the log2 of the size. */
  readonly superpages: Set<number>;
}

const MAX_LOGGED = 1024;
/** Large pages that a context remembers; with more it is cleared. */
const MAX_SUPERPAGES = 1024;
/** log2 of the sizes that large pages have: 2 MiB, 1 GiB, and with Sv48 512 GiB. */
const SUPERPAGE_SHIFTS = [21, 30, 39] as const;
/** A low half of no tag: it has alignment bits, and the bit of `HOST_ONLY`, set. The rest of an empty entry says nothing. */
const INVALID = -1;
/** A bit of a tag that no address has when the interpreter compares: alignment bits are lower, page bits higher. */
const HOST_ONLY = 1 << 11;

export class TlbSet {
  private readonly words: Int32Array;
  private readonly contexts: Context[] = [];
  private clock = 0;
  private current: Context;
  /** Another one that was found lately. */
  private aside: Context;

  constructor(buffer: ArrayBuffer, layout: Layout, hart: number) {
    this.words = new Int32Array(buffer);
    for (let i = 0; i < TLB_CONTEXTS; i++) {
      this.contexts.push({
        base: tlbContext(layout, hart, i),
        spaceLo: 0,
        spaceHi: 0,
        flags: 0,
        asid: 0,
        isUsed: false,
        filled: new Int32Array(MAX_LOGGED),
        filledCount: MAX_LOGGED,
        stamp: 0,
        superpages: new Set(),
      });
    }
    // There is at least one context.
    this.current = this.contexts[0] as Context;
    this.aside = this.current;
  }

  /**
   * The base of the context for these circumstances; it becomes the current one. `space` names the address space, and `asid` what
   * `flush` selects it by. `flags`: bits 0-1 privilege of fetches, 2-3 of data, then modes as the architecture numbers them.
   */
  select(spaceLo: number, spaceHi: number, flags: number, asid: number): number {
    const { current } = this;
    if (
      current.isUsed &&
      current.spaceLo === spaceLo &&
      current.spaceHi === spaceHi &&
      current.flags === flags &&
      current.asid === asid
    ) {
      return current.base;
    }
    const found = this.contextOf(spaceLo, spaceHi, flags);
    if (found !== undefined) {
      found.stamp = ++this.clock;
      found.asid = asid;
      this.current = found;
      return found.base;
    }
    let oldest = current;
    for (const context of this.contexts) if (context.stamp < oldest.stamp || oldest === current) oldest = context;
    oldest.spaceLo = spaceLo;
    oldest.spaceHi = spaceHi;
    oldest.flags = flags;
    oldest.asid = asid;
    oldest.isUsed = true;
    oldest.stamp = ++this.clock;
    this.clear(oldest);
    this.current = oldest;
    return oldest.base;
  }

  /** The context for these circumstances, if there is one; the one found last comes first. */
  private contextOf(spaceLo: number, spaceHi: number, flags: number): Context | undefined {
    const { aside } = this;
    if (aside.isUsed && aside.spaceLo === spaceLo && aside.spaceHi === spaceHi && aside.flags === flags) return aside;
    for (const context of this.contexts) {
      if (context.isUsed && context.spaceLo === spaceLo && context.spaceHi === spaceHi && context.flags === flags) {
        this.aside = context;
        return context;
      }
    }
    return undefined;
  }

  /** As `find`, in the context for these circumstances, which does not become the current one. */
  findAside(spaceLo: number, spaceHi: number, flags: number, access: AccessType, lo: number, hi: number): number {
    const context = this.contextOf(spaceLo, spaceHi, flags);
    return context === undefined ? -1 : this.findIn(context, access, lo, hi);
  }

  /**
   * Enters a translation into the current context. `size` is that of the mapping it comes from; `isForHost` hides it from
   * the interpreter, which then leaves each such access to the exact tier.
   */
  fill(
    access: AccessType,
    pageLo: number,
    pageHi: number,
    physicalPage: number,
    addend: number,
    size: number,
    isForHost: boolean,
  ): void {
    const { current } = this;
    if (size > 4096) this.noteSuperpage(current, toNumber(pageHi, pageLo), size);
    const index = entryIndex(current.base, access, pageLo);
    if (current.filledCount < MAX_LOGGED) current.filled[current.filledCount++] = index;
    this.words[index] = isForHost ? pageLo | HOST_ONLY : pageLo;
    this.words[index + 1] = pageHi;
    this.words[index + 2] = addend;
    this.words[index + 3] = physicalPage;
  }

  /** The address of the current context's entry for a page, if it is there; else -1. In units of words. */
  find(access: AccessType, lo: number, hi: number): number {
    return this.findIn(this.current, access, lo, hi);
  }

  private findIn(context: Context, access: AccessType, lo: number, hi: number): number {
    const index = entryIndex(context.base, access, lo);
    return ((this.words[index] ?? 0) & ~HOST_ONLY) === (lo & -4096) && this.words[index + 1] === hi ? index : -1;
  }

  /** Whether the interpreter sees the entry that `find` gave. */
  isForInterpreter(index: number): boolean {
    return ((this.words[index] ?? 0) & HOST_ONLY) === 0;
  }

  /** The addend of an entry that `find` gave. */
  addendAt(index: number): number {
    return this.words[index + 2] ?? 0;
  }

  physicalPageAt(index: number): number {
    return this.words[index + 3] ?? 0;
  }

  /**
   * Flushes one address or all, of one ASID or all. May flush more than asked for, never less: what is global goes with the
   * context that it was filled in, and a global page is flushed by a flush of its address in all ASIDs.
   */
  flush(virtualAddress: number | undefined, asid: number | undefined): void {
    for (const context of this.contexts) {
      if (!context.isUsed || (asid !== undefined && context.asid !== asid)) continue;
      if (virtualAddress === undefined) this.clear(context);
      else this.flushPage(context, virtualAddress);
    }
  }

  /** Drops all execute translations: code frames have moved. */
  flushExecute(): void {
    for (const { base, isUsed } of this.contexts) {
      if (isUsed) this.words.fill(INVALID, (base + TLB.execute) >> 2, (base + TLB_CONTEXT_SIZE) >> 2);
    }
  }

  /** Drops the store translations to a physical page, wherever it is mapped. */
  flushStoresTo(physicalPage: number): void {
    for (const { base, isUsed } of this.contexts) {
      if (!isUsed) continue;
      const start = (base + TLB.store) >> 2;
      for (let index = start; index < start + TLB_ENTRIES * 4; index += 4) {
        if (this.words[index + 3] === physicalPage) this.words[index] = INVALID;
      }
    }
  }

  /** All entries, for checkers. */
  entries(): TlbEntry[] {
    const found: TlbEntry[] = [];
    for (const context of this.contexts) {
      if (!context.isUsed) continue;
      for (const access of ["load", "store", "execute"] as const) {
        const start = (context.base + TLB[access]) >> 2;
        for (let index = start; index < start + TLB_ENTRIES * 4; index += 4) {
          const lo = this.words[index] ?? 0;
          if (lo === INVALID) continue;
          found.push({
            virtualPage: toNumber(this.words[index + 1] ?? 0, lo & ~HOST_ONLY),
            physicalPage: this.physicalPageAt(index) * 4096,
            access,
            space: { hi: context.spaceHi, lo: context.spaceLo },
            privilege: (access === "execute" ? context.flags : context.flags >> 2) & 3,
          });
        }
      }
    }
    return found;
  }

  private flushPage(context: Context, virtualAddress: number): void {
    if (context.superpages.size > 0 && isInSuperpage(context.superpages, virtualAddress)) {
      this.clear(context);
      return;
    }
    const { words } = this;
    const page = virtualAddress & -4096;
    const hi = highHalf(virtualAddress);
    const first = entryIndex(context.base, "load", page);
    for (let index = first; index < first + TABLES_IN_WORDS; index += TABLE_IN_WORDS) {
      if (((words[index] ?? 0) & ~HOST_ONLY) === page && words[index + 1] === hi) words[index] = INVALID;
    }
  }

  private noteSuperpage(context: Context, page: number, size: number): void {
    const { superpages } = context;
    if (superpages.size >= MAX_SUPERPAGES) this.clear(context);
    superpages.add(Math.floor(page / size) * size + Math.log2(size));
  }

  private clear(context: Context): void {
    const { words } = this;
    const { filled, filledCount } = context;
    if (filledCount < MAX_LOGGED) {
      for (let i = 0; i < filledCount; i++) words[filled[i] ?? 0] = INVALID;
    } else {
      words.fill(INVALID, context.base >> 2, (context.base + TLB_CONTEXT_SIZE) >> 2);
    }
    context.filledCount = 0;
    if (context.superpages.size > 0) context.superpages.clear();
  }
}

function isInSuperpage(superpages: ReadonlySet<number>, address: number): boolean {
  for (const shift of SUPERPAGE_SHIFTS) {
    const size = 2 ** shift;
    if (superpages.has(Math.floor(address / size) * size + shift)) return true;
  }
  return false;
}

/** From an entry in a table to that of the same page in the next one, and past the last one. */
const TABLE_IN_WORDS = (TLB_ENTRIES * TLB_ENTRY_SIZE) >> 2;
const TABLES_IN_WORDS = TLB_CONTEXT_SIZE >> 2;

/** The index, in words, of the entry that a page has in a context. */
function entryIndex(base: number, access: AccessType, lo: number): number {
  return (base + TLB[access] + ((lo >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >> 2;
}
