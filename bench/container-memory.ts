import { run } from '../stack/run.ts';

/** The memory of an instance's container as its control group counts it, file cache included, in MB. */
export async function containerMb(install: string, id: number): Promise<number> {
  const format = '{{.MemUsage}}';
  const name = `ms-${install}-${id}-odoo`;
  const text = await run('docker', ['stats', '--no-stream', '--format', format, name]);
  const [, number, unit] = /^([\d.]+)([KMG]i?B)/.exec(text) ?? [];
  const scale = { K: 1 / 1024, M: 1, G: 1024 }[unit?.[0] ?? 'M'] ?? 1;
  return Number(number) * scale;
}
