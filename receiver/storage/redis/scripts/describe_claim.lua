-- include: handover, ids, keys
-- Describes a delivery that a worker holds, and changes nothing.
--
-- ARGV: job id
-- Returns the delivery as claim.lua does; false when the job is stale.

local job = ARGV[1]
local id, n, serial = parse_job(job)
if not id then return false end
local state = read_delivery(id, n)
if state[1] ~= 'x' or tonumber(state[2] or 1) ~= serial then return false end
return enclose({describe(redis.call('HGET', job_key(job), 'origin') or '', job, id, state)})[1]
