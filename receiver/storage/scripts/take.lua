-- Puts one delivery into the hands of a stock RQ worker, which took the job from the queue itself.
--
-- ARGV: worker (a name for this one run), job id, lease in ms
-- Returns the delivery as claim.lua does, or false when the job is stale.

local worker, job, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local id, n, serial = parse_job(job)
if not id then return false end
local state = read_delivery(id, n)
if not may_run(state, serial) then return false end
redis.call('ZADD', 'fd:workers', now_ms + lease, worker)
return hand_over(worker, redis.call('HGET', state_key(id), n .. 'q'), job, id, n, state)
