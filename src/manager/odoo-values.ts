import { z } from 'zod';

/* What the shapes of all the addon's methods are made of. Odoo has no null: it says false, '' or 0. */

export const id = z.int().positive();

/** A day, or '' while not set. */
export const day = z.string().regex(/^(\d{4}-\d{2}-\d{2})?$/);
