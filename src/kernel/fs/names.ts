// Names: making, linking, removing and renaming directory entries, with every check that Linux makes before it changes anything.
// Linux man-pages: mkdir(2), mknod(2), symlink(2), link(2), unlink(2), rmdir(2), rename(2).

import type { Errno } from "../../abi/linux/errno.ts";
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from "../../abi/linux/open-flags.ts";
import type { Kernel } from "../kernel.ts";
import type { Process } from "../process/types.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import { checkAccess, checkSticky, failed, isSameInode, MAY_EXECUTE, MAY_WRITE, newInodeAttributes } from "./inode.ts";
import { isMountPoint } from "./mount-table.ts";
import { walkPath, type Walk } from "./path.ts";
import { isNameable } from "./tmpfs.ts";
import type { Inode, InodeKind, PathRef } from "./types.ts";

/** Makes a new entry of any kind but a hard link. */
export function createEntry(
  k: Kernel,
  process: Process,
  base: PathRef,
  path: string,
  what: { kind: InodeKind; mode: number; target?: string; device?: { major: number; minor: number } },
): Inode | Errno {
  const walk = walkTo(k, process, base, path);
  if (failed(walk)) return walk;
  if (walk.ref !== undefined) return "EEXIST";
  if (walk.trailingSlash && what.kind !== "directory") return "ENOENT";
  const allowed = mayChange(process, walk.parent);
  if (failed(allowed)) return allowed;
  const directory = walk.parent.inode;
  const attributes = newInodeAttributes(process, directory, what.kind, what.kind === "symlink" ? 0o777 : what.mode);
  if (what.kind === "symlink") attributes.mode = 0o777;
  return filesystemOperations(directory.filesystem).create(k, directory, walk.name, { ...what, ...attributes });
}

/** Gives the file at `source` one more name. */
export function linkEntry(k: Kernel, process: Process, source: PathRef, base: PathRef, path: string): 0 | Errno {
  const walk = walkTo(k, process, base, path);
  if (failed(walk)) return walk;
  if (walk.ref !== undefined) return "EEXIST";
  if (walk.trailingSlash) return "ENOENT";
  if (walk.parent.mount !== source.mount) return "EXDEV";
  const allowed = mayChange(process, walk.parent);
  if (failed(allowed)) return allowed;
  if (source.inode.kind === "directory") return "EPERM";
  // A file that was unlinked has no name to copy.
  if (source.inode.nlink === 0 && !isNameable(source.inode)) return "ENOENT";
  const directory = walk.parent.inode;
  return filesystemOperations(directory.filesystem).link(k, directory, walk.name, source.inode);
}

/** unlink. */
export function unlinkEntry(k: Kernel, process: Process, base: PathRef, path: string): 0 | Errno {
  const walk = walkTo(k, process, base, path);
  if (failed(walk)) return walk;
  if (walk.last !== "name") return "EISDIR";
  if (walk.ref === undefined) return "ENOENT";
  const { inode } = walk.ref;
  if (walk.trailingSlash) return inode.kind === "directory" ? "EISDIR" : "ENOTDIR";
  const allowed = mayDelete(process, walk.parent, inode);
  if (failed(allowed)) return allowed;
  if (inode.kind === "directory") return "EISDIR";
  if (isMountPoint(k, walk.ref)) return "EBUSY";
  return filesystemOperations(inode.filesystem).unlink(k, walk.parent.inode, walk.name, inode);
}

/** rmdir. */
export function removeDirectory(k: Kernel, process: Process, base: PathRef, path: string): 0 | Errno {
  const walk = walkTo(k, process, base, path);
  if (failed(walk)) return walk;
  if (walk.last === "dot") return "EINVAL";
  if (walk.last === "dot-dot") return "ENOTEMPTY";
  if (walk.last === "root") return "EBUSY";
  if (walk.ref === undefined) return "ENOENT";
  const { inode } = walk.ref;
  if (isMountPoint(k, walk.ref)) return "EBUSY";
  const allowed = mayDelete(process, walk.parent, inode);
  if (failed(allowed)) return allowed;
  if (inode.kind !== "directory") return "ENOTDIR";
  return filesystemOperations(inode.filesystem).rmdir(k, walk.parent.inode, walk.name, inode);
}

/** rename, with RENAME_NOREPLACE or RENAME_EXCHANGE. */
export function renameEntry(
  k: Kernel,
  process: Process,
  oldBase: PathRef,
  oldPath: string,
  newBase: PathRef,
  newPath: string,
  flags: number,
): 0 | Errno {
  const exchanges = (flags & RENAME_EXCHANGE) !== 0;
  const from = walkTo(k, process, oldBase, oldPath);
  if (failed(from)) return from;
  const to = walkTo(k, process, newBase, newPath);
  if (failed(to)) return to;
  if (from.parent.mount !== to.parent.mount) return "EXDEV";
  if (from.last !== "name" || to.last !== "name") {
    return (flags & RENAME_NOREPLACE) !== 0 && to.last !== "name" ? "EEXIST" : "EBUSY";
  }
  if (from.ref === undefined) return "ENOENT";
  if (to.ref !== undefined && (flags & RENAME_NOREPLACE) !== 0) return "EEXIST";
  if (to.ref === undefined && exchanges) return "ENOENT";
  const source = from.ref.inode;
  const target = to.ref?.inode;
  if (source.kind !== "directory" && (from.trailingSlash || (to.trailingSlash && !exchanges))) return "ENOTDIR";
  if (exchanges && to.trailingSlash && target?.kind !== "directory") return "ENOTDIR";
  // A directory cannot move below itself; nor can something take the place of a directory that it lies in.
  if (source.kind === "directory" && isWithin(to.parent.inode, source)) return "EINVAL";
  if (target?.kind === "directory" && isWithin(from.parent.inode, target)) return exchanges ? "EINVAL" : "ENOTEMPTY";
  if (target !== undefined && isSameInode(source, target)) return 0;

  const allowed = mayRename(process, from, to, source, target, exchanges);
  if (failed(allowed)) return allowed;
  if (isMountPoint(k, from.ref) || (to.ref !== undefined && isMountPoint(k, to.ref))) return "EBUSY";
  const operations = filesystemOperations(source.filesystem);
  return operations.rename(k, from.parent.inode, from.name, to.parent.inode, to.name, flags);
}

function mayRename(
  process: Process,
  from: Walk,
  to: Walk,
  source: Inode,
  target: Inode | undefined,
  exchanges: boolean,
): 0 | Errno {
  const mayLeave = mayDelete(process, from.parent, source);
  if (failed(mayLeave)) return mayLeave;
  const mayArrive = target === undefined ? mayChange(process, to.parent) : mayDelete(process, to.parent, target);
  if (failed(mayArrive)) return mayArrive;
  if (target !== undefined && !exchanges) {
    if (source.kind === "directory" && target.kind !== "directory") return "ENOTDIR";
    if (source.kind !== "directory" && target.kind === "directory") return "EISDIR";
  }
  // A directory that gets another parent is itself written: its ".." changes.
  if (!isSameInode(from.parent.inode, to.parent.inode)) {
    for (const moved of exchanges ? [source, target] : [source]) {
      if (moved?.kind !== "directory") continue;
      const allowed = checkAccess(moved, process.credentials, MAY_WRITE);
      if (failed(allowed)) return allowed;
    }
  }
  return 0;
}

/** Whether `inode` is `ancestor` or lies below it. */
function isWithin(inode: Inode, ancestor: Inode): boolean {
  for (let at: Inode | undefined = inode; at !== undefined; at = at.place?.parent) {
    if (isSameInode(at, ancestor)) return true;
  }
  return false;
}

function walkTo(k: Kernel, process: Process, base: PathRef, path: string): Walk | Errno {
  const context = { process, credentials: process.credentials };
  // The name itself is meant, not what a link there points to: the slash after it says only "a directory".
  return walkPath(k, context, base, path, { followLast: false, keepLastLink: true });
}

/** Whether entries of the directory may be added. */
function mayChange(process: Process, directory: PathRef): 0 | Errno {
  if (directory.mount.flags.readOnly) return "EROFS";
  return checkAccess(directory.inode, process.credentials, MAY_WRITE | MAY_EXECUTE);
}

function mayDelete(process: Process, directory: PathRef, inode: Inode): 0 | Errno {
  const allowed = mayChange(process, directory);
  return failed(allowed) ? allowed : checkSticky(directory.inode, inode, process.credentials);
}
