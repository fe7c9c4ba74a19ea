// What a command of the command line is, and the options that several commands share.

import { isAbsolute, resolve } from "node:path";
import { architectureOfHostFile, DEFAULT_ARCHITECTURE, findArchitecture } from "../node/architecture.ts";
import type { BootOptions, MountOption } from "../node/index.ts";
import { defaultRootPath } from "../node/root-image.ts";
import { ARCHITECTURES, type Architecture } from "../system/platform.ts";
import { parseCount, parseSize, UsageError, type OptionRow, type ParsedOptions } from "./options.ts";

export interface Command {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  /** What follows the command's name. */
  readonly usage: string;
  readonly description: string;
  readonly options: readonly OptionRow[];
  /** Runs it and answers the exit status. */
  run(options: ParsedOptions): Promise<number>;
}

/** Options that shape the machine. */
export const MACHINE_OPTIONS: readonly OptionRow[] = [
  {
    name: "arch",
    value: "ARCH",
    help: `${ARCHITECTURES.join(" or ")} (default: the program's, else ${DEFAULT_ARCHITECTURE})`,
  },
  { name: "memory", short: "m", value: "SIZE", help: "guest RAM, 16M to 2G (default 128M)" },
  { name: "smp", value: "N", help: "harts, 1 to 8 (default 1)" },
  {
    name: "root",
    value: "DIR|TAR",
    help: "root file system: a folder (read-only), or a tar or cpio archive, gzipped or not",
  },
  {
    name: "volume",
    short: "v",
    value: "HOST:GUEST[:ro]",
    repeat: true,
    help: "show a host folder or file in the guest",
  },
  { name: "swap", value: "FILE", help: "a file of the host as swap area; it is made if --swap-size is given" },
  { name: "swap-size", value: "SIZE", help: "size of the swap area, from 40K (default: the file's)" },
  { name: "date", value: "WHEN", help: 'boot time of the guest: an ISO date or "now"' },
  { name: "seed", value: "N", help: "seed of the guest's random numbers (default 0)" },
  { name: "check-translations", help: "stop at the first use of a translation that the page tables no longer have" },
  {
    name: "aslr",
    value: "on|off",
    help: "whether programs lie at random addresses, which --seed determines (default on)",
  },
  {
    name: "wx",
    value: "allow|report",
    help: "whether to tell of memory that is writable and executable (default allow)",
  },
  { name: "check", help: "check every kernel invariant after each kernel entry (slow)" },
];

/** Options of a program that is run without an init. */
export const PROGRAM_OPTIONS: readonly OptionRow[] = [
  { name: "env", short: "e", value: "K=V", repeat: true, help: "environment variable of the program" },
  { name: "workdir", short: "w", value: "DIR", help: "working directory in the guest (default /)" },
];

export const LEAST_MEMORY = 16 * 2 ** 20;
export const MOST_MEMORY = 2 * 2 ** 30;

/** Boot options from the command line; `defaultDate` where --date is absent, `program` is what tells the architecture. */
export function machineOptions(
  { values }: ParsedOptions,
  defaultDate: Date | undefined,
  program?: string,
): BootOptions {
  const memory = parseSize(one(values, "memory") ?? "128M", "--memory");
  if (memory < LEAST_MEMORY || memory > MOST_MEMORY)
    throw new UsageError(`--memory wants a size from 16M to 2G, not “${one(values, "memory") ?? ""}”`);
  const date = one(values, "date");
  const seed = one(values, "seed");
  const root = one(values, "root");
  return {
    arch: chooseArchitecture(one(values, "arch"), root, program),
    memory: Math.floor(memory / 4096) * 4096,
    harts: parseCount(one(values, "smp") ?? "1", "--smp", 1, 8),
    mounts: (values.get("volume") ?? []).map(parseVolume),
    date: date === undefined ? defaultDate : parseDate(date),
    ...(root === undefined ? {} : { root: { path: root } }),
    swap: parseSwap(one(values, "swap"), one(values, "swap-size")),
    ...(seed === undefined ? {} : { seed: parseCount(seed, "--seed", 0, 2 ** 32 - 1) }),
    layout: choose(one(values, "aslr"), "--aslr", ["on", "off"]) === "off" ? "fixed" : "random",
    writableCode: choose(one(values, "wx"), "--wx", ["allow", "report"]) ?? "allow",
    ...(values.has("check") ? { checkInvariants: true } : {}),
    ...(values.has("check-translations") ? { checkTranslations: true } : {}),
  };
}

/** One of a few words. */
function choose<T extends string>(given: string | undefined, option: string, words: readonly T[]): T | undefined {
  if (given === undefined) return undefined;
  const word = words.find((known) => known === given);
  if (word === undefined) throw new UsageError(`${option} wants ${words.join(" or ")}, not “${given}”`);
  return word;
}

/** --swap and --swap-size, which means nothing alone. */
function parseSwap(file: string | undefined, size: string | undefined): BootOptions["swap"] {
  if (file !== undefined) return { file, size: size === undefined ? undefined : parseSize(size, "--swap-size") };
  if (size !== undefined) throw new UsageError("--swap-size wants --swap FILE beside it");
  return undefined;
}

/** --arch, or else what the program is for: in the root, or on the host. */
function chooseArchitecture(
  given: string | undefined,
  root: string | undefined,
  program: string | undefined,
): Architecture | undefined {
  if (given !== undefined) {
    const arch = ARCHITECTURES.find((name) => name === given);
    if (arch === undefined) throw new UsageError(`--arch wants ${ARCHITECTURES.join(" or ")}, not “${given}”`);
    return arch;
  }
  if (program === undefined) return undefined;
  // As resolveProgram finds it: a relative path is the host's first, everything else the guest's.
  const onHost = architectureOfHostFile(resolve(program));
  const isRelativePath = program.includes("/") && !isAbsolute(program);
  if (isRelativePath && onHost !== undefined) return onHost;
  if (root === undefined && (onHost === undefined || onHost === DEFAULT_ARCHITECTURE)) return undefined;
  return findArchitecture({ path: root ?? defaultRootPath(DEFAULT_ARCHITECTURE) }, program) ?? onHost;
}

/** What the guest is told of the host's terminal. */
export function terminalEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of ["TERM", "NO_COLOR"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** The environment of a program: a usual one, then what -e says. "K" alone takes the host's value. */
export function programEnvironment({ values }: ParsedOptions): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    HOME: "/root",
    USER: "root",
    ...terminalEnvironment(),
  };
  for (const text of values.get("env") ?? []) {
    const at = text.indexOf("=");
    const name = at < 0 ? text : text.slice(0, at);
    if (name === "") throw new UsageError(`-e wants NAME=VALUE, not “${text}”`);
    const value = at < 0 ? process.env[name] : text.slice(at + 1);
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** The last value of an option. */
export function one(values: ParsedOptions["values"], name: string): string | undefined {
  return values.get(name)?.at(-1);
}

function parseVolume(text: string): MountOption {
  const match = /^(.+?):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (match === null) throw new UsageError(`-v wants HOST:GUEST[:ro] with an absolute GUEST path, not “${text}”`);
  return { host: match[1] ?? "", guest: match[2] ?? "", readOnly: match[3] === "ro" };
}

function parseDate(text: string): Date {
  const date = text === "now" ? new Date() : new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new UsageError(`--date wants an ISO date such as 2026-01-31T12:00:00Z, or “now”, not “${text}”`);
  return date;
}
