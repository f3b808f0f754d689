import { join } from 'node:path';
import type { Config } from '../../src/config.ts';

/** A configuration whose every part lies in one folder, and that is the smallest there is. */
export function aConfig(folder: string, over: Partial<Config> = {}): Config {
  return {
    files: [],
    dataDir: join(folder, 'data'),
    templatesDir: new URL('../../templates/', import.meta.url).pathname,
    manager: {
      url: 'http://127.0.0.1:9',
      database: 'manager',
      login: 'bot',
      apiKey: 'k'.repeat(40),
      rpc: 'json2',
      pollSeconds: 3_600,
    },
    webhookSecret: `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
    http: { host: '127.0.0.1', port: 0, managerNetwork: '' },
    swarm: null,
    docker: { socket: join(folder, 'docker.sock') },
    postgres: {
      server: { socketDir: join(folder, 'postgresql') },
      user: 'microsaas',
      password: 'not-a-real-password',
      image: 'postgres:17',
    },
    instances: {
      url: 'http://127.0.0.1:{port}',
      publishAddress: '127.0.0.1',
      parallel: 1,
      freeMemoryMb: 0,
      spareMemoryMb: 0,
      freeDiskMb: 0,
      freeInodes: 0,
      answerSeconds: 180,
    },
    door: {
      domain: '',
      manager: 'manager',
      managerPort: 8069,
      https: true,
      address: '127.0.0.1',
      httpPort: 80,
      httpsPort: 443,
      addresses: [],
      resolver: '',
      certificateFile: '',
      keyFile: '',
      image: 'caddy:2',
      acme: { directory: 'https://acme.example.com/directory', email: '', rootFile: '' },
    },
    mailRelay: null,
    limits: { unitsPerLine: 20, claimsPerPlan: 20 },
    repositories: { protocols: ['https'], privateHosts: [], credentials: [] },
    backups: {
      ...{ enabled: false, schedule: '02:00', environmentFile: '', sshFolder: '' },
      ...{ repository: join(folder, 'backups'), image: 'microsaas-base:3' },
    },
    egress: { enforce: false, allow: [], image: 'microsaas-base:3' },
    log: { level: 'info', format: 'json' },
    ...over,
  };
}
