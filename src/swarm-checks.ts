import { type Check, Warning } from './check.ts';
import type { Sidecar } from './wiring.ts';

/** With these many managers the loss of any one leaves a majority; more than five only vote longer. */
const MANAGERS: readonly number[] = [3, 5];

/** What several nodes need. None with Compose. */
export function swarmChecks(sidecar: Sidecar): Check[] {
  const { swarm } = sidecar;
  if (swarm === null) return [];
  return [
    {
      name: 'Swarm',
      probe: async () => {
        const nodes = await swarm.nodes();
        const managers = nodes.filter(({ isManager }) => isManager);
        const away = nodes.filter(({ isReady }) => !isReady).map(({ name }) => name);
        const found = `${nodes.length} nodes, ${managers.length} of them managers`;
        if (away.length > 0) throw new Error(`${found}; nobody hears of ${away.join(', ')}`);
        if (!MANAGERS.includes(managers.length)) throw new Warning(found);
        return found;
      },
      fix: 'start the nodes that are away, or remove them (docker node rm); have three managers, or five (docker node promote)',
    },
    {
      name: 'Nodes',
      probe: async () => {
        const { images, templates } = sidecar;
        const [template] = templates.all;
        if (!template) throw new Error('no template can be used, so no node can be tried');
        const found = await swarm.probe(await images.id(template.image));
        const listed = (of: typeof found) => of.map(({ name }) => name).join(', ');
        const broken = found.filter(({ problem }) => problem !== '');
        if (broken.length > 0)
          throw new Error(broken.map(({ name, problem }) => `${name}: ${problem}`).join('; '));
        const open = found.filter(({ noNewPrivileges }) => noNewPrivileges === false);
        if (open.length > 0)
          throw new Error(`no-new-privileges is not in force on ${listed(open)}`);
        const swapping = found.filter(({ hasSwap }) => hasSwap);
        if (swapping.length > 0) throw new Warning(`swap on ${listed(swapping)}`);
        return `${listed(found)} have the shared folder and the image of ${template.code}`;
      },
      fix: 'on each node: mount swarm.sharedDir, load the image (docker save | docker load), set "no-new-privileges": true in daemon.json or update to Docker 25, switch swap off',
    },
    {
      name: "Swarm's hardening",
      probe: async () =>
        `as Compose's, but for ${swarm.lost.map(({ instead, key }) => `${key} (${instead})`).join('; ')}`,
      fix: '',
    },
  ];
}
