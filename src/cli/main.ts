#!/usr/bin/env node
// vitrine: the command line. Each command is a file; this one finds it, and turns what goes wrong into one line and a status.
//
//   exit status   the program's own; 128 + n when a signal ended it; 125 our failure; 126 not executable; 127 not found

import { bootCommand } from "./boot.ts";
import type { Command } from "./command.ts";
import { optionHelp, parseOptions, suggest, UsageError } from "./options.ts";
import { pageTableCommand } from "./pt.ts";
import { runCommand } from "./run.ts";
import { startupCommand } from "./startup.ts";
import { traceCommand } from "./trace.ts";
import { VERSION } from "./version.ts";
import { VitrineError } from "../node/index.ts";

const COMMANDS: readonly Command[] = [bootCommand, runCommand, traceCommand, pageTableCommand, startupCommand];
const FAILURE_STATUS = 125;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const command = COMMANDS.find((candidate) => candidate.name === rest[0]);
    console.log(command === undefined ? overview() : commandHelp(command));
    return 0;
  }
  if (name === "--version" || name === "-V" || name === "version") {
    console.log(`vitrine ${VERSION}`);
    return 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const nearest = suggest(name, [...COMMANDS.map((candidate) => candidate.name), "help", "--version", "--help"]);
    throw new UsageError(`no command “${name}”${nearest === undefined ? "; vitrine --help lists them" : `; did you mean ${nearest}?`}`);
  }
  const parsed = parseOptions([...command.options, HELP_OPTION], rest);
  if (parsed.values.has("help")) {
    console.log(commandHelp(command));
    return 0;
  }
  return command.run(parsed);
}

const HELP_OPTION = { name: "help", short: "h", help: "this text" };

function overview(): string {
  const lines = COMMANDS.map((command) => `  ${command.name.padEnd(8)}${command.summary}`);
  return [
    "usage: vitrine COMMAND [OPTION…] [PROGRAM [ARG…]]",
    "",
    ...lines,
    "",
    "vitrine COMMAND --help lists the options of a command; vitrine --version prints the version.",
    "Exit status: the program's own; 128 + n after signal n; 125 our failure; 126 not executable; 127 not found.",
  ].join("\n");
}

function commandHelp(command: Command): string {
  return [`usage: vitrine ${command.name} ${command.usage}`, "", command.description, "", optionHelp([...command.options, HELP_OPTION])].join("\n");
}

/** Ends the process with the status once stdout and stderr have taken everything. */
function exitWith(status: number): void {
  process.exitCode = status;
  // Raw-mode or piped stdin would keep the event loop alive.
  process.stdin.pause();
  process.stdin.unref?.();
  process.stdout.write("", () => process.stderr.write("", () => process.exit(status)));
}

try {
  exitWith(await main(process.argv.slice(2)));
} catch (error) {
  if (error instanceof UsageError || error instanceof VitrineError) {
    process.stderr.write(`vitrine: ${error.message}\n`);
    exitWith(error instanceof VitrineError ? error.status : FAILURE_STATUS);
  } else {
    process.stderr.write(`vitrine: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    exitWith(FAILURE_STATUS);
  }
}
