// System V shared memory: segments, who may use them, and how long they live. shmget(2), shmat(2), shmctl(2), sysvipc(7).
//
//   create ──> (attach <──> detach)* ──remove──> no key ──last detach──> gone
//
// A segment is a file without a name on the kernel's own tmpfs. Each region that shows it is an attach: fork and the splitting of
// a region add one, exec, exit and munmap take them away (fs/mapped-file.ts says so).

import type { Errno } from "../../abi/linux/errno.ts";
import {
  hugePageBytes,
  IPC_PRIVATE,
  SHM_DEST,
  SHM_HUGETLB,
  SHM_NORESERVE,
  type SharedSegmentFields,
} from "../../abi/linux/ipc.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import { createInode, currentTime } from "../fs/inode.ts";
import { releaseMappedInode } from "../fs/mapped-file.ts";
import { contentsOf, tmpfsFile } from "../fs/tmpfs.ts";
import type { Kernel } from "../kernel.ts";
import { mayCommit } from "../mem/overcommit.ts";
import type { Credentials, Process } from "../process/types.ts";
import type { Segment, SharedMemoryState } from "./types.ts";

/** Indices there are: an id is a sequence number times this, plus an index. */
const INDICES = 32768;
/** Sequence numbers there are, so that ids stay positive 32-bit numbers. */
const SEQUENCES = 65536;
/** Linux's default of shmmax and shmall: as good as none. */
const NO_LIMIT = 2n ** 64n - 1n - 2n ** 24n;

export function createSharedMemoryState(): SharedMemoryState {
  return {
    segments: new Map(),
    keys: new Map(),
    wantedId: -1,
    nextSequence: 0,
    lastIndex: -1,
    leaver: undefined,
    totalPages: 0,
    limits: { maximumBytes: NO_LIMIT, segments: 4096, allPages: NO_LIMIT },
  };
}

/** The live segment of that id; EINVAL where there is none. */
export function findSegment(k: Kernel, id: number): Segment | "EINVAL" {
  const segment = k.state.sharedMemory.segments.get(id % INDICES);
  return id >= 0 && segment?.id === id ? segment : "EINVAL";
}

/** The segment at an index, whatever its sequence number: how SHM_STAT goes through all of them. */
export function segmentAt(k: Kernel, index: number): Segment | "EINVAL" {
  return k.state.sharedMemory.segments.get(index % INDICES) ?? "EINVAL";
}

export function findSegmentByKey(k: Kernel, key: number): Segment | undefined {
  const id = k.state.sharedMemory.keys.get(key);
  const segment = id === undefined ? "EINVAL" : findSegment(k, id);
  return segment === "EINVAL" ? undefined : segment;
}

/** The largest index in use; 0 where none is, as Linux has it. */
export function highestIndex(k: Kernel): number {
  return Math.max(0, ...k.state.sharedMemory.segments.keys());
}

/**
 * A new segment of zeros. EINVAL for a size below 1 or above shmmax; ENOSPC for too many segments or pages; ENOMEM for more than
 * memory can ever hold.
 */
export function createSegment(k: Kernel, process: Process, key: number, size: number, flags: number): Segment | Errno {
  const { sharedMemory, memory } = k.state;
  const { limits } = sharedMemory;
  if (size < 1 || BigInt(size) > limits.maximumBytes) return "EINVAL";
  const pageBytes = (flags & SHM_HUGETLB) === 0 ? PAGE_SIZE : hugePageBytes(flags);
  if (typeof pageBytes === "string") return "EINVAL";
  if (pageBytes > PAGE_SIZE && process.credentials.euid !== 0) return "EPERM";
  const bytes = Math.ceil(size / pageBytes) * pageBytes;
  const pages = bytes / PAGE_SIZE;
  if (BigInt(sharedMemory.totalPages + pages) > limits.allPages) return "ENOSPC";
  if (!mayCommit(k, pages)) return "ENOMEM";
  const id = takeId(sharedMemory);
  if (id === "ENOSPC") return id;
  const { euid, egid } = process.credentials;
  const mode = flags & 0o777;
  const { filesystem } = k.state.files.memory;
  const content = tmpfsFile(0, { pageBytes, segment: id });
  const inode = createInode(k, filesystem, { kind: "file", mode, uid: euid, gid: egid, content, number: id });
  inode.size = bytes;
  inode.references = 1;
  contentsOf(k, inode);
  const segment: Segment = {
    id,
    key,
    uid: euid,
    gid: egid,
    creatorUid: euid,
    creatorGid: egid,
    mode,
    size,
    attachTime: 0,
    detachTime: 0,
    changeTime: currentTime(k).seconds,
    creatorPid: process.pid,
    lastPid: 0,
    attaches: 0,
    committedPages: (flags & SHM_NORESERVE) === 0 ? pages : 0,
    inode,
  };
  sharedMemory.segments.set(id % INDICES, segment);
  if (key !== IPC_PRIVATE) sharedMemory.keys.set(key, id);
  sharedMemory.totalPages += pages;
  memory.committedPages += segment.committedPages;
  return segment;
}

/** IPC_RMID: nobody finds it by its key any more, and with the last detach it is gone. */
export function removeSegment(k: Kernel, segment: Segment): void {
  k.state.sharedMemory.keys.delete(segment.key);
  segment.key = IPC_PRIVATE;
  segment.mode |= SHM_DEST;
  if (segment.attaches === 0) destroySegment(k, segment);
}

/** A region of the segment came to be. */
export function noteAttach(k: Kernel, id: number): void {
  const segment = findSegment(k, id);
  if (segment === "EINVAL") return;
  segment.attaches += 1;
  segment.attachTime = currentTime(k).seconds;
  segment.lastPid = presentPid(k) ?? segment.lastPid;
}

/** A region of it went. */
export function noteDetach(k: Kernel, id: number): void {
  const segment = findSegment(k, id);
  if (segment === "EINVAL") return;
  segment.attaches -= 1;
  segment.detachTime = currentTime(k).seconds;
  segment.lastPid = presentPid(k) ?? segment.lastPid;
  if (segment.attaches === 0 && (segment.mode & SHM_DEST) !== 0) destroySegment(k, segment);
}

/** Whether the caller may do what the bits of `wanted` say: read 4, write 2, execute 1. */
export function maySegment(segment: Segment, credentials: Credentials, wanted: number): boolean {
  const { euid, egid, groups } = credentials;
  if (euid === 0) return true;
  const isMember = (gid: number): boolean => egid === gid || groups.includes(gid);
  const isOwner = euid === segment.uid || euid === segment.creatorUid;
  const shift = isOwner ? 6 : isMember(segment.gid) || isMember(segment.creatorGid) ? 3 : 0;
  return (wanted & ~(segment.mode >> shift) & 7) === 0;
}

/** Whether the caller may change or remove it. */
export function ownsSegment(segment: Segment, { euid }: Credentials): boolean {
  return euid === 0 || euid === segment.uid || euid === segment.creatorUid;
}

/** What shmctl and /proc/sysvipc/shm say of it. */
export function describeSegment(segment: Segment): SharedSegmentFields {
  return { ...segment, sequence: Math.floor(segment.id / INDICES) };
}

/** The lowest free index, with the next sequence number each time that an index is not above the one before (ipc_addid). */
function takeId(state: SharedMemoryState): number | "ENOSPC" {
  if (state.segments.size >= state.limits.segments) return "ENOSPC";
  const { wantedId } = state;
  state.wantedId = -1;
  let index = wantedId === -1 ? 0 : wantedId % INDICES;
  while (state.segments.has(index)) index += 1;
  if (index >= INDICES) return "ENOSPC";
  if (wantedId !== -1) return wantedId - (wantedId % INDICES) + index;
  if (index <= state.lastIndex) state.nextSequence = (state.nextSequence + 1) % SEQUENCES;
  state.lastIndex = index;
  return state.nextSequence * INDICES + index;
}

function destroySegment(k: Kernel, segment: Segment): void {
  const { sharedMemory, memory } = k.state;
  sharedMemory.segments.delete(segment.id % INDICES);
  sharedMemory.totalPages -= segment.inode.size / PAGE_SIZE;
  memory.committedPages -= segment.committedPages;
  releaseMappedInode(k, segment.inode);
}

/** The process on whose behalf a region comes or goes. */
function presentPid(k: Kernel): number | undefined {
  const { current, kernelHart } = k.state.scheduler;
  return k.state.sharedMemory.leaver ?? k.state.threads.get(current[kernelHart] ?? 0)?.process.pid;
}
