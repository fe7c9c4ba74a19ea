// What a kind of open file does unless it says otherwise: nothing to read or write, always ready, no position.

import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../abi/linux/poll.ts";
import type { FileOperations } from "./types.ts";

/** The answer of poll for a file that never makes anyone wait. */
export const ALWAYS_READY = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

export const defaultOperations: FileOperations = {
  readable: () => 0,
  read: () => "EINVAL",
  write: () => "EINVAL",
  poll: () => ALWAYS_READY,
  news: () => 0,
  pollKeys: () => [],
  ioctl: () => "ENOTTY",
  seek: () => "ESPIPE",
  release: () => undefined,
};
