// open: from a path to an open file description. Linux man-pages: open(2), fifo(7).
//
//   walk -> (create) -> check rights -> by kind:  file | directory | fifo | device | procfs | nameless (through /proc/PID/fd)

import type { Errno } from "../../abi/linux/errno.ts";
import * as flag from "../../abi/linux/open-flags.ts";
import type { Kernel } from "../kernel.ts";
import type { Process, Thread } from "../process/types.ts";
import { openTty } from "../tty/open.ts";
import { hasDeliverableSignal } from "../process/signals.ts";
import { block, type Blocked } from "../wait.ts";
import { createOpenFile } from "./open-file.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import {
  checkAccess,
  failed,
  isOwner,
  isSameInode,
  MAY_EXECUTE,
  MAY_READ,
  MAY_WRITE,
  newInodeAttributes,
} from "./inode.ts";
import { createNamelessFile } from "./tmpfs.ts";
import { walkPath, type Walk, type WalkOptions } from "./path.ts";
import { countEnd, createPipe, openPipeEnds, pipeOpenKey } from "./pipe.ts";
import type { FileState, Inode, OpenFile, OpenFileKind, PathRef, Pipe } from "./types.ts";

/** Flags that only matter while opening. */
const CREATION_FLAGS = flag.O_CREAT | flag.O_EXCL | flag.O_NOCTTY | flag.O_TRUNC | flag.O_CLOEXEC | flag.O_ASYNC;

/** What is kept of the flags of an O_PATH open. */
const PATH_FLAGS = flag.O_PATH | flag.O_DIRECTORY | flag.O_NOFOLLOW;

/** Opens `path` for `thread`. Waits only for the other end of a FIFO. */
export function openPath(
  k: Kernel,
  thread: Thread,
  base: PathRef,
  path: string,
  flags: number,
  mode: number,
  options: Omit<WalkOptions, "followLast"> = {},
): OpenFile | Errno | Blocked {
  const { process } = thread;
  const isNameless = (flags & flag.O_TMPFILE) === flag.O_TMPFILE && (flags & flag.O_PATH) === 0;
  const place = isNameless
    ? createNameless(k, process, base, path, flags, mode, options)
    : findOrCreate(k, process, base, path, flags, mode, options);
  if (failed(place)) return place;
  const file = openPlace(k, thread, process, place.ref, isNameless ? flags & ~flag.O_TMPFILE : flags, place.isNew);
  if (isNameless && failed(file)) filesystemOperations(place.ref.inode.filesystem).release(k, place.ref.inode);
  return file;
}

/** Opens a path for a process that has no thread in the kernel (the first program's files); never waits. */
export function openFile(
  k: Kernel,
  process: Process,
  base: PathRef,
  path: string,
  flags: number,
  mode: number,
): OpenFile | Errno {
  const place = findOrCreate(k, process, base, path, flags, mode, {});
  if (failed(place)) return place;
  const file = openPlace(k, undefined, process, place.ref, flags | flag.O_NONBLOCK, place.isNew);
  if (file === "BLOCKED") return "EAGAIN";
  if (!failed(file) && (flags & flag.O_NONBLOCK) === 0) file.flags &= ~flag.O_NONBLOCK;
  return file;
}

function findOrCreate(
  k: Kernel,
  process: Process,
  base: PathRef,
  path: string,
  flags: number,
  mode: number,
  options: Omit<WalkOptions, "followLast">,
): { ref: PathRef; isNew: boolean } | Errno {
  const creates = (flags & flag.O_CREAT) !== 0 && (flags & flag.O_PATH) === 0;
  const exclusive = creates && (flags & flag.O_EXCL) !== 0;
  // A path that ends in a slash creates nothing, whatever its last name is: so that is not looked at.
  const keepLastLink = creates && path.endsWith("/");
  const followLast = (flags & flag.O_NOFOLLOW) === 0 && !exclusive && !keepLastLink;
  const context = { process, credentials: process.credentials };
  const walk = walkPath(k, context, base, path, { ...options, followLast, keepLastLink });
  if (failed(walk)) return walk;
  if (creates) {
    if (walk.last !== "name") return exclusive ? "EEXIST" : "EISDIR";
    if (walk.trailingSlash) return "EISDIR";
    if (walk.ref === undefined) return createRegularFile(k, process, walk, flags, mode);
    if (exclusive) return "EEXIST";
    if (walk.ref.inode.kind === "directory") return "EISDIR";
  }
  if (walk.ref === undefined) return "ENOENT";
  const { inode } = walk.ref;
  const wantsDirectory = walk.trailingSlash || (flags & flag.O_DIRECTORY) !== 0;
  if (inode.kind === "symlink" && (flags & flag.O_PATH) === 0) return wantsDirectory ? "ENOTDIR" : "ELOOP";
  if (wantsDirectory && inode.kind !== "directory") return "ENOTDIR";
  return { ref: walk.ref, isNew: false };
}

/** O_TMPFILE: a file in the file system of a directory, without a name. Only tmpfs has such files. */
function createNameless(
  k: Kernel,
  process: Process,
  base: PathRef,
  path: string,
  flags: number,
  mode: number,
  options: Omit<WalkOptions, "followLast">,
): { ref: PathRef; isNew: boolean } | Errno {
  if ((accessWanted(flags) & MAY_WRITE) === 0 || (flags & flag.O_CREAT) !== 0) return "EINVAL";
  const context = { process, credentials: process.credentials };
  const walk = walkPath(k, context, base, path, { ...options, followLast: (flags & flag.O_NOFOLLOW) === 0 });
  if (failed(walk)) return walk;
  if (walk.ref === undefined) return "ENOENT";
  const { inode: directory, mount } = walk.ref;
  if (directory.kind !== "directory") return "ENOTDIR";
  if (mount.flags.readOnly) return "EROFS";
  const allowed = checkAccess(directory, process.credentials, MAY_WRITE | MAY_EXECUTE);
  if (failed(allowed)) return allowed;
  const { filesystem } = directory;
  if (filesystem.kind !== "tmpfs") return "EOPNOTSUPP";
  const attributes = newInodeAttributes(process, directory, "file", mode);
  const inode = createNamelessFile(k, filesystem, attributes, (flags & flag.O_EXCL) === 0);
  if (failed(inode)) return inode;
  // Linux shows such a file by its number (fs/dcache.c, d_mark_tmpfile).
  return { ref: { mount, inode, parent: walk.ref, name: `#${inode.number}` }, isNew: true };
}

function createRegularFile(
  k: Kernel,
  process: Process,
  walk: Walk,
  flags: number,
  mode: number,
): { ref: PathRef; isNew: boolean } | Errno {
  if ((flags & flag.O_DIRECTORY) !== 0) return "EINVAL";
  const directory = walk.parent.inode;
  if (walk.parent.mount.flags.readOnly) return "EROFS";
  const allowed = checkAccess(directory, process.credentials, MAY_WRITE);
  if (failed(allowed)) return allowed;
  const attributes = newInodeAttributes(process, directory, "file", mode);
  const inode = filesystemOperations(directory.filesystem).create(k, directory, walk.name, {
    kind: "file",
    ...attributes,
  });
  if (failed(inode)) return inode;
  return { ref: { mount: walk.parent.mount, inode, parent: walk.parent, name: walk.name }, isNew: true };
}

function openPlace(
  k: Kernel,
  thread: Thread | undefined,
  process: Process,
  ref: PathRef,
  flags: number,
  isNew: boolean,
): OpenFile | Errno | Blocked {
  const { inode } = ref;
  if ((flags & flag.O_PATH) !== 0) {
    return createOpenFile(k, { kind: "path", flags: flags & PATH_FLAGS, inode, path: ref });
  }
  const want = accessWanted(flags);
  const writes = (want & MAY_WRITE) !== 0 || (flags & flag.O_TRUNC) !== 0;
  if (writes && inode.kind === "directory") return "EISDIR";
  if (writes && ref.mount.flags.readOnly && (inode.kind === "file" || inode.kind === "symlink")) return "EROFS";
  const truncates = (flags & flag.O_TRUNC) !== 0 && inode.kind === "file";
  if (!isNew) {
    const allowed = checkAccess(inode, process.credentials, truncates ? want | MAY_WRITE : want);
    if (failed(allowed)) return allowed;
  }
  if ((flags & flag.O_NOATIME) !== 0 && !isOwner(inode, process.credentials)) return "EPERM";

  const kept = (flags & ~CREATION_FLAGS) | flag.O_LARGEFILE;
  switch (inode.kind) {
    case "file":
      if (inode.content.kind === "procfs") return createOpenFile(k, { kind: "proc", flags: kept, inode, path: ref });
      if (inode.filesystem.kind === "anonymous") return "ENXIO";
      if (writes && isRunning(k, inode)) return "ETXTBSY";
      if (truncates && (inode.size > 0 || inode.filesystem.kind === "hostfs")) {
        const truncated = filesystemOperations(inode.filesystem).truncate(k, inode, 0);
        if (failed(truncated)) return truncated;
      }
      return createOpenFile(k, { kind: "file", flags: kept, inode, path: ref });
    case "directory":
      return createOpenFile(k, { kind: "directory", flags: kept, inode, path: ref });
    case "fifo":
      return inode.content.kind === "channel"
        ? createOpenFile(k, { kind: "channel", flags: kept, inode, path: undefined, channel: inode.content.channel })
        : openFifo(k, thread, ref, kept);
    case "character":
      return openCharacterDevice(k, process, ref, flags, kept);
    case "block":
    case "socket":
      return "ENXIO";
    case "symlink":
      return "ELOOP";
  }
}

/** Whether a process runs the program in this file, which nobody may change then (ETXTBSY). */
export function isRunning(k: Kernel, inode: Inode): boolean {
  for (const { program } of k.state.processes.values())
    if (program !== undefined && isSameInode(program.inode, inode)) return true;
  return false;
}

/** Access bits of an open mode; 3 (used by some ioctl-only openers) asks for both. */
function accessWanted(flags: number): number {
  const mode = flags & flag.O_ACCMODE;
  return mode === flag.O_RDONLY ? MAY_READ : mode === flag.O_WRONLY ? MAY_WRITE : MAY_READ | MAY_WRITE;
}

/**
 * A FIFO opens when both ends are there. Without O_NONBLOCK the opener waits; that it waits is its restart data, which the other end's
 * opener counts as a partner (pipe.ts).
 */
function openFifo(k: Kernel, thread: Thread | undefined, ref: PathRef, flags: number): OpenFile | Errno | Blocked {
  const { inode } = ref;
  const pipe = pipeBehind(k, k.state.files, inode);
  const mode = flags & flag.O_ACCMODE;
  const nonBlocking = (flags & flag.O_NONBLOCK) !== 0;
  // A nameless pipe, reached through /proc/PID/fd, never waits for a partner: its ends were there, and may be gone.
  const isNamed = inode.filesystem.kind !== "anonymous";
  if (isNamed && mode === flag.O_WRONLY && nonBlocking && countEnd(k, pipe, "read") === 0) return "ENXIO";

  if (isNamed && mode !== flag.O_RDWR && !nonBlocking && thread !== undefined) {
    const end = mode === flag.O_RDONLY ? "read" : "write";
    const partner = end === "read" ? "write" : "read";
    const partnerOpens = end === "read" ? pipe.writerOpens : pipe.readerOpens;
    const came = thread.restart?.fifoOpening !== undefined && thread.restart.fifoPartnerOpens !== partnerOpens;
    if (countEnd(k, pipe, partner) === 0 && !came) {
      if (hasDeliverableSignal(k, thread)) return "EINTR";
      thread.restart ??= {};
      thread.restart.fifoOpening = pipeOpenKey(pipe.id, end);
      thread.restart.fifoPartnerOpens = partnerOpens;
      return block(k, thread, [pipeOpenKey(pipe.id, end)]);
    }
  }
  const file = createOpenFile(k, { kind: "pipe", flags, inode, path: isNamed ? ref : undefined, pipe: pipe.id });
  if (failed(file)) return file;
  // What poll compares with: a FIFO's reader sees no hang-up from writers that were there before it.
  file.counter = !isNamed || countEnd(k, pipe, "write") > 0 ? pipe.writerOpens - 1 : pipe.writerOpens;
  openPipeEnds(k, pipe, flags);
  return file;
}

function pipeBehind(k: Kernel, files: FileState, inode: Inode): Pipe {
  const id = inode.content.kind === "fifo" ? inode.content.pipe : undefined;
  return (id === undefined ? undefined : files.pipes.get(id)) ?? createPipe(k, inode);
}

/** Memory devices: major 1 (Linux devices.txt). */
const MEMORY_DEVICES: ReadonlyMap<number, OpenFileKind> = new Map([
  [3, "null"],
  [5, "zero"],
  [7, "full"],
  [8, "random"],
  [9, "random"],
  [11, "kernel-log"],
]);

function openCharacterDevice(k: Kernel, process: Process, ref: PathRef, flags: number, kept: number): OpenFile | Errno {
  const { inode } = ref;
  const { major, minor } = inode.device ?? { major: 0, minor: 0 };
  if (major === 1) {
    const kind = MEMORY_DEVICES.get(minor);
    return kind === undefined ? "ENXIO" : createOpenFile(k, { kind, flags: kept, inode, path: ref });
  }
  if (major === 4 || major === 5) return openTty(k, process, ref, { major, minor }, flags, kept);
  return "ENXIO";
}
