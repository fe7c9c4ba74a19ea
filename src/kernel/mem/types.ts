// Memory as plain data: frames, VMOs, regions, address spaces.
//
//   AddressSpace ── regions: Region[] sorted by start ── Vmo ── pages: page index -> frame
//        └── root: the page-table root's frame; tables lie in simulated memory, edited through page-table.ts
//
// Copy-on-write has no chain of shadow objects: a clone copies the page map and raises each frame's share count; a write to a frame
// whose count is one takes it over without a copy.

import type { FrameNumber, PhysAddr, VirtAddr } from "../../lib/address.ts";
import type { Inode } from "../fs/types.ts";

export interface MemoryState {
  readonly frames: FrameState;
  readonly kernelSpace: AddressSpace;
  /** Every live address space by id (= its creation number). */
  readonly spaces: Map<number, AddressSpace>;
  /** Frame of zeros that read faults on anonymous memory map. */
  zeroFrame: FrameNumber;
  /** Pages promised to private writable and shared mappings. */
  committedPages: number;
}

export interface FrameState {
  readonly firstFrame: FrameNumber;
  readonly frameCount: number;
  /** Physical address of the first free frame, 0 when none; each free frame's first 8 bytes link to the next (last in, first out). */
  freeHead: PhysAddr | 0;
  freeCount: number;
  /** Uses of each frame (PTE-independent: VMO pages, table pages, trapframes …); 0 = free. Index: frame - firstFrame. */
  readonly shareCounts: Uint16Array | Uint32Array;
  /** Owner tag of each frame, index into `FRAME_OWNERS`. */
  readonly owners: Uint8Array;
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
  /** Pages present, by index. */
  readonly pages: Map<number, FrameNumber>;
  /** Where a page that is absent comes from. */
  readonly source:
    | { readonly kind: "zero" }
    /** Another VMO's pages, read-only, until written: a private mapping of a file. */
    | { readonly kind: "vmo"; readonly vmo: Vmo; readonly offsetPages: number }
    /** Read from the file system on demand. */
    | { readonly kind: "inode"; readonly inode: Inode }
    | { readonly kind: "physical"; readonly frame: FrameNumber };
  lengthPages: number;
  /** Regions, inodes and clones that hold it. */
  references: number;
}

export interface Region {
  /** Half-open range of page-aligned virtual addresses. */
  start: VirtAddr;
  end: VirtAddr;
  protection: Protection;
  /** Shared mappings write to the VMO that others see; private ones own their VMO. */
  readonly sharing: "private" | "shared";
  readonly vmo: Vmo;
  /** Page of the VMO that `start` shows. */
  vmoOffsetPages: number;
  readonly purpose: "anonymous" | "file" | "heap" | "stack" | "vdso" | "trampoline" | "trapframe" | "device" | "direct-map";
  /** Grows down on a fault just below it, down to its limit. */
  readonly growsDown: boolean;
  /** For /proc/PID/maps; the file of a file mapping and where in it `start` lies, in bytes. */
  readonly file: { readonly inode: Inode; readonly path: string } | undefined;
  fileOffset: number;
}

export interface AddressSpace {
  readonly id: number;
  /** Frame of the root table. */
  readonly root: FrameNumber;
  asid: number;
  /** Sorted by start, never overlapping. */
  readonly regions: Region[];
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
  /** Trapframe slots in use (bit per slot below the trampoline). */
  readonly trapframeSlots: number[];
  /** Harts whose satp/CR3 holds this space. */
  readonly activeHarts: Set<number>;
}
