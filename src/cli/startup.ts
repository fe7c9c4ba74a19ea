// vitrine startup: what happens from reset to the first system call of the first program, step by step.

import { logStartup } from "../inspect/startup-log.ts";
import { boot } from "../node/index.ts";
import { machineOptions, MACHINE_OPTIONS, type Command } from "./command.ts";
import type { ParsedOptions } from "./options.ts";

const HELLO = "/bin/hello";

export const startupCommand: Command = {
  name: "startup",
  summary: "show each step from reset to the first system call",
  usage: "[OPTION…] [PROGRAM [ARG…]]",
  description:
    "Boots with PROGRAM (default /bin/hello) as the first process and prints what happens, one line a step. docs/startup.md explains them.",
  options: MACHINE_OPTIONS,
  async run(options: ParsedOptions): Promise<number> {
    let finish: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => {
      finish = resolve;
    });
    await using system = await boot({
      ...machineOptions(options, undefined, options.operands[0] ?? HELLO),
      init: options.operands.length > 0 ? options.operands : [HELLO],
      onKernel: (kernel) => logStartup(kernel, (line) => console.log(line), finish),
    });
    await Promise.race([reached, system.stopped]);
    return 0;
  },
};
