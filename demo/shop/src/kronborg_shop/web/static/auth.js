// Signing in: authorization code with PKCE for a public client (RFC 6749, RFC 7636, RFC 9700, RFC 10017).
//
// Tokens live in this module's memory and nowhere else: a reload forgets them, and the shop asks again by an ordinary
// redirect. sessionStorage holds the pending request only, while the browser is away at the issuer.
// Each service gets a token of its own, asked by `resource` (RFC 8707) with the refresh token.

const PENDING = "shop.pending";
const USERINFO = "userinfo"; // the issuer's own API
const EARLY = 20_000; // renew this many milliseconds before a token expires

export class SignedOut extends Error {}
export class Unavailable extends Error {}
export class SignInFailed extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Auth {
  #config;
  #metadata = null;
  #access = new Map();
  #refresh = null;
  #idToken = null;
  #queue = Promise.resolve();

  /** Who is signed in, or null. The name arrives a moment later, see `loadPerson`. */
  person = null;

  constructor(config) {
    this.#config = config;
  }

  get isSignedIn() {
    return this.person !== null;
  }

  /** Go to the issuer. With `silent` it shows nothing and comes back even when nobody is signed in there. */
  async signIn({ returnTo = "/shop/", silent = false } = {}) {
    const metadata = await this.#discover();
    const pending = { state: random(), nonce: random(), verifier: random(), returnTo, silent };
    const url = new URL(metadata.authorization_endpoint);
    const apis = Object.values(this.#config.apis);
    const parameters = {
      response_type: "code",
      client_id: this.#config.client_id,
      redirect_uri: this.#config.redirect_uri,
      scope: [this.#config.scope, ...apis.map((api) => api.scope)].join(" "),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await challengeOf(pending.verifier),
      code_challenge_method: "S256",
    };
    if (silent) parameters.prompt = "none";
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    for (const api of apis) url.searchParams.append("resource", api.audience);
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    location.assign(url);
    await new Promise(() => {}); // the page is about to be left
  }

  /** Come back from the issuer; gives where to go on. Throws `SignInFailed`. */
  async finish(parameters) {
    const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
    sessionStorage.removeItem(PENDING);
    if (pending === null || parameters.get("state") !== pending.state) {
      throw new SignInFailed("state", "This sign-in was not started here. Please start again.");
    }
    const metadata = await this.#discover();
    // RFC 9207 §2.4: an answer of another issuer must not be used.
    const issuer = parameters.get("iss");
    if (issuer !== this.#config.issuer && (issuer !== null || metadata.authorization_response_iss_parameter_supported)) {
      throw new SignInFailed("iss", "The answer came from an unexpected issuer. Please start again.");
    }
    const error = parameters.get("error");
    if (error !== null) {
      if (pending.silent) return pending.returnTo;
      const denied = error === "access_denied";
      throw new SignInFailed(error, denied ? "You did not allow the shop to sign you in." : "Signing in did not work.");
    }
    const first = Object.entries(this.#config.apis)[0];
    const answer = await this.#ask({
      grant_type: "authorization_code",
      code: parameters.get("code") ?? "",
      redirect_uri: this.#config.redirect_uri,
      code_verifier: pending.verifier,
      resource: first[1].audience,
    });
    const claims = readIdToken(answer.id_token, this.#config, pending.nonce);
    this.#keep(first[0], answer);
    this.#idToken = answer.id_token;
    this.person = { subject: claims.sub, name: "" };
    return pending.returnTo;
  }

  /** Ask the issuer for the person's name (OIDC Core 5.3), with a token made for just that. */
  async loadPerson() {
    const metadata = await this.#discover();
    const token = await this.token(USERINFO);
    const response = await fetch(metadata.userinfo_endpoint, {
      headers: { Authorization: `Bearer ${token}` },
      credentials: "omit",
      redirect: "error",
    });
    const claims = response.ok ? await response.json() : {};
    // OIDC Core 5.3.2: claims about somebody else must not be used.
    if (this.person === null || claims.sub !== this.person.subject) return;
    this.person.name = claims.name ?? claims.preferred_username ?? claims.email ?? "";
  }

  /** An access token for one service. Throws `SignedOut` or `Unavailable`. */
  async token(api) {
    if (!this.isSignedIn) throw new SignedOut();
    // One refresh at a time: each spends the refresh token and brings the next one.
    const turn = this.#queue.then(async () => {
      const kept = this.#access.get(api);
      if (kept && kept.until > Date.now()) return kept.token;
      if (this.#refresh === null) throw this.#end();
      try {
        this.#keep(api, await this.#ask({
          grant_type: "refresh_token",
          refresh_token: this.#refresh,
          resource: api === USERINFO ? (await this.#discover()).userinfo_endpoint : this.#config.apis[api].audience,
        }));
      } catch (error) {
        if (error instanceof SignInFailed && error.code === "invalid_grant") throw this.#end();
        throw error;
      }
      return this.#access.get(api).token;
    });
    this.#queue = turn.catch(() => {});
    return turn;
  }

  /** Do not use this service's token again. */
  forget(api) {
    this.#access.delete(api);
  }

  /** Sign out here and at the issuer (OpenID Connect RP-Initiated Logout 1.0). */
  async signOut() {
    const metadata = await this.#discover();
    const url = new URL(metadata.end_session_endpoint);
    url.searchParams.set("id_token_hint", this.#idToken ?? "");
    url.searchParams.set("client_id", this.#config.client_id);
    url.searchParams.set("post_logout_redirect_uri", this.#config.post_logout_redirect_uri);
    this.#end();
    location.assign(url);
    await new Promise(() => {});
  }

  #end() {
    this.#access.clear();
    this.#refresh = null;
    this.#idToken = null;
    this.person = null;
    return new SignedOut();
  }

  #keep(api, answer) {
    const lifetime = (Number(answer.expires_in) || 60) * 1000;
    this.#access.set(api, { token: answer.access_token, until: Date.now() + Math.max(lifetime - EARLY, lifetime / 2) });
    if (answer.refresh_token) this.#refresh = answer.refresh_token;
  }

  async #discover() {
    if (this.#metadata === null) {
      const metadata = await getJson(`${this.#config.issuer}/.well-known/openid-configuration`);
      if (metadata.issuer !== this.#config.issuer) throw new Unavailable();
      this.#metadata = metadata;
    }
    return this.#metadata;
  }

  async #ask(form) {
    const metadata = await this.#discover();
    let response;
    try {
      response = await fetch(metadata.token_endpoint, {
        method: "POST",
        body: new URLSearchParams({ client_id: this.#config.client_id, ...form }),
        credentials: "omit",
        cache: "no-store",
        redirect: "error",
      });
    } catch {
      throw new Unavailable();
    }
    if (response.status >= 500 || response.status === 429) throw new Unavailable();
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new SignInFailed(answer.error ?? "invalid_request", "Signing in did not work. Please start again.");
    if (String(answer.token_type).toLowerCase() !== "bearer" || typeof answer.access_token !== "string") {
      throw new SignInFailed("invalid_response", "The issuer's answer could not be used.");
    }
    return answer;
  }
}

/** The claims of an ID token that came straight from the token endpoint (OIDC Core 3.1.3.7). */
export function readIdToken(token, config, nonce) {
  let claims;
  try {
    const segment = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(segment), (c) => c.charCodeAt(0))));
  } catch {
    throw new SignInFailed("id_token", "The issuer's answer could not be read.");
  }
  const audience = [claims.aud].flat();
  const good =
    claims.iss === config.issuer &&
    audience.includes(config.client_id) &&
    (audience.length === 1 || claims.azp === config.client_id) &&
    claims.nonce === nonce &&
    typeof claims.sub === "string" &&
    claims.exp * 1000 > Date.now() - 30_000;
  if (!good) throw new SignInFailed("id_token", "The issuer's answer was not meant for this sign-in.");
  return claims;
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challengeOf(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function getJson(url) {
  try {
    const response = await fetch(url, { credentials: "omit", redirect: "error" });
    if (response.ok) return await response.json();
  } catch {
    // answered below
  }
  throw new Unavailable();
}
