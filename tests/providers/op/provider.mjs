// OpenID providers on loopback for the tests, by the certified library oidc-provider.
// argv[2]: JSON, a list of { port, authMethods, clients, accounts }. Says "ready" when all listen.
import Provider from 'oidc-provider';

const specifications = JSON.parse(process.argv[2]);

function start({ port, authMethods, clients, accounts }) {
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: clients.map((client) => ({
      // Of a native application, so that a loopback redirect_uri matches with any port (RFC 8252).
      application_type: 'native',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      ...client,
    })),
    clientAuthMethods: authMethods,
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'picture', 'preferred_username', 'hd'],
    },
    conformIdTokenClaims: false, // like Google: the claims are in the ID token too
    pkce: { required: () => true, methods: ['S256'] },
    cookies: { keys: ['only-for-tests'] },
    features: { devInteractions: { enabled: true }, userinfo: { enabled: true } },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ ...accounts[id], sub: id }) }),
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  provider.on('grant.error', (ctx, error) => console.error(error.error, error.error_detail));
  return new Promise((resolve) => provider.listen(port, '127.0.0.1', resolve));
}

await Promise.all(specifications.map(start));
console.log('ready');
