// Archives: what tar and cpio write, what they get wrong, and what a hostile one tries.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { loadArchive } from "../../src/kernel/fs/archive.ts";
import { eachArch } from "../support/architectures.ts";
import { AT_FDCWD, BUFFER, createFileKernel, type FileKernel } from "../support/file-kernel.ts";
import { hasTool } from "../support/tools.ts";

/** One tar entry with its header sum right. */
function tarEntry(name: string, kind: string, contents = "", options: { size?: string; link?: string } = {}): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100, "latin1");
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(options.size ?? contents.length.toString(8).padStart(11, "0"), 124);
  header.write("00000000000\0", 136);
  header.write(kind, 156);
  header.write(options.link ?? "", 157, 100, "latin1");
  header.write("ustar\x0000", 257);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0`, 148);
  const body = Buffer.alloc(Math.ceil(contents.length / 512) * 512);
  body.write(contents, "latin1");
  return Buffer.concat([header, body]);
}

/** One cpio entry in the newc format. */
function cpioEntry(name: string, mode: number, contents = "", inode = 1, nlink = 1): Buffer {
  const fields = [inode, mode, 0, 0, nlink, 0, contents.length, 0, 0, 0, 0, name.length + 1, 0];
  const pad = (text: string): string => text.padEnd(Math.ceil(text.length / 4) * 4, "\0");
  const header = `070701${fields.map((value) => value.toString(16).padStart(8, "0")).join("")}${name}\0`;
  return Buffer.from(pad(header) + pad(contents), "latin1");
}

eachArch(({ arch, test }) => {
  function load(
    bytes: Uint8Array,
    files: FileKernel = createFileKernel(arch),
  ): { files: FileKernel; error: string | undefined } {
    const result = loadArchive(files.k, files.root, bytes);
    return { files, error: result === 0 ? undefined : result.error };
  }

  const exists = ({ user }: FileKernel, path: string): boolean =>
    user.call("newfstatat", AT_FDCWD, path, BUFFER, 0x100) === 0;

  for (const [title, command] of [
    ["GNU tar", ["tar", "-c", "--format=gnu"]],
    ["ustar", ["tar", "-c", "--format=ustar"]],
    ["pax", ["tar", "-c", "--format=pax"]],
    ["cpio newc", ["sh", "-c", "find . | cpio -o -H newc --quiet"]],
  ] as const) {
    const tool = title === "cpio newc" ? "cpio" : "tar";
    test(`an archive by ${title} gives the same tree`, { skip: !hasTool(tool) && `${tool} is not installed` }, () => {
      const folder = mkdtempSync(join(tmpdir(), "vitrine-archive-"));
      try {
        mkdirSync(join(folder, "d/e"), { recursive: true });
        writeFileSync(join(folder, "d/file"), "contents\n".repeat(1000));
        writeFileSync(join(folder, "empty"), "");
        chmodSync(join(folder, "empty"), 0o4711);
        symlinkSync("../d/file", join(folder, "d/link"));
        writeFileSync(join(folder, "d/e/one"), "linked");
        linkSync(join(folder, "d/e/one"), join(folder, "d/e/two"));
        linkSync(join(folder, "d/e/one"), join(folder, "three"));
        const long = title === "ustar" ? `${"n".repeat(90)}` : `${"long name ".repeat(20)}`;
        writeFileSync(join(folder, "d", long), "long");
        const [program, ...args] = command;
        const made = spawnSync(program, tool === "tar" ? [...args, ...readdirSync(folder)] : args, {
          cwd: folder,
          maxBuffer: 1 << 24,
        });
        assert.equal(made.status, 0, made.stderr.toString());
        const { files, error } = load(made.stdout);
        assert.equal(error, undefined);
        const { user } = files;
        assert.equal(user.readFile("/d/file"), readFileSync(join(folder, "d/file"), "latin1"));
        assert.equal(user.readFile("/d/link"), "contents\n".repeat(1000));
        assert.equal(user.readFile(`/d/${long}`), "long");
        for (const name of ["/d/e/one", "/d/e/two", "/three"]) {
          assert.equal(user.readFile(name), "linked");
          user.must("newfstatat", AT_FDCWD, name, BUFFER, 0);
          assert.equal(user.stat().nlink, 3);
        }
        user.must("newfstatat", AT_FDCWD, "/empty", BUFFER, 0);
        assert.equal(user.stat().mode & 0o7777, 0o4711);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }

  test("cpio gives the contents of linked files with the last of them", () => {
    const { files, error } = load(
      Buffer.concat([
        cpioEntry(".", 0o040755),
        cpioEntry("d", 0o040700),
        cpioEntry("d/one", 0o100600, "", 7, 3),
        cpioEntry("two", 0o100600, "", 7, 3),
        cpioEntry("three", 0o100600, "shared", 7, 3),
        cpioEntry("link", 0o120777, "d/one"),
        cpioEntry("TRAILER!!!", 0),
      ]),
    );
    assert.equal(error, undefined);
    for (const name of ["/d/one", "/two", "/three", "/link"]) assert.equal(files.user.readFile(name), "shared");
    files.user.must("newfstatat", AT_FDCWD, "/two", BUFFER, 0);
    assert.equal(files.user.stat().nlink, 3);
  });

  test("names that lead out are refused, absolute ones are taken as relative", () => {
    assert.match(load(tarEntry("../evil", "0", "x")).error ?? "", /"..\/evil": EPERM/);
    assert.match(load(tarEntry("a/../../evil", "0", "x")).error ?? "", /EPERM/);
    const { files, error } = load(tarEntry("//etc/passwd", "0", "x"));
    assert.equal(error, undefined);
    assert.ok(exists(files, "/etc/passwd"));
  });

  test("a link in the archive is never followed by a later entry", () => {
    const files = createFileKernel(arch);
    files.user.must("mkdirat", AT_FDCWD, "/outside", 0o755);
    const { error } = load(
      Buffer.concat([tarEntry("link", "2", "", { link: "/outside" }), tarEntry("link/evil", "0", "x")]),
      files,
    );
    assert.match(error ?? "", /ENOTDIR/);
    assert.ok(!exists(files, "/outside/evil"));
    const again = Buffer.concat([tarEntry("f", "2", "", { link: "/outside/made" }), tarEntry("f", "0", "x")]);
    assert.equal(load(again, files).error, undefined);
    assert.ok(!exists(files, "/outside/made"));
    assert.match(load(tarEntry("hard", "1", "", { link: "../x" }), files).error ?? "", /EPERM/);
  });

  test("damaged and truncated archives say so", () => {
    const good = Buffer.concat([tarEntry("a", "0", "x".repeat(2000)), Buffer.alloc(1024)]);
    assert.match(load(good.subarray(0, 1000)).error ?? "", /cut short/);
    assert.match(load(good.subarray(0, 100)).error ?? "", /too short/);
    assert.match(load(new Uint8Array(0)).error ?? "", /too short/);
    assert.match(load(Buffer.from("#!/bin/sh\n".repeat(200))).error ?? "", /not a tar or cpio archive/);
    assert.match(load(tarEntry("huge", "0", "", { size: "77777777777" })).error ?? "", /cut short/);
    const base256 = tarEntry("huge", "0", "", { size: "\x7f".repeat(11) });
    assert.match(load(base256).error ?? "", /malformed|cut short|checksum/);
    assert.match(
      load(Buffer.from("070701 and then nothing that a cpio archive has".padEnd(200))).error ?? "",
      /cpio archive is damaged/,
    );
  });

  test("an archive that does not fit says so", () => {
    const files = createFileKernel(arch, { limitBytes: 8192 });
    assert.match(load(tarEntry("big", "0", "x".repeat(20_000)), files).error ?? "", /"big": ENOSPC/);
  });

  test("random damage gives an error or a tree, never an exception", () => {
    const good = Buffer.concat([
      tarEntry("d/", "5"),
      tarEntry("d/f", "0", "contents"),
      tarEntry("pax", "x", "18 path=d/renamed\n"),
      tarEntry("g", "0", "more"),
      tarEntry("l", "2", "", { link: "d" }),
      Buffer.alloc(1024),
    ]);
    const cpio = Buffer.concat([cpioEntry("f", 0o100644, "data"), cpioEntry("TRAILER!!!", 0)]);
    const damage = fc.array(fc.tuple(fc.nat(6000), fc.nat(255)), { maxLength: 20 });
    fc.assert(
      fc.property(fc.constantFrom(good, cpio), damage, fc.nat(4000), (base, edits, cut) => {
        const bytes = Buffer.from(base);
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        const { error } = load(cut % 3 === 0 ? bytes.subarray(0, cut) : bytes, shared);
        assert.ok(error === undefined || error.length > 0);
      }),
      { numRuns: 500 },
    );
  });

  const shared = createFileKernel(arch);
});
