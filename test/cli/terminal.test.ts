// `vitrine boot` and `run` on a terminal (a pseudo-terminal made by script(1)): typing, signals, Ctrl-A, the kernel monitor, and the
// terminal given back as it was.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { eachArch } from "../support/architectures.ts";
import { commandLine } from "../support/command-line.ts";

const hasScript = process.platform === "linux" && spawnSync("script", ["--version"]).status === 0;
const skip = hasScript ? false : "script(1) of util-linux is not there";

interface Terminal {
  type(text: string): void;
  /** Waits until what was printed since the last match matches; answers the match. */
  expect(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Waits for the shell command's end. */
  ended(): Promise<void>;
}

/** Runs a line of sh on a new terminal. */
function openTerminal(line: string): Terminal {
  const child = spawn("script", ["-qfec", line, "/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, TERM: "xterm", SHELL: "/bin/sh" },
  });
  let unseen = "";
  let look: () => void = () => undefined;
  let isOver = false;
  child.stdout.on("data", (chunk: Buffer) => {
    // Enough for what is expected; `yes` prints far more. Node's raw mode leaves the host's terminal to add a CR to each line.
    unseen = (unseen + chunk.toString("latin1")).replace(/\r+\n/g, "\r\n").slice(-10_000);
    look();
  });
  child.stdin.on("error", () => undefined);
  const over = new Promise<void>((resolve) =>
    child.on("close", () => {
      isOver = true;
      look();
      resolve();
    }),
  );
  return {
    type: (text) => void child.stdin.write(text),
    expect: (pattern, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const fail = (): void => {
          child.kill("SIGKILL");
          reject(new Error(`no ${pattern} in: ${JSON.stringify(unseen.slice(-500))}`));
        };
        const timer = setTimeout(fail, timeoutMs);
        look = (): void => {
          const match = pattern.exec(unseen);
          if (match !== null) {
            unseen = unseen.slice(match.index + match[0].length);
            clearTimeout(timer);
            look = (): void => undefined;
            resolve(match);
          } else if (isOver) {
            clearTimeout(timer);
            fail();
          }
        };
        look();
      }),
    ended: () => over,
  };
}

const ESCAPE = String.fromCharCode(27);
/** The shell's prompt, with or without an escape sequence of its line editor behind it. */
const PROMPT = new RegExp(`# (${ESCAPE}\\[\\w*)?$`);
/** The monitor's words for each architecture. */
const WORDS = {
  riscv64: {
    version: /vitrine \d.*, riscv64, Sv39/,
    tree: /L2\[ {2}0\][^]*\(trampoline\)/,
    walk: ["3ffffff000", /L0\[511\] +leaf/],
    space: /satp/,
    call: /environment call from U-mode/,
    fault: /load page fault in the kernel at fault/i,
    report: [/\n {2}tp [0-9a-f]{16} /, /satp [0-9a-f]{16}/],
  },
  x86_64: {
    version: /vitrine \d.*, x86_64, x86-64 4-level/,
    tree: /PML4\[ {2}0\][^]*\(trampoline\)/,
    walk: ["7fffffffe000", /PT\[510\] +leaf/],
    space: /kernel_gs_base/,
    call: /syscall/,
    fault: /page fault in the kernel at fault/i,
    report: [/rsp [0-9a-f]{16} /, /cr3 [0-9a-f]{16}/],
  },
} as const;

eachArch(({ arch, test }) => {
  const { vitrineCommand } = commandLine(arch);
  const words = WORDS[arch];

  /** Says how it ended, and whether the terminal is as it was: cooked, with echo. */
  const bootLine = (args = ""): string =>
    `${vitrineCommand(`boot ${args}`)}; echo "status $?"; stty -a | grep -o -- "-\\?icanon\\|-\\?echo\\b" | tr "\\n" " "; echo done`;
  const RESTORED = /status (\d+)\s+icanon echo\s+done/;

  test("typing, editing, history, end of file", { skip }, async () => {
    const terminal = openTerminal(bootLine());
    await terminal.expect(/Ctrl-A h for help/);
    await terminal.expect(PROMPT);
    terminal.type("echo one-$((1+1))\r");
    await terminal.expect(/\none-2\r\n/);
    await terminal.expect(PROMPT);
    terminal.type("\x1b[A\x7f\x7f\x7f3))\r");
    await terminal.expect(/\none-4\r\n/);
    await terminal.expect(PROMPT);
    terminal.type("echo re''ady; cat\r");
    await terminal.expect(/\nready\r\n/);
    terminal.type("to cat\r");
    await terminal.expect(/to cat\r\nto cat\r\n/);
    terminal.type("\x04");
    await terminal.expect(PROMPT);
    terminal.type("exit 7\r");
    assert.equal((await terminal.expect(RESTORED))[1], "7");
    await terminal.ended();
  });

  test(
    "^C ends the program in front, even one that floods the terminal; sleeping takes real time",
    { skip },
    async () => {
      const terminal = openTerminal(bootLine());
      await terminal.expect(PROMPT);
      terminal.type("yes\r");
      await terminal.expect(/y\r\ny\r\n/);
      const pressed = performance.now();
      terminal.type("\x03");
      await terminal.expect(/\^C[^y]*# /);
      assert.ok(performance.now() - pressed < 3000);
      terminal.type("sleep 1; echo sle''pt $?\r");
      const began = performance.now();
      await terminal.expect(/slept 0/);
      const elapsed = performance.now() - began;
      assert.ok(elapsed > 900 && elapsed < 5000, `${elapsed} ms`);
      terminal.type("\x01x");
      assert.equal((await terminal.expect(RESTORED))[1], "0");
    },
  );

  test("Ctrl-A x leaves a guest that floods, computes or sleeps", { skip }, async () => {
    for (const command of ["yes", "while :; do :; done", "sleep 1000"]) {
      const terminal = openTerminal(bootLine());
      await terminal.expect(PROMPT);
      terminal.type(`${command}\r`);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const pressed = performance.now();
      terminal.type("\x01x");
      assert.equal((await terminal.expect(RESTORED))[1], "0");
      assert.ok(performance.now() - pressed < 3000, command);
    }
  });

  test("the kernel monitor answers every command, and goes back to the console", { skip }, async () => {
    const terminal = openTerminal(bootLine("--smp 2"));
    await terminal.expect(PROMPT);
    terminal.type("\x01h");
    await terminal.expect(/Ctrl-A x +leave Vitrine/);
    terminal.type("\x01c");
    await terminal.expect(/vitrine> $/);
    const answers: readonly (readonly [command: string, answer: RegExp])[] = [
      ["help", /fault +make the kernel fault/],
      ["version", words.version],
      ["ps", / 1 +0 +1 \w+ .* init\r\n/],
      ["maps 1", /pid 1 \(init\)[^]*(ASID|PCID) \d+ of generation 1[^]*\[stack\]/],
      ["pt 1", words.tree],
      [`pt 1 ${words.walk[0]}`, words.walk[1]],
      ["pt", /which process/],
      ["maps 999", /no process 999/],
      ["frames 3", /\d+ frames of 4 KiB, \d+ free[^]*in the order of their use, the first 3/],
      ["frames x", /x is not a number/],
      ["swap", /no swap area[^]*swap cache: 0 frames/],
      ["vmstat", /nr_free_pages \d+[^]*pswpout 0[^]*pgfault \d+/],
      ["regs", new RegExp(`hart 0: [^]*hart 1: [^]*${words.space.source}`)],
      ["traps", new RegExp(`system calls[^]*${words.call.source}`)],
      ["bogus", /no such command; try help/],
    ];
    for (const [command, answer] of answers) {
      terminal.type(`${command}\r`);
      await terminal.expect(answer);
      await terminal.expect(/vitrine> $/);
    }
    terminal.type("\x01c");
    terminal.type("echo ba''ck\r");
    await terminal.expect(/\nback\r\n/);
    terminal.type("\x01c");
    await terminal.expect(/vitrine> $/);
    terminal.type("shutdown\r");
    assert.equal((await terminal.expect(RESTORED))[1], "0");
  });

  for (const command of ["panic", "fault"]) {
    test(`the monitor's ${command} ends with a readable report and 125, the terminal restored`, { skip }, async () => {
      const terminal = openTerminal(bootLine());
      await terminal.expect(PROMPT);
      terminal.type("\x01c");
      await terminal.expect(/vitrine> $/);
      terminal.type(`${command}\r`);
      const [report] = await terminal.expect(/kernel panic on hart 0:[^]*\nstatus/);
      assert.match(report, command === "panic" ? /asked for from the monitor/ : words.fault);
      for (const registers of words.report) assert.match(report, registers);
      assert.equal((await terminal.expect(/\s(\d+)\s+icanon echo\s+done/))[1], "125");
    });
  }

  test("SIGTERM to the host's process leaves the terminal as it was", { skip }, async () => {
    const report = bootLine().split("; ").slice(1).join("; ");
    const terminal = openTerminal(`set -m; ${vitrineCommand("boot")} & echo "pid $!"; fg %1; ${report}`);
    const [, pid] = await terminal.expect(/pid (\d+)/);
    await terminal.expect(PROMPT);
    process.kill(Number(pid), "SIGTERM");
    assert.equal((await terminal.expect(RESTORED))[1], "143");
  });

  test("run on a terminal has line editing by the guest's terminal, and its window size", { skip }, async () => {
    const terminal = openTerminal(
      `stty rows 33 cols 77; ${vitrineCommand("run sh -c 'stty size; read x; echo got $x; exec cat'")}; echo "status $?"`,
    );
    await terminal.expect(/33 77/);
    terminal.type("wrong\x15right\r");
    await terminal.expect(/got right/);
    terminal.type("\x03");
    assert.equal((await terminal.expect(/status (\d+)/))[1], "130");
  });
});
