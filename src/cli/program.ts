// What `run`, `trace` and the commands of observe.ts share: which program is meant, and how the host's three streams reach it.
//
//   stdin and stdout are a terminal ──> the guest's console terminal: line editing, ^C, window size, job control
//   else                            ──> three byte streams; a regular file on stdin is handed over whole

import { existsSync, fstatSync, readFileSync, statSync } from "node:fs";
import { devNull } from "node:os";
import { isAbsolute, resolve } from "node:path";
import type { GuestProcess } from "../node/guest-process.ts";
import type { BootOptions, Vitrine } from "../node/index.ts";
import { findGuestProgram } from "../node/spawn.ts";
import { onHostSignal } from "./host-signals.ts";
import { hostStderr, hostStdout, waitForReaders } from "./output.ts";
import { connectTerminal } from "./terminal.ts";

/** A program's environment and working directory. */
export interface ProgramPlace {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface ConnectedProgram {
  /** What boot needs to know of the streams. */
  readonly bootOptions: Pick<BootOptions, "onConsole" | "drain" | "pace">;
  start(system: Vitrine, argv: readonly string[], place: ProgramPlace): GuestProcess;
}

export function connectProgram(): ConnectedProgram {
  if (process.stdin.isTTY === true && process.stdout.isTTY === true) {
    return {
      bootOptions: { onConsole: hostStdout.write, drain: waitForReaders, pace: "real" },
      start(system, argv, place): GuestProcess {
        const guest = system.spawnOnConsole(argv, { env: place.env, cwd: place.cwd });
        const terminal = connectTerminal(system, { onExit: () => guest.kill(9) });
        guest.status.then(terminal.release, terminal.release);
        onHostSignal(guest.kill);
        return guest;
      },
    };
  }
  return {
    bootOptions: { drain: waitForReaders, pace: "virtual" },
    start(system, argv, place): GuestProcess {
      const whole = wholeInput();
      const guest = system.spawn(argv, {
        env: place.env,
        cwd: place.cwd,
        stdin: whole ?? "pipe",
        stdout: hostStdout.write,
        stderr: hostStderr.write,
      });
      // Nobody reads our output any more: the guest's next write fails with EPIPE, and SIGPIPE.
      hostStdout.onClosed(() => guest.closeOutput("stdout"));
      hostStderr.onClosed(() => guest.closeOutput("stderr"));
      if (whole === undefined) {
        process.stdin.on("data", (bytes: Buffer) => {
          if (guest.stdin.write(bytes)) return;
          process.stdin.pause();
          void guest.stdin.drained().then(() => process.stdin.resume());
        });
        process.stdin.on("end", () => guest.stdin.end());
        process.stdin.on("error", () => guest.stdin.end());
      }
      onHostSignal(guest.kill);
      return guest;
    },
  };
}

/** Regular files beyond this are streamed. */
const WHOLE_LIMIT = 64 << 20;

/** All of stdin where that is a regular file or /dev/null: such input does not depend on the host's timing. */
function wholeInput(): Uint8Array | undefined {
  try {
    const status = fstatSync(0);
    if (status.isFile()) return status.size <= WHOLE_LIMIT ? readFileSync(0) : undefined;
    return status.isCharacterDevice() && status.rdev === statSync(devNull).rdev ? new Uint8Array() : undefined;
  } catch {
    // A closed stdin is an empty one.
    return new Uint8Array();
  }
}

/** The guest's argument vector: a host program is mounted where the guest can execute it. */
export function resolveProgram(system: Vitrine, operands: readonly string[]): readonly string[] {
  const [name = "", ...rest] = operands;
  if (name === "") return operands;
  const host = resolve(name);
  const isRelativePath = name.includes("/") && !isAbsolute(name);
  if (!isRelativePath && findGuestProgram(system.kernel, name, undefined) !== undefined) return operands;
  if (!existsSync(host) || (isAbsolute(name) && statSync(host).isDirectory())) return operands;
  system.mount({ host, guest: host, readOnly: true });
  return [host, ...rest];
}
