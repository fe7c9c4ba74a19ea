// Inodes: making them, their times, and who may use them.
//
//   mode word of stat:   | 15..12 kind | 11 set-uid | 10 set-gid | 9 sticky | 8..0 rwxrwxrwx |
//
// Linux man-pages: inode(7), path_resolution(7).

import { now, type Kernel } from "../kernel.ts";
import type { Credentials, Process } from "../process/types.ts";
import type { Filesystem, Inode, InodeContent, InodeKind, Timestamp } from "./types.ts";

export const SET_UID = 0o4000;
export const SET_GID = 0o2000;
export const STICKY = 0o1000;

/** What a permission check asks for: the bits of one class in the mode. */
export const MAY_READ = 4;
export const MAY_WRITE = 2;
export const MAY_EXECUTE = 1;

/** File type bits of `st_mode`. */
export const KIND_BITS: Readonly<Record<InodeKind, number>> = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

/** The kind that type bits of a mode name; undefined for bits that name none. */
export function kindFromMode(mode: number): InodeKind | undefined {
  const bits = mode & 0o170000;
  return (Object.keys(KIND_BITS) as InodeKind[]).find((kind) => KIND_BITS[kind] === bits);
}

/** CLOCK_REALTIME as files record it. */
export function currentTime(k: Kernel): Timestamp {
  const { seconds, nanoseconds } = k.state.config.bootTime;
  const total = nanoseconds + now(k);
  return { seconds: seconds + Math.floor(total / 1e9), nanoseconds: Math.floor(total % 1e9) };
}

/** What a new inode is made from; the rest follows. */
export interface InodeSeed {
  readonly kind: InodeKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: InodeContent;
  readonly device?: { major: number; minor: number } | undefined;
  readonly number?: number;
}

/** Makes an inode with no name yet (`nlink` 0). */
export function createInode(k: Kernel, filesystem: Filesystem, seed: InodeSeed): Inode {
  const time = currentTime(k);
  const number = seed.number ?? filesystem.nextInode++;
  filesystem.inodeCount += 1;
  return {
    filesystem,
    number,
    kind: seed.kind,
    mode: seed.mode & 0o7777,
    uid: seed.uid,
    gid: seed.gid,
    nlink: 0,
    size: 0,
    atime: time,
    mtime: time,
    ctime: time,
    device: seed.device,
    vmo: undefined,
    content: seed.content,
    place: undefined,
    references: 0,
  };
}

export function touchModified(k: Kernel, inode: Inode): void {
  const time = currentTime(k);
  inode.mtime = time;
  inode.ctime = time;
}

export function touchChanged(k: Kernel, inode: Inode): void {
  inode.ctime = currentTime(k);
}

/** Records an access as Linux's default "relatime" does: only when the last one is not after the last change. */
export function touchAccessed(k: Kernel, inode: Inode): void {
  if (isLater(inode.atime, inode.mtime) && isLater(inode.atime, inode.ctime)) return;
  inode.atime = currentTime(k);
}

function isLater(a: Timestamp, b: Timestamp): boolean {
  return a.seconds !== b.seconds ? a.seconds > b.seconds : a.nanoseconds > b.nanoseconds;
}

export function isInGroup(credentials: Credentials, gid: number): boolean {
  return credentials.fsgid === gid || credentials.groups.includes(gid);
}

/** Whether `want` (MAY_… bits) is allowed. The superuser passes, but executes only what someone may execute. */
export function checkAccess(inode: Inode, credentials: Credentials, want: number): 0 | "EACCES" {
  if (credentials.fsuid === 0) {
    const executes = (want & MAY_EXECUTE) !== 0 && inode.kind !== "directory";
    return executes && (inode.mode & 0o111) === 0 ? "EACCES" : 0;
  }
  const shift = credentials.fsuid === inode.uid ? 6 : isInGroup(credentials, inode.gid) ? 3 : 0;
  return ((inode.mode >> shift) & want) === want ? 0 : "EACCES";
}

/** Whether the caller owns the inode or is the superuser. */
export function isOwner(inode: Inode, credentials: Credentials): boolean {
  return credentials.fsuid === 0 || credentials.fsuid === inode.uid;
}

/** In a sticky directory only the owner of the file or of the directory removes or renames an entry. */
export function checkSticky(directory: Inode, inode: Inode, credentials: Credentials): 0 | "EPERM" {
  if ((directory.mode & STICKY) === 0 || isOwner(inode, credentials) || isOwner(directory, credentials)) return 0;
  return "EPERM";
}

/** Owner and mode of a new inode in `directory`: umask, and the set-gid directory's group. */
export function newInodeAttributes(
  process: Process,
  directory: Inode,
  kind: InodeKind,
  mode: number,
): { mode: number; uid: number; gid: number } {
  const { fsuid, fsgid } = process.credentials;
  const inherits = (directory.mode & SET_GID) !== 0;
  const bits = mode & 0o7777 & ~process.fs.umask;
  return {
    mode: inherits && kind === "directory" ? bits | SET_GID : bits,
    uid: fsuid,
    gid: inherits ? directory.gid : fsgid,
  };
}

/** Same file, even where the file system makes inode objects on the fly. */
export function isSameInode(a: Inode, b: Inode): boolean {
  return a === b || (a.filesystem === b.filesystem && a.number === b.number);
}

/** Narrows a result to its failure. Numbers and objects are successes; every string is an error name. */
export function failed(result: unknown): result is string {
  return typeof result === "string";
}
