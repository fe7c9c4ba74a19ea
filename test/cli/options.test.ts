// What a person may type wrongly: one line on stderr that says what to do, and the status 125, 126 or 127.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { vitrine } from "../support/command-line.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-cli-"));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "empty"), "");
writeFileSync(join(folder, "text"), "this is no archive\n".repeat(100));
writeFileSync(join(folder, "cut.gz"), Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]));
writeFileSync(join(folder, "foreign"), Buffer.from("7f454c460201010000000000000000000200b70001000000", "hex"), {
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
  [["run", "--arch", "vax", "true"], 125, /--arch wants riscv64.*“vax”/],
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
