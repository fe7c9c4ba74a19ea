// Programs as a distribution ships them, unmodified: Debian's bash, perl and Python, with their dynamic linker and shared
// libraries, run from a host folder as the root. They exercise threads, signals, process substitution, coprocesses and SQLite.

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { boot } from "../../src/node/index.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { eachArch } from "../support/architectures.ts";
import { DEBIAN_ARCHITECTURES, debianPackage, debianSkip } from "../support/debian.ts";
import { runGuest } from "../support/guest-run.ts";

/** Less than the silence after which test/run.mjs ends a file without a word on the guest. */
const LIMIT_MS = 150_000;

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A root folder of unpacked packages, or why there is none. */
function makeRoot(arch: Architecture, packages: readonly string[]): { root: string } | { skip: string } {
  const root = mkdtempSync(join(tmpdir(), "vitrine-root-"));
  folders.push(root);
  for (const name of packages) {
    const folder = debianPackage(name, DEBIAN_ARCHITECTURES[arch]);
    if (folder === undefined) return { skip: debianSkip(name, DEBIAN_ARCHITECTURES[arch]) };
    cpSync(folder, root, { recursive: true, verbatimSymlinks: true });
  }
  for (const name of ["dev", "proc", "tmp"]) mkdirSync(join(root, name), { recursive: true });
  // The merged /usr of Debian.
  for (const name of ["bin", "lib", "lib64"])
    if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name));
  return { root };
}

const LIBC = ["libc6", "libcrypt1"];
const COREUTILS = ["coreutils", "libacl1", "libattr1", "libselinux1", "libpcre2-8-0", "libcap2", "libgmp10"];

const CASES = [
  {
    name: "bash",
    packages: ["bash-static", ...LIBC, ...COREUTILS],
    argv: [
      "/usr/bin/bash-static",
      "-c",
      `for i in {3..1}; do echo $i; done | sort; cat <(echo a) <(echo b); coproc cat; echo there >&\${COPROC[1]}
       read back <&\${COPROC[0]}; echo $back; declare -A m; m[key]=1; echo \${!m[@]}; trap 'echo bye' EXIT
       timeout 1 sleep 5; echo $?; printf '%(%Y)T\\n' 0; sleep 1 & wait $!; (exit 7); echo $?; kill -l 15`,
    ],
    output: "1\n2\n3\na\nb\nthere\nkey\n124\n1970\n7\nTERM\nbye\n",
  },
  {
    name: "perl",
    packages: ["perl-base", "dash", ...LIBC],
    argv: [
      "/usr/bin/perl",
      "-e",
      `$| = 1; my $p = fork; exit 3 unless $p; waitpid($p, 0); print $? >> 8, "\\n";
       $SIG{ALRM} = sub { print "alarm\\n" }; alarm 1; select(undef, undef, undef, 3);
       open(F, "-|", "echo from a shell; exit 4"); print <F>; close(F); print $? >> 8, "\\n";
       my @a = sort { $a <=> $b } map { ($_ * 7919) % 10007 } 1 .. 10000; print "$a[0] $a[9999]\\n"; kill 9, $$;`,
    ],
    output: "3\nalarm\nfrom a shell\n4\n1 10006\n",
    signal: 9,
  },
  {
    name: "Python",
    packages: [
      "python3.13-minimal",
      "libpython3.13-minimal",
      "libpython3.13-stdlib",
      "libexpat1",
      "zlib1g",
      "libsqlite3-0",
      "libffi8",
      ...LIBC,
    ],
    argv: [
      "/usr/bin/python3.13",
      "-c",
      `
import os, signal, sqlite3, subprocess, sys, threading, time
done = []
threads = [threading.Thread(target=lambda i=i: (time.sleep(0.01), done.append(i))) for i in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(done))
base = sqlite3.connect(":memory:")
base.execute("create table t(a)")
base.executemany("insert into t values(?)", [(i,) for i in range(1000)])
print(base.execute("select sum(a) from t").fetchone()[0])
print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout, end="")
signal.signal(signal.SIGALRM, lambda *a: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.5)
time.sleep(1)
print(os.waitstatus_to_exitcode(os.wait()[1]) if os.fork() else os._exit(5))
`,
    ],
    output: "[0, 1, 2, 3, 4, 5, 6, 7]\n499500\n42\nalarm\n5\n",
  },
];

eachArch(({ arch, test }) => {
  for (const { name, packages, argv, output, signal } of CASES) {
    test(`Debian's ${name} runs unmodified`, async (t) => {
      const made = makeRoot(arch, packages);
      if ("skip" in made) return t.skip(made.skip);
      await using system = await boot({ arch, root: { path: made.root }, memory: 256 << 20, harts: 2 });
      const options = { env: { PATH: "/usr/bin", HOME: "/", LC_ALL: "C" } };
      const { stdout, stderr, status } = await runGuest(system, argv, options, LIMIT_MS);
      assert.equal(stdout, output, stderr);
      assert.equal(status, signal === undefined ? 0 : 128 + signal);
    });
  }
});
