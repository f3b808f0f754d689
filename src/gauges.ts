import { Gauge, type Registry } from 'prom-client';

/**
 * A metric whose value is read at each scrape.
 * @param read returns null, or what is no finite number, where nobody knows: then there is no value
 */
export function addGauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => number | null | Promise<number | null>,
): void {
  new Gauge({
    ...{ name, help, registers: [registry] },
    async collect() {
      const value = await read();
      if (value !== null && Number.isFinite(value)) this.set(value);
      else this.remove();
    },
  });
}
