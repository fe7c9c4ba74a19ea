// vitrine frames: the machine's physical memory when a program ends, or at a point on the way.

import { formatFrames, readFrames } from "../inspect/frame-view.ts";
import { one, type Command } from "./command.ts";
import { OBSERVE_DESCRIPTION, observeOptions, observeProgram, outputWidth, WIDTH_OPTION } from "./observe.ts";
import { parseCount, type ParsedOptions } from "./options.ts";
import { wantsColour } from "./output.ts";

const LIMIT = 16;
const MOST_ENTRIES = 2 ** 19;

export const framesCommand: Command = {
  name: "frames",
  summary: "run a program and print who owns each frame of memory, and what is free in which order",
  usage: "[OPTION…] PROGRAM [ARG…]",
  description: `${OBSERVE_DESCRIPTION}\nOn a terminal the map is in colours, unless NO_COLOR is set.`,
  options: observeOptions([
    { name: "limit", value: "N", help: `entries of the lists of free frames and blocks (default ${LIMIT})` },
    { name: "json", help: "the counts and lists as JSON" },
    WIDTH_OPTION,
  ]),
  run(options: ParsedOptions): Promise<number> {
    const width = outputWidth(options);
    const limit = parseCount(one(options.values, "limit") ?? `${LIMIT}`, "--limit", 0, MOST_ENTRIES);
    const colour = wantsColour(process.stderr);
    return observeProgram("frames", options, (k) =>
      options.values.has("json") ? JSON.stringify(readFrames(k, limit)) : formatFrames(k, { width, limit, colour }),
    );
  },
};
