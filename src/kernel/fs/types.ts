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
  /** Directories: where they stand, kept up to date by rename; undefined for a file system's root. Removed ones keep their last place. */
  place: { readonly parent: Inode; readonly name: string } | undefined;
  /** Open descriptions and mappings that keep it alive after its last name is gone. */
  references: number;
}

export type InodeContent =
  | { kind: "none" }
  | TmpfsFile
  | { kind: "tmpfs-directory"; entries: Map<string, Inode> }
  | { kind: "symlink"; target: string }
  | { kind: "fifo"; pipe: number | undefined }
  | { kind: "procfs"; node: ProcNode }
  /** A stream of the host, for the descriptors that a program is started with. */
  | { kind: "channel"; channel: string }
  | { kind: "hostfs"; path: readonly string[]; handle: number | undefined; writable: boolean };

/** What a file of a tmpfs has beside its contents. */
export interface TmpfsFile {
  readonly kind: "tmpfs-file";
  /** Pages of the contents that have been charged to the file system. */
  pages: number;
  /** F_SEAL_ bits (memfd.ts). */
  seals: number;
  /** Bytes of a page as the program sees it: more than PAGE_SIZE for a memfd of large pages. Sizes are multiples of it. */
  readonly pageBytes: number;
  /** Id of the System V shared memory segment that it is. */
  readonly segment: number | undefined;
  /** Made without a name that linkat may still give it (O_TMPFILE). */
  nameable: boolean;
}

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
  /** Inodes in use and how many there may be, so that empty files cannot fill the host either. */
  inodeCount: number;
  limitInodes: number;
  readonly readOnly: boolean;
  /** hostfs: name of the host directory in HostPorts. */
  readonly host: string | undefined;
  /** hostfs: inodes that the guest has seen, by path joined with "/". */
  readonly known: Map<string, Inode>;
  /** tmpfs: limit and use in bytes. */
  limitBytes: number;
  usedBytes: number;
}

/** Behaviour that mounts may select by name. */
export type FilesystemKind = "tmpfs" | "devfs" | "procfs" | "sysfs" | "hostfs" | "anonymous";

export interface Mount {
  readonly id: number;
  readonly filesystem: Filesystem;
  /** What it shows: the file system's root, or the bound directory or file. */
  readonly root: Inode;
  /** Where it is mounted: the covered directory, undefined for the root of all. */
  over: PathRef | undefined;
  parent: Mount | undefined;
  readonly flags: { readOnly: boolean; noExec: boolean; noSuid: boolean };
  /** Path it was mounted at, for /proc/mounts. */
  path: string;
}

/**
 * A place in the name space: an inode as reached through a mount. For a directory `inode.place` is the truth about its name and parent;
 * `name` and `parent` say how a file was reached.
 */
export interface PathRef {
  readonly mount: Mount;
  readonly inode: Inode;
  readonly parent: PathRef | undefined;
  readonly name: string;
}

export interface FileState {
  /** The first is the root of all. A later mount over the same place hides the earlier. */
  readonly mounts: Mount[];
  /** Pid of the process whose path walk is under way: what /proc/self means. */
  walker: number;
  /** Home of inodes without a name: pipes, eventfds, channels. */
  readonly anonymous: Mount;
  /** A tmpfs that no path leads to: home of memfds and System V shared memory. */
  readonly memory: Mount;
  readonly pipes: Map<number, Pipe>;
  /** Open files that keep a listing or a text, and about how large, oldest first. */
  readonly caches: { readonly sizes: Map<OpenFile, number>; total: number };
  /** Sum of the pipes' capacities: their buffers are memory of the host. */
  pipeCapacity: number;
  /** Slots of all descriptor tables, likewise. */
  descriptorSlots: number;
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
  /** Open descriptions at each end. */
  readers: number;
  writers: number;
  /** Times either end was opened, so that an opener of a FIFO sees a partner that came and went. */
  readerOpens: number;
  writerOpens: number;
  /** Transfers so far at each end: news for the other. */
  reads: number;
  writes: number;
  readonly inode: Inode;
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
  /** Made by memfd_create: although it is open for writing, it does not keep its file from being run. */
  readonly isMemfd?: boolean;
  /** Contents of a procfs file or a directory listing, fixed at open or at rewind. */
  snapshot?: Uint8Array;
  entries?: readonly DirectoryEntry[];
  /** eventfd counter, timerfd and the like. */
  counter?: number;
  semaphore?: boolean;
  /** eventfd: writes so far. */
  news?: number;
  /** pidfd: the process that it names. */
  readonly subject?: { readonly pid: number; readonly startTimeNs: number };
  /** epoll interest list: fd -> mask and user data, and the file it stood for. */
  interests?: Map<number, EpollInterest>;
}

export interface EpollInterest {
  readonly file: OpenFile;
  events: number;
  dataLo: number;
  dataHi: number;
  /** Readiness that was last reported, and the file's count of news then, for edge-triggered interests. */
  reported: number;
  reportedNews: number;
  /** A one-shot interest that has fired. */
  disabled: boolean;
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
  | "proc"
  | "kernel-log"
  | "eventfd"
  | "pidfd"
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
  /** No descriptor below it is free. */
  lowestFree: number;
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
    what: {
      kind: InodeKind;
      mode: number;
      uid: number;
      gid: number;
      target?: string;
      device?: { major: number; minor: number };
    },
  ): Inode | Errno;
  link(k: Kernel, directory: Inode, name: string, inode: Inode): 0 | Errno;
  unlink(k: Kernel, directory: Inode, name: string, inode: Inode): 0 | Errno;
  rmdir(k: Kernel, directory: Inode, name: string, inode: Inode): 0 | Errno;
  rename(k: Kernel, from: Inode, fromName: string, to: Inode, toName: string, flags: number): 0 | Errno;
  /** An object, since a target may be spelt like an error. */
  readlink(k: Kernel, inode: Inode): { readonly target: string } | Errno;
  /** Reads regular-file contents; returns the byte count, 0 at the end. */
  readAt(k: Kernel, inode: Inode, offset: number, target: Uint8Array): number | Errno;
  writeAt(k: Kernel, inode: Inode, offset: number, bytes: Uint8Array): number | Errno;
  truncate(k: Kernel, inode: Inode, size: number): 0 | Errno;
  /** Brings size and times up to date where someone else may have changed them (hostfs, procfs). */
  refresh(k: Kernel, inode: Inode): 0 | Errno;
  /** Stores changed mode, owner or times. */
  setAttributes(
    k: Kernel,
    inode: Inode,
    change: Partial<Pick<Inode, "mode" | "uid" | "gid" | "atime" | "mtime">>,
  ): 0 | Errno;
  statfs(k: Kernel, filesystem: Filesystem): StatFs;
  sync(k: Kernel, inode: Inode): 0 | Errno;
  /** The last reference to an inode without names is gone. */
  release(k: Kernel, inode: Inode): void;
}

/** Behaviour of one kind of open file. `offset` is undefined for the file's own position. User buffers were checked before. */
export interface FileOperations {
  /**
   * Upper bound of what a read of up to `limit` bytes would return now. The caller checks that much of the user's buffer before it
   * reads, so that a bad buffer consumes nothing and a large one is not faulted in for a few bytes.
   */
  readable(k: Kernel, file: OpenFile, limit: number, offset: number | undefined): number;
  read(
    k: Kernel,
    thread: Thread,
    file: OpenFile,
    target: Uint8Array,
    offset: number | undefined,
  ): number | Errno | Blocked;
  write(
    k: Kernel,
    thread: Thread,
    file: OpenFile,
    bytes: Uint8Array,
    offset: number | undefined,
  ): number | Errno | Blocked;
  /** POLLIN 1, POLLOUT 4, POLLERR 8, POLLHUP 16 … that hold now. */
  poll(k: Kernel, file: OpenFile): number;
  /** Counts what happened that a watcher of edges must hear of although `poll` may say the same as before. */
  news(k: Kernel, file: OpenFile): number;
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
