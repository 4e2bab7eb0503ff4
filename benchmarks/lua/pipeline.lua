-- Sixteen requests in one write; wrk waits for all sixteen answers before it writes again.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")

local batch

function init(args)
  local requests = {}
  for i = 1, 16 do requests[i] = wrk.format() end
  batch = table.concat(requests)
end

function request()
  return batch
end
