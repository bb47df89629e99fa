-- Whether the token, or what it comes from, was revoked: asked of the ledger.

local STALE_AFTER_MS = @STALE_AFTER_MS@
local REFUSE_WHEN_STALE = @REFUSE_WHEN_STALE@

-- A heartbeat from the future is as useless as an old one: some clock jumped.
local function is_stale(book, now_ms)
  local age = now_ms - book.beat_ms
  return book.broken or age > STALE_AFTER_MS or age < -STALE_AFTER_MS
end

local function is_named(known, subject, issued_at)
  local limit = known[subject]
  return limit ~= nil and issued_at < limit
end

local function is_revoked(book, token)
  local claims = token.claims
  -- Without `iat` a token is as old as can be.
  local issued_at = type(claims.iat) == "number" and claims.iat or 0
  -- Every token of ours has a `jti`, a client and a subject; one without could not be revoked.
  return is_named(book.t, claims.jti, issued_at)
    or is_named(book.c, claims.client_id, issued_at)
    -- A token of one client that another traded has the first as its subject.
    or is_named(book.c, claims.sub, issued_at)
    or is_named(book.u, claims.sub, issued_at)
    or (claims.gid ~= nil and is_named(book.g, claims.gid, issued_at))
    or (claims.sid ~= nil and is_named(book.s, claims.sid, issued_at))
    or (book.keys and is_named(book.k, token.kid, issued_at))
end

local function standing_of(token, settings, now_ms)
  local book = ledger_at(now_ms)
  if book == nil then
    return "revocation_unknown"
  end
  if is_stale(book, now_ms) then
    local wish = settings.when_stale
    if wish == "refuse" or (wish == nil and REFUSE_WHEN_STALE) then
      return "revocation_unknown"
    end
  end
  -- The feed is that of our own issuer: another's token may have the same `jti`.
  if not token.ours or token.seen == ledger_revision then
    return nil
  end
  if is_revoked(book, token) then
    return "revoked"
  end
  token.seen = ledger_revision
  return nil
end

local function check_revocation(request)
  if request.token == nil then
    return nil -- nobody is known, so nobody's token can be revoked
  end
  return standing_of(request.token, request.settings, request.now_ms)
end
