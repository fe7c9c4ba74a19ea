/**
 * `npm test`: runs every test file, two at a time, each in a process of its own.
 *
 *   npm test                 all
 *   npm test -- mmu uart     the files whose path contains one of the words
 *
 * Progress and failures go to stderr. The last line, on stdout, is `N passed, N failed, N skipped`; the status is 1 when
 * a test failed, a file crashed or hung, or nothing ran. A file that reports nothing for VITRINE_TEST_TIMEOUT seconds
 * (default 180) is killed, so that even a synchronous endless loop is a failure with a name.
 */
import { fork } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const reporter = pathToFileURL(join(root, "test/support/reporter.mjs")).href;
const concurrency = 2;
const silenceMs = Number(process.env.VITRINE_TEST_TIMEOUT ?? 180) * 1000;
const outputLinesShown = 60;

const totals = { passed: 0, failed: 0, skipped: 0 };
const skipReasons = new Map();

/**
 * Words in the paths of the files that take longest, the longest first: they are begun first, so that what runs last,
 * while the other process has nothing left to do, is short.
 */
const SLOW_FILES = [
  ...["programs/busybox", "cli/streams", "cli/programs", "cli/trace", "programs/distribution", "userland/test/compare"],
  ...["cli/terminal", "hostile/system-calls", "cli/architecture", "kernel/guest-programs", "hostile/storms"],
];

const words = process.argv.slice(2);
const files = findTestFiles().filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
if (files.length === 0) console.error(`no test file matches: ${words.join(" ") || "(all)"}; is it built?`);

const queue = files.toSorted((a, b) => slowness(b) - slowness(a));
await Promise.all(
  Array.from({ length: concurrency }, async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) show(file, await runFile(file));
  }),
);

for (const [reason, count] of skipReasons) console.error(`skipped ${count}: ${reason}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;

/** Compiled tests whose source still exists, and the user land's; paths relative to the root, slashes forward. */
function findTestFiles() {
  const compiled = ["dist/src", "dist/test"]
    .flatMap((folder) => listFiles(join(root, folder)))
    .filter((path) => path.endsWith(".test.js"))
    .filter((path) => existsSync(join(root, relative(join(root, "dist"), path).replace(/\.js$/, ".ts"))));
  const userland = listFiles(join(root, "userland/test")).filter((path) => path.endsWith(".test.mjs"));
  return [...compiled, ...userland].map((path) => relative(root, path).split(sep).join("/")).sort();
}

/** The higher the earlier; 0 of a file that is not known to be slow. */
function slowness(file) {
  const place = SLOW_FILES.findIndex((word) => file.includes(word));
  return place < 0 ? 0 : SLOW_FILES.length - place;
}

function listFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return listFiles(join(folder, entry.name));
    return entry.isFile() ? [join(folder, entry.name)] : [];
  });
}

/** Runs one file to its end, or until it has been silent for too long. */
function runFile(file) {
  return new Promise((resolve) => {
    const results = [];
    const notes = [];
    const output = [];
    const startedAt = performance.now();
    let running = "(start-up)";
    let ended;
    const child = fork(join(root, file), [], {
      cwd: root,
      execArgv: [`--test-reporter=${reporter}`, "--test-reporter-destination=stdout"],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const kill = () => {
      ended = `no news for ${silenceMs / 1000} s, last in: ${running}`;
      child.kill("SIGKILL");
      // A process that the test started may still hold the pipes.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    let watchdog = setTimeout(kill, silenceMs);
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    child.on("message", (message) => {
      clearTimeout(watchdog);
      watchdog = setTimeout(kill, silenceMs);
      if (message.kind === "start") running = message.name;
      else if (message.kind === "note") notes.push(`${message.message} (in: ${running})`);
      else results.push(message);
    });
    child.on("error", (error) => (ended = String(error)));
    child.on("close", (status, signal) => {
      clearTimeout(watchdog);
      const reportedFailure = results.some((result) => result.kind === "fail");
      if (ended === undefined && signal !== null) ended = `killed by ${signal}, last in: ${running}`;
      if (ended === undefined && status !== 0 && !reportedFailure) ended = `exit status ${status}, last in: ${running}`;
      if (ended === undefined && results.length === 0) ended = "the file holds no test";
      resolve({
        results,
        notes,
        ended,
        output: Buffer.concat(output).toString(),
        seconds: (performance.now() - startedAt) / 1000,
      });
    });
  });
}

/** Counts a file's results, and prints its line and its failures. Suites only group; they do not count. */
function show(file, { results, notes, ended, output, seconds }) {
  const before = { ...totals };
  const failures = [];
  for (const result of results) {
    if (result.skip !== undefined && result.skip !== false) {
      totals.skipped++;
      const reason = typeof result.skip === "string" && result.skip !== "" ? result.skip : result.name;
      skipReasons.set(reason, (skipReasons.get(reason) ?? 0) + 1);
    } else if (result.kind === "pass") {
      if (!result.suite) totals.passed++;
    } else if (!result.subtestsFailed) {
      totals.failed++;
      failures.push(`${result.name}\n${result.error}`);
    }
  }
  if (ended !== undefined) {
    totals.failed++;
    failures.push(ended);
  }
  const counts = [
    `${totals.passed - before.passed} passed`,
    ...(totals.failed > before.failed ? [`${totals.failed - before.failed} FAILED`] : []),
    ...(totals.skipped > before.skipped ? [`${totals.skipped - before.skipped} skipped`] : []),
  ];
  console.error(
    `${ended === undefined && failures.length === 0 ? "ok  " : "FAIL"} ${file}: ${counts.join(", ")} (${seconds.toFixed(1)} s)`,
  );
  for (const note of notes) console.error(indent(`note: ${note}`));
  for (const failure of failures) console.error(indent(`${file} > ${failure}`));
  if (failures.length > 0 && output.trim() !== "") {
    console.error(indent(`output of ${file}:\n${output.trimEnd().split("\n").slice(-outputLinesShown).join("\n")}`));
  }
}

function indent(text) {
  return text.replace(/^/gm, "     ");
}
