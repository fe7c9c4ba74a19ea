// Debian's busybox-static, unmodified, on Vitrine and under QEMU's user mode: the same bytes and the same status, for each
// applet, each line of shell, and a script of two hundred lines.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before } from "node:test";
import { shellStatus } from "../../src/node/guest-process.ts";
import { boot, type Vitrine } from "../../src/node/index.ts";
import { eachArch } from "../support/architectures.ts";
import { DEBIAN_ARCHITECTURES, debianFile, debianSkip } from "../support/debian.ts";
import { hasTool } from "../support/tools.ts";
import { APPLET_LINES, FILES, SHELL_LINES } from "./busybox-cases.ts";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "../../../test/programs/busybox-script.sh");

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

eachArch(({ arch, test }) => {
  const debianArch = DEBIAN_ARCHITECTURES[arch];
  const emulator = `qemu-${arch}`;
  const busyboxFile = debianFile({ package: "busybox-static", arch: debianArch, path: "/bin/busybox" });
  const skip =
    busyboxFile === undefined
      ? debianSkip("busybox-static", debianArch)
      : hasTool(emulator)
        ? false
        : `${emulator} is not installed`;

  /** Both emulators see the same folder at the same path. */
  const folder = mkdtempSync(join(tmpdir(), `vitrine-busybox-${arch}-`));
  /**
   * The folder with a program for each applet, on each side: links to busybox for the guest; for qemu-user, which cannot execute a foreign
   * program by itself, scripts that run the emulator on it. Both are seen at the path of the first.
   */
  const emulated = join(folder, "bin");
  const native = join(folder, "links");
  const ENVIRONMENT = { PATH: emulated, HOME: "/" };
  let system: Vitrine | undefined;

  before(async () => {
    if (skip !== false) return;
    installApplets();
    const mounts = [
      { host: folder, guest: folder },
      { host: native, guest: emulated },
    ];
    system = await boot({ arch, memory: 128 * 2 ** 20, mounts });
  });
  after(async () => {
    await system?.close();
    rmSync(folder, { recursive: true });
  });

  function installApplets(): void {
    const busybox = join(folder, "busybox");
    writeFileSync(busybox, readFileSync(busyboxFile ?? ""), { mode: 0o755 });
    mkdirSync(emulated);
    mkdirSync(native);
    const { stdout } = spawnSync(emulator, [busybox, "--list"], { encoding: "utf8" });
    for (const applet of stdout.split("\n").filter((name) => name !== "")) {
      const script = `#!/bin/sh\nexec ${findQemu()} -0 '${applet}' '${busybox}' "$@"\n`;
      writeFileSync(join(emulated, applet), script, { mode: 0o755 });
      symlinkSync(busybox, join(native, applet));
    }
  }

  /** The emulator's own path: the scripts run with a PATH of applets only. */
  function findQemu(): string {
    const folders = (process.env["PATH"] ?? "").split(":");
    return folders.map((path) => join(path, emulator)).find((path) => existsSync(path)) ?? emulator;
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

  function underQemu(args: readonly string[]): Outcome {
    const run = spawnSync(findQemu(), [join(folder, "busybox"), ...args], {
      cwd: prepare(),
      env: ENVIRONMENT,
      timeout: 60_000,
    });
    const status = run.status ?? 128 + (run.signal === "SIGKILL" ? 9 : 15);
    return { stdout: run.stdout.toString("latin1"), stderr: run.stderr.toString("latin1"), status };
  }

  async function onVitrine(args: readonly string[]): Promise<Outcome> {
    assert.ok(system !== undefined);
    const program = system.spawn([join(folder, "busybox"), ...args], { cwd: prepare(), env: ENVIRONMENT });
    const [stdout, stderr, status] = await Promise.all([
      collect(program.stdout),
      collect(program.stderr),
      program.status,
    ]);
    return { stdout, stderr, status: shellStatus(status) };
  }

  async function collect(chunks: AsyncIterable<Uint8Array>): Promise<string> {
    let text = "";
    for await (const chunk of chunks) text += Buffer.from(chunk).toString("latin1");
    return text;
  }

  async function compare(args: readonly string[]): Promise<void> {
    const expected = underQemu(args);
    assert.deepEqual(await onVitrine(args), expected);
  }

  for (const [applet, lines] of Object.entries(APPLET_LINES)) {
    test(`busybox ${applet} gives what it gives under ${emulator}`, { skip }, async () => {
      for (const line of lines) await compare(["sh", "-c", line]);
    });
  }

  for (const line of SHELL_LINES) {
    test(`busybox sh: ${line.split("\n")[0]}`, { skip }, () => compare(["sh", "-c", line]));
  }

  test("busybox sh: the script of two hundred lines", { skip }, async () => {
    const script = join(folder, "script.sh");
    writeFileSync(script, readFileSync(SCRIPT));
    await compare(["sh", script]);
  });
});
