/**
 * Host tools that some tests compare against. None is required: a test whose tool is absent reports a skip with the
 * reason, so that `npm test` passes on a machine with nothing but Node.
 */
import { execFileSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const found = new Map<string, boolean>();

/** Whether `name` is an executable on the search path. */
export function hasTool(name: string): boolean {
  let has = found.get(name);
  if (has === undefined) {
    has = (process.env["PATH"] ?? "").split(delimiter).some((folder) => isExecutable(join(folder, name)));
    found.set(name, has);
  }
  return has;
}

/** For node:test's `skip` option: false when all tools are there, else the reason. */
export function skipWithout(...names: string[]): string | false {
  const missing = names.filter((name) => !hasTool(name));
  return missing.length === 0 ? false : `needs ${missing.join(", ")}`;
}

/** Runs a tool to its end and returns its stdout; throws with its stderr when it fails or takes too long. */
export function runTool(
  name: string,
  args: readonly string[],
  options: { input?: Uint8Array; cwd?: string } = {},
): Buffer {
  return execFileSync(name, args, {
    ...options,
    timeout: 120_000,
    killSignal: "SIGKILL",
    maxBuffer: 256 << 20,
    stdio: ["pipe", "pipe", "pipe"],
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What `use` makes of a folder of its own, which is gone afterwards. */
export function inScratchFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-tool-"));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
