/**
 * A machine: RAM, a bus with devices, harts, and virtual time.
 *
 * Time is retired instructions: each hart has its own count, 1 instruction = 1 ns, and the hart that is furthest behind
 * runs next, for one quantum. A hart that waits skips to the next event. Pending events are plain data.
 */
import type { Bus, Device, DeviceServices, HaltReason } from "./bus.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import type { Hotness } from "./riscv64/hotness.ts";
import type { Hart, Privilege } from "./riscv64/hart.ts";

/** The text of a resident kernel, and what its `kentry` instructions call. */
export interface KernelBinding {
  /** [start, end) of virtual addresses. */
  readonly text: { readonly start: number; readonly end: number };
  /**
   * Called when a hart executes `kentry index` there in supervisor mode; the instruction has retired and the hart's pc is
   * the one after it. The function may change any state of the hart.
   */
  readonly enter: (hart: Hart, index: number) => void;
}

/** Listeners; an unset one costs nothing that can be measured. They only listen. */
export interface MachineProbes {
  /** A trap was taken: `pc` is the instruction it interrupted, `to` the privilege that handles it. */
  trap?: (
    hart: Hart,
    trap: { cause: number; interrupt: boolean; tval: number; pc: number; from: Privilege; to: Privilege },
  ) => void;
  /** `mret` or `sret` completed. */
  trapReturn?: (hart: Hart, from: Privilege) => void;
  /** satp was written. */
  satp?: (hart: Hart, hi: number, lo: number) => void;
  /** A flush by address and ASID; undefined is "all". */
  tlbFlush?: (hart: Hart, virtualAddress: number | undefined, asid: number | undefined) => void;
  tlbFill?: (hart: Hart, virtualPage: number, physicalPage: number, access: "load" | "store" | "execute") => void;
}

export type StopReason =
  /** The limit was reached. */
  | { readonly kind: "budget" }
  /** All harts wait; the next event is at `nextEventNs`, or never. */
  | { readonly kind: "idle"; readonly nextEventNs: number | undefined }
  | { readonly kind: "halted"; readonly reason: HaltReason; readonly status: number }
  | { readonly kind: "stopped" };

export interface RunLimit {
  /** Instructions, over all harts, after which to stop at the next check point. */
  readonly instructions?: number;
  /** Virtual time at which to stop. Idle harts skip ahead to it. */
  readonly untilNs?: number;
  /** What to do when all harts wait: go on at the next event ("skip", the default), or return "idle" with time standing still. */
  readonly idle?: "skip" | "return";
}

export interface Machine {
  readonly memory: PhysicalMemory;
  readonly bus: Bus;
  readonly harts: readonly Hart[];
  /** What devices are created with. */
  readonly services: DeviceServices;
  /** Virtual time of the running hart, in nanoseconds since reset. */
  readonly timeNs: number;
  readonly probes: MachineProbes;
  attach(device: Device): void;
  /** Binds the resident kernel. `undefined` unbinds it: `kentry` is then illegal everywhere. */
  bindKernel(binding: KernelBinding | undefined): void;
  /** Runs until a reason to stop. Without a limit, until the machine halts, stops or has nothing left to wait for. */
  run(limit: RunLimit): StopReason;
  /** Makes `run` return soon with "stopped"; may be called from kernel entries, devices and probes. */
  requestStop(): void;
  /** As requestStop, but between two turns of harts, so that their order does not depend on when it was asked for. */
  requestPause(): void;
}

export interface MachineOptions {
  readonly ramBase: number;
  readonly ramSize: number;
  readonly harts: number;
  /**
   * Instructions after which the interpreter with operations for sequences takes over; default 0, at once. It takes 60 ms to
   * make, which a machine that soon stops can do without. No difference to the guest.
   */
  readonly joinAfter?: number;
  /** When hot loops are translated; no difference to the guest. */
  readonly hotness?: Hotness;
  /** Where every hart starts, in M-mode, with a0 = hart id. Default: ramBase. */
  readonly resetPc?: number;
  /** How many pages of predecoded code to keep; a page takes 32 KiB, beside RAM. */
  readonly codePages?: number;
  /** "step": every instruction by the exact tier, slow; for tests. Default "run". */
  readonly tier?: "run" | "step";
}
