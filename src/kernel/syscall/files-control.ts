// fcntl, flock and ioctl. Linux man-pages: fcntl(2), flock(2), ioctl(2).

import type { Errno } from "../../abi/linux/errno.ts";
import { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX } from "../../abi/linux/ioctl.ts";
import * as flag from "../../abi/linux/open-flags.ts";
import { readI32, readI64, readU16, writeU16, writeU32, writeU64 } from "../../lib/bytes.ts";
import { getAnyFile, getFile } from "../fs/descriptors.ts";
import { fileOperations } from "../fs/file-operations.ts";
import { failed } from "../fs/inode.ts";
import {
  applyLock,
  findConflict,
  hasRoomForLock,
  lockWaitKey,
  wouldDeadlock,
  type LockFlavour,
  type LockRequest,
} from "../fs/locks.ts";
import { addSeals, getSeals } from "../fs/memfd.ts";
import { pipeOf, setPipeCapacity } from "../fs/pipe.ts";
import type { FileLock, OpenFile } from "../fs/types.ts";
import { copyFromUser, readUser32 } from "../mem/user-memory.ts";
import { block, type Blocked } from "../wait.ts";
import { give } from "./files-common.ts";
import { duplicate } from "./files-open.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

/** Status flags that F_SETFL changes; the others stay as open set them. */
const SETTABLE = flag.O_APPEND | flag.O_NONBLOCK | flag.O_ASYNC | flag.O_DIRECT | flag.O_NOATIME;
/** Commands that descriptors opened with O_PATH take. */
const PATH_COMMANDS: ReadonlySet<number> = new Set([
  flag.F_DUPFD,
  flag.F_DUPFD_CLOEXEC,
  flag.F_GETFD,
  flag.F_SETFD,
  flag.F_GETFL,
]);

const fcntl = defineCall({
  name: "fcntl",
  args: [
    { name: "fd", type: "fd" },
    { name: "cmd", type: "int", show: "fcntl" },
    { name: "arg", type: "long" },
  ],
  result: "int",
  handler: (call, fd, command, argument) => {
    const { process } = call;
    const file = PATH_COMMANDS.has(command) ? getAnyFile(process, fd) : getFile(process, fd);
    const descriptor = process.files.descriptors[fd];
    if (failed(file) || descriptor === undefined) return "EBADF";
    switch (command) {
      case flag.F_DUPFD:
        return duplicate(call, fd, argument | 0, false);
      case flag.F_DUPFD_CLOEXEC:
        return duplicate(call, fd, argument | 0, true);
      case flag.F_GETFD:
        return descriptor.closeOnExec ? flag.FD_CLOEXEC : 0;
      case flag.F_SETFD:
        descriptor.closeOnExec = (argument & flag.FD_CLOEXEC) !== 0;
        return 0;
      case flag.F_GETFL:
        return file.flags;
      case flag.F_SETFL:
        file.flags = (file.flags & ~SETTABLE) | (argument & SETTABLE);
        return 0;
      case flag.F_GETLK:
      case flag.F_OFD_GETLK:
        return getLock(call, file, argument, command === flag.F_OFD_GETLK ? "open-file" : "process");
      case flag.F_SETLK:
      case flag.F_SETLKW:
        return setLock(call, file, argument, "process", command === flag.F_SETLKW ? "wait" : "try");
      case flag.F_OFD_SETLK:
      case flag.F_OFD_SETLKW:
        return setLock(call, file, argument, "open-file", command === flag.F_OFD_SETLKW ? "wait" : "try");
      case flag.F_GETOWN:
      case flag.F_GETSIG:
        return 0;
      case flag.F_SETOWN:
      case flag.F_SETSIG:
        return 0;
      case flag.F_GETPIPE_SZ:
        return pipeOf(call.k, file)?.capacity ?? "EBADF";
      case flag.F_SETPIPE_SZ: {
        const pipe = pipeOf(call.k, file);
        return pipe === undefined ? "EBADF" : setPipeCapacity(call.k, pipe, argument | 0);
      }
      case flag.F_GET_SEALS:
        return getSeals(file);
      case flag.F_ADD_SEALS:
        return addSeals(file, argument);
      case flag.F_GETLEASE:
        return flag.F_UNLCK;
      default:
        return "EINVAL";
    }
  },
});

/** A record lock as struct flock asks for it, in bytes from the start of the file. */
function readLock(
  { k, process }: Call,
  file: OpenFile,
  address: number,
  ownerKind: FileLock["ownerKind"],
): LockRequest | Errno {
  const bytes = copyFromUser(k, process.space, address, flag.FLOCK_SIZE);
  if (failed(bytes)) return bytes;
  const type = readU16(bytes, 0);
  const whence = readU16(bytes, 2);
  if (type !== flag.F_RDLCK && type !== flag.F_WRLCK && type !== flag.F_UNLCK) return "EINVAL";
  if (ownerKind === "open-file" && readI32(bytes, 24) !== 0) return "EINVAL";
  const origin =
    whence === flag.SEEK_SET
      ? 0
      : whence === flag.SEEK_CUR
        ? file.offset
        : whence === flag.SEEK_END
          ? file.inode.size
          : NaN;
  const length = readI64(bytes, 16);
  let start = origin + readI64(bytes, 8);
  let end = length === 0 ? Infinity : start + length;
  if (length < 0) [start, end] = [start + length, start];
  if (!(start >= 0)) return "EINVAL";
  const kind = type === flag.F_RDLCK ? "read" : type === flag.F_WRLCK ? "write" : "unlock";
  return { kind, owner: ownerKind === "process" ? process.pid : file.id, ownerKind, start, end };
}

function getLock(call: Call, file: OpenFile, address: number, ownerKind: FileLock["ownerKind"]): 0 | Errno {
  const request = readLock(call, file, address, ownerKind);
  if (failed(request)) return request;
  if (request.kind === "unlock") return "EINVAL";
  const conflict = findConflict(call.k, file.inode, "record", request);
  const bytes = copyFromUser(call.k, call.process.space, address, flag.FLOCK_SIZE);
  if (failed(bytes)) return bytes;
  if (conflict === undefined) {
    writeU16(bytes, 0, flag.F_UNLCK);
  } else {
    writeU16(bytes, 0, conflict.kind === "read" ? flag.F_RDLCK : flag.F_WRLCK);
    writeU16(bytes, 2, flag.SEEK_SET);
    writeU64(bytes, 8, conflict.start);
    writeU64(bytes, 16, conflict.end === Infinity ? 0 : conflict.end - conflict.start);
    writeU32(bytes, 24, conflict.ownerKind === "process" ? conflict.owner : -1);
  }
  return give(call, address, bytes);
}

function setLock(
  call: Call,
  file: OpenFile,
  address: number,
  ownerKind: FileLock["ownerKind"],
  manner: "wait" | "try",
): 0 | Errno | Blocked {
  const request = readLock(call, file, address, ownerKind);
  if (failed(request)) return request;
  const access = file.flags & flag.O_ACCMODE;
  if (request.kind === "read" && access === flag.O_WRONLY) return "EBADF";
  if (request.kind === "write" && access === flag.O_RDONLY) return "EBADF";
  return takeLock(call, file, "record", request, manner);
}

function takeLock(
  { k, thread, process }: Call,
  file: OpenFile,
  flavour: LockFlavour,
  request: LockRequest,
  manner: "wait" | "try",
): 0 | Errno | Blocked {
  const conflict = findConflict(k, file.inode, flavour, request);
  if (conflict === undefined) {
    if (request.kind !== "unlock" && !hasRoomForLock(k, file.inode, flavour)) return "ENOLCK";
    applyLock(k, file.inode, flavour, request);
    return 0;
  }
  if (manner === "try") return "EAGAIN";
  if (request.ownerKind === "process" && conflict.ownerKind === "process") {
    const waitsFor = (pid: number): number | undefined => {
      for (const tid of k.state.processes.get(pid)?.threads ?? []) {
        const other = k.state.threads.get(tid);
        if (other !== thread && other?.restart?.lockHolder !== undefined) return other.restart.lockHolder;
      }
      return undefined;
    };
    if (wouldDeadlock(process.pid, conflict.owner, waitsFor)) return "EDEADLK";
    thread.restart = { ...thread.restart, lockHolder: conflict.owner };
  }
  return block(k, thread, [lockWaitKey(file.inode, flavour)]);
}

/** Mandatory locks of old: Linux takes the bit and does nothing. */
const LOCK_MAND = 32;

const flock = defineCall({
  name: "flock",
  args: [
    { name: "fd", type: "fd" },
    { name: "operation", type: "flags", show: "flock" },
  ],
  result: "int",
  handler: (call, fd, operation) => {
    const file = getFile(call.process, fd);
    if (failed(file)) return file;
    if ((operation & LOCK_MAND) !== 0) return 0;
    const wanted = operation & ~flag.LOCK_NB;
    const kind =
      wanted === flag.LOCK_SH
        ? "read"
        : wanted === flag.LOCK_EX
          ? "write"
          : wanted === flag.LOCK_UN
            ? "unlock"
            : undefined;
    if (kind === undefined) return "EINVAL";
    const request: LockRequest = { kind, owner: file.id, ownerKind: "open-file", start: 0, end: Infinity };
    return takeLock(call, file, "flock", request, (operation & flag.LOCK_NB) !== 0 ? "try" : "wait");
  },
});

const ioctl = defineCall({
  name: "ioctl",
  args: [
    { name: "fd", type: "fd" },
    { name: "request", type: "uint", show: "ioctl" },
    { name: "argp", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process, thread }, fd, request, argument) => {
    const file = getFile(process, fd);
    const descriptor = process.files.descriptors[fd];
    if (failed(file) || descriptor === undefined) return "EBADF";
    switch (request) {
      case FIOCLEX:
        descriptor.closeOnExec = true;
        return 0;
      case FIONCLEX:
        descriptor.closeOnExec = false;
        return 0;
      case FIONBIO:
      case FIOASYNC: {
        const value = readUser32(k, process.space, argument);
        if (value === undefined) return "EFAULT";
        const bit = request === FIONBIO ? flag.O_NONBLOCK : flag.O_ASYNC;
        file.flags = value === 0 ? file.flags & ~bit : file.flags | bit;
        return 0;
      }
      default:
        return fileOperations[file.kind].ioctl(k, thread, file, request, argument);
    }
  },
});

export const fileControlCalls: readonly SyscallRow[] = [fcntl, flock, ioctl];
