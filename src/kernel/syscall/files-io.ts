// read, write and their kin: from user buffers to open files.
//
//   read    how much is there? -> check that much of the buffer -> take it -> copy out      (a bad buffer consumes nothing)
//   write   copy in a piece -> give it to the file -> next piece; progress of a blocked write is restart data
//
// Linux man-pages: read(2), write(2), readv(2), lseek(2).

import type { Errno } from "../../abi/linux/errno.ts";
import {
  ALL_SPLICE_FLAGS,
  IOV_MAX,
  MAX_RW_COUNT,
  O_ACCMODE,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  RWF_APPEND,
  RWF_DSYNC,
  RWF_HIPRI,
  RWF_NOWAIT,
  RWF_SYNC,
  SPLICE_F_NONBLOCK,
  O_APPEND,
} from "../../abi/linux/open-flags.ts";
import { SIGNALS } from "../../abi/linux/signals.ts";
import { readI64 } from "../../lib/bytes.ts";
import { getFile } from "../fs/descriptors.ts";
import { fileOperations } from "../fs/file-operations.ts";
import { failed } from "../fs/inode.ts";
import { hasSizeLimit } from "../fs/regular-file.ts";
import type { OpenFile, OpenFileKind } from "../fs/types.ts";
import { checkUserRange, copyFromUser, copyFromUserInto, copyToUser } from "../mem/user-memory.ts";
import { hasDeliverableSignal, kernelSignal, sendThreadSignal } from "../process/signals.ts";
import { now } from "../kernel.ts";
import { block, BLOCKED, cancelWait, type Blocked } from "../wait.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

/** A piece of user memory. */
export interface UserBuffer {
  readonly address: number;
  readonly length: number;
}

/** Bytes that go through the kernel at a time. */
const CHUNK = 1 << 20;
/** Bytes after which a longer transfer lets others run: one call may ask for 2 GiB. What procfs gives is made word by word. */
const burstOf = (file: OpenFile): number => (file.kind === "proc" ? CHUNK : 16 * CHUNK);

/** Room for a read that finds nothing sure: at least an eventfd's 8 bytes and the most that VMIN asks for. */
const SMALL_READ = 256;

/** Files whose reads go on until the buffer is full; others give what they have. */
const CONTINUES: ReadonlySet<OpenFileKind> = new Set(["file", "zero", "full", "random", "proc"]);
const SEEKABLE: ReadonlySet<OpenFileKind> = new Set([
  "file",
  "directory",
  "null",
  "zero",
  "full",
  "random",
  "kernel-log",
  "proc",
]);

/** Reads into user memory, at the file's position or at `offset`. */
export function readToUser(
  call: Call,
  file: OpenFile,
  buffers: readonly UserBuffer[],
  offset: number | undefined,
): number | Errno | Blocked {
  const { k, thread } = call;
  if ((file.flags & O_ACCMODE) === O_WRONLY) return "EBADF";
  if (file.kind === "directory") return "EISDIR";
  const total = Math.min(totalLength(buffers), MAX_RW_COUNT);
  if (total === 0 && file.kind !== "eventfd") return 0;
  const operations = fileOperations[file.kind];
  const before = call.thread.restart?.done ?? 0;
  const burst = burstOf(file);
  let done = before;
  do {
    if (done - before >= burst) return pauseTransfer(call, done);
    const at = offset === undefined ? undefined : offset + done;
    const wanted = Math.min(total - done, CHUNK);
    const there = operations.readable(k, file, wanted, at);
    if (there === 0 && done > 0) break;
    if (there > 0 && !isWritable(call, buffers, done, there)) return done > 0 ? done : "EFAULT";
    // Where nothing is there, the read says why: end of file, not yet, an error, or a timed terminal read that makes do with less.
    const target = new Uint8Array(there > 0 ? there : Math.min(wanted, SMALL_READ));
    const count = operations.read(k, thread, file, target, at);
    if (failed(count)) return done > 0 && count !== BLOCKED ? done : count;
    const stored = scatter(call, buffers, done, target.subarray(0, count));
    if (stored !== 0) return stored;
    done += count;
    if (count < there || count === 0) break;
  } while (done < total && CONTINUES.has(file.kind));
  return done;
}

/** Writes from user memory, at the file's position or at `offset`. */
export function writeFromUser(
  call: Call,
  file: OpenFile,
  buffers: readonly UserBuffer[],
  offset: number | undefined,
): number | Errno | Blocked {
  const { k, process } = call;
  if ((file.flags & O_ACCMODE) === O_RDONLY) return "EBADF";
  const total = Math.min(totalLength(buffers), MAX_RW_COUNT);
  if (total === 0) return file.kind === "eventfd" ? "EINVAL" : 0;
  return writePieces(call, file, total, offset, (done, length) => {
    const [only] = buffers;
    if (buffers.length === 1 && only !== undefined) {
      return copyFromUser(k, process.space, only.address + done, length);
    }
    return gather(call, buffers, done, length);
  });
}

/**
 * Writes `total` bytes, which `piece` hands out, as far as the file takes them. What was done before a wait, an error or a signal
 * counts: it is the result, or restart data while the thread waits.
 */
export function writePieces(
  call: Call,
  file: OpenFile,
  total: number,
  offset: number | undefined,
  piece: (done: number, length: number) => Uint8Array | Errno,
): number | Errno | Blocked {
  const { k, thread, hart } = call;
  const operations = fileOperations[file.kind];
  const before = thread.restart?.done ?? 0;
  const burst = burstOf(file);
  let done = before;
  while (done < total) {
    if (done - before >= burst) return pauseTransfer(call, done);
    const bytes = piece(done, Math.min(CHUNK, total - done));
    if (failed(bytes)) return done > 0 ? done : bytes;
    const count = operations.write(k, thread, file, bytes, offset === undefined ? undefined : offset + done);
    if (count === BLOCKED) {
      if (done === 0) return BLOCKED;
      if (hasDeliverableSignal(k, thread)) {
        cancelWait(k, thread);
        thread.state = { kind: "running", hart };
        return done;
      }
      thread.restart = { ...thread.restart, done };
      return BLOCKED;
    }
    if (failed(count)) {
      if (count === "EPIPE") sendThreadSignal(k, thread, kernelSignal(SIGNALS.SIGPIPE));
      if (count === "EFBIG" && done === 0 && hasSizeLimit(call.process))
        sendThreadSignal(k, thread, kernelSignal(SIGNALS.SIGXFSZ));
      return done > 0 ? done : count;
    }
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Ends a burst: the call goes on when the thread has its turn again, or ends with what was done if a signal is there for it. */
function pauseTransfer({ k, thread }: Call, done: number): number | Blocked {
  if (hasDeliverableSignal(k, thread)) return done;
  thread.restart = { ...thread.restart, done };
  return block(k, thread, [], now(k));
}

function totalLength(buffers: readonly UserBuffer[]): number {
  let total = 0;
  for (const { length } of buffers) total += length;
  return total;
}

/** Calls `use` with each stretch of user memory that bytes [from, from + length) of the buffers occupy, until it fails. */
function forEachStretch(
  buffers: readonly UserBuffer[],
  from: number,
  length: number,
  use: (address: number, length: number, at: number) => 0 | "EFAULT",
): 0 | "EFAULT" {
  let skip = from;
  let at = 0;
  for (const buffer of buffers) {
    if (at >= length) break;
    if (skip >= buffer.length) {
      skip -= buffer.length;
      continue;
    }
    const part = Math.min(buffer.length - skip, length - at);
    const done = use(buffer.address + skip, part, at);
    if (done !== 0) return done;
    at += part;
    skip = 0;
  }
  return 0;
}

function isWritable({ k, process }: Call, buffers: readonly UserBuffer[], from: number, length: number): boolean {
  return (
    forEachStretch(buffers, from, length, (address, part) =>
      checkUserRange(k, process.space, address, part, "write"),
    ) === 0
  );
}

function scatter({ k, process }: Call, buffers: readonly UserBuffer[], from: number, bytes: Uint8Array): 0 | "EFAULT" {
  return forEachStretch(buffers, from, bytes.length, (address, part, at) =>
    copyToUser(k, process.space, address, bytes.subarray(at, at + part)),
  );
}

function gather(call: Call, buffers: readonly UserBuffer[], from: number, length: number): Uint8Array | "EFAULT" {
  const { k, process } = call;
  const bytes = new Uint8Array(length);
  const done = forEachStretch(buffers, from, length, (address, part, at) =>
    copyFromUserInto(k, process.space, address, bytes.subarray(at, at + part)),
  );
  return done === 0 ? bytes : done;
}

/** struct iovec: base and length, 8 bytes each. */
function readVectors({ k, process }: Call, address: number, count: number): UserBuffer[] | Errno {
  if (count < 0 || count > IOV_MAX) return "EINVAL";
  const bytes = copyFromUser(k, process.space, address, count * 16);
  if (failed(bytes)) return bytes;
  const buffers: UserBuffer[] = [];
  for (let i = 0; i < count; i++) {
    const length = readI64(bytes, i * 16 + 8);
    if (length < 0) return "EINVAL";
    buffers.push({ address: readI64(bytes, i * 16), length });
  }
  return totalLength(buffers) > Number.MAX_SAFE_INTEGER ? "EINVAL" : buffers;
}

/** The file for a transfer at an offset of the caller's: it must have positions. */
function seekableFile({ process }: Call, fd: number, offset: number): OpenFile | Errno {
  if (offset < 0) return "EINVAL";
  const file = getFile(process, fd);
  if (failed(file)) return file;
  return SEEKABLE.has(file.kind) ? file : "ESPIPE";
}

const read = defineCall({
  name: "read",
  args: [
    { name: "fd", type: "fd" },
    { name: "buf", type: "pointer", show: "buffer:out:RESULT" },
    { name: "count", type: "size" },
  ],
  result: "size",
  handler: (call, fd, address, length) => {
    const file = getFile(call.process, fd);
    return failed(file) ? file : readToUser(call, file, [{ address, length }], undefined);
  },
});

const write = defineCall({
  name: "write",
  args: [
    { name: "fd", type: "fd" },
    { name: "buf", type: "pointer", show: "buffer:in:count" },
    { name: "count", type: "size" },
  ],
  result: "size",
  handler: (call, fd, address, length) => {
    const file = getFile(call.process, fd);
    return failed(file) ? file : writeFromUser(call, file, [{ address, length }], undefined);
  },
});

const pread64 = defineCall({
  name: "pread64",
  args: [
    { name: "fd", type: "fd" },
    { name: "buf", type: "pointer", show: "buffer:out:RESULT" },
    { name: "count", type: "size" },
    { name: "offset", type: "offset" },
  ],
  result: "size",
  handler: (call, fd, address, length, offset) => {
    const file = seekableFile(call, fd, offset);
    return failed(file) ? file : readToUser(call, file, [{ address, length }], offset);
  },
});

const pwrite64 = defineCall({
  name: "pwrite64",
  args: [
    { name: "fd", type: "fd" },
    { name: "buf", type: "pointer", show: "buffer:in:count" },
    { name: "count", type: "size" },
    { name: "offset", type: "offset" },
  ],
  result: "size",
  handler: (call, fd, address, length, offset) => {
    const file = seekableFile(call, fd, offset);
    return failed(file) ? file : writeFromUser(call, file, [{ address, length }], offset);
  },
});

const writeVectorArguments = [
  { name: "fd", type: "fd" },
  { name: "iov", type: "pointer", show: "iovec:in:iovcnt" },
  { name: "iovcnt", type: "int" },
] as const;
const readVectorArguments = [
  { name: "fd", type: "fd" },
  { name: "iov", type: "pointer", show: "iovec:out:iovcnt" },
  { name: "iovcnt", type: "int" },
] as const;

const readv = defineCall({
  name: "readv",
  args: readVectorArguments,
  result: "size",
  handler: (call, fd, address, count) => transferVectors(call, getFile(call.process, fd), address, count, readToUser),
});

const writev = defineCall({
  name: "writev",
  args: writeVectorArguments,
  result: "size",
  handler: (call, fd, address, count) =>
    transferVectors(call, getFile(call.process, fd), address, count, writeFromUser),
});

// The offset of the vector calls comes in two halves, low first; on a 64-bit machine the first holds all of it.
const preadv = defineCall({
  name: "preadv",
  args: [...readVectorArguments, { name: "offset", type: "offset" }],
  result: "size",
  handler: (call, fd, address, count, offset) =>
    transferVectors(call, seekableFile(call, fd, offset), address, count, readToUser, offset),
});

const pwritev = defineCall({
  name: "pwritev",
  args: [...writeVectorArguments, { name: "offset", type: "offset" }],
  result: "size",
  handler: (call, fd, address, count, offset) =>
    transferVectors(call, seekableFile(call, fd, offset), address, count, writeFromUser, offset),
});

const KNOWN_RWF = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;

const preadv2 = defineCall({
  name: "preadv2",
  args: [
    ...readVectorArguments,
    { name: "offset", type: "offset" },
    { name: "offset_high", type: "ulong" },
    { name: "flags", type: "flags" },
  ],
  result: "size",
  handler: (call, fd, address, count, offset, _high, flags) => {
    if ((flags & ~KNOWN_RWF) !== 0) return "EOPNOTSUPP";
    if (offset === -1) return transferVectors(call, getFile(call.process, fd), address, count, readToUser);
    return transferVectors(call, seekableFile(call, fd, offset), address, count, readToUser, offset);
  },
});

const pwritev2 = defineCall({
  name: "pwritev2",
  args: [
    ...writeVectorArguments,
    { name: "offset", type: "offset" },
    { name: "offset_high", type: "ulong" },
    { name: "flags", type: "flags" },
  ],
  result: "size",
  handler: (call, fd, address, count, offset, _high, flags) => {
    if ((flags & ~KNOWN_RWF) !== 0) return "EOPNOTSUPP";
    const file = offset === -1 ? getFile(call.process, fd) : seekableFile(call, fd, offset);
    if (failed(file)) return file;
    const before = file.flags;
    if ((flags & RWF_APPEND) !== 0) file.flags |= O_APPEND;
    const result = transferVectors(call, file, address, count, writeFromUser, offset === -1 ? undefined : offset);
    file.flags = before;
    return result;
  },
});

/** The pipe gets copies, as it may (vmsplice(2)): a page that the program writes later is not the pipe's. */
const vmsplice = defineCall({
  name: "vmsplice",
  args: [...writeVectorArguments, { name: "flags", type: "flags" }],
  result: "size",
  handler: (call, fd, address, count, flags) => {
    if ((flags & ~ALL_SPLICE_FLAGS) !== 0) return "EINVAL";
    const file = getFile(call.process, fd);
    if (failed(file)) return file;
    if (file.kind !== "pipe") return "EBADF";
    const before = file.flags;
    const transfer = (before & O_ACCMODE) === O_RDONLY ? readToUser : writeFromUser;
    file.flags |= O_NONBLOCK;
    const result = transferVectors(call, file, address, count, transfer);
    file.flags = before;
    const mayWait = ((flags & SPLICE_F_NONBLOCK) | (before & O_NONBLOCK)) === 0;
    // It waits for some room or some bytes, and takes what there is then.
    return result === "EAGAIN" && mayWait ? transferVectors(call, file, address, count, transfer) : result;
  },
});

function transferVectors(
  call: Call,
  file: OpenFile | Errno,
  address: number,
  count: number,
  transfer: typeof readToUser,
  offset?: number,
): number | Errno | Blocked {
  if (failed(file)) return file;
  const buffers = readVectors(call, address, count);
  return failed(buffers) ? buffers : transfer(call, file, buffers, offset);
}

const lseek = defineCall({
  name: "lseek",
  args: [
    { name: "fd", type: "fd" },
    { name: "offset", type: "offset" },
    { name: "whence", type: "int", show: "seek-whence" },
  ],
  result: "size",
  handler: ({ k, process }, fd, offset, whence) => {
    const file = getFile(process, fd);
    if (failed(file)) return file;
    if (whence < 0 || whence > 4) return "EINVAL";
    return fileOperations[file.kind].seek(k, file, offset, whence);
  },
});

export const fileTransferCalls: readonly SyscallRow[] = [
  read,
  write,
  pread64,
  pwrite64,
  readv,
  writev,
  preadv,
  pwritev,
  preadv2,
  pwritev2,
  vmsplice,
  lseek,
];
