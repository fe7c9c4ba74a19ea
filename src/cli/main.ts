#!/usr/bin/env node
// vitrine: the command line. Each command is a file; this one finds it, and turns what goes wrong into one line and a status.
//
//   exit status   the program's own; 128 + n when a signal ended it; 125 our failure; 126 not executable; 127 not found

import type { Command } from "./command.ts";
import { optionHelp, parseOptions, suggest, UsageError } from "./options.ts";
import { writeStderr } from "./output.ts";
import { VERSION } from "./version.ts";
import { VitrineError } from "../node/index.ts";

/** The commands in the order of the overview; each is loaded when it is wanted. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["boot", async (): Promise<Command> => (await import("./boot.ts")).bootCommand],
  ["run", async (): Promise<Command> => (await import("./run.ts")).runCommand],
  ["trace", async (): Promise<Command> => (await import("./trace.ts")).traceCommand],
  ["pt", async (): Promise<Command> => (await import("./pt.ts")).pageTableCommand],
  ["maps", async (): Promise<Command> => (await import("./maps.ts")).mapsCommand],
  ["frames", async (): Promise<Command> => (await import("./frames.ts")).framesCommand],
  ["startup", async (): Promise<Command> => (await import("./startup.ts")).startupCommand],
  ["demo", async (): Promise<Command> => (await import("./demo.ts")).demoCommand],
]);
const FAILURE_STATUS = 125;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    const load = COMMANDS.get(rest[0] ?? "");
    console.log(load === undefined ? await overview() : commandHelp(await load()));
    return 0;
  }
  if (name === "--version" || name === "-V" || name === "version") {
    console.log(`vitrine ${VERSION}`);
    return 0;
  }
  const load = COMMANDS.get(name);
  if (load === undefined) {
    const nearest = suggest(name, [...COMMANDS.keys(), "help", "--version", "--help"]);
    throw new UsageError(
      `no command “${name}”${nearest === undefined ? "; vitrine --help lists them" : `; did you mean ${nearest}?`}`,
    );
  }
  const command = await load();
  const parsed = parseOptions([...command.options, HELP_OPTION], rest);
  if (parsed.values.has("help")) {
    console.log(commandHelp(command));
    return 0;
  }
  return command.run(parsed);
}

const HELP_OPTION = { name: "help", short: "h", help: "this text" };

async function overview(): Promise<string> {
  const commands = await Promise.all([...COMMANDS.values()].map((load) => load()));
  const lines = commands.map((command) => `  ${command.name.padEnd(8)}${command.summary}`);
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
  return [
    `usage: vitrine ${command.name} ${command.usage}`,
    "",
    command.description,
    "",
    optionHelp([...command.options, HELP_OPTION]),
  ].join("\n");
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
    writeStderr(`vitrine: ${error.message}\n`);
    exitWith(error instanceof VitrineError ? error.status : FAILURE_STATUS);
  } else {
    writeStderr(
      `vitrine: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    exitWith(FAILURE_STATUS);
  }
}
