/**
 * Side-by-side speed: the same static program on Vitrine and on its peers.
 *
 *   npm run bench                        every kernel, 3 interleaved rounds
 *   npm run bench -- --arch x86_64       the same C on the other architecture
 *   npm run bench -- --compiler gcc      built here with Debian's gcc instead of zig cc
 *   npm run bench -- --only sha,calls    some of them
 *   npm run bench -- --rounds 5 --json
 *
 * Figures are CPU seconds (user + system, all threads) of whole processes, as the shell's `time` reports them, in the order
 * A B A B …, so that a change in the machine's speed meets both; the median of each kernel's ratios is what is printed. A peer that is
 * not installed is left out and said so. Checksums must agree, or the run fails.
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const KERNELS = join(ROOT, "bench", "kernels");
/** Debian's compilers. */
const GCC = { riscv64: "riscv64-linux-gnu-gcc", x86_64: "x86_64-linux-gnu-gcc" };
const CLI = join(ROOT, "dist", "bundle", "cli.js");
/** Kernels whose figure is operations per second; the others are compared by CPU time. */
const SYSTEM = ["null-call", "fork-exit", "fork-exec", "page-fault", "ping-pong"];

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    json: { type: "boolean", default: false },
    arch: { type: "string", default: "riscv64" },
    compiler: { type: "string", default: "zig" },
    program: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (options.help) {
  console.log(
    "usage: npm run bench -- [--arch riscv64|x86_64] [--compiler zig|gcc] [--rounds N] [--only NAME,…] [--program FILE] [--json]",
  );
  process.exit(0);
}
if (!(options.arch in GCC)) {
  console.error(`bench: --arch ${options.arch} is not there; riscv64 and x86_64 are`);
  process.exit(2);
}
const program = options.program ?? (options.compiler === "gcc" ? compileWithGcc() : imageProgram());
const QEMU = `qemu-${options.arch}`;

const peers = [
  { name: "vitrine", command: [process.execPath, CLI, "run", "--arch", options.arch, program], env: {} },
  { name: QEMU, command: [QEMU, program], env: { BENCH_SELF: program } },
].filter((peer) => {
  const path = findProgram(peer.command[0]);
  if (path === undefined) {
    console.error(`bench: ${peer.name} is not installed; its column is left out`);
    return false;
  }
  if (peer.name.startsWith("qemu")) peer.env.BENCH_LAUNCHER = path;
  return true;
});

const kernels = listKernels();
const rounds = Number(options.rounds);
const results = [];
for (const kernel of kernels) {
  const times = peers.map(() => []);
  let checksum;
  for (let round = 0; round < rounds; round++) {
    for (const [index, peer] of peers.entries()) {
      process.stderr.write(`\r\x1b[K${kernel.name} ${round + 1}/${rounds} ${peer.name}`);
      const { seconds, output } = measure(peer, kernel.name);
      if (checksum !== undefined && checksum !== output) {
        process.stderr.write("\n");
        console.error(`bench: ${peer.name} computes ${output}, not ${checksum}`);
        process.exit(1);
      }
      checksum = output;
      times[index].push(seconds);
    }
  }
  const base = times.at(-1);
  results.push({
    kernel: kernel.name,
    what: kernel.what,
    operations: SYSTEM.includes(kernel.name) ? kernel.rounds : undefined,
    seconds: times.map(median),
    ratio: peers.length > 1 ? median(times[0].map((seconds, round) => seconds / base[round])) : undefined,
  });
}
process.stderr.write("\r\x1b[K");
report();

function report() {
  const compute = results.filter((row) => row.operations === undefined && row.kernel !== "nothing");
  const ratios = compute.map((row) => row.ratio).filter((ratio) => ratio !== undefined);
  const mean =
    ratios.length > 0 ? Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length) : undefined;
  if (options.json) {
    console.log(
      JSON.stringify(
        { node: process.version, peers: peers.map((peer) => peer.name), rounds, results, geometricMean: mean },
        undefined,
        2,
      ),
    );
    return;
  }
  console.log(`Node ${process.version}, ${rounds} rounds, CPU seconds (median)\n`);
  const head = ["kernel".padEnd(12), ...peers.map((peer) => peer.name.padStart(13)), "   ratio", "  what"].join("");
  console.log(head);
  for (const row of compute) {
    const ratio = row.ratio === undefined ? "       -" : row.ratio.toFixed(2).padStart(8);
    console.log(
      row.kernel.padEnd(12) +
        row.seconds.map((value) => value.toFixed(3).padStart(13)).join("") +
        ratio +
        "  " +
        row.what,
    );
  }
  if (mean !== undefined)
    console.log(
      `\ngeometric mean of ${ratios.length} kernels: ${mean.toFixed(2)} times the CPU time of ${peers.at(-1).name}`,
    );
  const nothing = results.find((row) => row.kernel === "nothing");
  const system = results.filter((row) => row.operations !== undefined);
  if (system.length === 0) return;
  console.log("\noperations per CPU second, start-up taken off");
  for (const row of system) {
    const rates = row.seconds.map(
      (seconds, index) => row.operations / Math.max(seconds - (nothing?.seconds[index] ?? 0), 0.001),
    );
    console.log(
      row.kernel.padEnd(12) +
        rates.map((rate) => Math.round(rate).toLocaleString("en").padStart(13)).join("") +
        "          " +
        row.what,
    );
  }
}

function imageProgram() {
  return join(ROOT, "userland", "images", options.arch, "bench");
}

/** The kernels compiled with Debian's gcc as the images are with zig cc: static, -O2. */
function compileWithGcc() {
  const compiler = GCC[options.arch];
  if (findProgram(compiler) === undefined) {
    console.error(`bench: ${compiler} is not installed; install gcc-${options.arch.replace("_", "-")}-linux-gnu`);
    process.exit(1);
  }
  const output = join(mkdtempSync(join(tmpdir(), "vitrine-bench-")), "bench");
  const sources = readdirSync(KERNELS)
    .filter((name) => name.endsWith(".c"))
    .map((name) => join(KERNELS, name));
  const built = spawnSync(compiler, ["-O2", "-static", "-o", output, ...sources, "-lm"], { encoding: "utf8" });
  if (built.status !== 0) {
    console.error(`bench: ${compiler} failed\n${built.stderr}`);
    process.exit(1);
  }
  return output;
}

function listKernels() {
  if (!existsSync(program)) {
    console.error(`bench: ${program} is missing; build it with npm --prefix userland run build`);
    process.exit(1);
  }
  const listing = spawnSync(peers[0].command[0], [...peers[0].command.slice(1)], { encoding: "utf8" });
  const all = listing.stdout
    .trim()
    .split("\n")
    .map((line) => /^(\S+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, name, count, what]) => ({ name, rounds: Number(count), what }));
  const wanted = options.only?.split(",");
  return wanted === undefined ? all : all.filter((kernel) => wanted.includes(kernel.name) || kernel.name === "nothing");
}

/** CPU seconds and output of one run. */
function measure(peer, kernel) {
  const script = 'TIMEFORMAT="%3U %3S"; time "$@"';
  const run = spawnSync("bash", ["-c", script, "bash", ...peer.command, kernel], {
    encoding: "utf8",
    env: { ...process.env, ...peer.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const times = /([\d.]+) ([\d.]+)\s*$/.exec(run.stderr);
  if (run.status !== 0 || times === null) {
    process.stderr.write("\n");
    console.error(`bench: ${peer.name} ${kernel} failed (status ${run.status})\n${run.stderr}`);
    process.exit(1);
  }
  return { seconds: Number(times[1]) + Number(times[2]), output: run.stdout.trim() };
}

function findProgram(name) {
  if (name.includes("/")) return existsSync(name) ? name : undefined;
  return process.env.PATH?.split(":")
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
