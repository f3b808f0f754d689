import { ManagerError } from '../../errors.ts';

/**
 * Keeps the user id that the older protocols want with every call. When Odoo denies a known one (the
 * database was restored, the user created again) it is asked for once more; a denied call had no effect,
 * so repeating it is safe.
 * @param authenticate asks Odoo for the user id; throws ManagerError `auth` when there is none.
 */
export function session(authenticate: (signal: AbortSignal) => Promise<number>) {
  let uid = 0;
  return async <T>(run: (uid: number) => Promise<T>, signal: AbortSignal): Promise<T> => {
    if (uid !== 0) {
      try {
        return await run(uid);
      } catch (error) {
        if (!(error instanceof ManagerError && error.kind === 'auth')) throw error;
        uid = 0;
      }
    }
    const fresh = await authenticate(signal);
    const result = await run(fresh);
    uid = fresh;
    return result;
  };
}
