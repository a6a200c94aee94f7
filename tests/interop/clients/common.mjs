// What the scripts share: how they run their flows, and how they send a browser somewhere.
import { createInterface } from 'node:readline';
import { inspect } from 'node:util';
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto; // node 18

const MAX_TEXT = 500; // of a page that nobody expected
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

let arrival = {};

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

// Send a browser to an address and on, until it is at the client: to an address of it, or with a
// form for it. `as` names the browser; who `saysNo` allows nothing.
async function visit(url, { as = 'alice', saysNo = false } = {}) {
  say({ visit: String(url), as, saysNo });
  arrival = JSON.parse((await answers.next()).value);
  if (arrival.form === null) return new URL(arrival.url);
  return new Request(arrival.url, { method: 'POST', body: new URLSearchParams(arrival.form) });
}

function describe(error) {
  const page = arrival.text?.replace(/<[^>]*>|\s+/g, ' ').replace(/ +/g, ' ').slice(0, MAX_TEXT);
  return `${inspect(error, { depth: 3 })}\nThe browser was at ${arrival.url}\n${page}`;
}

// Run all flows, one after the other. Each gets what the command line told, and `visit`.
export async function run(flows) {
  const world = { ...JSON.parse(process.argv[2]), visit };
  for (const [name, flow] of Object.entries(flows)) {
    try {
      await flow(world);
      say({ flow: name, error: '' });
    } catch (error) {
      say({ flow: name, error: describe(error) });
    }
  }
  process.exit(0);
}

// Wait for something to be refused with this error of OAuth.
export async function refused(code, promise) {
  let error;
  try {
    await promise;
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) throw new Error(`not refused, though ${code} was expected`);
  // An answer that challenges is not read any further.
  const challenged = error.code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE';
  if ((challenged ? (await error.response.json()).error : error.error) !== code) throw error;
}
