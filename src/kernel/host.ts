// What lies outside the simulated world, as ports that whoever boots the kernel hands in. Not part of a snapshot.
// All calls are synchronous and must be bounded; none may throw for an expected failure.

import type { Errno } from "../abi/linux/errno.ts";

export interface HostPorts {
  /** Host streams by channel id ("console", "stdin", "stdout", "stderr", …). */
  readonly channels: ReadonlyMap<string, HostChannel>;
  /** Host directories that may be mounted, by the name that the mount table refers to. */
  readonly directories: ReadonlyMap<string, HostDirectory>;
  /** Block devices by the name that they have in /dev. */
  readonly blockDevices: ReadonlyMap<string, HostBlockDevice>;
}

/** Storage of fixed size that is read and written in pages. */
export interface HostBlockDevice {
  /** Bytes. */
  readonly size: number;
  /** Fills `target` from `offset` on. */
  read(offset: number, target: Uint8Array): 0 | Errno;
  write(offset: number, bytes: Uint8Array): 0 | Errno;
}

/**
 * One byte stream between the guest and its host. Output is never refused: the host buffers it and pauses the whole machine
 * if it must, so that guest-visible timing does not depend on the host.
 */
export interface HostChannel {
  /** Takes up to `limit` bytes that have arrived; undefined when none is there yet; an empty array at end of input. */
  read(limit: number): Uint8Array | undefined;
  /** Bytes that a read would return at once, or -1 at end of input. */
  available(): number;
  write(bytes: Uint8Array): void;
  /** True while the other side still reads; false makes writes fail with EPIPE. */
  isOpen(): boolean;
}

/** Attributes of a host file. Times are nanoseconds since the epoch as {seconds, nanoseconds}. */
export interface HostAttributes {
  readonly kind: "file" | "directory" | "symlink" | "character" | "block" | "fifo" | "socket";
  readonly mode: number;
  readonly size: number;
  readonly nlink: number;
  readonly inode: number;
  readonly atime: HostTime;
  readonly mtime: HostTime;
  readonly ctime: HostTime;
}

export interface HostEntry {
  readonly name: string;
  readonly kind: HostAttributes["kind"];
}

export interface HostTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/**
 * A directory tree of the host. A path is a list of plain names (no "", ".", "..", "/" or NUL) below the root; byte strings:
 * each char code is one byte. Implementations must refuse to follow any symbolic link in any component (O_NOFOLLOW all the way), so
 * that nothing outside the root can be reached; the kernel resolves links itself, inside the guest's name space.
 */
export interface HostDirectory {
  readonly readOnly: boolean;
  stat(path: readonly string[]): HostAttributes | Errno;
  /** Names and kinds; "." and ".." are not among them. */
  list(path: readonly string[]): readonly HostEntry[] | Errno;
  /** An object, since a target may be spelt like an error. */
  readlink(path: readonly string[]): { readonly target: string } | Errno;
  /** Opens a regular file; returns a handle, closed by `close`. */
  open(path: readonly string[], access: "read" | "write" | "read-write"): number | Errno;
  close(handle: number): void;
  readAt(handle: number, offset: number, target: Uint8Array): number | Errno;
  writeAt(handle: number, offset: number, bytes: Uint8Array): number | Errno;
  truncate(handle: number, size: number): 0 | Errno;
  statHandle(handle: number): HostAttributes | Errno;
  sync(handle: number): 0 | Errno;
  create(
    path: readonly string[],
    kind: "file" | "directory" | "symlink" | "fifo",
    mode: number,
    target: string,
  ): 0 | Errno;
  link(from: readonly string[], to: readonly string[]): 0 | Errno;
  unlink(path: readonly string[]): 0 | Errno;
  rmdir(path: readonly string[]): 0 | Errno;
  rename(from: readonly string[], to: readonly string[]): 0 | Errno;
  chmod(path: readonly string[], mode: number): 0 | Errno;
  setTimes(path: readonly string[], atime: HostTime, mtime: HostTime): 0 | Errno;
}
