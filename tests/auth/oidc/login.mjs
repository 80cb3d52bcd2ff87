// SPDX-License-Identifier: Apache-2.0
// login.mjs ISSUER CLIENT USER: goes through the provider's pages as a browser would (authorization code flow) and prints the ID token.
const [issuer, client, user] = process.argv.slice(2);
const redirect = 'https://client.example/callback';
const cookies = new Map();

async function visit(url, form) {
  const headers = {cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')};
  const response = await fetch(new URL(url, issuer), {
    method: form ? 'POST' : 'GET', redirect: 'manual', headers, body: form && new URLSearchParams(form),
  });
  for (const cookie of response.headers.getSetCookie()) {
    const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
    cookies.set(name, value);
  }
  return response;
}

const query = new URLSearchParams({client_id: client, redirect_uri: redirect, response_type: 'code', scope: 'openid'});
let at = `/auth?${query}`;
let response = await visit(at);
for (let step = 0; step < 10; ++step) {
  at = response.headers.get('location') ?? at;
  if (at.startsWith(redirect)) break;
  if (new URL(at, issuer).pathname.startsWith('/interaction/')) {
    const page = await (await visit(at)).text();
    const prompt = page.match(/name="prompt" value="(\w+)"/)[1];
    response = await visit(at, prompt === 'login' ? {prompt, login: user, password: 'any'} : {prompt});
  } else {
    response = await visit(at);
  }
}
const code = new URL(at).searchParams.get('code');
const answer = await fetch(new URL('/token', issuer), {
  method: 'POST',
  headers: {authorization: 'Basic ' + Buffer.from(`${client}:secret`).toString('base64')},
  body: new URLSearchParams({grant_type: 'authorization_code', code, redirect_uri: redirect}),
});
const tokens = await answer.json();
if (!tokens.id_token) throw new Error(JSON.stringify(tokens));
console.log(tokens.id_token);
