-- include: time
-- Begins or renews the leases of workers. What a worker holds is safe while its lease runs; once it is over and somebody
-- has recovered what it held, the lease cannot be renewed, so a worker that was frozen finds out.
--
-- ARGV: 'begin' or 'renew', lease in ms, then workers
-- Returns the workers whose lease is over.

local gone = {}
for i = 3, #ARGV do
    if ARGV[1] == 'begin' or redis.call('ZSCORE', 'fd:workers', ARGV[i]) then
        redis.call('ZADD', 'fd:workers', now_ms + tonumber(ARGV[2]), ARGV[i])
    else
        gone[#gone + 1] = ARGV[i]
    end
end
return gone
