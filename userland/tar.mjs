/**
 * Writes a POSIX ustar archive whose bytes depend on nothing but its entries:
 * entries are sorted by path, owned by root, and dated at the epoch.
 *
 *   ┌───────────┬────────────────────────┬───────────┬─────┬──────────────────┐
 *   │ header    │ content, padded to 512 │ header    │ ... │ two zero blocks  │
 *   │ 512 bytes │ (regular files only)   │ 512 bytes │     │ 1024 bytes       │
 *   └───────────┴────────────────────────┴───────────┴─────┴──────────────────┘
 *
 * Format: IEEE Std 1003.1, pax, "ustar Interchange Format".
 */

const BLOCK = 512;

/**
 * @typedef {{ path: string, kind: "directory", mode: number }
 *   | { path: string, kind: "file", mode: number, content: Buffer }
 *   | { path: string, kind: "symlink", target: string }} TarEntry
 */

/** @param {TarEntry[]} entries @returns {Buffer} */
export function writeTar(entries) {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const blocks = [];
  for (const entry of sorted) {
    blocks.push(formatHeader(entry));
    if (entry.kind === "file") blocks.push(entry.content, Buffer.alloc(-entry.content.length & (BLOCK - 1)));
  }
  blocks.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(blocks);
}

/** @param {TarEntry} entry @returns {Buffer} */
function formatHeader(entry) {
  const name = entry.kind === "directory" ? `${entry.path}/` : entry.path;
  if (Buffer.byteLength(name) > 100) throw new Error(`the path ${name} is longer than a ustar name field`);
  const header = Buffer.alloc(BLOCK);
  const writeOctal = (offset, digits, value) => header.write(value.toString(8).padStart(digits, "0"), offset, "latin1");

  header.write(name, 0);
  writeOctal(100, 7, entry.kind === "symlink" ? 0o777 : entry.mode);
  writeOctal(108, 7, 0); // uid
  writeOctal(116, 7, 0); // gid
  writeOctal(124, 11, entry.kind === "file" ? entry.content.length : 0);
  writeOctal(136, 11, 0); // mtime
  header.write({ file: "0", symlink: "2", directory: "5" }[entry.kind], 156, "latin1");
  if (entry.kind === "symlink") header.write(entry.target, 157);
  header.write("ustar\u000000", 257, "latin1");
  header.write("root", 265, "latin1");
  header.write("root", 297, "latin1");

  // The checksum is taken with its own field read as eight spaces.
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}
