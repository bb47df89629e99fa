-- Which certificate the caller proved to hold, by its SHA-256 (RFC 8705 section 3.1): that of the connection, or where
-- TLS ends at a trusted proxy the one that its header names. What the header says is read by the control process, once
-- for each value.

local CERTIFICATE_HEADER = @CERTIFICATE_HEADER@ -- nil on connections from elsewhere: nothing they say is believed
local BINDING_CLUSTER = @BINDING_CLUSTER@
local BINDING_SECRET_FILE = @BINDING_SECRET_FILE@
local BINDING_TIMEOUT_MS = 2000
local LONGEST_CERTIFICATE = 24576
local CERTIFICATES_PER_GENERATION = 256 -- two generations of this many
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local thumbs_young, thumbs_old, thumbs_count = {}, {}, 0 -- by the header's value; empty when it names no certificate

-- Hexadecimal digits as base64url without padding.
local function to_base64url(digits)
  local parts = {}
  for at = 1, #digits, 6 do
    local group = digits:sub(at, at + 5)
    local bits = tonumber(group, 16) * 16 ^ (6 - #group)
    for place = 3, 3 - math.ceil(#group * 4 / 6) + 1, -1 do
      local sextet = math.floor(bits / 64 ^ place) % 64
      parts[#parts + 1] = ALPHABET:sub(sextet + 1, sextet + 1)
    end
  end
  return table.concat(parts)
end

local function peer_thumbprint(handle)
  local connection = handle:streamInfo():downstreamSslConnection()
  if connection == nil or not connection:peerCertificatePresented() then
    return nil
  end
  local digest = connection:sha256PeerCertificateDigest()
  return digest:find("^%x+$") and #digest == 64 and to_base64url(digest) or nil
end

local function binding_secret()
  local file = assert(io.open(BINDING_SECRET_FILE, "r"))
  local text = file:read("*l")
  file:close()
  assert(text ~= nil and #text >= 32)
  return text
end

-- What the control process reads in the header; nil when it cannot say.
local function read_thumbprint(handle, value)
  local answer, body = handle:httpCall(BINDING_CLUSTER, {
    [":method"] = "POST",
    [":path"] = "/certificate",
    [":authority"] = "certificate",
    ["x-kronborg-exchange"] = binding_secret(),
    ["x-kronborg-certificate-header"] = CERTIFICATE_HEADER,
  }, value, BINDING_TIMEOUT_MS)
  if answer[":status"] == "404" then
    return ""
  end
  return answer[":status"] == "200" and #body == 43 and body:match("^[%w_-]+$") or nil
end

-- Of the proxy's header, or nil; and a reason when nobody can say.
local function told_thumbprint(request)
  local headers = request.headers
  local value = headers:get(CERTIFICATE_HEADER)
  -- Twice means that somebody besides the proxy wrote one.
  if value == nil or headers:getNumValues(CERTIFICATE_HEADER) ~= 1 or #value > LONGEST_CERTIFICATE then
    return nil
  end
  local known = thumbs_young[value] or thumbs_old[value]
  if known == nil then
    known = read_thumbprint(request.handle, value)
    request.headers = request.handle:headers()
    if known == nil then
      return nil, "binding_unknown"
    end
    if thumbs_count >= CERTIFICATES_PER_GENERATION then
      thumbs_old, thumbs_young, thumbs_count = thumbs_young, {}, 0
    end
    thumbs_young[value] = known
    thumbs_count = thumbs_count + 1
  end
  return known
end

-- The thumbprint; with a header to go by, the certificate of the connection is the proxy's own.
local function thumbprint_of(request)
  if CERTIFICATE_HEADER ~= nil then
    return told_thumbprint(request)
  end
  return peer_thumbprint(request.handle)
end
