// One system on Node: the machine with its kernel, the loop that drives it, its host folders and streams.
//
//   boot ──> Vitrine ── spawn ──> GuestProcess (stdin, stdout, stderr, status)
//               ├── console       what an init program's terminal shows and reads
//               ├── kernel, machine   for those who look inside; probes to listen to
//               └── close

import type { HostChannel, HostDirectory } from "../kernel/host.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { KernelProbes } from "../kernel/probes.ts";
import { swapOn } from "../kernel/mem/swap-areas.ts";
import type { Machine, MachineProbes } from "../machine/machine.ts";
import {
  BootError,
  bootSystem,
  type BootOptions as SystemOptions,
  type RunState,
  type System,
} from "../system/boot.ts";
import { loadDisassembler, loadPlatform, type Architecture } from "../system/platform.ts";
import {
  createChunkStream,
  createQueueChannel,
  QUEUE_LIMIT,
  type FillableStream,
  type QueueChannel,
} from "./channels.ts";
import { createDriver, isSliceOver, type Pace, type SliceClock } from "./drive.ts";
import { VitrineError } from "./error.ts";
import { DEFAULT_ARCHITECTURE, findArchitecture } from "./architecture.ts";
import { mountFromHost, toByteString, type MountOption } from "./guest-mounts.ts";
import type { ExitStatus, GuestProcess, SpawnOptions } from "./guest-process.ts";
import { createHostDirectory } from "./host-directory.ts";
import { openRoot, type RootOption } from "./root-image.ts";
import { findProgram, spawnProgram } from "./spawn.ts";
import { openSwapFile, type SwapFile, type SwapOption } from "./swap-file.ts";

export { VitrineError } from "./error.ts";
export type { MountOption } from "./guest-mounts.ts";
export type { RootOption } from "./root-image.ts";

export interface BootOptions {
  /** Architecture of the machine; default: that of the init program in `root`, else riscv64. */
  readonly arch?: Architecture | undefined;
  /** Guest RAM in bytes, a multiple of 4096; default 128 MiB. */
  readonly memory?: number;
  /** 1 to 8; default 1. */
  readonly harts?: number;
  /** Root file system; default the package's own. */
  readonly root?: RootOption;
  readonly mounts?: readonly MountOption[];
  /** A file of the host as swap area, /dev/swap0 in the guest and in use from the start. */
  readonly swap?: SwapOption | undefined;
  /** Time of the guest's clock at boot; default 2026-01-01T00:00:00Z, so that runs repeat. */
  readonly date?: Date | undefined;
  /** Seed of the guest's random numbers; default 0. */
  readonly seed?: number;
  /** Whether stack, mappings, heap and position-independent programs begin at random addresses (default) or at fixed ones. */
  readonly layout?: "random" | "fixed";
  /** Whether the kernel's log tells of memory that is writable and executable at once (default "allow": it does not). */
  readonly writableCode?: "allow" | "report";
  /** Checks every kernel invariant after each kernel entry: slow, for tests. Default: whether VITRINE_CHECK is in the environment. */
  readonly checkInvariants?: boolean;
  /**
   * Compares every translation that a TLB could serve with the page tables, and panics where an instruction uses one that is stale: for
   * tests. Default: whether VITRINE_CHECK_TRANSLATIONS is in the environment.
   */
  readonly checkTranslations?: boolean;
  /** Program to run as pid 1 on the console, with its arguments. Without it the kernel waits for `spawn`. */
  readonly init?: readonly string[];
  readonly initEnvironment?: Readonly<Record<string, string>>;
  /** How time passes while all programs wait: "virtual" (default) jumps, "real" waits as a person would. */
  readonly pace?: Pace;
  /** Takes what the console prints. */
  readonly onConsole?: (bytes: Uint8Array) => void;
  /** Awaited between slices while host streams are full. */
  readonly drain?: () => Promise<void> | undefined;
  /** Called with the kernel before the first instruction, to attach probes that must hear everything. */
  readonly onKernel?: (kernel: Kernel) => void;
}

export interface Vitrine extends AsyncDisposable {
  /** The kernel and the machine, to look at. */
  readonly kernel: Kernel;
  readonly machine: Machine;
  readonly probes: { readonly kernel: KernelProbes; readonly machine: MachineProbes };
  /** Starts a program. `argv[0]` is a guest path, or a name that is looked up along PATH. Throws VitrineError (126, 127). */
  spawn(argv: readonly string[], options?: SpawnOptions): GuestProcess;
  /** Starts a program on the console terminal, as the leader of its session. */
  spawnOnConsole(argv: readonly string[], options?: Pick<SpawnOptions, "env" | "cwd">): GuestProcess;
  readonly console: {
    /** What is typed. */
    write(bytes: Uint8Array | string): void;
    /** Nothing more will be typed: a program that waits for input finds end of file, as ^D gives it. */
    end(): void;
    resize(rows: number, columns: number): void;
  };
  mount(option: MountOption): void;
  /** For a monitor: stops the machine cleanly, makes the kernel panic, or makes it fault in supervisor mode. */
  readonly control: { powerOff(): void; panic(message: string): void; fault(): void };
  /** Stops time; the machine stands still once the promise resolves. */
  pause(): Promise<void>;
  resume(): void;
  /** Resolves when the system has stopped by itself: power-off, panic, halt. */
  readonly stopped: Promise<Extract<RunState, { kind: "stopped" }>>;
  /** Stops the machine and forgets it. */
  close(): Promise<void>;
}

const DEFAULT_MEMORY = 128 * 2 ** 20;
const DEFAULT_DATE = new Date("2026-01-01T00:00:00Z");
const CONSOLE_CHANNEL = "console";
const SWAP_DEVICE = "swap0";
/** Far more than the harts take from start-up to their idle loops. */
const IDLE_LIMIT = 1_000_000;
/** ^D, and how often it is typed at the end of input before the machine is switched off: once for each program that reads to the end. */
const END_OF_FILE = Uint8Array.of(4);
const CONSOLE_ENDS = 1000;

export async function boot(options: BootOptions = {}): Promise<Vitrine> {
  const arch = options.arch ?? findArchitecture(options.root, options.init?.[0]) ?? DEFAULT_ARCHITECTURE;
  const root = openRoot(options.root, arch);
  const channels = new Map<string, HostChannel>();
  const directories = new Map<string, HostDirectory>();
  const consoleChannel = createQueueChannel(options.onConsole ?? ((): void => undefined));
  channels.set(CONSOLE_CHANNEL, consoleChannel);
  if (root.kind === "folder") directories.set("root", createHostDirectory(root.path, { readOnly: true }));
  const swap = options.swap === undefined ? undefined : openSwapFile(options.swap);
  const milliseconds = (options.date ?? DEFAULT_DATE).getTime();
  const seconds = Math.floor(milliseconds / 1000);
  const checkTranslations = options.checkTranslations ?? process.env["VITRINE_CHECK_TRANSLATIONS"] !== undefined;
  const clock: SliceClock = { endsAtMs: Infinity };
  const system = start({
    isSliceOver: () => isSliceOver(clock),
    platform: await loadPlatform(arch),
    memoryBytes: options.memory ?? DEFAULT_MEMORY,
    harts: options.harts ?? 1,
    root: root.kind === "archive" ? { kind: "archive", bytes: root.bytes } : { kind: "host", directory: "root" },
    hostPorts: { channels, directories, blockDevices: swap === undefined ? new Map() : new Map([[SWAP_DEVICE, swap]]) },
    bootTime: { seconds, nanoseconds: (milliseconds - seconds * 1000) * 1e6 },
    randomSeed: options.seed ?? 0,
    layout: options.layout,
    writableCode: options.writableCode,
    checkInvariants: options.checkInvariants ?? process.env["VITRINE_CHECK"] !== undefined,
    describeStaleTranslation: checkTranslations ? await loadStaleTranslationReport(arch) : undefined,
    ...(options.init === undefined
      ? {}
      : {
          init: {
            path: toByteString(options.init[0] ?? ""),
            argv: options.init.map(toByteString),
            env: Object.entries(options.initEnvironment ?? {}).map(([name, value]) => toByteString(`${name}=${value}`)),
            cwd: "/",
          },
        }),
    ...(options.onKernel === undefined ? {} : { onKernel: options.onKernel }),
  });
  if (swap !== undefined) swapOn(system.kernel, SWAP_DEVICE);
  for (const mount of options.mounts ?? []) mountFromHost(system.kernel, directories, mount);
  return createVitrine(system, options, { channels, directories, consoleChannel, swap }, clock);
}

/** What SystemOptions.describeStaleTranslation takes; loaded only where it is asked for. */
async function loadStaleTranslationReport(arch: Architecture): Promise<SystemOptions["describeStaleTranslation"]> {
  const { describeStaleTranslation } = await import("../inspect/stale-translation.ts");
  const disassemble = await loadDisassembler(arch);
  return (k, stale) => describeStaleTranslation(k, stale, disassemble);
}

/** Boots; what cannot be booted is the caller's to know in one line. */
function start(options: SystemOptions): System {
  try {
    return bootSystem(options);
  } catch (error) {
    throw error instanceof BootError ? new VitrineError(error.message) : error;
  }
}

interface HostSide {
  readonly channels: Map<string, HostChannel>;
  readonly directories: Map<string, HostDirectory>;
  readonly consoleChannel: QueueChannel;
  swap: SwapFile | undefined;
}

function createVitrine(system: System, options: BootOptions, host: HostSide, clock: SliceClock): Vitrine {
  const unread = new Set<FillableStream>();
  /** The machine stands still while somebody outside is slow. */
  function drain(): Promise<void> | undefined {
    for (const stream of unread) {
      const full = stream.room();
      if (full !== undefined) return full;
    }
    return options.drain?.();
  }
  const driver = createDriver(system, { pace: options.pace ?? "virtual", clock, drain, onStarved });
  let consoleEnds = 0;
  /** At the end of console input, each program that waits for more finds end of file; what still waits then is stopped. */
  function onStarved(): void {
    if (consoleEnds === 0) return;
    consoleEnds += 1;
    if (consoleEnds < CONSOLE_ENDS) typeOnConsole(END_OF_FILE);
    else system.powerOff();
    driver.notify();
  }
  /** Whoever waits for a process: told once, by the exit probe or by the end of the system. */
  const waiting = new Map<number, { resolve: (status: ExitStatus) => void; reject: (error: Error) => void }>();
  system.onProcessExit((pid, status) => {
    waiting.get(pid)?.resolve(status);
    waiting.delete(pid);
  });
  let hasStopped = false;
  function requireRunning(): void {
    if (hasStopped) throw new VitrineError("the system has stopped");
  }
  void driver.stopped.then((state) => {
    hasStopped = true;
    const error = new VitrineError(state.report ?? `the system has stopped (${state.reason})`);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  });
  // Without an init every hart is soon idle. Programs are spawned into that state, wherever the host's clock would have ended a slice.
  if (options.init === undefined) system.run({ instructions: IDLE_LIMIT });
  driver.start();
  let spawned = 0;

  const deliver = (channel: string): void => {
    driver.passTime();
    system.deliverInput(channel);
    driver.notify();
  };

  function typeOnConsole(bytes: Uint8Array): void {
    host.consoleChannel.push(bytes);
    deliver(CONSOLE_CHANNEL);
  }

  function watch(pid: number): Promise<ExitStatus> {
    const status = new Promise<ExitStatus>((resolve, reject) => waiting.set(pid, { resolve, reject }));
    // A caller that never looks at the status must not end the host by it.
    status.catch(() => undefined);
    return status;
  }

  function kill(pid: number, signal: number): void {
    if (waiting.has(pid)) {
      driver.passTime();
      system.signal(pid, signal);
      driver.notify();
    }
  }

  return {
    kernel: system.kernel,
    machine: system.machine,
    probes: { kernel: system.kernel.probes, machine: system.machine.probes },
    stopped: driver.stopped,
    spawn(argv, spawnOptions = {}): GuestProcess {
      requireRunning();
      const id = (spawned += 1);
      const closeOutput = (stream: "stdout" | "stderr"): void => outputs[stream].close();
      const stdout = createChunkStream(() => closeOutput("stdout"));
      const stderr = createChunkStream(() => closeOutput("stderr"));
      const toStdout =
        typeof spawnOptions.stdout === "function"
          ? spawnOptions.stdout
          : (bytes: Uint8Array): void => stdout.push(bytes);
      const toStderr =
        typeof spawnOptions.stderr === "function"
          ? spawnOptions.stderr
          : (bytes: Uint8Array): void => stderr.push(bytes);
      const input = createQueueChannel(() => undefined);
      const names = [`stdin.${id}`, `stdout.${id}`, `stderr.${id}`] as const;
      const outputs = { stdout: createQueueChannel(toStdout), stderr: createQueueChannel(toStderr) };
      const given = spawnOptions.stdin ?? "none";
      if (given instanceof Uint8Array) input.push(given);
      else if (given !== "pipe" && given !== "none") input.push(Buffer.from(given));
      if (given !== "pipe") input.end();
      const path = findProgram(system.kernel, argv, spawnOptions);
      host.channels.set(names[0], input).set(names[1], outputs.stdout).set(names[2], outputs.stderr);
      const forget = (): void => {
        for (const name of names) host.channels.delete(name);
      };
      let pid: number;
      try {
        driver.passTime();
        pid = spawnProgram(system, path, argv, spawnOptions, names);
      } catch (error) {
        forget();
        throw error;
      }
      unread.add(stdout).add(stderr);
      const status = watch(pid);
      const finish = (): void => {
        input.close();
        stdout.end();
        stderr.end();
        unread.delete(stdout);
        unread.delete(stderr);
        forget();
      };
      status.then(finish, finish);
      driver.notify();
      return {
        pid,
        stdin: {
          write(bytes): boolean {
            input.push(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
            deliver(names[0]);
            return input.queuedBytes < QUEUE_LIMIT;
          },
          drained: () => input.drained(),
          end(): void {
            input.end();
            deliver(names[0]);
          },
        },
        stdout,
        stderr,
        status,
        closeOutput,
        kill: (signal) => kill(pid, signal),
      };
    },
    spawnOnConsole(argv, spawnOptions = {}): GuestProcess {
      requireRunning();
      driver.passTime();
      const pid = spawnProgram(system, findProgram(system.kernel, argv, spawnOptions), argv, spawnOptions, "console");
      driver.notify();
      const nothing = createChunkStream();
      nothing.end();
      return {
        pid,
        stdin: { write: () => true, drained: () => Promise.resolve(), end: () => undefined },
        stdout: nothing,
        stderr: nothing,
        status: watch(pid),
        closeOutput: () => undefined,
        kill: (signal) => kill(pid, signal),
      };
    },
    console: {
      write(bytes): void {
        typeOnConsole(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
      },
      end(): void {
        consoleEnds = 1;
        driver.notify();
      },
      resize(rows, columns): void {
        driver.passTime();
        system.resizeConsole(rows, columns);
        driver.notify();
      },
    },
    mount: (option) => mountFromHost(system.kernel, host.directories, option),
    control: {
      powerOff: () => system.powerOff(),
      panic: (message) => system.panic(message),
      fault: () => {
        system.kernel.arch.provokeFault(system.kernel, 0);
        system.wakeHarts();
        driver.notify();
      },
    },
    pause: () => driver.pause(),
    resume: () => driver.start(),
    async close(): Promise<void> {
      await driver.pause();
      driver.stop(0, "closed");
      host.swap?.close();
      host.swap = undefined;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await this.close();
    },
  };
}
