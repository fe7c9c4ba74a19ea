// hostfs: a directory of the host, seen from inside.
//
//   Inode.content { path, handle }    path: plain names below the mounted directory; the host refuses links in all of them
//   Filesystem.known                  path -> Inode, so that a file that is open twice is one inode
//
// The host may change files at any time: attributes are read again whenever they matter. Owners are not the host's: everything belongs
// to root, until a chown in the guest says otherwise for as long as the inode is known. Pages of mapped files are a cache that writes
// keep up to date and that goes with the last mapping.

import type { Errno } from "../../abi/linux/errno.ts";
import { V9FS_MAGIC } from "../../abi/linux/mount.ts";
import { frameAddress, PAGE_SIZE } from "../../lib/address.ts";
import type { HostAttributes, HostDirectory } from "../host.ts";
import type { Kernel } from "../kernel.ts";
import { createInode, failed } from "./inode.ts";
import { createFilesystem } from "./state.ts";
import { resizeVmo } from "../mem/file-vmo.ts";
import { residentFrame } from "../mem/vmo.ts";
import type { DirectoryEntry, Filesystem, FilesystemOperations, Inode, InodeContent } from "./types.ts";

/** Inodes remembered although nothing uses them; beyond it, unused ones are forgotten. */
const KNOWN_LIMIT = 20000;

type HostContent = Extract<InodeContent, { kind: "hostfs" }>;

/** Makes a file system over the host directory of that name. */
export function createHostfs(k: Kernel, name: string): Filesystem | Errno {
  const host = k.host.directories.get(name);
  if (host === undefined) return "ENODEV";
  const attributes = host.stat([]);
  if (typeof attributes === "string") return attributes;
  if (attributes.kind !== "directory") return "ENOTDIR";
  const filesystem: Filesystem = {
    ...createFilesystem("hostfs", k.state.nextIds.mount++, name, name),
    readOnly: host.readOnly,
  };
  filesystem.root = makeInode(k, filesystem, [], attributes);
  filesystem.root.references = 1;
  return filesystem;
}

export const hostfsOperations: FilesystemOperations = {
  lookup(k, directory, name) {
    const path = childPath(directory, name);
    if (failed(path)) return path;
    const attributes = hostOf(k, directory).stat(path);
    if (typeof attributes === "string") return attributes;
    return inodeFor(k, directory, name, path, attributes);
  },

  list(k, directory) {
    const content = contentOf(directory);
    if (content === undefined) return "ENOTDIR";
    const entries = hostOf(k, directory).list(content.path);
    if (typeof entries === "string") return entries;
    // Asking the host about each of many files takes too long for one call: unknown ones get a number that is merely their own.
    const { known } = directory.filesystem;
    const prefix = content.path.length === 0 ? "" : `${content.path.join("/")}/`;
    return entries.map(({ name, kind }): DirectoryEntry => {
      return { name, kind, inode: known.get(prefix + name)?.number ?? hashName(prefix + name) };
    });
  },

  create(k, directory, name, what) {
    const path = childPath(directory, name);
    if (failed(path)) return path;
    const { kind } = what;
    if (kind === "character" || kind === "block" || kind === "socket") return "EPERM";
    const created = hostOf(k, directory).create(path, kind, what.mode, what.target ?? "");
    if (created !== 0) return created;
    return this.lookup(k, directory, name);
  },

  link(k, directory, name, inode) {
    const from = contentOf(inode);
    const to = childPath(directory, name);
    if (from === undefined) return "EPERM";
    if (failed(to)) return to;
    const linked = hostOf(k, directory).link(from.path, to);
    return linked === 0 ? this.refresh(k, inode) : linked;
  },

  unlink(k, directory, name, inode) {
    const path = childPath(directory, name);
    if (failed(path)) return path;
    keepContents(k, inode);
    const removed = hostOf(k, directory).unlink(path);
    if (removed !== 0) return removed;
    inode.nlink = Math.max(0, inode.nlink - 1);
    inode.filesystem.known.delete(path.join("/"));
    if (inode.references === 0) this.release(k, inode);
    return 0;
  },

  rmdir(k, directory, name, inode) {
    const path = childPath(directory, name);
    if (failed(path)) return path;
    const removed = hostOf(k, directory).rmdir(path);
    if (removed !== 0) return removed;
    inode.nlink = 0;
    inode.filesystem.known.delete(path.join("/"));
    return 0;
  },

  rename(k, from, fromName, to, toName, flags) {
    if (flags !== 0 && flags !== 1) return "EINVAL";
    const fromPath = childPath(from, fromName);
    const toPath = childPath(to, toName);
    if (failed(fromPath)) return fromPath;
    if (failed(toPath)) return toPath;
    const { known } = from.filesystem;
    const replaced = known.get(toPath.join("/"));
    if (replaced !== undefined) keepContents(k, replaced);
    const renamed = hostOf(k, from).rename(fromPath, toPath);
    if (renamed !== 0) return renamed;
    if (replaced !== undefined) {
      replaced.nlink = Math.max(0, replaced.nlink - 1);
      known.delete(toPath.join("/"));
      if (replaced.references === 0) this.release(k, replaced);
    }
    moveKnown(from.filesystem, fromPath, toPath);
    const moved = known.get(toPath.join("/"));
    if (moved?.kind === "directory") moved.place = { parent: to, name: toName };
    return 0;
  },

  readlink(k, inode) {
    const content = contentOf(inode);
    return content === undefined ? "EINVAL" : hostOf(k, inode).readlink(content.path);
  },

  readAt(k, inode, offset, target) {
    const handle = openHandle(k, inode, "read");
    if (typeof handle === "string") return handle;
    const count = hostOf(k, inode).readAt(handle, offset, target);
    if (typeof count === "number" && inode.vmo !== undefined)
      copyDirtyPages(k, inode, offset, target.subarray(0, count));
    return count;
  },

  writeAt(k, inode, offset, bytes) {
    const handle = openHandle(k, inode, "write");
    if (typeof handle === "string") return handle;
    const count = hostOf(k, inode).writeAt(handle, offset, bytes);
    if (typeof count === "string") return count;
    setSize(k, inode, Math.max(inode.size, offset + count));
    if (inode.vmo !== undefined) updateCachedPages(k, inode, offset, bytes.subarray(0, count));
    return count;
  },

  truncate(k, inode, size) {
    const handle = openHandle(k, inode, "write");
    if (typeof handle === "string") return handle;
    const done = hostOf(k, inode).truncate(handle, size);
    if (done === 0) setSize(k, inode, size);
    return done;
  },

  refresh(k, inode) {
    const content = contentOf(inode);
    if (content === undefined || (inode.nlink === 0 && content.handle === undefined)) return 0;
    const host = hostOf(k, inode);
    const attributes = content.handle === undefined ? host.stat(content.path) : host.statHandle(content.handle);
    if (typeof attributes === "string") return attributes;
    takeAttributes(k, inode, attributes);
    return 0;
  },

  setAttributes(k, inode, change) {
    const content = contentOf(inode);
    if (content !== undefined && inode.nlink > 0) {
      const host = hostOf(k, inode);
      if (change.mode !== undefined) {
        const done = host.chmod(content.path, change.mode);
        if (done !== 0) return done;
      }
      if (change.atime !== undefined || change.mtime !== undefined) {
        const done = host.setTimes(content.path, change.atime ?? inode.atime, change.mtime ?? inode.mtime);
        if (done !== 0) return done;
      }
    }
    Object.assign(inode, change);
    return 0;
  },

  statfs: () => ({
    type: V9FS_MAGIC,
    blockSize: PAGE_SIZE,
    blocks: 2 ** 24,
    free: 2 ** 23,
    files: 2 ** 20,
    filesFree: 2 ** 19,
    nameLength: 255,
  }),

  sync(k, inode) {
    const content = contentOf(inode);
    return content?.handle === undefined ? 0 : hostOf(k, inode).sync(content.handle);
  },

  release(k, inode) {
    closeHandle(k, inode);
  },
};

function hostOf(k: Kernel, inode: Inode): HostDirectory {
  const host = k.host.directories.get(inode.filesystem.host ?? "");
  if (host === undefined) throw new RangeError(`host directory ${String(inode.filesystem.host)} has gone`);
  return host;
}

/** FNV-1a. */
function hashName(path: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193);
  return (hash >>> 0) + 2;
}

function contentOf(inode: Inode): HostContent | undefined {
  return inode.content.kind === "hostfs" ? inode.content : undefined;
}

/** Deepest directory: each operation on the host goes down from its root. */
const MAX_DEPTH = 128;

function childPath(directory: Inode, name: string): string[] | "ENOTDIR" | "ENAMETOOLONG" {
  const content = contentOf(directory);
  if (content === undefined) return "ENOTDIR";
  return content.path.length >= MAX_DEPTH ? "ENAMETOOLONG" : [...content.path, name];
}

/** The known inode of a path, or a new one when the path is new or now names another file. */
function inodeFor(k: Kernel, directory: Inode, name: string, path: string[], attributes: HostAttributes): Inode {
  const { filesystem } = directory;
  const key = path.join("/");
  const known = filesystem.known.get(key);
  if (known !== undefined && known.kind === attributes.kind && known.number === attributes.inode) {
    takeAttributes(k, known, attributes);
    return known;
  }
  const inode = makeInode(k, filesystem, path, attributes);
  if (inode.kind === "directory") inode.place = { parent: directory, name };
  if (filesystem.known.size >= KNOWN_LIMIT) forgetUnused(filesystem);
  filesystem.known.set(key, inode);
  return inode;
}

function makeInode(k: Kernel, filesystem: Filesystem, path: readonly string[], attributes: HostAttributes): Inode {
  const content: InodeContent =
    attributes.kind === "fifo"
      ? { kind: "fifo", pipe: undefined }
      : { kind: "hostfs", path, handle: undefined, writable: false };
  const { kind, mode } = attributes;
  const inode = createInode(k, filesystem, { kind, mode, uid: 0, gid: 0, content, number: attributes.inode });
  takeAttributes(k, inode, attributes);
  return inode;
}

function takeAttributes(k: Kernel, inode: Inode, attributes: HostAttributes): void {
  inode.mode = attributes.mode & 0o7777;
  inode.nlink = attributes.nlink;
  setSize(k, inode, attributes.size);
  inode.atime = { ...attributes.atime };
  inode.mtime = { ...attributes.mtime };
  inode.ctime = { ...attributes.ctime };
}

/** Mappings follow the size, whoever changed it. */
function setSize(k: Kernel, inode: Inode, size: number): void {
  if (inode.vmo !== undefined && size !== inode.size) resizeVmo(k, inode.vmo, inode.size, size);
  inode.size = size;
}

/** Forgets inodes that nothing has open, oldest first, until half are left. A directory in use as a parent is kept by its children. */
function forgetUnused(filesystem: Filesystem): void {
  for (const [path, inode] of filesystem.known) {
    if (filesystem.known.size <= KNOWN_LIMIT / 2) break;
    if (inode.references === 0) filesystem.known.delete(path);
  }
}

/** The host handle of a file, opened or reopened for what is wanted. */
function openHandle(k: Kernel, inode: Inode, access: "read" | "write"): number | Errno {
  const content = contentOf(inode);
  if (content === undefined) return "EINVAL";
  if (content.handle !== undefined && (access === "read" || content.writable)) return content.handle;
  if (inode.kind !== "file") return "EINVAL";
  const host = hostOf(k, inode);
  const open = (): number | Errno => host.open(content.path, access === "read" ? "read" : "read-write");
  let handle = open();
  if (handle === "EMFILE" || handle === "ENFILE") {
    // The host's own limit: files can be opened again by path, so their handles are given up.
    for (const other of inode.filesystem.known.values()) if (other.nlink > 0 && !isDirty(other)) closeHandle(k, other);
    handle = open();
  }
  if (handle === "EACCES" && access === "write") handle = host.open(content.path, "write");
  if (typeof handle === "string") return handle;
  closeHandle(k, inode);
  content.handle = handle;
  content.writable = access === "write";
  return handle;
}

/** A file that is in use is about to lose its name: the host keeps it alive for a handle only, for writing too where that may be. */
function keepContents(k: Kernel, inode: Inode): void {
  if (inode.references === 0 || inode.kind !== "file") return;
  if (failed(openHandle(k, inode, "write"))) openHandle(k, inode, "read");
}

/** What its mappings wrote must be stored, whatever becomes of its name and its mode. */
function isDirty({ vmo }: Inode): boolean {
  return vmo !== undefined && vmo.dirty.size > 0;
}

/** Opens the file for writing on the host, for a mapping that may write to it: later its mode may not allow that any more. */
export function openForMapping(k: Kernel, inode: Inode): void {
  openHandle(k, inode, "write");
}

function closeHandle(k: Kernel, inode: Inode): void {
  const content = contentOf(inode);
  if (content?.handle === undefined) return;
  hostOf(k, inode).close(content.handle);
  content.handle = undefined;
}

/** After a rename: what was known under the old path is known under the new. */
function moveKnown(filesystem: Filesystem, from: readonly string[], to: readonly string[]): void {
  const prefix = `${from.join("/")}/`;
  for (const [path, inode] of [...filesystem.known]) {
    if (path !== from.join("/") && !path.startsWith(prefix)) continue;
    const moved = [...to, ...path.split("/").slice(from.length)];
    filesystem.known.delete(path);
    filesystem.known.set(moved.join("/"), inode);
    if (inode.content.kind === "hostfs") inode.content.path = moved;
  }
}

/** A read sees what shared mappings wrote but nobody has stored yet. */
function copyDirtyPages(k: Kernel, inode: Inode, offset: number, target: Uint8Array): void {
  const { vmo } = inode;
  if (vmo === undefined || vmo.dirty.size === 0) return;
  for (const index of vmo.dirty) {
    const frame = residentFrame(vmo, index);
    const start = Math.max(offset, index * PAGE_SIZE);
    const end = Math.min(offset + target.length, (index + 1) * PAGE_SIZE);
    if (frame === undefined || start >= end) continue;
    k.memory.readInto(frameAddress(frame) + (start % PAGE_SIZE), target.subarray(start - offset, end - offset));
  }
}

/** Mappings see a write at once. */
function updateCachedPages(k: Kernel, inode: Inode, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const position = offset + done;
    const start = position % PAGE_SIZE;
    const part = Math.min(PAGE_SIZE - start, bytes.length - done);
    const frame = inode.vmo && residentFrame(inode.vmo, Math.floor(position / PAGE_SIZE));
    if (frame !== undefined) k.memory.write(frameAddress(frame) + start, bytes.subarray(done, done + part));
    done += part;
  }
}
