// Runs the command line in a process of its own, as a person or a script does.

import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Architecture } from "../../src/system/platform.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));

export interface Outcome {
  /** Exit status; null when a signal ended the host's process. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What is piped in. Default: nothing, stdin is /dev/null. */
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The node binary; default this one. */
  readonly node?: string;
  readonly timeoutMs?: number;
  /** Of what it prints; default UTF-8. */
  readonly encoding?: BufferEncoding;
}

/** Runs `vitrine ARGS` to its end. */
export async function vitrine(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = startVitrine(args, options, options.input === undefined ? "ignore" : "pipe");
  const stdout = collect(child.stdout, options.encoding);
  const stderr = collect(child.stderr, options.encoding);
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input);
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  return { status, stdout: stdout(), stderr: stderr() };
}

/** Starts it with pipes. */
export function startVitrine(
  args: readonly string[],
  options: RunOptions = {},
  stdin: "pipe" | "ignore" = "pipe",
): ChildProcess {
  return spawn(options.node ?? process.execPath, [MAIN, ...args], {
    stdio: [stdin, "pipe", "pipe"],
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
}

/** The shell command that runs `vitrine ARGS`; arguments must not need quoting. */
export function vitrineCommand(args: string): string {
  return `'${process.execPath}' '${MAIN}' ${args}`;
}

function collect(stream: NodeJS.ReadableStream | null, encoding: BufferEncoding = "utf8"): () => string {
  const chunks: Buffer[] = [];
  stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString(encoding);
}

/** Commands that make a machine. */
const WITH_MACHINE: ReadonlySet<string> = new Set(["boot", "run", "trace", "pt", "maps", "frames", "startup"]);

export interface CommandLine {
  vitrine(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  startVitrine(args: readonly string[], options?: RunOptions): ChildProcess;
  vitrineCommand(args: string): string;
}

/** The same with `--arch` behind the command, where it takes one. */
export function commandLine(arch: Architecture): CommandLine {
  const choose = (args: readonly string[]): readonly string[] => {
    const [command = "", ...rest] = args;
    return WITH_MACHINE.has(command) && !rest.includes("--help") ? [command, "--arch", arch, ...rest] : args;
  };
  return {
    vitrine: (args, options) => vitrine(choose(args), options),
    startVitrine: (args, options) => startVitrine(choose(args), options),
    vitrineCommand: (args) => vitrineCommand(args.replace(/^\w+/, (command) => choose([command]).join(" "))),
  };
}
