// Memory that processes share by key, by id or by descriptor: shmget, shmat, shmdt, shmctl, memfd_create.
//
// Linux man-pages: shmget(2), shmop(2), shmctl(2), memfd_create(2). Checks come in Linux's order; segments live in
// ipc/shared-memory.ts, memfds in fs/memfd.ts.

import type { Errno } from "../../abi/linux/errno.ts";
import * as abi from "../../abi/linux/ipc.ts";
import { RLIMIT_MEMLOCK } from "../../abi/linux/process.ts";
import { PAGE_SIZE, pageOffset } from "../../lib/address.ts";
import { hasFreeDescriptor, installFile } from "../fs/descriptors.ts";
import { currentTime, failed } from "../fs/inode.ts";
import { createMemfd } from "../fs/memfd.ts";
import { releaseFile } from "../fs/open-file.ts";
import { contentsOf } from "../fs/tmpfs.ts";
import {
  createSegment,
  describeSegment,
  findSegment,
  findSegmentByKey,
  highestIndex,
  maySegment,
  ownsSegment,
  removeSegment,
  segmentAt,
} from "../ipc/shared-memory.ts";
import type { Segment } from "../ipc/types.ts";
import { reserveHugePages } from "../mem/huge-mappings.ts";
import { findRegion, findRegionAtOrAbove, mapRegion, unmapRange } from "../mem/regions.ts";
import { copyFromUser } from "../mem/user-memory.ts";
import { give } from "./files-common.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

const shmget = defineCall({
  name: "shmget",
  args: [
    { name: "key", type: "int", show: "ipc-key" },
    { name: "size", type: "size" },
    { name: "shmflg", type: "flags", show: "shmget" },
  ],
  result: "int",
  handler: ({ k, process }, key, size, flags) => {
    const found = key === abi.IPC_PRIVATE ? undefined : findSegmentByKey(k, key);
    if (found !== undefined) {
      if ((flags & abi.IPC_CREAT) !== 0 && (flags & abi.IPC_EXCL) !== 0) return "EEXIST";
      if (found.size < size) return "EINVAL";
      const wanted = (flags >> 6) | (flags >> 3) | flags;
      return maySegment(found, process.credentials, wanted) ? found.id : "EACCES";
    }
    if (key !== abi.IPC_PRIVATE && (flags & abi.IPC_CREAT) === 0) return "ENOENT";
    const created = createSegment(k, process, key, size, flags);
    return failed(created) ? created : created.id;
  },
});

const shmat = defineCall({
  name: "shmat",
  args: [
    { name: "shmid", type: "int" },
    { name: "shmaddr", type: "pointer" },
    { name: "shmflg", type: "flags", show: "shmat" },
  ],
  result: "pointer",
  handler: ({ k, process }, id, address, flags) => {
    const replaces = (flags & abi.SHM_REMAP) !== 0;
    let place: number | undefined;
    if (address === 0) {
      if (replaces) return "EINVAL";
    } else {
      if (Number.isNaN(address)) return "ENOMEM"; // beyond what user space can hold
      const isRounded = (flags & abi.SHM_RND) !== 0;
      if (pageOffset(address) !== 0 && !isRounded) return "EINVAL";
      place = address - pageOffset(address);
      if (place === 0 && replaces) return "EINVAL";
    }
    const write = (flags & abi.SHM_RDONLY) === 0;
    const execute = (flags & abi.SHM_EXEC) !== 0;
    const segment = findSegment(k, id);
    if (failed(segment)) return segment;
    if (!maySegment(segment, process.credentials, 4 | (write ? 2 : 0) | (execute ? 1 : 0))) return "EACCES";
    const { size: length, content } = segment.inode;
    const pageSize = content.kind === "tmpfs-file" ? content.pageBytes : PAGE_SIZE;
    if (place !== undefined && place % pageSize !== 0) return "EINVAL";
    if (place !== undefined && !replaces) {
      const next = findRegionAtOrAbove(process.space, place);
      if (next !== undefined && next.start < place + length) return "EINVAL";
    }
    const mapped = mapRegion(k, process.space, {
      address: place,
      fixed: place === undefined ? undefined : "replace",
      length,
      alignment: pageSize,
      pageLevel: k.arch.format.levels.findIndex(({ size }) => size === pageSize),
      noReserve: pageSize > PAGE_SIZE,
      protection: { read: true, write, execute },
      maximum: { read: true, write, execute: true },
      sharing: "shared",
      vmo: contentsOf(k, segment.inode),
      purpose: "file",
      file: { inode: segment.inode, path: `/SYSV${(segment.key >>> 0).toString(16).padStart(8, "0")}` },
    });
    const region = pageSize === PAGE_SIZE || failed(mapped) ? undefined : findRegion(process.space, mapped);
    if (region === undefined || reserveHugePages(k, process.space, region) === 0) return mapped;
    unmapRange(k, process.space, region.start, length);
    return "ENOMEM";
  },
});

const shmdt = defineCall({
  name: "shmdt",
  args: [{ name: "shmaddr", type: "pointer" }],
  result: "int",
  handler: ({ k, process: { space } }, address) => {
    if (pageOffset(address) !== 0) return "EINVAL";
    // The first region from the address on that is where the segment, attached at that address, would have it; then the other parts.
    let found: { readonly id: number; readonly end: number } | undefined;
    for (let at = address; found === undefined || at < found.end;) {
      const region = findRegionAtOrAbove(space, at);
      if (region === undefined) break;
      at = region.end;
      const content = region.file?.inode.content;
      const id = content?.kind === "tmpfs-file" ? content.segment : undefined;
      if (id === undefined || region.start < address) continue;
      if (region.start - address !== region.vmoOffsetPages * PAGE_SIZE) continue;
      if (found !== undefined && found.id !== id) continue;
      found ??= { id, end: address + (region.file?.inode.size ?? 0) };
      const gone = unmapRange(k, space, region.start, region.end - region.start);
      if (gone !== 0) return gone;
    }
    return found === undefined ? "EINVAL" : 0;
  },
});

const shmctl = defineCall({
  name: "shmctl",
  args: [
    { name: "shmid", type: "int" },
    { name: "cmd", type: "int", show: "shmctl" },
    { name: "buf", type: "pointer", show: "shmid_ds:by-command" },
  ],
  result: "int",
  handler: (call, id, command, address) => {
    const { k, process } = call;
    if (id < 0 || command < 0) return "EINVAL";
    switch (command) {
      case abi.IPC_INFO:
        return give(call, address, abi.encodeShminfo(k.state.sharedMemory.limits)) === 0 ? highestIndex(k) : "EFAULT";
      case abi.SHM_INFO:
        return give(call, address, usage(call)) === 0 ? highestIndex(k) : "EFAULT";
      case abi.IPC_STAT:
      case abi.SHM_STAT:
      case abi.SHM_STAT_ANY: {
        const segment = command === abi.IPC_STAT ? findSegment(k, id) : segmentAt(k, id);
        if (failed(segment)) return segment;
        if (command !== abi.SHM_STAT_ANY && !maySegment(segment, process.credentials, 4)) return "EACCES";
        if (give(call, address, abi.encodeShmidDs(describeSegment(segment))) !== 0) return "EFAULT";
        return command === abi.IPC_STAT ? 0 : segment.id;
      }
      case abi.IPC_SET:
        return change(call, id, address);
      case abi.IPC_RMID: {
        const segment = findSegment(k, id);
        if (failed(segment)) return segment;
        if (!ownsSegment(segment, process.credentials)) return "EPERM";
        removeSegment(k, segment);
        return 0;
      }
      case abi.SHM_LOCK:
      case abi.SHM_UNLOCK: {
        const segment = findSegment(k, id);
        if (failed(segment)) return segment;
        if (!ownsSegment(segment, process.credentials)) return "EPERM";
        const mayLock = process.credentials.euid === 0 || process.limits[RLIMIT_MEMLOCK]?.soft !== 0;
        if (command === abi.SHM_LOCK && !mayLock) return "EPERM";
        if (command === abi.SHM_LOCK) segment.mode |= abi.SHM_LOCKED;
        else segment.mode &= ~abi.SHM_LOCKED;
        return 0;
      }
      default:
        return "EINVAL";
    }
  },
});

/** IPC_SET: owner, group and the permission bits. */
function change({ k, process }: Call, id: number, address: number): 0 | Errno {
  const bytes = copyFromUser(k, process.space, address, abi.SHMID_DS_SIZE);
  if (failed(bytes)) return bytes;
  const segment = findSegment(k, id);
  if (failed(segment)) return segment;
  if (!ownsSegment(segment, process.credentials)) return "EPERM";
  const { uid, gid, mode } = abi.decodeShmidDs(bytes);
  if (uid === 0xffff_ffff || gid === 0xffff_ffff) return "EINVAL";
  segment.uid = uid;
  segment.gid = gid;
  segment.mode = (segment.mode & ~0o777) | (mode & 0o777);
  segment.changeTime = currentTime(k).seconds;
  return 0;
}

function usage({ k }: Call): Uint8Array {
  const { segments, totalPages } = k.state.sharedMemory;
  let residentPages = 0;
  let swappedPages = 0;
  for (const { inode } of segments.values() as Iterable<Segment>) {
    residentPages += inode.vmo?.pages.resident ?? 0;
    swappedPages += inode.vmo?.pages.swapped ?? 0;
  }
  return abi.encodeShmInfo({ segments: segments.size, pages: totalPages, residentPages, swappedPages });
}

const memfdCreate = defineCall({
  name: "memfd_create",
  args: [
    { name: "name", type: "string" },
    { name: "flags", type: "flags", show: "memfd" },
  ],
  result: "fd",
  handler: ({ k, process }, name, flags) => {
    const sizes = (flags & abi.MFD_HUGETLB) === 0 ? 0 : abi.HUGE_PAGE_MASK << abi.HUGE_PAGE_SHIFT;
    const known =
      abi.MFD_CLOEXEC | abi.MFD_ALLOW_SEALING | abi.MFD_HUGETLB | abi.MFD_NOEXEC_SEAL | abi.MFD_EXEC | sizes;
    if ((flags & ~known) !== 0) return "EINVAL";
    if ((flags & abi.MFD_EXEC) !== 0 && (flags & abi.MFD_NOEXEC_SEAL) !== 0) return "EINVAL";
    if (name.length > abi.MFD_NAME_LIMIT) return "EINVAL";
    if (!hasFreeDescriptor(process)) return "EMFILE";
    const file = createMemfd(k, process.credentials, name, flags);
    if (failed(file)) return file;
    const fd = installFile(k, process, file, { closeOnExec: (flags & abi.MFD_CLOEXEC) !== 0 });
    if (failed(fd)) releaseFile(k, file);
    return fd;
  },
});

export const sharedMemoryCalls: readonly SyscallRow[] = [shmget, shmat, shmdt, shmctl, memfdCreate];
