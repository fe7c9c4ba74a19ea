// Memory that is writable or executable, never both: refused where a process asked for that, told of where the boot did.
//
//   prctl(PR_SET_MDWE)      a mapping W+X, and executing what was not executable when it was mapped: EACCES, and a line in the log
//   writableCode: report    the mapping is made, and the log tells of it
//
// PR_SET_MDWE(2const); Linux include/linux/mman.h, map_deny_write_exec.

import { hexNumber64 } from "../../lib/word64.ts";
import type { Kernel } from "../kernel.ts";
import type { AddressSpace, Protection } from "./types.ts";

/**
 * Whether memory at `address` may get these rights; `before` is what an existing region has, undefined for a new one. Violations are
 * reported here.
 */
export function mayExecute(
  k: Kernel,
  space: AddressSpace,
  address: number,
  { write, execute }: Protection,
  before: Protection | undefined,
): boolean {
  if (!execute) return true;
  const isGain = before !== undefined && !before.execute;
  if (space.executeGain !== "allowed" && (write || isGain)) {
    report(k, space, address, write ? "writable and executable memory refused" : "making memory executable refused");
    return false;
  }
  if (write && k.state.config.writableCode === "report") report(k, space, address, "writable and executable memory");
  return true;
}

function report(k: Kernel, space: AddressSpace, address: number, what: string): void {
  if (k.probes.log === undefined) return;
  let who = `space ${space.id}`;
  for (const process of k.state.processes.values())
    if (process.space === space) who = `${process.name}[${process.pid}]`;
  k.probes.log(`${who}: ${what} at 0x${hexNumber64(address)}`);
}
