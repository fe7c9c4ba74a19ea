// The kernel as one value.
//
//   Kernel ── state      all that changes, as plain data: structuredClone of it plus RAM is a whole-system snapshot
//          ── arch       the only door to the architecture (arch/arch.ts)
//          ── machine    memory and harts
//          ── host       what lies outside the simulated world: streams, host directories (host.ts)
//          ── probes     listeners; the kernel never depends on them
//
// Every kernel function takes the Kernel first. State holds no functions, classes, promises or generators; objects in it may
// refer to each other directly, since structuredClone keeps identity.

import type { VirtAddr } from "../lib/address.ts";
import type { Machine } from "../machine/machine.ts";
import type { PhysicalMemory } from "../machine/physical-memory.ts";
import type { Arch } from "./arch/arch.ts";
import type { FileState } from "./fs/types.ts";
import type { HostPorts } from "./host.ts";
import type { SharedMemoryState } from "./ipc/types.ts";
import type { AddressSpace, FlushRequest, MemoryState } from "./mem/types.ts";
import type { KernelProbes } from "./probes.ts";
import type { Process, SchedulerState, Thread } from "./process/types.ts";
import type { TtyState } from "./tty/types.ts";

export interface Kernel {
  readonly state: KernelState;
  readonly arch: Arch;
  readonly machine: Machine;
  readonly memory: PhysicalMemory;
  readonly host: HostPorts;
  readonly probes: KernelProbes;
}

export interface KernelState {
  /** What was asked for at boot; never changes afterwards. */
  readonly config: KernelConfig;
  readonly memory: MemoryState;
  /** Live and zombie processes by pid (thread-group id). */
  readonly processes: Map<number, Process>;
  /** Every thread by tid. */
  readonly threads: Map<number, Thread>;
  readonly scheduler: SchedulerState;
  /** What each hart holds, by hart id. */
  readonly harts: HartState[];
  readonly files: FileState;
  /** System V shared memory. */
  readonly sharedMemory: SharedMemoryState;
  readonly ttys: TtyState;
  /** Counters that /proc and the tracer show. */
  readonly counters: KernelCounters;
  /** Deterministic random generator (xoshiro128**), for getrandom, AT_RANDOM, /dev/random. */
  readonly random: Uint32Array;
  /** Next id of each kind that needs one. */
  readonly nextIds: { vmo: number; pipe: number; openFile: number; mount: number };
  hostname: string;
  domainname: string;
  /** How far clock_settime has moved CLOCK_REALTIME. */
  readonly clockOffset: { seconds: number; nanoseconds: number };
  /** Set once: the machine is to stop. `status` is the exit status of the whole run. */
  shutdown: { kind: "power-off" | "reboot" | "halt"; status: number } | undefined;
}

/** What the kernel remembers of one hart. */
export interface HartState {
  /** The space that it runs, or last ran, in user mode. */
  space: AddressSpace | undefined;
  /** Whether it is on its way to user mode, there, or on its way back: it may use translations of `space` meanwhile. */
  isInUser: boolean;
  /** Tid of the thread that it has left user mode from, when only an interrupt brought it into the kernel. */
  interrupted: number | undefined;
  /** What of its TLB is to go before it enters user mode again: translations of `space`, or all (mem/asid.ts). */
  stale: "nothing" | "space" | "everything";
  /** What it is asked to drop when it next enters the kernel (mem/shootdown.ts); an inter-processor interrupt is on its way then. */
  readonly requests: FlushRequest[];
  /** Tid of the thread whose floating-point registers the hart holds. */
  floatOwner: number | undefined;
  /** Top of its kernel stack. */
  kernelStack: VirtAddr;
}

export interface KernelConfig {
  /** Seconds since the epoch at boot, and nanoseconds within that second: CLOCK_REALTIME = this + virtual time. */
  readonly bootTime: { readonly seconds: number; readonly nanoseconds: number };
  readonly randomSeed: number;
  readonly commandLine: string;
  /** Where stack, mappings, heap and programs begin: at random, unless a process or kernel.randomize_va_space says otherwise. */
  readonly layout?: "random" | "fixed" | undefined;
  /** Whether memory that is writable and executable at once is told of in the log. */
  readonly writableCode?: "allow" | "report" | undefined;
  /** Check every numbered invariant after each kernel entry (test mode; slow). */
  readonly checkInvariants: boolean;
}

export interface KernelCounters {
  systemCalls: number;
  contextSwitches: number;
  /** Faults resolved without reading a file. */
  minorFaults: number;
  majorFaults: number;
  interrupts: number;
  forks: number;
  /** System-call number -> times seen, for numbers without a row. */
  readonly unknownCalls: Map<number, number>;
}

/** Virtual time since reset in nanoseconds (one retired instruction is nominally one nanosecond). */
export function now(k: Kernel): number {
  return k.machine.timeNs;
}

/**
 * Our own bug, never a guest's: caught only by the run loop, which stops the machine with a readable report.
 * A guest's fault is `Trap` data, an expected failure an `Errno`.
 */
export class KernelBug extends Error {
  override readonly name = "KernelBug";
}
