// The flows as npm openid-client does them. Every check that it has is on: signatures of ID tokens
// are verified, and nothing is said twice that the library checks by itself.
import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import { importJWK } from 'jose';
import { refused, run } from './common.mjs';
import * as client from 'openid-client';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const STRICT = { execute: [client.enableNonRepudiationChecks] };

async function authentication({ token_endpoint_auth_method: method, client_secret: secret, key }) {
  if (method === 'client_secret_basic') return client.ClientSecretBasic(secret);
  if (method === 'client_secret_post') return client.ClientSecretPost(secret);
  if (method === 'none') return client.None();
  equal(method, 'private_key_jwt');
  return client.PrivateKeyJwt({ key: await importJWK(key), kid: key.kid });
}

async function discover({ issuer, clients }, name) {
  const metadata = clients[name];
  const proof = await authentication(metadata);
  return client.discovery(new URL(issuer), metadata.client_id, metadata, proof, STRICT);
}

async function authorize(world, config, { visitor, isPushed, DPoP, resources = [], ...parameters } = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const checks = { expectedState: client.randomState(), expectedNonce: client.randomNonce() };
  const request = new URLSearchParams({
    redirect_uri: world.callback,
    scope: world.scope,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...parameters,
  });
  for (const resource of resources) request.append('resource', resource);
  const url = isPushed
    ? await client.buildAuthorizationUrlWithPAR(config, request, { DPoP })
    : client.buildAuthorizationUrl(config, request);
  const answer = await world.visit(url, visitor);
  if ('max_age' in parameters) checks.maxAge = Number(parameters.max_age);
  checks.pkceCodeVerifier = verifier;
  const tokens = await client.authorizationCodeGrant(config, answer, checks, undefined, { DPoP });
  return { tokens, sub: tokens.claims().sub, url, answer };
}

const flows = {
  async code_and_userinfo(world) {
    const config = await discover(world, 'web');
    ok(config.serverMetadata().supportsPKCE());
    const { tokens, sub } = await authorize(world, config, { max_age: '3600' });
    equal(tokens.token_type, 'bearer');
    const user = await client.fetchUserInfo(config, tokens.access_token, sub);
    equal(user.preferred_username, 'alice');
    equal(user.phone_number_verified, true);
    equal(user.address.locality, 'Oslo');
  },

  async form_post(world) {
    const config = await discover(world, 'web');
    const { answer } = await authorize(world, config, { response_mode: 'form_post' });
    equal(answer.method, 'POST');
    equal(answer.url, world.callback);
  },

  async client_secret_post(world) {
    await authorize(world, await discover(world, 'post'));
  },

  async private_key_jwt(world) {
    await authorize(world, await discover(world, 'assertion'));
  },

  async refresh(world) {
    const config = await discover(world, 'web');
    const { tokens, sub } = await authorize(world, config);
    const scope = 'openid profile';
    const again = await client.refreshTokenGrant(config, tokens.refresh_token, { scope });
    equal(again.scope, scope);
    equal(again.claims().sub, sub);
    equal(again.claims().auth_time, tokens.claims().auth_time);
    notEqual(again.refresh_token, tokens.refresh_token);
    equal((await client.fetchUserInfo(config, again.access_token, sub)).email, undefined);
    // A retry gets the same one, until that was used: then there are two who have it.
    const retried = await client.refreshTokenGrant(config, tokens.refresh_token);
    equal(retried.refresh_token, again.refresh_token);
    await client.refreshTokenGrant(config, again.refresh_token);
    await refused('invalid_grant', client.refreshTokenGrant(config, tokens.refresh_token));
    await refused('invalid_grant', client.refreshTokenGrant(config, again.refresh_token));
  },

  async client_credentials(world) {
    const config = await discover(world, 'program');
    const tokens = await client.clientCredentialsGrant(config, { scope: 'reports:read' });
    equal(tokens.scope, 'reports:read');
    equal(tokens.refresh_token, undefined);
    ok(tokens.expiresIn() > 0);
    await refused('invalid_scope', client.clientCredentialsGrant(config, { scope: 'openid' }));
  },

  async device(world) {
    const config = await discover(world, 'device');
    const started = await client.initiateDeviceAuthorization(config, { scope: world.scope });
    ok(started.interval > 0);
    await world.visit(started.verification_uri_complete);
    const poll = (device) => client.pollDeviceAuthorizationGrant(config, { ...device, interval: 0 });
    const tokens = await poll(started);
    await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    await client.refreshTokenGrant(config, tokens.refresh_token);
    const other = await client.initiateDeviceAuthorization(config, { scope: 'openid' });
    await world.visit(other.verification_uri_complete, { saysNo: true });
    await refused('access_denied', poll(other));
  },

  async pushed_request(world) {
    const config = await discover(world, 'web');
    const { url } = await authorize(world, config, { isPushed: true });
    deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri']);
  },

  async dpop(world) {
    const config = await discover(world, 'public');
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
    const { tokens, sub } = await authorize(world, config, { DPoP, isPushed: true });
    equal(tokens.token_type, 'dpop');
    await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP });
    const again = await client.refreshTokenGrant(config, tokens.refresh_token, {}, { DPoP });
    equal(again.token_type, 'dpop');
    const userinfo = new URL(config.serverMetadata().userinfo_endpoint);
    const get = (options) =>
      client.fetchProtectedResource(config, again.access_token, userinfo, 'GET', null, undefined, options);
    equal((await get({ DPoP })).status, 200);
    // Without a proof, and with that of another key.
    equal((await get({}).catch((error) => error)).status, 401);
    const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
    equal((await get({ DPoP: other }).catch((error) => error)).status, 401);
    await refused('invalid_grant', client.refreshTokenGrant(config, again.refresh_token, {}, { DPoP: other }));
  },

  async introspection(world) {
    const [config, api] = [await discover(world, 'web'), await discover(world, 'api')];
    const { tokens, sub } = await authorize(world, config, { resources: [world.resource] });
    const told = await client.tokenIntrospection(api, tokens.access_token);
    equal(told.active, true);
    equal(told.sub, sub);
    equal(told.client_id, world.clients.web.client_id);
    equal(told.aud, world.resource);
    deepEqual(told.scope.split(' ').sort(), world.scope.split(' ').sort());
    // It is no audience of its own.
    deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false });
  },

  async revocation(world) {
    const [config, api] = [await discover(world, 'post'), await discover(world, 'api')];
    const { tokens, sub } = await authorize(world, config);
    const isActive = async () => (await client.tokenIntrospection(api, tokens.access_token)).active;
    equal(await isActive(), true);
    await client.tokenRevocation(config, tokens.access_token);
    equal(await isActive(), false);
    const again = await client.refreshTokenGrant(config, tokens.refresh_token);
    await client.tokenRevocation(config, again.refresh_token, { token_type_hint: 'refresh_token' });
    await refused('invalid_grant', client.refreshTokenGrant(config, again.refresh_token));
    const failed = await client.fetchUserInfo(config, again.access_token, sub).catch((error) => error);
    equal(failed.status, 401);
    await client.tokenRevocation(config, 'unknown');
  },

  async token_exchange(world) {
    const resources = [world.issuer, world.resource];
    const { tokens, sub } = await authorize(world, await discover(world, 'web'), { resources });
    const api = await discover(world, 'api');
    const exchanged = await client.genericGrantRequest(api, EXCHANGE, {
      subject_token: tokens.access_token,
      subject_token_type: ACCESS_TOKEN,
      scope: 'reports:read',
      resource: world.resource,
    });
    equal(exchanged.issued_token_type, ACCESS_TOKEN);
    const told = await client.tokenIntrospection(api, exchanged.access_token);
    equal(told.sub, sub);
    equal(told.scope, 'reports:read');
  },

  async registration(world) {
    const metadata = {
      client_name: 'Registered by itself',
      redirect_uris: [world.callback],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_basic',
      scope: world.scope,
    };
    const register = (options) =>
      client.dynamicClientRegistration(new URL(world.issuer), metadata, undefined, { ...STRICT, ...options });
    const registered = (await register({ initialAccessToken: world.initialAccessToken })).clientMetadata();
    const config = await discover({ ...world, clients: { itself: registered } }, 'itself');
    const { tokens } = await authorize(world, config);
    const headers = { Authorization: `Bearer ${registered.registration_access_token}` };
    const own = async (method) => (await fetch(registered.registration_client_uri, { method, headers })).status;
    equal(await own('GET'), 200);
    equal(await own('DELETE'), 204);
    equal(await own('GET'), 401);
    await refused('invalid_client', client.refreshTokenGrant(config, tokens.refresh_token));
    equal((await register({}).catch((error) => error)).status, 401);
  },

  async logout(world) {
    const config = await discover(world, 'web');
    const visitor = { as: 'on the way out' };
    const scope = 'openid profile';
    const { tokens } = await authorize(world, config, { visitor, scope });
    const state = client.randomState();
    const url = client.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token,
      post_logout_redirect_uri: world.signedOut,
      state,
    });
    equal(String(await world.visit(url, visitor)), `${world.signedOut}?state=${state}`);
    await refused('invalid_grant', client.refreshTokenGrant(config, tokens.refresh_token));
    await refused('login_required', authorize(world, config, { visitor, scope, prompt: 'none' }));
  },

  async refusals(world) {
    const config = await discover(world, 'web');
    const saysNo = { visitor: { saysNo: true }, prompt: 'consent' };
    await refused('access_denied', authorize(world, config, saysNo));
    await refused('invalid_scope', authorize(world, config, { scope: 'openid nonsense' }));
    await refused('invalid_target', authorize(world, config, { resources: ['https://other.example'] }));
    await refused('unsupported_response_type', authorize(world, config, { response_type: 'token' }));
    const wrong = { ...world.clients.web, client_secret: 'wrong' };
    await refused('invalid_client', authorize(world, await discover({ ...world, clients: { wrong } }, 'wrong')));
  },
};

await run(flows);
