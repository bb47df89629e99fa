// Drives Kronborg with oauth4webapi, which validates every answer against the specifications.
// argv: one JSON object; {"authorize": url} out → the callback URL in → {"result": {...}} out.
import * as oauth from 'oauth4webapi'
import { createInterface } from 'node:readline'

const wanted = JSON.parse(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')
const options = { [oauth.allowInsecureRequests]: true }

const issuer = new URL(wanted.issuer)
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: wanted.discovery ?? 'oauth2', ...options }),
)
const client = { client_id: wanted.client_id }
const authentication = {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(wanted.secret),
  client_secret_post: () => oauth.ClientSecretPost(wanted.secret),
}[wanted.method]()

async function code() {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  const url = new URL(server.authorization_endpoint)
  const parameters = {
    client_id: wanted.client_id,
    redirect_uri: wanted.redirect_uri,
    response_type: 'code',
    scope: wanted.scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...(wanted.resource && { resource: wanted.resource }),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  say({ authorize: url.href })
  const callback = oauth.validateAuthResponse(server, client, new URL((await lines.next()).value), state)

  const tokens = await oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(
      server, client, authentication, callback, wanted.redirect_uri, verifier, options,
    ),
    { expectedNonce: nonce, requireIdToken: true },
  )
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  const refreshed = await oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token, options),
  )
  return { tokens, claims, refreshed }
}

async function introspect(token) {
  return oauth.processIntrospectionResponse(
    server, client, await oauth.introspectionRequest(server, client, authentication, token, options),
  )
}

async function machine() {
  const tokens = await oauth.processClientCredentialsResponse(
    server,
    client,
    await oauth.clientCredentialsGrantRequest(server, client, authentication, { scope: wanted.scope }, options),
  )
  if (!wanted.introspect) return { tokens }
  const before = await introspect(tokens.access_token)
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, authentication, tokens.access_token, options),
  )
  return { tokens, life: { before, after: await introspect(tokens.access_token) } }
}

say({ result: wanted.flow === 'code' ? await code() : await machine() })
process.exit(0)
