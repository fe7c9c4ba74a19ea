// Waiting for several files: poll, select, epoll. Linux man-pages: poll(2), select(2), epoll_ctl(2), epoll_wait(2).
//
// Each looks at every file; when none is ready the thread waits for all their keys until the deadline, and looks again.

import type { Errno } from "../../abi/linux/errno.ts";
import { O_CLOEXEC } from "../../abi/linux/open-flags.ts";
import * as poll from "../../abi/linux/poll.ts";
import { SIGSET_SIZE } from "../../abi/linux/signals.ts";
import {
  decodeTimespec,
  encodeTimespec,
  TIMESPEC_SIZE,
  TIMEVAL_SIZE,
  totalNanoseconds,
  writeTimeval,
} from "../../abi/linux/time.ts";
import { readI32, readI64, readU16, readU32, writeU16, writeU32 } from "../../lib/bytes.ts";
import { createEpoll } from "../fs/anonymous-files.ts";
import { descriptorLimit, getFile, installFile } from "../fs/descriptors.ts";
import { epollChangeKey, epollKeys, markReported, readyInterests, type AskFile } from "../fs/epoll.ts";
import { fileOperations } from "../fs/file-operations.ts";
import { failed } from "../fs/inode.ts";
import { releaseFile } from "../fs/open-file.ts";
import type { OpenFile } from "../fs/types.ts";
import { now } from "../kernel.ts";
import { checkUserRange, copyFromUser } from "../mem/user-memory.ts";
import { useTemporaryMask } from "../process/signals.ts";
import { block, BLOCKED, wake, type Blocked, type WaitKey } from "../wait.ts";
import { give } from "./files-common.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

const ask: AskFile = (k, file) => ({
  events: fileOperations[file.kind].poll(k, file),
  keys: fileOperations[file.kind].pollKeys(k, file),
  news: fileOperations[file.kind].news(k, file),
});

/** Reads a timeout: undefined for none, else the absolute deadline, which a rerun finds in its restart data. */
function readDeadline(call: Call, address: number): { deadlineNs: number | undefined } | Errno {
  const { k, process, thread } = call;
  if (address === 0) return { deadlineNs: undefined };
  if (thread.restart?.deadlineNs !== undefined) return { deadlineNs: thread.restart.deadlineNs };
  const bytes = copyFromUser(k, process.space, address, TIMESPEC_SIZE);
  if (failed(bytes)) return bytes;
  const time = decodeTimespec(bytes);
  return time === undefined ? "EINVAL" : { deadlineNs: now(k) + totalNanoseconds(time) };
}

/** As `readDeadline`, for select's struct timeval, in which Linux takes a million microseconds or more for seconds. */
function readTimevalDeadline(call: Call, address: number): { deadlineNs: number | undefined } | Errno {
  const { k, process, thread } = call;
  if (address === 0) return { deadlineNs: undefined };
  if (thread.restart?.deadlineNs !== undefined) return { deadlineNs: thread.restart.deadlineNs };
  const bytes = copyFromUser(k, process.space, address, TIMEVAL_SIZE);
  if (failed(bytes)) return bytes;
  const [seconds, microseconds] = [readI64(bytes, 0), readI64(bytes, 8)];
  if (seconds < 0 || microseconds < 0) return "EINVAL";
  return { deadlineNs: now(k) + seconds * 1e9 + microseconds * 1000 };
}

/** The deadline of a timeout in milliseconds; negative for none. A rerun finds it in its restart data. */
function deadlineAfter({ k, thread }: Call, timeoutMs: number): number | undefined {
  return thread.restart?.deadlineNs ?? (timeoutMs < 0 ? undefined : now(k) + timeoutMs * 1_000_000);
}

/** Puts the caller's signal mask in force for the wait. */
function readMask(call: Call, address: number, size: number): 0 | Errno {
  if (address === 0) return 0;
  if (size !== SIGSET_SIZE) return "EINVAL";
  const bytes = copyFromUser(call.k, call.process.space, address, SIGSET_SIZE);
  if (failed(bytes)) return bytes;
  useTemporaryMask(call.thread, { lo: readI32(bytes, 0), hi: readI32(bytes, 4) });
  return 0;
}

/** Waits for the keys until the deadline; the deadline is kept for the rerun. */
function waitFor({ k, thread }: Call, keys: readonly WaitKey[], deadlineNs: number | undefined): Blocked {
  thread.restart = { ...thread.restart, ...(deadlineNs === undefined ? {} : { deadlineNs }) };
  return block(k, thread, keys, deadlineNs);
}

/** Tells the caller how much of the timeout is left, as Linux does. */
function giveRemaining(call: Call, address: number, deadlineNs: number | undefined): void {
  // A timeout that cannot be written is not worth a failure: the result stands.
  if (deadlineNs !== undefined && deadlineNs !== Infinity) {
    give(call, address, encodeTimespec(Math.max(0, deadlineNs - now(call.k))));
  }
}

interface Watched {
  readonly file: OpenFile;
  readonly events: number;
}

const isReady = (events: number, wanted: number): number => events & (wanted | poll.POLLERR | poll.POLLHUP);

/** struct pollfd: fd i32, events i16, revents i16. A negative fd is passed over. */
export function pollFiles(
  call: Call,
  address: number,
  count: number,
  deadlineNs: number | undefined,
): number | Errno | Blocked {
  const { k, process } = call;
  if (count > descriptorLimit(process)) return "EINVAL";
  const bytes = copyFromUser(k, process.space, address, count * poll.POLLFD_SIZE);
  if (failed(bytes)) return bytes;
  const watched: Watched[] = [];
  let ready = 0;
  for (let at = 0; at < bytes.length; at += poll.POLLFD_SIZE) {
    const fd = readI32(bytes, at);
    const wanted = readU16(bytes, at + 4);
    let events = 0;
    if (fd >= 0) {
      const file = getFile(process, fd);
      if (failed(file)) events = poll.POLLNVAL;
      else {
        events = isReady(ask(k, file).events, wanted);
        watched.push({ file, events: wanted });
      }
    }
    writeU16(bytes, at + 6, events);
    if (events !== 0) ready += 1;
  }
  if (ready === 0 && (deadlineNs === undefined || now(k) < deadlineNs)) {
    return waitFor(call, keysOf(call, watched), deadlineNs);
  }
  const given = give(call, address, bytes);
  return failed(given) ? given : ready;
}

function keysOf({ k }: Call, watched: readonly Watched[]): WaitKey[] {
  return watched.flatMap(({ file }) => [...ask(k, file).keys]);
}

const ppoll = defineCall({
  name: "ppoll",
  args: [
    { name: "fds", type: "pointer", show: "pollfd:in:nfds" },
    { name: "nfds", type: "uint" },
    { name: "tmo_p", type: "pointer", show: "timespec:in" },
    { name: "sigmask", type: "pointer", show: "sigset:in" },
    { name: "sigsetsize", type: "size" },
  ],
  result: "int",
  onSignal: "interrupt",
  handler: (call, address, count, timeout, mask, maskSize) => {
    const deadline = readDeadline(call, timeout);
    if (failed(deadline)) return deadline;
    const masked = readMask(call, mask, maskSize);
    if (failed(masked)) return masked;
    const result = pollFiles(call, address, count, deadline.deadlineNs);
    if (result !== BLOCKED) giveRemaining(call, timeout, deadline.deadlineNs);
    return result;
  },
});

const pollCall = defineCall({
  name: "poll",
  args: [
    { name: "fds", type: "pointer", show: "pollfd:in:nfds" },
    { name: "nfds", type: "uint" },
    { name: "timeout", type: "int" },
  ],
  result: "int",
  onSignal: "interrupt",
  handler: (call, address, count, timeoutMs) => pollFiles(call, address, count, deadlineAfter(call, timeoutMs)),
});

/** What each set of select means in events of poll. */
const READABLE = poll.POLLIN | poll.POLLRDNORM | poll.POLLRDBAND | poll.POLLHUP | poll.POLLERR;
const WRITABLE = poll.POLLOUT | poll.POLLWRNORM | poll.POLLWRBAND | poll.POLLERR;
const EXCEPTIONAL = poll.POLLPRI;

/** select on three bit sets of `count` descriptors; a null pointer is an empty set. */
export function selectFiles(
  call: Call,
  count: number,
  addresses: readonly [number, number, number],
  deadlineNs: number | undefined,
): number | Errno | Blocked {
  const { k, process } = call;
  if (count < 0) return "EINVAL";
  const limit = Math.min(count, Math.max(descriptorLimit(process), poll.FD_SETSIZE));
  // Sets are made of 64-bit words.
  const size = Math.ceil(limit / 64) * 8;
  const sets: (Uint8Array | undefined)[] = [];
  for (const address of addresses) {
    const bytes = address === 0 ? undefined : copyFromUser(k, process.space, address, size);
    if (failed(bytes)) return bytes;
    sets.push(bytes);
  }
  const results = sets.map((set) => (set === undefined ? undefined : new Uint8Array(size)));
  const watched: Watched[] = [];
  let ready = 0;
  for (let fd = 0; fd < limit; fd++) {
    const isIn = (set: Uint8Array | undefined): boolean =>
      set !== undefined && ((set[fd >> 3] ?? 0) & (1 << (fd & 7))) !== 0;
    if (!sets.some(isIn)) continue;
    const file = getFile(process, fd);
    if (failed(file)) return "EBADF";
    const { events } = ask(k, file);
    watched.push({ file, events });
    for (const [index, wanted] of [READABLE, WRITABLE, EXCEPTIONAL].entries()) {
      const result = results[index];
      if (!isIn(sets[index]) || (events & wanted) === 0 || result === undefined) continue;
      result[fd >> 3] = (result[fd >> 3] ?? 0) | (1 << (fd & 7));
      ready += 1;
    }
  }
  if (ready === 0 && (deadlineNs === undefined || now(k) < deadlineNs)) {
    return waitFor(call, keysOf(call, watched), deadlineNs);
  }
  for (const [index, result] of results.entries()) {
    const given = result === undefined ? 0 : give(call, addresses[index] ?? 0, result);
    if (failed(given)) return given;
  }
  return ready;
}

const pselect6 = defineCall({
  name: "pselect6",
  args: [
    { name: "nfds", type: "int" },
    { name: "readfds", type: "pointer", show: "fdset:in:nfds" },
    { name: "writefds", type: "pointer", show: "fdset:in:nfds" },
    { name: "exceptfds", type: "pointer", show: "fdset:in:nfds" },
    { name: "timeout", type: "pointer", show: "timespec:in" },
    { name: "sigmask", type: "pointer" },
  ],
  result: "int",
  onSignal: "interrupt",
  handler: (call, count, readAddress, writeAddress, exceptAddress, timeout, mask) => {
    const deadline = readDeadline(call, timeout);
    if (failed(deadline)) return deadline;
    if (mask !== 0) {
      // A pointer to { sigset pointer, size }: there is no seventh argument.
      const bytes = copyFromUser(call.k, call.process.space, mask, 16);
      if (failed(bytes)) return bytes;
      const masked = readMask(call, readI64(bytes, 0), readI64(bytes, 8));
      if (failed(masked)) return masked;
    }
    const result = selectFiles(call, count, [readAddress, writeAddress, exceptAddress], deadline.deadlineNs);
    if (result !== BLOCKED) giveRemaining(call, timeout, deadline.deadlineNs);
    return result;
  },
});

const select = defineCall({
  name: "select",
  args: [
    { name: "nfds", type: "int" },
    { name: "readfds", type: "pointer", show: "fdset:in:nfds" },
    { name: "writefds", type: "pointer", show: "fdset:in:nfds" },
    { name: "exceptfds", type: "pointer", show: "fdset:in:nfds" },
    { name: "timeout", type: "pointer", show: "timeval:in" },
  ],
  result: "int",
  onSignal: "interrupt",
  handler: (call, count, readAddress, writeAddress, exceptAddress, timeout) => {
    const deadline = readTimevalDeadline(call, timeout);
    if (failed(deadline)) return deadline;
    const { deadlineNs } = deadline;
    const result = selectFiles(call, count, [readAddress, writeAddress, exceptAddress], deadlineNs);
    if (result !== BLOCKED && deadlineNs !== undefined) {
      const left = new Uint8Array(TIMEVAL_SIZE);
      writeTimeval(left, 0, Math.max(0, deadlineNs - now(call.k)));
      give(call, timeout, left);
    }
    return result;
  },
});

/** epoll_create: the size only has to be positive. */
const epollCreate = defineCall({
  name: "epoll_create",
  args: [{ name: "size", type: "int" }],
  result: "fd",
  handler: (call, size) => (size <= 0 ? "EINVAL" : createEpollDescriptor(call, 0)),
});

const epollCreate1 = defineCall({
  name: "epoll_create1",
  args: [{ name: "flags", type: "flags" }],
  result: "fd",
  handler: createEpollDescriptor,
});

function createEpollDescriptor({ k, process }: Call, flags: number): number | Errno {
  if ((flags & ~poll.EPOLL_CLOEXEC) !== 0) return "EINVAL";
  const file = createEpoll(k);
  if (failed(file)) return file;
  const fd = installFile(k, process, file, { closeOnExec: (flags & O_CLOEXEC) !== 0 });
  if (failed(fd)) releaseFile(k, file);
  return fd;
}

const epollCtl = defineCall({
  name: "epoll_ctl",
  args: [
    { name: "epfd", type: "fd" },
    { name: "op", type: "int", show: "epoll-op" },
    { name: "fd", type: "fd" },
    { name: "event", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process }, epfd, operation, fd, address) => {
    const { size, dataOffset } = k.arch.abi.epollEvent;
    let events = 0;
    let [dataLo, dataHi] = [0, 0];
    if (operation !== poll.EPOLL_CTL_DEL) {
      const bytes = copyFromUser(k, process.space, address, size);
      if (failed(bytes)) return bytes;
      events = readU32(bytes, 0);
      dataLo = readI32(bytes, dataOffset);
      dataHi = readI32(bytes, dataOffset + 4);
    }
    const epoll = getFile(process, epfd);
    const file = getFile(process, fd);
    if (failed(epoll) || failed(file)) return "EBADF";
    if (epoll.interests === undefined || file === epoll) return "EINVAL";
    // Regular files and directories are always ready: nothing to wait for.
    if (file.kind === "file" || file.kind === "directory" || file.kind === "proc") return "EPERM";
    if (file.interests !== undefined && reaches(file, epoll)) return "ELOOP";
    const known = epoll.interests.get(fd);
    const isKnown = known !== undefined && known.file === file && known.file.references > 0;
    switch (operation) {
      case poll.EPOLL_CTL_ADD:
        if (isKnown) return "EEXIST";
        epoll.interests.set(fd, { file, events, dataLo, dataHi, reported: 0, reportedNews: -1, disabled: false });
        break;
      case poll.EPOLL_CTL_MOD:
        if (!isKnown) return "ENOENT";
        Object.assign(known, { events, dataLo, dataHi, reported: 0, reportedNews: -1, disabled: false });
        break;
      case poll.EPOLL_CTL_DEL:
        if (!isKnown) return "ENOENT";
        epoll.interests.delete(fd);
        break;
      default:
        return "EINVAL";
    }
    wake(k, epollChangeKey(epoll));
    return 0;
  },
});

/** Instances inside instances. */
const MAX_NESTING = 4;

/** Whether `from`, an epoll instance, watches `target`, directly or through others; too deep counts as yes. */
function reaches(from: OpenFile, target: OpenFile): boolean {
  let level = new Set<OpenFile>([from]);
  // Level by level, each instance once: there may be far more paths than instances.
  for (let depth = 0; level.size > 0; depth++) {
    if (depth > MAX_NESTING || level.has(target)) return true;
    const next = new Set<OpenFile>();
    for (const { interests } of level) {
      for (const { file } of interests?.values() ?? []) if (file.interests !== undefined) next.add(file);
    }
    level = next;
  }
  return false;
}

/** Waits for up to `limit` events of an epoll instance. */
export function waitEpoll(
  call: Call,
  epfd: number,
  address: number,
  limit: number,
  deadlineNs: number | undefined,
): number | Errno | Blocked {
  const { k, process } = call;
  if (limit <= 0 || limit > 1 << 24) return "EINVAL";
  const epoll = getFile(process, epfd);
  if (failed(epoll)) return epoll;
  if (epoll.interests === undefined) return "EINVAL";
  const ready = readyInterests(k, epoll, ask).slice(0, limit);
  if (ready.length === 0) {
    if (deadlineNs !== undefined && now(k) >= deadlineNs) return 0;
    return waitFor(call, epollKeys(k, epoll, ask), deadlineNs);
  }
  const { size, dataOffset } = k.arch.abi.epollEvent;
  const bytes = new Uint8Array(ready.length * size);
  if (checkUserRange(k, process.space, address, bytes.length, "write") !== 0) return "EFAULT";
  for (const [index, entry] of ready.entries()) {
    const { interest, events } = entry;
    writeU32(bytes, index * size, events);
    writeU32(bytes, index * size + dataOffset, interest.dataLo);
    writeU32(bytes, index * size + dataOffset + 4, interest.dataHi);
    markReported(entry);
  }
  const given = give(call, address, bytes);
  return failed(given) ? given : ready.length;
}

const epollArguments = [
  { name: "epfd", type: "fd" },
  { name: "events", type: "pointer" },
  { name: "maxevents", type: "int" },
] as const;

const epollPwait = defineCall({
  name: "epoll_pwait",
  args: [
    ...epollArguments,
    { name: "timeout", type: "int" },
    { name: "sigmask", type: "pointer", show: "sigset:in" },
    { name: "sigsetsize", type: "size" },
  ],
  result: "int",
  onSignal: "interrupt",
  handler: (call, epfd, address, limit, timeoutMs, mask, maskSize) => {
    const masked = readMask(call, mask, maskSize);
    if (failed(masked)) return masked;
    return waitEpoll(call, epfd, address, limit, deadlineAfter(call, timeoutMs));
  },
});

const epollPwait2 = defineCall({
  name: "epoll_pwait2",
  args: [
    ...epollArguments,
    { name: "timeout", type: "pointer", show: "timespec:in" },
    { name: "sigmask", type: "pointer", show: "sigset:in" },
    { name: "sigsetsize", type: "size" },
  ],
  result: "int",
  onSignal: "interrupt",
  handler: (call, epfd, address, limit, timeout, mask, maskSize) => {
    const deadline = readDeadline(call, timeout);
    if (failed(deadline)) return deadline;
    const masked = readMask(call, mask, maskSize);
    if (failed(masked)) return masked;
    return waitEpoll(call, epfd, address, limit, deadline.deadlineNs);
  },
});

export const pollCalls: readonly SyscallRow[] = [
  ppoll,
  pollCall,
  pselect6,
  select,
  epollCreate,
  epollCreate1,
  epollCtl,
  epollPwait,
  epollPwait2,
];
