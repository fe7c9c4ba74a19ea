// An open terminal: read, write, poll. termios(3).

import { ICANON, VMIN, VTIME } from "../../abi/linux/ioctl.ts";
import { O_NONBLOCK } from "../../abi/linux/open-flags.ts";
import { POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../abi/linux/poll.ts";
import { defaultOperations } from "../fs/default-operations.ts";
import type { FileOperations, OpenFile } from "../fs/types.ts";
import { now, type Kernel } from "../kernel.ts";
import type { Thread } from "../process/types.ts";
import { block, type Blocked } from "../wait.ts";
import { readableInput, takeInput } from "./discipline.ts";
import { ttyIoctl } from "./ioctl.ts";
import { checkBackgroundWrite, checkForeground } from "./job-control.ts";
import { writeTty } from "./output.ts";
import { ttyInputKey, ttyOutputKey } from "./tty.ts";
import type { Tty } from "./types.ts";
import { refillTty } from "./wire.ts";

/** VTIME counts tenths of a second. */
const TENTH_NS = 100_000_000;

export const ttyOperations: FileOperations = {
  ...defaultOperations,

  readable(k, file, limit) {
    const tty = ttyOf(k, file);
    if (tty === undefined) return 0;
    // Below VMIN a read still waits, or ends by its timer: it must be given room for more than is there.
    const isRaw = (tty.termios.localFlags & ICANON) === 0;
    const least = isRaw ? Math.min(tty.termios.controlCharacters[VMIN] ?? 1, limit) : 0;
    const there = readableInput(tty);
    return there < least ? 0 : Math.max(0, Math.min(limit, there));
  },

  read(k, thread, file, target) {
    const tty = ttyOf(k, file);
    if (tty === undefined) return "EIO";
    const allowed = checkForeground(k, thread, tty, "SIGTTIN");
    if (allowed !== "ok") return allowed;
    if (tty.hungUp || target.length === 0) return 0;
    const wait =
      (tty.termios.localFlags & ICANON) !== 0
        ? waitForLine(k, thread, file, tty)
        : waitForBytes(k, thread, file, tty, target.length);
    if (wait !== "ready") return wait;
    const count = takeInput(tty, target);
    refillTty(k, tty);
    return count;
  },

  write(k, thread, file, bytes) {
    const tty = ttyOf(k, file);
    if (tty === undefined || tty.hungUp) return "EIO";
    const allowed = checkBackgroundWrite(k, thread, tty);
    if (allowed !== "ok") return allowed;
    if (tty.stopped) return isNonBlocking(file) ? "EAGAIN" : block(k, thread, [ttyOutputKey(tty)]);
    writeTty(k, tty, bytes);
    return bytes.length;
  },

  poll(k, file) {
    const tty = ttyOf(k, file);
    if (tty === undefined || tty.hungUp) return POLLHUP | POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
    const { localFlags, controlCharacters } = tty.termios;
    const isTimed = (controlCharacters[VTIME] ?? 0) > 0;
    const least = (localFlags & ICANON) !== 0 ? 0 : isTimed ? 1 : Math.max(1, controlCharacters[VMIN] ?? 1);
    const input = readableInput(tty) >= least ? POLLIN | POLLRDNORM : 0;
    return input | (tty.stopped ? 0 : POLLOUT | POLLWRNORM);
  },

  pollKeys(k, file) {
    const tty = ttyOf(k, file);
    return tty === undefined ? [] : [ttyInputKey(tty), ttyOutputKey(tty)];
  },

  ioctl(k, thread, file, request, argument) {
    const tty = ttyOf(k, file);
    return tty === undefined ? "EIO" : ttyIoctl(k, thread, tty, request, argument);
  },

  release(k, file) {
    const tty = ttyOf(k, file);
    if (tty !== undefined) tty.openCount -= 1;
  },
};

function ttyOf(k: Kernel, file: OpenFile): Tty | undefined {
  return file.tty === undefined ? undefined : k.state.ttys.ttys[file.tty];
}

function isNonBlocking(file: OpenFile): boolean {
  return (file.flags & O_NONBLOCK) !== 0;
}

function waitForLine(k: Kernel, thread: Thread, file: OpenFile, tty: Tty): "ready" | "EAGAIN" | Blocked {
  if (readableInput(tty) >= 0) return "ready";
  return isNonBlocking(file) ? "EAGAIN" : block(k, thread, [ttyInputKey(tty)]);
}

/**
 * Non-canonical reads by VMIN and VTIME:
 *   MIN 0  TIME 0   what is there            MIN > 0  TIME 0   at least MIN
 *   MIN 0  TIME t   a byte, or t passes      MIN > 0  TIME t   at least MIN, or t passes after a byte
 */
function waitForBytes(
  k: Kernel,
  thread: Thread,
  file: OpenFile,
  tty: Tty,
  wanted: number,
): "ready" | "EAGAIN" | Blocked {
  const minimum = tty.termios.controlCharacters[VMIN] ?? 1;
  const timeNs = (tty.termios.controlCharacters[VTIME] ?? 0) * TENTH_NS;
  const available = tty.ready.length;
  if (available >= Math.min(Math.max(minimum, 1), wanted)) return "ready";
  if (minimum === 0 && timeNs === 0) return "ready";
  if (isNonBlocking(file)) return available > 0 ? "ready" : "EAGAIN";
  if (timeNs === 0 || (minimum > 0 && available === 0)) return block(k, thread, [ttyInputKey(tty)]);
  thread.restart ??= {};
  if (thread.restart.deadlineNs === undefined || thread.restart.ttySeen !== available) {
    thread.restart.deadlineNs = now(k) + timeNs;
    thread.restart.ttySeen = available;
  }
  if (now(k) >= thread.restart.deadlineNs) return "ready";
  return block(k, thread, [ttyInputKey(tty)], thread.restart.deadlineNs);
}
