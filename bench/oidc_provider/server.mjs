// The peer: oidc-provider with its in-memory store, one client, one API with JWTs and one with opaque tokens.
import { Provider } from 'oidc-provider';
import { generateKeyPairSync } from 'node:crypto';

const port = Number(process.argv[2]);
const [clientId, clientSecret] = [process.argv[3], process.argv[4]];
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwt = 'https://bench.example/jwt';
const opaque = 'https://bench.example/reference';

const provider = new Provider(issuer, {
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
    id_token_signed_response_alg: 'ES256',
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'bench' }] },
  cookies: { keys: ['bench'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: async () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'bench:read bench:count',
        audience: resource,
        accessTokenFormat: resource === jwt ? 'jwt' : 'opaque',
        accessTokenTTL: 600,
        ...(resource === jwt && { jwt: { sign: { alg: 'ES256' } } }),
      }),
    },
  },
  ttl: { ClientCredentials: 600 },
});

provider.listen(port, '127.0.0.1', () => process.stdout.write('ready\n'));
