// Calls about memory that is mapped: madvise, process_madvise, mseal, mincore, msync, mlock, mlock2, munlock, mlockall, munlockall.
//
// Checks come in Linux's order; what the calls do is in mem/advice.ts, mem/sealing.ts and mem/locking.ts.

import * as abi from "../../abi/linux/memory.ts";
import { PAGE_SIZE, pageAlignUp, pageOffset, type VirtAddr } from "../../lib/address.ts";
import { readI64 } from "../../lib/bytes.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { getFile } from "../fs/descriptors.ts";
import { syncInode } from "../fs/page-cache.ts";
import { processOfPidfd } from "../fs/pidfd.ts";
import type { Kernel } from "../kernel.ts";
import { adviseRange } from "../mem/advice.ts";
import { lockRange, lockSpace, setLock } from "../mem/locking.ts";
import { forEachSlot, type PageMap } from "../mem/page-map.ts";
import { visitRange } from "../mem/page-table.ts";
import { checkRange, findRegionAtOrAbove, mappedBytes, regionsOf } from "../mem/regions.ts";
import type { AddressSpace } from "../mem/types.ts";
import { sealRange } from "../mem/sealing.ts";
import { checkUserRange, copyFromUser, copyToUser } from "../mem/user-memory.ts";
import { defineCall, type SyscallRow } from "./row.ts";

/** Beyond it, the end of a range wraps around. */
const ADDRESS_LIMIT = 2 ** 64;

/** Most ranges of one process_madvise (UIO_MAXIOV). */
const IOV_MAX = 1024;

const RANGE = [
  { name: "addr", type: "pointer" },
  { name: "length", type: "size" },
] as const;

const madvise = defineCall({
  name: "madvise",
  args: [...RANGE, { name: "advice", type: "int", show: "madvise" }],
  result: "int",
  handler: ({ k, process }, address, length, advice) => adviseRange(k, process.space, address, length, advice),
});

const mseal = defineCall({
  name: "mseal",
  args: [...RANGE, { name: "flags", type: "flags" }],
  result: "int",
  handler: ({ k, process: { space } }, address, length, flags) => {
    if (flags !== 0 || pageOffset(address) !== 0) return "EINVAL";
    const size = pageAlignUp(length);
    if (!(address + size < ADDRESS_LIMIT)) return "EINVAL";
    return size === 0 ? 0 : sealRange(k, space, address, size);
  },
});

/** Advice that one process may give about another's memory. */
const REMOTE_ADVICE: ReadonlySet<number> = new Set([abi.MADV_WILLNEED, abi.MADV_COLD, abi.MADV_PAGEOUT]);

/** process_madvise(2): the bytes that were advised before the first failure, or that failure. */
const processMadvise = defineCall({
  name: "process_madvise",
  args: [
    { name: "pidfd", type: "fd" },
    { name: "iovec", type: "pointer", show: "iovec:in:vlen" },
    { name: "vlen", type: "size" },
    { name: "advice", type: "int", show: "madvise" },
    { name: "flags", type: "uint" },
  ],
  result: "size",
  handler: ({ k, process }, pidfd, vector, count, advice, flags) => {
    if (flags !== 0 || count > IOV_MAX) return "EINVAL";
    const bytes = copyFromUser(k, process.space, vector, count * 16);
    if (bytes === "EFAULT") return "EFAULT";
    const file = getFile(process, pidfd);
    if (typeof file === "string") return file;
    const target = processOfPidfd(k, file);
    if (typeof target === "string") return target;
    if (target.threads.length === 0) return "ESRCH";
    if (target !== process && !REMOTE_ADVICE.has(advice)) return "EINVAL";
    if (target !== process && process.credentials.euid !== 0) return "EPERM";
    let done = 0;
    for (let i = 0; i < count; i++) {
      const length = readI64(bytes, i * 16 + 8);
      const advised = length < 0 ? "EINVAL" : adviseRange(k, target.space, readI64(bytes, i * 16), length, advice);
      if (advised !== 0) return done > 0 ? done : advised;
      done += length;
    }
    return done;
  },
});

const mincore = defineCall({
  name: "mincore",
  args: [...RANGE, { name: "vec", type: "pointer" }],
  result: "int",
  handler: ({ k, process: { space } }, address, length, vector) => {
    if (pageOffset(address) !== 0) return "EINVAL";
    if (length === 0) return 0;
    const range = checkRange(k, address, length);
    if (range === "EINVAL" || mappedBytes(space, range.start, range.end) < range.end - range.start) return "ENOMEM";
    const pages = (range.end - range.start) / PAGE_SIZE;
    if (checkUserRange(k, space, vector, pages, "write") !== 0) return "EFAULT";
    return copyToUser(k, space, vector, residentPages(k, space, range.start, range.end));
  },
});

const msync = defineCall({
  name: "msync",
  args: [...RANGE, { name: "flags", type: "flags", show: "msync" }],
  result: "int",
  handler: ({ k, process: { space } }, address, length, flags) => {
    const both = abi.MS_ASYNC | abi.MS_SYNC;
    if ((flags & ~(both | abi.MS_INVALIDATE)) !== 0 || pageOffset(address) !== 0 || (flags & both) === both)
      return "EINVAL";
    if (length === 0) return 0;
    const range = checkRange(k, address, length);
    if (range === "EINVAL") return "ENOMEM";
    // What is mapped beyond a gap is stored too; the gap is told of at the end.
    let result: 0 | Errno = 0;
    let reached: number = range.start;
    for (const region of regionsOf(space, range.start, range.end)) {
      if (region.start > reached) result = "ENOMEM";
      if ((flags & abi.MS_INVALIDATE) !== 0 && region.locked !== "no") return "EBUSY";
      const start = Math.max(region.start, range.start);
      reached = Math.min(region.end, range.end);
      if ((flags & abi.MS_SYNC) === 0 || region.sharing !== "shared" || region.file === undefined) continue;
      const offset = region.fileOffset - region.start;
      const stored = syncInode(k, region.file.inode, start + offset, reached + offset);
      if (stored !== 0) return stored;
    }
    return reached < range.end ? "ENOMEM" : result;
  },
});

const mlock = defineCall({
  name: "mlock",
  args: RANGE,
  result: "int",
  handler: ({ k, process: { space } }, address, length) => lockRange(k, space, address, length, "present"),
});

const mlock2 = defineCall({
  name: "mlock2",
  args: [...RANGE, { name: "flags", type: "uint" }],
  result: "int",
  handler: ({ k, process: { space } }, address, length, flags) => {
    if ((flags & ~abi.MLOCK_ONFAULT) !== 0) return "EINVAL";
    return lockRange(k, space, address, length, flags === 0 ? "present" : "on-fault");
  },
});

const munlock = defineCall({
  name: "munlock",
  args: RANGE,
  result: "int",
  handler: ({ k, process: { space } }, address, length) => setLock(k, space, address, length, "no"),
});

const mlockall = defineCall({
  name: "mlockall",
  args: [{ name: "flags", type: "flags", show: "mlockall" }],
  result: "int",
  handler: ({ k, process: { space } }, flags) => {
    const known = abi.MCL_CURRENT | abi.MCL_FUTURE | abi.MCL_ONFAULT;
    if (flags === 0 || (flags & ~known) !== 0 || flags === abi.MCL_ONFAULT) return "EINVAL";
    const how = (flags & abi.MCL_ONFAULT) === 0 ? "present" : "on-fault";
    const current = (flags & abi.MCL_CURRENT) === 0 ? undefined : how;
    return lockSpace(k, space, current, (flags & abi.MCL_FUTURE) === 0 ? "no" : how);
  },
});

const munlockall = defineCall({
  name: "munlockall",
  args: [],
  result: "int",
  handler: ({ k, process: { space } }) => lockSpace(k, space, "no", "no"),
});

export const memoryUseCalls: readonly SyscallRow[] = [
  madvise,
  processMadvise,
  mseal,
  mincore,
  msync,
  mlock,
  mlock2,
  munlock,
  mlockall,
  munlockall,
];

/** One byte for each page of the range: 1 where it is mapped, or where its VMO or that VMO's source holds it. */
function residentPages(k: Kernel, space: AddressSpace, start: VirtAddr, end: VirtAddr): Uint8Array {
  const resident = new Uint8Array((end - start) / PAGE_SIZE);
  const mark = (address: number): void => {
    if (address >= start && address < end) resident[(address - start) / PAGE_SIZE] = 1;
  };
  // What is present is visited, not the range: that may be all of the address space.
  visitRange(k, space, start, end, ({ address, isLeaf, level }) => {
    const { size } = k.arch.format.levels[level] ?? { size: PAGE_SIZE };
    for (let page = 0; isLeaf && page < size; page += PAGE_SIZE) mark(address + page);
  });
  for (let region = findRegionAtOrAbove(space, start); region !== undefined && region.start < end;) {
    const { start: first, end: last, vmo, vmoOffsetPages } = region;
    const markPages = (pages: PageMap, offset: number): void =>
      forEachSlot(pages, offset, offset + (last - first) / PAGE_SIZE, (index, slot) => {
        if (slot > 0) mark(first + (index - offset) * PAGE_SIZE);
      });
    markPages(vmo.pages, vmoOffsetPages);
    if (vmo.source.kind === "vmo") markPages(vmo.source.vmo.pages, vmoOffsetPages + vmo.source.offsetPages);
    region = findRegionAtOrAbove(space, last);
  }
  return resident;
}
