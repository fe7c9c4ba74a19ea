// memfds: files of the kernel's own tmpfs that only descriptors name, and the seals that restrict them.
//
//   fd ── OpenFile ── PathRef "memfd:NAME" in the memory mount ── Inode (no links) ── VMO
//
//   seal            what it forbids from then on                    asked by
//   SEAL            further seals                                   addSeals
//   SHRINK, GROW    a smaller, a larger size                        truncate, fallocate, write
//   WRITE           any change of the contents                      write, hole punching, shared writable mappings
//   FUTURE_WRITE    the same, but mappings that are there go on     likewise
//   EXEC            a change of the execute bits                    chmod
//
// Linux man-pages: memfd_create(2), fcntl(2) "File sealing".

import type { Errno } from "../../abi/linux/errno.ts";
import {
  ALL_SEALS,
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  hugePageBytes,
  MFD_ALLOW_SEALING,
  MFD_HUGETLB,
  MFD_NOEXEC_SEAL,
} from "../../abi/linux/ipc.ts";
import { O_ACCMODE, O_LARGEFILE, O_RDONLY, O_RDWR } from "../../abi/linux/open-flags.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import type { Vmo } from "../mem/types.ts";
import type { Credentials } from "../process/types.ts";
import { createInode } from "./inode.ts";
import { createOpenFile } from "./open-file.ts";
import { sealsOf, tmpfsFile, WRITE_SEALS } from "./tmpfs.ts";
import type { OpenFile } from "./types.ts";

/** An empty file of that name, open for reading and writing. ENODEV for a size of large pages that there is not; ENFILE. */
export function createMemfd(k: Kernel, credentials: Credentials, name: string, flags: number): OpenFile | Errno {
  const pageBytes = (flags & MFD_HUGETLB) === 0 ? PAGE_SIZE : hugePageBytes(flags);
  if (typeof pageBytes === "string") return pageBytes;
  const { memory } = k.state.files;
  const isSealedNoExec = (flags & MFD_NOEXEC_SEAL) !== 0;
  const seals = isSealedNoExec ? F_SEAL_EXEC : (flags & MFD_ALLOW_SEALING) !== 0 ? 0 : F_SEAL_SEAL;
  const inode = createInode(k, memory.filesystem, {
    kind: "file",
    mode: isSealedNoExec ? 0o666 : 0o777,
    uid: credentials.fsuid,
    gid: credentials.fsgid,
    content: tmpfsFile(seals, { pageBytes }),
  });
  const path = { mount: memory, inode, parent: undefined, name: `memfd:${name}` };
  const file = createOpenFile(k, { kind: "file", flags: O_RDWR | O_LARGEFILE, inode, path, isMemfd: true });
  if (file === "ENFILE") memory.filesystem.inodeCount -= 1;
  return file;
}

/** F_GET_SEALS; EINVAL for a file that cannot have any. */
export function getSeals({ inode }: OpenFile): number | "EINVAL" {
  return inode.content.kind === "tmpfs-file" ? inode.content.seals : "EINVAL";
}

/** F_ADD_SEALS. EPERM for a file that is open for reading only or sealed against seals; EBUSY for WRITE while a mapping may write. */
export function addSeals(file: OpenFile, seals: number): 0 | Errno {
  const { content, mode, vmo } = file.inode;
  if ((file.flags & O_ACCMODE) === O_RDONLY) return "EPERM";
  if ((seals & ~ALL_SEALS) !== 0 || content.kind !== "tmpfs-file") return "EINVAL";
  if ((content.seals & F_SEAL_SEAL) !== 0) return "EPERM";
  const addsWrite = (seals & ~content.seals & F_SEAL_WRITE) !== 0;
  if (addsWrite && vmo !== undefined && isMappedWritable(vmo)) return "EBUSY";
  content.seals |= seals;
  // A program that cannot be made unexecutable any more is not to change either.
  if ((seals & F_SEAL_EXEC) !== 0 && (mode & 0o111) !== 0) {
    content.seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
  }
  return 0;
}

/** Whether the seals let the file be written through new shared mappings. */
export function allowsWritableMapping({ inode }: OpenFile): boolean {
  return (sealsOf(inode) & WRITE_SEALS) === 0;
}

/** A shared mapping that may be made writable counts, whether it is writable now or not. */
function isMappedWritable(vmo: Vmo): boolean {
  for (const { sharing, maximum } of vmo.mappings) if (sharing === "shared" && maximum.write) return true;
  return false;
}
