// fallocate: pages for a file before they are written, and holes in it. Linux man-pages: fallocate(2).
//
//                     tmpfs, memfd                              host folder
//   allocate          pages are made and charged                the file grows
//   KEEP_SIZE         also beyond the end, until truncated      nothing to do
//   PUNCH_HOLE        pages go, from mappings too               zeros are written
//   ZERO_RANGE        EOPNOTSUPP, as on Linux                   zeros are written

import type { Errno } from "../../abi/linux/errno.ts";
import { F_SEAL_GROW } from "../../abi/linux/ipc.ts";
import {
  FALLOC_FL_KEEP_SIZE as KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE as PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE as ZERO_RANGE,
} from "../../abi/linux/open-flags.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import type { Kernel } from "../kernel.ts";
import { clearBytes, punchVmo } from "../mem/file-vmo.ts";
import { releaseFrame } from "../mem/frames.ts";
import { forEachSlot, slotAt } from "../mem/page-map.ts";
import { swapTotals } from "../mem/swap-slots.ts";
import type { Vmo } from "../mem/types.ts";
import { vmoPageOrReclaim } from "../mem/reclaim.ts";
import { dropPages } from "../mem/vmo.ts";
import { filesystemOperations } from "./filesystem-operations.ts";
import { failed, touchModified } from "./inode.ts";
import { contentsOf, MAX_FILE_BYTES, sealsOf, settleUsage, WRITE_SEALS } from "./tmpfs.ts";
import type { Inode } from "./types.ts";

/** Zeros that go to a host's file at a time. */
const ZEROS = new Uint8Array(1 << 16);

/**
 * Whether `mode` (FALLOC_FL_ bits) may be done to bytes [start, end) of a regular file. EOPNOTSUPP for what the file system does not
 * do; EPERM for what seals forbid; EFBIG; ENOSPC for what is sure to be too much.
 */
export function checkAllocation(k: Kernel, inode: Inode, mode: number, start: number, end: number): 0 | Errno {
  if (end > MAX_FILE_BYTES) return "EFBIG";
  if ((mode & ~(KEEP_SIZE | PUNCH_HOLE | ZERO_RANGE)) !== 0) return "EOPNOTSUPP";
  const isHole = (mode & PUNCH_HOLE) !== 0;
  if (isHole && mode !== (PUNCH_HOLE | KEEP_SIZE)) return "EOPNOTSUPP";
  if (inode.content.kind !== "tmpfs-file") return 0;
  if ((mode & ZERO_RANGE) !== 0) return "EOPNOTSUPP";
  const seals = sealsOf(inode);
  if (isHole) return (seals & WRITE_SEALS) === 0 ? 0 : "EPERM";
  if ((seals & F_SEAL_GROW) !== 0 && end > inode.size) return "EPERM";
  return hasRoomFor(k, inode, Math.floor(start / PAGE_SIZE), Math.ceil(end / PAGE_SIZE)) ? 0 : "ENOSPC";
}

/** Whether the time that it takes does not grow with the range. */
export function isAtOnce(inode: Inode, mode: number): boolean {
  if (inode.content.kind === "tmpfs-file") return (mode & PUNCH_HOLE) !== 0;
  return (mode & (PUNCH_HOLE | ZERO_RANGE)) === 0;
}

/** Does it, after `checkAllocation` allowed it. ENOSPC leaves the range as it was. */
export function allocateRange(k: Kernel, inode: Inode, mode: number, start: number, end: number): 0 | Errno {
  const done =
    inode.content.kind === "tmpfs-file"
      ? allocateInMemory(k, inode, mode, start, end)
      : allocateOnHost(k, inode, mode, start, end);
  if (done === 0) touchModified(k, inode);
  return done;
}

function allocateInMemory(k: Kernel, inode: Inode, mode: number, start: number, end: number): 0 | Errno {
  const vmo = contentsOf(k, inode);
  if ((mode & PUNCH_HOLE) !== 0) {
    const pageBytes = pageBytesOf(inode);
    const last = Math.ceil(inode.size / pageBytes) * pageBytes;
    const punched = punch(k, vmo, pageBytes, start, Math.min(end, last));
    settleUsage(inode);
    return punched;
  }
  const allocated = fillHoles(k, inode, vmo, Math.floor(start / PAGE_SIZE), Math.ceil(end / PAGE_SIZE));
  if (allocated !== 0) return allocated;
  if ((mode & KEEP_SIZE) !== 0 || end <= inode.size) return 0;
  const pageBytes = pageBytesOf(inode);
  const size = pageBytes === PAGE_SIZE ? end : Math.ceil(end / pageBytes) * pageBytes;
  return filesystemOperations(inode.filesystem).truncate(k, inode, size);
}

/** A hole in a file whose pages may be large: only whole ones go. */
function punch(k: Kernel, vmo: Vmo, pageBytes: number, start: number, end: number): 0 | Errno {
  if (pageBytes === PAGE_SIZE) return punchVmo(k, vmo, start, end);
  const first = Math.min(end, Math.ceil(start / pageBytes) * pageBytes);
  const last = Math.max(first, Math.floor(end / pageBytes) * pageBytes);
  const before = clearBytes(k, vmo, start, first);
  if (before !== 0) return before;
  return first < last ? punchVmo(k, vmo, first, last) || clearBytes(k, vmo, last, end) : clearBytes(k, vmo, last, end);
}

function pageBytesOf({ content }: Inode): number {
  return content.kind === "tmpfs-file" ? content.pageBytes : PAGE_SIZE;
}

/** Whether the file system, and memory and swap if all else left them, could hold the absent pages of [from, to). */
function hasRoomFor(k: Kernel, inode: Inode, from: number, to: number): boolean {
  const { limitBytes, usedBytes } = inode.filesystem;
  let absent = to - from;
  forEachSlot(contentsOf(k, inode).pages, from, to, () => (absent -= 1));
  const most = k.state.memory.frames.frameCount + swapTotals(k).total;
  return absent <= Math.min(most, (limitBytes - usedBytes) / PAGE_SIZE);
}

/** Makes the absent pages of [from, to), or none: ENOSPC. */
function fillHoles(k: Kernel, inode: Inode, vmo: Vmo, from: number, to: number): 0 | "ENOSPC" {
  const made: number[] = [];
  const { lengthPages } = vmo;
  vmo.lengthPages = Math.max(lengthPages, to); // a page beyond the end can be made now, but not be touched later
  let result: 0 | "ENOSPC" = 0;
  for (let index = from; index < to && result === 0; index++) {
    if (slotAt(vmo.pages, index) !== 0) continue;
    if (failed(vmoPageOrReclaim(k, vmo, index, "read"))) result = "ENOSPC";
    else made.push(index);
  }
  vmo.lengthPages = lengthPages;
  if (result !== 0) {
    for (const index of made) dropPages(k, vmo, index, index + 1, (frame) => releaseFrame(k, frame));
  }
  settleUsage(inode);
  return result;
}

function allocateOnHost(k: Kernel, inode: Inode, mode: number, start: number, end: number): 0 | Errno {
  const operations = filesystemOperations(inode.filesystem);
  const refreshed = operations.refresh(k, inode);
  if (failed(refreshed)) return refreshed;
  if ((mode & (PUNCH_HOLE | ZERO_RANGE)) !== 0) {
    for (let at = start, last = Math.min(end, inode.size); at < last;) {
      const written = operations.writeAt(k, inode, at, ZEROS.subarray(0, last - at));
      if (failed(written)) return written;
      at += written;
    }
  }
  return (mode & KEEP_SIZE) !== 0 || end <= inode.size ? 0 : operations.truncate(k, inode, end);
}
