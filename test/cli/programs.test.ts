// Programs that are run as asked for: their statuses, their environment, roots of every kind, the help of each command.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { gzipSync } from "node:zlib";
import { writeCpio } from "../support/cpio.ts";
import { eachArch } from "../support/architectures.ts";
import { commandLine } from "../support/command-line.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-programs-"));
after(() => rmSync(folder, { recursive: true }));

const STATUSES: readonly (readonly [script: string, status: number])[] = [
  ["exit 0", 0],
  ["exit 7", 7],
  ["exit 300", 300 & 255],
  ["kill -9 $$", 128 + 9],
  ["kill -SEGV $$", 128 + 11],
  ["nosuch", 127],
];

eachArch(({ arch, test }) => {
  const { vitrine } = commandLine(arch);

  for (const [script, status] of STATUSES) {
    test(`run sh -c '${script}' ends with ${status}`, async () => {
      assert.equal((await vitrine(["run", "sh", "-c", script])).status, status);
    });
  }

  test("help is there for each command, and names its options", async () => {
    const overview = await vitrine(["--help"]);
    assert.equal(overview.status, 0);
    for (const command of ["boot", "run", "trace", "pt", "maps", "frames", "startup"]) {
      assert.match(overview.stdout, new RegExp(`^  ${command} `, "m"));
      const help = await vitrine([command, "--help"]);
      assert.equal(help.status, 0);
      assert.match(help.stdout, new RegExp(`^usage: vitrine ${command} `));
      assert.match(help.stdout, /-m, --memory SIZE/);
      assert.deepEqual(await vitrine(["help", command]), help);
    }
  });

  test("sizes, environment, folder, volumes and what follows the program are as asked for", async () => {
    writeFileSync(join(folder, "with space"), "content\n");
    const outcome = await vitrine([
      "run",
      "-m",
      "32M",
      "--smp",
      "2",
      "-e",
      "A=1=2",
      "-e",
      "B=",
      "-w",
      "/tmp",
      "-v",
      `${folder}:/mnt/f:ro`,
      "-v",
      `${folder}/with space:/tmp/one`,
      "sh",
      "-c",
      'echo "$A|$B|$PWD|$1"; cat "/mnt/f/with space" /tmp/one; echo x > /mnt/f/new || echo refused',
      "sh",
      "-m",
    ]);
    assert.equal(outcome.stdout, "1=2||/tmp|-m\ncontent\ncontent\nrefused\n");
    assert.match(outcome.stderr, /Read-only file system/);
  });

  test("a root is a folder, a tar or cpio archive, gzipped or not; a broken one is told in one line", async () => {
    const tar = readFileSync(new URL(`../../../userland/images/${arch}/root.tar`, import.meta.url));
    writeFileSync(join(folder, "root.tgz"), gzipSync(tar));
    writeFileSync(join(folder, "cut.tar"), tar.subarray(0, 100_000));
    const hello = await vitrine(["run", "cat", "/bin/hello"], { encoding: "latin1" });
    const program = Buffer.from(hello.stdout, "latin1");
    writeFileSync(join(folder, "root.cpio"), writeCpio([{ name: "hello", mode: 0o100755, data: program }]));
    mkdirSync(join(folder, "root"), { recursive: true });
    writeFileSync(join(folder, "root/hello"), program, { mode: 0o755 });
    for (const [root, path] of [
      ["root.tgz", "/bin/hello"],
      ["root.cpio", "/hello"],
      ["root", "/hello"],
    ] as const) {
      const outcome = await vitrine(["run", "--root", join(folder, root), path]);
      assert.deepEqual(outcome, { status: 0, stdout: "hello from user mode\n", stderr: "" }, root);
    }
    const cut = await vitrine(["run", "--root", join(folder, "cut.tar"), "true"]);
    assert.match(cut.stderr, /^vitrine: the root archive is not usable: .*cut short.*\n$/);
    assert.equal(cut.status, 125);
  });

  test("an absolute path is the guest's program if there is one, a relative one the host's", async () => {
    writeFileSync(join(folder, "sh"), '#!/bin/sh\necho "the host\'s"\n', { mode: 0o755 });
    assert.equal(
      (await vitrine(["run", "/bin/sh", "-c", 'echo "the guest\'s"'], { cwd: folder })).stdout,
      "the guest's\n",
    );
    assert.equal((await vitrine(["run", "./sh"], { cwd: folder })).stdout, "the host's\n");
    assert.equal((await vitrine(["run", join(folder, "sh")])).stdout, "the host's\n");
  });

  test("colours stay away from pipes and from NO_COLOR", async () => {
    const outcome = await vitrine(["run", "ls", "/"], { env: { NO_COLOR: "1" } });
    assert.ok(!outcome.stdout.includes("\x1b"));
  });
});
