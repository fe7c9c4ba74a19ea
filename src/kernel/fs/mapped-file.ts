// What a mapping of a file does to the file: it keeps it, as an open description does.
//
//   Region ── file ──> Inode    references + 1 for each region; a System V segment counts the same as its attaches
//
// So a host's file can be read and stored after its last descriptor is gone, the pages of a tmpfs stay charged to it, and a shared
// memory segment that was removed goes with its last detach.

import type { Kernel } from "../kernel.ts";
import { noteAttach, noteDetach } from "../ipc/shared-memory.ts";
import type { Region } from "../mem/types.ts";
import { hostfsOperations, openForMapping } from "./hostfs.ts";
import { tmpfsOperations } from "./tmpfs.ts";
import type { Inode } from "./types.ts";

/** A region of a file was inserted or split off. */
export function holdFile(k: Kernel, region: Region): void {
  const { file } = region;
  if (file === undefined) return;
  file.inode.references += 1;
  const mayWrite = region.sharing === "shared" && region.maximum.write;
  if (mayWrite && file.inode.content.kind === "hostfs") openForMapping(k, file.inode);
  const segment = segmentOf(file.inode);
  if (segment !== undefined) noteAttach(k, segment);
}

/** The counterpart of `holdFile`, once for each region, after the region gave up its VMO. */
export function dropFile(k: Kernel, region: Region): void {
  const { file } = region;
  if (file === undefined) return;
  const segment = segmentOf(file.inode);
  if (segment !== undefined) noteDetach(k, segment);
  releaseMappedInode(k, file.inode);
}

/** Gives up one use of a file that is or was mapped. (Not through the table of file systems, which needs the memory code itself.) */
export function releaseMappedInode(k: Kernel, inode: Inode): void {
  inode.references -= 1;
  if (inode.references > 0) return;
  if (inode.content.kind === "hostfs") hostfsOperations.release(k, inode);
  else if (inode.content.kind === "tmpfs-file" && inode.nlink === 0) tmpfsOperations.release(k, inode);
}

function segmentOf({ content }: Inode): number | undefined {
  return content.kind === "tmpfs-file" ? content.segment : undefined;
}
