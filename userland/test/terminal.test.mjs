/** The shell on a terminal: editing, history, completion, interrupts and job control. `script` gives it the terminal. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { findTargets, isInstalled, removeTargets, resolveProgram } from "./harness.mjs";

const targets = findTargets();
after(() => removeTargets(targets));
const withoutScript = isInstalled("script") ? false : "script (util-linux) is not installed";
const CONTROL = (letter) => String.fromCharCode(letter.charCodeAt(0) & 31);

/** A shell on a terminal: type, then wait for what it is to show. */
class Session {
  constructor(target) {
    this.folder = mkdtempSync(join(tmpdir(), "vbox-terminal-"));
    writeFileSync(join(this.folder, "unusual-name.txt"), "found by completion\n");
    // ENV is read after the host's /etc/profile, which may set a prompt of its own.
    writeFileSync(join(this.folder, "env"), "PS1='% '\n");
    const env = { PATH: target.path, HOME: "/", ENV: "./env", TERM: "xterm", LC_ALL: "C", SHLVL: "1" };
    const [runner, ...rest] = target.command;
    const words = [
      "exec",
      "env",
      "-i",
      ...Object.entries(env).map(([name, value]) => `'${name}=${value}'`),
      resolveProgram(runner),
      ...rest,
      "sh",
    ];
    this.child = spawn("script", ["-qec", `stty cols 80 rows 24; ${words.join(" ")}`, "/dev/null"], {
      cwd: this.folder,
    });
    this.output = "";
    this.child.stdout.setEncoding("latin1").on("data", (text) => (this.output += text));
    this.child.stdin.on("error", () => {});
    this.status = new Promise((resolve) => this.child.on("close", resolve));
  }

  type(text) {
    this.child.stdin.write(text, "latin1");
  }

  /** Waits for a pattern in what has been shown since the last one. */
  async expect(pattern, limitMs = 10000) {
    for (const end = Date.now() + limitMs; Date.now() < end;) {
      const match = pattern.exec(this.output);
      if (match !== null) {
        this.output = this.output.slice(match.index + match[0].length);
        return match;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.fail(`the terminal did not show ${pattern}, but ${JSON.stringify(this.output)}`);
  }

  async close() {
    this.child.kill("SIGKILL");
    await this.status;
    rmSync(this.folder, { recursive: true });
  }
}

for (const target of targets) {
  describe(`the shell on a terminal, ${target.name}`, { skip: target.skip || withoutScript }, () => {
    const check = (title, steps) =>
      it(title, { timeout: 30000 }, async () => {
        const session = new Session(target);
        try {
          await session.expect(/% /);
          await steps(session);
        } finally {
          await session.close();
        }
      });

    check("runs a line and ends with its status", async (session) => {
      session.type("echo out; exit 7\r");
      await session.expect(/\r\nout\r\n/);
      assert.equal(await session.status, 7);
    });
    check("edits within a line", async (session) => {
      session.type(`cho ac\x1b[Db${CONTROL("A")}e${CONTROL("E")}d\r`);
      await session.expect(/\r\nabcd\r\n/);
      session.type(`echo one two${CONTROL("W")}three${CONTROL("A")}${CONTROL("K")}${CONTROL("Y")}\r`);
      await session.expect(/\r\none three\r\n/);
    });
    check("brings back old lines", async (session) => {
      session.type("echo first\r");
      await session.expect(/\r\nfirst\r\n/);
      session.type("echo second\r");
      await session.expect(/\r\nsecond\r\n/);
      session.type("\x1b[A\x1b[A\r");
      await session.expect(/\r\nfirst\r\n/);
      session.type(`${CONTROL("R")}sec\r`);
      await session.expect(/\r\nsecond\r\n/);
    });
    check("completes a path", async (session) => {
      session.type("cat unus\t\r");
      await session.expect(/found by completion/);
    });
    check("drops a line at ^C, and keeps on", async (session) => {
      session.type(`garbage${CONTROL("C")}`);
      await session.expect(/\^C\r\n/);
      session.type("echo still $((6*7))\r");
      await session.expect(/\r\nstill 42\r\n/);
    });
    check("interrupts a program and a loop of builtins", async (session) => {
      session.type("sleep 60\r");
      await new Promise((resolve) => setTimeout(resolve, 300));
      session.type(CONTROL("C"));
      await session.expect(/% $/);
      session.type("echo status $?\r");
      await session.expect(/\r\nstatus 130\r\n/);
      session.type("while :; do :; done\r");
      await new Promise((resolve) => setTimeout(resolve, 300));
      session.type(CONTROL("C"));
      await session.expect(/% $/);
      session.type("echo after\r");
      await session.expect(/\r\nafter\r\n/);
    });
    check("stops, continues and ends jobs", async (session) => {
      session.type("sleep 60\r");
      await new Promise((resolve) => setTimeout(resolve, 300));
      session.type(CONTROL("Z"));
      await session.expect(/\[1\]\+ Stopped +sleep 60\r\n/);
      session.type("bg\r");
      await session.expect(/\[1\]\+ sleep 60 &\r\n/);
      session.type("jobs\r");
      await session.expect(/\[1\]\+ Running +sleep 60\r\n/);
      session.type("kill %1; wait %1; echo status $?\r");
      await session.expect(/status 143\r\n/);
    });
    check("asks for the rest of a command", async (session) => {
      session.type("for i in 1 2; do\r");
      await session.expect(/> /);
      session.type("echo n$i\r");
      await session.expect(/> /);
      session.type("done\r");
      await session.expect(/n1\r\nn2\r\n/);
    });
    check("survives errors at the prompt", async (session) => {
      session.type("echo ${unset?no value}\r");
      await session.expect(/unset: no value/);
      session.type(")\r");
      await session.expect(/syntax error/);
      session.type("echo $((1/0))\r");
      await session.expect(/division by zero/);
      session.type("echo fine\r");
      await session.expect(/\r\nfine\r\n/);
    });
    check("ends at ^D", async (session) => {
      session.type(CONTROL("D"));
      assert.equal(await session.status, 0);
    });
  });
}
