// tmpfs: files that live in frames.
//
//   Inode.vmo    contents; a page that is absent reads as zeros, so files are sparse. Mappings show these very pages
//   directory    Map of name -> Inode, in order of creation
//
// A page is charged to the file system when the contents gain it, and given back with truncate and with the last use of the file.
// devfs is a tmpfs with device nodes in it.

import type { Errno } from "../../abi/linux/errno.ts";
import {
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
} from "../../abi/linux/ipc.ts";
import { frameAddress, PAGE_SIZE, type FrameNumber } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { resizeVmo } from "../mem/file-vmo.ts";
import { pageCount, slotAt } from "../mem/page-map.ts";
import { vmoPageOrReclaim } from "../mem/reclaim.ts";
import { createVmo, releaseVmo, residentFrame } from "../mem/vmo.ts";
import type { Vmo } from "../mem/types.ts";
import { createInode, failed, touchChanged, touchModified } from "./inode.ts";
import { createFilesystem } from "./state.ts";
import type {
  DirectoryEntry,
  Filesystem,
  FilesystemOperations,
  Inode,
  InodeContent,
  StatFs,
  TmpfsFile,
} from "./types.ts";

/** Size of a directory: this much for each entry, "." and ".." included. */
const ENTRY_BYTES = 20;
/** Largest file: page indices stay well inside what the memory code counts with. */
export const MAX_FILE_BYTES = 2 ** 43;
const TMPFS_MAGIC = 0x01021994;

/** Makes an empty tmpfs or devfs with a root directory of mode `rootMode`. */
export function createTmpfs(
  k: Kernel,
  kind: "tmpfs" | "devfs",
  options: { source: string; rootMode: number; limitBytes: number; limitInodes: number },
): Filesystem {
  const filesystem = createFilesystem(kind, k.state.nextIds.mount++, options.source, undefined);
  filesystem.limitBytes = options.limitBytes;
  filesystem.limitInodes = options.limitInodes;
  const root = createInode(k, filesystem, {
    kind: "directory",
    mode: options.rootMode,
    uid: 0,
    gid: 0,
    content: { kind: "tmpfs-directory", entries: new Map() },
  });
  root.nlink = 2;
  root.size = 2 * ENTRY_BYTES;
  root.references = 1;
  filesystem.root = root;
  return filesystem;
}

export const tmpfsOperations: FilesystemOperations = {
  lookup(_k, directory, name) {
    return entriesOf(directory).get(name) ?? "ENOENT";
  },

  list(_k, directory) {
    const list: DirectoryEntry[] = [];
    for (const [name, inode] of entriesOf(directory)) list.push({ name, inode: inode.number, kind: inode.kind });
    return list;
  },

  create(k, directory, name, what) {
    const { filesystem } = directory;
    const entries = entriesOf(directory);
    if (directory.nlink === 0) return "ENOENT";
    if (filesystem.inodeCount >= filesystem.limitInodes) return "ENOSPC";
    const content: InodeContent =
      what.kind === "directory"
        ? { kind: "tmpfs-directory", entries: new Map() }
        : what.kind === "symlink"
          ? { kind: "symlink", target: what.target ?? "" }
          : what.kind === "fifo"
            ? { kind: "fifo", pipe: undefined }
            : what.kind === "file"
              ? tmpfsFile(F_SEAL_SEAL)
              : { kind: "none" };
    const inode = createInode(k, filesystem, { ...what, content });
    inode.nlink = 1;
    if (what.kind === "symlink") inode.size = what.target?.length ?? 0;
    if (what.kind === "directory") {
      inode.nlink = 2;
      inode.size = 2 * ENTRY_BYTES;
      inode.place = { parent: directory, name };
      directory.nlink += 1;
    }
    entries.set(name, inode);
    entryChanged(k, directory, 1);
    return inode;
  },

  link(k, directory, name, inode) {
    if (directory.nlink === 0) return "ENOENT";
    if (inode.nlink >= 0x7fff_ffff) return "EMLINK";
    // A further name costs as much memory of the host as an inode, and is counted as one (as Linux's tmpfs does).
    const { filesystem } = directory;
    if (inode.nlink > 0) {
      if (filesystem.inodeCount >= filesystem.limitInodes) return "ENOSPC";
      filesystem.inodeCount += 1;
    }
    entriesOf(directory).set(name, inode);
    inode.nlink += 1;
    if (inode.content.kind === "tmpfs-file") inode.content.nameable = false;
    touchChanged(k, inode);
    entryChanged(k, directory, 1);
    return 0;
  },

  unlink(k, directory, name, inode) {
    entriesOf(directory).delete(name);
    inode.nlink -= 1;
    if (inode.nlink > 0) inode.filesystem.inodeCount -= 1;
    touchChanged(k, inode);
    entryChanged(k, directory, -1);
    releaseIfUnused(k, inode);
    return 0;
  },

  rmdir(k, directory, name, inode) {
    if (entriesOf(inode).size > 0) return "ENOTEMPTY";
    entriesOf(directory).delete(name);
    inode.nlink = 0;
    directory.nlink -= 1;
    entryChanged(k, directory, -1);
    releaseIfUnused(k, inode);
    return 0;
  },

  rename(k, from, fromName, to, toName, flags) {
    const moved = entriesOf(from).get(fromName);
    const replaced = entriesOf(to).get(toName);
    if (moved === undefined || to.nlink === 0) return "ENOENT";
    if ((flags & RENAME_EXCHANGE) !== 0) {
      if (replaced === undefined) return "ENOENT";
      entriesOf(from).set(fromName, replaced);
      entriesOf(to).set(toName, moved);
      moveDirectory(replaced, to, from, fromName);
      moveDirectory(moved, from, to, toName);
      touchChanged(k, replaced);
    } else {
      if (replaced !== undefined) {
        if (replaced.kind === "directory" && entriesOf(replaced).size > 0) return "ENOTEMPTY";
        const removed =
          replaced.kind === "directory" ? this.rmdir(k, to, toName, replaced) : this.unlink(k, to, toName, replaced);
        if (failed(removed)) return removed;
      }
      entriesOf(from).delete(fromName);
      entriesOf(to).set(toName, moved);
      moveDirectory(moved, from, to, toName);
      entryChanged(k, from, -1);
      entryChanged(k, to, 1);
    }
    touchChanged(k, moved);
    return 0;
  },

  readlink(_k, inode) {
    return inode.content.kind === "symlink" ? { target: inode.content.target } : "EINVAL";
  },

  readAt(k, inode, offset, target) {
    const length = Math.min(target.length, inode.size - offset);
    if (length <= 0) return 0;
    for (let done = 0; done < length;) {
      const position = offset + done;
      const start = position % PAGE_SIZE;
      const part = Math.min(PAGE_SIZE - start, length - done);
      const frame = inode.vmo === undefined ? undefined : contentFrame(k, inode.vmo, Math.floor(position / PAGE_SIZE));
      const piece = target.subarray(done, done + part);
      if (failed(frame)) return done > 0 ? done : frame;
      if (frame === undefined) piece.fill(0);
      else k.memory.readInto(frameAddress(frame) + start, piece);
      done += part;
    }
    return length;
  },

  writeAt(k, inode, offset, bytes) {
    if (offset + bytes.length > MAX_FILE_BYTES) return "EFBIG";
    if (pageBytesOf(inode) > 1) return "EINVAL";
    const vmo = contentsOf(k, inode);
    const seals = sealsOf(inode);
    if (offset > inode.size && (seals & (WRITE_SEALS | F_SEAL_GROW)) === 0) {
      // What a mapping wrote after the end must not come to light.
      const resized = resizeVmo(k, vmo, inode.size, offset);
      if (resized !== 0) return resized;
    }
    let done = 0;
    let failure: Errno | undefined;
    while (done < bytes.length) {
      const position = offset + done;
      const start = position % PAGE_SIZE;
      const part = Math.min(PAGE_SIZE - start, bytes.length - done);
      if ((seals & WRITE_SEALS) !== 0 || ((seals & F_SEAL_GROW) !== 0 && position + part > inode.size)) {
        failure = "EPERM";
        break;
      }
      const index = Math.floor(position / PAGE_SIZE);
      vmo.lengthPages = Math.max(vmo.lengthPages, index + 1);
      const frame = vmoPageOrReclaim(k, vmo, index, "write");
      if (failed(frame)) {
        failure = frame === "ENOMEM" ? "ENOSPC" : frame;
        break;
      }
      k.memory.write(frameAddress(frame) + start, bytes.subarray(done, done + part));
      done += part;
      inode.size = Math.max(inode.size, offset + done);
    }
    vmo.lengthPages = Math.ceil(inode.size / PAGE_SIZE);
    if (done === 0 && failure !== undefined) return failure;
    return done;
  },

  truncate(k, inode, size) {
    if (size > MAX_FILE_BYTES) return "EFBIG";
    const seals = sealsOf(inode);
    if (size % pageBytesOf(inode) !== 0) return "EINVAL";
    if ((size < inode.size && (seals & F_SEAL_SHRINK) !== 0) || (size > inode.size && (seals & F_SEAL_GROW) !== 0))
      return "EPERM";
    const resized = resizeVmo(k, contentsOf(k, inode), inode.size, size);
    if (resized !== 0) return resized;
    inode.size = size;
    settleUsage(inode);
    touchModified(k, inode);
    return 0;
  },

  refresh: () => 0,

  setAttributes(_k, inode, change) {
    const executability = ((change.mode ?? inode.mode) ^ inode.mode) & 0o111;
    if (executability !== 0 && (sealsOf(inode) & F_SEAL_EXEC) !== 0) return "EPERM";
    Object.assign(inode, change);
    return 0;
  },

  statfs(k, filesystem): StatFs {
    const limit = Number.isFinite(filesystem.limitBytes) ? filesystem.limitBytes : k.memory.size;
    const blocks = Math.floor(limit / PAGE_SIZE);
    const files = Number.isFinite(filesystem.limitInodes) ? filesystem.limitInodes : 0;
    return {
      type: TMPFS_MAGIC,
      blockSize: PAGE_SIZE,
      blocks,
      free: Math.max(0, blocks - Math.ceil(filesystem.usedBytes / PAGE_SIZE)),
      files,
      filesFree: Math.max(0, files - filesystem.inodeCount),
      nameLength: 255,
    };
  },

  sync: () => 0,

  release(k, inode) {
    const { filesystem } = inode;
    filesystem.inodeCount -= 1;
    if (inode.content.kind === "tmpfs-file") {
      filesystem.usedBytes = Math.max(0, filesystem.usedBytes - inode.content.pages * PAGE_SIZE);
      inode.content.pages = 0;
    }
    if (inode.vmo !== undefined) releaseVmo(k, inode.vmo);
    inode.vmo = undefined;
  },
};

/** A file that no name leads to; unless `nameable`, none ever will. ENOSPC beyond the limit of inodes. */
export function createNamelessFile(
  k: Kernel,
  filesystem: Filesystem,
  attributes: { mode: number; uid: number; gid: number },
  nameable: boolean,
): Inode | "ENOSPC" {
  if (filesystem.inodeCount >= filesystem.limitInodes) return "ENOSPC";
  const content = tmpfsFile(F_SEAL_SEAL);
  content.nameable = nameable;
  return createInode(k, filesystem, { kind: "file", ...attributes, content });
}

/** Whether linkat may give a name to a file that has none. */
export function isNameable({ content }: Inode): boolean {
  return content.kind === "tmpfs-file" && content.nameable;
}

/** Contents of a new, empty file. Files that have a name cannot be sealed: they begin with F_SEAL_SEAL. */
export function tmpfsFile(seals: number, options: Partial<Pick<TmpfsFile, "pageBytes" | "segment">> = {}): TmpfsFile {
  const { pageBytes = PAGE_SIZE, segment } = options;
  return { kind: "tmpfs-file", pages: 0, seals, pageBytes, segment, nameable: false };
}

/** renameat2 flags. */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** Seals against writing: now, or in future only. */
export const WRITE_SEALS = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;

export function sealsOf({ content }: Inode): number {
  return content.kind === "tmpfs-file" ? content.seals : 0;
}

/** The page that a file's size is counted in: 1 where it may be anything. */
function pageBytesOf({ content }: Inode): number {
  return content.kind === "tmpfs-file" && content.pageBytes > PAGE_SIZE ? content.pageBytes : 1;
}

/** The contents VMO, made at the first use. */
export function contentsOf(k: Kernel, inode: Inode): Vmo {
  inode.vmo ??= createVmo(k, { kind: "zero", file: inode }, Math.ceil(inode.size / PAGE_SIZE));
  return inode.vmo;
}

/** The frame of a page of the contents; undefined for a hole. */
function contentFrame(k: Kernel, vmo: Vmo, index: number): FrameNumber | Errno | undefined {
  if (slotAt(vmo.pages, index) === 0) return undefined;
  return residentFrame(vmo, index) ?? vmoPageOrReclaim(k, vmo, index, "read");
}

/** Whether the file system lets the contents gain a page. */
export function hasRoomForPage({ filesystem }: Inode): boolean {
  return filesystem.usedBytes + PAGE_SIZE <= filesystem.limitBytes;
}

/** Charges the file system for pages that the contents gained, or gives back those that they lost. */
export function settleUsage(inode: Inode): void {
  if (inode.content.kind !== "tmpfs-file") return;
  const pages = inode.vmo === undefined ? 0 : pageCount(inode.vmo.pages);
  inode.filesystem.usedBytes = Math.max(0, inode.filesystem.usedBytes + (pages - inode.content.pages) * PAGE_SIZE);
  inode.content.pages = pages;
}

function entriesOf(directory: Inode): Map<string, Inode> {
  return directory.content.kind === "tmpfs-directory" ? directory.content.entries : NO_ENTRIES;
}

const NO_ENTRIES: Map<string, Inode> = new Map();

function entryChanged(k: Kernel, directory: Inode, change: number): void {
  directory.size = Math.max(0, directory.size + ENTRY_BYTES * change);
  touchModified(k, directory);
}

function moveDirectory(moved: Inode, from: Inode, to: Inode, name: string): void {
  if (moved.kind !== "directory") return;
  moved.place = { parent: to, name };
  from.nlink -= 1;
  to.nlink += 1;
}

function releaseIfUnused(k: Kernel, inode: Inode): void {
  if (inode.nlink === 0 && inode.references === 0) tmpfsOperations.release(k, inode);
}
