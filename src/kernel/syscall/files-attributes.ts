// Attributes: the stat family, access, mode, owner, times, size, umask, extended attributes.
// Linux man-pages: stat(2), statx(2), statfs(2), access(2), chmod(2), chown(2), utimensat(2), truncate(2), fallocate(2), umask(2).

import type { Errno } from "../../abi/linux/errno.ts";
import { ST_NOEXEC, ST_NOSUID, ST_RDONLY, ST_VALID } from "../../abi/linux/mount.ts";
import * as flag from "../../abi/linux/open-flags.ts";
import { encodeStat, encodeStatfs, encodeStatx, STATX_RESERVED } from "../../abi/linux/stat.ts";
import { TIMESPEC_SIZE, TIMEVAL_SIZE, UTIME_NOW, UTIME_OMIT } from "../../abi/linux/time.ts";
import { readI64 } from "../../lib/bytes.ts";
import { allocateRange, checkAllocation, isAtOnce } from "../fs/allocate.ts";
import { changeMode, changeOwner, changeSize, changeTimes, statInode, type TimeChange } from "../fs/attributes.ts";
import { getAnyFile, getFile } from "../fs/descriptors.ts";
import { filesystemOperations } from "../fs/filesystem-operations.ts";
import { checkAccess, failed, MAY_WRITE } from "../fs/inode.ts";
import { isRunning } from "../fs/open.ts";
import { allowedLength, hasSizeLimit } from "../fs/regular-file.ts";
import type { Inode, OpenFile, PathRef } from "../fs/types.ts";
import { copyFromUser } from "../mem/user-memory.ts";
import { hasDeliverableSignal, kernelSignal, sendThreadSignal } from "../process/signals.ts";
import { SIGNALS } from "../../abi/linux/signals.ts";
import { contextOf, give, optionalString, placeAt, placeOf } from "./files-common.ts";
import { now } from "../kernel.ts";
import { block, type Blocked } from "../wait.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

/** Stores struct stat of an inode. */
export function giveStat(call: Call, inode: Inode, address: number): 0 | Errno {
  const stat = statInode(call.k, inode);
  return failed(stat) ? stat : give(call, address, encodeStat(call.k.arch.abi.stat, stat));
}

const fstat = defineCall({
  name: "fstat",
  args: [
    { name: "fd", type: "fd" },
    { name: "statbuf", type: "pointer", show: "stat:out" },
  ],
  result: "int",
  handler: (call, fd, address) => {
    const file = getAnyFile(call.process, fd);
    return failed(file) ? file : giveStat(call, file.inode, address);
  },
});

const STAT_FLAGS = flag.AT_SYMLINK_NOFOLLOW | flag.AT_EMPTY_PATH | flag.AT_NO_AUTOMOUNT;

const newfstatat = defineCall({
  name: "newfstatat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "statbuf", type: "pointer", show: "stat:out" },
    { name: "flags", type: "flags", show: "at" },
  ],
  result: "int",
  handler: (call, dirfd, path, address, flags) => {
    if ((flags & ~STAT_FLAGS) !== 0) return "EINVAL";
    const ref = placeAt(call, dirfd, path, { followLast: (flags & flag.AT_SYMLINK_NOFOLLOW) === 0, flags });
    return failed(ref) ? ref : giveStat(call, ref.inode, address);
  },
});

const statx = defineCall({
  name: "statx",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "flags", type: "flags", show: "at" },
    { name: "mask", type: "flags", show: "statx-mask" },
    { name: "statxbuf", type: "pointer", show: "statx:out" },
  ],
  result: "int",
  handler: (call, dirfd, path, flags, mask, address) => {
    if ((flags & ~(STAT_FLAGS | flag.AT_STATX_SYNC_TYPE)) !== 0) return "EINVAL";
    if ((flags & flag.AT_STATX_SYNC_TYPE) === flag.AT_STATX_SYNC_TYPE) return "EINVAL";
    if ((mask & STATX_RESERVED) !== 0) return "EINVAL";
    const ref = placeAt(call, dirfd, path, { followLast: (flags & flag.AT_SYMLINK_NOFOLLOW) === 0, flags });
    if (failed(ref)) return ref;
    const stat = statInode(call.k, ref.inode);
    return failed(stat) ? stat : give(call, address, encodeStatx(stat, ref.mount.id));
  },
});

function giveStatfs(call: Call, ref: PathRef, address: number): 0 | Errno {
  const { filesystem } = ref.inode;
  const { flags } = ref.mount;
  const stat = filesystemOperations(filesystem).statfs(call.k, filesystem);
  const bits = (flags.readOnly ? ST_RDONLY : 0) | (flags.noSuid ? ST_NOSUID : 0) | (flags.noExec ? ST_NOEXEC : 0);
  return give(call, address, encodeStatfs({ ...stat, flags: ST_VALID | bits }));
}

const statfs = defineCall({
  name: "statfs",
  args: [
    { name: "path", type: "path" },
    { name: "buf", type: "pointer", show: "statfs:out" },
  ],
  result: "int",
  handler: (call, path, address) => {
    const ref = placeAt(call, flag.AT_FDCWD, path, { followLast: true });
    return failed(ref) ? ref : giveStatfs(call, ref, address);
  },
});

const fstatfs = defineCall({
  name: "fstatfs",
  args: [
    { name: "fd", type: "fd" },
    { name: "buf", type: "pointer", show: "statfs:out" },
  ],
  result: "int",
  handler: (call, fd, address) => {
    const file = getAnyFile(call.process, fd);
    return failed(file) ? file : giveStatfs(call, placeOf(call, file), address);
  },
});

/** access: by the real ids, as what runs with more rights than its user asks on that user's behalf. */
export function accessAt(call: Call, dirfd: number, path: string, mode: number, flags: number): 0 | Errno {
  if ((mode & ~7) !== 0) return "EINVAL";
  if ((flags & ~(flag.AT_EACCESS | flag.AT_SYMLINK_NOFOLLOW | flag.AT_EMPTY_PATH)) !== 0) return "EINVAL";
  const { credentials } = call.process;
  const { uid, gid } = credentials;
  const asked = (flags & flag.AT_EACCESS) !== 0 ? credentials : { ...credentials, fsuid: uid, fsgid: gid };
  const ref = placeAt(call, dirfd, path, {
    followLast: (flags & flag.AT_SYMLINK_NOFOLLOW) === 0,
    flags,
    context: { ...contextOf(call.process), credentials: asked },
  });
  if (failed(ref)) return ref;
  const isPlain = ref.inode.kind === "file" || ref.inode.kind === "directory" || ref.inode.kind === "symlink";
  if ((mode & flag.W_OK) !== 0 && ref.mount.flags.readOnly && isPlain) return "EROFS";
  if ((mode & flag.X_OK) !== 0 && ref.inode.kind === "file" && ref.mount.flags.noExec) return "EACCES";
  return checkAccess(ref.inode, asked, mode);
}

const faccessat = defineCall({
  name: "faccessat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "mode", type: "flags", show: "access" },
  ],
  result: "int",
  handler: (call, dirfd, path, mode) => accessAt(call, dirfd, path, mode, 0),
});

const faccessat2 = defineCall({
  name: "faccessat2",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "mode", type: "flags", show: "access" },
    { name: "flags", type: "flags", show: "at" },
  ],
  result: "int",
  handler: accessAt,
});

const fchmod = defineCall({
  name: "fchmod",
  args: [
    { name: "fd", type: "fd" },
    { name: "mode", type: "mode" },
  ],
  result: "int",
  handler: (call, fd, mode) => {
    const file = getFile(call.process, fd);
    return failed(file) ? file : changeMode(call.k, call.process, placeOf(call, file), mode);
  },
});

function chmodAt(call: Call, dirfd: number, path: string, mode: number, flags: number): 0 | Errno {
  if ((flags & ~(flag.AT_SYMLINK_NOFOLLOW | flag.AT_EMPTY_PATH)) !== 0) return "EINVAL";
  const ref = placeAt(call, dirfd, path, { followLast: (flags & flag.AT_SYMLINK_NOFOLLOW) === 0, flags });
  return failed(ref) ? ref : changeMode(call.k, call.process, ref, mode);
}

const chmodArguments = [
  { name: "dirfd", type: "fd" },
  { name: "pathname", type: "path" },
  { name: "mode", type: "mode" },
] as const;

const fchmodat = defineCall({
  name: "fchmodat",
  args: chmodArguments,
  result: "int",
  handler: (call, dirfd, path, mode) => chmodAt(call, dirfd, path, mode, 0),
});

const fchmodat2 = defineCall({
  name: "fchmodat2",
  args: [...chmodArguments, { name: "flags", type: "flags", show: "at" }],
  result: "int",
  handler: chmodAt,
});

const fchown = defineCall({
  name: "fchown",
  args: [
    { name: "fd", type: "fd" },
    { name: "owner", type: "uint" },
    { name: "group", type: "uint" },
  ],
  result: "int",
  handler: (call, fd, uid, gid) => {
    const file = getFile(call.process, fd);
    return failed(file) ? file : changeOwner(call.k, call.process, placeOf(call, file), uid, gid);
  },
});

const fchownat = defineCall({
  name: "fchownat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "owner", type: "uint" },
    { name: "group", type: "uint" },
    { name: "flags", type: "flags", show: "at" },
  ],
  result: "int",
  handler: (call, dirfd, path, uid, gid, flags) => {
    if ((flags & ~(flag.AT_SYMLINK_NOFOLLOW | flag.AT_EMPTY_PATH)) !== 0) return "EINVAL";
    const ref = placeAt(call, dirfd, path, { followLast: (flags & flag.AT_SYMLINK_NOFOLLOW) === 0, flags });
    return failed(ref) ? ref : changeOwner(call.k, call.process, ref, uid, gid);
  },
});

const utimensat = defineCall({
  name: "utimensat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "pointer", show: "string:in" },
    { name: "times", type: "pointer", show: "timespec-pair:in" },
    { name: "flags", type: "flags", show: "at" },
  ],
  result: "int",
  handler: (call, dirfd, pathAddress, timesAddress, flags) => {
    if ((flags & ~(flag.AT_SYMLINK_NOFOLLOW | flag.AT_EMPTY_PATH)) !== 0) return "EINVAL";
    const times = timesAddress === 0 ? NOW_BOTH : readTimes(call, timesAddress);
    if (failed(times)) return times;
    const path = optionalString(call, pathAddress, flag.PATH_MAX);
    if (failed(path)) return path;
    const ref =
      path.text === undefined
        ? openPlaceOf(call, dirfd)
        : placeAt(call, dirfd, path.text, { followLast: (flags & flag.AT_SYMLINK_NOFOLLOW) === 0, flags });
    return failed(ref) ? ref : changeTimes(call.k, call.process, ref, times.atime, times.mtime);
  },
});

/** utime: whole seconds, as struct utimbuf. */
const utime = defineCall({
  name: "utime",
  args: [
    { name: "filename", type: "path" },
    { name: "times", type: "pointer", show: "utimbuf:in" },
  ],
  result: "int",
  handler: (call, path, address) => {
    const bytes = address === 0 ? undefined : copyFromUser(call.k, call.process.space, address, 16);
    if (bytes === "EFAULT") return "EFAULT";
    const ref = placeAt(call, flag.AT_FDCWD, path, { followLast: true });
    if (failed(ref)) return ref;
    const change = (offset: number): TimeChange =>
      bytes === undefined
        ? { kind: "now" }
        : { kind: "set", time: { seconds: readI64(bytes, offset), nanoseconds: 0 } };
    return changeTimes(call.k, call.process, ref, change(0), change(8));
  },
});

/** futimesat and utimes: two struct timeval. */
function changeTimesAt(call: Call, dirfd: number, pathAddress: number, timesAddress: number): 0 | Errno {
  const times = timesAddress === 0 ? NOW_BOTH : readTimevals(call, timesAddress);
  if (failed(times)) return times;
  const path = optionalString(call, pathAddress, flag.PATH_MAX);
  if (failed(path)) return path;
  const ref =
    path.text === undefined ? openPlaceOf(call, dirfd) : placeAt(call, dirfd, path.text, { followLast: true });
  return failed(ref) ? ref : changeTimes(call.k, call.process, ref, times.atime, times.mtime);
}

const TIMEVALS_ARGUMENTS = [
  { name: "filename", type: "pointer", show: "string:in" },
  { name: "times", type: "pointer", show: "timeval-pair:in" },
] as const;

const futimesat = defineCall({
  name: "futimesat",
  args: [{ name: "dirfd", type: "fd" }, ...TIMEVALS_ARGUMENTS],
  result: "int",
  handler: changeTimesAt,
});

const utimes = defineCall({
  name: "utimes",
  args: TIMEVALS_ARGUMENTS,
  result: "int",
  handler: (call, path, times) => (path === 0 ? "EFAULT" : changeTimesAt(call, flag.AT_FDCWD, path, times)),
});

function readTimevals({ k, process }: Call, address: number): { atime: TimeChange; mtime: TimeChange } | Errno {
  const bytes = copyFromUser(k, process.space, address, 2 * TIMEVAL_SIZE);
  if (failed(bytes)) return bytes;
  const changes = [0, TIMEVAL_SIZE].map((offset): TimeChange | undefined => {
    const [seconds, microseconds] = [readI64(bytes, offset), readI64(bytes, offset + 8)];
    if (!(microseconds >= 0 && microseconds < 1e6)) return undefined;
    return { kind: "set", time: { seconds, nanoseconds: microseconds * 1000 } };
  });
  const [atime, mtime] = changes;
  return atime === undefined || mtime === undefined ? "EINVAL" : { atime, mtime };
}

const NOW_BOTH: { atime: TimeChange; mtime: TimeChange } = { atime: { kind: "now" }, mtime: { kind: "now" } };

function openPlaceOf(call: Call, fd: number): PathRef | "EBADF" {
  const file = getFile(call.process, fd);
  return failed(file) ? "EBADF" : placeOf(call, file);
}

function readTimes({ k, process }: Call, address: number): { atime: TimeChange; mtime: TimeChange } | Errno {
  const bytes = copyFromUser(k, process.space, address, 2 * TIMESPEC_SIZE);
  if (failed(bytes)) return bytes;
  const atime = decodeTimeChange(bytes, 0);
  const mtime = decodeTimeChange(bytes, TIMESPEC_SIZE);
  return atime === undefined || mtime === undefined ? "EINVAL" : { atime, mtime };
}

function decodeTimeChange(bytes: Uint8Array, offset: number): TimeChange | undefined {
  const seconds = readI64(bytes, offset);
  const nanoseconds = readI64(bytes, offset + 8);
  if (nanoseconds === UTIME_NOW) return { kind: "now" };
  if (nanoseconds === UTIME_OMIT) return { kind: "omit" };
  if (!(nanoseconds >= 0 && nanoseconds < 1e9)) return undefined;
  return { kind: "set", time: { seconds, nanoseconds } };
}

/** Sets a size, with the signal that goes with the file-size limit; mappings follow. */
function setSize(call: Call, inode: Inode, size: number): 0 | Errno {
  const done = changeSize(call.k, call.process, inode, size);
  if (done === "EFBIG" && hasSizeLimit(call.process))
    sendThreadSignal(call.k, call.thread, kernelSignal(SIGNALS.SIGXFSZ));
  return done;
}

const truncate = defineCall({
  name: "truncate",
  args: [
    { name: "path", type: "path" },
    { name: "length", type: "offset" },
  ],
  result: "int",
  handler: (call, path, length) => {
    if (length < 0) return "EINVAL";
    const ref = placeAt(call, flag.AT_FDCWD, path, { followLast: true });
    if (failed(ref)) return ref;
    if (ref.inode.kind === "directory") return "EISDIR";
    if (ref.inode.kind !== "file") return "EINVAL";
    const allowed = checkAccess(ref.inode, call.process.credentials, MAY_WRITE);
    if (failed(allowed)) return allowed;
    if (ref.mount.flags.readOnly) return "EROFS";
    return isRunning(call.k, ref.inode) ? "ETXTBSY" : setSize(call, ref.inode, length);
  },
});

const ftruncate = defineCall({
  name: "ftruncate",
  args: [
    { name: "fd", type: "fd" },
    { name: "length", type: "offset" },
  ],
  result: "int",
  handler: (call, fd, length) => {
    if (length < 0) return "EINVAL";
    const file = getFile(call.process, fd);
    if (failed(file)) return file;
    return isWritableFile(file) ? setSize(call, file.inode, length) : "EINVAL";
  },
});

function isWritableFile(file: OpenFile): boolean {
  return file.kind === "file" && (file.flags & flag.O_ACCMODE) !== flag.O_RDONLY;
}

const fallocate = defineCall({
  name: "fallocate",
  args: [
    { name: "fd", type: "fd" },
    { name: "mode", type: "flags", show: "fallocate" },
    { name: "offset", type: "offset" },
    { name: "len", type: "offset" },
  ],
  result: "int",
  handler: (call, fd, mode, offset, length) => {
    const file = getFile(call.process, fd);
    if (failed(file)) return file;
    if (offset < 0 || length <= 0) return "EINVAL";
    const end = offset + length;
    const isBareHole = (mode & (flag.FALLOC_FL_PUNCH_HOLE | flag.FALLOC_FL_KEEP_SIZE)) === flag.FALLOC_FL_PUNCH_HOLE;
    if ((mode & ~KNOWN_FALLOCATE) !== 0 || isBareHole) return "EOPNOTSUPP";
    if ((file.flags & flag.O_ACCMODE) === flag.O_RDONLY) return "EBADF";
    if (file.kind === "pipe") return "ESPIPE";
    if (file.kind !== "file") return "ENODEV";
    const { inode } = file;
    const grows = (mode & flag.FALLOC_FL_KEEP_SIZE) === 0 && end > inode.size;
    if (grows) {
      const allowed = allowedLength(call.process, inode.size, end - inode.size);
      if (failed(allowed) || allowed < end - inode.size) return "EFBIG";
    }
    return allocateInPieces(call, inode, mode, offset, end);
  },
});

/** Bytes after which a long allocation lets others run. */
const ALLOCATION_PIECE = 16 << 20;

/** fallocate, piece by piece: the size follows with the last. EINTR leaves the pages that are there. */
function allocateInPieces(call: Call, inode: Inode, mode: number, start: number, end: number): 0 | Errno | Blocked {
  const { k, thread } = call;
  const before = thread.restart?.done;
  if (before === undefined) {
    const allowed = checkAllocation(k, inode, mode, start, end);
    if (allowed !== 0) return allowed;
  } else if (hasDeliverableSignal(k, thread)) {
    return "EINTR";
  }
  const from = before ?? start;
  const to = isAtOnce(inode, mode) ? end : Math.min(end, from + ALLOCATION_PIECE);
  if (to === end) return allocateRange(k, inode, mode, from, end);
  const allocated = allocateRange(k, inode, mode | flag.FALLOC_FL_KEEP_SIZE, from, to);
  if (allocated !== 0) return allocated;
  thread.restart = { ...thread.restart, done: to };
  return block(k, thread, [], now(k));
}

/** Modes that Linux knows, whether a file system does them or not. */
const KNOWN_FALLOCATE =
  flag.FALLOC_FL_KEEP_SIZE |
  flag.FALLOC_FL_PUNCH_HOLE |
  flag.FALLOC_FL_COLLAPSE_RANGE |
  flag.FALLOC_FL_ZERO_RANGE |
  flag.FALLOC_FL_INSERT_RANGE |
  flag.FALLOC_FL_UNSHARE_RANGE;

const umask = defineCall({
  name: "umask",
  args: [{ name: "mask", type: "mode" }],
  result: "mode",
  handler: ({ process }, mask) => {
    const old = process.fs.umask;
    process.fs.umask = mask & 0o777;
    return old;
  },
});

// Extended attributes: no file system here keeps any.

const noAttribute = (name: string, by: "path" | "fd", result: Errno | 0): SyscallRow =>
  by === "path"
    ? defineCall({
        name,
        args: [
          { name: "path", type: "path" },
          { name: "name", type: "pointer", show: "string:in" },
          { name: "value", type: "pointer" },
          { name: "size", type: "size" },
        ],
        result: "size",
        handler: (call, path) => {
          const ref = placeAt(call, flag.AT_FDCWD, path, { followLast: !name.startsWith("l") });
          return failed(ref) ? ref : result;
        },
      })
    : defineCall({
        name,
        args: [
          { name: "fd", type: "fd" },
          { name: "name", type: "pointer", show: "string:in" },
          { name: "value", type: "pointer" },
          { name: "size", type: "size" },
        ],
        result: "size",
        handler: (call, fd) => {
          const file = getFile(call.process, fd);
          return failed(file) ? file : result;
        },
      });

const attributeCalls: readonly SyscallRow[] = [
  noAttribute("setxattr", "path", "EOPNOTSUPP"),
  noAttribute("lsetxattr", "path", "EOPNOTSUPP"),
  noAttribute("fsetxattr", "fd", "EOPNOTSUPP"),
  noAttribute("getxattr", "path", "ENODATA"),
  noAttribute("lgetxattr", "path", "ENODATA"),
  noAttribute("fgetxattr", "fd", "ENODATA"),
  noAttribute("listxattr", "path", 0),
  noAttribute("llistxattr", "path", 0),
  noAttribute("flistxattr", "fd", 0),
  noAttribute("removexattr", "path", "ENODATA"),
  noAttribute("lremovexattr", "path", "ENODATA"),
  noAttribute("fremovexattr", "fd", "ENODATA"),
];

export const fileAttributeCalls: readonly SyscallRow[] = [
  fstat,
  newfstatat,
  statx,
  statfs,
  fstatfs,
  faccessat,
  faccessat2,
  fchmod,
  fchmodat,
  fchmodat2,
  fchown,
  fchownat,
  utimensat,
  utime,
  utimes,
  futimesat,
  truncate,
  ftruncate,
  fallocate,
  umask,
  ...attributeCalls,
];
