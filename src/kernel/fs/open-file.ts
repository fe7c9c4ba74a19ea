// Open file descriptions: made by open, pipe and the like, shared by dup and fork, gone with the last descriptor.

import type { Kernel } from "../kernel.ts";
import { fileOperations } from "./file-operations.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import { releaseOpenFileLocks } from "./locks.ts";
import type { Inode, OpenFile, OpenFileKind, PathRef } from "./types.ts";

/** Descriptions there may be at once: file-max, by Linux's rule of one per ten KiB, and never below what one process may ask for. */
function limitOpenFiles(k: Kernel): number {
  return Math.max(32768, Math.floor(k.memory.size / 10240));
}

/** Makes a description with one reference. Counts as a use of the inode. */
export function createOpenFile(
  k: Kernel,
  what: {
    kind: OpenFileKind;
    flags: number;
    inode: Inode;
    path: PathRef | undefined;
    pipe?: number;
    tty?: number;
    channel?: string;
    subject?: OpenFile["subject"];
    isMemfd?: boolean;
  },
): OpenFile | "ENFILE" {
  const { files, nextIds } = k.state;
  if (files.openFiles.size >= limitOpenFiles(k)) return "ENFILE";
  const file: OpenFile = { id: nextIds.openFile++, offset: 0, references: 1, ...what };
  retainInode(what.inode);
  files.openFiles.add(file);
  return file;
}

export function retainFile(file: OpenFile): OpenFile {
  file.references += 1;
  return file;
}

/** Gives up one reference; the last one closes the description. */
export function releaseFile(k: Kernel, file: OpenFile): void {
  file.references -= 1;
  if (file.references > 0) return;
  releaseOpenFileLocks(k, file);
  fileOperations[file.kind].release(k, file);
  k.state.files.openFiles.delete(file);
  releaseInode(k, file.inode);
}

export function retainInode(inode: Inode): void {
  inode.references += 1;
}

/** Gives up one use of an inode; without a use and without a name it is gone, contents and all. */
export function releaseInode(k: Kernel, inode: Inode): void {
  inode.references -= 1;
  if (inode.references > 0) return;
  if (inode.nlink === 0 || inode.filesystem.kind === "hostfs") filesystemOperations(inode.filesystem).release(k, inode);
}
