// Token introspection (RFC 7662) by the library oidc-provider: PORT PROCESSES TOKENS, a file of
// opaque tokens, one a line. Everything is kept in memory. Says "ready" when all listen.
import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const [port, processes, tokens] = process.argv.slice(2);

// The library's own memory adapter forgets all but the last thousand entries.
const storage = new Map();
class Memory {
  constructor(model) { this.model = model; }
  async upsert(id, payload) { storage.set(`${this.model}:${id}`, payload); }
  async find(id) { return storage.get(`${this.model}:${id}`); }
  async destroy(id) { storage.delete(`${this.model}:${id}`); }
}

async function serve() {
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    adapter: Memory,
    clients: [{
      client_id: 'bench',
      client_secret: 'only-for-benchmarks',
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
    }],
    cookies: { keys: ['only-for-benchmarks'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
    },
    ttl: { AccessToken: 14 * 86400 },
  });
  const client = await provider.Client.find('bench');
  let number = 0;
  for (const jti of readFileSync(tokens, 'utf8').split('\n').filter(Boolean)) {
    number += 1;
    const accountId = `user${String(number).padStart(8, '0')}`;
    const token = new provider.AccessToken({ accountId, client, jti, scope: 'openid' });
    token.format = 'opaque';
    await token.save();
  }
  await new Promise((resolve) => { provider.listen(Number(port), '127.0.0.1', 4096, resolve); });
}

if (Number(processes) > 1 && cluster.isPrimary) {
  for (let number = 0; number < Number(processes); number += 1) cluster.fork();
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill();
    process.exit();
  });
} else {
  await serve();
}
