// The table of file-system behaviour, by kind. State names the kind; only this table knows the code.

import { hostfsOperations } from "./hostfs.ts";
import { procfsOperations } from "./procfs/tree.ts";
import { tmpfsOperations } from "./tmpfs.ts";
import type { Filesystem, FilesystemKind, FilesystemOperations } from "./types.ts";

const TABLE: Readonly<Record<FilesystemKind, FilesystemOperations>> = {
  tmpfs: tmpfsOperations,
  devfs: tmpfsOperations,
  procfs: procfsOperations,
  hostfs: hostfsOperations,
  // Its inodes have attributes but no names or contents, which is what a tmpfs inode without entries and pages amounts to.
  anonymous: tmpfsOperations,
};

export function filesystemOperations(filesystem: Filesystem): FilesystemOperations {
  return TABLE[filesystem.kind];
}
