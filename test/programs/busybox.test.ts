// Debian's busybox-static, unmodified, on Vitrine and on Linux: the same bytes and the same status, for each applet, each line of shell,
// and a script of two hundred lines. Linux is the host's: it runs the program itself where it can, under QEMU's user mode elsewhere.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, type TestContext } from "node:test";
import { boot, type Vitrine } from "../../src/node/index.ts";
import { eachArch } from "../support/architectures.ts";
import { DEBIAN_ARCHITECTURES, debianFile, debianSkip } from "../support/debian.ts";
import { type GuestOutcome, runGuest } from "../support/guest-run.ts";
import { runOracle } from "../support/oracle.mjs";
import { hasTool } from "../support/tools.ts";
import { APPLET_LINES, FILES, SHELL_LINES } from "./busybox-cases.ts";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "../../../test/programs/busybox-script.sh");

/** How long each side may take. The runner's limit of three minutes without news does not tell them apart. */
interface Limits {
  readonly oracleMs: number;
  readonly guestMs: number;
}

const LINE_LIMITS: Limits = { oracleMs: 15_000, guestMs: 60_000 };
const SCRIPT_LIMITS: Limits = { oracleMs: 60_000, guestMs: 150_000 };

eachArch(({ arch, test }) => {
  const debianArch = DEBIAN_ARCHITECTURES[arch];
  const isNative = arch === "x86_64" && process.arch === "x64" && process.platform === "linux";
  const emulator = `qemu-${arch}`;
  const oracle = isNative ? "Linux" : emulator;
  const busyboxFile = debianFile({ package: "busybox-static", arch: debianArch, path: "/bin/busybox" });
  const skip =
    busyboxFile === undefined
      ? debianSkip("busybox-static", debianArch)
      : isNative || hasTool(emulator)
        ? false
        : `${emulator} is not installed`;

  /** Both sides see the same folder at the same path. */
  const folder = mkdtempSync(join(tmpdir(), `vitrine-busybox-${arch}-`));
  const busybox = join(folder, "busybox");
  /**
   * The folders with a program for each applet, both seen at the path of the first: links to busybox for the guest, and for a host
   * that can execute it; for qemu-user, which cannot execute a foreign program by itself, scripts that run the emulator on it.
   */
  const applets = join(folder, "bin");
  const guestApplets = join(folder, "links");
  const ENVIRONMENT = { PATH: applets, HOME: "/" };
  let system: Vitrine | undefined;

  before(async () => {
    if (skip !== false) return;
    await installApplets();
    const mounts = [
      { host: folder, guest: folder },
      { host: guestApplets, guest: applets },
    ];
    system = await boot({ arch, memory: 128 * 2 ** 20, mounts });
  });
  after(async () => {
    await system?.close();
    rmSync(folder, { recursive: true });
  });

  async function installApplets(): Promise<void> {
    writeFileSync(busybox, readFileSync(busyboxFile ?? ""), { mode: 0o755 });
    mkdirSync(applets);
    mkdirSync(guestApplets);
    const { stdout } = await runOracle(onLinux(["--list"]));
    for (const applet of stdout.split("\n").filter((name) => name !== "")) {
      const script = `#!/bin/sh\nexec ${findQemu()} -0 '${applet}' '${busybox}' "$@"\n`;
      if (isNative) symlinkSync(busybox, join(applets, applet));
      else writeFileSync(join(applets, applet), script, { mode: 0o755 });
      symlinkSync(busybox, join(guestApplets, applet));
    }
  }

  /** The emulator's own path: the scripts run with a PATH of applets only. */
  function findQemu(): string {
    const folders = (process.env["PATH"] ?? "").split(":");
    return folders.map((path) => join(path, emulator)).find((path) => existsSync(path)) ?? emulator;
  }

  /** The host's command that runs busybox. */
  function onLinux(args: readonly string[]): string[] {
    return [...(isNative ? [] : [findQemu()]), busybox, ...args];
  }

  /** Makes the case's folder afresh, with the program and the files in it. */
  function prepare(): string {
    const place = join(folder, "case");
    rmSync(place, { recursive: true, force: true });
    for (const [name, text] of Object.entries(FILES)) {
      mkdirSync(dirname(join(place, name)), { recursive: true });
      writeFileSync(join(place, name), Buffer.from(text, "latin1"));
    }
    return place;
  }

  async function ask(t: TestContext, args: readonly string[], limitMs: number): Promise<GuestOutcome> {
    const diagnostic = (message: string): void => t.diagnostic(message);
    const options = { prepare, env: ENVIRONMENT, limitMs, diagnostic };
    const { stdout, stderr, code, signal } = await runOracle(onLinux(args), options);
    return { stdout, stderr, status: code ?? 128 + constants.signals[signal ?? "SIGKILL"] };
  }

  async function compare(t: TestContext, args: readonly string[], limits = LINE_LIMITS): Promise<void> {
    assert.ok(system !== undefined);
    const expected = await ask(t, args, limits.oracleMs);
    const options = { cwd: prepare(), env: ENVIRONMENT };
    const actual = await runGuest(system, [busybox, ...args], options, limits.guestMs);
    assert.deepEqual(actual, expected);
  }

  for (const [applet, lines] of Object.entries(APPLET_LINES)) {
    test(`busybox ${applet} gives what it gives on ${oracle}`, { skip }, async (t) => {
      for (const line of lines) await compare(t, ["sh", "-c", line]);
    });
  }

  for (const line of SHELL_LINES) {
    test(`busybox sh: ${line.split("\n")[0]}`, { skip }, (t) => compare(t, ["sh", "-c", line]));
  }

  test("busybox sh: the script of two hundred lines", { skip }, async (t) => {
    const script = join(folder, "script.sh");
    writeFileSync(script, readFileSync(SCRIPT));
    await compare(t, ["sh", script], SCRIPT_LIMITS);
  });
});
