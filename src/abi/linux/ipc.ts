// Constants and structures of System V shared memory, and of memfds.
//
//   struct ipc64_perm (48)   key, uid, gid, cuid, cgid, mode: u32 each | seq u16 | two unused longs
//   struct shmid64_ds (112)  ipc64_perm | segsz u64 48 | atime 56 | dtime 64 | ctime 72 | cpid i32 80 | lpid i32 84 | nattch u64 88
//   struct shminfo64  (72)   shmmax, shmmin, shmmni, shmseg, shmall: u64 each, four unused
//   struct shm_info   (48)   used_ids i32 | pages in all u64 8 | resident 16 | swapped 24 | two unused
//
// uapi linux/ipc.h, linux/shm.h, asm-generic/ipcbuf.h, asm-generic/shmbuf.h, linux/memfd.h: riscv64 and x86-64 both use the generic
// ones.

import { readU32, writeU16, writeU32, writeU64, writeWord64 } from "../../lib/bytes.ts";

export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;

export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;
export const SHM_LOCK = 11;
export const SHM_UNLOCK = 12;
export const SHM_STAT = 13;
export const SHM_INFO = 14;
export const SHM_STAT_ANY = 15;

/** Flags of shmget. */
export const SHM_HUGETLB = 0o4000;
export const SHM_NORESERVE = 0o10000;
/** Flags of shmat. */
export const SHM_RDONLY = 0o10000;
export const SHM_RND = 0o20000;
export const SHM_REMAP = 0o40000;
export const SHM_EXEC = 0o100000;
/** Bits of the mode that the kernel sets: removed and still attached; locked. */
export const SHM_DEST = 0o1000;
export const SHM_LOCKED = 0o2000;

export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const MFD_HUGETLB = 4;
export const MFD_NOEXEC_SEAL = 8;
export const MFD_EXEC = 16;
/** Bytes of a memfd's name, without the NUL: NAME_MAX less "memfd:". */
export const MFD_NAME_LIMIT = 249;

/** Where the flags of memfd_create and shmget say how large a page is: its base-2 logarithm. */
export const HUGE_PAGE_SHIFT = 26;
export const HUGE_PAGE_MASK = 0x3f;

/** Bytes of the large pages that flags of memfd_create or shmget ask for: 2 MiB unless they say; ENODEV for another size. */
export function hugePageBytes(flags: number): number | "ENODEV" {
  const shift = (flags >>> HUGE_PAGE_SHIFT) & HUGE_PAGE_MASK;
  return shift === 0 || shift === 21 ? 2 ** 21 : shift === 30 ? 2 ** 30 : "ENODEV";
}

export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const F_SEAL_WRITE = 8;
export const F_SEAL_FUTURE_WRITE = 16;
export const F_SEAL_EXEC = 32;
export const ALL_SEALS = 63;

/** What an ipc64_perm says of an object: whose it is and who may use it. */
export interface IpcPermissionFields {
  readonly key: number;
  readonly uid: number;
  readonly gid: number;
  readonly creatorUid: number;
  readonly creatorGid: number;
  readonly mode: number;
  readonly sequence: number;
}

export interface SharedSegmentFields extends IpcPermissionFields {
  /** Bytes. */
  readonly size: number;
  /** Seconds since the epoch; 0: never. */
  readonly attachTime: number;
  readonly detachTime: number;
  readonly changeTime: number;
  readonly creatorPid: number;
  readonly lastPid: number;
  readonly attaches: number;
}

export const SHMID_DS_SIZE = 112;

export function encodeShmidDs(fields: SharedSegmentFields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SHMID_DS_SIZE);
  const { key, uid, gid, creatorUid, creatorGid, mode } = fields;
  for (const [index, word] of [key, uid, gid, creatorUid, creatorGid, mode].entries()) writeU32(bytes, index * 4, word);
  writeU16(bytes, 24, fields.sequence);
  writeU64(bytes, 48, fields.size);
  writeU64(bytes, 56, fields.attachTime);
  writeU64(bytes, 64, fields.detachTime);
  writeU64(bytes, 72, fields.changeTime);
  writeU32(bytes, 80, fields.creatorPid);
  writeU32(bytes, 84, fields.lastPid);
  writeU64(bytes, 88, fields.attaches);
  return bytes;
}

/** What IPC_SET takes over from a shmid64_ds: owner, group, and the lower nine bits of the mode. */
export function decodeShmidDs(bytes: Uint8Array): { uid: number; gid: number; mode: number } {
  return { uid: readU32(bytes, 4), gid: readU32(bytes, 8), mode: readU32(bytes, 20) };
}

/** Limits of shared memory; those that reach 2^64 are exact. */
export interface SharedMemoryLimits {
  /** Bytes of one segment. */
  readonly maximumBytes: bigint;
  /** Segments there may be. */
  readonly segments: number;
  /** Pages of all segments together. */
  readonly allPages: bigint;
}

export const SHMINFO_SIZE = 72;

export function encodeShminfo({ maximumBytes, segments, allPages }: SharedMemoryLimits): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SHMINFO_SIZE);
  writeBig(bytes, 0, maximumBytes);
  writeU64(bytes, 8, 1);
  writeU64(bytes, 16, segments);
  writeU64(bytes, 24, segments);
  writeBig(bytes, 32, allPages);
  return bytes;
}

export const SHM_INFO_SIZE = 48;

export function encodeShmInfo(fields: {
  readonly segments: number;
  readonly pages: number;
  readonly residentPages: number;
  readonly swappedPages: number;
}): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SHM_INFO_SIZE);
  writeU32(bytes, 0, fields.segments);
  writeU64(bytes, 8, fields.pages);
  writeU64(bytes, 16, fields.residentPages);
  writeU64(bytes, 24, fields.swappedPages);
  return bytes;
}

function writeBig(bytes: Uint8Array, offset: number, value: bigint): void {
  writeWord64(bytes, offset, { hi: Number(value >> 32n) | 0, lo: Number(value & 0xffff_ffffn) | 0 });
}
