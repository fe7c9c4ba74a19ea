// Descriptor tables: fd -> open file description. A lowest-free mark keeps open cheap with ten thousand files.

import { O_PATH } from "../../abi/linux/open-flags.ts";
import { RLIMIT_NOFILE } from "../../abi/linux/process.ts";
import type { Kernel } from "../kernel.ts";
import type { Process } from "../process/types.ts";
import { releaseProcessLocks } from "./locks.ts";
import { releaseFile, retainFile } from "./open-file.ts";
import type { FileTable, OpenFile } from "./types.ts";

/** Most descriptors that any limit allows (fs.nr_open). */
export const MAX_DESCRIPTORS = 1048576;

export function createFileTable(): FileTable {
  return { descriptors: [], lowestFree: 0, sharers: 1 };
}

/** The file of a descriptor, also one opened with O_PATH. */
export function getAnyFile(process: Process, fd: number): OpenFile | "EBADF" {
  return process.files.descriptors[fd]?.file ?? "EBADF";
}

/** The file of a descriptor that may be read, written and asked; O_PATH descriptors are not. */
export function getFile(process: Process, fd: number): OpenFile | "EBADF" {
  const file = process.files.descriptors[fd]?.file;
  return file === undefined || (file.flags & O_PATH) !== 0 ? "EBADF" : file;
}

/**
 * Puts a file, whose reference the table takes over, at the lowest free descriptor from `lowest` on. With EMFILE the reference stays
 * the caller's.
 */
export function installFile(
  k: Kernel,
  process: Process,
  file: OpenFile,
  options: { closeOnExec: boolean; lowest?: number },
): number | "EMFILE" | "ENFILE" {
  const table = process.files;
  const { descriptors } = table;
  const lowest = options.lowest ?? 0;
  let fd = Math.max(lowest, table.lowestFree);
  while (descriptors[fd] !== undefined) fd += 1;
  if (fd >= descriptorLimit(process)) return "EMFILE";
  if (!hasRoomFor(k, fd + 1 - descriptors.length)) return "ENFILE";
  if (lowest <= table.lowestFree) table.lowestFree = fd + 1;
  placeDescriptor(k, table, fd, file, options.closeOnExec);
  return fd;
}

/**
 * Whether all tables together may have so many slots more. Forked tables of many descriptors cost the host memory that no frame
 * stands for: 40 bytes a slot.
 */
export function hasRoomFor(k: Kernel, slots: number): boolean {
  return slots <= 0 || k.state.files.descriptorSlots + slots <= Math.max(262144, k.memory.size / 128);
}

/** Whether one more descriptor would fit; lets a call fail before it has effects. */
export function hasFreeDescriptor(process: Process): boolean {
  const { descriptors, lowestFree } = process.files;
  let fd = lowestFree;
  while (descriptors[fd] !== undefined) fd += 1;
  return fd < descriptorLimit(process);
}

/** dup2 and dup3: `file`, whose reference the table takes over, becomes descriptor `fd`; what was there is closed. */
export function replaceDescriptor(
  k: Kernel,
  process: Process,
  fd: number,
  file: OpenFile,
  options: { closeOnExec: boolean },
): number {
  if (process.files.descriptors[fd] !== undefined) closeDescriptor(k, process, fd);
  if (process.files.lowestFree === fd) process.files.lowestFree = fd + 1;
  placeDescriptor(k, process.files, fd, file, options.closeOnExec);
  return fd;
}

export function descriptorLimit(process: Process): number {
  return Math.min(process.limits[RLIMIT_NOFILE]?.soft ?? 1024, MAX_DESCRIPTORS);
}

export function closeDescriptor(k: Kernel, process: Process, fd: number): 0 | "EBADF" {
  const table = process.files;
  const descriptor = table.descriptors[fd];
  if (descriptor === undefined) return "EBADF";
  table.descriptors[fd] = undefined;
  if (fd === table.descriptors.length - 1) {
    while (table.descriptors.length > 0 && table.descriptors.at(-1) === undefined) {
      table.descriptors.pop();
      k.state.files.descriptorSlots -= 1;
    }
  }
  table.lowestFree = Math.min(table.lowestFree, fd);
  releaseProcessLocks(k, process.pid, descriptor.file.inode);
  releaseFile(k, descriptor.file);
  return 0;
}

/** The table of a forked child: the same files, each with one more reference. */
export function cloneFileTable(k: Kernel, table: FileTable): FileTable {
  k.state.files.descriptorSlots += table.descriptors.length;
  const descriptors = table.descriptors.map((descriptor) => {
    if (descriptor === undefined) return undefined;
    return { file: retainFile(descriptor.file), closeOnExec: descriptor.closeOnExec };
  });
  return { descriptors, lowestFree: table.lowestFree, sharers: 1 };
}

/** execve: closes what is marked, in a table of the process's own. */
export function closeOnExec(k: Kernel, process: Process): void {
  unshareFiles(k, process);
  for (let fd = process.files.descriptors.length - 1; fd >= 0; fd--) {
    if (process.files.descriptors[fd]?.closeOnExec === true) closeDescriptor(k, process, fd);
  }
}

/** Gives the process a table of its own when others share it. */
export function unshareFiles(k: Kernel, process: Process): void {
  if (process.files.sharers === 1) return;
  process.files.sharers -= 1;
  process.files = cloneFileTable(k, process.files);
}

/** The process is done with its table; the last sharer closes every file. */
export function releaseFileTable(k: Kernel, process: Process): void {
  const table = process.files;
  table.sharers -= 1;
  if (table.sharers > 0) return;
  for (let fd = table.descriptors.length - 1; fd >= 0; fd--) {
    if (table.descriptors[fd] !== undefined) closeDescriptor(k, process, fd);
  }
}

function placeDescriptor(k: Kernel, table: FileTable, fd: number, file: OpenFile, closeOnExec: boolean): void {
  k.state.files.descriptorSlots += Math.max(0, fd + 1 - table.descriptors.length);
  // Holes are explicit, so that the array stays dense and clones cheaply.
  while (table.descriptors.length < fd) table.descriptors.push(undefined);
  table.descriptors[fd] = { file, closeOnExec };
}
