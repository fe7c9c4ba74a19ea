// Typed probes: what a listener can hear. With no listener a probe costs one predictable branch:
//
//   k.probes.syscallEnter?.(thread, row, args)
//
// A listener only listens: it must not change kernel or machine state.

import type { FrameNumber, VirtAddr } from "../lib/address.ts";
import type { FlushManner } from "./mem/shootdown.ts";
import type { AddressSpace, FaultAccess, Region, Shootdown } from "./mem/types.ts";
import type { Process, SignalInfo, Thread } from "./process/types.ts";
import type { SyscallResult, SyscallRow } from "./syscall/row.ts";

export interface KernelProbes {
  /** First entry of a call (not its restarts). `row` is undefined for an unknown number; `args` are 6 raw (lo, hi) pairs. */
  syscallEnter?: (thread: Thread, number: number, row: SyscallRow | undefined, args: Int32Array) => void;
  /** The call is complete. `result` is what the handler returned, never "BLOCKED". */
  syscallExit?: (
    thread: Thread,
    number: number,
    row: SyscallRow | undefined,
    args: Int32Array,
    result: SyscallResult,
  ) => void;
  syscallBlocked?: (thread: Thread, number: number) => void;
  /** One step of the trap path: usertrap, usertrapret, or idle; kerneltrap; start, started, main. What is done between has its own probes. */
  trapStep?: (hart: number, step: string, detail: Readonly<Record<string, number | string>>) => void;
  pageFault?: (thread: Thread, address: VirtAddr, access: FaultAccess, outcome: string) => void;
  /** A page-table entry of `space` was written; words are (hi, lo). Level counts from 0 = leaf tables. */
  pteWrite?: (space: AddressSpace, address: VirtAddr, level: number, hi: number, lo: number) => void;
  /** A hart drops translations: of one page or all (undefined), of one ASID or all (undefined). */
  flush?: (
    hart: number,
    asid: number | undefined,
    address: VirtAddr | undefined,
    reason: string,
    manner: FlushManner,
  ) => void;
  /** Harts were asked to drop translations, by `hart` (negative: by the host), or `hart` has done so. `reason` is the asker's. */
  shootdown?: (shootdown: Shootdown, step: "asked" | "acknowledged", hart: number, reason: string) => void;
  frameAllocate?: (frame: FrameNumber, owner: string) => void;
  frameFree?: (frame: FrameNumber) => void;
  regionChange?: (space: AddressSpace, region: Region, change: "map" | "unmap" | "protect") => void;
  contextSwitch?: (hart: number, from: Thread | undefined, to: Thread | undefined) => void;
  fork?: (parent: Thread, child: Thread) => void;
  exec?: (thread: Thread, path: string, argv: readonly string[]) => void;
  /** All threads of the process have ended; its memory and files are still there. */
  beforeExit?: (process: Process) => void;
  exit?: (process: Process, status: number) => void;
  threadExit?: (thread: Thread) => void;
  signalSend?: (process: Process, info: SignalInfo) => void;
  signalDeliver?: (thread: Thread, info: SignalInfo, action: "default" | "ignore" | "handler") => void;
  /** Kernel log line, as dmesg would show it. */
  log?: (line: string) => void;
}
