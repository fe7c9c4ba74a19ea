// A directory of the host as the kernel's hostfs sees it (kernel/host.ts).
//
// The guest must not get out: no component of a path is ever followed if it is a symbolic link, whoever put it there and whenever.
//
//   Linux      root fd ── open(O_PATH | O_DIRECTORY | O_NOFOLLOW) of each name under /proc/self/fd/N ── parent fd
//              the operation works on /proc/self/fd/PARENT/name, so nothing between check and use can be swapped
//   elsewhere  each component is checked with lstat first; a host that swaps links at that very moment is not defended against
//
// Names are byte strings: Buffers on the way to the system, Latin-1 on the way back.

import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
  type BigIntStats,
  type Dirent,
} from "node:fs";
import { ERRNO, type Errno } from "../abi/linux/errno.ts";
import type { HostAttributes, HostDirectory, HostTime } from "../kernel/host.ts";

/** Linux open(2): a reference to a place, without the right to read it. Node has no name for it. */
const O_PATH = 0o10000000;
const HAS_PROC = process.platform === "linux" && existsSync("/proc/self/fd");
/** Set-id and sticky bits mean the host's users: the guest does not get to set them there. */
const MODE_MASK = 0o777;

export interface HostDirectoryOptions {
  readonly readOnly: boolean;
  /** Show only this one entry of the directory: how a single file is shared. */
  readonly only?: string;
}

/** Opens a host directory for mounting. Throws when it is not there or is not a directory. */
export function createHostDirectory(path: string, options: HostDirectoryOptions): HostDirectory {
  const root = realpathSync(path);
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  const { dev: device } = fstatSync(rootFd, { bigint: true });
  const { readOnly } = options;
  const only = options.only === undefined ? undefined : Buffer.from(options.only).toString("latin1");
  const handles = new Set<number>();
  const recent: RecentDirectory = { rootFd, names: [], fd: rootFd, atMs: 0 };
  /** The second place of a call that has two: both directories must stay open. */
  const recentTarget: RecentDirectory = { ...recent };

  /** Runs `use` on the path of the last component in a parent that was reached without following a link. */
  function at<T>(names: readonly string[], use: (place: Buffer) => T, via = recent): T | Errno {
    return attempt(() => {
      if (!names.every(isPlainName)) return "EINVAL";
      if (only !== undefined && names.length > 0 && names[0] !== only) return "ENOENT";
      if (names.length > MAX_DEPTH) return "ENAMETOOLONG";
      return HAS_PROC ? throughDescriptors(via, names, use) : throughChecks(root, names, use);
    });
  }

  /** As `at`, for what changes something. */
  function change(names: readonly string[], use: (place: Buffer) => void, via = recent): 0 | Errno {
    if (readOnly) return "EROFS";
    if (names.length === 0) return "EBUSY";
    const done = at(
      names,
      (place) => {
        use(place);
        return 0 as const;
      },
      via,
    );
    forgetRecent(via);
    return done;
  }

  return {
    readOnly,

    stat: (names) => at(names, (place) => attributesOf(lstatSync(place, { bigint: true }), device)),

    list: (names) =>
      at(names, (place) => {
        const entries = listPlace(place).map((entry) => ({ name: entry.name.toString("latin1"), kind: kindOf(entry) }));
        return only !== undefined && names.length === 0 ? entries.filter(({ name }) => name === only) : entries;
      }),

    readlink: (names) =>
      at(names, (place) => ({ target: readlinkSync(place, { encoding: "buffer" }).toString("latin1") })),

    open: (names, access) => {
      if (readOnly && access !== "read") return "EROFS";
      return at(names, (place) => {
        const before = lstatSync(place, { bigint: true });
        if (!before.isFile()) return before.isDirectory() ? "EISDIR" : "EACCES";
        const mode =
          access === "read" ? constants.O_RDONLY : access === "write" ? constants.O_WRONLY : constants.O_RDWR;
        // O_NONBLOCK: should a FIFO have come in its place, opening it must not hang.
        const handle = openSync(place, mode | constants.O_NOFOLLOW | constants.O_NONBLOCK);
        const opened = fstatSync(handle, { bigint: true });
        if (!opened.isFile() || opened.ino !== before.ino || opened.dev !== before.dev) {
          closeSync(handle);
          return "EACCES";
        }
        handles.add(handle);
        return handle;
      });
    },

    close: (handle) => {
      if (handles.delete(handle)) closeSync(handle);
    },

    readAt: (handle, offset, target) =>
      attempt(() => {
        let done = 0;
        while (done < target.length) {
          const count = readSync(handle, target, done, target.length - done, offset + done);
          if (count === 0) break;
          done += count;
        }
        return done;
      }),

    writeAt: (handle, offset, bytes) =>
      attempt(() => {
        let done = 0;
        while (done < bytes.length) done += writeSync(handle, bytes, done, bytes.length - done, offset + done);
        return done;
      }),

    truncate: (handle, size) => attempt(() => (ftruncateSync(handle, size), 0 as const)),
    statHandle: (handle) => attempt(() => attributesOf(fstatSync(handle, { bigint: true }), device)),
    sync: (handle) => attempt(() => (fsyncSync(handle), 0 as const)),

    create: (names, kind, mode, target) => {
      const bits = mode & MODE_MASK;
      // A FIFO needs mknod, which Node does not offer.
      if (kind === "fifo") return "EPERM";
      return change(names, (place) => {
        if (kind === "directory") mkdirSync(place, { mode: bits });
        else if (kind === "symlink") symlinkSync(Buffer.from(target, "latin1"), place);
        else
          closeSync(
            openSync(place, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, bits),
          );
        // The guest's umask has been applied; the host's must not be on top of it.
        if (kind !== "symlink") chmodPlace(place, bits);
      });
    },

    link: (from, to) => {
      if (readOnly) return "EROFS";
      // link(2) does not follow a link in the last component of `from`.
      return at(from, (source) => change(to, (place) => linkSync(source, place), recentTarget));
    },

    unlink: (names) => change(names, (place) => unlinkSync(place)),
    rmdir: (names) => change(names, (place) => rmdirSync(place)),

    rename: (from, to) => {
      if (readOnly) return "EROFS";
      if (from.length === 0) return "EBUSY";
      const renamed = at(from, (source) => change(to, (place) => renameSync(source, place), recentTarget));
      forgetRecent(recent);
      return renamed;
    },

    chmod: (names, mode) => change(names, (place) => chmodPlace(place, mode & MODE_MASK)),

    setTimes: (names, atime, mtime) => change(names, (place) => lutimesSync(place, secondsOf(atime), secondsOf(mtime))),
  };
}

function isPlainName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
}

/** Folders inside folders: each costs the host an open. */
const MAX_DEPTH = 512;
/** How long a directory that was just reached is taken to be where it was. */
const RECENT_MS = 2;

/**
 * The directory that was reached last, by its names and its descriptor. A guest's walk asks for one name after another, each below the
 * one before; begun at the root each time, a walk of a thousand names would open half a million directories.
 */
interface RecentDirectory {
  readonly rootFd: number;
  names: readonly string[];
  fd: number;
  atMs: number;
}

/** Linux: opens directory after directory, and hands out the last name below the open parent. */
function throughDescriptors<T>(recent: RecentDirectory, names: readonly string[], use: (place: Buffer) => T): T {
  const last = names.at(-1);
  if (last === undefined) return use(Buffer.from(`/proc/self/fd/${recent.rootFd}/.`));
  const parents = names.slice(0, -1);
  const isBelow = recent.names.length <= parents.length && recent.names.every((name, i) => name === parents[i]);
  if (!isBelow || performance.now() - recent.atMs > RECENT_MS) forgetRecent(recent);
  for (const name of parents.slice(recent.names.length)) {
    const fd = openSync(placeBelow(recent.fd, name), O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    // One at a time: a deep tree must not use up the host's descriptors.
    const reached = [...recent.names, name];
    forgetRecent(recent);
    Object.assign(recent, { names: reached, fd, atMs: performance.now() });
  }
  return use(placeBelow(recent.fd, last));
}

function forgetRecent(recent: RecentDirectory): void {
  if (recent.fd !== recent.rootFd) closeSync(recent.fd);
  recent.fd = recent.rootFd;
  recent.names = [];
}

function placeBelow(fd: number, name: string): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), Buffer.from(name, "latin1")]);
}

/** Other systems: every directory on the way must be one by itself. */
function throughChecks<T>(root: string, names: readonly string[], use: (place: Buffer) => T): T | Errno {
  let place = Buffer.from(root);
  for (const [index, name] of names.entries()) {
    place = Buffer.concat([place, Buffer.from("/"), Buffer.from(name, "latin1")]);
    if (index < names.length - 1 && !lstatSync(place).isDirectory()) return "ENOTDIR";
  }
  return use(place);
}

/** The names in a directory that is no link. */
function listPlace(place: Buffer): Dirent<Buffer>[] {
  if (!HAS_PROC) {
    if (!lstatSync(place).isDirectory()) throw Object.assign(new Error("not a directory"), { code: "ENOTDIR" });
    return readdirSync(place, { encoding: "buffer", withFileTypes: true });
  }
  const fd = openSync(place, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return readdirSync(`/proc/self/fd/${fd}/`, { encoding: "buffer", withFileTypes: true });
  } finally {
    closeSync(fd);
  }
}

/** chmod that cannot be led elsewhere: on Linux through a descriptor of the very file. */
function chmodPlace(place: Buffer, mode: number): void {
  if (!HAS_PROC) {
    if (!lstatSync(place).isSymbolicLink()) chmodSync(place, mode);
    return;
  }
  const fd = openSync(place, O_PATH | constants.O_NOFOLLOW);
  try {
    if (!fstatSync(fd).isSymbolicLink()) chmodSync(`/proc/self/fd/${fd}`, mode);
  } finally {
    closeSync(fd);
  }
}

/** Runs a host operation; what it throws becomes the guest's error. */
function attempt<T>(operation: () => T): T | Errno {
  try {
    return operation();
  } catch (error) {
    return errnoOf(error);
  }
}

function errnoOf(error: unknown): Errno {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return Object.hasOwn(ERRNO, code) ? (code as Errno) : "EIO";
}

/** `device` is the root's: what another file system is mounted on below it has numbers that the root's own files have too. */
function attributesOf(stat: BigIntStats, device: bigint): HostAttributes {
  const inode = stat.dev === device ? stat.ino : stat.ino ^ (stat.dev << 32n) ^ (1n << 52n);
  return {
    kind: kindOf(stat),
    mode: Number(stat.mode & 0o7777n),
    size: Number(stat.size),
    nlink: Number(stat.nlink),
    // Some systems use all 64 bits; the guest needs them only to tell files apart.
    inode: Number(BigInt.asUintN(53, inode)),
    atime: timeOf(stat.atimeNs),
    mtime: timeOf(stat.mtimeNs),
    ctime: timeOf(stat.ctimeNs),
  };
}

/** The kind of a file, from its attributes or its directory entry. */
function kindOf(file: BigIntStats | Dirent<Buffer>): HostAttributes["kind"] {
  if (file.isFile()) return "file";
  if (file.isDirectory()) return "directory";
  if (file.isSymbolicLink()) return "symlink";
  if (file.isCharacterDevice()) return "character";
  if (file.isBlockDevice()) return "block";
  return file.isFIFO() ? "fifo" : "socket";
}

function timeOf(ns: bigint): HostTime {
  const nanoseconds = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((ns - nanoseconds) / 1_000_000_000n), nanoseconds: Number(nanoseconds) };
}

/** Node takes seconds as a number, and so microseconds at best. */
function secondsOf(time: HostTime): number {
  return time.seconds + time.nanoseconds / 1e9;
}
