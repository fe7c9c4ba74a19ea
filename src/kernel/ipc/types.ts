// System V shared memory as plain data.
//
//   key ── keys ──> id = sequence * 32768 + index ── segments, by index ──> Segment ── inode of the kernel's own tmpfs ── VMO
//
// An index is used again with another sequence number, so that an id of a segment that is gone means nothing.

import type { Inode } from "../fs/types.ts";

export interface SharedMemoryState {
  /** By index. */
  readonly segments: Map<number, Segment>;
  /** Ids by key, of segments that are not removed; IPC_PRIVATE is no key. */
  readonly keys: Map<number, number>;
  /** The id that the next segment is to have if its index is free, from /proc/sys/kernel/shm_next_id; -1: any. */
  wantedId: number;
  /** Sequence number of the next segment, and the index that the last one got. */
  nextSequence: number;
  lastIndex: number;
  /** Pid of a process that ends, while its space is given up: another may be the one that runs. */
  leaver: number | undefined;
  /** Pages of all segments. */
  totalPages: number;
  /** What /proc/sys/kernel/{shmmax,shmmni,shmall} say. */
  readonly limits: { maximumBytes: bigint; segments: number; allPages: bigint };
}

export interface Segment {
  readonly id: number;
  /** IPC_PRIVATE (0) once it is removed. */
  key: number;
  uid: number;
  gid: number;
  readonly creatorUid: number;
  readonly creatorGid: number;
  /** Permission bits, SHM_DEST, SHM_LOCKED. */
  mode: number;
  /** Bytes, as they were asked for. */
  readonly size: number;
  /** Seconds since the epoch; 0: never. */
  attachTime: number;
  detachTime: number;
  changeTime: number;
  readonly creatorPid: number;
  lastPid: number;
  /** Regions that show it. */
  attaches: number;
  /** Pages promised to it (0 with SHM_NORESERVE). */
  readonly committedPages: number;
  readonly inode: Inode;
}
