// Validates a back-channel logout token as OIDC Back-Channel Logout §2.6 says, with jose and nothing of ours.
// argv: one JSON object with the issuer, the client id and the token; {"claims": {...}} or {"failed": "..."} out.
import { createRemoteJWKSet, jwtVerify } from 'jose'

const { issuer, client_id, token } = JSON.parse(process.argv[2])
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
try {
  const found = await fetch(`${issuer}/.well-known/openid-configuration`)
  const { jwks_uri, id_token_signing_alg_values_supported: algorithms } = await found.json()
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(jwks_uri)), {
    issuer,
    audience: client_id,
    algorithms,
    typ: 'logout+jwt',
    maxTokenAge: '2 minutes',
    requiredClaims: ['iat', 'exp', 'jti', 'events'],
  })
  if (typeof payload.events[EVENT] !== 'object') throw new Error('the event is missing')
  if (!payload.sub && !payload.sid) throw new Error('neither sub nor sid')
  if ('nonce' in payload) throw new Error('there is a nonce')
  process.stdout.write(JSON.stringify({ claims: payload }) + '\n')
} catch (failed) {
  process.stdout.write(JSON.stringify({ failed: failed.message }) + '\n')
}
process.exit(0)
