// All rows, numbered per ABI. A row whose name an ABI does not have (fork on riscv64) is simply not in that ABI's table.

import { invertCalls } from "../../abi/linux/call-numbers.ts";
import { RISCV64_CALLS } from "../../abi/linux/calls-riscv64.ts";
import { I386_CALLS } from "../../abi/linux/calls-i386.ts";
import { X86_64_CALLS } from "../../abi/linux/calls-x86_64.ts";
import { compatibleCalls } from "./compatible.ts";
import { fileCalls } from "./files.ts";
import { futexCalls } from "./futex.ts";
import { identityCalls } from "./identity.ts";
import { memoryCalls } from "./memory.ts";
import { miscCalls } from "./misc.ts";
import { olderForms } from "./older-forms.ts";
import { cloneTlsFirst, cloneTlsLast, processCalls } from "./process.ts";
import { resourceCalls } from "./resources.ts";
import type { SyscallRow } from "./row.ts";
import { schedulingCalls } from "./scheduling.ts";
import { sharedMemoryCalls } from "./shared-memory.ts";
import { signalCalls } from "./signals.ts";
import { swapCalls } from "./swap.ts";
import { timeCalls } from "./time.ts";

const NEWER_CALLS: readonly SyscallRow[] = [
  ...processCalls,
  ...signalCalls,
  ...timeCalls,
  ...identityCalls,
  ...resourceCalls,
  ...schedulingCalls,
  ...futexCalls,
  ...miscCalls,
  ...memoryCalls,
  ...swapCalls,
  ...sharedMemoryCalls,
  ...fileCalls,
];

/** Every call that the kernel serves, by family; but for clone, whose arguments are in another order on each architecture. */
export const ALL_CALLS: readonly SyscallRow[] = [...NEWER_CALLS, ...olderForms(NEWER_CALLS)];

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
export const x86_64Calls: ReadonlyMap<number, SyscallRow> = new Map([
  ...numberRows([...ALL_CALLS, cloneTlsLast], X86_64_CALLS),
  ...[...numberRows(compatibleCalls(ALL_CALLS), I386_CALLS)].map(
    ([number, row]) => [number + COMPATIBLE_CALLS, row] as const,
  ),
]);

/** Names of all numbers of each table, of calls without a row too. */
export const riscv64CallNames: ReadonlyMap<number, string> = invertCalls(RISCV64_CALLS);
export const x86_64CallNames: ReadonlyMap<number, string> = new Map([
  ...invertCalls(X86_64_CALLS),
  ...[...invertCalls(I386_CALLS)].map(([number, name]) => [number + COMPATIBLE_CALLS, name] as const),
]);
