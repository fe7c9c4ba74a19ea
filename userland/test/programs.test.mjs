/** What has no counterpart to compare with: the freestanding programs, the demos, and the binary itself. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { generateStubs } from "../freestanding/generate-stubs.mjs";
import { findTargets, removeTargets, run } from "./harness.mjs";

const targets = findTargets();
after(() => removeTargets(targets));

describe("the stub generator", () => {
  it("emits number, trap and return for each call", () => {
    assert.match(generateStubs("riscv64"), /^write:\n\tli a7, 64\n\tecall\n\tret\n/m);
    assert.match(generateStubs("x86_64"), /^write:\n\tmov \$1, %eax\n\tmov %rcx, %r10\n\tsyscall\n\tret\n/m);
  });
  it("refuses an architecture that it does not know", () => {
    assert.throws(() => generateStubs("vax"), /vax/);
  });
});

for (const target of targets) {
  const programs = dirname(target.command[target.command.length - 1]);
  const command = (name) => [...target.command.slice(0, -1), join(programs, name)];
  const vbox = (...args) => run([...target.command, ...args], { path: target.path });

  describe(`programs on ${target.name}`, { skip: target.skip }, () => {
    it("hello writes once", async () => {
      const { stdout, status } = await run(command("hello"));
      assert.deepEqual({ stdout, status }, { stdout: "hello from user mode\n", status: 0 });
    });
    it("hello has segments that start at pages, none writable and executable", () => {
      for (const { flags, address, offset } of readSegments(join(programs, "hello"))) {
        assert.equal(address % 4096, 0);
        assert.equal(offset % 4096, 0);
        assert.notEqual(flags & 3, 3);
      }
    });
    it("forktest counts its children", async () => {
      const { stdout, status } = await run([...command("forktest"), "20"]);
      assert.deepEqual({ stdout, status }, { stdout: "forktest: 20 children, OK\n", status: 0 });
      assert.equal((await run([...command("forktest"), "x"])).status, 1);
    });
    it("vbox lists its applets and refuses others", async () => {
      assert.match((await vbox()).stdout, /^ {2}ls +list folders$/m);
      assert.deepEqual(await vbox("nothing"), { stdout: "", stderr: "vbox: nothing: no such applet\n", status: 127 });
    });
    it("every applet with a usage line prints it", async () => {
      for (const [, name, usage] of (await vbox()).stdout.matchAll(/^ {2}(\S+)( .*)$/gm)) {
        const { stdout, status } = await vbox(name, "--help");
        if (stdout.startsWith("usage:")) assert.deepEqual({ name, status }, { name, status: 0 });
        else assert.match(name, /^(\[|test|echo|printf|expr|true|false|init|yes)$/, `${name}:${usage}`);
        if (name === "uniq") break; // yes would not end
      }
    });
    it("errors name the applet, the file and the reason", async () => {
      const { stderr, status } = await vbox("cat", "/no/such");
      assert.deepEqual({ stderr, status }, { stderr: "cat: /no/such: No such file or directory\n", status: 1 });
      assert.deepEqual((await vbox("ls", "-@")).status, 2);
    });
    it("init refuses to be anything but process 1", async () => {
      assert.deepEqual(await vbox("init"), { stdout: "", stderr: "init: must be process 1\n", status: 1 });
    });
    it("demo-null catches what the kernel tells of the fault", async () => {
      const { stdout, status } = await vbox("demo-null", "-c");
      assert.match(stdout, /caught SIGSEGV: si_addr 0, si_code 1 \(SEGV_MAPERR/);
      assert.equal(status, 0);
    });
    it("demo-guard ends in a caught fault", async () => {
      const { stdout, status } = await vbox("demo-guard");
      assert.match(stdout, /caught SIG(SEGV|BUS) at depth \d{3,}/);
      assert.equal(status, 0);
    });
    it("demo-cow keeps the processes apart", async () => {
      const { stdout } = await vbox("demo-cow");
      assert.match(stdout, /child +has written.*"written by the child"[^]*parent still sees.*"written by the parent"/);
    });
    it("demo-zero reads zeros from fresh pages", async () => {
      const { stdout, status } = await vbox("demo-zero", "64");
      assert.match(stdout, /^ +64 +\d+ +-?\d+ +0$/m);
      assert.equal(status, 0);
    });
    it("demo-cpu and demo-traps end", async () => {
      assert.match((await vbox("demo-cpu", "1000", "2")).stdout, /job 2: 168 primes below 1000/);
      assert.match((await vbox("demo-traps", "10")).stdout, /^getppid +10 in/);
    });
    it("a text made to exhaust the shell's stack is an error", async () => {
      for (const text of [
        "(".repeat(20000),
        "echo ${a:-".repeat(2000),
        "echo $((" + "(".repeat(20000) + "))",
        "! ".repeat(20000),
      ])
        assert.equal((await vbox("sh", "-c", text)).status, 2);
      assert.equal((await vbox("sh", "-c", "f() { f; }; f")).status, 2);
    });
  });
}

/** The loaded segments of an ELF64 file. */
function readSegments(path) {
  const file = readFileSync(path);
  const [start, size, count] = [Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => start + index * size)
    .filter((header) => file.readUInt32LE(header) === 1)
    .map((header) => ({
      flags: file.readUInt32LE(header + 4),
      offset: Number(file.readBigUInt64LE(header + 8)),
      address: Number(file.readBigUInt64LE(header + 16)),
    }));
}
