import { OdooError } from '../../../stack/odoo-rpc.ts';

/** The error with which Odoo refuses a call. @throws Error when it did not refuse it */
export async function refusal(asked: Promise<unknown>): Promise<OdooError> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof OdooError) return error;
    throw error;
  }
  throw new Error('Odoo refused nothing.');
}
