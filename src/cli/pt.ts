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
import { wrapText } from "../inspect/wrap.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { regionsOf } from "../kernel/mem/region-tree.ts";
import type { Process } from "../kernel/process/types.ts";
import type { Command } from "./command.ts";
import { OBSERVE_DESCRIPTION, observeOptions, observeProgram, outputWidth, WIDTH_OPTION } from "./observe.ts";
import type { ParsedOptions } from "./options.ts";

export const pageTableCommand: Command = {
  name: "pt",
  summary: "run a program and print its page-table tree and regions",
  usage: "[OPTION…] PROGRAM [ARG…]",
  description: OBSERVE_DESCRIPTION,
  options: observeOptions([
    { name: "kernel", help: "the kernel's own page table too" },
    { name: "json", help: "the tree and the regions as JSON" },
    WIDTH_OPTION,
  ]),
  run(options: ParsedOptions): Promise<number> {
    const width = outputWidth(options);
    const withKernel = options.values.has("kernel");
    const isJson = options.values.has("json");
    return observeProgram("pt", options, (k, process) =>
      isJson ? describeAsJson(k, process, withKernel) : describe(k, process, withKernel, width),
    );
  },
};

function describe(k: Kernel, process: Process, withKernel: boolean, width: number): string {
  const { space } = process;
  const unmapped = formatUnmapped(k, space);
  return [
    ...wrapText(
      `page table of ${describeSpace(k, process)}, ${space.tablePages} table pages, ${space.residentPages} resident pages`,
      width,
    ),
    `an entry covers: ${describeLevels(k)}`,
    formatPageTable(k, space, width),
    ...(unmapped === "" ? [] : ["", "pages that the table does not show", unmapped]),
    "",
    "regions",
    formatRegions(k, space),
    ...(withKernel ? ["", ...describeKernelTable(k, width)] : []),
  ].join("\n");
}

/** The kernel's own table: the linear map of memory, with large pages where they fit, and what every space has. */
function describeKernelTable(k: Kernel, width: number): string[] {
  const { kernelSpace } = k.state.memory;
  return [
    `the kernel's page table: root frame 0x${kernelSpace.root.toString(16)}, ${kernelSpace.tablePages} table pages`,
    formatPageTable(k, kernelSpace, width),
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
