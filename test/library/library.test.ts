// Vitrine as a library: what README promises, streams, signals, errors, two systems at once, and nothing left behind.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { boot, VitrineError, type BootOptions, type Vitrine } from "../../src/node/index.ts";
import { eachArch } from "../support/architectures.ts";

const MEBIBYTE = 2 ** 20;

eachArch(({ arch, test }) => {
  async function withSystem<T>(use: (system: Vitrine) => Promise<T>): Promise<T> {
    const system = await boot({ arch, memory: 32 * MEBIBYTE });
    try {
      return await use(system);
    } finally {
      await system.close();
    }
  }

  test("the example of README.md does what it says", async () => {
    const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
    const example = /```ts\nimport \{ boot \} from "vitrine";\n(.*?)```/s.exec(readme)?.[1];
    assert.ok(example);
    const output: string[] = [];
    const lines: unknown[] = [];
    // `await using` is newer than Node 20: what it stands for is written out.
    const script = example
      .replace(/await using system = (.*);/, "const system = $1; const closing = () => system.close();")
      .replaceAll("process.stdout.write", "write")
      .replaceAll("console.log", "log");
    const run = new Function("boot", "write", "log", `return (async () => { ${script}\n await closing(); })();`) as (
      ...args: unknown[]
    ) => Promise<void>;
    await run(
      (options: BootOptions) => boot({ ...options, arch }),
      (chunk: Uint8Array) => output.push(Buffer.from(chunk).toString()),
      (value: unknown) => lines.push(value),
    );
    assert.equal(output.join(""), "1:a kernel\n");
    assert.deepEqual(lines, [{ kind: "exited", code: 0 }]);
  });

  test("a system disposes of itself", async () => {
    const system = await boot({ arch, memory: 32 * MEBIBYTE });
    await system[Symbol.asyncDispose]();
    assert.equal((await system.stopped).reason, "closed");
    assert.throws(() => system.spawn(["true"]), VitrineError);
  });

  test("input is fed and output read while the program runs", () =>
    withSystem(async (system) => {
      const program = system.spawn(["sh", "-c", 'while read word; do echo "got $word"; done; echo end >&2'], {
        stdin: "pipe",
      });
      const reader = program.stdout[Symbol.asyncIterator]();
      for (const word of ["one", "two", "three"]) {
        program.stdin.write(`${word}\n`);
        const { value } = await reader.next();
        assert.equal(Buffer.from(value ?? []).toString(), `got ${word}\n`);
      }
      program.stdin.end();
      assert.deepEqual(await reader.next(), { done: true, value: undefined });
      assert.equal(await program.stderr.text(), "end\n");
      assert.deepEqual(await program.status, { kind: "exited", code: 0 });
    }));

  test("a writer that waits for `drained` keeps little in memory, and loses nothing", () =>
    withSystem(async (system) => {
      const program = system.spawn(["wc", "-c"], { stdin: "pipe" });
      const chunk = new Uint8Array(MEBIBYTE);
      for (let count = 0; count < 4; count++) if (!program.stdin.write(chunk)) await program.stdin.drained();
      program.stdin.end();
      assert.equal((await program.stdout.text()).trim(), String(4 * MEBIBYTE));
    }));

  test("a reader that leaves its loop ends an endless program", () =>
    withSystem(async (system) => {
      const program = system.spawn(["yes"]);
      for await (const chunk of program.stdout) {
        assert.equal(chunk[0], 0x79);
        break;
      }
      assert.deepEqual(await program.status, { kind: "signaled", signal: 13, coreDumped: false });
    }));

  test("output that nobody reads stops the machine, not the host", () =>
    withSystem(async (system) => {
      const program = system.spawn(["yes"]);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const { bufferedBytes } = program.stdout;
      assert.ok(bufferedBytes < 64 * MEBIBYTE, String(bufferedBytes));
    }));

  test("kill sends a signal; a dead program ignores it", () =>
    withSystem(async (system) => {
      const program = system.spawn(["sh", "-c", "while :; do :; done"]);
      program.kill(15);
      assert.deepEqual(await program.status, { kind: "signaled", signal: 15, coreDumped: false });
      program.kill(9);
    }));

  test("programs run beside each other, and see the same files", () =>
    withSystem(async (system) => {
      const writer = system.spawn(["sh", "-c", "mkfifo /tmp/p && echo through a fifo > /tmp/p"]);
      const reader = system.spawn(["sh", "-c", "while ! test -p /tmp/p; do sleep 0.01; done; cat /tmp/p"]);
      assert.equal(await reader.stdout.text(), "through a fifo\n");
      assert.deepEqual(await writer.status, { kind: "exited", code: 0 });
    }));

  test("two systems in one process do not know of each other", async () => {
    const [one, two] = await Promise.all([
      boot({ arch, memory: 32 * MEBIBYTE }),
      boot({ arch, memory: 64 * MEBIBYTE, harts: 2 }),
    ]);
    const script = "echo $0 > /tmp/name; cat /tmp/name; grep -c processor /proc/cpuinfo";
    const [left, right] = await Promise.all([
      one.spawn(["sh", "-c", script, "left"]).stdout.text(),
      two.spawn(["sh", "-c", script, "right"]).stdout.text(),
    ]);
    assert.equal(left, "left\n1\n");
    assert.equal(right, "right\n2\n");
    await one.close();
    assert.equal(await two.spawn(["cat", "/tmp/name"]).stdout.text(), "right\n");
    await two.close();
  });

  test("status rejects when the system stops first; output ends", async () => {
    const system = await boot({ arch, memory: 32 * MEBIBYTE });
    const program = system.spawn(["sleep", "1000000000"], { stdin: "pipe" });
    const busy = system.spawn(["sh", "-c", "while :; do :; done"]);
    system.control.panic("for the test");
    const state = await system.stopped;
    assert.equal(state.status, 125);
    assert.match(state.report ?? "", /kernel panic.*for the test/);
    await assert.rejects(program.status, VitrineError);
    await assert.rejects(busy.status, /for the test/);
    assert.equal(await program.stdout.text(), "");
    await system.close();
  });

  test("a fault in the kernel is a report, at once, though the machine is idle", async () => {
    const system = await boot({ arch, memory: 32 * MEBIBYTE });
    await system.pause();
    system.control.fault();
    system.resume();
    const state = await system.stopped;
    assert.equal(state.status, 125);
    assert.match(state.report ?? "", /page fault in the kernel at fault/i);
  });

  test("close while a program waits or computes returns soon", async () => {
    for (const argv of [["cat"], ["sleep", "100"], ["sh", "-c", "while :; do :; done"], ["yes"]]) {
      const system = await boot({ arch, memory: 32 * MEBIBYTE });
      const program = system.spawn(argv, { stdin: "pipe" });
      await new Promise((resolve) => setTimeout(resolve, 20));
      const began = performance.now();
      await system.close();
      assert.ok(performance.now() - began < 1000, argv[0]);
      await program.status.catch(() => undefined);
    }
  });

  test("errors have types and statuses", async () => {
    await assert.rejects(boot({ arch, root: { path: "/absent" } }), VitrineError);
    await assert.rejects(boot({ arch, root: { archive: Buffer.from("no archive ".repeat(100)) } }), VitrineError);
    await assert.rejects(boot({ arch, memory: 12345 }), VitrineError);
    await assert.rejects(boot({ arch, memory: Number.NaN }), VitrineError);
    await assert.rejects(boot({ arch, harts: 99 }), VitrineError);
    await assert.rejects(boot({ arch, init: ["/absent"] }), VitrineError);
    await withSystem(async (system) => {
      assert.throws(() => system.spawn([]), { name: "VitrineError", status: 127 });
      assert.throws(() => system.spawn(["absent"]), { name: "VitrineError", status: 127 });
      assert.throws(() => system.spawn(["/etc/passwd"]), { name: "VitrineError", status: 126 });
      assert.throws(() => system.spawn(["true"], { cwd: "/absent" }), { name: "VitrineError", status: 125 });
      assert.throws(() => system.mount({ host: "/absent", guest: "/x" }), VitrineError);
      // What failed has left nothing: the next program runs.
      assert.deepEqual(await system.spawn(["true"]).status, { kind: "exited", code: 0 });
    });
  });

  test("probes hear what a program does", () =>
    withSystem(async (system) => {
      const calls: string[] = [];
      system.probes.kernel.syscallEnter = (_thread, _number, row): void => void calls.push(row?.name ?? "?");
      await system.spawn(["hello"]).status;
      assert.deepEqual(calls, ["write", "exit"]);
    }));

  test("a hundred systems leave no memory behind", async () => {
    const once = async (): Promise<void> => {
      const system = await boot({ arch, memory: 16 * MEBIBYTE });
      await system.spawn(["true"]).status;
      await system.close();
    };
    const usedMebibytes = (): number => {
      const { rss } = process.memoryUsage();
      return rss / MEBIBYTE;
    };
    for (let count = 0; count < 20; count++) await once();
    const before = usedMebibytes();
    for (let count = 0; count < 80; count++) await once();
    const grown = usedMebibytes() - before;
    assert.ok(grown < 80 * 8, `${grown} MiB more: 80 systems of 16 MiB would be 1280`);
  });
});
