// The peer: oidc-provider with its in-memory store, one client, one API with JWTs and one with opaque tokens, and
// refresh tokens of a public client, written to a file.
import { Provider } from 'oidc-provider';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';

const port = Number(process.argv[2]);
const [clientId, clientSecret, file] = process.argv.slice(3, 6);
const count = Number(process.argv[6]);
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
  }, {
    client_id: 'bench-web',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['https://bench.example/callback'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    id_token_signed_response_alg: 'ES256',
  }],
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  rotateRefreshToken: true,
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
  ttl: { ClientCredentials: 600, AccessToken: 600, RefreshToken: 86400, Grant: 86400 },
});

const client = await provider.Client.find('bench-web');
const tokens = [];
for (let number = 0; number < count; number += 1) {
  const accountId = `person-${number}`;
  const grant = new provider.Grant({ accountId, clientId: 'bench-web' });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope(jwt, 'bench:read');
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    accountId, client, grantId, gty: 'authorization_code', scope: 'offline_access bench:read', resource: jwt, rotations: 0,
    expiresWithSession: false,
  });
  tokens.push(await token.save());
}
writeFileSync(file, JSON.stringify(tokens));
provider.listen(port, '127.0.0.1', () => process.stdout.write('ready\n'));
