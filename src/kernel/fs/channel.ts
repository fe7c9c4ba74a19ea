// Files over a stream of the host: the standard descriptors of a program that `run` starts. Like a pipe whose other end is outside.

import { FIONREAD } from "../../abi/linux/ioctl.ts";
import { O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../abi/linux/open-flags.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../abi/linux/poll.ts";
import { writeU32 } from "../../lib/bytes.ts";
import type { Kernel } from "../kernel.ts";
import { copyToUser } from "../mem/user-memory.ts";
import { block, wake, type WaitKey } from "../wait.ts";
import { defaultOperations } from "./default-operations.ts";
import type { FileOperations, OpenFile } from "./types.ts";

/** Woken when the host has input for the channel. */
export const channelInputKey = (channel: string): WaitKey => `channel:${channel}:input`;

export const channelOperations: FileOperations = {
  ...defaultOperations,

  readable(k, file, limit) {
    return Math.max(0, Math.min(limit, channelOf(k, file)?.available() ?? -1));
  },

  read(k, thread, file, target) {
    const channel = channelOf(k, file);
    if (channel === undefined) return "EIO";
    if (target.length === 0) return 0;
    const bytes = channel.read(target.length);
    if (bytes === undefined) {
      return (file.flags & O_NONBLOCK) !== 0 ? "EAGAIN" : block(k, thread, [channelInputKey(file.channel ?? "")]);
    }
    target.set(bytes);
    return bytes.length;
  },

  write(k, _thread, file, bytes) {
    const channel = channelOf(k, file);
    if (channel === undefined) return "EIO";
    if (!channel.isOpen()) return "EPIPE";
    channel.write(bytes);
    return bytes.length;
  },

  poll(k, file) {
    const channel = channelOf(k, file);
    if (channel === undefined) return POLLERR;
    let events = 0;
    if ((file.flags & O_ACCMODE) !== O_WRONLY) {
      const available = channel.available();
      if (available !== 0) events |= POLLIN | POLLRDNORM;
      if (available < 0) events |= POLLHUP;
    }
    if ((file.flags & O_ACCMODE) !== O_RDONLY) events |= channel.isOpen() ? POLLOUT | POLLWRNORM : POLLERR;
    return events;
  },

  pollKeys: (_k, file) => [channelInputKey(file.channel ?? "")],

  ioctl(k, thread, file, request, argument) {
    if (request !== FIONREAD) return "ENOTTY";
    const bytes = new Uint8Array(4);
    writeU32(bytes, 0, Math.max(0, channelOf(k, file)?.available() ?? 0));
    return copyToUser(k, thread.process.space, argument, bytes);
  },
};

/** The host says that `channel` has bytes or has ended: readers and pollers look again. */
export function wakeChannelReaders(k: Kernel, channel: string): void {
  wake(k, channelInputKey(channel));
}

function channelOf(k: Kernel, file: OpenFile) {
  return file.channel === undefined ? undefined : k.host.channels.get(file.channel);
}
