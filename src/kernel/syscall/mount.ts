// mount and umount2. Linux man-pages: mount(2), umount(2).
//
// Kinds: tmpfs (size=, mode=, nr_inodes=), proc, devtmpfs, hostfs (the source names a directory that the host offers). Binding, moving
// and remounting work on what is mounted. Propagation between mount name spaces is accepted: there is one name space.

import type { Errno } from "../../abi/linux/errno.ts";
import * as abi from "../../abi/linux/mount.ts";
import { AT_FDCWD, PATH_MAX } from "../../abi/linux/open-flags.ts";
import { failed } from "../fs/inode.ts";
import { pathOf, rootRef } from "../fs/mount-table.ts";
import { bindMount, mountFilesystem, moveMount, unmount, type MountOptions } from "../fs/mounts.ts";
import type { Mount, PathRef } from "../fs/types.ts";
import { optionalString, placeAt } from "./files-common.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

const KINDS = {
  tmpfs: "tmpfs",
  ramfs: "tmpfs",
  proc: "procfs",
  sysfs: "sysfs",
  devtmpfs: "devfs",
  hostfs: "hostfs",
} as const;

const PROPAGATION = abi.MS_PRIVATE | abi.MS_SLAVE | abi.MS_SHARED;

const mount = defineCall({
  name: "mount",
  args: [
    { name: "source", type: "pointer", show: "string:in" },
    { name: "target", type: "path" },
    { name: "filesystemtype", type: "pointer", show: "string:in" },
    { name: "mountflags", type: "ulong", show: "mount" },
    { name: "data", type: "pointer", show: "string:in" },
  ],
  result: "int",
  handler: (call, sourceAddress, target, typeAddress, rawFlags, dataAddress) => {
    const flags = rawFlags >>> 0;
    const source = optionalString(call, sourceAddress, PATH_MAX);
    if (failed(source)) return source;
    const type = optionalString(call, typeAddress, PATH_MAX);
    if (failed(type)) return type;
    const data = optionalString(call, dataAddress, 4096);
    if (failed(data)) return data;
    const over = placeAt(call, AT_FDCWD, target, { followLast: true });
    if (failed(over)) return over;
    if (call.process.credentials.euid !== 0) return "EPERM";
    return mountAt(call, over, source.text, type.text, flags, data.text ?? "");
  },
});

function mountAt(
  call: Call,
  over: PathRef,
  source: string | undefined,
  type: string | undefined,
  flags: number,
  data: string,
): 0 | Errno {
  const { k } = call;
  const wanted = {
    readOnly: (flags & abi.MS_RDONLY) !== 0,
    noExec: (flags & abi.MS_NOEXEC) !== 0,
    noSuid: (flags & abi.MS_NOSUID) !== 0,
  };
  if ((flags & abi.MS_REMOUNT) !== 0)
    return remount(call, over, wanted, (flags & abi.MS_BIND) !== 0 ? "mount" : "system");
  if ((flags & PROPAGATION) !== 0) return over.inode === over.mount.root ? 0 : "EINVAL";
  if ((flags & (abi.MS_BIND | abi.MS_MOVE)) !== 0) {
    if (source === undefined) return "EINVAL";
    const from = placeAt(call, AT_FDCWD, source, { followLast: true });
    if (failed(from)) return from;
    if ((flags & abi.MS_MOVE) !== 0) return moveMount(k, from, over, pathOf(over, rootRef(k)).path);
    const bound = bindMount(k, from, over);
    return failed(bound) ? bound : 0;
  }
  const kind = type === undefined ? undefined : KINDS[type as keyof typeof KINDS];
  if (type === undefined) return "EINVAL";
  if (kind === undefined || !Object.hasOwn(KINDS, type)) return "ENODEV";
  const options = parseOptions(data);
  if (failed(options)) return options;
  const mounted = mountFilesystem(k, kind, over, {
    ...options,
    flags: wanted,
    ...(source === undefined ? {} : { source }),
  });
  return failed(mounted) ? mounted : 0;
}

/** Changes the flags of a mount; "system" makes the whole file system read-only or writable, wherever it is mounted. */
function remount({ k }: Call, over: PathRef, wanted: Mount["flags"], reach: "mount" | "system"): 0 | Errno {
  const { mount } = over;
  if (over.inode !== mount.root) return "EINVAL";
  // What the host does not let us write stays read-only.
  if (mount.filesystem.readOnly && !wanted.readOnly) return "EROFS";
  Object.assign(mount.flags, wanted);
  if (reach === "system") {
    for (const other of k.state.files.mounts) {
      if (other.filesystem === mount.filesystem) other.flags.readOnly = wanted.readOnly;
    }
  }
  return 0;
}

const SIZE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** tmpfs options: "size=64m,mode=1777,nr_inodes=10k"; those of other systems are passed over. */
function parseOptions(data: string): MountOptions | "EINVAL" {
  const options: { mode?: number; limitBytes?: number; limitInodes?: number } = {};
  for (const option of data.split(",").filter((part) => part !== "")) {
    const [key, value = ""] = option.split("=", 2);
    if (key === "mode") {
      if (!/^[0-7]{1,4}$/.test(value)) return "EINVAL";
      options.mode = Number.parseInt(value, 8);
    } else if (key === "size" || key === "nr_inodes") {
      const [, digits, unit = ""] = /^([0-9]{1,12})([kmg]?)$/i.exec(value) ?? [];
      if (digits === undefined) return "EINVAL";
      const amount = Number(digits) * (SIZE_UNITS[unit.toLowerCase()] ?? 1);
      // 0 means "no limit of its own": memory is the limit then.
      if (amount > 0) options[key === "size" ? "limitBytes" : "limitInodes"] = amount;
    }
  }
  return options;
}

const umount2 = defineCall({
  name: "umount2",
  args: [
    { name: "target", type: "path" },
    { name: "flags", type: "flags", show: "umount" },
  ],
  result: "int",
  handler: (call, target, flags) => {
    const known = abi.MNT_FORCE | abi.MNT_DETACH | abi.MNT_EXPIRE | abi.UMOUNT_NOFOLLOW;
    if ((flags & ~known) !== 0) return "EINVAL";
    if (call.process.credentials.euid !== 0) return "EPERM";
    const ref = placeAt(call, AT_FDCWD, target, { followLast: (flags & abi.UMOUNT_NOFOLLOW) === 0 });
    if (failed(ref)) return ref;
    return unmount(call.k, ref, (flags & abi.MNT_DETACH) !== 0 ? "detach" : "if-unused");
  },
});

export const mountCalls: readonly SyscallRow[] = [mount, umount2];
