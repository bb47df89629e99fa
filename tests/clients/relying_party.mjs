// openid-client as a relying party that can be told what to use. argv: one JSON object; talks in JSON lines.
// {"authorize": url}, {"device": …} or {"ciba": …} out → a line with what came of it in → {"result": {...}} out.
import * as oidc from 'openid-client'
import { createInterface } from 'node:readline'
import { Agent, fetch as fetchWith } from 'undici'

const wanted = JSON.parse(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')
const heard = async () => (await lines.next()).value

const requests = []
const certified = wanted.tls && new Agent({ connect: wanted.tls })
async function watched(url, init) {
  const answer = certified ? await fetchWith(url, { ...init, dispatcher: certified }) : await fetch(url, init)
  requests.push({ path: new URL(url).pathname, status: answer.status, type: answer.headers.get('content-type') })
  return answer
}

const signing = (jwk) =>
  crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: jwk.crv }, false, ['sign'])
const decrypting = (jwk) =>
  crypto.subtle.importKey('jwk', jwk, { name: 'ECDH', namedCurve: jwk.crv }, false, ['deriveBits'])

// RFC 10070: the audience of an assertion is the issuer alone, and its type is explicit.
const strict = {
  [oidc.modifyAssertion]: (header, payload) => {
    header.typ = 'client-authentication+jwt'
    payload.aud = wanted.issuer
  },
}

async function authentication() {
  switch (wanted.method) {
    case 'none':
      return oidc.None()
    case 'client_secret_basic':
      return oidc.ClientSecretBasic(wanted.secret)
    case 'client_secret_post':
      return oidc.ClientSecretPost(wanted.secret)
    case 'client_secret_jwt':
      return oidc.ClientSecretJwt(wanted.secret, strict)
    case 'private_key_jwt':
      return oidc.PrivateKeyJwt({ key: await signing(wanted.key), kid: wanted.key.kid }, strict)
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth':
      return oidc.TlsClientAuth()
  }
}

const checks = { execute: [oidc.allowInsecureRequests], [oidc.customFetch]: watched }

async function known() {
  if (wanted.flow === 'register') {
    return oidc.dynamicClientRegistration(
      new URL(wanted.issuer), wanted.registration, undefined,
      { ...checks, initialAccessToken: wanted.initial_access_token },
    )
  }
  const metadata = { client_secret: wanted.secret, ...wanted.metadata }
  return oidc.discovery(new URL(wanted.issuer), wanted.client_id, metadata, await authentication(), checks)
}

const configuration = await known()
if (wanted.response === 'jwt') oidc.useJwtResponseMode(configuration)
if (wanted.response === 'code id_token') oidc.useCodeIdTokenResponseType(configuration)
if (wanted.response === 'id_token') oidc.useIdTokenResponseType(configuration)
if (wanted.signed) oidc.enableNonRepudiationChecks(configuration)
if (wanted.decryption) {
  const key = { key: await decrypting(wanted.decryption), alg: wanted.decryption.alg, kid: wanted.decryption.kid }
  oidc.enableDecryptingResponses(configuration, [wanted.enc], key)
}
const dpop = wanted.dpop
  ? { DPoP: oidc.getDPoPHandle(configuration, await oidc.randomDPoPKeyPair('ES256')) }
  : undefined

async function startAt(parameters) {
  switch (wanted.request) {
    case 'par':
      return oidc.buildAuthorizationUrlWithPAR(configuration, parameters, dpop)
    case 'jar':
      return oidc.buildAuthorizationUrlWithJAR(configuration, parameters, { key: await signing(wanted.key), kid: wanted.key.kid })
    case 'jar+par': {
      const { searchParams } = await oidc.buildAuthorizationUrlWithJAR(
        configuration, parameters, { key: await signing(wanted.key), kid: wanted.key.kid },
      )
      return oidc.buildAuthorizationUrlWithPAR(configuration, searchParams, dpop)
    }
    default:
      return oidc.buildAuthorizationUrl(configuration, parameters)
  }
}

// What came back: a URL, or the body of a form that the browser posts to it.
function callbackOf(line) {
  const { url, form } = JSON.parse(line)
  return form === undefined
    ? new URL(url)
    : new Request(url, { method: 'POST', body: new URLSearchParams(form) })
}

async function authorize() {
  const verifier = oidc.randomPKCECodeVerifier()
  const state = oidc.randomState()
  const nonce = oidc.randomNonce()
  const url = await startAt({
    redirect_uri: wanted.redirect_uri,
    scope: wanted.scope,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...wanted.parameters,
  })
  say({ authorize: url.href })
  const callback = callbackOf(await heard())

  if (wanted.response === 'id_token') {
    return { claims: await oidc.implicitAuthentication(configuration, callback, nonce, { expectedState: state }) }
  }
  const tokens = await oidc.authorizationCodeGrant(
    configuration, callback,
    { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true, ...wanted.checks },
    wanted.token_parameters, dpop,
  )
  const claims = tokens.claims()
  const userinfo = wanted.userinfo
    ? await oidc.fetchUserInfo(configuration, wanted.userinfo_token ?? tokens.access_token, claims.sub, dpop)
    : undefined
  const refreshed = tokens.refresh_token
    ? await oidc.refreshTokenGrant(configuration, tokens.refresh_token, wanted.token_parameters, dpop)
    : undefined
  return { tokens, claims, userinfo, refreshed }
}

async function machine() {
  const tokens = await oidc.clientCredentialsGrant(configuration, wanted.parameters, dpop)
  const introspection = wanted.introspect
    ? await oidc.tokenIntrospection(configuration, tokens.access_token)
    : undefined
  return { tokens, introspection }
}

// The library waits before it asks for the first time, and by then the person has answered.
const soon = (started) => ({ ...started, interval: 0.01 })

async function device() {
  const started = await oidc.initiateDeviceAuthorization(configuration, wanted.parameters)
  say({ device: started })
  await heard()
  const tokens = await oidc.pollDeviceAuthorizationGrant(configuration, soon(started), undefined, dpop)
  return { tokens, claims: tokens.claims() }
}

async function ciba() {
  const started = await oidc.initiateBackchannelAuthentication(configuration, wanted.parameters)
  say({ ciba: started })
  await heard()
  const tokens = await oidc.pollBackchannelAuthenticationGrant(configuration, soon(started), undefined, dpop)
  return { tokens, claims: tokens.claims() }
}

async function exchange() {
  const tokens = await oidc.genericGrantRequest(
    configuration, 'urn:ietf:params:oauth:grant-type:token-exchange', wanted.parameters, dpop,
  )
  return { tokens }
}

async function register() {
  return { client: configuration.clientMetadata(), ...(await authorize()) }
}

const flows = { authorize, machine, device, ciba, exchange, register }
try {
  say({ result: { ...(await flows[wanted.flow]()), requests } })
} catch (failed) {
  say({ failed: { name: failed.name, message: failed.message, code: failed.code, error: failed.error, requests } })
}
process.exit(0)
