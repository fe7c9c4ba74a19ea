// Debian's procps, unmodified, on what /proc says of memory: free, vmstat, pmap and top find their rows, and agree with each other.

import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { boot } from "../../src/node/index.ts";
import { eachArch } from "../support/architectures.ts";
import { DEBIAN_ARCHITECTURES, debianPackage, debianSkip } from "../support/debian.ts";
import { runGuest } from "../support/guest-run.ts";

const LIMIT_MS = 150_000;
const PACKAGES = [
  "procps",
  "libproc2-0",
  "libncursesw6",
  "libtinfo6",
  "libsystemd0",
  "libcap2",
  "libc6",
  "ncurses-base",
  "dash",
];
const SCRIPT = "free -k; echo; vmstat -s; echo; pmap -X $$; echo; top -b -n1";

const root = mkdtempSync(join(tmpdir(), "vitrine-procps-"));
after(() => rmSync(root, { recursive: true, force: true }));

eachArch(({ arch, test }) => {
  const debianArch = DEBIAN_ARCHITECTURES[arch];
  const folders = PACKAGES.map((name) => debianPackage(name, name === "ncurses-base" ? "all" : debianArch));
  const missing = PACKAGES[folders.indexOf(undefined)];
  const skip = missing === undefined ? false : debianSkip(missing, debianArch);

  test("free, vmstat, pmap and top of procps read the memory that there is", { skip }, async () => {
    const place = join(root, arch);
    for (const folder of folders) {
      if (folder !== undefined) cpSync(folder, place, { recursive: true, verbatimSymlinks: true });
    }
    for (const name of ["dev", "proc", "sys", "tmp"]) mkdirSync(join(place, name), { recursive: true });
    for (const name of ["bin", "lib", "lib64"]) {
      if (!existsSync(join(place, name))) symlinkSync(`usr/${name}`, join(place, name));
    }
    await using system = await boot({ arch, memory: 64 * 2 ** 20, root: { path: place } });
    const { stdout, stderr } = await runGuest(
      system,
      ["/usr/bin/dash", "-c", SCRIPT],
      { env: { TERM: "dumb" } },
      LIMIT_MS,
    );
    assert.equal(stderr, "");
    const [, total, used, free, shared, cache, available] = (
      /^Mem: +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$/m.exec(stdout) ?? []
    ).map(Number);
    assert.equal(total, 65536);
    assert.equal(shared, 0);
    assert.equal(Number(total) - Number(available), used);
    assert.ok(Number(free) + Number(cache) <= 65536 && Number(free) > 50000 && Number(cache) > 500);
    assert.match(stdout, /^ +65536 K total memory$/m);
    assert.match(stdout, /^MiB Mem : +64.0 total/m);
    assert.match(stdout, /^ +\d+ +\d+ +\d+ .* KB $/m);
  });
});
