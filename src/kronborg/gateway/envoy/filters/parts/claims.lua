-- The claims of a verified access token, decoded once per token and remembered (one memory per worker).

local CLAIMS_PER_GENERATION = @CACHED_TOKENS@ -- two generations of this many
local SEXTETS = {}
for at, letter in ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"):gmatch("()(.)") do
  SEXTETS[letter:byte()] = at - 1
end

local claims_young, claims_old, claims_count = {}, {}, 0

local function base64url(text)
  assert(#text % 4 ~= 1, "not base64url")
  local parts, band, bor, shift, right = {}, bit.band, bit.bor, bit.lshift, bit.rshift
  for at = 1, #text, 4 do
    local a, b, c, d = text:byte(at, at + 3)
    local bits = bor(
      shift(SEXTETS[a], 18),
      shift(SEXTETS[b], 12),
      c and shift(SEXTETS[c], 6) or 0,
      d and SEXTETS[d] or 0
    )
    if d then
      parts[#parts + 1] = string.char(right(bits, 16), band(right(bits, 8), 255), band(bits, 255))
    elseif c then
      parts[#parts + 1] = string.char(right(bits, 16), band(right(bits, 8), 255))
    else
      parts[#parts + 1] = string.char(right(bits, 16))
    end
  end
  return table.concat(parts)
end

local SCHEMES = { Bearer = "bearer", bearer = "bearer", DPoP = "dpop", dpop = "dpop" }
local ANY_TYPE = @ANY_TYPE@ -- other issuers, by `iss`, whose access tokens have no type of their own
local SHOWN = @SHOWN@ -- by `iss`: the claims that become headers
local MOST_HEADS = 256
local heads_known, heads_count = {}, 0

-- The signed header of a token: one for each key and type, so it is read once for many tokens.
local function head_of(text)
  local head = heads_known[text]
  if head == nil then
    head = read_json(base64url(text))
    if heads_count >= MOST_HEADS then
      heads_known, heads_count = {}, 0
    end
    heads_known[text] = head
    heads_count = heads_count + 1
  end
  return head
end

-- What stands in the Authorization header, once `jwt` has verified it; nil unless it is exactly one credential, and an
-- access token by its type: Envoy looks at neither (RFC 9068 section 4, RFC 8725 section 3.11).
local function read_token(value)
  local scheme, header, payload = value:match("^(%a+) ([%w_-]+)%.([%w_-]+)%.[%w_-]+$")
  if scheme == nil or SCHEMES[scheme] == nil then
    return nil
  end
  local claims, head = read_json(base64url(payload)), head_of(header)
  assert(type(claims) == "table" and type(claims.iss) == "string")
  local ours = claims.iss == ISSUER
  if head.typ ~= "at+jwt" and (ours or not ANY_TYPE[claims.iss]) then
    return nil
  end
  if head.crit ~= nil then
    return nil -- RFC 7515 section 4.1.11: Envoy passes over what the signer says must be understood
  end
  for _, name in ipairs(SHOWN[claims.iss] or SHOWN[ISSUER]) do
    local claim = claims[name]
    -- Envoy ends a header at a NUL: whoever is called "root\0x" would be "root" to the service.
    if type(claim) == "string" and claim:find("%c") then
      return nil
    end
  end
  assert(not ours or type(claims.client_id) == "string")
  scheme = SCHEMES[scheme]
  return {
    scheme = scheme,
    claims = claims,
    ours = ours,
    plain = ours and claims.cnf == nil and scheme == "bearer", -- bound to nothing, and not shown as if it were
    seen = false, -- the revision of the ledger that had nothing against it
    kid = head.kid or false,
  }
end

local function token_of(value)
  local token = claims_young[value] or claims_old[value]
  if token == nil then
    token = read_token(value)
    if token == nil then
      return nil
    end
    if claims_count >= CLAIMS_PER_GENERATION then
      claims_old, claims_young, claims_count = claims_young, {}, 0
    end
    claims_young[value] = token
    claims_count = claims_count + 1
  end
  return token
end
