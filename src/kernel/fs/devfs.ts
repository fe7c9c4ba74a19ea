// devfs: a tmpfs that starts with the devices. Numbers as in Linux's devices.txt.

import type { Kernel } from "../kernel.ts";
import { tmpfsOperations, createTmpfs } from "./tmpfs.ts";
import type { Filesystem } from "./types.ts";

interface DeviceNode {
  readonly name: string;
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
}

const NODES: readonly DeviceNode[] = [
  { name: "null", mode: 0o666, major: 1, minor: 3 },
  { name: "zero", mode: 0o666, major: 1, minor: 5 },
  { name: "full", mode: 0o666, major: 1, minor: 7 },
  { name: "random", mode: 0o666, major: 1, minor: 8 },
  { name: "urandom", mode: 0o666, major: 1, minor: 9 },
  { name: "kmsg", mode: 0o644, major: 1, minor: 11 },
  { name: "tty", mode: 0o666, major: 5, minor: 0 },
  { name: "console", mode: 0o600, major: 5, minor: 1 },
  { name: "ttyS0", mode: 0o600, major: 4, minor: 64 },
];

/** Major number of the host's block devices: Linux gives it to virtio ones. The minor one is the place in `HostPorts.blockDevices`. */
export const BLOCK_MAJOR = 254;

const LINKS: readonly { readonly name: string; readonly target: string }[] = [
  { name: "fd", target: "/proc/self/fd" },
  { name: "stdin", target: "/proc/self/fd/0" },
  { name: "stdout", target: "/proc/self/fd/1" },
  { name: "stderr", target: "/proc/self/fd/2" },
];

/** Makes a devfs with the standard nodes and links, a node for each block device of the host, and an empty `shm` for a tmpfs to be mounted on. */
export function createDevfs(k: Kernel, source: string): Filesystem {
  const filesystem = createTmpfs(k, "devfs", {
    source,
    rootMode: 0o755,
    limitBytes: Math.floor(k.memory.size / 4),
    limitInodes: 4096,
  });
  const owner = { uid: 0, gid: 0 };
  for (const { name, mode, major, minor } of NODES) {
    const device = { major, minor };
    tmpfsOperations.create(k, filesystem.root, name, { kind: "character", mode, ...owner, device });
  }
  [...k.host.blockDevices.keys()].forEach((name, minor) => {
    const device = { major: BLOCK_MAJOR, minor };
    tmpfsOperations.create(k, filesystem.root, name, { kind: "block", mode: 0o660, ...owner, device });
  });
  for (const { name, target } of LINKS) {
    tmpfsOperations.create(k, filesystem.root, name, { kind: "symlink", mode: 0o777, ...owner, target });
  }
  tmpfsOperations.create(k, filesystem.root, "shm", { kind: "directory", mode: 0o1777, ...owner });
  return filesystem;
}
