// vitrine trace: a program's system calls as strace prints them, or each step of the way into the kernel and back.

import { openSync, writeSync, closeSync } from "node:fs";
import { logEvents } from "../inspect/event-log.ts";
import { parseCallSet, traceSystemCalls, type Tracer } from "../inspect/strace/tracer.ts";
import { traceTraps } from "../inspect/trap-trace.ts";
import { shellStatus } from "../node/guest-process.ts";
import { boot, VitrineError, type Vitrine } from "../node/index.ts";
import { describe } from "../node/root-image.ts";
import { machineOptions, MACHINE_OPTIONS, one, programEnvironment, PROGRAM_OPTIONS, type Command } from "./command.ts";
import { suggest, UsageError, type ParsedOptions } from "./options.ts";
import { writeStderr } from "./output.ts";
import { connectProgram, resolveProgram } from "./program.ts";

export const traceCommand: Command = {
  name: "trace",
  summary: "run a program and show its system calls, or its whole trap path",
  usage: "[OPTION…] PROGRAM [ARG…]",
  description: "Output goes to stderr, or to the file of -o. The exit status is the program's.",
  options: [
    {
      name: "trace",
      short: "e",
      value: "SET",
      help: "only these calls: open,read | %file %desc %process %signal %memory %time | !write",
    },
    { name: "follow", short: "f", help: "children too, each line with its pid" },
    { name: "count", short: "c", help: "count calls and errors; print the table at the end" },
    { name: "json", help: "with -c, the table as JSON" },
    { name: "output", short: "o", value: "FILE", help: "write the trace to a file" },
    {
      name: "traps",
      help: "each step: trap, uservec, usertrap, syscall, usertrapret, userret, with the registers",
    },
    { name: "interrupts", help: "with --traps, interrupts too" },
    { name: "events", value: "FILE", help: "write every event of the kernel and the machine to a file, one a line" },
    ...MACHINE_OPTIONS,
    { name: "env", short: "E", value: "K=V", repeat: true, help: "environment variable of the program" },
    ...PROGRAM_OPTIONS.filter((row) => row.name !== "env"),
  ],
  async run(options: ParsedOptions): Promise<number> {
    if (options.operands.length === 0) throw new UsageError("trace wants a PROGRAM; vitrine trace --help tells more");
    if (options.values.has("json") && !options.values.has("count")) throw new UsageError("--json goes with -c");
    const output = openOutput(one(options.values, "output"));
    const eventPath = one(options.values, "events");
    const events = eventPath === undefined ? undefined : openOutput(eventPath);
    const program = connectProgram();
    await using system = await boot({
      ...machineOptions(options, undefined, options.operands[0]),
      ...program.bootOptions,
    });
    const argv = resolveProgram(system, options.operands);
    const tracer = attach(system, options, output.write);
    if (events !== undefined) logEvents(system.kernel, events.write);
    try {
      const guest = program.start(system, argv, {
        env: programEnvironment(options),
        cwd: one(options.values, "workdir") ?? "/",
      });
      const status = await guest.status;
      await system.pause();
      tracer?.finish();
      if (options.values.has("count") && tracer !== undefined) {
        output.write(options.values.has("json") ? JSON.stringify(tracer.counts()) : tracer.summary());
      }
      return shellStatus(status);
    } finally {
      output.close();
      events?.close();
    }
  },
};

function attach(system: Vitrine, options: ParsedOptions, write: (line: string) => void): Tracer | undefined {
  const { values } = options;
  if (values.has("traps")) {
    traceTraps(system.kernel, { write, interrupts: values.has("interrupts") });
    return undefined;
  }
  const names = [...new Set(system.kernel.arch.callNames.values())];
  const text = one(values, "trace");
  const set = text === undefined ? undefined : parseCallSet(text, names);
  if (set !== undefined && "unknown" in set) {
    const nearest = suggest(set.unknown, names);
    throw new UsageError(
      `-e: no system call “${set.unknown}”${nearest === undefined ? "" : `; did you mean ${nearest}?`}`,
    );
  }
  return traceSystemCalls(system.kernel, {
    calls: set?.calls,
    follow: values.has("follow"),
    countOnly: values.has("count"),
    write,
  });
}

interface TraceOutput {
  write(line: string): void;
  close(): void;
}

function openOutput(path: string | undefined): TraceOutput {
  if (path === undefined) return { write: (line) => writeStderr(`${line}\n`), close: () => undefined };
  let descriptor: number;
  try {
    descriptor = openSync(path, "w");
  } catch (error) {
    throw new VitrineError(`cannot write ${path}: ${describe(error)}`);
  }
  // Lines are gathered: a trace has a line for every few thousand instructions.
  let pending = "";
  const flush = (): void => {
    if (pending !== "") writeSync(descriptor, pending);
    pending = "";
  };
  return {
    write(line): void {
      pending += `${line}\n`;
      if (pending.length > 1 << 16) flush();
    },
    close(): void {
      flush();
      closeSync(descriptor);
    },
  };
}
