import { writeFileSync } from 'node:fs';
import { subscriptionDoc } from './subscription-doc.ts';

writeFileSync('docs/subscription.md', subscriptionDoc());
