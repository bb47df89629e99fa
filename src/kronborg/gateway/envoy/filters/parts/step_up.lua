-- How the person signed in, where the route asks for it (RFC 9470): what kind of sign-in, and how long ago.

local function fits(asked, claims, now)
  if asked.acr ~= nil then
    local known = false
    for at = 1, #asked.acr do
      known = known or claims.acr == asked.acr[at]
    end
    if not known then
      return false
    end
  end
  if asked.max_age ~= nil then
    local at = claims.auth_time
    -- A moment to come, beyond what clocks differ by, is no moment at which somebody signed in.
    return type(at) == "number" and now - at <= asked.max_age and at - now <= 60
  end
  return true
end

local function check_step_up(request)
  local asked = request.settings.step_up
  if asked == nil then
    return nil
  end
  local method = request.headers:get(":method")
  for at = 1, #asked do
    local one = asked[at]
    local concerned = one.methods == nil
    for which = 1, concerned and 0 or #one.methods do
      concerned = concerned or one.methods[which] == method
    end
    if concerned and not fits(one, request.claims, math.floor(request.now_ms / 1000)) then
      return "step_up_required", { ["www-authenticate"] = one.challenge }
    end
  end
  return nil
end
