// Puts a kernel on a board, starts it, and runs it in slices.
//
//   bootSystem: platform ──> reset … kentry start … kentry main ──> root mounted, pid 1 made ──> System
//
//   run(slice) ──> running    the slice is over
//              ──> idle       all programs wait: for the host, or for virtual time, which the caller may let pass (skipTo)
//              ──> stopped    the program that mattered has ended, power-off, or a panic with its report
//
// Only here is a KernelBug, or anything else that kernel code throws, caught: it stops the machine with a readable report, never
// the host.

import type { Errno } from "../abi/linux/errno.ts";
import { O_RDWR } from "../abi/linux/open-flags.ts";
import { startUart } from "../kernel/devices/uart.ts";
import { loadArchive } from "../kernel/fs/archive.ts";
import { checkFileInvariants } from "../kernel/fs/checker.ts";
import { wakeChannelReaders } from "../kernel/fs/channel.ts";
import { filesystemOperations } from "../kernel/fs/filesystem-operations.ts";
import { mountFilesystem } from "../kernel/fs/mounts.ts";
import { resolveFromRoot } from "../kernel/fs/path.ts";
import type { OpenFile, PathRef } from "../kernel/fs/types.ts";
import type { HostPorts } from "../kernel/host.ts";
import { KernelBug, type Kernel } from "../kernel/kernel.ts";
import { checkInvariants } from "../kernel/mem/checker.ts";
import { hartState, isAsked } from "../kernel/mem/shootdown.ts";
import { checkProcessInvariants } from "../kernel/process/checker.ts";
import { createReaper, spawn, type SpawnRequest } from "../kernel/process/exec.ts";
import { sendSignal, userSignal } from "../kernel/process/signals.ts";
import type { Process, WaitStatus } from "../kernel/process/types.ts";
import { setWindow } from "../kernel/tty/ioctl.ts";
import { createTtyFile } from "../kernel/tty/open.ts";
import { createTty, UART_CHANNEL } from "../kernel/tty/tty.ts";
import { feedTtysFrom } from "../kernel/tty/wire.ts";
import type { Hart } from "../machine/hart.ts";
import type { StaleTranslation } from "../machine/engine/translation-check.ts";
import type { Machine, RunLimit, StopReason } from "../machine/machine.ts";
import { MINIMUM_MEMORY, type CreatePlatform, type Platform } from "./platform.ts";
import { createKernelState } from "./state.ts";

export interface BootOptions {
  /** The architecture, as `loadPlatform` gives it. */
  readonly platform: CreatePlatform;
  /** Guest RAM, a multiple of 4096. */
  readonly memoryBytes: number;
  /** 1 to 8. */
  readonly harts: number;
  /** An unpacked tar or cpio archive, loaded into a tmpfs; or a host directory of `hostPorts`, mounted as it is. */
  readonly root:
    | { readonly kind: "archive"; readonly bytes: Uint8Array }
    | { readonly kind: "host"; readonly directory: string };
  /** The channel "console" carries the console. */
  readonly hostPorts: HostPorts;
  /** Program that becomes pid 1, on the console. Without one pid 1 is the kernel's reaper, and programs come by `spawn`. */
  readonly init?: {
    readonly path: string;
    readonly argv: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
  };
  readonly bootTime: { readonly seconds: number; readonly nanoseconds: number };
  readonly randomSeed: number;
  /** Whether programs begin at random addresses (the default) or at fixed ones; a running system can change it. */
  readonly layout?: "random" | "fixed" | undefined;
  /** Whether the log tells of memory that is writable and executable at once. */
  readonly writableCode?: "allow" | "report" | undefined;
  readonly checkInvariants: boolean;
  /** Looks for uses of stale translations; one is a panic with the text that this makes of it. */
  readonly describeStaleTranslation?: ((k: Kernel, stale: StaleTranslation) => string) | undefined;
  /** Called before the first instruction, to attach probes that must hear everything. */
  readonly onKernel?: (kernel: Kernel) => void;
  /** Asked after each kernel entry: true ends `run` early, for a host whose time a slice of expensive calls would take. */
  readonly isSliceOver?: () => boolean;
}

export type RunState =
  | { readonly kind: "running" }
  /** Nothing can run before `untilNs` of virtual time, or before the host brings input where that is undefined. */
  | { readonly kind: "idle"; readonly untilNs: number | undefined }
  /** `reason`: "exit" of the main program, "power-off", "reboot", "halt", "failure" of the board, or "panic" with a report. */
  | { readonly kind: "stopped"; readonly status: number; readonly reason: string; readonly report: string | undefined };

export interface System {
  readonly kernel: Kernel;
  readonly machine: Machine;
  /** Runs at most that many instructions over all harts. */
  run(slice: { readonly instructions: number }): RunState;
  /** Lets virtual time pass to `timeNs` on an idle machine. */
  skipTo(timeNs: number): void;
  /** The host's channel has new bytes, or has ended. */
  deliverInput(channel: string): void;
  /** Hears of every process that ends, by pid; of one that is born and ends within one slice, nothing. */
  onProcessExit(listener: (pid: number, status: WaitStatus) => void): void;
  /** Sends a signal from outside; ESRCH when there is no such process. */
  signal(pid: number, signal: number): 0 | Errno;
  /** Makes every hart look at the run queue: after a program was spawned from outside. */
  wakeHarts(): void;
  /** The console's window has another size. */
  resizeConsole(rows: number, columns: number): void;
  /** Starts a program beside those that run. */
  spawn(request: SpawnRequest): Process | Errno;
  /** Stops the machine as reboot(2) with POWER_OFF would. */
  powerOff(): void;
  /** Makes the kernel panic when it is next entered: its report ends the run. */
  panic(message: string): void;
}

/** A boot that cannot succeed: bad options or a bad root. */
export class BootError extends Error {
  override readonly name = "BootError";
}

const CONSOLE_CHANNEL = "console";
/** Status of a run that our own failure ends. */
const FAILURE_STATUS = 125;
/** Instructions within which start-up is over. */
const STARTUP_LIMIT = 10_000_000;
/** Input bytes that are moved to the UART at once. */
const CONSOLE_CHUNK = 65536;

export function bootSystem(options: BootOptions): System {
  const { memoryBytes } = options;
  if (!Number.isInteger(memoryBytes / 4096) || memoryBytes < MINIMUM_MEMORY) {
    throw new BootError(`memory must be a multiple of 4096 bytes and at least ${MINIMUM_MEMORY / 2 ** 20} MiB`);
  }
  const console = options.hostPorts.channels.get(CONSOLE_CHANNEL);
  const output = createOutputBuffer((bytes) => console?.write(bytes));
  const { describeStaleTranslation } = options;
  const platform = makePlatform(
    options,
    output.push,
    describeStaleTranslation === undefined
      ? undefined
      : (stale) => {
          const { space } = hartState(kernel, stale.hart.id);
          // What a hart was asked to drop it may use until it answers.
          if (space !== undefined && isAsked(kernel, stale.hart.id, space, stale.address, stale.address + 1)) return;
          const bug = new KernelBug(describeStaleTranslation(kernel, stale));
          // Where the machine found it tells nothing.
          bug.stack = "";
          fail(stale.hart, bug);
        },
  );
  const { machine } = platform;
  const kernel: Kernel = {
    state: createKernelState(
      {
        bootTime: options.bootTime,
        randomSeed: options.randomSeed,
        layout: options.layout,
        writableCode: options.writableCode,
        commandLine: "",
        checkInvariants: options.checkInvariants,
      },
      machine.memory,
      options.harts,
    ),
    arch: platform.arch,
    machine,
    memory: machine.memory,
    host: options.hostPorts,
    probes: {},
  };
  options.onKernel?.(kernel);

  let failure: { error: unknown; report: string } | undefined;
  const fail = (hart: Hart | undefined, error: unknown): void => {
    failure ??= { error, report: describePanic(platform, hart, error) };
    machine.requestStop();
  };
  let isUp = false;
  const startUser = (k: Kernel): void => {
    startUserSpace(k, options);
    isUp = true;
    machine.requestStop();
  };
  platform.bind(kernel, startUser, (hart, work) => {
    if (failure !== undefined) return;
    try {
      work();
      if (options.checkInvariants && isUp) assertInvariants(kernel);
      if (options.isSliceOver?.() === true) machine.requestPause();
    } catch (error) {
      fail(hart, error);
    }
  });
  for (let spent = 0; !isUp && failure === undefined && spent < STARTUP_LIMIT; spent += 100_000) {
    machine.run({ instructions: 100_000 });
  }
  if (failure !== undefined) throw failure.error instanceof BootError ? failure.error : new BootError(failure.report);
  if (!isUp) throw new BootError("the kernel did not come up");

  const exitListeners: ((pid: number, status: WaitStatus) => void)[] = [];
  let stopped: Extract<RunState, { kind: "stopped" }> | undefined;

  /** The processes that live now. */
  function listAlive(): Process[] {
    if (exitListeners.length === 0) return [];
    return [...kernel.state.processes.values()].filter(({ state }) => state.kind !== "zombie");
  }

  function reportExits(watched: readonly Process[]): void {
    for (const { pid, state } of watched) {
      if (state.kind !== "zombie") continue;
      for (const listener of exitListeners) listener(pid, state.status);
    }
  }

  function advance(limit: RunLimit): StopReason {
    const watched = listAlive();
    let reason: StopReason = { kind: "stopped" };
    try {
      reason = machine.run(limit);
    } catch (error) {
      fail(undefined, error);
    }
    output.flush();
    reportExits(watched);
    return reason;
  }

  /** Kernel work that the host asks for, between slices: no hart is in the kernel, and all of them look at what has changed. */
  function fromOutside<T>(work: () => T): T | undefined {
    if (failure !== undefined) return undefined;
    try {
      kernel.state.scheduler.kernelHart = NO_HART;
      const result = work();
      interruptHarts();
      return result;
    } catch (error) {
      fail(undefined, error);
      return undefined;
    }
  }

  function interruptHarts(): void {
    for (const { id } of machine.harts) kernel.arch.sendInterprocessorInterrupt(kernel, id);
  }

  function run({ instructions }: { readonly instructions: number }): RunState {
    if (stopped !== undefined) return stopped;
    const reason = advance({ instructions, idle: "return" });
    const { shutdown } = kernel.state;
    if (failure !== undefined) {
      stopped = { kind: "stopped", status: FAILURE_STATUS, reason: "panic", report: failure.report };
    } else if (shutdown !== undefined) {
      stopped = { kind: "stopped", status: shutdown.status, reason: shutdown.kind, report: undefined };
    } else if (reason.kind === "halted") {
      stopped = { kind: "stopped", status: reason.status, reason: reason.reason, report: undefined };
    }
    if (stopped !== undefined) return stopped;
    return reason.kind === "idle" ? { kind: "idle", untilNs: reason.nextEventNs } : { kind: "running" };
  }

  return {
    kernel,
    machine,
    run,
    spawn: (request) => fromOutside(() => spawn(kernel, request)) ?? "EIO",
    powerOff() {
      kernel.state.shutdown ??= { kind: "power-off", status: 0 };
      interruptHarts();
    },
    panic(message) {
      const [hart] = machine.harts;
      if (hart !== undefined) fail(hart, new KernelBug(message));
    },
    skipTo(timeNs) {
      if (stopped === undefined) advance({ untilNs: timeNs });
    },
    deliverInput(channel) {
      if (channel === CONSOLE_CHANNEL) moveConsoleInput(options.hostPorts, platform);
      fromOutside(() => {
        wakeChannelReaders(kernel, channel);
        feedTtysFrom(kernel, channel);
      });
    },
    onProcessExit(listener) {
      exitListeners.push(listener);
    },
    signal(pid, signal) {
      const process = kernel.state.processes.get(pid);
      if (process === undefined) return "ESRCH";
      return fromOutside(() => sendSignal(kernel, process, { ...userSignal(signal, process), pid: 0 })) ?? "EIO";
    },
    wakeHarts: interruptHarts,
    resizeConsole(rows, columns) {
      const [tty] = kernel.state.ttys.ttys;
      if (tty !== undefined) fromOutside(() => setWindow(kernel, tty, rows, columns, 0, 0));
    },
  };
}

/** `scheduler.kernelHart` while the host acts on the kernel: no hart is in it. */
const NO_HART = -1;

function makePlatform(
  options: BootOptions,
  consoleOutput: (byte: number) => void,
  onStaleTranslation: ((stale: StaleTranslation) => void) | undefined,
): Platform {
  try {
    return options.platform({ ...options, consoleOutput, onStaleTranslation });
  } catch (error) {
    if (error instanceof RangeError) throw new BootError(error.message);
    throw error;
  }
}

/** What start-up does once memory works: devices, root file system, pid 1. */
function startUserSpace(k: Kernel, options: BootOptions): void {
  k.arch.initializeDevices(k);
  startUart(k);
  const console = createTty(k, "console", UART_CHANNEL);
  const root = mountRoot(k, options);
  mountAt(k, root, "dev", "devfs");
  mountOver(k, "/dev/shm", "tmpfs");
  mountAt(k, root, "proc", "procfs");
  mountAt(k, root, "sys", "sysfs");
  if (options.init === undefined) {
    const reaper = createReaper(k);
    if (typeof reaper === "string") throw new KernelBug(`no reaper: ${reaper}`);
    return;
  }
  const place = resolveFromRoot(k, "/dev/console");
  const files: OpenFile[] = [];
  for (let fd = 0; fd < 3; fd++) {
    const file = typeof place === "string" ? place : createTtyFile(k, console, place.inode, place, O_RDWR);
    if (typeof file === "string") throw new BootError(`cannot open the console: ${file}`);
    files.push(file);
  }
  const process = spawn(k, { ...options.init, files, tty: console.index, isMain: true });
  if (typeof process === "string") throw new BootError(`cannot start ${options.init.path}: ${process}`);
}

function mountRoot(k: Kernel, options: BootOptions): PathRef {
  const { root } = options;
  const mounted =
    root.kind === "archive"
      ? mountFilesystem(k, "tmpfs", undefined, {
          source: "tmpfs",
          mode: 0o755,
          limitBytes: Math.floor((k.memory.size * 3) / 4),
        })
      : mountFilesystem(k, "hostfs", undefined, { source: root.directory });
  if (typeof mounted === "string") throw new BootError(`cannot mount the root file system: ${mounted}`);
  const place = resolveFromRoot(k, "/");
  if (typeof place === "string") throw new BootError(`no root directory: ${place}`);
  if (root.kind === "archive") {
    const loaded = loadArchive(k, place, root.bytes);
    if (loaded !== 0) throw new BootError(`the root archive is not usable: ${loaded.error}`);
  }
  return place;
}

/** Mounts a file system of the kernel's own, where the root has or can be given the directory. */
function mountAt(k: Kernel, root: PathRef, name: string, kind: "devfs" | "procfs" | "sysfs"): void {
  const { filesystem } = root.inode;
  if (typeof resolveFromRoot(k, `/${name}`) === "string" && !root.mount.flags.readOnly) {
    filesystemOperations(filesystem).create(k, root.inode, name, { kind: "directory", mode: 0o755, uid: 0, gid: 0 });
  }
  mountOver(k, `/${name}`, kind);
}

/** Mounts a new file system on a directory that is there; the log says if that is not possible. */
function mountOver(k: Kernel, path: string, kind: "devfs" | "procfs" | "sysfs" | "tmpfs"): void {
  const place = resolveFromRoot(k, path);
  const mounted = typeof place === "string" ? place : mountFilesystem(k, kind, place);
  if (typeof mounted === "string") k.probes.log?.(`cannot mount ${kind} on ${path}: ${mounted}`);
}

function assertInvariants(k: Kernel): void {
  const broken = [...checkInvariants(k), ...checkProcessInvariants(k), ...checkFileInvariants(k)];
  if (broken.length > 0) throw new KernelBug(`invariants do not hold:\n  ${broken.slice(0, 20).join("\n  ")}`);
}

function moveConsoleInput(ports: HostPorts, platform: Platform): void {
  const channel = ports.channels.get(CONSOLE_CHANNEL);
  for (;;) {
    const bytes = channel?.read(CONSOLE_CHUNK);
    if (bytes === undefined || bytes.length === 0) return;
    platform.pushConsoleInput(bytes);
  }
}

/** What a person needs to find the bug: the error, where TypeScript was, and the registers of the hart. */
function describePanic(platform: Platform, hart: Hart | undefined, error: unknown): string {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const stack = error instanceof Error ? (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line)) : [];
  const trace = stack.map((line) => line.replace(/\(?(file:\/\/)?\S*\/(dist\/)?(src\/)/, "($3")).slice(0, 24);
  const where = hart === undefined ? "" : ` on hart ${hart.id}`;
  const harts = hart === undefined ? platform.machine.harts : [hart];
  return [`kernel panic${where}: ${what}`, ...trace, ...harts.map((each) => platform.describeHart(each))].join("\n");
}

/** Collects the console's bytes and hands them on in chunks. */
function createOutputBuffer(write: (bytes: Uint8Array) => void): { push: (byte: number) => void; flush: () => void } {
  const buffer = new Uint8Array(4096);
  let length = 0;
  const flush = (): void => {
    if (length === 0) return;
    write(buffer.slice(0, length));
    length = 0;
  };
  return {
    flush,
    push(byte) {
      if (length === buffer.length) flush();
      buffer[length] = byte;
      length += 1;
    },
  };
}
