// Host directories: what the guest sees and changes there, and every way out that it might try.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { mountFilesystem } from "../../src/kernel/fs/mounts.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import { createHostDirectory } from "../../src/node/host-directory.ts";
import { eachArch } from "../support/architectures.ts";
import { AT_FDCWD, BUFFER, createFileKernel, type User } from "../support/file-kernel.ts";

const area = fs.mkdtempSync(join(tmpdir(), "vitrine-host-"));
after(() => fs.rmSync(area, { recursive: true }));
let count = 0;

interface Shared {
  readonly user: User;
  /** The shared folder, and a secret beside it, on the host. */
  readonly folder: string;
  readonly secret: string;
}

eachArch(({ arch, test }) => {
  function share(readOnly = false): Shared {
    const base = join(area, String(count++));
    const folder = join(base, "shared");
    fs.mkdirSync(join(folder, "sub"), { recursive: true });
    const secret = join(base, "secret");
    fs.writeFileSync(secret, "secret");
    fs.mkdirSync(join(base, "outside"));
    fs.writeFileSync(join(folder, "file"), "host contents");
    const directory = createHostDirectory(folder, { readOnly });
    const { k, user } = createFileKernel(arch, { host: { directories: new Map([["port", directory]]) } });
    user.must("mkdirat", AT_FDCWD, "/mnt", 0o755);
    const over = resolveFromRoot(k, "/mnt");
    assert.ok(typeof over !== "string");
    assert.ok(typeof mountFilesystem(k, "hostfs", over, { source: "port" }) !== "string");
    return { user, folder, secret };
  }

  test("a shared folder is read and written", () => {
    const { user, folder } = share();
    assert.equal(user.readFile("/mnt/file"), "host contents");
    user.writeFile("/mnt/sub/new", "from the guest");
    assert.equal(fs.readFileSync(join(folder, "sub/new"), "latin1"), "from the guest");
    user.must("mkdirat", AT_FDCWD, "/mnt/d", 0o750);
    assert.equal(fs.statSync(join(folder, "d")).mode & 0o777, 0o750);
    user.must("renameat2", AT_FDCWD, "/mnt/sub/new", AT_FDCWD, "/mnt/d/moved", 0);
    user.must("symlinkat", "moved", AT_FDCWD, "/mnt/d/link");
    assert.equal(user.readFile("/mnt/d/link"), "from the guest");
    assert.equal(fs.readlinkSync(join(folder, "d/link")), "moved");
    user.must("linkat", AT_FDCWD, "/mnt/d/moved", AT_FDCWD, "/mnt/twin", 0);
    assert.equal(fs.statSync(join(folder, "twin")).nlink, 2);
    user.must("truncate", "/mnt/twin", 4);
    assert.equal(user.readFile("/mnt/d/moved"), "from");
    user.must("fchmodat", AT_FDCWD, "/mnt/twin", 0o4711);
    assert.equal(fs.statSync(join(folder, "twin")).mode & 0o7777, 0o711); // no set-user-ID bits on the host
    user.must("unlinkat", AT_FDCWD, "/mnt/twin", 0);
    assert.equal(user.call("unlinkat", AT_FDCWD, "/mnt/d", 0x200), "ENOTEMPTY");
    assert.equal(user.call("mknodat", AT_FDCWD, "/mnt/null", 0o020666, 0x103), "EPERM");
    assert.equal(user.call("renameat2", AT_FDCWD, "/mnt/file", AT_FDCWD, "/file", 0), "EXDEV");
  });

  test("what the host changes is seen; an unlinked open file stays readable", () => {
    const { user, folder } = share();
    const fd = user.must("openat", AT_FDCWD, "/mnt/file", 2, 0);
    fs.appendFileSync(join(folder, "file"), " and more");
    assert.equal(user.readFile("/mnt/file"), "host contents and more");
    user.must("unlinkat", AT_FDCWD, "/mnt/file", 0);
    assert.equal(user.must("pread64", fd, BUFFER, 100, 0), 22);
    fs.writeFileSync(join(folder, "file"), "another file");
    assert.equal(user.readFile("/mnt/file"), "another file");
    assert.equal(user.must("pread64", fd, BUFFER, 100, 0), 22);
  });

  test("a read-only share refuses every change", () => {
    const { user, folder } = share(true);
    const before = fs.readdirSync(folder, { recursive: true });
    for (const [name, ...values] of [
      ["openat", AT_FDCWD, "/mnt/file", 2, 0],
      ["openat", AT_FDCWD, "/mnt/file", 0o1000, 0],
      ["openat", AT_FDCWD, "/mnt/new", 0o101, 0o644],
      ["mkdirat", AT_FDCWD, "/mnt/d", 0o755],
      ["unlinkat", AT_FDCWD, "/mnt/file", 0],
      ["unlinkat", AT_FDCWD, "/mnt/sub", 0x200],
      ["renameat2", AT_FDCWD, "/mnt/file", AT_FDCWD, "/mnt/x", 0],
      ["linkat", AT_FDCWD, "/mnt/file", AT_FDCWD, "/mnt/x", 0],
      ["symlinkat", "x", AT_FDCWD, "/mnt/x"],
      ["truncate", "/mnt/file", 0],
      ["fchmodat", AT_FDCWD, "/mnt/file", 0o777],
      ["fchownat", AT_FDCWD, "/mnt/file", 1, 1, 0],
      ["utimensat", AT_FDCWD, BUFFER, 0, 0],
    ] as const) {
      user.put("/mnt/file\0");
      assert.equal(user.call(name, ...values), "EROFS", name);
    }
    assert.equal(user.readFile("/mnt/file"), "host contents");
    assert.deepEqual(fs.readdirSync(folder, { recursive: true }), before);
  });

  test("links and dots lead nowhere but inside the guest", () => {
    const { user, folder, secret } = share();
    fs.symlinkSync(secret, join(folder, "absolute"));
    fs.symlinkSync("../secret", join(folder, "relative"));
    fs.symlinkSync("../outside", join(folder, "folder"));
    fs.symlinkSync("/", join(folder, "root"));
    user.writeFile("/secret", "the guest's own");
    assert.equal(user.call("openat", AT_FDCWD, "/mnt/absolute", 0, 0), "ENOENT"); // that path does not exist in the guest
    assert.equal(user.readFile("/mnt/relative"), "the guest's own"); // /mnt/../secret is a file of the guest
    assert.equal(user.readFile("/mnt/../secret"), "the guest's own");
    assert.equal(user.readFile("/mnt/root/secret"), "the guest's own");
    assert.equal(user.call("openat", AT_FDCWD, "/mnt/folder/x", 0o101, 0o644), "ENOENT");
    assert.equal(user.call("openat", AT_FDCWD, "/mnt/sub/../../shared/file", 0, 0), "ENOENT");
    user.must("symlinkat", secret, AT_FDCWD, "/mnt/made");
    assert.equal(user.call("openat", AT_FDCWD, "/mnt/made", 0, 0), "ENOENT");
    assert.equal(user.call("linkat", AT_FDCWD, "/mnt/made", AT_FDCWD, "/mnt/hard", 0x400), "ENOENT");
    assert.equal(user.call("openat", AT_FDCWD, "/mnt/relative", 0o400000, 0), "ELOOP");
    assert.deepEqual(fs.readdirSync(join(folder, "../outside")), []);
    assert.equal(fs.readFileSync(secret, "latin1"), "secret");
  });

  test("the host side itself follows no link, in no component, for no operation", () => {
    const { folder, secret } = share();
    const directory = createHostDirectory(folder, { readOnly: false });
    fs.symlinkSync(join(folder, "../outside"), join(folder, "out"));
    fs.symlinkSync(secret, join(folder, "leak"));
    const time = { seconds: 1, nanoseconds: 0 };
    const results = {
      stat: directory.stat(["out", "x"]),
      list: directory.list(["out"]),
      open: directory.open(["leak"], "read"),
      openBelow: directory.open(["out", "..", "secret"], "read"),
      create: directory.create(["out", "evil"], "file", 0o644, ""),
      createOver: directory.create(["leak"], "file", 0o644, ""),
      mkdir: directory.create(["out", "evil"], "directory", 0o755, ""),
      rename: directory.rename(["file"], ["out", "evil"]),
      link: directory.link(["file"], ["out", "evil"]),
      unlink: directory.unlink(["out", "..", "secret"]),
      rmdir: directory.rmdir(["out", ".."]),
    };
    for (const [name, result] of Object.entries(results)) assert.equal(typeof result, "string", name);
    assert.equal(directory.chmod(["leak"], 0o777), 0); // of the link itself: nothing to change
    assert.equal(directory.setTimes(["leak"], time, time), 0);
    for (const bad of ["", ".", "..", "a/b", "a\0b", "/etc/passwd"]) assert.equal(directory.stat([bad]), "EINVAL", bad);
    assert.deepEqual(fs.readdirSync(join(folder, "../outside")), []);
    const stat = fs.statSync(secret);
    assert.equal(stat.mode & 0o777, 0o644);
    assert.ok(stat.mtimeMs > 1_000_000);
  });

  test(
    "a directory that is swapped for a link at any moment gives no way out",
    { skip: process.platform !== "linux" && "only Linux can hold a directory open" },
    () => {
      const { folder } = share();
      const directory = createHostDirectory(folder, { readOnly: false });
      const victim = join(folder, "swap");
      const real = join(folder, "real");
      fs.mkdirSync(real);
      fs.writeFileSync(join(real, "secret"), "inside");
      fs.writeFileSync(join(folder, "../outside/secret"), "outside");
      for (let round = 0; round < 200; round++) {
        if (round % 2 === 0) fs.renameSync(real, victim);
        else fs.symlinkSync("../outside", victim);
        const handle = directory.open(["swap", "secret"], "read");
        if (typeof handle === "number") {
          const bytes = new Uint8Array(16);
          const length = directory.readAt(handle, 0, bytes);
          assert.equal(Buffer.from(bytes.subarray(0, Number(length))).toString(), "inside");
          directory.close(handle);
        } else assert.ok(round % 2 === 1);
        if (round % 2 === 0) fs.renameSync(victim, real);
        else fs.unlinkSync(victim);
      }
    },
  );

  test("a FIFO or a device on the host neither hangs nor opens", () => {
    const { user, folder } = share();
    fs.symlinkSync("/dev/zero", join(folder, "zero"));
    assert.equal(user.call("openat", AT_FDCWD, "/mnt/zero", 0, 0), "ENOENT"); // the guest here has no /dev
    const directory = createHostDirectory("/dev", { readOnly: true });
    const opened = directory.open(["null"], "read");
    assert.equal(opened, "EACCES");
  });

  test("files of several file systems of the host have numbers of their own, where theirs are the same", () => {
    const directory = createHostDirectory("/", { readOnly: true });
    const numbers: number[] = [];
    for (const name of ["dev", "proc", "sys"]) {
      const attributes = directory.stat([name]);
      if (typeof attributes !== "string") numbers.push(attributes.inode);
    }
    assert.equal(new Set(numbers).size, numbers.length);
  });

  test("a single shared file is all that is seen", () => {
    const { folder } = share();
    const directory = createHostDirectory(folder, { readOnly: true, only: "file" });
    assert.deepEqual(directory.list([]), [{ name: "file", kind: "file" }]);
    assert.equal(directory.stat(["sub"]), "ENOENT");
    assert.notEqual(typeof directory.stat(["file"]), "string");
  });
});
