// The kernel's state before the first instruction.

import type { FrameNumber } from "../lib/address.ts";
import { virtAddr } from "../lib/address.ts";
import type { HartState, KernelConfig, KernelState } from "../kernel/kernel.ts";
import { createFileState, FIRST_MOUNT_ID } from "../kernel/fs/state.ts";
import { createSharedMemoryState } from "../kernel/ipc/shared-memory.ts";
import { emptySpace } from "../kernel/mem/address-space.ts";
import { createFrameState } from "../kernel/mem/frames.ts";
import { createOvercommitState } from "../kernel/mem/overcommit.ts";
import { createSwapState } from "../kernel/mem/swap-slots.ts";
import type { MemoryState } from "../kernel/mem/types.ts";
import { createSchedulerState } from "../kernel/process/create.ts";
import { createTtyState } from "../kernel/tty/tty.ts";

/** RAM in bytes. */
export interface RamRange {
  readonly base: number;
  readonly size: number;
}

export function createKernelState(config: KernelConfig, ram: RamRange, harts: number): KernelState {
  return {
    config,
    memory: createMemoryState(ram, config),
    processes: new Map(),
    threads: new Map(),
    scheduler: createSchedulerState(harts),
    harts: Array.from({ length: harts }, (): HartState => ({
      space: undefined,
      isInUser: false,
      interrupted: undefined,
      stale: "nothing",
      requests: [],
      floatOwner: undefined,
      kernelStack: virtAddr(0),
    })),
    files: createFileState(),
    sharedMemory: createSharedMemoryState(),
    ttys: createTtyState(),
    counters: {
      systemCalls: 0,
      contextSwitches: 0,
      minorFaults: 0,
      majorFaults: 0,
      interrupts: 0,
      forks: 0,
      unknownCalls: new Map(),
    },
    random: seedRandom(config.randomSeed),
    nextIds: { vmo: 1, pipe: 1, openFile: 1, mount: FIRST_MOUNT_ID },
    hostname: "vitrine",
    domainname: "(none)",
    clockOffset: { seconds: 0, nanoseconds: 0 },
    shutdown: undefined,
  };
}

const PAGE = 4096;

function createMemoryState(ram: RamRange, { layout }: KernelConfig): MemoryState {
  return {
    frames: createFrameState((ram.base / PAGE) as FrameNumber, ram.size / PAGE),
    kernelSpace: emptySpace(0),
    spaces: new Map(),
    families: new Map(),
    // Set by start-up (arch boot.ts), with the rest of memory.
    zeroFrame: 0 as FrameNumber,
    vdsoFrame: 0 as FrameNumber,
    sharedPages: [],
    largePages: "always",
    overcommit: createOvercommitState(),
    swap: createSwapState(),
    reclaim: { hand: 0, fileFloor: 0, futileAt: -1, evicting: new Set(), isAwaited: false },
    statistics: {
      swapIns: 0,
      swapOuts: 0,
      framesScanned: 0,
      framesReclaimed: 0,
      framesSpared: 0,
      filePagesStored: 0,
      outOfMemoryKills: 0,
      largePagesMade: 0,
      largePagesRefused: 0,
      largePagesSplit: 0,
    },
    filePages: 0,
    committedPages: 0,
    regionCount: 0,
    settings: { maxMapCount: 65530, minimumAddress: 0x10000, randomizeLayout: layout === "fixed" ? 0 : 2 },
    asids: { generation: 1, next: 1, reserved: new Set() },
    nextSpace: 1,
    isShort: false,
    openFlushes: 0,
    shootdowns: { pending: [], nextId: 1, counters: { sent: 0, received: 0, everything: 0, pages: 0 } },
  };
}

/** Four words for xoshiro128** from one number: splitmix32 (Steele, Lea, Flood 2014), which never gives four zeros in a row. */
function seedRandom(seed: number): Uint32Array {
  const words = new Uint32Array(4);
  let state = (seed ^ Math.floor(seed / 0x1_0000_0000)) >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    words[i] = mixed ^ (mixed >>> 16);
  }
  return words;
}
