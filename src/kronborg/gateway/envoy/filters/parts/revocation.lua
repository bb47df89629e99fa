-- Whether the token, or what it comes from, was revoked: asked of the ledger.

local function check_revocation(request)
  return nil
end
