// File-system behaviour by kind. State names the kind; only this function knows the code.

import { hostfsOperations } from "./hostfs.ts";
import { procfsOperations } from "./procfs/tree.ts";
import { tmpfsOperations } from "./tmpfs.ts";
import type { Filesystem, FilesystemOperations } from "./types.ts";

/** Looked up when it is needed: the modules of the kinds need, by way of memory and mappings, this one. */
export function filesystemOperations({ kind }: Filesystem): FilesystemOperations {
  switch (kind) {
    case "tmpfs":
    case "devfs":
    // Its inodes have attributes but no names or contents, which is what a tmpfs inode without entries and pages amounts to.
    case "anonymous":
      return tmpfsOperations;
    case "procfs":
    case "sysfs":
      return procfsOperations;
    case "hostfs":
      return hostfsOperations;
  }
}
