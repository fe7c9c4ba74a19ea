// What `pt`, `maps` and `frames` share: they run a program, and describe the state when it ends or at a point on the way.

import type { Kernel } from "../kernel/kernel.ts";
import type { Process } from "../kernel/process/types.ts";
import { shellStatus } from "../node/guest-process.ts";
import { boot } from "../node/index.ts";
import { machineOptions, MACHINE_OPTIONS, one, programEnvironment, PROGRAM_OPTIONS } from "./command.ts";
import { parseCount, UsageError, type OptionRow, type ParsedOptions } from "./options.ts";
import { hostWidth, LEAST_WIDTH, MOST_WIDTH, PAGE_WIDTH, writeStderr } from "./output.ts";
import { connectProgram, resolveProgram } from "./program.ts";

export const OBSERVE_DESCRIPTION =
  "Prints on stderr when the program ends, or at the point of --at. The exit status is the program's.";

/** The options of such a command: its own ones between those of when and of how. */
export function observeOptions(own: readonly OptionRow[]): readonly OptionRow[] {
  return [
    {
      name: "at",
      value: "POINT",
      help: '"entry" (before its first instruction), or a count: before its Nth system call',
    },
    ...own,
    ...MACHINE_OPTIONS,
    ...PROGRAM_OPTIONS,
  ];
}

export const WIDTH_OPTION: OptionRow = {
  name: "width",
  value: "N",
  help: `columns of the output (default: the terminal's, else ${PAGE_WIDTH})`,
};
/** --width, or else the width of the terminal on stderr. */
export function outputWidth({ values }: ParsedOptions): number {
  const given = one(values, "width");
  if (given !== undefined) return parseCount(given, "--width", LEAST_WIDTH, MOST_WIDTH);
  return hostWidth(process.stderr);
}

/** Runs the program of the operands, prints what `describe` says of it once, and answers its exit status. */
export async function observeProgram(
  command: string,
  options: ParsedOptions,
  describe: (k: Kernel, process: Process) => string,
): Promise<number> {
  if (options.operands.length === 0)
    throw new UsageError(`${command} wants a PROGRAM; vitrine ${command} --help tells more`);
  const point = parsePoint(one(options.values, "at"));
  const program = connectProgram();
  await using system = await boot({
    ...machineOptions(options, undefined, options.operands[0]),
    ...program.bootOptions,
  });
  const argv = resolveProgram(system, options.operands);
  let isShown = false;
  const show = (shown: Process): void => {
    isShown = true;
    writeStderr(`${describe(system.kernel, shown)}\n`);
  };
  let calls = 0;
  const { probes } = system.kernel;
  if (point.kind === "end") {
    probes.beforeExit = (ending): void => {
      if (ending.pid === pid) show(ending);
    };
  } else if (point.kind === "call") {
    probes.syscallEnter = (thread): void => {
      if (thread.process.pid !== pid) return;
      calls += 1;
      if (calls === point.count) show(thread.process);
    };
  }
  const guest = program.start(system, argv, {
    env: programEnvironment(options),
    cwd: one(options.values, "workdir") ?? "/",
  });
  const { pid } = guest;
  if (point.kind === "entry") {
    const started = system.kernel.state.processes.get(pid);
    if (started !== undefined) show(started);
  }
  const status = await guest.status;
  if (!isShown)
    throw new UsageError(
      `the program ended after ${calls} system calls, before --at ${one(options.values, "at") ?? ""}`,
    );
  return shellStatus(status);
}

type Point = { readonly kind: "end" } | { readonly kind: "entry" } | { readonly kind: "call"; readonly count: number };

function parsePoint(text: string | undefined): Point {
  if (text === undefined || text === "end") return { kind: "end" };
  if (text === "entry") return { kind: "entry" };
  if (/^[1-9]\d{0,8}$/.test(text)) return { kind: "call", count: Number(text) };
  throw new UsageError(`--at wants “entry” or the number of a system call, not “${text}”`);
}
