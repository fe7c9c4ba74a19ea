// Which machine a command makes: --arch, or the ELF header of the program, wherever it is found; and both at once.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { boot } from "../../src/node/index.ts";
import { ARCHITECTURES, type Architecture } from "../../src/system/platform.ts";
import { vitrine } from "../support/command-line.ts";
import { makeTar, portableProgram } from "../support/guest.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-arch-"));
after(() => rmSync(folder, { recursive: true }));

/** Ends with the status of its architecture. */
const STATUS = { riscv64: 11, x86_64: 22 } as const;
const program = (arch: Architecture): Uint8Array => portableProgram(arch, `_start:\n sys exit, ${STATUS[arch]}`);
const status = async (args: readonly string[]): Promise<number | null> => (await vitrine(args, { cwd: folder })).status;

test("a host's program runs on the machine that it is for, whatever command runs it", async () => {
  for (const arch of ARCHITECTURES) {
    writeFileSync(join(folder, arch), program(arch), { mode: 0o755 });
    for (const command of ["run", "trace", "pt"]) assert.equal(await status([command, `./${arch}`]), STATUS[arch]);
    assert.equal(await status(["run", join(folder, arch)]), STATUS[arch]);
    assert.equal(await status(["run", arch]), STATUS[arch], "by its name alone");
  }
  const other = await vitrine(["run", "--arch", "riscv64", "./x86_64"], { cwd: folder });
  assert.equal(other.status, 126);
  assert.match(other.stderr, /not a program of this architecture/);
});

test("a program of a root is looked up there: along PATH, through links and #! lines, in folders and archives", async () => {
  for (const arch of ARCHITECTURES) {
    const script = new TextEncoder().encode("#!/bin/program\n");
    const files = { "usr/bin/program": program(arch), "bin/program": program(arch), "bin/script": script };
    const archive = join(folder, `${arch}.tar`);
    writeFileSync(archive, makeTar(files));
    const root = join(folder, `${arch}-root`);
    for (const name of ["usr/bin", "dev", "proc", "tmp"]) mkdirSync(join(root, name), { recursive: true });
    symlinkSync("usr/bin", join(root, "bin"));
    writeFileSync(join(root, "usr/bin/program"), program(arch), { mode: 0o755 });
    symlinkSync("../../bin/program", join(root, "usr/bin/link"));
    writeFileSync(join(root, "usr/bin/script"), script, { mode: 0o755 });
    for (const [place, name] of [
      [archive, "program"],
      [archive, "/bin/script"],
      [root, "program"],
      [root, "/bin/link"],
      [root, "script"],
    ] as const) {
      assert.equal(await status(["run", "--root", place, name]), STATUS[arch], `${name} in ${place}`);
    }
    await using system = await boot({ root: { path: archive }, init: ["/bin/program"] });
    assert.equal(system.kernel.arch.name, arch, "the library looks at its init");
  }
});

test("without any program to go by it is riscv64, and the guest's own programs come before the host's of that name", async () => {
  writeFileSync(join(folder, "uname"), program("x86_64"), { mode: 0o755 });
  assert.equal((await vitrine(["run", "uname", "-m"], { cwd: folder })).stdout, "riscv64\n");
  assert.equal((await vitrine(["run", "--arch", "x86_64", "uname", "-m"], { cwd: folder })).stdout, "x86_64\n");
});

test("demo runs a program on both, and shows the same traps next to each other", async () => {
  const { stdout, stderr, status: ended } = await vitrine(["demo"]);
  assert.equal(stderr, "");
  assert.equal(ended, 0);
  for (const line of stdout.split("\n")) assert.ok(line.length <= 120, line);
  for (const arch of ARCHITECTURES) {
    assert.ok(stdout.includes(`/bin/hello on ${arch}: status 0, output "hello from user mode\\n"`));
  }
  const [, fault = "", call = ""] = stdout.split(/^The first page fault$|^A system call: write$/m);
  assert.match(fault, /^ +riscv64 +x86_64$/m);
  assert.match(fault, /^in +exception +exception$/m);
  assert.match(fault, /^page fault +execute of .*execute of /m);
  assert.match(call, /^in +ecall +syscall$/m);
  assert.match(call, /^uservec +satp 0x\S+ -> 0x\S+ +swapgs$/m);
  assert.match(call, /^syscall +64 write\(1, .* 1 write\(1, /m);
  assert.match(call, /^ +write = 21 +write = 21$/m);
  assert.match(call, /^out +sret +sysretq$/m);
  const other = await vitrine(["demo", "-e", "getcwd", "sh", "-c", "pwd"]);
  assert.match(other.stdout, /^A system call: getcwd$/m);
  assert.match((await vitrine(["demo", "-e", "nosuch"])).stderr, /has no nosuch/);
});
