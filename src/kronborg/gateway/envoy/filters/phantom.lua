-- Exchanges a reference token, an API key or a personal access token for a short-lived JWT, once, and remembers it (one
-- memory per worker). A key is good for several APIs, so it is remembered together with the one that a route names.
-- An error here would let the request through, so everything runs in pcall and ends in 503 otherwise.

local CLUSTER = @CLUSTER@
local SECRET_FILE = @SECRET_FILE@
local PER_GENERATION = 8192      -- remembered tokens: two generations of this many
local MOST_REFUSED = 8192        -- remembered refusals, apart: invented tokens must not push out real ones
local REFUSED_SECONDS = 5        -- how long a "no" is remembered
local LONGEST_SECONDS = 60       -- no JWT is used longer, whatever the exchange says
local LONGEST_TOKEN = 128
local TIMEOUT_MS = 2000
local MISSES_PER_SECOND = 1000   -- exchanges a worker asks for; beyond it sheds
local REFUSALS_PER_SECOND = 50   -- of them, those that came to nothing from one address: others need the rest
local MARK = "^[Bb]earer kro_"
local FORM = "^[Bb]earer (kro_at_[%w_-]+)$"
local DPOP_FORM = "^[Dd][Pp]o[Pp] (kro_at_[%w_-]+)$"
local KEYS = { api_key = "^[Bb]earer (kro_key_[%w_-]+)$", personal_token = "^[Bb]earer (kro_pat_[%w_-]+)$" }

collectgarbage("setpause", 500)  -- as in inspect.lua

local young, old, count = {}, {}, 0
local refused, refusals = {}, 0
local window, misses, blamed = 0, 0, {}

@PARTS@

local function remember(value, entry)
  if count >= PER_GENERATION then
    old, young, count = young, {}, 0
  end
  if young[value] == nil then
    count = count + 1
  end
  young[value] = entry
end

local function remember_refusal(value, until_)
  if refusals >= MOST_REFUSED then
    refused, refusals = {}, 0
  end
  if refused[value] == nil then
    refusals = refusals + 1
  end
  refused[value] = until_
end

local function secret()
  local file = assert(io.open(SECRET_FILE, "r"))
  local text = file:read("*l")
  file:close()
  assert(text ~= nil and #text >= 32)
  return text
end

local function admitted(network, now)
  if window ~= now then
    window, misses, blamed = now, 0, {}
  end
  if (blamed[network] or 0) >= REFUSALS_PER_SECOND then
    return false
  end
  misses = misses + 1
  return misses <= MISSES_PER_SECOND
end

local function refuse(handle, status)
  if status == "400" then
    handle:streamInfo():dynamicMetadata():set("kronborg", "reason", "two_credentials")
  end
  handle:respond({ [":status"] = status }, "")
end

-- The exchange answers 200 with the JWT and its lifetime, or 404: there is no such active token. `more` are headers.
local function ask(handle, token, now, more)
  local network = network_of(handle)
  if not admitted(network, now) then
    return nil
  end
  local request = {
    [":method"] = "POST",
    [":path"] = "/exchange",
    [":authority"] = "exchange",
    ["x-kronborg-exchange"] = secret(),
    ["content-type"] = "text/plain",
  }
  for name, value in pairs(more) do
    request[name] = value
  end
  local headers, body = handle:httpCall(CLUSTER, request, token, TIMEOUT_MS)
  local status = headers[":status"]
  if status == "404" then
    blamed[network] = (blamed[network] or 0) + 1
    return { refused = true }
  end
  local lifetime = tonumber(headers["x-kronborg-lifetime"])
  if status ~= "200" or lifetime == nil or body == nil or #body < 20 then
    return nil
  end
  return {
    jwt = "Bearer " .. body,
    until_ = now + math.min(lifetime, LONGEST_SECONDS),
    bound = headers["x-kronborg-bound"] ~= nil, -- good from this address only
    key = headers["x-kronborg-key"], -- the id of a key: limits count by it, records name it
  }
end

-- What is known of a credential under `name`, or else what the exchange says; false when nobody can say.
local function look_up(handle, name, token, now, more)
  local entry = young[name] or old[name]
  if entry ~= nil and entry.until_ > now then
    return entry
  end
  if (refused[name] or 0) > now then
    return { refused = true }
  end
  entry = ask(handle, token, now, more)
  if entry == nil then
    return false
  elseif entry.refused then
    remember_refusal(name, now + REFUSED_SECONDS)
  else
    remember(name, entry)
  end
  return entry
end

local function address_of(handle)
  local text = handle:streamInfo():downstreamRemoteAddress()
  return text:match("^%[(.-)%]:%d+$") or text:match("^(.-):%d+$") or text
end

-- A key or a personal access token, by what the route takes: the entry and the kind.
local function by_key(handle, value, now)
  local context = handle:filterContext()
  local kinds, audience = context:get("kinds") or "", context:get("audience")
  for kind, form in pairs(KEYS) do
    local token = value:match(form)
    if token ~= nil and audience ~= nil and (" " .. kinds .. " "):find(" " .. kind .. " ", 1, true) then
      -- No header value holds a line end: none can be the name of what another credential, or another address, got.
      local address, name = address_of(handle), value .. "\n" .. audience
      local more = { ["x-kronborg-audience"] = audience, ["x-kronborg-address"] = address }
      local entry = young[name] or old[name]
      if entry == nil or entry.until_ <= now or not entry.bound then
        entry = look_up(handle, name, token, now, more)
      end
      if entry and (entry.bound or entry.refused) then
        -- Another address gets another answer.
        entry = look_up(handle, name .. "\n" .. address, token, now, more)
      end
      return entry, kind
    end
  end
  return { refused = true }, nil
end

-- What was not remembered: nil when the next filter shall decide, else an entry, or false when nobody can say.
local function learn(handle, value, now)
  if value:find(MARK) == nil then
    local token = #value <= LONGEST_TOKEN and value:match(DPOP_FORM)
    return token and look_up(handle, value, token, now, {}) or nil
  end
  if #value > LONGEST_TOKEN then
    return { refused = true }
  end
  local token = value:match(FORM)
  if token == nil then
    return by_key(handle, value, now)
  end
  return look_up(handle, value, token, now, {})
end

-- The credential as if it came in the Authorization header; a second value when it must not pass.
local function shown(headers)
  local value, key = headers:get("authorization"), headers:get("x-api-key")
  if key == nil then
    return value, nil
  elseif value ~= nil then
    return nil, "400" -- RFC 6750 section 2: one way to send a credential for each request
  elseif #key > LONGEST_TOKEN or key:find("^kro_[kp][ea][yt]_") == nil then
    return nil, "401"
  end
  headers:remove("x-api-key")
  return "Bearer " .. key, nil
end

-- Remembered by the whole header value, never a part of it. Returns the status of a refusal, or nil.
local function exchange(handle)
  local headers = handle:headers()
  local value, status = shown(headers)
  if value == nil then
    return status
  end
  local now, kind = os.time(), nil
  local entry = young[value] or old[value]
  if entry == nil or entry.until_ <= now then
    entry, kind = learn(handle, value, now)
    if entry == nil then
      return nil -- a JWT or something else
    elseif entry == false then
      return "503"
    end
    headers = handle:headers() -- the handle from before a call is dead
  end
  if entry.refused then
    return "401"
  end
  local token = value:match(DPOP_FORM)
  if token ~= nil then
    -- The scheme stays. RFC 9449 section 4.3: the proof is for the token as it was sent.
    handle:streamInfo():dynamicMetadata():set("kronborg.presented", "token", token)
    headers:replace("authorization", "DPoP" .. entry.jwt:sub(#"Bearer" + 1))
    return nil
  end
  headers:replace("authorization", entry.jwt)
  if kind ~= nil then
    headers:replace("x-kronborg-credential", kind)
    headers:replace("x-kronborg-key", entry.key or "")
  end
  return nil
end

function envoy_on_request(handle)
  local fine, status = pcall(exchange, handle)
  if not fine then
    refuse(handle, "503")
  elseif status ~= nil then
    refuse(handle, status)
  end
end
