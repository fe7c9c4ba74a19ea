// What the file calls share: from a descriptor and a path to a place, and results to user memory.

import type { Errno } from "../../abi/linux/errno.ts";
import { AT_EMPTY_PATH, AT_FDCWD } from "../../abi/linux/open-flags.ts";
import { getAnyFile } from "../fs/descriptors.ts";
import { placeOfFile } from "../fs/magic-links.ts";
import { failed } from "../fs/inode.ts";
import { resolvePath } from "../fs/path.ts";
import type { OpenFile, PathContext, PathRef } from "../fs/types.ts";
import { copyToUser, readUserString } from "../mem/user-memory.ts";
import type { Process } from "../process/types.ts";
import type { Call } from "./row.ts";

export function contextOf(process: Process): PathContext {
  return { process, credentials: process.credentials };
}

/** Where a relative path starts: the working directory for AT_FDCWD, else the directory that is open as `dirfd`. */
export function baseOf({ process }: Call, dirfd: number, path: string): PathRef | "EBADF" | "ENOTDIR" {
  // An empty path names nothing, whatever it starts from.
  if (path === "" || path.startsWith("/") || dirfd === AT_FDCWD) return process.fs.cwd;
  const file = getAnyFile(process, dirfd);
  if (file === "EBADF") return "EBADF";
  return file.path === undefined || file.inode.kind !== "directory" ? "ENOTDIR" : file.path;
}

/** The place that (dirfd, path) names; with AT_EMPTY_PATH and an empty path, what `dirfd` itself is. */
export function placeAt(
  call: Call,
  dirfd: number,
  path: string,
  options: { followLast: boolean; flags?: number; context?: PathContext },
): PathRef | Errno {
  const { k, process } = call;
  if (path === "" && ((options.flags ?? 0) & AT_EMPTY_PATH) !== 0) {
    if (dirfd === AT_FDCWD) return process.fs.cwd;
    const file = getAnyFile(process, dirfd);
    return file === "EBADF" ? "EBADF" : placeOfFile(k, file);
  }
  const base = baseOf(call, dirfd, path);
  if (failed(base)) return base;
  return resolvePath(k, options.context ?? contextOf(process), base, path, { followLast: options.followLast });
}

/** The place of an open file, nameless ones included. */
export function placeOf({ k }: Call, file: OpenFile): PathRef {
  return placeOfFile(k, file);
}

/** A string argument that may be a null pointer. */
export function optionalString(call: Call, address: number, limit: number): { text: string | undefined } | Errno {
  if (address === 0) return { text: undefined };
  const text = readUserString(call.k, call.process.space, address, limit);
  return text === "EFAULT" || text === "ENAMETOOLONG" ? text : { text };
}

/** Stores a result; 0 when all of it could be. */
export function give({ k, process }: Call, address: number, bytes: Uint8Array): 0 | "EFAULT" {
  return copyToUser(k, process.space, address, bytes);
}
