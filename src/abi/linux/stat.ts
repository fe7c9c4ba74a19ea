// File attributes as user programs see them: struct stat (per architecture), struct statx, struct statfs, directory entries.
// Layouts: uapi asm-generic/stat.h (riscv64), arch/x86 asm/stat.h, linux/stat.h, asm-generic/statfs.h.
//
//            dev ino  nlink mode uid gid rdev size blksize blocks atime mtime ctime   bytes
//   riscv64   0   8    20    16   24  28  32   48   56      64     72    88    104     128
//   x86_64    0   8    16    24   28  32  40   48   56      64     72    88    104     144

import { writeU16, writeU32, writeU64, writeU8 } from "../../lib/bytes.ts";
import type { StatLayout } from "./abi.ts";
import { writeTimespec, type TimeValue } from "./time.ts";

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;

/** File attributes, before any layout. */
export interface StatFields {
  readonly device: number;
  readonly inode: number;
  /** Type and permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Device number of a character or block device, as makeDevice encodes it. */
  readonly rdev: number;
  readonly size: number;
  readonly blockSize: number;
  /** 512-byte units. */
  readonly blocks: number;
  readonly atime: TimeValue;
  readonly mtime: TimeValue;
  readonly ctime: TimeValue;
}

/** dev_t as stat passes it: minor's low byte, 12 bits of major, the rest of minor, the rest of major. */
export function makeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function deviceMajor(device: number): number {
  return (device >>> 8) & 0xfff;
}

export function deviceMinor(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}

/** struct stat. */
export function encodeStat(layout: StatLayout, stat: StatFields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(layout.size);
  const writeField = (offset: number, width: 4 | 8, value: number): void =>
    width === 4 ? writeU32(bytes, offset, value) : writeU64(bytes, offset, value);
  writeU64(bytes, 0, stat.device);
  writeU64(bytes, 8, stat.inode);
  writeU32(bytes, layout.modeOffset, stat.mode);
  writeField(layout.nlinkOffset, layout.nlinkBytes, stat.nlink);
  writeU32(bytes, layout.uidOffset, stat.uid);
  writeU32(bytes, layout.uidOffset + 4, stat.gid);
  writeU64(bytes, layout.rdevOffset, stat.rdev);
  writeU64(bytes, 48, stat.size);
  writeField(56, layout.blockSizeBytes, stat.blockSize);
  writeU64(bytes, 64, stat.blocks);
  writeTimespec(bytes, 72, stat.atime);
  writeTimespec(bytes, 88, stat.mtime);
  writeTimespec(bytes, 104, stat.ctime);
  return bytes;
}

export const STATX_TYPE = 0x1;
export const STATX_MODE = 0x2;
export const STATX_NLINK = 0x4;
export const STATX_UID = 0x8;
export const STATX_GID = 0x10;
export const STATX_ATIME = 0x20;
export const STATX_MTIME = 0x40;
export const STATX_CTIME = 0x80;
export const STATX_INO = 0x100;
export const STATX_SIZE = 0x200;
export const STATX_BLOCKS = 0x400;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;
export const STATX_MNT_ID = 0x1000;
/** Refused with EINVAL. */
export const STATX_RESERVED = 0x8000_0000;
export const STATX_SIZE_BYTES = 256;

/** struct statx; fills the basic fields, and the mount id when it is given. */
export function encodeStatx(stat: StatFields, mountId?: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(STATX_SIZE_BYTES);
  writeU32(bytes, 0, STATX_BASIC_STATS | (mountId === undefined ? 0 : STATX_MNT_ID));
  writeU32(bytes, 4, stat.blockSize);
  writeU32(bytes, 16, stat.nlink);
  writeU32(bytes, 20, stat.uid);
  writeU32(bytes, 24, stat.gid);
  writeU16(bytes, 28, stat.mode);
  writeU64(bytes, 32, stat.inode);
  writeU64(bytes, 40, stat.size);
  writeU64(bytes, 48, stat.blocks);
  writeStatxTime(bytes, 64, stat.atime);
  writeStatxTime(bytes, 96, stat.ctime);
  writeStatxTime(bytes, 112, stat.mtime);
  writeU32(bytes, 128, deviceMajor(stat.rdev));
  writeU32(bytes, 132, deviceMinor(stat.rdev));
  writeU32(bytes, 136, deviceMajor(stat.device));
  writeU32(bytes, 140, deviceMinor(stat.device));
  writeU64(bytes, 144, mountId ?? 0);
  return bytes;
}

/** struct statx_timestamp: i64 seconds, u32 nanoseconds, padding. */
function writeStatxTime(bytes: Uint8Array, offset: number, time: TimeValue): void {
  writeU64(bytes, offset, time.seconds);
  writeU32(bytes, offset + 8, time.nanoseconds);
}

export interface StatfsFields {
  readonly type: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly free: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameLength: number;
  readonly flags: number;
}

/** struct statfs: 120 bytes on both architectures. */
export function encodeStatfs(stat: StatfsFields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(120);
  writeU64(bytes, 0, stat.type);
  writeU64(bytes, 8, stat.blockSize);
  writeU64(bytes, 16, stat.blocks);
  writeU64(bytes, 24, stat.free);
  writeU64(bytes, 32, stat.free); // available to everyone
  writeU64(bytes, 40, stat.files);
  writeU64(bytes, 48, stat.filesFree);
  writeU64(bytes, 64, stat.nameLength);
  writeU64(bytes, 72, stat.blockSize); // fragment size
  writeU64(bytes, 80, stat.flags);
  return bytes;
}

/** d_type of a directory entry. */
export const DT_UNKNOWN = 0;
export const DT_FIFO = 1;
export const DT_CHR = 2;
export const DT_DIR = 4;
export const DT_BLK = 6;
export const DT_REG = 8;
export const DT_LNK = 10;
export const DT_SOCK = 12;

/** One struct linux_dirent64, padded to 8 bytes. `name` is a byte string; `nextOffset` is where the following entry begins. */
export function encodeDirent64(inode: number, nextOffset: number, type: number, name: string): Uint8Array<ArrayBuffer> {
  const length = (19 + name.length + 1 + 7) & ~7;
  const bytes = new Uint8Array(length);
  writeU64(bytes, 0, inode);
  writeU64(bytes, 8, nextOffset);
  writeU16(bytes, 16, length);
  writeU8(bytes, 18, type);
  for (let i = 0; i < name.length; i++) bytes[19 + i] = name.charCodeAt(i);
  return bytes;
}

/** One struct linux_dirent, the older layout: the name at 18, its type in the last byte. */
export function encodeDirent(inode: number, nextOffset: number, type: number, name: string): Uint8Array<ArrayBuffer> {
  const length = (18 + name.length + 2 + 7) & ~7;
  const bytes = new Uint8Array(length);
  writeU64(bytes, 0, inode);
  writeU64(bytes, 8, nextOffset);
  writeU16(bytes, 16, length);
  for (let i = 0; i < name.length; i++) bytes[18 + i] = name.charCodeAt(i);
  writeU8(bytes, length - 1, type);
  return bytes;
}
