// Pipes and FIFOs: a ring of bytes between descriptions. Linux man-pages: pipe(7), fifo(7).
//
//        head            head + length
//   |     |##############|        |    ring of `buffer.length` bytes, grown up to `capacity`
//
//   read    nothing there: 0 without writers, else wait          write   no readers: EPIPE (and SIGPIPE from the caller)
//   write   of up to PIPE_BUF bytes: all or none                         longer: what fits, then wait; progress is restart data
//
// A thread that waits in open of a FIFO counts as a partner already: it is found by its restart data, so that nothing has to be undone
// when a signal ends its wait.

import { FIONREAD } from "../../abi/linux/ioctl.ts";
import { O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY, PIPE_BUF } from "../../abi/linux/open-flags.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../abi/linux/poll.ts";
import { writeU32 } from "../../lib/bytes.ts";
import type { Kernel } from "../kernel.ts";
import { copyToUser } from "../mem/user-memory.ts";
import { block, wake, type WaitKey } from "../wait.ts";
import { defaultOperations } from "./default-operations.ts";
import { touchAccessed, touchModified } from "./inode.ts";
import type { FileOperations, Inode, OpenFile, Pipe } from "./types.ts";

export const PIPE_CAPACITY = 65536;
/** Capacity of a pipe that is made when all pipes together have what they may. */
const PIPE_SMALL_CAPACITY = 4096;
/** Largest capacity that F_SETPIPE_SZ gives. */
export const PIPE_MAX_CAPACITY = 1048576;

/** Woken when bytes come or the last writer goes; when room comes or the last reader goes. */
export const pipeReadableKey = (pipe: number): WaitKey => `pipe:${pipe}:readable`;
export const pipeWritableKey = (pipe: number): WaitKey => `pipe:${pipe}:writable`;
/** Waiting in open of a FIFO for the other end. */
export const pipeOpenKey = (pipe: number, end: "read" | "write"): WaitKey => `pipe:${pipe}:open-${end}`;

/** Bytes that all pipes together may hold, but for the small ones. */
const limitCapacity = (k: Kernel): number => Math.max(2 * PIPE_MAX_CAPACITY, k.memory.size / 4);

/** Makes a pipe behind `inode`, with no end open. */
export function createPipe(k: Kernel, inode: Inode): Pipe {
  const { files } = k.state;
  const capacity = files.pipeCapacity + PIPE_CAPACITY > limitCapacity(k) ? PIPE_SMALL_CAPACITY : PIPE_CAPACITY;
  files.pipeCapacity += capacity;
  const pipe: Pipe = {
    id: k.state.nextIds.pipe++,
    buffer: new Uint8Array(0),
    head: 0,
    length: 0,
    capacity,
    readers: 0,
    writers: 0,
    readerOpens: 0,
    writerOpens: 0,
    reads: 0,
    writes: 0,
    inode,
  };
  k.state.files.pipes.set(pipe.id, pipe);
  if (inode.content.kind === "fifo") inode.content.pipe = pipe.id;
  return pipe;
}

/** Counts a new description in; the ends follow from its access mode. */
export function openPipeEnds(k: Kernel, pipe: Pipe, flags: number): void {
  if ((flags & O_ACCMODE) !== O_WRONLY) {
    pipe.readers += 1;
    pipe.readerOpens += 1;
    wake(k, pipeOpenKey(pipe.id, "write"));
  }
  if ((flags & O_ACCMODE) !== O_RDONLY) {
    pipe.writers += 1;
    pipe.writerOpens += 1;
    wake(k, pipeOpenKey(pipe.id, "read"));
  }
}

/** Descriptions at an end, and threads that are on their way to open it. */
export function countEnd(k: Kernel, pipe: Pipe, end: "read" | "write"): number {
  const open = end === "read" ? pipe.readers : pipe.writers;
  if (open > 0 || pipe.inode.nlink === 0) return open;
  let opening = 0;
  const key = pipeOpenKey(pipe.id, end);
  for (const thread of k.state.threads.values()) if (thread.restart?.fifoOpening === key) opening += 1;
  return opening;
}

export const pipeOperations: FileOperations = {
  ...defaultOperations,

  readable: (k, file, limit) => Math.min(limit, pipeOf(k, file)?.length ?? 0),

  read(k, thread, file, target) {
    const pipe = pipeOf(k, file);
    if (pipe === undefined || target.length === 0) return 0;
    if (pipe.length === 0) {
      if (countEnd(k, pipe, "write") === 0) return 0;
      return (file.flags & O_NONBLOCK) !== 0 ? "EAGAIN" : block(k, thread, [pipeReadableKey(pipe.id)]);
    }
    const count = takeBytes(pipe, target);
    pipe.reads += 1;
    touchAccessed(k, pipe.inode);
    wake(k, pipeWritableKey(pipe.id));
    return count;
  },

  write(k, thread, file, bytes) {
    const pipe = pipeOf(k, file);
    if (pipe === undefined || countEnd(k, pipe, "read") === 0) return "EPIPE";
    if (bytes.length === 0) return 0;
    const room = pipe.capacity - pipe.length;
    const needed = bytes.length <= PIPE_BUF ? Math.min(bytes.length, pipe.capacity) : 1;
    if (room < needed) {
      return (file.flags & O_NONBLOCK) !== 0 ? "EAGAIN" : block(k, thread, [pipeWritableKey(pipe.id)]);
    }
    const count = Math.min(room, bytes.length);
    putBytes(pipe, bytes.subarray(0, count));
    pipe.writes += 1;
    touchModified(k, pipe.inode);
    wake(k, pipeReadableKey(pipe.id));
    return count;
  },

  poll(k, file) {
    const pipe = pipeOf(k, file);
    if (pipe === undefined) return POLLERR;
    let events = 0;
    if ((file.flags & O_ACCMODE) !== O_WRONLY) {
      if (pipe.length > 0) events |= POLLIN | POLLRDNORM;
      // A FIFO that no writer has opened yet has not been hung up either.
      if (countEnd(k, pipe, "write") === 0 && pipe.writerOpens > (file.counter ?? 0)) events |= POLLHUP;
    }
    if ((file.flags & O_ACCMODE) !== O_RDONLY) {
      if (pipe.capacity - pipe.length >= PIPE_BUF) events |= POLLOUT | POLLWRNORM;
      if (countEnd(k, pipe, "read") === 0) events |= POLLERR;
    }
    return events;
  },

  news(k, file) {
    const pipe = pipeOf(k, file);
    return (file.flags & O_ACCMODE) === O_WRONLY ? (pipe?.reads ?? 0) : (pipe?.writes ?? 0);
  },

  pollKeys(_k, file) {
    const pipe = file.pipe ?? 0;
    return [pipeReadableKey(pipe), pipeWritableKey(pipe)];
  },

  ioctl(k, thread, file, request, argument) {
    if (request !== FIONREAD) return "ENOTTY";
    const bytes = new Uint8Array(4);
    writeU32(bytes, 0, pipeOf(k, file)?.length ?? 0);
    return copyToUser(k, thread.process.space, argument, bytes);
  },

  release(k, file) {
    const pipe = pipeOf(k, file);
    if (pipe === undefined) return;
    if ((file.flags & O_ACCMODE) !== O_WRONLY) {
      pipe.readers -= 1;
      if (pipe.readers === 0) wake(k, pipeWritableKey(pipe.id));
    }
    if ((file.flags & O_ACCMODE) !== O_RDONLY) {
      pipe.writers -= 1;
      if (pipe.writers === 0) wake(k, pipeReadableKey(pipe.id));
    }
    if (countEnd(k, pipe, "read") > 0 || countEnd(k, pipe, "write") > 0) return;
    k.state.files.pipes.delete(pipe.id);
    k.state.files.pipeCapacity -= pipe.capacity;
    if (pipe.inode.content.kind === "fifo") pipe.inode.content.pipe = undefined;
  },
};

export function pipeOf(k: Kernel, file: OpenFile): Pipe | undefined {
  return file.pipe === undefined ? undefined : k.state.files.pipes.get(file.pipe);
}

/** F_SETPIPE_SZ: the capacity becomes a power of two of pages, at least `bytes`. */
export function setPipeCapacity(k: Kernel, pipe: Pipe, bytes: number): number | "EBUSY" | "EPERM" | "EINVAL" {
  if (bytes <= 0) return "EINVAL";
  if (bytes > PIPE_MAX_CAPACITY) return "EPERM";
  let capacity = 4096;
  while (capacity < bytes) capacity *= 2;
  if (capacity < pipe.length) return "EBUSY";
  const { files } = k.state;
  const grown = files.pipeCapacity + capacity - pipe.capacity;
  if (capacity > pipe.capacity && grown > limitCapacity(k)) return "EPERM";
  files.pipeCapacity = grown;
  pipe.capacity = capacity;
  if (pipe.buffer.length > capacity) resize(pipe, capacity);
  wake(k, pipeWritableKey(pipe.id));
  return capacity;
}

function takeBytes(pipe: Pipe, target: Uint8Array): number {
  const count = Math.min(target.length, pipe.length);
  const first = Math.min(count, pipe.buffer.length - pipe.head);
  target.set(pipe.buffer.subarray(pipe.head, pipe.head + first));
  target.set(pipe.buffer.subarray(0, count - first), first);
  pipe.head = count === pipe.length ? 0 : (pipe.head + count) % pipe.buffer.length;
  pipe.length -= count;
  return count;
}

/** Appends; the caller has made sure that there is room within the capacity. */
function putBytes(pipe: Pipe, bytes: Uint8Array): void {
  const needed = pipe.length + bytes.length;
  if (needed > pipe.buffer.length)
    resize(pipe, Math.min(pipe.capacity, Math.max(needed, 2 * pipe.buffer.length, 4096)));
  const start = (pipe.head + pipe.length) % pipe.buffer.length;
  const first = Math.min(bytes.length, pipe.buffer.length - start);
  pipe.buffer.set(bytes.subarray(0, first), start);
  pipe.buffer.set(bytes.subarray(first), 0);
  pipe.length += bytes.length;
}

function resize(pipe: Pipe, size: number): void {
  const buffer = new Uint8Array(size);
  const length = takeBytes(pipe, buffer);
  pipe.buffer = buffer;
  pipe.head = 0;
  pipe.length = length;
}
