// The memory family: brk, mmap, munmap, mprotect, mremap, madvise, mincore, msync, mlock and its kin.
//
// mmap(2), brk(2) and the others. Checks come in Linux's order; what the calls do is in mem/regions.ts and mem/remap.ts.

import * as abi from "../../abi/linux/memory.ts";
import { O_ACCMODE, O_RDONLY, O_RDWR, O_WRONLY } from "../../abi/linux/open-flags.ts";
import { pageAlignUp, PAGE_SIZE, pageOffset, virtAddr, type VirtAddr } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { getFile } from "../fs/descriptors.ts";
import { pathOf } from "../fs/mount-table.ts";
import { allowsWritableMapping } from "../fs/memfd.ts";
import { fileVmo, syncInode } from "../fs/page-cache.ts";
import type { OpenFile } from "../fs/types.ts";
import type { Kernel } from "../kernel.ts";
import { handlePageFault } from "../mem/fault.ts";
import { forEachSlot, type PageMap } from "../mem/page-map.ts";
import { visitRange } from "../mem/page-table.ts";
import {
  checkRange,
  findRegion,
  findRegionAtOrAbove,
  mapRegion,
  protectRange,
  regionsOf,
  setBreak,
  unmapRange,
  type MapRequest,
} from "../mem/regions.ts";
import { adviseRange } from "../mem/advice.ts";
import { remapRange } from "../mem/remap.ts";
import type { AddressSpace, Protection } from "../mem/types.ts";
import { checkUserRange, copyToUser } from "../mem/user-memory.ts";
import { releaseVmo } from "../mem/vmo.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

const brk = defineCall({
  name: "brk",
  args: [{ name: "addr", type: "pointer" }],
  result: "pointer",
  handler: ({ k, process }, address) => setBreak(k, process.space, address),
});

const mmap = defineCall({
  name: "mmap",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
    { name: "prot", type: "flags", show: "mmap-prot" },
    { name: "flags", type: "flags", show: "mmap-flags" },
    { name: "fd", type: "fd" },
    { name: "offset", type: "offset" },
  ],
  result: "pointer",
  handler: (call, address, length, prot, flags, fd, offset) => {
    const { k, process } = call;
    if (pageOffset(offset) !== 0 || offset < 0) return "EINVAL";
    if (!(length > 0)) return "EINVAL";
    const isFixed = (flags & (abi.MAP_FIXED | abi.MAP_FIXED_NOREPLACE)) !== 0;
    if (isFixed && pageOffset(address) !== 0) return "EINVAL";
    const kind = flags & abi.MAP_TYPE;
    if (kind !== abi.MAP_PRIVATE && kind !== abi.MAP_SHARED && kind !== abi.MAP_SHARED_VALIDATE) return "EINVAL";
    const sharing = kind === abi.MAP_PRIVATE ? "private" : "shared";
    const protection = protectionOf(prot);
    const backing =
      (flags & abi.MAP_ANONYMOUS) !== 0 ? anonymous() : fileBacking(call, fd, offset, protection, sharing);
    if (typeof backing === "string") return backing;
    const mapped = mapRegion(k, process.space, {
      address: Number.isNaN(address) ? undefined : address,
      fixed: (flags & abi.MAP_FIXED_NOREPLACE) !== 0 ? "no-replace" : isFixed ? "replace" : undefined,
      length,
      protection,
      sharing,
      growsDown: (flags & abi.MAP_GROWSDOWN) !== 0,
      within: (flags & abi.MAP_32BIT) !== 0 ? k.arch.layout.lowMappings : undefined,
      ...backing,
    });
    if (backing.vmo !== undefined) releaseVmo(k, backing.vmo);
    if (typeof mapped === "string") return mapped;
    if ((flags & (abi.MAP_POPULATE | abi.MAP_LOCKED)) !== 0 && (flags & abi.MAP_NONBLOCK) === 0) {
      populate(k, process.space, mapped, pageAlignUp(length));
    }
    return mapped;
  },
});

const munmap = defineCall({
  name: "munmap",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
  ],
  result: "int",
  handler: ({ k, process }, address, length) => unmapRange(k, process.space, address, length),
});

const mprotect = defineCall({
  name: "mprotect",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
    { name: "prot", type: "flags", show: "mmap-prot" },
  ],
  result: "int",
  handler: ({ k, process: { space } }, address, length, prot) => {
    const known = abi.PROT_READ | abi.PROT_WRITE | abi.PROT_EXEC | abi.PROT_SEM | abi.PROT_GROWSDOWN;
    if ((prot & ~known) !== 0 || pageOffset(address) !== 0) return "EINVAL";
    const region = findRegion(space, address);
    // PROT_GROWSDOWN: down to where the stack begins (glibc asks for it to make stacks executable).
    const isWhole = (prot & abi.PROT_GROWSDOWN) !== 0 && region?.growsDown === true;
    const start = isWhole ? region.start : address;
    if (length > 0 && checkRange(k, start, length + (address - start)) === "EINVAL") return "ENOMEM";
    return protectRange(k, space, start, length + (address - start), protectionOf(prot));
  },
});

const mremap = defineCall({
  name: "mremap",
  args: [
    { name: "old_address", type: "pointer" },
    { name: "old_size", type: "size" },
    { name: "new_size", type: "size" },
    { name: "flags", type: "flags", show: "mremap" },
    { name: "new_address", type: "pointer" },
  ],
  result: "pointer",
  handler: ({ k, process }, oldAddress, oldSize, newSize, flags, newAddress) =>
    remapRange(k, process.space, oldAddress, oldSize, newSize, flags, newAddress),
});

const madvise = defineCall({
  name: "madvise",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
    { name: "advice", type: "int", show: "madvise" },
  ],
  result: "int",
  handler: ({ k, process }, address, length, advice) => adviseRange(k, process.space, address, length, advice),
});

const mincore = defineCall({
  name: "mincore",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
    { name: "vec", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process: { space } }, address, length, vector) => {
    if (pageOffset(address) !== 0) return "EINVAL";
    if (length === 0) return 0;
    const range = checkRange(k, address, length);
    if (typeof range === "string" || !isCovered(space, range.start, range.end)) return "ENOMEM";
    const pages = (range.end - range.start) / PAGE_SIZE;
    if (checkUserRange(k, space, vector, pages, "write") !== 0) return "EFAULT";
    return copyToUser(k, space, vector, residentPages(k, space, range.start, range.end));
  },
});

const msync = defineCall({
  name: "msync",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
    { name: "flags", type: "flags", show: "msync" },
  ],
  result: "int",
  handler: ({ k, process: { space } }, address, length, flags) => {
    const both = abi.MS_ASYNC | abi.MS_SYNC;
    if ((flags & ~(both | abi.MS_INVALIDATE)) !== 0 || (flags & both) === both) return "EINVAL";
    if (pageOffset(address) !== 0) return "EINVAL";
    if (length === 0) return 0;
    const range = checkRange(k, address, length);
    if (typeof range === "string") return "ENOMEM";
    // What is mapped beyond a gap is stored too; the gap is told of at the end.
    let result: 0 | Errno = 0;
    let reached: number = range.start;
    for (const region of [...regionsOf(space, range.start, range.end)]) {
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

// Nothing is ever swapped out, so a locked page is a present page.
const mlock = defineCall({
  name: "mlock",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
  ],
  result: "int",
  handler: ({ k, process: { space } }, address, length) => lock(k, space, address, length),
});

const mlock2 = defineCall({
  name: "mlock2",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
    { name: "flags", type: "uint" },
  ],
  result: "int",
  handler: ({ k, process: { space } }, address, length, flags) => {
    if ((flags & ~abi.MLOCK_ONFAULT) !== 0) return "EINVAL";
    return flags === 0 ? lock(k, space, address, length) : checkCovered(k, space, address, length);
  },
});

const munlock = defineCall({
  name: "munlock",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
  ],
  result: "int",
  handler: ({ k, process: { space } }, address, length) => checkCovered(k, space, address, length),
});

const mlockall = defineCall({
  name: "mlockall",
  args: [{ name: "flags", type: "flags", show: "mlockall" }],
  result: "int",
  handler: ({ k, process: { space } }, flags) => {
    const known = abi.MCL_CURRENT | abi.MCL_FUTURE | abi.MCL_ONFAULT;
    if (flags === 0 || (flags & ~known) !== 0 || flags === abi.MCL_ONFAULT) return "EINVAL";
    if ((flags & abi.MCL_CURRENT) === 0 || (flags & abi.MCL_ONFAULT) !== 0) return 0;
    for (const region of [...regionsOf(space)]) populate(k, space, region.start, region.end - region.start);
    return 0;
  },
});

const munlockall = defineCall({ name: "munlockall", args: [], result: "int", handler: () => 0 });

export const memoryCalls: readonly SyscallRow[] = [
  brk,
  mmap,
  munmap,
  mprotect,
  mremap,
  madvise,
  mincore,
  msync,
  mlock,
  mlock2,
  munlock,
  mlockall,
  munlockall,
];

type Backing = Pick<MapRequest, "vmo" | "vmoOffsetPages" | "purpose" | "file" | "fileOffset" | "maximum">;

const anonymous = (): Backing => ({ purpose: "anonymous" });

function fileBacking(
  { k, process }: Call,
  fd: number,
  offset: number,
  protection: Protection,
  sharing: "private" | "shared",
): Backing | Errno {
  const file = getFile(process, fd);
  if (typeof file === "string") return file;
  const access = file.flags & O_ACCMODE;
  if (access === O_WRONLY) return "EACCES";
  if (sharing === "shared" && protection.write && access !== O_RDWR) return "EACCES";
  const noExec = file.path?.mount.flags.noExec === true;
  if (protection.execute && noExec) return "EPERM";
  // A mapping of /dev/zero is anonymous memory (mmap(2), null(4)).
  if (file.kind === "zero") return anonymous();
  if (file.kind !== "file") return "ENODEV";
  const isShared = sharing === "shared";
  if (isShared && protection.write && !allowsWritableMapping(file)) return "EPERM";
  const vmo = fileVmo(k, file.inode);
  if (typeof vmo === "string") return vmo;
  return {
    vmo,
    vmoOffsetPages: offset / PAGE_SIZE,
    purpose: "file",
    file: { inode: file.inode, path: pathFrom(process.fs.root, file) },
    fileOffset: offset,
    maximum: { read: true, write: !isShared || (access !== O_RDONLY && allowsWritableMapping(file)), execute: !noExec },
  };
}

function pathFrom(root: Parameters<typeof pathOf>[1], file: OpenFile): string {
  return file.path === undefined ? "" : pathOf(file.path, root).path;
}

function protectionOf(prot: number): Protection {
  return {
    read: (prot & abi.PROT_READ) !== 0,
    write: (prot & abi.PROT_WRITE) !== 0,
    execute: (prot & abi.PROT_EXEC) !== 0,
  };
}

/**
 * Faults all pages in, as the program's own writes would; stops quietly at the first that cannot be, and after as many as memory has:
 * pages of zeros share one frame, and would go on until their page tables fill memory.
 */
function populate(k: Kernel, space: AddressSpace, start: number, length: number): void {
  const end = start + Math.min(length, k.memory.size);
  for (let at = start; at < end; at += PAGE_SIZE) {
    const region = findRegion(space, at);
    if (region === undefined) return;
    const { read, write, execute } = region.protection;
    if (!read && !write && !execute) return;
    const access = write ? "write" : read ? "read" : "execute";
    if (handlePageFault(k, space, virtAddr(at), access).kind !== "resolved") return;
  }
}

function lock(k: Kernel, space: AddressSpace, address: number, length: number): 0 | Errno {
  const covered = checkCovered(k, space, address, length);
  if (covered !== 0 || length === 0) return covered;
  const start = address - pageOffset(address);
  populate(k, space, start, pageAlignUp(length + pageOffset(address)));
  return 0;
}

/** The range, widened to pages, is mapped all through. */
function checkCovered(k: Kernel, space: AddressSpace, address: number, length: number): 0 | Errno {
  if (length === 0) return 0;
  const start = address - pageOffset(address);
  const range = checkRange(k, start, length + pageOffset(address));
  return typeof range !== "string" && isCovered(space, range.start, range.end) ? 0 : "ENOMEM";
}

function isCovered(space: AddressSpace, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const region = findRegionAtOrAbove(space, at);
    if (region === undefined || region.start > at) return false;
    at = region.end;
  }
  return true;
}

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
