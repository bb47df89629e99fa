// An MCP client: the official SDK with its own OAuth, and nothing about our server but the URL of a tool server.
// argv: one JSON object; {"authorize": url} out → the callback URL in → {"result": {...}} out.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { createInterface } from 'node:readline'

const wanted = JSON.parse(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')
const asked = []

class Provider {
  #kept = { information: wanted.client_id && { client_id: wanted.client_id } }
  clientMetadataUrl = wanted.metadata_url

  get redirectUrl() {
    return wanted.redirect_uri
  }
  get clientMetadata() {
    return {
      client_name: 'A test assistant',
      redirect_uris: [wanted.redirect_uri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }
  }
  state = () => 'a-state-of-the-client'
  clientInformation = () => this.#kept.information
  saveClientInformation = (information) => void (this.#kept.information = information)
  tokens = () => this.#kept.tokens
  saveTokens = (tokens) => void (this.#kept.tokens = tokens)
  saveCodeVerifier = (verifier) => void (this.#kept.verifier = verifier)
  codeVerifier = () => this.#kept.verifier
  redirectToAuthorization(url) {
    this.authorize = url.href
  }
}

const provider = new Provider()
const watched = (url, init) => {
  asked.push(`${init?.method ?? 'GET'} ${new URL(url).pathname}`)
  return fetch(url, init)
}
const open = () => new StreamableHTTPClientTransport(new URL(wanted.server), { authProvider: provider, fetch: watched })
const client = new Client({ name: 'test', version: '1' })

const first = open()
try {
  await client.connect(first)
  throw new Error('nobody asked for a token')
} catch (refused) {
  if (!(refused instanceof UnauthorizedError)) throw refused
}
say({ authorize: provider.authorize })
const callback = new URL((await lines.next()).value)
await first.finishAuth(callback.searchParams.get('code'))

await client.connect(open())
const { tools } = await client.listTools()
const calls = []
for (const call of wanted.calls ?? []) calls.push(await client.callTool(call))
// A token that ran out is renewed by the client itself.
const { access_token: before } = provider.tokens()
provider.saveTokens({ ...provider.tokens(), access_token: 'gone.gone.gone' })
await client.ping()
const { access_token: after } = provider.tokens()

say({
  result: {
    asked,
    client: provider.clientInformation(),
    state: callback.searchParams.get('state'),
    scope: provider.tokens().scope,
    tools: tools.map((tool) => tool.name),
    calls,
    ...(wanted.show && { token: after }),
    renewed: before !== after,
  },
})
process.exit(0)
