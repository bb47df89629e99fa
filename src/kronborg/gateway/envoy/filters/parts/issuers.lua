-- Tokens of other issuers: whose they are stands before their subject and client, which could be called like ours.

local OTHERS = @OTHERS@ -- by `iss`: the name

local function check_issuers(request)
  local token = request.token
  if token == nil or token.ours then
    return nil
  end
  local headers, name = request.headers, OTHERS[token.claims.iss]
  local subject, client = headers:get("x-kronborg-subject"), headers:get("x-kronborg-client")
  if name == nil or subject == nil or client == nil then
    return "invalid_token"
  end
  headers:replace("x-kronborg-issuer", name)
  headers:replace("x-kronborg-subject", name .. ":" .. subject)
  headers:replace("x-kronborg-client", name .. ":" .. client)
  local id = headers:get("x-kronborg-token")
  if id ~= nil then
    headers:replace("x-kronborg-token", name .. ":" .. id)
  end
  return nil
end
