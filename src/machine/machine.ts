/**
 * A machine: RAM, a bus with devices, harts, and virtual time.
 *
 * Time is retired instructions: each hart has its own count, 1 instruction = 1 ns, and the hart that is furthest behind
 * runs next, for one quantum. A hart that waits skips to the next event. Pending events are plain data.
 */
import type { Bus, Device, DeviceServices, HaltReason } from "./bus.ts";
import type { Hotness } from "./engine/hotness.ts";
import type { StaleTranslation } from "./engine/translation-check.ts";
import type { AccessType, Hart } from "./hart.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import type { Processor, Tier } from "./processor.ts";

/** The text of a resident kernel, and what its `kentry` instructions call. */
export interface KernelBinding {
  /** [start, end) of virtual addresses. */
  readonly text: { readonly start: number; readonly end: number };
  /**
   * Called when a hart executes `kentry index` there in the kernel's mode (supervisor, CPL 0); the instruction has retired and the hart's pc is
   * the one after it. The function may change any state of the hart.
   */
  readonly enter: (hart: Hart, index: number) => void;
}

/** Listeners; an unset one costs nothing that can be measured. They only listen. */
export interface MachineProbes {
  trap?: (hart: Hart, trap: TrapEvent) => void;
  /** `mret`, `sret`, `iret` or `sysret` completed. */
  trapReturn?: (hart: Hart, from: number) => void;
  /** satp or CR3 was written. */
  addressSpace?: (hart: Hart, hi: number, lo: number) => void;
  /** A flush by address and ASID or PCID; undefined is "all". */
  tlbFlush?: (hart: Hart, virtualAddress: number | undefined, asid: number | undefined) => void;
  tlbFill?: (hart: Hart, virtualPage: number, physicalPage: number, access: AccessType) => void;
}

/** A trap that was taken. */
export interface TrapEvent {
  /** As the architecture numbers it: exception code or interrupt number; vector. */
  readonly cause: number;
  readonly interrupt: boolean;
  /** What the exception reports beside its cause: stval or mtval; the address of a page fault, else the error code. */
  readonly tval: number;
  /** The instruction that was interrupted. */
  readonly pc: number;
  /** Privilege before, and of the handler, as Hart.privilege. */
  readonly from: number;
  readonly to: number;
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

export interface Machine<H extends Hart = Hart> {
  readonly memory: PhysicalMemory;
  readonly bus: Bus;
  readonly harts: readonly H[];
  /** What devices are created with. */
  readonly services: DeviceServices;
  /** Virtual time of the running hart, in nanoseconds since reset. */
  readonly timeNs: number;
  readonly probes: MachineProbes;
  attach(device: Device): void;
  /** As `attach`, in the port space of x86: its window is one of port numbers. */
  attachPorts(device: Device): void;
  /** Binds the resident kernel. `undefined` unbinds it: `kentry` is then illegal everywhere. */
  bindKernel(binding: KernelBinding | undefined): void;
  /** Runs until a reason to stop. Without a limit, until the machine halts, stops or has nothing left to wait for. */
  run(limit: RunLimit): StopReason;
  /** Makes `run` return soon with "stopped"; may be called from kernel entries, devices and probes. */
  requestStop(): void;
  /** As requestStop, but between two turns of harts, so that their order does not depend on when it was asked for. */
  requestPause(): void;
}

export interface MachineOptions<H extends Hart = Hart> {
  /** The architecture: riscv64Processor or x86Processor. */
  readonly processor: Processor<H>;
  readonly ramBase: number;
  readonly ramSize: number;
  readonly harts: number;
  /**
   * Instructions after which the interpreter with operations for sequences takes over; default 0, at once. It takes 100 ms to
   * compile, which a machine that soon stops can do without. No difference to the guest.
   */
  readonly joinAfter?: number;
  /** When hot loops are translated; no difference to the guest. */
  readonly hotness?: Hotness;
  /**
   * Where harts start; default: ramBase. RISC-V: every hart, in M-mode, with a0 = hart id. x86-64: the first hart, in 32-bit
   * protected mode with flat segments; the others wait to be started.
   */
  readonly resetPc?: number;
  /** How many pages of predecoded code to keep, beside RAM; on RISC-V a page takes 32 KiB. */
  readonly codePages?: number;
  /** "step": every instruction by the exact tier, slow; for tests. Default "run". */
  readonly tier?: Tier;
  /**
   * Called for each use of a stale translation, before the access happens; with it the machine looks for them, at some cost
   * (engine/translation-check.ts). No difference to the guest.
   */
  readonly onStaleTranslation?: (stale: StaleTranslation) => void;
}
