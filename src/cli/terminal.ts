// The host's terminal as the guest's console: raw mode, window size, Ctrl-A, and the kernel monitor behind Ctrl-A c.

import { runMonitorCommand, type MonitorTarget } from "../inspect/monitor.ts";
import type { Vitrine } from "../node/index.ts";
import { createEscapeFilter, ESCAPE_HELP } from "./console-escape.ts";
import { hostStdout } from "./output.ts";

export interface TerminalOptions {
  /** Ctrl-A x. */
  readonly onExit: () => void;
  /** What Ctrl-A c works on; without it there is no monitor. */
  readonly monitor?: MonitorTarget;
}

export interface Terminal {
  /** Gives the terminal back as it was. May be called more than once. */
  release(): void;
}

const LINE_FEED = 10;
const MONITOR_PROMPT = "vitrine> ";

export function connectTerminal(system: Vitrine, options: TerminalOptions): Terminal {
  const { stdin, stdout } = process;
  const filter = createEscapeFilter();
  let monitorLine: string | undefined;
  const print = (text: string): void => hostStdout.write(text.replaceAll("\n", "\r\n"));

  const resize = (): void => system.console.resize(stdout.rows || 24, stdout.columns || 80);
  const isTerminal = stdin.isTTY === true;

  const act = (action: "exit" | "monitor" | "help"): void => {
    if (action === "exit") options.onExit();
    else if (action === "help") print(`\n${ESCAPE_HELP}\n`);
    else void toggleMonitor();
  };
  async function toggleMonitor(): Promise<void> {
    if (options.monitor === undefined) {
      print("\nno monitor here; vitrine boot has one\n");
    } else if (monitorLine === undefined) {
      await system.pause();
      monitorLine = "";
      print(
        `\nkernel monitor: the machine stands still; help lists the commands, Ctrl-A c goes back\n${MONITOR_PROMPT}`,
      );
    } else {
      leaveMonitor();
    }
  }
  function leaveMonitor(): void {
    monitorLine = undefined;
    print("\n");
    system.resume();
  }
  function typeInMonitor(target: MonitorTarget, bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (monitorLine === undefined) return;
      if (byte === 4) return leaveMonitor();
      if (byte === 13 || byte === 10) {
        print("\n");
        const line = monitorLine;
        monitorLine = "";
        const output = runMonitorCommand(target, line);
        if (output !== "") print(`${output}\n`);
        if (["shutdown", "panic", "fault"].includes(line.trim())) return leaveMonitor();
        print(MONITOR_PROMPT);
      } else if (byte === 127 || byte === 8) {
        if (monitorLine !== "") print("\b \b");
        monitorLine = monitorLine.slice(0, -1);
      } else if (byte === 21 || byte === 3) {
        print(`${byte === 3 ? "^C" : ""}\r\x1b[K${MONITOR_PROMPT}`);
        monitorLine = "";
      } else if (byte >= 32 && byte < 127 && monitorLine.length < 200) {
        monitorLine += String.fromCharCode(byte);
        print(String.fromCharCode(byte));
      }
    }
  }

  let lastByte: number | undefined;
  const onData = (bytes: Buffer): void => {
    lastByte = bytes.at(-1);
    if (!isTerminal) {
      system.console.write(bytes);
      return;
    }
    for (const part of filter.feed(bytes)) {
      if (part.kind === "action") act(part.action);
      else if (monitorLine !== undefined && options.monitor !== undefined) typeInMonitor(options.monitor, part.bytes);
      else system.console.write(part.bytes);
    }
  };
  const onEnd = (): void => {
    // A last line without an end is a line too.
    if (lastByte !== undefined && lastByte !== LINE_FEED) system.console.write("\n");
    system.console.end();
  };

  if (isTerminal) {
    stdin.setRawMode(true);
    resize();
    stdout.on("resize", resize);
  }
  stdin.on("data", onData);
  stdin.on("end", onEnd);
  stdin.on("error", onEnd);
  stdin.resume();

  let released = false;
  const release = (): void => {
    if (released) return;
    released = true;
    stdin.off("data", onData);
    stdin.off("end", onEnd);
    stdin.off("error", onEnd);
    stdout.off("resize", resize);
    if (isTerminal) stdin.setRawMode(false);
    stdin.pause();
  };
  process.once("exit", release);
  return { release };
}
