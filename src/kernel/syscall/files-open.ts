// Descriptors: open, close, dup, pipe. Linux man-pages: openat(2), openat2(2), close(2), close_range(2), dup(2), pipe(2).

import type { Errno } from "../../abi/linux/errno.ts";
import * as flag from "../../abi/linux/open-flags.ts";
import { EFD_SEMAPHORE } from "../../abi/linux/poll.ts";
import { readI64, writeU32 } from "../../lib/bytes.ts";
import { createEventfd, createPipePair } from "../fs/anonymous-files.ts";
import {
  closeDescriptor,
  descriptorLimit,
  getAnyFile,
  hasFreeDescriptor,
  hasRoomFor,
  installFile,
  replaceDescriptor,
  unshareFiles,
} from "../fs/descriptors.ts";
import { failed } from "../fs/inode.ts";
import { openPath } from "../fs/open.ts";
import { releaseFile, retainFile } from "../fs/open-file.ts";
import type { WalkOptions } from "../fs/path.ts";
import { checkUserRange, copyFromUser } from "../mem/user-memory.ts";
import type { Blocked } from "../wait.ts";
import { baseOf, give } from "./files-common.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

const KNOWN_FLAGS =
  flag.O_ACCMODE |
  flag.O_CREAT |
  flag.O_EXCL |
  flag.O_NOCTTY |
  flag.O_TRUNC |
  flag.O_APPEND |
  flag.O_NONBLOCK |
  flag.O_SYNC |
  flag.O_ASYNC |
  flag.O_DIRECT |
  flag.O_LARGEFILE |
  flag.O_DIRECTORY |
  flag.O_NOFOLLOW |
  flag.O_NOATIME |
  flag.O_CLOEXEC |
  flag.O_PATH |
  flag.O_TMPFILE;

/** Opens a path into a descriptor; also what open and creat of other architectures come to. */
export function openAt(
  call: Call,
  dirfd: number,
  path: string,
  flags: number,
  mode: number,
  options: Omit<WalkOptions, "followLast"> = {},
): number | Errno | Blocked {
  const { k, process, thread } = call;
  const base = baseOf(call, dirfd, path);
  if (failed(base)) return base;
  if (!hasFreeDescriptor(process)) return "EMFILE";
  const file = openPath(k, thread, base, path, flags & KNOWN_FLAGS, mode & 0o7777, options);
  if (failed(file)) return file;
  const fd = installFile(k, process, file, { closeOnExec: (flags & flag.O_CLOEXEC) !== 0 });
  if (failed(fd)) releaseFile(k, file);
  return fd;
}

const openat = defineCall({
  name: "openat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "flags", type: "flags", show: "open" },
    { name: "mode", type: "mode" },
  ],
  result: "fd",
  handler: (call, dirfd, path, flags, mode) => openAt(call, dirfd, path, flags, mode),
});

const openat2 = defineCall({
  name: "openat2",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "how", type: "pointer" },
    { name: "size", type: "size" },
  ],
  result: "fd",
  handler: (call, dirfd, path, address, size) => {
    if (size < flag.OPEN_HOW_SIZE) return "EINVAL";
    if (size > 4096) return "E2BIG";
    const how = copyFromUser(call.k, call.process.space, address, size);
    if (failed(how)) return how;
    if (how.subarray(flag.OPEN_HOW_SIZE).some((byte) => byte !== 0)) return "E2BIG";
    const [flags, mode, resolve] = [readI64(how, 0), readI64(how, 8), readI64(how, 16)];
    if (flags < 0 || flags > 0xffff_ffff || (flags & ~KNOWN_FLAGS) !== 0) return "EINVAL";
    const creates = (flags & (flag.O_CREAT | flag.O_TMPFILE)) !== 0;
    if (mode < 0 || mode > 0o7777 || (mode !== 0 && !creates)) return "EINVAL";
    if (resolve < 0 || resolve > 0x3f) return "EINVAL";
    const isBeneath = (resolve & flag.RESOLVE_BENEATH) !== 0;
    const isInRoot = (resolve & flag.RESOLVE_IN_ROOT) !== 0;
    if (isBeneath && isInRoot) return "EINVAL";
    if ((resolve & flag.RESOLVE_CACHED) !== 0) return "EAGAIN";
    const start = isInRoot ? path.replace(/^\/+/, "") || "." : path;
    return openAt(call, dirfd, start, flags, mode, {
      noSymlinks: (resolve & flag.RESOLVE_NO_SYMLINKS) !== 0,
      noMagicLinks: (resolve & flag.RESOLVE_NO_MAGICLINKS) !== 0,
      noCrossMounts: (resolve & flag.RESOLVE_NO_XDEV) !== 0,
      beneath: isBeneath,
      inRoot: isInRoot,
    });
  },
});

const close = defineCall({
  name: "close",
  args: [{ name: "fd", type: "fd" }],
  result: "int",
  handler: ({ k, process }, fd) => closeDescriptor(k, process, fd),
});

const closeRange = defineCall({
  name: "close_range",
  args: [
    { name: "first", type: "uint" },
    { name: "last", type: "uint" },
    { name: "flags", type: "flags" },
  ],
  result: "int",
  handler: ({ k, process }, first, last, flags) => {
    if ((flags & ~(flag.CLOSE_RANGE_UNSHARE | flag.CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) return "EINVAL";
    if ((flags & flag.CLOSE_RANGE_UNSHARE) !== 0) unshareFiles(k, process);
    const { descriptors } = process.files;
    for (let fd = Math.min(last, descriptors.length - 1); fd >= first; fd--) {
      const descriptor = descriptors[fd];
      if (descriptor === undefined) continue;
      if ((flags & flag.CLOSE_RANGE_CLOEXEC) !== 0) descriptor.closeOnExec = true;
      else closeDescriptor(k, process, fd);
    }
    return 0;
  },
});

/** F_DUPFD and dup: the same description at the lowest free descriptor from `lowest` on. */
export function duplicate({ k, process }: Call, fd: number, lowest: number, closeOnExec: boolean): number | Errno {
  const file = getAnyFile(process, fd);
  if (failed(file)) return file;
  if (lowest < 0 || lowest >= descriptorLimit(process)) return "EINVAL";
  const copy = installFile(k, process, retainFile(file), { closeOnExec, lowest });
  if (failed(copy)) releaseFile(k, file);
  return copy;
}

/** dup2 and dup3 for different descriptors. */
export function duplicateTo({ k, process }: Call, fd: number, target: number, closeOnExec: boolean): number | Errno {
  const file = getAnyFile(process, fd);
  if (failed(file)) return file;
  if (target < 0 || target >= descriptorLimit(process)) return "EBADF";
  if (!hasRoomFor(k, target + 1 - process.files.descriptors.length)) return "ENFILE";
  return replaceDescriptor(k, process, target, retainFile(file), { closeOnExec });
}

const dup = defineCall({
  name: "dup",
  args: [{ name: "fd", type: "fd" }],
  result: "fd",
  handler: (call, fd) => duplicate(call, fd, 0, false),
});

const dup3 = defineCall({
  name: "dup3",
  args: [
    { name: "oldfd", type: "fd" },
    { name: "newfd", type: "fd" },
    { name: "flags", type: "flags", show: "open" },
  ],
  result: "fd",
  handler: (call, fd, target, flags) => {
    if ((flags & ~flag.O_CLOEXEC) !== 0 || fd === target) return "EINVAL";
    return duplicateTo(call, fd, target, (flags & flag.O_CLOEXEC) !== 0);
  },
});

const dup2 = defineCall({
  name: "dup2",
  args: [
    { name: "oldfd", type: "fd" },
    { name: "newfd", type: "fd" },
  ],
  result: "fd",
  handler: (call, fd, target) => {
    if (fd !== target) return duplicateTo(call, fd, target, false);
    const file = getAnyFile(call.process, fd);
    return failed(file) ? file : fd;
  },
});

const pipe2 = defineCall({
  name: "pipe2",
  args: [
    { name: "pipefd", type: "pointer", show: "fd-pair:out" },
    { name: "flags", type: "flags", show: "open-flags" },
  ],
  result: "int",
  handler: (call, address, flags) => {
    const { k, process } = call;
    if ((flags & ~(flag.O_CLOEXEC | flag.O_NONBLOCK | flag.O_DIRECT)) !== 0) return "EINVAL";
    if (checkUserRange(k, process.space, address, 8, "write") !== 0) return "EFAULT";
    const pair = createPipePair(k, flags & (flag.O_NONBLOCK | flag.O_DIRECT));
    if (failed(pair)) return pair;
    const options = { closeOnExec: (flags & flag.O_CLOEXEC) !== 0 };
    const readFd = installFile(k, process, pair.read, options);
    const writeFd = failed(readFd) ? readFd : installFile(k, process, pair.write, options);
    if (failed(readFd) || failed(writeFd)) {
      if (failed(readFd)) releaseFile(k, pair.read);
      else closeDescriptor(k, process, readFd);
      releaseFile(k, pair.write);
      return "EMFILE";
    }
    const bytes = new Uint8Array(8);
    writeU32(bytes, 0, readFd);
    writeU32(bytes, 4, writeFd);
    return give(call, address, bytes);
  },
});

const eventfd2 = defineCall({
  name: "eventfd2",
  args: [
    { name: "initval", type: "uint" },
    { name: "flags", type: "flags" },
  ],
  result: "fd",
  handler: ({ k, process }, initial, flags) => {
    if ((flags & ~(flag.O_CLOEXEC | flag.O_NONBLOCK | EFD_SEMAPHORE)) !== 0) return "EINVAL";
    const file = createEventfd(k, initial, flags);
    if (failed(file)) return file;
    const fd = installFile(k, process, file, { closeOnExec: (flags & flag.O_CLOEXEC) !== 0 });
    if (failed(fd)) releaseFile(k, file);
    return fd;
  },
});

export const fileOpenCalls: readonly SyscallRow[] = [
  openat,
  openat2,
  close,
  closeRange,
  dup,
  dup2,
  dup3,
  pipe2,
  eventfd2,
];
