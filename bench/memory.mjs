/**
 * The kernel's memory costs, side by side: bench/memory/*.c, the same static program, on Vitrine and as the first process of Debian's
 * Linux kernel under QEMU's full-system emulation (TCG).
 *
 *   npm run bench:memory                           both architectures, 3 interleaved rounds
 *   npm run bench:memory -- --arch riscv64         one of them
 *   npm run bench:memory -- --only fork,fault-copy some rows
 *   npm run bench:memory -- --rounds 5 --json
 *   npm run bench:memory -- --ours                 without the peer; --cpu-profile FOLDER profiles it
 *
 * The guests' clocks are of no use (Vitrine's is virtual), so the host measures: the program prints a line before and after what counts,
 * and with each line the host notes the wall clock and the emulator's CPU time, all threads (/proc/PID/task/TID/schedstat). A row is
 * warmed up before, and the guest's RAM has been used once. Figures are microseconds of an operation, the median of the rounds; a ratio is the median of the rounds'
 * ratios, Vitrine's time to the peer's: below 1 Vitrine is ahead.
 *
 * The peer has its best case: paging of three levels on RISC-V as Vitrine has, no mitigations of hardware faults that an emulator does
 * not have. Rows of `shootdown.c` run with four CPUs (QEMU: a host thread for each), all others with one. Both have 1.5 GiB of RAM.
 * What is not installed or cannot be fetched is left out, and said so.
 */

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const SOURCES = join(ROOT, "bench", "memory");
const CLI = join(ROOT, "dist", "bundle", "cli.js");
const MEMORY = "1536M";
/** A run that says nothing for this long has hung. */
const SILENCE_MS = 600_000;
const CPUS = 4;

/** How each architecture's program is built and its peer is started. */
const MACHINES = {
  riscv64: {
    compiler: "riscv64-linux-gnu-gcc",
    qemu: ["qemu-system-riscv64", "-machine", "virt"],
    debian: "riscv64",
    metaPackage: "linux-image-riscv64",
    commandLine: "no4lvl",
  },
  x86_64: {
    compiler: "x86_64-linux-gnu-gcc",
    qemu: ["qemu-system-x86_64", "-machine", "pc"],
    debian: "amd64",
    metaPackage: "linux-image-amd64",
    commandLine: "",
  },
};

const { values: options } = parseArgs({
  options: {
    arch: { type: "string" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    ours: { type: "boolean", default: false },
    "cpu-profile": { type: "string" },
    program: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (options.help) {
  console.log(
    "usage: npm run bench:memory -- [--arch riscv64|x86_64] [--rounds N] [--only ROW,…] [--ours] [--cpu-profile FOLDER] [--program FILE] [--json]",
  );
  process.exit(0);
}
const architectures = options.arch === undefined ? Object.keys(MACHINES) : [options.arch];
for (const name of architectures) {
  if (name in MACHINES) continue;
  console.error(`bench: --arch ${name} is not there; ${Object.keys(MACHINES).join(" and ")} are`);
  process.exit(2);
}
const rowNames = [...listRows()];
const wanted = options.only?.split(",") ?? rowNames.map(({ name }) => name);
for (const name of wanted) {
  if (rowNames.some((row) => row.name === name)) continue;
  console.error(`bench: no row ${name}; there are ${rowNames.map((row) => row.name).join(" ")}`);
  process.exit(2);
}
const scratch = mkdtempSync(join(tmpdir(), "vitrine-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
const results = [];
for (const arch of architectures) {
  const program = options.program ?? compile(arch);
  if (program === undefined) continue;
  results.push({ arch, ...(await compare(arch, program)) });
}
report();

/** The rows in the order of the program's groups, and whether each wants several CPUs. */
function* listRows() {
  for (const file of ["processes.c", "faults.c", "regions.c", "calls.c", "shootdown.c"]) {
    for (const [, name] of readFileSync(join(SOURCES, file), "utf8").matchAll(/^ {4}\{"([\w-]+)",/gm)) {
      yield { name, cpus: file === "shootdown.c" ? CPUS : 1 };
    }
  }
}

async function compare(arch, program) {
  const peers = [{ name: "vitrine", command: (cpus, rows) => ourCommand(arch, program, cpus, rows) }];
  const peer = options.ours ? undefined : await findPeer(arch, program);
  if (peer !== undefined) peers.push(peer);
  const samples = new Map(wanted.map((name) => [name, peers.map(() => [])]));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const cpus of [1, CPUS]) {
      const rows = rowNames.filter((row) => row.cpus === cpus && wanted.includes(row.name)).map((row) => row.name);
      if (rows.length === 0) continue;
      for (const [index, { name, command }] of peers.entries()) {
        const label = `${arch} ${round + 1}/${options.rounds} ${name}`;
        const costs = await run(command(cpus, rows), label);
        for (const [row, cost] of costs) samples.get(row)[index].push(cost);
      }
    }
  }
  const rows = [...samples].map(([name, [ours, theirs]]) => ({
    name,
    ours: summary(ours),
    peer: theirs && summary(theirs),
    cpuRatio: theirs && median(ours.map((cost, i) => cost.cpu / theirs[i]?.cpu)),
    wallRatio: theirs && median(ours.map((cost, i) => cost.wall / theirs[i]?.wall)),
  }));
  return { peer: peer?.version, rows };
}

function ourCommand(arch, program, cpus, rows) {
  const profile = options["cpu-profile"];
  const nodeOptions = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  return [process.execPath, ...nodeOptions, CLI, "run", "--arch", arch, "-m", MEMORY, "--smp", cpus, program, ...rows];
}

/** Debian's kernel with the program as its only file, or undefined after a word why not. */
async function findPeer(arch, program) {
  const { qemu, debian, metaPackage, commandLine } = MACHINES[arch];
  if (findProgram(qemu[0]) === undefined) return leaveOut(`${qemu[0]} is not installed`);
  const support = join(ROOT, "dist", "test", "support");
  const { debianDependencies, debianPackage, debianSkip } = await import(join(support, "debian.js"));
  const { writeCpio } = await import(join(support, "cpio.js"));
  const image = debianDependencies(metaPackage, debian).find((name) => name.startsWith("linux-image-"));
  if (image === undefined) return leaveOut(debianSkip(metaPackage, debian));
  const folder = debianPackage(image, debian);
  if (folder === undefined) return leaveOut(debianSkip(image, debian));
  const kernel = readdirSync(join(folder, "boot")).find((name) => name.startsWith("vmlinu"));
  if (kernel === undefined) return leaveOut(`no kernel in ${image}`);
  const initrd = join(scratch, `${arch}.cpio`);
  const entries = [
    { name: "dev", mode: 0o040755 },
    { name: "dev/console", mode: 0o020600, device: [5, 1] },
    { name: "init", mode: 0o100755, data: readFileSync(program) },
  ];
  writeFileSync(initrd, writeCpio(entries));
  const command = (cpus, rows) => [
    ...qemu,
    ...["-accel", cpus === 1 ? "tcg" : "tcg,thread=multi", "-m", MEMORY, "-smp", cpus],
    ...["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"],
    ...["-kernel", join(folder, "boot", kernel), "-initrd", initrd],
    ...["-append", `console=ttyS0 quiet panic=-1 mitigations=off ${commandLine} -- ${rows.join(" ")}`],
  ];
  const version = spawnSync(qemu[0], ["--version"], { encoding: "utf8" }).stdout.split("\n")[0];
  return { name: "linux", version: `${image}, ${version}`, command };

  function leaveOut(reason) {
    console.error(`bench: ${arch}: no peer: ${reason}`);
    return undefined;
  }
}

/** Runs the program once; the cost of an operation of each row, in microseconds. */
async function run(command, label) {
  const [file, ...argv] = command;
  const child = spawn(file, argv.map(String), { stdio: ["ignore", "pipe", "pipe"] });
  const output = [];
  child.stderr.on("data", (data) => output.push(String(data)));
  const silence = setTimeout(() => child.kill("SIGKILL"), SILENCE_MS);
  const costs = new Map();
  const threads = new Map();
  let begun;
  let isDone = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const at = { cpu: cpuTimeUs(child.pid, threads), wall: performance.now() * 1000 };
    silence.refresh();
    output.push(`${line}\n`);
    // The kernel's own words may stand before the program's on a console.
    const [, word, name, count] = /\b(begin|end|done)\b(?: ([\w-]+))?(?: (\d+))?\s*$/.exec(line) ?? [];
    if (word === "begin") {
      showProgress(`${label} ${name}`);
      begun = at;
    } else if (word === "end" && begun !== undefined) {
      const cost = { cpu: (at.cpu - begun.cpu) / count, wall: (at.wall - begun.wall) / count };
      costs.set(name, cost);
      if (!process.stderr.isTTY) console.error(`${label} ${name} ${decimals(cost.cpu, 2)} ${decimals(cost.wall, 2)}`);
    } else if (word === "done") {
      isDone = true;
      child.kill("SIGTERM");
      break;
    }
  }
  clearTimeout(silence);
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once("exit", resolve));
  showProgress("");
  if (!isDone) {
    console.error(`bench: ${label} did not finish\n${output.slice(-20).join("")}`);
    process.exit(1);
  }
  return costs;
}

/** The line at the bottom of a terminal. */
function showProgress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** CPU time of all threads of a process; `threads` keeps what each has taken, since some may have ended. */
function cpuTimeUs(pid, threads) {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [runNs] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
    threads.set(thread, Number(runNs) / 1000);
  }
  return [...threads.values()].reduce((sum, us) => sum + us, 0);
}

function report() {
  if (options.json) {
    console.log(JSON.stringify({ node: process.version, rounds: Number(options.rounds), results }, undefined, 2));
    return;
  }
  for (const { arch, peer, rows } of results) {
    console.log(`\n${arch}: Node ${process.version}, ${options.rounds} rounds; microseconds of an operation`);
    if (peer !== undefined) console.log(`peer: ${peer}`);
    const head = ["CPU", "wall", "peer CPU", "peer wall", "CPU ratio", "wall ratio"];
    console.log("\nrow".padEnd(19) + head.map((text) => text.padStart(12)).join(""));
    for (const { name, ours, peer: theirs, cpuRatio, wallRatio } of rows) {
      const figures = [ours?.cpu, ours?.wall, theirs?.cpu, theirs?.wall].map((value) => decimals(value, 2));
      const ratios = [cpuRatio, wallRatio].map((value) => decimals(value, 2));
      console.log(name.padEnd(18) + [...figures, ...ratios].map((text) => text.padStart(12)).join(""));
    }
    const ratios = rows.map((row) => row.cpuRatio).filter((ratio) => ratio > 0);
    if (ratios.length === 0) continue;
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    const ahead = ratios.filter((ratio) => ratio < 1).length;
    console.log(
      `\nahead in CPU time on ${ahead} of ${ratios.length} rows; geometric mean of the ratios ${mean.toFixed(2)}`,
    );
  }
}

function decimals(value, count) {
  return value === undefined || !Number.isFinite(value) ? "-" : value.toFixed(count);
}

function compile(arch) {
  const { compiler } = MACHINES[arch];
  if (findProgram(compiler) === undefined) {
    console.error(`bench: ${arch}: ${compiler} is not installed`);
    return undefined;
  }
  const output = join(scratch, `memory-${arch}`);
  const sources = readdirSync(SOURCES)
    .filter((name) => name.endsWith(".c"))
    .map((name) => join(SOURCES, name));
  const built = spawnSync(compiler, ["-O2", "-static", "-pthread", "-o", output, ...sources], { encoding: "utf8" });
  if (built.status === 0) return output;
  console.error(`bench: ${compiler} failed\n${built.stderr}`);
  process.exit(1);
}

function findProgram(name) {
  return process.env.PATH?.split(":")
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

function summary(costs) {
  return costs.length === 0
    ? undefined
    : { cpu: median(costs.map((cost) => cost.cpu)), wall: median(costs.map((cost) => cost.wall)) };
}

function median(values) {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
