// The terminal: each row types something and says what a reader gets and what the screen shows.

import assert from "node:assert/strict";
import * as io from "../../src/abi/linux/ioctl.ts";
import { O_NONBLOCK } from "../../src/abi/linux/open-flags.ts";
import { IGNORE_ACTION } from "../../src/kernel/process/signals.ts";
import { SIGNALS } from "../../src/abi/linux/signals.ts";
import { acquireTty } from "../../src/kernel/tty/job-control.ts";
import { createTtyFile } from "../../src/kernel/tty/open.ts";
import { createTty } from "../../src/kernel/tty/tty.ts";
import type { Tty } from "../../src/kernel/tty/types.ts";
import { feedTtysFrom } from "../../src/kernel/tty/wire.ts";
import { installFile } from "../../src/kernel/fs/descriptors.ts";
import { setWindow } from "../../src/kernel/tty/ioctl.ts";
import { eachArch } from "../support/architectures.ts";
import { BUFFER, createFileKernel, type FileKernel, type User } from "../support/file-kernel.ts";

interface Terminal extends FileKernel {
  readonly tty: Tty;
  readonly fd: number;
  /** Types bytes on the other side. */
  type(text: string): void;
  /** The other side hangs up. */
  end(): void;
  /** What the screen got since the last look. */
  screen(): string;
  /** What a non-blocking read gives: text, or an error name. */
  read(length?: number): string;
  change(
    edit: Partial<Record<"input" | "output" | "local", { on?: number; off?: number }>>,
    characters?: Record<number, number>,
  ): void;
  addMember(): User;
}

eachArch(({ arch, test }) => {
  function createTerminal(): Terminal {
    const queue: number[] = [];
    let ended = false;
    let shown = "";
    const channel = {
      read: (limit: number) =>
        queue.length > 0 ? Uint8Array.from(queue.splice(0, limit)) : ended ? new Uint8Array(0) : undefined,
      available: () => (queue.length > 0 ? queue.length : ended ? -1 : 0),
      write: (bytes: Uint8Array) => void (shown += Buffer.from(bytes).toString("latin1")),
      isOpen: () => true,
    };
    const files = createFileKernel(arch, { host: { channels: new Map([["wire", channel]]) } });
    const { k, user } = files;
    const tty = createTty(k, "console", "wire");
    user.process.session = user.process.pid;
    acquireTty(user.process, tty);
    const open = (who: User): number => {
      const file = createTtyFile(k, tty, files.root.inode, undefined, 2 | O_NONBLOCK);
      assert.ok(typeof file !== "string");
      const fd = installFile(k, who.process, file, { closeOnExec: false });
      assert.ok(typeof fd === "number");
      return fd;
    };
    const fd = open(user);
    return {
      ...files,
      tty,
      fd,
      type(text) {
        queue.push(...Buffer.from(text, "latin1"));
        feedTtysFrom(k, "wire");
      },
      end() {
        ended = true;
        feedTtysFrom(k, "wire");
      },
      screen() {
        const text = shown;
        shown = "";
        return text;
      },
      read(length = 4096) {
        const count = user.call("read", fd, BUFFER, length);
        return typeof count === "number" ? Buffer.from(user.get(count)).toString("latin1") : count;
      },
      change({ input, output, local }, characters = {}) {
        user.must("ioctl", fd, io.TCGETS, BUFFER);
        const bytes = Buffer.from(user.get(io.TERMIOS_SIZE));
        for (const [offset, edit] of [
          [0, input],
          [4, output],
          [12, local],
        ] as const) {
          bytes.writeUInt32LE(((bytes.readUInt32LE(offset) & ~(edit?.off ?? 0)) | (edit?.on ?? 0)) >>> 0, offset);
        }
        for (const [index, value] of Object.entries(characters)) bytes[17 + Number(index)] = value;
        user.must("ioctl", fd, io.TCSETS, user.put(bytes));
      },
      addMember() {
        const member = files.addProcess();
        Object.assign(member.process, {
          session: user.process.session,
          parent: user.process.pid,
          controllingTty: tty.index,
        });
        open(member);
        return member;
      },
    };
  }

  interface Row {
    readonly title: string;
    readonly set?: Parameters<Terminal["change"]>;
    readonly typed: string;
    readonly reads: readonly string[];
    readonly screen: string;
  }

  const ROWS: readonly Row[] = [
    { title: "a line is readable when it ends", typed: "abc", reads: ["EAGAIN"], screen: "abc" },
    { title: "CR becomes NL, and NL shows as CR NL", typed: "abc\r", reads: ["abc\n"], screen: "abc\r\n" },
    { title: "one read gives one line", typed: "a\rb\r", reads: ["a\n", "b\n", "EAGAIN"], screen: "a\r\nb\r\n" },
    { title: "erase takes a character away", typed: "abx\x7fc\r", reads: ["abc\n"], screen: "abx\b \bc\r\n" },
    { title: "erase at the start of a line does nothing", typed: "\x7f\x7fa\r", reads: ["a\n"], screen: "a\r\n" },
    {
      title: "erase of a control character takes both columns",
      typed: "a\x01\x7fb\r",
      reads: ["ab\n"],
      screen: "a^A\b \b\b \bb\r\n",
    },
    { title: "kill erases the line", typed: "abc\x15d\r", reads: ["d\n"], screen: "abc\b \b\b \b\b \bd\r\n" },
    {
      title: "word erase takes blanks and a word",
      typed: "one two  \x17x\r",
      reads: ["one x\n"],
      screen: `one two  ${"\b \b".repeat(5)}x\r\n`,
    },
    { title: "^D at the start of a line is an end of file", typed: "\x04", reads: ["", "EAGAIN"], screen: "" },
    { title: "^D in a line makes it readable as it is", typed: "ab\x04c\r", reads: ["ab", "c\n"], screen: "abc\r\n" },
    { title: "^V takes the next byte literally", typed: "a\x16\x03b\r", reads: ["a\x03b\n"], screen: "a^\b^Cb\r\n" },
    { title: "^R shows the line again", typed: "ab\x12c\r", reads: ["abc\n"], screen: "ab^R\r\nabc\r\n" },
    {
      title: "EOL ends a line and stays in it",
      set: [{}, { [io.VEOL]: 0x3b }],
      typed: "a;b\r",
      reads: ["a;", "b\n"],
      screen: "a;b\r\n",
    },
    {
      title: "without ECHO nothing shows",
      set: [{ local: { off: io.ECHO } }],
      typed: "secret\r",
      reads: ["secret\n"],
      screen: "",
    },
    {
      title: "ECHONL shows the newline alone",
      set: [{ local: { off: io.ECHO, on: io.ECHONL } }],
      typed: "pw\r",
      reads: ["pw\n"],
      screen: "\r\n",
    },
    {
      title: "without ECHOCTL control characters go out raw",
      set: [{ local: { off: io.ECHOCTL } }],
      typed: "\x01\r",
      reads: ["\x01\n"],
      screen: "\x01\r\n",
    },
    { title: "IGNCR drops CR", set: [{ input: { on: io.IGNCR } }], typed: "a\rb\n", reads: ["ab\n"], screen: "ab\r\n" },
    {
      title: "INLCR turns NL into CR",
      set: [{ input: { on: io.INLCR, off: io.ICRNL }, local: { off: io.ICANON } }],
      typed: "\n",
      reads: ["\r"],
      screen: "^M",
    },
    {
      title: "ISTRIP clears the top bit",
      set: [{ input: { on: io.ISTRIP } }],
      typed: "\xe1\r",
      reads: ["a\n"],
      screen: "a\r\n",
    },
    {
      title: "IUTF8 erases whole characters",
      set: [{ input: { on: io.IUTF8 } }],
      typed: "a\xc3\xa9\x7f\r",
      reads: ["a\n"],
      screen: "a\xc3\xa9\b \b\r\n",
    },
    {
      title: "raw mode: bytes as they come, signals off",
      set: [{ local: { off: io.ICANON | io.ISIG | io.ECHO } }],
      typed: "a\x03\x7f",
      reads: ["a\x03\x7f", "EAGAIN"],
      screen: "",
    },
    {
      title: "raw mode with VMIN 0 does not wait",
      set: [{ local: { off: io.ICANON } }, { [io.VMIN]: 0 }],
      typed: "",
      reads: [""],
      screen: "",
    },
    {
      title: "without OPOST newlines go out as they are",
      set: [{ output: { off: io.OPOST } }],
      typed: "a\r",
      reads: ["a\n"],
      screen: "a\n",
    },
  ];

  for (const row of ROWS) {
    test(`tty: ${row.title}`, () => {
      const terminal = createTerminal();
      if (row.set !== undefined) terminal.change(...row.set);
      terminal.type(row.typed);
      assert.deepEqual(
        row.reads.map(() => terminal.read()),
        row.reads,
      );
      assert.equal(terminal.screen(), row.screen);
    });
  }

  function signals(user: User): number[] {
    return user.process.pendingSignals.splice(0).map(({ signal }) => signal);
  }

  test("tty: ^C, ^\\ and ^Z signal the foreground group and drop what was typed", () => {
    const terminal = createTerminal();
    for (const [typed, signal, shown] of [
      ["\x03", SIGNALS.SIGINT, "^C"],
      ["\x1c", SIGNALS.SIGQUIT, "^\\"],
      ["\x1a", SIGNALS.SIGTSTP, "^Z"],
    ] as const) {
      terminal.type(`abc${typed}`);
      assert.deepEqual(signals(terminal.user), [signal]);
      assert.equal(terminal.screen(), `abc${shown}`);
    }
    terminal.change({ local: { on: io.NOFLSH } });
    terminal.type("keep\x03\r");
    assert.deepEqual([signals(terminal.user), terminal.read()], [[SIGNALS.SIGINT], "keep\n"]);
  });

  test("tty: a read of part of a line leaves the rest", () => {
    const terminal = createTerminal();
    terminal.type("hello\r\x04");
    assert.deepEqual(
      [terminal.read(2), terminal.read(2), terminal.read(), terminal.read(), terminal.read()],
      ["he", "ll", "o\n", "", "EAGAIN"],
    );
    terminal.user.must("ioctl", terminal.fd, io.FIONREAD, BUFFER);
    terminal.type("four\r");
    terminal.user.must("ioctl", terminal.fd, io.FIONREAD, BUFFER);
    assert.equal(terminal.user.get(1)[0], 5);
    terminal.user.must("ioctl", terminal.fd, io.TCFLSH, io.TCIFLUSH);
    assert.equal(terminal.read(), "EAGAIN");
  });

  test("tty: ^S holds output, ^Q lets it go", () => {
    const terminal = createTerminal();
    terminal.type("\x13");
    assert.equal(terminal.user.call("write", terminal.fd, terminal.user.put("x"), 1), "EAGAIN");
    terminal.type("\x11");
    assert.equal(terminal.user.must("write", terminal.fd, terminal.user.put("x\n"), 2), 2);
    assert.equal(terminal.screen(), "x\r\n");
  });

  test("tty: VMIN and VTIME", () => {
    const terminal = createTerminal();
    const { user, fd } = terminal;
    terminal.change({ local: { off: io.ICANON } }, { [io.VMIN]: 3, [io.VTIME]: 0 });
    user.must("fcntl", fd, 4, 0);
    terminal.type("ab");
    assert.equal(user.call("read", fd, BUFFER, 10), "BLOCKED");
    terminal.type("c");
    assert.equal(user.thread.state.kind, "runnable");
    assert.equal(user.call("read", fd, BUFFER, 10), 3);
    terminal.change({}, { [io.VMIN]: 0, [io.VTIME]: 5 });
    assert.equal(user.call("read", fd, BUFFER, 10), "BLOCKED");
    assert.equal(user.thread.restart?.deadlineNs, terminal.k.machine.timeNs + 500_000_000);
  });

  test("tty: a background group that reads gets SIGTTIN; TOSTOP and settings give SIGTTOU; ignored, they fail or pass", () => {
    const terminal = createTerminal();
    const member = terminal.addMember();
    assert.equal(member.call("read", 0, BUFFER, 1), "BLOCKED");
    assert.deepEqual(signals(member), [SIGNALS.SIGTTIN]);
    assert.equal(member.call("write", 0, member.put("x"), 1), 1);
    terminal.change({ local: { on: io.TOSTOP } });
    assert.equal(member.call("write", 0, BUFFER, 1), "BLOCKED");
    assert.deepEqual(signals(member), [SIGNALS.SIGTTOU]);
    assert.equal(member.call("ioctl", 0, io.TIOCSPGRP, BUFFER), "BLOCKED");
    assert.deepEqual(signals(member), [SIGNALS.SIGTTOU]);
    for (const signal of [SIGNALS.SIGTTIN, SIGNALS.SIGTTOU]) {
      member.process.signals.actions[signal] = IGNORE_ACTION;
    }
    assert.equal(member.call("read", 0, BUFFER, 1), "EIO");
    assert.equal(member.call("write", 0, BUFFER, 1), 1);
    // The foreground moves to the member's group, and the first process is in the background then.
    const group = Buffer.alloc(4);
    group.writeInt32LE(member.process.processGroup);
    terminal.user.must("ioctl", terminal.fd, io.TIOCSPGRP, terminal.user.put(group));
    assert.equal(terminal.tty.foregroundGroup, member.process.processGroup);
    member.must("ioctl", 0, io.TIOCGPGRP, BUFFER);
    assert.equal(Buffer.from(member.get(4)).readInt32LE(), member.process.processGroup);
    // Nobody could continue the leader's group: it is orphaned, so it fails instead of stopping.
    assert.equal(terminal.read(), "EIO");
  });

  test("tty: window size, hang-up, and what is refused", () => {
    const terminal = createTerminal();
    const { k, user, fd, tty } = terminal;
    setWindow(k, tty, 40, 100, 0, 0);
    assert.deepEqual(signals(user), []); // SIGWINCH is ignored by default
    user.must("ioctl", fd, io.TIOCGWINSZ, BUFFER);
    assert.deepEqual([...new Uint16Array(user.get(8).buffer)], [40, 100, 0, 0]);
    assert.equal(user.call("ioctl", fd, io.TIOCSTI, BUFFER), "EIO");
    assert.equal(user.call("ioctl", fd, 0x1234, BUFFER), "ENOTTY");
    assert.equal(user.call("ioctl", fd, io.TCGETS, 0x1000), "EFAULT");
    terminal.end();
    assert.equal(terminal.read(), "");
    assert.equal(user.call("write", fd, BUFFER, 1), "EIO");
    assert.ok(signals(user).includes(SIGNALS.SIGHUP));
    assert.equal(user.process.controllingTty, undefined);
  });

  test("tty: input beyond the buffer waits outside, and a line that is too long loses its tail only", () => {
    const terminal = createTerminal();
    terminal.change({ local: { off: io.ECHO } });
    terminal.type(`${"x".repeat(5000)}\r`);
    const line = terminal.read(8192);
    assert.equal(line, `${"x".repeat(4095)}\n`);
    terminal.change({ local: { off: io.ICANON } });
    terminal.type("y".repeat(10_000));
    let total = 0;
    for (let text = terminal.read(); text !== "EAGAIN"; text = terminal.read()) total += text.length;
    assert.equal(total, 10_000);
  });
});
