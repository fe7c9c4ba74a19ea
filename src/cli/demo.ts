// vitrine demo: one program on every architecture at once, and the same traps of it next to each other.

import { collectTraps, formatSideBySide, type TrapRecord } from "../inspect/trap-comparison.ts";
import { shellStatus } from "../node/guest-process.ts";
import { boot } from "../node/index.ts";
import { ARCHITECTURES, type Architecture } from "../system/platform.ts";
import { one, type Command } from "./command.ts";
import { parseCount, UsageError, type ParsedOptions } from "./options.ts";
import { hostStdout } from "./output.ts";

const PROGRAM = "/bin/hello";
/** Traps that are kept of each run, and columns of the output unless asked for. */
const MOST_TRAPS = 1000;
const WIDTH = 120;
const LEAST_WIDTH = 80;
const MOST_WIDTH = 400;

interface Run {
  readonly arch: Architecture;
  readonly traps: readonly TrapRecord[];
  readonly output: string;
  readonly status: number;
}

export const demoCommand: Command = {
  name: "demo",
  summary: "run one program on both architectures, and show the same traps side by side",
  usage: "[OPTION…] [PROGRAM [ARG…]]",
  description: [
    `Runs PROGRAM (default ${PROGRAM}), which is looked up in the package's root file system of each architecture, and prints its`,
    "first page fault and its first system call on each, step by step, from the instruction that traps to the one that returns.",
  ].join("\n"),
  options: [
    { name: "trace", short: "e", value: "CALL", help: "the first call of this name instead of the first of all" },
    { name: "width", value: "N", help: `columns of the output (default ${WIDTH})` },
  ],
  async run(options: ParsedOptions): Promise<number> {
    const width = parseCount(one(options.values, "width") ?? String(WIDTH), "--width", LEAST_WIDTH, MOST_WIDTH);
    const call = one(options.values, "trace");
    const argv = options.operands.length > 0 ? options.operands : [PROGRAM];
    const runs = await Promise.all(ARCHITECTURES.map((arch) => runOn(arch, argv)));
    const print = (text: string): void => hostStdout.write(`${text}\n`);
    for (const { arch, status, output } of runs) {
      print(`${argv.join(" ")} on ${arch}: status ${status}, output ${JSON.stringify(output)}`);
    }
    for (const [what, matches] of [
      ["page fault", (kind: string): boolean => kind === "page fault"],
      ["system call", (kind: string): boolean => kind !== "page fault" && kind !== "start" && (call ?? kind) === kind],
    ] as const) {
      const columns = runs.map(({ arch, traps }) => {
        const trap = traps.find(({ kind }) => matches(kind));
        if (trap === undefined) throw new UsageError(`${argv[0] ?? ""} on ${arch} has no ${call ?? what}`);
        return { title: arch, trap };
      });
      const [left, right] = columns;
      if (left === undefined || right === undefined) continue;
      print(`\n${what === "page fault" ? "The first page fault" : `A system call: ${left.trap.kind}`}\n`);
      print(formatSideBySide(left, right, width));
    }
    return runs.find(({ status }) => status !== 0)?.status ?? 0;
  },
};

async function runOn(arch: Architecture, argv: readonly string[]): Promise<Run> {
  await using system = await boot({ arch });
  const traps = collectTraps(system.kernel, MOST_TRAPS);
  let output = "";
  const collect = (bytes: Uint8Array): void => void (output += Buffer.from(bytes).toString());
  const program = system.spawn(argv, { stdout: collect, stderr: collect });
  const status = shellStatus(await program.status);
  await system.pause();
  return { arch, traps, output, status };
}
