// All rows, numbered per ABI. A row whose name an ABI does not have (fork on riscv64) is simply not in that ABI's table.

import { RISCV64_CALLS } from "../../abi/linux/calls-riscv64.ts";
import { fileCalls } from "./files.ts";
import { futexCalls } from "./futex.ts";
import { identityCalls } from "./identity.ts";
import { memoryCalls } from "./memory.ts";
import { miscCalls } from "./misc.ts";
import { processCalls } from "./process.ts";
import { resourceCalls } from "./resources.ts";
import type { SyscallRow } from "./row.ts";
import { schedulingCalls } from "./scheduling.ts";
import { signalCalls } from "./signals.ts";
import { timeCalls } from "./time.ts";

/** Every call that the kernel serves, by family. */
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

export const riscv64Calls: ReadonlyMap<number, SyscallRow> = numberRows(ALL_CALLS, RISCV64_CALLS);
