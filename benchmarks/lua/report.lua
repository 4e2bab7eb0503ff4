-- Prints wrk's own summary as one line of JSON, so that nothing is parsed out of prose.
-- Loaded by the other scripts; alone it leaves the request to wrk (a plain GET).
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nwrk-summary {"requests": %d, "duration_us": %d, "bytes": %d, ' ..
    '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d, ' ..
    '"p50_us": %d, "p99_us": %d, "max_us": %d}\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
