// vitrine run: one program, its streams and its exit status its own.

import { shellStatus } from "../node/guest-process.ts";
import { boot } from "../node/index.ts";
import { machineOptions, MACHINE_OPTIONS, one, programEnvironment, PROGRAM_OPTIONS, type Command } from "./command.ts";
import { UsageError, type ParsedOptions } from "./options.ts";
import { connectProgram, resolveProgram } from "./program.ts";

export const runCommand: Command = {
  name: "run",
  summary: "run one program; its input, output and exit status are its own",
  usage: "[OPTION…] PROGRAM [ARG…]",
  description: [
    "PROGRAM without a slash is looked up along the guest's PATH, then in the host's current folder. An absolute path is the guest's if",
    "it is a program there, else the host's; a relative path with a slash is the host's first. A host program is shown in the guest at",
    "its own absolute path, read-only.",
  ].join("\n"),
  options: [...MACHINE_OPTIONS, ...PROGRAM_OPTIONS],
  async run(options: ParsedOptions): Promise<number> {
    if (options.operands.length === 0) throw new UsageError("run wants a PROGRAM; vitrine run --help tells more");
    const program = connectProgram();
    await using system = await boot({
      ...machineOptions(options, undefined, options.operands[0]),
      ...program.bootOptions,
    });
    const argv = resolveProgram(system, options.operands);
    const guest = program.start(system, argv, {
      env: programEnvironment(options),
      cwd: one(options.values, "workdir") ?? "/",
    });
    return shellStatus(await guest.status);
  },
};
