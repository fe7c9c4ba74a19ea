// Ctrl-A, as QEMU's console has it: what is typed goes to the guest, but for Ctrl-A and the character after it.
//
//   text --+--> guest           Ctrl-A x  leave          Ctrl-A c  kernel monitor, and back
//          +--> action          Ctrl-A h  help           Ctrl-A Ctrl-A  a Ctrl-A for the guest

const CTRL_A = 1;

export type EscapeAction = "exit" | "monitor" | "help";

export interface EscapeFilter {
  /** Splits typed bytes into what is for the guest and what is for us, in order. */
  feed(
    bytes: Uint8Array,
  ): (
    | { readonly kind: "input"; readonly bytes: Uint8Array }
    | { readonly kind: "action"; readonly action: EscapeAction }
  )[];
}

export const ESCAPE_HELP = [
  "Ctrl-A x       leave Vitrine",
  "Ctrl-A c       kernel monitor, and back to the console",
  "Ctrl-A h       this help",
  "Ctrl-A Ctrl-A  send Ctrl-A to the guest",
].join("\n");

export function createEscapeFilter(): EscapeFilter {
  let escaped = false;
  return {
    feed(bytes) {
      const parts: ReturnType<EscapeFilter["feed"]> = [];
      let plain: number[] = [];
      const flush = (): void => {
        if (plain.length > 0) parts.push({ kind: "input", bytes: Uint8Array.from(plain) });
        plain = [];
      };
      for (const byte of bytes) {
        if (!escaped) {
          if (byte === CTRL_A) escaped = true;
          else plain.push(byte);
          continue;
        }
        escaped = false;
        const action = ACTIONS[String.fromCharCode(byte).toLowerCase()];
        if (byte === CTRL_A) plain.push(byte);
        else if (action !== undefined) {
          flush();
          parts.push({ kind: "action", action });
        }
      }
      flush();
      return parts;
    },
  };
}

const ACTIONS: Readonly<Record<string, EscapeAction>> = { x: "exit", c: "monitor", h: "help", "?": "help" };
