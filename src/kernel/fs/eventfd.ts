// eventfd: a 64-bit counter as a file. Linux man-pages: eventfd(2).
//
//   read   waits for a counter above 0; takes all of it, or 1 with EFD_SEMAPHORE
//   write  adds; waits while the sum would pass 2^64 - 2
//
// The counter is a JS number: exact to 2^53, which a program that counts events does not reach; the limit is kept all the same.

import { O_NONBLOCK } from "../../abi/linux/open-flags.ts";
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../abi/linux/poll.ts";
import { readI32, writeU64 } from "../../lib/bytes.ts";
import { toUnsignedNumber } from "../../lib/word64.ts";
import { block, wake, type WaitKey } from "../wait.ts";
import { defaultOperations } from "./default-operations.ts";
import type { FileOperations, OpenFile } from "./types.ts";

/** 2^64 - 2, the largest counter; as a double it reads 2^64. */
const LARGEST = 2 ** 64 - 2048;

const key = (file: OpenFile): WaitKey => `eventfd:${file.id}`;

export const eventfdOperations: FileOperations = {
  ...defaultOperations,

  readable: (_k, file, limit) => (limit < 8 || file.counter === 0 ? 0 : 8),

  read(k, thread, file, target) {
    if (target.length < 8) return "EINVAL";
    const counter = file.counter ?? 0;
    if (counter === 0) return (file.flags & O_NONBLOCK) !== 0 ? "EAGAIN" : block(k, thread, [key(file)]);
    const taken = file.semaphore === true ? 1 : counter;
    file.counter = counter - taken;
    writeU64(target, 0, taken);
    wake(k, key(file));
    return 8;
  },

  write(k, thread, file, bytes) {
    if (bytes.length < 8) return "EINVAL";
    const added = toUnsignedNumber(readI32(bytes, 4), readI32(bytes, 0));
    if (added >= 2 ** 64) return "EINVAL";
    const counter = (file.counter ?? 0) + added;
    if (counter > LARGEST) return (file.flags & O_NONBLOCK) !== 0 ? "EAGAIN" : block(k, thread, [key(file)]);
    file.counter = counter;
    file.news = (file.news ?? 0) + 1;
    wake(k, key(file));
    return 8;
  },

  poll(_k, file) {
    const counter = file.counter ?? 0;
    return (counter > 0 ? POLLIN | POLLRDNORM : 0) | (counter < LARGEST ? POLLOUT | POLLWRNORM : 0);
  },

  news: (_k, file) => file.news ?? 0,
  pollKeys: (_k, file) => [key(file)],
};
