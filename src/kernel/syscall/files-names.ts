// Names: mkdir, unlink, rename, links, the working directory, and listing directories.
// Linux man-pages: mkdirat(2), mknodat(2), unlinkat(2), renameat2(2), linkat(2), symlinkat(2), readlinkat(2), chdir(2), getcwd(2),
// getdents(2).

import type { Errno } from "../../abi/linux/errno.ts";
import * as flag from "../../abi/linux/open-flags.ts";
import { deviceMajor, deviceMinor, encodeDirent, encodeDirent64 } from "../../abi/linux/stat.ts";
import { getAnyFile, getFile } from "../fs/descriptors.ts";
import { directoryEntries } from "../fs/directory-file.ts";
import { filesystemOperations } from "../fs/filesystem-operations.ts";
import { checkAccess, failed, KIND_BITS, kindFromMode, MAY_EXECUTE } from "../fs/inode.ts";
import { pathOf } from "../fs/mount-table.ts";
import { createEntry, linkEntry, removeDirectory, renameEntry, unlinkEntry } from "../fs/names.ts";
import { encodeByteString } from "../fs/procfs/text.ts";
import type { InodeKind, PathRef } from "../fs/types.ts";
import { checkUserRange } from "../mem/user-memory.ts";
import { baseOf, give, placeAt } from "./files-common.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

/** Makes an entry below (dirfd, path). */
export function makeAt(
  call: Call,
  dirfd: number,
  path: string,
  what: { kind: InodeKind; mode: number; target?: string; device?: { major: number; minor: number } },
): 0 | Errno {
  const base = baseOf(call, dirfd, path);
  if (failed(base)) return base;
  const made = createEntry(call.k, call.process, base, path, what);
  return failed(made) ? made : 0;
}

const mkdirat = defineCall({
  name: "mkdirat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "mode", type: "mode" },
  ],
  result: "int",
  handler: (call, dirfd, path, mode) => makeAt(call, dirfd, path, { kind: "directory", mode: mode & 0o1777 }),
});

const mknodat = defineCall({
  name: "mknodat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "mode", type: "mode" },
    { name: "dev", type: "uint" },
  ],
  result: "int",
  handler: (call, dirfd, path, mode, device) => {
    const kind = (mode & 0o170000) === 0 ? "file" : kindFromMode(mode);
    if (kind === undefined || kind === "symlink") return "EINVAL";
    if (kind === "directory") return "EPERM";
    const isDevice = kind === "character" || kind === "block";
    if (isDevice && call.process.credentials.euid !== 0) return "EPERM";
    return makeAt(call, dirfd, path, {
      kind,
      mode: mode & 0o7777,
      ...(isDevice ? { device: { major: deviceMajor(device), minor: deviceMinor(device) } } : {}),
    });
  },
});

const symlinkat = defineCall({
  name: "symlinkat",
  args: [
    { name: "target", type: "path" },
    { name: "newdirfd", type: "fd" },
    { name: "linkpath", type: "path" },
  ],
  result: "int",
  handler: (call, target, dirfd, path) => {
    if (target === "") return "ENOENT";
    return makeAt(call, dirfd, path, { kind: "symlink", mode: 0o777, target });
  },
});

const linkat = defineCall({
  name: "linkat",
  args: [
    { name: "olddirfd", type: "fd" },
    { name: "oldpath", type: "path" },
    { name: "newdirfd", type: "fd" },
    { name: "newpath", type: "path" },
    { name: "flags", type: "flags", show: "at" },
  ],
  result: "int",
  handler: (call, oldDirfd, oldPath, newDirfd, newPath, flags) => {
    if ((flags & ~(flag.AT_SYMLINK_FOLLOW | flag.AT_EMPTY_PATH)) !== 0) return "EINVAL";
    const followLast = (flags & flag.AT_SYMLINK_FOLLOW) !== 0;
    const source = placeAt(call, oldDirfd, oldPath, { followLast, flags });
    if (failed(source)) return source;
    const base = baseOf(call, newDirfd, newPath);
    return failed(base) ? base : linkEntry(call.k, call.process, source, base, newPath);
  },
});

const unlinkat = defineCall({
  name: "unlinkat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "flags", type: "flags", show: "unlinkat" },
  ],
  result: "int",
  handler: (call, dirfd, path, flags) => {
    if ((flags & ~flag.AT_REMOVEDIR) !== 0) return "EINVAL";
    const base = baseOf(call, dirfd, path);
    if (failed(base)) return base;
    const remove = (flags & flag.AT_REMOVEDIR) !== 0 ? removeDirectory : unlinkEntry;
    return remove(call.k, call.process, base, path);
  },
});

/** Renames (oldDirfd, oldPath) to (newDirfd, newPath). */
export function renameAt(
  call: Call,
  oldDirfd: number,
  oldPath: string,
  newDirfd: number,
  newPath: string,
  flags: number,
): 0 | Errno {
  if ((flags & ~(flag.RENAME_NOREPLACE | flag.RENAME_EXCHANGE)) !== 0) return "EINVAL";
  if (flags === (flag.RENAME_NOREPLACE | flag.RENAME_EXCHANGE)) return "EINVAL";
  const oldBase = baseOf(call, oldDirfd, oldPath);
  if (failed(oldBase)) return oldBase;
  const newBase = baseOf(call, newDirfd, newPath);
  if (failed(newBase)) return newBase;
  return renameEntry(call.k, call.process, oldBase, oldPath, newBase, newPath, flags);
}

const renameArguments = [
  { name: "olddirfd", type: "fd" },
  { name: "oldpath", type: "path" },
  { name: "newdirfd", type: "fd" },
  { name: "newpath", type: "path" },
] as const;

const renameat = defineCall({
  name: "renameat",
  args: renameArguments,
  result: "int",
  handler: (call, oldDirfd, oldPath, newDirfd, newPath) => renameAt(call, oldDirfd, oldPath, newDirfd, newPath, 0),
});

const renameat2 = defineCall({
  name: "renameat2",
  args: [...renameArguments, { name: "flags", type: "flags", show: "rename" }],
  result: "int",
  handler: renameAt,
});

const readlinkat = defineCall({
  name: "readlinkat",
  args: [
    { name: "dirfd", type: "fd" },
    { name: "pathname", type: "path" },
    { name: "buf", type: "pointer", show: "buffer:out:RESULT" },
    { name: "bufsiz", type: "int" },
  ],
  result: "size",
  handler: (call, dirfd, path, address, size) => {
    if (size <= 0) return "EINVAL";
    const ref = placeAt(call, dirfd, path, { followLast: false, flags: flag.AT_EMPTY_PATH });
    if (failed(ref)) return ref;
    if (ref.inode.kind !== "symlink") return path === "" ? "ENOENT" : "EINVAL";
    const link = filesystemOperations(ref.inode.filesystem).readlink(call.k, ref.inode);
    if (failed(link)) return link;
    const bytes = encodeByteString(link.target.slice(0, size));
    const given = give(call, address, bytes);
    return failed(given) ? given : bytes.length;
  },
});

function enter({ process }: Call, ref: PathRef): 0 | Errno {
  if (ref.inode.kind !== "directory") return "ENOTDIR";
  const allowed = checkAccess(ref.inode, process.credentials, MAY_EXECUTE);
  if (failed(allowed)) return allowed;
  process.fs.cwd = ref;
  return 0;
}

const chdir = defineCall({
  name: "chdir",
  args: [{ name: "path", type: "path" }],
  result: "int",
  handler: (call, path) => {
    const ref = placeAt(call, flag.AT_FDCWD, path, { followLast: true });
    return failed(ref) ? ref : enter(call, ref);
  },
});

const fchdir = defineCall({
  name: "fchdir",
  args: [{ name: "fd", type: "fd" }],
  result: "int",
  handler: (call, fd) => {
    const file = getAnyFile(call.process, fd);
    if (failed(file)) return file;
    return file.path === undefined ? "ENOTDIR" : enter(call, file.path);
  },
});

const chroot = defineCall({
  name: "chroot",
  args: [{ name: "path", type: "path" }],
  result: "int",
  handler: (call, path) => {
    const { process } = call;
    const ref = placeAt(call, flag.AT_FDCWD, path, { followLast: true });
    if (failed(ref)) return ref;
    if (ref.inode.kind !== "directory") return "ENOTDIR";
    const allowed = checkAccess(ref.inode, process.credentials, MAY_EXECUTE);
    if (failed(allowed)) return allowed;
    if (process.credentials.euid !== 0) return "EPERM";
    process.fs.root = ref;
    return 0;
  },
});

const getcwd = defineCall({
  name: "getcwd",
  args: [
    { name: "buf", type: "pointer", show: "string:out" },
    { name: "size", type: "size" },
  ],
  result: "size",
  handler: (call, address, size) => {
    const { cwd, root } = call.process.fs;
    const { path, reachable, deleted } = pathOf(cwd, root);
    if (deleted) return "ENOENT";
    const bytes = encodeByteString(`${reachable ? "" : "(unreachable)"}${path}\0`);
    if (bytes.length > size) return "ERANGE";
    const given = give(call, address, bytes);
    return failed(given) ? given : bytes.length;
  },
});

/** Lists a directory in records of the layout that `encode` makes. */
function listDirectory(
  call: Call,
  fd: number,
  address: number,
  count: number,
  encode: typeof encodeDirent64,
): number | Errno {
  const file = getFile(call.process, fd);
  if (failed(file)) return file;
  if (file.kind !== "directory") return "ENOTDIR";
  const entries = directoryEntries(call.k, file);
  if (failed(entries)) return entries;
  const records: Uint8Array[] = [];
  let length = 0;
  let next = file.offset;
  for (; next < entries.length; next++) {
    const entry = entries[next];
    if (entry === undefined) break;
    // d_type is the kind's bits of st_mode, four places down.
    const record = encode(entry.inode, next + 1, KIND_BITS[entry.kind] >> 12, entry.name);
    if (length + record.length > count) break;
    records.push(record);
    length += record.length;
  }
  if (length === 0) return file.offset < entries.length ? "EINVAL" : 0;
  if (checkUserRange(call.k, call.process.space, address, length, "write") !== 0) return "EFAULT";
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const record of records) {
    bytes.set(record, at);
    at += record.length;
  }
  file.offset = next;
  const given = give(call, address, bytes);
  return failed(given) ? given : length;
}

const LISTING_ARGUMENTS = [
  { name: "fd", type: "fd" },
  { name: "dirp", type: "pointer", show: "dirents:out:RESULT" },
  { name: "count", type: "uint" },
] as const;

const getdents64 = defineCall({
  name: "getdents64",
  args: LISTING_ARGUMENTS,
  result: "size",
  handler: (call, fd, address, count) => listDirectory(call, fd, address, count, encodeDirent64),
});

const getdents = defineCall({
  name: "getdents",
  args: LISTING_ARGUMENTS,
  result: "size",
  handler: (call, fd, address, count) => listDirectory(call, fd, address, count, encodeDirent),
});

export const fileNameCalls: readonly SyscallRow[] = [
  mkdirat,
  mknodat,
  symlinkat,
  linkat,
  unlinkat,
  renameat,
  renameat2,
  readlinkat,
  chdir,
  fchdir,
  chroot,
  getcwd,
  getdents64,
  getdents,
];
