/** Control characters, which a terminal would interpret, except tab and line feed; and characters that change the text direction. */
const UNSAFE = /(?![\t\n])\p{Cc}|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Untrusted text for an operator's terminal, on one line. */
export function printable(text: string): string {
  return text.replace(UNSAFE, '').replaceAll(/[\t\n]+/g, ' ');
}

/** Makes the output of a tenant's container safe for a terminal: a function from chunks of bytes to chunks of bytes. */
export function printableBytes(): (chunk: Uint8Array) => Uint8Array {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return (chunk) => encoder.encode(decoder.decode(chunk, { stream: true }).replace(UNSAFE, ''));
}
