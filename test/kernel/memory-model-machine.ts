// The real thing, for the model to be compared with: a kernel with some harts, processes that no scheduler runs, system calls made
// by calling their handlers, and accesses made through the harts' own MMUs and TLBs.
//
//   access:  hart.load / hart.store in user mode ──> TLB ──> walk ──> done
//                                                              └─ fault ──> handlePageFault ──> again
//
// `walkTables` is an oracle of its own: it reads the bytes of the tables as the manuals have it and uses nothing of the kernel.

import assert from "node:assert/strict";
import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import { SIGNALS } from "../../src/abi/linux/signals.ts";
import { CSR } from "../../src/isa/riscv64/csrs.ts";
import { CR3_HI_NO_FLUSH } from "../../src/isa/x86_64/paging.ts";
import { SEGMENT } from "../../src/isa/x86_64/registers.ts";
import { rootRegisterOf as satpOf } from "../../src/kernel/arch/riscv64/boot.ts";
import { hartOf as riscvHart } from "../../src/kernel/arch/riscv64/context.ts";
import { rootRegisterOf as cr3Of } from "../../src/kernel/arch/x86_64/boot.ts";
import { hartOf as x86Hart } from "../../src/kernel/arch/x86_64/context.ts";
import { SEGMENT_ATTRIBUTES, SELECTORS } from "../../src/kernel/arch/x86_64/hart.ts";
import { createFileTable } from "../../src/kernel/fs/descriptors.ts";
import { mountFilesystem } from "../../src/kernel/fs/mounts.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import { tmpfsOperations } from "../../src/kernel/fs/tmpfs.ts";
import type { PathRef } from "../../src/kernel/fs/types.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { createAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { enterSpace } from "../../src/kernel/mem/asid.ts";
import { handlePageFault } from "../../src/kernel/mem/fault.ts";
import { reclaimFrames } from "../../src/kernel/mem/reclaim.ts";
import { answerRequests } from "../../src/kernel/mem/shootdown.ts";
import { swapOff, swapOn } from "../../src/kernel/mem/swap-areas.ts";
import type { AddressSpace } from "../../src/kernel/mem/types.ts";
import { copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { createProcess, createThread } from "../../src/kernel/process/create.ts";
import { createReaper } from "../../src/kernel/process/exec.ts";
import { exitProcess } from "../../src/kernel/process/exit.ts";
import { cloneThread } from "../../src/kernel/process/fork.ts";
import { IGNORE_ACTION } from "../../src/kernel/process/signals.ts";
import type { Process, Thread } from "../../src/kernel/process/types.ts";
import type { SyscallResult, SyscallRow } from "../../src/kernel/syscall/row.ts";
import { ALL_CALLS } from "../../src/kernel/syscall/table.ts";
import { virtAddr } from "../../src/lib/address.ts";
import { highHalf } from "../../src/lib/word64.ts";
import type { AccessType } from "../../src/machine/hart.ts";
import type { PhysicalMemory } from "../../src/machine/physical-memory.ts";
import { createMemoryDevice } from "../support/memory-device.ts";
import { createMemoryDirectory, type MemoryDirectory } from "../support/memory-directory.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";
import { EXECUTE, PAGE, READ, WRITE, type Access, type AccessOutcome } from "./memory-model.ts";

const ROWS: ReadonlyMap<string, SyscallRow> = new Map(ALL_CALLS.map((row) => [row.name, row]));
const SIGCHLD = 17;
const SWAP_DEVICE = "swap0";
const SWAPOFF_STEPS = 1000;
/** An access that goes on faulting after so many faults is a livelock. */
const FAULT_LIMIT = 4;
/** Access of the model -> what harts call it. */
export const HART_ACCESS: Readonly<Record<Access, AccessType>> = { read: "load", write: "store", execute: "execute" };

/** A process with one thread, as the model's slots hold it. */
export interface User {
  readonly process: Process;
  readonly thread: Thread;
}

export interface Subject {
  readonly k: Kernel;
  readonly arch: ArchitectureName;
  readonly root: PathRef;
  /** The folder of the host that is mounted on /h. */
  readonly folder: MemoryDirectory;
  /** By hart: whose address space it is in. */
  readonly running: (User | undefined)[];
  /** Called while harts have still to drop translations, before they take their interrupts. */
  onUnanswered: () => void;
}

/** A leaf that `walkTables` has found. */
export interface Walked {
  readonly physical: number;
  readonly rights: number;
  readonly size: number;
}

/** The exact tier's load and store: TLB, walk, accessed and dirty bits; not 0 when the access faults. */
interface MemoryPort {
  load(size: number, lo: number, hi: number): number;
  store(size: number, lo: number, hi: number): number;
}

export function hasCall(name: string): boolean {
  return ROWS.has(name);
}

export function createSubject(
  arch: ArchitectureName,
  options: { harts: number; memoryBytes: number; maxAsid: number | undefined; swapPages: number },
): Subject {
  const { harts, memoryBytes, maxAsid, swapPages } = options;
  const blockDevices = new Map(swapPages === 0 ? [] : [[SWAP_DEVICE, createMemoryDevice(swapPages)]]);
  const changes = maxAsid === undefined ? {} : { maxAsid };
  const folder = createMemoryDirectory();
  const directories = new Map([["host", folder]]);
  const k = createMemoryKernel(arch, { harts, memoryBytes, blockDevices, directories, changes });
  if (swapPages > 0) assert.equal(swapOn(k, SWAP_DEVICE), 0);
  assert.notEqual(typeof mountFilesystem(k, "tmpfs", undefined, { mode: 0o755 }), "string");
  const root = resolveFromRoot(k, "/");
  assert.ok(typeof root !== "string");
  tmpfsOperations.create(k, root.inode, "h", { kind: "directory", mode: 0o777, uid: 0, gid: 0 });
  const place = resolveFromRoot(k, "/h");
  assert.ok(typeof place !== "string");
  assert.equal(typeof mountFilesystem(k, "hostfs", place, { source: "host" }), "object");
  assert.notEqual(typeof createReaper(k), "string");
  return { k, arch, root, folder, running: Array.from({ length: harts }, () => undefined), onUnanswered: () => {} };
}

/** A process out of nothing; the others are its descendants. */
export function createFirstUser(subject: Subject, breakStart: number): User {
  const { k, root } = subject;
  const space = createAddressSpace(k);
  assert.ok(space !== "ENOMEM");
  space.breakStart = space.breakEnd = virtAddr(breakStart);
  const pid = 2;
  k.state.scheduler.nextPid = Math.max(k.state.scheduler.nextPid, pid + 1);
  const process = createProcess(k, {
    pid,
    space,
    files: createFileTable(),
    fs: { root, cwd: root, umask: 0, sharers: 1 },
  });
  process.parent = 1;
  // Children leave no zombies.
  process.signals.actions[SIGNALS.SIGCHLD] = IGNORE_ACTION;
  const thread = createThread(k, process, pid);
  assert.ok(thread !== "ENOMEM");
  return { process, thread };
}

/** Makes a system call on a hart. */
export function callOn(
  subject: Subject,
  user: User,
  hart: number,
  name: string,
  ...values: (number | string)[]
): SyscallResult {
  const row = ROWS.get(name);
  assert.ok(row !== undefined, `no call ${name}`);
  enter(subject, user, hart);
  const result = row.handler({ k: subject.k, thread: user.thread, process: user.process, hart }, ...values);
  assert.notEqual(result, "BLOCKED", `${name} blocks`);
  leave(subject, hart);
  return result;
}

export function forkOn(subject: Subject, user: User, hart: number): User | string {
  const { k } = subject;
  enter(subject, user, hart);
  const thread = cloneThread(k, user.thread, {
    flags: 0,
    clearHandlers: false,
    exitSignal: SIGCHLD,
    stack: 0,
    tls: 0,
    parentTid: 0,
    childTid: 0,
  });
  leave(subject, hart);
  if (typeof thread === "string") return thread;
  k.state.scheduler.runQueue.length = 0; // the test says who runs
  return { process: thread.process, thread };
}

export function exitOn(subject: Subject, user: User, hart: number): void {
  const { k } = subject;
  enter(subject, user, hart);
  // The program's harts are in the kernel by then, under the kernel's tables.
  for (const [id, other] of subject.running.entries()) if (other === user) park(subject, id);
  k.state.scheduler.kernelHart = hart;
  exitProcess(k, user.process, { kind: "exited", code: 0 });
  leave(subject, hart);
}

/** Reclaims frames, as a hart does on its way out of the kernel. */
export function reclaimOn(subject: Subject, user: User, hart: number, frames: number): void {
  enter(subject, user, hart);
  reclaimFrames(subject.k, frames);
  leave(subject, hart);
}

/** swapoff, to its end, and swapon. "ENOMEM" where there is no room: then the area stays. */
export function swapOffOn(subject: Subject, user: User, hart: number): string | number {
  const { k } = subject;
  let result: string | number = "more";
  for (let steps = 0; result === "more" && steps < SWAPOFF_STEPS; steps++) {
    enter(subject, user, hart);
    result = swapOff(k, SWAP_DEVICE);
    leave(subject, hart);
  }
  return result === 0 ? swapOn(k, SWAP_DEVICE) : result;
}

/** Lets user mode access `address` on a hart, faults included. "out of memory" leaves it to the caller to try again. */
export function accessOn(
  subject: Subject,
  user: User,
  hart: number,
  address: number,
  access: Access,
): AccessOutcome | "out of memory" {
  const { k } = subject;
  show(subject, user, hart);
  for (let faults = 0; faults <= FAULT_LIMIT; faults++) {
    if (isAccessible(subject, hart, address, access)) return "done";
    enter(subject, user, hart);
    const outcome = handlePageFault(k, user.process.space, virtAddr(address), access);
    leave(subject, hart);
    show(subject, user, hart);
    if (outcome.kind === "out-of-memory") return "out of memory";
    if (outcome.kind === "signal") return outcome.signal === "SIGBUS" ? "SIGBUS" : segmentationFault(outcome.code);
  }
  throw new assert.AssertionError({ message: `${access} of ${address.toString(16)} faults for ever` });
}

/** The kernel writes a word for the user, as a system call would. */
export function kernelWriteOn(
  subject: Subject,
  user: User,
  hart: number,
  address: number,
  value: number,
): 0 | "EFAULT" | "ENOMEM" {
  const { k } = subject;
  enter(subject, user, hart);
  k.state.memory.isShort = false;
  const written = copyToUser(k, user.process.space, address, new Uint8Array(Int32Array.of(value).buffer));
  leave(subject, hart);
  return written === "EFAULT" && k.state.memory.isShort ? "ENOMEM" : written;
}

/** What lies at a user address that the hart has just accessed. */
export function physicalOn(subject: Subject, hart: number, address: number, access: Access): number {
  const found = translateOn(subject, hart, address, access);
  assert.ok(found !== undefined, `${access} of ${address.toString(16)} has just worked`);
  return found;
}

/** What the hart's MMU makes of the address now, through its TLB. */
export function translateOn(subject: Subject, hart: number, address: number, access: Access): number | undefined {
  const found = subject.k.machine.harts[hart]?.translate(address, HART_ACCESS[access]);
  return found?.ok === true ? found.physical : undefined;
}

/** The leaf for a user address in the bytes of the tables of `space`. */
export function walkTables(subject: Subject, space: AddressSpace, address: number): Walked | undefined {
  return WALKS[subject.arch](subject.k.memory, space.root * PAGE, address);
}

function segmentationFault(code: number): AccessOutcome {
  return code === 1 ? "SIGSEGV 1" : "SIGSEGV 2";
}

function isAccessible(subject: Subject, hart: number, address: number, access: Access): boolean {
  if (access === "execute") return translateOn(subject, hart, address, access) !== undefined;
  const port = subject.k.machine.harts[hart] as unknown as MemoryPort; // both architectures' harts have it
  const lo = address | 0;
  const hi = highHalf(address);
  // A store writes what the register of the exact tier happens to hold; the caller writes the word itself.
  return (access === "read" ? port.load(4, lo, hi) : port.store(4, lo, hi)) === 0;
}

/** The thread is in the kernel on this hart. */
function enter(subject: Subject, user: User, hart: number): void {
  const { scheduler } = subject.k.state;
  show(subject, user, hart);
  answerRequests(subject.k, hart);
  scheduler.kernelHart = hart;
  scheduler.current[hart] = user.thread.tid;
  user.thread.state = { kind: "running", hart };
}

/** The kernel is left. */
function leave(subject: Subject, hart: number): void {
  const { scheduler } = subject.k.state;
  const tid = scheduler.current[hart];
  const thread = tid === undefined ? undefined : subject.k.state.threads.get(tid);
  if (thread !== undefined) thread.state = { kind: "stopped" };
  scheduler.current[hart] = undefined;
  answerAll(subject);
}

/** The harts that were asked to drop translations take their interrupts; then all go on. */
export function answerAll(subject: Subject): void {
  if (subject.k.state.harts.some(({ requests }) => requests.length > 0)) subject.onUnanswered();
  for (const [other, { requests }] of subject.k.state.harts.entries()) {
    if (requests.length > 0) answerRequests(subject.k, other);
    const user = subject.running[other];
    if (user !== undefined) show(subject, user, other);
  }
}

/** Brings the hart into user mode of the space, as usertrapret and userret do. */
function show(subject: Subject, user: User, hart: number): void {
  const { k, running } = subject;
  const { space } = user.process;
  const isThere = running[hart] === user && k.state.harts[hart]?.space === space;
  const { asidGeneration } = space;
  enterSpace(k, hart, space);
  if (isThere && asidGeneration === space.asidGeneration) return;
  running[hart] = user;
  SWITCH[subject.arch](k, hart, space, "user");
}

/** Brings the hart into the kernel's own space. */
function park(subject: Subject, hart: number): void {
  subject.running[hart] = undefined;
  answerRequests(subject.k, hart);
  SWITCH[subject.arch](subject.k, hart, subject.k.state.memory.kernelSpace, "kernel");
}

/** Does something while the hart is in the kernel, under the kernel's tables. */
export function inKernelSpace(subject: Subject, hart: number, work: () => void): void {
  park(subject, hart);
  work();
}

export function parkAll(subject: Subject): void {
  for (const hart of subject.running.keys()) park(subject, hart);
}

const SWITCH: Readonly<
  Record<ArchitectureName, (k: Kernel, hart: number, space: AddressSpace, mode: "user" | "kernel") => void>
> = {
  riscv64(k, id, space, mode) {
    const hart = riscvHart(k, id);
    const satp = satpOf(space, space.asid);
    hart.writeCsr(CSR.satp, satp.lo, satp.hi);
    hart.setPrivilege(mode === "user" ? 0 : 1);
  },
  x86_64(k, id, space, mode) {
    const hart = x86Hart(k, id);
    const cr3 = cr3Of(space, space.asid);
    hart.setSystemRegister("cr3", cr3.lo, cr3.hi | CR3_HI_NO_FLUSH);
    const selector = mode === "user" ? SELECTORS.userCode : SELECTORS.kernelCode;
    if (hart.segment(SEGMENT.cs).selector === selector) return;
    const attributes = SEGMENT_ATTRIBUTES.get(selector) ?? 0;
    hart.setSegment(SEGMENT.cs, { selector, base: { lo: 0, hi: 0 }, limit: -1, attributes });
  },
};

const WALKS: Readonly<Record<ArchitectureName, (m: PhysicalMemory, table: number, at: number) => Walked | undefined>> =
  {
    // RISC-V privileged architecture, "Virtual Address Translation Process", for Sv39.
    riscv64(memory, root, address) {
      let table = root;
      for (let level = 2; level >= 0; level--) {
        const size = PAGE * 512 ** level;
        const location = table + (Math.floor(address / size) % 512) * 8;
        const lo = memory.read32(location);
        const target = (memory.read32(location + 4) & 0x3f_ffff) * 2 ** 34 + (lo >>> 10) * PAGE;
        if ((lo & 1) === 0) return undefined;
        if ((lo & 0b1110) === 0) {
          table = target;
          continue;
        }
        if ((lo & 0b1_0000) === 0 || target % size !== 0) return undefined;
        const rights = (lo & 2 ? READ : 0) | (lo & 4 ? WRITE : 0) | (lo & 8 ? EXECUTE : 0);
        return { physical: target + (address % size), rights, size };
      }
      return undefined;
    },
    // Intel SDM volume 3, 4.5.4 and 4.6: the rights of all levels together.
    x86_64(memory, root, address) {
      let table = root;
      let rights = READ | WRITE | EXECUTE;
      for (let level = 3; level >= 0; level--) {
        const size = PAGE * 512 ** level;
        const location = table + (Math.floor(address / size) % 512) * 8;
        const lo = memory.read32(location);
        const hi = memory.read32(location + 4);
        if ((lo & 1) === 0 || (lo & 4) === 0) return undefined;
        if ((lo & 2) === 0) rights &= ~WRITE;
        if (hi < 0) rights &= ~EXECUTE;
        const target = (hi & 0xf_ffff) * 2 ** 32 + ((lo & ~0xfff) >>> 0);
        const isLeaf = level === 0 || (lo & 0x80) !== 0;
        if (isLeaf) return { physical: target - (target % size) + (address % size), rights, size };
        table = target;
      }
      return undefined;
    },
  };
