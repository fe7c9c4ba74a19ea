// pidfds: a process as a file, which names that process alone however often its pid is used again. Linux man-pages: pidfd_open(2).
//
//   fd ── OpenFile ── pid and start time ──> the process, while it is there
//   poll   readable from the time it has ended

import type { Errno } from "../../abi/linux/errno.ts";
import { O_NONBLOCK, O_RDWR } from "../../abi/linux/open-flags.ts";
import { POLLHUP, POLLIN, POLLRDNORM } from "../../abi/linux/poll.ts";
import type { Kernel } from "../kernel.ts";
import type { Process } from "../process/types.ts";
import type { WaitKey } from "../wait.ts";
import { defaultOperations } from "./default-operations.ts";
import { createOpenFile } from "./open-file.ts";
import { createAnonymousInode } from "./state.ts";
import type { FileOperations, OpenFile } from "./types.ts";

/** A file for the process with that pid and start time; of `flags` O_NONBLOCK counts. */
export function createPidfd(
  k: Kernel,
  subject: { readonly pid: number; readonly startTimeNs: number },
  flags: number,
): OpenFile | Errno {
  const inode = createAnonymousInode(k, "file", { kind: "none" });
  const { pid, startTimeNs } = subject;
  const what = { kind: "pidfd", flags: O_RDWR | (flags & O_NONBLOCK), inode, path: undefined } as const;
  return createOpenFile(k, { ...what, subject: { pid, startTimeNs } });
}

/** The process of a pidfd, a zombie included; "ESRCH" when it has been waited for, EBADF for another kind of file. */
export function processOfPidfd(k: Kernel, { subject }: OpenFile): Process | "EBADF" | "ESRCH" {
  if (subject === undefined) return "EBADF";
  const process = k.state.processes.get(subject.pid);
  return process?.startTimeNs === subject.startTimeNs ? process : "ESRCH";
}

/** Woken when the process ends. */
export const endWaitKey = (pid: number): WaitKey => `end:${pid}`;

export const pidfdOperations: FileOperations = {
  ...defaultOperations,

  poll(k, file) {
    const process = processOfPidfd(k, file);
    if (typeof process === "string") return POLLIN | POLLRDNORM | POLLHUP;
    return process.state.kind === "zombie" ? POLLIN | POLLRDNORM : 0;
  },

  pollKeys: (_k, { subject }) => (subject === undefined ? [] : [endWaitKey(subject.pid)]),
};
