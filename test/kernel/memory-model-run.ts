// Carries operations out on the model and on the real thing, and compares the two after each (docs/memory-model.md, A-1 to A-14).
//
//   operation ──> model: what must come of it
//             ──> kernel, perhaps with a failing allocation ──> nothing may have changed ──> once more, without
//   then      pages that the operation touched, and some others: model = bytes that a walk of the raw tables leads to
//                                                                     = what the harts' MMUs translate
//   each FULL_CHECK operations: all pages of all processes, all regions, all TLBs, every invariant of the kernel

import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import * as abi from "../../src/abi/linux/memory.ts";
import { allocateFrame, freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { swapTotals } from "../../src/kernel/mem/swap-slots.ts";
import type { SyscallResult } from "../../src/kernel/syscall/row.ts";
import {
  callOn,
  createFirstUser,
  createSubject,
  exitOn,
  forkOn,
  hasCall,
  parkAll,
  reclaimOn,
  swapOffOn,
  type Subject,
  type User,
} from "./memory-model-machine.ts";
import { BREAK_START, SLOTS, type Features, type Operation } from "./memory-model-operations.ts";
import {
  createModelProcess,
  forkModel,
  mappedRun,
  PAGE,
  protectModel,
  READ,
  unmapModel,
  WRITE,
  type ModelObject,
  type ModelProcess,
} from "./memory-model.ts";
import { Difference, expectSame } from "./memory-model-difference.ts";
import {
  checkSome,
  checkAll,
  expectInvariants,
  checkProcess,
  checkStored,
  checkRegions,
} from "./memory-model-check.ts";
import { accessPage } from "./memory-model-access.ts";
import { mapPages, remapPages, moveBreak, advisePages, mapStack, callBadly } from "./memory-model-mappings.ts";
import { fileOperation, segmentOperation } from "./memory-model-files.ts";

/** Frames that no operation needs more of. */
const PLENTY = 100;
/** Operations between two checks of everything. */
const FULL_CHECK = 128;
/** Shootdowns between two that the invariants are checked during. */
const UNANSWERED_CHECK = 64;
/** Failed allocations between two after which the invariants are checked. */
const FAILURE_CHECK = 8;
/** What a call may say when a frame could not be had. */
const NO_MEMORY: ReadonlySet<SyscallResult> = new Set<SyscallResult>(["ENOMEM", "EAGAIN", "ENOSPC", "EFAULT"]);
const IPC_RMID = 0;
const AT_FDCWD = -100;

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

export interface Segment {
  readonly id: number;
  readonly object: ModelObject;
  isRemoved: boolean;
}

export interface Slot {
  readonly user: User;
  readonly model: ModelProcess;
}

/** The two side by side. */
export class World {
  readonly subject: Subject;
  readonly features: Features;
  readonly slots: (Slot | undefined)[];
  /** By name; they stay when nobody has them open. */
  readonly files = new Map<string, ModelObject>();
  /** In the order in which they were made. */
  readonly segments: Segment[] = [];
  private readonly freeAtStart: number;
  readonly executeImpliesRead: boolean;
  /** Number of the next memfd. */
  nextName = 0;
  /** Operations so far. */
  done = 0;
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
      if (unanswered % UNANSWERED_CHECK === 0) expectInvariants(this, "while a shootdown is under way");
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
    checkSome(this, operation, touched);
    if (this.done % FULL_CHECK === 0) checkAll(this);
  }

  /** Ends every process; whatever they had must be back. */
  finish(): void {
    checkAll(this);
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
    expectInvariants(this, "at the end");
    expectSame("A-12: free frames at the end", freeFrameCount(k), this.freeAtStart);
    expectSame("A-14: committed pages at the end", k.state.memory.committedPages, 0);
    expectSame("processes at the end", k.state.processes.size, 1);
    const { total, free } = swapTotals(k);
    expectSame("A-12: free swap slots at the end", free, total);
  }

  get frames(): { failCountdown: number } {
    return this.subject.k.state.memory.frames;
  }

  /** Tries calls and advice that are not on every kernel. */
  findFeatures(user: User, swap: boolean): Features {
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
  perform(operation: Operation, slot: Slot): { page: number; pages: number } {
    switch (operation.kind) {
      case "map":
        return mapPages(this, operation, slot);
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
        return remapPages(this, operation, slot);
      case "break":
        return moveBreak(this, operation, slot);
      case "fork":
        return this.fork(operation, slot);
      case "exit":
        // The last one stays: a sequence that was cut down must not lose its files.
        if (this.slots.filter((other) => other !== undefined).length === 1) return { page: 0, pages: 0 };
        exitOn(this.subject, slot.user, operation.hart);
        this.slots[operation.slot] = undefined;
        return { page: 0, pages: 0 };
      case "advise":
        return advisePages(this, operation, slot);
      case "sync": {
        const { page, pages } = operation;
        const expected = mappedRun(slot.model, page, pages) < pages ? "ENOMEM" : 0;
        const result = this.attempt(operation, slot, expected, "msync", page * PAGE, pages * PAGE, abi.MS_SYNC);
        expectSame("msync", result, expected);
        for (let i = 0; i < pages && result === 0; i++) checkStored(this, slot.model.pages.get(page + i));
        return operation;
      }
      case "write":
      case "read":
      case "execute":
        return accessPage(this, operation, slot);
      case "bad":
        callBadly(this, operation, slot);
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
        return mapStack(this, operation, slot);
      case "segment":
      case "attach":
      case "detach":
      case "remove":
        return segmentOperation(this, operation, slot);
      default:
        return fileOperation(this, operation, slot);
    }
  }

  /**
   * Makes a call, with the failing allocation that the operation asks for. If it fails for that reason nothing may have changed,
   * and it is made again. `expected` is the error that it would give anyhow: then a part may be done.
   */
  attempt(
    operation: Operation,
    slot: Slot,
    expected: SyscallResult,
    name: string,
    ...values: (number | string)[]
  ): SyscallResult {
    const make = (): SyscallResult => callOn(this.subject, slot.user, operation.hart, name, ...values);
    return this.withFailure(operation, slot, expected, make);
  }

  withFailure<T extends SyscallResult | User>(
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
      checkProcess(this, slot);
      checkRegions(this, slot);
      this.failures += 1;
      if (this.failures % FAILURE_CHECK === 0) expectInvariants(this, "after a failed allocation");
    }
    if (this.isFull()) reclaimOn(this.subject, slot.user, operation.hart, PLENTY);
    return make();
  }

  /** Whether an allocation may fail by itself. */
  isFull(): boolean {
    return freeFrameCount(this.subject.k) < PLENTY;
  }

  fork(operation: Extract<Operation, { kind: "fork" }>, slot: Slot): { page: number; pages: number } {
    if (this.slots[operation.child] !== undefined) return { page: 0, pages: 0 };
    const make = (): User | SyscallResult => forkOn(this.subject, slot.user, operation.hart) as User | SyscallResult;
    const user = this.withFailure(operation, slot, 0, make);
    if (typeof user !== "object") throw new Difference(`fork gave ${user}`);
    const child = { user, model: forkModel(slot.model) };
    this.slots[operation.child] = child;
    checkProcess(this, slot);
    checkProcess(this, child);
    return { page: 0, pages: 0 };
  }

  must(operation: Operation, slot: Slot, name: string, ...values: (number | string)[]): number {
    const result = this.attempt(operation, slot, 0, name, ...values);
    if (typeof result !== "number") throw new Difference(`${name} gave ${result}`);
    return result;
  }
}
