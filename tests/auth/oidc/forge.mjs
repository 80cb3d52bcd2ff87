// SPDX-License-Identifier: Apache-2.0
// forge.mjs TOKEN HOW [FILE]: the token with something wrong about it: none (no signature), hmac (signed with the public key of FILE as if that were
// a shared secret), tampered (another name in the claims), foreign (signed by the private key set in FILE, under the same key's name).
import crypto from 'node:crypto';
import fs from 'node:fs';

const [token, how, file] = process.argv.slice(2);
const [head, payload, signature] = token.split('.');
const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const decode = (text) => JSON.parse(Buffer.from(text, 'base64url'));
if (how === 'none') console.log(`${encode({...decode(head), alg: 'none'})}.${payload}.`);
if (how === 'tampered') console.log(`${head}.${encode({...decode(payload), sub: 'root'})}.${signature}`);
if (how === 'hmac') {
  const key = crypto.createPublicKey({key: JSON.parse(fs.readFileSync(file)).keys[0], format: 'jwk'});
  const signed = `${encode({...decode(head), alg: 'HS256'})}.${payload}`;
  const secret = key.export({type: 'spki', format: 'pem'});
  console.log(`${signed}.${crypto.createHmac('sha256', secret).update(signed).digest('base64url')}`);
}
if (how === 'foreign') {
  const key = crypto.createPrivateKey({key: JSON.parse(fs.readFileSync(file)).keys[0], format: 'jwk'});
  console.log(`${head}.${payload}.${crypto.sign('sha256', Buffer.from(`${head}.${payload}`), key).toString('base64url')}`);
}
