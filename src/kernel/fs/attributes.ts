// Attributes: stat, mode, owner, times, size. Linux man-pages: chmod(2), chown(2), utimensat(2), truncate(2), inode(7).

import type { Errno } from "../../abi/linux/errno.ts";
import { makeDevice, type StatFields } from "../../abi/linux/stat.ts";
import type { Kernel } from "../kernel.ts";
import { pageCount } from "../mem/page-map.ts";
import type { Process } from "../process/types.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import {
  checkAccess,
  currentTime,
  failed,
  isInGroup,
  isOwner,
  KIND_BITS,
  MAY_WRITE,
  SET_GID,
  SET_UID,
  touchChanged,
} from "./inode.ts";
import { allowedLength, dropSetIds } from "./regular-file.ts";
import type { Inode, PathRef, Timestamp } from "./types.ts";

const BLOCK_SIZE = 4096;

/** What stat says of an inode. */
export function statInode(k: Kernel, inode: Inode): StatFields | Errno {
  const refreshed = filesystemOperations(inode.filesystem).refresh(k, inode);
  if (failed(refreshed)) return refreshed;
  const pages =
    inode.content.kind === "tmpfs-file"
      ? inode.vmo === undefined
        ? 0
        : pageCount(inode.vmo.pages)
      : Math.ceil(inode.size / BLOCK_SIZE);
  return {
    device: makeDevice(0, inode.filesystem.id),
    inode: inode.number,
    mode: KIND_BITS[inode.kind] | inode.mode,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.device === undefined ? 0 : makeDevice(inode.device.major, inode.device.minor),
    size: inode.size,
    blockSize: BLOCK_SIZE,
    blocks: takesBlocks(inode) ? pages * (BLOCK_SIZE / 512) : 0,
    atime: inode.atime,
    mtime: inode.mtime,
    ctime: inode.ctime,
  };
}

export function changeMode(k: Kernel, process: Process, ref: PathRef, mode: number): 0 | Errno {
  const { inode } = ref;
  if (ref.mount.flags.readOnly) return "EROFS";
  if (!isOwner(inode, process.credentials)) return "EPERM";
  if (inode.kind === "symlink") return "EOPNOTSUPP";
  let bits = mode & 0o7777;
  // Only members of the file's group may make it set-group-ID.
  if (process.credentials.fsuid !== 0 && !isInGroup(process.credentials, inode.gid)) bits &= ~SET_GID;
  return store(k, inode, { mode: bits });
}

/** chown; -1 (0xffffffff) leaves an id as it is. */
export function changeOwner(k: Kernel, process: Process, ref: PathRef, uid: number, gid: number): 0 | Errno {
  const { inode } = ref;
  const { credentials } = process;
  if (ref.mount.flags.readOnly) return "EROFS";
  const newUid = uid === 0xffff_ffff ? inode.uid : uid;
  const newGid = gid === 0xffff_ffff ? inode.gid : gid;
  if (credentials.fsuid !== 0) {
    const keepsUid = newUid === inode.uid && credentials.fsuid === inode.uid;
    const keepsGid = newGid === inode.gid || isInGroup(credentials, newGid);
    if (!keepsUid || !keepsGid) return "EPERM";
  }
  let { mode } = inode;
  if (inode.kind === "file" && (uid !== 0xffff_ffff || gid !== 0xffff_ffff)) {
    mode &= ~((mode & 0o010) !== 0 ? SET_UID | SET_GID : SET_UID);
  }
  return store(k, inode, { uid: newUid, gid: newGid, ...(mode === inode.mode ? {} : { mode }) });
}

/** One of the two times that utimensat sets. */
export type TimeChange =
  | { readonly kind: "omit" }
  | { readonly kind: "now" }
  | { readonly kind: "set"; readonly time: Timestamp };

export function changeTimes(
  k: Kernel,
  process: Process,
  ref: PathRef,
  atime: TimeChange,
  mtime: TimeChange,
): 0 | Errno {
  if (atime.kind === "omit" && mtime.kind === "omit") return 0;
  const { inode } = ref;
  if (ref.mount.flags.readOnly) return "EROFS";
  if (!isOwner(inode, process.credentials)) {
    if (atime.kind !== "now" || mtime.kind !== "now") return "EPERM";
    const allowed = checkAccess(inode, process.credentials, MAY_WRITE);
    if (failed(allowed)) return allowed;
  }
  const refreshed = filesystemOperations(inode.filesystem).refresh(k, inode);
  if (failed(refreshed)) return refreshed;
  const pick = (change: TimeChange, old: Timestamp): Timestamp =>
    change.kind === "omit" ? old : change.kind === "now" ? currentTime(k) : change.time;
  return store(k, inode, { atime: pick(atime, inode.atime), mtime: pick(mtime, inode.mtime) });
}

/** truncate and ftruncate, rights already checked. */
export function changeSize(k: Kernel, process: Process, inode: Inode, size: number): 0 | Errno {
  if (size > inode.size) {
    const allowed = allowedLength(process, inode.size, size - inode.size);
    if (failed(allowed)) return allowed;
    if (allowed < size - inode.size) return "EFBIG";
  }
  const done = filesystemOperations(inode.filesystem).truncate(k, inode, size);
  if (!failed(done)) dropSetIds(inode, process);
  return done;
}

function store(
  k: Kernel,
  inode: Inode,
  change: Partial<Pick<Inode, "mode" | "uid" | "gid" | "atime" | "mtime">>,
): 0 | Errno {
  const done = filesystemOperations(inode.filesystem).setAttributes(k, inode, change);
  if (!failed(done)) touchChanged(k, inode);
  return done;
}

/** Files take whole blocks; so do the directories of a host, which have a size of their own. */
function takesBlocks(inode: Inode): boolean {
  if (inode.kind === "directory") return inode.filesystem.kind === "hostfs";
  return inode.kind === "file" && inode.content.kind !== "procfs";
}
