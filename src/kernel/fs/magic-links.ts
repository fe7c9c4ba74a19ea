// Links in /proc whose target is a place, not a path: /proc/PID/{cwd,root,exe,fd/N}. They lead also where no path does any more (a pipe, an
// unlinked file, a directory outside one's root). Linux man-pages: proc_pid_fd(5).

import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import type { Process } from "../process/types.ts";
import { pathOf } from "./mount-table.ts";
import type { Inode, OpenFile, PathRef } from "./types.ts";

/** Where a magic link leads; undefined for an ordinary link. */
export function followMagicLink(k: Kernel, process: Process, inode: Inode): PathRef | Errno | undefined {
  if (inode.content.kind !== "procfs") return undefined;
  const { node } = inode.content;
  if (node.pid === undefined) return undefined;
  const target = k.state.processes.get(node.pid);
  if (target === undefined || target.state.kind === "zombie") {
    return ["fd-link", "cwd", "root", "exe"].includes(node.entry) ? "ENOENT" : undefined;
  }
  const { uid } = target.credentials;
  switch (node.entry) {
    case "cwd":
    case "root":
      if (process.credentials.fsuid !== 0 && process.credentials.fsuid !== uid) return "EACCES";
      return node.entry === "cwd" ? target.fs.cwd : target.fs.root;
    case "exe":
      if (process.credentials.fsuid !== 0 && process.credentials.fsuid !== uid) return "EACCES";
      return target.program ?? "ENOENT";
    case "fd-link": {
      if (process.credentials.fsuid !== 0 && process.credentials.fsuid !== uid) return "EACCES";
      const file = target.files.descriptors[node.fd ?? -1]?.file;
      return file === undefined ? "ENOENT" : placeOfFile(k, file);
    }
    default:
      return undefined;
  }
}

/** The place of an open file; a nameless one stands in the anonymous mount. */
export function placeOfFile(k: Kernel, file: OpenFile): PathRef {
  return (
    file.path ?? { mount: k.state.files.anonymous, inode: file.inode, parent: undefined, name: anonymousName(file) }
  );
}

/** What readlink of /proc/PID/fd/N gives. */
export function describeFile(file: OpenFile, root: PathRef): string {
  if (file.path === undefined) return anonymousName(file);
  const { path } = pathOf(file.path, root);
  return file.inode.nlink === 0 ? `${path} (deleted)` : path;
}

/** A file's name for messages and /proc when it has no path: "pipe:[12]". */
export function anonymousName(file: OpenFile): string {
  switch (file.kind) {
    case "pipe":
      return `pipe:[${file.inode.number}]`;
    case "eventfd":
      return "anon_inode:[eventfd]";
    case "pidfd":
      return "anon_inode:[pidfd]";
    case "epoll":
      return "anon_inode:[eventpoll]";
    default:
      return `${file.channel ?? file.kind}:[${file.inode.number}]`;
  }
}
