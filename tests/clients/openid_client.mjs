// Drives Kronborg with openid-client. argv: one JSON object; talks to the test in JSON lines.
// {"authorize": url} out → the callback URL in → {"result": {...}} out.
import * as client from 'openid-client'
import { createInterface } from 'node:readline'

const wanted = JSON.parse(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')

const discover = (id, secret, authentication) =>
  client.discovery(new URL(wanted.issuer), id, secret, authentication, { execute: [client.allowInsecureRequests] })

async function authenticationOf({ method, secret, key, kid }) {
  switch (method) {
    case 'none':
      return client.None()
    case 'client_secret_basic':
      return client.ClientSecretBasic(secret)
    case 'client_secret_post':
      return client.ClientSecretPost(secret)
    case 'private_key_jwt': {
      const imported = await crypto.subtle.importKey('jwk', key, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
      return client.PrivateKeyJwt({ key: imported, kid }, {
        // RFC 10070: the audience is the issuer alone, and the type is explicit.
        [client.modifyAssertion]: (header, payload) => {
          header.typ = 'client-authentication+jwt'
          payload.aud = wanted.issuer
        },
      })
    }
  }
}

async function code(configuration) {
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const url = client.buildAuthorizationUrl(configuration, {
    redirect_uri: wanted.redirect_uri,
    scope: wanted.scope,
    ...(wanted.resource && { resource: wanted.resource }),
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  say({ authorize: url.href })
  const callback = new URL((await lines.next()).value)

  const tokens = await client.authorizationCodeGrant(configuration, callback, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  })
  const userinfo = wanted.userinfo
    ? await client.fetchUserInfo(configuration, tokens.access_token, tokens.claims().sub)
    : undefined
  const refreshed = await client.refreshTokenGrant(configuration, tokens.refresh_token)
  return { tokens, claims: tokens.claims(), userinfo, refreshed }
}

async function lifeOf(token, watcher) {
  const before = await client.tokenIntrospection(watcher, token)
  await client.tokenRevocation(watcher, token)
  const after = await client.tokenIntrospection(watcher, token)
  return { before, after }
}

const configuration = await discover(wanted.client_id, wanted.secret, await authenticationOf(wanted))
if (wanted.flow === 'code') {
  say({ result: await code(configuration) })
} else {
  const tokens = await client.clientCredentialsGrant(configuration, { scope: wanted.scope })
  const life = wanted.introspect ? await lifeOf(tokens.access_token, configuration) : undefined
  say({ result: { tokens, life } })
}
process.exit(0)
