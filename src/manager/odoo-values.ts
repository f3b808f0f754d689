import { z } from 'zod';

/* What the shapes of all the addon's methods are made of. Odoo has no null: it says false, '' or 0. */

export const id = z.int().positive();

/** A day, or '' while not set. */
export const day = z.string().regex(/^(\d{4}-\d{2}-\d{2})?$/);

/** UTC, as Odoo writes it; '' while not set. */
export const moment = z
  .string()
  .regex(/^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)?$/)
  .transform((text) => (text ? new Date(`${text.replace(' ', 'T')}Z`) : null));
