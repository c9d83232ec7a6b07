// `npm run bench`: the command of the built package, which `bin/` runs from the sources in a checkout.
const { main } = await import('../dist/cli/main.js');
process.exitCode = await main(['bench', ...process.argv.slice(2)]);
