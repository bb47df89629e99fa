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

-- What stands in the Authorization header: `jwt` and `access` let nothing pass here but one JWT of a trusted issuer.
local function read_token(value)
  local scheme, header, payload = value:match("^(%a+) ([%w_-]+)%.([%w_-]+)%.[%w_-]+$")
  assert(scheme ~= nil, "not a token")
  local claims = read_json(base64url(payload))
  assert(type(claims) == "table" and type(claims.iss) == "string")
  assert(claims.iss ~= ISSUER or type(claims.client_id) == "string")
  local ours = claims.iss == ISSUER
  scheme = scheme:lower()
  return {
    scheme = scheme,
    header = header,
    claims = claims,
    ours = ours,
    plain = ours and claims.cnf == nil and scheme == "bearer", -- bound to nothing, and not shown as if it were
    seen = false, -- the revision of the ledger that had nothing against it
    kid = nil,
  }
end

local function token_of(value)
  local token = claims_young[value] or claims_old[value]
  if token == nil then
    token = read_token(value)
    if claims_count >= CLAIMS_PER_GENERATION then
      claims_old, claims_young, claims_count = claims_young, {}, 0
    end
    claims_young[value] = token
    claims_count = claims_count + 1
  end
  return token
end
