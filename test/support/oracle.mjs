/**
 * Running an oracle: a program on the host whose answer is the right one by definition. A test must not wait for it
 * without end, and must not compare with what a killed one had printed so far.
 *
 *     oracle ──ends──> its outcome
 *        └──after `limitMs`──> its process group is killed, the caller is told ──> again, `attempts` times in all ──> Error
 *
 * A hung emulator needs both. qemu-user takes signals itself and hands them to its guest at the next instruction: when that never comes
 * it is deaf to all but SIGKILL, while spawnSync's timeout sends SIGTERM, once, and waits on. And what it has forked holds the pipes
 * open, so the whole group has to go.
 *
 * This file is JavaScript since the user land's tests use it too, which run without a build.
 */
import { spawn } from "node:child_process";

/** Long for a line of shell under an emulator on a busy machine: they take a tenth of a second. */
const LIMIT_MS = 15_000;
const ATTEMPTS = 3;

/**
 * @typedef {object} OracleOptions
 * @property {() => string} [prepare] Makes the folder to run in; called before each attempt.
 * @property {Readonly<NodeJS.ProcessEnv>} [env] The whole environment; the host's own by default.
 * @property {string | Uint8Array} [input] What is on standard input; nothing by default.
 * @property {number} [limitMs] How long an attempt may take.
 * @property {number} [attempts] How many there are at most; 1 where a hang is a failure.
 * @property {(message: string) => void} [diagnostic] Is told of each attempt that was killed.
 */

/**
 * @typedef {object} OracleOutcome
 * @property {string} stdout Latin-1: a character for each byte.
 * @property {string} stderr
 * @property {number | undefined} code The exit code, when it exited.
 * @property {NodeJS.Signals | undefined} signal What it died of, when it did.
 */

/**
 * Runs a command to its end, pipes included. Rejects when it cannot be started, and when no attempt came to its end.
 * @param {readonly string[]} command
 * @param {OracleOptions} [options]
 * @returns {Promise<OracleOutcome>}
 */
export async function runOracle(command, options = {}) {
  const { limitMs = LIMIT_MS, attempts = ATTEMPTS, diagnostic = console.error } = options;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const outcome = await runOnce(command, options, limitMs);
    if (outcome !== "TIMED OUT") return outcome;
    diagnostic(`oracle killed after ${limitMs / 1000} s, attempt ${attempt} of ${attempts}: ${command.join(" ")}`);
  }
  throw new Error(`oracle without end: killed after ${limitMs / 1000} s, ${attempts} times: ${command.join(" ")}`);
}

/**
 * @param {readonly string[]} command
 * @param {OracleOptions} options
 * @param {number} limitMs
 * @returns {Promise<OracleOutcome | "TIMED OUT">}
 */
function runOnce([program = "", ...args], { prepare, env = process.env, input = "" }, limitMs) {
  return new Promise((resolve, reject) => {
    // Detached: the leader of a process group of its own.
    const child = spawn(program, args, { cwd: prepare?.(), env, detached: true });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      killGroup(child);
      // A process that left the group may still hold them.
      child.stdout.destroy();
      child.stderr.destroy();
    }, limitMs);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("latin1").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("latin1").on("data", (text) => (stderr += text));
    child.stdin.on("error", () => {}); // A command may end before it has read its input.
    child.stdin.end(input);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve(isLate ? "TIMED OUT" : { stdout, stderr, code: code ?? undefined, signal: signal ?? undefined });
    });
  });
}

/** @param {import("node:child_process").ChildProcess} leader */
function killGroup({ pid }) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of the group have ended meanwhile.
  }
}
