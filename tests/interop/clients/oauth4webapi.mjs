// The flows as npm oauth4webapi does them: message by message, each validated as strictly as it
// can. It is the resource server, too, that validates JWT access tokens (RFC 9068).
import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import { importJWK } from 'jose';
import { refused, run } from './common.mjs';
import * as oauth from 'oauth4webapi';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

async function authentication({ token_endpoint_auth_method: method, client_secret: secret, key }) {
  if (method === 'client_secret_basic') return oauth.ClientSecretBasic(secret);
  if (method === 'client_secret_post') return oauth.ClientSecretPost(secret);
  if (method === 'none') return oauth.None();
  equal(method, 'private_key_jwt');
  return oauth.PrivateKeyJwt({ key: await importJWK(key), kid: key.kid });
}

// Both addresses of the metadata say the same (RFC 8414 §5, OpenID Connect Discovery §4).
async function discover(issuer) {
  const found = [];
  for (const algorithm of ['oauth2', 'oidc']) {
    const response = await oauth.discoveryRequest(new URL(issuer), { algorithm });
    found.push(await oauth.processDiscoveryResponse(new URL(issuer), response));
  }
  deepEqual(found[0], found[1]);
  return found[0];
}

async function enter(world, name) {
  const client = world.clients[name];
  return { as: await discover(world.issuer), client, proof: await authentication(client) };
}

// Send something once more if the server wants a nonce in the DPoP proof (RFC 9449 §8).
async function withNonce(send) {
  try {
    return await send();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return send();
  }
}

async function authorize(world, { as, client, proof }, { visitor, isPushed, DPoP, resources = [], ...parameters } = {}) {
  const [verifier, state, nonce] = [
    oauth.generateRandomCodeVerifier(),
    oauth.generateRandomState(),
    oauth.generateRandomNonce(),
  ];
  let request = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: world.callback,
    scope: world.scope,
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...parameters,
  });
  for (const resource of resources) request.append('resource', resource);
  if (isPushed) {
    const { request_uri } = await withNonce(async () =>
      oauth.processPushedAuthorizationResponse(
        as,
        client,
        await oauth.pushedAuthorizationRequest(as, client, proof, request, { DPoP }),
      ),
    );
    request = { client_id: client.client_id, request_uri };
  }
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams(request);
  let answer = await world.visit(url, visitor);
  if (answer instanceof Request) answer = new URLSearchParams(await answer.text());
  const validated = oauth.validateAuthResponse(as, client, answer, state);
  return withNonce(async () => {
    const response = await oauth.authorizationCodeGrantRequest(
      as, client, proof, validated, world.callback, verifier, { DPoP },
    );
    const checks = { expectedNonce: nonce, maxAge: 3600, requireIdToken: true };
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, checks);
    await oauth.validateApplicationLevelSignature(as, response);
    return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), code: validated, verifier };
  });
}

async function refresh({ as, client, proof }, token, { DPoP, ...parameters } = {}) {
  return withNonce(async () => {
    const options = { DPoP, additionalParameters: parameters };
    const response = await oauth.refreshTokenGrantRequest(as, client, proof, token, options);
    const tokens = await oauth.processRefreshTokenResponse(as, client, response);
    if (tokens.id_token) await oauth.validateApplicationLevelSignature(as, response);
    return tokens;
  });
}

async function userinfo({ as, client }, token, sub, options) {
  return withNonce(async () =>
    oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, token, options)),
  );
}

async function introspect({ as, client, proof }, token) {
  const response = await oauth.introspectionRequest(as, client, proof, token);
  return oauth.processIntrospectionResponse(as, client, response);
}

async function revoke({ as, client, proof }, token) {
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, proof, token));
}

// Validate an access token as the resource server that a client shows it to.
async function validate(as, token, resource, { DPoP } = {}) {
  let shown;
  const fetch = async (url, options) => {
    shown = new Request(url, options);
    return new Response();
  };
  const options = { DPoP, [oauth.customFetch]: fetch };
  await oauth.protectedResourceRequest(token, 'GET', new URL(resource), undefined, null, options);
  return oauth.validateJwtAccessToken(as, shown, resource, { requireDPoP: Boolean(DPoP) });
}

async function makeDPoP(client) {
  return oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
}

const flows = {
  async code_and_userinfo(world) {
    const web = await enter(world, 'web');
    const resources = [world.issuer, world.resource];
    const { tokens, claims } = await authorize(world, web, { resources, max_age: '3600' });
    const token = await validate(web.as, tokens.access_token, world.resource);
    equal(token.sub, claims.sub);
    equal(token.client_id, web.client.client_id);
    deepEqual(token.scope.split(' ').sort(), world.scope.split(' ').sort());
    const user = await userinfo(web, tokens.access_token, claims.sub);
    deepEqual([user.preferred_username, user.given_name], ['alice', 'Alice']);
    ok(['name', 'email', 'address', 'phone_number'].every((claim) => !(claim in claims)));
  },

  async form_post(world) {
    await authorize(world, await enter(world, 'web'), { response_mode: 'form_post' });
  },

  async client_secret_post(world) {
    const post = await enter(world, 'post');
    const { tokens, claims } = await authorize(world, post);
    equal(tokens.access_token.split('.').length, 1); // opaque
    await userinfo(post, tokens.access_token, claims.sub);
  },

  async private_key_jwt(world) {
    const assertion = await enter(world, 'assertion');
    await authorize(world, assertion);
    const key = (await oauth.generateKeyPair('ES256')).privateKey;
    const proof = oauth.PrivateKeyJwt({ key, kid: assertion.client.key.kid });
    await refused('invalid_client', authorize(world, { ...assertion, proof }));
  },

  async refresh(world) {
    const web = await enter(world, 'web');
    const { tokens, claims } = await authorize(world, web);
    const again = await refresh(web, tokens.refresh_token, { scope: 'openid' });
    equal(again.scope, 'openid');
    const { iss, sub, aud, auth_time } = oauth.getValidatedIdTokenClaims(again);
    deepEqual([iss, sub, aud, auth_time], [claims.iss, claims.sub, claims.aud, claims.auth_time]);
    const wider = await refresh(web, again.refresh_token);
    deepEqual(wider.scope.split(' ').sort(), world.scope.split(' ').sort());
    await refused('invalid_scope', refresh(web, wider.refresh_token, { scope: 'openid nonsense' }));
    const post = await enter(world, 'post');
    await refused('invalid_grant', refresh(post, wider.refresh_token));
  },

  async client_credentials(world) {
    const { as, client, proof } = await enter(world, 'program');
    const wanted = { scope: 'reports:read', resource: world.resource };
    const response = await oauth.clientCredentialsGrantRequest(as, client, proof, wanted);
    const tokens = await oauth.processClientCredentialsResponse(as, client, response);
    const token = await validate(as, tokens.access_token, world.resource);
    equal(token.sub, client.client_id);
    equal(token.scope, 'reports:read');
  },

  async device(world) {
    const { as, client, proof } = await enter(world, 'device');
    const start = async () => {
      const asked = { scope: 'openid profile' };
      const response = await oauth.deviceAuthorizationRequest(as, client, proof, asked);
      return oauth.processDeviceAuthorizationResponse(as, client, response);
    };
    const poll = async ({ device_code: code }) => {
      const response = await oauth.deviceCodeGrantRequest(as, client, proof, code);
      const tokens = await oauth.processDeviceCodeResponse(as, client, response);
      await oauth.validateApplicationLevelSignature(as, response);
      return tokens;
    };
    const [waiting, allowed] = [await start(), await start()];
    await refused('authorization_pending', poll(waiting));
    await refused('slow_down', poll(waiting));
    await world.visit(allowed.verification_uri_complete);
    const tokens = await poll(allowed);
    await userinfo({ as, client }, tokens.access_token, oauth.getValidatedIdTokenClaims(tokens).sub);
    await refused('invalid_grant', poll(allowed));
  },

  async pushed_request(world) {
    const assertion = await enter(world, 'assertion');
    await authorize(world, assertion, { isPushed: true });
    const wrong = { isPushed: true, redirect_uri: 'https://other.example/' };
    await refused('invalid_request', authorize(world, assertion, wrong));
  },

  async dpop(world) {
    const app = await enter(world, 'public');
    const DPoP = await makeDPoP(app.client);
    const { tokens, claims } = await authorize(world, app, { DPoP });
    equal(tokens.token_type, 'dpop');
    const { cnf } = await validate(app.as, tokens.access_token, world.issuer, { DPoP });
    equal(cnf.jkt, await DPoP.calculateThumbprint());
    await userinfo(app, tokens.access_token, claims.sub, { DPoP });
    const again = await refresh(app, tokens.refresh_token, { DPoP });
    equal(again.token_type, 'dpop');
    const stolen = await makeDPoP(app.client);
    await refused('invalid_grant', refresh(app, again.refresh_token, { DPoP: stolen }));
    await refused('invalid_dpop_proof', refresh(app, again.refresh_token));
  },

  async introspection(world) {
    const [program, api] = [await enter(world, 'post'), await enter(world, 'api')];
    const { tokens, claims } = await authorize(world, program, { resources: [world.resource] });
    const told = await introspect(api, tokens.access_token);
    equal(told.active, true);
    deepEqual([told.iss, told.sub, told.aud], [world.issuer, claims.sub, world.resource]);
    ok(told.exp > told.iat);
    deepEqual(await introspect(program, tokens.access_token), { active: false });
    deepEqual(await introspect(api, 'unknown'), { active: false });
  },

  async revocation(world) {
    const [web, api] = [await enter(world, 'web'), await enter(world, 'api')];
    const { tokens, claims } = await authorize(world, web);
    equal((await introspect(api, tokens.access_token)).active, true);
    await revoke(web, tokens.access_token);
    equal((await introspect(api, tokens.access_token)).active, false);
    await revoke(web, tokens.refresh_token);
    await refused('invalid_grant', refresh(web, tokens.refresh_token));
    await refused('invalid_token', userinfo(web, tokens.access_token, claims.sub));
  },

  async token_exchange(world) {
    const [web, api] = [await enter(world, 'web'), await enter(world, 'api')];
    const resources = [world.issuer, world.resource];
    const { tokens, claims } = await authorize(world, web, { resources });
    const { as, client, proof } = api;
    const response = await oauth.genericTokenEndpointRequest(as, client, proof, EXCHANGE, {
      subject_token: tokens.access_token,
      subject_token_type: ACCESS_TOKEN,
      resource: world.resource,
    });
    const exchanged = await oauth.processGenericTokenEndpointResponse(as, client, response);
    const token = await validate(as, exchanged.access_token, world.resource);
    deepEqual([token.sub, token.client_id, token.scope], [claims.sub, client.client_id, 'reports:read']);
  },

  async registration(world) {
    const as = await discover(world.issuer);
    const register = async (metadata, initialAccessToken) => {
      const asked = { redirect_uris: [world.callback], scope: 'openid', ...metadata };
      const options = { initialAccessToken };
      return oauth.processDynamicClientRegistrationResponse(
        await oauth.dynamicClientRegistrationRequest(as, asked, options),
      );
    };
    const client = await register({ client_name: 'By itself' }, world.initialAccessToken);
    equal(client.token_endpoint_auth_method, 'client_secret_basic');
    const app = { as, client, proof: await authentication(client) };
    const { tokens, claims } = await authorize(world, app, { scope: 'openid' });
    await userinfo(app, tokens.access_token, claims.sub);
    const own = async (options, body) => {
      const headers = {
        Authorization: `Bearer ${client.registration_access_token}`,
        'Content-Type': 'application/json',
      };
      return fetch(client.registration_client_uri, { headers, body: JSON.stringify(body), ...options });
    };
    const { client_id, redirect_uris } = client;
    const changed = await own({ method: 'PUT' }, { client_id, redirect_uris, client_name: 'Renamed' });
    equal(changed.status, 200);
    equal((await changed.json()).client_name, 'Renamed');
    await refused('invalid_redirect_uri', register({ redirect_uris: ['https://app.example/#a'] }, world.initialAccessToken));
    await refused('invalid_token', register({}, 'tia_unknown'));
  },

  async logout(world) {
    const web = await enter(world, 'web');
    const visitor = { as: 'on the way out' };
    const { tokens, claims } = await authorize(world, web, { visitor, scope: 'openid' });
    notEqual(claims.sid, undefined);
    const state = oauth.generateRandomState();
    const url = new URL(web.as.end_session_endpoint);
    url.search = new URLSearchParams({
      id_token_hint: tokens.id_token,
      client_id: web.client.client_id,
      post_logout_redirect_uri: world.signedOut,
      state,
    });
    equal(String(await world.visit(url, visitor)), `${world.signedOut}?state=${state}`);
    await refused('invalid_token', userinfo(web, tokens.access_token, claims.sub));
    await refused('login_required', authorize(world, web, { visitor, scope: 'openid', prompt: 'none' }));
  },

  async refusals(world) {
    const web = await enter(world, 'web');
    const { code, verifier } = await authorize(world, web);
    const { as, client, proof } = web;
    const redeem = async () => {
      const response = await oauth.authorizationCodeGrantRequest(as, client, proof, code, world.callback, verifier);
      return oauth.processAuthorizationCodeResponse(as, client, response);
    };
    await refused('invalid_grant', redeem());
    const saysNo = { visitor: { saysNo: true }, prompt: 'consent' };
    await refused('access_denied', authorize(world, web, saysNo));
    await refused('invalid_request', authorize(world, web, { code_challenge: '' }));
    await refused('request_not_supported', authorize(world, web, { request: 'e30.e30.' }));
    const wrong = { ...web, proof: oauth.ClientSecretBasic('wrong') };
    await refused('invalid_client', authorize(world, wrong));
  },
};

await run(flows);
