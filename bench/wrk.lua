-- SPDX-License-Identifier: MIT
-- For wrk: a client that takes OCI manifests; of the paths in the file
-- WRK_PATHS, if there is one, one at random for each request. Prints what
-- bench/load.py reads.

wrk.headers["Accept"] = "application/vnd.oci.image.manifest.v1+json"

local file = os.getenv("WRK_PATHS")
if file then
	local requests = {}
	function init()
		for line in io.lines(file) do
			requests[#requests + 1] = wrk.format(nil, line)
		end
		math.randomseed(1)
	end
	function request()
		return requests[math.random(#requests)]
	end
end

function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format("RESULT %d %d %d %d %f %f\n", summary.requests,
		summary.bytes, summary.duration,
		e.connect + e.read + e.write + e.status + e.timeout,
		latency:percentile(50), latency:percentile(99)))
end
