// Files as memory: the VMO that mappings and exec show, and whole files for the loader.
//
//   tmpfs    the contents themselves; the inode holds a reference
//   hostfs   a cache, filled on demand; only mappings hold references, and its pages go with the last

import type { Errno } from "../../abi/linux/errno.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { writeBack } from "../mem/file-vmo.ts";
import type { Vmo } from "../mem/types.ts";
import { createVmo, retainVmo } from "../mem/vmo.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import { failed } from "./inode.ts";
import { contentsOf } from "./tmpfs.ts";
import type { Inode, PathRef } from "./types.ts";

/** The VMO of a regular file's contents, with a reference that is the caller's. ENODEV where contents are no pages (procfs). */
export function fileVmo(k: Kernel, inode: Inode): Vmo | Errno {
  if (inode.kind !== "file") return "ENODEV";
  if (inode.content.kind === "tmpfs-file") {
    const vmo = contentsOf(k, inode);
    retainVmo(vmo);
    return vmo;
  }
  if (inode.content.kind !== "hostfs") return "ENODEV";
  const refreshed = filesystemOperations(inode.filesystem).refresh(k, inode);
  if (failed(refreshed)) return refreshed;
  if (inode.vmo === undefined) inode.vmo = createVmo(k, { kind: "inode", inode }, Math.ceil(inode.size / PAGE_SIZE));
  else retainVmo(inode.vmo);
  return inode.vmo;
}

/** Stores what shared mappings wrote to bytes [start, end), then has the file system make it durable. */
export function syncInode(k: Kernel, inode: Inode, start = 0, end = Infinity): 0 | Errno {
  if (inode.vmo !== undefined) {
    const stored = writeBack(k, inode.vmo, Math.floor(start / PAGE_SIZE), Math.ceil(end / PAGE_SIZE));
    if (failed(stored)) return stored;
  }
  return filesystemOperations(inode.filesystem).sync(k, inode);
}

/** The contents of a file from `offset`, at most `limit` bytes; for headers of programs and scripts. */
export function readFile(k: Kernel, inode: Inode, offset: number, limit: number): Uint8Array | Errno {
  const operations = filesystemOperations(inode.filesystem);
  const refreshed = operations.refresh(k, inode);
  if (failed(refreshed)) return refreshed;
  const bytes = new Uint8Array(Math.max(0, Math.min(limit, inode.size - offset)));
  let done = 0;
  while (done < bytes.length) {
    const count = operations.readAt(k, inode, offset + done, bytes.subarray(done));
    if (failed(count)) return count;
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

/** All of a file. */
export function readWholeFile(k: Kernel, ref: PathRef): Uint8Array | Errno {
  return readFile(k, ref.inode, 0, Infinity);
}
