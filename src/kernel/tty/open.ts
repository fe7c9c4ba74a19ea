// Opening terminals: /dev/console, /dev/tty, /dev/ttyS0, /dev/ttyN.

import type { Errno } from "../../abi/linux/errno.ts";
import { O_NOCTTY } from "../../abi/linux/open-flags.ts";
import { createOpenFile } from "../fs/open-file.ts";
import type { Inode, OpenFile, PathRef } from "../fs/types.ts";
import type { Kernel } from "../kernel.ts";
import type { Process } from "../process/types.ts";
import { acquireTty } from "./job-control.ts";
import type { Tty } from "./types.ts";

/**
 * Opens the terminal behind a device number. A session leader without a terminal gets it as its controlling one, unless O_NOCTTY or
 * another session has it.
 */
export function openTty(
  k: Kernel,
  process: Process,
  ref: PathRef,
  device: { major: number; minor: number },
  flags: number,
  kept: number,
): OpenFile | Errno {
  const isCurrent = device.major === 5 && device.minor === 0;
  const tty = isCurrent ? controllingTty(k, process) : k.state.ttys.ttys[indexOf(device)];
  if (tty === undefined) return "ENXIO";
  if (tty.hungUp) return "EIO";
  const file = createTtyFile(k, tty, ref.inode, ref, kept);
  if (typeof file === "string") return file;
  const isLeader = process.pid === process.session;
  const isFree = process.controllingTty === undefined && tty.session === 0;
  // The console never becomes controlling by merely opening it, on Linux; TIOCSCTTY asks for it.
  const isConsole = device.major === 5 && device.minor === 1;
  if (isLeader && isFree && !isConsole && (flags & O_NOCTTY) === 0) acquireTty(process, tty);
  return file;
}

/** An open file on a terminal, for a program that is started with it. */
export function createTtyFile(
  k: Kernel,
  tty: Tty,
  inode: Inode,
  path: PathRef | undefined,
  flags: number,
): OpenFile | "ENFILE" {
  const file = createOpenFile(k, { kind: "tty", flags, inode, path, tty: tty.index });
  if (typeof file !== "string") tty.openCount += 1;
  return file;
}

function controllingTty(k: Kernel, process: Process): Tty | undefined {
  return process.controllingTty === undefined ? undefined : k.state.ttys.ttys[process.controllingTty];
}

/** console and ttyS0 are the first terminal; tty1 is the second. */
function indexOf(device: { major: number; minor: number }): number {
  if (device.major === 5) return 0;
  return device.minor >= 64 ? device.minor - 64 : device.minor;
}
