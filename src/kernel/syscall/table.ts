// All rows, numbered per ABI. A row whose name an ABI does not have (fork on riscv64) is simply not in that ABI's table.

import { RISCV64_CALLS } from "../../abi/linux/calls-riscv64.ts";
import { X86_64_CALLS } from "../../abi/linux/calls-x86_64.ts";
import { fileCalls } from "./files.ts";
import { futexCalls } from "./futex.ts";
import { identityCalls } from "./identity.ts";
import { memoryCalls } from "./memory.ts";
import { miscCalls } from "./misc.ts";
import { cloneTlsFirst, cloneTlsLast, processCalls } from "./process.ts";
import { resourceCalls } from "./resources.ts";
import type { SyscallRow } from "./row.ts";
import { schedulingCalls } from "./scheduling.ts";
import { signalCalls } from "./signals.ts";
import { timeCalls } from "./time.ts";

/** Every call that the kernel serves, by family; but for clone, whose arguments are in another order on each. */
export const ALL_CALLS: readonly SyscallRow[] = [
  ...processCalls,
  ...signalCalls,
  ...timeCalls,
  ...identityCalls,
  ...resourceCalls,
  ...schedulingCalls,
  ...futexCalls,
  ...miscCalls,
  ...memoryCalls,
  ...fileCalls,
];

/** The rows by number under the numbering of one ABI. */
export function numberRows(rows: readonly SyscallRow[], numbers: ReadonlyMap<string, number>): Map<number, SyscallRow> {
  const table = new Map<number, SyscallRow>();
  for (const row of rows) {
    const number = numbers.get(row.name);
    if (number !== undefined) table.set(number, row);
  }
  return table;
}

/**
 * Numbers of a second way into the kernel (x86-64's `int 0x80`, which counts as i386 does) begin here: they fill one table with the
 * native ones, so that a blocked call is found again whichever way it came.
 */
export const COMPATIBLE_CALLS = 0x1_0000_0000;

export const riscv64Calls: ReadonlyMap<number, SyscallRow> = numberRows([...ALL_CALLS, cloneTlsFirst], RISCV64_CALLS);
export const x86_64Calls: ReadonlyMap<number, SyscallRow> = numberRows([...ALL_CALLS, cloneTlsLast], X86_64_CALLS);
