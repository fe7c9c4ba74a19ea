// Terminals and job control: who may read, write and set. POSIX 11.1 "General Terminal Interface"; ioctl_tty(2).
//
//   session ── controlling terminal ── foreground group: may do all
//                                      background group: read -> SIGTTIN, set (and write with TOSTOP) -> SIGTTOU

import { TOSTOP } from "../../abi/linux/ioctl.ts";
import { SIG_IGN, SIGNALS } from "../../abi/linux/signals.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import { hasSignal } from "../process/signal-set.ts";
import { actionOf, isOrphanedGroup, kernelSignal, sendGroupSignal } from "../process/signals.ts";
import type { Process, Thread } from "../process/types.ts";
import { block, wake, type Blocked } from "../wait.ts";
import { ttyInputKey, ttyOutputKey } from "./tty.ts";
import type { Tty } from "./types.ts";

/** Makes `tty` the controlling terminal of the process's session, its group in the foreground. */
export function acquireTty(process: Process, tty: Tty): void {
  tty.session = process.session;
  tty.foregroundGroup = process.processGroup;
  process.controllingTty = tty.index;
}

/**
 * The session leader gives its terminal up (TIOCNOTTY, or its end): the foreground group gets SIGHUP and SIGCONT, and no process of
 * the session has a terminal any more.
 */
export function disassociateTty(k: Kernel, leader: Process): void {
  const tty = leader.controllingTty === undefined ? undefined : k.state.ttys.ttys[leader.controllingTty];
  if (tty === undefined) return;
  if (tty.session === leader.session) {
    const group = tty.foregroundGroup;
    tty.session = 0;
    tty.foregroundGroup = 0;
    if (group !== 0) {
      sendGroupSignal(k, group, kernelSignal(SIGNALS.SIGHUP));
      sendGroupSignal(k, group, kernelSignal(SIGNALS.SIGCONT));
    }
  }
  for (const process of k.state.processes.values()) {
    if (process.session === leader.session) process.controllingTty = undefined;
  }
}

/** The other side of the terminal has gone: reads end, writes fail, and the session leader hears SIGHUP. */
export function hangUpTty(k: Kernel, tty: Tty): void {
  if (tty.hungUp) return;
  tty.hungUp = true;
  const leader = k.state.processes.get(tty.session);
  if (leader !== undefined) disassociateTty(k, leader);
  wake(k, ttyInputKey(tty));
  wake(k, ttyOutputKey(tty));
}

/**
 * Whether the thread may do what only the foreground group does. If not, its group is told with `signal` and the call begins anew
 * once the group is in the foreground.
 */
export function checkForeground(
  k: Kernel,
  thread: Thread,
  tty: Tty,
  signal: "SIGTTIN" | "SIGTTOU",
): "ok" | Errno | Blocked {
  const { process } = thread;
  if (process.controllingTty !== tty.index || tty.foregroundGroup === 0) return "ok";
  if (process.processGroup === tty.foregroundGroup) return "ok";
  const number = SIGNALS[signal];
  const isIgnored = actionOf(process, number).handler === SIG_IGN || hasSignal(thread.signalMask, number);
  // A reader that cannot be stopped gets an error, a writer is let through.
  if (isIgnored) return signal === "SIGTTIN" ? "EIO" : "ok";
  if (isOrphanedGroup(k, process.processGroup)) return "EIO";
  sendGroupSignal(k, process.processGroup, kernelSignal(number));
  return block(k, thread, [ttyInputKey(tty)]);
}

/** As checkForeground for writing, which only TOSTOP forbids. */
export function checkBackgroundWrite(k: Kernel, thread: Thread, tty: Tty): "ok" | Errno | Blocked {
  return (tty.termios.localFlags & TOSTOP) === 0 ? "ok" : checkForeground(k, thread, tty, "SIGTTOU");
}
