// vitrine maps: a program's address space, region by region, when it ends or at a point on the way.

import { formatMemoryMap, readMemoryMap } from "../inspect/memory-map.ts";
import type { Command } from "./command.ts";
import { OBSERVE_DESCRIPTION, observeOptions, observeProgram, outputWidth, WIDTH_OPTION } from "./observe.ts";
import type { ParsedOptions } from "./options.ts";

export const mapsCommand: Command = {
  name: "maps",
  summary: "run a program and print its address space: what is in memory, shared, swapped, in large pages",
  usage: "[OPTION…] PROGRAM [ARG…]",
  description: OBSERVE_DESCRIPTION,
  options: observeOptions([{ name: "json", help: "the regions and their sums as JSON" }, WIDTH_OPTION]),
  run(options: ParsedOptions): Promise<number> {
    const width = outputWidth(options);
    return observeProgram("maps", options, (k, process) => {
      if (!options.values.has("json")) return formatMemoryMap(k, process, width);
      const { pid, name, space } = process;
      return JSON.stringify({ pid, name, ...readMemoryMap(k, space) });
    });
  },
};
