-- What stands of a verified request: its parts each say a reason against it, or nothing.
-- An error here would let the request through, so everything runs in pcall and ends in 503 otherwise.

local ISSUER = @ISSUER@
local ANSWERS = @ANSWERS@        -- by reason: the status, and the problem up to the request id
local BROKEN = "inspection_failed"
local MOST_SETTINGS = 8192
local NOTHING = {}

-- Collected when the memory has grown to five times what is in use, not to twice: looking through all that is remembered
-- cost every request as much as all checks together.
collectgarbage("setpause", 500)

@PARTS@

local CHECKS = { @CHECKS@ }

local settings_known, settings_count = {}, 0

-- What the route says to the parts, as one JSON text; parsed once.
local function settings_of(handle)
  local text = handle:filterContext():get("settings")
  if text == nil then
    return NOTHING
  end
  local settings = settings_known[text]
  if settings == nil then
    settings = read_json(text)
    if settings_count >= MOST_SETTINGS then
      settings_known, settings_count = {}, 0
    end
    settings_known[text] = settings
    settings_count = settings_count + 1
  end
  return settings
end

-- `more`: response headers of the part; `members`: JSON of further members of the problem. Without a challenge among
-- the headers, the route's own is sent with a 401.
local function refuse(handle, reason, more, members)
  local answer = ANSWERS[reason] or ANSWERS[BROKEN]
  local headers = { [":status"] = answer.status, ["content-type"] = "application/problem+json" }
  for name, value in pairs(more or NOTHING) do
    headers[name] = value
  end
  if answer.status == "503" and headers["retry-after"] == nil then
    headers["retry-after"] = "1"
  end
  local challenged = answer.status ~= "401" or headers["www-authenticate"] ~= nil
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("kronborg", "reason", reason)
  metadata:set("kronborg", "answer", challenged and "whole" or "challenge")
  local id = (handle:headers():get("x-request-id") or ""):match("^[%w-]+$") or ""
  local problem = answer.problem .. id .. '"'
  for name, value in pairs(members or NOTHING) do
    problem = problem .. ',"' .. name .. '":' .. value
  end
  handle:respond(headers, problem .. "}")
end

local function inspect(handle)
  local settings, headers, now_ms = settings_of(handle), handle:headers(), handle:timestamp()
  local token = nil -- and nil it stays on a public route: nobody verified what came along
  if not settings.public then
    token = token_of(headers:get("authorization"))
    if token == nil then
      return "invalid_token"
    end
    if token.plain and settings == NOTHING then
      return standing_of(token, settings, now_ms) -- most requests: nothing else could be against them
    end
  end
  local request = {
    handle = handle,
    headers = headers, -- dead after a call: fetch them again
    now_ms = now_ms,
    settings = settings,
    token = token,
    claims = token and token.claims,
  }
  for at = 1, #CHECKS do
    local reason, more, members = CHECKS[at](request)
    if reason ~= nil then
      return reason, more, members
    end
  end
  return nil
end

function envoy_on_request(handle)
  local fine, reason, more, members = pcall(inspect, handle)
  if not fine then
    handle:logErr("inspect: " .. tostring(reason):sub(1, 200))
    reason, more, members = BROKEN, nil, nil
  end
  if reason ~= nil and not pcall(refuse, handle, reason, more, members) then
    handle:respond({ [":status"] = "503" }, "")
  end
end
