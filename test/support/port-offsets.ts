/** What each stack of the tests adds to its ports (StackOptions.portOffset): several run at once, and restart their parts. */
export const PORT_OFFSETS = { test: 1_000, addon: 1_100, shop: 1_200, disaster: 1_300 } as const;
