import { OdooError } from '../../../stack/odoo-rpc.ts';

/** The error that Odoo shows a person instead of doing what she asked. @throws Error when it did it */
export async function refusal(asked: Promise<unknown>): Promise<OdooError> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof OdooError) return error;
    throw error;
  }
  throw new Error('Odoo refused nothing.');
}
