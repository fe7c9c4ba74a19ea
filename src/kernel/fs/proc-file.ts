// An open file of /proc: its contents are made when reading starts at the beginning, so that one read sees one moment.

import { SEEK_CUR, SEEK_END, SEEK_SET } from "../../abi/linux/open-flags.ts";
import { defaultOperations } from "./default-operations.ts";
import { failed } from "./inode.ts";
import { forgetCache, noteCache } from "./open-caches.ts";
import { readProcFile, writeProcFile } from "./procfs/contents.ts";
import { isMemoryFile, readMemoryFile, writeMemoryFile } from "./procfs/memory-file.ts";
import { readPagemap } from "./procfs/pagemap.ts";
import type { FileOperations } from "./types.ts";

export const procFileOperations: FileOperations = {
  ...defaultOperations,

  readable: (_k, _file, limit) => Math.min(limit, 65536),

  read(k, thread, file, target, offset) {
    const at = offset ?? file.offset;
    const paged = isMemoryFile(file.inode)
      ? readMemoryFile(k, thread.process, file.inode, at, target)
      : readPagemap(k, thread.process, file.inode, at, target);
    if (paged !== undefined) {
      if (!failed(paged) && offset === undefined) file.offset += paged;
      return paged;
    }
    if (at === 0 || file.snapshot === undefined) {
      const contents = readProcFile(k, file.inode);
      if (failed(contents)) return contents;
      file.snapshot = contents;
      noteCache(k, file, contents.length);
    }
    const bytes = file.snapshot.subarray(at, at + target.length);
    target.set(bytes);
    if (offset === undefined) file.offset += bytes.length;
    return bytes.length;
  },

  write(k, thread, file, bytes, offset) {
    const count = isMemoryFile(file.inode)
      ? writeMemoryFile(k, thread.process, file.inode, offset ?? file.offset, bytes)
      : writeProcFile(k, thread.process, file.inode, bytes);
    if (!failed(count) && offset === undefined) file.offset += count;
    return count;
  },

  seek(_k, file, offset, whence) {
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? file.offset + offset : NaN;
    if (whence === SEEK_END || !(target >= 0)) return "EINVAL";
    file.offset = target;
    return target;
  },

  release: forgetCache,
};
