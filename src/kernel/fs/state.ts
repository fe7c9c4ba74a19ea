// The file part of a fresh kernel's state: no mounts yet, and the anonymous file system that holds what has no name.

import type { Kernel } from "../kernel.ts";
import { createInode } from "./inode.ts";
import type { Filesystem, FilesystemKind, FileState, Inode, InodeKind, InodeContent, Mount } from "./types.ts";

/** Ids of others count on: the device number that stat shows tells file systems apart. */
const ANONYMOUS_ID = 0;
const MEMORY_ID = 1;
/** The first id of what is mounted. */
export const FIRST_MOUNT_ID = 2;

/** State before anything is mounted. */
export function createFileState(): FileState {
  return {
    mounts: [],
    walker: 0,
    anonymous: createHiddenMount("anonymous", ANONYMOUS_ID, "anon_inodefs", true),
    memory: createHiddenMount("tmpfs", MEMORY_ID, "tmpfs", false),
    pipes: new Map(),
    caches: { sizes: new Map(), total: 0 },
    pipeCapacity: 0,
    descriptorSlots: 0,
    openFiles: new Set(),
    locks: new Map(),
  };
}

/** A mount that no path leads to, of a file system with an empty root. */
function createHiddenMount(kind: FilesystemKind, id: number, source: string, noExec: boolean): Mount {
  const filesystem = createFilesystem(kind, id, source, undefined);
  // A mount needs a root, which needs its file system: the one knot that is tied by hand.
  const root: Inode = {
    filesystem,
    number: 1,
    kind: "directory",
    mode: 0o700,
    uid: 0,
    gid: 0,
    nlink: 2,
    size: 0,
    atime: { seconds: 0, nanoseconds: 0 },
    mtime: { seconds: 0, nanoseconds: 0 },
    ctime: { seconds: 0, nanoseconds: 0 },
    device: undefined,
    vmo: undefined,
    content: { kind: "none" },
    place: undefined,
    references: 1,
  };
  filesystem.root = root;
  filesystem.inodeCount = 1;
  const flags = { readOnly: false, noExec, noSuid: true };
  return { id, filesystem, root, over: undefined, parent: undefined, flags, path: "" };
}

/** A file system without its root, which the kind's own code sets. */
export function createFilesystem(
  kind: FilesystemKind,
  id: number,
  source: string,
  host: string | undefined,
): Filesystem {
  return {
    id,
    kind,
    // Replaced before anyone sees it.
    root: undefined as unknown as Inode,
    source,
    nextInode: 2,
    inodeCount: 0,
    limitInodes: Infinity,
    readOnly: false,
    host,
    known: new Map(),
    limitBytes: Infinity,
    usedBytes: 0,
  };
}

/** An inode without a name: a pipe, an eventfd, a host stream. */
export function createAnonymousInode(k: Kernel, kind: InodeKind, content: InodeContent): Inode {
  const { filesystem } = k.state.files.anonymous;
  return createInode(k, filesystem, { kind, mode: 0o600, uid: 0, gid: 0, content });
}
