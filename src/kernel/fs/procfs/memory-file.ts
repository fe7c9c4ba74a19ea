// /proc/PID/mem: the memory of a process as a file, where an offset is an address. proc_pid_mem(5).

import type { Errno } from "../../../abi/linux/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { readForeign, writeForeign } from "../../mem/foreign-memory.ts";
import type { Process } from "../../process/types.ts";
import type { Inode } from "../types.ts";

/** Whether the inode is such a file. */
export function isMemoryFile(inode: Inode): boolean {
  return inode.content.kind === "procfs" && inode.content.node.entry === "mem";
}

/** EIO where the first page is not there, else how many bytes were; 0 for a process that has ended. */
export function readMemoryFile(
  k: Kernel,
  caller: Process,
  inode: Inode,
  address: number,
  target: Uint8Array,
): number | Errno {
  return access(k, caller, inode, (subject) => readForeign(k, subject.space, address, target));
}

export function writeMemoryFile(
  k: Kernel,
  caller: Process,
  inode: Inode,
  address: number,
  bytes: Uint8Array,
): number | Errno {
  return access(k, caller, inode, (subject) => writeForeign(k, subject.space, address, bytes));
}

function access(k: Kernel, caller: Process, inode: Inode, move: (subject: Process) => number): number | Errno {
  const pid = inode.content.kind === "procfs" ? inode.content.node.pid : undefined;
  const subject = k.state.processes.get(pid ?? 0);
  if (subject === undefined || subject.threads.length === 0 || subject.state.kind === "zombie") return 0;
  if (!mayInspect(caller, subject)) return "EACCES";
  const done = move(subject);
  return done === 0 ? "EIO" : done;
}

/** ptrace(2), "Ptrace access mode checking": the same user in all respects, and a process that lets itself be dumped; or root. */
function mayInspect(caller: Process, subject: Process): boolean {
  if (caller === subject || caller.credentials.euid === 0) return true;
  const { fsuid, fsgid } = caller.credentials;
  const { uid, euid, suid, gid, egid, sgid } = subject.credentials;
  const isSame = [uid, euid, suid].every((id) => id === fsuid) && [gid, egid, sgid].every((id) => id === fsgid);
  return isSame && subject.dumpable;
}
