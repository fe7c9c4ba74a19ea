// stdin, stdout and stderr of `run` and `boot` are those of the host's process: whole, closed, slow, huge, or gone.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { once } from "node:events";
import { eachArch } from "../support/architectures.ts";
import { commandLine } from "../support/command-line.ts";

/** Runs a line of the host's shell; answers its status and stderr. */
async function hostShell(line: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn("sh", ["-c", line], { stdio: ["ignore", "pipe", "pipe"] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const [status] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { status, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

eachArch(({ arch, test }) => {
  const { startVitrine, vitrine, vitrineCommand } = commandLine(arch);

  test("bytes pass through unchanged in both directions", async () => {
    const input = Uint8Array.from({ length: 200_000 }, (_, index) => (index * 7919) >>> 3);
    const child = startVitrine(["run", "cat"]);
    const chunks: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stdin?.end(input);
    const [status] = (await once(child, "close")) as [number];
    assert.equal(status, 0);
    assert.deepEqual(Buffer.concat(chunks), Buffer.from(input));
  });

  test(
    "200 MB through a guest, with a slow reader, do not grow the host's memory",
    { skip: process.platform !== "linux" && "needs /proc" },
    async () => {
      const size = 200_000_000;
      const child = spawn("sh", ["-c", `head -c ${size} /dev/zero | ${vitrineCommand("run cat")}`], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let received = 0;
      let peakKb = 0;
      for await (const chunk of child.stdout) {
        received += (chunk as Buffer).length;
        if (peakKb === 0 || received % 37 === 0) {
          const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
          for (const pid of children) {
            try {
              const status = readFileSync(`/proc/${pid}/status`, "utf8");
              if (status.startsWith("Name:\tnode"))
                peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
            } catch {
              // That process has ended.
            }
          }
        }
      }
      assert.equal(received, size);
      assert.ok(peakKb < 400_000, `${peakKb} kB`);
    },
  );

  test("a reader that stops early gives SIGPIPE, or EPIPE where that is ignored", async () => {
    const killed = await hostShell(`{ ${vitrineCommand("run yes")}; echo "status $?" >&2; } | head -n 1`);
    assert.equal(killed.stdout, "y\n");
    assert.equal(killed.stderr, "status 141\n");
    const traced = await hostShell(
      `{ ${vitrineCommand("trace ls /bin")} 2>&1 >/dev/null; echo "status $?" >&2; } | head -n 1`,
    );
    assert.match(traced.stdout, /^execve/);
    assert.equal(traced.stderr, "status 0\n");
  });

  test("closed streams are no failure", async () => {
    assert.equal((await hostShell(`${vitrineCommand("run cat")} <&-`)).status, 0);
    assert.equal((await hostShell(`${vitrineCommand("run echo hi")} >&-`)).status, 0);
    assert.deepEqual(await hostShell(`${vitrineCommand("run ls /absent")} 2>&-`), {
      status: 2,
      stdout: "",
      stderr: "",
    });
  });

  test("a file on stdin is read to its end", async () => {
    const file = openSync(new URL(import.meta.url), "r");
    const child = spawn("sh", ["-c", vitrineCommand("run wc -c")], { stdio: [file, "pipe", "inherit"] });
    assert.ok(child.stdout);
    const [chunk] = (await once(child.stdout, "data")) as [Buffer];
    closeSync(file);
    assert.equal(Number(chunk.toString()), readFileSync(new URL(import.meta.url)).length);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal} to the host's process goes to the program`, async () => {
      const caught = startVitrine([
        "run",
        "sh",
        "-c",
        `trap 'echo caught; exit 5' ${signal.slice(3)}; echo ready; while :; do :; done`,
      ]);
      const output: Buffer[] = [];
      assert.ok(caught.stdout);
      caught.stdout.on("data", (chunk: Buffer) => {
        output.push(chunk);
        if (chunk.includes("ready")) caught.kill(signal);
      });
      const [status] = (await once(caught, "close")) as [number];
      assert.equal(Buffer.concat(output).toString(), "ready\ncaught\n");
      assert.equal(status, 5);
    });
  }

  test("what is piped into boot is typed on the console, and the status is the shell's", async () => {
    const outcome = await vitrine(["boot"], { input: "echo one two | wc -w\nexit 4\n" });
    assert.equal(outcome.status, 4);
    assert.match(outcome.stdout, /^2\r?$/m);
  });

  test("boot ends when its input does, the last line included", async () => {
    assert.equal((await vitrine(["boot"])).status, 0);
    const outcome = await vitrine(["boot"], { input: "cat\nto cat\n" });
    assert.match(outcome.stdout, /~ # cat\r\nto cat\r\n~ # /);
    assert.equal(outcome.status, 0);
    assert.equal((await vitrine(["boot"], { input: "exit 6" })).status, 6);
  });

  test("boot runs a command instead of the shell", async () => {
    assert.equal((await vitrine(["boot", "--", "sh", "-c", "exit 3"])).status, 3);
    assert.equal((await vitrine(["boot", "--", "nosuch"])).status, 127);
  });

  test("a 3000-line script piped into boot is typed without a loss", async () => {
    const lines = Array.from({ length: 3000 }, (_, index) => `: ${index} ${"x".repeat(index % 50)}\n`);
    const outcome = await vitrine(["boot"], {
      input: `n=0\n${lines.join("").replaceAll(": ", "n=$((n+1)); : ")}exit $((n == 3000))\n`,
    });
    assert.equal(outcome.status, 1);
  });
});
