// procfs: the tree. Directories are made up on the fly from the table of system files and from the processes that live.
//
//   /proc ── self, thread-self, mounts            links
//         ── meminfo … sys/kernel/hostname        system-files.ts, by path
//         ── PID ── status maps …                 process-files.ts, by name
//               ── fd/N, fdinfo/N, task/TID       tables of that process
//   /sys  ── kernel/mm …                          sysfs-files.ts, by path: a file system of its own, made in the same way
//
// Inodes are made anew at every lookup; the number, a hash of what the inode stands for, says that two are the same.

import type { Errno } from "../../../abi/linux/errno.ts";
import { PROC_SUPER_MAGIC, SYSFS_MAGIC } from "../../../abi/linux/mount.ts";
import type { Kernel } from "../../kernel.ts";
import { createInode } from "../inode.ts";
import { describeFile } from "../magic-links.ts";
import { pathOf } from "../mount-table.ts";
import { createFilesystem } from "../state.ts";
import type {
  DirectoryEntry,
  Filesystem,
  FilesystemOperations,
  Inode,
  InodeKind,
  OpenFile,
  ProcNode,
} from "../types.ts";
import { PROCESS_FILES, PROCESS_LINKS } from "./process-files.ts";
import { SYSFS_ROOT } from "./sysfs-files.ts";
import { SYSTEM_DIRECTORIES, SYSTEM_FILES } from "./system-files.ts";

/** What a name in a directory of /proc stands for. */
interface Child {
  readonly node: ProcNode;
  readonly kind: InodeKind;
  readonly mode: number;
}

export function createProcfs(k: Kernel, source: string): Filesystem {
  const filesystem = createFilesystem("procfs", k.state.nextIds.mount++, source, undefined);
  filesystem.root = makeInode(k, filesystem, { node: { entry: "" }, kind: "directory", mode: 0o555 });
  filesystem.root.references = 1;
  return filesystem;
}

export function createSysfs(k: Kernel, source: string): Filesystem {
  const filesystem = createFilesystem("sysfs", k.state.nextIds.mount++, source, undefined);
  filesystem.root = makeInode(k, filesystem, { node: { entry: SYSFS_ROOT }, kind: "directory", mode: 0o555 });
  filesystem.root.references = 1;
  return filesystem;
}

export const procfsOperations: FilesystemOperations = {
  lookup(k, directory, name) {
    const child = childOf(k, nodeOf(directory), name);
    if (child === undefined) return "ENOENT";
    const inode = makeInode(k, directory.filesystem, child);
    if (child.kind === "directory") inode.place = { parent: directory, name };
    return inode;
  },

  list(k, directory) {
    const entries: DirectoryEntry[] = [];
    for (const name of namesIn(k, nodeOf(directory))) {
      const child = childOf(k, nodeOf(directory), name);
      if (child !== undefined) entries.push({ name, inode: inodeNumber(child.node), kind: child.kind });
    }
    return entries;
  },

  readlink(k, inode) {
    return linkTarget(k, nodeOf(inode));
  },

  create: () => "EACCES",
  link: () => "EPERM",
  unlink: () => "EPERM",
  rmdir: () => "EPERM",
  rename: () => "EPERM",
  readAt: () => "EINVAL",
  writeAt: () => "EINVAL",
  truncate: () => 0,
  refresh: () => 0,
  setAttributes: () => "EPERM",
  statfs: (_k, { kind }) => ({
    type: kind === "sysfs" ? SYSFS_MAGIC : PROC_SUPER_MAGIC,
    blockSize: 4096,
    blocks: 0,
    free: 0,
    files: 0,
    filesFree: 0,
    nameLength: 255,
  }),
  sync: () => 0,
  release: () => undefined,
};

function nodeOf(inode: Inode): ProcNode {
  return inode.content.kind === "procfs" ? inode.content.node : { entry: "" };
}

function makeInode(k: Kernel, filesystem: Filesystem, child: Child): Inode {
  const { node, kind, mode } = child;
  const owner = node.pid === undefined ? undefined : k.state.processes.get(node.pid)?.credentials;
  const inode = createInode(k, filesystem, {
    kind,
    mode,
    uid: owner?.euid ?? 0,
    gid: owner?.egid ?? 0,
    content: { kind: "procfs", node },
    number: inodeNumber(node),
  });
  filesystem.inodeCount -= 1; // it lives only as long as someone holds it
  inode.nlink = kind === "directory" ? 2 : 1;
  return inode;
}

/** FNV-1a of what the node stands for. The root is 1, as on Linux. */
function inodeNumber(node: ProcNode): number {
  if (node.entry === "") return 1;
  let hash = 0x811c9dc5;
  for (const character of `${node.entry}:${node.pid ?? ""}:${node.tid ?? ""}:${node.fd ?? ""}`) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  }
  return (hash >>> 0) + 2;
}

const DIRECTORY_MODE = 0o555;

function childOf(k: Kernel, parent: ProcNode, name: string): Child | undefined {
  const { pid, tid } = parent;
  switch (parent.entry) {
    case "":
      return rootChild(k, name);
    case "process":
    case "thread":
      return pid === undefined ? undefined : processChild(parent, name);
    case "fd":
    case "fdinfo": {
      const fd = parseId(name);
      const file = pid === undefined || fd === undefined ? undefined : openFileOf(k, pid, fd);
      if (pid === undefined || fd === undefined || file === undefined) return undefined;
      if (parent.entry === "fdinfo") return { node: { entry: "fdinfo-file", pid, fd }, kind: "file", mode: 0o400 };
      const access = file.flags & 3;
      const mode = 0o100 | (access === 1 ? 0o200 : access === 0 ? 0o400 : 0o600);
      return { node: { entry: "fd-link", pid, fd }, kind: "symlink", mode };
    }
    case "task": {
      const id = parseId(name);
      if (pid === undefined || id === undefined || k.state.processes.get(pid)?.threads.includes(id) !== true) {
        return undefined;
      }
      return { node: { entry: "thread", pid, tid: id }, kind: "directory", mode: DIRECTORY_MODE };
    }
    default:
      return tid === undefined && pid === undefined ? systemChild(`${parent.entry}/${name}`) : undefined;
  }
}

function rootChild(k: Kernel, name: string): Child | undefined {
  if (name === "self" || name === "thread-self" || name === "mounts") {
    return { node: { entry: name }, kind: "symlink", mode: 0o777 };
  }
  const pid = parseId(name);
  if (pid === undefined) return systemChild(name);
  const isLive = k.state.processes.has(pid);
  return isLive ? { node: { entry: "process", pid }, kind: "directory", mode: DIRECTORY_MODE } : undefined;
}

function systemChild(path: string): Child | undefined {
  if (SYSTEM_DIRECTORIES.has(path)) return { node: { entry: path }, kind: "directory", mode: DIRECTORY_MODE };
  const file = SYSTEM_FILES.get(path);
  return file === undefined
    ? undefined
    : { node: { entry: path }, kind: "file", mode: file.write === undefined ? 0o444 : 0o644 };
}

function processChild(parent: ProcNode, name: string): Child | undefined {
  const of = { pid: parent.pid ?? 0, ...(parent.tid === undefined ? {} : { tid: parent.tid }) };
  if (name === "fd" || name === "fdinfo") return { node: { entry: name, ...of }, kind: "directory", mode: 0o500 };
  if (name === "task" && parent.entry === "process") {
    return { node: { entry: name, ...of }, kind: "directory", mode: DIRECTORY_MODE };
  }
  if (PROCESS_LINKS.includes(name)) return { node: { entry: name, ...of }, kind: "symlink", mode: 0o777 };
  const file = PROCESS_FILES.get(name);
  return file === undefined ? undefined : { node: { entry: name, ...of }, kind: "file", mode: file.mode };
}

function namesIn(k: Kernel, node: ProcNode): string[] {
  const process = node.pid === undefined ? undefined : k.state.processes.get(node.pid);
  switch (node.entry) {
    case "":
      return [
        ...[...k.state.processes.keys()].toSorted((a, b) => a - b).map(String),
        "self",
        "thread-self",
        "mounts",
        ...systemNames(""),
      ];
    case "process":
    case "thread": {
      const directories = node.entry === "process" ? ["task", "fd", "fdinfo"] : ["fd", "fdinfo"];
      return [...directories, ...PROCESS_LINKS, ...PROCESS_FILES.keys()];
    }
    case "fd":
    case "fdinfo":
      return (process?.files.descriptors ?? []).flatMap((descriptor, fd) => (descriptor === undefined ? [] : `${fd}`));
    case "task":
      return (process?.threads ?? []).map(String);
    default:
      return systemNames(`${node.entry}/`);
  }
}

/** Names directly below a prefix among the system files and directories. */
function systemNames(prefix: string): string[] {
  return [...SYSTEM_DIRECTORIES, ...SYSTEM_FILES.keys()]
    .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes("/"))
    .map((path) => path.slice(prefix.length));
}

function linkTarget(k: Kernel, node: ProcNode): { target: string } | Errno {
  const { pid } = node;
  const process = pid === undefined ? undefined : k.state.processes.get(pid);
  switch (node.entry) {
    case "self":
    case "thread-self": {
      const caller = k.state.processes.get(k.state.files.walker);
      if (caller === undefined) return "ENOENT";
      return {
        target: node.entry === "self" ? `${caller.pid}` : `${caller.pid}/task/${caller.threads[0] ?? caller.pid}`,
      };
    }
    case "mounts":
      return { target: "self/mounts" };
    case "exe":
      if (process === undefined || process.executable === "") return "ENOENT";
      return { target: process.program?.inode.nlink === 0 ? `${process.executable} (deleted)` : process.executable };
    case "cwd":
    case "root": {
      if (process === undefined || process.state.kind === "zombie") return "ENOENT";
      const place = node.entry === "cwd" ? process.fs.cwd : process.fs.root;
      const { path, deleted } = pathOf(place, process.fs.root);
      return { target: deleted ? `${path} (deleted)` : path };
    }
    case "fd-link": {
      const file = openFileOf(k, pid ?? 0, node.fd ?? -1);
      if (file === undefined || process === undefined) return "ENOENT";
      return { target: describeFile(file, process.fs.root) };
    }
    default:
      return "EINVAL";
  }
}

function openFileOf(k: Kernel, pid: number, fd: number): OpenFile | undefined {
  return k.state.processes.get(pid)?.files.descriptors[fd]?.file;
}

/** A decimal number without leading zeros. */
function parseId(name: string): number | undefined {
  return /^(0|[1-9][0-9]{0,8})$/.test(name) ? Number(name) : undefined;
}
