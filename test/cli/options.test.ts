// What a person may type wrongly, and the statuses of what they type rightly: one line on stderr, 125, 126, 127, 128 + n.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { writeCpio } from "../support/cpio.ts";
import { vitrine } from "../support/command-line.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-cli-"));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "empty"), "");
writeFileSync(join(folder, "text"), "this is no archive\n".repeat(100));
writeFileSync(join(folder, "cut.gz"), Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]));
writeFileSync(join(folder, "foreign"), Buffer.from("7f454c4602010100000000000000000002003e0001000000", "hex"), {
  mode: 0o755,
});

/** Arguments, status, and what the one line on stderr says. */
const MISTAKES: readonly (readonly [args: readonly string[], status: number, says: RegExp])[] = [
  [["rnu", "true"], 125, /no command “rnu”; did you mean run\?/],
  [[""], 125, /no command “”/],
  [["run"], 125, /run wants a PROGRAM/],
  [["run", "--memroy", "5", "true"], 125, /unknown option --memroy; did you mean --memory\?/],
  [["run", "-x", "true"], 125, /unknown option -x; --help lists them/],
  [["run", "--check=1", "true"], 125, /--check takes no value/],
  [["run", "-m"], 125, /-m needs a value/],
  [["run", "-m", "0", "true"], 125, /from 16M to 2G, not “0”/],
  [["run", "-m", "1", "true"], 125, /from 16M to 2G, not “1”/],
  [["run", "-m", "99G", "true"], 125, /from 16M to 2G, not “99G”/],
  [["run", "-m", "abc", "true"], 125, /not “abc”/],
  [["run", "-m", "-5M", "true"], 125, /not “-5M”/],
  [["run", "--smp", "0", "true"], 125, /from 1 to 8, not “0”/],
  [["run", "--smp", "9", "true"], 125, /from 1 to 8, not “9”/],
  [["run", "--smp", "x", "true"], 125, /from 1 to 8, not “x”/],
  [["run", "--smp", "1", "--smp", "2", "true"], 125, /--smp is given twice/],
  [["run", "--arch", "vax", "true"], 125, /--arch vax/],
  [["run", "--date", "soon", "true"], 125, /not “soon”/],
  [["run", "--seed", "-1", "true"], 125, /--seed wants/],
  [["run", "-v", "/tmp", "true"], 125, /-v wants HOST:GUEST/],
  [["run", "-v", `${folder}/absent:/x`, "true"], 125, /cannot mount .*absent: no such file/],
  [["run", "-e", "=x", "true"], 125, /-e wants NAME=VALUE/],
  [["run", "-w", "/absent", "true"], 125, /working directory \/absent/],
  [["run", "--root", `${folder}/absent`, "true"], 125, /cannot read the root file system .*no such file/],
  [["run", "--root", `${folder}/empty`, "true"], 125, /root archive is not usable/],
  [["run", "--root", `${folder}/text`, "true"], 125, /root archive is not usable/],
  [["run", "--root", `${folder}/cut.gz`, "true"], 125, /cannot unpack .*truncated/],
  [["run", "nosuch"], 127, /nosuch: not found/],
  [["run", ""], 127, /no program is named/],
  [["run", "./nosuch"], 127, /not found/],
  [["run", "/etc"], 126, /it is a directory/],
  [["run", "/etc/passwd"], 126, /not executable/],
  [["run", `${folder}/foreign`], 126, /not a program of this architecture/],
  [["trace", "-e", "opne", "true"], 125, /no system call “opne”/],
  [["trace", "--json", "true"], 125, /--json goes with -c/],
  [["trace", "-o", `${folder}/no/such`, "true"], 125, /cannot write/],
  [["pt", "--at", "0", "true"], 125, /--at wants/],
  [["pt", "--at", "9999", "true"], 125, /ended after \d+ system calls/],
];

for (const [args, status, says] of MISTAKES) {
  test(`vitrine ${args.map((arg) => (arg === "" ? '""' : arg.replace(folder, "FOLDER"))).join(" ")}: ${status}`, async () => {
    const outcome = await vitrine(args);
    assert.match(outcome.stderr, says);
    assert.equal(outcome.stderr.trimEnd().split("\n").length, 1, "one line");
    assert.equal(outcome.stdout, "");
    assert.equal(outcome.status, status);
  });
}

const STATUSES: readonly (readonly [script: string, status: number])[] = [
  ["exit 0", 0],
  ["exit 7", 7],
  ["exit 300", 300 & 255],
  ["kill -9 $$", 128 + 9],
  ["kill -SEGV $$", 128 + 11],
  ["nosuch", 127],
];

for (const [script, status] of STATUSES) {
  test(`run sh -c '${script}' ends with ${status}`, async () => {
    assert.equal((await vitrine(["run", "sh", "-c", script])).status, status);
  });
}

test("help is there for each command, and names its options", async () => {
  const overview = await vitrine(["--help"]);
  assert.equal(overview.status, 0);
  for (const command of ["boot", "run", "trace", "pt", "startup"]) {
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
  const tar = readFileSync(new URL("../../../userland/images/riscv64/root.tar", import.meta.url));
  writeFileSync(join(folder, "root.tgz"), gzipSync(tar));
  writeFileSync(join(folder, "cut.tar"), tar.subarray(0, 100_000));
  const hello = await vitrine(["run", "cat", "/bin/hello"], { encoding: "latin1" });
  const program = Buffer.from(hello.stdout, "latin1");
  writeFileSync(join(folder, "root.cpio"), writeCpio([{ name: "hello", mode: 0o100755, data: program }]));
  mkdirSync(join(folder, "root"));
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
