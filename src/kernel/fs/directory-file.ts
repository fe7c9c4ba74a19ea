// An open directory: its entries are listed once, when reading starts, so that removing files while reading skips none.
//
//   position   0 "."   1 ".."   2 first entry …

import { SEEK_CUR, SEEK_SET } from "../../abi/linux/open-flags.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import { defaultOperations } from "./default-operations.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import { failed, touchAccessed } from "./inode.ts";
import { forgetCache, noteCache } from "./open-caches.ts";
import type { DirectoryEntry, FileOperations, OpenFile } from "./types.ts";

/** What an entry of a listing costs the host, roughly. */
const ENTRY_BYTES = 160;

export const directoryOperations: FileOperations = {
  ...defaultOperations,
  read: () => "EISDIR",
  write: () => "EBADF",

  seek(k, file, offset, whence) {
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? file.offset + offset : NaN;
    if (!(target >= 0)) return "EINVAL";
    if (target === 0) {
      delete file.entries;
      forgetCache(k, file);
    }
    file.offset = target;
    return target;
  },

  release: forgetCache,
};

/** The entries of an open directory, "." and ".." first; listed anew after a rewind. */
export function directoryEntries(k: Kernel, file: OpenFile): readonly DirectoryEntry[] | Errno {
  if (file.entries !== undefined) return file.entries;
  const { inode } = file;
  if (inode.nlink === 0) return "ENOENT";
  const list = filesystemOperations(inode.filesystem).list(k, inode);
  if (failed(list)) return list;
  const above = inode.place?.parent ?? file.path?.mount.over?.inode ?? inode;
  file.entries = [
    { name: ".", inode: inode.number, kind: "directory" },
    { name: "..", inode: above.number, kind: "directory" },
    ...list,
  ];
  noteCache(k, file, list.length * ENTRY_BYTES);
  touchAccessed(k, inode);
  return file.entries;
}
