// ioctls of terminals: settings, window size, job control, queues. ioctl_tty(2), TCSETS(2const) and its kin.

import * as io from "../../abi/linux/ioctl.ts";
import { SIGNALS } from "../../abi/linux/signals.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import { readU16, readU32, writeU16, writeU32 } from "../../lib/bytes.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUser, copyToUser, readUser32, writeUser32 } from "../mem/user-memory.ts";
import { kernelSignal, sendGroupSignal } from "../process/signals.ts";
import type { Process, Thread } from "../process/types.ts";
import { wake, type Blocked } from "../wait.ts";
import { flushInput, readableInput, switchMode } from "./discipline.ts";
import { acquireTty, checkForeground, disassociateTty } from "./job-control.ts";
import { ttyOutputKey } from "./tty.ts";
import type { Termios, Tty } from "./types.ts";
import { refillTty } from "./wire.ts";

/** The session of pid 1. */
const INIT_SESSION = 1;

/** Requests that change the terminal: only the foreground group may, others hear SIGTTOU. */
const CHANGES: ReadonlySet<number> = new Set([
  io.TCSETS,
  io.TCSETSW,
  io.TCSETSF,
  io.TCSBRK,
  io.TCSBRKP,
  io.TCXONC,
  io.TCFLSH,
  io.TIOCSPGRP,
]);

export function ttyIoctl(
  k: Kernel,
  thread: Thread,
  tty: Tty,
  request: number,
  argument: number,
): number | Errno | Blocked {
  const { process } = thread;
  if (CHANGES.has(request)) {
    const allowed = checkForeground(k, thread, tty, "SIGTTOU");
    if (allowed !== "ok") return allowed;
  }
  switch (request) {
    case io.TCGETS:
      return copyToUser(k, process.space, argument, encodeTermios(tty.termios));
    case io.TCSETS:
    case io.TCSETSW:
    case io.TCSETSF:
      return setTermios(k, process, tty, argument, request === io.TCSETSF ? "flush" : "keep");
    case io.TIOCGWINSZ:
      return copyToUser(k, process.space, argument, encodeWindow(tty));
    case io.TIOCSWINSZ: {
      const bytes = copyFromUser(k, process.space, argument, io.WINSIZE_SIZE);
      if (typeof bytes === "string") return bytes;
      setWindow(k, tty, readU16(bytes, 0), readU16(bytes, 2), readU16(bytes, 4), readU16(bytes, 6));
      return 0;
    }
    case io.TIOCGPGRP:
      if (process.controllingTty !== tty.index) return "ENOTTY";
      return writeUser32(k, process.space, argument, tty.foregroundGroup);
    case io.TIOCSPGRP:
      return setForegroundGroup(k, process, tty, argument);
    case io.TIOCGSID:
      if (process.controllingTty !== tty.index) return "ENOTTY";
      return writeUser32(k, process.space, argument, tty.session);
    case io.TIOCSCTTY:
      return takeControl(k, process, tty, argument);
    case io.TIOCNOTTY:
      if (process.controllingTty !== tty.index) return "ENOTTY";
      if (process.pid === process.session) disassociateTty(k, process);
      else process.controllingTty = undefined;
      return 0;
    case io.FIONREAD:
      return writeUser32(k, process.space, argument, Math.max(0, readableInput(tty)));
    case io.TIOCOUTQ:
      return writeUser32(k, process.space, argument, 0);
    case io.TCFLSH:
      if (argument !== io.TCIFLUSH && argument !== io.TCOFLUSH && argument !== io.TCIOFLUSH) return "EINVAL";
      if (argument !== io.TCOFLUSH) flushInput(tty);
      refillTty(k, tty);
      return 0;
    case io.TCXONC:
      return flowControl(k, tty, argument);
    case io.TCSBRK:
    case io.TCSBRKP:
    case io.TIOCEXCL:
    case io.TIOCNXCL:
      return 0;
    case io.TIOCGETD:
      return writeUser32(k, process.space, argument, tty.termios.line);
    // Pushing bytes into a terminal's input lets a program type for its parent: refused, as Linux now does by default.
    case io.TIOCSTI:
      return "EIO";
    default:
      return "ENOTTY";
  }
}

/** The window changed: the foreground group hears SIGWINCH. Also called when the host's window does. */
export function setWindow(k: Kernel, tty: Tty, rows: number, columns: number, xPixels: number, yPixels: number): void {
  const old = tty.window;
  if (old.rows === rows && old.columns === columns && old.xPixels === xPixels && old.yPixels === yPixels) return;
  tty.window = { rows, columns, xPixels, yPixels };
  if (tty.foregroundGroup !== 0) sendGroupSignal(k, tty.foregroundGroup, kernelSignal(SIGNALS.SIGWINCH));
}

/** struct termios: four flag words, the discipline, the control characters. */
function encodeTermios(termios: Termios): Uint8Array {
  const bytes = new Uint8Array(io.TERMIOS_SIZE);
  writeU32(bytes, 0, termios.inputFlags);
  writeU32(bytes, 4, termios.outputFlags);
  writeU32(bytes, 8, termios.controlFlags);
  writeU32(bytes, 12, termios.localFlags);
  bytes[16] = termios.line;
  bytes.set(termios.controlCharacters, 17);
  return bytes;
}

function setTermios(k: Kernel, process: Process, tty: Tty, address: number, pending: "flush" | "keep"): 0 | Errno {
  const bytes = copyFromUser(k, process.space, address, io.TERMIOS_SIZE);
  if (typeof bytes === "string") return bytes;
  const wasCanonical = (tty.termios.localFlags & io.ICANON) !== 0;
  tty.termios = {
    inputFlags: readU32(bytes, 0),
    outputFlags: readU32(bytes, 4),
    controlFlags: readU32(bytes, 8),
    localFlags: readU32(bytes, 12),
    line: tty.termios.line,
    controlCharacters: bytes.slice(17, 17 + io.NCCS),
    inputSpeed: tty.termios.inputSpeed,
    outputSpeed: tty.termios.outputSpeed,
  };
  if (pending === "flush") flushInput(tty);
  if (wasCanonical !== ((tty.termios.localFlags & io.ICANON) !== 0)) switchMode(k, tty);
  if ((tty.termios.inputFlags & io.IXON) === 0 && tty.stopped) {
    tty.stopped = false;
    wake(k, ttyOutputKey(tty));
  }
  refillTty(k, tty);
  return 0;
}

function encodeWindow(tty: Tty): Uint8Array {
  const bytes = new Uint8Array(io.WINSIZE_SIZE);
  writeU16(bytes, 0, tty.window.rows);
  writeU16(bytes, 2, tty.window.columns);
  writeU16(bytes, 4, tty.window.xPixels);
  writeU16(bytes, 6, tty.window.yPixels);
  return bytes;
}

function setForegroundGroup(k: Kernel, process: Process, tty: Tty, address: number): 0 | Errno {
  const group = readUser32(k, process.space, address);
  if (group === undefined) return "EFAULT";
  if (process.controllingTty !== tty.index || tty.session !== process.session) return "ENOTTY";
  if (group < 0) return "EINVAL";
  let exists = false;
  for (const member of k.state.processes.values()) {
    if (member.processGroup !== group) continue;
    if (member.session !== process.session) return "EPERM";
    exists = true;
  }
  if (!exists) return "ESRCH";
  tty.foregroundGroup = group;
  return 0;
}

/**
 * TIOCSCTTY: for session leaders without a terminal; the superuser may take one from another session with argument 1. Pid 1 starts
 * with the console, so that a shell in its place has job control; under Linux it has no terminal, so the sessions that it starts take
 * the console without asking.
 */
function takeControl(k: Kernel, process: Process, tty: Tty, argument: number): 0 | Errno {
  if (process.pid === process.session && tty.session === process.session) return 0;
  if (process.pid !== process.session || process.controllingTty !== undefined) return "EPERM";
  if (tty.session !== 0) {
    if ((argument !== 1 && tty.session !== INIT_SESSION) || process.credentials.euid !== 0) return "EPERM";
    for (const other of k.state.processes.values()) {
      if (other.session === tty.session) other.controllingTty = undefined;
    }
  }
  acquireTty(process, tty);
  return 0;
}

function flowControl(k: Kernel, tty: Tty, action: number): 0 | Errno {
  if (action === io.TCOOFF) tty.stopped = true;
  else if (action === io.TCOON) {
    tty.stopped = false;
    wake(k, ttyOutputKey(tty));
  } else if (action !== io.TCIOFF && action !== io.TCION) return "EINVAL";
  return 0;
}
