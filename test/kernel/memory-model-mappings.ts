// Calls that change what is mapped, on the model and on the real thing: mmap, mremap, brk, madvise, and calls that make no sense.

import * as abi from "../../src/abi/linux/memory.ts";
import { findRegionAtOrAbove } from "../../src/kernel/mem/regions.ts";
import type { SyscallResult } from "../../src/kernel/syscall/row.ts";
import { callOn } from "./memory-model-machine.ts";
import { STACK_WINDOW, type Operation } from "./memory-model-operations.ts";
import {
  EXECUTE,
  isBeyondEnd,
  isUniform,
  mappedRun,
  PAGE,
  punchObject,
  READ,
  unmapModel,
  WRITE,
  type ModelPage,
  type ModelProcess,
} from "./memory-model.ts";
import { Difference, isFree, expectSame, hex } from "./memory-model-difference.ts";
import type { Slot, World } from "./memory-model-run.ts";

const ALL = READ | WRITE | EXECUTE;

export function mapPages(
  world: World,
  operation: Extract<Operation, { kind: "map" }>,
  slot: Slot,
): { page: number; pages: number } {
  const { page, pages, rights, place, shared, fd, offset, populate } = operation;
  const { model } = slot;
  const file = fd < 0 ? undefined : model.files.get(fd);
  if (fd >= 0 && file === undefined) return operation;
  // Filling a private mapping of a file makes copies now, or later where it stops early.
  const isOpen = file !== undefined && !shared && (rights & WRITE) !== 0;
  const flags =
    (shared ? abi.MAP_SHARED : abi.MAP_PRIVATE) |
    (file === undefined ? abi.MAP_ANONYMOUS : 0) |
    (place === "fixed" ? abi.MAP_FIXED : place === "no-replace" ? abi.MAP_FIXED_NOREPLACE : 0) |
    (populate && !isOpen ? abi.MAP_POPULATE : 0);
  const address = place === "anywhere" ? 0 : page * PAGE;
  const isTaken = !isFree(model, page, pages);
  const expected = place === "no-replace" && isTaken ? "EEXIST" : undefined;
  const result = world.attempt(
    operation,
    slot,
    expected ?? 0,
    "mmap",
    address,
    pages * PAGE,
    rights,
    flags,
    fd,
    offset * PAGE,
  );
  if (expected !== undefined) {
    expectSame("mmap", result, expected);
    return operation;
  }
  if (typeof result !== "number") throw new Difference(`mmap gave ${result}`);
  const at = result / PAGE;
  if (place === "fixed" || place === "no-replace" || (place === "hint" && !isTaken && !isBelowStack(model, page))) {
    expectSame("mmap's address", result, page * PAGE);
  } else if (!isFree(model, at, pages)) {
    throw new Difference(`mmap chose ${hex(result)}, where something is`);
  }
  unmapModel(model, at, pages);
  const object =
    file ??
    (shared ? { name: "shared anonymous", length: pages * PAGE, isOnHost: false, cells: new Map() } : undefined);
  for (let i = 0; i < pages; i++) {
    model.pages.set(at + i, {
      rights,
      maximum: ALL,
      shared,
      object,
      index: object === undefined ? 0 : offset + i,
      own: undefined,
      kind: file === undefined ? "anonymous" : "file",
      omittedByFork: false,
      wipedByFork: false,
    });
  }
  return { page: at, pages };
}

export function remapPages(
  world: World,
  operation: Extract<Operation, { kind: "remap" }>,
  slot: Slot,
): { page: number; pages: number } {
  const { page, pages, newPages, flags, target } = operation;
  const { model } = slot;
  const first = model.pages.get(page);
  const isFixed = (flags & abi.MREMAP_FIXED) !== 0;
  const keepsOld = (flags & abi.MREMAP_DONTUNMAP) !== 0;
  // How far a shared object without a file reaches after it was made longer is left open by Linux.
  if (newPages > pages && first?.shared === true && first.kind !== "file") return operation;
  // A stack that has moved grows where it is then, and the model looks for stacks in their window alone.
  for (let i = 0; i < pages; i++) if (model.pages.get(page + i)?.kind === "stack") return operation;
  const overlaps = target < page + pages && page < target + newPages;
  const mayTakeAny = isFixed ? newPages === pages : !keepsOld && newPages <= pages;
  const isOneRegion = isUniform(model, page, pages);
  const expected = isFixed && overlaps ? "EINVAL" : first === undefined || !(mayTakeAny || isOneRegion) ? "EFAULT" : 0;
  const result = callRemap(world, operation, slot, expected);
  if ((flags & (abi.MREMAP_FIXED | abi.MREMAP_DONTUNMAP)) !== 0 && overlaps) {
    // Which of the two errors comes first does not matter.
    if (result !== "EINVAL" && result !== "EFAULT") throw new Difference(`mremap into itself gave ${result}`);
    return operation;
  }
  if (expected !== 0 || typeof result !== "number" || first === undefined) {
    if (result === expected || (typeof result === "string" && mayRefuse(operation, slot, result))) return operation;
    throw new Difference(`mremap gave ${result}, not ${expected}`);
  }
  const at = result / PAGE;
  checkTarget(operation, model, at);
  if (at !== page) moveAt(model, operation, at, mayTakeAny);
  unmapModel(model, page + newPages, keepsOld || at !== page ? 0 : pages - newPages);
  for (let i = pages; i < newPages; i++) {
    model.pages.set(at + i, { ...first, index: first.object === undefined ? 0 : first.index + i, own: undefined });
  }
  return { page: at, pages: newPages };
}

function callRemap(
  world: World,
  { page, pages, newPages, flags, target, ...operation }: Extract<Operation, { kind: "remap" }>,
  slot: Slot,
  expected: SyscallResult,
): SyscallResult {
  const whole = { ...operation, page, pages, newPages, flags, target };
  return world.attempt(
    whole,
    slot,
    expected,
    "mremap",
    page * PAGE,
    pages * PAGE,
    newPages * PAGE,
    flags,
    target * PAGE,
  );
}

/** Pages that go to another place, of which each is taken away only where one comes, if several regions may move. */
function moveAt(
  model: ModelProcess,
  { page, pages, newPages, flags }: Extract<Operation, { kind: "remap" }>,
  at: number,
  mayTakeAny: boolean,
): void {
  const keepsOld = (flags & abi.MREMAP_DONTUNMAP) !== 0;
  if (!mayTakeAny) unmapModel(model, at, newPages);
  for (let i = 0; i < pages; i++) {
    const entry = model.pages.get(page + i);
    if (entry === undefined) continue;
    model.pages.delete(page + i);
    if (i < newPages) model.pages.set(at + i, entry);
    if (keepsOld) model.pages.set(page + i, { ...entry, own: undefined });
  }
}

/** Where Linux and world kernel may say no to what the model would do: regions with a seam, no room to grow. */
function mayRefuse(
  { page, pages, newPages, flags }: Extract<Operation, { kind: "remap" }>,
  slot: Slot,
  error: string,
): boolean {
  if (error === "EFAULT") return isSeam(slot, page, pages);
  const mayNotMove = (flags & abi.MREMAP_MAYMOVE) === 0;
  const mustMove = newPages > pages && !isFree(slot.model, page + pages, newPages - pages);
  return error === "ENOMEM" && mayNotMove && (mustMove || isSeam(slot, page, pages + 1));
}

function checkTarget(operation: Extract<Operation, { kind: "remap" }>, model: ModelProcess, at: number): void {
  const { page, pages, newPages, flags, target } = operation;
  if ((flags & abi.MREMAP_FIXED) !== 0) return expectSame("mremap's address", at, target);
  const staysPut = (flags & abi.MREMAP_DONTUNMAP) === 0 && newPages <= pages;
  if (staysPut || (flags & abi.MREMAP_MAYMOVE) === 0) expectSame("mremap's address", at, page);
  const grown = at === page ? { first: page + pages, count: newPages - pages } : { first: at, count: newPages };
  if (!isFree(model, grown.first, grown.count))
    throw new Difference(`mremap chose ${hex(at * PAGE)}, where something is`);
}

/** Whether the kernel's regions have a seam within the pages: neighbours that could be one region need not be. */
function isSeam(slot: Slot, page: number, pages: number): boolean {
  const region = findRegionAtOrAbove(slot.user.process.space, page * PAGE);
  return region === undefined || region.end < (page + pages) * PAGE;
}

export function moveBreak(
  world: World,
  operation: Extract<Operation, { kind: "break" }>,
  slot: Slot,
): { page: number; pages: number } {
  const { model } = slot;
  const { address } = operation;
  const oldTop = Math.ceil(model.breakEnd / PAGE);
  const newTop = Math.ceil(address / PAGE);
  const isPossible = address >= model.breakStart && (newTop <= oldTop || isFree(model, oldTop, newTop - oldTop));
  const expected = isPossible ? address : model.breakEnd;
  // A break that cannot be had for want of memory is no error: it stays.
  const result = world.attempt({ ...operation, fail: 0 }, slot, expected, "brk", address);
  expectSame("brk", result, expected);
  if (!isPossible) return { page: oldTop, pages: 1 };
  unmapModel(model, newTop, oldTop - newTop);
  for (let page = oldTop; page < newTop; page++) {
    model.pages.set(page, {
      rights: READ | WRITE,
      maximum: ALL,
      shared: false,
      object: undefined,
      index: 0,
      own: undefined,
      kind: "heap",
      omittedByFork: false,
      wipedByFork: false,
    });
  }
  model.breakEnd = address;
  return { page: Math.min(oldTop, newTop), pages: Math.abs(newTop - oldTop) };
}

export function advisePages(
  world: World,
  operation: Extract<Operation, { kind: "advise" }>,
  slot: Slot,
): { page: number; pages: number } {
  const { page, pages, advice } = operation;
  const { model } = slot;
  const isPlain = (entry: ModelPage | undefined): boolean =>
    entry !== undefined && !entry.shared && entry.object === undefined;
  const needsPlain = advice === abi.MADV_FREE || advice === abi.MADV_WIPEONFORK;
  const populates = advice === abi.MADV_POPULATE_READ || advice === abi.MADV_POPULATE_WRITE;
  for (let i = 0; i < pages; i++) {
    const entry = model.pages.get(page + i);
    // Where some pages cannot have it the call stops half-way; Linux says not where.
    if (needsPlain && !isPlain(entry)) return operation;
    if (advice === abi.MADV_POPULATE_WRITE && !isPlain(entry)) return operation;
    if (advice === abi.MADV_REMOVE && !isRemovable(entry)) return operation;
    if (populates && (entry === undefined || isBeyondEnd(entry))) return operation;
    // Which rights filling needs is not the rights of an access.
    if (populates && (entry?.rights ?? 0) % EXECUTE !== (READ | WRITE)) return operation;
  }
  const expected = mappedRun(model, page, pages) < pages ? "ENOMEM" : 0;
  const result = world.attempt(operation, slot, expected, "madvise", page * PAGE, pages * PAGE, advice);
  expectSame(`madvise ${advice}`, result, expected);
  for (let i = 0; i < pages; i++) {
    const entry = model.pages.get(page + i);
    if (entry === undefined) continue;
    if (advice === abi.MADV_DONTNEED && !entry.shared) entry.own = undefined;
    if (advice === abi.MADV_REMOVE && entry.object !== undefined) punchObject(entry.object, entry.index, 1);
    if (advice === abi.MADV_FREE && entry.own !== undefined) entry.own.lenient = "all";
    if (advice === abi.MADV_DONTFORK) entry.omittedByFork = true;
    if (advice === abi.MADV_WIPEONFORK) entry.wipedByFork = true;
    if (advice === abi.MADV_DOFORK) entry.omittedByFork = false;
    if (advice === abi.MADV_KEEPONFORK) entry.wipedByFork = false;
  }
  return operation;
}

export function mapStack(
  world: World,
  operation: Extract<Operation, { kind: "stack" }>,
  slot: Slot,
): { page: number; pages: number } {
  const { pages } = operation;
  const page = STACK_WINDOW.first + STACK_WINDOW.pages - pages;
  const flags = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | abi.MAP_FIXED | abi.MAP_GROWSDOWN;
  const address = page * PAGE;
  expectSame(
    "mmap",
    world.attempt(operation, slot, 0, "mmap", address, pages * PAGE, READ | WRITE, flags, -1, 0),
    address,
  );
  for (let i = 0; i < pages; i++) {
    slot.model.pages.set(page + i, {
      rights: READ | WRITE,
      maximum: ALL,
      shared: false,
      object: undefined,
      index: 0,
      own: undefined,
      kind: "stack",
      omittedByFork: false,
      wipedByFork: false,
    });
  }
  return { page, pages };
}

/** Calls with arguments that make no sense: the right error, and nothing else. */
export function callBadly(world: World, operation: Extract<Operation, { kind: "bad" }>, slot: Slot): void {
  const top = world.subject.k.arch.layout.userTop;
  const anonymous = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS;
  const cases: readonly (readonly [string, readonly number[], readonly string[]])[] = [
    ["mmap", [0, 0, READ, anonymous, -1, 0], ["EINVAL"]],
    ["mmap", [0, 2 ** 62, READ, anonymous, -1, 0], ["ENOMEM"]],
    ["mmap", [0, top, READ | WRITE, anonymous, -1, 0], ["ENOMEM"]],
    ["mmap", [top, PAGE, READ, anonymous | abi.MAP_FIXED, -1, 0], ["ENOMEM", "EINVAL"]],
    ["mmap", [NaN, PAGE, READ, anonymous | abi.MAP_FIXED, -1, 0], ["ENOMEM", "EINVAL"]],
    ["mmap", [0x1000_0001, PAGE, READ, anonymous | abi.MAP_FIXED, -1, 0], ["EINVAL"]],
    ["mmap", [top - PAGE, 2 * PAGE, READ, anonymous | abi.MAP_FIXED, -1, 0], ["ENOMEM", "EINVAL"]],
    ["mmap", [0, PAGE, READ, abi.MAP_PRIVATE, 77, 0], ["EBADF"]],
    ["mmap", [0, PAGE, READ, abi.MAP_ANONYMOUS | abi.MAP_PRIVATE | abi.MAP_SHARED | 4, -1, 0], ["EINVAL"]],
    ["mmap", [0, PAGE, READ, anonymous, -1, 1], ["EINVAL"]],
    ["munmap", [0x1000_0001, PAGE], ["EINVAL"]],
    ["munmap", [0x1000_0000, 0], ["EINVAL"]],
    ["munmap", [top - PAGE, 2 * PAGE], ["EINVAL"]],
    ["munmap", [0x1000_0000, 2 ** 63], ["EINVAL"]],
    ["mprotect", [0x1000_0001, PAGE, READ], ["EINVAL"]],
    ["mprotect", [0x1000_0000, PAGE, 0x80], ["EINVAL"]],
    ["mprotect", [top, PAGE, READ], ["ENOMEM"]],
    ["mremap", [0x1000_0001, PAGE, PAGE, 1, 0], ["EINVAL"]],
    ["mremap", [0x1000_0000, PAGE, 0, 1, 0], ["EINVAL"]],
    ["mremap", [0x1000_0000, PAGE, PAGE, 0x100, 0], ["EINVAL"]],
    ["mremap", [0x1000_0000, PAGE, PAGE, abi.MREMAP_FIXED, 0x2000_0000], ["EINVAL"]],
    ["mremap", [top - PAGE, 4 * PAGE, PAGE, 1, 0], ["EFAULT", "EINVAL"]],
    ["madvise", [0x1000_0001, PAGE, abi.MADV_DONTNEED], ["EINVAL"]],
    ["madvise", [0x1000_0000, PAGE, 99], ["EINVAL"]],
    ["madvise", [0x1000_0000, -PAGE, abi.MADV_DONTNEED], ["EINVAL"]],
    ["msync", [0x1000_0000, PAGE, abi.MS_SYNC | abi.MS_ASYNC], ["EINVAL"]],
    ["msync", [top, PAGE, abi.MS_SYNC], ["ENOMEM"]],
  ];
  const [name, values, errors] = cases[operation.what % cases.length] ?? ["", [], []];
  const result = callOn(world.subject, slot.user, operation.hart, name, ...values);
  if (typeof result !== "string" || !errors.includes(result)) {
    throw new Difference(`${name}(${values.join(", ")}) gave ${result}, not ${errors.join(" or ")}`);
  }
}

/** Whether the pages may lie in the gap that is kept below a stack. */
function isBelowStack(model: ModelProcess, page: number): boolean {
  const { first, pages } = STACK_WINDOW;
  if (page < first - pages || page >= first + pages) return false;
  for (let at = page; at < first + pages; at++) if (model.pages.get(at)?.kind === "stack") return true;
  return false;
}

/** Whether MADV_REMOVE may make a hole of the page. */
function isRemovable(entry: ModelPage | undefined): boolean {
  if (entry?.object === undefined || !entry.shared || (entry.rights & WRITE) === 0) return false;
  return !entry.object.isOnHost && !isBeyondEnd(entry);
}
