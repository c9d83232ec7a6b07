import { mkdtempSync, rmSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { QtestClient } from './qtest-client.ts';

let server: Server;
let folder: string;
let peer: Socket;

/** A server that answers each line. */
async function serve(answer: (line: string) => string): Promise<QtestClient> {
  folder = mkdtempSync(join(tmpdir(), 'pinhole-test-'));
  server = createServer((socket) => {
    peer = socket;
    let rest = '';
    socket.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() as string;
      // Answers arrive in pieces that have nothing to do with lines.
      const all = lines.map((line) => `${answer(line)}\n`).join('');
      for (let i = 0; i < all.length; i += 1000) socket.write(all.slice(i, i + 1000));
    });
  });
  const path = join(folder, 'qtest');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return QtestClient.connect(path);
}

afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

test('answers come in the order of the commands, over several bursts', async () => {
  const client = await serve((line) => `OK ${line.slice(6)}`);
  const commands = Array.from({ length: 20000 }, (_, i) => `readl ${i}`);
  expect(await client.run(commands)).toEqual(commands.map((_, i) => `${i}`));
  expect(await client.run([])).toEqual([]);
  client.close();
});

test('an answer without a value is empty, interrupt lines are passed over', async () => {
  const client = await serve(() => 'IRQ raise 4\nOK');
  expect(await client.run(['writel 0 0', 'writel 4 0'])).toEqual(['', '']);
  client.close();
});

test('what is no OK is an error', async () => {
  const client = await serve((line) => (line === 'bad' ? 'FAIL Unknown command' : 'OK'));
  await expect(client.run(['good', 'bad'])).rejects.toThrow("QEMU answers 'FAIL Unknown command'");
  await expect(client.run(['good'])).rejects.toThrow('FAIL');
});

test('a connection that ends is an error', async () => {
  const client = await serve((line) => {
    if (line === 'end') peer.destroy();
    return 'OK';
  });
  await expect(client.run(['good', 'end', 'never'])).rejects.toThrow(/closed the connection|EPIPE|ECONNRESET/);
});
