// Files as plain data: inodes, mounts, open file descriptions, descriptor tables.
//
//   fd --FileTable--> OpenFile --> Inode --> Filesystem (one mounted file system's data)
//
// Behaviour is looked up by kind in the constant tables `filesystemOperations` and `fileOperations`: state itself holds no function.
// File names and paths are byte strings: each char code is one byte (0..255), whatever encoding the user means.

import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import type { Vmo } from "../mem/types.ts";
import type { Credentials, Process, Thread } from "../process/types.ts";
import type { Blocked, WaitKey } from "../wait.ts";

export type InodeKind = "file" | "directory" | "symlink" | "character" | "block" | "fifo" | "socket";

export interface Timestamp {
  seconds: number;
  nanoseconds: number;
}

export interface Inode {
  readonly filesystem: Filesystem;
  /** Inode number within its file system. */
  readonly number: number;
  readonly kind: InodeKind;
  /** Permission bits with set-id and sticky: 0..0o7777. */
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  /** Bytes. */
  size: number;
  atime: Timestamp;
  mtime: Timestamp;
  ctime: Timestamp;
  /** Device number of a character or block inode. */
  readonly device: { major: number; minor: number } | undefined;
  /** Contents of a tmpfs file, and page cache of any file that is mapped. */
  vmo: Vmo | undefined;
  /** What only the file system's own code reads, by its kind. */
  content: InodeContent;
  /** Open descriptions and mappings that keep it alive after its last name is gone. */
  references: number;
}

export type InodeContent =
  | { kind: "none" }
  | { kind: "tmpfs-directory"; entries: Map<string, Inode>; parent: Inode | undefined }
  | { kind: "symlink"; target: string }
  | { kind: "fifo"; pipe: number | undefined }
  | { kind: "procfs"; node: ProcNode }
  | { kind: "hostfs"; path: readonly string[]; handle: number | undefined; writable: boolean };

/** Which procfs file an inode is; contents are made on open. */
export interface ProcNode {
  readonly entry: string;
  readonly pid?: number;
  readonly fd?: number;
  readonly tid?: number;
}

/** One mounted file system. */
export interface Filesystem {
  readonly id: number;
  readonly kind: FilesystemKind;
  root: Inode;
  readonly source: string;
  nextInode: number;
  readonly readOnly: boolean;
  /** hostfs: name of the host directory in HostPorts. */
  readonly host: string | undefined;
  /** tmpfs: limit and use in bytes. */
  limitBytes: number;
  usedBytes: number;
}

export type FilesystemKind = "tmpfs" | "devfs" | "procfs" | "hostfs" | "anonymous";

export interface Mount {
  readonly id: number;
  readonly filesystem: Filesystem;
  /** Where it is mounted: the covered directory, undefined for the root of all. */
  readonly over: PathRef | undefined;
  readonly parent: Mount | undefined;
  readonly flags: { readOnly: boolean; noExec: boolean; noSuid: boolean };
  /** Path it was mounted at, for /proc/mounts. */
  readonly path: string;
}

/** A place in the name space: an inode as reached through a mount. `name` and `parent` give getcwd and ".." their answer. */
export interface PathRef {
  readonly mount: Mount;
  readonly inode: Inode;
  readonly parent: PathRef | undefined;
  readonly name: string;
}

export interface FileState {
  readonly mounts: Mount[];
  readonly pipes: Map<number, Pipe>;
  readonly openFiles: Set<OpenFile>;
  /** Advisory record and flock locks by "filesystem:inode". */
  readonly locks: Map<string, FileLock[]>;
}

export interface FileLock {
  readonly kind: "read" | "write";
  /** Pid for record locks, open-file id for flock and open-file-description locks. */
  readonly owner: number;
  readonly ownerKind: "process" | "open-file";
  readonly start: number;
  readonly end: number;
}

export interface Pipe {
  readonly id: number;
  /** Ring of bytes, grown on demand up to `capacity`. */
  buffer: Uint8Array;
  head: number;
  length: number;
  capacity: number;
  readers: number;
  writers: number;
}

/** An open file description: what dup and fork share. */
export interface OpenFile {
  readonly id: number;
  readonly kind: OpenFileKind;
  /** O_ACCMODE, O_APPEND, O_NONBLOCK, O_DIRECT, O_PATH … as fcntl(F_GETFL) gives them. */
  flags: number;
  offset: number;
  references: number;
  /** How it was reached; undefined for pipes and anonymous files. */
  readonly path: PathRef | undefined;
  readonly inode: Inode;
  /** What the kind needs. */
  readonly pipe?: number;
  readonly tty?: number;
  readonly channel?: string;
  /** Contents of a procfs file or a directory listing, fixed at open or at rewind. */
  snapshot?: Uint8Array;
  entries?: readonly DirectoryEntry[];
  /** eventfd counter, timerfd and the like. */
  counter?: number;
  /** epoll interest list: fd -> mask and user data, and the file it stood for. */
  interests?: Map<number, { file: OpenFile; events: number; dataLo: number; dataHi: number }>;
}

export type OpenFileKind =
  | "file"
  | "directory"
  | "path"
  | "pipe"
  | "tty"
  | "null"
  | "zero"
  | "full"
  | "random"
  | "channel"
  | "eventfd"
  | "epoll";

export interface DirectoryEntry {
  readonly name: string;
  readonly inode: number;
  readonly kind: InodeKind;
}

export interface FileDescriptor {
  readonly file: OpenFile;
  closeOnExec: boolean;
}

/** Descriptors of a process; shared between CLONE_FILES sharers. */
export interface FileTable {
  readonly descriptors: (FileDescriptor | undefined)[];
  sharers: number;
}

export interface StatFs {
  readonly type: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly free: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameLength: number;
}

/** Behaviour of one kind of file system. Permission checks are the caller's (path.ts); these do the work. */
export interface FilesystemOperations {
  lookup(k: Kernel, directory: Inode, name: string): Inode | Errno;
  list(k: Kernel, directory: Inode): DirectoryEntry[] | Errno;
  create(
    k: Kernel,
    directory: Inode,
    name: string,
    what: { kind: InodeKind; mode: number; uid: number; gid: number; target?: string; device?: { major: number; minor: number } },
  ): Inode | Errno;
  link(k: Kernel, directory: Inode, name: string, inode: Inode): 0 | Errno;
  unlink(k: Kernel, directory: Inode, name: string, inode: Inode): 0 | Errno;
  rmdir(k: Kernel, directory: Inode, name: string, inode: Inode): 0 | Errno;
  rename(k: Kernel, from: Inode, fromName: string, to: Inode, toName: string, flags: number): 0 | Errno;
  readlink(k: Kernel, inode: Inode): string | Errno;
  /** Reads regular-file contents; returns the byte count, 0 at the end. */
  readAt(k: Kernel, inode: Inode, offset: number, target: Uint8Array): number | Errno;
  writeAt(k: Kernel, inode: Inode, offset: number, bytes: Uint8Array): number | Errno;
  truncate(k: Kernel, inode: Inode, size: number): 0 | Errno;
  /** Brings size and times up to date where someone else may have changed them (hostfs, procfs). */
  refresh(k: Kernel, inode: Inode): 0 | Errno;
  /** Stores changed mode, owner or times. */
  setAttributes(k: Kernel, inode: Inode, change: Partial<Pick<Inode, "mode" | "uid" | "gid" | "atime" | "mtime">>): 0 | Errno;
  statfs(k: Kernel, filesystem: Filesystem): StatFs;
  sync(k: Kernel, inode: Inode): 0 | Errno;
  /** The last reference to an inode without names is gone. */
  release(k: Kernel, inode: Inode): void;
}

/** Behaviour of one kind of open file. `offset` is undefined for the file's own position. User buffers were checked before. */
export interface FileOperations {
  read(k: Kernel, thread: Thread, file: OpenFile, target: Uint8Array, offset: number | undefined): number | Errno | Blocked;
  write(k: Kernel, thread: Thread, file: OpenFile, bytes: Uint8Array, offset: number | undefined): number | Errno | Blocked;
  /** POLLIN 1, POLLOUT 4, POLLERR 8, POLLHUP 16 … that hold now. */
  poll(k: Kernel, file: OpenFile): number;
  /** Keys whose wake-up may change `poll`. */
  pollKeys(k: Kernel, file: OpenFile): readonly WaitKey[];
  ioctl(k: Kernel, thread: Thread, file: OpenFile, request: number, argument: number): number | Errno | Blocked;
  seek(k: Kernel, file: OpenFile, offset: number, whence: number): number | Errno;
  /** The last descriptor is gone. */
  release(k: Kernel, file: OpenFile): void;
}

/** Whose rights a path walk uses. */
export interface PathContext {
  readonly process: Process;
  readonly credentials: Credentials;
}
