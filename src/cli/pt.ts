// vitrine pt: a program's page-table tree and its regions, when it ends or at a point on the way.

import { describeSpace } from "../inspect/memory-map.ts";
import {
  describeLevels,
  formatPageTable,
  formatRegions,
  formatUnmapped,
  readPageTable,
} from "../inspect/page-table-view.ts";
import { unmappedRuns } from "../inspect/page-state.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { regionsOf } from "../kernel/mem/region-tree.ts";
import type { Process } from "../kernel/process/types.ts";
import type { Command } from "./command.ts";
import { OBSERVE_DESCRIPTION, observeOptions, observeProgram } from "./observe.ts";
import type { ParsedOptions } from "./options.ts";

export const pageTableCommand: Command = {
  name: "pt",
  summary: "run a program and print its page-table tree and regions",
  usage: "[OPTION…] PROGRAM [ARG…]",
  description: OBSERVE_DESCRIPTION,
  options: observeOptions([
    { name: "kernel", help: "the kernel's own page table too" },
    { name: "json", help: "the tree and the regions as JSON" },
  ]),
  run(options: ParsedOptions): Promise<number> {
    const describeProcess = options.values.has("json") ? describeAsJson : describe;
    const withKernel = options.values.has("kernel");
    return observeProgram("pt", options, (k, process) => describeProcess(k, process, withKernel));
  },
};

function describe(k: Kernel, process: Process, withKernel: boolean): string {
  const { space } = process;
  const unmapped = formatUnmapped(k, space);
  return [
    `page table of ${describeSpace(k, process)}, ${space.tablePages} table pages, ${space.residentPages} resident pages`,
    `an entry covers: ${describeLevels(k)}`,
    formatPageTable(k, space),
    ...(unmapped === "" ? [] : ["", "pages that the table does not show", unmapped]),
    "",
    "regions",
    formatRegions(k, space),
    ...(withKernel ? ["", ...describeKernelTable(k)] : []),
  ].join("\n");
}

/** The kernel's own table: the linear map of memory, with large pages where they fit, and what every space has. */
function describeKernelTable(k: Kernel): string[] {
  const { kernelSpace } = k.state.memory;
  return [
    `the kernel's page table: root frame 0x${kernelSpace.root.toString(16)}, ${kernelSpace.tablePages} table pages`,
    formatPageTable(k, kernelSpace),
  ];
}

function describeAsJson(k: Kernel, process: Process, withKernel: boolean): string {
  const { space } = process;
  const regions = [...regionsOf(space)].map(({ start, end, protection, sharing, purpose, file }) => ({
    start,
    end,
    protection,
    sharing,
    purpose,
    file: file?.path,
  }));
  return JSON.stringify({
    pid: process.pid,
    name: process.name,
    format: k.arch.format.name,
    root: space.root,
    asid: space.asid,
    asidGeneration: space.asidGeneration,
    tree: readPageTable(k, space),
    unmapped: unmappedRuns(k, space),
    regions,
    ...(withKernel ? { kernelTree: readPageTable(k, k.state.memory.kernelSpace) } : {}),
  });
}
