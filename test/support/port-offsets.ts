/** What each stack of the tests adds to its ports (StackOptions.portOffset): several run at once, and restart their parts. */
export const PORT_OFFSETS = { test: 0, shop: 1_000, addon: 3_000, disaster: 4_000 } as const;
