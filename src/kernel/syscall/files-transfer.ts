// From file to file, and down to storage: sendfile, copy_file_range, the sync family, advice.
// Linux man-pages: sendfile(2), copy_file_range(2), fsync(2), sync(2), posix_fadvise(2), readahead(2).

import type { Errno } from "../../abi/linux/errno.ts";
import { MAX_RW_COUNT, O_ACCMODE, O_APPEND, O_RDONLY, O_WRONLY } from "../../abi/linux/open-flags.ts";
import { writeU64 } from "../../lib/bytes.ts";
import { getFile } from "../fs/descriptors.ts";
import { filesystemOperations } from "../fs/filesystem-operations.ts";
import { failed, isSameInode } from "../fs/inode.ts";
import { readFile, syncInode } from "../fs/page-cache.ts";
import type { OpenFile } from "../fs/types.ts";
import { readUser64 } from "../mem/user-memory.ts";
import { BLOCKED, type Blocked } from "../wait.ts";
import { give } from "./files-common.ts";
import { writePieces } from "./files-io.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

/** An offset argument: a pointer to 64 bits, or null for the file's own position. */
function readOffset({ k, process }: Call, address: number, file: OpenFile): { offset: number } | Errno {
  if (address === 0) return { offset: file.offset };
  const offset = readUser64(k, process.space, address);
  if (offset === undefined) return "EFAULT";
  return offset < 0 ? "EINVAL" : { offset };
}

/** Puts an offset back to where readOffset took it from. */
function storeOffset(call: Call, address: number, file: OpenFile, offset: number): 0 | "EFAULT" {
  if (address === 0) {
    file.offset = offset;
    return 0;
  }
  const bytes = new Uint8Array(8);
  writeU64(bytes, 0, offset);
  return give(call, address, bytes);
}

/** Writes bytes of `from`, starting at `start`, to `to`; progress of a wait is in the restart data, as for write. */
function copyOut(
  call: Call,
  from: OpenFile,
  start: number,
  to: OpenFile,
  toOffset: number | undefined,
  count: number,
): number | Errno | Blocked {
  const { inode } = from;
  const refreshed = filesystemOperations(inode.filesystem).refresh(call.k, inode);
  if (failed(refreshed)) return refreshed;
  const total = Math.max(0, Math.min(count, inode.size - start, MAX_RW_COUNT));
  return writePieces(call, to, total, toOffset, (done, length) => readFile(call.k, inode, start + done, length));
}

const sendfile = defineCall({
  name: "sendfile",
  args: [
    { name: "out_fd", type: "fd" },
    { name: "in_fd", type: "fd" },
    { name: "offset", type: "pointer" },
    { name: "count", type: "size" },
  ],
  result: "size",
  handler: (call, outFd, inFd, address, count) => {
    const from = getFile(call.process, inFd);
    if (failed(from)) return from;
    const to = getFile(call.process, outFd);
    if (failed(to)) return to;
    if ((from.flags & O_ACCMODE) === O_WRONLY || (to.flags & O_ACCMODE) === O_RDONLY) return "EBADF";
    if (from.kind !== "file") return "EINVAL";
    if ((to.flags & O_APPEND) !== 0) return "EINVAL";
    const start = readOffset(call, address, from);
    if (failed(start)) return start;
    const done = copyOut(call, from, start.offset, to, undefined, count);
    if (done === BLOCKED || failed(done)) return done;
    const stored = storeOffset(call, address, from, start.offset + done);
    return failed(stored) ? stored : done;
  },
});

const copyFileRange = defineCall({
  name: "copy_file_range",
  args: [
    { name: "fd_in", type: "fd" },
    { name: "off_in", type: "pointer" },
    { name: "fd_out", type: "fd" },
    { name: "off_out", type: "pointer" },
    { name: "len", type: "size" },
    { name: "flags", type: "flags" },
  ],
  result: "size",
  handler: (call, inFd, inAddress, outFd, outAddress, count, flags) => {
    if (flags !== 0) return "EINVAL";
    const from = getFile(call.process, inFd);
    if (failed(from)) return from;
    const to = getFile(call.process, outFd);
    if (failed(to)) return to;
    if ((from.flags & O_ACCMODE) === O_WRONLY || (to.flags & O_ACCMODE) === O_RDONLY) return "EBADF";
    if ((to.flags & O_APPEND) !== 0) return "EBADF";
    if (from.kind === "directory" || to.kind === "directory") return "EISDIR";
    if (from.kind !== "file" || to.kind !== "file") return "EINVAL";
    const source = readOffset(call, inAddress, from);
    if (failed(source)) return source;
    const target = readOffset(call, outAddress, to);
    if (failed(target)) return target;
    const distance = Math.abs(source.offset - target.offset);
    if (isSameInode(from.inode, to.inode) && distance < count) return "EINVAL";
    const done = copyOut(call, from, source.offset, to, target.offset, count);
    if (done === BLOCKED || failed(done)) return done;
    const storedIn = storeOffset(call, inAddress, from, source.offset + done);
    if (failed(storedIn)) return storedIn;
    const storedOut = storeOffset(call, outAddress, to, target.offset + done);
    return failed(storedOut) ? storedOut : done;
  },
});

function syncFile({ k, process }: Call, fd: number): 0 | Errno {
  const file = getFile(process, fd);
  if (failed(file)) return file;
  if (file.kind !== "file" && file.kind !== "directory") return "EINVAL";
  return syncInode(k, file.inode);
}

const fdArgument = [{ name: "fd", type: "fd" }] as const;
const fsync = defineCall({ name: "fsync", args: fdArgument, result: "int", handler: syncFile });
const fdatasync = defineCall({ name: "fdatasync", args: fdArgument, result: "int", handler: syncFile });

const syncfs = defineCall({
  name: "syncfs",
  args: fdArgument,
  result: "int",
  handler: ({ k, process }, fd) => {
    const file = getFile(process, fd);
    if (failed(file)) return file;
    for (const inode of file.inode.filesystem.known.values()) syncInode(k, inode);
    return 0;
  },
});

const sync = defineCall({
  name: "sync",
  args: [],
  result: "none",
  handler: ({ k }) => {
    for (const { filesystem } of k.state.files.mounts) {
      for (const inode of filesystem.known.values()) syncInode(k, inode);
    }
    return 0;
  },
});

const syncFileRange = defineCall({
  name: "sync_file_range",
  args: [
    { name: "fd", type: "fd" },
    { name: "offset", type: "offset" },
    { name: "nbytes", type: "offset" },
    { name: "flags", type: "flags" },
  ],
  result: "int",
  handler: (call, fd, offset, length, flags) => {
    if ((flags & ~7) !== 0 || offset < 0 || length < 0) return "EINVAL";
    const file = getFile(call.process, fd);
    if (failed(file)) return file;
    return file.kind === "pipe" ? "ESPIPE" : syncFile(call, fd);
  },
});

// Everything is in memory already: advice is checked and has no effect.

const fadvise64 = defineCall({
  name: "fadvise64",
  args: [
    { name: "fd", type: "fd" },
    { name: "offset", type: "offset" },
    { name: "len", type: "offset" },
    { name: "advice", type: "int" },
  ],
  result: "int",
  handler: ({ process }, fd, _offset, length, advice) => {
    const file = getFile(process, fd);
    if (failed(file)) return file;
    if (file.kind === "pipe") return "ESPIPE";
    return length < 0 || advice < 0 || advice > 5 ? "EINVAL" : 0;
  },
});

const readahead = defineCall({
  name: "readahead",
  args: [
    { name: "fd", type: "fd" },
    { name: "offset", type: "offset" },
    { name: "count", type: "size" },
  ],
  result: "int",
  handler: ({ process }, fd) => {
    const file = getFile(process, fd);
    if (failed(file)) return file;
    if ((file.flags & O_ACCMODE) === O_WRONLY) return "EBADF";
    return file.kind === "file" ? 0 : "EINVAL";
  },
});

export const fileCopyCalls: readonly SyscallRow[] = [
  sendfile,
  copyFileRange,
  fsync,
  fdatasync,
  syncfs,
  sync,
  syncFileRange,
  fadvise64,
  readahead,
];
