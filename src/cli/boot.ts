// vitrine boot: from reset to the shell on the console.

import { logTraps } from "../inspect/trap-log.ts";
import { boot } from "../node/index.ts";
import { machineOptions, MACHINE_OPTIONS, terminalEnvironment, type Command } from "./command.ts";
import { ESCAPE_HELP } from "./console-escape.ts";
import { onHostSignal } from "./host-signals.ts";
import type { ParsedOptions } from "./options.ts";
import { hostStdout, hostWidth, waitForReaders, wantsColour, writeStderr } from "./output.ts";
import { connectTerminal } from "./terminal.ts";
import { VERSION } from "./version.ts";

const INIT = "/sbin/init";

export const bootCommand: Command = {
  name: "boot",
  summary: "boot to the shell on the console; Ctrl-A x leaves",
  usage: "[OPTION…] [-- CMD [ARG…]]",
  description: `Starts ${INIT}, which runs CMD or a shell, and stops the machine when that ends; the exit status is its status.\n\n${ESCAPE_HELP}`,
  options: MACHINE_OPTIONS,
  async run(options: ParsedOptions): Promise<number> {
    const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
    if (interactive) writeStderr("Ctrl-A h for help, Ctrl-A x to leave\r\n");
    const system = await boot({
      ...machineOptions(options, new Date(), INIT),
      init: [INIT, ...options.operands],
      initEnvironment: terminalEnvironment(),
      pace: interactive ? "real" : "virtual",
      onConsole: hostStdout.write,
      drain: waitForReaders,
    });
    const { kernel } = system;
    let exitStatus: number | undefined;
    let leave: () => void = () => undefined;
    const left = new Promise<"left">((resolve) => {
      leave = (): void => resolve("left");
    });
    const terminal = connectTerminal(system, {
      onExit: () => {
        exitStatus = 0;
        leave();
      },
      monitor: {
        k: kernel,
        version: VERSION,
        traps: logTraps(system.machine),
        terminal: () => ({ width: hostWidth(process.stdout), colour: wantsColour(process.stdout) }),
        shutdown: () => system.control.powerOff(),
        panic: (message) => system.control.panic(message),
        fault: () => system.control.fault(),
      },
    });
    onHostSignal((number) => {
      exitStatus = 128 + number;
      leave();
    });
    const state = await Promise.race([system.stopped, left]);
    terminal.release();
    await system.close();
    if (state === "left") {
      writeStderr("\r\n");
      return exitStatus ?? 0;
    }
    if (state.report !== undefined) writeStderr(`${state.report}\n`);
    return state.status;
  },
};
