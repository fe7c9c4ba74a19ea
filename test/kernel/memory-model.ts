// A reference model of memory: what programs can observe, and nothing of how the kernel does it.
//
//   ModelProcess ── pages: page number ──> ModelPage { rights, private or shared, object?, own? }
//                                                          │                        └ a private copy: Cell
//                                                          └ object ── cells: index ──> Cell
//
// A Cell stands for what a page holds: the 32-bit words at its two ends; all between them is zero. A page without a cell reads as
// zeros. Private pages have a cell once they are written; shared ones, and private ones of a file before that, show the object's.
//
// Where Linux leaves a choice the model does, too: `lenient` says that a page may have been replaced by zeros (MADV_FREE) or its
// tail have been (a file that was made longer), until somebody looks.

import * as abi from "../../src/abi/linux/memory.ts";
import type { Errno } from "../../src/abi/linux/errno.ts";

export const PAGE = 4096;
/** Where a cell's two words lie in its page. */
export const HEAD = 0;
export const TAIL = PAGE - 4;

export const READ = abi.PROT_READ;
export const WRITE = abi.PROT_WRITE;
export const EXECUTE = abi.PROT_EXEC;

export interface Cell {
  head: number;
  tail: number;
  /** What may be zero instead, unseen so far. */
  lenient: "nothing" | "tail" | "all";
}

/** What pages of several mappings and processes show: a file, a memfd, shared anonymous memory. */
export interface ModelObject {
  readonly name: string;
  length: number;
  /** A file of the host: what a mapping writes behind its end may get lost with the page. */
  readonly isOnHost: boolean;
  readonly cells: Map<number, Cell>;
}

export interface ModelPage {
  rights: number;
  /** What mprotect may raise the rights to. */
  readonly maximum: number;
  readonly shared: boolean;
  readonly object: ModelObject | undefined;
  /** Page of the object. */
  readonly index: number;
  own: Cell | undefined;
  readonly kind: "anonymous" | "heap" | "file" | "segment" | "stack";
  /** MADV_DONTFORK and MADV_WIPEONFORK: a child does not have the page, or has zeros there. */
  omittedByFork: boolean;
  wipedByFork: boolean;
}

export interface ModelProcess {
  readonly pages: Map<number, ModelPage>;
  /** By descriptor. */
  readonly files: Map<number, ModelObject>;
  readonly breakStart: number;
  breakEnd: number;
}

/** What an access does. */
export type Access = "read" | "write" | "execute";
export type AccessOutcome = "done" | "SIGSEGV 1" | "SIGSEGV 2" | "SIGBUS";

export function createModelProcess(breakStart: number): ModelProcess {
  return { pages: new Map(), files: new Map(), breakStart, breakEnd: breakStart };
}

/** What the page shows; zeros where nobody has written. */
export function cellOf(page: ModelPage): Readonly<Cell> {
  return page.own ?? page.object?.cells.get(page.index) ?? ZEROS;
}

const ZEROS: Readonly<Cell> = Object.freeze({ head: 0, tail: 0, lenient: "nothing" });

/** Whether the page lies beyond the end of its object. */
export function isBeyondEnd(page: ModelPage): boolean {
  return page.object !== undefined && page.index * PAGE >= page.object.length;
}

/** A page that may be written can be read; on some machines one that may be executed can be, too. */
export function allowsAccess(page: ModelPage, access: Access, executeImpliesRead: boolean): boolean {
  if (access === "write") return (page.rights & WRITE) !== 0;
  if (access === "execute") return (page.rights & EXECUTE) !== 0;
  return (page.rights & (READ | WRITE)) !== 0 || ((page.rights & EXECUTE) !== 0 && executeImpliesRead);
}

/** RLIMIT_STACK, and the gap that a stack keeps to what lies below it, in pages. */
const STACK_LIMIT = 2048;
const STACK_GAP = 256;

/**
 * An access to a page that is not mapped, just below a stack: the stack grows down to it, as far as its limit and its neighbours let
 * it. `window` is where stacks are.
 */
export function growStack(process: ModelProcess, number: number, window: { first: number; pages: number }): void {
  const { pages } = process;
  const end = window.first + window.pages;
  if (number < window.first || number >= end || pages.has(number)) return;
  let top = number;
  while (top < end && !pages.has(top)) top += 1;
  const lowest = pages.get(top);
  if (lowest?.kind !== "stack") return;
  let after = top;
  while (isPart(pages.get(after), lowest)) after += 1;
  if (after - number > STACK_LIMIT) return;
  for (let below = number - 1; below >= number - STACK_GAP; below--) {
    const neighbour = pages.get(below);
    // Only the nearest one counts; another stack, or pages that nobody can reach, need no gap.
    if (neighbour !== undefined && (neighbour.kind === "stack" || neighbour.rights === 0)) break;
    if (neighbour !== undefined) return;
  }
  for (let page = number; page < top; page++) pages.set(page, { ...lowest, own: undefined });
}

function isPart(page: ModelPage | undefined, lowest: ModelPage): boolean {
  return (
    page?.kind === "stack" &&
    page.rights === lowest.rights &&
    page.omittedByFork === lowest.omittedByFork &&
    page.wipedByFork === lowest.wipedByFork
  );
}

/** Pages of an object become holes: they read as zeros, but where a private copy is shown. */
export function punchObject(object: ModelObject, index: number, pages: number): void {
  for (let i = 0; i < pages; i++) object.cells.delete(index + i);
}

/** What an access to the page at `number` must do. */
export function outcomeOf(
  process: ModelProcess,
  number: number,
  access: Access,
  executeImpliesRead: boolean,
): AccessOutcome {
  const page = process.pages.get(number);
  if (page === undefined) return "SIGSEGV 1";
  if (!allowsAccess(page, access, executeImpliesRead)) return "SIGSEGV 2";
  return isBeyondEnd(page) ? "SIGBUS" : "done";
}

/** The cell that a write to the page changes, made where there is none. */
export function writableCell(page: ModelPage): Cell {
  if (page.shared && page.object !== undefined) return objectCell(page.object, page.index);
  page.own ??= { ...cellOf(page) };
  return page.own;
}

export function objectCell(object: ModelObject, index: number): Cell {
  let cell = object.cells.get(index);
  if (cell === undefined) object.cells.set(index, (cell = { head: 0, tail: 0, lenient: "nothing" }));
  return cell;
}

/** Compares what was seen with what must be there; where there is a choice, what was seen is the truth from now on. */
export function accepts(page: ModelPage, head: number, tail: number): boolean {
  const cell = cellOf(page);
  if (cell.lenient === "nothing") return cell.head === head && cell.tail === tail;
  const isKept = cell.head === head && cell.tail === tail;
  const isZeroed = head === (cell.lenient === "all" ? 0 : cell.head) && tail === 0;
  if (!isKept && !isZeroed) return false;
  if (isZeroed) {
    const changed = page.own ?? page.object?.cells.get(page.index);
    // A page that is zeros already may be so again.
    if (changed !== undefined) Object.assign(changed, { head, tail, lenient: "nothing" });
  }
  return true;
}

/** To be called after each write to the page. */
export function noteTail(page: ModelPage): void {
  const { object, index, own } = page;
  const cell = own === undefined ? object?.cells.get(index) : undefined;
  if (object?.isOnHost === true && cell !== undefined && index * PAGE + TAIL >= object.length) cell.lenient = "tail";
}

/** fork: private pages are as they are now and then go their own ways; shared ones stay the same. */
export function forkModel(parent: ModelProcess): ModelProcess {
  const child: ModelProcess = { ...parent, pages: new Map(), files: new Map(parent.files) };
  for (const [number, page] of parent.pages) {
    if (page.omittedByFork) continue;
    const own = page.own === undefined || page.wipedByFork ? undefined : { ...page.own };
    child.pages.set(number, { ...page, own });
  }
  return child;
}

/** Sets an object's length. Pages beyond it go, private copies too; what follows the end in the last page becomes zeros. */
export function truncateObject(object: ModelObject, length: number, processes: Iterable<ModelProcess>): void {
  const pages = Math.ceil(length / PAGE);
  if (length > object.length && object.length % PAGE !== 0) {
    // What a mapping wrote behind the old end may come to light or may not.
    const last = object.cells.get(Math.floor(object.length / PAGE));
    if (last !== undefined && last.tail !== 0) last.lenient = "tail";
  }
  object.length = length;
  for (const index of object.cells.keys()) if (index >= pages) object.cells.delete(index);
  const last = length % PAGE === 0 ? undefined : object.cells.get(pages - 1);
  if (last !== undefined) last.tail = 0;
  for (const process of processes) {
    for (const page of process.pages.values()) if (page.object === object && page.index >= pages) page.own = undefined;
  }
}

/** Whether all pages of [first, first + count) are there and could be one region. */
export function isUniform(process: ModelProcess, first: number, count: number): boolean {
  const start = process.pages.get(first);
  if (start === undefined) return false;
  for (let i = 1; i < count; i++) {
    const page = process.pages.get(first + i);
    if (page === undefined) return false;
    const isAlike =
      page.rights === start.rights &&
      page.maximum === start.maximum &&
      page.shared === start.shared &&
      page.object === start.object &&
      page.kind === start.kind &&
      page.omittedByFork === start.omittedByFork &&
      page.wipedByFork === start.wipedByFork &&
      (page.object === undefined || page.index === start.index + i);
    if (!isAlike) return false;
  }
  return true;
}

/** Pages of [first, first + count) up to the first that is not mapped. */
export function mappedRun(process: ModelProcess, first: number, count: number): number {
  let run = 0;
  while (run < count && process.pages.has(first + run)) run += 1;
  return run;
}

export function unmapModel(process: ModelProcess, first: number, count: number): void {
  for (let i = 0; i < count; i++) process.pages.delete(first + i);
}

/** mprotect: what lies before a gap, or before a page that cannot have the rights, is changed. */
export function protectModel(process: ModelProcess, first: number, count: number, rights: number): 0 | Errno {
  for (let i = 0; i < count; i++) {
    const page = process.pages.get(first + i);
    if (page === undefined) return "ENOMEM";
    if ((rights & ~page.maximum) !== 0) return "EACCES";
    page.rights = rights;
  }
  return 0;
}
