// Starting a program from the host: finding it along PATH, giving it its three descriptors.

import type { Errno } from "../abi/linux/errno.ts";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../abi/linux/open-flags.ts";
import { createChannelFile } from "../kernel/fs/anonymous-files.ts";
import { releaseFile } from "../kernel/fs/open-file.ts";
import { resolveFromRoot, resolvePath } from "../kernel/fs/path.ts";
import type { OpenFile, PathRef } from "../kernel/fs/types.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { createTtyFile } from "../kernel/tty/open.ts";
import type { System } from "../system/boot.ts";
import { STATUS_NOT_EXECUTABLE, STATUS_NOT_FOUND, VitrineError } from "./error.ts";
import { toByteString } from "./guest-mounts.ts";
import type { SpawnOptions } from "./guest-process.ts";

export const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
const EXECUTE_BITS = 0o111;

/** The guest path of a program, as a shell finds it; undefined when there is none that can be executed. */
export function findGuestProgram(k: Kernel, name: string, searchPath: string | undefined): string | undefined {
  const bytes = toByteString(name);
  const candidates = name.includes("/")
    ? [bytes]
    : (searchPath ?? DEFAULT_PATH).split(":").map((folder) => `${folder}/${bytes}`);
  return candidates.find((path) => isExecutable(k, path));
}

/** The place of a guest path, links followed, with the rights of pid 1. */
function resolve(k: Kernel, path: string): PathRef | Errno {
  const process = k.state.processes.get(1);
  const root = resolveFromRoot(k, "/");
  if (process === undefined || typeof root === "string") return "ENOENT";
  return resolvePath(k, { process, credentials: process.credentials }, root, path, { followLast: true });
}

function isExecutable(k: Kernel, path: string): boolean {
  const place = resolve(k, path);
  return typeof place !== "string" && place.inode.kind === "file" && (place.inode.mode & EXECUTE_BITS) !== 0;
}

/** The guest path of `argv[0]`. Throws VitrineError: 127 when there is no such file, 126 when it cannot be executed. */
export function findProgram(k: Kernel, argv: readonly string[], options: SpawnOptions): string {
  const name = argv[0];
  if (name === undefined || name === "") throw new VitrineError("no program is named", STATUS_NOT_FOUND);
  const cwd = options.cwd ?? "/";
  if (typeof resolve(k, toByteString(cwd)) === "string")
    throw new VitrineError(`the working directory ${cwd} is not in the guest`);
  const path = name.includes("/") && !name.startsWith("/") ? `${cwd}/${name}` : name;
  const found = findGuestProgram(k, path, options.env?.["PATH"]);
  if (found !== undefined) return found;
  const place = path.includes("/") ? resolve(k, toByteString(path)) : "ENOENT";
  if (typeof place !== "string")
    throw new VitrineError(
      `${name}: ${place.inode.kind === "directory" ? "it is a directory" : "not executable"}`,
      STATUS_NOT_EXECUTABLE,
    );
  throw new VitrineError(`${name}: not found in the guest`, STATUS_NOT_FOUND);
}

/** Starts the program at `path`. Its streams are three channels of the host, or the console terminal. Returns its pid. */
export function spawnProgram(
  system: System,
  path: string,
  argv: readonly string[],
  options: SpawnOptions,
  streams: readonly [stdin: string, stdout: string, stderr: string] | "console",
): number {
  const k = system.kernel;
  const files = streams === "console" ? openConsole(k) : openChannels(k, streams);
  const log = k.probes.log;
  let reason = "";
  k.probes.log = (line): void => {
    reason = line;
    log?.(line);
  };
  const process = system.spawn({
    path,
    argv: argv.map(toByteString),
    env: Object.entries(options.env ?? { PATH: DEFAULT_PATH }).map(([name, value]) => toByteString(`${name}=${value}`)),
    cwd: toByteString(options.cwd ?? "/"),
    files,
    ...(streams === "console" ? { tty: 0 } : {}),
  });
  if (log === undefined) delete k.probes.log;
  else k.probes.log = log;
  if (typeof process !== "string") return process.pid;
  throw new VitrineError(
    `${argv[0] ?? path}: ${explain(process, reason)}`,
    process === "ENOENT" ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE,
  );
}

function openChannels(k: Kernel, names: readonly string[]): OpenFile[] {
  const files: OpenFile[] = [];
  for (const [fd, name] of names.entries()) {
    const file = createChannelFile(k, name, fd === 0 ? O_RDONLY : O_WRONLY);
    if (typeof file === "string") return giveUp(k, files, file);
    files.push(file);
  }
  return files;
}

function openConsole(k: Kernel): OpenFile[] {
  const files: OpenFile[] = [];
  const place = resolveFromRoot(k, "/dev/console");
  const [tty] = k.state.ttys.ttys;
  if (typeof place === "string" || tty === undefined) return giveUp(k, files, "ENODEV");
  for (let fd = 0; fd < 3; fd++) {
    const file = createTtyFile(k, tty, place.inode, place, O_RDWR);
    if (typeof file === "string") return giveUp(k, files, file);
    files.push(file);
  }
  return files;
}

function giveUp(k: Kernel, files: readonly OpenFile[], error: string): never {
  for (const file of files) releaseFile(k, file);
  throw new VitrineError(`cannot open the program's streams: ${error}`);
}

function explain(error: string, log: string): string {
  switch (error) {
    case "ENOEXEC":
      return `not a program of this architecture${log === "" ? "" : ` (${log})`}`;
    case "ENOENT":
      return "not found in the guest, or its interpreter is not";
    case "EACCES":
      return "not executable";
    case "ENOMEM":
      return "not enough guest memory; give more with -m";
    case "E2BIG":
      return "arguments and environment are too long";
    default:
      return `cannot be executed (${error})${log === "" ? "" : `: ${log}`}`;
  }
}
