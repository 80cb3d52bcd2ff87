// SPDX-License-Identifier: Apache-2.0
// provider.mjs PORT KEYS CERT KEY: an OpenID Connect provider (npm's oidc-provider) on https://localhost:PORT that signs with the first of the
// private JSON web keys in the file KEYS. Anybody may log in under any name; the groups are those of alice.
import fs from 'node:fs';
import https from 'node:https';
import Provider from 'oidc-provider';

const [port, keys, cert, key] = process.argv.slice(2);
const issuer = `https://localhost:${port}`;
const jwks = JSON.parse(fs.readFileSync(keys));
const provider = new Provider(issuer, {
  jwks,
  clients: [{
    client_id: 'kube', client_secret: 'secret', grant_types: ['authorization_code'], redirect_uris: ['https://client.example/callback'],
    response_types: ['code'], id_token_signed_response_alg: jwks.keys[0].alg,
  }, {
    client_id: 'other', client_secret: 'secret', grant_types: ['authorization_code'], redirect_uris: ['https://client.example/callback'],
    response_types: ['code'], id_token_signed_response_alg: jwks.keys[0].alg,
  }],
  claims: {openid: ['sub', 'groups', 'email', 'email_verified']},
  conformIdTokenClaims: false,
  cookies: {keys: ['x']},
  enabledJWA: {idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384']},
  features: {devInteractions: {enabled: true}},
  ttl: {IdToken: Number(process.env.ID_TOKEN_SECONDS || 3600)},
  pkce: {required: () => false},
  findAccount: (_, id) => ({accountId: id, claims: () => ({sub: id, email: `${id}@example.com`, email_verified: true, groups: ['devs', 'ops']})}),
});
https.createServer({cert: fs.readFileSync(cert), key: fs.readFileSync(key)}, provider.callback()).listen(Number(port), '127.0.0.1');
