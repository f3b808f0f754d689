import { join } from 'node:path';
import { run } from '../../stack/run.ts';

/**
 * Makes an authority and a certificate of its for some addresses: `ca.crt`, `server.crt` and `server.key`; beside them an authority that has
 * signed nothing, `foreign.crt`.
 */
export async function makeCertificates(
  folder: string,
  addresses: readonly string[],
): Promise<void> {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const at = (file: string) => join(folder, file);
  for (const name of ['ca', 'foreign'])
    await run('openssl', [
      ...['req', '-x509', ...curve, '-days', '2', '-subj', `/CN=${name}`],
      ...['-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)],
    ]);
  const names = addresses.map((address) => `IP:${address}`).join();
  await run('openssl', [
    ...['req', ...curve, '-subj', '/CN=postgres', '-addext', `subjectAltName=${names}`],
    ...['-keyout', at('server.key'), '-out', at('server.csr')],
  ]);
  await run('openssl', [
    ...['x509', '-req', '-days', '2', '-copy_extensions', 'copy', '-CAcreateserial'],
    ...['-CA', at('ca.crt'), '-CAkey', at('ca.key')],
    ...['-in', at('server.csr'), '-out', at('server.crt')],
  ]);
}
