/**
 * Writes cpio archives in the "newc" format, which Linux takes as its initial file system.
 *
 * Per entry: 6 bytes "070701", thirteen 8-digit hexadecimal fields, the name with its NUL, padding to 4 bytes, the data,
 * padding to 4 bytes. The entry TRAILER!!! ends the archive. (Linux, "initramfs buffer format".)
 */
export interface CpioEntry {
  readonly name: string;
  /** The file type and permissions, as in stat. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Major and minor number of a device file. */
  readonly device?: readonly [number, number];
}

export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Buffer[] = [];
  const pushPadded = (bytes: Uint8Array): void => {
    parts.push(Buffer.from(bytes), Buffer.alloc((4 - (bytes.length % 4)) % 4));
  };
  [...entries, { name: "TRAILER!!!", mode: 0 }].forEach(
    ({ name, mode, data = new Uint8Array(0), device = [0, 0] }: CpioEntry, index) => {
      const [owner, links, time, home, check] = [0, 1, 0, 0, 0];
      const fields = [
        index + 1,
        mode,
        owner,
        owner,
        links,
        time,
        data.length,
        home,
        home,
        ...device,
        name.length + 1,
        check,
      ];
      const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}${name}\0`;
      pushPadded(Buffer.from(header, "latin1"));
      pushPadded(data);
    },
  );
  return Buffer.concat(parts);
}
