/** Control characters (a terminal obeys them) but tab and line feed, and those that turn the direction of a text round. */
const OBEYED = /(?![\t\n])\p{Cc}|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** A customer's text for an operator's terminal, on one line. */
export function printable(text: string): string {
  return text.replace(OBEYED, '').replaceAll(/[\t\n]+/g, ' ');
}

/** Turns the output of a customer's container into what a terminal may be shown: chunks of bytes in, chunks of bytes out. */
export function printableBytes(): (chunk: Uint8Array) => Uint8Array {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return (chunk) => encoder.encode(decoder.decode(chunk, { stream: true }).replace(OBEYED, ''));
}
