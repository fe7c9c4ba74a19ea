// The memory family: brk, mmap, munmap, mprotect, mremap, remap_file_pages, and the calls for protection keys. What is said of memory that
// is mapped (madvise, mlock, msync, …) is in memory-use.ts.
//
// mmap(2), brk(2) and the others. Checks come in Linux's order; what the calls do is in mem/regions.ts and mem/remap.ts.

import * as abi from "../../abi/linux/memory.ts";
import { O_ACCMODE, O_RDONLY, O_RDWR, O_WRONLY } from "../../abi/linux/open-flags.ts";
import { alignUp } from "../../lib/align.ts";
import { pageAlignUp, pageBase, PAGE_SIZE, pageOffset } from "../../lib/address.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { getFile } from "../fs/descriptors.ts";
import { pathOf } from "../fs/mount-table.ts";
import { allowsWritableMapping } from "../fs/memfd.ts";
import { fileVmo } from "../fs/page-cache.ts";
import { MAX_FILE_BYTES } from "../fs/tmpfs.ts";
import type { OpenFile } from "../fs/types.ts";
import type { Kernel } from "../kernel.ts";
import { reserveHugePages } from "../mem/huge-mappings.ts";
import { canLock, populateLocked } from "../mem/locking.ts";
import { populateRange } from "../mem/populate.ts";
import {
  checkRange,
  findRegion,
  findRegionAtOrAbove,
  mapRegion,
  protectRange,
  setBreak,
  unmapRange,
  type MapRequest,
} from "../mem/regions.ts";
import { remapRange } from "../mem/remap.ts";
import type { AddressSpace, Protection } from "../mem/types.ts";
import { releaseVmo, retainVmo } from "../mem/vmo.ts";
import { memoryUseCalls } from "./memory-use.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

/** Flags that MAP_SHARED_VALIDATE lets pass: LEGACY_MAP_MASK of Linux, without MAP_TYPE. */
const VALIDATED_FLAGS =
  abi.MAP_FIXED |
  abi.MAP_ANONYMOUS |
  abi.MAP_32BIT |
  abi.MAP_GROWSDOWN |
  abi.MAP_DENYWRITE |
  abi.MAP_EXECUTABLE |
  abi.MAP_LOCKED |
  abi.MAP_NORESERVE |
  abi.MAP_POPULATE |
  abi.MAP_NONBLOCK |
  abi.MAP_STACK |
  abi.MAP_HUGETLB |
  abi.MAP_HUGE_2MB |
  abi.MAP_HUGE_1GB;

const brk = defineCall({
  name: "brk",
  args: [{ name: "addr", type: "pointer" }],
  result: "pointer",
  handler: ({ k, process: { space } }, address) => {
    const before = space.breakEnd;
    const after = setBreak(k, space, address);
    if (after > before) populateLocked(k, space, pageBase(before), pageAlignUp(after));
    return after;
  },
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
    if (pageOffset(offset) !== 0) return "EINVAL";
    const file = (flags & abi.MAP_ANONYMOUS) === 0 ? getFile(call.process, fd) : undefined;
    if (typeof file === "string") return file;
    return mapMemory(call, address, length, prot, flags, file, offset);
  },
});

function mapMemory(
  { k, process }: Call,
  address: number,
  length: number,
  prot: number,
  flags: number,
  file: OpenFile | undefined,
  offset: number,
): number | Errno {
  const { space } = process;
  const pageSize = pageSizeOf(k, flags, file);
  if (pageSize === "EINVAL" || !(length > 0)) return "EINVAL";
  const isFixed = (flags & (abi.MAP_FIXED | abi.MAP_FIXED_NOREPLACE)) !== 0;
  if (isFixed) {
    if (Number.isNaN(address) || length > k.arch.layout.userTop - address) return "ENOMEM";
    if (pageOffset(address) !== 0) return "EINVAL";
    if (address < k.state.memory.settings.minimumAddress && process.credentials.euid !== 0) return "EPERM";
  }
  if ((flags & abi.MAP_LOCKED) !== 0 && !canLock(space)) return "EPERM";
  const protection = protectionOf(prot);
  const backing =
    file === undefined ? anonymousBacking(flags) : fileBacking(k, process, file, flags, offset, length, protection);
  if (typeof backing === "string") return backing;
  const isLarge = pageSize > PAGE_SIZE;
  const size = alignUp(length, pageSize);
  const mapped = mapRegion(k, space, {
    address: Number.isNaN(address) ? undefined : address,
    fixed: (flags & abi.MAP_FIXED_NOREPLACE) !== 0 ? "no-replace" : isFixed ? "replace" : undefined,
    length: size,
    protection,
    growsDown: (flags & abi.MAP_GROWSDOWN) !== 0,
    within: (flags & abi.MAP_32BIT) !== 0 ? k.arch.layout.lowMappings : undefined,
    alignment: pageSize,
    preferredAlignment: file === undefined ? largestPageWithin(k, size) : undefined,
    locked: (flags & abi.MAP_LOCKED) !== 0 && space.lockFuture === "no" ? "present" : undefined,
    noReserve: ((flags & abi.MAP_NORESERVE) !== 0 && k.state.memory.overcommit.mode !== 2) || isLarge,
    pageLevel: k.arch.format.levels.findIndex((level) => level.size === pageSize),
    ...backing,
  });
  if (backing.vmo !== undefined) releaseVmo(k, backing.vmo);
  if (typeof mapped === "string") return mapped;
  const region = isLarge && (flags & abi.MAP_NORESERVE) === 0 ? findRegion(space, mapped) : undefined;
  if (region !== undefined && reserveHugePages(k, space, region) === "ENOMEM") {
    unmapRange(k, space, mapped, size);
    return "ENOMEM";
  }
  if ((flags & (abi.MAP_POPULATE | abi.MAP_NONBLOCK)) === abi.MAP_POPULATE)
    populateRange(k, space, mapped, mapped + size, "any");
  else populateLocked(k, space, mapped, mapped + size);
  return mapped;
}

const munmap = defineCall({
  name: "munmap",
  args: [
    { name: "addr", type: "pointer" },
    { name: "length", type: "size" },
  ],
  result: "int",
  handler: ({ k, process }, address, length) => unmapRange(k, process.space, address, length),
});

const MPROTECT_ARGUMENTS = [
  { name: "addr", type: "pointer" },
  { name: "length", type: "size" },
  { name: "prot", type: "flags", show: "mmap-prot" },
] as const;

const mprotect = defineCall({
  name: "mprotect",
  args: MPROTECT_ARGUMENTS,
  result: "int",
  handler: ({ k, process: { space } }, address, length, prot) => {
    const grows = prot & (abi.PROT_GROWSDOWN | abi.PROT_GROWSUP);
    if (grows === (abi.PROT_GROWSDOWN | abi.PROT_GROWSUP) || pageOffset(address) !== 0) return "EINVAL";
    if (length === 0) return 0;
    if (checkRange(k, address, length) === "EINVAL") return "ENOMEM";
    if ((prot & ~(grows | abi.PROT_READ | abi.PROT_WRITE | abi.PROT_EXEC | abi.PROT_SEM)) !== 0) return "EINVAL";
    const end = address + pageAlignUp(length);
    const first = findRegionAtOrAbove(space, address);
    if (first === undefined || first.start >= end) return "ENOMEM";
    // No region grows upwards; one that grows down is changed from its start on (glibc asks for that to make stacks executable).
    if ((grows & abi.PROT_GROWSDOWN) === 0 && first.start > address) return "ENOMEM";
    if (grows !== 0 && !((grows & abi.PROT_GROWSDOWN) !== 0 && first.growsDown)) return "EINVAL";
    const start = grows === 0 ? address : first.start;
    const result = protectRange(k, space, start, end - start, protectionOf(prot));
    if (result === 0 && (prot & abi.PROT_WRITE) !== 0) populateLocked(k, space, start, end);
    return result;
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
  handler: ({ k, process: { space } }, oldAddress, oldSize, newSize, flags, newAddress) => {
    const moved = remapRange(k, space, oldAddress, oldSize, newSize, flags, newAddress);
    if (typeof moved === "number" && newSize > oldSize)
      populateLocked(k, space, moved + pageBase(oldSize), moved + newSize);
    return moved;
  },
});

/** Emulated by a new mapping over the old one, as Linux does since 4.0: remap_file_pages(2). */
const remapFilePages = defineCall({
  name: "remap_file_pages",
  args: [
    { name: "addr", type: "pointer" },
    { name: "size", type: "size" },
    { name: "prot", type: "flags", show: "mmap-prot" },
    { name: "pgoff", type: "ulong" },
    { name: "flags", type: "flags", show: "mmap-flags" },
  ],
  result: "int",
  handler: ({ k, process: { space } }, address, size, prot, page, flags) => {
    const start = pageBase(address);
    const length = pageBase(size);
    if (prot !== 0 || !(length > 0) || !(start >= 0) || page + length / PAGE_SIZE > 2 ** 52) return "EINVAL";
    const region = findRegion(space, start);
    if (region?.sharing !== "shared" || !isOneObject(space, start, start + length)) return "EINVAL";
    const { vmo, file, locked } = region;
    retainVmo(vmo);
    const mapped = mapRegion(k, space, {
      address: start,
      fixed: "replace",
      length,
      protection: region.protection,
      maximum: region.maximum,
      sharing: "shared",
      vmo,
      vmoOffsetPages: page,
      purpose: region.purpose,
      file,
      fileOffset: page * PAGE_SIZE,
      locked,
    });
    releaseVmo(k, vmo);
    if (typeof mapped === "string") return mapped;
    if ((flags & abi.MAP_NONBLOCK) === 0) populateRange(k, space, start, start + length, "any");
    return 0;
  },
});

/** Whether regions of one shared object, which need not be in its order, cover the range. */
function isOneObject(space: AddressSpace, start: number, end: number): boolean {
  const first = findRegion(space, start);
  for (let at = start; at < end;) {
    const region = findRegion(space, at);
    if (region === undefined || region.vmo !== first?.vmo || region.sharing !== "shared") return false;
    at = region.end;
  }
  return true;
}

// Protection keys are a feature of processors that these machines do not have: the calls are as in a kernel built without them.
const pkeyMprotect = defineCall({
  name: "pkey_mprotect",
  args: [...MPROTECT_ARGUMENTS, { name: "pkey", type: "int" }],
  result: "int",
  handler: () => "ENOSYS",
});
const pkeyAlloc = defineCall({
  name: "pkey_alloc",
  args: [
    { name: "flags", type: "ulong" },
    { name: "access_rights", type: "ulong" },
  ],
  result: "int",
  handler: () => "ENOSYS",
});
const pkeyFree = defineCall({
  name: "pkey_free",
  args: [{ name: "pkey", type: "int" }],
  result: "int",
  handler: () => "ENOSYS",
});

export const memoryCalls: readonly SyscallRow[] = [
  brk,
  mmap,
  munmap,
  mprotect,
  mremap,
  remapFilePages,
  pkeyMprotect,
  pkeyAlloc,
  pkeyFree,
  ...memoryUseCalls,
];

type Backing = Pick<MapRequest, "sharing" | "vmo" | "vmoOffsetPages" | "purpose" | "file" | "fileOffset" | "maximum">;

function anonymousBacking(flags: number): Backing | Errno {
  switch (flags & abi.MAP_TYPE) {
    case abi.MAP_PRIVATE:
      return { sharing: "private", purpose: "anonymous" };
    case abi.MAP_SHARED:
      return (flags & abi.MAP_GROWSDOWN) === 0 ? { sharing: "shared", purpose: "anonymous" } : "EINVAL";
    default:
      return "EINVAL";
  }
}

function fileBacking(
  k: Kernel,
  process: Call["process"],
  file: OpenFile,
  flags: number,
  offset: number,
  length: number,
  protection: Protection,
): Backing | Errno {
  if (offset < 0 || offset + length > MAX_FILE_BYTES) return "EOVERFLOW";
  const access = file.flags & O_ACCMODE;
  const kind = flags & abi.MAP_TYPE;
  const isShared = kind === abi.MAP_SHARED || kind === abi.MAP_SHARED_VALIDATE;
  if (!isShared && kind !== abi.MAP_PRIVATE) return "EINVAL";
  // No file system here has persistent memory: MAP_SYNC is among the flags that are refused.
  if (kind === abi.MAP_SHARED_VALIDATE && (flags & ~(VALIDATED_FLAGS | abi.MAP_TYPE)) !== 0) return "EOPNOTSUPP";
  if (isShared && protection.write && access !== O_RDWR) return "EACCES";
  if (access === O_WRONLY) return "EACCES";
  const noExec = file.path?.mount.flags.noExec === true;
  if (protection.execute && noExec) return "EPERM";
  // A mapping of /dev/zero is anonymous memory (mmap(2), null(4)); a shared one may be raised to what the file was opened for.
  if (file.kind === "zero") {
    const maximum = { read: true, write: !isShared || access !== O_RDONLY, execute: !noExec };
    return { sharing: isShared ? "shared" : "private", purpose: "anonymous", maximum };
  }
  if (file.kind !== "file") return "ENODEV";
  if ((flags & abi.MAP_GROWSDOWN) !== 0) return "EINVAL";
  if (isShared && protection.write && !allowsWritableMapping(file)) return "EPERM";
  if (offset % pageSizeOfFile(file) !== 0) return "EINVAL";
  const vmo = fileVmo(k, file.inode);
  if (typeof vmo === "string") return vmo;
  const mayWrite = !isShared || (access !== O_RDONLY && allowsWritableMapping(file));
  return {
    sharing: isShared ? "shared" : "private",
    vmo,
    vmoOffsetPages: offset / PAGE_SIZE,
    purpose: "file",
    file: { inode: file.inode, path: file.path === undefined ? "" : pathOf(file.path, process.fs.root).path },
    fileOffset: offset,
    maximum: { read: true, write: mayWrite, execute: !noExec },
  };
}

/** Bytes of the pages that a mapping is to have: more than PAGE_SIZE with MAP_HUGETLB, or for a file that is made of such. */
function pageSizeOf(k: Kernel, flags: number, file: OpenFile | undefined): number | "EINVAL" {
  if (file !== undefined) {
    const size = pageSizeOfFile(file);
    return size === PAGE_SIZE && (flags & abi.MAP_HUGETLB) !== 0 ? "EINVAL" : size;
  }
  if ((flags & abi.MAP_HUGETLB) === 0) return PAGE_SIZE;
  const shift = (flags >>> abi.MAP_HUGE_SHIFT) & abi.MAP_HUGE_MASK;
  const size = 2 ** (shift === 0 ? abi.DEFAULT_HUGE_PAGE_SHIFT : shift);
  return size > PAGE_SIZE && k.arch.format.levels.slice(0, 3).some((level) => level.size === size) ? size : "EINVAL";
}

function pageSizeOfFile({ inode: { content } }: OpenFile): number {
  return content.kind === "tmpfs-file" ? content.pageBytes : PAGE_SIZE;
}

/** The large page that memory of this size is worth being aligned to, where it consists of such (Linux 6.7 and 6.12, thp_get_unmapped_area). */
function largestPageWithin(k: Kernel, size: number): number {
  const large = k.arch.format.levels[1]?.size ?? PAGE_SIZE;
  return size % large === 0 ? large : PAGE_SIZE;
}

function protectionOf(prot: number): Protection {
  return {
    read: (prot & abi.PROT_READ) !== 0,
    write: (prot & abi.PROT_WRITE) !== 0,
    execute: (prot & abi.PROT_EXEC) !== 0,
  };
}
