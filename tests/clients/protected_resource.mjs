// oauth4webapi as a resource server's client: metadata of a protected resource (RFC 9728), and its access tokens
// (RFC 9068) checked as a resource server checks them. argv: one JSON object; {"result": {...}} out.
import * as oauth from 'oauth4webapi'

const wanted = JSON.parse(process.argv[2])
const options = { [oauth.allowInsecureRequests]: true }

const resource = await oauth.processResourceDiscoveryResponse(
  new URL(wanted.resource), await oauth.resourceDiscoveryRequest(new URL(wanted.resource), options),
)
const issuer = new URL(resource.authorization_servers[0])
const server = await oauth.processDiscoveryResponse(
  issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }),
)
let challenge
try {
  await oauth.protectedResourceRequest('not.a.token', 'GET', new URL(wanted.resource), undefined, undefined, options)
} catch (refused) {
  challenge = refused.cause[0]
}
const request = new Request(wanted.resource, { headers: { authorization: `Bearer ${wanted.token}` } })
const claims = await oauth.validateJwtAccessToken(server, request, resource.resource, options)
process.stdout.write(JSON.stringify({ result: { resource, claims, challenge } }) + '\n')
process.exit(0)
