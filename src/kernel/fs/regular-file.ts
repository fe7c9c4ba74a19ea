// An open regular file: position, append, the file-size limit, and times.

import { FIONREAD } from "../../abi/linux/ioctl.ts";
import { O_APPEND, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from "../../abi/linux/open-flags.ts";
import { RLIMIT_FSIZE } from "../../abi/linux/process.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import { writeU32 } from "../../lib/bytes.ts";
import { copyToUser } from "../mem/user-memory.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { findSlot } from "../mem/page-map.ts";
import type { Process } from "../process/types.ts";
import { defaultOperations } from "./default-operations.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import { failed, SET_GID, SET_UID, touchAccessed, touchModified } from "./inode.ts";
import type { FileOperations, Inode } from "./types.ts";

export const regularFileOperations: FileOperations = {
  ...defaultOperations,

  readable(k, file, limit, offset) {
    filesystemOperations(file.inode.filesystem).refresh(k, file.inode);
    return Math.max(0, Math.min(limit, file.inode.size - (offset ?? file.offset)));
  },

  read(k, _thread, file, target, offset) {
    const { inode } = file;
    const count = filesystemOperations(inode.filesystem).readAt(k, inode, offset ?? file.offset, target);
    if (failed(count)) return count;
    if (offset === undefined) file.offset += count;
    if (!file.path?.mount.flags.readOnly) touchAccessed(k, inode);
    return count;
  },

  write(k, thread, file, bytes, offset) {
    const { inode } = file;
    const operations = filesystemOperations(inode.filesystem);
    if ((file.flags & O_APPEND) !== 0) operations.refresh(k, inode);
    const at = (file.flags & O_APPEND) !== 0 ? inode.size : (offset ?? file.offset);
    if (bytes.length === 0) return 0;
    const allowed = allowedLength(thread.process, at, bytes.length);
    if (failed(allowed)) return allowed;
    const count = operations.writeAt(k, inode, at, bytes.subarray(0, allowed));
    if (failed(count)) return count;
    if (offset === undefined) file.offset = at + count;
    touchModified(k, inode);
    dropSetIds(inode, thread.process);
    return count;
  },

  ioctl(k, thread, file, request, argument) {
    if (request !== FIONREAD) return "ENOTTY";
    const bytes = new Uint8Array(4);
    writeU32(bytes, 0, Math.max(0, file.inode.size - file.offset));
    return copyToUser(k, thread.process.space, argument, bytes);
  },

  seek(k, file, offset, whence) {
    filesystemOperations(file.inode.filesystem).refresh(k, file.inode);
    const { size } = file.inode;
    const target = seekTarget(file.inode, file.offset, size, offset, whence);
    if (failed(target)) return target;
    if (!(target >= 0)) return "EINVAL";
    if (target > Number.MAX_SAFE_INTEGER) return "EINVAL";
    file.offset = target;
    return target;
  },
};

function seekTarget(inode: Inode, position: number, size: number, offset: number, whence: number): number | Errno {
  switch (whence) {
    case SEEK_SET:
      return offset;
    case SEEK_CUR:
      return position + offset;
    case SEEK_END:
      return size + offset;
    case SEEK_DATA:
    case SEEK_HOLE:
      if (offset < 0 || offset >= size) return "ENXIO";
      return whence === SEEK_DATA ? nextData(inode, offset) : nextHole(inode, offset);
    default:
      return "EINVAL";
  }
}

/** The first byte at or after `offset` that lies in a page with contents; only tmpfs knows its holes. */
function nextData(inode: Inode, offset: number): number | "ENXIO" {
  if (inode.content.kind !== "tmpfs-file") return offset;
  if (inode.vmo === undefined) return "ENXIO";
  const first = findSlot(inode.vmo.pages, Math.floor(offset / PAGE_SIZE), true) * PAGE_SIZE;
  return first < inode.size ? Math.max(offset, first) : "ENXIO";
}

function nextHole(inode: Inode, offset: number): number {
  if (inode.content.kind !== "tmpfs-file") return inode.size;
  if (inode.vmo === undefined) return offset;
  const first = findSlot(inode.vmo.pages, Math.floor(offset / PAGE_SIZE), false) * PAGE_SIZE;
  return Math.min(Math.max(offset, first), inode.size);
}

/** How much of a write at `at` the file-size limit lets through; EFBIG (and SIGXFSZ from the caller) for nothing. */
export function allowedLength(process: Process, at: number, length: number): number | "EFBIG" {
  const limit = process.limits[RLIMIT_FSIZE]?.soft ?? Infinity;
  if (at >= limit) return "EFBIG";
  return Math.min(length, limit - at);
}

/** Whether the process has a file-size limit: only passing that is worth a SIGXFSZ, the file system's own bound is not. */
export function hasSizeLimit(process: Process): boolean {
  return (process.limits[RLIMIT_FSIZE]?.soft ?? Infinity) !== Infinity;
}

/** A write by anyone but the superuser takes the set-user-ID and (if executable) set-group-ID bits away. */
export function dropSetIds(inode: Inode, process: Process): void {
  if (process.credentials.fsuid === 0) return;
  inode.mode &= ~((inode.mode & 0o010) !== 0 ? SET_UID | SET_GID : SET_UID);
}
