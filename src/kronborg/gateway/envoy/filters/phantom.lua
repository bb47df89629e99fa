-- Exchanges a reference token for a short-lived JWT, once, and remembers it (one memory per worker).
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
local MARK = "^[Bb]earer kro_at_"
local FORM = "^[Bb]earer (kro_at_[%w_-]+)$"

local young, old, count = {}, {}, 0
local refused, refusals = {}, 0
local window, misses = 0, 0

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

local function admitted(now)
  if window ~= now then
    window, misses = now, 0
  end
  misses = misses + 1
  return misses <= MISSES_PER_SECOND
end

local function refuse(handle, status)
  handle:respond({ [":status"] = status }, "")
end

-- The exchange answers 200 with the JWT and its lifetime, or 404: there is no such active token.
local function ask(handle, token, now)
  if not admitted(now) then
    return nil
  end
  local headers, body = handle:httpCall(CLUSTER, {
    [":method"] = "POST",
    [":path"] = "/exchange",
    [":authority"] = "exchange",
    ["x-kronborg-exchange"] = secret(),
    ["content-type"] = "text/plain",
  }, token, TIMEOUT_MS)
  local status = headers[":status"]
  if status == "404" then
    return { refused = true }
  end
  local lifetime = tonumber(headers["x-kronborg-lifetime"])
  if status ~= "200" or lifetime == nil or body == nil or #body < 20 then
    return nil
  end
  return { jwt = "Bearer " .. body, until_ = now + math.min(lifetime, LONGEST_SECONDS) }
end

-- What was not remembered: nil when the next filter shall decide, else an entry, or false when nobody can say.
local function learn(handle, value, now)
  if value:find(MARK) == nil then
    return nil
  end
  local token = #value <= LONGEST_TOKEN and value:match(FORM) or nil
  if token == nil or (refused[value] or 0) > now then
    return { refused = true }
  end
  local entry = ask(handle, token, now)
  if entry == nil then
    return false
  elseif entry.refused then
    remember_refusal(value, now + REFUSED_SECONDS)
  else
    remember(value, entry)
  end
  return entry
end

-- Remembered by the whole header value, never a part of it. Returns the status of a refusal, or nil.
local function exchange(handle)
  local headers = handle:headers()
  local value = headers:get("authorization")
  if value == nil then
    return nil
  end
  local now = os.time()
  local entry = young[value] or old[value]
  if entry == nil or entry.until_ <= now then
    entry = learn(handle, value, now)
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
  headers:replace("authorization", entry.jwt)
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
