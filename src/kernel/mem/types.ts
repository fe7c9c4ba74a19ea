// Memory as plain data: frames, VMOs, regions, address spaces.
//
//   AddressSpace ── regions: a tree of Region by start ── Vmo ── pages: page index -> frame or swap slot (page-map.ts)
//        └── root: the page-table root's frame; tables lie in simulated memory, edited through page-table.ts
//
// Copy-on-write has no chain of shadow objects: a clone copies the page map and raises each frame's share count; a write to a frame
// whose count is one takes it over without a copy.

import type { FrameNumber, PhysAddr, VirtAddr } from "../../lib/address.ts";
import type { Inode } from "../fs/types.ts";
import type { LargePagePolicy } from "./large-pages.ts";
import type { OvercommitState } from "./overcommit.ts";
import type { PageMap } from "./page-map.ts";
import type { RegionTree } from "./region-tree.ts";
import type { SwapState } from "./swap-slots.ts";

export interface MemoryState {
  readonly frames: FrameState;
  readonly kernelSpace: AddressSpace;
  /** Every live address space by id (= its creation number). */
  readonly spaces: Map<number, AddressSpace>;
  /** The live VMOs of each family: a VMO and the copies that forks and moves made of it (reverse-map.ts). */
  readonly families: Map<number, Map<number, Vmo>>;
  /** Frame of zeros that read faults on anonymous memory map. */
  zeroFrame: FrameNumber;
  /** Frame of the page with the signal-return code, mapped in every process. */
  vdsoFrame: FrameNumber;
  /** Pages of the trap path that lie at the same address in every space; the first is the trampoline. Set by start-up. */
  readonly sharedPages: SharedPage[];
  /** When programs get large pages unasked. */
  largePages: LargePagePolicy;
  readonly overcommit: OvercommitState;
  readonly swap: SwapState;
  readonly reclaim: ReclaimState;
  readonly statistics: MemoryStatistics;
  /** Pages of the page cache: those of files whose contents are elsewhere. */
  filePages: number;
  /** Pages promised to private writable and shared mappings. */
  committedPages: number;
  /** Regions of all spaces: they are memory of the host. */
  regionCount: number;
  /** What the files of /proc/sys set. */
  readonly settings: MemorySettings;
  readonly asids: AsidState;
  /** Creation number of the next address space. */
  nextSpace: number;
  /** The kernel has found no frame for a page of user memory in the present system call: its EFAULT means that. */
  isShort: boolean;
  /** Flushes begun and not finished: 0 whenever the kernel is left (INV-3). */
  openFlushes: number;
  readonly shootdowns: ShootdownState;
}

/** Flushes that other harts have still to acknowledge (mem/shootdown.ts). */
export interface ShootdownState {
  /** In the order in which they were begun; the ids are consecutive. The first one is never acknowledged: it would be gone. */
  readonly pending: Shootdown[];
  nextId: number;
  /** Requests to other harts, and those that harts have served; flushes of all of an ASID (or of a TLB), and of one page. */
  readonly counters: { sent: number; received: number; everything: number; pages: number };
}

export interface Shootdown {
  readonly id: number;
  /** The space whose translations go. */
  readonly space: number;
  /** Harts that have not acknowledged it, as a bit mask. */
  harts: number;
  /** Spaces in which no thread goes to user mode before all harts have acknowledged: that one, and a forked child's. */
  readonly holds: number[];
  /** In limbo: one use of each is given up once this shootdown and all before it are acknowledged. */
  readonly frames: FrameNumber[];
  /** What else is done then. */
  readonly actions: AcknowledgedAction[];
}

/** Plain data that says what to do once no hart can use what was flushed; `runAction` in mem/shootdown.ts does it. */
export type AcknowledgedAction =
  /** Gives up one more use of each frame. */
  | { readonly kind: "release"; readonly frames: readonly FrameNumber[] }
  /** Frees the frame of a page that was unmapped to be reclaimed (mem/reclaim.ts). */
  | { readonly kind: "evict"; readonly frame: FrameNumber };

/** What one hart is asked to drop. */
export interface FlushRequest {
  /** undefined: in every ASID (pages of the kernel's own space are global). */
  readonly asid: number | undefined;
  readonly pages: VirtAddr[];
  /** All of the ASID's translations; `pages` is empty then. */
  everything: boolean;
  /** The shootdowns that wait for it, oldest first. */
  readonly shootdowns: number[];
}

/** What page reclaim remembers (reclaim.ts). */
export interface ReclaimState {
  /** Clock hand: index of the frame to be looked at next. */
  hand: number;
  /** Pages of files when a round last found no clean one among them to drop. */
  fileFloor: number;
  /** Free frames when a round last found nothing to evict: until there are fewer, no round is begun without need. */
  futileAt: number;
  /** Frames that go once all harts have dropped them. */
  readonly evicting: Set<FrameNumber>;
  /** Whether the system call under way found no frame, while some were to come back soon: it is tried again then. */
  isAwaited: boolean;
}

/** Counters since boot, for /proc/vmstat. */
export interface MemoryStatistics {
  /** Pages read from and written to swap areas. */
  swapIns: number;
  swapOuts: number;
  /** Frames that reclaim looked at, that it freed, and that it spared since they had been accessed. */
  framesScanned: number;
  framesReclaimed: number;
  framesSpared: number;
  /** Dirty pages of files that were stored so that their frames could go. */
  filePagesStored: number;
  outOfMemoryKills: number;
  /** Large pages made by a fault, those for which there was no block, and those that were cut up. */
  largePagesMade: number;
  largePagesRefused: number;
  largePagesSplit: number;
}

export interface MemorySettings {
  /** Regions that one space may have (vm.max_map_count). */
  maxMapCount: number;
  /** Lowest address that an unprivileged process may map, in bytes (vm.mmap_min_addr). */
  minimumAddress: number;
  /** kernel.randomize_va_space: 0 nothing, 1 stack, mappings and programs, 2 the heap too. */
  randomizeLayout: number;
}

/** One page that every space maps for the kernel: user mode cannot touch it. */
export interface SharedPage {
  readonly name: string;
  readonly address: VirtAddr;
  readonly frame: FrameNumber;
  readonly protection: Protection;
}

/** Address-space identifiers, given out with generations (mem/asid.ts). */
export interface AsidState {
  generation: number;
  /** Next identifier to give out in this generation. */
  next: number;
  /** Identifiers that spaces kept over the last rollover, since a hart was running with them. */
  readonly reserved: Set<number>;
}

/** What a frame is used for. */
export const FRAME_OWNERS = [
  "free",
  "free-block",
  "kernel",
  "page-table",
  "trapframe",
  "anonymous",
  "freeable",
  "file",
  "kernel-stack",
] as const;
export type FrameOwner = (typeof FRAME_OWNERS)[number];

export interface FrameState {
  readonly firstFrame: FrameNumber;
  readonly frameCount: number;
  /** Physical address of the first free frame, 0 when none; each free frame links to the next and the previous one (last in, first out). */
  freeHead: PhysAddr | 0;
  /** Free frames, those in free blocks included. */
  freeCount: number;
  /** First free 2 MiB block, 0 when none; linked in the same way. */
  blockHead: PhysAddr | 0;
  /** Free single frames in each aligned block of 512, and how many blocks have 512. */
  readonly freeInBlock: Uint16Array;
  wholeBlocks: number;
  /** Frames of anonymous pages whose contents may go as soon as memory is short (MADV_FREE). */
  freeableCount: number;
  /** For tests: the n-th allocation from now on fails as if no frame were free, and those after it do not. 0: none fails. */
  failCountdown: number;
  /** Uses of each frame (PTE-independent: VMO pages, table pages, trapframes …); 0 = free. Index: frame - firstFrame. */
  readonly shareCounts: Uint32Array;
  /** Owner tag of each frame, index into `FRAME_OWNERS`. */
  readonly owners: Uint8Array;
  /** Family of the VMOs that hold each frame; 0: none does. */
  readonly families: Uint32Array;
  /** Id of the VMO that took each frame in, which may have given it up since: where to look for its holders first. */
  readonly takers: Uint32Array;
  /** Page index at which they hold it. */
  readonly pageIndices: Float64Array;
}

/** Rights of a region or an access. */
export interface Protection {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

export type FaultAccess = "read" | "write" | "execute";

/** Virtual memory object: the one backing of every mapping. */
export interface Vmo {
  readonly id: number;
  /** Id of the VMO that it and its kin are copies of. */
  readonly family: number;
  /** Pages of its own, by index. */
  readonly pages: PageMap;
  /** Where a page that is absent comes from. */
  readonly source:
    /** Zeros; of a tmpfs file, as far as its file system has room. */
    | { readonly kind: "zero"; readonly file?: Inode }
    /** Another VMO's pages, read-only, until written: a private mapping of a file. */
    | { readonly kind: "vmo"; readonly vmo: Vmo; readonly offsetPages: number }
    /** Read from the file system on demand. */
    | { readonly kind: "inode"; readonly inode: Inode }
    | { readonly kind: "physical"; readonly frame: FrameNumber };
  /** Pages at and beyond it cannot be touched (SIGBUS); Infinity for private memory. */
  lengthPages: number;
  /** Pages of a file system's cache that a shared mapping may have written since they were last stored. */
  readonly dirty: Set<number>;
  /** Regions, inodes and private VMOs over it that hold it. */
  references: number;
  /** Regions that show it. */
  readonly mappings: Set<Region>;
  /** Private VMOs whose source it is. */
  readonly dependents: Set<Vmo>;
}

/** What madvise said of a region. */
export interface Advice {
  readonly access: "normal" | "random" | "sequential";
  /** A forked child does not get the region. */
  readonly omittedByFork: boolean;
  /** A forked child gets the region with zeros. */
  readonly wipedByFork: boolean;
  /** A core file would have it. */
  readonly dumped: boolean;
  readonly largePages: "as-set" | "wanted" | "refused";
}

export interface Region {
  /** Id of the address space that it is in. */
  readonly space: number;
  /** Half-open range of page-aligned virtual addresses. */
  start: VirtAddr;
  end: VirtAddr;
  protection: Protection;
  /** What mprotect may raise the protection to (a file opened for reading only cannot be mapped shared and writable). */
  readonly maximum: Protection;
  /** Shared mappings write to the VMO that others see; private ones own their VMO. */
  readonly sharing: "private" | "shared";
  vmo: Vmo;
  /** Page of the VMO that `start` shows. */
  vmoOffsetPages: number;
  readonly purpose:
    | "anonymous"
    | "file"
    | "heap"
    | "stack"
    | "vdso"
    | "trampoline"
    | "trapframe"
    | "device"
    | "direct-map";
  /** Grows down on a fault just below it, down to its limit. */
  readonly growsDown: boolean;
  /** For /proc/PID/maps; the file of a file mapping and where in it `start` lies, in bytes. */
  readonly file: { readonly inode: Inode; readonly path: string } | undefined;
  fileOffset: number;
  /** Pages that the region keeps in memory: none, all from the time of the lock on, or each from its first use on. */
  locked: "no" | "present" | "on-fault";
  advice: Advice;
  /** Not counted as promised memory (MAP_NORESERVE). */
  readonly noReserve: boolean;
  /** Not to be unmapped, moved or given other rights (mseal). */
  sealed: boolean;
  /** Level of the page table whose entries map the region: 0, or with MAP_HUGETLB that of its page size. */
  readonly pageLevel: number;
}

export interface AddressSpace {
  readonly id: number;
  /** Frame of the root table. */
  root: FrameNumber;
  /** Identifier in TLB entries, and the generation that gave it (0: none yet). */
  asid: number;
  asidGeneration: number;
  /** By start, never overlapping (region-tree.ts). */
  readonly regions: RegionTree;
  /** Pages that its regions count as promised memory. */
  committedPages: number;
  /** Pages of its private writable regions that do not grow down: what RLIMIT_DATA bounds. */
  dataPages: number;
  /** Pages of locked regions, and how regions to come are locked (mlockall). */
  lockedPages: number;
  lockFuture: Region["locked"];
  /** Whether memory may become executable that is writable or was not executable before (PR_SET_MDWE), here and in children. */
  executeGain: "allowed" | "refused" | "refused-here";
  /** Processes that share it. */
  references: number;
  /** Program break: start, current end. */
  breakStart: VirtAddr;
  breakEnd: VirtAddr;
  /** Next gap search starts below here (top-down mmap). */
  mmapTop: VirtAddr;
  /** Frames of page tables, root included. */
  tablePages: number;
  residentPages: number;
  /** Trapframe slots in use: slot -> frame. */
  readonly trapframes: Map<number, FrameNumber>;
  /** Harts that run it in user mode, or did last. */
  readonly activeHarts: Set<number>;
  /** Harts whose TLB may hold translations under its ASID, all of them as its tables say. */
  readonly cachingHarts: Set<number>;
  /** Harts whose TLB may hold translations under its ASID that are no more: they drop them before they go to user mode in it. */
  readonly staleHarts: Set<number>;
  /** Shootdowns that are not acknowledged: no thread goes to user mode in it meanwhile (INV-11). */
  unacknowledged: number;
  /** Resource limits in bytes that its owner has: RLIMIT_STACK, RLIMIT_DATA, RLIMIT_AS, RLIMIT_MEMLOCK. */
  readonly limits: { stack: number; data: number; addressSpace: number; locked: number };
}
