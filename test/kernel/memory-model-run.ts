// Carries operations out on the model and on the real thing, and compares the two after each (docs/memory-model.md, A-1 to A-14).
//
//   operation ──> model: what must come of it
//             ──> kernel, perhaps with a failing allocation ──> nothing may have changed ──> once more, without
//   then      pages that the operation touched, and some others: model = bytes that a walk of the raw tables leads to
//                                                                     = what the harts' MMUs translate
//   each FULL_CHECK operations: all pages of all processes, all regions, all TLBs, every invariant of the kernel

import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import * as abi from "../../src/abi/linux/memory.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { allocateFrame, freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { swapTotals } from "../../src/kernel/mem/swap-slots.ts";
import { findRegionAtOrAbove } from "../../src/kernel/mem/regions.ts";
import type { SyscallResult } from "../../src/kernel/syscall/row.ts";
import {
  accessOn,
  callOn,
  createFirstUser,
  createSubject,
  exitOn,
  forkOn,
  hasCall,
  kernelWriteOn,
  parkAll,
  physicalOn,
  reclaimOn,
  swapOffOn,
  translateOn,
  walkTables,
  type Subject,
  type User,
} from "./memory-model-machine.ts";
import {
  BREAK_START,
  FILE_NAMES,
  SEGMENTS,
  SLOTS,
  STACK_WINDOW,
  type Features,
  type Operation,
} from "./memory-model-operations.ts";
import {
  accepts,
  allowsAccess,
  cellOf,
  createModelProcess,
  EXECUTE,
  forkModel,
  growStack,
  HEAD,
  isBeyondEnd,
  isUniform,
  mappedRun,
  noteTail,
  objectCell,
  outcomeOf,
  PAGE,
  protectModel,
  punchObject,
  READ,
  TAIL,
  truncateObject,
  unmapModel,
  writableCell,
  WRITE,
  type Access,
  type Cell,
  type ModelObject,
  type ModelPage,
  type ModelProcess,
} from "./memory-model.ts";

/** Frames that no operation needs more of. */
const PLENTY = 100;
/** Operations between two checks of everything. */
export const FULL_CHECK = 128;
/** Shootdowns between two that the invariants are checked during. */
const UNANSWERED_CHECK = 64;
/** Failed allocations between two after which the invariants are checked. */
const FAILURE_CHECK = 8;
const ACCESSES: readonly Access[] = ["read", "write", "execute"];
const RIGHT_OF: Readonly<Record<Access, number>> = { read: READ, write: WRITE, execute: EXECUTE };
/** What a call may say when a frame could not be had. */
const NO_MEMORY: ReadonlySet<SyscallResult> = new Set<SyscallResult>(["ENOMEM", "EAGAIN", "ENOSPC", "EFAULT"]);
const O_RDWR_CREAT = 0o102;
const PUNCH_HOLE_KEEP_SIZE = 3;
const IPC_PRIVATE = 0;
const IPC_CREAT_0600 = 0o1600;
const IPC_RMID = 0;
const AT_FDCWD = -100;
const ALL = READ | WRITE | EXECUTE;

export interface WorldOptions {
  readonly arch: ArchitectureName;
  readonly harts: number;
  readonly memoryBytes: number;
  readonly maxAsid: number | undefined;
  /** Frames that are free at the start, at most: the others are taken away. */
  readonly freeFrames: number;
  /** Size of the swap area; 0: there is none, and nothing is evicted. */
  readonly swapPages: number;
}

interface Segment {
  readonly id: number;
  readonly object: ModelObject;
  isRemoved: boolean;
}

interface Slot {
  readonly user: User;
  readonly model: ModelProcess;
}

/** Where the model and the real thing differ. */
export class Difference extends Error {
  override readonly name = "Difference";
}

/** The two side by side. */
export class World {
  readonly subject: Subject;
  readonly features: Features;
  readonly slots: (Slot | undefined)[];
  private readonly files = new Map<string, ModelObject>();
  /** In the order in which they were made. */
  private readonly segments: Segment[] = [];
  private readonly freeAtStart: number;
  private readonly executeImpliesRead: boolean;
  private nextName = 0;
  private done = 0;
  private failures = 0;

  constructor(options: WorldOptions) {
    this.subject = createSubject(options.arch, options);
    this.executeImpliesRead = this.subject.k.arch.format.executeImpliesRead;
    while (freeFrameCount(this.subject.k) > options.freeFrames) allocateFrame(this.subject.k, "kernel");
    this.freeAtStart = freeFrameCount(this.subject.k);
    this.slots = Array.from({ length: SLOTS }, () => undefined);
    const user = createFirstUser(this.subject, BREAK_START);
    this.slots[0] = { user, model: createModelProcess(BREAK_START) };
    let unanswered = 0;
    this.subject.onUnanswered = () => {
      unanswered += 1;
      if (unanswered % UNANSWERED_CHECK === 0) this.expectInvariants("while a shootdown is under way");
    };
    this.features = this.findFeatures(user, options.swapPages > 0);
  }

  models(): (ModelProcess | undefined)[] {
    return this.slots.map((slot) => slot?.model);
  }

  /** One operation, and the comparison after it. An operation whose process or descriptor is not there does nothing. */
  step(operation: Operation): void {
    const slot = this.slots[operation.slot];
    if (slot === undefined) return;
    this.done += 1;
    const touched = this.perform(operation, slot);
    this.frames.failCountdown = 0;
    this.checkSome(operation, touched);
    if (this.done % FULL_CHECK === 0) this.checkAll();
  }

  /** Ends every process; whatever they had must be back. */
  finish(): void {
    this.checkAll();
    const last = this.slots.find((slot) => slot !== undefined);
    for (const name of this.files.keys()) {
      if (last !== undefined) callOn(this.subject, last.user, 0, "unlinkat", AT_FDCWD, name, 0);
    }
    for (const { id, isRemoved } of this.segments) {
      if (last !== undefined && !isRemoved) callOn(this.subject, last.user, 0, "shmctl", id, IPC_RMID, 0);
    }
    for (const slot of this.slots) if (slot !== undefined) exitOn(this.subject, slot.user, 0);
    this.slots.fill(undefined);
    parkAll(this.subject);
    const { k } = this.subject;
    this.expectInvariants("at the end");
    expectSame("A-12: free frames at the end", freeFrameCount(k), this.freeAtStart);
    expectSame("A-14: committed pages at the end", k.state.memory.committedPages, 0);
    expectSame("processes at the end", k.state.processes.size, 1);
    const { total, free } = swapTotals(k);
    expectSame("A-12: free swap slots at the end", free, total);
  }

  private get frames(): { failCountdown: number } {
    return this.subject.k.state.memory.frames;
  }

  /** Tries calls and advice that are not on every kernel. */
  private findFeatures(user: User, swap: boolean): Features {
    const call = (name: string, ...values: number[]): SyscallResult => callOn(this.subject, user, 0, name, ...values);
    const page = 0x1000_0000;
    call("mmap", page, PAGE, READ | WRITE, abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | abi.MAP_FIXED, -1, 0);
    const advice = new Set<number>();
    for (let value = 0; value <= abi.MADV_POPULATE_WRITE; value++) {
      if (call("madvise", page, PAGE, value) === 0) advice.add(value);
    }
    call("mmap", page, PAGE, READ | WRITE, abi.MAP_SHARED | abi.MAP_ANONYMOUS | abi.MAP_FIXED, -1, 0);
    if (call("madvise", page, PAGE, abi.MADV_REMOVE) === 0) advice.add(abi.MADV_REMOVE);
    call("mmap", page, PAGE, READ | WRITE, abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | abi.MAP_FIXED, -1, 0);
    const moved = call("mremap", page, PAGE, PAGE, abi.MREMAP_MAYMOVE | abi.MREMAP_DONTUNMAP, 0);
    if (typeof moved === "number") call("munmap", moved, PAGE);
    call("munmap", page, PAGE);
    const dontUnmap = typeof moved === "number";
    return { memfd: hasCall("memfd_create"), segments: hasCall("shmget"), swap, dontUnmap, advice };
  }

  /** The pages that the operation was about. */
  private perform(operation: Operation, slot: Slot): { page: number; pages: number } {
    switch (operation.kind) {
      case "map":
        return this.map(operation, slot);
      case "unmap": {
        const { page, pages } = operation;
        const result = this.attempt(operation, slot, 0, "munmap", page * PAGE, pages * PAGE);
        expectSame("munmap", result, 0);
        unmapModel(slot.model, page, pages);
        return operation;
      }
      case "protect": {
        const { page, pages, rights } = operation;
        const { model } = slot;
        // The model is changed only when the call has been made: a failed one must leave all as it was.
        const isGap = mappedRun(model, page, pages) < pages;
        const result = this.attempt(
          operation,
          slot,
          isGap ? "ENOMEM" : "EACCES",
          "mprotect",
          page * PAGE,
          pages * PAGE,
          rights,
        );
        expectSame("mprotect", result, protectModel(model, page, pages, rights));
        return operation;
      }
      case "remap":
        return this.remap(operation, slot);
      case "break":
        return this.moveBreak(operation, slot);
      case "fork":
        return this.fork(operation, slot);
      case "exit":
        // The last one stays: a sequence that was cut down must not lose its files.
        if (this.slots.filter((other) => other !== undefined).length === 1) return { page: 0, pages: 0 };
        exitOn(this.subject, slot.user, operation.hart);
        this.slots[operation.slot] = undefined;
        return { page: 0, pages: 0 };
      case "advise":
        return this.advise(operation, slot);
      case "sync": {
        const { page, pages } = operation;
        const expected = mappedRun(slot.model, page, pages) < pages ? "ENOMEM" : 0;
        const result = this.attempt(operation, slot, expected, "msync", page * PAGE, pages * PAGE, abi.MS_SYNC);
        expectSame("msync", result, expected);
        for (let i = 0; i < pages && result === 0; i++) this.checkStored(slot.model.pages.get(page + i));
        return operation;
      }
      case "write":
      case "read":
      case "execute":
        return this.access(operation, slot);
      case "bad":
        this.bad(operation, slot);
        return { page: 0, pages: 0 };
      case "evict":
        reclaimOn(this.subject, slot.user, operation.hart, operation.frames);
        return { page: 0x1000_0000 / PAGE, pages: 1 };
      case "swapoff": {
        const result = swapOffOn(this.subject, slot.user, operation.hart);
        if (result !== 0 && !(result === "ENOMEM" && this.isFull())) throw new Difference(`swapoff gave ${result}`);
        return { page: 0x1000_0000 / PAGE, pages: 1 };
      }
      case "stack":
        return this.mapStack(operation, slot);
      case "segment":
      case "attach":
      case "detach":
      case "remove":
        return this.segmentOperation(operation, slot);
      default:
        return this.fileOperation(operation, slot);
    }
  }

  /**
   * Makes a call, with the failing allocation that the operation asks for. If it fails for that reason nothing may have changed,
   * and it is made again. `expected` is the error that it would give anyhow: then a part may be done.
   */
  private attempt(
    operation: Operation,
    slot: Slot,
    expected: SyscallResult,
    name: string,
    ...values: (number | string)[]
  ): SyscallResult {
    const make = (): SyscallResult => callOn(this.subject, slot.user, operation.hart, name, ...values);
    return this.withFailure(operation, slot, expected, make);
  }

  private withFailure<T extends SyscallResult | User>(
    operation: Operation,
    slot: Slot,
    expected: T | SyscallResult,
    make: () => T,
  ): T {
    const { frames } = this;
    frames.failCountdown = operation.fail;
    const result = make();
    const isDue = (operation.fail > 0 && frames.failCountdown === 0) || this.isFull();
    frames.failCountdown = 0;
    if (!isDue || typeof result !== "string" || !NO_MEMORY.has(result as SyscallResult)) return result;
    if (result !== expected) {
      this.checkProcess(slot);
      this.checkRegions(slot);
      this.failures += 1;
      if (this.failures % FAILURE_CHECK === 0) this.expectInvariants("after a failed allocation");
    }
    if (this.isFull()) reclaimOn(this.subject, slot.user, operation.hart, PLENTY);
    return make();
  }

  /** Whether an allocation may fail by itself. */
  private isFull(): boolean {
    return freeFrameCount(this.subject.k) < PLENTY;
  }

  private map(operation: Extract<Operation, { kind: "map" }>, slot: Slot): { page: number; pages: number } {
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
    const result = this.attempt(
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

  private remap(operation: Extract<Operation, { kind: "remap" }>, slot: Slot): { page: number; pages: number } {
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
    const expected =
      isFixed && overlaps ? "EINVAL" : first === undefined || !(mayTakeAny || isOneRegion) ? "EFAULT" : 0;
    const result = this.callRemap(operation, slot, expected);
    if ((flags & (abi.MREMAP_FIXED | abi.MREMAP_DONTUNMAP)) !== 0 && overlaps) {
      // Which of the two errors comes first does not matter.
      if (result !== "EINVAL" && result !== "EFAULT") throw new Difference(`mremap into itself gave ${result}`);
      return operation;
    }
    if (expected !== 0 || typeof result !== "number" || first === undefined) {
      if (result === expected || (typeof result === "string" && this.mayRefuse(operation, slot, result)))
        return operation;
      throw new Difference(`mremap gave ${result}, not ${expected}`);
    }
    const at = result / PAGE;
    this.checkTarget(operation, model, at);
    if (at !== page) this.moveAt(model, operation, at, mayTakeAny);
    unmapModel(model, page + newPages, keepsOld || at !== page ? 0 : pages - newPages);
    for (let i = pages; i < newPages; i++) {
      model.pages.set(at + i, { ...first, index: first.object === undefined ? 0 : first.index + i, own: undefined });
    }
    return { page: at, pages: newPages };
  }

  private callRemap(
    { page, pages, newPages, flags, target, ...operation }: Extract<Operation, { kind: "remap" }>,
    slot: Slot,
    expected: SyscallResult,
  ): SyscallResult {
    const whole = { ...operation, page, pages, newPages, flags, target };
    return this.attempt(
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
  private moveAt(
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

  /** Where Linux and this kernel may say no to what the model would do: regions with a seam, no room to grow. */
  private mayRefuse(
    { page, pages, newPages, flags }: Extract<Operation, { kind: "remap" }>,
    slot: Slot,
    error: string,
  ): boolean {
    if (error === "EFAULT") return this.isSeam(slot, page, pages);
    const mayNotMove = (flags & abi.MREMAP_MAYMOVE) === 0;
    const mustMove = newPages > pages && !isFree(slot.model, page + pages, newPages - pages);
    return error === "ENOMEM" && mayNotMove && (mustMove || this.isSeam(slot, page, pages + 1));
  }

  private checkTarget(operation: Extract<Operation, { kind: "remap" }>, model: ModelProcess, at: number): void {
    const { page, pages, newPages, flags, target } = operation;
    if ((flags & abi.MREMAP_FIXED) !== 0) return expectSame("mremap's address", at, target);
    const staysPut = (flags & abi.MREMAP_DONTUNMAP) === 0 && newPages <= pages;
    if (staysPut || (flags & abi.MREMAP_MAYMOVE) === 0) expectSame("mremap's address", at, page);
    const grown = at === page ? { first: page + pages, count: newPages - pages } : { first: at, count: newPages };
    if (!isFree(model, grown.first, grown.count))
      throw new Difference(`mremap chose ${hex(at * PAGE)}, where something is`);
  }

  /** Whether the kernel's regions have a seam within the pages: neighbours that could be one region need not be. */
  private isSeam(slot: Slot, page: number, pages: number): boolean {
    const region = findRegionAtOrAbove(slot.user.process.space, page * PAGE);
    return region === undefined || region.end < (page + pages) * PAGE;
  }

  private moveBreak(operation: Extract<Operation, { kind: "break" }>, slot: Slot): { page: number; pages: number } {
    const { model } = slot;
    const { address } = operation;
    const oldTop = Math.ceil(model.breakEnd / PAGE);
    const newTop = Math.ceil(address / PAGE);
    const isPossible = address >= model.breakStart && (newTop <= oldTop || isFree(model, oldTop, newTop - oldTop));
    const expected = isPossible ? address : model.breakEnd;
    // A break that cannot be had for want of memory is no error: it stays.
    const result = this.attempt({ ...operation, fail: 0 }, slot, expected, "brk", address);
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

  private fork(operation: Extract<Operation, { kind: "fork" }>, slot: Slot): { page: number; pages: number } {
    if (this.slots[operation.child] !== undefined) return { page: 0, pages: 0 };
    const make = (): User | SyscallResult => forkOn(this.subject, slot.user, operation.hart) as User | SyscallResult;
    const user = this.withFailure(operation, slot, 0, make);
    if (typeof user !== "object") throw new Difference(`fork gave ${user}`);
    const child = { user, model: forkModel(slot.model) };
    this.slots[operation.child] = child;
    this.checkProcess(slot);
    this.checkProcess(child);
    return { page: 0, pages: 0 };
  }

  private advise(operation: Extract<Operation, { kind: "advise" }>, slot: Slot): { page: number; pages: number } {
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
    const result = this.attempt(operation, slot, expected, "madvise", page * PAGE, pages * PAGE, advice);
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

  private access(
    operation: Extract<Operation, { kind: "write" | "read" | "execute" }>,
    slot: Slot,
  ): { page: number; pages: number } {
    const { page, hart, kind } = operation;
    const { model, user } = slot;
    const word = kind === "write" ? operation.word : HEAD;
    growStack(model, page, STACK_WINDOW);
    const address = page * PAGE + word;
    if (kind === "write" && operation.byKernel) return this.writeByKernel(operation, slot);
    this.frames.failCountdown = operation.fail;
    let outcome = accessOn(this.subject, user, hart, address, kind);
    if (outcome === "out of memory") outcome = accessOn(this.subject, user, hart, address, kind);
    this.frames.failCountdown = 0;
    expectSame(`${kind} of ${hex(address)}`, outcome, outcomeOf(model, page, kind, this.executeImpliesRead));
    const entry = model.pages.get(page);
    if (outcome === "done" && kind === "write" && entry !== undefined) {
      const physical = physicalOn(this.subject, hart, address, kind);
      this.subject.k.memory.write32(physical, operation.value);
      this.noteWrite(entry, operation.word, operation.value, physical - word);
    }
    return { page, pages: 1 };
  }

  private writeByKernel(operation: Extract<Operation, { kind: "write" }>, slot: Slot): { page: number; pages: number } {
    const { page, hart, word, value } = operation;
    const make = (): SyscallResult => kernelWriteOn(this.subject, slot.user, hart, page * PAGE + word, value);
    const isWritable = outcomeOf(slot.model, page, "write", this.executeImpliesRead) === "done";
    expectSame("write by the kernel", this.withFailure(operation, slot, 0, make), isWritable ? 0 : "EFAULT");
    const entry = slot.model.pages.get(page);
    if (isWritable && entry !== undefined) this.noteWrite(entry, word, value, this.addressOf(operation, slot, page));
    return { page, pages: 1 };
  }

  /** A word of the page was written; the other one may settle what was open. */
  private noteWrite(entry: ModelPage, word: number, value: number, frame: number): void {
    const cell = writableCell(entry);
    const other = word === HEAD ? "tail" : "head";
    if (cell.lenient === "all" || (cell.lenient === "tail" && other === "tail")) {
      const seen = this.subject.k.memory.read32(frame + (word === HEAD ? TAIL : HEAD));
      if (seen !== cell[other] && seen !== 0) throw new Difference(`${other} is ${hex(seen)}, neither old nor zero`);
      cell[other] = seen;
    }
    cell.lenient = "nothing";
    cell[word === HEAD ? "head" : "tail"] = value;
    noteTail(entry);
  }

  private fileOperation(
    operation: Extract<
      Operation,
      { kind: "open" | "memfd" | "close" | "truncate" | "to-file" | "from-file" | "punch" }
    >,
    slot: Slot,
  ): { page: number; pages: number } {
    const none = { page: 0, pages: 0 };
    const { model } = slot;
    if (operation.kind === "open") {
      const name = FILE_NAMES[operation.file] ?? "";
      const fd = this.must(operation, slot, "openat", AT_FDCWD, name, O_RDWR_CREAT, 0o644);
      const file = this.files.get(name) ?? { name, length: 0, isOnHost: name.startsWith("/h/"), cells: new Map() };
      this.files.set(name, file);
      model.files.set(fd, file);
      return none;
    }
    if (operation.kind === "memfd") {
      const fd = this.must(operation, slot, "memfd_create", "m", 0);
      const file: ModelObject = { name: `memfd ${this.nextName++}`, length: 0, isOnHost: false, cells: new Map() };
      model.files.set(fd, file);
      this.truncate(operation, slot, fd, file, operation.length);
      return none;
    }
    const file = model.files.get(operation.fd);
    if (file === undefined) return none;
    if (operation.kind === "close") {
      this.must(operation, slot, "close", operation.fd);
      model.files.delete(operation.fd);
      return none;
    }
    if (operation.kind === "punch") {
      const { fd, index, pages } = operation;
      if (file.isOnHost) return none;
      this.must(operation, slot, "fallocate", fd, PUNCH_HOLE_KEEP_SIZE, index * PAGE, pages * PAGE);
      punchObject(file, index, pages);
      return none;
    }
    if (operation.kind === "truncate") {
      this.truncate(operation, slot, operation.fd, file, operation.length);
      return none;
    }
    return operation.kind === "to-file" ? this.writeFile(operation, slot, file) : this.readFile(operation, slot, file);
  }

  private mapStack(operation: Extract<Operation, { kind: "stack" }>, slot: Slot): { page: number; pages: number } {
    const { pages } = operation;
    const page = STACK_WINDOW.first + STACK_WINDOW.pages - pages;
    const flags = abi.MAP_PRIVATE | abi.MAP_ANONYMOUS | abi.MAP_FIXED | abi.MAP_GROWSDOWN;
    const address = page * PAGE;
    expectSame(
      "mmap",
      this.attempt(operation, slot, 0, "mmap", address, pages * PAGE, READ | WRITE, flags, -1, 0),
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

  private segmentOperation(
    operation: Extract<Operation, { kind: "segment" | "attach" | "detach" | "remove" }>,
    slot: Slot,
  ): { page: number; pages: number } {
    const none = { page: 0, pages: 0 };
    if (operation.kind === "segment") {
      const length = operation.pages * PAGE;
      const id = this.must(operation, slot, "shmget", IPC_PRIVATE, length, IPC_CREAT_0600);
      const object = {
        name: `segment ${this.segments.length}`,
        length,
        isOnHost: false,
        cells: new Map<number, Cell>(),
      };
      this.segments.push({ id, object, isRemoved: false });
      return none;
    }
    if (operation.kind === "detach") return this.detach(operation, slot);
    const latest = Math.max(0, this.segments.length - SEGMENTS);
    const segment = this.segments[latest + operation.segment];
    if (segment === undefined || segment.isRemoved) return none;
    if (operation.kind === "remove") {
      this.must(operation, slot, "shmctl", segment.id, IPC_RMID, 0);
      segment.isRemoved = true;
      return none;
    }
    return this.attach(operation, slot, segment);
  }

  private attach(
    operation: Extract<Operation, { kind: "attach" }>,
    slot: Slot,
    { id, object }: Segment,
  ): { page: number; pages: number } {
    const { page, anywhere } = operation;
    const { model } = slot;
    const pages = object.length / PAGE;
    const expected = !anywhere && !isFree(model, page, pages) ? "EINVAL" : 0;
    const result = this.attempt(operation, slot, expected, "shmat", id, anywhere ? 0 : page * PAGE, 0);
    if (expected !== 0) {
      expectSame("shmat", result, expected);
      return operationPage(page);
    }
    if (typeof result !== "number") throw new Difference(`shmat gave ${result}`);
    if (!anywhere) expectSame("shmat's address", result, page * PAGE);
    const at = result / PAGE;
    if (!isFree(model, at, pages)) throw new Difference(`shmat chose ${hex(result)}, where something is`);
    for (let index = 0; index < pages; index++) {
      model.pages.set(at + index, {
        rights: READ | WRITE,
        maximum: ALL,
        shared: true,
        object,
        index,
        own: undefined,
        kind: "segment",
        omittedByFork: false,
        wipedByFork: false,
      });
    }
    return { page: at, pages };
  }

  /** shmdt: what is left of the attachment that began at the page goes, wherever the rest of it went. */
  private detach(operation: Extract<Operation, { kind: "detach" }>, slot: Slot): { page: number; pages: number } {
    const { page } = operation;
    const { model } = slot;
    const isPart = ([number, entry]: readonly [number, ModelPage]): boolean =>
      entry.kind === "segment" && number >= page && number - page === entry.index;
    const parts = [...model.pages].filter(isPart).toSorted(([a], [b]) => a - b);
    const object = parts[0]?.[1].object;
    const expected = object === undefined ? "EINVAL" : 0;
    const result = this.attempt(operation, slot, expected, "shmdt", page * PAGE);
    expectSame("shmdt", result, expected);
    for (const [number, entry] of parts) if (entry.object === object) model.pages.delete(number);
    return { page, pages: 6 };
  }

  private must(operation: Operation, slot: Slot, name: string, ...values: (number | string)[]): number {
    const result = this.attempt(operation, slot, 0, name, ...values);
    if (typeof result !== "number") throw new Difference(`${name} gave ${result}`);
    return result;
  }

  private truncate(operation: Operation, slot: Slot, fd: number, file: ModelObject, length: number): void {
    this.must(operation, slot, "ftruncate", fd, length);
    truncateObject(
      file,
      length,
      this.models().filter((model) => model !== undefined),
    );
  }

  /** The kernel reads four bytes at a user page's start into the start of a page of the file. */
  private writeFile(
    operation: Extract<Operation, { kind: "to-file" | "from-file" }>,
    slot: Slot,
    file: ModelObject,
  ): { page: number; pages: number } {
    const { fd, index, page } = operation;
    const { model } = slot;
    growStack(model, page, STACK_WINDOW);
    const isReadable = outcomeOf(model, page, "read", this.executeImpliesRead) === "done";
    const expected = isReadable ? 4 : "EFAULT";
    const result = this.attempt(operation, slot, expected, "pwrite64", fd, page * PAGE, 4, index * PAGE);
    expectSame("pwrite64", result, expected);
    const entry = model.pages.get(page);
    if (!isReadable || entry === undefined) return operationPage(page);
    this.settle(operation, slot, page, entry);
    const { head } = cellOf(entry);
    if (file.length < index * PAGE + 4) truncateObject(file, index * PAGE + 4, []);
    const cell = objectCell(file, index);
    if (cell.lenient === "all") cell.lenient = "tail";
    cell.head = head;
    return operationPage(page);
  }

  /** The kernel writes four bytes of the file to a user page's start. */
  private readFile(
    operation: Extract<Operation, { kind: "to-file" | "from-file" }>,
    slot: Slot,
    file: ModelObject,
  ): { page: number; pages: number } {
    const { fd, index, page } = operation;
    const { model } = slot;
    if (file.length < index * PAGE + 4) return operationPage(page);
    growStack(model, page, STACK_WINDOW);
    const isWritable = outcomeOf(model, page, "write", this.executeImpliesRead) === "done";
    const expected = isWritable ? 4 : "EFAULT";
    const { head } = file.cells.get(index) ?? { head: 0 };
    const result = this.attempt(operation, slot, expected, "pread64", fd, page * PAGE, 4, index * PAGE);
    expectSame("pread64", result, expected);
    const entry = model.pages.get(page);
    if (isWritable && entry !== undefined) this.noteWrite(entry, HEAD, head, this.addressOf(operation, slot, page));
    return operationPage(page);
  }

  /** Where the contents of a page lie that may be read. The kernel may have written there without mapping it again. */
  private addressOf({ hart }: Operation, slot: Slot, page: number): number {
    const walked = walkTables(this.subject, slot.user.process.space, page * PAGE);
    if (walked !== undefined) return walked.physical;
    expectSame(`read of ${hex(page * PAGE)}`, accessOn(this.subject, slot.user, hart, page * PAGE, "read"), "done");
    return physicalOn(this.subject, hart, page * PAGE, "read");
  }

  /** Looks at a page that has just been accessed, where the model leaves open what it holds. */
  private settle(operation: Operation, slot: Slot, page: number, entry: ModelPage): void {
    if (cellOf(entry).lenient !== "nothing") this.checkContents(page, entry, this.addressOf(operation, slot, page));
  }

  /** Calls with arguments that make no sense: the right error, and nothing else. */
  private bad(operation: Extract<Operation, { kind: "bad" }>, slot: Slot): void {
    const top = this.subject.k.arch.layout.userTop;
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
    const result = callOn(this.subject, slot.user, operation.hart, name, ...values);
    if (typeof result !== "string" || !errors.includes(result)) {
      throw new Difference(`${name}(${values.join(", ")}) gave ${result}, not ${errors.join(" or ")}`);
    }
  }

  /** The pages that were touched, in every process, and one more of each. */
  private checkSome(operation: Operation, touched: { page: number; pages: number }): void {
    for (const slot of this.slots) {
      if (slot === undefined) continue;
      const shown = Math.min(touched.pages, 4);
      for (let i = 0; i < shown; i++) {
        this.checkPage(slot, touched.page + Math.floor((i * touched.pages) / shown));
      }
      this.checkPage(slot, touched.page + touched.pages);
      this.checkPage(slot, 0x1000_0000 / PAGE + ((this.done * 7 + operation.slot) % 40));
    }
  }

  private checkAll(): void {
    for (const slot of this.slots) {
      if (slot === undefined) continue;
      this.checkProcess(slot);
      this.checkRegions(slot);
    }
    this.expectInvariants("after an operation");
  }

  private expectInvariants(when: string): void {
    expectSame(`invariants ${when}`, checkInvariants(this.subject.k).join("\n"), "");
  }

  private checkProcess(slot: Slot): void {
    for (const page of slot.model.pages.keys()) this.checkPage(slot, page);
  }

  /** what the raw tables and the harts say of one page, beside the model. Nothing is faulted in. */
  private checkPage(slot: Slot, page: number): void {
    const address = page * PAGE;
    const { space } = slot.user.process;
    if (address + PAGE > this.subject.k.arch.layout.userTop) return;
    const walked = walkTables(this.subject, space, address);
    const entry = slot.model.pages.get(page);
    if (walked !== undefined && !this.isKernels(address)) {
      if (entry === undefined) throw new Difference(`A-5: ${hex(address)} is mapped by the tables and by no call`);
      for (const access of ACCESSES) {
        if ((walked.rights & RIGHT_OF[access]) !== 0 && !allowsAccess(entry, access, this.executeImpliesRead)) {
          throw new Difference(`A-5: the PTE of ${hex(address)} allows ${access}`);
        }
      }
      if (isBeyondEnd(entry))
        throw new Difference(`A-2: ${hex(address)} is mapped beyond the end of ${entry.object?.name}`);
      this.checkContents(page, entry, walked.physical);
    }
    for (const [hart, user] of this.subject.running.entries()) {
      if (user !== slot.user) continue;
      for (const access of ACCESSES) {
        const seen = translateOn(this.subject, hart, address, access);
        const isAllowed = walked !== undefined && (walked.rights & RIGHT_OF[access]) !== 0;
        if (seen === (isAllowed ? walked.physical : undefined)) continue;
        throw new Difference(
          `A-7: hart ${hart} translates ${access} of ${hex(address)} to ${hex(seen)}, the tables to ${hex(walked?.physical)} with rights ${walked?.rights}`,
        );
      }
    }
  }

  private checkContents(page: number, entry: ModelPage, physical: number): void {
    const { memory } = this.subject.k;
    const head = memory.read32(physical + HEAD);
    const tail = memory.read32(physical + TAIL);
    if (accepts(entry, head, tail)) return;
    const cell = cellOf(entry);
    throw new Difference(
      `A-1: ${hex(page * PAGE)} holds ${hex(head)} … ${hex(tail)}, not ${hex(cell.head)} … ${hex(cell.tail)} (${cell.lenient} may be zero)`,
    );
  }

  /** After msync the file of the host has what its shared mapping shows. */
  private checkStored(entry: ModelPage | undefined): void {
    if (entry?.shared !== true || entry.object?.isOnHost !== true || isBeyondEnd(entry)) return;
    const { object, index } = entry;
    const { bytes } = this.subject.folder.files.get(object.name.slice(3)) ?? { bytes: new Uint8Array() };
    expectSame("size of the host's file", bytes.length, object.length);
    const stored = new Uint8Array(PAGE);
    stored.set(bytes.subarray(index * PAGE, (index + 1) * PAGE));
    const view = new DataView(stored.buffer);
    const isCut = index * PAGE + TAIL >= object.length;
    const { head, tail } = cellOf(entry);
    expectSame("head in the host's file", view.getInt32(HEAD, true), head);
    if (!isCut && cellOf(entry).lenient === "nothing")
      expectSame("tail in the host's file", view.getInt32(TAIL, true), tail);
  }

  /** the regions are the pages that the model has, and what lies between the two words of a page is zero. */
  private checkRegions(slot: Slot): void {
    const { space } = slot.user.process;
    let pages = 0;
    for (let at = 0; ;) {
      const region = findRegionAtOrAbove(space, at);
      if (region === undefined) break;
      at = region.end;
      if (this.isKernels(region.start)) continue;
      const { read, write, execute } = region.protection;
      const rights = (read ? READ : 0) | (write ? WRITE : 0) | (execute ? EXECUTE : 0);
      for (let address: number = region.start; address < region.end; address += PAGE) {
        pages += 1;
        const entry = slot.model.pages.get(address / PAGE);
        if (entry?.rights === rights && entry.shared === (region.sharing === "shared")) continue;
        throw new Difference(
          `A-10: region at ${hex(address)} has rights ${rights}, ${region.sharing}; the model ${entry?.rights}`,
        );
      }
    }
    expectSame("A-10: pages in regions", pages, slot.model.pages.size);
  }

  /** Pages that every space has without asking. */
  private isKernels(address: number): boolean {
    const { layout } = this.subject.k.arch;
    return address >= layout.vdso;
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

function operationPage(page: number): { page: number; pages: number } {
  return { page, pages: 1 };
}

function isFree(model: ModelProcess, first: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (model.pages.has(first + i)) return false;
  return true;
}

function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Difference(`${what}: ${String(actual)}, not ${String(expected)}`);
}

function hex(value: number | undefined): string {
  return value === undefined ? "nowhere" : `0x${(value < 0 ? value + 2 ** 32 : value).toString(16)}`;
}
