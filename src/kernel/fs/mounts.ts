// Mounting and unmounting. Linux man-pages: mount(2), umount2(2).
//
//   mountFilesystem   a new file system of a kind     bindMount   another view of what is there already
//   moveMount         the same mount elsewhere        unmount     busy while anything below is in use

import type { Errno } from "../../abi/linux/errno.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { createDevfs } from "./devfs.ts";
import { createHostfs } from "./hostfs.ts";
import { failed } from "./inode.ts";
import { pathOf, rootRef } from "./mount-table.ts";
import { createProcfs, createSysfs } from "./procfs/tree.ts";
import { createTmpfs, tmpfsOperations } from "./tmpfs.ts";
import type { Filesystem, Inode, Mount, PathRef } from "./types.ts";

/** Mounts there may be at once. Their chains are short enough to be walked. */
const MAX_MOUNTS = 1000;

export interface MountOptions {
  readonly source?: string;
  /** tmpfs: mode of the root directory, limits. */
  readonly mode?: number;
  readonly limitBytes?: number;
  readonly limitInodes?: number;
  readonly flags?: Partial<Mount["flags"]>;
}

/**
 * Mounts a new file system over `over`, or as the root of all when that is undefined. For hostfs `source` names a directory of the
 * host's ports.
 */
export function mountFilesystem(
  k: Kernel,
  kind: "tmpfs" | "devfs" | "procfs" | "sysfs" | "hostfs",
  over: PathRef | undefined,
  options: MountOptions = {},
): Mount | Errno {
  if (over !== undefined && over.inode.kind !== "directory") return "ENOTDIR";
  const filesystem = createOfKind(k, kind, options);
  if (failed(filesystem)) return filesystem;
  return attach(k, filesystem, filesystem.root, over, {
    readOnly: filesystem.readOnly || (options.flags?.readOnly ?? false),
    noExec: options.flags?.noExec ?? false,
    noSuid: options.flags?.noSuid ?? false,
  });
}

function createOfKind(
  k: Kernel,
  kind: "tmpfs" | "devfs" | "procfs" | "sysfs" | "hostfs",
  options: MountOptions,
): Filesystem | Errno {
  const frames = Math.floor(k.memory.size / PAGE_SIZE);
  switch (kind) {
    case "tmpfs":
      return createTmpfs(k, "tmpfs", {
        source: options.source ?? "tmpfs",
        rootMode: options.mode ?? 0o1777,
        // Linux's defaults: half of memory, and an inode for every second page.
        limitBytes: options.limitBytes ?? Math.floor(frames / 2) * PAGE_SIZE,
        limitInodes: options.limitInodes ?? Math.max(1024, Math.floor(frames / 2)),
      });
    case "devfs":
      return createDevfs(k, options.source ?? "devtmpfs");
    case "procfs":
      return createProcfs(k, options.source ?? "proc");
    case "sysfs":
      return createSysfs(k, options.source ?? "sysfs");
    case "hostfs":
      return createHostfs(k, options.source ?? "");
  }
}

/** Shows the file or directory `source` at `over` too. */
export function bindMount(k: Kernel, source: PathRef, over: PathRef): Mount | Errno {
  if ((source.inode.kind === "directory") !== (over.inode.kind === "directory")) return "ENOTDIR";
  return attach(k, source.mount.filesystem, source.inode, over, { ...source.mount.flags });
}

/** Moves the mount whose root is `source` to `over`. */
export function moveMount(_k: Kernel, source: PathRef, over: PathRef, path: string): 0 | Errno {
  const { mount } = source;
  if (source.inode !== mount.root || mount.over === undefined) return "EINVAL";
  for (let at: Mount | undefined = over.mount; at !== undefined; at = at.parent) if (at === mount) return "ELOOP";
  if ((source.inode.kind === "directory") !== (over.inode.kind === "directory")) return "ENOTDIR";
  mount.over = over;
  mount.parent = over.mount;
  mount.path = path;
  return 0;
}

/** Takes the mount away whose root is `ref`. `force` detaches it even while in use; its files live on until they are closed. */
export function unmount(k: Kernel, ref: PathRef, mode: "if-unused" | "detach"): 0 | Errno {
  const { mount } = ref;
  const { mounts } = k.state.files;
  if (ref.inode !== mount.root) return "EINVAL";
  if (mount.over === undefined) return "EBUSY";
  if (mode === "if-unused" && isBusy(k, mount)) return "EBUSY";
  const below = (other: Mount): boolean => other === mount || (other.parent !== undefined && below(other.parent));
  const isIdle = !isBusy(k, mount);
  for (const gone of mounts.filter(below)) mounts.splice(mounts.indexOf(gone), 1);
  if (isIdle && !mounts.some(({ filesystem }) => filesystem === mount.filesystem)) releaseContents(k, mount.filesystem);
  return 0;
}

/** Frees the files of a tmpfs that nothing shows any more; what is still open goes when it is closed. */
function releaseContents(k: Kernel, filesystem: Filesystem): void {
  const rest: Inode[] = [filesystem.root];
  for (let inode = rest.pop(); inode !== undefined; inode = rest.pop()) {
    if (inode.content.kind === "tmpfs-directory") rest.push(...inode.content.entries.values());
    if (inode.content.kind !== "tmpfs-file" || inode.nlink === 0) continue;
    inode.nlink = 0;
    if (inode.references === 0) tmpfsOperations.release(k, inode);
  }
}

function isBusy(k: Kernel, mount: Mount): boolean {
  if (k.state.files.mounts.some(({ parent }) => parent === mount)) return true;
  for (const file of k.state.files.openFiles) if (file.path?.mount === mount) return true;
  for (const { fs, state } of k.state.processes.values()) {
    if (state.kind !== "zombie" && (fs.cwd.mount === mount || fs.root.mount === mount)) return true;
  }
  return false;
}

function attach(
  k: Kernel,
  filesystem: Filesystem,
  root: Mount["root"],
  over: PathRef | undefined,
  flags: Mount["flags"],
): Mount | "ENOSPC" {
  if (k.state.files.mounts.length >= MAX_MOUNTS) return "ENOSPC";
  const path = over === undefined ? "/" : pathOf(over, rootRef(k)).path;
  const mount: Mount = { id: k.state.nextIds.mount++, filesystem, root, over, parent: over?.mount, flags, path };
  k.state.files.mounts.push(mount);
  return mount;
}
