import { expect } from 'chai';
import type { OdooRpc } from '../../../stack/odoo-rpc.ts';
import { eventually } from './eventually.ts';

/** An instance's record in the manager, as RPC returns it; empty fields are false or 0. */
export interface Row {
  id: number;
  identity: string;
  name: string;
  active: boolean;
  state: 'draft' | 'running' | 'stopped' | 'error' | 'removed';
  desired_state: 'draft' | 'running' | 'stopped' | 'removed';
  reason: string | false;
  phase_message: string | false;
  log: string | false;
  http_port: number;
  longpolling_port: number;
  instance_url: string | false;
  segundos_hasta_listo: number;
  was_ready: boolean;
  /** Of a staging copy its original. */
  staging_of_id: [number, string] | false;
  restart_count: number;
  factura_id: [number, string] | false;
  linea_factura_id: [number, string] | false;
  unidad: number;
  template_id: [number, string] | false;
  partner_id: [number, string] | false;
  repository_ids: number[];
  subscription_ids: number[];
}

export interface SubscriptionRow {
  id: number;
  instancia_id: [number, string];
  state: string;
  fecha_inicio: string | false;
  /** The last paid day. */
  fecha_fin: string | false;
  dias_restantes: number;
  /** Why it is suspended. */
  reason: string | false;
  suspended_at: string | false;
  final_notice_at: string | false;
  data_removed_at: string | false;
  archive: string | false;
  renovacion_ids: number[];
}

export const INSTANCE = 'odoo.docker.instance';
const FIELDS = [
  ...['identity', 'name', 'active', 'state', 'desired_state', 'reason', 'phase_message', 'log'],
  ...['http_port', 'longpolling_port', 'instance_url', 'segundos_hasta_listo', 'was_ready'],
  'staging_of_id',
  ...['restart_count', 'factura_id', 'linea_factura_id', 'unidad', 'template_id', 'partner_id'],
  ...['repository_ids', 'subscription_ids'],
];

export const SUBSCRIPTION = 'microsaas.subscription';
const SUBSCRIPTION_FIELDS = [
  ...[
    'instancia_id',
    'state',
    'fecha_inicio',
    'fecha_fin',
    'dias_restantes',
    'reason',
    'suspended_at',
  ],
  ...['final_notice_at', 'data_removed_at', 'archive', 'renovacion_ids'],
];

/** The id that a many2one field holds; 0 when it is empty. */
export function idOf(field: [number, string] | false): number {
  return field === false ? 0 : field[0];
}

/** Whether its data are removed, except the last backup. */
export function isPurged({ reason }: Row): boolean {
  return reason === 'Purged';
}

/** Instances in the manager: read, and operated with their buttons, by the users' own methods. */
export class Instances {
  readonly rpc: OdooRpc;

  constructor(rpc: OdooRpc) {
    this.rpc = rpc;
  }

  /** All records that match, removed ones included. */
  async find(domain: unknown[]): Promise<Row[]> {
    return this.rpc.read<Row>(INSTANCE, domain, FIELDS, { context: { active_test: false } });
  }

  /** @throws Error when there is no such record */
  async row(id: number): Promise<Row> {
    const [row] = await this.find([['id', '=', id]]);
    if (!row) throw new Error(`There is no instance ${id}.`);
    return row;
  }

  async ofInvoice(invoice: number): Promise<Row[]> {
    return this.find([['factura_id', '=', invoice]]);
  }

  /** An instance's only subscription. */
  async subscription(row: Pick<Row, 'id'>): Promise<SubscriptionRow> {
    const found = (await this.subscriptions([row])).get(row.id);
    return found as SubscriptionRow;
  }

  /** The only subscription of each of these instances, by the instance's id. */
  async subscriptions(rows: readonly Pick<Row, 'id'>[]): Promise<Map<number, SubscriptionRow>> {
    const ids = rows.map(({ id }) => id);
    const domain = [['instancia_id', 'in', ids]];
    const found = await this.rpc.read<SubscriptionRow>(SUBSCRIPTION, domain, SUBSCRIPTION_FIELDS);
    const owners = found.map((it) => idOf(it.instancia_id)).sort((a, b) => a - b);
    expect(owners, 'one subscription each').to.eql([...ids].sort((a, b) => a - b));
    return new Map(found.map((it) => [idOf(it.instancia_id), it]));
  }

  /** Presses a button. @returns the action that the web client gets */
  async press<T = unknown>(id: number, button: string): Promise<T> {
    return this.rpc.call<T>(INSTANCE, button, [[id]]);
  }

  /** Waits until Odoo shows a state. @throws Error with the state that it shows instead */
  async reaches(id: number, state: Row['state'], seconds?: number): Promise<Row> {
    return eventually(async () => {
      const row = await this.row(id);
      const shown = `${row.state}: ${row.reason || ''} ${row.phase_message || ''}\n${row.log || ''}`;
      expect(row.state, `instance ${id} is ${shown}`).to.equal(state);
      return row;
    }, seconds);
  }

  /** Waits until an invoice has exactly so many instances and all of them run; for the first of a plan a template is built. */
  async running(invoice: number, count: number, seconds = 400): Promise<Row[]> {
    return eventually(async () => {
      const rows = await this.ofInvoice(invoice);
      const shown = rows.map((row) => `${row.id} ${row.state} ${row.phase_message || ''}`).join();
      expect(
        rows.map((row) => row.state),
        shown,
      ).to.deep.equal(Array(count).fill('running'));
      return rows;
    }, seconds);
  }

  /** Removes instances with their button and waits until they are removed. */
  async remove(ids: readonly number[]): Promise<void> {
    for (const id of ids) await this.press(id, 'action_remove');
    for (const id of ids) await this.reaches(id, 'removed');
  }
}
