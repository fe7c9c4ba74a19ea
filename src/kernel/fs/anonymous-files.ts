// Open files that no path names: both ends of a pipe, eventfds, epoll instances, streams of the host.

import type { Errno } from "../../abi/linux/errno.ts";
import { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from "../../abi/linux/open-flags.ts";
import { EFD_SEMAPHORE } from "../../abi/linux/poll.ts";
import type { Kernel } from "../kernel.ts";
import { createOpenFile, releaseFile } from "./open-file.ts";
import { createPipe, openPipeEnds } from "./pipe.ts";
import { createAnonymousInode } from "./state.ts";
import type { OpenFile } from "./types.ts";

/** Both ends of a new pipe; `flags` (O_NONBLOCK, O_DIRECT) go to each. */
export function createPipePair(k: Kernel, flags: number): { read: OpenFile; write: OpenFile } | Errno {
  const inode = createAnonymousInode(k, "fifo", { kind: "fifo", pipe: undefined });
  const pipe = createPipe(k, inode);
  const what = { kind: "pipe" as const, inode, path: undefined, pipe: pipe.id };
  const read = createOpenFile(k, { ...what, flags: O_RDONLY | flags });
  if (typeof read === "string") {
    k.state.files.pipes.delete(pipe.id);
    return read;
  }
  openPipeEnds(k, pipe, O_RDONLY);
  const write = createOpenFile(k, { ...what, flags: O_WRONLY | flags });
  if (typeof write === "string") {
    releaseFile(k, read);
    return write;
  }
  openPipeEnds(k, pipe, O_WRONLY);
  return { read, write };
}

/** An eventfd with the counter at `initial`; `flags` are EFD_SEMAPHORE and O_NONBLOCK. */
export function createEventfd(k: Kernel, initial: number, flags: number): OpenFile | Errno {
  const inode = createAnonymousInode(k, "file", { kind: "none" });
  const file = createOpenFile(k, { kind: "eventfd", flags: O_RDWR | (flags & O_NONBLOCK), inode, path: undefined });
  if (typeof file === "string") return file;
  file.counter = initial;
  file.semaphore = (flags & EFD_SEMAPHORE) !== 0;
  return file;
}

export function createEpoll(k: Kernel): OpenFile | Errno {
  const inode = createAnonymousInode(k, "file", { kind: "none" });
  const file = createOpenFile(k, { kind: "epoll", flags: O_RDWR, inode, path: undefined });
  if (typeof file === "string") return file;
  file.interests = new Map();
  return file;
}

/** A file over the host stream `channel`, for a program's standard descriptors. */
export function createChannelFile(k: Kernel, channel: string, flags: number): OpenFile | Errno {
  const inode = createAnonymousInode(k, "fifo", { kind: "channel", channel });
  return createOpenFile(k, { kind: "channel", flags, inode, path: undefined, channel });
}
