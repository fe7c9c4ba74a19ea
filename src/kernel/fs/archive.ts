// Archives into a tmpfs: the root file system as a tar or cpio image.
//
//   bytes -- tar-reader.ts | cpio-reader.ts --> ArchiveEntry … -- here --> inodes and pages
//
// An image may be hostile. Names are taken apart here and walked without following links; ".." is refused; what an image says of its
// sizes was checked against the bytes that are there. A failure leaves what was loaded before it.

import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import { ArchiveFormatError } from "./archive-format-error.ts";
import { readCpio } from "./cpio-reader.ts";
import { failed } from "./inode.ts";
import { readTar } from "./tar-reader.ts";
import { tmpfsOperations } from "./tmpfs.ts";
import type { Inode, InodeKind, PathRef } from "./types.ts";

/** One file of an archive; names and link targets are byte strings. */
export interface ArchiveEntry {
  readonly name: string;
  readonly kind: InodeKind | "hard-link";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  /** Target of a symbolic link, or name of the entry that a hard link repeats. */
  readonly target: string;
  readonly contents: Uint8Array;
  readonly device: { readonly major: number; readonly minor: number } | undefined;
  /** Contents for a file that an earlier entry made: cpio gives them with the last of several links. */
  readonly fillsExisting?: boolean;
}

/** What is wrong with an archive, for the person who gave it. */
export interface ArchiveError {
  readonly error: string;
}

/** Loads an archive (already decompressed) below `root`, which must lie on a tmpfs. Existing names are replaced. */
export function loadArchive(k: Kernel, root: PathRef, bytes: Uint8Array): 0 | ArchiveError {
  try {
    for (const entry of readArchive(bytes)) {
      const added = addEntry(k, root.inode, entry);
      if (failed(added)) return { error: `cannot add ${printable(entry.name)}: ${added}` };
    }
  } catch (error) {
    if (error instanceof ArchiveFormatError) return { error: error.message };
    throw error;
  }
  return 0;
}

/** The entries of an archive in either format, in order. Throws ArchiveFormatError. */
export function readArchive(bytes: Uint8Array): Generator<ArchiveEntry> {
  return isCpio(bytes) ? readCpio(bytes) : readTar(bytes);
}

function isCpio(bytes: Uint8Array): boolean {
  return /^07070[12]/.test(String.fromCharCode(...bytes.subarray(0, 6)));
}

function addEntry(k: Kernel, root: Inode, entry: ArchiveEntry): 0 | Errno {
  const names = splitName(entry.name);
  if (failed(names)) return names;
  const name = names.pop();
  if (name === undefined) return applyAttributes(root, entry);
  const directory = findDirectory(k, root, names);
  if (failed(directory)) return directory;
  const existing = tmpfsOperations.lookup(k, directory, name);
  if (!failed(existing)) {
    if (entry.fillsExisting === true && existing.kind === "file") return writeContents(k, existing, entry);
    if (existing.kind === "directory") return entry.kind === "directory" ? applyAttributes(existing, entry) : "EISDIR";
    const removed = tmpfsOperations.unlink(k, directory, name, existing);
    if (failed(removed)) return removed;
  }
  if (entry.kind === "hard-link") return addHardLink(k, root, directory, name, entry);
  const { kind, mode, uid, gid, target } = entry;
  const inode = tmpfsOperations.create(k, directory, name, {
    kind,
    mode: mode & 0o7777,
    uid,
    gid,
    target,
    ...(entry.device === undefined ? {} : { device: entry.device }),
  });
  if (failed(inode)) return inode;
  const written = kind === "file" ? writeContents(k, inode, entry) : 0;
  return failed(written) ? written : applyAttributes(inode, entry);
}

function writeContents(k: Kernel, inode: Inode, { contents }: ArchiveEntry): 0 | Errno {
  if (contents.length === 0) return 0;
  const written = tmpfsOperations.writeAt(k, inode, 0, contents);
  if (failed(written)) return written;
  return written < contents.length ? "ENOSPC" : 0;
}

function addHardLink(k: Kernel, root: Inode, directory: Inode, name: string, entry: ArchiveEntry): 0 | Errno {
  const names = splitName(entry.target);
  if (failed(names)) return names;
  const last = names.pop();
  const from = last === undefined ? "EPERM" : findDirectory(k, root, names);
  if (failed(from)) return from;
  const inode = tmpfsOperations.lookup(k, from, last ?? "");
  if (failed(inode)) return inode;
  return inode.kind === "directory" ? "EPERM" : tmpfsOperations.link(k, directory, name, inode);
}

/** The directory of that path, made where it is missing; links on the way are not followed. */
function findDirectory(k: Kernel, root: Inode, names: readonly string[]): Inode | Errno {
  let at = root;
  for (const name of names) {
    let next = tmpfsOperations.lookup(k, at, name);
    if (next === "ENOENT") {
      next = tmpfsOperations.create(k, at, name, { kind: "directory", mode: 0o755, uid: 0, gid: 0 });
    }
    if (failed(next)) return next;
    if (next.kind !== "directory") return "ENOTDIR";
    at = next;
  }
  return at;
}

function applyAttributes(inode: Inode, entry: ArchiveEntry): 0 {
  if (inode.kind !== "symlink") inode.mode = entry.mode & 0o7777;
  inode.uid = entry.uid;
  inode.gid = entry.gid;
  const time = { seconds: entry.mtimeSeconds, nanoseconds: 0 };
  inode.mtime = time;
  inode.atime = time;
  return 0;
}

/** Components of a name in an archive; absolute names are taken as relative to the root, as tar does. */
function splitName(name: string): string[] | Errno {
  if (name.includes("\0")) return "EINVAL";
  const names = name.split("/").filter((part) => part !== "" && part !== ".");
  if (names.includes("..")) return "EPERM";
  if (names.length > 256 || names.some((part) => part.length > 255)) return "ENAMETOOLONG";
  return names;
}

function printable(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}
