#!/usr/bin/env node
// In a checkout the sources run as they are, through tsx; an installed package has dist/ only.
import { existsSync } from 'node:fs';

const source = new URL('../src/cli/main.ts', import.meta.url);
const inCheckout = existsSync(source);
if (inCheckout) (await import('tsx/esm/api')).register();
const { main } = await import(inCheckout ? source.href : new URL('../dist/cli/main.js', import.meta.url).href);
process.exitCode = await main(process.argv.slice(2));
