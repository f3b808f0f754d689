import { createReadStream, createWriteStream } from 'node:fs';
import { PassThrough, type Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ZipFile } from 'yazl';

/** One file of a zip. */
export interface ZipEntry {
  /** Where it is in the zip, with slashes. */
  readonly name: string;
  /** The whole content, or the file on the disk that has it. */
  readonly content: Buffer | string;
  /** What a file's content passes through on its way. */
  readonly through?: () => Transform;
}

/**
 * Writes a zip to a new file of mode 0600, one entry after the other: no content is in memory as a whole. Large ones get the 64-bit
 * fields. It is on the disk when this resolves.
 * @param date the date of all entries
 * @throws what reading, writing or the signal says; then part of the file may be left
 */
export async function writeZip(
  path: string,
  entries: Iterable<ZipEntry>,
  date: Date,
  signal: AbortSignal,
): Promise<void> {
  const zip = new ZipFile();
  const output = zip.outputStream as PassThrough;
  // A file that cannot be read would otherwise leave the zip waiting for it.
  zip.on('error', (error: Error) => output.destroy(error));
  const options = { mtime: date, mode: 0o100600 };
  for (const { content, name, through } of entries)
    if (typeof content !== 'string') zip.addBuffer(content, name, options);
    else
      zip.addReadStreamLazy(name, options, (give) => give(null, contentOf(content, through, zip)));
  zip.end();
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true });
  await pipeline(output, file, { signal });
}

function contentOf(path: string, through: ZipEntry['through'], zip: ZipFile): Readable {
  const content = createReadStream(path);
  if (!through) return content;
  const filtered = new PassThrough();
  pipeline(content, through(), filtered).catch((error) => zip.emit('error', error));
  return filtered;
}
