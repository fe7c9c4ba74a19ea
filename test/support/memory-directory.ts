// A folder of the host in memory, for tests of mapped files: one level of regular files, and what hostfs asks of them.

import type { Errno } from "../../src/abi/linux/errno.ts";
import type { HostAttributes, HostDirectory } from "../../src/kernel/host.ts";

export interface MemoryDirectory extends HostDirectory {
  /** Contents by name. */
  readonly files: ReadonlyMap<string, { readonly bytes: Uint8Array }>;
}

interface File {
  readonly inode: number;
  bytes: Uint8Array;
  mode: number;
}

const TIME = { seconds: 1, nanoseconds: 0 };

export function createMemoryDirectory(): MemoryDirectory {
  const files = new Map<string, File>();
  const handles = new Map<number, File>();
  let nextHandle = 1;
  let nextInode = 2;

  const find = (path: readonly string[]): File | undefined =>
    path.length === 1 ? files.get(path[0] ?? "") : undefined;
  const withHandle = <T>(handle: number, use: (file: File) => T): T | "EBADF" => {
    const file = handles.get(handle);
    return file === undefined ? "EBADF" : use(file);
  };
  const resize = (file: File, size: number): void => {
    const bytes = new Uint8Array(size);
    bytes.set(file.bytes.subarray(0, size));
    file.bytes = bytes;
  };
  const describe = (file: File): HostAttributes => ({ ...COMMON, kind: "file", ...file, size: file.bytes.length });

  return {
    readOnly: false,
    files,
    stat(path) {
      if (path.length === 0) return { ...COMMON, kind: "directory", mode: 0o755, size: 0, inode: 1 };
      const file = find(path);
      return file === undefined ? "ENOENT" : describe(file);
    },
    list: () => [...files.keys()].map((name) => ({ name, kind: "file" as const })),
    readlink: () => "EINVAL",
    open(path) {
      const file = find(path);
      if (file === undefined) return "ENOENT";
      handles.set(nextHandle, file);
      return nextHandle++;
    },
    close: (handle) => void handles.delete(handle),
    readAt: (handle, offset, target) =>
      withHandle(handle, ({ bytes }) => {
        const part = bytes.subarray(offset, offset + target.length);
        target.set(part);
        return part.length;
      }),
    writeAt: (handle, offset, bytes) =>
      withHandle(handle, (file) => {
        if (offset + bytes.length > file.bytes.length) resize(file, offset + bytes.length);
        file.bytes.set(bytes, offset);
        return bytes.length;
      }),
    truncate: (handle, size) =>
      withHandle(handle, (file) => {
        resize(file, size);
        return 0 as const;
      }),
    statHandle: (handle) => withHandle(handle, describe),
    sync: () => 0,
    create(path, kind, mode) {
      if (kind !== "file" || path.length !== 1) return refuse();
      if (find(path) !== undefined) return "EEXIST";
      files.set(path[0] ?? "", { inode: nextInode++, bytes: new Uint8Array(), mode });
      return 0;
    },
    link: refuse,
    unlink: (path) => (files.delete(path[0] ?? "") ? 0 : "ENOENT"),
    rmdir: refuse,
    rename: refuse,
    chmod(path, mode) {
      const file = find(path);
      if (file === undefined) return "ENOENT";
      file.mode = mode;
      return 0;
    },
    setTimes: () => 0,
  };
}

const COMMON = { nlink: 1, atime: TIME, mtime: TIME, ctime: TIME };
const refuse = (): Errno => "EPERM";
