-- For wrk: sends requests that are ready in a file, each once, and prints what came of it as JSON.
-- The file: a line with the length of a request, the request's bytes, and so on.
local requests, sent = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   for length in function() return file:read("*l") end do
      requests[#requests + 1] = file:read(tonumber(length))
   end
   file:close()
end

function request()
   sent = sent + 1
   if sent >= #requests then
      wrk.thread:stop()
      sent = #requests
   end
   return requests[sent]
end

function done(summary, latency, _)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   print(string.format(
      'RESULT {"answered": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}',
      summary.requests - errors.status, failed, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
