// wait4 and waitid: what a parent learns of its children. wait(2).

import { WCONTINUED, WEXITED, WNOTHREAD, WNOWAIT, WSTOPPED, WALL, WCLONE } from "../../abi/linux/process.ts";
import {
  waitStatusExited,
  waitStatusSignaled,
  waitStatusStopped,
  WAIT_STATUS_CONTINUED,
} from "../../abi/linux/process.ts";
import { CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SIGNALS } from "../../abi/linux/signals.ts";
import type { Kernel } from "../kernel.ts";
import { reap } from "./exit.ts";
import type { Process, Usage, WaitStatus } from "./types.ts";
import { addUsage } from "./usage.ts";

/** Which children a wait is about. */
export type ChildChoice =
  | { readonly kind: "all" }
  | { readonly kind: "pid"; readonly pid: number }
  | { readonly kind: "group"; readonly processGroup: number };

/** A change of state of a child. */
export interface ChildChange {
  readonly pid: number;
  readonly uid: number;
  /** Status word as wait4 gives it. */
  readonly status: number;
  /** si_code and si_status as waitid gives them. */
  readonly code: number;
  readonly value: number;
  readonly usage: Usage;
}

/**
 * Takes one change that `options` ask for: "ECHILD" when no child could ever have one, undefined when none has one yet. Unless
 * WNOWAIT is set, a zombie is reaped and a stop or continuation is not reported again.
 */
export function takeChildChange(
  k: Kernel,
  parent: Process,
  choice: ChildChoice,
  options: number,
): ChildChange | "ECHILD" | undefined {
  let isAnyEligible = false;
  for (const pid of parent.children) {
    const child = k.state.processes.get(pid);
    if (child === undefined || !isChosen(child, choice) || !isOfKind(child, options)) continue;
    isAnyEligible = true;
    const change = changeOf(child, options);
    if (change === undefined) continue;
    if ((options & WNOWAIT) === 0) acknowledge(k, parent, child);
    return change;
  }
  return isAnyEligible ? undefined : "ECHILD";
}

/** Bits that wait4 and waitid know. */
export const WAIT4_OPTIONS = 1 | WSTOPPED | WCONTINUED | WNOTHREAD | WALL | WCLONE;
export const WAITID_OPTIONS = WAIT4_OPTIONS | WEXITED | WNOWAIT;

function isChosen(child: Process, choice: ChildChoice): boolean {
  switch (choice.kind) {
    case "all":
      return true;
    case "pid":
      return child.pid === choice.pid;
    case "group":
      return child.processGroup === choice.processGroup;
  }
}

/** Children made by clone with another exit signal than SIGCHLD are waited for with __WCLONE or __WALL. */
function isOfKind(child: Process, options: number): boolean {
  if ((options & WALL) !== 0) return true;
  const isClone = child.exitSignal !== SIGNALS.SIGCHLD;
  return isClone === ((options & WCLONE) !== 0);
}

function changeOf(child: Process, options: number): ChildChange | undefined {
  const { state } = child;
  const who = { pid: child.pid, uid: child.credentials.uid, usage: child.usage };
  switch (state.kind) {
    case "running":
      return undefined;
    case "stopped":
      if ((options & WSTOPPED) === 0 || state.reported) return undefined;
      return { ...who, status: waitStatusStopped(state.signal), code: CLD_STOPPED, value: state.signal };
    case "continued":
      if ((options & WCONTINUED) === 0) return undefined;
      return { ...who, status: WAIT_STATUS_CONTINUED, code: CLD_CONTINUED, value: SIGNALS.SIGCONT };
    case "zombie":
      return (options & WEXITED) === 0 ? undefined : { ...who, ...describeEnd(state.status) };
  }
}

function describeEnd(status: WaitStatus): { status: number; code: number; value: number } {
  if (status.kind === "exited")
    return { status: waitStatusExited(status.code), code: CLD_EXITED, value: status.code & 0xff };
  const { signal, coreDumped } = status;
  return { status: waitStatusSignaled(signal, coreDumped), code: coreDumped ? CLD_DUMPED : CLD_KILLED, value: signal };
}

function acknowledge(k: Kernel, parent: Process, child: Process): void {
  const { state } = child;
  if (state.kind === "stopped") child.state = { ...state, reported: true };
  else if (state.kind === "continued") child.state = { kind: "running" };
  else if (state.kind === "zombie") {
    addUsage(parent.childrenUsage, child.usage);
    addUsage(parent.childrenUsage, child.childrenUsage);
    reap(k, child);
  }
}
