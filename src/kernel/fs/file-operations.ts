// The table of open-file behaviour, by kind.

import { ttyOperations } from "../tty/file.ts";
import { channelOperations } from "./channel.ts";
import { defaultOperations } from "./default-operations.ts";
import {
  fullOperations,
  kernelLogOperations,
  nullOperations,
  randomOperations,
  zeroOperations,
} from "./device-files.ts";
import { directoryOperations } from "./directory-file.ts";
import { createEpollOperations } from "./epoll.ts";
import { eventfdOperations } from "./eventfd.ts";
import { pidfdOperations } from "./pidfd.ts";
import { pipeOperations } from "./pipe.ts";
import { procFileOperations } from "./proc-file.ts";
import { regularFileOperations } from "./regular-file.ts";
import type { FileOperations, OpenFileKind } from "./types.ts";

export const fileOperations: Readonly<Record<OpenFileKind, FileOperations>> = {
  file: regularFileOperations,
  directory: directoryOperations,
  // O_PATH: a place, not a file. The system-call layer refuses reads and writes (EBADF) before they come here.
  path: defaultOperations,
  pipe: pipeOperations,
  tty: ttyOperations,
  null: nullOperations,
  zero: zeroOperations,
  full: fullOperations,
  random: randomOperations,
  "kernel-log": kernelLogOperations,
  channel: channelOperations,
  proc: procFileOperations,
  eventfd: eventfdOperations,
  pidfd: pidfdOperations,
  epoll: createEpollOperations((k, file) => ({
    events: fileOperations[file.kind].poll(k, file),
    keys: fileOperations[file.kind].pollKeys(k, file),
    news: fileOperations[file.kind].news(k, file),
  })),
};
