// No frame for the n-th allocation: of start-up, and of a shell that forks, pipes, redirects and waits. Each allocation fails in turn.
// What must come of it is the right error (a message, a status, a process that was ended), and never a kernel bug, a hang or a
// frame that is lost.
//
// All of them take minutes: without VITRINE_SLOW_TESTS only some are made to fail, others in each run of a day.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { O_RDWR } from "../../src/abi/linux/open-flags.ts";
import { filesystemOperations } from "../../src/kernel/fs/filesystem-operations.ts";
import { checkFileInvariants } from "../../src/kernel/fs/checker.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import type { OpenFile } from "../../src/kernel/fs/types.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import type { WaitStatus } from "../../src/kernel/process/types.ts";
import { createTtyFile } from "../../src/kernel/tty/open.ts";
import { defaultRootPath } from "../../src/node/root-image.ts";
import { BootError, bootSystem, type System } from "../../src/system/boot.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { eachArch, PLATFORMS } from "../support/architectures.ts";

const SCRIPT = "echo a | cat; ls / > /tmp/x; (sleep 0; echo b) & wait";
const MEMORY = 32 << 20;
/** Far more than the script takes; a run that needs more hangs. */
const INSTRUCTION_LIMIT = 50_000_000;
/** The countdown of a run that only counts. */
const NEVER = 2 ** 31;
const isSlow = process.env["VITRINE_SLOW_TESTS"] !== undefined;
/** How many failures without VITRINE_SLOW_TESTS. */
const SAMPLES = 24;

interface Booted {
  readonly system: System;
  readonly log: string[];
  output(): string;
}

/** What became of the script. */
interface Outcome {
  /** How the shell ended; the error when it could not be started. */
  readonly status: WaitStatus | string;
  readonly output: string;
  readonly log: readonly string[];
  /** Allocations that were made, the failed one included. */
  readonly allocations: number;
}

function bootUserLand(arch: Architecture, failAt: number): Booted {
  const chunks: Uint8Array[] = [];
  const log: string[] = [];
  const channel = {
    read: () => undefined,
    available: () => 0,
    write: (bytes: Uint8Array) => void chunks.push(bytes),
    isOpen: () => true,
  };
  const system = bootSystem({
    platform: PLATFORMS[arch],
    memoryBytes: MEMORY,
    harts: 1,
    root: { kind: "archive", bytes: readFileSync(defaultRootPath(arch)) },
    hostPorts: { channels: new Map([["console", channel]]), directories: new Map(), blockDevices: new Map() },
    bootTime: { seconds: 1_000_000_000, nanoseconds: 0 },
    randomSeed: 1,
    checkInvariants: false,
    onKernel: (k) => {
      k.probes.log = (line) => log.push(line);
      k.state.memory.frames.failCountdown = failAt;
    },
  });
  return { system, log, output: () => Buffer.concat(chunks.splice(0)).toString("latin1") };
}

/** Runs the script with the n-th allocation failing, until every process has ended, and takes its file away. */
function runScript(booted: Booted, failAt: number): Outcome {
  const { system, log } = booted;
  const k = system.kernel;
  const { frames } = k.state.memory;
  log.length = 0;
  frames.failCountdown = failAt;
  let status: WaitStatus | string = "it did not end";
  const started = system.spawn({
    path: "/bin/sh",
    argv: ["sh", "-c", SCRIPT],
    env: ["PATH=/bin"],
    cwd: "/",
    files: consoleFiles(k),
    tty: 0,
  });
  if (typeof started === "string") status = started;
  else
    k.probes.exit = (ended) => {
      if (ended === started && ended.state.kind === "zombie") status = ended.state.status;
    };
  for (let spent = 0; k.state.processes.size > 1; spent += 1_000_000) {
    assert.ok(spent < INSTRUCTION_LIMIT, `allocation ${failAt}: ${k.state.processes.size} processes hang`);
    const state = system.run({ instructions: 1_000_000 });
    if (state.kind === "stopped") assert.fail(`allocation ${failAt}: ${state.report ?? state.reason}`);
    if (state.kind !== "idle" || k.state.processes.size === 1) continue;
    assert.ok(state.untilNs !== undefined, `allocation ${failAt}: ${k.state.processes.size} processes wait for ever`);
    system.skipTo(state.untilNs);
  }
  delete k.probes.exit;
  const allocations = failAt - frames.failCountdown;
  frames.failCountdown = 0;
  removeFile(k, "/tmp", "x");
  system.run({ instructions: 1000 }); // what is left of the last exit, and its output
  return { status, output: booted.output(), log: [...log], allocations };
}

function consoleFiles(k: Kernel): OpenFile[] {
  const place = resolveFromRoot(k, "/dev/console");
  const [tty] = k.state.ttys.ttys;
  assert.ok(typeof place !== "string" && tty !== undefined);
  return [0, 1, 2].map(() => {
    const file = createTtyFile(k, tty, place.inode, place, O_RDWR);
    assert.ok(typeof file !== "string");
    return file;
  });
}

function removeFile(k: Kernel, folder: string, name: string): void {
  const [parent, place] = [resolveFromRoot(k, folder), resolveFromRoot(k, `${folder}/${name}`)];
  if (typeof parent === "string" || typeof place === "string") return;
  const { unlink } = filesystemOperations(parent.inode.filesystem);
  assert.equal(unlink(k, parent.inode, name, place.inode), 0);
}

function problemsOf(k: Kernel): string[] {
  return [...checkInvariants(k), ...checkProcessInvariants(k), ...checkFileInvariants(k)];
}

/** All of 1..count, or some of them spread over it. */
function* chosen(count: number): Generator<number> {
  const stride = isSlow ? 1 : Math.max(1, Math.floor(count / SAMPLES));
  for (let n = 1 + (new Date().getDate() % stride); n <= count; n += stride) yield n;
}

const fine = { kind: "exited", code: 0 };

eachArch(({ arch, test }) => {
  test("each allocation of a shell that forks, pipes, redirects and waits fails in turn", (context) => {
    const booted = bootUserLand(arch, 0);
    const k = booted.system.kernel;
    const usual = runScript(booted, NEVER);
    assert.deepEqual({ status: usual.status, output: usual.output }, { status: fine, output: "a\r\nb\r\n" });
    const free = freeFrameCount(k);
    const ends = new Map<string, number>();
    let runs = 0;
    for (const n of chosen(usual.allocations)) {
      const outcome = runScript(booted, n);
      runs += 1;
      assert.deepEqual(problemsOf(k), [], `allocation ${n}`);
      assert.equal(freeFrameCount(k), free, `frames are lost when allocation ${n} fails: ${JSON.stringify(outcome)}`);
      assert.equal(k.state.memory.spaces.size, 0, `spaces are left when allocation ${n} fails`);
      assert.ok(outcome.allocations >= n, `allocation ${n} was never asked for`);
      const end = describeEnd(outcome, usual);
      assert.notEqual(end, "unexplained", `allocation ${n}: ${JSON.stringify(outcome)}`);
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    assert.deepEqual(runScript(booted, NEVER).output, usual.output);
    const list = [...ends].map(([end, count]) => `${end} ${count}`).join(", ");
    context.diagnostic(`${runs} of ${usual.allocations} allocations: ${list}`);
  });

  test("each allocation of start-up fails in turn", (context) => {
    const whole = bootUserLand(arch, NEVER);
    const count = NEVER - whole.system.kernel.state.memory.frames.failCountdown;
    let refused = 0;
    let runs = 0;
    for (const n of chosen(count)) {
      runs += 1;
      try {
        const booted = bootUserLand(arch, n);
        assert.equal(runScript(booted, NEVER).output, "a\r\nb\r\n", `allocation ${n}`);
      } catch (error) {
        // What cannot start says so.
        assert.ok(error instanceof BootError, `allocation ${n}: ${String(error)}`);
        assert.match(error.message, /memory|ENOMEM|ENOSPC/, `allocation ${n}`);
        refused += 1;
      }
    }
    context.diagnostic(`${runs} of ${count} allocations: ${refused} boots refused`);
  });
});

/** How the failure showed. */
function describeEnd({ status, output, log }: Outcome, usual: Outcome): string {
  if (typeof status === "string") return status;
  if (log.some((line) => line.startsWith("Out of memory"))) return "process ended";
  if (/memory|No space/i.test(output)) return "message";
  if (status.kind === "signaled" || status.code !== 0) return "status";
  return output === usual.output ? "unnoticed" : "unexplained";
}
